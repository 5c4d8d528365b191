//! One thread for all clients: no call waits, and the loop tries everything again and again.
//!
//! A real server of this shape asks the kernel which sockets are ready: `poll`, `epoll`, `kqueue`. The standard library
//! has none of these. So this one tries all sockets, and when nothing has moved, it sleeps for a millisecond. That
//! sleep is the price: a request that comes during it waits, and each silent client costs a call in each round.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::conversation::{Conversation, Turn};
use super::{BUFFER, GOODBYE, SILENCE, prepare};
use crate::store::Store;

/// How long the loop sleeps when nothing has moved.
const NAP: Duration = Duration::from_millis(1);

/// A connection, and what the stack of its thread would hold.
struct Client<'s> {
    stream: TcpStream,
    conversation: Conversation<'s>,
    last_moved: Instant,
    hangs_up: bool,
}

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
                let conversation = Conversation::new(store);
                let last_moved = Instant::now();
                clients.push(Client { stream, conversation, last_moved, hangs_up: false });
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

impl Client<'_> {
    /// Makes one call, which fails with `WouldBlock` if nothing moves. An error is the end of the connection.
    fn step(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        if self.hangs_up {
            // As `hang_up` does it, one read at a time.
            let count = self.stream.read(buffer)?;
            let is_over = count == 0 || self.is_too_late();
            return if is_over { Err(ErrorKind::TimedOut.into()) } else { Ok(()) };
        }
        match self.conversation.turn() {
            Turn::Send(bytes) => {
                let count = self.stream.write(bytes)?;
                self.conversation.sent(count);
            }
            Turn::Receive => {
                let count = self.stream.read(buffer)?;
                self.conversation.received(buffer.get(..count).unwrap_or_default());
            }
            Turn::HangUp => {
                self.stream.shutdown(Shutdown::Write)?;
                self.hangs_up = true;
            }
        }
        self.last_moved = Instant::now();
        Ok(())
    }

    fn is_too_late(&self) -> bool {
        let most = if self.hangs_up { GOODBYE } else { SILENCE };
        self.last_moved.elapsed() > most
    }
}
