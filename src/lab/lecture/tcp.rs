//! Short experiments with TCP: `connme-lab tcp WHAT` makes its own connections on this machine, and shows each call
//! beside what the kernel says then. The lessons show them.
//!
//! ```text
//!    0.045   server listen
//!    0.094   client connect: ok
//!    0.261 k server ESTABLISHED out 0 in 0
//!    0.366 k queue  LISTEN 1
//! ```

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::kernel::{self, CLOSED, Row, TIME_WAIT, Watch};
use crate::client::outcome::{Outcome, Stop};
use crate::client::ui::Ui;
use crate::error::Failure;
use crate::lab::line::CommandLine;
use crate::lab::process::{Process, soon};
use crate::lab::scratch::this_program;
use crate::lab::text::said;
use crate::limits::TCP_IP;

pub(super) type Experiment = fn(&Sheet<'_>) -> io::Result<()>;

pub(super) const ALL: [(&str, Experiment); 9] = [
    ("handshake", handshake),
    ("backlog", backlog),
    ("time-wait", time_wait),
    ("address-in-use", address_in_use),
    ("flow-control", flow_control),
    ("half-write", half_write),
    ("40-ms", forty_milliseconds),
    ("vanished", vanished),
    ("leave", leave),
];

/// How long the kernel may take for what it does at once on an idle machine.
const SOON: Duration = Duration::from_secs(3);

/// How long Python may take to start on a busy machine.
const PYTHON_STARTS: Duration = Duration::from_secs(20);

/// A call that would wait for ever is tried for so long.
const TRY: Duration = Duration::from_millis(100);

/// More than both kernels keep of a connection that nobody reads.
const LARGE: usize = 16 << 20;

/// Makes an experiment, and prints each line of what it shows at once.
pub(in crate::lab) fn run(ui: &mut Ui, line: &CommandLine) -> Outcome {
    let name = line.argument.text();
    let Some((name, experiment)) = ALL.into_iter().find(|(known, _)| *known == name.trim()) else {
        return Err(Stop::Wrong(said("tcp-use", &[&ALL.map(|(name, _)| name).join(", ")])));
    };
    // Where the kernel has a hundred thousand sockets, what it says comes too late to be beside a call.
    let began = Instant::now();
    kernel::rows(kernel::IPV4, 0);
    let impossible = || Err(Stop::Refused(said("tcp-impossible", &[])));
    if kernel::check(true).is_err() || began.elapsed() > TRY {
        return impossible();
    }
    match experiment(&Sheet { start: Instant::now(), ui }) {
        Err(error) if error.kind() == ErrorKind::Unsupported => impossible(),
        done => Ok(done.map_err(|error| Failure::local(("try", "mencoba"), name, error))?),
    }
}

/// Where an experiment is shown.
pub(super) struct Sheet<'u> {
    start: Instant,
    ui: &'u Ui,
}

impl Sheet<'_> {
    fn add(&self, line: &str) {
        let _ = self.ui.print(&format!("{}\n", line.trim_end()));
    }

    fn line(&self, mark: char, who: &str, what: &str) {
        let time = self.start.elapsed().as_secs_f64() * 1000.0;
        self.add(&format!("{time:>8.3} {mark} {who:<6} {what}"));
    }

    /// A call, and how it ended: with a number of bytes, for example.
    fn call(&self, who: &str, call: &str, outcome: io::Result<impl ToString>) {
        self.line(' ', who, &format!("{call}: {}", told(outcome)));
    }

    fn kernel(&self, who: &str, row: Row) {
        self.line('k', who, &row.to_string());
    }

    /// The backlog of the listener at this address.
    fn queue(&self, at: SocketAddr) {
        let row = kernel::listener(&kernel::rows(kernel::IPV4, at.port()), at);
        self.kernel("queue", row.unwrap_or(CLOSED));
    }
}

/// As the manuals of the calls have it.
fn name_of(error: &io::Error) -> String {
    let name = match error.kind() {
        ErrorKind::WouldBlock => "EAGAIN",
        ErrorKind::TimedOut => "ETIMEDOUT",
        ErrorKind::ConnectionReset => "ECONNRESET",
        ErrorKind::BrokenPipe => "EPIPE",
        ErrorKind::AddrInUse => "EADDRINUSE",
        _ => return error.to_string(),
    };
    name.to_owned()
}

