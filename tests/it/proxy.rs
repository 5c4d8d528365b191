//! `--proxy-protocol`: the line that a load balancer puts before each connection; and the real balancers, as
//! the guide configures them.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use connme::limits::PROXY_TIME;

use crate::support::{PATIENCE, Peer, TestServer};

const LINE: &str = "PROXY TCP4 192.0.2.7 198.51.100.1 50312 1234\r\n";

/// A line of a client with this address.
fn line_of(address: &str) -> String {
    let family = if address.contains(':') { "TCP6" } else { "TCP4" };
    format!("PROXY {family} {address} {address} 50312 1234\r\n")
}

/// The server closes, with or without a reset, and says nothing.
#[track_caller]
fn closed(peer: &mut Peer) {
    let mut heard = Vec::new();
    let end = peer.stream().read_to_end(&mut heard);
    assert!(heard.is_empty(), "{}", String::from_utf8_lossy(&heard));
    if let Err(error) = end {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}

#[test]
fn what_follows_the_line_is_the_conversation_however_it_is_cut() {
    let server = TestServer::start(&["--proxy-protocol", "--trace"]);
    let asked = format!("{LINE}connme\n");
    server.peer().say(&asked).hear("ok connected\n");
    server.peer().drip(&asked).hear("ok connected\n");
    server.peer().say(LINE).say("connme\n").hear("ok connected\n");
    server.peer_of("struct").say(format!("{LINE}connme")).hear("connected");
    server.peer_of("count").drip(format!("{LINE}abc\n")).hear("3").hear_end();
    // A line that would be one of the dialect is the conversation's too.
    server.peer().say(format!("{LINE}{LINE}")).refused("unknown-command");
    // The longest line, with an end mark that is its last two bytes.
    let longest = format!("PROXY UNKNOWN {:x<91}\r\n", "");
    assert_eq!(longest.len(), 107);
    server.peer().say(format!("{longest}connme\n")).hear("ok connected\n");
}

#[test]
fn log_and_trace_show_the_address_from_the_line() {
    let server = TestServer::start(&["--proxy-protocol", "--trace"]);
    for (line, client) in [
        (LINE, "192.0.2.7:50312"),
        ("PROXY TCP6 2001:db8::7 2001:db8::1 50312 1234\r\n", "[2001:db8::7]:50312"),
        ("PROXY UNKNOWN\r\n", "127.0.0.1:"),
    ] {
        let mut peer = server.peer();
        let own = peer.stream().local_addr().unwrap().to_string();
        let client = if client.ends_with(':') { own.as_str() } else { client };
        peer.say(line).say("connme\nbyebye\n").hear("ok connected\nok byebye\n").hear_end();
        for wanted in ["text open\n", "text connme 0 bytes", "text close\n"] {
            server.wait_for_log(&format!("{client} {wanted}"));
        }
        server.wait_for_log(&format!("|client {client} "));
        assert_eq!(server.log().contains(&own), own == client, "{own}");
    }
    // The trace begins after the line.
    assert!(!server.log().contains("PROXY"), "{}", server.log());
}

#[test]
fn without_the_line_the_connection_is_closed_and_the_log_says_why() {
    let server = TestServer::start(&["--proxy-protocol"]);
    let expected = "text close bad-request: expected a PROXY line (got ";
    for (line, got) in [
        ("connme\n".to_owned(), "'connme\\n'"),
        ("PROXY TCP4 192.0.2.7 198.51.100.1 050312 1234\r\n".to_owned(), "050312"),
        (LINE.replace("\r\n", "\n"), "50312 1234\\n'"),
        ("\r\n\r\n\0\r\nQUIT\n".to_owned(), "'\\r\\n'"),
        (format!("PROXY UNKNOWN {:y<92}\r\n", ""), "yyy\\r'"),
        (format!("PROXY UNKNOWN {:z<9999}\r\n", ""), "zzz'"),
    ] {
        let mut peer = server.peer();
        let own = peer.stream().local_addr().unwrap();
        closed(peer.say(line));
        server.wait_for_log(&format!("{own} {expected}"));
        assert!(server.log().contains(got), "{got}:\n{}", server.log());
    }
    let mut peer = server.peer();
    closed(peer.say("PROXY TCP4 192.").end_writing());
    server.wait_for_log("gone: the connection ended before the PROXY line did");
    // Without the flag such a line is a command like any other.
    TestServer::start(&[]).peer().say(LINE).refused("unknown-command");
}

#[test]
fn a_line_that_does_not_come_ends_in_time_and_delays_no_other() {
    let server = TestServer::start(&["--proxy-protocol", "--max-connections", "3"]);
    let start = Instant::now();
    let (mut silent, mut slow) = (server.peer(), server.peer());
    let mut good = server.peer();
    good.say(LINE).say("connme\n").hear("ok connected\n");
    // Connections whose line has not come count too. One more is refused before its line is read.
    server.peer().refused("busy").hear_end();
    server.wait_for_log("refused busy: all connections are taken");
    while server.log().matches("close timeout: no PROXY line came in time").count() < 2 {
        assert!(start.elapsed() < PATIENCE, "{}", server.log());
        // Bytes that come slowly give no more time.
        let _ = slow.stream().write(b"P");
        std::thread::park_timeout(Duration::from_millis(200));
    }
    let took = start.elapsed();
    assert!(took >= PROXY_TIME && took < PROXY_TIME + Duration::from_secs(3), "{took:?}");
    closed(&mut silent);
    closed(&mut slow);
    good.say("connme\n").hear("ok connected\n");
    server.peer().say(LINE).say("connme\n").hear("ok connected\n");
}

#[test]
fn each_address_in_the_line_has_its_share() {
    let server = TestServer::start(&["--proxy-protocol", "--max-per-address", "2"]);
    let come = |line: &str| {
        let mut peer = server.peer();
        peer.say(line).say("connme\n");
        peer
    };
    let inside = |line: &str| {
        let mut peer = come(line);
        peer.hear("ok connected\n");
        peer
    };
    let one = line_of("192.0.2.7");
    let mut first: Vec<Peer> = (0..2).map(|_| inside(&one)).collect();
    come(&one).refused("busy").hear_end();
    let why = "refused busy: too many connections from your address";
    server.wait_for_log(&format!("192.0.2.7:50312 text {why}"));
    // The same address, written as IPv6.
    come(&line_of("::ffff:192.0.2.7")).refused("busy").hear_end();
    let other = inside(&line_of("192.0.2.8"));
    // A network of IPv6 has four shares.
    let v6: Vec<Peer> = (0..8).map(|n| inside(&line_of(&format!("2001:db8::{n}:1")))).collect();
    come(&line_of("2001:db8::ffff")).refused("busy").hear_end();
    // An unknown address is no address.
    let unknown: Vec<Peer> = (0..5).map(|_| inside("PROXY UNKNOWN\r\n")).collect();
    first.pop().unwrap().say("byebye\n").hear("ok byebye\n").hear_end();
    server.wait_for_log("192.0.2.7:50312 text close\n");
    drop((inside(&one), other, v6, unknown));
}
