//! The client against servers that lie: one line, a failure, in bounded time; nothing outside the
//! downloads, no wrong file under a final name, no raw control character on the screen.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use crate::support::{client, escape, visible};

/// What a liar does when it has said its words.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    Close,
    Repeat,
}

/// What a liar is asked over which dialect, what it says, what it does then; and the exit status.
type Row = (&'static str, &'static [&'static str], Vec<u8>, Then, i32);

/// A server that waits for one read from each client, says its words, and then closes or goes on.
fn liar(words: Vec<u8>, then: Then) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let mut said = stream.write_all(&words);
            let more = words.repeat(1 + 65_536 / words.len().max(1));
            while then == Then::Repeat && said.is_ok() {
                said = stream.write_all(&more);
            }
            // Whatever the client still says is heard, so that it is not answered by a reset.
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
    });
    address
}

#[test]
fn a_lying_server_gets_one_line_and_nothing_else() {
    let i = |n: i32| n.to_le_bytes();
    let record = |name: &str, size: &str| {
        format!("{{\"id\":\"\u{1b}\",\"nama_file\":\"{name}\",\"size\":{size},\"type\":\"\"}}\r\n")
            .replace('\u{1b}', "\\u001b")
    };
    let long_lines = format!("file 1 {}\n", "n".repeat(4000)).repeat(20);
    let table: Vec<Row> = vec![
        ("text", &["connme"], b"".into(), Then::Close, 1),
        ("text", &["connme"], b"\x1b[2Jhello\n".into(), Then::Close, 1),
        ("text", &["connme"], b"HTTP/1.1 400 Bad Request\r\n\r\n".into(), Then::Close, 1),
        ("text", &["connme"], vec![b'x'; 4096], Then::Repeat, 1),
        ("text", &["connme"], b"ok \xff\xfe\n".into(), Then::Close, 1),
        ("text", &["connme"], b"error \x1b[31mevil \x1b[32mwords\n".into(), Then::Close, 1),
        ("text", &["ls"], b"ok 3\nfile 1 a\n".into(), Then::Close, 1),
        ("text", &["ls"], b"ok 1\nfile 1 a\nfile 1 b\ntotal 2\n".into(), Then::Close, 1),
        ("text", &["ls"], b"ok 2\nfile 1 a\ntotal 1\n".into(), Then::Close, 1),
        ("text", &["ls"], b"ok 99999999999999999999\n".into(), Then::Close, 1),
        ("text", &["ls"], b"ok 9999999\nfile 1 a\n".into(), Then::Repeat, 1),
        ("text", &["ls"], format!("ok 999999\n{long_lines}").into(), Then::Repeat, 1),
        ("text", &["ls"], b"ok 1\nfile -1 a\ntotal 0\n".into(), Then::Close, 1),
        (
            "text",
            &["ls"],
            "ok 3\nfile 1 \x1b[31mred\x07\nfile 1 a\u{202e}b\ndir - ../..\ntotal 2\n".into(),
            Then::Close,
            0,
        ),
        ("text", &["size", "a"], b"ok -5 bytes\n".into(), Then::Close, 1),
        ("text", &["size", "a"], b"ok\n".into(), Then::Close, 1),
        ("text", &["rm", "a"], b"removed a\n".into(), Then::Close, 1),
        ("text", &["download", "a"], b"ok 5\nhel".into(), Then::Close, 1),
        ("text", &["download", "a"], b"ok 1000000000000000\nabc".into(), Then::Close, 1),
        ("text", &["download", "a"], b"ok 9999999999999999999\nabc".into(), Then::Close, 1),
        ("text", &["download", "a"], b"ok 5 bytes\nhello".into(), Then::Close, 1),
        ("text", &["download", "a"], b"ok +5\nhello".into(), Then::Close, 1),
        ("text", &["upload", "own"], b"ok go\n".into(), Then::Close, 1),
        ("text", &["upload", "own"], b"ok ready\nok received 99 own\n".into(), Then::Close, 1),
        ("text", &["upload", "own"], b"ok ready\n".into(), Then::Close, 1),
        (
            "text",
            &["upload", "own"],
            b"ok ready\nok received 5 \x1b[31m../../x\n".into(),
            Then::Close,
            0,
        ),
        ("struct", &["ls"], i(-5).into(), Then::Close, 1),
        ("struct", &["ls"], i(i32::MAX).into(), Then::Repeat, 1),
        ("struct", &["ls"], [i(1), i(-1)].concat(), Then::Close, 1),
        ("struct", &["ls"], [i(1), i(1 << 30)].concat(), Then::Close, 1),
        ("struct", &["ls"], [&i(1)[..], &i(2), b"\xff\xfe", &i(5), &i(5)].concat(), Then::Close, 1),
        ("struct", &["ls"], [&i(1)[..], &i(4), b"\x1b[2J", &i(5), &i(5)].concat(), Then::Close, 0),
        ("struct", &["size", "a"], b"steady".into(), Then::Close, 1),
        (
            "struct",
            &["download", "a"],
            [&b"ready"[..], &i(i32::MAX), b"abc"].concat(),
            Then::Close,
            1,
        ),
        ("struct", &["upload", "own"], b"readyconnected".into(), Then::Close, 1),
        ("filesaver", &["download", "a"], b"OKb<SEPARATOR>5hello".into(), Then::Close, 1),
        ("filesaver", &["download", "a"], b"OKa<SEPARATOR>5hell".into(), Then::Close, 1),
        ("filesaver", &["download", "a"], b"OKa<SEPARATOR>5hello!".into(), Then::Close, 1),
        ("filesaver", &["download", "a"], b"OKa<SEPARATOR>5hello".into(), Then::Repeat, 1),
        ("filesaver", &["download", "a"], b"OKa<SEPARATOR>".into(), Then::Close, 1),
        ("filesaver", &["download", "a"], b"OKa<SEPARATOR>x".into(), Then::Close, 1),
        ("filesaver", &["download", "a"], b"OKERROR: File not found".into(), Then::Close, 1),
        ("filesaver", &["download", "a"], b"NO".into(), Then::Close, 1),
        ("json", &["ls"], b"[".into(), Then::Repeat, 1),
        ("json", &["ls"], b"{}\r\n".into(), Then::Close, 1),
        ("json", &["ls"], b"[{}]\r\n".into(), Then::Close, 1),
        (
            "json",
            &["ls"],
            format!("[{}]\r\n", record("../\\u001b[2J", "5").trim()).into(),
            Then::Close,
            0,
        ),
        ("json", &["download", "a"], record("a", "1000000000000000").into(), Then::Close, 1),
        ("json", &["download", "a"], record("a", "-1").into(), Then::Close, 1),
        ("json", &["download", "a"], b"ERROR \x1b[2J boo\r\n".into(), Then::Close, 1),
        ("json", &["download", "a"], b"null\r\n".into(), Then::Close, 1),
        ("json", &["download", "a"], b"null".into(), Then::Close, 1),
        ("json", &["upload", "own"], b"OK null\r\n".into(), Then::Close, 1),
        ("count", &["count", "x"], b"twelve".into(), Then::Close, 1),
        ("count", &["count", "x"], b"1".into(), Then::Repeat, 1),
        ("count", &["count", "x"], b"".into(), Then::Close, 1),
        ("count", &["count", "x"], b"error: \x1b[2J".into(), Then::Close, 1),
    ];
    for (dialect, args, words, then, status) in table {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("own"), "hello").unwrap();
        let case = format!("{dialect} {args:?} {}", escape(&words[..words.len().min(100)]));
        let address = liar(words, then);
        let start = Instant::now();
        let mut command = client(args);
        command.current_dir(&folder).args(["--yes", "--dialect", dialect]);
        let output = command.args(["--server", &address.to_string()]).output().unwrap();
        let (out, err) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(output.status.code(), Some(status), "{case}: {out}{err}");
        assert_eq!(err.lines().count(), usize::try_from(status).unwrap(), "{case}: {err}");
        let raw = |c: char| (c.is_control() && c != '\n' && c != '\t') || c == '\u{202e}';
        assert!(!out.contains(raw) && !err.contains(raw), "{case}: {out:?} {err:?}");
        assert!(start.elapsed() < Duration::from_secs(15), "{case} took {:?}", start.elapsed());
        let mut names = visible(folder.path());
        names.retain(|name| name != "downloads");
        assert_eq!(names, ["own"], "{case}");
        let downloads = folder.path().join("downloads");
        assert!(!downloads.exists() || visible(&downloads).is_empty(), "{case}");
    }
}

/// Whatever a server calls the file, it goes under the name that was asked for.
#[test]
fn a_server_has_no_say_in_where_a_file_goes() {
    let folder = tempfile::tempdir().unwrap();
    let id = "6f9619ff-8b86-4011-b42d-00cf4fc964ff";
    let record =
        format!("{{\"id\":\"{id}\",\"nama_file\":\"../../x\",\"size\":5,\"type\":\"\"}}\r\nhello");
    let address = liar(record.into_bytes(), Then::Close);
    let mut command = client(&["--dialect", "json", "download", "docs/a"]);
    command.current_dir(&folder).args(["--server", &address.to_string()]).assert().success();
    assert_eq!(visible(folder.path()), ["downloads"]);
    assert_eq!(visible(&folder.path().join("downloads")), ["a"]);
}
