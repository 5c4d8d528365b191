//! Both programs as a user sees them: flags, results, failures, exit statuses.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::sessions::{self, Stage};
use crate::support::{TestServer, client, lab, skip, visible};

#[test]
fn sessions_are_as_written() {
    sessions::play_all(|flags| {
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let server = TestServer::start(&flags);
        let program = |words: &[String]| {
            let mut command = Command::new(match words[0].as_str() {
                "connme-client" => env!("CARGO_BIN_EXE_connme-client"),
                "connme-server" => env!("CARGO_BIN_EXE_connme-server"),
                _ => env!("CARGO_BIN_EXE_connme-lab"),
            });
            command.args(&words[1..]);
            Some((command, ""))
        };
        let root = server.root().to_owned();
        let address_of = Box::new(move |dialect: &str| server.address_of(dialect));
        Stage { root, address_of, program }
    });
}

fn server(args: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_connme-server")).args(args).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// The lines on standard output until the server is ready.
fn greeting(args: &[&str], root: &std::path::Path) -> Vec<String> {
    use std::io::{BufRead, BufReader};
    let mut command = Command::new(env!("CARGO_BIN_EXE_connme-server"));
    command.args(args).arg("--root").arg(root).env_remove("LC_ALL").env("LANG", "C");
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let lines = lines.take_while(|line| !line.starts_with("waiting ")).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    lines
}

#[test]
fn the_server_prints_how_to_reach_it_and_where_the_files_are() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("new");
    let lines = greeting(&["--listen", "127.0.0.1:0"], &root);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("listening on 127.0.0.1:") && lines[0].ends_with(" (text)"));
    assert_eq!(lines[1], format!("files are in {} (created)", root.display()));

    let lines = greeting(&["--host", "0.0.0.0", "--listen", "0", "--listen", "json=0"], &root);
    let port = |line: &str| line.split([':', ' ']).nth(3).unwrap().to_owned();
    let (text, json) = (port(&lines[0]), port(&lines[1]));
    assert_eq!(lines[0], format!("listening on 0.0.0.0:{text} (text)"));
    assert_eq!(lines[1], format!("listening on 0.0.0.0:{json} (json)"));
    // What the system would send from is what others see. Connecting a UDP socket sends nothing.
    let own = std::net::UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        Ok(socket.local_addr()?.ip().to_string())
    });
    let host = own.as_deref().unwrap_or("HOST");
    let line = format!("on other machines, type: connme-client --server {host}");
    assert!(lines.contains(&format!("{line}:{text}")), "{lines:?}");
    assert!(lines.contains(&format!("{line}:{json} --dialect json")), "{lines:?}");
    let opens = |line: &String| line.ends_with(&format!("protocol=TCP localport={text},{json}"));
    assert_eq!(lines.iter().any(opens), cfg!(windows), "{lines:?}");
    assert_eq!(lines.last(), Some(&format!("files are in {}", root.display())));
}

#[test]
fn what_cannot_be_used_is_one_line_and_status_1() {
    let running = TestServer::start(&[]);
    let taken = running.address().to_string();
    let folder = tempfile::tempdir().unwrap();
    let (file, root) = (folder.path().join("file"), folder.path().join("root"));
    fs::write(&file, "").unwrap();
    let (file, root) = (file.to_str().unwrap(), root.to_str().unwrap());
    let below = format!("{file}/log");
    let table = [
        (vec!["--root", root, "--listen", &taken], "that port is taken, perhaps by another"),
        (vec!["--root", file, "--listen", "0"], "choose another folder with --root"),
        (vec!["--root", file, "--listen", "0", "--read-only"], "choose another folder with --root"),
        (vec!["--root", root, "--listen", "0", "--log", &below], "choose another file with --log"),
        (vec!["--root", root, "--listen", "192.0.2.1:0"], "choose another with --listen"),
    ];
    for (args, what) in table {
        let (status, said) = server(&args);
        assert!(said.contains(what) && said.starts_with("connme-server: cannot "), "{said}");
        assert_eq!((status, said.lines().count()), (1, 1), "{said}");
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    for flag in ["--help", "-h"] {
        let output = client(&[flag]).assert().success().get_output().clone();
        assert!(output.stdout.starts_with(b"connme-client: ") && output.stderr.is_empty());
    }
    for flag in ["--help", "-h"] {
        let output = lab(&[flag]).assert().success().get_output().clone();
        assert!(output.stdout.starts_with(b"connme-lab: ") && output.stderr.is_empty());
    }
    let version = format!("connme-client {}\n", env!("CARGO_PKG_VERSION"));
    client(&["--version"]).assert().success().stdout(version);
    let help = server(&["--help"]);
    assert_eq!(help, (0, String::new()));
}

/// The flags of a page of words: `--name`, without what follows.
fn flags(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_lowercase() && c != '-');
    words.filter(|word| word.starts_with("--") && word.len() > 2).collect()
}

