//! Bytes to messages and back: the only code that reads from a peer or writes to one.
//!
//! TCP carries a stream of bytes, not messages: what one side wrote with one call, the other may
//! get in ten reads, or glued to what came before. Everything that a dialect needs to find its
//! messages again is here, once: a line up to its LF, a number of a fixed width, a word that ends
//! where the peer falls silent, exactly N bytes of a payload.
//!
//! Four rules hold for all of it:
//! - What we have to say leaves before we wait for the peer: [`Wire`] flushes before every read, so
//!   two sides can never wait for each other's unsent bytes, and the replies to commands that came
//!   in one segment leave in one write.
//! - At a message boundary there are three outcomes: a message, a clean end, an error. An end in the
//!   middle of a message is an error.
//! - No number that a peer sent sizes a buffer. Lines are capped while they are read, payloads
//!   stream through a buffer of fixed size that exists for the transfer only.
//! - No message begins while a payload is owed: what was announced is taken off the wire first, or
//!   the connection is closed.

mod pace;
mod part;
mod payload;
pub mod stream;
mod waiting;

use std::fmt;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use crate::error::{Awaited, Code, Error, Result};
use crate::limits;
use pace::Pace;
use stream::{Ending, Stream};
pub use waiting::Notice;
use waiting::{GivesWay, Wait};

/// How a [`Wire`] reads and how long it waits.
#[derive(Clone, Debug)]
pub struct WireConfig {
    /// How many bytes one read asks for where a message is awaited.
    pub buffer: usize,
    /// How many bytes one read or write of a payload moves at most.
    pub payload_buffer: usize,
    /// How long the peer may be silent between messages.
    pub idle: Duration,
    /// How long a message that has begun may take to be complete.
    pub message: Duration,
}

impl Default for WireConfig {
    fn default() -> WireConfig {
        WireConfig {
            buffer: limits::BUFFER_SIZE,
            payload_buffer: limits::PAYLOAD_BUFFER,
            idle: Duration::from_secs(limits::IDLE_TIMEOUT),
            message: limits::MESSAGE_TIME,
        }
    }
}

impl WireConfig {
    /// The same, with every read of this size: `--buffer`.
    #[must_use]
    pub fn with_buffer(self, size: Option<usize>) -> WireConfig {
        match size {
            Some(size) => WireConfig { buffer: size, payload_buffer: size, ..self },
            None => self,
        }
    }
}

/// What one read brought.
enum Brought {
    Bytes,
    Silence,
    End,
}

/// A connection to a peer, in messages.
pub struct Wire {
    stream: Box<dyn Stream>,
    config: WireConfig,
    /// What has been read and not yet taken: `input[taken..]`.
    input: Vec<u8>,
    taken: usize,
    /// What has been said and not yet sent.
    output: Vec<u8>,
    /// A read has brought all that was asked for: this peer sends more at a time, a small file with its
    /// size perhaps.
    large_reads: bool,
    /// Bytes of an announced payload that are still to come.
    owed: u64,
    /// How much was announced in all.
    announced: u64,
    /// The peer has ended its direction.
    ended: bool,
    /// A write has failed; what the peer said before may still be read.
    write_failed: bool,
    /// Others may wait for the memory of what is being sent.
    gives_way: Option<GivesWay>,
    /// Told once when a message takes long to come.
    notice: Option<Notice>,
    /// Since when the message is awaited that comes next, however many waits that takes. Only a wire with a
    /// notice has it.
    awaiting_since: Option<Instant>,
    /// A message has come in this exchange.
    has_reply: bool,
    /// The peer has been understood: it speaks the dialect.
    is_understood: bool,
    /// What was taken already of a message that is read in parts: its first bytes, and its length.
    part: (Vec<u8>, u64),
    /// How many bytes were searched for a mark, each time that one was.
    #[cfg(test)]
    looked_at: std::cell::Cell<usize>,
}

impl Wire {
    /// A wire over a connected stream.
    #[must_use]
    pub fn new(stream: Box<dyn Stream>, config: WireConfig) -> Wire {
        Wire {
            stream,
            config,
            input: Vec::new(),
            taken: 0,
            output: Vec::new(),
            large_reads: false,
            owed: 0,
            announced: 0,
            ended: false,
            write_failed: false,
            gives_way: None,
            notice: None,
            awaiting_since: None,
            has_reply: false,
            is_understood: false,
            part: (Vec::new(), 0),
            #[cfg(test)]
            looked_at: std::cell::Cell::default(),
        }
    }

