//! The threads that serve connections.
//!
//! A thread whose connection has ended waits a while for the next one, because starting a thread costs about as much as
//! all that a short connection does.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::{Connection, Server};
use crate::error::lock;
use crate::limits;

/// How long a thread waits for the next connection.
const IDLE_TIME: Duration = Duration::from_secs(10);

/// Idle threads, and the connections that wait for them.
#[derive(Default)]
pub(super) struct Threads {
    state: Mutex<State>,
    /// Wakes an idle thread. One that waits for it does not hold the lock.
    wake: Condvar,
}

/// No connection waits for another one to end: each in the queue has an idle thread, or one that was just started.
#[derive(Default)]
struct State {
    idle: usize,
    queue: VecDeque<Connection>,
}

impl Server {
    /// Has a connection served by an idle thread, or by a new one, which keeps the server alive.
    ///
    /// # Errors
    /// No thread is idle and none can be started: returns the connection.
    pub(super) fn give_thread(
        self: &Arc<Server>,
        connection: Connection,
    ) -> Result<(), Connection> {
        let mut state = lock(&self.threads.state);
        state.queue.push_back(connection);
        // A thread that was woken counts as idle until it has taken its connection. So there have to be as many idle
        // threads as connections in the queue, with this one.
        if state.queue.len() <= state.idle {
            self.threads.wake.notify_one();
            return Ok(());
        }
        let server = Arc::clone(self);
        let work = move || {
            while let Some(connection) = server.threads.next() {
                server.serve(connection);
            }
        };
        match thread::Builder::new().stack_size(limits::STACK).spawn(work) {
            Ok(_) => Ok(()),
            // The last one is ours, because the lock was held all the time.
            Err(_) => state.queue.pop_back().map_or(Ok(()), Err),
        }
    }
}

impl Threads {
    /// Returns the next connection, and waits for it for a while if there is none, unless enough threads wait already.
    /// `None` ends the thread.
    fn next(&self) -> Option<Connection> {
        let mut state = lock(&self.state);
        if state.queue.is_empty() && state.idle >= limits::MAX_IDLE_THREADS {
            return None;
        }
        state.idle += 1;
        // A new thread finds its connection in the queue, and does not wait.
        let waited = self.wake.wait_timeout_while(state, IDLE_TIME, |it| it.queue.is_empty());
        (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.idle -= 1;
        state.queue.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::super::permits::{ConnectionLimits, Permits};
    use super::*;
    use crate::dialect::Dialect;
    use crate::log::Log;
    use crate::store::{Options, Store};
    use crate::wire::{WireConfig, stream::plain};
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::mpsc::channel;

    const LIMITS: ConnectionLimits = ConnectionLimits { all: 9, per_address: 9 };

    /// A connection, and its peer's end.
    fn connection() -> (Connection, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let other = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, peer) = listener.accept().unwrap();
        let permit = Permits::new(LIMITS).take(None).unwrap();
        (Connection { dialect: Dialect::Text, stream, peer, permit, is_refused: false }, other)
    }

    #[test]
    fn idle_threads_take_connections_and_without_one_a_new_one_does() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), Options::default(), &Log::default()).unwrap();
        let (wires, limits) = (WireConfig::default(), LIMITS);
        let server = Arc::new(Server::new(store, Log::default(), wires, limits, plain()));
        let (done, did) = channel();
        for _ in 0..2 {
            let (server, done) = (Arc::clone(&server), done.clone());
            thread::spawn(move || done.send(server.threads.next().unwrap().peer).unwrap());
        }
        while lock(&server.threads.state).idle < 2 {
            thread::yield_now();
        }
        let (given, mut peers): (Vec<_>, Vec<_>) = (0..3).map(|_| connection()).unzip();
        for connection in given {
            assert!(server.give_thread(connection).is_ok());
        }
        // However slowly the idle ones wake, they take two, and a new one serves the one that is left.
        let taken: Vec<_> = did.iter().take(2).collect();
        peers.retain(|peer| !taken.contains(&peer.local_addr().unwrap()));
        let [left] = &mut peers[..] else { panic!("{taken:?} of {peers:?}") };
        left.write_all(b"connme\n").unwrap();
        let mut reply = [0; 13];
        left.read_exact(&mut reply).unwrap();
        assert_eq!(&reply, b"ok connected\n");
    }

    #[test]
    fn no_more_threads_wait_than_are_needed() {
        let threads = Threads::default();
        lock(&threads.state).idle = limits::MAX_IDLE_THREADS;
        assert!(threads.next().is_none());
        lock(&threads.state).queue.push_back(connection().0);
        assert!(threads.next().is_some());
    }
}
