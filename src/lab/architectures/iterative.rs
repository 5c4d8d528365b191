//! One client after the other: the loop that everybody writes first.
//!
//! There is one thread. While it waits for this client, all others wait in the queue of the kernel.

use std::net::{TcpListener, TcpStream};

use super::{BUFFER, Client, next_client};
use crate::store::Store;

/// Serves the clients of this listener, one after the other.
pub fn serve(listener: &TcpListener, store: &Store) {
    while let Some(stream) = next_client(listener) {
        serve_client(stream, store);
    }
}

/// Serves one client until it leaves: each call waits for it. An error ends its connection, and nothing else.
pub(super) fn serve_client(stream: TcpStream, store: &Store) {
    let mut client = Client::new(stream, store);
    let mut buffer = [0; BUFFER];
    while client.step(&mut buffer).is_ok() {}
}
