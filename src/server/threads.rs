//! The threads that serve connections.
//!
//! There is one thread for each connection. A thread whose connection has ended waits a while for the
//! next one, because starting a thread costs about as much as all that a short connection does.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::{Connection, Server};
use crate::error::lock;
use crate::limits;

/// How long a thread waits for the next connection.
const IDLE_THREAD_TIME: Duration = Duration::from_secs(10);

/// Idle threads, and the connections that wait for them.
#[derive(Default)]
pub(super) struct Threads {
    state: Mutex<State>,
    queued: Condvar,
}

#[derive(Default)]
struct State {
    idle: usize,
    queue: VecDeque<Connection>,
}

impl Threads {
    /// Has a connection served by an idle thread, or by a new one.
    ///
    /// # Errors
    /// No thread is idle and none can be started: returns the connection.
    pub(super) fn serve(server: &Arc<Server>, connection: Connection) -> Result<(), Connection> {
        let Some(connection) = server.threads.queue(connection) else { return Ok(()) };
        // Shared, because a thread that cannot be started drops what it was given.
        let first = Arc::new(Mutex::new(Some(connection)));
        let (server, taken) = (Arc::clone(server), Arc::clone(&first));
        let work = move || {
            let mut next = lock(&taken).take();
            while let Some(connection) = next {
                server.serve(connection);
                next = server.threads.next();
            }
        };
        match thread::Builder::new().stack_size(limits::STACK).spawn(work) {
            Ok(_) => Ok(()),
            Err(_) => lock(&first).take().map_or(Ok(()), Err),
        }
    }

    /// Queues a connection, if an idle thread will take it. Else returns it.
    fn queue(&self, connection: Connection) -> Option<Connection> {
        let mut state = lock(&self.state);
        if state.queue.len() >= state.idle {
            return Some(connection);
        }
        state.queue.push_back(connection);
        self.queued.notify_one();
        None
    }

    /// Returns the next connection. Waits for it, unless enough threads wait already; `None` ends the thread.
    fn next(&self) -> Option<Connection> {
        let mut state = lock(&self.state);
        if state.idle >= limits::MAX_IDLE_THREADS {
            return None;
        }
        state.idle += 1;
        let nothing = |state: &mut State| state.queue.is_empty();
        let waited = self.queued.wait_timeout_while(state, IDLE_THREAD_TIME, nothing);
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
    use std::net::{TcpListener, TcpStream};
    use std::sync::mpsc::channel;

    fn connection() -> Connection {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let peer = stream.peer_addr().unwrap();
        let permit = Permits::new(ConnectionLimits::default()).take(None).unwrap();
        Connection { dialect: Dialect::Text, stream, peer, permit }
    }

    #[test]
    fn idle_threads_take_connections_and_without_one_they_come_back() {
        let threads = Arc::new(Threads::default());
        assert!(threads.queue(connection()).is_some());
        let (done, did) = channel();
        let idle: Vec<_> = (0..2)
            .map(|_| {
                let (threads, done) = (Arc::clone(&threads), done.clone());
                thread::spawn(move || done.send(threads.next().unwrap().peer).unwrap())
            })
            .collect();
        while lock(&threads.state).idle < 2 {
            thread::yield_now();
        }
        // Two are idle, so two are taken at once, however slowly they wake, and the third comes back.
        let given = [connection(), connection()];
        let mut peers = given.each_ref().map(|given| given.peer).to_vec();
        assert!(given.into_iter().all(|given| threads.queue(given).is_none()));
        let mut taken: Vec<_> = did.iter().take(2).collect();
        peers.sort_unstable();
        taken.sort_unstable();
        assert_eq!(taken, peers);
        idle.into_iter().for_each(|thread| thread.join().unwrap());
        let third = connection();
        let peer = third.peer;
        assert_eq!(threads.queue(third).map(|it| it.peer), Some(peer));
        assert!(lock(&threads.state).queue.is_empty());
    }

    #[test]
    fn no_more_threads_wait_than_are_needed() {
        let threads = Threads::default();
        lock(&threads.state).idle = limits::MAX_IDLE_THREADS;
        assert!(threads.next().is_none());
    }
}
