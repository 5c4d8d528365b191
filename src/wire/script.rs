//! A stream for tests: no socket and no clock.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::stream::{Ending, Stream};

/// What the peer does next.
#[derive(Clone, Debug)]
pub enum Step {
    /// Bytes that one read may bring, or several if it asks for fewer.
    Bytes(Vec<u8>),
    /// Silence, however long a read waits.
    Pause,
    /// A signal that interrupts a read.
    Interruption,
    /// A reset.
    Reset,
}

/// What happens to the next writes. After that they take all that they are given.
#[derive(Clone, Copy, Debug)]
pub enum Taken {
    /// At most this many bytes are taken.
    Some(usize),
    /// The peer does not read.
    Waits,
    /// A signal interrupts the write.
    Interrupted,
    /// The connection is broken.
    Breaks,
}

/// A peer that follows a script, and then ends its direction.
pub struct Script {
    steps: VecDeque<Step>,
    taken: VecDeque<Taken>,
    written: Written,
}

/// What was written to a script, kept where a test can look: bytes, `<pause>` and `<end>`.
#[derive(Clone, Default)]
pub struct Written(Arc<Mutex<Record>>);

#[derive(Default)]
struct Record {
    bytes: Vec<u8>,
    writes: usize,
    /// How many bytes each read asked for.
    reads: Vec<usize>,
    waits: Vec<Duration>,
    messages: Vec<(String, u64, Ending)>,
}

impl Written {
    /// All of it as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// All of it.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().bytes.clone()
    }

    /// How many writes it took.
    pub fn writes(&self) -> usize {
        self.0.lock().unwrap().writes
    }

    /// The messages that were noted: how each begins, its length, and how it ended.
    pub fn messages(&self) -> Vec<(String, u64, Ending)> {
        self.0.lock().unwrap().messages.clone()
    }

    /// How many bytes each read asked for.
    pub fn reads(&self) -> Vec<usize> {
        self.0.lock().unwrap().reads.clone()
    }

    /// The read timeouts, in the order in which they were set.
    pub fn waits(&self) -> Vec<Duration> {
        self.0.lock().unwrap().waits.clone()
    }

    fn push(&self, bytes: &[u8]) {
        self.0.lock().unwrap().bytes.extend_from_slice(bytes);
    }
}

impl Script {
    /// A peer that does these things, one after the other.
    pub fn new(steps: impl IntoIterator<Item = Step>) -> (Script, Written) {
        let written = Written::default();
        let (steps, taken) = (steps.into_iter().collect(), VecDeque::new());
        (Script { steps, taken, written: written.clone() }, written)
    }

    /// The same peer, to which this happens when it is written to.
    pub fn taking(mut self, taken: impl IntoIterator<Item = Taken>) -> Script {
        self.taken = taken.into_iter().collect();
        self
    }

    /// A peer that sends all of it at once.
    pub fn whole(bytes: impl AsRef<[u8]>) -> (Script, Written) {
        Script::new([Step::Bytes(bytes.as_ref().to_vec())])
    }

    /// A peer that sends it byte by byte.
    pub fn bytewise(bytes: impl AsRef<[u8]>) -> (Script, Written) {
        Script::new(bytes.as_ref().iter().map(|byte| Step::Bytes(vec![*byte])))
    }
}

impl Read for Script {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.written.0.lock().unwrap().reads.push(into.len());
        match self.steps.pop_front() {
            Some(Step::Interruption) => Err(io::ErrorKind::Interrupted.into()),
            None => Ok(0),
            Some(Step::Pause) => Err(io::ErrorKind::WouldBlock.into()),
            Some(Step::Reset) => Err(io::ErrorKind::ConnectionReset.into()),
            Some(Step::Bytes(mut bytes)) => {
                let n = bytes.len().min(into.len());
                into[..n].copy_from_slice(&bytes[..n]);
                let rest = bytes.split_off(n);
                if !rest.is_empty() {
                    self.steps.push_front(Step::Bytes(rest));
                }
                Ok(n)
            }
        }
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.0.lock().unwrap().writes += 1;
        let n = match self.taken.pop_front() {
            None => bytes.len(),
            Some(Taken::Some(n)) => n.min(bytes.len()),
            Some(Taken::Waits) => return Err(io::ErrorKind::WouldBlock.into()),
            Some(Taken::Interrupted) => return Err(io::ErrorKind::Interrupted.into()),
            Some(Taken::Breaks) => return Err(io::ErrorKind::BrokenPipe.into()),
        };
        self.written.push(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Script {
    fn limit_wait(&mut self, timeout: Duration) -> io::Result<()> {
        self.written.0.lock().unwrap().waits.push(timeout);
        Ok(())
    }

    fn pause(&mut self, _: Duration) {
        self.written.push(b"<pause>");
    }

    fn end_writing(&mut self) -> io::Result<()> {
        self.written.push(b"<end>");
        Ok(())
    }

    fn note_message(&mut self, bytes: &[u8], length: u64, end: Ending) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        self.written.0.lock().unwrap().messages.push((text, length, end));
    }
}
