//! The grader for clients is graded: the right clients get full points in every way in which a client is told what to
//! do, and those with mistakes get what the guide says.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use connme::dialect::Dialect;
use connme::lab::grade::client::Driven;
use connme::lab::grade::formats::{FORMATS, render};
use connme::lab::grade::report::{Look, details};
use connme::lab::grade::{Graded, Options, Report, run};
use connme::lab::line::Flags;
use connme::lang::Lang;

use crate::support::{self, TestServer, lab};
use crate::{flawed_client, flawed_siblings, grade_server};

/// The usual time of a check is 5 s. Other tests run at the same time.
const SECONDS: u64 = 10;

/// For a client that passes: this build of ours needs long to sum what it has of a large file.
const PATIENT: u64 = 60;

fn graded(dialect: &str, command: String, only: &[&str]) -> Report {
    graded_in(SECONDS, dialect, command, only)
}

fn graded_in(seconds: u64, dialect: &str, command: String, only: &[&str]) -> Report {
    let driven = Driven { command, ..Driven::default() };
    let options = Options {
        host: String::new(),
        port: 0,
        dialect: Dialect::named(dialect).unwrap(),
        flags: Flags {
            only: only.iter().map(|it| (*it).to_owned()).collect(),
            client: Some(driven),
            ..Flags::default()
        },
        seed: 7,
        time: Duration::from_secs(seconds),
        stops: false,
        own: None,
        program: "connme-lab".to_owned(),
        lang: Lang::En,
    };
    let run = run(options, |_| {});
    run.unwrap_or_else(|why| panic!("{}", why.say(Lang::En)))
}

/// What this makes of little time or, on a busy machine, of more: the first that is right, or the last.
fn soon<T>(is_right: impl Fn(&T) -> bool, graded: impl Fn(u64) -> T) -> T {
    Some(graded(2)).filter(is_right).unwrap_or_else(|| graded(SECONDS))
}

const LOOK: Look = Look { columns: 80, colour: false };

fn failed(report: &Report) -> Vec<&'static str> {
    report.graded.iter().filter(|it| !it.passed()).map(|it| it.check.id).collect()
}

fn must_be_right(report: &Report) {
    let wrong: Vec<_> = report
        .graded
        .iter()
        .filter(|it| !it.passed() && it.counts())
        .map(|it| details(report, it, LOOK))
        .collect();
    assert!(wrong.is_empty() && report.is_right(), "{}", wrong.join("\n"));
}

fn ours(arguments: &str) -> String {
    format!("'{}' {arguments}", env!("CARGO_BIN_EXE_connme-client"))
}

#[test]
fn our_client_gets_full_points() {
    for dialect in ["text", "struct", "json"] {
        let typed = ours(&format!("-d {dialect} -s {{host}}:{{port}}"));
        must_be_right(&graded_in(PATIENT, dialect, typed, &[]));
    }
}

/// A process for each command, and what a script makes of the environment.
#[test]
fn our_client_gets_full_points_with_its_commands_as_arguments() {
    for dialect in ["struct", "json"] {
        let words = ours(&format!("-d {dialect} -s {{host}}:{{port}} {{command}}"));
        must_be_right(&graded_in(PATIENT, dialect, words, &[]));
    }
    let words = ours("-s {host}:{port} {command}");
    must_be_right(&graded("text", words, &["first", "files", "names"]));
}

#[cfg(unix)]
#[test]
fn a_client_can_take_its_commands_from_the_environment() {
    let script = format!(
        "sh -c 'printf \"$CONNME_COMMANDS\" | \"{}\" -s $CONNME_HOST:$CONNME_PORT'",
        env!("CARGO_BIN_EXE_connme-client")
    );
    must_be_right(&graded("text", script, &["first"]));
    let unknown = "sh -c 'case $CONNME_COMMANDS in *ls*byebye) exit 0;; *) exec \"CLIENT\" -s $CONNME_HOST:$CONNME_PORT ls; esac'";
    let unknown = unknown.replace("CLIENT", env!("CARGO_BIN_EXE_connme-client"));
    let report = graded("text", unknown, &["first/ls", "first/rm"]);
    assert_eq!(failed(&report), ["first/rm"]);
}

/// A script of Python beside the sources, if Python is there.
fn python(path: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    Some(format!("'{}' '{}' {{host}} {{port}}", support::python()?, path.display()))
}

/// The points that the guide tells.
fn told(name: &str) -> (u64, u64) {
    let page = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide/write_your_own.md"),
    );
    let page = page.unwrap();
    let row = page.lines().find(|line| line.starts_with(&format!("| {name}"))).unwrap();
    let (score, most) = row.split('|').nth(2).unwrap().trim().split_once(" of ").unwrap();
    (score.parse().unwrap(), most.parse().unwrap())
}

