//! How fast a payload or a list has to move: a deadline that a peer cannot extend by sending slowly.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::error::{Code, Error, Result};
use crate::limits;

/// After an upload, the client waits for the receipt longer by twice the time that its last bytes took to
/// write, this many. They can all be on their way when the last one has been written.
const RECEIPT_TAIL: u64 = 8 << 20;

/// Checks that a transfer moves enough in any period of a certain length. A timeout on each read alone would start
/// again with every byte. Its clock runs only while the peer is waited for: a stall of our own disk is not the
/// peer's.
pub(super) struct Pace {
    window: Duration,
    /// How much has to move in it.
    least: u64,
    clock: Duration,
    moved: u64,
    /// When the period that is checked began, and how much had moved by then.
    begin: (Duration, u64),
    /// Moments within it, a second or more apart, and how much had moved by then.
    marks: VecDeque<(Duration, u64)>,
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

    /// For a list: the same in any [`limits::LIST_WINDOW`].
    pub(super) fn of_a_list() -> Pace {
        Pace::new(limits::LIST_WINDOW, limits::READER_STEP)
    }

    fn new(window: Duration, least: u64) -> Pace {
        let (clock, begin) = (Duration::ZERO, (Duration::ZERO, 0));
        Pace { window, least, clock, moved: 0, begin, marks: VecDeque::new() }
    }

    /// Notes that this much has moved after this wait.
    pub(super) fn moved(&mut self, n: u64, waited: Duration) -> Result<()> {
        self.moved = self.moved.saturating_add(n);
        self.clock += waited;
        let age = |mark: &(Duration, u64)| self.clock.saturating_sub(mark.0);
        if age(self.marks.back().unwrap_or(&self.begin)) >= Duration::from_secs(1) {
            self.marks.push_back((self.clock, self.moved));
        }
        while let Some(mark) = self.marks.front().copied()
            && age(&mark) >= self.window
        {
            self.begin = mark;
            self.marks.pop_front();
        }
        if age(&self.begin) >= self.window && self.moved.saturating_sub(self.begin.1) < self.least {
            return Err(Error::new(Code::Timeout, "too slow").and_close());
        }
        Ok(())
    }
}

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

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_drip_does_not_stretch_the_deadline_of_a_payload() {
        let mut pace = Pace::of_a_sender();
        for second in 1..90 {
            assert!(pace.moved(1, SECOND).is_ok(), "{second}");
        }
        assert!(pace.moved(1, SECOND).is_err());
        // Fast for two minutes, then slow: judged by the last minute and a half, not by the average.
        let mut pace = Pace::of_a_sender();
        (0..120).for_each(|_| pace.moved(100_000, SECOND).unwrap());
        let gave_up = (0..300).find(|_| pace.moved(1, SECOND).is_err());
        assert!((87..=91).contains(&gave_up.unwrap()), "{gave_up:?}");
    }

    /// A reader of 2 kB a second was cut: the system takes more for it only every 33 to 65 seconds.
    #[test]
    fn a_slow_reader_is_judged_by_the_steps_in_which_the_system_takes_bytes() {
        let mut pace = Pace::of_a_reader();
        for step in 1..20 {
            assert!((0..12).all(|_| pace.moved(0, SECOND * 5).is_ok()), "{step}");
            assert!(pace.moved(64 << 10, SECOND * 5).is_ok(), "{step}");
        }
        let mut pace = Pace::of_a_reader();
        let gave_up = (0..200).find(|_| pace.moved(600, SECOND).is_err());
        assert!((88..=91).contains(&gave_up.unwrap()), "{gave_up:?}");
    }

    /// A disk that stood still for two minutes ended the upload that it was written for.
    #[test]
    fn only_the_time_that_the_peer_is_waited_for_counts() {
        let mut pace = Pace::of_a_sender();
        // As many moves as one likes at once: each is followed by a stall of the disk.
        assert!((0..1000).all(|_| pace.moved(1, Duration::from_millis(80)).is_ok()));
        assert!((0..200).any(|_| pace.moved(1, Duration::from_millis(80)).is_err()));
    }
}
