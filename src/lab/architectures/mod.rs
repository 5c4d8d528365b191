//! One server in five shapes: who waits for whom, and what that costs.
//!
//! All five serve the same small part of `text`, which is in `conversation`. A step of a client makes one call on its
//! socket. The file of a shape has which thread makes these steps, and so who waits for whom.
//!
//! | shape | threads | who waits |
//! |---|---|---|
//! | [`iterative`] | one | each client, until those before it have left |
//! | [`threads`] | one for each client | only the thread of a client that is slow |
//! | [`pool`] | sixteen | the seventeenth client |
//! | [`two_threads`] | two for each client | as above; one also reads while the other writes |
//! | [`nonblocking`] | one | nobody; when nothing moves, it sleeps for a millisecond |
//!
//! `connme-lab shape NAME` runs one, and `connme-lab bench` compares them. The page [`architectures`] of the guide
//! says what comes out.
//!
//! [`architectures`]: crate::guide::architectures

pub(super) mod bench;
mod conversation;
pub mod iterative;
pub mod nonblocking;
pub mod pool;
pub mod threads;
pub mod two_threads;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::line::CommandLine;
use super::scratch::START;
use crate::client::argument::Argument;
use crate::client::outcome::{Outcome, Stop};
use crate::client::ui::Ui;
use crate::error::{Answer, Failure};
use crate::lab::text::said;
use crate::limits::{self, TCP_IP};
use crate::log::Log;
use crate::store::{Options, Store};
use conversation::{Conversation, Turn};

/// How many bytes one read brings at most, and about how many one write takes.
const BUFFER: usize = 16 << 10;

/// A client from which nothing comes, or which takes nothing, for so long is left.
const SILENCE: Duration = Duration::from_secs(limits::IDLE_TIMEOUT);

/// How long a client may take to leave after the last reply. In one of the shapes, all others wait for it.
const GOODBYE: Duration = Duration::from_millis(500);

/// How one server waits for its clients.
#[derive(Clone, Copy)]
pub struct Shape {
    /// What the user types.
    pub name: &'static str,
    /// Serves the clients of a listener.
    pub serve: fn(&TcpListener, &Store),
}

/// The shapes, in the order in which one meets them.
pub const SHAPES: [Shape; 5] = [
    Shape { name: "iterative", serve: iterative::serve },
    Shape { name: "threads", serve: threads::serve },
    Shape { name: "pool", serve: pool::serve },
    Shape { name: "two-threads", serve: two_threads::serve },
    Shape { name: "nonblocking", serve: nonblocking::serve },
];

impl Shape {
    /// Opens the folder that this is to serve.
    pub(super) fn open(self, root: &Path) -> Answer<Store> {
        let store = Store::open(root, Options::default(), &Log::default());
        store.map_err(|error| Failure::local(START, self.name, io::Error::other(error.cause())))
    }
}

/// The shape of this name.
pub(super) fn named(name: &str) -> Option<Shape> {
    SHAPES.into_iter().find(|shape| shape.name == name)
}

fn names() -> String {
    SHAPES.map(|shape| shape.name).join(", ")
}

/// Serves a folder in one shape, until the program is ended.
pub(super) fn run(ui: &mut Ui, line: &CommandLine) -> Outcome {
    let wrong = || {
        let names = names();
        Stop::Wrong(said("shape-use", &[&names]).see_help())
    };
    let Argument::Words(typed) = &line.argument else { return Err(wrong()) };
    let mut typed = typed.iter().map(|word| word.to_str().unwrap_or_default());
    let shape = typed.next().and_then(named).ok_or_else(wrong)?;
    let port = typed.next().map_or(Ok(limits::TCP_PORT), str::parse).map_err(|_| wrong())?;
    if typed.next().is_some() {
        return Err(wrong());
    }
    let root = line.flags.root.as_deref().unwrap_or(Path::new(limits::UPLOAD_FOLDER));
    let failed = |error| Failure::local(START, shape.name, error);
    let store = shape.open(root)?;
    let listener = TcpListener::bind((TCP_IP, port)).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let name = shape.name;
    ui.tell(&said("shape-listens", &[&name, &address]))?;
    (shape.serve)(&listener, &store);
    Ok(())
}

/// Waits for the next client. There is none any more when the listener has been made non-blocking.
fn next_client(listener: &TcpListener) -> Option<TcpStream> {
    loop {
        match listener.accept() {
            Ok((stream, _)) if prepare(&stream).is_ok() => return Some(stream),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            // The client has left already, or the system has no descriptor for it at this moment.
            _ => thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// No read and no write of this socket waits for longer than [`SILENCE`].
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(SILENCE))?;
    stream.set_read_timeout(Some(SILENCE))
}

/// A client, and what the stack of a thread would hold for it.
struct Client<'s> {
    stream: TcpStream,
    conversation: Conversation<'s>,
    last_moved: Instant,
    hangs_up: bool,
}

impl<'s> Client<'s> {
    fn new(stream: TcpStream, store: &'s Store) -> Client<'s> {
        let (conversation, last_moved) = (Conversation::new(store), Instant::now());
        Client { stream, conversation, last_moved, hangs_up: false }
    }

    /// Makes one call. It waits for the client, or fails with `WouldBlock` if the socket is non-blocking and nothing
    /// moves. Any other error is the end of the connection.
    fn step(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        if self.hangs_up {
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
                // Reads on for a moment: a close with unread bytes is a reset, and a reset can overtake the last reply.
                self.stream.shutdown(Shutdown::Write)?;
                self.stream.set_read_timeout(Some(GOODBYE))?;
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