#[test]
fn the_starter_gets_what_the_guide_says() {
    let Some(command) = python("src/lab/starter/client.py") else { return };
    let wrong = [
        ("framing/header-and-payload-together", "hangs"),
        ("framing/reply-byte-by-byte", "wrong"),
        ("refusals/not-found", "crashed"),
    ];
    let only = [&["first"][..], &wrong.map(|(id, _)| id)].concat();
    let verdicts = |seconds| -> BTreeMap<_, _> {
        let report = graded_in(seconds, "text", command.clone(), &only);
        let verdict = |it: &Graded| Some((it.check.id, it.failure.as_ref()?.verdict));
        report.graded.iter().filter_map(verdict).collect()
    };
    let wrong = BTreeMap::from(wrong);
    assert_eq!(soon(|found| *found == wrong, verdicts), wrong);
    let all = graded_points("text");
    assert_eq!(told("The starter, `client.py`").1, all);
}

fn graded_points(dialect: &str) -> u64 {
    let output = lab(&["-d", dialect, "grade", "--client", "x", "--list"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.split('\t').nth(1).unwrap().parse::<u64>().unwrap()).sum()
}

#[test]
fn a_client_in_the_manner_of_the_original_gets_what_the_guide_says() {
    let Some(command) = python("tests/python/struct_prompt.py") else { return };
    let told = told("A client in the original's manner");
    let graded = |seconds| graded_in(seconds, "struct", command.clone(), &[]);
    let report = soon(|report| report.score() == told, graded);
    assert_eq!(report.score(), told);
    let text = render(&report, "table", LOOK);
    assert!(
        text.contains("struct.client/framing/receipt-with-its-time: CRASHED (must, 3 points)"),
        "{text}"
    );
    assert!(text.contains("printed:  command: connected\n"), "{text}");
    assert!(text.contains("typed:    connme\n          upload\n          a.txt\n"), "{text}");
    for (name, _) in FORMATS {
        let text = render(&report, name, LOOK);
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{name}");
        assert!(text.contains("receipt-with-its-time"), "{name}");
    }
}

#[test]
fn a_client_that_does_nothing_is_not_graded() {
    for (command, said) in
        [("true {port}", "sent none of the requests"), ("no-such-program {port}", "sent none")]
    {
        let output = lab(&["grade", "--client", command]).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && output.stdout.is_empty(), "{text}");
        assert!(text.contains(said), "{text}");
    }
}

/// A flaw fails the checks that are about it, and the report has their hints.
#[test]
fn every_flaw_of_a_client_is_found_and_explained() {
    must_be_right(&graded("text", flawed_client::command("none"), &[]));
    for dialect in ["struct", "json"] {
        must_be_right(&graded(dialect, flawed_siblings::command(dialect, "none"), &[]));
    }
    let rows: Vec<_> = include_str!("grade_client_flaws.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .collect();
    let (next, again) = (Mutex::new(rows.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                loop {
                    let Some(row) = next.lock().unwrap().next() else { return };
                    if not_as_expected(row, 2).is_some() {
                        again.lock().unwrap().push(row);
                    }
                }
            });
        }
    });
    // On a busy machine two seconds can be too short: what counts is what comes with more time, graded alone.
    let again = again.into_inner().unwrap();
    let wrong: Vec<_> = again.iter().filter_map(|row| not_as_expected(row, SECONDS)).collect();
    assert!(wrong.is_empty(), "these flaws fail others than the table says: {wrong:#?}");
    for dialect in ["text", "struct", "json"] {
        let output = lab(&["-d", dialect, "grade", "--client", "x", "--list"]).output().unwrap();
        let list = String::from_utf8(output.stdout).unwrap();
        let all = list
            .lines()
            .filter_map(|line| line.split(['/', '\t']).nth(1).zip(line.split(['/', '\t']).nth(2)));
        let is_found = |id: &String| {
            rows.iter().any(|row| row[0] == dialect && row[2..].contains(&id.as_str()))
        };
        let never: Vec<_> =
            all.map(|(group, name)| format!("{group}/{name}")).filter(|id| !is_found(id)).collect();
        assert!(never.is_empty(), "{dialect}: no flaw fails {never:?}");
    }
}

/// What a flaw fails, and whether each failure is explained, if that is not what the table says.
fn not_as_expected(row: &[&str], seconds: u64) -> Option<String> {
    let (dialect, flaw, mut expected) = (row[0], row[1], row[2..].to_vec());
    let report = graded_in(seconds, dialect, flawed(dialect, flaw), &expected);
    let mut found = failed(&report);
    expected.sort_unstable();
    found.sort_unstable();
    let is_explained = |it: &Graded| details(&report, it, LOOK).contains("usual mistake: ");
    let is_right = found == expected && report.graded.iter().all(is_explained);
    // Windows has no such names, and does not tell how much memory a program takes.
    let is_otherwise = cfg!(windows) && ["no-escapes", "keeps-all-in-memory"].contains(&flaw);
    (!is_right && !is_otherwise).then(|| format!("{dialect} {flaw}: {found:?}"))
}