    /// Reads a line of at most `most` bytes, and gives it without its LF and a CR before it.
    /// `None` is a clean end: the peer has closed, and no line was begun.
    ///
    /// # Errors
    /// The line is too long, has no end, or does not come in time: what follows it cannot be
    /// framed, so each of these closes the connection.
    pub fn read_line(&mut self, most: usize) -> Result<Option<Vec<u8>>> {
        self.read_line_or(b"", most)
    }

    /// The same, where `last` may be all that the peer says before it closes: then `last` needs no LF.
    ///
    /// # Errors
    /// See [`Wire::read_line`].
    pub fn read_line_or(&mut self, last: &[u8], most: usize) -> Result<Option<Vec<u8>>> {
        self.must_owe_nothing()?;
        let mut searched = 0;
        let mut wait = Wait::new(Awaited::Line);
        loop {
            if let Some(at) = self.find(b"\n", searched) {
                let mut line = self.take(at);
                self.skip(1);
                self.complete(&line, 1, Ending::Lf);
                line.pop_if(|last| *last == b'\r');
                if line.len() > most {
                    return Err(too_long(most));
                }
                return Ok(Some(line));
            }
            searched = self.buffered().len();
            // One byte more may be a CR, which does not count.
            if searched > most.saturating_add(1) {
                return Err(too_long(most));
            }
            match self.fill(&mut wait)? {
                Brought::Bytes => {}
                Brought::Silence => return Err(self.silent(&wait)),
                Brought::End if searched == 0 => return Ok(None),
                Brought::End if self.buffered() == last => {
                    let line = self.take(usize::MAX);
                    self.complete(&line, 0, Ending::Stream);
                    return Ok(Some(line));
                }
                Brought::End => {
                    let sentence = "the connection ended in the middle of a line";
                    let error = Error::new(Code::BadRequest, sentence).and_close();
                    return Err(error.waiting(self.buffered(), wait.wanted));
                }
            }
        }
    }

    /// Reads a word that ends at LF, or where the peer falls silent for `pause`, or with the stream:
    /// whichever comes first. A CR before an LF is dropped. `None` is a clean end.
    ///
    /// # Errors
    /// The word has more than `most` bytes, or does not come in time.
    pub fn read_word(&mut self, most: usize, pause: Duration) -> Result<Option<Vec<u8>>> {
        self.must_owe_nothing()?;
        let mut searched = 0;
        let mut wait = Wait::new(Awaited::Word);
        loop {
            let end = self.find(b"\n", searched);
            searched = self.buffered().len();
            if end.unwrap_or(searched) > most.saturating_add(1) {
                return Err(too_long(most));
            }
            let brought = match end {
                Some(_) => Brought::End,
                None if searched == 0 => self.fill(&mut wait)?,
                None => self.fill_before(&mut wait, pause)?,
            };
            let word = match (brought, end) {
                (Brought::Bytes, _) => continue,
                (_, Some(end)) => {
                    let mut word = self.take(end);
                    self.skip(1);
                    self.complete(&word, 1, Ending::Lf);
                    word.pop_if(|last| *last == b'\r');
                    word
                }
                (Brought::End, None) if self.buffered().is_empty() => return Ok(None),
                (Brought::Silence, None) if self.buffered().is_empty() => {
                    return Err(self.silent(&wait));
                }
                (brought, None) => {
                    let word = self.take(usize::MAX);
                    let by_end = matches!(brought, Brought::End);
                    self.complete(&word, 0, if by_end { Ending::Stream } else { Ending::Pause });
                    word
                }
            };
            return if word.len() > most { Err(too_long(most)) } else { Ok(Some(word)) };
        }
    }

