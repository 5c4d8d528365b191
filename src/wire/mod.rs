//! Bytes to messages and back: the only code that reads from a peer or writes to one, except where the
//! server refuses a connection or reads the line of a load balancer.
//!
//! TCP carries a stream of bytes, not messages. What one side wrote with one call, the other side may
//! get in ten reads, or together with what came before. Everything that a dialect needs to find its
//! messages again is here, once: a line up to its LF, a number of a fixed width, a word that ends where
//! the peer falls silent, exactly N bytes of a payload.
//!
//! Four rules hold for all of it:
//! - What was written leaves before we wait for the peer: [`Wire`] flushes before every read that waits. So two
//!   sides never wait for each other's unsent bytes, and the replies to commands that came in one
//!   segment leave in one write.
//! - At the beginning of a message there are three outcomes: a message, a clean end, an error. An end
//!   in the middle of a message is an error.
//! - No number that a peer sent makes a buffer larger than a fixed size. Lines are capped while they are read. Payloads stream
//!   through a buffer that exists for the transfer only.
//! - No message begins while a payload is owed: what was announced is taken off the wire first, or the
//!   connection is closed.

mod input;
mod message;
mod pace;
mod payload;
#[cfg(test)]
pub mod script;
pub mod stream;

use std::fmt;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Code, Error, Expected, Result};
use crate::limits;
use input::Input;
use message::Reading;
use pace::Pace;
use payload::Payload;
use stream::Stream;

/// What one write moves at most where it is not repeated: what a reader has to take in the time that it has.
const SINGLE_WRITE: usize = 64 << 10;

/// Room for a reply, from its first byte on. If that grew from nothing, small pieces of memory would stay with this thread.
const SHORT_REPLY: usize = 2 << 10;

/// How a [`Wire`] reads and how long it waits.
#[derive(Clone, Debug)]
pub struct WireConfig {
    /// How many bytes one read asks for where a message is expected.
    pub buffer: usize,
    /// The same for a peer that sends more at a time.
    pub large_buffer: usize,
    /// How many bytes one read or write of a payload moves at most.
    pub payload_buffer: usize,
    /// How long the peer may be silent between messages.
    pub idle: Duration,
    /// How long a message that has begun may take to be complete.
    pub message_time: Duration,
    /// Over how long the pace of a peer that sends is checked.
    pub payload_window: Duration,
    /// Over how long the pace of a peer that reads is checked.
    pub reader_window: Duration,
    /// How large a write is where one that waited in vain is not repeated, because it is not known what of it was sent:
    /// on Windows.
    pub single_write: Option<usize>,
}

impl Default for WireConfig {
    fn default() -> WireConfig {
        WireConfig {
            buffer: limits::BUFFER_SIZE,
            large_buffer: limits::FULL_READ,
            payload_buffer: limits::PAYLOAD_BUFFER,
            idle: Duration::from_secs(limits::IDLE_TIMEOUT),
            message_time: limits::MESSAGE_TIME,
            payload_window: limits::PAYLOAD_WINDOW,
            reader_window: limits::READER_WINDOW,
            single_write: cfg!(windows).then_some(SINGLE_WRITE),
        }
    }
}

impl WireConfig {
    /// Sets the size of every read: `--buffer`.
    pub fn with_buffer(self, size: Option<usize>) -> WireConfig {
        let Some(size) = size else { return self };
        WireConfig { buffer: size, large_buffer: size, payload_buffer: size, ..self }
    }
}

/// A connection to a peer, in messages.
pub struct Wire {
    /// Where the peer is: an IPv4 address, or 64 bits of an IPv6 address. `None`: it is not known.
    pub network: Option<u128>,
    /// The peer has sent something that only a peer of this dialect sends.
    pub dialect_is_confirmed: bool,
    stream: Box<dyn Stream>,
    config: Arc<WireConfig>,
    state: State,
    input: Input,
    /// What was written and not yet sent.
    output: Vec<u8>,
    /// What is known of the message that is read.
    reading: Reading,
    /// The payload that the peer owes.
    payload: Payload,
    /// The pace of the list that is being sent.
    list: Option<Pace>,
}

/// What one read brought.
enum Received {
    Data(usize),
    Silence,
    End,
}

/// What a connection can still be used for.
enum State {
    /// For everything.
    InStep,
    /// For one last reply: the two sides disagree about what comes next.
    OutOfStep,
    /// For reading what the peer sent before a write failed.
    Unwritable,
}

impl Wire {
    /// A wire over a connected stream.
    pub fn new(stream: Box<dyn Stream>, config: impl Into<Arc<WireConfig>>) -> Wire {
        Wire {
            network: None,
            stream,
            config: config.into(),
            state: State::InStep,
            input: Input::NONE,
            output: Vec::new(),
            reading: Reading::NONE,
            payload: Payload::NONE,
            list: None,
            dialect_is_confirmed: false,
        }
    }

