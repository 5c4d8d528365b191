//! A stream for tests: no socket and no clock.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::stream::Stream;

/// What the peer does next.
#[derive(Clone, Debug)]
pub enum Step {
    /// Bytes that one read may bring, or several if it asks for fewer.
    Bytes(Vec<u8>),
    /// Silence, for as long as anyone cares to wait.
    Pause,
    /// A reset.
    Reset,
}

/// A peer that follows a script, and after it has ended its direction.
pub struct Script {
    steps: VecDeque<Step>,
    written: Written,
}

/// What was written to a script, kept where a test can look: bytes, `<pause>` and `<end>`.
#[derive(Clone, Default)]
pub struct Written(Arc<Mutex<Record>>);

#[derive(Default)]
struct Record {
    bytes: Vec<u8>,
    writes: usize,
    waits: Vec<Duration>,
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

    /// How long the reads could wait, in the order in which that was told.
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
        (Script { steps: steps.into_iter().collect(), written: written.clone() }, written)
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
        match self.steps.pop_front() {
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
        self.written.push(bytes);
        self.written.0.lock().unwrap().writes += 1;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Script {
    fn set_read_timeout(&mut self, timeout: Duration) -> io::Result<()> {
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
}
