//! Payloads: exactly as many bytes as were announced, or all until the end of the stream.
//!
//! They stream through a buffer that exists for the transfer only. Both ways a payload has a pace to
//! keep, and what is left of one that nobody wants stays owed until [`Wire::settle`].

use super::pace::Pace;
use super::waiting::Wait;
use super::{Brought, Wire, ended, is_silence, length, read};
use crate::error::{Awaited, Code, Error, Result};
use crate::limits;
use crate::wire::stream::Ending;

impl Wire {
    /// From now on the peer owes us this many bytes, and nothing else is read before them.
    pub fn expect_payload(&mut self, size: u64) {
        self.owed = size;
        self.announced = size;
    }

    /// Takes the announced payload off the wire, piece by piece, each handed to `sink`. What is
    /// left when `sink` fails stays owed: see [`Wire::settle`].
    ///
    /// # Errors
    /// The sink's own, or the connection ended or stalled before all of it had come.
    pub fn read_payload(&mut self, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let already = usize::try_from(self.owed).unwrap_or(usize::MAX).min(self.buffered().len());
        if already > 0 {
            let piece = self.take(already);
            self.owed = self.owed.saturating_sub(length(&piece));
            sink(&piece)?;
        }
        if self.owed == 0 {
            self.complete_payload();
            return Ok(());
        }
        self.flush()?;
        let mut pace = Pace::of_a_sender();
        let most = usize::try_from(self.owed).unwrap_or(usize::MAX);
        let mut buffer = vec![0; most.min(self.config.payload_buffer)];
        while self.owed > 0 {
            let want = usize::try_from(self.owed).unwrap_or(usize::MAX).min(buffer.len());
            let space = buffer.get_mut(..want).unwrap_or_default();
            let wanted = self.rest_of_payload();
            let n = match self.read_piece(space, wanted) {
                Ok(0) => {
                    self.ended = true;
                    return Err(self.payload_stopped(ended()));
                }
                Ok(n) => n,
                Err(error) => return Err(self.payload_stopped(error)),
            };
            let piece = space.get(..n).unwrap_or_default();
            self.owed = self.owed.saturating_sub(length(piece));
            pace.moved(n).map_err(|error| self.payload_stopped(error))?;
            sink(piece)?;
        }
        self.complete_payload();
        Ok(())
    }

    /// Makes up for a payload that nobody wants: takes what is still owed off the wire, if it is
    /// little, and says whether the two sides are in step again. If not, close after the reply.
    ///
    /// # Errors
    /// The connection ended or stalled.
    pub fn settle(&mut self) -> Result<bool> {
        if self.owed > limits::DRAIN {
            return Ok(false);
        }
        self.read_payload(&mut |_| Ok(()))?;
        Ok(true)
    }

    /// Hands all that comes until the peer ends its direction to `sink`, piece by piece, at the pace
    /// of a payload.
    ///
    /// # Errors
    /// The sink's own, or the connection broke or stalled.
    pub fn read_to_end(&mut self, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.must_owe_nothing()?;
        let held = self.take(usize::MAX);
        sink(&held)?;
        self.flush()?;
        let mut pace = Pace::of_a_sender();
        let mut buffer = vec![0; self.config.payload_buffer];
        let mut all = length(&held);
        while !self.ended {
            let wanted = Awaited::Payload { came: all, size: None };
            let read = self.read_piece(&mut buffer, wanted);
            let n = read.map_err(|error| error.waiting(b"", wanted))?;
            self.ended = n == 0;
            pace.moved(n)?;
            all = all.saturating_add(n.try_into().unwrap_or(u64::MAX));
            sink(buffer.get(..n).unwrap_or_default())?;
        }
        if all > 0 {
            self.stream.message(&held, all, Ending::Stream);
        }
        Ok(())
    }