    /// Writes a part of a message. It leaves with the next flush.
    ///
    /// # Errors
    /// There was much to send already, and sending it failed.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if self.output.is_empty() {
            self.output.reserve(SHORT_REPLY);
        }
        self.output.extend_from_slice(bytes);
        if self.output.len() < limits::SMALL_REPLY { Ok(()) } else { self.flush() }
    }

    /// Writes formatted text: for `write!` and `writeln!`.
    ///
    /// # Errors
    /// See [`Wire::write`].
    pub fn write_fmt(&mut self, what: fmt::Arguments<'_>) -> Result<()> {
        if self.output.is_empty() {
            self.output.reserve(SHORT_REPLY);
        }
        // Writing into a vector cannot fail.
        let _ = self.output.write_fmt(what);
        if self.output.len() < limits::SMALL_REPLY { Ok(()) } else { self.flush() }
    }

    /// Sends what was written.
    ///
    /// # Errors
    /// The connection broke or stalled.
    pub fn flush(&mut self) -> Result<()> {
        // Freed when this returns, so that an idle connection holds no buffer.
        let bytes = std::mem::take(&mut self.output);
        self.send(&bytes)
    }

    /// Runs `write`, which sends a list, at the pace that a list has to keep as a whole.
    ///
    /// # Errors
    /// Those of `write`, or the peer takes too little of it.
    pub fn write_list(&mut self, write: impl FnOnce(&mut Wire) -> Result<()>) -> Result<()> {
        self.list = Some(Pace::new(limits::LIST_WINDOW, limits::READER_STEP));
        let written = write(self);
        self.list = None;
        written
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
    /// on for a while. A close with unread bytes is a reset, which can overtake the reply. The socket is closed when
    /// the wire is dropped.
    pub fn close_and_wait(&mut self) {
        // If the peer has ended, nothing unread is left.
        if self.flush().is_err() || self.input.ended || self.stream.end_writing().is_err() {
            return;
        }
        let end = Instant::now() + limits::CLOSE_TIME;
        let mut left = limits::CLOSE_BYTES;
        let mut unwanted = vec![0; 64 << 10];
        while left > 0
            && Instant::now() < end
            && let Ok(Received::Data(n)) = self.read_once(&mut unwanted, end, Expected::Close)
        {
            left = left.saturating_sub(n as u64);
        }
    }

    /// Whether no write has failed so far.
    pub fn can_write(&self) -> bool {
        !matches!(self.state, State::Unwritable)
    }

    /// Ends a conversation in which nothing is owed. Does not wait for the peer's end, which comes a round trip
    /// later, unless it is recorded.
    pub fn close(mut self) {
        if self.stream.waits_for_end() { self.close_and_wait() } else { drop(self.flush()) }
    }

    /// Reads and drops what is left of an unwanted payload, if that is little. Returns whether the two sides are in step
    /// then. If not, the connection has to be closed after the reply.
    ///
    /// # Errors
    /// The connection ended or stalled.
    pub fn drop_owed_payload(&mut self) -> Result<bool> {
        if !matches!(self.state, State::InStep) || self.payload.left > limits::DRAIN {
            return Ok(false);
        }
        self.read_payload::<Error>(&mut |_| Ok(()))?;
        Ok(true)
    }

    /// Notes that the two sides disagree about what comes next.
    pub fn mark_out_of_step(&mut self) {
        if let State::InStep = self.state {
            self.state = State::OutOfStep;
        }
    }

    /// The one read under all readers that wait: sends what was written, then reads once, and waits at most until this
    /// moment. What is expected is for errors, for a trace, and for what a client tells its user.
    fn read_once(
        &mut self,
        into: &mut [u8],
        until: Instant,
        expected: Expected,
    ) -> Result<Received> {
        if !matches!(self.state, State::Unwritable) {
            self.flush()?;
        }
        self.stream.note_wait(self.input.held(), expected);
        let time = until.saturating_duration_since(Instant::now());
        self.stream.limit_wait(time).map_err(|error| Error::connection(&error))?;
        loop {
            match self.stream.read(into) {
                Ok(0) => {
                    self.input.ended = true;
                    return Ok(Received::End);
                }
                Ok(n) => return Ok(Received::Data(n)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if stream::is_silence(&error) => return Ok(Received::Silence),
                Err(error) => return Err(Error::connection(&error)),
            }
        }
    }

    /// Sends all of this, in as many writes as it takes. A peer that reads slowly is waited for, as long as it keeps the
    /// pace: that of the list, if this is a part of one, or else one of its own.
    fn send(&mut self, mut bytes: &[u8]) -> Result<()> {
        if let State::Unwritable = self.state {
            return Err(Error::connection(&io::ErrorKind::BrokenPipe.into()));
        }
        let mut own_pace = Pace::new(self.config.reader_window, limits::READER_STEP);
        let pace = self.list.as_mut().unwrap_or(&mut own_pace);
        let most = self.config.single_write.unwrap_or(usize::MAX);
        while !bytes.is_empty() {
            let begun = Instant::now();
            let n = match self.stream.write(bytes.get(..most).unwrap_or(bytes)) {
                Ok(n @ 1..) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                // It has waited in vain for as long as `set_options` says, and is tried again while the pace is kept.
                Err(error) if stream::is_silence(&error) && self.config.single_write.is_none() => 0,
                failed => {
                    self.state = State::Unwritable;
                    let error = failed.err().unwrap_or(io::ErrorKind::WriteZero.into());
                    return Err(Error::connection(&error));
                }
            };
            if let Err(error) = pace.check(n as u64, begun.elapsed()) {
                self.state = State::Unwritable;
                return Err(error);
            }
            bytes = bytes.get(n..).unwrap_or_default();
        }
        Ok(())
    }
}

fn ended_early() -> Error {
    Error::connection(&io::ErrorKind::UnexpectedEof.into())
}

fn timed_out() -> Error {
    Error::connection(&io::ErrorKind::TimedOut.into())
}

fn too_long(most: usize) -> Error {
    Error::new(Code::BadRequest, format!("a line may have at most {most} bytes")).and_close()
}

#[cfg(test)]
mod tests;
