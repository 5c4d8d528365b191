//! A bad network between a program and its socket: what is sent arrives in pieces, joined, late, slowly or
//! not to the end. A class can see which framings survive that, and our own tests use it.
//!
//! What is read is not changed: each side can only disturb what it sends itself.

use std::time::Duration;

use crate::cli::args;

/// What goes wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// One write moves at most this many bytes.
    pub slice: Option<u64>,
    /// Writes are held back for this time, and joined.
    pub coalesce: Option<Duration>,
    /// The wait before each write, in milliseconds.
    pub delay: Option<u64>,
    /// At most this many bytes are sent in a second.
    pub drip: Option<u64>,
    /// The connection is closed after this many bytes.
    pub cut: Option<u64>,
    /// The connection is reset after this many bytes, if the peer sends anything within a second: the standard
    /// library can only reset a connection that has unread bytes. Otherwise it is closed.
    pub reset: Option<u64>,
    /// Makes slices and delays random, up to their value. The same seed gives the same run.
    pub seed: Option<u64>,
}

impl Faults {
    /// Reads faults as a flag has them: `slice=1,delay=20`.
    pub fn parse(text: &str) -> Option<Faults> {
        let mut faults = Faults::default();
        for fault in text.split(',') {
            let (name, digits) = fault.split_once('=')?;
            let n = args::digits(digits)?;
            let positive = (n > 0).then_some(n);
            let millis = n.min(60_000);
            match name {
                "slice" => faults.slice = Some(positive?),
                "coalesce" => faults.coalesce = Some(Duration::from_millis(millis)),
                "delay" => faults.delay = Some(millis),
                "drip" => faults.drip = Some(positive?),
                "cut" => faults.cut = Some(n),
                "reset" => faults.reset = Some(n),
                "seed" => faults.seed = Some(n),
                _ => return None,
            }
        }
        Some(faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read() {
        let faults =
            Faults::parse("slice=3,coalesce=20,delay=1,drip=100,cut=5,reset=6,seed=7").unwrap();
        assert_eq!((faults.slice, faults.drip, faults.cut), (Some(3), Some(100), Some(5)));
        assert_eq!((faults.reset, faults.seed), (Some(6), Some(7)));
        for wrong in [
            "", "slice", "slice=0", "slice=x", "slice=-1", "drip=0", "other=1", "slice=1,",
            "cut=+1",
        ] {
            assert_eq!(Faults::parse(wrong), None, "{wrong}");
        }
    }
}
