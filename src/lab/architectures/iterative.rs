//! One client after the other: the loop that everybody writes first.
//!
//! There is one thread. While it waits for this client, all others wait in the queue of the kernel.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use super::conversation::{Conversation, Turn};
use super::{BUFFER, hang_up, next_client};
use crate::store::Store;

/// Serves the clients of this listener, one after the other.
pub fn serve(listener: &TcpListener, store: &Store) {
    while let Some(stream) = next_client(listener) {
        // An error ends the connection of this client, and nothing else.
        let _ = serve_client(&stream, store);
    }
}

/// Serves one client until it leaves. Both `read` and `write` wait for it.
pub(super) fn serve_client(mut stream: &TcpStream, store: &Store) -> io::Result<()> {
    let mut conversation = Conversation::new(store);
    let mut buffer = [0; BUFFER];
    loop {
        match conversation.turn() {
            Turn::Send(bytes) => {
                let count = stream.write(bytes)?;
                conversation.sent(count);
            }
            Turn::Receive => {
                let count = stream.read(&mut buffer)?;
                conversation.received(buffer.get(..count).unwrap_or_default());
            }
            Turn::HangUp => return hang_up(stream),
        }
    }
}
