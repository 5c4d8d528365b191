//! The grader for clients is graded: the right clients get full points in every way in which a client is told what to
//! do, and those with mistakes get what the guide says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use connme::dialect::Dialect;
use connme::lab::grade::client::{Driven, run};
use connme::lab::grade::formats::{FORMATS, Format, render};
use connme::lab::grade::report::{Look, details};
use connme::lab::grade::{Graded, Options, Outcome, Report, Verdict};
use connme::lang::Lang;

use crate::support::{TestServer, lab};
use crate::{flawed_client, flawed_siblings, grade_server};

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
        own: None,
        client: Some(driven.clone()),
        program: "connme-lab".to_owned(),
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

/// Each flaw of the second client, and the checks that must find it.
const FLAWS: [(&str, &str); 28] = [
    ("one-read-is-a-line", "framing/reply-byte-by-byte framing/list-in-pieces endurance/long-list"),
    ("half-a-line-is-a-line", "endings/closed-in-a-reply"),
    ("panics", "refusals/garbage-bytes endings/no-server"),
    ("no-look-at-errors", "refusals/unknown-code refusals/upload-before-the-size"),
    (
        "hides-reasons",
        "refusals/not-found refusals/busy refusals/timeout refusals/upload-after-the-size",
    ),
    ("takes-signs", "refusals/garbage-negative"),
    ("uses-names-as-paths", "names/dot-dot"),
    ("opens-too-early", "refusals/no-empty-file refusals/not-found"),
    ("loses-what-came-with-the-size", "framing/header-and-payload-together"),
    ("replaces-files", "files/nothing-replaced"),
    (
        "keeps-half-files",
        "endings/closed-in-a-download endings/closed-after-the-size endings/reset-in-a-download",
    ),
    ("end-is-no-failure", "endings/closed-in-a-download endings/silent-in-a-download"),
    ("loops-at-the-end", "endings/closed-in-a-download"),
    ("text-mode-down", "files/every-byte-down files/line-ends-down"),
    ("text-mode-up", "files/every-byte-up files/line-ends-up"),
    ("keeps-all-in-memory", "endurance/memory"),
    ("one-read-is-a-file", "framing/payload-in-pieces files/large-download"),
    ("asks-before-it-looks", "refusals/no-such-file-here"),
    ("counts-characters", "files/size-counts-bytes"),
    ("sends-a-sign", "first/upload"),
    ("does-not-wait-for-ready", "framing/ready-late refusals/upload-before-the-size"),
    ("sends-one-piece", "files/slow-server"),
    ("ignores-receipts", "files/another-name files/another-size files/unrelated-name"),
    ("splits-names", "files/list-with-spaces"),
    ("shows-controls", "names/control-characters-in-a-list names/control-characters-in-an-error"),
    ("says-byebye-twice", "endings/byebye"),
    ("removes-always", "first/rm-no"),
    ("exits-with-0", "endings/exit-status"),
];

/// The same for the clients of the siblings.
const FLAWS_OF_SIBLINGS: [(&str, &str, &str); 33] = [
    ("struct", "one-read-is-an-integer", "framing/integer-byte-by-byte"),
    ("struct", "loses-what-came-with-the-size", "framing/header-and-payload-together"),
    ("struct", "one-read-is-a-file", "framing/payload-in-pieces"),
    ("struct", "one-read-is-a-name", "framing/list-in-pieces"),
    ("struct", "one-read-is-the-receipt", "framing/receipt-with-its-time"),
    ("struct", "big-endian", "first/size first/ls first/download"),
    ("struct", "no-acknowledgement", "first/ls"),
    ("struct", "text-mode-down", "files/every-byte-down"),
    ("struct", "text-mode-up", "files/every-byte-up"),
    ("struct", "replaces-files", "files/nothing-replaced"),
    ("struct", "opens-too-early", "refusals/not-found"),
    ("struct", "takes-minus-one", "refusals/not-found refusals/size-not-found"),
    ("struct", "ignores-the-reply-to-rm", "refusals/not-removed"),
    ("struct", "counts-letters", "names/not-ascii"),
    ("struct", "uses-names-as-paths", "names/dot-dot"),
    ("struct", "shows-controls", "names/control-characters-in-a-list"),
    ("struct", "keeps-half-files", "endings/closed-in-a-download"),
    ("struct", "end-is-no-failure", "endings/closed-in-a-download"),
    ("json", "one-read-is-a-line", "framing/record-byte-by-byte framing/list-in-pieces"),
    ("json", "loses-what-came-with-the-record", "framing/record-and-payload-together"),
    ("json", "one-read-is-a-file", "framing/payload-in-pieces"),
    ("json", "text-mode-down", "files/every-byte-down"),
    ("json", "text-mode-up", "files/every-byte-up"),
    ("json", "counts-characters", "files/size-counts-bytes"),
    ("json", "ignores-receipts", "files/another-name refusals/transfer-refused"),
    ("json", "replaces-files", "files/nothing-replaced"),
    ("json", "opens-too-early", "refusals/not-found"),
    ("json", "takes-null", "refusals/not-found"),
    ("json", "hides-reasons", "refusals/busy"),
    ("json", "no-escapes", "names/quotes"),
    ("json", "uses-names-as-paths", "names/dot-dot"),
    ("json", "keeps-half-files", "endings/closed-in-a-download"),
    ("json", "end-is-no-failure", "endings/closed-in-a-download"),
];

/// A flaw fails the checks that are about it, and the report has their hints.
#[test]
fn every_flaw_of_a_client_is_found_and_explained() {
    must_be_right(&graded("text", flawed_client::command("none"), &[]));
    for dialect in ["struct", "json"] {
        must_be_right(&graded(dialect, flawed_siblings::command(dialect, "none"), &[]));
    }
    let of_text = FLAWS.map(|(flaw, checks)| ("text", flawed_client::command(flaw), flaw, checks));
    let of_siblings = FLAWS_OF_SIBLINGS.map(|(dialect, flaw, checks)| {
        (dialect, flawed_siblings::command(dialect, flaw), flaw, checks)
    });
    let (next, wrong) = (Mutex::new(of_text.iter().chain(&of_siblings)), Mutex::new(String::new()));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let Some((dialect, command, flaw, checks)) = next.lock().unwrap().next() else {
                        return;
                    };
                    let mut expected: Vec<&str> = checks.split(' ').collect();
                    let report = graded(dialect, command.clone(), &expected);
                    let mut found = failed(&report);
                    expected.sort_unstable();
                    found.sort_unstable();
                    let text = |it: &Graded| details(&report, it, LOOK).contains("usual mistake: ");
                    if found != expected || !report.graded.iter().all(text) {
                        *wrong.lock().unwrap() += &format!("{dialect} {flaw}: {found:?}\n");
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert_eq!(wrong, "", "these flaws fail others than the table says");
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
        output.contains("expected: the size of the file in digits, and LF\n   got:      \"+"),
        "{output}"
    );
    assert!(output.contains("expected: ok connected, or error CODE MESSAGE"), "{output}");
    assert!(server.names().is_empty(), "nothing is left");
    lab(&["grade", "--client", "a", "--client", "b"]).assert().code(2);
    lab(&["grade", "--pair", "no-address"]).assert().code(2);
    lab(&["-d", "json", "grade", "--pair", "a=127.0.0.1:1"]).assert().code(2);
}
