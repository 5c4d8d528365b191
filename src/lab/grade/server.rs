//! Plays the client's side of a conversation with a server. A connection is opened where one is needed. Its own words:
//!
//! | word | what it means |
//! |---|---|
//! | `enough` | the check is passed if half of its time is over: how fast a server is, is not what it is about |
//! | `list`, `list FOLDER` | asks for the list, of which the next seven speak |
//! | `has NAME`, `has NAME : SIZE`, `has NAME : folder`, `lacks NAME` | it has this record, this file, this folder; it has nothing of this name |
//! | `counts`, `totals`, `sorted` | it announces as many entries as it has; its total is right; its order is |
//! | `whole` | if it is read 16 bytes at a time, the last read brings more than its LF |
//! | `no-more` | it has nothing that the list before has not |
//! | `differ` | the ids of all records differ |
//! | `made KIND NAME` | the name has `{name}` in it; in or beside the server's folder there is a `file`, `folder`, `folder-with-a-file`, `link`, `linked-folder`, `outside`, `no-text`, `sparse SIZE` or `twin OTHER`, which is another name of that file |
//! | `stored NAME = BYTES`, `clean NAME` | in the folder is this; beside it nothing of this name |
//! | `noted`, `unchanged`, `unchanged visible` | the files in the folder are noted; a second later at most there are no others; none that is visible |
//! | `lap`, `prompt N` | the time since the last one is noted; most times are at most N ms longer than the shortest one |

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::conversation::{Check, Then, Word, number_in};
use super::peer::{Done, Peer};
use super::places::Places;
use super::player::{Player, Stage, shown};
use super::prepared::{Prepared, files_in};
use super::seen::{Fail, Record, a_line, came, expected, fail, same};
use super::{NOT_HERE, Run};
use crate::dialect::json_value::Value;
use crate::dialect::{Dialect, digits};
use crate::lab::lecture::trace::Side;
use crate::lab::process::soon;
use crate::lang::{Msg, printable};

/// The words of a conversation with a server.
pub(super) const WORDS: &str = "enough list has lacks counts totals sorted whole no-more differ made stored clean noted unchanged lap prompt";

/// The longest name in a list of `struct`.
const NAME: usize = 4096;

/// How long files of failed uploads may stay.
const LEFT: Duration = Duration::from_secs(1);

/// One run of a check: where its connections, names and bytes come from.
pub(super) struct Trial<'r> {
    pub(super) run: &'r Run,
    pub(super) record: Arc<Record>,
    /// What its conversations begin with.
    pub(super) places: Places,
    pub(super) found: Found,
}

/// What a conversation has put in place and found out.
#[derive(Default)]
pub(super) struct Found {
    /// Its connections. What a server takes for them is seen while they are there.
    peers: Vec<Peer>,
    list: List,
    /// The list before it.
    before: List,
    made: Vec<Prepared>,
    /// The files in the server's folder.
    noted: BTreeSet<PathBuf>,
    laps: Vec<Instant>,
}

impl Trial<'_> {
    /// Plays a check, as often as it may be tried. What is told is the first failure.
    pub(super) fn play(&mut self, check: &Check) -> Done {
        let outcome = self.perform(check);
        let mut more = 1..check.number("tries").unwrap_or(1);
        let is_right = |_| !self.record.left().is_zero() && self.perform(check).is_ok();
        if outcome.is_ok() || more.any(is_right) { Ok(()) } else { outcome }
    }

    /// The same once.
    pub(super) fn perform(&mut self, check: &Check) -> Done {
        self.found = Found::default();
        self.places.random.next();
        let mut places = self.places.clone();
        let mut player = Player::new(Side::Client, None);
        let outcome = player.play(self, check, &mut places);
        self.found.peers = player.peers.into_values().collect();
        outcome
    }

    /// Removes the files of the grader that the server lists; what remains, from its folder.
    pub(super) fn sweep(&mut self) -> Done {
        let (remove, prefix) = (self.run.ours.of_lines("remove {own}"), self.places.prefix.clone());
        let is_own = |name: &str| name.contains(&prefix);
        let list = List::read(&mut self.connect()?, self.run.options.dialect, "")?;
        for (name, _) in list.entries.into_iter().filter(|(name, _)| is_own(name)) {
            self.places.known.insert("own".to_owned(), name.into_bytes());
            let _ = self.perform(&remove);
        }
        for path in self.files() {
            if path.file_name().is_some_and(|name| is_own(&name.to_string_lossy())) {
                let _ = fs::remove_file(path);
            }
        }
        Ok(())
    }

    /// A new connection.
    fn connect(&self) -> Done<Peer> {
        let time = self.record.left().max(Duration::from_millis(1));
        let stream = TcpStream::connect_timeout(&self.run.address, time).map_err(|error| {
            let (came, gone) = match error.kind() {
                ErrorKind::TimedOut => (came("no-accept", &[]), None),
                _ => (came("no-connection", &[&error]), Some("refused")),
            };
            let failure = fail(expected("connection", &[]), came, self.record.opened());
            Box::new(Fail { gone, gave_nothing: true, ..*failure })
        })?;
        Ok(Peer::new(stream, &self.record))
    }

    /// What the whole check must be like.
    pub(super) fn must(&self, is_right: bool, expected: Msg, came: Msg) -> Done {
        match is_right {
            true => Ok(()),
            false => Err(fail(expected, came, self.record.state().connections)),
        }
    }
}