    /// Reads one of these words, none of which may be the beginning of another: then its bytes alone
    /// say where it ends, however they were cut or joined on the way. White space before it is passed
    /// over. `None` is a clean end.
    ///
    /// # Errors
    /// Something else came, or it does not come in time.
    pub fn read_word_of(&mut self, words: &'static [&'static str]) -> Result<Option<&'static str>> {
        self.must_owe_nothing()?;
        let mut wait = Wait::new(Awaited::Words(words));
        loop {
            let white = self.buffered().iter().take_while(|byte| b" \r\n".contains(byte)).count();
            self.skip(white);
            let held = self.buffered();
            let found = words.iter().find(|word| held.starts_with(word.as_bytes()));
            if let Some(word) = found {
                let bytes = self.take(word.len());
                self.complete(&bytes, 0, Ending::Word);
                return Ok(Some(word));
            }
            if !words.iter().any(|word| word.as_bytes().starts_with(held)) {
                let sentence = "that is no command of this wire";
                return Err(Error::new(Code::UnknownCommand, sentence).and_close());
            }
            match self.fill(&mut wait)? {
                Brought::Bytes => {}
                Brought::Silence => return Err(self.silent(&wait)),
                Brought::End if self.buffered().is_empty() => return Ok(None),
                Brought::End => return Err(self.cut_short(&wait)),
            }
        }
    }

    /// Reads exactly `n` bytes of a message. The buffer grows with what comes, not with `n`.
    ///
    /// # Errors
    /// The stream ends before, or they do not come in time.
    pub fn read_bytes(&mut self, n: usize) -> Result<Vec<u8>> {
        self.must_owe_nothing()?;
        let mut wait = Wait::new(Awaited::Bytes(n));
        while self.buffered().len() < n {
            match self.fill(&mut wait)? {
                Brought::Bytes => {}
                Brought::Silence => return Err(self.silent(&wait)),
                Brought::End => return Err(self.cut_short(&wait)),
            }
        }
        let bytes = self.take(n);
        self.complete(&bytes, 0, Ending::Width);
        Ok(bytes)
    }

    /// Reads up to a mark, and gives what stands before it.
    ///
    /// # Errors
    /// The mark does not come within `most` bytes, or not in time, or the stream ends before.
    pub fn read_before(&mut self, mark: &[u8], most: usize) -> Result<Vec<u8>> {
        self.must_owe_nothing()?;
        let mut searched = 0;
        let mut wait = Wait::new(Awaited::Mark);
        loop {
            if let Some(at) = self.find(mark, searched) {
                let before = self.take(at);
                self.skip(mark.len());
                self.complete(&before, mark.len(), Ending::Mark);
                return Ok(before);
            }
            // The mark may have begun.
            searched = self.buffered().len().saturating_sub(mark.len().saturating_sub(1));
            if self.buffered().len() > most {
                return Err(too_long(most));
            }
            match self.fill(&mut wait)? {
                Brought::Bytes => {}
                Brought::Silence => return Err(self.silent(&wait)),
                Brought::End => return Err(self.cut_short(&wait)),
            }
        }
    }

    /// Reads exactly `N` bytes: a number of a fixed width, for one.
    ///
    /// # Errors
    /// See [`Wire::read_bytes`].
    pub fn read_array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.read_bytes(N)?.try_into().map_err(|_| ended())
    }

    /// Says something. It leaves with the next flush, at the latest before we wait for the peer.
    ///
    /// # Errors
    /// There was much to say already, and sending it failed.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.output.extend_from_slice(bytes);
        if self.output.len() < limits::SMALL_REPLY { Ok(()) } else { self.flush() }
    }

    /// The same for `write!` and `writeln!`.
    ///
    /// # Errors
    /// See [`Wire::write`].
    pub fn write_fmt(&mut self, what: fmt::Arguments<'_>) -> Result<()> {
        // Nothing can fail on the way into a vector.
        let _ = self.output.write_fmt(what);
        self.write(b"")
    }

    /// Sends what was said.
    ///
    /// # Errors
    /// The connection broke or stalled.
    pub fn flush(&mut self) -> Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let output = std::mem::take(&mut self.output);
        let sent = self.send(&output, &mut Pace::of_a_reader());
        if output.capacity() <= limits::SMALL_REPLY * 2 {
            self.output = output;
            self.output.clear();
        }
        sent
    }

    /// Says that a reply is complete. It leaves now, before what is done after it, unless a further request
    /// has come already: the replies to requests that came together leave together.
    ///
    /// # Errors
    /// The connection broke or stalled.
    pub fn reply_is_complete(&mut self) -> Result<()> {
        if self.buffered().is_empty() { self.flush() } else { Ok(()) }
    }

    /// Sends what was said, and then nothing for a while: for peers that know a message by such a
    /// pause alone.
    ///
    /// # Errors
    /// The connection broke or stalled.
    pub fn pause(&mut self, time: Duration) -> Result<()> {
        self.flush()?;
        self.stream.pause(time);
        Ok(())
    }

    /// Sends what was said and ends our direction. The peer may still speak.
    ///
    /// # Errors
    /// The connection broke or stalled.
    pub fn end_writing(&mut self) -> Result<()> {
        self.flush()?;
        self.stream.end_writing().map_err(|error| Error::connection(&error))
    }

    /// Ends a conversation so that our last words are heard: sends them, ends our direction, and
    /// reads on for a while. A close with unread bytes is a reset, which can overtake the reply.
    pub fn close(&mut self) {
        let sent = self.flush();
        if self.ended || sent.is_err() || self.write_failed || self.stream.end_writing().is_err() {
            return;
        }
        let end = Instant::now() + limits::FAREWELL_TIME;
        let mut left = limits::FAREWELL_BYTES;
        let mut scrap = vec![0; 64 << 10];
        while left > 0 {
            let wait = end.saturating_duration_since(Instant::now());
            if wait.is_zero() || self.set_read_timeout(wait).is_err() {
                return;
            }
            match read(&mut *self.stream, &mut scrap) {
                Ok(0) | Err(_) => return,
                Ok(n) => left = left.saturating_sub(n.try_into().unwrap_or(u64::MAX)),
            }
        }
    }

    /// How much memory the buffers hold, for tests.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        self.input.capacity().saturating_add(self.output.capacity())
    }

    fn buffered(&self) -> &[u8] {
        self.input.get(self.taken..).unwrap_or_default()
    }

    /// Takes `n` of the bytes that were read. A large buffer is given back when it is empty.
    fn take(&mut self, n: usize) -> Vec<u8> {
        let held = self.buffered();
        let piece = held.get(..n).unwrap_or(held).to_vec();
        self.skip(piece.len());
        piece
    }

    fn skip(&mut self, n: usize) {
        self.taken = self.taken.saturating_add(n);
        if self.taken >= self.input.len() {
            self.input.clear();
            self.taken = 0;
            if self.input.capacity() > limits::SMALL_REPLY * 2 {
                self.input = Vec::new();
            }
        }
    }

    /// The position of `mark` in what was read and not yet taken. The first `searched` bytes are known not to
    /// contain its beginning.
    fn find(&self, mark: &[u8], searched: usize) -> Option<usize> {
        let fresh = self.buffered().get(searched..)?;
        #[cfg(test)]
        self.looked_at.set(self.looked_at.get() + fresh.len());
        let at = match mark {
            [mark] => fresh.iter().position(|byte| byte == mark),
            _ => fresh.windows(mark.len()).position(|window| window == mark),
        };
        at.map(|at| searched.saturating_add(at))
    }

    /// A message is complete; with its end mark it has so many bytes more.
    fn complete(&mut self, bytes: &[u8], mark: usize, end: Ending) {
        let all = length(bytes).saturating_add(mark.try_into().unwrap_or(0));
        self.awaiting_since = None;
        self.has_reply = true;
        match std::mem::take(&mut self.part) {
            (_, 0) => self.stream.message(bytes, all, end),
            (mut begin, before) => {
                begin.extend(bytes);
                self.stream.message(&begin, before.saturating_add(all), end);
            }
        }
    }

    /// One read into the input buffer. The first byte of a message may keep us waiting for as long
    /// as a peer may be idle; from then on the message has a deadline, which no drip can stretch.
    fn fill(&mut self, wait: &mut Wait) -> Result<Brought> {
        if self.buffered().is_empty() {
            self.flush_unless_failed()?;
            return self.read_more(self.config.idle, wait);
        }
        let longest = self.config.message;
        self.fill_before(wait, longest)
    }

    /// The same within a message, where a silence of `pause` is worth knowing of.
    fn fill_before(&mut self, wait: &mut Wait, pause: Duration) -> Result<Brought> {
        let end = *wait.deadline.get_or_insert_with(|| Instant::now() + self.config.message);
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.silent(wait));
        }
        self.read_more(left.min(pause), wait)
    }

    /// Waits for at most `longest` for one read. If a notice is due before that, the wait has two parts.
    fn read_more(&mut self, longest: Duration, wait: &mut Wait) -> Result<Brought> {
        self.flush_unless_failed()?;
        if self.ended {
            return Ok(Brought::End);
        }
        let Some(before) = self.time_to_notice().filter(|before| *before < longest) else {
            return self.read_within(longest);
        };
        if !before.is_zero() {
            match self.read_within(before)? {
                Brought::Silence => {}
                brought => return Ok(brought),
            }
        }
        self.give_notice(wait.wanted);
        self.read_within(longest.saturating_sub(before))
    }

    fn read_within(&mut self, longest: Duration) -> Result<Brought> {
        self.set_read_timeout(longest)?;
        self.read_with(|stream, into| read(stream, into))
    }

    /// One read into the input buffer, after what is held.
    fn read_with(
        &mut self,
        read: impl FnOnce(&mut dyn Stream, &mut [u8]) -> io::Result<usize>,
    ) -> Result<Brought> {
        self.input.drain(..self.taken.min(self.input.len()));
        self.taken = 0;
        let held = self.input.len();
        let more =
            if self.large_reads { limits::SMALL_FILE.min(self.config.payload_buffer) } else { 0 };
        let most = self.config.buffer.max(more);
        let brought = if let Some(small) = [0; limits::BUFFER_SIZE].get_mut(..most) {
            // A connection that only waits holds no buffer beside its stack.
            let brought = read(&mut *self.stream, small);
            let n = *brought.as_ref().unwrap_or(&0);
            self.input.extend_from_slice(small.get(..n).unwrap_or_default());
            brought
        } else {
            if held == 0 && most > limits::SMALL_REPLY {
                // New pages cost nothing until the system writes to them.
                self.input = vec![0; most];
            } else {
                self.input.resize(held.saturating_add(most), 0);
            }
            let brought = read(&mut *self.stream, self.input.get_mut(held..).unwrap_or_default());
            self.input.truncate(held.saturating_add(*brought.as_ref().unwrap_or(&0)));
            brought
        };
        match brought {
            Ok(0) => {
                self.ended = true;
                Ok(Brought::End)
            }
            Ok(n) => {
                self.large_reads |= n == most;
                Ok(Brought::Bytes)
            }
            Err(error) if is_silence(&error) => Ok(Brought::Silence),
            Err(error) => Err(Error::connection(&error)),
        }
    }

    /// After a write has failed there is still something to be heard, perhaps.
    fn flush_unless_failed(&mut self) -> Result<()> {
        if self.write_failed { Ok(()) } else { self.flush() }
    }

    fn must_owe_nothing(&mut self) -> Result<()> {
        if self.settle()? {
            return Ok(());
        }
        Err(Error::new(Code::BadRequest, "a payload is still to come").and_close())
    }

    fn set_read_timeout(&mut self, timeout: Duration) -> Result<()> {
        self.stream.set_read_timeout(timeout).map_err(|error| Error::connection(&error))
    }

    fn send(&mut self, mut bytes: &[u8], pace: &mut Pace) -> Result<()> {
        if self.write_failed {
            return Err(Error::connection(&io::ErrorKind::BrokenPipe.into()));
        }
        while !bytes.is_empty() {
            let sent = match self.stream.write(bytes) {
                Ok(0) => Err(Error::connection(&io::ErrorKind::WriteZero.into())),
                Ok(n) => pace.moved(n).and_then(|()| self.has_moved(n / 1024)).map(|()| n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
                // The peer does not read for a while; whether for too long, the pace says.
                Err(error) if is_silence(&error) => {
                    self.has_moved(0).and_then(|()| pace.moved(0)).map(|()| 0)
                }
                Err(error) => Err(Error::connection(&error)),
            };
            match sent {
                Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
                Err(error) => {
                    self.write_failed = true;
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

fn read(stream: &mut dyn Stream, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn ended() -> Error {
    Error::connection(&io::ErrorKind::UnexpectedEof.into())
}

fn too_long(most: usize) -> Error {
    Error::new(Code::BadRequest, format!("a line has at most {most} bytes")).and_close()
}

fn length(bytes: &[u8]) -> u64 {
    bytes.len().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::stream::script::{Script, Step, Written};
    use std::sync::Arc;

    fn wire((script, written): (Script, Written)) -> (Wire, Written) {
        (Wire::new(Box::new(script), WireConfig::default()), written)
    }

    /// Runs a reader over the same bytes whole, one byte a read, and with reads of one byte.
    fn three_ways(bytes: &[u8], mut check: impl FnMut(&mut Wire)) {
        check(&mut wire(Script::whole(bytes)).0);
        check(&mut wire(Script::bytewise(bytes)).0);
        let config = WireConfig::default().with_buffer(Some(1));
        check(&mut Wire::new(Box::new(Script::whole(bytes).0), config));
    }

    #[test]
    fn lines_end_at_lf_however_they_arrive() {
        three_ways(b"one\r\n\ntwo words\nlast", |wire| {
            assert_eq!(wire.read_line(9).unwrap().unwrap(), b"one");
            assert_eq!(wire.read_line(9).unwrap().unwrap(), b"");
            assert_eq!(wire.read_line(9).unwrap().unwrap(), b"two words");
            let cut = wire.read_line(9).unwrap_err();
            assert_eq!((cut.code(), cut.closes()), (Code::BadRequest, true));
        });
    }

    #[test]
    fn a_clean_end_is_no_error() {
        three_ways(b"one\n", |wire| {
            assert!(wire.read_line(9).unwrap().is_some());
            assert!(wire.read_line(9).unwrap().is_none());
            assert!(wire.read_line(9).unwrap().is_none());
        });
    }

    #[test]
    fn a_line_may_have_just_so_many_bytes() {
        for (end, ok) in [("\n", true), ("\r\n", true), ("5\n", false), ("5\r\n", false)] {
            three_ways(format!("1234{end}").as_bytes(), |wire| {
                assert_eq!(wire.read_line(4).is_ok(), ok, "{end:?}");
            });
        }
        // No end mark at all: refused as soon as it is too long, not when memory is full.
        three_ways(&[b'a'; 100_000], |wire| {
            assert_eq!(wire.read_line(4).unwrap_err().code(), Code::BadRequest);
            assert!(wire.input.capacity() < 5_000);
        });
    }

    #[test]
    fn a_word_ends_at_lf_at_a_pause_or_with_the_stream() {
        let pause = Duration::from_millis(100);
        let bytes = |bytes: &str| Step::Bytes(bytes.into());
        let (mut wire, _) = wire(Script::new([
            bytes("SE"),
            bytes("ND"),
            Step::Pause,
            bytes("a.t"),
            bytes("xt\r\nb\n\nc"),
            Step::Pause,
            bytes("last"),
        ]));
        for expected in ["SEND", "a.txt", "b", "", "c", "last"] {
            assert_eq!(wire.read_word(9, pause).unwrap().unwrap(), expected.as_bytes());
        }
        assert!(wire.read_word(9, pause).unwrap().is_none());
        for (word, ok) in [
            ("1234\n", true),
            ("1234\r\n", true),
            ("1234", true),
            ("12345\n", false),
            ("12345", false),
        ] {
            three_ways(word.as_bytes(), |wire| assert_eq!(wire.read_word(4, pause).is_ok(), ok));
        }
    }

    #[test]
    fn a_known_word_ends_where_its_bytes_say() {
        three_ways(b"lsrm \r\nlsupload", |wire| {
            for expected in ["ls", "rm", "ls", "upload"] {
                assert_eq!(wire.read_word_of(&["ls", "rm", "upload"]).unwrap(), Some(expected));
            }
            assert_eq!(wire.read_word_of(&["ls"]).unwrap(), None);
        });
        three_ways(b"lx", |wire| assert!(wire.read_word_of(&["ls"]).unwrap_err().closes()));
        three_ways(b"uplo", |wire| {
            assert_eq!(wire.read_word_of(&["upload"]).unwrap_err().code(), Code::Gone);
        });
    }

    /// A word byte by byte costs what a line byte by byte costs: no byte is looked at twice.
    #[test]
    fn a_long_word_is_searched_once() {
        let bytes = vec![b'a'; limits::MESSAGE];
        let looked_at = |take: &dyn Fn(&mut Wire)| {
            let mut wire = wire(Script::bytewise(&bytes)).0;
            take(&mut wire);
            wire.looked_at.get()
        };
        let line = looked_at(&|wire| assert!(wire.read_line(limits::MESSAGE).is_err()));
        let pause = Duration::from_secs(9);
        let word = looked_at(&|wire| assert!(wire.read_word(limits::MESSAGE, pause).is_ok()));
        let before = looked_at(&|wire| assert!(wire.read_before(b"<>", limits::MESSAGE).is_err()));
        assert_eq!((line, word), (bytes.len(), bytes.len()));
        // The first byte of a mark may be there already.
        assert!(before <= bytes.len() * 2, "{before}");
    }

    #[test]
    fn a_mark_is_found_where_its_bytes_came_apart() {
        three_ways(b"a<<SEP>b<SEP>", |wire| {
            assert_eq!(wire.read_before(b"<SEP>", 9).unwrap(), b"a<");
            assert_eq!(wire.read_before(b"<SEP>", 9).unwrap(), b"b");
        });
    }

    #[test]
    fn a_part_ends_where_it_is_said_to_and_the_whole_is_one_message() {
        three_ways(b"[ab][c]\n", |wire| {
            let ends = &mut |byte| byte == b']';
            assert_eq!(wire.read_part(9, ends).unwrap(), b"[ab]");
            assert_eq!(wire.read_part(9, ends).unwrap(), b"[c]");
            assert_eq!(wire.read_line(9).unwrap().unwrap(), b"");
            assert_eq!(wire.read_part(9, ends).unwrap_err().code(), Code::Gone);
        });
        three_ways(&[b'a'; 100_000], |wire| {
            assert_eq!(wire.read_part(9, &mut |_| false).unwrap_err().code(), Code::BadRequest);
        });
    }

    #[test]
    fn a_line_may_be_all_that_a_peer_says() {
        three_ways(b"null", |wire| {
            assert_eq!(wire.read_line_or(b"null", 9).unwrap().unwrap(), b"null");
            assert!(wire.read_line_or(b"null", 9).unwrap().is_none());
        });
        three_ways(b"nul", |wire| assert!(wire.read_line_or(b"null", 9).is_err()));
        three_ways(b"null\r\n", |wire| {
            assert_eq!(wire.read_line_or(b"null", 9).unwrap().unwrap(), b"null");
        });
    }

    #[test]
    fn a_long_wait_is_told_once_with_what_has_come() {
        let told = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (mut wire, _) = wire(Script::new([
            Step::Bytes(b"ok connected".to_vec()),
            Step::Pause, // The three seconds.
            Step::Bytes(b"\n".to_vec()),
            Step::Bytes(b"conn".to_vec()),
            Step::Pause, // The rest of the time.
        ]));
        let sink = Arc::clone(&told);
        wire.begin_exchange(Some(Arc::new(move |waited: &crate::error::Waited| {
            sink.lock().unwrap().push(waited.clone());
        })));
        assert_eq!(wire.read_line(99).unwrap().unwrap(), b"ok connected");
        let waited = |got: &[u8], wanted| crate::error::Waited { got: got.to_vec(), wanted };
        assert_eq!(*told.lock().unwrap(), [waited(b"ok connected", Awaited::Line)]);
        let error = wire.read_word_of(&["connected"]).unwrap_err();
        let wanted = Awaited::Words(&["connected"]);
        assert_eq!(error.waited(), Some(&waited(b"conn", wanted)));
        assert_eq!(told.lock().unwrap().len(), 1);
    }

    /// A wire that keeps what its notice is told.
    fn with_notice(steps: Vec<Step>) -> (Wire, Arc<std::sync::Mutex<Vec<Awaited>>>) {
        let told = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (mut wire, _) = wire(Script::new(steps));
        let sink = Arc::clone(&told);
        wire.begin_exchange(Some(Arc::new(move |waited: &crate::error::Waited| {
            sink.lock().unwrap().push(waited.wanted);
        })));
        (wire, told)
    }

    #[test]
    fn a_payload_that_stalls_is_told_once_and_goes_on() {
        let bytes = |bytes: &str| Step::Bytes(bytes.into());
        let steps = || vec![bytes("hel"), Step::Pause, bytes("lo")];
        let (mut wire, told) = with_notice(steps());
        wire.expect_payload(5);
        let mut got = Vec::new();
        wire.read_payload(&mut |bytes| {
            got.extend_from_slice(bytes);
            Ok(())
        })
        .unwrap();
        assert_eq!(got, b"hello");
        assert_eq!(*told.lock().unwrap(), [Awaited::Payload { came: 3, size: Some(5) }]);

        let (mut wire, told) = with_notice(steps());
        wire.read_to_end(&mut |_| Ok(())).unwrap();
        assert_eq!(*told.lock().unwrap(), [Awaited::Payload { came: 3, size: None }]);

        // The second stall is too long.
        let (mut wire, told) = with_notice(vec![bytes("hel"), Step::Pause, Step::Pause]);
        wire.expect_payload(5);
        let error = wire.read_payload(&mut |_| Ok(())).unwrap_err();
        assert_eq!((error.code(), told.lock().unwrap().len()), (Code::Timeout, 1));
    }

    /// A client that waits for a message in several steps gives its notice as early as with one.
    #[test]
    fn a_notice_is_due_by_the_time_since_the_last_message() {
        let steps = vec![Step::Pause, Step::Bytes(b"re".to_vec()), Step::Bytes(b"ceived".to_vec())];
        let (mut wire, _) = with_notice(steps);
        assert!(!wire.wait_for_any(Duration::from_secs(2), Awaited::Line).unwrap());
        let since = wire.awaiting_since;
        assert!(since.is_some());
        assert!(wire.wait_for_any(Duration::from_secs(2), Awaited::Line).unwrap());
        assert_eq!(wire.awaiting_since, since);
        assert!(wire.read_word_of(&["received"]).is_ok());
        assert_eq!(wire.awaiting_since, None);
        // A list in parts that come is not late.
        let (mut wire, _) = with_notice(vec![Step::Bytes(b"[a][b".to_vec())]);
        assert_eq!(wire.read_part(9, &mut |byte| byte == b']').unwrap(), b"[a]");
        assert_eq!((wire.awaiting_since, wire.has_reply()), (None, true));
    }

    #[test]
    fn what_has_arrived_is_taken_without_waiting() {
        let bytes = |bytes: &str| Step::Bytes(bytes.into());
        let (mut wire, _) =
            wire(Script::new([bytes("a\nb"), Step::Pause, bytes("c"), Step::Pause, Step::Pause]));
        assert_eq!(wire.take_arrived().unwrap(), b"a\nb");
        assert_eq!(wire.take_arrived().unwrap(), b"c");
        assert_eq!(wire.take_arrived().unwrap(), b"");
        assert_eq!(wire.take_arrived().unwrap_err().code(), Code::Gone);
    }

    #[test]
    fn bytes_are_counted_and_what_follows_stays() {
        three_ways(b"\x05\0\0\0hello!", |wire| {
            assert_eq!(i32::from_le_bytes(wire.read_array().unwrap()), 5);
            assert_eq!(wire.peek(3, Duration::from_millis(100)).unwrap().get(..3).unwrap(), b"hel");
            assert_eq!(wire.read_bytes(5).unwrap(), b"hello");
            let mut rest = Vec::new();
            wire.read_to_end(&mut |piece| {
                rest.extend_from_slice(piece);
                Ok(())
            })
            .unwrap();
            assert_eq!(rest, b"!");
            assert_eq!(wire.read_bytes(1).unwrap_err().code(), Code::Gone);
        });
    }

    #[test]
    fn a_payload_is_exactly_its_size() {
        three_ways(b"x\nhello\nrest\n", |wire| {
            wire.read_line(9).unwrap();
            wire.expect_payload(5);
            let mut got = Vec::new();
            wire.read_payload(&mut |piece| {
                got.extend_from_slice(piece);
                Ok(())
            })
            .unwrap();
            assert_eq!(got, b"hello");
            assert_eq!(wire.read_line(9).unwrap().unwrap(), b"");
            assert_eq!(wire.read_line(9).unwrap().unwrap(), b"rest");
        });
    }

    #[test]
    fn a_payload_that_stops_short_is_an_error() {
        three_ways(b"hell", |wire| {
            wire.expect_payload(5);
            assert_eq!(wire.read_payload(&mut |_| Ok(())).unwrap_err().code(), Code::Gone);
        });
    }

    #[test]
    fn no_line_is_read_out_of_a_payload_that_nobody_took() {
        three_ways(b"rm a\nrm b\nls\n", |wire| {
            wire.expect_payload(10);
            let full = || Err(Error::new(Code::NoSpace, "full"));
            assert_eq!(wire.read_payload(&mut |_| full()).unwrap_err().code(), Code::NoSpace);
            assert_eq!(wire.read_line(9).unwrap().unwrap(), b"ls");
        });
        let (mut wire, _) = wire(Script::whole("rm a\n"));
        wire.expect_payload(limits::DRAIN + 1);
        assert!(!wire.settle().unwrap());
        assert!(wire.read_line(9).unwrap_err().closes());
    }

    #[test]
    fn silence_is_a_timeout_that_closes() {
        for steps in [vec![], vec![Step::Bytes(b"half".to_vec())]] {
            let (mut wire, _) = wire(Script::new(steps.into_iter().chain([Step::Pause])));
            let error = wire.read_line(9).unwrap_err();
            assert_eq!((error.code(), error.closes()), (Code::Timeout, true));
        }
    }

    #[test]
    fn what_was_said_leaves_before_we_wait_and_in_one_write() {
        let (mut wire, written) = wire(Script::whole("a\nb\nc\n"));
        for reply in ["1\n", "2\n", "3\n"] {
            wire.read_line(9).unwrap();
            wire.write(reply.as_bytes()).unwrap();
        }
        assert_eq!(written.text(), "");
        assert!(wire.read_line(9).unwrap().is_none());
        assert_eq!((written.text().as_str(), written.writes()), ("1\n2\n3\n", 1));
    }

    #[test]
    fn a_header_and_its_payload_are_sent_together() {
        for (size, writes) in [(5, 1), (20_000, 1), (600_000, 2)] {
            let (mut wire, written) = wire(Script::whole(""));
            wire.write(b"ok\n").unwrap();
            wire.write_payload(size, &mut |room| {
                room.fill(b'x');
                Ok(room.len().min(7_000))
            })
            .unwrap();
            wire.flush().unwrap();
            assert_eq!(written.bytes().len() as u64, size + 3);
            assert_eq!(written.writes(), writes, "{size}");
        }
    }

    #[test]
    fn a_source_that_dries_up_ends_the_conversation() {
        let (mut wire, _) = wire(Script::whole(""));
        let mut supply = [4, 0].into_iter();
        let error = wire.write_payload(5, &mut |_| Ok(supply.next().unwrap())).unwrap_err();
        assert!(error.closes());
    }

    #[test]
    fn a_close_is_said_before_it_is_done() {
        let (mut wire, written) = wire(Script::whole("unread"));
        wire.write(b"bye").unwrap();
        wire.close();
        assert_eq!(written.text(), "bye<end>");
    }
}
