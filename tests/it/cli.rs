//! Both programs as a user sees them: flags, results, failures, exit statuses.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs, iter};

use crate::sessions::{self, Stage};
use crate::support::{TestServer, skip, visible};

/// A program of ours, or one that this machine may have.
fn program(words: &[String]) -> Option<(Command, &'static str)> {
    let own = Path::new(env!("CARGO_BIN_EXE_connme-client")).parent().unwrap().to_owned();
    let path = env::var_os("PATH").unwrap_or_default();
    let path = iter::once(own).chain(env::split_paths(&path)).collect::<Vec<_>>();
    let name = if words[0].starts_with("connme-") {
        format!("{}{}", words[0], env::consts::EXE_SUFFIX)
    } else {
        words[0].clone()
    };
    let Some(program) = path.iter().map(|folder| folder.join(&name)).find(|it| it.exists()) else {
        skip(&name);
        return None;
    };
    let mut command = Command::new(program);
    command.args(&words[1..]).env("PATH", env::join_paths(path).unwrap());
    // What it sends to its group is for no other.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    Some((command, ""))
}

#[test]
fn sessions_are_as_written() {
    sessions::play_all(|flags| {
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let server = TestServer::start(&flags);
        let root = server.root().to_owned();
        let address_of = Box::new(move |dialect: &str| server.address_of(dialect));
        Stage { root, address_of, program }
    });
}

/// Runs a program of ours in an empty folder. Returns what it prints, and what it says on standard error.
fn run(words: &[&str], typed: &str) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let words: Vec<_> = words.iter().map(ToString::to_string).collect();
    let (command, _) = program(&words).unwrap();
    let mut command = assert_cmd::Command::from_std(command);
    command.current_dir(&folder).env("LANG", "C").env_remove("LC_ALL").env_remove("COLUMNS");
    let output = command.write_stdin(typed).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

#[test]
fn the_server_prints_how_to_reach_it_and_where_the_files_are() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("new");
    let greeting = |flags: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_connme-server"));
        command.args(flags).arg("--root").arg(&root).env_remove("LC_ALL").env("LANG", "C");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let lines: Vec<_> = lines.take_while(|line| !line.starts_with("waiting ")).collect();
        child.kill().and_then(|()| child.wait()).unwrap();
        lines
    };
    let port = |line: &str| line.split([':', ' ']).nth(3).unwrap().to_owned();
    let lines = greeting(&["--listen", "127.0.0.1:0"]);
    let listening = format!("listening on 127.0.0.1:{} (text)", port(&lines[0]));
    assert_eq!(lines, [listening, format!("files are in {} (created)", root.display())]);

    let lines = greeting(&["--host", "0.0.0.0", "--listen", "0", "--listen", "json=0"]);
    let (text, json) = (port(&lines[0]), port(&lines[1]));
    // What the system would send from is what others see. Connecting a UDP socket sends nothing.
    let own = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        Ok(socket.local_addr()?.ip().to_string())
    });
    let host = own.as_deref().unwrap_or("HOST");
    for line in [
        format!("listening on 0.0.0.0:{text} (text)"),
        format!("listening on 0.0.0.0:{json} (json)"),
        format!("on other machines, type: connme-client --server {host}:{text}"),
        format!("on other machines, type: connme-client --server {host}:{json} --dialect json"),
        format!("files are in {}", root.display()),
    ] {
        assert!(lines.contains(&line), "{line}: {lines:?}");
    }
    let opens = |line: &String| line.ends_with(&format!("protocol=TCP localport={text},{json}"));
    assert_eq!(lines.iter().any(opens), cfg!(windows), "{lines:?}");
}

/// The flags of a page of words: `--name`, without what follows.
fn flags(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_lowercase() && c != '-');
    words.filter(|word| word.starts_with("--") && word.len() > 2).collect()
}

