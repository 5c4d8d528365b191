//! The same job through every dialect, counted call by call: what each framing costs.
//!
//! The job is what all dialects with files can do: send a file, and fetch it again. All use names of the same length,
//! so that the bytes beside the payload can be compared. What a dialect lacks is said below the table.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::canvas::{COMMAND, Canvas, Colour, HEADER, INK, PALE, PAYLOAD, Pen, Style, WIDTH};
use super::capture::Capture;
use super::local::LocalServer;
use super::picture::save;
use super::trace::{Event, Observer, Side, ending};
use super::{Instruments, MakeObserver};
use crate::client::outcome::{Outcome, Stop};
use crate::client::places::here;
use crate::client::progress::per_second;
use crate::client::table::{aligned, readable};
use crate::client::ui::Ui;
use crate::client::{Client, Config};
use crate::dialect::Dialect;
use crate::dialect::json_value::Value;
use crate::error::{Answer, Failure, OPEN, lock};
use crate::lab::line::CommandLine;
use crate::lab::scratch::TemporaryFolder;
use crate::lab::text::said;
use crate::lang::{self, Lang};
use crate::wire::stream;

/// A read that takes at least this long on one machine has waited for a pause to pass, and not for the other
/// program to work.
const PAUSE: Duration = Duration::from_millis(15);

/// What the job through one dialect cost.
#[derive(Clone, Debug)]
pub(super) struct Row {
    dialect: Dialect,
    connections: u64,
    payload: u64,
    pub(super) time: Duration,
    pub(super) counts: Counts,
}

impl Row {
    /// The bytes that are not payload.
    fn framing(&self) -> u64 {
        self.counts.bytes.saturating_sub(self.payload)
    }
}

/// Counts the calls that are reported to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    reads: u64,
    writes: u64,
    bytes: u64,
    trips: u64,
    /// The last call that moved bytes was a write.
    has_written: bool,
    pub(super) waited: Duration,
    endings: BTreeSet<&'static str>,
}

impl Observer for Arc<Mutex<Counts>> {
    fn see(&mut self, event: Event<&[u8]>, took: Duration) {
        let mut counts = lock(self);
        match event {
            Event::Read(bytes) => {
                counts.bytes += bytes.len() as u64;
                counts.trips += u64::from(std::mem::take(&mut counts.has_written));
            }
            Event::Wrote(bytes) => {
                counts.bytes += bytes.len() as u64;
                counts.writes += 1;
                counts.has_written = true;
            }
            Event::Message(_, _, end) => drop(counts.endings.insert(ending(end))),
            _ => {}
        }
        if matches!(event, Event::Read(_) | Event::End) {
            counts.reads += 1;
            counts.waited += if took >= PAUSE { took } else { Duration::ZERO };
        }
    }
}

/// Does the job through every dialect and shows the table.
pub(in crate::lab) fn run(ui: &mut Ui, line: &CommandLine) -> Outcome {
    let files = here(&line.argument, false)?.names;
    if let Some(path) = &line.flags.svg {
        save(path, "")?;
    }
    let [(path, _)] = files.as_slice() else {
        return Err(Stop::Wrong(said("compare-use", &[])));
    };
    let folder = TemporaryFolder::new()?;
    let own = match line.is_named {
        true => None,
        false => Some(LocalServer::prepared(&folder.0.join("root"), "", stream::plain())?),
    };
    let mut rows = Vec::new();
    for row in compare(ui.config(), own.as_ref(), path)? {
        match row {
            Ok(row) => rows.push(row),
            Err(failure) => ui.fail_on(&path.to_string_lossy(), &failure),
        }
    }
    own.map_or(Ok(()), |own| explain_capture(ui, line, &own))?;
    if rows.is_empty() { Ok(()) } else { show(ui, line, &rows) }
}

/// Says how to read a capture of a server whose ports do not tell its dialects.
pub(super) fn explain_capture(ui: &Ui, line: &CommandLine, server: &LocalServer) -> Outcome {
    match &line.instruments.capture {
        Some(file) if !server.has_usual_ports() => {
            let mut command = "  tshark -X lua_script:connme.lua".to_owned();
            for (dialect, port) in &server.ports {
                command += &format!(" \\\n    -d tcp.port=={port},connme_{}", dialect.name());
            }
            command +=
                &format!(" \\\n    -r {}", lang::readable(file.to_string_lossy().as_bytes()));
            ui.tell(&said("ports-taken", &[&command]))
        }
        _ => Ok(()),
    }
}

