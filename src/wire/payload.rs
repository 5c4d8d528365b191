//! Payloads: exactly as many bytes as were announced, or all until the end of the stream.
//!
//! They stream through a buffer that exists for the transfer only. In both directions a payload has to
//! keep a pace, and what is left of one that is not wanted stays owed until [`Wire::settle`].
#![allow(clippy::indexing_slicing, reason = "no index is beyond what was read or filled")]

use std::time::{Duration, Instant};

use super::pace::{Pace, Tail};
use super::stream::{Ending, Note};
use super::{Wire, ended, stream};
use crate::error::{Awaited, Error, Result};
use crate::limits;

/// A write that takes longer than this is not followed by a larger one.
const QUICK_WRITE: Duration = Duration::from_millis(50);

/// What the first write of a payload moves at most. The writes grow as long as the line takes them at once.
/// So a slow line shows progress often.
const FIRST_WRITE: usize = 64 << 10;

/// What was announced, and how much of it is still to come.
#[derive(Clone, Copy, Default)]
pub(super) struct Payload {
    size: u64,
    left: u64,
}

impl Payload {
    fn awaited(self) -> Awaited {
        Awaited::Payload { came: self.size - self.left, size: Some(self.size) }
    }
}

impl Wire {
    /// Announces a payload: the peer owes this many bytes, and nothing else is read before them.
    pub fn expect_payload(&mut self, size: u64) {
        self.payload = Payload { size, left: size };
    }

