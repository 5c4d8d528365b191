//! Messages: each reader knows in its own way where a message ends.
//!
//! ```text
//! read_line            until its LF
//!   take_line          looks for it in what has come
//!   read_more          adds what one read brings; silence is an error
//!     read_deadline    until when that read may wait
//!     fill             in `input.rs`: one read, until that moment
//!       read_once      in `mod.rs`, the read itself: data, silence or the end, until a moment
//! ```

use std::time::{Duration, Instant};

use super::stream::Ending;
use super::{Received, State, Wire, ended_early, stream, timed_out, too_long};
use crate::error::{Code, Error, Expected, Result};
use crate::limits;

/// What an acknowledgement counts for the pace of a list, in bytes.
const ACKNOWLEDGEMENT: u64 = 1024;

/// What is known of the message that is read now.
pub(super) struct Reading {
    pub(super) expected: Expected,
    /// When it must be complete: `None` until its first byte has come, and then set once.
    deadline: Option<Instant>,
    /// How much longer than usual it may take to begin.
    more_time: Duration,
    /// How many messages have come before it.
    count: u64,
}

impl Reading {
    /// No message has begun.
    pub(super) const NONE: Reading =
        Reading { expected: Expected::Close, deadline: None, more_time: Duration::ZERO, count: 0 };
}

impl Wire {
    /// Reads a line of at most `most` bytes, and returns it without its LF and a CR before it. `None` is
    /// a clean end: the peer has closed, and no line was begun.
    ///
    /// # Errors
    /// The line is too long, has no end, or does not come in time. It is not known where the next one
    /// begins then, so each of these closes the connection.
    pub fn read_line(&mut self, most: usize) -> Result<Option<Vec<u8>>> {
        self.begin_message(Expected::Line)?;
        loop {
            if let Some(line) = self.take_line(most)? {
                return Ok(Some(line));
            }
            if !self.read_more()? {
                break;
            }
        }
        if self.input.held().is_empty() {
            return Ok(None);
        }
        let sentence = "the connection ended in the middle of a line";
        let error = Error::new(Code::BadRequest, sentence).and_close();
        Err(error.with_partial(self.input.held(), Expected::Line))
    }

    /// Reads a line, where `last` may be all that the peer sends before it closes: then `last` needs no LF.
    ///
    /// # Errors
    /// See [`Wire::read_line`].
    pub fn read_line_or(&mut self, last: &[u8], most: usize) -> Result<Option<Vec<u8>>> {
        match self.read_line(most) {
            Err(_) if self.input.ended && self.input.held() == last => {
                Ok(Some(self.take_message(last.len(), 0, Ending::Stream)))
            }
            line => line,
        }
    }

    /// Reads a word that ends at LF, or where the peer falls silent for `pause`, or with the stream:
    /// whichever comes first. A CR before an LF is dropped. `None` is a clean end.
    ///
    /// # Errors
    /// The word has more than `most` bytes, or does not come in time.
    pub fn read_word(&mut self, most: usize, pause: Duration) -> Result<Option<Vec<u8>>> {
        self.begin_message(Expected::Word)?;
        loop {
            if let Some(line) = self.take_line(most)? {
                return Ok(Some(line));
            }
            let ending = match self.read_or_pause(pause)? {
                Received::Data(_) => continue,
                Received::End if self.input.held().is_empty() => return Ok(None),
                Received::End => Ending::Stream,
                Received::Silence => Ending::Pause,
            };
            let word = self.take_message(self.input.held().len(), 0, ending);
            return if word.len() > most { Err(too_long(most)) } else { Ok(Some(word)) };
        }
    }