impl Stage for Trial<'_> {
    fn open(&mut self) -> Done<Option<Peer>> {
        self.connect().map(Some)
    }

    fn word(&mut self, player: &mut Player, places: &mut Places, of: Word<'_>) -> Done<Then> {
        let (word, argument) = of;
        match word {
            "enough" => {
                let half = (self.record.deadline - self.record.start) / 2;
                return Ok(if self.record.left() < half { Then::Stop } else { Then::GoOn });
            }
            "list" => {
                let (folder, dialect) = (shown(argument), self.run.options.dialect);
                let list = player.with(self, |p| List::read(p, dialect, &folder))?;
                self.found.before = std::mem::replace(&mut self.found.list, list);
            }
            "made" => {
                let root = self.run.options.flags.root.as_deref();
                let made = root.and_then(|root| Prepared::new(&shown(argument), root));
                // A path that is not UTF-8 cannot be asked for in every dialect.
                let path = made.as_ref().and_then(|it| Some(it.outside.to_str()?.to_owned()));
                let Some(path) = path else {
                    return Err(Box::new(Fail { verdict: NOT_HERE, ..Fail::default() }));
                };
                places.known.insert("outside".to_owned(), path.into_bytes());
                self.found.made.extend(made);
            }
            "noted" => self.found.noted = self.files(),
            "stored" | "unchanged" | "clean" => {
                self.in_folder(word, &shown(argument), &places.content)?;
            }
            "differ" => {
                let ids: BTreeSet<_> = places.ids.iter().collect();
                let came = same(format!("{:?}", places.ids));
                self.must(ids.len() == places.ids.len(), expected("differ", &[]), came)?;
            }
            "lap" => self.found.laps.push(Instant::now()),
            "prompt" => self.prompt(number_in(argument).unwrap_or(0))?,
            word => self.about_list(places, word, &shown(argument))?,
        }
        Ok(Then::GoOn)
    }
}

impl Trial<'_> {
    /// A server that sends a reply in two writes waits 40 ms between them.
    fn prompt(&mut self, later: u128) -> Done {
        let laps = self.found.laps.iter().zip(self.found.laps.iter().skip(1));
        let mut times: Vec<_> = laps.map(|(a, b)| (*b - *a).as_millis()).collect();
        times.sort_unstable();
        let at = |n: usize| times.get(n).copied().unwrap_or(0);
        let (most, took) = (at(0) + later, at(times.len() * 3 / 4));
        self.must(took <= most, expected("prompt", &[&most]), came("late", &[&most, &took]))
    }

    fn about_list(&self, places: &Places, word: &str, argument: &str) -> Done {
        let Found { list, before, .. } = &self.found;
        let entries = &list.entries;
        let safe = |name: &str| printable(name.as_bytes());
        let listed = |entry: Option<&Entry>, name: &str| match entry {
            Some((name, Some(size))) => came("entry", &[&format!("file {size} {}", safe(name))]),
            Some((name, None)) => came("entry", &[&format!("dir - {}", safe(name))]),
            None => came("no-entry", &[&safe(name)]),
        };
        let (name, size) = argument.rsplit_once(" : ").unwrap_or((argument, ""));
        let found = entries.iter().find(|(listed, _)| listed == name);
        match word {
            "has" => {
                let record = places.records.get(name.as_bytes());
                let size = record.map_or(size.parse().ok(), |it| it.get("size")?.as_u64());
                let entry = (name.to_owned(), size);
                let has_it = match record {
                    Some(record) => list.records.contains(record),
                    None => found == Some(&entry),
                };
                // The record of a file may differ in something else.
                let other = found.filter(|it| **it != entry);
                self.must(has_it, listed(Some(&entry), name), listed(other, name))
            }
            "lacks" => self.must(found.is_none(), listed(None, name), listed(found, name)),
            "no-more" => {
                let new = entries.iter().find(|entry| !before.entries.contains(entry));
                let name = new.map_or("", |(name, _)| name);
                self.must(new.is_none(), listed(None, name), listed(new, name))
            }
            "whole" => self.must(list.length % 16 != 1, expected(word, &[]), came("lf-alone", &[])),
            "counts" => self.announces("ok", list.count, entries.len() as u64),
            "totals" => {
                let sizes = entries.iter().filter_map(|(_, size)| *size);
                self.announces("total", list.total, sizes.sum())
            }
            _ => {
                let wrong = entries.windows(2).find(|pair| !pair.is_sorted_by_key(|it| &it.0));
                let Some([(first, _), (second, _)]) = wrong else { return Ok(()) };
                let (first, second) = (&safe(first), &safe(second));
                self.must(false, came("order", &[second, first]), came("order", &[first, second]))
            }
        }
    }

    fn announces(&self, word: &str, number: Option<u64>, right: u64) -> Done {
        let (number, line) = (number.unwrap_or(0), |number| a_line(&format!("{word} {number}")));
        self.must(number == right, line(right), line(number))
    }

    fn files(&self) -> BTreeSet<PathBuf> {
        self.run.options.flags.root.as_deref().map(files_in).unwrap_or_default()
    }

    /// What is to be so in the folder, or beside it.
    fn in_folder(&self, word: &str, name: &str, bytes: &[u8]) -> Done {
        let Some(root) = &self.run.options.flags.root else { return Ok(()) };
        match word {
            "stored" => {
                let is_it = fs::read(root.join(name)).is_ok_and(|found| found == bytes);
                self.must(is_it, expected(word, &[&name]), came("another-file", &[]))
            }
            "clean" => {
                let beside = root.with_file_name(name);
                let is_clean = !beside.exists();
                let _ = fs::remove_file(beside);
                self.must(is_clean, expected(word, &[]), came("file-beside", &[&name]))
            }
            _ => {
                let is_hidden = |path: &PathBuf| {
                    let mut parts = path.strip_prefix(root).into_iter().flatten();
                    parts.any(|part| part.as_encoded_bytes().starts_with(b"."))
                };
                let counts = |path: &&PathBuf| name != "visible" || !is_hidden(path);
                let new = || self.files().difference(&self.found.noted).find(counts).cloned();
                // A server may need a moment to notice that a client has gone.
                let _ = soon(LEFT, || new().is_none());
                let Some(new) = new() else { return Ok(()) };
                let name = new.file_name().unwrap_or_default().to_string_lossy();
                self.must(false, expected(word, &[]), came("new-file", &[&name]))
            }
        }
    }
}