#[test]
fn every_flag_in_the_help_is_known_and_in_the_guide() {
    let page = fs::read_to_string("src/guide/programs.md").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let programs = [
        (env!("CARGO_BIN_EXE_connme-server"), "connme-server"),
        (env!("CARGO_BIN_EXE_connme-client"), "connme-client"),
        (env!("CARGO_BIN_EXE_connme-lab"), "connme-lab"),
    ];
    for (program, heading) in programs {
        let all: &[&str] =
            if heading == "connme-client" { &["help", "flags"] } else { &["--help"] };
        let output = Command::new(program).args(all).env("LANG", "C").output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        for flag in flags(&help) {
            let mut command = Command::new(program);
            let output = command.args([flag, "--no-such"]).current_dir(&folder).output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(!said.contains(&format!("unexpected argument '{flag}'")), "{said}");
        }
        let section = page.split(&format!("\n## {heading}\n")).nth(1).unwrap();
        let rows: String = section
            .split("\n## ")
            .next()
            .unwrap()
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
            .filter(|cell| cell.contains("`-"))
            .collect();
        assert_eq!(flags(&rows), flags(&help), "the table of {program} in programs.md");
    }
}

#[test]
fn help_fits_a_terminal_of_80_columns() {
    for lang in ["en", "id"] {
        let server = Command::new(env!("CARGO_BIN_EXE_connme-server"))
            .args(["--lang", lang, "--help"])
            .output()
            .unwrap();
        let own = client(&["--lang", lang, "help", "flags"]).output().unwrap();
        let prompt = client(&["--lang", lang]).write_stdin("help\n").output().unwrap();
        let short = client(&["--lang", lang, "--help"]).output().unwrap();
        let less = client(&["--lang", lang, "-d", "count"]).write_stdin("help\n").output().unwrap();
        let few = String::from_utf8(less.stdout.clone()).unwrap();
        assert!(few.contains("\n  count ") && !few.contains("\n  upload "), "{few}");
        assert!(few.ends_with(": ls size upload download sum rm\n"), "{few}");
        // One screen, also of a narrow window.
        for output in [&prompt, &short, &less] {
            let text = std::str::from_utf8(&output.stdout).unwrap();
            let is_wide = |line: &str| line.chars().count() > 60;
            assert!(text.lines().count() <= 23 && !text.lines().any(is_wide), "{text}");
        }
        for command in connme::client::command::COMMANDS.iter().map(|command| command.word) {
            let text = client(&["--lang", lang, command, "--help"]).output().unwrap().stdout;
            let text = String::from_utf8(text).unwrap();
            let has_example = text.lines().any(|line| line.trim_start().starts_with(command));
            assert!(text.starts_with(command) && has_example, "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
            let lines = format!("help {command}\n");
            let typed = client(&["--lang", lang]).write_stdin(lines).output().unwrap().stdout;
            assert_eq!(String::from_utf8(typed).unwrap(), text);
        }
        for output in [server, own, prompt] {
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(text.lines().count() > 10);
            let wide: Vec<_> = text.lines().filter(|line| line.chars().count() > 80).collect();
            assert!(wide.is_empty(), "{wide:#?}");
        }
    }
}

#[test]
fn both_programs_speak_indonesian() {
    let server = TestServer::start(&["--lang", "id"]);
    let mut client = server.client(server.outside(), &["connme"]);
    let output = client.env("LANG", "id_ID.UTF-8").output().unwrap();
    let said = format!("Terhubung ke server {}\nKoneksi berhasil ditambahkan\n", server.address());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), said);
    server.wait_for_log(" text Terhubung dengan 127.0.0.1:");
    server.wait_for_log(" ditutup\n");
    let help = crate::support::client(&["--lang", "id", "--help"]).output().unwrap().stdout;
    assert!(help.starts_with(b"connme-client: memindahkan file"));
}