fn flawed(dialect: &str, flaw: &str) -> String {
    match dialect {
        "text" => flawed_client::command(flaw),
        _ => flawed_siblings::command(dialect, flaw),
    }
}

/// A hint says what was seen of a client.
#[test]
fn what_was_seen_of_a_client_is_told() {
    let is_told = |(flaw, check, verdict, said): (&str, &str, &str, &str)| {
        let told = |seconds| {
            let report = graded_in(seconds, "text", flawed_client::command(flaw), &[check]);
            let text: String = report.graded.iter().map(|it| details(&report, it, LOOK)).collect();
            let is_said = text.replace("\n          ", " ").contains(said);
            (is_said && text.contains(&format!("{check}: {verdict} (")), text)
        };
        let (is_told, text) = soon(|told| told.0, told);
        assert!(is_told, "{flaw}: {text}");
    };
    let all = [
        ("knows-no-size", "first/size", "FAILED", "if it takes another word for size, use --map\n"),
        (
            "loops-at-the-end",
            "endings/closed-after-the-size",
            "HANGS",
            ": the client does not end\n",
        ),
        (
            "waits-at-the-end",
            "endings/closed-after-the-size",
            "HANGS",
            ": the client does not end\n",
        ),
        (
            "panics",
            "endings/no-server",
            "CRASHED",
            "came:     a crash: thread 'flawed_client::client'",
        ),
        (
            "one-second-is-enough",
            "endings/pause-in-a-download",
            "CRASHED",
            "expected: the client does not crash\n",
        ),
    ];
    // Each of them waits most of the time.
    std::thread::scope(|scope| all.map(|row| drop(scope.spawn(move || is_told(row)))));
}

/// Who waits sees how far it is, and a command that cannot be typed is refused before anything runs.
#[test]
fn each_group_is_told_when_it_has_ended() {
    let mut options = graded("text", ours("-s {host}:{port}"), &["first/connme"]).options;
    options.flags.only = vec!["first".to_owned(), "names".to_owned()];
    let told = RefCell::new(Vec::new());
    let report = run(options, |of| {
        told.borrow_mut().push((of[0].check.group(), of.len()));
    });
    let all = report.unwrap().graded;
    let of = |group: &str| all.iter().filter(|it| it.check.group() == group).count();
    assert_eq!(told.into_inner(), [("first", of("first")), ("names", of("names"))]);
    for (map, said) in [
        ("upload=put", "{name} for the file, such as upload='put {name}', and not 'upload=put'"),
        ("uplod=put {path}", "--map takes connme, ls or byebye, or size, "),
    ] {
        let output = lab(&["grade", "--client", "x {port}", "--map", map]).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && text.contains(said), "{text}");
    }
}

/// A right client and a wrong one, with a right server, a wrong one and one that is not there.
#[test]
fn every_client_is_tried_with_every_server() {
    let server = TestServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let wrong = grade_server::start("text", "crlf-replies", folder.path());
    let absent = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let servers = [
        format!("right={}", server.address()),
        format!("wrong=127.0.0.1:{wrong}"),
        format!("absent={absent}"),
    ];
    let mut tried =
        lab(&["grade", "--client", &flawed_client::command("sends-a-sign"), "--time", "10"]);
    for server in &servers {
        tried.args(["--pair", server]);
    }
    let output = tried.assert().code(1).get_output().stdout.clone();
    let output = String::from_utf8(output).unwrap();
    let cells = |line: &str| {
        line.split("  ")
            .map(str::trim)
            .filter(|it| !it.is_empty())
            .skip(1)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let table: Vec<_> = output.lines().take(3).map(cells).collect();
    assert_eq!(table[1], ["1: client", "2: server", "3: server"], "{output}");
    assert_eq!(table[2], ["ok", "4: server", "5: server"], "{output}");
    assert!(
        output.contains("at byte 0, after \"upload pair-")
            && output.contains("\n   expected: \"3072\\n\"\n   got:      \"+3072"),
        "{output}"
    );
    assert!(
        output.contains(
            "at byte 12, after \"connme\"\n   expected: \"ok connected\\n\"\n   got:      \"ok connected\\r\\n\"\n"
        ),
        "{output}"
    );
    assert!(server.names().is_empty(), "nothing is left");
    lab(&["grade", "--client", "a", "--client", "b"]).assert().code(2);
    lab(&["grade", "--pair", "no-address"]).assert().code(2);
    lab(&["-d", "json", "grade", "--pair", "a=127.0.0.1:1"]).assert().code(2);
}
