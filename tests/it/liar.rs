//! The client against servers that lie: one line, a failure, in bounded time; nothing outside the
//! downloads, no wrong file under a final name, no raw control character on the screen.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crate::support::{PATIENCE, client, escape, visible};

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
        // A receipt that came before the file.
        ("text", &["upload", "own"], b"ok ready\nok received 5 own\n".into(), Then::Close, 1),
        ("text", &["say", "hi"], b"hello\n".into(), Then::Repeat, 0),
        (
            "text",
            &["upload", "own"],
            b"ok ready\nok received 5 \x1b[31m../../x\n".into(),
            Then::Close,
            1,
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
        ("struct", &["upload", "own"], b"readyreceived\0\0\0\0".into(), Then::Close, 1),
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
        ("json", &["ls"], b"[1,2]\r\n".into(), Then::Close, 1),
        ("json", &["ls"], b"[{},]\r\n".into(), Then::Close, 1),
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
        command.current_dir(&folder).args(["--retry", "0", "--yes", "--dialect", dialect]);
        let output = command.args(["--server", &address.to_string()]).output().unwrap();
        let (out, err) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(output.status.code(), Some(status), "{case}: {out}{err}");
        let told = err.lines().filter(|line| !line.starts_with("names with control characters"));
        assert_eq!(told.count(), usize::try_from(status).unwrap(), "{case}: {err}");
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

/// What a client says of these words from a server, in a dialect, asked for something.
fn said_of(dialect: &str, args: &[&str], words: impl Into<Vec<u8>>) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("own"), "hello").unwrap();
    let address = liar(words.into(), Then::Close);
    let mut command = client(args);
    command.current_dir(&folder).args(["--retry", "0", "--yes", "--dialect", dialect]);
    let output = command.args(["--server", &address.to_string()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{dialect} {args:?}");
    let err = String::from_utf8(output.stderr).unwrap();
    let err = err.strip_prefix("connme-client: cannot ").unwrap_or_else(|| panic!("{err}"));
    let err = err.trim_end();
    let tried = err.strip_suffix("; try another with --dialect NAME");
    let hint = format!("; tried the {dialect} dialect");
    match (
        tried.and_then(|err| err.split_once(&hint)),
        err.strip_suffix("; is that a connme server?"),
    ) {
        (Some((err, "")), _) => err.to_owned(),
        (Some((err, guess)), _) => format!("{err} ({})", guess.trim_start_matches("; ")),
        (None, Some(err)) => format!("{err} (understood)"),
        (None, None) => format!("{err} (no hint)"),
    }
}

#[test]
fn what_came_is_compared_with_what_was_asked() {
    let i = |n: i32| n.to_le_bytes();
    let record = |name: &str, size: u64| {
        format!("{{\"id\":\"i\",\"nama_file\":\"{name}\",\"size\":{size},\"type\":\"\"}}\r\n")
    };
    let expected = [
        said_of("text", &["rm", "a"], "ok removed b\n"),
        said_of("text", &["ls"], "ok 1\nfile 5 a\ntotal 6\n"),
        said_of("text", &["ls"], "ok 1\nfile a\ntotal 6\n"),
        said_of("text", &["upload", "own"], "ok ready\nok received 4 own\n"),
        said_of("text", &["upload", "own"], "ok ready\nok received 5 other\n"),
        said_of("text", &["rm", "a"], "error\n"),
        said_of("json", &["rm", "a"], "ERROR\r\n"),
        said_of("text", &["connme"], "hello\n"),
        said_of("struct", &["connme"], "hello"),
        said_of("struct", &["rm", "a"], [&b"ready"[..], &i(5)].concat()),
        said_of("struct", &["ls"], [&i(1)[..], &i(1), b"a", &i(5), &i(6)].concat()),
        said_of("struct", &["ls"], i(-2)),
        said_of("struct", &["ls"], "error timeout\n"),
        said_of("filesaver", &["download", "a"], "NO, NEVER"),
        said_of("filesaver", &["download", "a"], "OKb<SEPARATOR>5hello"),
        said_of("json", &["ls"], "{}\r\n"),
        said_of("json", &["rm", "a"], format!("OK {}", record("b", 5))),
        said_of("json", &["upload", "own"], format!("OK {}", record("own", 4))),
        said_of("json", &["upload", "own"], format!("OK {}", record("other", 5))),
        said_of("json", &["upload", "own"], "null"),
        said_of("count", &["count", "x"], "twelve"),
    ];
    let wanted = [
        "remove a: expected 'ok removed a', got \"ok removed b\" (understood)",
        "list the files: expected 'total 5', got \"total 6\" (understood)",
        "list the files: expected 'file SIZE NAME' or 'dir - NAME', got \"file a\" (understood)",
        "upload own: the server sent \"ok received 4 own\\n\" without being asked (understood)",
        "upload own: the server sent \"ok received 5 other\\n\" without being asked (understood)",
        "remove a: expected 'error CODE MESSAGE', got \"error\"",
        "remove a: expected 'ERROR CODE MESSAGE', got \"ERROR\"",
        "connect: expected a line starting with ok or error, got \"hello\"",
        "connect: expected 'connected', got \"hello\"",
        "remove a: expected '1' or '-1', got \"5\" (understood)",
        "list the files: expected 5 as the total of the sizes, got \"6\" (understood)",
        "list the files: expected a number of files, not -2, got \"\\xfe\\xff\\xff\\xff\"",
        "list the files: expected a number of files, not 1869771365, got \"error timeout\\n\" \
         (this looks like text)",
        "download a: expected 'OK', got \"NO, NEVER\"",
        "download a: expected 'a<SEPARATOR>', got \"b<SEPARATOR>5hello\" (understood)",
        "list the files: expected a list, got \"{}\"",
        "remove a: expected 'OK' and the record of a, got \"OK {",
        "upload own: expected 'OK' and the record of own with 5 bytes, got \"OK {",
        "upload own: expected 'OK' and the record of own with 5 bytes, got \"OK {",
        // It says that there is no such file, which is no answer to an upload.
        "upload own: expected 'OK' and the record of own with 5 bytes, got \"null\"",
        "count x: expected a number, got \"twelve\"",
    ];
    for (said, wanted) in expected.iter().zip(wanted) {
        let same = if wanted.ends_with('{') { said.starts_with(wanted) } else { said == wanted };
        assert!(same, "{said}\n{wanted}");
    }
}

#[test]
fn a_server_that_stops_is_told_with_what_had_come() {
    let i = |n: i32| n.to_le_bytes();
    let record = "{\"id\":\"i\",\"nama_file\":\"a\",\"size\":10,\"type\":\"\"}\r\nhello";
    let stopped = "the connection ended in the middle of a message";
    let in_file = "the connection ended in the middle of the file";
    let without = "the server closed the connection without a reply";
    let table = [
        (
            said_of("text", &["connme"], "ok connected"),
            "connect: the connection ended in the middle of a message; \
             so far came \"ok connected\" with no newline"
                .to_owned(),
        ),
        (
            said_of("struct", &["connme"], "conn"),
            format!("connect: {stopped}; so far came \"conn\""),
        ),
        (
            said_of("struct", &["ls"], [1, 0]),
            format!("list the files: {stopped}; so far came \"\\u{{1}}\\0\""),
        ),
        (
            said_of("json", &["ls"], "[{\"id\""),
            format!("list the files: {stopped}; so far came \"[{{\\\"id\\\"\""),
        ),
        // A payload comes after a reply: it is no question of the dialect.
        (
            said_of("text", &["download", "a"], "ok 10\nhello"),
            format!("download a: {in_file}; 5 of 10 bytes came; run the command again (no hint)"),
        ),
        (
            said_of("struct", &["download", "a"], [&b"ready"[..], &i(10), b"hello"].concat()),
            format!("download a: {in_file}; 5 of 10 bytes came; run the command again (no hint)"),
        ),
        (
            said_of("json", &["download", "a"], record),
            format!("download a: {in_file}; 5 of 10 bytes came; run the command again (no hint)"),
        ),
        (
            said_of("filesaver", &["download", "a"], "OKa<SEPARATOR>10hello"),
            format!("download a: {in_file}; 5 of 10 bytes came; run the command again (no hint)"),
        ),
        (
            said_of("filesaver", &["download", "a"], "OKa<SEPARATOR>912345"),
            format!("download a: {in_file}; 6 bytes came; run the command again (no hint)"),
        ),
        // Nothing came: that is not the middle of a message.
        (said_of("text", &["connme"], ""), format!("connect: {without}")),
        (said_of("struct", &["ls"], ""), format!("list the files: {without}")),
        (said_of("filesaver", &["download", "a"], ""), format!("download a: {without}")),
        (said_of("json", &["ls"], ""), format!("list the files: {without}")),
        (said_of("count", &["count", "x"], ""), format!("count x: {without}")),
        (
            said_of("json", &["ls"], "[{\"id\":\"i\",\"nama_file\":\"a\",\"size\":1}"),
            format!("list the files: {stopped}; run the command again (no hint)"),
        ),
        (
            said_of("struct", &["rm", "a"], "ready"),
            format!("remove a: {stopped}; it may have been done: ls shows whether (no hint)"),
        ),
        (
            said_of("text", &["size", "a"], "error strange-code some words\n"),
            "get the size of a: some words (strange-code) (no hint)".to_owned(),
        ),
        (
            said_of("json", &["download", "a"], "ERROR strange\x1b[0m some words\r\n"),
            "download a: some words (strange\\u{1b}[0m) (no hint)".to_owned(),
        ),
    ];
    for (said, wanted) in table {
        assert_eq!(said, wanted);
    }
}

/// A code that this client does not know is shown with the server's own word.
#[test]
fn an_unknown_code_is_shown_as_it_came() {
    for (dialect, words) in [
        ("text", "error quota-used your 5 GB are full\n"),
        ("text", "error quota-used\n"),
        ("json", "ERROR quota-used your 5 GB are full\r\n"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let address = liar(words.into(), Then::Close);
        let mut command = client(&["--dialect", dialect, "--yes", "rm", "a"]);
        command.current_dir(&folder).args(["--server", &address.to_string()]);
        let output = command.assert().code(1).get_output().clone();
        let said = String::from_utf8(output.stderr).unwrap();
        let expected = match words.contains("full") {
            true => "connme-client: cannot remove a: your 5 GB are full (quota-used)\n",
            false => "connme-client: cannot remove a: quota-used\n",
        };
        assert_eq!(said, expected, "{dialect}");
    }
}

/// A pattern finds names in the server's list: none of them leads out of the downloads folder.
#[test]
fn a_list_cannot_lead_a_pattern_astray() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("own"), "mine").unwrap();
    let list = "ok 4\nfile 1 ../own\nfile 1 /own\nfile 1 .own\nfile 1 a/own\ntotal 4\n";
    let address = liar(list.into(), Then::Close);
    let mut command = client(&["download", "*", "--server", &address.to_string()]);
    let output = command.current_dir(&folder).assert().code(1).get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "connme-client: no file matches *\n");
    assert_eq!(visible(folder.path()), ["own"]);
}

/// A single command opens its own connections: it cannot be told to use the prompt.
#[test]
fn a_single_command_is_told_to_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let address = liar(b"ok 10\nhello".to_vec(), Then::Close);
    let mut command = client(&["download", "a", "--server", &address.to_string()]);
    command.current_dir(&folder);
    let output = command.assert().code(1).get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.ends_with("; run the command again\n"), "{said}");
    let address = liar(b"ok 1\n".to_vec(), Then::Close);
    let mut command = client(&["--server", &address.to_string()]);
    let output = command.write_stdin("connme\nls\n").assert().code(1).get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.ends_with("; the next command connects again\n"), "{said}");
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
        let status = fs::read_to_string(&path).unwrap_or_default();
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
        std::thread::park_timeout(Duration::from_millis(1));
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
