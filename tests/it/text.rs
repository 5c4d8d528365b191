//! The text dialect in bytes: its rules, its transcripts, its two halves in step.

use std::fs;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::random::Random;
use crate::support::{Step, TestServer, noise, transcripts, wait_until};

#[test]
fn transcripts_are_true() {
    for (name, steps) in transcripts() {
        let server = TestServer::start(&[]);
        let mut peer = server.peer();
        eprintln!("{name}");
        for step in &steps {
            match step {
                Step::Say(bytes) => drop(peer.say(bytes)),
                Step::Hear(bytes) => drop(peer.hear(bytes)),
                Step::End => peer.hear_end(),
            }
        }
    }
}

#[test]
fn transcripts_are_true_without_waiting() {
    for (name, steps) in transcripts() {
        let mut said = Vec::new();
        let mut heard = Vec::new();
        for step in steps {
            match step {
                Step::Say(bytes) => said.extend(bytes),
                Step::Hear(bytes) => heard.extend(bytes),
                Step::End => {}
            }
        }
        eprintln!("{name}");
        let server = TestServer::start(&[]);
        let mut peer = server.peer();
        peer.say(&said).end_writing().hear(&heard).hear_end();
        // One byte a read, in a server that asks for no more.
        let server = TestServer::start(&["--buffer", "1"]);
        server.peer().say(&said).hear(&heard).end_writing().hear_end();
        let server = TestServer::start(&[]);
        server.peer().drip(&said).end_writing().hear(&heard).hear_end();
    }
}

#[test]
fn half_a_command_is_not_run() {
    let server = TestServer::start(&[]);
    for name in ["notes", "notes_1.txt"] {
        server.put(name, "kept");
    }
    server.peer().say("rm notes").end_writing().refused("bad-request").hear_end();
    server
        .peer()
        .say("ls\nrm notes")
        .end_writing()
        .hear("ok 2\nfile 4 notes\nfile 4 notes_1.txt\n");
    server
        .peer()
        .say("upload x\n5")
        .end_writing()
        .hear("ok ready\n")
        .refused("bad-request")
        .hear_end();
    assert_eq!(server.names(), ["notes", "notes_1.txt"]);
}

#[test]
fn a_line_has_at_most_4096_bytes() {
    let server = TestServer::start(&[]);
    let fits = format!("count {}", "x".repeat(4090));
    for end in ["\n", "\r\n"] {
        server.peer().say(format!("{fits}{end}ls\n")).hear("ok 4090\nok 0\ntotal 0\n");
        let mut peer = server.peer();
        peer.say(format!("{fits}x{end}ls\n")).refused("bad-request").hear_end();
    }
    // No end mark for as long as anyone cares to send: answered at once, and closed in order.
    let mut peer = server.peer();
    peer.say([b'x'; 100_000]).refused("bad-request").hear_end();
    server
        .peer()
        .say("upload a\n")
        .say([b'1'; 5000])
        .hear("ok ready\n")
        .refused("bad-request")
        .hear_end();
}

#[test]
fn a_size_header_is_digits() {
    let server = TestServer::start(&["--max-file-size", "1k"]);
    for wrong in [
        "-1",
        "+5",
        " 5",
        "5 ",
        "0x5",
        "1e3",
        "18446744073709551616",
        "",
        "5.0",
        "5,0",
        "٥",
        "５",
        "1234567890123456789012345678901234567890",
        "five",
        "5\0",
        "ls",
    ] {
        let mut peer = server.peer();
        peer.say(format!("upload a\n{wrong}\nhello")).hear("ok ready\n").refused("bad-request");
        peer.hear_end();
    }
    for (size, payload) in [("05", "hello"), ("0000000000000000005", "hello"), ("0", "")] {
        let mut peer = server.peer();
        peer.say(format!("upload good\n{size}\n{payload}rm good\n"));
        peer.hear(format!("ok ready\nok received {} good\nok removed good\n", payload.len()));
    }
    for huge in ["9223372036854775807", "9223372036854775808", "9999999999999999999"] {
        let mut peer = server.peer();
        peer.say(format!("upload a\n{huge}\n")).hear("ok ready\n").refused("too-large").hear_end();
    }
    let unlimited = TestServer::start(&[]);
    let mut peer = unlimited.peer();
    peer.say("upload a\n9223372036854775808\n").hear("ok ready\n").refused("too-large").hear_end();
    assert_eq!(server.names(), [""; 0]);
}

