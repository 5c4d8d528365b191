//! The threads that wait at a listener for the next connection.
//!
//! Whoever accepts a connection serves it: a thread a connection, and nothing is handed over. The last
//! one to leave the door calls somebody new to it. When a connection has ended, its thread comes back
//! and waits for the next, unless enough wait there already: to start a thread costs more than all
//! that a short connection costs.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::dialect::Dialect;
use crate::limits;

pub(super) struct Door {
    pub(super) dialect: Dialect,
    listener: TcpListener,
    /// Held by the one whose turn it is: whoever waits in `accept` holds a descriptor already, which
    /// those who are served may need.
    turn: Mutex<()>,
    /// Threads that wait here, or are on their way.
    waiting: AtomicUsize,
}

impl Door {
    pub(super) fn new(dialect: Dialect, listener: TcpListener) -> Door {
        Door { dialect, listener, turn: Mutex::default(), waiting: AtomicUsize::new(0) }
    }

    /// The next connection.
    pub(super) fn wait(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.listener.accept()
    }

    /// One more waits here from now on.
    pub(super) fn come(&self) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
    }

    /// The same, unless enough wait here; says whether it is so.
    pub(super) fn come_back(&self) -> bool {
        let one_more = |n: usize| (n < limits::WAITING_AT_A_DOOR).then_some(n.saturating_add(1));
        self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).is_ok()
    }

    /// One fewer waits here. Says whether anybody still does.
    pub(super) fn leave(&self) -> bool {
        self.waiting.fetch_sub(1, Ordering::AcqRel) > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_to_leave_knows_it_and_no_more_come_back_than_are_needed() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let door = Door::new(Dialect::Text, listener);
        door.come();
        assert!(!door.leave());
        for _ in 0..limits::WAITING_AT_A_DOOR {
            assert!(door.come_back());
        }
        assert!(!door.come_back());
        for _ in 1..limits::WAITING_AT_A_DOOR {
            assert!(door.leave());
        }
        assert!(!door.leave());
    }
}
