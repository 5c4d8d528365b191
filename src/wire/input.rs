//! What has been read and not yet taken.
#![allow(clippy::indexing_slicing, reason = "no index is beyond what was read")]

use std::collections::VecDeque;
use std::time::Instant;

use super::{Received, Wire};
use crate::error::Result;
use crate::limits;

pub(super) struct Input {
    /// In one piece.
    pub(super) bytes: VecDeque<u8>,
    /// The mark that ends the message does not begin before this position. Each message begins with 0.
    pub(super) searched: usize,
    /// A read has brought all that it asked for. So this peer sends more at a time, perhaps a small file
    /// with its size.
    pub(super) large_reads: bool,
    /// The peer has ended its direction.
    pub(super) ended: bool,
}

impl Input {
    /// Nothing has been read.
    pub(super) const NONE: Input =
        Input { bytes: VecDeque::new(), searched: 0, large_reads: false, ended: false };

    /// What has been read and not yet taken. It is one slice, because `add` keeps the buffer in one piece.
    pub(super) fn held(&self) -> &[u8] {
        self.bytes.as_slices().0
    }

    /// Drops `n` bytes. The buffer is given back when it is empty.
    pub(super) fn skip(&mut self, n: usize) {
        self.bytes.drain(..n);
        if self.bytes.is_empty() {
            self.bytes = VecDeque::new();
        }
    }

    /// Returns the position of `mark`. What was searched is not searched again.
    pub(super) fn find(&mut self, mark: &[u8]) -> Option<usize> {
        let fresh = &self.held()[self.searched..];
        let at = match mark {
            [mark] => fresh.iter().position(|byte| byte == mark),
            _ => fresh.windows(mark.len()).position(|window| window == mark),
        };
        let found = at.map(|at| self.searched + at);
        // The mark may have begun.
        self.searched = (self.bytes.len() + 1).saturating_sub(mark.len());
        found
    }

    /// Adds what has come.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.bytes.make_contiguous();
    }
}

impl Wire {
    /// Makes one read, and adds what it brings to what has come. After a read that has filled its buffer, the next ones have
    /// a larger one.
    pub(super) fn fill(&mut self, until: Instant) -> Result<Received> {
        let most =
            if self.input.large_reads { self.config.large_buffer } else { self.config.buffer };
        // A small buffer is on the stack, so that a connection that only waits holds none on the heap. Only one of the two
        // gets a value.
        let (mut on_stack, mut on_heap);
        let buffer = if most <= limits::BUFFER_SIZE {
            on_stack = [0; limits::BUFFER_SIZE];
            &mut on_stack[..most]
        } else {
            on_heap = vec![0; most];
            &mut on_heap[..]
        };
        let came = self.read_once(buffer, until, self.reading.expected)?;
        if let Received::Data(n) = came {
            self.input.add(&buffer[..n]);
            self.input.large_reads |= n == most;
        }
        Ok(came)
    }
}