#[test]
fn completions_are_printed() {
    for shell in ["bash", "zsh", "fish"] {
        let output = client(&["--completions", shell]).assert().success().get_output().clone();
        assert!(String::from_utf8(output.stdout).unwrap().contains("connme-client"));
    }
    client(&["--completions", "tcsh"]).assert().code(2);
}

/// In the shells themselves, where they are installed.
#[cfg(unix)]
#[test]
fn completions_work_in_each_shell() {
    let folder = tempfile::tempdir().unwrap();
    let programs = std::path::Path::new(env!("CARGO_BIN_EXE_connme-client")).parent().unwrap();
    let run = |shell: &str, args: &[&str]| {
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(shell);
        command.args(args).env("PATH", path).env("LANG", "C").env_remove("LC_ALL");
        let output = command.env("HOME", folder.path()).current_dir(&folder).output();
        let Ok(output) = output else {
            skip(shell);
            return None;
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(text(&output.stderr), "", "{shell}");
        Some(text(&output.stdout))
    };
    fs::write(folder.path().join("own.txt"), "").unwrap();
    fs::create_dir(folder.path().join("docs")).unwrap();
    // The words of a line, and what completes the last.
    let table = [
        ("connme-client|u", "upload"),
        ("connme-client|-d|count|dow", "download"),
        ("connme-lab|-d|count|dem", "demo"),
        ("connme-lab|compare|o", "own.txt"),
        ("connme-lab|--theme|d", "dark"),
        ("connme-client|--dialect|js", "json"),
        ("connme-client|upload|o", "own.txt"),
        ("connme-client|rm|o", ""),
        ("connme-client|-o|d", "docs"),
        ("connme-server|--max-t", "--max-total-size"),
        ("connme-server|--log|o", "own.txt"),
        ("connme-server|--completions|z", "zsh"),
    ];
    // How bash splits these: it makes words of `:` and `=`.
    let split = [
        ("connme-client|-s|localhost|:|1234|up", "upload"),
        ("connme-lab|--server|=|localhost|:|1234|dem", "demo"),
        ("connme-client|-s|[|::|1]|:|1234|upload|o", "own.txt"),
        ("connme-client|-s|localhost|:|d", ""),
        ("connme-client|-s|localhost|:", ""),
        ("connme-server|--listen|text|=|127.0.0.1|:|0|--max-t", "--max-total-size"),
    ];
    let bash = |line: &str| {
        let words: Vec<_> = line.split('|').collect();
        let program = words[0];
        let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
        let script = format!(
            "eval \"$({program} --completions bash)\"; COMP_WORDS=({}); COMP_CWORD={}; \
             _{}; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            quoted.join(" "),
            words.len() - 1,
            program.replace('-', "_")
        );
        run("bash", &["--norc", "-c", &script])
    };
    for (line, expected) in table.iter().chain(&split) {
        let got = bash(line);
        assert!(got.as_ref().is_none_or(|got| got.trim_end() == *expected), "{line}: {got:?}");
    }
    if cfg!(target_os = "linux") {
        // Such a name is not expanded to all names.
        fs::write(folder.path().join("*"), "").unwrap();
        if let Some(got) = bash("connme-client|upload|") {
            let mut names: Vec<_> = got.lines().collect();
            names.sort_unstable();
            assert_eq!(names, ["*", "docs", "own.txt"]);
        }
        fs::remove_file(folder.path().join("*")).unwrap();
    }
    for (line, expected) in table {
        let words: Vec<_> = line.split('|').collect();
        let program = words[0];
        let script =
            format!("{program} --completions fish | source; complete -C '{}'", words.join(" "));
        if let Some(got) = run("fish", &["--no-config", "-c", &script]) {
            let (value, about) = got.trim_end().split_once('\t').unwrap_or((got.trim_end(), ""));
            assert_eq!(value.trim_end_matches('/'), expected, "fish: {line}");
            assert_eq!(
                about.is_empty(),
                expected.ends_with(".txt") || expected.is_empty(),
                "{got}"
            );
        }
    }
    let script = "autoload -U compinit; compinit -D; for program in connme-client connme-server connme-lab; do \
                  source <($program --completions zsh); print -r -- $_comps[$program]; done";
    let got = run("zsh", &["-f", "-c", script]);
    assert!(got.is_none_or(|got| got == "_connme_client\n_connme_server\n_connme_lab\n"));
}

/// Names go from one command to another, and files from one program to another.
#[cfg(unix)]
#[test]
fn the_client_works_in_a_pipe() {
    use std::os::unix::ffi::OsStrExt;
    let server = TestServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str], input: &str| {
        let output = server.client(folder.path(), args).write_stdin(input).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let (_, out, err) = run(&["upload", "-", "as", "it's \"so\""], "hello");
    assert!(out.starts_with("it's \"so\" uploaded: 5 bytes") && err.is_empty(), "{out}{err}");
    let (_, out, err) = run(&["ls"], "");
    assert_eq!((out.as_str(), err.as_str()), ("file\t5\tit's \"so\"\n", ""));
    let name = out.trim_end().split('\t').next_back().unwrap();
    let whole = (0, "hello".to_owned(), String::new());
    assert_eq!(run(&["download", name, "as", "-"], ""), whole);
    assert!(!folder.path().join("downloads").exists());
    // Only what a terminal would obey is spelled out, and that is told.
    let list = fs::write(folder.path().join("a\tb"), "")
        .and_then(|()| fs::write(folder.path().join("c\"d"), ""));
    list.unwrap();
    let (_, out, err) = run(&["lls"], "");
    assert!(!out.contains("a\tb") && out.ends_with("c\"d\n"), "{out}{err}");
    // A reply is read while the texts are sent.
    let texts = [&["-t", "say", "connme\\n"][..], &["count x\\n"; 20]].concat();
    let (_, out, err) = run(&texts, "");
    assert_eq!(out.matches("ok 1\n").count(), 20, "{out}");
    let (read, last_write) = (err.find("ok connected"), err.rfind("-> count x"));
    assert!(read.is_some() && read < last_write, "{err}");
    // A pattern says what it leaves out.
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9")), "").unwrap();
    let (_, out, err) = run(&["-q"], "upload *\n");
    assert!(out.contains("c\"d uploaded: 0 bytes") && !err.contains("left out"), "{out}{err}");
    let (_, _, err) = run(&[], "upload *\n");
    let lines: Vec<_> = err.lines().filter(|line| line.contains("left out")).collect();
    let expected =
        ["caf\\xe9 is left out: its name is not UTF-8", "sub is left out: it is a folder"];
    assert_eq!(lines, expected, "{err}");
}

/// A line of millions of words is not looked up word by word.
#[test]
fn a_line_of_millions_of_words_is_refused() {
    let server = TestServer::start(&[]);
    let mut client = server.client(server.outside(), &[]);
    let line = format!("size {}\nhelp nope\n", "x ".repeat(5_000_000));
    let output = client.write_stdin(line).assert().code(1).get_output().clone();
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "connme-client: a line may have at most 256 KiB; this one was not run\n\
         connme-client: there is no command 'nope'; help shows all commands\n"
    );
}

