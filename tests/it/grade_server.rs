//! A server with one of the flaws that a student's could have, for the grader's own tests: the conversations of this
//! project, over a stream that changes what comes in and what goes out. Without a flaw it is right, and so it is with
//! those that begin with `permitted-`.
//!
//! Most flaws are rows of `grade_rules.txt`. Here are those that take more than other bytes: a file is changed, a read
//! is taken for a message, a connection waits for another, the server dies.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::Duration;

use connme::dialect::Dialect;
use connme::error::Expected;
use connme::log::Log;
use connme::store::{Options, Store};
use connme::wire::stream::{Ending, Stream};
use connme::wire::{Wire, WireConfig};

use crate::sessions::{bytes, words};

/// What all connections share.
struct Server {
    flaw: &'static str,
    dialect: Dialect,
    rules: Vec<Rule>,
    root: PathBuf,
    store: Store,
    is_dead: AtomicBool,
    open: AtomicUsize,
    /// The connection that does what only one may do.
    one: Mutex<Option<usize>>,
    /// The last request.
    asked: Mutex<Vec<u8>>,
}

/// Serves a dialect with a flaw, or with none. Returns the port.
pub fn start(dialect: &'static str, flaw: &'static str, root: &Path) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let max_file_size = (flaw == "permitted-too-large").then_some(1_000_000);
    let options = Options { max_file_size, ..Options::default() };
    let server = Arc::new(Server {
        flaw,
        dialect: Dialect::named(dialect).unwrap(),
        rules: rules(dialect, flaw, root),
        root: root.to_owned(),
        store: Store::open(root, options, &Log::default()).unwrap(),
        is_dead: AtomicBool::default(),
        open: AtomicUsize::default(),
        one: Mutex::default(),
        asked: Mutex::default(),
    });
    thread::spawn(move || {
        let mut leaked = Vec::new();
        for (number, socket) in listener.incoming().flatten().enumerate() {
            if server.is_dead.load(SeqCst) {
                return;
            }
            if server.is("leak") && number > 60 {
                leaked.push(socket);
                continue;
            }
            if server.is("ten-at-once") && server.open.load(SeqCst) > 16 {
                continue;
            }
            let open = server.open.fetch_add(1, SeqCst);
            let own = Arc::clone(&server);
            let serve = move || {
                own.serve(socket, number, open);
                own.open.fetch_sub(1, SeqCst);
            };
            // So it is dead before the next connection is accepted.
            let is_alone = server.is("one-client-at-a-time") || server.is("dies-of-broken-writes");
            if is_alone { serve() } else { drop(thread::spawn(serve)) }
        }
    });
    port
}

impl Server {
    fn is(&self, flaw: &str) -> bool {
        self.flaw == flaw
    }

    /// Serves one connection, beside `open` others.
    fn serve(self: &Arc<Server>, mut socket: TcpStream, number: usize, open: usize) {
        let _ = socket.set_nodelay(!self.is("two-writes"));
        match self.flaw {
            // As long as a process takes to start.
            "permitted-slow" => sleep(Duration::from_millis(5)),
            // As it looks to a client that has to ask again, because the queue was full.
            "permitted-backlog" if open > 5 => sleep(Duration::from_secs(1)),
            "greets" => drop(socket.write_all(b"welcome\n")),
            "greeting" => {
                let _ = socket.set_read_timeout(Some(Duration::from_millis(40)));
                if socket.peek(&mut [0]).is_err() {
                    let _ = socket.write_all(b"welcome\n");
                }
            }
            _ => {}
        }
        let Ok(peer) = socket.peer_addr() else { return };
        let stream = Box::new(Flawed {
            socket,
            number,
            server: Arc::clone(self),
            ready: Vec::new(),
            kept: Vec::new(),
            part: Vec::new(),
            file: PathBuf::new(),
            talk: Vec::new(),
            expected: Expected::Line,
            messages: 0,
            line: 0,
            has_stored: false,
            has_ended: false,
            is_closing: false,
            is_shut: false,
        });
        let (mut wire, log) = (Wire::new(stream, WireConfig::default()), Log::default());
        let _ =
            self.dialect.handle_client(&mut wire, &self.store, &log.for_connection(peer, "flawed"));
        let _ = wire.flush();
        match self.flaw {
            "resets-after-errors" => {}
            "never-closes" => sleep(Duration::from_secs(60)),
            _ => wire.close_and_wait(),
        }
    }

