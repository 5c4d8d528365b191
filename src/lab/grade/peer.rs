//! A peer that sends and expects raw bytes. Every wait has a deadline, and every step is recorded.
//!
//! It does not use `wire`, whose client accepts more than the protocol: here bytes are compared with bytes.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use super::MOVED;
use super::places::Places;
use super::process::Usage;
use super::random::Random;
use super::seen::{Fail, Rung, What, a_line, fail, quoted, same};
use crate::lang::{Lang, Msg, msg};

/// The longest line, and the most that is read up to the end of a connection.
const MOST: usize = 4 << 20;

/// What is left of the shortest pause of a server, 20 ms, if what came before it was read late.
const BETWEEN: Duration = Duration::from_millis(8);

/// What a step of a check returns.
pub(super) type Done<T = ()> = Result<T, Box<Fail>>;

/// How the server's direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Close,
    Reset,
}

/// What all peers of a check share.
struct Shared {
    address: SocketAddr,
    start: Instant,
    deadline: Instant,
    rungs: RefCell<Vec<Rung>>,
    connections: Cell<u64>,
    moved: Cell<u64>,
}

impl Shared {
    fn note(&self, connection: u64, what: What) {
        self.rungs.borrow_mut().push(Rung { at: self.start.elapsed(), connection, what });
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// One run of one check: where its connections, names and bytes come from.
pub(super) struct Trial {
    shared: Rc<Shared>,
    random: Random,
    prefix: String,
    /// The names that the check may leave on the server.
    pub(super) names: Vec<String>,
    /// The server's folder, if the user has given it.
    pub(super) root: Option<PathBuf>,
    /// How long a check usually may take.
    pub(super) time: Duration,
    /// What the server took before the check.
    pub(super) before: Usage,
    /// Connections that stay until what the server takes was looked at.
    pub(super) kept: Vec<Peer>,
}

impl Trial {
    pub(super) fn new(
        address: SocketAddr,
        deadline: Instant,
        random: Random,
        prefix: String,
    ) -> Trial {
        let shared = Shared {
            address,
            start: Instant::now(),
            deadline,
            rungs: RefCell::default(),
            connections: Cell::new(0),
            moved: Cell::new(0),
        };
        Trial {
            shared: Rc::new(shared),
            random,
            prefix,
            names: Vec::new(),
            root: None,
            time: super::TIME,
            before: Usage::default(),
            kept: Vec::new(),
        }
    }

    /// A new connection.
    pub(super) fn open(&mut self) -> Done<Peer> {
        let shared = Rc::clone(&self.shared);
        let connection = shared.connections.get() + 1;
        shared.connections.set(connection);
        let time = shared.left().max(Duration::from_millis(1));
        let opened = TcpStream::connect_timeout(&shared.address, time).and_then(|stream| {
            stream.set_nodelay(true)?;
            Ok(stream)
        });
        match opened {
            Ok(stream) => Ok(Peer {
                stream,
                connection,
                held: Vec::new(),
                end: None,
                left: false,
                is_broken: false,
                shared,
            }),
            Err(error) => {
                let is_late = error.kind() == ErrorKind::TimedOut;
                let got = match is_late {
                    true => msg!(
                        "no connection in time: the server does not accept, or its queue (`listen`) is full",
                        "tidak ada koneksi: server tidak melakukan accept, atau antreannya (`listen`) penuh"
                    ),
                    false => msg!("no connection: {error}", "tidak ada koneksi: {error}"),
                };
                let mut failure = fail(vec![msg!("a connection", "koneksi")], got, connection);
                failure.is_refused = !is_late;
                failure.gave_nothing = true;
                Err(failure)
            }
        }
    }

    /// Whether half of the time of the check is over.
    pub(super) fn is_half_over(&self) -> bool {
        self.shared.left() < (self.shared.deadline - self.shared.start) / 2
    }

    /// A failure of the whole check.
    pub(super) fn failed<T>(&self, expected: Msg, got: Msg) -> Done<T> {
        Err(fail(vec![expected], got, self.shared.connections.get()))
    }

    /// Whether a file on the server is one of these names, or is named after one.
    pub(super) fn is_own(&self, name: &str) -> bool {
        let stems = self.names.iter().filter_map(|own| own.get(.."grade-01234567".len()));
        stems.filter(|stem| stem.starts_with("grade-")).any(|stem| name.contains(stem))
    }

    /// What the places of a conversation are filled with. They are others each time.
    pub(super) fn places(&mut self) -> Places {
        self.random.next();
        let mut places = Places::new(self.random.clone(), &self.prefix);
        places.is_short = self.time < super::TIME / 5;
        let parent = self.root.as_ref().and_then(|root| root.parent());
        if let Some(parent) = parent {
            places.known.insert("parent".to_owned(), parent.to_string_lossy().as_bytes().to_vec());
        }
        places
    }

    /// A name of this trial's was given to the server. It is removed after the run.
    pub(super) fn is_named(&mut self) {
        self.names.push(self.prefix.clone());
    }

    /// That many bytes were moved before.
    pub(super) fn begin_at(&self, moved: u64) {
        self.shared.moved.set(moved);
    }

    /// The number of connections, and the bytes that were moved up to now.
    pub(super) fn cost(&self) -> (u64, u64) {
        (self.shared.connections.get(), self.shared.moved.get())
    }

    /// The steps.
    pub(super) fn into_rungs(self) -> Vec<Rung> {
        self.shared.rungs.take()
    }
}

/// One connection of a check.
pub(super) struct Peer {
    stream: TcpStream,
    connection: u64,
    /// What came and was not expected yet.
    held: Vec<u8>,
    end: Option<End>,
    /// Our direction has ended.
    left: bool,
    /// A write has found that the connection is broken.
    is_broken: bool,
    shared: Rc<Shared>,
}

impl Peer {
    /// Sends these bytes in one write, as far as the system takes them. If the server does not take them, what it
    /// says instead is found by the next step.
    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Peer {
        let bytes = bytes.as_ref();
        self.shared.moved.set(self.shared.moved.get() + bytes.len() as u64);
        let time = self.shared.left().max(Duration::from_millis(1));
        let _ = self.stream.set_write_timeout(Some(time));
        match self.stream.write_all(bytes) {
            Ok(()) => self.note(What::Sent(bytes.to_vec())),
            Err(error) => {
                self.note(What::Sent(bytes.to_vec()));
                self.is_broken |= !is_late(&error);
                self.note(if is_late(&error) { What::Silence } else { What::Reset });
            }
        }
        self
    }

    /// Sends pieces of at most this size, with a short pause after each, so that they stay apart. Returns the longest
    /// time between two: a busy machine may make it long.
    pub(super) fn send_apart(&mut self, bytes: impl AsRef<[u8]>, piece: usize) -> Duration {
        let mut longest = Duration::ZERO;
        let mut last = Instant::now();
        for piece in bytes.as_ref().chunks(piece.max(1)) {
            self.send(piece);
            longest = longest.max(last.elapsed());
            last = Instant::now();
            thread::sleep(Duration::from_millis(2));
        }
        longest
    }

    /// Sends this many MiB, as far as the server takes them in time. The limit of a run does not count them.
    pub(super) fn flood(&mut self, megabytes: usize) -> &mut Peer {
        let time = self.shared.left().max(Duration::from_millis(1));
        let _ = self.stream.set_write_timeout(Some(time));
        let zeros = vec![0; 1 << 20];
        let sent = (0..megabytes).take_while(|_| self.stream.write_all(&zeros).is_ok()).count();
        if sent > 0 {
            self.note(What::Sent(zeros));
        }
        self
    }

    /// Waits this long.
    pub(super) fn pause(&mut self, milliseconds: u64) -> &mut Peer {
        thread::sleep(Duration::from_millis(milliseconds));
        self
    }

    /// Waits until the server has most probably read what was sent.
    pub(super) fn apart(&mut self) -> &mut Peer {
        let is_short = self.shared.deadline - self.shared.start < super::TIME / 5;
        self.pause(if is_short { 5 } else { 15 })
    }

    /// Ends our direction; the other stays open.
    pub(super) fn half_close(&mut self) -> &mut Peer {
        let _ = self.stream.shutdown(Shutdown::Write);
        self.left = true;
        self.note(What::Ended);
        self
    }

    /// Closes the connection with a reset, if a reply is there that was not read: without one, the standard library
    /// can only close.
    pub(super) fn reset(self) {
        let _ =
            self.stream.set_read_timeout(Some(self.shared.left().max(Duration::from_millis(1))));
        let _ = self.stream.peek(&mut [0]);
        self.note(What::Reset);
    }

    /// The next bytes are exactly these.
    pub(super) fn expect(&mut self, bytes: impl AsRef<[u8]>) -> Done {
        let bytes = bytes.as_ref();
        let mut compared = 0;
        loop {
            let begins = self.held.len().min(bytes.len());
            let same = self.held.get(compared..begins) == bytes.get(compared..begins);
            compared = begins;
            if !same {
                self.gather();
                return Err(self.fail_bytes(bytes));
            }
            if begins == bytes.len() {
                self.held.drain(..begins);
                return Ok(());
            }
            if !self.read()? {
                return Err(self.fail_bytes(bytes));
            }
        }
    }

    /// Whether what comes next begins like this. It stays there for the next step.
    pub(super) fn begins(&mut self, start: &str) -> Done<bool> {
        let start = start.as_bytes();
        while self.held.len() < start.len() && start.starts_with(&self.held) && self.read()? {}
        Ok(self.held.starts_with(start))
    }

    /// The next line, without its LF. `form` is what it looks like.
    pub(super) fn line(&mut self, form: &str) -> Done<String> {
        loop {
            if let Some(end) = self.held.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.held.drain(..=end).collect();
                return match String::from_utf8(line) {
                    Ok(mut line) => {
                        line.pop();
                        Ok(line)
                    }
                    Err(error) => {
                        self.held.splice(..0, error.into_bytes());
                        Err(self.fail(vec![a_line(form)]))
                    }
                };
            }
            if self.held.len() > MOST || !self.read()? {
                return Err(self.fail(vec![a_line(form)]));
            }
        }
    }

    /// A line for which `read` finds a value. `form` is what it looks like.
    pub(super) fn line_as<T>(
        &mut self,
        form: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Done<T> {
        let line = self.line(form)?;
        match read(&line) {
            Some(value) => Ok(value),
            None => {
                self.held.splice(..0, (line + "\n").into_bytes());
                Err(self.fail(vec![a_line(form)]))
            }
        }
    }

    /// Exactly that many bytes.
    pub(super) fn take(&mut self, count: usize) -> Done<Vec<u8>> {
        while self.held.len() < count {
            if !self.read()? {
                return Err(self.fail(vec![msg!("{count} bytes", "{count} byte")]));
            }
        }
        Ok(self.held.drain(..count).collect())
    }

    /// All that comes up to the end, which is a close and no reset.
    pub(super) fn rest(&mut self) -> Done<Vec<u8>> {
        while self.held.len() < MOST && self.read()? {}
        match self.end {
            Some(End::Close) => Ok(std::mem::take(&mut self.held)),
            _ => Err(self.fail(vec![close()])),
        }
    }

    /// All that comes up to the end or the end of the time, whatever it is.
    pub(super) fn drain(&mut self) -> Done {
        while self.held.len() < MOST && self.read()? {}
        self.held.clear();
        Ok(())
    }

    /// The server waits for a moment before it sends on.
    pub(super) fn paused(&mut self) -> Done {
        let start = Instant::now();
        if self.held.is_empty() {
            self.read()?;
            if start.elapsed() >= BETWEEN {
                return Ok(());
            }
        }
        Err(self.fail(vec![msg!(
            "a pause before the bytes that follow",
            "jeda sebelum byte yang berikutnya"
        )]))
    }

    /// The server sends nothing more and closes, without a reset.
    pub(super) fn closes(&mut self) -> Done {
        self.ends_in(&[End::Close], vec![close()])
    }

    /// The server sends nothing more and closes or resets.
    pub(super) fn ends(&mut self) -> Done {
        let reset = msg!("the connection is reset", "koneksi diputus (reset)");
        self.ends_in(&[End::Close, End::Reset], vec![close(), reset])
    }

    fn ends_in(&mut self, ends: &[End], expected: Vec<Msg>) -> Done {
        while self.held.is_empty() && self.read()? {}
        match self.end {
            Some(end) if self.held.is_empty() && ends.contains(&end) => Ok(()),
            _ => self.failed(expected),
        }
    }

    /// Nothing comes within this time.
    pub(super) fn is_quiet(&mut self, milliseconds: u64) -> Done {
        if self.held.is_empty() && self.end.is_none() {
            self.read_for(Duration::from_millis(milliseconds));
        }
        if self.held.is_empty() && self.end.is_none() {
            return Ok(());
        }
        Err(self.fail(vec![nothing()]))
    }

    /// A failure: this was expected, and what came is what is held.
    pub(super) fn failed<T>(&mut self, expected: Vec<Msg>) -> Done<T> {
        self.gather();
        Err(self.fail(expected))
    }

    /// Puts back what was read, so that a failure shows it.
    pub(super) fn unread(&mut self, bytes: &[u8]) {
        self.held.splice(..0, bytes.iter().copied());
    }

    fn note(&self, what: What) {
        self.shared.note(self.connection, what);
    }

    /// Reads once. False if the stream has ended or the time is over.
    fn read(&mut self) -> Done<bool> {
        if self.end.is_some() {
            return Ok(false);
        }
        if self.shared.moved.get() > MOVED {
            let got = msg!(
                "more than {MOVED} bytes in this run",
                "lebih dari {MOVED} byte dalam pengujian ini"
            );
            let end = msg!("the end of the stream", "akhir stream");
            return Err(fail(vec![end], got, self.connection));
        }
        let left = self.shared.left();
        if left.is_zero() {
            self.note(What::Silence);
            return Ok(false);
        }
        Ok(self.read_for(left))
    }

    fn read_for(&mut self, time: Duration) -> bool {
        let mut buffer = [0; 16_384];
        let _ = self.stream.set_read_timeout(Some(time.max(Duration::from_millis(1))));
        match self.stream.read(&mut buffer) {
            Ok(0) => {
                // A reset is told once, and the write was told it.
                self.end = Some(if self.is_broken { End::Reset } else { End::Close });
                self.note(What::End);
                false
            }
            Ok(count) => {
                let came = buffer.get(..count).unwrap_or_default();
                self.shared.moved.set(self.shared.moved.get() + came.len() as u64);
                self.held.extend_from_slice(came);
                self.note(What::Got(came.to_vec()));
                true
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            Err(error) if is_late(&error) => {
                self.note(What::Silence);
                false
            }
            Err(_) => {
                self.end = Some(End::Reset);
                self.note(What::Reset);
                false
            }
        }
    }

    /// Takes what else has come, for a failure that shows it.
    fn gather(&mut self) {
        if self.end.is_none() && self.held.len() < 200 {
            self.read_for(Duration::from_millis(30));
        }
    }

    fn fail_bytes(&self, expected: &[u8]) -> Box<Fail> {
        let mut failure = self.fail(vec![same(quoted(expected))]);
        failure.bytes = Some((expected.to_vec(), self.held.clone()));
        failure
    }

    fn fail(&self, expected: Vec<Msg>) -> Box<Fail> {
        let end = match self.end {
            Some(End::Close) => Some(msg!("the close", "koneksi ditutup")),
            Some(End::Reset) => Some(msg!("a reset", "reset")),
            None if self.shared.left().is_zero() => {
                Some(msg!("nothing more in time", "tidak ada lagi sampai waktu habis"))
            }
            None => None,
        };
        let held = quoted(&self.held);
        let got = match (self.held.is_empty(), end) {
            (true, end) => end.unwrap_or_else(nothing),
            (false, None) => same(held),
            (false, Some(end)) => msg!("{held}, {end}", "{held}, {end}"; end),
        };
        let is_error =
            |line: &[u8]| line.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"err"));
        let was_due = expected.first().map_or_else(String::new, |it| it.say(Lang::En));
        let mut failure = fail(expected, got, self.connection);
        failure.gave_nothing = self.held.is_empty()
            || ["\"ok", "\"connected"].iter().any(|start| was_due.starts_with(start))
            || self.held.split(|byte| *byte == b'\n').any(is_error);
        failure
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if !self.left && self.end.is_none() {
            self.note(What::Ended);
        }
    }
}

fn close() -> Msg {
    msg!("the server closes", "server menutup koneksi")
}

fn nothing() -> Msg {
    msg!("nothing", "tidak ada apa-apa")
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
