//! How fast a payload or a list has to move: a deadline that a peer cannot extend by sending slowly.

use std::time::Duration;

use crate::error::{Code, Error, Result};

/// Checks that a transfer moves enough. A timeout on each read alone would start again with every byte. Its clock runs
/// only while the peer is waited for: a stall of our own disk is not the peer's.
pub(super) struct Pace {
    /// At least this many bytes have to move in each window of waiting.
    step: u64,
    window: Duration,
    /// What has moved in the present window.
    moved: u64,
    /// How long the peer may still be waited for in it.
    pub(super) time_left: Duration,
}

impl Pace {
    /// For a peer that has to move this much in any window.
    pub(super) fn new(window: Duration, step: u64) -> Pace {
        Pace { step, window, moved: 0, time_left: window }
    }

    /// Adds what has moved after this wait.
    ///
    /// # Errors
    /// The peer is too slow: that ends the connection.
    pub(super) fn check(&mut self, n: u64, waited: Duration) -> Result<()> {
        self.moved = self.moved.saturating_add(n);
        self.time_left = self.time_left.saturating_sub(waited);
        if self.moved >= self.step {
            (self.moved, self.time_left) = (0, self.window);
        } else if self.time_left.is_zero() {
            return Err(Error::new(Code::Timeout, "too slow").and_close());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{PAYLOAD_STEP, PAYLOAD_WINDOW, READER_STEP, READER_WINDOW};

    const SECOND: Duration = Duration::from_secs(1);

    fn sender() -> Pace {
        Pace::new(PAYLOAD_WINDOW, PAYLOAD_STEP)
    }

    fn reader() -> Pace {
        Pace::new(READER_WINDOW, READER_STEP)
    }

    #[test]
    fn a_drip_does_not_stretch_the_deadline_of_a_payload() {
        let mut pace = sender();
        for second in 1..90 {
            assert!(pace.check(1, SECOND).is_ok(), "{second}");
        }
        assert!(pace.check(1, SECOND).is_err());
        // Fast for two minutes, then slow: judged by the last minute and a half, not by the average.
        let mut pace = sender();
        (0..120).for_each(|_| pace.check(100_000, SECOND).unwrap());
        let gave_up = (0..300).find(|_| pace.check(1, SECOND).is_err());
        assert!((87..=91).contains(&gave_up.unwrap()), "{gave_up:?}");
    }

    /// A reader of 2 kB a second was cut: the system takes more for it only every 33 to 65 seconds.
    #[test]
    fn a_slow_reader_is_judged_by_the_steps_in_which_the_system_takes_bytes() {
        let mut pace = reader();
        for step in 1..20 {
            assert!((0..12).all(|_| pace.check(0, SECOND * 5).is_ok()), "{step}");
            assert!(pace.check(64 << 10, SECOND * 5).is_ok(), "{step}");
        }
        let mut pace = reader();
        let gave_up = (0..200).find(|_| pace.check(600, SECOND).is_err());
        assert!((88..=91).contains(&gave_up.unwrap()), "{gave_up:?}");
    }

    /// A disk that stood still for two minutes ended the upload that it was written for.
    #[test]
    fn only_the_time_that_the_peer_is_waited_for_counts() {
        let mut pace = sender();
        // As many moves as one likes at once: each is followed by a stall of the disk.
        assert!((0..1000).all(|_| pace.check(1, Duration::from_millis(80)).is_ok()));
        assert!((0..200).any(|_| pace.check(1, Duration::from_millis(80)).is_err()));
    }
}