/// How a call ended.
fn told(outcome: io::Result<impl ToString>) -> String {
    outcome.map_or_else(|error| name_of(&error), |it| it.to_string())
}

fn listen() -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((TCP_IP, 0))?;
    let at = listener.local_addr()?;
    Ok((listener, at))
}

/// Both ends of a connection, and what asks the kernel about them.
struct Pair {
    client: TcpStream,
    server: TcpStream,
    of_client: Watch,
    of_server: Watch,
}

impl Pair {
    fn new() -> io::Result<Pair> {
        let (listener, at) = listen()?;
        let client = TcpStream::connect(at)?;
        let (server, from) = listener.accept()?;
        let (of_client, of_server) = (Watch::between(from, at), Watch::between(at, from));
        Ok(Pair { client, server, of_client, of_server })
    }

    fn kernel(&self, sheet: &Sheet<'_>) {
        sheet.kernel("client", self.of_client.row());
        sheet.kernel("server", self.of_server.row());
    }
}

/// The client is connected before the server's program has accepted.
fn handshake(sheet: &Sheet<'_>) -> io::Result<()> {
    let (listener, at) = listen()?;
    sheet.line(' ', "server", "listen");
    let mut client = TcpStream::connect(at)?;
    sheet.line(' ', "client", "connect: ok");
    let from = client.local_addr()?;
    let (of_client, of_server) = (Watch::between(from, at), Watch::between(at, from));
    sheet.kernel("client", of_client.row());
    sheet.kernel("server", of_server.row());
    sheet.queue(at);
    sheet.call("client", "write 5", client.write(b"hello"));
    sheet.kernel("server", of_server.row());
    let (mut server, _) = listener.accept()?;
    sheet.line(' ', "server", "accept: ok");
    sheet.queue(at);
    sheet.call("server", "read", server.read(&mut [0; 100]));
    sheet.kernel("server", of_server.row());
    Ok(())
}

/// More clients than the backlog has room for: the next one's SYN is not answered.
fn backlog(sheet: &Sheet<'_>) -> io::Result<()> {
    let (listener, at) = listen()?;
    sheet.line(' ', "server", "listen");
    let mut clients = Vec::new();
    loop {
        match TcpStream::connect_timeout(&at, TRY) {
            Ok(client) => clients.push(client),
            // The last one gives up.
            Err(error) if error.kind() == ErrorKind::TimedOut => break,
            // Here the backlog has room for more sockets than a program may have.
            Err(_) => return Err(ErrorKind::Unsupported.into()),
        }
    }
    sheet.line(' ', "client", &format!("connect: ok, {} times", clients.len()));
    sheet.queue(at);
    let waiting = thread::spawn(move || {
        let began = Instant::now();
        TcpStream::connect(at).map(|_| began.elapsed())
    });
    sheet.line(' ', "client", "connect ...");
    let asks = || {
        let mut rows = kernel::rows(kernel::IPV4, at.port()).into_iter().map(|(_, _, row)| row);
        rows.find(|row| row.state == "SYN_SENT")
    };
    soon(SOON, || asks().is_some());
    thread::sleep(TRY);
    sheet.kernel("client", asks().unwrap_or(CLOSED));
    sheet.call("server", "accept", listener.accept().map(|_| "ok"));
    sheet.kernel("client", asks().unwrap_or(CLOSED));
    let took = waiting.join().unwrap_or_else(|_| Err(ErrorKind::Other.into()));
    let after = |took: Duration| format!("ok after {} ms", took.as_millis());
    sheet.call("client", "connect", took.map(after));
    Ok(())
}

/// How often a connection is made for a count.
const TIMES: usize = 10;

/// Makes connections to this listener. One side closes, and when the other side has seen it, the other one.
fn close_first(listener: &TcpListener, is_client: bool) -> io::Result<()> {
    for _ in 0..TIMES {
        let client = TcpStream::connect(listener.local_addr()?)?;
        let (server, _) = listener.accept()?;
        let (first, mut second) = if is_client { (client, server) } else { (server, client) };
        drop(first);
        io::copy(&mut second, &mut io::sink())?;
    }
    Ok(())
}

