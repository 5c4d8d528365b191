//! Every single read and write on a socket, as the kernel did it.
//!
//! A stream with [instruments](super::Instruments) is directly above the socket, below all buffering, so that it shows
//! the calls that the kernel sees. It reports each call after it has returned, with the count that the kernel gave, never merged and
//! never split. Above it, where bytes become messages, the wire reports each message that is complete. So a
//! class sees two messages in one read, and one message in many.
//!
//! An [`Observer`] receives the reports: the [`Ladder`] prints them, and `compare` counts them.
//!
//! ```text
//! #2       0.000   |client 127.0.0.1:33726       text       127.0.0.1:1234 server|
//! #2       0.002 r |-- 10 -> connme\nls\n                                        |
//! #2       0.006   |                                             = connme (7, LF)|
//! #2       0.011   |                                                 = ls (3, LF)|
//! #2       0.046 w |                       ok connected\nok 0\ntotal 0\n <- 26 --|
//! ```

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::kernel::Row;
use crate::client::terminal;
use crate::error::lock;
use crate::lab::text::said;
use crate::lang::Msg;
use crate::wire::stream::Ending;

/// What happened on a socket. `B` holds bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<B> {
    /// A read brought these bytes.
    Read(B),
    /// A write took these bytes.
    Wrote(B),
    /// A read brought the end: the peer has ended its direction.
    End,
    /// We have ended ours.
    Ended,
    /// The connection broke.
    Reset,
    /// We have reset the connection.
    OurReset,
    /// A read found nothing within its timeout.
    Silence,
    /// A message is complete: how it begins, its number of bytes, and what ended it.
    Message(B, u64, Ending),
    /// What the kernel says has changed.
    Kernel(Row),
}

/// Receives what happens on a socket.
pub trait Observer: Send {
    /// An event, and how long the call took.
    fn see(&mut self, event: Event<&[u8]>, took: Duration);
}

/// Which end of the connection this program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The left rail.
    Client,
    /// The right rail.
    Server,
}

impl Side {
    pub(super) fn other(self) -> Side {
        if self == Side::Client { Side::Server } else { Side::Client }
    }
}

/// A connection, as this program knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Connection {
    pub(super) side: Side,
    pub(super) dialect: &'static str,
    pub(super) client: SocketAddr,
    pub(super) server: SocketAddr,
}

/// Where a ladder goes.
#[derive(Clone)]
pub struct Output {
    /// How wide it may be.
    pub columns: usize,
    /// Takes a line with its end, in a single call.
    pub print: Arc<dyn Fn(&str) + Send + Sync>,
    /// Where times are counted from, if not from the beginning of each connection.
    pub zero: Option<Arc<Mutex<Instant>>>,
}

impl Output {
    /// Lines for standard error, through this. They are as wide as the terminal. If there is none, a lesson that reads
    /// them tells the width.
    pub fn new(print: Arc<dyn Fn(&str) + Send + Sync>) -> Output {
        let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let columns = match told.filter(|_| !io::stderr().is_terminal()) {
            Some(columns) => usize::min(columns, 1000),
            None => terminal::columns(&io::stderr()),
        };
        Output { columns, print, zero: None }
    }

    /// Standard error, unbuffered, so that the order is that of the program's other messages.
    pub fn of_errors() -> Output {
        let print = |line: &str| {
            // One write a line, so that the lines of several connections do not mix.
            let _ = io::stderr().write_all(line.as_bytes());
        };
        Output::new(Arc::new(print))
    }
}

/// Prints what happens as a ladder: the client on the left, the server on the right, one rung for each event.
pub struct Ladder {
    side: Side,
    number: u64,
    zero: Arc<Mutex<Instant>>,
    to: Output,
}

/// The columns of number, time, call and rails.
const AROUND: usize = 19;

/// The narrowest ladder: less would show hardly anything of a message.
const NARROWEST: usize = 60;

impl Ladder {
    /// A ladder for a connection that has just begun, with a number of its own and the addresses at its head.
    pub(super) fn begin(connection: Connection, to: Output) -> Ladder {
        static CONNECTIONS: AtomicU64 = AtomicU64::new(1);
        let number = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
        let zero = to.zero.clone().unwrap_or_else(|| Arc::new(Mutex::new(Instant::now())));
        let ladder = Ladder { side: connection.side, number, zero, to };
        for line in head(connection, ladder.room()) {
            ladder.print(Duration::ZERO, ' ', &line);
        }
        ladder
    }

    fn print(&self, at: Duration, call: char, between: &str) {
        (self.to.print)(&rung(self.number, at, call, between, self.room()));
    }

    /// The columns between the rails.
    fn room(&self) -> usize {
        room(self.to.columns)
    }
}

impl Observer for Ladder {
    fn see(&mut self, event: Event<&[u8]>, _: Duration) {
        let at = lock(&self.zero).elapsed();
        let (call, between) = draw(self.side, &event, self.room());
        self.print(at, call, &between);
    }
}

/// What the marks of a ladder mean, and that of the kernel's lines too.
pub(super) fn legend(kernel: bool) -> Msg {
    said(if kernel { "legend-with-kernel" } else { "legend" }, &[])
}

