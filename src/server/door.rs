//! The threads that wait at a listener for the next connection.
//!
//! Whoever accepts a connection serves it: a thread a connection, and nothing is handed over. The last
//! one to leave the door calls somebody new to it. When a connection has ended, its thread comes back
//! and waits for the next, unless enough wait there already: to start a thread costs more than all
//! that a short connection costs.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::dialect::Dialect;
use crate::limits;

pub(super) struct Door {
    pub(super) dialect: Dialect,
    listener: TcpListener,
    /// Threads that wait here, or are on their way.
    waiting: AtomicUsize,
}

impl Door {
    pub(super) fn new(dialect: Dialect, listener: TcpListener) -> Door {
        Door { dialect, listener, waiting: AtomicUsize::new(0) }
    }

    /// The next connection.
    pub(super) fn wait(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.listener.accept()
    }

    /// One more waits here from now on.
    pub(super) fn come(&self) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
    }

    /// The same for somebody who may go home instead, and does if enough are here.
    pub(super) fn come_back(&self) -> bool {
        let enough = self.waiting.fetch_add(1, Ordering::AcqRel) >= limits::WAITING_AT_A_DOOR;
        if enough {
            self.leave();
        }
        !enough
    }

    /// One fewer waits here. Says whether anybody still does.
    pub(super) fn leave(&self) -> bool {
        self.waiting.fetch_sub(1, Ordering::AcqRel) > 1
    }
}
