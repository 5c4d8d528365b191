//! The struct dialect in bytes.

use std::fs;

use crate::hostile;
use crate::support::{Peer, TestServer, noise};

fn name(name: impl AsRef<[u8]>) -> Vec<u8> {
    let name = name.as_ref();
    [&i16::try_from(name.len()).unwrap().to_le_bytes()[..], name].concat()
}

fn i(n: i32) -> [u8; 4] {
    n.to_le_bytes()
}

fn upload(peer: &mut Peer, file: &str, bytes: &[u8]) {
    peer.say("upload").hear("ready").say(name(file));
    peer.say(i(bytes.len().try_into().unwrap())).say(bytes);
    peer.hear("received");
    let seconds = f32::from_le_bytes(peer.bytes(4).try_into().unwrap());
    assert!((0.0..10.0).contains(&seconds), "{seconds}");
}

/// The list, with an acknowledgement after each file; and its total.
fn ls(peer: &mut Peer) -> (Vec<(String, i32)>, i32) {
    let number = |peer: &mut Peer| i32::from_le_bytes(peer.bytes(4).try_into().unwrap());
    peer.say("ls");
    let files = (0..number(peer))
        .map(|_| {
            let length = number(peer);
            let name = String::from_utf8(peer.bytes(length.try_into().unwrap())).unwrap();
            let size = number(peer);
            peer.say("1");
            (name, size)
        })
        .collect();
    (files, number(peer))
}

#[test]
fn every_exchange_is_as_the_original_client_expects() {
    let server = TestServer::start(&[]);
    let mut peer = server.peer_of("struct");
    peer.say("connme").hear("connected");
    upload(&mut peer, "a.txt", b"hello");
    upload(&mut peer, "a.txt", b"");
    assert_eq!(ls(&mut peer), (vec![("a.txt".into(), 5), ("a_1.txt".into(), 0)], 5));
    peer.say("size").hear("ready").say(name("a.txt")).hear(i(5));
    peer.say("size").hear("ready").say(name("nope")).hear(i(-1));
    peer.say("download").hear("ready").say(name("a.txt")).hear(i(5)).hear("hello").say("x");
    peer.bytes(4);
    peer.say("download").hear("ready").say(name("nope")).hear(i(-1));
    // Answered N, nothing is removed and nothing is said.
    peer.say("rm").hear("ready").say(name("a.txt")).say("N");
    assert_eq!(ls(&mut peer).0.len(), 2);
    peer.say("rm").hear("ready").say(name("a.txt")).say("Y").hear(i(1));
    peer.say("rm").hear("ready").say(name("a.txt")).say("Y").hear(i(-1));
    assert_eq!(ls(&mut peer), (vec![("a_1.txt".into(), 0)], 0));
    peer.say("\r\n \nconnme\r\n").hear("connected").say("byebye").hear_end();
}

#[test]
fn an_upload_that_was_given_up_leaves_the_two_in_step() {
    let server = TestServer::start(&[]);
    server.put("kept", "12345");
    for command in ["ls", "rm", "size", "connme", "upload", "download", "byebye"] {
        let mut peer = server.peer_of("struct");
        peer.say("upload").hear("ready").say(name("nope")).say(command);
        match command {
            "ls" => drop(peer.hear(i(1)).hear(i(4)).hear("kept").hear(i(5)).say("1").hear(i(5))),
            "connme" => drop(peer.hear("connected")),
            "byebye" => {
                peer.hear_end();
                continue;
            }
            "rm" => drop(peer.hear("ready").say(name("nope")).say("N")),
            "upload" => {
                peer.hear("ready").say(name("new")).say(i(2)).say("hi").hear("received").bytes(4);
            }
            "size" => drop(peer.hear("ready").say(name("kept")).hear(i(5))),
            _ => {
                peer.hear("ready").say(name("kept")).hear(i(5)).hear("12345").say("1").bytes(4);
            }
        }
        peer.say("connme").hear("connected");
    }
    // A size that begins with the letters of a command is a size all the same.
    let mut peer = server.peer_of("struct");
    let size = i32::from_le_bytes(*b"ls\0\0");
    let bytes = noise(3, size.try_into().unwrap());
    peer.say("upload").hear("ready").say(name("odd")).say(i(size)).say(&bytes).hear("received");
    peer.bytes(4);
    assert_eq!(server.get("odd"), bytes);
}

#[test]
fn two_hundred_uploads_in_one_session() {
    let server = TestServer::start(&[]);
    let mut peer = server.peer_of("struct");
    for n in 0..200 {
        upload(&mut peer, &format!("{n}"), &noise(n, 100));
    }
    assert_eq!(ls(&mut peer).0.len(), 200);
}