#[test]
fn a_browser_runs_no_command() {
    let server = TestServer::start(&[]);
    server.put("a.txt", "kept");
    // A size with a sign is no size, and no command either.
    server
        .peer()
        .say("upload .x\n-5\nrm a.txt\n")
        .refused("bad-name")
        .refused("bad-request")
        .hear_end();
    for version in ["1.0", "1.1", "2.0"] {
        for method in ["POST / HTTP/", "GET /a.txt HTTP/", "rm a.txt HTTP/", "upload x HTTP/"] {
            let mut peer = server.peer();
            peer.say(format!("{method}{version}\r\nHost: x\r\n\r\nrm a.txt\r\n"));
            peer.refused("bad-request").hear_end();
        }
    }
    assert_eq!(server.names(), ["a.txt"]);
}

#[test]
fn a_client_that_does_not_wait_is_served() {
    let server = TestServer::start(&[]);
    let mut peer = server.peer();
    peer.say("upload a.txt\n5\nhello").end_writing();
    peer.hear("ok ready\nok received 5 a.txt\n").hear_end();
    assert_eq!(server.get("a.txt"), b"hello");
}

/// A refused upload whose payload is commands: none of them runs.
#[test]
fn a_refused_payload_is_never_commands() {
    let server = TestServer::start(&["--max-file-size", "10"]);
    server.put("a.txt", "kept");
    let commands = "rm a.txt\n".repeat(10);
    let size = commands.len();
    for request in ["upload ../x", "upload .hidden", "upload nowhere/x", "upload"] {
        let line = format!("{request}\n");
        // Waited: told no, and nothing is sent.
        server.peer().say(&line).refused_any().say("ls\n").hear("ok 1\n");
        // Did not wait: the size header is no command, and ends it.
        let all = format!("{line}{size}\n{commands}");
        server.peer().say(&all).refused_any().refused("bad-request").hear_end();
        server.peer().drip(&all).refused_any().refused("bad-request").hear_end();
        assert_eq!(server.get("a.txt"), b"kept");
    }
    // Refused only when its size was known: taken off the wire, and the next command is heard.
    let all = format!("upload big\n{size}\n{commands}connme\n");
    let refused = "ok ready\nerror too-large files may be at most 10 bytes\nok connected\n";
    server.peer().say(&all).hear(refused);
    server.peer().drip(&all).hear(refused);
    assert_eq!(server.names(), ["a.txt"]);
}

#[test]
fn a_late_refusal_drains_a_little_and_closes_on_much() {
    let server = TestServer::start(&["--max-file-size", "10"]);
    for (size, stays) in [(1 << 20, true), ((1 << 20) + 1, false), (8 << 20, false)] {
        let mut peer = server.peer();
        peer.say(format!("upload a\n{size}\n")).hear("ok ready\n");
        peer.say(vec![b'\n'; size]).refused("too-large");
        if stays {
            peer.say("connme\n").hear("ok connected\n");
        } else {
            peer.hear_end();
        }
    }
    // The reason is said to a peer that has ended its direction too.
    let mut peer = server.peer();
    peer.say("upload a\n500\nxxx").end_writing().hear("ok ready\n").refused("too-large").hear_end();
}

