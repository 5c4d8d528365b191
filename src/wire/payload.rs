//! Payloads: exactly as many bytes as were announced, or all until the end of the stream.
//!
//! They stream through a buffer that exists for the transfer only. In both directions a payload has to
//! keep a pace, and what is left of one that is not wanted stays owed until [`Wire::drop_owed_payload`].
//!
//! ```text
//! read_payload         what came with the size, then read after read
//!   read_piece         the pace, and what the end of the stream means
//!     read_once        in `mod.rs`
//! ```
#![allow(clippy::indexing_slicing, reason = "no index is beyond what was read or filled")]

use std::time::Instant;

use super::pace::Pace;
use super::stream::Ending;
use super::{Received, Wire, ended_early, timed_out};
use crate::error::{Error, Expected, Result};
use crate::limits;

/// How many bytes of a payload one write to a socket moves at most. 256 downloads that nobody reads hold less than
/// 32 MiB together. More is not faster for a peer that reads 256 KiB or less at a time.
const PAYLOAD_WRITE: usize = 96 << 10;

/// What was announced, and how much of it is still to come.
#[derive(Clone, Copy)]
pub(super) struct Payload {
    /// `None`: it ends with the stream, or nothing is owed.
    size: Option<u64>,
    /// How much is owed. Of a payload that ends with the stream, this is [`u64::MAX`] without what has come.
    pub(super) left: u64,
}

impl Payload {
    /// Nothing is owed.
    pub(super) const NONE: Payload = Payload { size: None, left: 0 };
}

impl Wire {
    /// From now on the peer owes this many bytes. Nothing else is read before them: `begin_message` fails.
    pub fn expect_payload(&mut self, size: u64) {
        self.payload = Payload { size: Some(size), left: size };
    }