#[test]
fn bytes_may_come_one_at_a_time_or_all_at_once() {
    let server = TestServer::start(&[]);
    let said = [
        b"connmeupload".to_vec(),
        name("a"),
        i(5).to_vec(),
        b"hello".to_vec(),
        b"size".to_vec(),
        name("a"),
        b"ls".to_vec(),
        b"1".to_vec(),
        b"download".to_vec(),
        name("a"),
        b"1".to_vec(),
        b"rm".to_vec(),
        name("a"),
        b"Y".to_vec(),
        b"byebye".to_vec(),
    ]
    .concat();
    for drip in [false, true] {
        let mut peer = server.peer_of("struct");
        if drip {
            peer.drip(&said);
        } else {
            peer.say(&said);
        }
        peer.hear("connectedreadyreceived").bytes(4);
        peer.hear("ready").hear(i(5)).hear(i(1)).hear(i(1)).hear("a").hear(i(5)).hear(i(5));
        peer.hear("ready").hear(i(5)).hear("hello").bytes(4);
        peer.hear("ready").hear(i(1)).hear_end();
    }
    assert_eq!(server.names(), [""; 0]);
}

#[test]
fn names_are_counted_in_bytes_and_large_files_left_out() {
    let server = TestServer::start(&[]);
    let mut peer = server.peer_of("struct");
    for file in ["é.txt", "漢字 😀.txt"] {
        upload(&mut peer, file, b"x");
        peer.say("download").hear("ready").say(name(file)).hear(i(1)).hear("x").say("1").bytes(4);
    }
    fs::File::create(server.root().join("large")).unwrap().set_len(3 << 30).unwrap();
    fs::File::create(server.root().join("largest")).unwrap().set_len((1 << 31) - 1).unwrap();
    fs::create_dir(server.root().join("folder")).unwrap();
    for command in ["size", "download"] {
        peer.say(command).hear("ready").say(name("large")).hear(i(-1));
        peer.say(command).hear("ready").say(name("folder")).hear(i(-1));
    }
    peer.say("size").hear("ready").say(name("largest")).hear(i(i32::MAX));
    let (files, total) = ls(&mut peer);
    let files: Vec<_> = files.iter().map(|(name, size)| (name.as_str(), *size)).collect();
    assert_eq!(files, [("largest", i32::MAX), ("é.txt", 1), ("漢字 😀.txt", 1)]);
    assert_eq!(total, -1, "the total does not fit");
}

#[test]
fn a_refused_upload_is_dropped_and_the_two_stay_in_step() {
    let server = TestServer::start(&["--max-file-size", "1M"]);
    let mut peer = server.peer_of("struct");
    let payload = b"rm\x01\0aY".repeat(100);
    for file in ["../x", ".hidden", "nowhere/x", "", "a\nb"] {
        peer.say("upload").hear("ready").say(name(file)).say(i(600)).say(&payload);
        peer.say("connme").hear("connected");
    }
    peer.say("upload").hear("ready").say(name("big")).say(i(3_000_000)).say(vec![7; 3_000_000]);
    peer.say("connme").hear("connected");
    // It is not known how much follows a negative size, and it may look like commands.
    server.put("kept", "");
    peer.say("upload").hear("ready").say(name("a")).say(i(-5)).say("rm\x04\0keptY").hear_end();
    assert_eq!(server.names(), ["kept"]);
    fs::remove_file(server.root().join("kept")).unwrap();
    server.wait_for_log("bad-request: a payload of negative size");
    server.wait_for_log("upload \"../x\" ");
    assert_eq!(server.names(), [""; 0]);
    // What cannot be framed closes.
    server.peer_of("struct").say("upload").hear("ready").say((-1_i16).to_le_bytes()).hear_end();
    server.peer_of("struct").say("hello").hear_end();
    server.peer_of("struct").say("rm").hear("ready").say(name("a")).say("?").hear_end();
}

#[test]
fn a_client_that_goes_away_leaves_the_server_to_the_others() {
    let server = TestServer::start(&[]);
    let idle = server.peer_of("struct");
    for piece in ["", "up", "upload", "upload\x05\0ab"] {
        server.peer_of("struct").say(piece).end_writing();
        server.peer_of("struct").say("connme").hear("connected");
    }
    drop(idle);
}

#[test]
fn hostile_names_are_refused_or_taken_as_they_are() {
    let server = hostile::besieged();
    let mut peer = server.peer_of("struct");
    for raw in hostile::names() {
        peer.say("upload").hear("ready").say(name(&raw)).say(i(3)).say("abc");
        peer.say("connme");
        if peer.bytes(8) == b"received" {
            peer.bytes(4);
            peer.hear("connected");
            let stored = std::str::from_utf8(&raw).unwrap();
            assert_eq!(server.get(stored), b"abc", "{stored}");
            peer.say("size").hear("ready").say(name(&raw)).hear(i(3));
            peer.say("download")
                .hear("ready")
                .say(name(&raw))
                .hear(i(3))
                .hear("abc")
                .say("1")
                .bytes(4);
            peer.say("rm").hear("ready").say(name(&raw)).say("Y").hear(i(1));
        } else {
            peer.hear("d");
            for command in ["size", "download"] {
                peer.say(command).hear("ready").say(name(&raw)).hear(i(-1));
            }
            peer.say("rm").hear("ready").say(name(&raw)).say("Y").hear(i(-1));
        }
    }
    hostile::assert_unharmed(&server);
}
