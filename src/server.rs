//! The server: accepts, limits, gives each connection a thread, and logs how each one ends.
//!
//! It knows sockets and threads and no dialect: what is said over a connection is the business of
//! [`Dialect::handle_client`], which in turn sees no socket.

mod door;
mod doorman;
mod places;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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
use door::Door;
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
    doorman: Doorman,
    /// Connections that are served now; those of them that only wait are counted by the manner.
    here: AtomicUsize,
    ending: AtomicBool,
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
        for (dialect, listener) in listeners {
            let door = Arc::new(Door::new(dialect, listener));
            // Those who come to the first listener may have taken all the threads that there are; then
            // this waits for one.
            while let Err(error) = server.call_to(&door) {
                server.log.lasting(format_args!("{} accept: {error}", dialect.name()));
                thread::sleep(limits::ACCEPT_REST);
            }
        }
        match end {
            Some(end) => {
                end();
                server.finish();
            }
            None => loop {
                thread::park();
            },
        }
    }

    /// Starts a thread that takes connections at this door.
    fn call_to(self: &Arc<Server>, door: &Arc<Door>) -> io::Result<()> {
        let (server, its_door) = (Arc::clone(self), Arc::clone(door));
        let thread = thread::Builder::new().name(door.dialect.name().to_owned());
        door.come();
        let started = thread.stack_size(limits::STACK).spawn(move || server.keep(&its_door));
        if started.is_err() {
            door.leave();
        }
        started.map(drop)
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

    /// Takes connections, one after the other, until it is not needed any more. No failed accept ends
    /// this: when descriptors run out, those who knock wait until one is free again.
    fn keep(self: Arc<Server>, door: &Arc<Door>) {
        let dialect = door.dialect;
        loop {
            match door.wait() {
                Ok((stream, peer)) => match self.admit(door, peer) {
                    Ok(place) => {
                        self.serve(dialect, stream, peer, place);
                        if !door.come_back() {
                            return;
                        }
                    }
                    Err(why) => self.turn_away(dialect, stream, peer, why),
                },
                Err(error) if is_the_peers_fault(&error) => {}
                Err(error) => {
                    self.log.lasting(format_args!("{} accept: {error}", dialect.name()));
                    thread::sleep(limits::ACCEPT_REST);
                }
            }
        }
    }

    /// Gives a connection a place, and the door another thread; or says why that cannot be. With the
    /// place, this thread has left the door.
    fn admit(
        self: &Arc<Server>,
        door: &Arc<Door>,
        peer: SocketAddr,
    ) -> Result<Place, &'static str> {
        let place = self.places.take(peer.ip())?;
        if self.ending.load(Ordering::Acquire) {
            return Err("the server is ending");
        }
        if !door.leave() && self.call_to(door).is_err() {
            door.come();
            return Err("no thread is free");
        }
        Ok(place)
    }

    fn turn_away(&self, dialect: Dialect, stream: TcpStream, peer: SocketAddr, why: &str) {
        let busy = Error::new(Code::Busy, format!("{why}: try again in a moment"));
        self.log.line(format_args!("{peer} {} refused {busy}", dialect.name()));
        self.doorman.show_out(stream, &dialect.farewell(&busy));
    }

    /// One connection, from its first byte to its last.
    fn serve(&self, dialect: Dialect, stream: TcpStream, peer: SocketAddr, place: Place) {
        let session = self.log.session(peer, dialect.name());
        session.open();
        // Nagle's algorithm would hold a small reply back until the one before is acknowledged.
        let prepared = stream
            .set_nodelay(true)
            .and_then(|()| stream.set_write_timeout(Some(limits::WRITE_WAIT)));
        let stream = self.lens.over(stream, Side::Server, dialect.name());
        let mut wire = Wire::new(stream, self.manner.clone());
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
}

/// Some systems report here what befell one connection before it was accepted.
fn is_the_peers_fault(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::Interrupted)
}