#[test]
fn every_flag_in_the_help_is_known_and_in_the_guide() {
    let page = include_str!("../../src/guide/programs.md");
    for words in [
        &["connme-server", "--help"][..],
        &["connme-client", "help", "flags"],
        &["connme-lab", "--help"],
    ] {
        let (help, _) = run(words, "");
        for flag in flags(&help) {
            let (_, said) = run(&[words[0], flag, "--no-such"], "");
            assert!(!said.contains(&format!("unexpected argument '{flag}'")), "{said}");
        }
        let (_, section) = page.split_once(&format!("\n## {}\n", words[0])).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let cells = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
        let rows: String = cells.filter(|cell| cell.contains("`-")).collect();
        assert_eq!(flags(&rows), flags(&help), "the table of {} in programs.md", words[0]);
    }
}

#[test]
fn help_fits_a_terminal_of_80_columns() {
    let fits = |text: &str, lines: RangeInclusive<usize>, columns: usize| {
        let is_wide = |line: &str| line.chars().count() > columns;
        assert!(lines.contains(&text.lines().count()) && !text.lines().any(is_wide), "{text}");
    };
    for lang in ["en", "id"] {
        let client = |words: &[&str], typed: &str| {
            run(&[&["connme-client", "--lang", lang], words].concat(), typed).0
        };
        fits(&run(&["connme-server", "--lang", lang, "--help"], "").0, 10..=999, 80);
        fits(&client(&["help", "flags"], ""), 10..=999, 80);
        // One screen, also of a narrow window.
        fits(&client(&[], "help\n"), 10..=23, 60);
        fits(&client(&["--help"], ""), 10..=23, 60);
        fits(&client(&["-d", "count"], "help\n"), 10..=23, 60);
        for command in connme::client::command::COMMANDS.iter().map(|command| command.word) {
            let text = client(&[command, "--help"], "");
            let has_example = text.lines().any(|line| line.trim_start().starts_with(command));
            assert!(text.starts_with(command) && has_example, "{text}");
            fits(&text, 2..=23, 60);
            assert_eq!(client(&[], &format!("help {command}\n")), text);
        }
    }
}

#[test]
fn the_language_of_the_environment_is_spoken() {
    let server = TestServer::start(&["--lang", "id"]);
    let mut client = server.client(server.outside(), &["connme"]);
    let said = format!("Terhubung ke server {}\nKoneksi berhasil ditambahkan\n", server.address());
    client.env("LANG", "id_ID.UTF-8").assert().success().stdout(said);
    server.wait_for_log(" text Terhubung dengan 127.0.0.1:");
    server.wait_for_log(" ditutup\n");
}

/// The client in a terminal, which `script` provides: what it draws there.
#[cfg(target_os = "linux")]
fn in_a_terminal(folder: &Path, columns: usize, line: &str) -> Option<String> {
    let line = line.replace("connme-client", env!("CARGO_BIN_EXE_connme-client"));
    let line = line.replace("connme-lab", env!("CARGO_BIN_EXE_connme-lab"));
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).current_dir(folder);
    command.env("LANG", "C").env_remove("LC_ALL").env_remove("NO_COLOR");
    command.env("COLUMNS", columns.to_string()).stdin(Stdio::null());
    match command.output() {
        Ok(output) => Some(String::from_utf8(output.stdout).unwrap()),
        Err(_) => {
            skip("script");
            None
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_gets_what_fits_it() {
    let server = TestServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("f"), crate::support::noise(1, 200_000)).unwrap();
    let address = server.address();
    for (columns, heads) in [(80, 10), (120, 12)] {
        for lang in ["en", "id"] {
            let line = format!("connme-client --server {address} --trace --lang {lang} ls");
            let Some(drawn) = in_a_terminal(folder.path(), columns, &line) else { return };
            let rungs: Vec<_> = drawn.lines().filter(|line| line.starts_with('#')).collect();
            assert!(rungs.len() > 4, "{drawn}");
            assert!(rungs.iter().all(|line| line.trim_end().len() == columns), "{drawn}");
            let line = format!("connme-lab --lang {lang} compare f");
            let drawn = in_a_terminal(folder.path(), columns, &line).unwrap();
            let rows: Vec<_> = drawn.lines().map(str::trim_end).collect();
            // A heading, the heads, four dialects, and what explains them.
            assert!(rows.len() == 12 && rows.iter().all(|row| row.len() <= columns), "{drawn}");
            let shown = rows[1].split_whitespace().count();
            assert!(if columns > 100 { shown == heads } else { shown >= 8 }, "{drawn}");
        }
    }
}

/// A server that begins its answer, and ends it when the client has waited for four seconds.
#[cfg(target_os = "linux")]
fn slow(begin: &'static str, rest: &'static str) -> std::net::SocketAddr {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            stream.write_all(begin.as_bytes()).unwrap();
            // When the client has sent nothing for that long, it gets the rest.
            stream.set_read_timeout(Some(std::time::Duration::from_secs(4))).unwrap();
            while stream.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {}
            let _ = stream.write_all(rest.as_bytes());
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
    });
    address
}

