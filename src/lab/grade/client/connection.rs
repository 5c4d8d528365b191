//! One connection of a client under examination, as its server sees it. Every wait has a deadline, and every step is
//! recorded.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::lock;
use crate::lab::grade::seen::{Rung, What};

/// How often a wait looks whether the check is over.
const LOOK: Duration = Duration::from_millis(50);

/// The longest line of a client, and how many steps are recorded at most.
const MOST: usize = 8 << 10;

/// What all connections of a check share.
pub(super) struct Record {
    start: Instant,
    /// When something happened last.
    active: Mutex<Instant>,
    rungs: Mutex<Vec<Rung>>,
    /// The check is over, and nothing is waited for any more.
    is_over: AtomicBool,
}

impl Record {
    pub(super) fn new() -> Record {
        let start = Instant::now();
        let (active, rungs) = (Mutex::new(start), Mutex::default());
        Record { start, active, rungs, is_over: AtomicBool::default() }
    }

    /// How long nothing has happened.
    pub(super) fn idle(&self) -> Duration {
        lock(&self.active).elapsed()
    }

    /// Something has happened.
    pub(super) fn touch(&self) {
        *lock(&self.active) = Instant::now();
    }

    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    pub(super) fn take(&self) -> Vec<Rung> {
        std::mem::take(&mut lock(&self.rungs))
    }

    fn note(&self, connection: u64, what: What) {
        self.touch();
        let at = self.start.elapsed();
        let mut rungs = lock(&self.rungs);
        // What arrives or leaves in pieces of a payload is one step.
        if let (What::Got(more), Some(Rung { connection: last, what: What::Got(got), .. })) =
            (&what, rungs.last_mut())
            && *last == connection
            && !got.ends_with(b"\n")
        {
            if got.len() < MOST {
                got.extend_from_slice(more);
            }
        } else if rungs.len() < MOST {
            rungs.push(Rung { at, connection, what });
        }
    }
}

/// How what the server sends is cut into writes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cut {
    /// How many bytes the first write has.
    pub(super) first: Option<usize>,
    /// How many bytes each other write has at most.
    pub(super) each: Option<usize>,
}

/// A slow server reads 50 kB a second.
const SLOW: usize = 2_500;
const SLOW_TURN: Duration = Duration::from_millis(50);

