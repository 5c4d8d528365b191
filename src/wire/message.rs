//! Messages: each reader knows in its own way where a message ends.

use std::io;
use std::time::{Duration, Instant};

use super::pace::Pace;
use super::stream::{Ending, Stream};
use super::{Wire, ended, stream, too_long};
use crate::error::{Awaited, Code, Error, Result};
use crate::limits;

/// What an acknowledgement counts for the pace of a list, in bytes.
const ACKNOWLEDGEMENT: u64 = 1024;

/// What one read brought.
pub(super) enum Brought {
    Bytes,
    Silence,
    End,
}

/// A wait for one message.
pub(super) struct Wait {
    pub(super) wanted: Awaited,
    /// When the message must be complete. Its first byte sets it.
    pub(super) deadline: Option<Instant>,
}

impl Wait {
    pub(super) fn new(wanted: Awaited) -> Wait {
        Wait { wanted, deadline: None }
    }
}

impl Wire {
    /// Reads a line of at most `most` bytes, and returns it without its LF and a CR before it. `None` is
    /// a clean end: the peer has closed, and no line was begun.
    ///
    /// # Errors
    /// The line is too long, has no end, or does not come in time. It is not known where the next one
    /// begins then, so each of these closes the connection.
    pub fn read_line(&mut self, most: usize) -> Result<Option<Vec<u8>>> {
        self.read_line_or(b"", most)
    }

    /// Reads a line, where `last` may be all that the peer sends before it closes: then `last` needs no LF.
    ///
    /// # Errors
    /// See [`Wire::read_line`].
    pub fn read_line_or(&mut self, last: &[u8], most: usize) -> Result<Option<Vec<u8>>> {
        let mut wait = self.begin_message(Awaited::Line)?;
        let mut searched = 0;
        loop {
            if let Some(line) = self.take_line(&mut searched, most)? {
                return Ok(Some(line));
            }
            if !self.read_more(&mut wait)? {
                return match self.input.held() {
                    [] => Ok(None),
                    held if held == last => {
                        Ok(Some(self.take_message(searched, 0, Ending::Stream)))
                    }
                    held => {
                        let sentence = "the connection ended in the middle of a line";
                        let error = Error::new(Code::BadRequest, sentence).and_close();
                        Err(error.with_partial(held, wait.wanted))
                    }
                };
            }
        }
    }

    /// Reads a word that ends at LF, or where the peer falls silent for `pause`, or with the stream:
    /// whichever comes first. A CR before an LF is dropped. `None` is a clean end.
    ///
    /// # Errors
    /// The word has more than `most` bytes, or does not come in time.
    pub fn read_word(&mut self, most: usize, pause: Duration) -> Result<Option<Vec<u8>>> {
        let mut wait = self.begin_message(Awaited::Word)?;
        let mut searched = 0;
        loop {
            if let Some(line) = self.take_line(&mut searched, most)? {
                return Ok(Some(line));
            }
            let ending = match self.fill(&mut wait, pause)? {
                Brought::Bytes => continue,
                Brought::End if searched == 0 => return Ok(None),
                Brought::End => Ending::Stream,
                Brought::Silence => Ending::Pause,
            };
            let word = self.take_message(searched, 0, ending);
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
        let mut wait = self.begin_message(Awaited::Words(words))?;
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
            if !self.read_more(&mut wait)? {
                let is_clean = self.input.held().is_empty();
                return if is_clean { Ok(None) } else { Err(self.cut_short(&wait)) };
            }
        }
    }

    /// Reads exactly `n` bytes. The buffer grows with what comes, not with `n`.
    ///
    /// # Errors
    /// The stream ends before, or they do not come in time.
    pub fn read_bytes(&mut self, n: usize) -> Result<Vec<u8>> {
        let mut wait = self.begin_message(Awaited::Bytes(n))?;
        while self.input.held().len() < n {
            self.must_read_more(&mut wait)?;
        }
        Ok(self.take_message(n, 0, Ending::Width))
    }

