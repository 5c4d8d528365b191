//! Peers that send or read almost nothing. Where the rule is tested and not the number, the server has small
//! limits. The lists wait for limits of up to 30 seconds. Tests begin in the order of their names, so these are
//! the first, and the others run meanwhile.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use connme::dialect::Dialect;
use connme::limits;
use connme::log::Log;
use connme::server::{ConnectionLimits, Server};
use connme::store::{Options, Store};
use connme::wire::WireConfig;
use connme::wire::stream::plain;
use tempfile::TempDir;

#[cfg(target_os = "linux")]
use crate::sturdy::proc;
use crate::support::{PATIENCE, Peer, TestServer, escape, let_pass};

/// A server of `text` in this process, whose peers have little time.
struct Impatient {
    folder: TempDir,
    address: SocketAddr,
}

impl Impatient {
    const MESSAGE: Duration = Duration::from_secs(2);
    const WINDOW: Duration = Duration::from_secs(4);

    fn start(most: usize) -> Impatient {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default(), &Log::default()).unwrap();
        let wires = WireConfig {
            message_time: Impatient::MESSAGE,
            payload_window: Impatient::WINDOW,
            reader_window: Impatient::WINDOW,
            ..WireConfig::default()
        };
        let limits = ConnectionLimits { all: most, per_address: most };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::new(store, Log::default(), wires, limits, plain());
        std::thread::spawn(move || server.run(vec![(Dialect::Text, listener)]));
        Impatient { folder, address }
    }
}

/// Sends a byte now and then until the server has closed.
struct Slow {
    stream: TcpStream,
    limit: Duration,
    heard: Vec<u8>,
    gone: Option<Duration>,
}

impl Slow {
    fn send_a_byte(&mut self, start: Instant) {
        let sent = self.stream.write(b"x");
        let heard = self.stream.read_to_end(&mut self.heard);
        let is_waiting = |error: &std::io::Error| error.kind() == ErrorKind::WouldBlock;
        if sent.is_err() || !heard.is_err_and(|error| is_waiting(&error)) {
            self.gone = Some(start.elapsed());
        }
    }
}

#[test]
fn slow_senders_delay_no_other_client_and_are_disconnected_in_time() {
    let server = Impatient::start(200);
    let start = Instant::now();
    // Half in a line, half in a payload.
    let kinds = [("", Impatient::MESSAGE), ("upload x\n1000000\n", Impatient::WINDOW)];
    let mut slow: Vec<Slow> = kinds
        .into_iter()
        .cycle()
        .take(100)
        .map(|(begin, limit)| {
            let mut stream = TcpStream::connect(server.address).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.write_all(begin.as_bytes()).unwrap();
            stream.set_nonblocking(true).unwrap();
            Slow { stream, limit, heard: Vec::new(), gone: None }
        })
        .collect();
    let mut good = Peer::of_this_process(server.address);
    let mut times = Vec::new();
    while slow.iter().any(|it| it.gone.is_none()) {
        assert!(start.elapsed() < PATIENCE, "slow ones are still there");
        for slow in slow.iter_mut().filter(|it| it.gone.is_none()) {
            slow.send_a_byte(start);
        }
        for _ in 0..10 {
            let before = Instant::now();
            good.say("connme\n").hear("ok connected\n");
            times.push(before.elapsed());
            let_pass(Duration::from_millis(20));
        }
    }
    times.sort();
    let median = times[times.len() / 2];
    eprintln!("a good client's median beside 100 slow ones: {median:?}");
    // If it had to wait for a slow one, it would wait until that one is disconnected.
    assert!(median < Impatient::MESSAGE / 4, "{median:?}");
    for Slow { limit, heard, gone, .. } in slow {
        assert!(gone.unwrap() >= limit, "{gone:?} for {limit:?}");
        let heard = String::from_utf8(heard).unwrap();
        // They write on, so a reset follows. On Windows it discards what was not read.
        let is_discarded = cfg!(windows) && heard.is_empty();
        assert!(is_discarded || heard.contains("error timeout "), "{heard}");
    }
}

/// A download whose reader takes a byte now and then is ended too: the only place is free again.
#[test]
fn a_reader_that_does_not_read_is_let_go() {
    let server = Impatient::start(1);
    let file = std::fs::File::create(server.folder.path().join("large")).unwrap();
    file.set_len(1 << 30).unwrap();
    let mut peer = Peer::of_this_process(server.address);
    peer.say("download large\n").hear("ok 1073741824\n");
    let start = Instant::now();
    let is_served =
        || Peer::of_this_process(server.address).say("connme\n").line() == "ok connected\n";
    while !is_served() {
        // On Windows one write may wait that long.
        let more = if cfg!(windows) { limits::WRITE_WAIT } else { Duration::ZERO };
        assert!(start.elapsed() < PATIENCE + more, "it is still there");
        peer.bytes(1);
        let_pass(Duration::from_millis(500));
    }
    assert!(start.elapsed() >= Impatient::WINDOW, "{:?}", start.elapsed());
}

/// A connection of a client with this number.
fn client(server: &TestServer, dialect: &str, number: usize) -> Peer {
    let mut peer = server.peer_of(dialect);
    peer.say(format!("PROXY TCP4 192.0.2.{number} 198.51.100.1 50312 1234\r\n"));
    peer
}

