//! What has been read and not yet taken.
#![allow(clippy::indexing_slicing, reason = "`taken` and `searched` are never beyond the end")]

use std::time::Instant;

use super::{Came, Wire, WireConfig};
use crate::error::Result;
use crate::limits;

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

    /// Adds what has come.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }
}

impl Wire {
    /// Adds what one read brings to what has come of the message. A read asks for more once one has brought all that it
    /// asked for.
    pub(super) fn fill(&mut self, until: Instant) -> Result<Came> {
        if self.input.ended {
            return Ok(Came::End);
        }
        let WireConfig { buffer: size, payload_buffer, .. } = *self.config;
        let large_size = size.max(limits::FULL_READ.min(payload_buffer));
        let most = if self.input.large_reads { large_size } else { size };
        // A small buffer is on the stack, so that a connection that only waits holds none on the heap.
        let (mut on_stack, mut on_heap);
        let buffer = if most <= limits::BUFFER_SIZE {
            on_stack = [0; limits::BUFFER_SIZE];
            &mut on_stack[..most]
        } else {
            on_heap = vec![0; most];
            &mut on_heap[..]
        };
        let came = self.read_once(buffer, until, self.reading.expected)?;
        if let Came::Data(n) = came {
            self.input.add(&buffer[..n]);
            self.input.large_reads |= n == most;
        }
        Ok(came)
    }
}
