//! A server in a temporary folder, for the commands that need one of their own.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

use super::capture::Capture;
use crate::cli::Parsed;
use crate::cli::server::parse;
use crate::dialect::Dialect;
use crate::error::{Answer, CREATE, Failure, Tried};
use crate::lang::Lang;
use crate::limits::TCP_IP;
use crate::log::Log;
use crate::server::{ConnectionLimits, Server};
use crate::store::Store;
use crate::wire::WireConfig;
use crate::wire::stream::Prepare;

/// The file of this program. Where `/proc` is not mounted, as in a bare container, it is found by the word that
/// started it.
pub(in crate::lab) fn this_program() -> io::Result<PathBuf> {
    std::env::current_exe().or_else(|error| match std::env::args_os().next() {
        Some(word) if Path::new(&word).is_file() => std::path::absolute(word),
        _ => Err(error),
    })
}

/// A folder that is removed when this is dropped. It holds a lock, which the system releases when the program
/// ends: so the next run can remove what a killed run has left.
pub(in crate::lab) struct TemporaryFolder(pub(in crate::lab) PathBuf, Option<File>);

const SCRATCH: &str = "connme-scratch-";

impl TemporaryFolder {
    pub(in crate::lab) fn new() -> Answer<TemporaryFolder> {
        let mut temporary = std::env::temp_dir();
        // A bare container has no such folder.
        if !temporary.is_dir() {
            temporary = std::env::current_dir().unwrap_or(temporary);
        }
        let path = temporary.join(format!("{SCRATCH}{:016x}", crate::store::random()));
        let failed = |error| Failure::local(CREATE, path.display(), error);
        fs::create_dir(&path).map_err(failed)?;
        let mut lock = File::create_new(path.join("lock")).map_err(failed)?;
        let _ = lock.lock();
        // Another run takes a lock file that is free for a dead one's only when it has been locked once.
        let _ = lock.write_all(b"locked");
        for entry in fs::read_dir(&temporary).into_iter().flatten().flatten() {
            if is_left_over(&entry.path(), &path) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        Ok(TemporaryFolder(path, Some(lock)))
    }
}

/// Whether an ended run has left this folder. All users share the temporary folder, so it must be a plain
/// folder with such a name and with a plain lock file in it, and on Unix both must have the owner of `own`.
/// Anything else is not opened.
fn is_left_over(folder: &Path, own: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_ours = name.strip_prefix(SCRATCH).is_some_and(|number| {
        number.len() == 16 && number.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    });
    let look = |path: &Path| fs::symlink_metadata(path).ok().filter(|it| has_same_owner(it, own));
    let lock = folder.join("lock");
    is_ours
        && folder != own
        && look(folder).is_some_and(|it| it.is_dir())
        && look(&lock).is_some_and(|it| it.is_file() && it.len() > 0)
        && File::open(lock).is_ok_and(|lock| lock.try_lock().is_ok())
}

#[cfg(unix)]
fn has_same_owner(found: &fs::Metadata, own: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::symlink_metadata(own).is_ok_and(|own| own.uid() == found.uid())
}

#[cfg(not(unix))]
fn has_same_owner(_: &fs::Metadata, _: &Path) -> bool {
    true
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        self.1 = None;
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server in this process. It takes no more connections when this is dropped.
pub(super) struct LocalServer {
    pub(super) ports: Vec<(Dialect, u16)>,
    listeners: Vec<TcpListener>,
}

pub(in crate::lab) const START: Tried = ("start", "menjalankan");

impl LocalServer {
    /// A server with some of the flags of `connme-server`, and with instruments over its sockets. It has every dialect,
    /// each on a free port.
    pub(super) fn prepared(root: &Path, flags: &str, prepare: Prepare) -> Answer<LocalServer> {
        let failed = |error: io::Error| Failure::local(START, "connme-server", error);
        let Ok(Parsed::Run(config)) = parse(flags.split_whitespace().map(Into::into), Lang::En)
        else {
            return Err(failed(io::ErrorKind::InvalidInput.into()));
        };
        let wires = WireConfig { idle: config.idle_timeout, ..WireConfig::default() };
        let limits = ConnectionLimits { all: config.max_connections, ..Default::default() };
        let store = Store::open(root, config.store, &Log::silent())
            .map_err(|error| Failure::local(START, "connme-server", error.cause()))?;
        let server = Server::new(store, Log::silent(), wires, limits, prepare);
        let listen = |dialect: Dialect| {
            // A capture is read by what knows a dialect by its port.
            let usual = if Capture::of_program().is_some() { dialect.port() } else { 0 };
            let listener = TcpListener::bind((TCP_IP, usual));
            Ok((dialect, listener.or_else(|_| TcpListener::bind((TCP_IP, 0)))?))
        };
        let listeners: io::Result<_> = Dialect::ALL.into_iter().map(listen).collect();
        let serve = |listeners| drop(server.run(listeners));
        LocalServer::start(listeners.map_err(failed)?, serve).map_err(failed)
    }

    /// A server for `text` of another kind. See [`LocalServer::start`] for what `serve` has to do.
    pub(super) fn of_text(
        line: &str,
        serve: impl Fn(&TcpListener) + Send + 'static,
    ) -> Answer<LocalServer> {
        let failed = |error| Failure::local(START, line, error);
        let listener = TcpListener::bind((TCP_IP, 0)).map_err(failed)?;
        let serve = move |listeners: Vec<_>| listeners.iter().for_each(|(_, one)| serve(one));
        LocalServer::start(vec![(Dialect::Text, listener)], serve).map_err(failed)
    }

    /// Starts `serve` with these, in a thread. It has to return when a listener does not wait any more.
    fn start(
        listeners: Vec<(Dialect, TcpListener)>,
        serve: impl FnOnce(Vec<(Dialect, TcpListener)>) + Send + 'static,
    ) -> io::Result<LocalServer> {
        let (mut ports, mut own) = (Vec::new(), Vec::new());
        for (dialect, listener) in &listeners {
            ports.push((*dialect, listener.local_addr()?.port()));
            own.push(listener.try_clone()?);
        }
        thread::Builder::new().spawn(move || serve(listeners))?;
        Ok(LocalServer { ports, listeners: own })
    }

    /// Whether every dialect has its own port.
    pub(super) fn has_usual_ports(&self) -> bool {
        self.ports.iter().all(|(dialect, port)| dialect.port() == *port)
    }

    pub(super) fn port(&self, dialect: Dialect) -> u16 {
        let port = self.ports.iter().find(|(known, _)| *known == dialect).map(|(_, port)| *port);
        port.unwrap_or(dialect.port())
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        for listener in &self.listeners {
            // The call that waits now gets a last connection. The next one does not wait.
            let told = listener.set_nonblocking(true).and_then(|()| listener.local_addr());
            let _ = told.and_then(TcpStream::connect);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::stream;
    use std::time::{Duration, Instant};

    /// Each lesson has a server of its own: five listeners and their threads.
    #[test]
    fn a_dropped_server_listens_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let server = LocalServer::prepared(folder.path(), "", stream::plain()).unwrap();
        let ports: Vec<_> = server.ports.iter().map(|(_, port)| *port).collect();
        let is_open = |port: &u16| TcpStream::connect((TCP_IP, *port)).is_ok();
        assert!(ports.iter().all(is_open));
        drop(server);
        let end = Instant::now() + Duration::from_secs(20);
        while ports.iter().any(is_open) {
            assert!(Instant::now() < end, "the server still listens");
            thread::yield_now();
        }
    }

    #[test]
    fn only_what_an_ended_run_has_left_is_removed() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let folder = temporary.path().join(name);
            fs::create_dir(&folder).unwrap();
            folder
        };
        let with_lock = |name: &str| {
            let folder = folder(name);
            fs::write(folder.join("lock"), "locked").unwrap();
            folder
        };
        let own = temporary.path();
        assert!(is_left_over(&with_lock("connme-scratch-0123456789abcdef"), own));
        for name in ["connme-scratch-x", "connme-scratch-FEDCBA9876543210", "scratch"] {
            assert!(!is_left_over(&with_lock(name), own), "{name}");
        }
        assert!(!is_left_over(&folder("connme-scratch-0000000000000000"), own));
        let running = with_lock("connme-scratch-1111111111111111");
        let lock = File::open(running.join("lock")).unwrap();
        lock.lock().unwrap();
        assert!(!is_left_over(&running, own));
        #[cfg(unix)]
        {
            use std::os::unix::fs::symlink;
            let linked = folder("connme-scratch-2222222222222222");
            symlink(running.join("lock"), linked.join("lock")).unwrap();
            assert!(!is_left_over(&linked, own));
            let link = temporary.path().join("connme-scratch-3333333333333333");
            symlink(with_lock("elsewhere"), &link).unwrap();
            assert!(!is_left_over(&link, own));
        }
    }
}
