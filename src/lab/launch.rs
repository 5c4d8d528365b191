//! A server that the lab starts itself, in a fresh folder and on a fresh port: that of a student's (`grade --run`), or
//! one of the shapes of `architectures`.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::process::{Process, last_lines, soon};
use super::scratch::TemporaryFolder;
use crate::dialect::Dialect;
use crate::lang::{Msg, msg};

/// How long a server may take until it accepts connections.
const START: Duration = Duration::from_secs(10);

/// How often a start is repeated on another port, if its port was taken meanwhile.
const STARTS: u32 = 3;

/// The command of a server, and the process that runs it now.
pub(super) struct Launched {
    words: Vec<String>,
    folder: TemporaryFolder,
    /// The port of a command that cannot be told one.
    usual: u16,
    pub(super) process: Process,
    pub(super) address: SocketAddr,
    /// While this is open, no other grader on this machine chooses the port.
    held: UdpSocket,
}

impl Launched {
    /// Starts the server with this command.
    ///
    /// # Errors
    /// What has to be said: why it cannot be started, or what it has printed.
    pub(super) fn start(words: Vec<String>, dialect: Dialect) -> Result<Launched, Msg> {
        let folder = TemporaryFolder::new().map_err(|failure| failure.why())?;
        let usual = dialect.port();
        let made = fs::create_dir(folder.0.join(ROOT)).map_err(|error| error.to_string());
        let begun = made.and_then(|()| begin(&words, &folder.0, usual));
        let (process, address, held) =
            begun.map_err(|printed| refused(&words.join(" "), &printed))?;
        Ok(Launched { words, folder, usual, process, address, held })
    }

    /// The folder that the server is told to keep its files in, or that it makes itself.
    pub(super) fn root(&self) -> PathBuf {
        self.folder.0.join(ROOT)
    }

    /// Starts it again, on another port.
    pub(super) fn restart(&mut self) -> Result<(), String> {
        self.process.kill();
        (self.process, self.address, self.held) = begin(&self.words, &self.folder.0, self.usual)?;
        Ok(())
    }
}

fn refused(command: &str, printed: &str) -> Msg {
    msg!(
        "'{command}' does not accept connections; it said:\n{printed}",
        "'{command}' tidak menerima koneksi; katanya:\n{printed}"
    )
}

/// The folder of the files, in the folder that the server runs in: the name that the assignment gives it.
const ROOT: &str = "uploads";

/// An address for a server: on this port, or on one that no other grader on this machine chooses while the UDP socket is
/// open. Two graders with one port would both grade the server that listens on it first.
fn reserve(port: Option<u16>) -> io::Result<(SocketAddr, UdpSocket)> {
    // It fails where another server listens already, which would be graded instead.
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0)))?.local_addr()?;
    let own = if port.is_none() { address.port() } else { 0 };
    Ok((address, UdpSocket::bind((Ipv4Addr::LOCALHOST, own))?))
}

fn begin(
    words: &[String],
    folder: &Path,
    usual: u16,
) -> Result<(Process, SocketAddr, UdpSocket), String> {
    let is_told = words.iter().any(|word| word.contains("{port}"));
    let mut tries = 0;
    loop {
        tries += 1;
        let (address, held) = match reserve((!is_told).then_some(usual)) {
            Err(_) if is_told && tries < STARTS => continue,
            Err(error) => return Err(format!("port {usual}: {error}")),
            Ok(reserved) => reserved,
        };
        let port = address.port();
        let root = folder.join(ROOT).display().to_string();
        let filled = words.iter().map(|it| it.replace("{port}", &port.to_string()));
        let filled: Vec<_> = filled.map(|it| it.replace("{root}", &root)).collect();
        let mut process = Process::start(&filled, folder, &[]).map_err(|e| e.to_string())?;
        // A server may end after its first client, which is this one.
        let mut has_accepted = false;
        let _ = soon(START, || {
            let has_ended = process.ended().is_some();
            has_accepted = !has_ended && TcpStream::connect_timeout(&address, START).is_ok();
            has_ended || has_accepted
        });
        if has_accepted {
            return Ok((process, address, held));
        }
        process.kill();
        let printed = last_lines(&process.printed());
        let is_taken = printed.iter().any(|line| line.contains("in use"));
        if tries == STARTS || !is_taken {
            return Err(printed.join("\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of ten graders at once, one graded the server of another.
    #[test]
    fn a_port_is_that_of_one_grader_and_of_no_other_server() {
        let (address, held) = reserve(None).unwrap();
        assert!(UdpSocket::bind(address).is_err());
        // If another test has it meanwhile, it is taken, too.
        let _listener = TcpListener::bind(address);
        assert!(reserve(Some(address.port())).is_err());
        drop(held);
    }
}
