//! The client against servers that say more than they should, or at another time. `tests/sessions/lies.txt` has those
//! that say something wrong.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::support::{PATIENCE, client, escape, visible};

/// A server that waits for one read from each client, and says its words again and again.
fn liar(words: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let more = words.repeat(1 + 65_536 / words.len());
            while stream.write_all(&more).is_ok() {}
        }
    });
    address
}

#[test]
fn a_server_without_end_gets_one_line_and_nothing_else() {
    let long_lines = format!("file 1 {}\n", "n".repeat(4000)).repeat(20);
    let table: [(&str, &[&str], Vec<u8>); 8] = [
        ("text", &["connme"], vec![b'x'; 4096]),
        ("text", &["ls"], b"ok 9999999\nfile 1 a\n".into()),
        ("text", &["ls"], format!("ok 999999\n{long_lines}").into()),
        ("text", &["say", "hi"], b"hello\n".into()),
        ("struct", &["ls"], i32::MAX.to_le_bytes().into()),
        ("filesaver", &["download", "a"], b"OKa<SEPARATOR>5hello".into()),
        ("json", &["ls"], b"[".into()),
        ("count", &["count", "x"], b"1".into()),
    ];
    for (dialect, args, words) in table {
        let folder = tempfile::tempdir().unwrap();
        let case = format!("{dialect} {args:?} {}", escape(&words[..words.len().min(100)]));
        let mut command = client(args);
        command.current_dir(&folder).args(["--retry", "0", "--dialect", dialect]);
        let output = command.args(["--server", &liar(words).to_string()]).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        // What is said is shown as far as it may go.
        let status = i32::from(args[0] != "say");
        assert_eq!(output.status.code(), Some(status), "{case}: {err}");
        assert_eq!(err.lines().count(), usize::try_from(status).unwrap(), "{case}: {err}");
        let downloads = folder.path().join("downloads");
        assert!(!downloads.exists() || visible(&downloads).is_empty(), "{case}");
    }
}

/// A server that answers one request, and says more when it is told to; then it tells that it has.
fn talkative(reply: &'static str, more: &'static str) -> (SocketAddr, Sender<()>, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let ((go, told), (say, said)) = (channel(), channel());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        stream.write_all(reply.as_bytes()).unwrap();
        told.recv().unwrap();
        stream.write_all(more.as_bytes()).unwrap();
        say.send(()).unwrap();
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
        // Another connection gets no answer.
        let _ = listener.accept();
    });
    (address, go, said)
}

/// Before a request nothing is owed: a stale reply must not become the answer to the next question.
#[test]
fn what_was_not_asked_for_is_shown_and_answers_nothing() {
    let stale = "ok 5 bytes (0.000005 MB)\n";
    let last_words = "error timeout silent for too long\n";
    let table = [
        // In one segment with the reply before, or by itself.
        ("ok connected\nok 5 bytes (0.000005 MB)\n", "", stale),
        ("ok connected\n", stale, stale),
        ("ok connected\n", last_words, last_words),
    ];
    for (reply, more, unasked) in table {
        for flags in [&[][..], &["--trace"], &["--stammer", "slice=1"]] {
            let (address, go, said) = talkative(reply, more);
            let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_connme-client"))
                .args(["--server", &address.to_string()])
                .args(flags)
                .env_remove("LC_ALL")
                .env("LANG", "C")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(b"connme\n").unwrap();
            let mut line = String::new();
            let mut stdout = BufReader::new(child.stdout.take().unwrap());
            stdout.read_line(&mut line).unwrap();
            assert!(line.starts_with("connected to "), "{line}");
            go.send(()).unwrap();
            said.recv_timeout(PATIENCE).unwrap();
            stdin.write_all(b"size b\n").unwrap();
            drop(stdin);
            let output = child.wait_with_output().unwrap();
            let mut out = String::new();
            stdout.read_to_string(&mut out).unwrap();
            let err = String::from_utf8(output.stderr).unwrap();
            let shown = match unasked == stale {
                true => {
                    "cannot get the size of b: the server sent \"ok 5 bytes (0.000005 MB)\\n\" without being \
                     asked; is that a connme server?"
                }
                // It says this to an idle connection, and another one does.
                false => "connected again to ",
            };
            assert!(err.contains(shown) && out.is_empty(), "{flags:?}: {err}{out}");
            // The dialect was understood before.
            assert!(!err.contains("--dialect"), "{err}");
            // Nothing of the request has left.
            assert!(unasked == last_words || !err.contains("size b\\n"), "{err}");
            if flags == ["--trace"] && unasked == last_words {
                assert!(err.contains("error timeout silent for too long\\n <- 34 --"), "{err}");
            }
        }
    }
}

