//! The programs as a person uses them, at a command line and at the prompt: the sessions in `tests/sessions`.
//!
//! ```text
//! server --max-file-size 10     the flags of the server, which is new for each file
//! file NAME TEXT                a file where the client runs; `size 5000000` for zeros, `folder NAME`
//! there NAME TEXT               the same in the server's folder
//! $ connme-client upload a      a command; `--server` is added to a client's
//! < Y                           a line that is typed
//!   a uploaded: 5 bytes ...     a line of standard output; `...` is any text
//! ! connme-client: ...          a line of standard error
//! = 1                           the exit status, if it is not 0
//! names a b_1                   what the server has now; `downloads a` is the same for the client, or `downloads none`
//! ```

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{TestServer, visible};

/// A command of a session, what is typed, and what has to come of it.
#[derive(Default)]
struct Run {
    at: String,
    words: Vec<String>,
    typed: String,
    out: Vec<String>,
    err: Vec<String>,
    status: i32,
}

/// The words of a line; quotation marks keep one together.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('\'').enumerate();
    let mut words = vec![];
    for (n, part) in parts {
        match n % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

/// Whether a line is as expected, where `...` stands for any text.
fn is_like(line: &str, expected: &str) -> bool {
    let Some((before, after)) = expected.split_once("...") else { return line == expected };
    line.strip_prefix(before).is_some_and(|rest| {
        (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| is_like(rest, after)))
    })
}

impl Run {
    fn check(&self, server: &TestServer, folder: &Path) {
        let (program, arguments) = self.words.split_first().unwrap();
        let program = match program.as_str() {
            "connme-client" => env!("CARGO_BIN_EXE_connme-client"),
            "connme-server" => env!("CARGO_BIN_EXE_connme-server"),
            _ => env!("CARGO_BIN_EXE_connme-lab"),
        };
        let mut command = assert_cmd::Command::from_std(Command::new(program));
        if program.ends_with("client") || program.ends_with("client.exe") {
            command.args(["--server", &server.address().to_string()]);
        }
        command
            .current_dir(folder)
            .env("LANG", "C")
            .env_remove("LC_ALL")
            .env("HOME", folder)
            .env("USERPROFILE", folder);
        let output = command.args(arguments).write_stdin(self.typed.as_str()).output().unwrap();
        let address = server.address().to_string();
        let lines = |bytes: Vec<u8>| -> Vec<String> {
            let text = String::from_utf8(bytes).unwrap().replace(&address, "HOST:PORT");
            text.lines().map(str::to_owned).collect()
        };
        let (out, err) = (lines(output.stdout), lines(output.stderr));
        let like = |lines: &[String], expected: &[String]| {
            lines.len() == expected.len() && lines.iter().zip(expected).all(|(a, b)| is_like(a, b))
        };
        assert!(
            like(&out, &self.out) && like(&err, &self.err),
            "{}: {:?}\nstandard output: {out:#?}\nstandard error: {err:#?}",
            self.at,
            self.words
        );
        assert_eq!(output.status.code(), Some(self.status), "{}: {:?}", self.at, self.words);
    }
}

/// Makes what a line names: `size N` are zeros, everything else is a text.
fn provide(folder: &Path, what: &str) {
    match words(what).as_slice() {
        [kind, name] if kind == "folder" => fs::create_dir_all(folder.join(name)).unwrap(),
        [name, size, bytes] if size == "size" => {
            fs::write(folder.join(name), vec![0; bytes.parse().unwrap()]).unwrap();
        }
        [name, text @ ..] => fs::write(folder.join(name), text.join(" ")).unwrap(),
        [] => panic!("a name is missing"),
    }
}

fn play(name: &str, text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let flags = text.lines().find_map(|line| line.strip_prefix("server ")).map(words);
    let flags = flags.unwrap_or_default();
    let server = TestServer::start(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    let mut run: Option<Run> = None;
    for (n, line) in text.lines().chain([""]).enumerate() {
        let at = format!("{name}:{}", n + 1);
        let is_part = ["< ", "  ", "! ", "= "].iter().any(|mark| line.starts_with(mark));
        if let Some(run) = run.take_if(|_| !is_part) {
            run.check(&server, folder.path());
        }
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        let is_now = |names: Vec<String>| assert_eq!(names, words(rest), "{at}");
        match (mark, &mut run) {
            ("$", _) => run = Some(Run { at, words: words(rest), ..Run::default() }),
            ("<", Some(run)) => run.typed += &format!("{}\n", rest.replace("\\e", "\u{1b}")),
            ("!", Some(run)) => run.err.push(rest.to_owned()),
            ("=", Some(run)) => run.status = rest.parse().unwrap(),
            ("", Some(run)) => run.out.push(line[2..].to_owned()),
            ("file", _) => provide(folder.path(), rest),
            ("there", _) => provide(server.root(), rest),
            ("names", _) => is_now(server.names()),
            ("downloads", _) => {
                let downloads = folder.path().join("downloads");
                is_now(if downloads.exists() { visible(&downloads) } else { vec!["none".into()] });
            }
            ("" | "#" | "server", _) => {}
            _ => panic!("{at}: {line:?} is no line of a session"),
        }
    }
}

#[test]
fn sessions_are_as_written() {
    let mut count = 0;
    for entry in fs::read_dir("tests/sessions").unwrap() {
        let path = entry.unwrap().path();
        play(&path.display().to_string(), &fs::read_to_string(&path).unwrap());
        count += 1;
    }
    assert!(count > 0);
}