    /// Changes the files as this flaw does: their bytes, or the names that they got.
    fn spoil(&self) {
        let spoils: fn(&[u8]) -> Vec<u8> = match self.flaw {
            "strips" => |bytes| bytes.trim_ascii().to_vec(),
            "decodes" => |bytes| String::from_utf8_lossy(bytes).into_owned().into_bytes(),
            "translates-line-ends" => {
                |bytes| bytes.split(|b| *b == b'\r').collect::<Vec<_>>().concat()
            }
            "truncates" => |bytes| bytes[..bytes.len().min(150_000)].to_vec(),
            "drops-full-blocks" => {
                |bytes| if bytes.len() == 4096 { vec![] } else { bytes.to_vec() }
            }
            _ if self.is("no-empty-files") || self.rules.iter().any(|it| it.way == "name") => {
                <[u8]>::to_vec
            }
            _ => return,
        };
        for (path, name) in files(&self.root) {
            let bytes = fs::read(&path).unwrap_or_default();
            let renames = self.rules.iter().filter(|rule| rule.way == "name");
            let other =
                renames.fold(name.clone().into_bytes(), |it, rule| rule.apply(&it, &[], vec![]));
            let spoilt = spoils(&bytes);
            if self.is("no-empty-files") && bytes.is_empty() {
                let _ = fs::remove_file(path);
            } else if other != name.as_bytes() {
                let _ = fs::rename(path, self.root.join(String::from_utf8(other).unwrap()));
            } else if spoilt != bytes {
                fs::write(path, spoilt).unwrap();
            }
        }
    }

