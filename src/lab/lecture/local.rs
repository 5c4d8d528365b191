//! A server in this process, for the commands that need one of their own.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use super::capture::Capture;
use crate::cli::Parsed;
use crate::cli::server::parse;
use crate::dialect::Dialect;
use crate::error::{Answer, Failure};
use crate::lab::scratch::START;
use crate::lang::Lang;
use crate::limits::TCP_IP;
use crate::log::Log;
use crate::server::{ConnectionLimits, Server};
use crate::store::Store;
use crate::wire::WireConfig;
use crate::wire::stream::Prepare;

/// A server in this process. It takes no more connections when this is dropped.
pub(super) struct LocalServer {
    pub(super) ports: Vec<(Dialect, u16)>,
    listeners: Vec<TcpListener>,
}

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
        let limits =
            ConnectionLimits { all: config.max_connections, per_address: config.max_per_address };
        let store = Store::open(root, config.store, &Log::default())
            .map_err(|error| Failure::local(START, "connme-server", error.cause()))?;
        let server = Server::new(store, Log::default(), wires, limits, prepare);
        let serve = |listeners| drop(server.run(listeners));
        LocalServer::start(&Dialect::ALL, serve).map_err(failed)
    }

    /// A server for `text` of another kind. See [`LocalServer::start`] for what `serve` has to do.
    pub(super) fn of_text(
        line: &str,
        serve: impl Fn(&TcpListener) + Send + 'static,
    ) -> Answer<LocalServer> {
        let serve = move |listeners: Vec<_>| listeners.iter().for_each(|(_, one)| serve(one));
        let started = LocalServer::start(&[Dialect::Text], serve);
        started.map_err(|error| Failure::local(START, line, error))
    }

    /// Starts `serve` in a thread, with a listener for each of these. It has to return when a listener does not wait any
    /// more.
    fn start(
        dialects: &[Dialect],
        serve: impl FnOnce(Vec<(Dialect, TcpListener)>) + Send + 'static,
    ) -> io::Result<LocalServer> {
        let (mut ports, mut own, mut listeners) = (Vec::new(), Vec::new(), Vec::new());
        for dialect in dialects {
            // A capture is read by what knows a dialect by its port.
            let usual = if Capture::of_program().is_some() { dialect.port() } else { 0 };
            let listener = TcpListener::bind((TCP_IP, usual));
            let listener = listener.or_else(|_| TcpListener::bind((TCP_IP, 0)))?;
            ports.push((*dialect, listener.local_addr()?.port()));
            own.push(listener.try_clone()?);
            listeners.push((*dialect, listener));
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
}
