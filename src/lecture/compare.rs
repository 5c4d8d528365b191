//! The same job through every dialect, counted by the tracer: what each framing costs.
//!
//! The job: send a file, list, fetch it again, see that it is the same, remove it. A dialect that has
//! no words for a step leaves it out. `count` carries no files: it is asked to count the file's name.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::Instruments;
use super::local::{LocalServer, TemporaryFolder};
use super::trace::{Event, Observer, Side};
use crate::client::argument::Argument;
use crate::client::command::{Outcome, Stop};
use crate::client::places::here;
use crate::client::progress::per_second;
use crate::client::prompt::Ui;
use crate::client::table::{aligned, readable};
use crate::client::{Client, Config};
use crate::dialect::Dialect;
use crate::dialect::json_value::Value;
use crate::error::{Answer, Doing, Failure, Trouble, lock};
use crate::lang::Msg;
use crate::wire::stream;

/// A read that takes at least this long on one machine did not wait for the other program to work, but
/// for a pause to pass.
const PAUSE: Duration = Duration::from_millis(15);

/// What one dialect's job cost.
#[derive(Clone, Debug)]
pub(super) struct Row {
    dialect: Dialect,
    connections: u64,
    trips: u64,
    reads: u64,
    writes: u64,
    payload: u64,
    framing: u64,
    waited: Duration,
    time: Duration,
    endings: Vec<&'static str>,
}

/// Counts what a tracer reports.
#[derive(Default)]
struct Counter(Mutex<Counts>);

#[derive(Clone, Default)]
struct Counts {
    reads: u64,
    writes: u64,
    bytes: u64,
    trips: u64,
    said: bool,
    waited: Duration,
    endings: BTreeSet<&'static str>,
}

impl Observer for Counter {
    fn see(&self, event: Event<'_>, _: Duration, took: Duration) {
        let mut counts = lock(&self.0);
        let mut moved = |bytes: &[u8]| {
            let n = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            counts.bytes = counts.bytes.saturating_add(n);
        };
        match event {
            Event::Read(bytes) => {
                moved(bytes);
                counts.reads = counts.reads.saturating_add(1);
                counts.trips = counts.trips.saturating_add(u64::from(counts.said));
                counts.said = false;
                if took >= PAUSE {
                    counts.waited = counts.waited.saturating_add(took);
                }
            }
            Event::Wrote(bytes) => {
                moved(bytes);
                counts.writes = counts.writes.saturating_add(1);
                counts.said = true;
            }
            Event::End => {
                counts.reads = counts.reads.saturating_add(1);
                if took >= PAUSE {
                    counts.waited = counts.waited.saturating_add(took);
                }
            }
            Event::Message(_, _, end) => drop(counts.endings.insert(end.word())),
            Event::Ended | Event::Reset | Event::Silence => {}
        }
    }
}

/// Does the job through every dialect and shows the table.
pub(super) fn run(ui: &mut Ui, argument: &Argument) -> Outcome {
    if ui.config().has_port {
        return Err(Stop::Wrong(Msg::CompareTakesNoPort));
    }
    let files = here(argument, false)?;
    let [(path, _)] = files.as_slice() else { return Err(Stop::Wrong(Msg::OneFile)) };
    let mut rows = Vec::new();
    for row in compare(ui.config(), path)? {
        match row {
            Ok(row) => rows.push(row),
            Err(failure) => ui.failed(&path.to_string_lossy(), failure),
        }
    }
    if rows.is_empty() { Ok(()) } else { show(ui, &rows) }
}

/// Shows the rows: as a table, or as JSON.
pub(super) fn show(ui: &Ui, rows: &[Row]) -> Outcome {
    let text = match ui.config().json {
        true => format!("{}\n", json(rows)),
        false => table(rows, &ui.words(&Msg::CompareHeads), ui.columns()),
    };
    Ok(ui.print(&text)?)
}

/// Does the job over every dialect: of the server that the user named, with each dialect at its own
/// port, or of one that is started for the occasion in a temporary folder.
///
/// # Errors
/// There is no such file, or no server could be started for the occasion. What fails in one dialect is
/// the error of its row.
pub(super) fn compare(config: &Config, path: &Path) -> Answer<Vec<Answer<Row>>> {
    let plain = fs::metadata(path).and_then(|found| match found.is_file() {
        true => File::open(path).map(drop),
        false => Err(io::ErrorKind::IsADirectory.into()),
    });
    plain.map_err(|error| Failure::local(Doing::Open, path.display(), error))?;
    let folder = TemporaryFolder::new()?;
    let own = if config.named { None } else { Some(LocalServer::start(&folder.0.join("root"))?) };
    let over = |dialect: Dialect| {
        let mut config = Config { dialect, downloads: folder.0.join("back"), ..config.clone() };
        config.port = own.as_ref().map_or(dialect.port(), |own| own.port(dialect));
        config
    };
    let small = folder.0.join("small");
    if own.is_some() && fs::write(&small, "x").is_ok() {
        // Who comes first to a new server and to new folders waits for them: nobody that is counted.
        let _ = job(over(Dialect::Text), &small);
    }
    let rows = Dialect::ALL.into_iter().map(|dialect| job(over(dialect), path)).collect();
    // What a wire without "rm" has left behind goes by another, uncounted.
    let mut cleaner = Client::new(over(Dialect::Text), stream::plain());
    cleaner.connect_by_itself();
    let _ = cleaner.delete(&name_for(Dialect::Filesaver));
    cleaner.close();
    Ok(rows)
}