    /// Reads one of these words, none of which may be the beginning of another: then its bytes alone say
    /// where it ends, however they were cut or joined on the way. White space before it is dropped.
    /// `None` is a clean end.
    ///
    /// # Errors
    /// Something else came, or it does not come in time.
    pub fn read_word_of(&mut self, words: &'static [&'static str]) -> Result<Option<&'static str>> {
        self.begin_message(Expected::Words(words))?;
        loop {
            let held = self.input.held();
            let white = held.iter().take_while(|byte| b" \r\n".contains(byte)).count();
            self.input.skip(white);
            let held = self.input.held();
            let found = words.iter().find(|word| held.starts_with(word.as_bytes()));
            if let Some(word) = found {
                self.take_message(word.len(), 0, Ending::Word);
                return Ok(Some(word));
            }
            if !words.iter().any(|word| word.as_bytes().starts_with(held)) {
                let sentence = "that is not a command of this dialect";
                return Err(Error::new(Code::UnknownCommand, sentence).and_close());
            }
            if !self.read_more()? {
                let is_clean = self.input.held().is_empty();
                return if is_clean { Ok(None) } else { Err(self.cut_short()) };
            }
        }
    }

    /// Reads exactly `n` bytes. The buffer grows with what comes, not with `n`.
    ///
    /// # Errors
    /// The stream ends before, or they do not come in time.
    pub fn read_bytes(&mut self, n: usize) -> Result<Vec<u8>> {
        self.begin_message(Expected::Bytes(n))?;
        while self.input.held().len() < n {
            self.must_read_more()?;
        }
        Ok(self.take_message(n, 0, Ending::Width))
    }

    /// Reads exactly `N` bytes: a number of a fixed width, for example.
    ///
    /// # Errors
    /// See [`Wire::read_bytes`].
    pub fn read_array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.read_bytes(N)?.try_into().map_err(|_| ended_early())
    }

    /// Reads the byte by which a peer asks for the next part of a list: see [`Wire::write_list`].
    ///
    /// # Errors
    /// The stream ends before, or the peer is too slow.
    pub fn read_acknowledgement(&mut self) -> Result<()> {
        let begun = Instant::now();
        self.read_bytes(1)?;
        self.list.as_mut().map_or(Ok(()), |list| list.check(ACKNOWLEDGEMENT, begun.elapsed()))
    }

    /// Reads up to a mark, and returns what is before it.
    ///
    /// # Errors
    /// The mark does not come within `most` bytes, or not in time, or the stream ends before.
    pub fn read_until(&mut self, mark: &[u8], most: usize) -> Result<Vec<u8>> {
        self.begin_message(Expected::Mark)?;
        loop {
            if let Some(at) = self.input.find(mark) {
                return Ok(self.take_message(at, mark.len(), Ending::Mark));
            }
            if self.input.held().len() > most {
                return Err(too_long(most));
            }
            self.must_read_more()?;
        }
    }

    /// Reads a part of a message, up to and with the byte at which `ends` returns true; it is shown every
    /// byte once. The rest of the message is read as a line. So a list that is one long line is never in
    /// memory as a whole.
    ///
    /// # Errors
    /// The end does not come within `most` bytes, or not in time, or the stream ends before.
    pub fn read_part(&mut self, most: usize, ends: &mut dyn FnMut(u8) -> bool) -> Result<Vec<u8>> {
        self.begin_message(Expected::Value)?;
        let mut searched = 0;
        loop {
            let fresh = self.input.held().get(searched..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|byte| ends(*byte)) {
                return Ok(self.take_message(searched + at + 1, 0, Ending::Part));
            }
            searched = self.input.held().len();
            if searched > most {
                return Err(too_long(most));
            }
            self.must_read_more()?;
        }
    }

    /// Reads a message that ends with the stream. If it is longer than `most`, returns its beginning, a
    /// little longer than `most`.
    ///
    /// # Errors
    /// The connection broke, or the end does not come in time.
    pub fn read_to_close(&mut self, most: usize) -> Result<Vec<u8>> {
        self.begin_message(Expected::Close)?;
        while self.input.held().len() <= most && self.read_more()? {}
        match self.input.held().len() {
            0 => Ok(Vec::new()),
            all => Ok(self.take_message(all, 0, Ending::Stream)),
        }
    }

    /// Returns what has arrived up to a silence of `pause`, and leaves it where it is. Stops at `most`
    /// bytes.
    ///
    /// # Errors
    /// The connection broke, or nothing comes in time.
    pub fn peek(&mut self, most: usize, pause: Duration) -> Result<&[u8]> {
        self.begin_message(Expected::Word)?;
        while self.input.held().len() < most {
            let Received::Data(_) = self.read_or_pause(pause)? else { break };
        }
        Ok(self.input.held())
    }

    /// Takes what has arrived, without waiting for more: about a line of a reply at most.
    ///
    /// # Errors
    /// The connection broke, or its end is all that has arrived.
    pub fn take_arrived(&mut self) -> Result<Vec<u8>> {
        let mut buffer = [0; limits::BUFFER_SIZE];
        while self.input.held().len() < limits::REPLY_LINE && !self.input.ended {
            match self.stream.read_now(&mut buffer) {
                Ok(0) => self.input.ended = true,
                Ok(n) => self.input.add(buffer.get(..n).unwrap_or_default()),
                Err(error) if stream::is_silence(&error) => break,
                Err(error) => return Err(Error::connection(&error)),
            }
        }
        if self.input.ended && self.input.held().is_empty() {
            return Err(Error::gone("the peer closed the connection"));
        }
        let arrived = self.input.held().to_vec();
        self.input.skip(arrived.len());
        Ok(arrived)
    }

    /// Waits until something has come, or the end of the stream, and leaves it where it is. Returns false
    /// where nothing at all comes within `longest`.
    ///
    /// # Errors
    /// The connection broke.
    pub fn wait_for_any(&mut self, longest: Duration, expected: Expected) -> Result<bool> {
        if !self.input.held().is_empty() {
            return Ok(true);
        }
        self.begin_message(expected)?;
        Ok(!matches!(self.fill(Instant::now() + longest)?, Received::Silence))
    }

    /// Lets the next message begin later than usual, by this much.
    pub fn allow(&mut self, more: Duration) {
        self.reading.more_time = more;
    }

    /// The number of messages that have come, and whether a further one has begun.
    pub fn messages(&self) -> (u64, bool) {
        (self.reading.count, !self.input.held().is_empty())
    }

    /// Begins the wait for a message, if no payload is owed.
    pub(super) fn begin_message(&mut self, expected: Expected) -> Result<()> {
        if self.payload.left > 0 {
            return Err(Error::new(Code::BadRequest, "a payload is still to come").and_close());
        }
        (self.reading.expected, self.reading.deadline) = (expected, None);
        self.input.searched = 0;
        Ok(())
    }

    /// Takes a line, if its end has come.
    fn take_line(&mut self, most: usize) -> Result<Option<Vec<u8>>> {
        let Some(length) = self.input.find(b"\n") else {
            // One byte more may be a CR, which does not count.
            let is_too_long = self.input.held().len() > most + 1;
            return if is_too_long { Err(too_long(most)) } else { Ok(None) };
        };
        let mut line = self.take_message(length, 1, Ending::Lf);
        line.pop_if(|last| *last == b'\r');
        if line.len() > most { Err(too_long(most)) } else { Ok(Some(line)) }
    }

    /// Takes a message of `n` bytes, and a mark of this length after it.
    pub(super) fn take_message(&mut self, n: usize, mark_length: usize, ending: Ending) -> Vec<u8> {
        let message = self.input.held().get(..n).unwrap_or_default().to_vec();
        self.input.skip(n + mark_length);
        self.stream.note_message(&message, (n + mark_length) as u64, ending);
        (self.reading.count, self.reading.more_time) = (self.reading.count + 1, Duration::ZERO);
        message
    }

    /// Makes one read for the message; its end is an error.
    fn must_read_more(&mut self) -> Result<()> {
        if self.read_more()? { Ok(()) } else { Err(self.cut_short()) }
    }

    /// Makes one read for the message. Returns false at the end of the stream; silence is an error.
    pub(super) fn read_more(&mut self) -> Result<bool> {
        let until = self.read_deadline()?;
        match self.fill(until)? {
            Received::Data(_) => Ok(true),
            Received::End => Ok(false),
            Received::Silence => Err(self.too_late()),
        }
    }

    /// Makes one read for the message, like `read_more`. Once the message has begun, a silence of `pause` is an answer
    /// too.
    pub(super) fn read_or_pause(&mut self, pause: Duration) -> Result<Received> {
        let (deadline, has_begun) = (self.read_deadline()?, !self.input.held().is_empty());
        let until = if has_begun { deadline.min(Instant::now() + pause) } else { deadline };
        match self.fill(until)? {
            Received::Silence if until == deadline => Err(self.too_late()),
            came => Ok(came),
        }
    }

    /// The moment until which the next read for the message may wait. Its first byte may take as long as a peer may
    /// be idle. From then on it has a deadline, which no peer can extend by sending slowly.
    fn read_deadline(&mut self) -> Result<Instant> {
        let now = Instant::now();
        if self.input.held().is_empty() {
            // An ordinary connection has the last of these.
            let idle = match (&self.state, &self.list) {
                // After a failed write only what has come already is read.
                (State::Unwritable, _) => return Ok(now + limits::CLOSE_TIME),
                (_, Some(list)) => list.time_left,
                _ => self.config.idle,
            };
            return Ok(now + idle.saturating_add(self.reading.more_time));
        }
        let deadline = *self.reading.deadline.get_or_insert(now + self.config.message_time);
        if deadline > now { Ok(deadline) } else { Err(self.too_late()) }
    }

    /// The message did not come in time.
    fn too_late(&self) -> Error {
        timed_out().with_partial(self.input.held(), self.reading.expected)
    }

    /// The stream ended in the middle of the message.
    pub(super) fn cut_short(&self) -> Error {
        ended_early().with_partial(self.input.held(), self.reading.expected)
    }
}