/// Shows the rows: as a table, or as JSON, and as bars if there is a file for them.
pub(super) fn show(ui: &Ui, line: &CommandLine, rows: &[Row]) -> Outcome {
    if let Some(path) = &line.flags.svg {
        let size = rows.iter().map(|row| row.payload / 2).max().unwrap_or_default();
        let (lang, is_dark) = (line.config.lang, line.flags.ladder.is_dark);
        save(path, &bars(rows, &readable(size), lang, is_dark))?;
    }
    if line.flags.json {
        return Ok(ui.print(&format!("{}\n", json(rows)))?);
    }
    ui.tell(&said("job", &[]))?;
    ui.print(&table(rows, line.config.lang, ui.terminal.columns))?;
    ui.tell(&said("columns", &[]))
}

/// Does the job through every dialect: with this server of our own, or with the one that the user named, at each
/// dialect's default port.
///
/// # Errors
/// The file cannot be read, or no server could be started. What fails in one dialect is the error of its
/// row.
pub(super) fn compare(
    config: &Config,
    own: Option<&LocalServer>,
    path: &Path,
) -> Answer<Vec<Answer<Row>>> {
    let found = fs::metadata(path).map_err(|error| Failure::local(OPEN, path.display(), error))?;
    if !found.is_file() {
        let why = if found.is_dir() { "folder" } else { "no-plain-file" };
        return Err(Failure::local(OPEN, path.display(), said(why, &[])));
    }
    open(path)?;
    let folder = TemporaryFolder::new()?;
    let with = |dialect: Dialect| {
        let port = own.map_or(dialect.port(), |own| own.port(dialect));
        Config { dialect, port, downloads: folder.0.join("back"), ..config.clone() }
    };
    let small = folder.0.join("small");
    if own.is_some() && fs::write(&small, "x").is_ok() {
        // Warm-up, not counted: the first client of a new server waits longer.
        let _ = job(with(Dialect::Text), &small, &name(0), None);
    }
    let run = |(n, dialect)| job(with(dialect), path, &name(n + 1), Capture::of_program());
    let rows: Vec<_> = COMPARED.into_iter().enumerate().map(run).collect();
    // Not counted: not every dialect can do it.
    let mut cleaner = Client::new(with(Dialect::Text), stream::plain());
    cleaner.connect_on_demand();
    for number in 1..=rows.len() {
        let _ = cleaner.delete(&name(number));
    }
    cleaner.close();
    Ok(rows)
}

/// The dialects that carry files.
const COMPARED: [Dialect; 4] = [Dialect::Text, Dialect::Struct, Dialect::Filesaver, Dialect::Json];

/// The name of a file on the server: no other run has the same.
fn name(number: usize) -> String {
    format!("compare-{:010}-{number}", std::process::id())
}

fn job(config: Config, path: &Path, name: &str, capture: Option<Arc<Capture>>) -> Answer<Row> {
    let counts = Arc::<Mutex<Counts>>::default();
    let counted = Arc::clone(&counts);
    let observer: MakeObserver = Arc::new(move || Box::new(Arc::clone(&counted)));
    let (dialect, downloads) = (config.dialect, config.downloads.clone());
    let instruments = Instruments { observer: Some(observer), capture, ..Instruments::default() };
    let mut client = Client::new(config, instruments.prepare(Side::Client));
    client.connect_on_demand();
    let start = Instant::now();
    let sent = client.upload(path, Some(name), &mut |_| {})?;
    let received = client.download(name, None, &mut |_| {})?;
    let comparing = Instant::now();
    let back = received.stored.map_or_else(|| downloads.join(name), PathBuf::from);
    must_be_same(path, &back)?;
    let not_counted = comparing.elapsed();
    let connections = client.connections();
    client.close();
    let time = start.elapsed() - not_counted;
    let counts = lock(&counts).clone();
    let payload = sent.bytes + received.bytes;
    Ok(Row { dialect, connections, payload, time, counts })
}