#[test]
fn what_does_not_fit_in_the_store_is_refused() {
    let server = TestServer::start(&["--max-total-size", "1k"]);
    let mut peer = server.peer();
    peer.say("upload a\n1000\n").say([b'x'; 1000]).hear("ok ready\nok received 1000 a\n");
    peer.say("upload b\n1\nx").hear("ok ready\n").refused("no-space");
    peer.say("rm a\nupload b\n1\nx").hear("ok removed a\nok ready\nok received 1 b\n");
}

#[test]
fn a_read_only_server_gives_and_does_not_take() {
    let server = TestServer::start(&["--read-only"]);
    server.put("a", "given");
    let mut peer = server.peer();
    peer.say("upload b\n").refused("read-only").say("rm a\n").refused("read-only");
    peer.say("download a\nls\n").hear("ok 5\ngivenok 1\nfile 5 a\ntotal 5\n");
    assert!(!server.has(".connme"));
}

#[test]
fn a_payload_that_stops_short_is_never_seen() {
    let server = TestServer::start(&[]);
    let mut peer = server.peer();
    peer.say("upload a\n10\n12345").hear("ok ready\n");
    server.peer().say("ls\n").hear("ok 0\ntotal 0\n");
    peer.end_writing().hear_end();
    server.wait_for_log("upload \"a\" 5 bytes");
    server.wait_for_log("close gone: the connection ended in the middle of a message");
    server.peer().say("ls\n").hear("ok 0\ntotal 0\n");
    let incoming = fs::read_dir(server.root().join(".connme/incoming")).unwrap();
    let left = incoming.flat_map(|own| fs::read_dir(own.unwrap().path()).unwrap());
    let mut left: Vec<_> = left.map(|file| file.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["lock"]);
}

#[test]
fn a_download_that_cannot_be_finished_ends_in_a_close() {
    let server = TestServer::start(&[]);
    let file = fs::File::create(server.root().join("sparse")).unwrap();
    file.set_len(1 << 30).unwrap();
    let mut peer = server.peer();
    peer.say("download sparse\nconnme\n").hear("ok 1073741824\n");
    file.set_len(0).unwrap();
    let mut got = 0;
    let mut piece = vec![0; 1 << 16];
    while let Ok(n @ 1..) = peer.stream().read(&mut piece) {
        assert!(piece[..n].iter().all(|byte| *byte == 0), "something else than the file was sent");
        got += n;
    }
    assert!(got < 1 << 30);
}

#[test]
fn folders_are_listed_and_used_but_never_made() {
    let server = TestServer::start(&[]);
    fs::create_dir_all(server.root().join("docs/deep")).unwrap();
    let mut peer = server.peer();
    peer.say("upload docs/a b.txt\n2\nhi").hear("ok ready\nok received 2 docs/a b.txt\n");
    peer.say("ls\n").hear("ok 1\ndir - docs\ntotal 0\n");
    peer.say("ls docs\n").hear("ok 2\nfile 2 a b.txt\ndir - deep\ntotal 2\n");
    peer.say("size docs\n").refused("is-folder").say("rm docs\n").refused("is-folder");
    peer.say("download docs\n").refused("is-folder").say("upload docs\n").refused("is-folder");
    // However the bytes arrive: after a refused upload comes the next command.
    peer.say("upload docs\nls\n").refused("is-folder").hear("ok 1\ndir - docs\ntotal 0\n");
    peer.say("ls docs/a b.txt\n").refused("not-found").say("upload new/a\n").refused("not-found");
    peer.say("rm docs/a b.txt\nls docs\n")
        .hear("ok removed docs/a b.txt\nok 1\ndir - deep\ntotal 0\n");
}

#[test]
fn files_of_every_size_come_back() {
    let server = TestServer::start(&[]);
    let mut peer = server.peer();
    for size in
        [0, 1, 1023, 1024, 1025, 16_383, 16_384, 65_536, 524_287, 524_288, 524_289, 3_000_000]
    {
        let bytes = noise(size as u64, size);
        peer.say(format!("upload a\n{size}\n")).say(&bytes);
        peer.hear(format!("ok ready\nok received {size} a\n"));
        peer.say("download a\n").hear(format!("ok {size}\n")).hear(&bytes);
        peer.say("rm a\n").hear("ok removed a\n");
    }
}

