//! `connme-lab bench`: the same load on each shape, as a table and as bars.
//!
//! The servers are processes of their own, and take turns, so that whatever slows the machine down slows all of them.
//! Compare the shapes of one run, and the ratios more than the figures.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use super::{SHAPES, Shape, named, names};
use crate::client::argument::Argument;
use crate::client::outcome::{Outcome, Stop};
use crate::client::table::aligned;
use crate::client::ui::Ui;
use crate::dialect::Dialect;
use crate::error::{Answer, Failure};
use crate::lab::launch::Launched;
use crate::lab::line::CommandLine;
use crate::lab::scratch::{START, this_program};
use crate::lab::text::said;
use crate::lang::decimal;
use crate::limits;

/// The loads: how many clients there are at the same time, and whether one more of them is slow.
const LOADS: [(&str, usize, bool); 6] = [
    ("1", 1, false),
    ("16", 16, false),
    ("256", 256, false),
    ("1+", 1, true),
    ("16+", 16, true),
    ("256+", 256, true),
];

const RUNS: usize = 3;

/// The requests of all clients together, if the user names no number.
const REQUESTS: usize = 2048;

/// The file that is downloaded.
const NAME: &str = "file";
const SIZE: usize = 4096;

/// How long the slow client waits after each byte.
const SLOW: Duration = Duration::from_secs(1);

/// A client that waits for longer has been forgotten.
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest bar.
const BAR: usize = 40;

/// What came out of one load on one server.
#[derive(Clone, Copy)]
struct Figures {
    /// Requests in a second.
    rate: f64,
    /// The longest time that a client waited for its first reply, in milliseconds.
    wait: f64,
}

/// Measures the shapes that are named, or all, and prints what came out.
pub(in crate::lab) fn run(ui: &mut Ui, line: &CommandLine) -> Outcome {
    let shapes = shapes(&line.argument)?;
    let requests = line.flags.requests.unwrap_or(REQUESTS);
    // Before the measuring, which takes most of a minute.
    ui.tell(&said("bench", &[&requests, &SIZE, &RUNS]))?;
    let mut came = vec![vec![Vec::new(); LOADS.len()]; shapes.len()];
    for _ in 0..RUNS {
        for (shape, came) in shapes.iter().zip(&mut came) {
            let failed = |error| Failure::local(("measure", "mengukur"), shape.name, error);
            for ((_, clients, has_slow), came) in LOADS.into_iter().zip(came) {
                let server = Launched::start(command(*shape)?, Dialect::Text);
                let server = server.map_err(Stop::Refused)?;
                fs::write(server.root().join(NAME), vec![b'x'; SIZE]).map_err(failed)?;
                came.push(load(server.address, clients, has_slow, requests).map_err(failed)?);
            }
        }
    }
    let medians: Vec<Vec<Figures>> =
        came.iter().map(|loads| loads.iter().map(|runs| median(runs)).collect()).collect();
    let rate = line.config.lang.choose("downloads/s", "download/detik");
    ui.print(&format!("\n{}", table(ui, rate, &shapes, &medians)))?;
    ui.print(&format!("\n{rate}:\n{}", bars(&shapes, &medians)))?;
    Ok(())
}

fn shapes(argument: &Argument) -> Result<Vec<Shape>, Stop> {
    let Argument::Words(typed) = argument else { return Ok(SHAPES.to_vec()) };
    let shapes: Option<Vec<_>> = typed.iter().map(|word| named(word.to_str()?)).collect();
    let names = names();
    let takes = said("bench-use", &[&names]);
    let shapes = shapes.ok_or_else(|| Stop::Wrong(takes.see_help()))?;
    Ok(if shapes.is_empty() { SHAPES.to_vec() } else { shapes })
}

/// This program once more, as a server of this shape.
fn command(shape: Shape) -> Answer<Vec<String>> {
    let program = this_program().map_err(|error| Failure::local(START, shape.name, error))?;
    let program = program.display().to_string();
    Ok([&program, "shape", shape.name, "{port}", "--root", "{root}"].map(str::to_owned).to_vec())
}

