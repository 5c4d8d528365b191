//! A server that ends with its test, a peer that speaks in bytes, and transcripts to replay.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::random::Random;

/// How long anything here waits before it calls the program stuck.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// All of them, in the order in which the server is told to listen.
pub const DIALECTS: [&str; 5] = ["text", "struct", "filesaver", "json", "count"];

/// The real server over a temporary folder, killed when the test is done with it.
pub struct TestServer {
    child: Child,
    /// By dialect.
    addresses: BTreeMap<String, SocketAddr>,
    folder: Option<TempDir>,
    root: PathBuf,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    text: Mutex<String>,
    grown: Condvar,
}

impl TestServer {
    /// A server over a folder of its own.
    pub fn start(flags: &[&str]) -> TestServer {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir(&root).unwrap();
        let mut server = TestServer::over(&root, flags);
        server.folder = Some(folder);
        server
    }

    /// A server over a folder that is there already.
    pub fn over(root: &Path, flags: &[&str]) -> TestServer {
        TestServer::over_by(&[], root, flags)
    }

    /// The same, with a log that is not read.
    #[cfg(unix)]
    pub fn unread(root: &Path, flags: &[&str]) -> TestServer {
        TestServer::run(&[], root, flags, false)
    }

    /// The same, started by another program.
    pub fn over_by(starter: &[&str], root: &Path, flags: &[&str]) -> TestServer {
        TestServer::run(starter, root, flags, true)
    }

    fn run(starter: &[&str], root: &Path, flags: &[&str], is_read: bool) -> TestServer {
        let words: Vec<_> = starter.iter().chain(&[env!("CARGO_BIN_EXE_connme-server")]).collect();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .args(
                DIALECTS
                    .iter()
                    .flat_map(|dialect| ["--listen".into(), format!("{dialect}=127.0.0.1:0")]),
            )
            .arg("--root")
            .arg(root)
            .args(flags)
            .env_remove("COLUMNS")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Log::default());
        // What is not taken stays open, and fills.
        if let Some(stderr) = if is_read { child.stderr.take() } else { None } {
            let (mut stderr, writer) = (BufReader::new(stderr), Arc::clone(&log));
            std::thread::spawn(move || {
                let mut line = Vec::new();
                while stderr.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                    writer.text.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
                    writer.grown.notify_all();
                    line.clear();
                }
            });
        }
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut addresses = BTreeMap::new();
        for _ in DIALECTS {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            // In whatever language: the address and the dialect stand at the end.
            let mut words = line.trim().rsplit(' ');
            let (Some(dialect), Some(address)) = (words.next(), words.next()) else {
                panic!("the server said {line:?}, then {}", log.text.lock().unwrap())
            };
            let dialect = dialect.trim_matches(['(', ')']).to_owned();
            addresses.insert(dialect, address.parse().unwrap());
        }
        TestServer { child, addresses, folder: None, root: root.to_owned(), log }
    }

    /// Where `text` is spoken.
    pub fn address(&self) -> SocketAddr {
        self.address_of("text")
    }

    pub fn address_of(&self, dialect: &str) -> SocketAddr {
        self.addresses[dialect]
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder around the root.
    pub fn outside(&self) -> &Path {
        self.folder.as_ref().unwrap().path()
    }

    pub fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.root.join(name), bytes).unwrap();
    }

    pub fn get(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.root.join(name)).unwrap()
    }

    pub fn has(&self, name: &str) -> bool {
        std::fs::symlink_metadata(self.root.join(name)).is_ok()
    }

    /// The visible names in the root, sorted.
    pub fn names(&self) -> Vec<String> {
        visible(&self.root)
    }

    pub fn peer(&self) -> Peer {
        self.peer_of("text")
    }

    /// A peer that speaks another dialect.
    pub fn peer_of(&self, dialect: &str) -> Peer {
        Peer::to(self.address_of(dialect), Arc::clone(&self.log))
    }

    pub fn log(&self) -> String {
        self.log.text.lock().unwrap().clone()
    }

    /// Waits until the log holds `text`.
    pub fn wait_for_log(&self, text: &str) {
        let mut log = self.log.text.lock().unwrap();
        let end = Instant::now() + PATIENCE;
        while !log.contains(text) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the log never said {text:?}:\n{log}");
            log = self.log.grown.wait_timeout(log, left).unwrap().0;
        }
    }

    /// The process's number.
    #[cfg(target_os = "linux")]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, where there are signals.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The client program, told where this server is, in a folder of the test's.
    pub fn client(&self, folder: &Path, args: &[&str]) -> assert_cmd::Command {
        let mut command = client(args);
        command.current_dir(folder).args(["--server", &self.address().to_string()]);
        command
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        assert!(
            std::thread::panicking() || !self.log().contains("panicked"),
            "the server panicked:\n{}",
            self.log()
        );
    }
}

