//! The servers that are measured: each a process of its own over a folder of its own.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::peer::{Peer, Speaks};

/// How long a server may take to come up.
const PATIENCE: Duration = Duration::from_secs(20);

/// The places that our server is told to have.
const PLACES: &str = "60000";

/// A server under test.
pub struct Subject {
    /// The head of its column.
    pub name: String,
    /// How to talk to it.
    pub speaks: Speaks,
    /// The folder that it serves.
    pub root: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
    process: Child,
    /// Held, because both our server and the loops end with it.
    _stdin: Option<ChildStdin>,
}

impl Subject {
    /// The bare loops: this very program, started once more.
    pub fn bare(folder: &Path) -> io::Result<Subject> {
        let mut command = Command::new(std::env::current_exe()?);
        let root = root_in(folder)?;
        command.arg(crate::BARE).arg(&root);
        Subject::announced("bare", Speaks::Bare, root, command, Stdio::inherit())
    }

    /// The server of this repository, with everything on.
    pub fn ours(folder: &Path) -> io::Result<Subject> {
        Subject::like_ours("connme", &[env!("CARGO_BIN_EXE_connme-server")], folder)
    }

    /// Another server: a command that takes the flags of ours, or one with `{port}` and `{root}` in it.
    pub fn also(name: &str, command: &str, folder: &Path) -> io::Result<Subject> {
        let words: Vec<_> = command.split_whitespace().collect();
        if !command.contains("{port}") {
            return Subject::like_ours(name, &words, folder);
        }
        let root = root_in(folder)?;
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let fill = |word: &&str| {
            let word = word.replace("{port}", &address.port().to_string());
            word.replace("{root}", &root.to_string_lossy())
        };
        let words: Vec<_> = words.iter().map(fill).collect();
        let log = folder.join("log");
        let (out, err) = (File::create(&log)?, File::options().append(true).open(&log)?);
        let mut command = command_of(&words)?;
        let process = command.stdin(Stdio::null()).stdout(out).stderr(err);
        let process = process.spawn().map_err(|error| cannot_start(&command, &error))?;
        let mut subject = Subject::new(name, Speaks::Text, root, process);
        subject.address = address;
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            if subject.process.try_wait()?.is_some() || Instant::now() > end {
                let said = fs::read_to_string(&log).unwrap_or_default();
                return Err(failed(format!("{words:?} does not answer on {address}\n{said}")));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(subject)
    }

    /// The log goes to a file, where a server's log is on most days.
    fn like_ours(name: &str, words: &[&str], folder: &Path) -> io::Result<Subject> {
        let root = root_in(folder)?;
        let mut command = command_of(words)?;
        command.args(["--listen", "text=127.0.0.1:0", "--root"]).arg(&root);
        command.args(["--max-connections", PLACES, "--max-per-address", PLACES]);
        let log = File::create(folder.join("log"))?;
        Subject::announced(name, Speaks::Text, root, command, log.into())
    }

    /// A server that prints its address.
    fn announced(
        name: &str,
        speaks: Speaks,
        root: PathBuf,
        mut command: Command,
        log: Stdio,
    ) -> io::Result<Subject> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let process = command.spawn().map_err(|error| cannot_start(&command, &error))?;
        let mut subject = Subject::new(name, speaks, root, process);
        let (tell, told) = mpsc::channel();
        if let Some(stdout) = subject.process.stdout.take() {
            thread::spawn(move || {
                let mut line = String::new();
                let _ = BufReader::new(stdout).read_line(&mut line);
                let _ = tell.send(line);
            });
        }
        let line = told.recv_timeout(PATIENCE).unwrap_or_default();
        let address = line.split_whitespace().find_map(|word| word.parse().ok());
        subject.address = address
            .ok_or_else(|| failed(format!("{command:?}: no address in its first line {line:?}")))?;
        Ok(subject)
    }

    fn new(name: &str, speaks: Speaks, root: PathBuf, mut process: Child) -> Subject {
        let stdin = process.stdin.take();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Subject { name: name.to_owned(), speaks, root, address, process, _stdin: stdin }
    }

    /// A new connection.
    pub fn connect(&self) -> io::Result<Peer> {
        Peer::connect(self.address, self.speaks)
    }

    /// Processor time that it has used, in seconds, where the system tells.
    pub fn processor(&self) -> Option<f64> {
        let stat = fs::read_to_string(self.proc("stat")).ok()?;
        // Behind the name, which may hold anything: state, ten more, then user and system time, in
        // hundredths of a second on every Linux.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut times = fields.split_whitespace().skip(11);
        let mut ticks = || times.next()?.parse::<f64>().ok();
        Some((ticks()? + ticks()?) / 100.0)
    }

    /// Begins to look for the peak of its memory anew.
    pub fn forget_peak(&self) {
        let _ = fs::write(self.proc("clear_refs"), "5");
    }

    /// The most memory that it held since, in KiB.
    pub fn peak(&self) -> Option<f64> {
        field(&self.proc("status"), "VmHWM:")
    }

    /// The memory that it holds, in KiB, shared pages by halves.
    pub fn held(&self) -> Option<f64> {
        field(&self.proc("smaps_rollup"), "Pss:")
    }

    /// Waits while the threads of connections that have ended become fewer.
    pub fn calm(&self) {
        let threads = || field(&self.proc("status"), "Threads:").unwrap_or(0.0);
        let mut before = f64::INFINITY;
        let mut now = threads();
        while now < before {
            thread::sleep(Duration::from_millis(20));
            (before, now) = (now, threads());
        }
    }

    fn proc(&self, file: &str) -> PathBuf {
        format!("/proc/{}/{file}", self.process.id()).into()
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An error with these words.
pub fn failed(words: impl Into<String>) -> io::Error {
    io::Error::other(words.into())
}

fn command_of(words: &[impl AsRef<OsStr>]) -> io::Result<Command> {
    let (program, words) = words.split_first().ok_or_else(|| failed("an empty command"))?;
    let mut command = Command::new(program);
    command.args(words);
    Ok(command)
}

fn cannot_start(command: &Command, error: &io::Error) -> io::Error {
    failed(format!("start {}: {error}", command.get_program().display()))
}

fn root_in(folder: &Path) -> io::Result<PathBuf> {
    let root = folder.join("root");
    fs::create_dir_all(&root)?;
    Ok(root)
}

fn field(path: &Path, name: &str) -> Option<f64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
