//! One thread for all clients: no call waits, and the loop tries everything again and again.
//!
//! A real server of this shape asks the kernel which sockets are ready: `poll`, `epoll`, `kqueue`. The standard library
//! has none of these. So this one tries all sockets, and when nothing has moved, it sleeps for a millisecond. That
//! sleep is the price: a request that comes during it waits, and each silent client costs a call in each round.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use super::{BUFFER, Client, prepare};
use crate::store::Store;

/// How long the loop sleeps when nothing has moved.
const NAP: Duration = Duration::from_millis(1);

/// Serves all clients of this listener in this thread. It never returns.
pub fn serve(listener: &TcpListener, store: &Store) {
    // A listener that waited would stop all clients.
    if listener.set_nonblocking(true).is_err() {
        return;
    }
    let mut clients: Vec<Client<'_>> = Vec::new();
    let mut buffer = [0; BUFFER];
    loop {
        let mut has_moved = false;
        while let Ok((stream, _)) = listener.accept() {
            if prepare(&stream).and_then(|()| stream.set_nonblocking(true)).is_ok() {
                clients.push(Client::new(stream, store));
            }
            has_moved = true;
        }
        clients.retain_mut(|client| match client.step(&mut buffer) {
            Ok(()) => {
                has_moved = true;
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => !client.is_too_late(),
            Err(_) => false,
        });
        if !has_moved {
            thread::sleep(NAP);
        }
    }
}
