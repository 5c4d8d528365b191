//! The server: accepts connections, limits them, gives each one a thread, and logs how it ends.
//!
//! It knows sockets and threads and no dialect: [`Dialect::handle_client`] holds the conversation, and
//! that function in turn sees no socket.

mod permits;
mod proxy;
mod threads;

use std::io::{self, ErrorKind as Kind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::dialect::Dialect;
use crate::error::{Code, Error, Result};
use crate::limits;
use crate::log::{ConnectionLog, Log};
use crate::store::Store;
use crate::wire::stream::{Prepare, set_options};
use crate::wire::{Wire, WireConfig};
pub use permits::ConnectionLimits;
use permits::{Permit, Permits};
use threads::Threads;

/// How long the accept loop pauses after a failed accept, so that a full descriptor table does not cause
/// a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// At most one line of the log in this time says that the accepts of a listener fail.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// How long the pause between two reads from a refused peer is.
const REFUSED_PAUSE: Duration = Duration::from_millis(10);

/// What belongs to all connections of a server.
pub struct Server {
    /// Every connection begins with the PROXY line of a load balancer: `--proxy-protocol`. Limits, log and trace then
    /// go by the address in it.
    pub has_proxy_line: bool,
    store: Store,
    log: Log,
    wire_config: Arc<WireConfig>,
    prepare: Prepare,
    permits: Arc<Permits>,
    threads: Threads,
    /// Permits for refused connections: held while a peer has time to read why.
    refusals: Arc<Permits>,
}

/// A connection that was accepted, and its permit.
struct Connection {
    dialect: Dialect,
    stream: TcpStream,
    peer: SocketAddr,
    permit: Permit,
    /// Its peer has been told that it cannot be served.
    is_refused: bool,
}

impl Server {
    /// A server over this store. `prepare` puts instruments between a wire and its socket: a trace, or a slow network.
    pub fn new(
        store: Store,
        log: Log,
        wire_config: WireConfig,
        limits: ConnectionLimits,
        prepare: Prepare,
    ) -> Server {
        Server {
            store,
            log,
            wire_config: Arc::new(wire_config),
            prepare,
            has_proxy_line: false,
            permits: Permits::new(limits),
            threads: Threads::default(),
            refusals: Permits::new(ConnectionLimits { all: limits::MAX_REFUSALS, per_address: 0 }),
        }
    }

    /// Serves these listeners, each from a thread of its own: for ever, except in a demo, which makes them
    /// non-blocking at its end.
    ///
    /// # Errors
    /// The system has no thread free.
    pub fn run(self, listeners: Vec<(Dialect, TcpListener)>) -> Result<()> {
        let server = Arc::new(self);
        let accept = |(dialect, listener): (Dialect, TcpListener)| {
            let server = Arc::clone(&server);
            let thread = thread::Builder::new().name(format!("accept {}", dialect.name()));
            thread.spawn(move || {
                // No client is served before every listener has its thread: connections could take all threads that
                // the system has.
                thread::park();
                server.accept(dialect, &listener);
            })
        };
        let threads = listeners.into_iter().map(accept).collect::<io::Result<Vec<_>>>();
        let threads = threads.map_err(|error| Error::io("start a thread to accept", &error))?;
        threads.iter().for_each(|thread| thread.thread().unpark());
        for thread in threads {
            let _ = thread.join();
        }
        Ok(())
    }

    /// Accepts connections, until a demo ends it. A failed accept does not end this: when the system has no descriptor
    /// left, new connections wait until one is free.
    fn accept(self: Arc<Server>, dialect: Dialect, listener: &TcpListener) {
        let mut logged: Option<Instant> = None;
        loop {
            match listener.accept() {
                Ok((stream, peer)) => self.hand_over(dialect, stream, peer),
                // A demo has made the listener non-blocking, to end this loop.
                Err(error) if error.kind() == Kind::WouldBlock => return,
                // Only one connection was lost, before it was accepted.
                Err(error)
                    if matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset) => {}
                Err(error) => {
                    if logged.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) {
                        logged = Some(Instant::now());
                        self.log.line(format_args!("{} accept: {error}", dialect.name()));
                    }
                    thread::sleep(ACCEPT_PAUSE);
                }
            }
        }
    }

    /// Gives a connection a permit and a thread, or refuses it: no permit or no thread is free.
    fn hand_over(self: &Arc<Server>, dialect: Dialect, stream: TcpStream, peer: SocketAddr) {
        // A balancer's address is not the client's.
        let address = if self.has_proxy_line { None } else { Some(peer.ip()) };
        let connection = match self.permits.take(address) {
            Ok(permit) => Connection { dialect, stream, peer, permit, is_refused: false },
            Err(busy) => return self.refuse_connection(dialect, stream, peer, &busy),
        };
        // The thread calls `serve`.
        if let Err(Connection { dialect, stream, peer, .. }) = self.give_thread(connection) {
            self.refuse_connection(dialect, stream, peer, &permits::busy("no thread is free"));
        }
    }

    /// Serves one connection. That of a refused client comes here too, to be read from for a moment.
    fn serve(self: &Arc<Server>, mut connection: Connection) {
        if connection.is_refused {
            return read_on(connection.stream);
        }
        if self.has_proxy_line
            && let Err(error) = proxy::find_client(&mut connection)
        {
            return self.turn_away(connection, error);
        }
        let log = self.log.for_connection(connection.peer, connection.dialect.name());
        log.open(connection.permit.connected);
        let end = self.converse(connection, &log);
        log.close(&end);
    }

    /// Holds the conversation. A panic is a bug of ours: it is logged, and ends this connection only.
    fn converse(&self, connection: Connection, log: &ConnectionLog<'_>) -> Result<()> {
        let Connection { dialect, stream, peer, permit, .. } = connection;
        set_options(&stream).map_err(|error| Error::connection(&error))?;
        // Without `--trace` and the like, this is `stream::plain`: it returns the socket itself.
        let stream = (self.prepare)(stream, Some(peer), dialect.name());
        let mut wire = Wire::new(stream, Arc::clone(&self.wire_config));
        wire.network = permit.network;
        // For `text` this is `text::handle_client`. The outer result says whether it panicked, the inner one how it ended.
        // `AssertUnwindSafe` says to the compiler that a panic leaves nothing half done.
        let end =
            catch_unwind(AssertUnwindSafe(|| dialect.handle_client(&mut wire, &self.store, log)));
        wire.close_and_wait();
        // What is local is dropped in reverse order: first the wire, which closes the socket, then the permit. So the
        // permit is free before the log says that the connection is closed.
        end.unwrap_or_else(|_| Err(Error::new(Code::Internal, "this connection met a bug")))
    }

    /// Ends a connection whose client could not be found, or has too many connections.
    fn turn_away(self: &Arc<Server>, connection: Connection, error: Error) {
        let Connection { dialect, stream, peer, permit, .. } = connection;
        drop(permit);
        if error.is(Code::Busy) {
            return self.refuse_connection(dialect, stream, peer, &error);
        }
        drop(stream);
        self.log.for_connection(peer, dialect.name()).close(&Err(error));
    }

    /// Tells a peer that it is not served. Then a thread reads on for a moment: a close with unread bytes is a reset, which
    /// can overtake the reply. If too many are read from already, or no thread is free, it is closed now.
    fn refuse_connection(
        self: &Arc<Server>,
        dialect: Dialect,
        mut stream: TcpStream,
        peer: SocketAddr,
        busy: &Error,
    ) {
        self.log.line(format_args!("{peer} {} refused {busy}", dialect.name()));
        let reply = dialect.error_reply(busy);
        // A new socket takes a line at once. If it does not, the peer has gone.
        let told = stream.set_nonblocking(true).and_then(|()| stream.write_all(&reply));
        if told.and_then(|()| stream.shutdown(Shutdown::Write)).is_err() {
            return;
        }
        // What has come already is read in any case.
        let _ = stream.read(&mut vec![0; 16 << 10]);
        if let Ok(permit) = self.refusals.take(None) {
            let connection = Connection { dialect, stream, peer, permit, is_refused: true };
            let _ = self.give_thread(connection);
        }
    }
}

/// Reads from a refused peer until its end, or its time is up: a little at a time, with pauses, so that it slows no other
/// client down.
fn read_on(mut stream: TcpStream) {
    let end = Instant::now() + limits::CLOSE_TIME;
    // The buffer is on the heap: an array would be on the stack of every connection.
    while Instant::now() < end && !matches!(stream.read(&mut vec![0; 16 << 10]), Ok(0)) {
        thread::sleep(REFUSED_PAUSE);
    }
}
