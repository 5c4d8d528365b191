//! The filesaver dialect in bytes.

use std::fs;

use crate::hostile;
use crate::support::{Peer, TestServer, noise};

const SEPARATOR: &str = "<SEPARATOR>";

/// Sends as the original client does: no end marks, and as much as possible in one segment.
fn send_glued(server: &TestServer, name: &str, size: usize, bytes: &[u8]) {
    let mut peer = server.peer_of("filesaver");
    peer.say("SEND").hear("OK");
    peer.say([format!("{name}{name}{SEPARATOR}{size}").as_bytes(), bytes].concat());
    peer.end_writing().hear_end();
}

fn send_lines(server: &TestServer, name: &str, bytes: &[u8]) {
    let mut peer = server.peer_of("filesaver");
    peer.say("SEND\n").hear("OK").say(format!("{name}\n{name}{SEPARATOR}{}\n", bytes.len()));
    peer.say(bytes).end_writing().hear_end();
}

/// What a fetch brings: the size in its head, and the bytes after it.
fn receive(server: &TestServer, end: &str, name: &str, size: usize) -> Vec<u8> {
    let mut peer = server.peer_of("filesaver");
    peer.say(format!("RECEIVE{end}")).hear("OK").say(format!("{name}{end}"));
    peer.hear(format!("{name}{SEPARATOR}{size}")).rest()
}

#[test]
fn files_are_sent_and_fetched_with_end_marks_and_without() {
    let server = TestServer::start(&[]);
    let mut payloads: Vec<Vec<u8>> = vec![
        vec![],
        b"\n".to_vec(),
        b"\r\n\n".to_vec(),
        b"hello".to_vec(),
        b"5".to_vec(),
        b"0".to_vec(),
        b"00".to_vec(),
        b"123".to_vec(),
        b"99 bottles".to_vec(),
        b"1234567890".repeat(5),
        SEPARATOR.into(),
        noise(1, 100_000),
        vec![b'7'; 100_000],
    ];
    payloads.push([b"12345678901234567890".to_vec(), noise(2, 70_000)].concat());
    for (n, bytes) in payloads.iter().enumerate() {
        let name = format!("{n}.bin");
        for glued in [true, false] {
            if glued {
                send_glued(&server, &name, bytes.len(), bytes);
            } else {
                send_lines(&server, &name, bytes);
            }
            assert_eq!(server.get(&name), *bytes, "{name} glued {glued}");
            for end in ["", "\n", "\r\n"] {
                assert_eq!(receive(&server, end, &name, bytes.len()), *bytes);
            }
            fs::remove_file(server.root().join(&name)).unwrap();
        }
    }
}

#[test]
fn every_size_of_digits_is_told_from_its_payload() {
    let server = TestServer::start(&[]);
    let digits: Vec<u8> = noise(9, 1100).iter().map(|byte| b'0' + byte % 10).collect();
    for size in 0..=1100 {
        let mut peer = server.peer_of("filesaver");
        peer.say("SEND\n").hear("OK").say(format!("dd{SEPARATOR}{size}")).say(&digits[..size]);
        peer.end_writing().hear_end();
        assert_eq!(server.get("d"), &digits[..size], "{size}");
        fs::remove_file(server.root().join("d")).unwrap();
    }
}

#[test]
fn names_that_are_their_own_halves_and_paths() {
    let server = TestServer::start(&[]);
    for name in ["aa", "aaaa", "abab", "é", "a b", "漢漢"] {
        send_glued(&server, name, 2, b"hi");
        assert_eq!(server.get(name), b"hi", "{name}");
    }
    send_glued(&server, "C:\\Users\\me\\last.txt", 2, b"hi");
    // An LF after the name, and a pause after the size: we wait until nothing was sent for that long.
    let mut peer = server.peer_of("filesaver");
    peer.say("SEND\n").hear("OK").say(format!("mixed\nmixed{SEPARATOR}5"));
    peer.stream().set_read_timeout(Some(connme::limits::WORD_PAUSE * 3)).unwrap();
    assert!(std::io::Read::read(peer.stream(), &mut [0]).is_err());
    peer.stream().set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    peer.say("hello").end_writing().hear_end();
    assert_eq!(server.get("mixed"), b"hello");
    send_lines(&server, "/home/me/../other.txt", b"hi");
    assert_eq!((server.get("last.txt"), server.get("other.txt")), (b"hi".to_vec(), b"hi".to_vec()));
}

#[test]
fn pieces_and_pauses_make_no_difference() {
    let server = TestServer::start(&[]);
    let mut peer = server.peer_of("filesaver");
    // The pause that ends SEND is ours: the server answers when it has waited.
    peer.say("SE").say("ND").hear("OK").drip(format!("a.txta.txt{SEPARATOR}5")).drip("12345");
    peer.end_writing().hear_end();
    assert_eq!(server.get("a.txt"), b"12345");
}

