//! How long the end of an upload took: the receipt may be late by as much, because the last bytes can all be on their
//! way when the last one has been written.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How many of the last bytes of a payload can be on their way when all of it has been written.
const RECEIPT_TAIL: u64 = 8 << 20;

/// How long the last [`RECEIPT_TAIL`] of a payload took to write.
#[derive(Default)]
pub(super) struct Tail {
    /// When each of the last writes began, and how many bytes it moved.
    writes: VecDeque<(Instant, u64)>,
    moved: u64,
}

impl Tail {
    pub(super) fn wrote(&mut self, begun: Instant, n: usize) {
        self.moved += n as u64;
        self.writes.push_back((begun, n as u64));
        while let Some((_, first)) = self.writes.front()
            && self.moved - first >= RECEIPT_TAIL
        {
            self.moved -= first;
            self.writes.pop_front();
        }
    }

    /// The time since the first of them began.
    pub(super) fn time(&self) -> Duration {
        self.writes.front().map_or(Duration::ZERO, |(begun, _)| begun.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_bytes_of_a_payload_count_for_its_receipt() {
        let ago = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        let mut tail = Tail::default();
        assert_eq!(tail.time(), Duration::ZERO);
        tail.wrote(ago(500), 1 << 20);
        assert_eq!(tail.time().as_secs(), 500);
        for second in 1..=8 {
            tail.wrote(ago(100 - second), 1 << 20);
        }
        assert_eq!(tail.time().as_secs(), 99);
        tail.wrote(ago(1), 64 << 20);
        assert_eq!(tail.time().as_secs(), 1);
    }
}