/// The client program in a plain environment.
pub fn client(args: &[&str]) -> assert_cmd::Command {
    program(env!("CARGO_BIN_EXE_connme-client"), args)
}

pub fn lab(args: &[&str]) -> assert_cmd::Command {
    program(env!("CARGO_BIN_EXE_connme-lab"), args)
}

fn program(path: &str, args: &[&str]) -> assert_cmd::Command {
    let mut command = assert_cmd::Command::new(path);
    command.args(args).timeout(PATIENCE).env_remove("LC_ALL").env("LANG", "C");
    command.env_remove("COLUMNS");
    command
}

/// A temporary folder, in memory where that is possible: for many files.
pub fn folder_in_memory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    folder.unwrap()
}

pub fn visible(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

/// A peer of the server's that says and hears bytes.
pub struct Peer {
    stream: TcpStream,
    log: Arc<Log>,
    said: Vec<u8>,
}

impl Peer {
    /// A peer of a server in this process, whose log is elsewhere.
    pub fn of_this_process(address: SocketAddr) -> Peer {
        Peer::to(address, Arc::default())
    }

    fn to(address: SocketAddr, log: Arc<Log>) -> Peer {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Peer { stream, log, said: Vec::new() }
    }

    pub fn say(&mut self, bytes: impl AsRef<[u8]>) -> &mut Peer {
        let bytes = bytes.as_ref();
        self.said.extend_from_slice(&bytes[..bytes.len().min(500)]);
        if let Err(error) = self.stream.write_all(bytes) {
            self.fail(&format!("could not say {}: {error}", escape(bytes)));
        }
        self
    }

    /// Says it a byte at a time, each in a segment of its own as far as that is in our hands.
    pub fn drip(&mut self, bytes: impl AsRef<[u8]>) -> &mut Peer {
        for byte in bytes.as_ref() {
            self.say([*byte]);
        }
        self
    }

    /// The next bytes from the server are these.
    #[track_caller]
    pub fn hear(&mut self, expected: impl AsRef<[u8]>) -> &mut Peer {
        let expected = expected.as_ref();
        let mut got = Vec::new();
        let end = (&mut self.stream).take(expected.len() as u64).read_to_end(&mut got);
        if got != expected {
            let (expected, got) = (escape(expected), escape(&got));
            self.fail(&format!("expected\n  {expected}\ngot\n  {got}\n({end:?})"));
        }
        self
    }

    /// Exactly this many bytes from the server.
    #[track_caller]
    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut got = vec![0; n];
        if let Err(error) = self.stream.read_exact(&mut got) {
            self.fail(&format!("expected {n} bytes, got {error}"));
        }
        got
    }

    /// One read, again if a signal has interrupted it: a process that is stopped and goes on is enough for that.
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match self.stream.read(into) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    /// What one read brings: nothing where the server has closed.
    #[track_caller]
    pub fn first_bytes(&mut self) -> Vec<u8> {
        let mut got = vec![0; 4];
        match self.read(&mut got) {
            Ok(n) => got.truncate(n),
            Err(error) => self.fail(&format!("expected some bytes or the end, got {error}")),
        }
        got
    }

    /// The server says this at last, and nothing after it.
    #[cfg(target_os = "linux")]
    pub fn hear_last(&mut self, last: &str) {
        let (mut got, mut piece) = (Vec::new(), vec![0; 64 << 10]);
        while !got.ends_with(last.as_bytes()) {
            match self.read(&mut piece) {
                Ok(n @ 1..) => got.extend_from_slice(&piece[..n]),
                end => self.fail(&format!("expected {last:?}, got {end:?}")),
            }
        }
    }

    /// The next line from the server, with its LF.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\n") {
            match self.read(&mut byte) {
                Ok(1) => line.push(byte[0]),
                end => self.fail(&format!("expected a line, got {} ({end:?})", escape(&line))),
            }
        }
        String::from_utf8(line).unwrap()
    }

    /// The server says an error with this code.
    #[track_caller]
    pub fn refused(&mut self, code: &str) -> &mut Peer {
        let line = self.line();
        if !line.starts_with(&format!("error {code} ")) {
            self.fail(&format!("expected error {code}, got {line:?}"));
        }
        self
    }

    /// The server says an error, whichever.
    #[track_caller]
    pub fn refused_any(&mut self) -> &mut Peer {
        let line = self.line();
        if !line.starts_with("error ") {
            self.fail(&format!("expected an error, got {line:?}"));
        }
        self
    }

    /// The server says no more, and closes without a reset.
    #[track_caller]
    pub fn hear_end(&mut self) {
        let rest = self.rest();
        if !rest.is_empty() {
            self.fail(&format!("expected the end, got {}", escape(&rest)));
        }
    }

    /// All that the server still says, up to a clean end.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        if let Err(error) = self.stream.read_to_end(&mut rest) {
            self.fail(&format!("expected the end, got {} and {error}", escape(&rest)));
        }
        rest
    }

    pub fn end_writing(&mut self) -> &mut Peer {
        self.stream.shutdown(Shutdown::Write).unwrap();
        self
    }

    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    #[track_caller]
    fn fail(&self, what: &str) -> ! {
        let said = escape(&self.said[self.said.len().saturating_sub(400)..]);
        panic!("{what}\nafter\n  {said}\nthe server's log:\n{}", self.log.text.lock().unwrap());
    }
}

