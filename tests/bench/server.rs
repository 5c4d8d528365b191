//! The servers that are measured: each is a process with a folder of its own.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

use tempfile::TempDir;

use crate::connection::Connection;
use crate::failed;

/// The default limits of connme-server are lower than the number of idle connections.
const LIMITS: [&str; 4] = ["--max-connections", "60000", "--max-per-address", "60000"];

/// A folder in `TMPDIR`, removed when this is dropped. A run that is killed leaves it there, so it has
/// a name that tells where it comes from.
pub fn temporary_folder() -> io::Result<TempDir> {
    tempfile::Builder::new().prefix("connme-bench-").tempdir()
}

/// A running server. It is killed, and its folder removed, when this is dropped.
pub struct Server {
    pub name: String,
    pub is_bare: bool,
    pub address: SocketAddr,
    process: Child,
    /// How many sockets it has without a connection.
    listening: usize,
    /// The folder that it serves.
    pub root: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Starts this program once more, as the server with the bare loops.
    pub fn bare_loops() -> io::Result<Server> {
        let root = temporary_folder()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(crate::SERVE_BARE_LOOPS).arg(root.path());
        Server::start("bare", true, command, root)
    }

    /// Starts a build of connme-server, with everything on.
    pub fn connme(name: &str, program: &str) -> io::Result<Server> {
        let root = temporary_folder()?;
        let mut command = Command::new(program);
        command.args(["--listen", "text=127.0.0.1:0", "--root"]).arg(root.path()).args(LIMITS);
        Server::start(name, false, command, root)
    }

    fn start(name: &str, is_bare: bool, mut command: Command, root: TempDir) -> io::Result<Server> {
        // The log goes to a file, as it does on most servers.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(tempfile::tempfile()?);
        let started = command.spawn();
        let mut process =
            started.map_err(|error| failed(format!("cannot start {name}: {error}")))?;
        // The first line of its output contains its address.
        let mut line = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let address = line.split_whitespace().find_map(|word| word.parse().ok());
        let address = address.ok_or_else(|| failed(format!("{name} has no address: {line:?}")))?;
        let mut server =
            Server { name: name.to_owned(), is_bare, address, process, listening: 0, root };
        server.listening = server.sockets();
        Ok(server)
    }

    /// The path of a file in the folder that it serves.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A new connection that a thread of the server handles already.
    pub fn greet(&self) -> io::Result<Connection> {
        let mut connection = Connection::open(self.address)?;
        connection.ask("connme", "ok connected").map(|_| connection)
    }

    pub fn greet_all(&self, clients: usize) -> io::Result<Vec<Connection>> {
        (0..clients).map(|_| self.greet()).collect()
    }

    // The system's figures are in `/proc`. Where that does not exist, they are NaN, and nothing is waited for.

    /// The processor time that the server has used so far.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(self.proc("stat")).unwrap_or_default();
        // After the program's name, which may contain spaces, the twelfth and thirteenth field are
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

    /// Waits until all connections have ended on its side too, so that they cost the next turn nothing.
    pub fn settle(&self) {
        while self.sockets() > self.listening {
            thread::yield_now();
        }
    }

    fn sockets(&self) -> usize {
        let open = fs::read_dir(self.proc("fd")).into_iter().flatten().flatten();
        let is_socket = |to: PathBuf| to.to_string_lossy().starts_with("socket:");
        open.filter(|file| fs::read_link(file.path()).is_ok_and(is_socket)).count()
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