/// The most memory that a client's `ls` takes from a server that says `begin`, then `entry` again and again
/// up to that many bytes, then `end`; and what the client says of it.
#[cfg(target_os = "linux")]
fn memory_of_ls(
    dialect: &str,
    begin: &[u8],
    entry: &[u8],
    bytes: usize,
    end: &[u8],
) -> (u64, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_connme-client"))
        .args(["--server", &address.to_string(), "--dialect", dialect, "ls"])
        .env_remove("LC_ALL")
        .env("LANG", "C")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let path = format!("/proc/{}/status", child.id());
    let peak = || {
        let status = std::fs::read_to_string(&path).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    };
    let (mut stream, _) = listener.accept().unwrap();
    let _ = stream.read(&mut [0; 4096]);
    let mut acknowledgements = stream.try_clone().unwrap();
    std::thread::spawn(move || std::io::copy(&mut acknowledgements, &mut std::io::sink()));
    let entries = entry.repeat(100_000 / entry.len());
    let (mut most, mut sent) = (0, 0);
    let mut said = stream.write_all(begin);
    while said.is_ok() && sent < bytes {
        said = stream.write_all(&entries);
        sent += entries.len();
        most = most.max(peak());
    }
    let _ = stream.write_all(end);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => most = most.max(peak()),
        }
        std::thread::yield_now();
    };
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(status.code(), Some(1), "{dialect}: {err}");
    (most, err)
}

/// A list without end, in each dialect: the client gives up, and takes little memory for it.
#[cfg(target_os = "linux")]
#[test]
fn a_list_without_end_takes_bounded_memory() {
    const ENDLESS: usize = 3_000_000_000;
    let check = |dialect: &str, begin: &[u8], entry: &[u8], (bytes, end), known: &str| {
        let (most, err) = memory_of_ls(dialect, begin, entry, bytes, end);
        let case = format!("{dialect} {}", escape(&entry[..entry.len().min(80)]));
        assert!(most < 100_000_000, "{case}: {most} bytes, {err}");
        assert!(err.contains(known), "{case}: {err}");
    };
    let i = |n: usize| i32::try_from(n).unwrap().to_le_bytes();
    let endless = (ENDLESS, &b""[..]);
    for length in [12, 4000] {
        let name = "n".repeat(length);
        let record = format!("{{\"id\":\"i\",\"nama_file\":\"{name}\",\"size\":1,\"type\":\"\"}}");
        let (line, comma) = (format!("file 1 {name}\n"), format!(",{record}"));
        let strukt = [&i(length), name.as_bytes(), &i(1)].concat();
        let known = "the list is too long to be kept";
        check("text", b"ok 700000\n", line.as_bytes(), endless, known);
        check("struct", &i(700_000), &strukt, endless, known);
        check("json", format!("[{record}").as_bytes(), comma.as_bytes(), endless, known);
        // A text in it that has no end.
        check("json", b"[{\"id\":\"", name.as_bytes(), endless, "expected a shorter record");
    }
    // A line of 60 MB that is JSON, and a tree of which is many times as large.
    check("json", b"[0", b",0", (60_000_000, b"]\r\n"), "expected a shorter record");
    check("json", b"[{}", b",{}", (60_000_000, b"]\r\n"), "expected a record, got \"{}\"");
}
