//! The stream between a wire and its socket: what is sent goes through the [faults](Faults), and then every call on the
//! socket is reported to the observers. So they see what really crosses it.

use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::time::{Duration, Instant};

use super::faults::Faults;
use super::kernel::Watch;
use super::trace::{Event, Observer};
use crate::lab::random::Random;
use crate::limits;
use crate::wire::stream::{Ending, Stream, is_silence};

/// A stream with faults, whose calls are reported.
pub(super) struct Instrumented {
    /// `None` after a cut or a reset.
    inner: Option<Box<dyn Stream>>,
    observers: Vec<Box<dyn Observer>>,
    kernel: Option<Watch>,
    /// What has come already of a message that is read in parts: its first bytes, and its length.
    parts: (Vec<u8>, u64),
    faults: Faults,
    random: Random,
    sent: u64,
    /// The bytes that are held back, and since when.
    held: Vec<u8>,
    since: Instant,
}

impl Instrumented {
    /// Puts these between a wire and `inner`. With `kernel`, reports what the kernel says too: now, after each call, and
    /// after the close.
    pub(super) fn new(
        inner: Box<dyn Stream>,
        observers: Vec<Box<dyn Observer>>,
        kernel: Option<Watch>,
        faults: Faults,
    ) -> Instrumented {
        let (inner, random) = (Some(inner), Random(faults.seed.unwrap_or(0)));
        let (parts, held, since) = (Default::default(), Vec::new(), Instant::now());
        let sent = 0;
        let mut new =
            Instrumented { inner, observers, kernel, parts, faults, random, sent, held, since };
        new.ask_kernel();
        new
    }

    fn tell(&mut self, event: Event<&[u8]>, began: Instant) {
        let took = began.elapsed();
        self.observers.iter_mut().for_each(|observer| observer.see(event, took));
        // A message is not a call.
        if !matches!(event, Event::Message(..) | Event::Kernel(_)) {
            self.ask_kernel();
        }
    }

    fn ask_kernel(&mut self) {
        let rows: Vec<_> = self.kernel.iter_mut().flat_map(Watch::look).collect();
        for row in rows {
            self.tell(Event::Kernel(row), Instant::now());
        }
    }

    fn inner(&mut self) -> io::Result<&mut Box<dyn Stream>> {
        self.inner.as_mut().ok_or_else(|| ErrorKind::BrokenPipe.into())
    }

    /// Reports a call: `moved` if it succeeded, else why it failed.
    fn tell_outcome(&mut self, outcome: &io::Result<usize>, moved: Event<&[u8]>, began: Instant) {
        match outcome {
            Ok(_) => self.tell(moved, began),
            Err(error) if is_silence(error) => self.tell(Event::Silence, began),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => self.tell(Event::Reset, began),
        }
    }

    fn tell_read(&mut self, outcome: &io::Result<usize>, into: &[u8], began: Instant) {
        let event = match outcome {
            Ok(n @ 1..) => Event::Read(into.get(..*n).unwrap_or(into)),
            _ => Event::End,
        };
        self.tell_outcome(outcome, event, began);
    }

    /// Sends what is held back if its time is up. With `now`, waits until then.
    fn release(&mut self, now: bool) -> io::Result<()> {
        let time = self.faults.coalesce.unwrap_or_default();
        let left = time.saturating_sub(self.since.elapsed());
        if self.held.is_empty() || (!now && !left.is_zero()) {
            return Ok(());
        }
        self.pause(left);
        let held = mem::take(&mut self.held);
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
        let bytes = bytes.get(..n).unwrap_or(bytes);
        let began = Instant::now();
        let outcome = self.inner()?.write(bytes);
        let taken = outcome.as_ref().map_or(0, |n| *n);
        self.tell_outcome(&outcome, Event::Wrote(bytes.get(..taken).unwrap_or(bytes)), began);
        self.sent += taken as u64;
        outcome
    }

    /// Ends the connection in the middle of a message.
    fn break_off(&mut self) -> io::Error {
        if self.faults.reset.is_some_and(|reset| reset <= self.sent) {
            self.force_reset();
        } else {
            let _ = self.end_writing();
        }
        self.close();
        ErrorKind::BrokenPipe.into()
    }

    /// Closes the socket, and asks the kernel once more.
    fn close(&mut self) {
        self.inner = None;
        self.ask_kernel();
    }

    /// `most`, or with a seed a random number up to it.
    fn up_to(&mut self, most: u64) -> u64 {
        if self.faults.seed.is_none() {
            return most;
        }
        self.random.next() % most.saturating_add(1)
    }
}

impl Drop for Instrumented {
    fn drop(&mut self) {
        self.close();
    }
}

impl Read for Instrumented {
    /// Before a wait for the peer, the peer must have all that was sent.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.release(true)?;
        let began = Instant::now();
        let outcome = self.inner()?.read(into);
        self.tell_read(&outcome, into, began);
        outcome
    }
}

impl Write for Instrumented {
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

impl Stream for Instrumented {
    fn limit_wait(&mut self, timeout: Duration) -> io::Result<()> {
        self.inner.as_mut().map_or(Ok(()), |inner| inner.limit_wait(timeout))
    }

    /// Reports what was read. A read that finds nothing is not reported, because it did not wait.
    fn read_now(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let began = Instant::now();
        let outcome = self.inner()?.read_now(into);
        if !outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
            self.tell_read(&outcome, into, began);
        }
        outcome
    }

