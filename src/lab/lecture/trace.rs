//! Every single read and write on a socket, as the kernel did it.
//!
//! A [`Traced`] is directly above the socket, below all buffering, so that it shows the calls that the kernel
//! sees. It reports each call after it has returned, with the count that the kernel gave, never merged and
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

use std::io::{self, IsTerminal, Read, Write};
use std::mem;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::kernel::{Row, Watch};
use crate::client::terminal;
use crate::error::lock;
use crate::lab::text::said;
use crate::lang::Msg;
use crate::limits;
use crate::wire::stream::{Ending, Stream};

/// What happened on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'b> {
    /// A read brought these bytes.
    Read(&'b [u8]),
    /// A write took these bytes.
    Wrote(&'b [u8]),
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
    Message(&'b [u8], u64, Ending),
    /// What the kernel says has changed.
    Kernel(Row),
}

/// Receives what happens on a socket.
pub trait Observer: Send {
    /// An event, and how long the call took.
    fn see(&mut self, event: Event<'_>, took: Duration);
}

/// A stream that reports every call.
pub struct Traced {
    /// Dropped first, so that the kernel is asked once more when the socket is closed.
    inner: Box<dyn Stream>,
    teller: Teller,
    /// What has come already of a message that is read in parts: its first bytes, and its length.
    parts: (Vec<u8>, u64),
}

/// Tells the observers what happens.
struct Teller {
    observers: Vec<Box<dyn Observer>>,
    kernel: Option<Watch>,
}

impl Teller {
    fn tell(&mut self, event: Event<'_>, began: Instant) {
        let took = began.elapsed();
        self.observers.iter_mut().for_each(|observer| observer.see(event, took));
        // A message is not a call.
        if !matches!(event, Event::Message(..) | Event::Kernel(_)) {
            self.ask_kernel();
        }
    }

    fn ask_kernel(&mut self) {
        let rows: Vec<_> = self.kernel.iter_mut().flat_map(Watch::look).collect();
        for row in rows {
            self.tell(Event::Kernel(row), Instant::now());
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.ask_kernel();
    }
}

impl Traced {
    /// Reports on `inner`. With `kernel`, reports what the kernel says too: now, after each call, and after the close.
    pub(super) fn new(
        inner: Box<dyn Stream>,
        observers: Vec<Box<dyn Observer>>,
        kernel: Option<Watch>,
    ) -> Traced {
        let mut teller = Teller { observers, kernel };
        teller.ask_kernel();
        Traced { inner, teller, parts: Default::default() }
    }

    /// Reports a call: `moved` if it succeeded, else why it failed.
    fn tell_outcome(&mut self, outcome: &io::Result<usize>, moved: Event<'_>, began: Instant) {
        match outcome {
            Ok(_) => self.teller.tell(moved, began),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    self.teller.tell(Event::Silence, began);
                }
                io::ErrorKind::Interrupted => {}
                _ => self.teller.tell(Event::Reset, began),
            },
        }
    }

    fn tell_read(&mut self, outcome: &io::Result<usize>, into: &[u8], began: Instant) {
        let event = match outcome {
            Ok(n @ 1..) => Event::Read(into.get(..*n).unwrap_or(into)),
            _ => Event::End,
        };
        self.tell_outcome(outcome, event, began);
    }
}

impl Read for Traced {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let began = Instant::now();
        let outcome = self.inner.read(into);
        self.tell_read(&outcome, into, began);
        outcome
    }
}

impl Write for Traced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let began = Instant::now();
        let outcome = self.inner.write(bytes);
        let taken = outcome.as_ref().map_or(0, |n| *n);
        self.tell_outcome(&outcome, Event::Wrote(bytes.get(..taken).unwrap_or(bytes)), began);
        outcome
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Stream for Traced {
    fn limit_wait(&mut self, timeout: Duration) -> io::Result<()> {
        self.inner.limit_wait(timeout)
    }

    /// Reports what was read. A read that finds nothing is not reported, because it did not wait.
    fn read_now(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let began = Instant::now();
        let outcome = self.inner.read_now(into);
        if !outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            self.tell_read(&outcome, into, began);
        }
        outcome
    }

    fn pause(&mut self, time: Duration) {
        self.inner.pause(time);
    }

    fn end_writing(&mut self) -> io::Result<()> {
        let began = Instant::now();
        let ended = self.inner.end_writing();
        match &ended {
            Ok(()) => self.teller.tell(Event::Ended, began),
            // What the peer has reset is not connected any more.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                self.teller.tell(Event::Reset, began);
            }
            Err(_) => {}
        }
        ended
    }

    fn waits_for_end(&self) -> bool {
        true
    }

    fn force_reset(&mut self) -> bool {
        let began = Instant::now();
        let resets = self.inner.force_reset();
        self.teller.tell(if resets { Event::OurReset } else { Event::Ended }, began);
        resets
    }

    fn note_message(&mut self, bytes: &[u8], length: u64, end: Ending) {
        let (first_bytes, parts_length) = &mut self.parts;
        if first_bytes.len() < limits::SHOWN {
            first_bytes.extend_from_slice(bytes);
        }
        *parts_length += length;
        if end == Ending::Part {
            return;
        }
        let (message, length) = mem::take(&mut self.parts);
        self.teller.tell(Event::Message(&message, length, end), Instant::now());
    }
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
    fn see(&mut self, event: Event<'_>, _: Duration) {
        let at = lock(&self.zero).elapsed();
        let (call, between) = draw(self.side, event, self.room());
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
pub(crate) fn draw(side: Side, event: Event<'_>, room: usize) -> (char, String) {
    let arrow = |label: &str, bytes: &[u8], is_ours: bool| {
        let shown = show(bytes, room.saturating_sub(label.len() + 8));
        if is_ours == (side == Side::Client) {
            format!("-- {label} -> {shown}")
        } else {
            format!("{:>room$}", format!("{shown} <- {label} --"))
        }
    };
    let own = |text: String| if side == Side::Client { text } else { format!("{text:>room$}") };
    match event {
        Event::Read(bytes) => ('r', arrow(&bytes.len().to_string(), bytes, false)),
        Event::Wrote(bytes) => ('w', arrow(&bytes.len().to_string(), bytes, true)),
        Event::End => ('r', arrow("[end]", b"", false)),
        Event::Ended => ('w', arrow("[end]", b"", true)),
        Event::Reset | Event::OurReset => (' ', format!("{:^room$}", "[reset]")),
        Event::Silence => ('r', format!("{:^room$}", "[silence]")),
        Event::Message(bytes, length, end) => {
            let about = format!(" ({length}, {})", ending(end));
            let left = room.saturating_sub(about.len() + 2);
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
    use crate::wire::script::{Script, Step};
    use crate::wire::{Wire, WireConfig};

    #[derive(Clone)]
    struct Lines(Side, Arc<Mutex<String>>);

    impl Observer for Lines {
        fn see(&mut self, event: Event<'_>, _: Duration) {
            let (call, between) = draw(self.0, event, room(80));
            assert!(between.len() <= room(80), "{between}");
            *self.1.lock().unwrap() += &format!("{call} {}\n", between.trim());
        }
    }

    fn traced(side: Side, steps: Vec<Step>, talk: impl FnOnce(&mut Wire)) -> String {
        let lines = Lines(side, Arc::default());
        let (script, _) = Script::new(steps);
        let stream = Traced::new(Box::new(script), vec![Box::new(lines.clone())], None);
        let mut wire = Wire::new(Box::new(stream), WireConfig::default());
        talk(&mut wire);
        wire.close_and_wait();
        lines.1.lock().unwrap().clone()
    }

    #[test]
    fn messages_are_shown_apart_from_reads() {
        let bytes = |bytes: &str| Step::Bytes(bytes.into());
        let steps = vec![bytes("connme\nls\nsi"), bytes("ze a\n"), bytes("12345")];
        let seen = traced(Side::Server, steps, |wire| {
            for _ in 0..3 {
                wire.read_line(99).unwrap().unwrap();
                wire.write(b"ok\n").unwrap();
            }
            wire.expect_payload(5);
            wire.read_payload::<crate::error::Error>(&mut |_| Ok(())).unwrap();
            assert!(wire.read_line(9).unwrap().is_none());
        });
        let expected = "r -- 12 -> connme\\nls\\nsi\n  = connme (7, LF)\n  = ls (3, LF)\n\
                        w ok\\nok\\n <- 6 --\nr -- 5 -> ze a\\n\n  = size a (7, LF)\n\
                        w ok\\n <- 3 --\nr -- 5 -> 12345\n  = payload (5, size)\nr -- [end] ->\n";
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_message_that_is_read_in_parts_is_one_and_a_read_of_nothing_is_none() {
        let steps = vec![Step::Pause, Step::Bytes(b"[1,2]\r\n".to_vec())];
        let seen = traced(Side::Client, steps, |wire| {
            assert!(wire.take_arrived().unwrap().is_empty());
            wire.read_part(9, &mut |byte| byte == b',').unwrap();
            wire.read_line(9).unwrap().unwrap();
        });
        let expected = "r [1,2]\\r\\n <- 7 --\n  = [1,2]\\r (7, LF)\nw -- [end] ->\n";
        assert!(seen.starts_with(expected), "{seen}");
    }

    #[test]
    fn ends_resets_and_silences_are_marked() {
        let seen = traced(Side::Client, vec![Step::Pause], |wire| {
            assert!(wire.read_line(9).is_err());
        });
        assert_eq!(seen, "r [silence]\nw -- [end] ->\nr <- [end] --\n");
        let seen = traced(Side::Client, vec![Step::Reset], |wire| {
            assert!(wire.read_line(9).is_err());
        });
        assert!(seen.starts_with("  [reset]\n"), "{seen}");
    }

    /// Its peer has not closed, so the kernel keeps the socket for a while.
    #[test]
    #[cfg(target_os = "linux")]
    fn the_kernel_is_asked_once_more_after_the_close() {
        use std::net::{TcpListener, TcpStream};
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let watch = Watch::new(&socket);
        let lines = Lines(Side::Client, Arc::default());
        let observer = Box::new(lines.clone());
        drop(Traced::new(Box::new(socket), vec![observer], watch));
        let seen = lines.1.lock().unwrap().clone();
        assert!(seen.starts_with("k ESTABLISHED out 0 in 0\nk FIN_WAIT"), "{seen}");
    }

    #[test]
    fn a_rung_is_as_wide_as_the_terminal() {
        let long = vec![0; 100_000];
        for columns in [60, 80, 120] {
            for side in [Side::Client, Side::Server] {
                for event in [
                    Event::Read(&long),
                    Event::Wrote(&long),
                    Event::Message(&long, u64::MAX, Ending::Stream),
                    Event::Read(b""),
                    Event::Reset,
                ] {
                    let room = room(columns);
                    let (call, between) = draw(side, event, room);
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
