//! Peers that send or read almost nothing. These tests wait for limits of up to 90 seconds. Tests begin in the
//! order of their names, so these are the first, and the others run meanwhile.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use connme::limits::{MESSAGE_TIME, PAYLOAD_WINDOW, READER_WINDOW};

#[cfg(target_os = "linux")]
use crate::sturdy::proc;
use crate::support::{PATIENCE, Peer, TestServer};

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

/// Long lists that are not read do not add up; 60 of json took 2.4 GB.
#[cfg(target_os = "linux")]
#[test]
fn lists_that_are_not_read_do_not_fill_the_memory() {
    for (dialect, request) in [("text", "ls\n"), ("json", "{\"aksi\":\"list\"}\n")] {
        let server = TestServer::start(&["--max-per-address", "200"]);
        for n in 0..20_000 {
            server.put(&format!("{n:0>240}"), "");
        }
        // With a table of identities that has just been written: its memory was kept by every thread.
        server.peer_of("json").say("{\"aksi\":\"list\"}\n").rest();
        let mut peers: Vec<Peer> = (0..60).map(|_| server.peer_of(dialect)).collect();
        for peer in &mut peers {
            peer.say(request);
        }
        let started: Vec<_> = peers.iter_mut().map(|peer| peer.bytes(2)).collect();
        let refused = |reply: &&Vec<u8>| reply.eq_ignore_ascii_case(b"er");
        let refused = started.iter().filter(refused).count();
        assert!((1..60).contains(&refused), "{refused} of 60 were refused");
        let peak = proc::status(server.id(), "VmHWM") / 1024;
        eprintln!("{dialect}: {peak} MiB");
        assert!(peak < 128, "{dialect}: {peak} MiB");
        drop(peers);
        proc::wait_until("served again", || {
            let mut peer = server.peer();
            peer.say("ls\n").bytes(3) == b"ok "
        });
    }
}

/// Twelve clients that never nodded kept everyone from a list for 140 s and more.
#[test]
fn a_list_that_is_not_read_makes_room_for_another() {
    let server = TestServer::start(&["--max-per-address", "200"]);
    for n in 0..20_000 {
        server.put(&format!("{n:0>240}"), "");
    }
    let mut deaf: Vec<Peer> = (0..16).map(|_| server.peer_of("struct")).collect();
    for peer in &mut deaf {
        peer.say("ls");
    }
    // Twelve of json that do not read are no better.
    let mut json: Vec<Peer> = (0..12).map(|_| server.peer_of("json")).collect();
    for peer in &mut json {
        peer.say("{\"aksi\":\"list\"}\n");
    }
    let first: Vec<_> = deaf.iter_mut().map(|peer| peer.first_bytes()).collect();
    let begun = first.iter().filter(|count| **count == 20_000_i32.to_le_bytes()).count();
    // Those of json can have been faster than all of struct.
    let mut begun_json = || json.iter_mut().any(|peer| peer.first_bytes().starts_with(b"["));
    assert!(begun > 0 || begun_json(), "no list was begun");
    // Who is refused is not told that the folder is empty.
    assert!(first.iter().all(|count| count.is_empty() || count.len() == 4));
    assert!(!first.contains(&0_i32.to_le_bytes().to_vec()));
    for _ in 0..3 {
        let start = Instant::now();
        server.peer().say("ls\n").hear("ok 20000\n");
        assert!(start.elapsed() < Duration::from_secs(18), "{:?}", start.elapsed());
    }
}