#[test]
fn silence_ends_a_connection() {
    let server = TestServer::start(&["--idle-timeout", "1"]);
    let start = Instant::now();
    let mut peer = server.peer();
    peer.refused("timeout").hear_end();
    assert!(start.elapsed() >= Duration::from_millis(900));
    server.wait_for_log("close timeout: silent for too long");
}

#[test]
fn one_too_many_is_told_and_the_others_stay() {
    let server = TestServer::start(&["--max-connections", "2"]);
    let mut first = server.peer();
    let mut second = server.peer();
    first.say("connme\n").hear("ok connected\n");
    second.say("connme\n").hear("ok connected\n");
    for _ in 0..20 {
        // What this one has sent already must not turn its reply into a reset.
        server.peer().say("connme\nls\n").refused("busy").hear_end();
    }
    first.say("byebye\n").hear("ok byebye\n").hear_end();
    server.wait_for_log(" close\n");
    server.peer().say("connme\n").hear("ok connected\n");
    second.say("connme\n").hear("ok connected\n");
}

#[test]
fn the_log_has_a_line_for_each_event_and_nothing_raw() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let server = TestServer::start(&["--log", file.to_str().unwrap()]);
    let mut peer = server.peer();
    let local = peer.stream().local_addr().unwrap();
    peer.say("upload a\n2\nhiupload a\n2\nhi");
    peer.hear("ok ready\nok received 2 a\nok ready\nok received 2 a_1\n");
    peer.say(b"size \x1b[31m\xff\n").refused("bad-name").say("\x1b[A\n").refused("unknown-command");
    peer.say("byebye\n").hear("ok byebye\n").hear_end();
    server.wait_for_log(" close\n");
    let log = server.log();
    let lines: Vec<&str> = log
        .lines()
        .map(|line| {
            let (time, rest) = line.split_once(' ').unwrap();
            assert!(time.len() == 24 && time.ends_with('Z'), "{line}");
            rest.strip_prefix(&format!("{local} text ")).unwrap_or_else(|| panic!("{line}"))
        })
        .collect();
    let beginnings = [
        "open",
        "upload \"a\" stored \"a\" 2 bytes 0.",
        "upload \"a\" stored \"a_1\" 2 bytes 0.",
        "size \"\\u{1b}[31m\\xff\" ",
        "\\u{1b}[A ",
        "byebye ",
        "close",
    ];
    assert_eq!(lines.len(), beginnings.len(), "{log}");
    for (line, beginning) in lines.iter().zip(beginnings) {
        assert!(line.starts_with(beginning), "{line}");
    }
    assert!(lines[1].ends_with(" s ok") && lines[3].ends_with("bad-name: a name must be UTF-8"));
    // The file has the same lines, each output in its own time.
    wait_until("in the file too", || fs::read_to_string(&file).unwrap() == log);
}

#[test]
fn ten_thousand_small_requests_never_wait_for_an_acknowledgement() {
    let server = TestServer::start(&[]);
    server.put("a", "x");
    let mut peer = server.peer();
    let mut slow = 0;
    for n in 0..10_000 {
        let before = Instant::now();
        match n % 3 {
            0 => peer.say("download a\n").hear("ok 1\nx"),
            1 => peer.say("size a\n").hear("ok 1 bytes (0.000001 MB)\n"),
            _ => peer.say("ls\n").hear("ok 1\nfile 1 a\ntotal 1\n"),
        };
        slow += u32::from(before.elapsed() > Duration::from_millis(38));
    }
    // A busy machine stops us now and then. A lost setting, or a header sent apart, delays each request of a kind.
    assert!(slow < 500, "{slow} of 10,000 requests took as long as a delayed acknowledgement");
}

