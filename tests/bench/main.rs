//! `make bench`: the server beside the bare loops that do the same work, in one run, turn by turn.
//!
//! What it prints are figures and no verdict: machines differ, and so do the hours of one machine. What
//! can be compared are two columns of one run, and of those the ratios more than the figures.
//!
//! - [`bare`]: the loops, what a server would be if it had nothing but the work to do.
//! - [`subject`]: the servers, each a process, with its processor time and its memory.
//! - [`peer`]: the client that drives them all alike.
//! - [`works`]: what they are made to do.
//! - [`stress`]: the table of the course, sizes by clients.
//! - [`report`]: medians and ratios, as a table and as JSON.
//!
//! `cargo test` runs it too, with hardly any work, so that it cannot fall behind the server.

#![allow(
    unreachable_pub,
    missing_docs,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    reason = "a measuring tool speaks to its user, and meets no stranger's bytes"
)]

mod bare;
mod peer;
mod report;
mod stress;
mod subject;
mod works;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use report::{Figures, Row};
use subject::{Subject, failed};
use works::{Scale, Setting, Unit, Work};

/// The word that makes this program the server with the bare loops.
const BARE: &str = "serve-bare-loops";

const USAGE: &str = "\
usage: make bench ARGS=\"[--quick] [--json] [--only WORD] [--also 'NAME=COMMAND']...\"
  --quick                less of everything: under a minute
  --json                 one JSON document instead of the tables
  --only WORD            only the rows with this word in their name ('stress' is the second table)
  --also 'NAME=COMMAND'  one more server beside ours: a command that takes our server's flags, or any
                         server of the text dialect, with {port} and {root} where it wants them
";

struct Options {
    scale: Scale,
    json: bool,
    only: String,
    also: Vec<(String, String)>,
}

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads no further has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: Vec<String>) -> io::Result<()> {
    if let [mode, root] = words.as_slice()
        && mode == BARE
    {
        return bare::serve(Path::new(root));
    }
    // `cargo bench` says so; `cargo test` does not, and its other words are for other tests.
    let bench = words.iter().any(|word| word == "--bench");
    if words.iter().any(|word| word == "--list") {
        return Ok(());
    }
    let words = words.into_iter().filter(|word| word != "--bench").collect();
    let options = if bench { parse(words)? } else { Some(smoke()) };
    match options {
        Some(options) => measure(&options),
        None => io::stdout().write_all(USAGE.as_bytes()),
    }
}

fn smoke() -> Options {
    Options { scale: Scale::Smoke, json: false, only: String::new(), also: Vec::new() }
}

fn parse(words: Vec<String>) -> io::Result<Option<Options>> {
    let mut options = Options { scale: Scale::Full, ..smoke() };
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| failed(format!("{word} wants a value")));
        match word.as_str() {
            "--quick" => options.scale = Scale::Quick,
            "--json" => options.json = true,
            "--only" => options.only = value()?,
            "--also" => {
                let value = value()?;
                let (name, command) =
                    value.split_once('=').ok_or_else(|| failed("--also wants NAME=COMMAND"))?;
                options.also.push((name.to_owned(), command.to_owned()));
            }
            "--help" | "-h" => return Ok(None),
            _ => return Err(failed(format!("there is no flag {word}\n{USAGE}"))),
        }
    }
    Ok(Some(options))
}

fn measure(options: &Options) -> io::Result<()> {
    let folder = Folder::new()?;
    let home = |name: &str| {
        let home = folder.0.join(name);
        fs::create_dir(&home).map(|()| home)
    };
    let mut subjects = vec![Subject::bare(&home("bare")?)?, Subject::ours(&home("ours")?)?];
    for (n, (name, command)) in options.also.iter().enumerate() {
        subjects.push(Subject::also(name, command, &home(&format!("also-{n}"))?)?);
    }
    let piece = vec![7; 16 << 20];
    let scratch = home("scratch")?;
    let setting = Setting { ours: &subjects[1], scratch: &scratch, piece: &piece };

    let smoke = options.scale == Scale::Smoke;
    let say = |text: String| {
        let text = if options.json || smoke { "" } else { &text };
        io::stdout().write_all(text.as_bytes())
    };
    let wanted = |name: &str| name.contains(&options.only);
    let mut rows = Vec::new();
    for work in works::works(options.scale).into_iter().filter(|work| wanted(&work.name)) {
        let row = take_turns(&work, &setting, &subjects)?;
        if rows.is_empty() {
            say(report::head())?;
        }
        say(row.table())?;
        rows.push(row);
    }
    let mut lines = Vec::new();
    if wanted("stress") {
        say(format!("\n{}", report::stress_head()))?;
        for row in stress::rows(options.scale) {
            for subject in subjects.iter().skip(1) {
                let line = stress::run(subject, row, &piece)?;
                say(line.table())?;
                lines.push(line);
            }
        }
    }
    if rows.is_empty() && lines.is_empty() {
        return Err(failed(format!("no row has {:?} in its name", options.only)));
    }
    let json = report::json(&rows, &lines);
    if smoke {
        println!(
            "bench: {} works and {} lines of the course's table were tried",
            rows.len(),
            lines.len()
        );
    } else if options.json {
        io::stdout().write_all(json.as_bytes())?;
    }
    Ok(())
}

/// A folder of this run's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Folder> {
        let path = std::env::temp_dir().join(format!("connme-bench-{}", std::process::id()));
        fs::create_dir(&path).map(|()| Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A B A B: what slows the machine down for a while slows all of them.
fn take_turns(work: &Work, setting: &Setting<'_>, subjects: &[Subject]) -> io::Result<Row> {
    let mut servers: Vec<_> = subjects
        .iter()
        .map(|subject| {
            subject.forget_peak();
            let (server, turns) = (subject.name.clone(), Vec::new());
            Figures { server, turns, processor: subject.processor(), peak: None }
        })
        .collect();
    // The first to write to memory that nobody used of late waits for the system, or for the machine
    // that this one is a part of: where bytes are counted, a first turn is not.
    let warming = usize::from(work.unit == Unit::Rate && work.turns > 1);
    for turn in 0..work.turns + warming {
        for (subject, figures) in subjects.iter().zip(&mut servers) {
            subject.calm();
            if turn < warming {
                (work.turn)(setting, subject)?;
                figures.processor = subject.processor();
                continue;
            }
            let turn = (work.turn)(setting, subject)
                .map_err(|error| failed(format!("{}: {}: {error}", work.name, subject.name)))?;
            figures.turns.extend(turn);
        }
    }
    for (subject, figures) in subjects.iter().zip(&mut servers) {
        let before = figures.processor.take();
        figures.processor = subject.processor().zip(before).map(|(after, before)| after - before);
        figures.peak = subject.peak();
    }
    Ok(Row { work: work.name.clone(), unit: work.unit, servers })
}
