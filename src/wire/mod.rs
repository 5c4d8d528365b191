//! Bytes to messages and back: the only code that reads from a peer or writes to one, except where the
//! server refuses a connection.
//!
//! TCP carries a stream of bytes, not messages. What one side wrote with one call, the other side may
//! get in ten reads, or together with what came before. Everything that a dialect needs to find its
//! messages again is here, once: a line up to its LF, a number of a fixed width, a word that ends where
//! the peer falls silent, exactly N bytes of a payload.
//!
//! Four rules hold for all of it:
//! - What was written leaves before we wait for the peer: [`Wire`] flushes before every read. So two
//!   sides never wait for each other's unsent bytes, and the replies to commands that came in one
//!   segment leave in one write.
//! - At the beginning of a message there are three outcomes: a message, a clean end, an error. An end
//!   in the middle of a message is an error.
//! - No number that a peer sent sizes a buffer. Lines are capped while they are read. Payloads stream
//!   through a buffer of fixed size that exists for the transfer only.
//! - No message begins while a payload is owed: what was announced is taken off the wire first, or the
//!   connection is closed.

mod exchange;
mod input;
mod message;
mod pace;
mod payload;
#[cfg(test)]
pub mod script;
pub mod stream;

use std::fmt;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use crate::error::{Code, Error, Result};
use crate::limits;
use exchange::Exchange;
pub use exchange::Notice;
use input::Input;
use pace::Pace;
use payload::Payload;
use stream::Stream;

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
    /// A write that waited in vain is not repeated, because it is not known what of it was sent: on Windows.
    pub writes_once: bool,
}

impl Default for WireConfig {
    fn default() -> WireConfig {
        WireConfig {
            buffer: limits::BUFFER_SIZE,
            payload_buffer: limits::PAYLOAD_BUFFER,
            idle: Duration::from_secs(limits::IDLE_TIMEOUT),
            message: limits::MESSAGE_TIME,
            writes_once: cfg!(windows),
        }
    }
}

impl WireConfig {
    /// Sets the size of every read: `--buffer`.
    #[must_use]
    pub fn with_buffer(self, size: Option<usize>) -> WireConfig {
        match size {
            Some(size) => WireConfig { buffer: size, payload_buffer: size, ..self },
            None => self,
        }
    }
}

/// A connection to a peer, in messages.
pub struct Wire {
    stream: Box<dyn Stream>,
    config: WireConfig,
    input: Input,
    output: Output,
    /// The payload that the peer owes.
    payload: Payload,
    /// A client's request and its reply.
    exchange: Exchange,
}

/// What was written and not yet sent.
#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    /// A write has failed. What the peer sent before that may still be read.
    write_failed: bool,
    /// The two sides disagree about what comes next, and the connection cannot be used again.
    out_of_step: bool,
    /// How long the end of the last payload took to write.
    tail: Duration,
    /// The pace of a list that is being sent.
    list: Option<Pace>,
}

impl Output {
    /// Begins with more than a buffer would grow from: an allocator keeps small ones for each thread.
    fn make_room(&mut self) {
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(limits::FULL_READ);
        }
    }
}

impl Wire {
    /// A wire over a connected stream.
    #[must_use]
    pub fn new(stream: Box<dyn Stream>, config: WireConfig) -> Wire {
        Wire {
            stream,
            config,
            input: Input::default(),
            output: Output::default(),
            payload: Payload::default(),
            exchange: Exchange::default(),
        }
    }

