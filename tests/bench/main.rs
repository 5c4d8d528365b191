//! `make bench`: compares the server with bare loops that do the same work, in one run.
//!
//! The servers take turns, so that whatever slows the machine down slows all of them. It prints
//! figures and no verdict: compare the columns of one run, and the ratios more than the figures.
//!
//! - [`rows`]: what the servers have to do, one function for each kind of row.
//! - [`stress_test`]: the second table, file sizes by numbers of clients.
//! - [`bare`]: the bare loops, a minimal server.
//! - [`server`]: starts the servers and reads their processor time and memory.
//! - [`connection`]: the client that drives all servers alike.
//! - [`report`]: medians, ranges and ratios, as a table.
//!
//! `cargo test` runs it too, with as little work as possible. That test fails if a row fails.

#![allow(
    unreachable_pub,
    missing_docs,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a measuring tool talks to its user, and reads only what its own servers send"
)]

mod bare;
mod connection;
mod report;
mod rows;
mod server;
mod stress_test;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::LazyLock;

use report::Figures;
use rows::{Row, Scale};
use server::Server;

/// The argument that makes this program the server with the bare loops.
const SERVE_BARE_LOOPS: &str = "serve-bare-loops";

const USAGE: &str = "\
usage: make bench ARGS=\"[--quick] [--only WORD] [--also NAME=PATH]...\"
  --quick           less of everything: under a minute
  --only WORD       only rows with WORD in their name; 'stress' is the second table
  --also NAME=PATH  measure another build of connme-server in the same run
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of a pipe, `head` for example, has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> io::Result<()> {
    if let [SERVE_BARE_LOOPS, root] = words {
        return bare::serve(Path::new(root));
    }
    // `cargo bench` adds this flag. The arguments of `cargo test` are meant for other tests.
    let [words @ .., "--bench"] = words else { return measure(Scale::Smoke, "", &[]) };
    let (mut scale, mut only, mut also) = (Scale::Full, "", Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| failed(format!("{word} needs a value")));
        match *word {
            "--help" | "-h" => return print(Scale::Full, USAGE),
            "--quick" => scale = Scale::Quick,
            "--only" => only = value()?,
            "--also" => {
                let pair = value()?.split_once('=');
                also.push(pair.ok_or_else(|| failed("--also needs NAME=PATH"))?);
            }
            _ => return Err(failed(format!("unexpected argument '{word}'\n{USAGE}"))),
        }
    }
    measure(scale, only, &also)
}

/// Prints to standard output, but nothing in the smoke test.
fn print(scale: Scale, text: &str) -> io::Result<()> {
    let text = if scale == Scale::Smoke { "" } else { text };
    io::stdout().write_all(text.as_bytes())
}

/// An error that is not the system's.
pub fn failed(why: impl Into<String>) -> io::Error {
    io::Error::other(why.into())
}

/// Measures the rows with `only` in their name. `also` has names and programs of more servers.
fn measure(scale: Scale, only: &str, also: &[(&str, &str)]) -> io::Result<()> {
    let connme = env!("CARGO_BIN_EXE_connme-server");
    let mut servers = vec![Server::bare_loops()?, Server::connme("connme", connme)?];
    for (name, path) in also {
        servers.push(Server::connme(name, path)?);
    }
    let client_folder = server::temporary_folder()?;
    // Made here, so that no turn has to wait for it.
    LazyLock::force(&connection::PAYLOAD);

    let mut rows = rows::all(scale, &servers[1], client_folder.path());
    rows.retain(|row| row.name.contains(only));
    let has_stress_test = "stress".contains(only);
    if rows.is_empty() && !has_stress_test {
        return Err(failed(format!("no row has '{only}' in its name")));
    }
    for (n, row) in rows.iter().enumerate() {
        let figures = take_turns(row, &servers)?;
        print(scale, if n == 0 { report::HEAD } else { "" })?;
        print(scale, &report::lines(row, &figures))?;
    }
    if has_stress_test { stress_test::run(scale, &servers[1..]) } else { Ok(()) }
}

/// The servers do the work of a row in turns: A, B, A, B.
fn take_turns<'s>(row: &Row<'_>, servers: &'s [Server]) -> io::Result<Vec<Figures<'s>>> {
    let turn = |server: &Server| {
        server.settle();
        let figure = (row.turn)(server);
        figure.map_err(|error| failed(format!("{}: {}: {error}", row.name, server.name)))
    };
    // Memory that is used for the first time has to come from the system, or from the host of a
    // virtual machine. That would dominate where bytes are counted, so one turn comes before.
    if row.unit == "MiB/s" && row.turns > 1 {
        servers.iter().try_for_each(|server| turn(server).map(drop))?;
    }
    servers.iter().for_each(Server::reset_peak);
    let cpu_before: Vec<_> = servers.iter().map(Server::cpu_seconds).collect();
    let mut turns = vec![Vec::new(); servers.len()];
    for _ in 0..row.turns {
        for (server, turns) in servers.iter().zip(&mut turns) {
            turns.extend(Some(turn(server)?).filter(|figure| !figure.is_nan()));
        }
    }
    let figures = servers.iter().zip(turns).zip(cpu_before).map(|((server, turns), before)| {
        let cpu_seconds = server.cpu_seconds() - before;
        Figures { server, turns, cpu_seconds, peak_kib: server.peak_kib() }
    });
    Ok(figures.collect())
}
