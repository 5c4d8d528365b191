//! How fast a payload has to move: a deadline that a peer cannot extend by sending slowly.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::error::{Code, Error, Result};
use crate::limits;

/// Checks that a transfer moves enough in any period of a certain length. A timeout on each read alone
/// would start again with every byte.
pub(super) struct Pace {
    window: Duration,
    /// How much has to move in it.
    least: u64,
    /// When the period that is checked began, and how much had moved by then.
    begin: (Instant, u64),
    /// Moments within it, a second or more apart, and how much had moved by then.
    marks: VecDeque<(Instant, u64)>,
    moved: u64,
}

impl Pace {
    /// For a peer that sends: [`limits::PAYLOAD_RATE`] over any [`limits::PAYLOAD_WINDOW`].
    pub(super) fn of_a_sender() -> Pace {
        let least = limits::PAYLOAD_RATE.saturating_mul(limits::PAYLOAD_WINDOW.as_secs());
        Pace::new(limits::PAYLOAD_WINDOW, least)
    }

    /// For a peer that reads: [`limits::READER_STEP`], or all that is left, in any
    /// [`limits::READER_WINDOW`].
    pub(super) fn of_a_reader() -> Pace {
        Pace::new(limits::READER_WINDOW, limits::READER_STEP)
    }

    fn new(window: Duration, least: u64) -> Pace {
        let begin = (Instant::now(), 0);
        Pace { window, least, begin, marks: VecDeque::new(), moved: 0 }
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
            && age(&mark) >= self.window
        {
            self.begin = mark;
            self.marks.pop_front();
        }
        let (_, before) = self.begin;
        if age(&self.begin) >= self.window && self.moved.saturating_sub(before) < self.least {
            return Err(Error::new(Code::Timeout, "too slow").and_close());
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
        let mut pace = Pace::of_a_sender();
        for second in 0..30 {
            assert!(pace.moved_at(1, seconds(second)).is_ok(), "{second}");
        }
        assert!(pace.moved_at(1, seconds(31)).is_err());
        // Fast for a minute, then slow: judged by the last half minute, not by the average.
        let mut pace = Pace::of_a_sender();
        for second in 0..60 {
            pace.moved_at(100_000, seconds(second)).unwrap();
        }
        let gave_up = (60..200).find(|second| pace.moved_at(1, seconds(*second)).is_err());
        assert!((89..=92).contains(&gave_up.unwrap()), "{gave_up:?}");
    }

    /// A reader of 2 kB a second was cut: the system takes more for it only every 33 to 65 seconds.
    #[test]
    fn a_slow_reader_is_judged_by_the_steps_in_which_the_system_takes_bytes() {
        let start = Instant::now();
        let seconds = |n| start + Duration::from_secs(n);
        let mut pace = Pace::of_a_reader();
        for step in 1..20 {
            for waited in (0..65).step_by(5) {
                assert!(pace.moved_at(0, seconds((step - 1) * 65 + waited)).is_ok(), "{step}");
            }
            assert!(pace.moved_at(64 << 10, seconds(step * 65)).is_ok(), "{step}");
        }
        let mut pace = Pace::of_a_reader();
        let gave_up = (0..200).find(|n| pace.moved_at(600, seconds(*n)).is_err());
        assert!((90..=92).contains(&gave_up.unwrap()), "{gave_up:?}");
    }
}
