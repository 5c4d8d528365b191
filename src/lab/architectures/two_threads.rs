//! Two threads for each connection: one reads, the other answers.
//!
//! Both have the same socket, by `try_clone`. Between them is a short queue. So the server goes on reading while it
//! waits for the client to take a reply: a client that sends a lot before it reads is not stuck at once.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, Builder};
use std::time::Instant;

use super::conversation::{Conversation, Turn};
use super::threads::each_in_a_thread;
use super::{BUFFER, GOODBYE};
use crate::limits;
use crate::store::Store;

/// How many reads the reader is ahead at most. A longer queue would only hold more memory for a client that does not
/// take its replies.
const AHEAD: usize = 16;

/// Serves each client of this listener in two threads.
pub fn serve(listener: &TcpListener, store: &Store) {
    each_in_a_thread(listener, |stream| drop(serve_client(&stream, store)));
}

/// Starts the reader, and answers in this thread.
fn serve_client(stream: &TcpStream, store: &Store) -> io::Result<()> {
    let other_half = stream.try_clone()?;
    let (into, pieces) = mpsc::sync_channel(AHEAD);
    thread::scope(|scope| {
        let thread = Builder::new().stack_size(limits::STACK);
        thread.spawn_scoped(scope, move || read_all(&other_half, &into))?;
        let answered = answer(stream, &pieces, store);
        // The reader waits in a read, which this ends, or for a place in the queue, which goes with `pieces`.
        let _ = stream.shutdown(Shutdown::Both);
        drop(pieces);
        answered
    })
}

/// Puts all that comes into the queue. An empty piece is its end.
fn read_all(mut stream: &TcpStream, into: &SyncSender<Vec<u8>>) {
    let mut buffer = [0; BUFFER];
    loop {
        let count = stream.read(&mut buffer).unwrap_or(0);
        let piece = buffer.get(..count).unwrap_or_default().to_vec();
        if into.send(piece).is_err() || count == 0 {
            return;
        }
    }
}

/// Answers what is in the queue, until the client leaves.
fn answer(mut stream: &TcpStream, pieces: &Receiver<Vec<u8>>, store: &Store) -> io::Result<()> {
    let mut conversation = Conversation::new(store);
    loop {
        match conversation.turn() {
            Turn::Send(bytes) => {
                let count = stream.write(bytes)?;
                conversation.sent(count);
            }
            // Without a reader, nothing comes any more.
            Turn::Receive => conversation.received(&pieces.recv().unwrap_or_default()),
            Turn::HangUp => break,
        }
    }
    // As `Client::step` does it, with the reader's help.
    stream.shutdown(Shutdown::Write)?;
    let until = Instant::now() + GOODBYE;
    let has_more = || pieces.recv_timeout(GOODBYE).is_ok_and(|piece| !piece.is_empty());
    while Instant::now() < until && has_more() {}
    Ok(())
}