/// The sockets in TIME_WAIT that have this port, and those that are connected to it.
fn in_time_wait(port: u16) -> (usize, usize) {
    let rows = kernel::rows(kernel::IPV4, port);
    let waiting = || rows.iter().filter(|(_, _, row)| row.state == TIME_WAIT);
    let own = waiting().filter(|(own, ..)| own.port() == port).count();
    (own, waiting().count() - own)
}

/// Who closes first keeps the connection in TIME_WAIT.
fn time_wait(sheet: &Sheet<'_>) -> io::Result<()> {
    for who in ["client", "server"] {
        let (listener, at) = listen()?;
        close_first(&listener, who == "client")?;
        sheet.line(' ', who, &format!("close, before the other: {TIMES} times"));
        soon(SOON, || {
            let (own, other) = in_time_wait(at.port());
            own + other >= TIMES
        });
        let (own, other) = in_time_wait(at.port());
        sheet.line('k', "client", &format!("{TIME_WAIT}: {other}"));
        sheet.line('k', "server", &format!("{TIME_WAIT}: {own}"));
    }
    Ok(())
}

const PYTHON: &str = include_str!("../starter/server.py");

/// A server is started again on a port with connections in TIME_WAIT.
fn address_in_use(sheet: &Sheet<'_>) -> io::Result<()> {
    let (listener, at) = listen()?;
    close_first(&listener, false)?;
    drop(listener);
    sheet.line(' ', "server", &format!("close, before the clients: {TIMES} times"));
    let (own, _) = in_time_wait(at.port());
    sheet.line('k', "server", &format!("{TIME_WAIT}: {own}"));
    sheet.call("Rust", "bind", TcpListener::bind(at).map(|_| "ok"));
    let lines = || PYTHON.lines().filter(|line| !line.contains("SO_REUSEADDR"));
    let without = lines().collect::<Vec<_>>().join("\n");
    for (which, program) in [("with SO_REUSEADDR", PYTHON), ("without it", &without)] {
        sheet.line(' ', "Python", &format!("{which}: {}", python(program, at.port())?));
    }
    Ok(())
}

/// That the server listens, or the last line of its error.
fn python(program: &str, port: u16) -> io::Result<String> {
    let words = ["python3", "-c", program, &port.to_string()].map(str::to_owned);
    let Ok(mut python) = Process::start(&words, Path::new("."), &[]) else {
        return Err(ErrorKind::Unsupported.into());
    };
    let mut listens = false;
    soon(PYTHON_STARTS, || {
        listens = python.printed().starts_with("listening");
        listens || python.ended().is_some()
    });
    if listens {
        return Ok("listens".to_owned());
    }
    python.kill();
    let printed = python.printed();
    let last = printed.lines().last().unwrap_or_default();
    // `OSError: [Errno 98] Address already in use`: the number differs between systems, and the line has to fit on 60
    // columns.
    Ok(last.rsplit_once("] ").map_or(last, |(_, reason)| reason).to_owned())
}

/// The client does not read, until the server has waited for a while.
fn flow_control(sheet: &Sheet<'_>) -> io::Result<()> {
    let pair = Pair::new()?;
    let taken = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (mut server, taken) = (&pair.server, &taken);
        let writing = scope.spawn(move || {
            let bytes = vec![0; LARGE];
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let took = server.write(rest.get(..1 << 16).unwrap_or(rest))?;
                rest = rest.get(took..).unwrap_or_default();
                taken.fetch_add(took, Ordering::Relaxed);
            }
            server.shutdown(Shutdown::Write)
        });
        sheet.line(' ', "server", &format!("write {LARGE} ..."));
        soon(SOON, || pair.of_server.row().timer == Some("probe"));
        sheet.line(' ', "server", &format!("... {} taken, waits", taken.load(Ordering::Relaxed)));
        pair.kernel(sheet);
        let other = another_client().map(|took| format!("{:.3} ms", took.as_secs_f64() * 1000.0));
        sheet.call("other", "asks another thread", other);
        thread::sleep(Duration::from_secs(1));
        sheet.line(' ', "server", &format!("... {} taken, waits", taken.load(Ordering::Relaxed)));
        let read = io::copy(&mut &pair.client, &mut io::sink());
        sheet.call("client", "read to the end", read);
        let wrote = writing.join().unwrap_or_else(|_| Err(ErrorKind::Other.into()));
        sheet.call("server", "write", wrote.map(|()| taken.load(Ordering::Relaxed)));
        soon(SOON, || pair.of_server.row().state == "FIN_WAIT2");
        pair.kernel(sheet);
        Ok(())
    })
}

