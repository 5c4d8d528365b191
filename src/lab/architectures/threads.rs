//! A thread for each connection.
//!
//! The conversation is served as in [`iterative`], but a slow client keeps only its own thread waiting. Nothing limits
//! the number of threads here: the real server has `--max-connections` for that.
//!
//! [`iterative`]: super::iterative

use std::net::{TcpListener, TcpStream};
use std::thread::{self, Builder};

use super::iterative::serve_client;
use super::next_client;
use crate::limits;
use crate::store::Store;

/// Serves each client of this listener in a thread.
pub fn serve(listener: &TcpListener, store: &Store) {
    each_in_a_thread(listener, |stream| serve_client(stream, store));
}

/// Serves each client of this listener like this, in a thread.
pub(super) fn each_in_a_thread(listener: &TcpListener, serve: impl Fn(TcpStream) + Copy + Send) {
    thread::scope(|scope| {
        while let Some(stream) = next_client(listener) {
            let thread = Builder::new().stack_size(limits::STACK);
            // If the system gives no thread, the connection is closed, and the others go on.
            let _ = thread.spawn_scoped(scope, move || serve(stream));
        }
    });
}
