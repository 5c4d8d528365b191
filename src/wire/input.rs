//! What has been read and not yet taken.
#![allow(clippy::indexing_slicing, reason = "`taken` and `searched` are never beyond the end")]

use std::io;

use super::{WireConfig, stream};
use crate::error::{Error, Result};
use crate::limits;

/// What one read brought.
pub(super) enum Came {
    Data,
    Silence,
    End,
}

#[derive(Default)]
pub(super) struct Input {
    pub(super) bytes: Vec<u8>,
    /// How many of these bytes have been taken.
    taken: usize,
    /// A read has brought all that it asked for. So this peer sends more at a time, perhaps a small file
    /// with its size.
    large_reads: bool,
    /// The peer has ended its direction.
    pub(super) ended: bool,
    /// How many bytes were searched for a mark.
    #[cfg(test)]
    pub(super) searched: std::cell::Cell<usize>,
}

impl Input {
    pub(super) fn held(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// Takes `n` bytes, or all if there are fewer.
    pub(super) fn take(&mut self, n: usize) -> Vec<u8> {
        let piece = self.held()[..n.min(self.held().len())].to_vec();
        self.skip(piece.len());
        piece
    }

    /// Drops `n` bytes. The buffer is given back when it is empty.
    pub(super) fn skip(&mut self, n: usize) {
        self.taken += n;
        if self.taken >= self.bytes.len() {
            self.bytes = Vec::new();
            self.taken = 0;
        }
    }

    /// Returns the position of `mark`. The first `searched` bytes are known not to have its beginning.
    pub(super) fn find(&self, mark: &[u8], searched: usize) -> Option<usize> {
        let fresh = &self.held()[searched..];
        #[cfg(test)]
        self.searched.set(self.searched.get() + fresh.len());
        let at = match mark {
            [mark] => fresh.iter().position(|byte| byte == mark),
            _ => fresh.windows(mark.len()).position(|window| window == mark),
        };
        at.map(|at| searched + at)
    }

    /// Adds what one read brings. A read asks for more once one has brought all that it asked for.
    pub(super) fn fill(
        &mut self,
        config: &WireConfig,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> Result<Came> {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        let large = limits::FULL_READ.min(config.payload_buffer);
        let most = if self.large_reads { config.buffer.max(large) } else { config.buffer };
        // On the stack if it is small, so that a connection that only waits holds none.
        let (mut small, mut large);
        let buffer = if most <= limits::BUFFER_SIZE {
            small = [0; limits::BUFFER_SIZE];
            &mut small[..most]
        } else {
            large = vec![0; most];
            &mut large[..]
        };
        match read(buffer) {
            Ok(n) => {
                self.bytes.extend_from_slice(&buffer[..n]);
                self.ended = n == 0;
                self.large_reads |= n == most;
                Ok(if n == 0 { Came::End } else { Came::Data })
            }
            Err(error) if stream::is_silence(&error) => Ok(Came::Silence),
            Err(error) => Err(Error::connection(&error)),
        }
    }
}