/// A stand-in for cargo, so that nothing is built: the program fails, or Ctrl-C ends all of it.
#[cfg(unix)]
#[test]
fn make_adds_no_line_of_its_own_but_before_the_first_build() {
    use std::os::unix::process::CommandExt;
    if !Command::new("make").arg("--version").output().is_ok_and(|o| o.status.success()) {
        return skip("make");
    }
    let folder = tempfile::tempdir().unwrap();
    let (cargo, built) = (folder.path().join("cargo"), folder.path().join("release"));
    for (end, name) in [("exit 1", "fails"), ("kill -INT 0", "Ctrl-C")] {
        let script = format!("#!/bin/sh\n[ $1 = build ] && exit\necho \"$@\"\n{end}\n");
        fs::write(&cargo, script).unwrap();
        for target in ["run-server", "run-client", "demo", "compare"] {
            let mut make = Command::new("make");
            // By its shell: a program that another thread's child still has open cannot be run.
            make.args([target, "ARGS=--no-such"]).arg(format!("CARGO=sh {}", cargo.display()));
            make.env("LC_ALL", "C").env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
            make.env("CARGO_TARGET_DIR", folder.path());
            make.current_dir(env!("CARGO_MANIFEST_DIR")).process_group(0);
            let output = make.output().unwrap();
            // Only before the first build.
            let expected =
                if built.exists() { "" } else { "building connme, about half a minute\n" };
            assert_eq!(String::from_utf8(output.stderr).unwrap(), expected, "{target} {name}");
            fs::create_dir_all(&built).unwrap();
            let out = String::from_utf8(output.stdout).unwrap();
            assert!(out.starts_with("run ") && out.ends_with("--no-such\n"), "{target}: {out}");
        }
    }
}