    /// Writes a part of a message. It leaves with the next flush, at the latest before we wait for the
    /// peer.
    ///
    /// # Errors
    /// There was much to send already, and sending it failed.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.output.make_room();
        self.output.bytes.extend_from_slice(bytes);
        if self.output.bytes.len() < limits::SMALL_REPLY { Ok(()) } else { self.flush() }
    }

    /// Writes formatted text: for `write!` and `writeln!`.
    ///
    /// # Errors
    /// See [`Wire::write`].
    pub fn write_fmt(&mut self, what: fmt::Arguments<'_>) -> Result<()> {
        self.output.make_room();
        // Writing into a vector cannot fail.
        let _ = self.output.bytes.write_fmt(what);
        self.write(b"")
    }

    /// Sends what was written.
    ///
    /// # Errors
    /// The connection broke or stalled.
    pub fn flush(&mut self) -> Result<()> {
        if self.output.bytes.is_empty() {
            return Ok(());
        }
        // Given back after it: a buffer that stays keeps the memory around it too.
        let bytes = std::mem::take(&mut self.output.bytes);
        let list = self.output.list.take();
        let is_list = list.is_some();
        let mut pace = list.unwrap_or_else(Pace::of_a_reader);
        let sent = self.send(&bytes, &mut pace);
        self.output.list = is_list.then_some(pace);
        sent
    }

    /// Runs `write`, which sends a list, at the pace that a list has to keep as a whole.
    ///
    /// # Errors
    /// Those of `write`, or the peer takes too little of it.
    pub fn write_list(&mut self, write: impl FnOnce(&mut Wire) -> Result<()>) -> Result<()> {
        self.output.list = Some(Pace::of_a_list());
        let written = write(self);
        self.output.list = None;
        written
    }

    /// Sends what was written, and looks whether the peer has broken the connection: before work that only a
    /// peer that still waits for it is worth.
    ///
    /// # Errors
    /// The connection broke or stalled.
    pub fn must_be_connected(&mut self) -> Result<()> {
        self.flush()?;
        self.stream.pending_error().map_err(|error| Error::connection(&error))
    }

    /// Marks the end of a reply. It leaves now, before what is done after it, unless a further request
    /// has come already: the replies to requests that came together leave together.
    ///
    /// # Errors
    /// The connection broke or stalled.
    pub fn end_reply(&mut self) -> Result<()> {
        if self.input.held().is_empty() { self.flush() } else { Ok(()) }
    }

    /// Sends what was written, and then nothing for a while: for peers that know a message by such a
    /// pause alone.
    ///
    /// # Errors
    /// The connection broke or stalled.
    pub fn pause(&mut self, time: Duration) -> Result<()> {
        self.flush()?;
        self.stream.pause(time);
        Ok(())
    }

    /// Sends what was written and ends our direction. The peer may still send.
    ///
    /// # Errors
    /// The connection broke or stalled.
    pub fn end_writing(&mut self) -> Result<()> {
        self.flush()?;
        self.stream.end_writing().map_err(|error| Error::connection(&error))
    }

    /// Ends a conversation so that the peer gets our last reply: sends it, ends our direction, and reads
    /// on for a while. A close with unread bytes is a reset, which can overtake the reply.
    pub fn close(&mut self) {
        let sent = self.flush();
        let is_over = self.input.ended || sent.is_err() || self.output.write_failed;
        if is_over || self.stream.end_writing().is_err() {
            return;
        }
        let end = Instant::now() + limits::CLOSE_TIME;
        let mut left = limits::CLOSE_BYTES;
        let mut unwanted = vec![0; 64 << 10];
        while left > 0 {
            let time = end.saturating_duration_since(Instant::now());
            if time.is_zero() || self.stream.set_read_timeout(time).is_err() {
                return;
            }
            match stream::read(&mut *self.stream, &mut unwanted) {
                Ok(0) | Err(_) => return,
                Ok(n) => left = left.saturating_sub(n as u64),
            }
        }
    }

    /// Whether no write has failed so far.
    #[must_use]
    pub fn can_write(&self) -> bool {
        !self.output.write_failed
    }

    /// Ends a conversation in which nothing is owed. Does not wait for the peer's end, which comes a round trip
    /// later, unless it is recorded.
    pub fn leave(mut self) {
        if self.stream.waits_for_end() { self.close() } else { drop(self.flush()) }
    }

    /// Notes that the connection cannot be used for another request.
    pub fn mark_out_of_step(&mut self) {
        self.output.out_of_step = true;
    }

    /// How much memory the buffers hold, for tests.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        self.input.capacity() + self.output.bytes.capacity()
    }

    fn send(&mut self, mut bytes: &[u8], pace: &mut Pace) -> Result<()> {
        if self.output.write_failed {
            return Err(Error::connection(&io::ErrorKind::BrokenPipe.into()));
        }
        while !bytes.is_empty() {
            match self.send_some(bytes, pace) {
                Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
                Err(error) => {
                    self.output.write_failed = true;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// One write. Returns 0 where the peer does not read for a while; whether that is for too long, the
    /// pace says.
    fn send_some(&mut self, bytes: &[u8], pace: &mut Pace) -> Result<usize> {
        let writes_once = self.config.writes_once;
        let bytes = bytes.get(..limits::SINGLE_WRITE).filter(|_| writes_once).unwrap_or(bytes);
        let begun = Instant::now();
        let n = match self.stream.write(bytes) {
            Ok(0) => return Err(Error::connection(&io::ErrorKind::WriteZero.into())),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(0),
            Err(error) if stream::is_silence(&error) && !writes_once => 0,
            Err(error) => return Err(Error::connection(&error)),
        };
        pace.moved(n as u64, begun.elapsed())?;
        Ok(n)
    }
}

fn ended() -> Error {
    Error::connection(&io::ErrorKind::UnexpectedEof.into())
}

fn too_long(most: usize) -> Error {
    Error::new(Code::BadRequest, format!("a line may have at most {most} bytes")).and_close()
}

#[cfg(test)]
mod tests;