/// Long lists that are not read do not add up; 60 of json took 2.4 GB.
#[cfg(target_os = "linux")]
#[test]
fn lists_that_are_not_read_do_not_fill_the_memory() {
    // A quarter of the 100,000 names for which 200 MiB are promised: more would take a minute.
    let folder = tempfile::tempdir().unwrap();
    for n in 0..25_000 {
        std::fs::File::create(folder.path().join(format!("file-{n:0>6}.txt"))).unwrap();
    }
    for (dialect, request) in [("text", "ls\n"), ("json", "{\"aksi\":\"list\"}\n")] {
        let server = TestServer::over(folder.path(), &["--proxy-protocol"]);
        let mut peers: Vec<Peer> = (0..32).map(|n| client(&server, dialect, n / 4)).collect();
        for peer in &mut peers {
            peer.say(request);
        }
        assert!(peers.iter_mut().all(|peer| !peer.bytes(2).eq_ignore_ascii_case(b"er")));
        let peak = proc::status(server.id(), "VmHWM") / 1024;
        eprintln!("{dialect}: {peak} MiB");
        assert!(peak < 55, "{dialect}: {peak} MiB");
        drop(peers);
        crate::support::wait_until("served again", || {
            let mut peer = client(&server, "text", 99);
            peer.say("ls\n").bytes(3) == b"ok "
        });
    }
}

/// Twelve clients that never acknowledged kept everyone from a list for 140 s and more.
#[test]
fn a_client_that_does_not_read_its_lists_takes_nothing_from_others() {
    let server = TestServer::start(&["--proxy-protocol"]);
    for n in 0..2_000 {
        server.put(&format!("{n:0>240}"), "");
    }
    let mut deaf: Vec<Peer> = (0..16).map(|_| client(&server, "struct", 1)).collect();
    for peer in &mut deaf {
        peer.say("ls");
    }
    let first: Vec<_> = deaf.iter_mut().map(|peer| peer.first_bytes()).collect();
    // Four have their list. The others are not told that the folder is empty.
    assert_eq!(first.iter().filter(|count| **count == 2_000_i32.to_le_bytes()).count(), 4);
    assert!(first.iter().all(|count| count.is_empty() || count.len() == 4));
    client(&server, "text", 1).say("ls\n").refused("busy").say("connme\n").hear("ok connected\n");
    for n in 2..8 {
        client(&server, "text", n).say("ls\n").hear("ok 2000\n");
    }
    // Eight addresses can take all places.
    let more = (8..40).map(|n| client(&server, "struct", n / 4));
    let mut more: Vec<Peer> = more.collect();
    more.iter_mut().for_each(|peer| drop(peer.say("ls").first_bytes()));
    client(&server, "text", 99).say("ls\n").refused("busy").say("size 0\n").refused("not-found");
    let reply = client(&server, "json", 99).say("{\"aksi\":\"list\"}\n").rest();
    assert!(reply.starts_with(b"ERROR busy "), "{}", escape(&reply));
    client(&server, "struct", 99).say("ls").hear_end();
}

/// A client keeps its connection, and tries again.
#[test]
fn a_client_that_is_told_busy_tries_again() {
    let server = TestServer::start(&[]);
    for n in 0..1_000 {
        server.put(&format!("{n:0>240}"), "");
    }
    let mut deaf: Vec<Peer> = (0..4).map(|_| server.peer_of("struct")).collect();
    deaf.iter_mut().for_each(|peer| drop(peer.say("ls").bytes(4)));
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| server.client(server.outside(), &["ls"]).output().unwrap());
        server.wait_for_log("busy: too many");
        drop(deaf);
        let output = asking.join().unwrap();
        assert!(output.status.success(), "{}", escape(&output.stderr));
    });
    let log = server.log();
    let opened = log.lines().filter(|line| line.contains(" text open"));
    assert_eq!(opened.count(), 1, "{log}");
}

/// Two killed clients of a large file made a sum of two bytes wait for 39 s, and four addresses that asked and
/// went away had everybody else refused for as long.
#[cfg(unix)]
#[test]
fn sums_for_clients_that_are_gone_keep_no_other_waiting() {
    // One more than those that go away, which the server may not have noticed yet.
    let server = TestServer::start(&["--proxy-protocol", "--max-connections", "257"]);
    let big = std::fs::File::create(server.root().join("big")).unwrap();
    big.set_len(3_000_000_000).unwrap();
    server.put("small", "ab");
    for address in 1..=4 {
        for _ in 0..64 {
            let mut peer = client(&server, "text", address);
            peer.say("sum big\n".repeat(500));
        }
    }
    let mut honest = client(&server, "text", 9);
    for (request, reply) in [
        ("connme\n", "ok connected\n"),
        ("ls\n", "ok 2\n"),
        ("sum small\n", "file 3000000000 big\nfile 2 small\ntotal 3000000002\nok fb8e20fc"),
    ] {
        let start = Instant::now();
        honest.say(request).hear(reply);
        eprintln!("{request:?}: {:?}", start.elapsed());
        assert!(start.elapsed() < Duration::from_secs(20), "{request:?}: {:?}", start.elapsed());
    }
}

/// A client that went away had each of its 500 sums computed.
#[cfg(unix)]
#[test]
fn few_sums_are_computed_for_a_client_that_is_gone() {
    let server = TestServer::start(&[]);
    server.put("a", vec![b'x'; 4_000_000]);
    let mut peer = server.peer();
    peer.say("sum a\n".repeat(500));
    drop(peer);
    server.wait_for_log(" close");
    let log = server.log();
    let sums = log.lines().filter(|line| line.contains(" sum \"a\" "));
    assert!(sums.count() <= 3, "{log}");
}
