//! `make bench`: measures the server beside bare loops that do the same work, in one run.
//!
//! The servers take turns, so that whatever slows the machine down slows all of them. It prints
//! figures and no verdict: compare the columns of one run, and the ratios more than the figures.
//!
//! - [`rows`]: what the servers have to do, one function for each kind of row.
//! - [`stress_test`]: the second table, file sizes by numbers of clients.
//! - [`bare`]: the bare loops, a server without everything that makes a product.
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
    clippy::string_slice,
    clippy::cast_possible_truncation,
    reason = "a measuring tool talks to its user, and reads only what its own servers send"
)]

mod bare;
mod connection;
mod report;
mod rows;
mod server;
mod stress_test;

use std::fs;
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
usage: make bench ARGS=\"[--quick] [--only WORD] [--also 'NAME=COMMAND']...\"
  --quick                less of everything: under a minute
  --only WORD            only rows with WORD in their name; 'stress' is the second table
  --also 'NAME=COMMAND'  measure another server in the same run, for example
                           'old=/path/to/connme-server' (it takes the same flags), or
                           'mine=python3 server.py --port {port} --root {root}'
";

struct Options {
    scale: Scale,
    only: String,
    /// Names and commands of other servers.
    also: Vec<(String, String)>,
}

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of a pipe, `head` for example, has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut words: Vec<String>) -> io::Result<()> {
    if let [mode, root] = words.as_slice()
        && mode == SERVE_BARE_LOOPS
    {
        return bare::serve(Path::new(root));
    }
    let has = |flag: &str| words.iter().any(|word| word == flag);
    if has("--list") {
        return Ok(());
    }
    // `cargo bench` adds this flag. The arguments of `cargo test` are meant for other tests.
    if !has("--bench") {
        return measure(&Options { scale: Scale::Smoke, only: String::new(), also: Vec::new() });
    }
    if has("--help") || has("-h") {
        return print(USAGE);
    }
    words.retain(|word| word != "--bench");
    measure(&parse(words)?)
}

fn parse(words: Vec<String>) -> io::Result<Options> {
    let mut options = Options { scale: Scale::Full, only: String::new(), also: Vec::new() };
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| failed(format!("{word} needs a value")));
        match word.as_str() {
            "--quick" => options.scale = Scale::Quick,
            "--only" => options.only = value()?,
            "--also" => match value()?.split_once('=') {
                Some((name, command)) => options.also.push((name.to_owned(), command.to_owned())),
                None => return Err(failed("--also needs NAME=COMMAND")),
            },
            _ => return Err(failed(format!("unexpected argument '{word}'\n{USAGE}"))),
        }
    }
    Ok(options)
}

fn print(text: &str) -> io::Result<()> {
    io::stdout().write_all(text.as_bytes())
}

/// An error that is not the system's.
pub fn failed(why: impl Into<String>) -> io::Error {
    io::Error::other(why.into())
}

fn measure(options: &Options) -> io::Result<()> {
    let temporary = tempfile::tempdir()?;
    let folder = |name: &str| temporary.path().join(name);
    let this = std::env::current_exe()?;
    let bare = format!("{SERVE_BARE_LOOPS} {{root}}");
    let connme = env!("CARGO_BIN_EXE_connme-server");
    let mut servers = vec![
        Server::start("bare", this.as_os_str(), &bare, &folder("bare"))?,
        Server::start("connme", connme.as_ref(), server::FLAGS, &folder("connme"))?,
    ];
    for (n, (name, command)) in options.also.iter().enumerate() {
        let (program, words) = command.split_once(' ').unwrap_or((command, ""));
        let flags = if words.contains("{port}") { "" } else { server::FLAGS };
        let words = format!("{words} {flags}");
        servers.push(Server::start(name, program.as_ref(), &words, &folder(&format!("also-{n}")))?);
    }
    fs::create_dir(folder("client"))?;
    // So that the first upload does not wait for it.
    LazyLock::force(&connection::PAYLOAD);

    let is_smoke = options.scale == Scale::Smoke;
    let show = |text: &str| if is_smoke { Ok(()) } else { print(text) };
    let mut shown = 0;
    for row in rows::all(options.scale, &servers[1], &folder("client")) {
        if row.name.contains(&options.only) {
            let figures = take_turns(&row, &servers)?;
            show(if shown == 0 { report::HEAD } else { "" })?;
            show(&report::lines(&row, &figures))?;
            shown += 1;
        }
    }
    if "stress".contains(&options.only) {
        show(&format!("\n{}", stress_test::HEAD))?;
        for (direction, megabytes, clients) in stress_test::loads(options.scale) {
            for server in &servers[1..] {
                let (line, failures) = stress_test::line(server, direction, megabytes, clients)?;
                if is_smoke && failures > 0 {
                    return Err(failed(line));
                }
                show(&line)?;
                shown += 1;
            }
        }
    }
    match shown {
        0 => Err(failed(format!("no row has '{}' in its name", options.only))),
        _ if is_smoke => print(&format!("bench: all {shown} rows succeeded\n")),
        _ => Ok(()),
    }
}

/// The servers do the work of a row in turns: A, B, A, B.
fn take_turns<'s>(row: &Row<'_>, servers: &'s [Server]) -> io::Result<Vec<Figures<'s>>> {
    let turn = |server: &Server| {
        server.settle();
        let figure = (row.turn)(server);
        figure.map_err(|error| failed(format!("{}: {}: {error}", row.name, server.name)))
    };
    servers.iter().for_each(Server::reset_peak);
    // Memory that is used for the first time has to come from the system, or from the host of a
    // virtual machine. That would dominate where bytes are counted, so one turn comes before.
    if row.unit == "MiB/s" && row.turns > 1 {
        servers.iter().try_for_each(|server| turn(server).map(drop))?;
    }
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