    /// Puts a file in the place of each link or folder.
    fn replace(&self) {
        let is_text = self.dialect == Dialect::Text;
        if !self.is("follows-links") && (is_text || !self.is("folder-as-file")) {
            return;
        }
        for path in entries(&self.root) {
            if self.is("folder-as-file") {
                let _ = fs::remove_file(path.join("a.txt"));
                let _ = fs::remove_dir(&path).and_then(|()| fs::write(path, ""));
            } else if path.is_symlink()
                && let Ok(bytes) = fs::read(&path)
            {
                fs::remove_file(&path).and_then(|()| fs::write(path, bytes)).unwrap();
            }
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// The grader's files in a folder, but for very large ones.
fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let is_file =
        |path: &PathBuf| path.metadata().is_ok_and(|it| it.is_file() && it.len() < 8 << 20);
    let named = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.to_owned();
        name.contains("grade-").then_some((path, name))
    };
    entries(folder).into_iter().filter(is_file).filter_map(named).collect()
}

/// A row of `grade_rules.txt`.
struct Rule {
    state: String,
    after: Vec<Vec<u8>>,
    way: String,
    from: Vec<u8>,
    to: Vec<u8>,
}

fn rules(dialect: &str, flaw: &str, root: &Path) -> Vec<Rule> {
    let lines = include_str!("grade_rules.txt").lines();
    let rows = lines.filter(|line| line.contains(flaw)).map(words);
    let is_its = |row: &Vec<String>| {
        row.len() > 4
            && row[0].split(',').any(|it| it == dialect)
            && row[1].split(',').any(|it| it == flaw)
    };
    let rule = |row: Vec<String>| {
        let [.., way, from, to] = &row[..] else { panic!("{row:?}") };
        assert!(["in", "out", "name"].contains(&way.as_str()), "{row:?}");
        let after = |word| row.iter().skip_while(move |it| *it != word).nth(1);
        Rule {
            state: after("if").cloned().unwrap_or_default(),
            after: after("after").map_or(Vec::new(), |it| it.split('|').map(bytes).collect()),
            way: way.clone(),
            from: bytes(from),
            to: bytes(&to.replace("<root>", &root.display().to_string())),
        }
    };
    rows.filter(is_its).map(rule).collect()
}

impl Rule {
    /// What it makes of these bytes, after what was said last.
    fn apply(&self, bytes: &[u8], talk: &[(bool, Vec<u8>)], mut marks: Vec<Vec<u8>>) -> Vec<u8> {
        let last = talk.len().checked_sub(self.after.len()).map(|from| &talk[from..]);
        let is_after = |last: &[(bool, Vec<u8>)]| {
            let mut pairs = last.iter().zip(&self.after);
            pairs.all(|((_, said), pattern)| find(pattern, said, &mut marks).is_some())
        };
        if !last.is_some_and(is_after) {
            return bytes.to_vec();
        }
        let (mut rest, mut done, known) = (bytes, Vec::new(), marks.len());
        while let Some((begin, end)) = find(&self.from, rest, &mut marks) {
            done.extend_from_slice(&rest[..begin]);
            let mut parts = self.to.split(|byte| *byte == b'$');
            done.extend_from_slice(parts.next().unwrap());
            for part in parts {
                done.extend_from_slice(&marks[usize::from(part[0] - b'1')]);
                done.extend_from_slice(&part[1..]);
            }
            rest = &rest[end..];
            marks.truncate(known);
            if end == 0 || rest.is_empty() || self.from.starts_with(b"^") {
                break;
            }
        }
        [&done, rest].concat()
    }
}

/// Where the first match of a pattern in these bytes begins and ends. What its marks stand for is added to `marks`.
fn find(pattern: &[u8], bytes: &[u8], marks: &mut Vec<Vec<u8>>) -> Option<(usize, usize)> {
    let (pattern, last) = match pattern.strip_prefix(b"^") {
        Some(pattern) => (pattern, 0),
        None => (pattern, bytes.len()),
    };
    let known = marks.len();
    (0..=last).find_map(|at| {
        marks.truncate(known);
        Some((at, at + end_of(pattern, &bytes[at..], marks)?))
    })
}

/// Where the match of a pattern ends that begins with these bytes.
fn end_of(pattern: &[u8], bytes: &[u8], marks: &mut Vec<Vec<u8>>) -> Option<usize> {
    let Some((first, rest)) = pattern.split_first() else { return Some(0) };
    let most = match first {
        b'*' => bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len()),
        b'#' => bytes.len(),
        b'?' => 1,
        b'$' => return bytes.is_empty().then_some(0),
        byte => return Some(1 + end_of(rest, bytes.strip_prefix(&[*byte])?, marks)?),
    };
    // As little as possible, but at the end of the pattern all.
    let least = if rest.is_empty() || *first == b'?' { most } else { 0 };
    let known = marks.len();
    (least..=most.min(bytes.len())).find_map(|n| {
        marks.truncate(known);
        marks.push(bytes[..n].to_vec());
        Some(n + end_of(rest, &bytes[n..], marks)?)
    })
}

/// A connection: what comes in and goes out, changed.
struct Flawed {
    socket: TcpStream,
    number: usize,
    server: Arc<Server>,
    /// What came and is ready to be read, and what waits for the end of its line.
    ready: Vec<u8>,
    kept: Vec<u8>,
    /// What came of the payload, and the name that it should get.
    part: Vec<u8>,
    file: PathBuf,
    /// What each read and write has moved, and whether it was a read.
    talk: Vec<(bool, Vec<u8>)>,
    expected: Expected,
    messages: usize,
    /// The length of the line so far.
    line: usize,
    /// A file was stored since the last write.
    has_stored: bool,
    has_ended: bool,
    is_closing: bool,
    is_shut: bool,
}