/// The columns between the rails of a ladder of this width.
pub(crate) fn room(columns: usize) -> usize {
    columns.max(NARROWEST) - AROUND
}

/// The addresses of both sides: on one line, or on two if IPv6 addresses are too long for that.
fn head(Connection { dialect, client, server, .. }: Connection, room: usize) -> Vec<String> {
    let (left, right) = (format!("client {client}"), format!("{server} server"));
    let gap = room.saturating_sub(left.len() + right.len());
    if gap > dialect.len() {
        return vec![format!("{left}{dialect:^gap$}{right}")];
    }
    let fit = |line: String| show(line.as_bytes(), room);
    vec![fit(format!("{left} {dialect}")), format!("{:>room$}", fit(right))]
}

/// A line: the connection's number, the time in milliseconds, `r` or `w`, and what is between the rails.
pub(crate) fn rung(number: u64, at: Duration, call: char, between: &str, room: usize) -> String {
    let micros = at.as_micros();
    let time = format!("{}.{:03}", micros / 1000, micros % 1000);
    format!("#{number:<3}{time:>10} {call} |{between:<room$}|\n")
}

/// A word for how a receiver knew where a message ended.
pub(super) fn ending(ending: Ending) -> &'static str {
    match ending {
        Ending::Lf => "LF",
        Ending::Width => "width",
        Ending::Size => "size",
        Ending::Word => "word",
        Ending::Mark => "mark",
        Ending::Pause => "pause",
        Ending::Stream => "end",
        Ending::Part => "part",
    }
}

/// Which call it was, and what is between the rails.
pub(crate) fn draw<B: AsRef<[u8]>>(side: Side, event: &Event<B>, room: usize) -> (char, String) {
    let arrow = |label: &str, bytes: &[u8], is_ours: bool| {
        let shown = show(bytes, room.saturating_sub(label.len() + 8));
        if is_ours == (side == Side::Client) {
            format!("-- {label} -> {shown}")
        } else {
            format!("{:>room$}", format!("{shown} <- {label} --"))
        }
    };
    let moved = |bytes: &[u8], is_ours| arrow(&bytes.len().to_string(), bytes, is_ours);
    let own = |text: String| if side == Side::Client { text } else { format!("{text:>room$}") };
    match event {
        Event::Read(bytes) => ('r', moved(bytes.as_ref(), false)),
        Event::Wrote(bytes) => ('w', moved(bytes.as_ref(), true)),
        Event::End => ('r', arrow("[end]", b"", false)),
        Event::Ended => ('w', arrow("[end]", b"", true)),
        Event::Reset | Event::OurReset => (' ', format!("{:^room$}", "[reset]")),
        Event::Silence => ('r', format!("{:^room$}", "[silence]")),
        Event::Message(bytes, length, end) => {
            let about = format!(" ({length}, {})", ending(*end));
            let (left, bytes) = (room.saturating_sub(about.len() + 2), bytes.as_ref());
            let shown = if bytes.is_empty() { "payload".to_owned() } else { show(bytes, left) };
            (' ', own(format!("= {shown}{about}")))
        }
        Event::Kernel(row) => ('k', own(show(row.to_string().as_bytes(), room))),
    }
}

/// Bytes as they are if they are printable ASCII, the others escaped. What does not fit is cut.
pub(super) fn show(bytes: &[u8], room: usize) -> String {
    let mut shown = String::new();
    for byte in bytes {
        let next = match byte {
            b'\'' | b'"' => char::from(*byte).to_string(),
            byte => byte.escape_ascii().to_string(),
        };
        if shown.len() + next.len() > room.saturating_sub(2) {
            return shown + "..";
        }
        shown += &next;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rung_is_as_wide_as_the_terminal() {
        let long = &[0; 100_000][..];
        for columns in [60, 80, 120] {
            for side in [Side::Client, Side::Server] {
                for event in [
                    Event::Read(long),
                    Event::Wrote(long),
                    Event::Message(long, u64::MAX, Ending::Stream),
                    Event::Read(b""),
                    Event::Reset,
                ] {
                    let room = room(columns);
                    let (call, between) = draw(side, &event, room);
                    let line = rung(12, Duration::from_secs(99), call, &between, room);
                    assert_eq!(line.trim_end().len(), columns, "{line}");
                }
            }
        }
    }

    #[test]
    fn the_head_fits_with_the_longest_addresses() {
        let between = |dialect, client: &str, server: &str| {
            let (client, server) = (client.parse().unwrap(), server.parse().unwrap());
            Connection { side: Side::Client, dialect, client, server }
        };
        let short = between("text", "192.168.100.100:65535", "192.168.100.101:31000");
        let long = "[2001:db8:1111:2222:3333:4444:5555:6666]:65535";
        for columns in [10, 60, 80, 120, 200] {
            let room = room(columns);
            let lines = head(short, room);
            assert_eq!(
                (lines.len(), lines[0].len()),
                if columns < 80 { (2, 33) } else { (1, room) }
            );
            for line in head(between("filesaver", long, long), room) {
                assert!(line.len() <= room, "{line}");
            }
        }
        assert_eq!(head(short, room(80)).len(), 1);
    }
}
