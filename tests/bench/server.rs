//! The servers that are measured: each is a process with a folder of its own.

use std::ffi::OsStr;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::failed;

/// How long a server may take to accept its first connection.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(20);

/// The flags of connme-server. Its default limits on connections are lower than what rows need.
pub const FLAGS: &str = "--listen text=127.0.0.1:0 --root {root} --max-connections 60000 \
                     --max-per-address 60000";

/// A running server. It is killed when this is dropped.
pub struct Server {
    pub name: String,
    pub is_bare: bool,
    /// The folder that it serves.
    pub root: PathBuf,
    pub address: SocketAddr,
    process: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Starts a program with these arguments, after filling in `{root}` and `{port}`. A server without
    /// `{port}` chooses a port itself and prints its address in its first line.
    pub fn start(name: &str, program: &OsStr, words: &str, folder: &Path) -> io::Result<Server> {
        let is_bare = words.starts_with(crate::SERVE_BARE_LOOPS);
        let root = folder.join("root");
        fs::create_dir_all(&root)?;
        let mut address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let mut command = Command::new(program);
        for word in words.split_whitespace() {
            let word = word.replace("{port}", &address.port().to_string());
            command.arg(word.replace("{root}", &root.to_string_lossy()));
        }
        let has_port = words.contains("{port}");
        // The log goes to a file, as it does on most servers.
        let log = File::create(folder.join("log"))?;
        let stdout = if has_port { log.try_clone()?.into() } else { Stdio::piped() };
        command.stdin(Stdio::null()).stdout(stdout).stderr(log);
        let why = |why: &dyn Display| failed(format!("cannot start {name}: {why}"));
        let mut process = command.spawn().map_err(|error| why(&error))?;
        if let Some(stdout) = process.stdout.take() {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line)?;
            let found = line.split_whitespace().find_map(|word| word.parse().ok());
            address = found.ok_or_else(|| why(&format!("no address in its output {line:?}")))?;
        }
        let mut server = Server { name: name.to_owned(), is_bare, root, address, process };
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            if server.process.try_wait()?.is_some() || start.elapsed() > STARTUP_TIMEOUT {
                let log = fs::read_to_string(folder.join("log"))?;
                return Err(why(&format!("it does not listen on {address}\n{log}")));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    /// A new connection.
    pub fn connect(&self) -> io::Result<Connection> {
        Connection::open(self.address)
    }

    /// A new connection that a thread of the server handles already.
    pub fn greet(&self) -> io::Result<Connection> {
        let mut connection = self.connect()?;
        connection.ask("connme", "ok connected").map(|_| connection)
    }

    pub fn greet_all(&self, clients: usize) -> io::Result<Vec<Connection>> {
        (0..clients).map(|_| self.greet()).collect()
    }

    // The system's figures are in `/proc`. Where that does not exist, they are NaN.

    /// The processor time that the server has used so far.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(self.proc("stat")).unwrap_or_default();
        // The fields after the program's name, which may contain spaces: the twelfth and thirteenth are
        // user and system time, in hundredths of a second on every Linux.
        let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
        let times = fields.split_whitespace().skip(11).take(2);
        let times: Vec<f64> = times.filter_map(|time| time.parse().ok()).collect();
        if times.is_empty() { f64::NAN } else { times.iter().sum::<f64>() / 100.0 }
    }

    /// Makes [`Server::peak_kib`] start again from now.
    pub fn reset_peak(&self) {
        let _ = fs::write(self.proc("clear_refs"), "5");
    }

    /// The most memory that the server had since.
    pub fn peak_kib(&self) -> f64 {
        self.proc_field("status", "VmHWM:")
    }

    /// The memory that the server has now. A page that n processes share counts as 1/n.
    pub fn memory_kib(&self) -> f64 {
        self.proc_field("smaps_rollup", "Pss:")
    }

    /// Waits until the threads of closed connections have ended, so that they cost the next turn
    /// nothing.
    pub fn settle(&self) {
        let threads = || self.proc_field("status", "Threads:");
        let (mut before, mut now) = (f64::INFINITY, threads());
        while now < before {
            thread::sleep(Duration::from_millis(20));
            (before, now) = (now, threads());
        }
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.process.id())
    }

    fn proc_field(&self, file: &str, name: &str) -> f64 {
        let text = fs::read_to_string(self.proc(file)).unwrap_or_default();
        let value =
            text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
        value.and_then(|value| value.parse().ok()).unwrap_or(f64::NAN)
    }
}