#[cfg(target_os = "linux")]
#[test]
fn a_long_wait_is_told_to_a_terminal_unless_quiet() {
    let table = [
        (
            "connme",
            "ok conn",
            "ected\n",
            "so far came \"ok conn\" with no newline; still waiting for",
        ),
        // A server of another dialect, perhaps.
        ("connme", "o", "k connected\n", "so far came \"o\" with no newline; still waiting for"),
        ("--quiet connme", "ok conn", "ected\n", ""),
        ("connme 2>err.log", "ok conn", "ected\n", ""),
        ("download a", "ok 5\nhe", "llo", "2 of 5 bytes came; still waiting for the rest"),
        // Nothing says yet which of them are the size.
        (
            "-d filesaver download a",
            "OKa<SEPARATOR>20hello, world 12",
            "34567",
            "17 bytes came; still waiting for the rest",
        ),
    ];
    let waits = table.map(|(line, begin, rest, told)| {
        std::thread::spawn(move || {
            let folder = tempfile::tempdir().unwrap();
            let line = format!("connme-client --server {} {line}", slow(begin, rest));
            let Some(drawn) = in_a_terminal(folder.path(), 80, &line) else { return };
            assert!(
                drawn.contains("connected to ") || drawn.contains("a downloaded to"),
                "{drawn}"
            );
            assert_eq!(drawn.contains("still waiting"), !told.is_empty(), "{line}: {drawn}");
            assert!(drawn.contains(told), "{line}: {drawn}");
            let errors = fs::read_to_string(folder.path().join("err.log")).unwrap_or_default();
            assert_eq!(errors, "");
        })
    });
    waits.into_iter().for_each(|wait| wait.join().unwrap());
}

/// A long line of names is not sent as one name, which the server would refuse and close.
#[test]
fn a_line_of_many_names_is_many_names() {
    let server = TestServer::start(&[]);
    let names: Vec<_> = (0..30).map(|n| format!("{n:0>200}")).collect();
    names.iter().for_each(|name| server.put(name, "x"));
    let lines = format!("connme\nsize {}\n", names.join(" "));
    let mut client = server.client(server.outside(), &[]);
    let output = client.write_stdin(lines).assert().success().get_output().clone();
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 31);
    assert!(!server.log().contains("bad-request"), "{}", server.log());
}

#[test]
fn a_closed_standard_output_ends_the_client_quietly() {
    let server = TestServer::start(&[]);
    for n in 0..3000 {
        server.put(&format!("a file with a rather long name, number {n}"), "");
    }
    let mut child = Command::new(env!("CARGO_BIN_EXE_connme-client"))
        .args(["--server", &server.address().to_string(), "ls"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}

#[test]
fn a_client_that_is_killed_leaves_no_half_file() {
    let server = TestServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    server.put("small", "x");
    let sparse = fs::File::create(server.root().join("sparse")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_connme-client"))
        .args(["--server", &server.address().to_string(), "download", "sparse"])
        .current_dir(&folder)
        .spawn()
        .unwrap();
    let own = folder.path().join("downloads/.connme");
    let has_come = || {
        let partial = fs::read_dir(own.join("partial")).into_iter().flatten().flatten();
        partial.filter_map(|part| part.metadata().ok()).any(|found| found.len() > 100_000)
    };
    crate::support::wait_until("some of it has come", has_come);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(visible(&folder.path().join("downloads")), [""; 0]);
    server.client(folder.path(), &["download", "small"]).assert().success();
    assert_eq!(visible(&folder.path().join("downloads")), ["small"]);
    assert_eq!(fs::read_dir(own.join("incoming")).unwrap().count(), 0, "what was left is swept");
}