/// The name of the file on the server: each dialect has its own, and no other run the same.
fn name_for(dialect: Dialect) -> String {
    format!("compare-{:010}-{}", std::process::id(), dialect.name())
}

fn job(config: Config, path: &Path) -> Answer<Row> {
    let counter = Arc::new(Counter::default());
    let dialect = config.dialect;
    let downloads = config.downloads.clone();
    let observer = Some(Arc::<Counter>::clone(&counter) as Arc<dyn Observer>);
    let instruments = Instruments { observer, ..Instruments::default() };
    let mut client = Client::new(config, instruments.prepare(Side::Client));
    client.connect_by_itself();
    let own_name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let own_name = own_name.unwrap_or_default();
    let name = name_for(dialect);
    let start = Instant::now();
    let mut aside = Duration::ZERO;
    let mut payload: u64;
    if client.requests().upload.is_some() {
        payload = client.upload(path, Some(&name), &mut |_, _| {})?.bytes;
        if client.requests().list_files.is_some() {
            client.list_files(None)?;
        }
        let receipt = client.download(&name, None, &mut |_, _| {})?;
        payload = payload.saturating_add(receipt.bytes);
        let back = receipt.stored.map(PathBuf::from).unwrap_or_else(|| downloads.join(&name));
        let looking = Instant::now();
        must_be_same(path, &back)?;
        aside = looking.elapsed();
        if client.requests().delete.is_some() {
            client.delete(&name)?;
        }
    } else {
        client.count(&own_name)?;
        payload = u64::try_from(own_name.len()).unwrap_or(u64::MAX);
    }
    let connections = client.connections();
    client.close();
    let time = start.elapsed().saturating_sub(aside);
    let counts = lock(&counter.0).clone();
    Ok(Row {
        dialect,
        connections,
        trips: counts.trips,
        reads: counts.reads,
        writes: counts.writes,
        payload,
        framing: counts.bytes.saturating_sub(payload),
        waited: counts.waited,
        time,
        endings: counts.endings.into_iter().collect(),
    })
}

fn must_be_same(sent_path: &Path, back: &Path) -> Answer<()> {
    let open = |path: &Path| {
        let file = File::open(path);
        file.map(BufReader::new).map_err(|e| Failure::local(Doing::Open, path.display(), e))
    };
    let (sent, came) = (open(sent_path)?.bytes(), open(back)?.bytes());
    let same = sent.map(Result::ok).eq(came.map(Result::ok));
    let _ = fs::remove_file(back);
    if same {
        Ok(())
    } else {
        {
            let path = sent_path.display().to_string();
            Err(Failure::Local { doing: Doing::Compare, path, why: Trouble::Different })
        }
    }
}

/// The columns that are left out first where a terminal is narrow: those that repeat another column in
/// another form, then those that differ least.
const DISPENSABLE: [usize; 5] = [7, 9, 1, 10, 3];

/// The rows for people, below these heads: as many columns as fit.
#[allow(clippy::indexing_slicing, reason = "all rows have the same twelve cells")]
fn table(rows: &[Row], heads: &str, columns: usize) -> String {
    let mut cells = vec![heads.split(' ').map(str::to_owned).collect::<Vec<_>>()];
    for row in rows {
        let share = row.framing * 1000 / (row.payload + row.framing).max(1);
        cells.push(vec![
            row.dialect.name().to_owned(),
            row.connections.to_string(),
            row.trips.to_string(),
            row.reads.to_string(),
            row.writes.to_string(),
            row.payload.to_string(),
            row.framing.to_string(),
            format!("{}.{}%", share / 10, share % 10),
            format!("{} ms", row.waited.as_millis()),
            format!("{:.3}", row.time.as_secs_f64()),
            format!("{}/s", readable(per_second(row.payload, row.time))),
            row.endings.join(","),
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

/// The rows for programs: one JSON array.
fn json(rows: &[Row]) -> String {
    let number = |name: &str, n: u64| (name.to_owned(), Value::number(n));
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let object = |row: &Row| {
        Value::Object(vec![
            ("dialect".to_owned(), Value::text(row.dialect.name())),
            number("connections", row.connections),
            number("round_trips", row.trips),
            number("reads", row.reads),
            number("writes", row.writes),
            number("payload_bytes", row.payload),
            number("framing_bytes", row.framing),
            number("waited_us", micros(row.waited)),
            number("time_us", micros(row.time)),
            (
                "message_ends".to_owned(),
                Value::Array(row.endings.iter().map(|end| Value::text(end)).collect()),
            ),
        ])
    };
    Value::Array(rows.iter().map(object).collect()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::Lang;

    #[test]
    fn a_narrow_terminal_gets_fewer_columns() {
        let row = |dialect| Row {
            dialect,
            connections: 1,
            trips: 10_000,
            reads: 10_000,
            writes: 10_000,
            payload: 2_000_000_000_000,
            framing: 10_000_000,
            waited: Duration::from_secs(9),
            time: Duration::from_secs(100),
            endings: vec!["size", "width", "word"],
        };
        let rows: Vec<_> = Dialect::ALL.into_iter().map(row).collect();
        for lang in [Lang::En, Lang::Id] {
            let heads = Msg::CompareHeads.say(lang);
            assert_eq!(heads.split(' ').count(), 12);
            let widest = |columns| {
                let text = table(&rows, &heads, columns);
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
