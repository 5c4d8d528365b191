//! The servers that are measured: each a process of its own over a folder of its own.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::peer::{Peer, Speaks};

/// How long anything may take to come up or to calm down.
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
        let fill = |word: &str| {
            let word = word.replace("{port}", &address.port().to_string());
            word.replace("{root}", &root.to_string_lossy())
        };
        let mut words = words.into_iter().map(fill);
        let log = File::create(folder.join("log"))?;
        let process = Command::new(words.next().unwrap_or_default())
            .args(words)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let name = name.to_owned();
        let subject = Subject { name, speaks: Speaks::Text, root, address, process, _stdin: None };
        wait_until(&format!("{command} does not answer on {address}"), || {
            TcpStream::connect(address).is_ok()
        })?;
        Ok(subject)
    }

    /// The log goes to a file, where a server's log is on most days.
    fn like_ours(name: &str, words: &[&str], folder: &Path) -> io::Result<Subject> {
        let root = root_in(folder)?;
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        command.args(["--listen", "text=127.0.0.1:0", "--until-eof", "--root"]).arg(&root);
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
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let mut line = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let address = line.split_whitespace().find_map(|word| word.parse().ok());
        let address =
            address.ok_or_else(|| failed(format!("{name}: no address in its line {line:?}")))?;
        let stdin = process.stdin.take();
        let name = name.to_owned();
        Ok(Subject { name, speaks, root, address, process, _stdin: stdin })
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

    /// Waits until the threads of connections that have ended are gone, but for a few.
    pub fn calm(&self) -> io::Result<()> {
        wait_until(&format!("{}: its connections do not end", self.name), || {
            field(&self.proc("status"), "Threads:").is_none_or(|threads| threads < 64.0)
        })
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

fn wait_until(what: &str, mut so: impl FnMut() -> bool) -> io::Result<()> {
    let end = Instant::now() + PATIENCE;
    while !so() {
        if Instant::now() > end {
            return Err(failed(what));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