/// How long another thread takes to answer another client.
fn another_client() -> io::Result<Duration> {
    let Pair { mut client, mut server, .. } = Pair::new()?;
    let serving = thread::spawn(move || {
        let mut byte = [0];
        server.read_exact(&mut byte)?;
        server.write_all(&byte)
    });
    let asked = Instant::now();
    client.write_all(b"?")?;
    client.read_exact(&mut [0])?;
    let took = asked.elapsed();
    serving.join().unwrap_or_else(|_| Err(ErrorKind::Other.into()))?;
    Ok(took)
}

/// A write takes fewer bytes than it was given.
fn half_write(sheet: &Sheet<'_>) -> io::Result<()> {
    let mut pair = Pair::new()?;
    pair.server.set_write_timeout(Some(TRY))?;
    let bytes = vec![0; LARGE];
    let first = pair.server.write(&bytes);
    let taken = *first.as_ref().unwrap_or(&0);
    sheet.call("server", &format!("write {LARGE}"), first);
    let mut rest = bytes.get(taken..).unwrap_or_default();
    let left = loop {
        match pair.server.write(rest) {
            // The kernels still find room for a little.
            Ok(more) => rest = rest.get(more..).unwrap_or_default(),
            Err(error) => break name_of(&error),
        }
    };
    sheet.line(' ', "server", &format!("write the rest: {left}, {} taken", LARGE - rest.len()));
    pair.kernel(sheet);
    pair.server.shutdown(Shutdown::Write)?;
    sheet.call("client", "read to the end", io::copy(&mut pair.client, &mut io::sink()));
    Ok(())
}

/// How long a request takes, four times on one connection, with what each side can do about it.
fn forty_milliseconds(sheet: &Sheet<'_>) -> io::Result<()> {
    let (quick, no_delay) = ("client: quickack", "server: TCP_NODELAY");
    let one_write: &[&[u8]] = &[b"5\nhello"];
    let two_writes: &[&[u8]] = &[b"5\n", b"hello"];
    for (writes, parts, what) in [
        ("1 write", one_write, ""),
        ("1 write", one_write, quick),
        ("2 writes", two_writes, ""),
        ("2 writes", two_writes, quick),
        ("2 writes", two_writes, no_delay),
    ] {
        let Pair { mut client, mut server, .. } = Pair::new()?;
        server.set_nodelay(what == no_delay)?;
        // The first request must not wait for a thread that is about to start.
        let (tell, started) = mpsc::channel();
        let serving = thread::spawn(move || {
            let _ = tell.send(());
            while server.read(&mut [0; 100])? > 0 {
                for part in parts {
                    server.write_all(part)?;
                }
            }
            io::Result::Ok(())
        });
        let _ = started.recv();
        let mut times = String::new();
        for _ in 0..4 {
            let began = Instant::now();
            client.write_all(b"size a.txt\n")?;
            let mut left = 7;
            while left > 0 {
                if what == quick {
                    acknowledge_at_once(&client)?;
                }
                left -= client.read(&mut [0; 7])?.clamp(1, left);
            }
            times += &format!("{:>3}", began.elapsed().as_millis());
        }
        drop(client);
        serving.join().unwrap_or_else(|_| Err(ErrorKind::Other.into()))?;
        sheet.add(&format!("{writes:<8} {what:<19} {times} ms"));
    }
    Ok(())
}

/// The kernel forgets it soon, so it has to be told before each read.
#[cfg(target_os = "linux")]
fn acknowledge_at_once(socket: &TcpStream) -> io::Result<()> {
    std::os::linux::net::TcpStreamExt::set_quickack(socket, true)
}