    /// Reads exactly `N` bytes: a number of a fixed width, for example.
    ///
    /// # Errors
    /// See [`Wire::read_bytes`].
    pub fn read_array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.read_bytes(N)?.try_into().map_err(|_| ended())
    }

    /// Reads the byte by which a peer asks for the next part of a list: see [`Wire::write_list`].
    ///
    /// # Errors
    /// The stream ends before, or the peer is too slow.
    pub fn read_acknowledgement(&mut self) -> Result<()> {
        let wait = self.begin_message(Awaited::Bytes(1))?;
        let mut list = Pace::of_a_list();
        while self.input.held().is_empty() {
            self.flush()?;
            let begun = Instant::now();
            let brought = self.fill_within(limits::WRITE_WAIT, wait.wanted)?;
            if let Brought::End = brought {
                return Err(self.cut_short(&wait));
            }
            self.output.list.as_mut().unwrap_or(&mut list).moved(0, begun.elapsed())?;
        }
        self.take_message(1, 0, Ending::Width);
        self.output.list.as_mut().unwrap_or(&mut list).moved(ACKNOWLEDGEMENT, Duration::ZERO)
    }

    /// Reads up to a mark, and returns what is before it.
    ///
    /// # Errors
    /// The mark does not come within `most` bytes, or not in time, or the stream ends before.
    pub fn read_until(&mut self, mark: &[u8], most: usize) -> Result<Vec<u8>> {
        let mut wait = self.begin_message(Awaited::Mark)?;
        let mut searched = 0;
        loop {
            if let Some(at) = self.input.find(mark, searched) {
                return Ok(self.take_message(at, mark.len(), Ending::Mark));
            }
            let held = self.input.held().len();
            // The mark may have begun.
            searched = (held + 1).saturating_sub(mark.len());
            if held > most {
                return Err(too_long(most));
            }
            self.must_read_more(&mut wait)?;
        }
    }

    /// Reads a part of a message, up to and with the byte at which `ends` returns true; it is shown every
    /// byte once. The rest of the message is read as a line. So a list that is one long line is never in
    /// memory as a whole.
    ///
    /// # Errors
    /// The end does not come within `most` bytes, or not in time, or the stream ends before.
    pub fn read_part(&mut self, most: usize, ends: &mut dyn FnMut(u8) -> bool) -> Result<Vec<u8>> {
        let mut wait = self.begin_message(Awaited::Value)?;
        let mut searched = 0;
        loop {
            let fresh = self.input.held().get(searched..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|byte| ends(*byte)) {
                let part = self.input.take(searched + at + 1);
                self.exchange.part_came(&part);
                return Ok(part);
            }
            searched = self.input.held().len();
            if searched > most {
                return Err(too_long(most));
            }
            self.must_read_more(&mut wait)?;
        }
    }

    /// Reads a message that ends with the stream. If it is longer than `most`, returns its beginning, a
    /// little longer than `most`.
    ///
    /// # Errors
    /// The connection broke, or the end does not come in time.
    pub fn read_to_close(&mut self, most: usize) -> Result<Vec<u8>> {
        let mut wait = self.begin_message(Awaited::Close)?;
        while self.input.held().len() <= most && self.read_more(&mut wait)? {}
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
        let mut wait = Wait::new(Awaited::Word);
        while self.input.held().len() < most {
            match self.fill(&mut wait, pause)? {
                Brought::Bytes => {}
                Brought::Silence | Brought::End => break,
            }
        }
        Ok(self.input.held())
    }

    /// Takes what has arrived, without waiting for more: about a line of a reply at most.
    ///
    /// # Errors
    /// The connection broke, or its end is all that has arrived.
    pub fn take_arrived(&mut self) -> Result<Vec<u8>> {
        while self.input.held().len() < limits::REPLY_LINE && !self.input.ended {
            match outcome(self.read_into_input(|stream, into| stream.read_now(into)))? {
                Brought::Bytes => {}
                Brought::Silence | Brought::End => break,
            }
        }
        if self.input.ended && self.input.held().is_empty() {
            return Err(Error::gone("the peer closed the connection"));
        }
        Ok(self.input.take(usize::MAX))
    }

    /// Waits until something has come, or the end of the stream, and leaves it where it is. Returns false
    /// where nothing at all comes within `longest`.
    ///
    /// # Errors
    /// The connection broke.
    pub fn wait_for_any(&mut self, longest: Duration, wanted: Awaited) -> Result<bool> {
        if !self.input.held().is_empty() {
            return Ok(true);
        }
        Ok(!matches!(self.fill_within(longest, wanted)?, Brought::Silence))
    }

    /// Drops what is left of an unwanted payload, if it is little. Then a message can be waited for.
    pub(super) fn begin_message(&mut self, wanted: Awaited) -> Result<Wait> {
        if self.drop_payload()? {
            return Ok(Wait::new(wanted));
        }
        Err(Error::new(Code::BadRequest, "a payload is still to come").and_close())
    }

    /// Takes a line, if its end has come. `searched` is how many bytes are known to hold no LF.
    fn take_line(&mut self, searched: &mut usize, most: usize) -> Result<Option<Vec<u8>>> {
        let Some(length) = self.input.find(b"\n", *searched) else {
            *searched = self.input.held().len();
            // One byte more may be a CR, which does not count.
            return if *searched > most + 1 { Err(too_long(most)) } else { Ok(None) };
        };
        let mut line = self.take_message(length, 1, Ending::Lf);
        line.pop_if(|last| *last == b'\r');
        if line.len() > most { Err(too_long(most)) } else { Ok(Some(line)) }
    }

    /// Takes a message of `n` bytes and the mark after it.
    pub(super) fn take_message(&mut self, n: usize, mark: usize, ending: Ending) -> Vec<u8> {
        let message = self.input.take(n);
        self.input.skip(mark);
        let (before, length) = self.exchange.message_came();
        let length = length + (n + mark) as u64;
        if before.is_empty() {
            self.stream.message(&message, length, ending);
        } else {
            self.stream.message(&[&before[..], &message].concat(), length, ending);
        }
        message
    }

    /// Makes one read; its end is an error.
    fn must_read_more(&mut self, wait: &mut Wait) -> Result<()> {
        if self.read_more(wait)? { Ok(()) } else { Err(self.cut_short(wait)) }
    }

    /// Makes one read. Returns false at the end of the stream; silence is an error.
    fn read_more(&mut self, wait: &mut Wait) -> Result<bool> {
        match self.fill(wait, self.config.message)? {
            Brought::Bytes => Ok(true),
            Brought::End => Ok(false),
            Brought::Silence => Err(self.silent(wait)),
        }
    }

    /// Makes one read. The first byte of a message may take as long as a peer may be idle. From then on a
    /// silence of `pause` is returned, and the message has a deadline, which no peer can extend by
    /// sending slowly.
    pub(super) fn fill(&mut self, wait: &mut Wait, pause: Duration) -> Result<Brought> {
        if !self.input.held().is_empty() {
            return self.fill_in_message(wait, pause);
        }
        let longest = match self.output.write_failed {
            // What the peer said before that has come already.
            true => limits::CLOSE_TIME,
            false => self.config.idle.saturating_add(self.exchange.more_time()),
        };
        match self.fill_within(longest, wait.wanted)? {
            Brought::Silence => Err(self.silent(wait)),
            brought => Ok(brought),
        }
    }

    /// Makes one read within a message that has begun: until `pause` or the deadline, whichever is first.
    pub(super) fn fill_in_message(&mut self, wait: &mut Wait, pause: Duration) -> Result<Brought> {
        let end = *wait.deadline.get_or_insert_with(|| Instant::now() + self.config.message);
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.silent(wait));
        }
        self.fill_within(left.min(pause), wait.wanted)
    }

    /// Makes one read into the input buffer, which may take `longest`.
    fn fill_within(&mut self, longest: Duration, wanted: Awaited) -> Result<Brought> {
        if self.input.ended {
            return Ok(Brought::End);
        }
        let brought = self.read_within(longest, wanted, |wire| {
            wire.read_into_input(|stream, into| stream::read(stream, into))
        })?;
        outcome(brought)
    }

    fn read_into_input(
        &mut self,
        read: impl FnOnce(&mut dyn Stream, &mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let large = limits::FULL_READ.min(self.config.payload_buffer);
        let stream = &mut *self.stream;
        self.input.fill(self.config.buffer, large, |into| read(stream, into))
    }

    /// Sends what was written, then makes one read that may take `longest`. If a notice is due before
    /// that, the wait has two parts.
    pub(super) fn read_within(
        &mut self,
        mut longest: Duration,
        wanted: Awaited,
        mut read: impl FnMut(&mut Wire) -> io::Result<usize>,
    ) -> Result<io::Result<usize>> {
        if !self.output.write_failed {
            self.flush()?;
        }
        if let Some(before) = self.exchange.time_to_notice().filter(|before| *before < longest) {
            self.set_read_timeout(before)?;
            match read(self) {
                Err(error) if stream::is_silence(&error) => {}
                brought => return Ok(brought),
            }
            self.exchange.give_notice(self.input.held(), wanted);
            longest -= before;
        }
        self.set_read_timeout(longest)?;
        Ok(read(self))
    }

    /// The message did not come in time.
    pub(super) fn silent(&self, wait: &Wait) -> Error {
        let silent = Error::connection(&io::ErrorKind::TimedOut.into());
        silent.with_partial(self.input.held(), wait.wanted)
    }

    /// The stream ended in the middle of the message.
    pub(super) fn cut_short(&self, wait: &Wait) -> Error {
        ended().with_partial(self.input.held(), wait.wanted)
    }

    fn set_read_timeout(&mut self, timeout: Duration) -> Result<()> {
        self.stream.set_read_timeout(timeout).map_err(|error| Error::connection(&error))
    }
}

fn outcome(brought: io::Result<usize>) -> Result<Brought> {
    match brought {
        Ok(0) => Ok(Brought::End),
        Ok(_) => Ok(Brought::Bytes),
        Err(error) if stream::is_silence(&error) => Ok(Brought::Silence),
        Err(error) => Err(Error::connection(&error)),
    }
}