/// Lets so many clients make their requests at the same time.
fn load(
    address: SocketAddr,
    clients: usize,
    has_slow: bool,
    requests: usize,
) -> io::Result<Figures> {
    let each = requests.div_ceil(clients);
    thread::scope(|scope| {
        // It comes first, and is cut when the others are served.
        let (_cut, is_cut) = mpsc::channel::<()>();
        let slow = if has_slow { Some(TcpStream::connect(address)?) } else { None };
        if let Some(stream) = slow {
            Builder::new().spawn_scoped(scope, move || speak_slowly(stream, &is_cut))?;
        }
        let since = Instant::now();
        let mut threads = Vec::new();
        for _ in 0..clients {
            let thread = Builder::new().stack_size(limits::STACK);
            threads.push(thread.spawn_scoped(scope, || converse(address, each))?);
        }
        let mut wait = Duration::ZERO;
        for thread in threads {
            let waited = thread.join().map_err(|_| io::Error::other("panic"))?;
            wait = wait.max(waited?);
        }
        let seconds = since.elapsed().as_secs_f64();
        let rate = (each * clients) as f64 / seconds;
        Ok(Figures { rate, wait: wait.as_secs_f64() * 1000.0 })
    })
}

/// Asks for a list, a byte a second, until this is cut.
fn speak_slowly(mut stream: TcpStream, is_cut: &Receiver<()>) {
    for byte in b"ls\n" {
        if stream.write_all(&[*byte]).is_err()
            || is_cut.recv_timeout(SLOW) != Err(RecvTimeoutError::Timeout)
        {
            return;
        }
    }
}

/// One client: a greeting, its requests one after the other, and the end. Returns how long the first reply took.
fn converse(address: SocketAddr, requests: usize) -> io::Result<Duration> {
    let since = Instant::now();
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    let mut ask = |stream: &mut BufReader<TcpStream>, request: &str, expected: &str| {
        stream.get_mut().write_all(request.as_bytes())?;
        line.clear();
        stream.read_line(&mut line)?;
        if line == expected { Ok(()) } else { Err(io::Error::other(line.trim().to_owned())) }
    };
    ask(&mut stream, "connme\n", "ok connected\n")?;
    let wait = since.elapsed();
    let mut file = [0; SIZE];
    for _ in 0..requests {
        ask(&mut stream, &format!("download {NAME}\n"), &format!("ok {SIZE}\n"))?;
        stream.read_exact(&mut file)?;
    }
    ask(&mut stream, "byebye\n", "ok byebye\n")?;
    stream.read_to_end(&mut Vec::new())?;
    Ok(wait)
}

/// The median of each figure.
fn median(runs: &[Figures]) -> Figures {
    let of = |figure: fn(&Figures) -> f64| {
        let mut figures: Vec<_> = runs.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
    };
    Figures { rate: of(|it| it.rate), wait: of(|it| it.wait) }
}

/// Two lines for each shape, and a column for each load.
fn table(ui: &Ui, rate: &str, shapes: &[Shape], medians: &[Vec<Figures>]) -> String {
    let lang = ui.config().lang;
    let row = |head: &str, what: &str, cells: Vec<String>| {
        // A last column that is empty, because `aligned` does not fill up the last one.
        [vec![head.to_owned(), what.to_owned()], cells, vec![String::new()]].concat()
    };
    let labels = LOADS.map(|(label, ..)| label.to_owned());
    let mut rows = vec![row(lang.choose("shape", "bentuk"), "", labels.to_vec())];
    for (shape, loads) in shapes.iter().zip(medians) {
        let rates = loads.iter().map(|it| format!("{:.0}", it.rate)).collect();
        let waits = loads.iter().map(|it| ui.words(&decimal(&format!("{:.1}", it.wait))));
        rows.push(row(shape.name, rate, rates));
        rows.push(row("", lang.choose("reply, ms", "balasan, ms"), waits.collect()));
    }
    aligned(&rows, "  ", 2..2 + LOADS.len())
}

/// A bar for each shape under each load.
fn bars(shapes: &[Shape], medians: &[Vec<Figures>]) -> String {
    let most = medians.iter().flatten().map(|it| it.rate).fold(1e-9, f64::max);
    let mut rows = Vec::new();
    for (n, (label, ..)) in LOADS.into_iter().enumerate() {
        for (i, (shape, loads)) in shapes.iter().zip(medians).enumerate() {
            let rate = loads.get(n).map_or(0.0, |it| it.rate);
            let length = (1..=BAR).filter(|part| *part as f64 <= rate / most * BAR as f64 + 0.5);
            let bar = format!("{} {rate:.0}", "#".repeat(length.count()));
            let head = if i == 0 { label } else { "" };
            rows.push(vec![head.to_owned(), shape.name.to_owned(), bar.trim_start().to_owned()]);
        }
    }
    aligned(&rows, "  ", 0..0)
}