    fn pause(&mut self, time: Duration) {
        if let Some(inner) = self.inner.as_mut().filter(|_| !time.is_zero()) {
            inner.pause(time);
        }
    }

    fn end_writing(&mut self) -> io::Result<()> {
        self.release(true)?;
        let began = Instant::now();
        let Some(inner) = &mut self.inner else { return Ok(()) };
        let ended = inner.end_writing();
        match &ended {
            Ok(()) => self.tell(Event::Ended, began),
            // What the peer has reset is not connected any more.
            Err(error) if error.kind() == ErrorKind::NotConnected => {
                self.tell(Event::Reset, began);
            }
            Err(_) => {}
        }
        ended
    }

    fn waits_for_end(&self) -> bool {
        true
    }

    fn force_reset(&mut self) -> bool {
        let began = Instant::now();
        let Some(inner) = &mut self.inner else { return false };
        let resets = inner.force_reset();
        self.tell(if resets { Event::OurReset } else { Event::Ended }, began);
        resets
    }

    fn note_message(&mut self, bytes: &[u8], length: u64, end: Ending) {
        let (first_bytes, parts_length) = &mut self.parts;
        if first_bytes.len() < limits::SHOWN {
            first_bytes.extend_from_slice(bytes);
        }
        *parts_length += length;
        if end == Ending::Part {
            return;
        }
        let (message, length) = mem::take(&mut self.parts);
        self.tell(Event::Message(&message, length, end), Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::trace::{Side, draw, room};
    use super::*;
    use crate::wire::script::{Script, Step, Written};
    use crate::wire::{Wire, WireConfig};

    #[derive(Clone)]
    struct Lines(Side, Arc<Mutex<String>>);

    impl Observer for Lines {
        fn see(&mut self, event: Event<&[u8]>, _: Duration) {
            let (call, between) = draw(self.0, &event, room(80));
            assert!(between.len() <= room(80), "{between}");
            *self.1.lock().unwrap() += &format!("{call} {}\n", between.trim());
        }
    }

    fn traced(side: Side, steps: Vec<Step>, talk: impl FnOnce(&mut Wire)) -> String {
        let lines = Lines(side, Arc::default());
        let (script, _) = Script::new(steps);
        let stream = Instrumented::new(
            Box::new(script),
            vec![Box::new(lines.clone())],
            None,
            Faults::default(),
        );
        let mut wire = Wire::new(Box::new(stream), WireConfig::default());
        talk(&mut wire);
        wire.close_and_wait();
        lines.1.lock().unwrap().clone()
    }

    #[test]
    fn messages_are_shown_apart_from_reads() {
        let bytes = |bytes: &str| Step::Bytes(bytes.into());
        let steps = vec![bytes("connme\nls\nsi"), bytes("ze a\n"), bytes("12345")];
        let seen = traced(Side::Server, steps, |wire| {
            for _ in 0..3 {
                wire.read_line(99).unwrap().unwrap();
                wire.write(b"ok\n").unwrap();
            }
            wire.expect_payload(5);
            wire.read_payload::<crate::error::Error>(&mut |_| Ok(())).unwrap();
            assert!(wire.read_line(9).unwrap().is_none());
        });
        let expected = "r -- 12 -> connme\\nls\\nsi\n  = connme (7, LF)\n  = ls (3, LF)\n\
                        w ok\\nok\\n <- 6 --\nr -- 5 -> ze a\\n\n  = size a (7, LF)\n\
                        w ok\\n <- 3 --\nr -- 5 -> 12345\n  = payload (5, size)\nr -- [end] ->\n";
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_message_that_is_read_in_parts_is_one_and_a_read_of_nothing_is_none() {
        let steps = vec![Step::Pause, Step::Bytes(b"[1,2]\r\n".to_vec())];
        let seen = traced(Side::Client, steps, |wire| {
            assert!(wire.take_arrived().unwrap().is_empty());
            wire.read_part(9, &mut |byte| byte == b',').unwrap();
            wire.read_line(9).unwrap().unwrap();
        });
        let expected = "r [1,2]\\r\\n <- 7 --\n  = [1,2]\\r (7, LF)\nw -- [end] ->\n";
        assert!(seen.starts_with(expected), "{seen}");
    }

    #[test]
    fn ends_resets_and_silences_are_marked() {
        let seen = traced(Side::Client, vec![Step::Pause], |wire| {
            assert!(wire.read_line(9).is_err());
        });
        assert_eq!(seen, "r [silence]\nw -- [end] ->\nr <- [end] --\n");
        let seen = traced(Side::Client, vec![Step::Reset], |wire| {
            assert!(wire.read_line(9).is_err());
        });
        assert!(seen.starts_with("  [reset]\n"), "{seen}");
    }

    /// Its peer has not closed, so the kernel keeps the socket for a while.
    #[test]
    #[cfg(target_os = "linux")]
    fn the_kernel_is_asked_once_more_after_the_close() {
        use std::net::{TcpListener, TcpStream};
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let watch = Watch::new(&socket);
        let lines = Lines(Side::Client, Arc::default());
        let observer = Box::new(lines.clone());
        drop(Instrumented::new(Box::new(socket), vec![observer], watch, Faults::default()));
        let seen = lines.1.lock().unwrap().clone();
        assert!(seen.starts_with("k ESTABLISHED out 0 in 0\nk FIN_WAIT"), "{seen}");
    }

    fn faulty(faults: &str) -> (Instrumented, Written) {
        let (script, written) = Script::whole("reply");
        (Instrumented::new(Box::new(script), vec![], None, Faults::parse(faults).unwrap()), written)
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
