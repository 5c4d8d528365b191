//! The grader for clients is graded: the right clients get full points in every way in which a client is told what to
//! do, and those with mistakes get what the guide says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use connme::dialect::Dialect;
use connme::lab::grade::client::{Driven, run};
use connme::lab::grade::formats::{FORMATS, Format, render};
use connme::lab::grade::report::{Look, details};
use connme::lab::grade::{Options, Outcome, Report, Verdict};
use connme::lang::Lang;

use crate::support::lab;

fn graded(dialect: &str, command: String, only: &[&str]) -> Report {
    let driven = Driven { command, ..Driven::default() };
    let options = Options {
        host: String::new(),
        port: 0,
        dialect: Dialect::named(dialect).unwrap(),
        only: only.iter().map(|it| (*it).to_owned()).collect(),
        seed: 7,
        time: Duration::from_secs(10),
        root: None,
        run: None,
        stops: false,
        client: Some(driven.clone()),
        lang: Lang::En,
    };
    run(options, &driven).unwrap_or_else(|why| panic!("{}", why.say(Lang::En)))
}

const LOOK: Look = Look { columns: 80, colour: false, verbose: false };

fn failed(report: &Report) -> Vec<&'static str> {
    report.graded.iter().filter(|it| !it.passed()).map(|it| it.check.id).collect()
}

fn must_be_right(report: &Report) {
    let wrong: Vec<_> = report
        .graded
        .iter()
        .filter(|it| !it.passed())
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
        must_be_right(&graded(dialect, typed, &[]));
    }
}

/// A process for each command, and what a script makes of the environment.
#[test]
fn our_client_gets_full_points_with_its_commands_as_arguments() {
    for dialect in ["struct", "json"] {
        let words = ours(&format!("-d {dialect} -s {{host}}:{{port}} {{command}}"));
        must_be_right(&graded(dialect, words, &[]));
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
    let is_there =
        Command::new("python3").arg("--version").output().is_ok_and(|it| it.status.success());
    if !is_there {
        crate::support::skip("python3");
        return None;
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    Some(format!("python3 '{}' {{host}} {{port}}", path.display()))
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
    let report = graded("text", command, &["first", "framing", "refusals", "names"]);
    let verdicts: BTreeMap<_, _> = report
        .graded
        .iter()
        .filter_map(|it| match &it.outcome {
            Outcome::Failed(failure) => Some((it.check.id, failure.verdict)),
            _ => None,
        })
        .collect();
    let first = |id: &&&str| id.starts_with("first/");
    assert_eq!(verdicts.keys().filter(first).count(), 0, "{verdicts:?}");
    for (id, verdict) in [
        ("framing/reply-byte-by-byte", Verdict::Wrong),
        ("framing/header-and-payload-together", Verdict::Hangs),
        ("refusals/not-found", Verdict::Crashed),
    ] {
        assert_eq!(verdicts.get(id), Some(&verdict), "{id}: {verdicts:?}");
    }
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
    let report = graded("struct", command, &[]);
    assert_eq!(report.score(), told("A client in the original's manner"));
    let text = render(&report, Format::Table, LOOK);
    assert!(
        text.contains("struct.client/framing/receipt-with-its-time: CRASHED (3 points, must)"),
        "{text}"
    );
    assert!(text.contains("printed:  command: connected\n"), "{text}");
    assert!(text.contains("typed:    connme\n          upload\n          a.txt\n"), "{text}");
    for (name, format) in FORMATS {
        let text = render(&report, format, LOOK);
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{name}");
        assert!(
            format == Format::ClassroomBase64 || text.contains("receipt-with-its-time"),
            "{name}"
        );
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
