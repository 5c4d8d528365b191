//! How fast a payload has to come: a deadline that no drip can stretch.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::error::{Code, Error, Result};
use crate::limits;

/// Whether a transfer keeps up [`limits::PAYLOAD_RATE`], looked at over the last
/// [`limits::PAYLOAD_WINDOW`]: a timeout on each read alone would be renewed by every byte.
pub(super) struct Pace {
    /// Where the stretch that is looked at begins, and how much had been moved by then.
    begin: (Instant, u64),
    /// The same for moments in it, a second or more apart.
    marks: VecDeque<(Instant, u64)>,
    moved: u64,
}

impl Pace {
    pub(super) fn new() -> Pace {
        Pace { begin: (Instant::now(), 0), marks: VecDeque::new(), moved: 0 }
    }

    pub(super) fn moved(&mut self, n: usize) -> Result<()> {
        self.moved_at(n, Instant::now())
    }

    fn moved_at(&mut self, n: usize, now: Instant) -> Result<()> {
        self.moved = self.moved.saturating_add(n.try_into().unwrap_or(u64::MAX));
        let age = |mark: &(Instant, u64)| now.duration_since(mark.0);
        if age(self.marks.back().unwrap_or(&self.begin)) >= Duration::from_secs(1) {
            self.marks.push_back((now, self.moved));
        }
        while let Some(mark) = self.marks.front().copied()
            && age(&mark) >= limits::PAYLOAD_WINDOW
        {
            self.begin = mark;
            self.marks.pop_front();
        }
        let needed = limits::PAYLOAD_RATE.saturating_mul(limits::PAYLOAD_WINDOW.as_secs());
        let (_, before) = self.begin;
        if age(&self.begin) >= limits::PAYLOAD_WINDOW && self.moved.saturating_sub(before) < needed
        {
            return Err(Error::new(Code::Timeout, "the payload came too slowly").and_close());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drip_does_not_stretch_the_deadline_of_a_payload() {
        let start = Instant::now();
        let seconds = |n| start + Duration::from_secs(n);
        let mut pace = Pace::new();
        for second in 0..30 {
            assert!(pace.moved_at(1, seconds(second)).is_ok(), "{second}");
        }
        assert!(pace.moved_at(1, seconds(31)).is_err());
        // Fast for a minute, then slow: judged by the last half minute, not by the average.
        let mut pace = Pace::new();
        for second in 0..60 {
            pace.moved_at(100_000, seconds(second)).unwrap();
        }
        let gave_up = (60..200).find(|second| pace.moved_at(1, seconds(*second)).is_err());
        assert!((89..=92).contains(&gave_up.unwrap()), "{gave_up:?}");
    }
}
