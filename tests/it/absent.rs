//! Peers that send or read almost nothing. These tests wait for limits of up to 90 seconds. Tests begin in the
//! order of their names, so these are the first, and the others run meanwhile.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use connme::limits::{MESSAGE_TIME, PAYLOAD_WINDOW, READER_WINDOW};

#[cfg(target_os = "linux")]
use crate::sturdy::proc;
use crate::support::{PATIENCE, Peer, TestServer, escape};

#[test]
fn slow_senders_delay_no_other_client_and_are_disconnected_in_time() {
    let server = TestServer::start(&["--max-connections", "600", "--max-per-address", "600"]);
    let start = Instant::now();
    let slow: Vec<Mutex<TcpStream>> = (0..500)
        .map(|n| {
            let mut stream = TcpStream::connect(server.address()).unwrap();
            stream.set_nodelay(true).unwrap();
            // Half in a line, half in a payload.
            if n % 2 == 0 {
                stream.write_all(b"upload x\n1000000\n").unwrap();
            }
            Mutex::new(stream)
        })
        .collect();
    let mut good = server.peer();
    let mut times = Vec::new();
    // When those in a line were gone, and when those in a payload.
    let mut gone = Vec::new();
    while gone.len() < 2 && start.elapsed() < PAYLOAD_WINDOW * 2 {
        let round = Instant::now();
        for stream in &slow {
            let _ = stream.lock().unwrap().write(b"x");
        }
        while round.elapsed() < Duration::from_secs(1) {
            let before = Instant::now();
            good.say("connme\n").hear("ok connected\n");
            times.push(before.elapsed());
            std::thread::park_timeout(Duration::from_millis(20));
        }
        if server.log().matches(" close ").count() >= 250 * (gone.len() + 1) {
            gone.push(start.elapsed());
        }
    }
    times.sort();
    let median = times[times.len() / 2];
    eprintln!(
        "a good client's median beside 500 slow ones: {median:?}; they were gone after {gone:?}"
    );
    assert!(median < Duration::from_millis(100), "{median:?}");
    assert_eq!(gone.len(), 2, "slow ones are still there");
    for (gone, limit) in gone.iter().zip([MESSAGE_TIME, PAYLOAD_WINDOW]) {
        let (early, late) = (Duration::from_secs(1), Duration::from_secs(10));
        assert!((limit - early..limit + late).contains(gone), "{gone:?} for {limit:?}");
    }
    for stream in &slow {
        let mut stream = stream.lock().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        let heard = String::from_utf8(heard).unwrap();
        // They write on, so a reset follows. On Windows it discards what was not read.
        let is_discarded = cfg!(windows) && heard.is_empty();
        assert!(is_discarded || heard.contains("error timeout "), "{heard}");
    }
}

/// A download whose reader takes a byte now and then is ended too.
#[test]
fn a_reader_that_does_not_read_is_let_go() {
    let server = TestServer::start(&[]);
    let file = std::fs::File::create(server.root().join("large")).unwrap();
    file.set_len(1 << 30).unwrap();
    let mut peer = server.peer();
    peer.say("download large\n").hear("ok 1073741824\n");
    let start = Instant::now();
    let mut gone = false;
    while start.elapsed() < READER_WINDOW + Duration::from_secs(30) && !gone {
        peer.bytes(1);
        std::thread::park_timeout(Duration::from_millis(500));
        gone = server.log().contains(" close ");
    }
    assert!(gone, "still there after {:?}", start.elapsed());
    assert!(start.elapsed() > READER_WINDOW - Duration::from_secs(5));
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
    let folder = tempfile::tempdir().unwrap();
    for n in 0..100_000 {
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
        assert!(peak < 200, "{dialect}: {peak} MiB");
        drop(peers);
        proc::wait_until("served again", || {
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
    let server = TestServer::start(&["--proxy-protocol"]);
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