/// A connection.
pub(super) struct Connection {
    stream: TcpStream,
    number: u64,
    record: Arc<Record>,
    pub(super) cut: Cut,
    /// The last byte of the line that was read is still in the system: a close with an unread byte is a reset.
    owes: bool,
    /// How many bytes are still read slowly: [`SLOW`] bytes in each [`SLOW_TURN`].
    pub(super) slow: usize,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, number: u64, record: Arc<Record>) -> Connection {
        let _ = stream.set_nodelay(true);
        let _ = stream.set_read_timeout(Some(LOOK));
        let _ = stream.set_write_timeout(Some(Duration::from_secs(20)));
        record.touch();
        Connection { stream, number, record, cut: Cut::default(), owes: false, slow: 0 }
    }

    /// What has come and was not read, without waiting for more than a moment. Empty at the end.
    pub(super) fn peek(&mut self) -> io::Result<Vec<u8>> {
        self.pay();
        let mut buffer = vec![0; MOST];
        loop {
            match self.stream.peek(&mut buffer) {
                Ok(count) => {
                    buffer.truncate(count);
                    return Ok(buffer);
                }
                Err(error) if is_late(&error) && !self.record.is_over() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether anything comes in this time.
    pub(super) fn is_quiet(&mut self, time: Duration) -> bool {
        self.pay();
        let until = Instant::now() + time;
        while Instant::now() < until {
            match self.stream.peek(&mut [0]) {
                Err(error) if is_late(&error) => self.record.touch(),
                _ => return false,
            }
        }
        true
    }

    /// The next line with its LF. `None` at the end, or if the line has no end: that is left unread.
    pub(super) fn line(&mut self) -> Option<Vec<u8>> {
        let mut seen = 0;
        loop {
            let come = self.peek().ok()?;
            if let Some(at) = come.iter().position(|byte| *byte == b'\n') {
                let line = come.get(..=at).unwrap_or_default().to_vec();
                self.skip(at);
                self.owes = true;
                self.note(What::Got(line.clone()));
                return Some(line);
            }
            if come.len() >= MOST || (come.len() == seen && self.has_ended(seen)) {
                return None;
            }
            seen = come.len();
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// The length of a command that was seen. Its last byte stays unread, as that of a line.
    pub(super) fn command(&mut self, count: usize) -> Vec<u8> {
        let mut word = vec![0; count];
        let _ = self.stream.peek(&mut word);
        self.skip(count.saturating_sub(1));
        self.owes = count > 0;
        self.note(What::Got(word.clone()));
        word
    }

    /// Whether nothing follows these bytes that were seen: the system tells the end only after they are read.
    fn has_ended(&mut self, seen: usize) -> bool {
        seen == 0 || self.record.is_over() || self.record.idle() > Duration::from_secs(5)
    }

    /// The next bytes, exactly that many, or fewer at the end.
    pub(super) fn take(&mut self, count: usize) -> Vec<u8> {
        self.pay();
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        while bytes.len() < count {
            let mut most = (count - bytes.len()).min(buffer.len());
            if self.slow > 0 {
                most = most.min(SLOW);
                self.slow = self.slow.saturating_sub(most);
                self.pause(SLOW_TURN);
            }
            let Some(room) = buffer.get_mut(..most) else { break };
            match self.stream.read(room) {
                Ok(0) => {
                    self.note(What::End);
                    break;
                }
                Ok(come) => {
                    let come = buffer.get(..come).unwrap_or_default();
                    bytes.extend_from_slice(come);
                    self.note(What::Got(come.to_vec()));
                }
                Err(error) if is_late(&error) && !self.record.is_over() => {}
                Err(_) => break,
            }
        }
        bytes
    }

    /// Sends these bytes, cut as it was asked for. What the client does not take is no failure: what it does is judged.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        let (first, rest) = match self.cut.first.take() {
            Some(first) => bytes.split_at_checked(first).unwrap_or((bytes, b"")),
            None => (b"".as_slice(), bytes),
        };
        if !first.is_empty() {
            self.write(first);
            self.pause(Duration::from_millis(30));
        }
        for (n, piece) in rest.chunks(self.cut.each.unwrap_or(usize::MAX).max(1)).enumerate() {
            if !self.write(piece) {
                return;
            }
            // Long replies would take too long if each piece had its pause. Without any, the system runs out of room.
            if self.cut.each.is_some() && (n < 60 || n % 8 == 0) {
                // The first ones are to be read apart by a client that is slow, too.
                self.pause(Duration::from_millis(if n < 4 { 40 } else { 2 }));
            }
        }
    }

    fn write(&mut self, piece: &[u8]) -> bool {
        let sent = self.stream.write_all(piece).is_ok();
        self.note(What::Sent(piece.get(..MOST).unwrap_or(piece).to_vec()));
        sent
    }

    /// Waits. That is something that happens.
    pub(super) fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until && !self.record.is_over() {
            self.record.touch();
            thread::sleep(LOOK.min(until.saturating_duration_since(Instant::now())));
        }
        self.record.touch();
    }

    /// Ends our direction.
    pub(super) fn half_close(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        self.note(What::Ended);
    }

    /// Ends our direction, and drops what still comes. Returns the beginning of that.
    pub(super) fn close_gently(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.half_close();
        let mut buffer = vec![0; 64 << 10];
        self.pay();
        loop {
            match self.stream.read(&mut buffer) {
                Ok(count @ 1..) => {
                    self.record.touch();
                    if rest.len() < MOST {
                        rest.extend_from_slice(buffer.get(..count).unwrap_or_default());
                    }
                }
                Err(error) if is_late(&error) && !self.record.is_over() => {}
                _ => return rest,
            }
        }
    }

    /// Closes at once, in order.
    pub(super) fn close(mut self) {
        self.pay();
        self.note(What::Ended);
    }

    /// Closes with a reset: the LF of the last line is still unread.
    pub(super) fn reset(self) {
        self.note(What::Reset);
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    fn note(&self, what: What) {
        self.record.note(self.number, what);
    }

    fn pay(&mut self) {
        if std::mem::take(&mut self.owes) {
            self.skip(1);
        }
    }

    /// Reads what was seen.
    pub(super) fn skip(&mut self, count: usize) {
        let mut buffer = vec![0; count];
        let _ = self.stream.read_exact(&mut buffer);
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