/// What goes in comes out, whatever is between: random commands, in random pieces.
#[test]
fn random_pieces_make_no_difference() {
    let server = TestServer::start(&[]);
    let mut random = Random(7);
    for round in 0..30 {
        let (mut said, mut heard) = (Vec::new(), Vec::new());
        for n in 0..20 {
            let bytes = noise(n, random.below(3000));
            let name = format!("r{round}-{n}.bin");
            said.extend(format!("upload {name}\n{}\n", bytes.len()).bytes().chain(bytes.clone()));
            said.extend(format!("download {name}\nrm {name}\n").bytes());
            heard.extend(
                format!("ok ready\nok received {} {name}\nok {}\n", bytes.len(), bytes.len())
                    .bytes(),
            );
            heard.extend(bytes);
            heard.extend(format!("ok removed {name}\n").bytes());
        }
        let mut peer = server.peer();
        let mut stream = peer.stream().try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut rest = &said[..];
                while !rest.is_empty() {
                    let (piece, others) = rest.split_at((1 + random.below(700)).min(rest.len()));
                    stream.write_all(piece).unwrap();
                    rest = others;
                }
            });
            peer.hear(&heard);
        });
    }
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_said_and_nothing_half_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let shell = "trap '' XFSZ; ulimit -f 100; exec \"$0\" \"$@\"";
    let server = TestServer::over_by(&["sh", "-c", shell], folder.path(), &[]);
    let mut peer = server.peer();
    for size in [50_000, 600_000] {
        peer.say(format!("upload a\n{size}\n")).say(noise(1, size)).hear("ok ready\n");
        if size == 50_000 {
            peer.hear("ok received 50000 a\n");
        } else {
            peer.refused("no-space");
        }
    }
    peer.say(format!("upload a\n{}\n", 4 << 20)).say(vec![1; 4 << 20]);
    peer.hear("ok ready\n").refused("no-space").hear_end();
    server.peer().say("ls\n").hear("ok 1\nfile 50000 a\ntotal 50000\n");
    server.wait_for_log("no-space: the server's disk has no space for it");
}

/// What a browser or a scanner sends may hold a line break and, after it, commands that were hidden there.
#[test]
fn binary_noise_closes_and_runs_nothing_that_is_hidden_in_it() {
    let server = TestServer::start(&[]);
    server.put("a.txt", "kept");
    // A TLS hello, with a session ticket that a server elsewhere has chosen.
    let ticket = b"\nrm a.txt\n";
    let hello = [
        b"\x16\x03\x01\x00\x48\x01\x00\x00\x44\x03\x03".as_slice(),
        &[0xa7; 32],
        b"\x00\x00\x02\x13\x01\x01\x00\x00\x19\x00\x23\x00\x0a",
        ticket,
        b"\x00\x0b\x00\x02\x01\x00",
    ]
    .concat();
    server.peer().say(&hello).refused("bad-request").hear_end();
    server.wait_for_log("bad-request: that is not text");
    for noise in [&b"\xff\xfe"[..], b"\x07", b"\0", b"lx\x01", b"\x7f", "\u{85}".as_bytes()] {
        let mut peer = server.peer();
        peer.say([noise, b"\nrm a.txt\n"].concat()).refused("bad-request").hear_end();
    }
    assert_eq!(server.get("a.txt"), b"kept");
    // What people type into netcat, and what no command may hold but a line may, leaves it open.
    let mut peer = server.peer();
    for typed in ["\x1b[A", "lx\x08s", "\tls", "é", "漢字 x"] {
        peer.say(format!("{typed}\n")).refused("unknown-command");
    }
    peer.say(b"rm \xff\n").refused("bad-name").say(b"size \x01\n").refused("bad-name");
    peer.say("connme\n").hear("ok connected\n");
}