/// A name, and the size of a file. A folder has none.
type Entry = (String, Option<u64>);

/// What a server says that it has.
#[derive(Default)]
struct List {
    /// How many entries it announces.
    count: Option<u64>,
    entries: Vec<Entry>,
    /// The sum of the sizes that it tells.
    total: Option<u64>,
    /// The records of `json`.
    records: Vec<Value>,
    /// How many bytes all of that has, in `json`.
    length: usize,
}

impl List {
    /// Asks for the list of a folder; without a name, for that of the server's.
    fn read(p: &mut Peer, dialect: Dialect, folder: &str) -> Done<List> {
        match dialect {
            Dialect::Text => text_list(p.send(format!("ls {folder}").trim_end().to_owned() + "\n")),
            Dialect::Struct => struct_list(p),
            Dialect::Json => json_list(p),
            Dialect::Filesaver | Dialect::Count => Ok(List::default()),
        }
    }
}

/// The name in a line of a list of `text`, and the size of a file.
fn entry(line: &str) -> Option<Entry> {
    if let Some(name) = line.strip_prefix("dir - ") {
        return Some((name.to_owned(), None));
    }
    let (size, name) = line.strip_prefix("file ")?.split_once(' ')?;
    Some((name.to_owned(), Some(digits(size.as_bytes())?)))
}

/// Up to its `total`: whether the count is right is a check of its own.
fn text_list(p: &mut Peer) -> Done<List> {
    let count = p.line_as("ok COUNT", |line| digits(line.strip_prefix("ok ")?.as_bytes()))?;
    let mut list = List { count: Some(count), ..List::default() };
    while list.total.is_none() {
        p.line_as("file SIZE NAME / dir - NAME / total BYTES", |line| {
            match line.strip_prefix("total ") {
                Some(total) => list.total = Some(digits(total.as_bytes())?),
                None => list.entries.push(entry(line)?),
            }
            Some(())
        })?;
    }
    Ok(list)
}

fn struct_list(p: &mut Peer) -> Done<List> {
    let int =
        |p: &mut Peer| -> Done<i32> { Ok(p.take(4)?.try_into().map_or(-1, i32::from_le_bytes)) };
    p.send("ls");
    let (mut list, mut sum) = (List::default(), 0_i64);
    for _ in 0..int(p)? {
        let length = usize::try_from(int(p)?).unwrap_or(0).min(NAME);
        let name = String::from_utf8_lossy(&p.take(length)?).into_owned();
        let size = int(p)?;
        sum += i64::from(size);
        list.entries.push((name, u64::try_from(size).ok()));
        p.send("1");
    }
    p.expect(i32::try_from(sum).unwrap_or(-1).to_le_bytes())?;
    Ok(list)
}

fn json_list(p: &mut Peer) -> Done<List> {
    p.send("{\"aksi\":\"list\"}\n");
    let (records, length) =
        p.line_as("[…] CR", |line| match Value::parse(line.strip_suffix('\r')?.as_bytes())? {
            Value::Array(records) => Some((records, line.len() + 1)),
            _ => None,
        })?;
    p.closes(false)?;
    let entry = |record: &Value| {
        let name = record.get("nama_file")?.as_text()?;
        Some((name.to_owned(), record.get("size").and_then(Value::as_u64)))
    };
    let entries = records.iter().filter_map(entry).collect();
    Ok(List { entries, records, length, ..List::default() })
}