pub fn escape(bytes: &[u8]) -> String {
    let mut text: String =
        bytes.iter().take(400).flat_map(|b| b.escape_ascii()).map(char::from).collect();
    if bytes.len() > 400 {
        let _ = write!(text, "… ({} bytes)", bytes.len());
    }
    text
}

/// One step of a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Say(Vec<u8>),
    Hear(Vec<u8>),
    /// The server closes.
    End,
}

/// Reads a transcript: `> ` and `< ` begin a line that ends in LF, `>| ` and `<| ` bytes without
/// one, `<.` is the end of the stream, `# ` a remark. `\r`, `\n` and `\\` stand for themselves.
pub fn transcript(text: &str) -> Vec<Step> {
    let unescape =
        |text: &str| text.replace("\\r", "\r").replace("\\n", "\n").replace("\\\\", "\\");
    let line = |text: &str| (unescape(text) + "\n").into_bytes();
    text.lines()
        .filter(|text| !text.starts_with('#') && !text.is_empty())
        .map(|text| match text.split_once(' ').unwrap_or((text, "")) {
            (">", said) => Step::Say(line(said)),
            ("<", heard) => Step::Hear(line(heard)),
            (">|", said) => Step::Say(unescape(said).into_bytes()),
            ("<|", heard) => Step::Hear(unescape(heard).into_bytes()),
            ("<.", "") => Step::End,
            _ => panic!("no line of a transcript: {text}"),
        })
        .collect()
}

/// The transcripts of this repository, by name.
pub fn transcripts() -> Vec<(String, Vec<Step>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    visible(&folder)
        .into_iter()
        .map(|name| {
            let text = std::fs::read_to_string(folder.join(&name)).unwrap();
            (name, transcript(&text))
        })
        .collect()
}

/// Bytes that look different everywhere, the same for the same seed.
pub fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut random = Random(seed);
    let mut bytes = vec![0; size];
    for piece in bytes.chunks_mut(8) {
        piece.copy_from_slice(&random.next().to_le_bytes()[..piece.len()]);
    }
    bytes
}

/// Lets time pass. This is for peers that are slow, and between two looks at what gives no sign. Whatever gives one is
/// waited for by that.
pub fn let_pass(time: Duration) {
    std::thread::park_timeout(time);
}

/// Looks until it is so, within a bound: for what gives no sign.
pub fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "never {what}");
        let_pass(Duration::from_millis(10));
    }
}

/// Notes that this test, or a part of it, is not run because something is missing here. `make test` lists what is noted,
/// and `make test-all` fails.
pub fn skip(missing: &str) {
    let thread = std::thread::current();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = std::fs::File::options().append(true).create(true).open(folder.join("skipped"));
    let line = format!("{missing}\t{}\n", thread.name().unwrap_or_default());
    file.and_then(|mut file| file.write_all(line.as_bytes())).unwrap();
    eprint!("skipped without {line}");
}

/// The path of Python, where it can be had. What is called `python3` may be a script that looks for it first.
pub fn python() -> Option<String> {
    let asked =
        Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().ok();
    let path = asked.filter(|output| output.status.success()).map(|output| output.stdout);
    if path.is_none() {
        skip("python3");
    }
    path.map(|path| String::from_utf8(path).unwrap().trim_end().to_owned())
}
