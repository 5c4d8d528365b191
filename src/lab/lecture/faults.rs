//! A bad network between a program and its socket: what is sent arrives in pieces, joined, late, slowly or
//! not to the end. A class can see which framings survive that, and our own tests use it.
//!
//! It is above the tracer, so a trace shows what really crossed the socket. What is read is not changed: each
//! side can only disturb what it sends itself.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use crate::cli::args;
use crate::lab::random::Random;
use crate::limits;
use crate::wire::stream::{Ending, Stream};

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

/// A stream with these faults.
pub struct Faulty {
    /// `None` after a cut or a reset.
    inner: Option<Box<dyn Stream>>,
    faults: Faults,
    random: Random,
    sent: u64,
    /// The bytes that are held back, and since when.
    held: Vec<u8>,
    since: Instant,
}

impl Faulty {
    /// Puts these faults in front of `inner`.
    pub fn new(inner: Box<dyn Stream>, faults: Faults) -> Faulty {
        let random = Random(faults.seed.unwrap_or(0));
        let since = Instant::now();
        Faulty { inner: Some(inner), faults, random, sent: 0, held: Vec::new(), since }
    }

    fn inner(&mut self) -> io::Result<&mut Box<dyn Stream>> {
        self.inner.as_mut().ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    /// Sends what is held back if its time is up. With `now`, waits until then.
    fn release(&mut self, now: bool) -> io::Result<()> {
        let time = self.faults.coalesce.unwrap_or_default();
        let left = time.saturating_sub(self.since.elapsed());
        if self.held.is_empty() || (!now && !left.is_zero()) {
            return Ok(());
        }
        self.pause(left);
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
        let end = self.faults.cut.into_iter().chain(self.faults.reset).min();
        let allowed = end.map_or(u64::MAX, |end| end - self.sent);
        if allowed == 0 {
            return Err(self.break_off());
        }
        let mut n = (bytes.len() as u64).min(allowed);
        if let Some(slice) = self.faults.slice {
            n = n.min(self.up_to(slice).max(1));
        }
        if let Some(delay) = self.faults.delay {
            let millis = self.up_to(delay);
            self.pause(Duration::from_millis(millis));
        }
        if let Some(rate) = self.faults.drip {
            // Twenty writes a second, or one byte at a time where that is more.
            n = n.min((rate / 20).max(1));
            self.pause(Duration::from_secs_f64(n as f64 / rate as f64));
        }
        let n = usize::try_from(n).unwrap_or(bytes.len());
        let n = self.inner()?.write(bytes.get(..n).unwrap_or(bytes))?;
        self.sent += n as u64;
        Ok(n)
    }

    /// Ends the connection in the middle of a message.
    fn break_off(&mut self) -> io::Error {
        if let Some(mut inner) = self.inner.take() {
            if self.faults.reset.is_some_and(|reset| reset <= self.sent) {
                inner.force_reset();
            } else {
                let _ = inner.end_writing();
            }
        }
        io::ErrorKind::BrokenPipe.into()
    }

    /// `most`, or with a seed a random number up to it.
    fn up_to(&mut self, most: u64) -> u64 {
        if self.faults.seed.is_none() {
            return most;
        }
        self.random.next() % most.saturating_add(1)
    }
}

impl Read for Faulty {
    /// Before a wait for the peer, the peer must have all that was sent.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.release(true)?;
        self.inner()?.read(into)
    }
}

impl Write for Faulty {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.faults.coalesce.is_none() {
            return self.send(bytes);
        }
        self.release(false)?;
        if self.held.is_empty() {
            self.since = Instant::now();
        }
        self.held.extend_from_slice(bytes);
        // What is held back must not grow without limit.
        if self.held.len() > limits::PAYLOAD_BUFFER {
            self.release(true)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Faulty {
    fn limit_wait(&mut self, timeout: Duration) -> io::Result<()> {
        self.inner.as_mut().map_or(Ok(()), |inner| inner.limit_wait(timeout))
    }

    fn read_now(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.inner()?.read_now(into)
    }

    fn pause(&mut self, time: Duration) {
        if let Some(inner) = self.inner.as_mut().filter(|_| !time.is_zero()) {
            inner.pause(time);
        }
    }

    fn end_writing(&mut self) -> io::Result<()> {
        self.release(true)?;
        self.inner.as_mut().map_or(Ok(()), |inner| inner.end_writing())
    }

    fn waits_for_end(&self) -> bool {
        true
    }

    fn note_message(&mut self, bytes: &[u8], length: u64, end: Ending) {
        if let Some(inner) = self.inner.as_mut() {
            inner.note_message(bytes, length, end);
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
    fn slices_are_at_most_as_large_as_given() {
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
    fn what_is_held_back_is_sent_joined_before_a_read() {
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
    fn a_cut_comes_after_that_many_bytes() {
        for (faults, end) in [("cut=5", "12345<end>"), ("reset=5", "12345"), ("cut=0", "<end>")] {
            let (mut stream, written) = faulty(faults);
            assert!(stream.write_all(b"1234567").is_err());
            assert!(stream.read(&mut [0; 9]).is_err());
            assert_eq!(written.text(), end);
        }
    }
}