impl Flawed {
    fn is(&self, flaw: &str) -> bool {
        self.server.is(flaw)
    }

    /// Whether the peer has ended its direction, a moment later.
    fn is_over(&self, milliseconds: u64) -> bool {
        sleep(Duration::from_millis(milliseconds));
        let _ = self.socket.set_read_timeout(Some(Duration::from_millis(1)));
        self.socket.peek(&mut [0]).is_ok_and(|n| n == 0)
    }

    /// Whether it is the one that may do what only one may do.
    fn is_next(&self) -> bool {
        *self.server.one.lock().unwrap().get_or_insert(self.number) == self.number
    }

    /// Remembers how the last reads and writes began.
    fn note(&mut self, is_in: bool, bytes: &[u8]) {
        self.talk.push((is_in, bytes[..bytes.len().min(500)].to_vec()));
        self.talk.drain(..self.talk.len().saturating_sub(12));
    }

    /// Whether a payload has begun and not ended.
    fn is_cut(&self) -> bool {
        matches!(self.expected, Expected::Payload { size: Some(_), .. })
    }

    /// The grader's name in what came last.
    fn name(&self) -> String {
        let name = self.talk.iter().rev().filter(|(is_in, _)| *is_in).find_map(|(_, heard)| {
            let heard = String::from_utf8_lossy(heard);
            let (_, rest) = heard.rsplit_once("grade-")?;
            let is_part = |c: &char| c.is_alphanumeric() || "-_.".contains(*c);
            Some(format!("grade-{}", rest.chars().take_while(is_part).collect::<String>()))
        });
        // A request of `struct` to remove a file goes on with this.
        name.unwrap_or_default().trim_end_matches('Y').to_owned()
    }

    /// What the first marks of a rule stand for in this state. `None`: the connection is in another one.
    fn state(&self, state: &str) -> Option<Vec<Vec<u8>>> {
        let is_so = match state {
            "late" => self.messages > 30,
            "ended" => self.has_ended,
            "full" => self.server.open.load(SeqCst) > 10,
            "cut" => self.is_cut(),
            // The grader's first connection only looks whether there is a server.
            "silent" => {
                let has_come = self.talk.iter().any(|(is_in, _)| *is_in);
                self.messages == 0 && !has_come && self.number > 0
            }
            "first" => self.talk.len() == 1,
            "again" => {
                let asked = self.talk.first().map(|(_, asked)| asked.clone()).unwrap_or_default();
                std::mem::replace(&mut *self.server.asked.lock().unwrap(), asked.clone()) == asked
            }
            "large" => files(&self.server.root)
                .iter()
                .any(|(path, _)| path.metadata().is_ok_and(|found| found.len() > 150_000)),
            "outside" => !files(&self.server.root.join("..")).is_empty(),
            "hidden" => {
                let all = files(&self.server.root);
                let (_, name) = all.into_iter().find(|(_, name)| name.starts_with('.'))?;
                return Some(vec![name.into_bytes()]);
            }
            "" => true,
            _ => panic!("grade_rules.txt has an unknown state: {state}"),
        };
        is_so.then(Vec::new)
    }

    /// Applies the rules. No message is as long as what they leave out: that is a part of a payload.
    fn changed(&self, mut bytes: Vec<u8>, way: &str) -> Vec<u8> {
        let rest = bytes.split_off(bytes.len().min(9000));
        for rule in self.server.rules.iter().filter(|rule| rule.way == way) {
            // The last write of a connection has nothing in it, and may come after the next connection's first.
            if rule.state == "again" && bytes.is_empty() {
                continue;
            }
            if let Some(marks) = self.state(&rule.state) {
                bytes = rule.apply(&bytes, &self.talk, marks);
            }
        }
        [bytes, rest].concat()
    }

