//! An adversary between a program and its socket: what is said arrives in pieces, joined, late, slowly
//! or not to the end. For a class to watch what a framing survives, and for our own tests.
//!
//! It sits above the tracer, so a trace shows what really went over the wire. What is read is left
//! alone: each side can only force_reset what it says itself.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use crate::wire::stream::{Ending, Stream};

/// What goes wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// At most so many bytes in one write.
    pub slice: Option<usize>,
    /// Writes are held back for so long, and joined.
    pub coalesce: Option<Duration>,
    /// So long a wait before each write.
    pub delay: Option<Duration>,
    /// At most so many bytes a second.
    pub drip: Option<u64>,
    /// The connection is closed after so many bytes.
    pub cut: Option<u64>,
    /// The connection is reset after so many bytes, if the peer says anything within a second; std can
    /// only reset a connection that has something unread. Otherwise it is closed.
    pub reset: Option<u64>,
    /// With this, slices and delays are of random size up to theirs: the same for the same seed.
    pub seed: Option<u64>,
}

impl Faults {
    /// Reads faults as a flag has them: `slice=1,delay=20`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Faults> {
        let mut faults = Faults::default();
        for fault in text.split(',') {
            let (name, digits) = fault.split_once('=')?;
            let n: u64 = if digits.bytes().all(|b| b.is_ascii_digit()) {
                digits.parse().ok()?
            } else {
                return None;
            };
            let some = (n > 0).then_some(n);
            let time = Duration::from_millis(n.min(60_000));
            match name {
                "slice" => faults.slice = Some(some?.try_into().ok()?),
                "coalesce" => faults.coalesce = Some(time),
                "delay" => faults.delay = Some(time),
                "drip" => faults.drip = Some(some?),
                "cut" => faults.cut = Some(n),
                "reset" => faults.reset = Some(n),
                "seed" => faults.seed = Some(n),
                _ => return None,
            }
        }
        Some(faults)
    }
}

/// A stream that stammers.
pub struct Faulty {
    /// Gone after a cut.
    inner: Option<Box<dyn Stream>>,
    faults: Faults,
    random: u64,
    sent: u64,
    held: Vec<u8>,
    since: Instant,
}

impl Faulty {
    /// Puts these faults in front of `inner`.
    #[must_use]
    pub fn new(inner: Box<dyn Stream>, faults: Faults) -> Faulty {
        let random = faults.seed.unwrap_or(0);
        let since = Instant::now();
        Faulty { inner: Some(inner), faults, random, sent: 0, held: Vec::new(), since }
    }

    /// What is held back leaves when its time is up; `now` waits for that.
    fn let_go(&mut self, now: bool) -> io::Result<()> {
        let time = self.faults.coalesce.unwrap_or_default();
        let left = time.saturating_sub(self.since.elapsed());
        if self.held.is_empty() || (!now && !left.is_zero()) {
            return Ok(());
        }
        self.sleep(left);
        let held = std::mem::take(&mut self.held);
        let mut rest = held.as_slice();
        while !rest.is_empty() {
            let n = self.send(rest)?;
            rest = rest.get(n..).unwrap_or_default();
        }
        Ok(())
    }

