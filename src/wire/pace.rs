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
    /// For a peer that sends: [`limits::PAYLOAD_RATE`] over any window.
    pub(super) fn of_a_sender(window: Duration) -> Pace {
        Pace::new(window, limits::PAYLOAD_RATE.saturating_mul(window.as_secs()))
    }

    /// For a peer that reads: [`limits::READER_STEP`], or all that is left, in any window.
    pub(super) fn of_a_reader(window: Duration) -> Pace {
        Pace::new(window, limits::READER_STEP)
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

/// How long the last [`limits::RECEIPT_TAIL`] of a payload took to write.
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
            && self.moved - first >= limits::RECEIPT_TAIL
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

    #[test]
    fn a_drip_does_not_stretch_the_deadline_of_a_payload() {
        let start = Instant::now();
        let seconds = |n| start + Duration::from_secs(n);
        let mut pace = Pace::of_a_sender(limits::PAYLOAD_WINDOW);
        for second in 0..90 {
            assert!(pace.moved_at(1, seconds(second)).is_ok(), "{second}");
        }
        assert!(pace.moved_at(1, seconds(91)).is_err());
        // Fast for two minutes, then slow: judged by the last minute and a half, not by the average.
        let mut pace = Pace::of_a_sender(limits::PAYLOAD_WINDOW);
        for second in 0..120 {
            pace.moved_at(100_000, seconds(second)).unwrap();
        }
        let gave_up = (120..300).find(|second| pace.moved_at(1, seconds(*second)).is_err());
        assert!((209..=212).contains(&gave_up.unwrap()), "{gave_up:?}");
    }

    /// A reader of 2 kB a second was cut: the system takes more for it only every 33 to 65 seconds.
    #[test]
    fn a_slow_reader_is_judged_by_the_steps_in_which_the_system_takes_bytes() {
        let start = Instant::now();
        let seconds = |n| start + Duration::from_secs(n);
        let mut pace = Pace::of_a_reader(limits::READER_WINDOW);
        for step in 1..20 {
            for waited in (0..65).step_by(5) {
                assert!(pace.moved_at(0, seconds((step - 1) * 65 + waited)).is_ok(), "{step}");
            }
            assert!(pace.moved_at(64 << 10, seconds(step * 65)).is_ok(), "{step}");
        }
        let mut pace = Pace::of_a_reader(limits::READER_WINDOW);
        let gave_up = (0..200).find(|n| pace.moved_at(600, seconds(*n)).is_err());
        assert!((90..=92).contains(&gave_up.unwrap()), "{gave_up:?}");
    }
}
