//! Turning connections away politely, without a thread for each.
//!
//! A reply and then a close is not enough: if the peer has sent something that nobody read, the
//! close is a reset, and the reset can overtake the reply. So each one is told, half-closed, and
//! listened to until it ends or its time is up, all of them by a single thread that is only there
//! while there is somebody to show out.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::limits;

/// How often those at the door are looked at.
const ROUND: Duration = Duration::from_millis(10);

#[derive(Clone, Default)]
pub(super) struct Doorman(Arc<Mutex<Door>>);

#[derive(Default)]
struct Door {
    leaving: Vec<(TcpStream, Instant)>,
    watched: bool,
}

impl Doorman {
    /// Says `words`, and lets the peer read them before the connection is closed. Never blocks.
    pub(super) fn show_out(&self, mut stream: TcpStream, words: &[u8]) {
        // A new socket takes a line whole; if not, there is nobody to wait for.
        if stream.set_nonblocking(true).is_err()
            || stream.write_all(words).is_err()
            || stream.shutdown(Shutdown::Write).is_err()
        {
            return;
        }
        let mut door = self.door();
        if door.leaving.len() >= limits::MAX_FAREWELLS {
            door.leaving.remove(0);
        }
        door.leaving.push((stream, Instant::now() + limits::FAREWELL_TIME));
        if !door.watched {
            let doorman = self.clone();
            let watch = thread::Builder::new().name("doorman".to_owned());
            let started = watch.stack_size(limits::STACK).spawn(move || doorman.watch());
            door.watched = started.is_ok();
            if started.is_err() {
                door.leaving.clear();
            }
        }
    }

    fn watch(&self) {
        loop {
            thread::sleep(ROUND);
            let mut door = self.door();
            let now = Instant::now();
            door.leaving.retain_mut(|(stream, end)| now < *end && still_talks(stream));
            if door.leaving.is_empty() {
                door.watched = false;
                return;
            }
        }
    }

    fn door(&self) -> MutexGuard<'_, Door> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads what has come, at most a little at a time so that all get their turn.
fn still_talks(stream: &mut TcpStream) -> bool {
    let mut scrap = [0; 16 << 10];
    match stream.read(&mut scrap) {
        Ok(n) => n > 0,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}