    /// One write, with all that can go wrong with it.
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let limit = self.faults.cut.into_iter().chain(self.faults.reset).min();
        let allowed = limit.map_or(u64::MAX, |limit| limit.saturating_sub(self.sent));
        if allowed == 0 {
            return Err(self.break_off());
        }
        let mut n = bytes.len().min(usize::try_from(allowed).unwrap_or(usize::MAX));
        if let Some(slice) = self.faults.slice {
            n = n.min(self.up_to(slice.try_into().unwrap_or(u64::MAX)).max(1));
        }
        if let Some(delay) = self.faults.delay {
            let millis = self.up_to(delay.as_millis().try_into().unwrap_or(u64::MAX));
            self.sleep(Duration::from_millis(millis.try_into().unwrap_or(u64::MAX)));
        }
        if let Some(rate) = self.faults.drip {
            // Twenty drops a second, or one byte at a time where that is more.
            n = n.min(usize::try_from(rate / 20).unwrap_or(usize::MAX).max(1));
            let micros = u64::try_from(n).unwrap_or(1).saturating_mul(1_000_000) / rate;
            self.sleep(Duration::from_micros(micros));
        }
        let piece = bytes.get(..n).unwrap_or_default();
        let inner = self.inner.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        let n = inner.write(piece)?;
        self.sent = self.sent.saturating_add(n.try_into().unwrap_or(u64::MAX));
        Ok(n)
    }

    /// Closes the connection in the middle of what we were saying.
    fn break_off(&mut self) -> io::Error {
        if let Some(mut inner) = self.inner.take() {
            let resets = self.faults.reset.is_some_and(|reset| reset <= self.sent);
            if resets {
                inner.force_reset();
            } else {
                let _ = inner.end_writing();
            }
        }
        io::ErrorKind::BrokenPipe.into()
    }

    /// This, or with a seed a random number up to it.
    fn up_to(&mut self, most: u64) -> usize {
        let n = match self.faults.seed {
            None => most,
            Some(_) => {
                self.random = self
                    .random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (self.random >> 33) % most.saturating_add(1)
            }
        };
        usize::try_from(n).unwrap_or(usize::MAX)
    }

    fn sleep(&mut self, time: Duration) {
        if let Some(inner) = self.inner.as_mut().filter(|_| !time.is_zero()) {
            inner.pause(time);
        }
    }
}

impl Read for Faulty {
    /// Before we wait for the peer, it must have what we said.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.let_go(true)?;
        match self.inner.as_mut() {
            Some(inner) => inner.read(into),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Write for Faulty {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.faults.coalesce.is_none() {
            return self.send(bytes);
        }
        self.let_go(false)?;
        if self.held.is_empty() {
            self.since = Instant::now();
        }
        self.held.extend_from_slice(bytes);
        // Held back, but not without end.
        if self.held.len() > crate::limits::PAYLOAD_BUFFER {
            self.let_go(true)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Faulty {
    fn set_read_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        self.inner.as_mut().map_or(Ok(()), |inner| inner.set_read_timeout(timeout))
    }

    fn read_now(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.inner.as_mut().ok_or(io::ErrorKind::BrokenPipe)?.read_now(into)
    }

    fn pause(&mut self, time: Duration) {
        self.sleep(time);
    }

    fn end_writing(&mut self) -> io::Result<()> {
        self.let_go(true)?;
        self.inner.as_mut().map_or(Ok(()), |inner| inner.end_writing())
    }

    fn message(&mut self, bytes: &[u8], length: u64, end: Ending) {
        if let Some(inner) = self.inner.as_mut() {
            inner.message(bytes, length, end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::script::{Script, Written};

    fn faulty(faults: &str) -> (Faulty, Written) {
        let (script, written) = Script::whole("reply");
        (Faulty::new(Box::new(script), Faults::parse(faults).unwrap()), written)
    }

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

    #[test]
    fn slices_are_no_larger_than_said() {
        let (mut stream, written) = faulty("slice=3");
        stream.write_all(b"1234567890").unwrap();
        assert_eq!((written.text().as_str(), written.writes()), ("1234567890", 4));
        let sizes = |seed: u64| {
            let (mut stream, written) = faulty(&format!("slice=30,seed={seed}"));
            stream.write_all(&[b'x'; 1000]).unwrap();
            written.writes()
        };
        assert_eq!(sizes(1), sizes(1));
        assert!(sizes(1) > 34 && sizes(1) != sizes(2));
    }

    #[test]
    fn what_is_held_back_leaves_joined_before_we_wait() {
        let (mut stream, written) = faulty("coalesce=20");
        for piece in ["one ", "two ", "three"] {
            stream.write_all(piece.as_bytes()).unwrap();
        }
        assert_eq!(written.text(), "");
        assert_eq!(stream.read(&mut [0; 9]).unwrap(), 5);
        assert!(written.text().ends_with("one two three"));
        assert_eq!(written.writes(), 1);
        stream.write_all(b"four").unwrap();
        stream.end_writing().unwrap();
        assert!(written.text().ends_with("four<end>"));
    }

    #[test]
    fn a_cut_comes_after_so_many_bytes() {
        for (faults, end) in [("cut=5", "12345<end>"), ("reset=5", "12345"), ("cut=0", "<end>")] {
            let (mut stream, written) = faulty(faults);
            assert!(stream.write_all(b"1234567").is_err());
            assert!(stream.read(&mut [0; 9]).is_err());
            assert_eq!(written.text(), end);
        }
    }
}