    /// Reads a message that ends with the stream. Of one that is longer than `most` it gives the
    /// beginning, a little longer than `most`.
    ///
    /// # Errors
    /// The connection broke, or the end does not come in time.
    pub fn read_to_close(&mut self, most: usize) -> Result<Vec<u8>> {
        self.must_owe_nothing()?;
        let mut wait = Wait::new(Awaited::Close);
        while self.buffered().len() <= most {
            match self.fill(&mut wait)? {
                Brought::Bytes => {}
                Brought::Silence => return Err(self.silent(&wait)),
                Brought::End => break,
            }
        }
        let bytes = self.take(usize::MAX);
        if !bytes.is_empty() {
            self.complete(&bytes, 0, Ending::Stream);
        }
        Ok(bytes)
    }

    /// Sends `size` bytes that `source` supplies, the first of them in one write with what was said
    /// before: a header that travels alone would be answered by a delayed acknowledgement, and the
    /// payload behind it would wait for that.
    ///
    /// # Errors
    /// The source's own, or it supplies too little, or the connection broke or stalled. The peer
    /// has then been promised bytes that will never come: the connection cannot go on.
    pub fn write_payload(
        &mut self,
        size: u64,
        source: &mut dyn FnMut(&mut [u8]) -> Result<usize>,
    ) -> Result<()> {
        let mut left = size;
        let mut pace = Pace::of_a_reader();
        let mut buffer = std::mem::take(&mut self.output);
        let mut filled = buffer.len();
        // Longer by what was said before, so that every later read of a file begins at a multiple of the
        // buffer's size, and so of a page: 14 bytes off a page cost a quarter of the rate.
        let piece = self.config.payload_buffer.max(limits::SMALL_REPLY);
        let most = usize::try_from(size).unwrap_or(usize::MAX).min(piece);
        buffer.resize(filled.saturating_add(most), 0);
        while left > 0 {
            let room = buffer.get_mut(filled..).unwrap_or_default();
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(room.len());
            let supplied = match source(room.get_mut(..want).unwrap_or_default()) {
                Ok(0) => {
                    let sentence = "the file became shorter while it was sent";
                    Err(Error::new(Code::Gone, sentence))
                }
                Ok(n) => Ok(n),
                Err(error) => Err(error.and_close()),
            };
            let n = match supplied {
                Ok(n) => n,
                Err(error) => {
                    // What was said before, replies to other commands perhaps, still leaves.
                    buffer.truncate(filled);
                    self.output = buffer;
                    return Err(error);
                }
            };
            left = left.saturating_sub(n.try_into().unwrap_or(u64::MAX));
            filled = filled.saturating_add(n);
            if left > 0 && filled == buffer.len() {
                self.send(&buffer, &mut pace)?;
                filled = 0;
                buffer.truncate(piece);
            }
        }
        buffer.truncate(filled);
        if buffer.len() < limits::SMALL_REPLY {
            // No large buffer stays with the connection.
            buffer.shrink_to(limits::SMALL_REPLY);
            self.output = buffer;
            return Ok(());
        }
        self.send(&buffer, &mut pace)
    }

    /// One read of a payload. If nothing comes for [`limits::NOTICE_TIME`], the notice is given, and the wait
    /// begins again. The stream is told how long to wait once, and not for each read.
    fn read_piece(&mut self, into: &mut [u8], wanted: Awaited) -> Result<usize> {
        if self.notice.is_some() {
            self.set_read_timeout(limits::NOTICE_TIME)?;
            match read(&mut *self.stream, into) {
                Err(error) if is_silence(&error) => self.give_notice(wanted),
                brought => return brought.map_err(|error| Error::connection(&error)),
            }
        }
        self.set_read_timeout(limits::PAYLOAD_WINDOW)?;
        read(&mut *self.stream, into).map_err(|error| Error::connection(&error))
    }

    fn rest_of_payload(&self) -> Awaited {
        let (size, came) = (self.announced, self.announced.saturating_sub(self.owed));
        Awaited::Payload { came, size: Some(size) }
    }

    /// Adds how much of the payload had come.
    fn payload_stopped(&self, error: Error) -> Error {
        error.waiting(b"", self.rest_of_payload())
    }

    fn complete_payload(&mut self) {
        let announced = std::mem::take(&mut self.announced);
        if announced > 0 {
            self.stream.message(&[], announced, Ending::Size);
        }
    }
}