    /// Takes the announced payload off the wire and hands it to `sink` piece by piece. What is left when
    /// `sink` fails stays owed: see [`Wire::settle`].
    ///
    /// The Python assignment receives a file like this:
    ///
    /// ```text
    /// received = 0
    /// while received < size:
    ///     data = connection.recv(BUFFER_SIZE)
    ///     file.write(data)
    ///     received += len(data)
    /// ```
    ///
    /// Three things go wrong with it. `recv` returns nothing when the peer has closed: then the loop never
    /// ends. It may return bytes that belong to the next message: then they end up in the file. And a
    /// peer that sends nothing, or a byte now and then, keeps the thread for ever. So the loop here asks
    /// for no more than is left, takes an end as an error, and has a timeout and a pace to keep. Its first
    /// piece is what an earlier read has brought together with the size.
    ///
    /// # Errors
    /// The sink's own, or the connection ended or stalled before all of it had come.
    pub fn read_payload<E: From<Error>>(
        &mut self,
        sink: &mut dyn FnMut(&[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let piece = self.input.take(at_most(self.payload.left, usize::MAX));
        self.payload.left -= piece.len() as u64;
        if !piece.is_empty() {
            sink(&piece)?;
        }
        let mut buffer = vec![0; at_most(self.payload.left, self.config.payload_buffer)];
        let mut pace = Pace::of_a_sender();
        while self.payload.left > 0 {
            let wanted = self.payload.awaited();
            let most = at_most(self.payload.left, buffer.len());
            let piece = self.read_piece(&mut buffer[..most], &mut pace, wanted)?;
            if piece.is_empty() {
                return Err(ended().with_partial(b"", wanted).into());
            }
            self.payload.left -= piece.len() as u64;
            sink(piece)?;
        }
        if self.payload.size > 0 {
            self.stream.message(&[], self.payload.size, Ending::Size);
            self.payload.size = 0;
        }
        Ok(())
    }

    /// Drops what is left of a payload that is not wanted, if it is little. Returns whether the two sides
    /// are in step again; if not, the connection has to be closed after the reply.
    ///
    /// # Errors
    /// The connection ended or stalled.
    pub fn settle(&mut self) -> Result<bool> {
        if self.output.out_of_step || self.output.write_failed {
            return Ok(false);
        }
        self.drop_payload()
    }

    pub(super) fn drop_payload(&mut self) -> Result<bool> {
        if self.payload.left > limits::DRAIN {
            return Ok(false);
        }
        self.read_payload::<Error>(&mut |_| Ok(()))?;
        Ok(true)
    }

    /// Hands all that comes until the peer ends its direction to `sink`, piece by piece, at the pace of a
    /// payload.
    ///
    /// # Errors
    /// The sink's own, or the connection broke or stalled.
    pub fn read_to_end<E: From<Error>>(
        &mut self,
        sink: &mut dyn FnMut(&[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        self.begin_message(Awaited::Close)?;
        let held = self.input.take(usize::MAX);
        sink(&held)?;
        let mut buffer = vec![0; self.config.payload_buffer];
        let mut pace = Pace::of_a_sender();
        let mut came = held.len() as u64;
        while !self.input.ended {
            let wanted = Awaited::Payload { came, size: None };
            let piece = self.read_piece(&mut buffer, &mut pace, wanted)?;
            came += piece.len() as u64;
            sink(piece)?;
        }
        if came > 0 {
            self.stream.message(&held, came, Ending::Stream);
        }
        Ok(())
    }

    /// Sends `size` bytes that `source` supplies, the first of them in one write with what was written
    /// before. A header that travels alone would be answered by a delayed acknowledgement, and the
    /// payload after it would wait for that.
    ///
    /// # Errors
    /// The source's own, or it supplies too little, or the connection broke or stalled. The peer has then
    /// been promised bytes that will never come: the connection cannot be used after that.
    pub fn write_payload<E: From<Error>>(
        &mut self,
        size: u64,
        source: &mut dyn FnMut(&mut [u8]) -> std::result::Result<usize, E>,
    ) -> std::result::Result<(), E> {
        let mut buffer = std::mem::take(&mut self.output.bytes);
        let mut filled = buffer.len();
        self.stream.note(Note::Payload { after: filled as u64, size });
        // Longer by what was written before, so that every later read of a file begins at a multiple of
        // the buffer's size, and so of a page: 14 bytes off a page cost a quarter of the rate.
        let largest = self.config.payload_buffer.max(limits::SMALL_REPLY);
        let mut piece = largest.min(FIRST_WRITE);
        buffer.resize(filled + at_most(size, piece), 0);
        let (mut pace, mut tail) = (Pace::of_a_reader(), Tail::default());
        let mut left = size;
        while left > 0 {
            let most = at_most(left, buffer.len() - filled);
            let supplied = source(&mut buffer[filled..filled + most]);
            let Some(n @ 1..) = supplied.as_ref().ok().copied() else {
                // The peer was promised bytes that will never come. What was written before, perhaps
                // replies to other commands, still leaves.
                buffer.truncate(filled);
                self.output.bytes = buffer;
                self.mark_out_of_step();
                let shorter = || Error::gone("the file became shorter while it was sent").into();
                return Err(supplied.err().unwrap_or_else(shorter));
            };
            left -= n as u64;
            filled += n;
            if left > 0 && filled == buffer.len() {
                let begun = Instant::now();
                self.send(&buffer, &mut pace)?;
                tail.wrote(begun, buffer.len());
                let is_quick = begun.elapsed() < QUICK_WRITE;
                piece = if is_quick { largest.min(piece * 2) } else { largest.min(FIRST_WRITE) };
                buffer.resize(at_most(left, piece), 0);
                filled = 0;
            }
        }
        buffer.truncate(filled);
        self.output.bytes = buffer;
        self.output.tail = tail.time();
        Ok(self.write(b"")?)
    }

    /// Makes one read. Returns what it brought; nothing is the end of the stream.
    fn read_piece<'b>(
        &mut self,
        buffer: &'b mut [u8],
        pace: &mut Pace,
        wanted: Awaited,
    ) -> Result<&'b [u8]> {
        let begun = Instant::now();
        let read = self.read_within(limits::PAYLOAD_WINDOW, wanted, |wire| {
            stream::read(&mut *wire.stream, buffer)
        })?;
        let read = read.map_err(|error| Error::connection(&error));
        let n = read.and_then(|n| pace.moved(n as u64, begun.elapsed()).map(|()| n));
        let n = n.map_err(|error| error.with_partial(b"", wanted))?;
        self.input.ended = n == 0;
        self.exchange.piece_came();
        Ok(&buffer[..n])
    }
}

/// A number of bytes that fits into a buffer of this size.
fn at_most(bytes: u64, buffer: usize) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX).min(buffer)
}
