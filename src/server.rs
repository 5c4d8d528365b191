//! The server: accepts, limits, gives each connection a thread, and logs how each one ends.
//!
//! It knows sockets and threads and no dialect: what is said over a connection is the business of
//! [`Dialect::handle_client`], which in turn sees no socket.

pub mod address;
mod crew;
mod doorman;
mod places;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use crate::dialect::Dialect;
use crate::error::{Code, Error};
use crate::lens::Lens;
use crate::limits;
use crate::log::Log;
use crate::store::Store;
use crate::trace::Side;
use crate::wire::{Manner, Wire};
use crew::Crew;
use doorman::Doorman;
use places::{Place, Places};

/// How many connections a server takes.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// In all.
    pub connections: usize,
    /// From one address.
    pub per_address: usize,
}

impl Default for Caps {
    fn default() -> Caps {
        Caps { connections: limits::MAX_CONNECTIONS, per_address: limits::MAX_PER_ADDRESS }
    }
}

/// What all connections of a server share.
pub struct Server {
    store: Store,
    log: Log,
    manner: Manner,
    lens: Lens,
    places: Places,
    crew: Crew<Guest>,
    doorman: Doorman,
    /// Connections that are served now; those of them that only wait are counted by the manner.
    here: AtomicUsize,
    ending: AtomicBool,
}

/// A connection that was let in.
struct Guest {
    dialect: Dialect,
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
}

impl Server {
    /// A server over this store.
    #[must_use]
    pub fn new(store: Store, log: Log, manner: Manner, caps: Caps) -> Server {
        let places = Places::new(caps.connections, caps.per_address);
        Server {
            store,
            log,
            manner,
            lens: Lens::default(),
            places,
            crew: Crew::new(),
            doorman: Doorman::default(),
            here: AtomicUsize::new(0),
            ending: AtomicBool::new(false),
        }
    }

    /// The same, with every connection seen through this.
    #[must_use]
    pub fn with_lens(self, lens: Lens) -> Server {
        Server { lens, ..self }
    }

    /// Serves these listeners until `end` comes back, or for ever. Then what is in flight is finished,
    /// within a bound; whoever only waits is let go.
    pub fn run(self, listeners: Vec<(Dialect, TcpListener)>, end: Option<Box<dyn FnOnce()>>) {
        let server = Arc::new(self);
        let mut threads = Vec::new();
        for (dialect, listener) in listeners {
            threads.push(server.start_to_accept(dialect, listener));
        }
        if let Some(end) = end {
            end();
            server.finish();
            return;
        }
        for thread in threads {
            let _ = thread.join();
        }
    }

    /// A thread for a listener. Those who come to the first listener may have taken all the threads
    /// that there are; then this waits for one.
    fn start_to_accept(
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
                Err(error) => {
                    self.log.lasting(format_args!("{} accept: {error}", dialect.name()));
                    thread::sleep(limits::ACCEPT_REST);
                }
            }
        }
    }

    /// Waits until every connection is between two commands.
    fn finish(&self) {
        self.ending.store(true, Ordering::Release);
        let until = Instant::now() + limits::ENDING_TIME;
        let in_flight = || self.here.load(Ordering::Acquire) > self.manner.resting();
        while in_flight() && Instant::now() < until {
            thread::sleep(limits::ACCEPT_REST);
        }
        self.store.leave();
    }

    /// Takes connections for ever. No failed accept ends this: when descriptors run out, those who
    /// knock wait until one is free again.
    fn accept(self: Arc<Server>, dialect: Dialect, listener: &TcpListener) {
        loop {
            match listener.accept() {
                Ok((stream, peer)) => self.admit(dialect, stream, peer),
                Err(error) if is_the_peers_fault(&error) => {}
                Err(error) => {
                    self.log.lasting(format_args!("{} accept: {error}", dialect.name()));
                    thread::sleep(limits::ACCEPT_REST);
                }
            }
        }
    }

    /// Gives a connection a place and a thread, or turns it away.
    fn admit(self: &Arc<Server>, dialect: Dialect, stream: TcpStream, peer: SocketAddr) {
        let place = match self.places.take(peer.ip()) {
            Ok(place) if !self.ending.load(Ordering::Acquire) => place,
            Ok(_) => return self.turn_away(dialect, stream, peer, "the server is ending"),
            Err(why) => return self.turn_away(dialect, stream, peer, why),
        };
        let Err(guest) = self.crew.give(Guest { dialect, stream, peer, place }) else { return };
        // A closure that could not be started is dropped, and must not take the guest with it.
        let parked = Arc::new(Mutex::new(Some(guest)));
        let (server, waits) = (Arc::clone(self), Arc::clone(&parked));
        let started = thread::Builder::new().stack_size(limits::STACK).spawn(move || {
            let mut next = take(&waits);
            while let Some(guest) = next {
                server.serve(guest);
                next = server.crew.next();
            }
        });
        if started.is_err()
            && let Some(guest) = take(&parked)
        {
            self.turn_away(dialect, guest.stream, peer, "no thread is free");
        }
    }

    fn turn_away(&self, dialect: Dialect, stream: TcpStream, peer: SocketAddr, why: &str) {
        let busy = Error::new(Code::Busy, format!("{why}: try again in a moment"));
        self.log.line(format_args!("{peer} {} refused {busy}", dialect.name()));
        self.doorman.show_out(stream, &dialect.farewell(&busy));
    }

    /// One connection, from its first byte to its last.
    fn serve(&self, guest: Guest) {
        let Guest { dialect, stream, peer, place } = guest;
        let session = self.log.session(peer, dialect.name());
        session.open();
        // Nagle's algorithm would hold a small reply back until the one before is acknowledged.
        let prepared = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_write_timeout(Some(limits::WRITE_WAIT)));
        let mut wire = self.wire(stream, dialect);
        self.here.fetch_add(1, Ordering::AcqRel);
        let end = match prepared {
            Err(error) => Err(Error::connection(&error)),
            // A bug in here must not be silent, nor take more than this one connection with it.
            Ok(()) => catch_unwind(AssertUnwindSafe(|| {
                dialect.handle_client(&mut wire, &self.store, &session)
            }))
            .unwrap_or_else(|_| Err(Error::new(Code::Internal, "this connection met a bug"))),
        };
        wire.close();
        self.here.fetch_sub(1, Ordering::AcqRel);
        // Free before the line is written: who reads the line may count on the place.
        drop(place);
        session.close(&end);
    }

    /// In memory of its own, and not inlined: what a connection needs of the stack while it waits is held
    /// as long as it lives, and a page less of it is a fifth of what an idle connection takes.
    #[inline(never)]
    fn wire(&self, stream: TcpStream, dialect: Dialect) -> Box<Wire> {
        let stream = self.lens.over(stream, Side::Server, dialect.name());
        Box::new(Wire::new(stream, self.manner.clone()))
    }
}

/// Some systems report here what befell one connection before it was accepted.
fn is_the_peers_fault(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::Interrupted)
}

fn take<T>(parked: &Mutex<Option<T>>) -> Option<T> {
    parked.lock().unwrap_or_else(PoisonError::into_inner).take()
}