    /// Reads once.
    fn fill(&mut self) -> io::Result<()> {
        let is_payload = matches!(self.expected, Expected::Payload { .. });
        if is_payload && self.part.is_empty() {
            self.file = self.server.root.join(self.name());
        }
        match self.expected {
            // What did not come at once is made up.
            Expected::Payload { came: came @ 1.., size } if self.is("payload-in-one-read") => {
                self.has_ended |= size.is_none();
                self.ready = vec![0; usize::try_from(size.unwrap_or(came) - came).unwrap()];
                return Ok(());
            }
            Expected::Payload { .. } if self.is("writes-at-once") => {
                let _ = fs::write(&self.file, &self.part);
            }
            _ => self.server.replace(),
        }
        while is_payload && self.is("one-upload-at-a-time") && !self.is_next() {
            sleep(Duration::from_millis(5));
        }
        let mut bytes = vec![0; 16 << 10];
        let read = self.socket.read(&mut bytes);
        let broken = [ErrorKind::ConnectionReset, ErrorKind::ConnectionAborted];
        if read.as_ref().is_err_and(|error| broken.contains(&error.kind())) {
            let flaw = if self.is_closing { "dies-of-late-reset" } else { "dies-of-reset" };
            self.server.is_dead.fetch_or(self.is(flaw), SeqCst);
        }
        bytes.truncate(read?);
        if bytes.is_empty() {
            self.has_ended = true;
            self.ready.append(&mut self.kept);
            let is_half = |(is_in, said): &(bool, Vec<u8>)| *is_in && !said.ends_with(b"\n");
            if self.is("runs-half-commands") && self.talk.last().is_some_and(is_half) {
                self.ready.push(b'\n');
            }
            return Ok(());
        }
        self.ready = bytes.clone();
        if is_payload {
            self.part.extend_from_slice(&bytes);
            self.ready.splice(0..0, std::mem::take(&mut self.kept));
        } else {
            self.ready = self.changed(self.ready.clone(), "in");
            self.misunderstand();
        }
        self.note(true, &bytes);
        let is_closed = self.ready.ends_with(b"<close>")
            || self.is("half-close-is-a-close") && self.ready != b"byebye\n" && self.is_over(5);
        if is_closed { Err(ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    /// Takes a read for what it is not.
    fn misunderstand(&mut self) {
        let end = self.ready.iter().position(|byte| *byte == b'\n');
        let most = if self.server.dialect == Dialect::Text { 4000 } else { 65_000 };
        match (self.server.flaw, end) {
            ("one-read" | "drops-the-rest", Some(end)) => self.ready.truncate(end + 1),
            ("one-read", None) if self.server.dialect != Dialect::Struct => {
                self.ready.truncate(1000);
                self.ready.push(b'\n');
            }
            ("decodes-each-read", _) if std::str::from_utf8(&self.ready).is_err() => {
                self.ready.push(b'\n');
            }
            ("short-lines", Some(1024..)) => self.ready.insert(1024, b'\n'),
            ("no-line-limit", _) => {
                let line = &mut self.line;
                self.ready.retain(|byte| {
                    *line = if *byte == b'\n' { 0 } else { *line + 1 };
                    *byte != b'x' || *line < most
                });
            }
            ("permitted-late-limit", None) if self.line + self.ready.len() < most => {
                self.line += self.ready.len();
            }
            ("permitted-late-limit", None) => self.kept.append(&mut self.ready),
            ("permitted-late-limit", Some(_)) => {
                self.ready.splice(0..0, std::mem::take(&mut self.kept));
            }
            ("needs-lf", _) => {
                self.kept.append(&mut self.ready);
                let end = self.kept.iter().rposition(|byte| *byte == b'\n');
                self.ready = self.kept.drain(..end.map_or(0, |end| end + 1)).collect();
            }
            _ => {}
        }
    }
}

impl Read for Flawed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.ready.is_empty() && !self.has_ended {
            self.fill()?;
        }
        let n = self.ready.len().min(into.len());
        into[..n].copy_from_slice(&self.ready[..n]);
        self.ready.drain(..n);
        Ok(n)
    }
}

impl Write for Flawed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_shut {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if std::mem::take(&mut self.has_stored) || self.is("no-empty-files") {
            self.server.spoil();
        }
        let mut said = self.changed(bytes.to_vec(), "out");
        if !bytes.is_empty() {
            self.note(false, bytes);
        }
        for (mark, dies) in [(&b"<close>"[..], false), (b"<die>", true)] {
            if said.ends_with(mark) {
                said.truncate(said.len() - mark.len());
                self.is_shut = true;
                self.server.is_dead.fetch_or(dies, SeqCst);
            }
        }
        let root = &self.server.root;
        if self.is("dot-dot") && bytes.starts_with(b"error") && said != bytes {
            let _ = fs::write(root.join("..").join(self.name()), "");
        }
        let is_removed = bytes.starts_with(b"ok removed") || bytes == [1, 0, 0, 0];
        let is_back =
            self.is("rm-does-nothing") || self.is("never-reuses") && self.name().contains("_1");
        if is_removed && is_back {
            fs::write(root.join(self.name()), "")?;
        }
        let line = said.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let half = if self.is("two-writes") && line < said.len() { line } else { 0 };
        let one = self.is("one-download-at-a-time").then(|| self.server.one.lock());
        let written = self.socket.write_all(&said[..half]).and_then(|()| {
            sleep(Duration::from_millis(if half > 0 { 40 } else { 0 }));
            self.socket.write_all(&said[half..])
        });
        drop(one);
        let dies = written.is_err() && self.is("dies-of-broken-writes");
        self.server.is_dead.fetch_or(dies, SeqCst);
        if self.is_shut {
            self.socket.shutdown(Shutdown::Write)?;
            return Err(ErrorKind::ConnectionAborted.into());
        }
        written.map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Flawed {
    fn limit_wait(&mut self, longest: Duration) -> io::Result<()> {
        let is_short = self.is("short-pause") && longest < Duration::from_secs(1);
        self.socket.limit_wait(if is_short { Duration::from_millis(20) } else { longest })
    }

    fn pause(&mut self, time: Duration) {
        if !self.is("no-pause") {
            sleep(time);
        }
    }

    fn end_writing(&mut self) -> io::Result<()> {
        self.is_closing = true;
        let ended = self.socket.end_writing();
        // The reset was faster.
        self.server.is_dead.fetch_or(ended.is_err() && self.is("dies-of-late-reset"), SeqCst);
        ended
    }

    fn note_wait(&mut self, _: &[u8], expected: Expected) {
        if !self.is_closing {
            self.expected = expected;
        }
    }

    fn note_message(&mut self, _: &[u8], _: u64, end: Ending) {
        self.messages += 1;
        if let Ending::Size | Ending::Stream = end {
            self.expected = Expected::Line;
            self.has_stored = true;
            self.server.one.lock().unwrap().take_if(|number| *number == self.number);
            self.part.clear();
            self.is_shut |= self.is("upload-half-close") && self.is_over(20);
            match self.server.flaw {
                "eats-after-payload" => self.ready.clear(),
                // What it has written there is in the way of what is stored now.
                "writes-at-once" => drop(fs::remove_file(&self.file)),
                _ => {}
            }
        }
    }
}

impl Drop for Flawed {
    fn drop(&mut self) {
        // Where nothing is replied, a rule may reply something.
        let _ = self.write(b"");
        self.server.one.lock().unwrap().take_if(|number| *number == self.number);
        let is_cut = self.is_cut();
        match self.server.flaw {
            "keeps-half" if is_cut => drop(fs::write(&self.file, &self.part)),
            "leaves-hidden" if is_cut => {
                let name = format!(".left{}", self.number);
                fs::write(self.server.root.join(name), "").unwrap();
            }
            "writes-at-once" if is_cut => drop(fs::remove_file(&self.file)),
            _ => {}
        }
    }
}
