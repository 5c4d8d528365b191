//! Refuses connections so that the peer can read why.
//!
//! A reply followed by a close is not enough: if the peer has sent something that was not read, the
//! close is a reset, and the reset can overtake the reply. So each refused connection is told,
//! half-closed, and read from until the peer closes or its time is up. One thread does that for all of
//! them, and exists only while there are any.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::lock;
use crate::limits;

/// How often the refused connections are read from.
const ROUND: Duration = Duration::from_millis(10);

/// The refused connections, and when each is closed at the latest. There is a thread while there are any.
#[derive(Clone, Default)]
pub(super) struct Refusals(Arc<Mutex<Vec<(TcpStream, Instant)>>>);

impl Refusals {
    /// Sends `reply` and lets the peer read it before the connection is closed. Never blocks.
    pub(super) fn refuse(&self, mut stream: TcpStream, reply: &[u8]) {
        // A new socket takes a line whole. If it does not, there is no peer to wait for.
        if stream.set_nonblocking(true).is_err()
            || stream.write_all(reply).is_err()
            || stream.shutdown(Shutdown::Write).is_err()
        {
            return;
        }
        let mut closing = lock(&self.0);
        let has_thread = !closing.is_empty();
        if closing.len() >= limits::MAX_REFUSALS {
            closing.remove(0);
        }
        closing.push((stream, Instant::now() + limits::CLOSE_TIME));
        if !has_thread {
            let refusals = self.clone();
            let thread = thread::Builder::new().name("refusals".to_owned());
            if thread.stack_size(limits::STACK).spawn(move || refusals.read_all()).is_err() {
                closing.clear();
            }
        }
    }

    fn read_all(&self) {
        loop {
            thread::sleep(ROUND);
            let mut closing = lock(&self.0);
            let now = Instant::now();
            closing.retain_mut(|(stream, end)| now < *end && is_open(stream));
            if closing.is_empty() {
                return;
            }
        }
    }
}

/// Reads what has come, a little at a time so that all get their turn. Returns false at the end.
fn is_open(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 16 << 10]) {
        Ok(n) => n > 0,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}