fn open(path: &Path) -> Answer<File> {
    File::open(path).map_err(|error| Failure::local(OPEN, path.display(), error))
}

fn must_be_same(sent: &Path, back: &Path) -> Answer<()> {
    let bytes = |file| BufReader::new(file).bytes().map(Result::ok);
    let are_same = bytes(open(sent)?).eq(bytes(open(back)?));
    let _ = fs::remove_file(back);
    if are_same {
        return Ok(());
    }
    let why = said("came-back-different", &[]);
    Err(Failure::local(("compare", "membandingkan"), sent.display(), why))
}

/// The columns that are left out first where a terminal is narrow: those that repeat another column in
/// another form, then those that differ least.
const DISPENSABLE: [usize; 5] = [7, 9, 1, 10, 3];

/// The rows for people, below their heads: as many columns as fit.
#[allow(clippy::indexing_slicing, reason = "all rows have the same twelve cells")]
fn table(rows: &[Row], lang: Lang, columns: usize) -> String {
    let heads = said("heads", &[]).say(lang);
    let mut cells = vec![heads.split(' ').map(str::to_owned).collect::<Vec<_>>()];
    for row in rows {
        let (counts, framing) = (&row.counts, row.framing());
        let share = framing * 1000 / (row.payload + framing).max(1);
        cells.push(vec![
            row.dialect.name().to_owned(),
            row.connections.to_string(),
            counts.trips.to_string(),
            counts.reads.to_string(),
            counts.writes.to_string(),
            row.payload.to_string(),
            framing.to_string(),
            format!("{}.{}%", share / 10, share % 10),
            format!("{} ms", counts.waited.as_millis()),
            format!("{:.3}", row.time.as_secs_f64()),
            format!("{}/s", readable(per_second(row.payload, row.time))),
            Vec::from_iter(counts.endings.iter().copied()).join(","),
        ]);
    }
    let mut dispensable = DISPENSABLE.into_iter();
    loop {
        let text = aligned(&cells, " ", 1..11);
        let fits = text.lines().all(|line| line.len() <= columns);
        let Some(column) = dispensable.next().filter(|_| !fits) else { return text };
        // A column of empty cells is left out.
        cells.iter_mut().for_each(|row| row[column].clear());
    }
}

/// Where the bars begin and how long the longest is. The rest is for its figure.
const LEFT: f64 = 160.0;
const LONGEST: f64 = WIDTH - LEFT - 150.0;

const ROW: f64 = 32.0;