/// Cut at every byte: nothing is stored, but where the arithmetic itself cannot tell. After the
/// digits of a size that is cut short, an earlier digit may be a size and the rest its bytes.
#[test]
fn a_cut_transfer_is_not_stored_unless_it_looks_complete() {
    let server = TestServer::start(&[]);
    let whole = |size: usize| {
        let bytes: Vec<u8> = noise(4, size).iter().map(|byte| byte | 0x80).collect();
        [format!("a.txta.txt{SEPARATOR}{size}").into_bytes(), bytes].concat()
    };
    let mut undecidable = 0;
    for size in [5, 12, 300, 123] {
        let all = whole(size);
        let lead = all.len() - size - size.to_string().len();
        let head = all.len() - size;
        let cuts = (0..head + 40).chain((head + 40..all.len()).step_by(37)).chain([all.len() - 1]);
        for cut in cuts.filter(|cut| *cut < all.len()) {
            let mut peer = server.peer_of("filesaver");
            peer.say("SEND\n").hear("OK").say(&all[..cut]).end_writing().hear_end();
            // "12", cut right after it, is the same as "1" and the byte "2".
            let came = &all[lead.min(cut)..cut];
            let told = (1..size.to_string().len()).find(|digits| {
                let shorter: usize = size.to_string()[..*digits].parse().unwrap();
                shorter + digits == came.len()
            });
            if let Some(digits) = told {
                assert_eq!(server.get("a.txt"), &came[digits..], "{size} cut at {cut}");
                fs::remove_file(server.root().join("a.txt")).unwrap();
                undecidable += 1;
            } else {
                assert_eq!(server.names(), [""; 0], "{size} cut at {cut}");
            }
        }
    }
    assert_eq!(undecidable, 5, "12, 300 and 123 have shorter sizes");
    // With end marks there is no such case.
    let all = format!("a.txt\na.txt{SEPARATOR}12\n123456789012");
    for cut in 0..all.len() {
        let mut peer = server.peer_of("filesaver");
        peer.say("SEND\n").hear("OK").say(&all[..cut]).end_writing().hear_end();
        assert_eq!(server.names(), [""; 0], "cut at {cut}");
    }
    // Too much is as wrong as too little.
    let mut peer = server.peer_of("filesaver");
    peer.say("SEND\n").hear("OK").say(&all).say("3").end_writing().hear_end();
    assert_eq!(server.names(), [""; 0]);
}

#[test]
fn what_is_not_there_is_said_and_anything_else_closed() {
    let server = TestServer::start(&["--max-file-size", "10"]);
    server.put("ERROR.txt", "mine");
    let fetch = |name: &str| -> Vec<u8> {
        let mut peer: Peer = server.peer_of("filesaver");
        peer.say("RECEIVE\n").hear("OK").say(format!("{name}\n")).rest()
    };
    for name in ["nope", "../ERROR.txt", ".connme", "", "nowhere/x"] {
        assert_eq!(fetch(name), b"ERROR: File not found", "{name}");
    }
    assert_eq!(receive(&server, "\n", "ERROR.txt", 4), b"mine");
    for word in ["send\n", "HELLO\n", "\n", "SENDRECEIVE\n"] {
        server.peer_of("filesaver").say(word).hear_end();
    }
    send_glued(&server, "big", 11, b"12345678901");
    send_lines(&server, "big", b"12345678901");
    for head in [
        format!("ab{SEPARATOR}1x"),
        format!("a\nb{SEPARATOR}1\nx"),
        format!("aa{SEPARATOR}x"),
        format!("aa{SEPARATOR}"),
    ] {
        server.peer_of("filesaver").say("SEND\n").hear("OK").say(head).end_writing().hear_end();
    }
    assert_eq!(server.names(), ["ERROR.txt"]);
    server.wait_for_log("filesaver close too-large");
}

#[test]
fn hostile_names_are_refused_or_taken_as_they_are() {
    let server = hostile::besieged();
    for raw in hostile::names() {
        if raw.contains(&b'\n') || raw.ends_with(b"\r") {
            continue; // Two words, or another one: no name of this wire.
        }
        let separator = SEPARATOR.as_bytes();
        let mut peer = server.peer_of("filesaver");
        peer.say("SEND\n").hear("OK").say([&raw[..], b"\n", &raw, separator, b"3\nabc"].concat());
        peer.end_writing().hear_end();
        let names = server.names();
        let last = raw.rsplit(|byte| b"/\\".contains(byte)).next().unwrap();
        match names.iter().filter(|name| *name != "docs").collect::<Vec<_>>().as_slice() {
            [] => {}
            [stored] => {
                assert_eq!(stored.as_bytes(), last);
                assert_eq!(server.get(stored), b"abc");
                let mut peer = server.peer_of("filesaver");
                peer.say("RECEIVE\n").hear("OK").say([last, b"\n"].concat());
                peer.hear([last, separator, b"3abc"].concat()).hear_end();
                fs::remove_file(server.root().join(stored)).unwrap();
            }
            several => panic!("{several:?}"),
        }
        if last != raw {
            let mut peer = server.peer_of("filesaver");
            peer.say("RECEIVE\n").hear("OK").say([&raw[..], b"\n"].concat());
            peer.hear("ERROR: File not found").hear_end();
        }
    }
    hostile::assert_unharmed(&server);
}