/// The client in a terminal, which `script` provides: what it draws there.
#[cfg(target_os = "linux")]
fn in_a_terminal(folder: &std::path::Path, columns: usize, line: &str) -> Option<String> {
    let line = line.replace("connme-client", env!("CARGO_BIN_EXE_connme-client"));
    let line = line.replace("connme-lab", env!("CARGO_BIN_EXE_connme-lab"));
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).current_dir(folder);
    command.env("LANG", "C").env_remove("LC_ALL").env_remove("NO_COLOR");
    command.env("COLUMNS", columns.to_string()).stdin(std::process::Stdio::null());
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
fn a_bar_is_drawn_only_where_standard_error_is_a_terminal() {
    let server = TestServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("f"), crate::support::noise(1, 20_000)).unwrap();
    // At this rate it takes a second, and the bar comes after half of one.
    let line = format!(
        "connme-client --server {} upload f --buffer 500 --stammer drip=20000",
        server.address()
    );
    let Some(drawn) = in_a_terminal(folder.path(), 80, &line) else { return };
    assert!(drawn.contains("\x1b[K") && drawn.contains('%'), "{drawn:?}");
    let drawn = in_a_terminal(folder.path(), 80, &format!("{line} 2>err.log")).unwrap();
    assert!(drawn.contains("f uploaded as f_1: 20000 bytes"), "{drawn:?}");
    assert_eq!(fs::read_to_string(folder.path().join("err.log")).unwrap(), "");
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

/// On Windows there can be no such file here.
#[test]
fn a_pattern_is_a_name_where_a_dialect_has_no_list() {
    let server = TestServer::start(&[]);
    let address = server.address_of("filesaver").to_string();
    let mut client = client(&["-d", "filesaver", "--server", &address]);
    let client = client.current_dir(server.outside()).write_stdin("download zz*\n");
    let output = client.assert().code(1).get_output().clone();
    let err = String::from_utf8(output.stderr).unwrap();
    let hint = if cfg!(windows) {
        "Windows does not allow < > : \" | ? * in a name; add 'as NAME' to choose another name\n"
    } else {
        "(not-found); the filesaver dialect has no list, so * is part of the name\n"
    };
    assert!(err.ends_with(hint), "{err}");
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
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}