#[cfg(not(target_os = "linux"))]
fn acknowledge_at_once(_: &TcpStream) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

/// Tells the experiment that it is in a network of its own, which it may break.
const ALONE: &str = "CONNME_LAB_ALONE";

/// The cable is cut: no FIN comes, and nothing at all.
fn vanished(sheet: &Sheet<'_>) -> io::Result<()> {
    if std::env::var_os(ALONE).is_none() {
        return alone();
    }
    let set = |what| {
        let done = Command::new("ip").args(["link", "set", "lo", what]).status();
        if done.is_ok_and(|status| status.success()) { Ok(()) } else { Err(ErrorKind::Unsupported) }
    };
    set("up")?;
    std::fs::write("/proc/sys/net/ipv4/tcp_retries2", "3")?;
    let Pair { mut client, mut server, of_client, of_server } = Pair::new()?;
    let sheet = &Sheet { start: Instant::now(), ..*sheet };
    sheet.line(' ', "cable", "cut");
    set("down")?;
    server.set_read_timeout(Some(TRY))?;
    client.set_read_timeout(Some(Duration::from_secs(30)))?;
    sheet.call("server", "read for 100 ms", server.read(&mut [0]));
    sheet.call("client", "write 5", client.write(b"hello"));
    thread::scope(|scope| {
        let reading = scope.spawn(|| (&client).read(&mut [0]));
        let mut last = None;
        while !reading.is_finished() {
            let Row { state, timer, timeouts, .. } = of_client.row();
            if let Some(timer) = timer.filter(|_| last != Some(timeouts)) {
                let text = format!("{state} timer {timer} timeouts {timeouts}");
                sheet.line('k', "client", &text);
                last = Some(timeouts);
            }
            thread::sleep(Duration::from_millis(20));
        }
        let read = reading.join().unwrap_or_else(|_| Err(ErrorKind::Other.into()));
        sheet.call("client", "read", read);
    });
    sheet.call("client", "write 5", client.write(b"hello"));
    sheet.kernel("client", of_client.row());
    sheet.call("server", "read for 100 ms", server.read(&mut [0]));
    sheet.kernel("server", of_server.row());
    Ok(())
}

/// The same experiment in a network of its own, which needs no rights on many systems.
fn alone() -> io::Result<()> {
    let mut inside = Command::new("unshare");
    inside.arg("-Urn").arg(this_program()?).args(["tcp", "vanished"]);
    inside.env(ALONE, "1").stdin(Stdio::null()).stderr(Stdio::null());
    let is_done = inside.status().is_ok_and(|status| status.success());
    if is_done { Ok(()) } else { Err(ErrorKind::Unsupported.into()) }
}

/// A FIN with a close, a FIN for one direction, and a reset: what the kernel has then, and what the next calls say.
fn leave(sheet: &Sheet<'_>) -> io::Result<()> {
    for how in ["close", "half-close", "reset"] {
        let Pair { client, mut server, of_client, of_server } = Pair::new()?;
        if how == "reset" {
            // A close with unread bytes is a reset.
            server.write_all(b"unread")?;
            client.peek(&mut [0])?;
        }
        // The others are dropped, which closes them.
        let mut client = (how == "half-close").then_some(client);
        client.as_ref().map_or(Ok(()), |client| client.shutdown(Shutdown::Write))?;
        soon(SOON, || ["CLOSE_WAIT", CLOSED.state].contains(&of_server.row().state));
        let (of_client, state) = (of_client.row().state, of_server.row().state);
        sheet.add(&format!("{how}: client {of_client}, server {state}"));
        let mut calls = format!("  server read: {}", told(server.read(&mut [0])));
        for _ in 0..2 {
            calls += &format!(", write 5: {}", told(server.write(b"hello")));
            soon(TRY, || of_server.row() == CLOSED);
        }
        sheet.add(&calls);
        if let Some(client) = &mut client {
            let read = told(client.read(&mut [0; 100]));
            let wrote = told(client.write(b"hello"));
            sheet.add(&format!("  client read: {read}, write 5: {wrote}"));
        }
    }
    Ok(())
}
