//! The server: accepts connections, limits them, gives each one a thread, and logs how it ends.
//!
//! It knows sockets and threads and no dialect: [`Dialect::handle_client`] holds the conversation, and
//! that function in turn sees no socket.

pub mod address;
mod permits;
mod proxy;
mod refusals;
mod threads;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::dialect::Dialect;
use crate::error::{Code, Error, Result};
use crate::log::{ConnectionLog, Log};
use crate::store::Store;
use crate::wire::stream::{Prepare, set_options};
use crate::wire::{Wire, WireConfig};
pub use permits::ConnectionLimits;
use permits::{Permit, Permits};
use refusals::Refusals;
use threads::Threads;

/// How long the accept loop pauses after a failed accept, so that a full descriptor table does not cause
/// a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What all connections of a server share.
pub struct Server {
    store: Store,
    log: Log,
    wires: WireConfig,
    prepare: Prepare,
    has_proxy_line: bool,
    permits: Permits,
    threads: Threads<Accepted>,
    refusals: Refusals,
}

/// A connection that was accepted, and its permit.
struct Accepted {
    dialect: Dialect,
    stream: TcpStream,
    peer: SocketAddr,
    permit: Permit,
}

impl Server {
    /// A server over this store. `prepare` puts instruments between a wire and its socket.
    #[must_use]
    pub fn new(
        store: Store,
        log: Log,
        wires: WireConfig,
        limits: ConnectionLimits,
        prepare: Prepare,
    ) -> Server {
        Server {
            store,
            log,
            wires,
            prepare,
            has_proxy_line: false,
            permits: Permits::new(limits),
            threads: Threads::new(),
            refusals: Refusals::default(),
        }
    }

    /// Expects every connection to begin with the PROXY line of a load balancer: `--proxy-protocol`. Limits,
    /// log and trace then go by the address in it.
    #[must_use]
    pub fn with_proxy_line(self, has_proxy_line: bool) -> Server {
        Server { has_proxy_line, ..self }
    }

    /// Serves these listeners, each from a thread of its own, until the program ends.
    pub fn run(self, listeners: Vec<(Dialect, TcpListener)>) {
        let server = Arc::new(self);
        let accept = |(dialect, listener)| server.start_accepting(dialect, listener);
        let threads: Vec<_> = listeners.into_iter().map(accept).collect();
        for thread in threads {
            let _ = thread.join();
        }
    }

    /// Starts a listener's accept thread; retries until the system has a thread free.
    fn start_accepting(
        self: &Arc<Server>,
        dialect: Dialect,
        listener: TcpListener,
    ) -> thread::JoinHandle<()> {
        let listener = Arc::new(listener);
        loop {
            let (server, listener) = (Arc::clone(self), Arc::clone(&listener));
            let accept = thread::Builder::new().name(format!("accept {}", dialect.name()));
            match accept.spawn(move || server.accept(dialect, &listener)) {
                Ok(thread) => return thread,
                Err(error) => self.pause_after(dialect, &error),
            }
        }
    }

    /// Accepts connections for ever. A failed accept does not end this: when the system has no
    /// descriptor left, new connections wait until one is free.
    fn accept(self: Arc<Server>, dialect: Dialect, listener: &TcpListener) {
        loop {
            match listener.accept() {
                Ok((stream, peer)) => self.hand_over(dialect, stream, peer),
                Err(error) if may_accept_again_at_once(&error) => {}
                Err(error) => self.pause_after(dialect, &error),
            }
        }
    }

    fn pause_after(&self, dialect: Dialect, error: &io::Error) {
        self.log.lasting(format_args!("{} accept: {error}", dialect.name()));
        thread::sleep(ACCEPT_PAUSE);
    }

    /// Gives a connection a permit and a thread, or refuses it: no permit or no thread is free.
    fn hand_over(self: &Arc<Server>, dialect: Dialect, stream: TcpStream, peer: SocketAddr) {
        let permit = if self.has_proxy_line {
            self.permits.take()
        } else {
            self.permits.take_from(peer.ip())
        };
        let permit = match permit {
            Ok(permit) => permit,
            Err(why) => return self.refuse(dialect, stream, peer, why),
        };
        let server = Arc::clone(self);
        let worker = move || {
            while let Some(accepted) = server.threads.next() {
                server.serve(accepted);
            }
        };
        let accepted = Accepted { dialect, stream, peer, permit };
        if let Err(Accepted { dialect, stream, peer, .. }) = self.threads.run(accepted, worker) {
            self.refuse(dialect, stream, peer, "no thread is free");
        }
    }

    fn refuse(&self, dialect: Dialect, stream: TcpStream, peer: SocketAddr, why: &str) {
        let busy = Error::new(Code::Busy, format!("{why}: try again in a moment"));
        self.log.line(format_args!("{peer} {} refused {busy}", dialect.name()));
        self.refusals.refuse(stream, &dialect.error_reply(&busy));
    }

    /// Serves one connection from its first byte to its last.
    fn serve(&self, accepted: Accepted) {
        let accepted =
            if self.has_proxy_line { self.find_client(accepted) } else { Some(accepted) };
        let Some(Accepted { dialect, stream, peer, permit }) = accepted else { return };
        let session = self.log.session(peer, dialect.name());
        session.open(permit.connections());
        let end = match set_options(&stream) {
            Ok(()) => self.converse(dialect, stream, peer, permit.network(), &session),
            Err(error) => Err(Error::connection(&error)),
        };
        // Free before the line is written, so that a new connection can follow the line in the log.
        drop(permit);
        session.close(&end);
    }

    /// Puts the client's address in the place of the balancer's. If the balancer does not know it, the
    /// connection counts for no address. `None`: the connection was refused, or closed without a reply.
    fn find_client(&self, mut accepted: Accepted) -> Option<Accepted> {
        match proxy::read_line(&accepted.stream) {
            Ok(None) => return Some(accepted),
            Ok(Some(client)) => accepted.peer = client,
            Err(error) => {
                let session = self.log.session(accepted.peer, accepted.dialect.name());
                drop(accepted);
                session.close(&Err(error));
                return None;
            }
        }
        match accepted.permit.count(accepted.peer.ip()) {
            Ok(()) => Some(accepted),
            Err(why) => {
                let Accepted { dialect, stream, peer, .. } = accepted;
                self.refuse(dialect, stream, peer, why);
                None
            }
        }
    }

    /// Holds the conversation. A panic is a bug of ours: it is logged, and ends this connection only.
    fn converse(
        &self,
        dialect: Dialect,
        stream: TcpStream,
        peer: SocketAddr,
        network: Option<u128>,
        session: &ConnectionLog<'_>,
    ) -> Result<()> {
        let store = self.store.access(network);
        let mut wire = self.wire(stream, peer, dialect);
        let end =
            catch_unwind(AssertUnwindSafe(|| dialect.handle_client(&mut wire, &store, session)));
        wire.close();
        end.unwrap_or_else(|_| Err(Error::new(Code::Internal, "this connection met a bug")))
    }

    /// Boxed and not inlined, so that an idle connection uses one page of stack less.
    #[inline(never)]
    fn wire(&self, stream: TcpStream, peer: SocketAddr, dialect: Dialect) -> Box<Wire> {
        let stream = (self.prepare)(stream, Some(peer), dialect.name());
        Box::new(Wire::new(stream, self.wires.clone()))
    }
}

/// Whether only one connection was lost, before it was accepted, or a signal came.
fn may_accept_again_at_once(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::Interrupted)
}