/// The name of its head, its colour, its figure, and with how many decimals.
type Chart = (&'static str, Colour, fn(&Row) -> f64, usize);

/// Three charts, each with a bar for each dialect. `what` was moved, for example `10 MB`.
pub(super) fn bars(rows: &[Row], what: &str, lang: Lang, is_dark: bool) -> String {
    let mut canvas = Canvas::new(is_dark);
    let ink = Style::new(INK);
    let title = said("bars-title", &[&what]);
    let title = title.say(lang);
    canvas.text(24.0, 40.0, ink.bold(24.0), &title);
    let mut y = 64.0;
    let mut about = Vec::new();
    let charts: [Chart; 3] = [
        ("bars-time", COMMAND, |row| row.time.as_secs_f64(), 4),
        ("bars-waited", HEADER, |row| row.counts.waited.as_secs_f64(), 4),
        ("bars-trips", PAYLOAD, |row| row.counts.trips as f64, 0),
    ];
    for (head, colour, figure, decimals) in charts {
        let head = said(head, &[]).say(lang);
        y += 26.0;
        canvas.text(24.0, y, ink.bold(18.0), &head);
        let most = rows.iter().map(figure).fold(1e-9, f64::max);
        let top = y + 8.0;
        let mut list = Vec::new();
        for row in rows {
            y += ROW;
            let (dialect, value) = (row.dialect.name(), figure(row));
            let (length, text) = (LONGEST * value / most, format!("{value:.decimals$}"));
            canvas.text(LEFT - 12.0, y, ink.end(), dialect);
            canvas.rectangle((LEFT, y - 16.0), length.max(1.0), 22.0, colour);
            canvas.text(LEFT + length + 10.0, y, ink, &text);
            list.push(format!("{dialect} {text}"));
        }
        canvas.line(&[(LEFT, top), (LEFT, y + 12.0)], Pen(PALE, 1.0, ""));
        about.push(format!("{head}: {}", list.join(", ")));
        y += 24.0;
    }
    let about = about.join(". ");
    let about = said("bars", &[&about]);
    canvas.finish((WIDTH, y), &title, &about.say(lang))
}

/// The rows for programs: one JSON array.
fn json(rows: &[Row]) -> String {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let object = |row: &Row| {
        let counts = &row.counts;
        let members = [
            ("dialect", Value::text(row.dialect.name())),
            ("connections", Value::number(row.connections)),
            ("round_trips", Value::number(counts.trips)),
            ("reads", Value::number(counts.reads)),
            ("writes", Value::number(counts.writes)),
            ("payload_bytes", Value::number(row.payload)),
            ("framing_bytes", Value::number(row.framing())),
            ("waited_us", Value::number(micros(counts.waited))),
            ("time_us", Value::number(micros(row.time))),
            (
                "message_ends",
                Value::Array(counts.endings.iter().map(|it| Value::text(it)).collect()),
            ),
        ];
        Value::Object(members.map(|(name, value)| (name.to_owned(), value)).to_vec())
    };
    Value::Array(rows.iter().map(object).collect()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::Lang;
    use crate::wire::stream::Ending;

    #[test]
    fn calls_are_counted_and_a_read_that_takes_long_is_a_wait() {
        let mut counter = Arc::<Mutex<Counts>>::default();
        for (event, took) in [
            (Event::Wrote(&b"ab"[..]), 9 * PAUSE),
            (Event::Read(b"abc"), PAUSE / 2),
            (Event::Read(b"d"), PAUSE),
            (Event::Message(b"abc", 3, Ending::Lf), 9 * PAUSE),
            (Event::End, 2 * PAUSE),
        ] {
            counter.see(event, took);
        }
        let Counts { reads, writes, bytes, trips, waited, endings, .. } = lock(&counter).clone();
        assert_eq!((reads, writes, bytes, trips), (3, 1, 6, 1));
        assert_eq!((waited, endings), (3 * PAUSE, BTreeSet::from(["LF"])));
    }

    #[test]
    fn what_a_dialect_lacks_is_said() {
        let lacks = |dialect: Dialect| {
            let config = Config { dialect, ..Config::new(Lang::En) };
            let client = Client::new(config, stream::plain());
            let mut words = vec!["upload", "download", "ls", "size", "rm"];
            words.retain(|word| client.requests().has(word) == Some(false));
            let line = format!("\n  {}: {}", dialect.name(), words.join(" "));
            if words.is_empty() { String::new() } else { line }
        };
        let lacks: String = Dialect::ALL.into_iter().map(lacks).collect();
        for lang in [Lang::En, Lang::Id] {
            let columns = said("columns", &[]).say(lang);
            assert_eq!(columns.split_once(":\n").map(|(_, list)| list), lacks.strip_prefix('\n'));
        }
    }

    #[test]
    fn a_narrow_terminal_gets_fewer_columns() {
        let row = |dialect| Row {
            dialect,
            connections: 1,
            payload: 2_000_000_000_000,
            time: Duration::from_secs(100),
            counts: Counts {
                reads: 10_000,
                writes: 10_000,
                bytes: 2_000_010_000_000,
                trips: 10_000,
                has_written: false,
                waited: Duration::from_secs(9),
                endings: BTreeSet::from(["size", "width", "word"]),
            },
        };
        let rows: Vec<_> = Dialect::ALL.into_iter().map(row).collect();
        for lang in [Lang::En, Lang::Id] {
            assert_eq!(said("heads", &[]).say(lang).split(' ').count(), 12);
            let widest = |columns| {
                let text = table(&rows, lang, columns);
                let words = text.lines().next().unwrap().split_whitespace().count();
                (words, text.lines().map(str::len).max().unwrap())
            };
            let (all, whole) = widest(1000);
            assert_eq!(all, 12);
            assert!(whole > 80 && widest(whole) == (12, whole));
            let (some, width) = widest(80);
            assert!((8..12).contains(&some) && width <= 80, "{some} {width}");
            assert!(widest(whole - 1).0 < 12);
        }
    }
}