    /// Takes the announced payload off the wire and hands it to `sink` piece by piece. What is left when
    /// `sink` fails stays owed: see [`Wire::drop_owed_payload`].
    ///
    /// A first loop in Python writes what each `recv` returns until it has `size` bytes. Three things go wrong with it:
    /// the peer may close, the last read may bring a part of the next message, and a peer that sends nothing keeps the
    /// thread for ever. So the loop here takes an end as an error, asks for no more than is left, and has a pace to keep.
    /// It begins with what an earlier read has brought together with the size.
    ///
    /// `sink` is a closure that is called with each piece. `E` is its error: [`Error`] in a server, a failure for the user
    /// in a client.
    ///
    /// # Errors
    /// The sink's own, or the connection ended or stalled before all of it had come.
    pub fn read_payload<E: From<Error>>(
        &mut self,
        sink: &mut dyn FnMut(&[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let announced = self.payload.size;
        let n = at_most(self.payload.left, self.input.held().len());
        // If `sink` fails here, these bytes stay held and owed. In the loop they are off the wire already: `read_piece` has
        // made `left` smaller.
        sink(&self.input.held()[..n])?;
        self.input.skip(n);
        self.payload.left -= n as u64;
        // Larger reads are for small files that come with their size. After a large file there are none, so that an idle
        // connection has no such buffer.
        self.input.large_reads &= self.payload.left < self.config.large_buffer as u64;
        let largest = self.config.payload_buffer;
        let mut buffer = vec![0; at_most(self.payload.left, largest.min(limits::PAYLOAD_READ))];
        let mut pace = Pace::new(self.config.payload_window, limits::PAYLOAD_STEP);
        while self.payload.left > 0 {
            let n = self.read_piece(&mut buffer, &mut pace)?;
            sink(&buffer[..n])?;
            // A peer that has filled the buffer gets a larger one. It is never longer than what is left, so no read takes
            // bytes of the next message.
            let wanted = if n == buffer.len() { n * 2 } else { buffer.len() };
            buffer.resize(at_most(self.payload.left, wanted.min(largest)), 0);
        }
        self.payload = Payload::NONE;
        if let Some(size @ 1..) = announced {
            self.stream.note_message(&[], size, Ending::Size);
        }
        Ok(())
    }

    /// Hands all that comes until the peer ends its direction to `sink`, like a payload.
    ///
    /// # Errors
    /// The sink's own, or the connection broke or stalled.
    pub fn read_to_end<E: From<Error>>(
        &mut self,
        sink: &mut dyn FnMut(&[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        self.begin_message(Expected::Close)?;
        self.payload = Payload { size: None, left: u64::MAX };
        let (begins, mut came) = (self.input.held().to_vec(), 0);
        self.read_payload(&mut |bytes| {
            came += bytes.len() as u64;
            sink(bytes)
        })?;
        if came > 0 {
            self.stream.note_message(&begins, came, Ending::Stream);
        }
        Ok(())
    }

    /// Waits for the next bytes, as long as the peer keeps the pace. Returns how many have come: 0 only for a payload
    /// without a size, which ends with the stream.
    pub(super) fn read_piece(&mut self, buffer: &mut [u8], pace: &mut Pace) -> Result<usize> {
        let Payload { size, left } = self.payload;
        let expected = Expected::Payload { came: size.unwrap_or(u64::MAX) - left, size };
        let begun = Instant::now();
        // What is right returns from inside the match. What comes out of it is the error.
        let error = match self.read_once(buffer, begun + pace.time_left, expected) {
            Ok(Received::Data(n)) => {
                self.payload.left -= n as u64;
                match pace.check(n as u64, begun.elapsed()) {
                    Ok(()) => return Ok(n),
                    Err(too_slow) => too_slow,
                }
            }
            // Without a size, the end of the stream is the end of the payload.
            Ok(Received::End) if size.is_none() => {
                self.payload.left = 0;
                return Ok(0);
            }
            Ok(Received::End) => ended_early(),
            Ok(Received::Silence) => timed_out(),
            Err(error) => error,
        };
        Err(error.with_partial(b"", expected))
    }

    /// Sends `size` bytes that `source` supplies, the first of them in one write with what was written before: a header
    /// and a small file take one packet.
    ///
    /// # Errors
    /// The source's own, or it supplies too little, or the connection broke or stalled. The peer has then
    /// been promised bytes that will never come: the connection cannot be used after that.
    pub fn write_payload<E: From<Error>>(
        &mut self,
        size: u64,
        source: &mut dyn FnMut(&mut [u8]) -> std::result::Result<usize, E>,
    ) -> std::result::Result<(), E> {
        let mut buffer = std::mem::take(&mut self.output);
        let (mut filled, mut left) = (buffer.len(), size);
        // Longer by what was written before, so that every later read of a file begins at a multiple of
        // the buffer's size, and so of a page: 14 bytes off a page cost a quarter of the rate.
        let most = self.config.payload_buffer.clamp(limits::SMALL_REPLY, PAYLOAD_WRITE);
        buffer.resize(filled + at_most(size, most), 0);
        while left > 0 {
            match source(&mut buffer[filled..]) {
                Ok(n @ 1..) => {
                    left -= n as u64;
                    filled += n;
                }
                failed => {
                    // What was written before, perhaps replies to other commands, still leaves.
                    buffer.truncate(filled);
                    self.output = buffer;
                    self.mark_out_of_step();
                    let shorter =
                        || Error::gone("the file became shorter while it was sent").into();
                    return Err(failed.err().unwrap_or_else(shorter));
                }
            }
            if left > 0 && filled == buffer.len() {
                self.send(&buffer)?;
                buffer.resize(at_most(left, most), 0);
                filled = 0;
            }
        }
        buffer.truncate(filled);
        self.output = buffer;
        if filled < limits::SMALL_REPLY { Ok(()) } else { Ok(self.flush()?) }
    }
}

fn at_most(bytes: u64, buffer: usize) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX).min(buffer)
}
