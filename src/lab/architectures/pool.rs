//! A pool: a fixed number of threads, each of which serves one client after the other.
//!
//! All threads wait in `accept` on the same listener, and the kernel gives each connection to one of them. So there
//! is no thread to be made for a client, and never more of them than the pool has. The clients that it has no thread
//! for wait in the queue of the kernel, and a thread that waits for a slow client is missing to the others.

use std::net::TcpListener;
use std::thread::{self, Builder};

use super::iterative;
use crate::limits;
use crate::store::Store;

/// How many clients are served at the same time.
const THREADS: usize = 16;

/// Serves the clients of this listener with all threads of the pool.
pub fn serve(listener: &TcpListener, store: &Store) {
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let thread = Builder::new().stack_size(limits::STACK);
            // With fewer threads than that, it is a smaller pool.
            let _ = thread.spawn_scoped(scope, || iterative::serve(listener, store));
        }
    });
}