/// A limit on the size of files simulates a full disk. The signal that comes with it is ignored.
#[cfg(unix)]
fn on_a_full_disk(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$0\" \"$@\"", program]).args(args);
    command
}

#[cfg(unix)]
#[test]
fn a_full_disk_here_is_reported_and_the_session_goes_on() {
    let server = TestServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    server.put("small", "x");
    for size in [500_000, 5_000_000] {
        server.put("big", vec![u8::try_from(size % 251).unwrap(); size]);
        let address = server.address().to_string();
        let client = on_a_full_disk(env!("CARGO_BIN_EXE_connme-client"), &["--server", &address]);
        let mut client = assert_cmd::Command::from_std(client);
        client.current_dir(&folder).env("LANG", "C").env_remove("LC_ALL");
        let output =
            client.write_stdin("connme\ndownload big\ndownload small\nls\n").output().unwrap();
        let (out, err) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(
            err.starts_with("connme-client: cannot keep big in downloads: store big: "),
            "{err}"
        );
        assert_eq!(out.lines().count(), 4, "{out}{err}");
        let kept = " are kept: the next download of big continues there";
        assert!(err.lines().skip(1).all(|line| line.ends_with(kept)), "{err}");
        assert_eq!(visible(&folder.path().join("downloads")), ["small"]);
        fs::remove_file(folder.path().join("downloads/small")).unwrap();
    }
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

#[cfg(target_os = "linux")]
#[test]
fn a_file_whose_size_is_not_known_is_not_sent_as_empty() {
    let server = TestServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("empty"), "").unwrap();
    let mut client = server.client(folder.path(), &["upload", "/proc/cpuinfo", "empty"]);
    let output = client.assert().code(1).get_output().clone();
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "connme-client: cannot send /proc/cpuinfo: it has content but its size is given as 0; \
         send a copy of it\n"
    );
    assert_eq!(server.names(), ["empty"]);
}

#[test]
fn a_file_that_changes_while_it_is_sent_is_reported_and_the_session_goes_on() {
    let server = TestServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("small"), "x").unwrap();
    // The system says that there are 4,096 bytes in this one, and gives fewer.
    let short = std::path::Path::new("/sys/class/net/lo/mtu");
    if !short.exists() {
        return skip("sysfs");
    }
    let mut client = server.client(folder.path(), &[]);
    let lines = "connme\nupload /sys/class/net/lo/mtu\nupload small\nls\n";
    let output = client.write_stdin(lines).output().unwrap();
    let (out, err) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(
        err,
        "connme-client: cannot send /sys/class/net/lo/mtu: it became shorter while it was sent\n"
    );
    assert_eq!(out.lines().next_back(), Some("file\t1\tsmall"));
}

/// A git repository can carry such a link: clone, download, and the siblings of the clone were gone.
#[cfg(unix)]
#[test]
fn a_link_in_the_downloads_folder_leads_nowhere() {
    let server = TestServer::start(&[]);
    server.put("a", "hello");
    let folder = tempfile::tempdir().unwrap();
    let sibling = folder.path().join("0123456789abcdef");
    fs::create_dir(&sibling).unwrap();
    fs::write(sibling.join("0"), "precious").unwrap();
    let clone = folder.path().join("clone");
    fs::create_dir_all(clone.join("downloads/.connme")).unwrap();
    std::os::unix::fs::symlink("../../..", clone.join("downloads/.connme/incoming")).unwrap();
    let failed = server.client(&clone, &["download", "a"]).assert().code(1).get_output().clone();
    let said = String::from_utf8(failed.stderr).unwrap();
    assert!(said.contains("downloads/.connme/incoming") && said.contains("remove it"), "{said}");
    assert_eq!(fs::read(sibling.join("0")).unwrap(), b"precious");
}
