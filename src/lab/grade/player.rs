//! Plays the client's side of a conversation with a server. A connection is opened where one is needed. The words:
//!
//! | word | what it means |
//! |---|---|
//! | `open`, `open N` | another connection in place of this one; one that is called N |
//! | `on N` | the connection that is called N; the first is `1` |
//! | `close`, `reset`, `half-close` | the connection is left, broken, ended in our direction |
//! | `slice N`, `slice off` | what is sent has pieces of N bytes from here on |
//! | `apart`, `sleep N` | waits until the server has most probably read; waits N ms |
//! | `gap N`, `silence` | waits N ms that end no word; waits as long as ends one |
//! | `quiet N`, `paused` | nothing comes for N ms; the server waits before it sends on |
//! | `any N`, `rest`, `drain` | N bytes, whatever they are; all up to the close; all there is |
//! | `end`, `ends` | nothing more comes and the server closes; it may also reset |
//! | `if TEXT`, `unless TEXT` | what follows up to `done` is for a server that sends this now; something else |
//! | `silent N` | what follows up to `done` is for a server that sends nothing for N ms |
//! | `busy TEXT` | from here on a connection on which this comes is left alone |
//! | `stop` | the check is passed |
//! | `enough` | the check is passed if half of its time is over: how fast a server is, is not what it is about |
//! | `list`, `list FOLDER` | asks for the list, of which the next five speak |
//! | `has NAME`, `has NAME : SIZE`, `lacks NAME` | it has this file, or this record; it does not |
//! | `counts`, `counts N` | it announces as many entries as it has; it has N |
//! | `totals`, `totals N`, `sorted` | its total is right; at least N; its order is |
//! | `differ` | the ids of all records differ |
//! | `made KIND NAME` | the name has `{name}` in it; in or beside the server's folder there is a `file`, `folder`, `link`, `linked-folder`, `outside` or `sparse SIZE` |
//! | `stored NAME = BYTES`, `clean NAME` | in the folder is this; beside it nothing of this name |
//! | `noted`, `unchanged` | the files in the folder are noted; soon there are no others |
//! | `flood N` | N MiB are sent |
//! | `lap`, `prompt N` | the time since the last one is noted; most times are at most N ms longer than the shortest one |

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::conversation::{Check, Step, Then, divided, is_in, number_in};
use super::lists::List;
use super::peer::{self, Done, Peer, Trial};
use super::places::{Hole, Places};
use super::prepared::{Prepared, files_in};
use super::seen::{a_line, same};
use crate::dialect::Dialect;
use crate::lang::{Msg, msg};

/// Whether this is a word of a conversation with a server. What is made, and taken away again, has a name of the
/// grader's own, also in a file of the user's: it never is a file of his.
pub(super) fn is_known(word: &str, argument: &str) -> bool {
    let is_safe = match word {
        "made" | "clean" => argument.contains("{name") && !argument.contains(['/', '\\']),
        _ => true,
    };
    is_safe && (is_in(WORDS, word) || is_in(peer::WORDS, word))
}

const WORDS: &str = "open on close reset slice sleep gap silence if unless silent busy stop enough list has lacks \
    counts totals sorted differ made stored clean noted unchanged lap prompt";

/// How often a conversation is begun again in which a gap was too long because this machine is busy.
const BEGINNINGS: usize = 5;

/// The longest gap that ends no word.
const GAP: Duration = Duration::from_millis(if cfg!(windows) { 300 } else { 70 });

/// Longer than the silence that ends a word.
const SILENCE: Duration = Duration::from_millis(if cfg!(windows) { 800 } else { 160 });

/// How long files of failed uploads may stay, and how often it is looked for them.
const LEFT: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(20);

/// Plays it.
pub(super) fn play(t: &mut Trial, check: &Check, dialect: Dialect) -> Done {
    let tries = check.set("tries").and_then(|it| it.parse().ok()).unwrap_or(1);
    let mut outcome = Ok(());
    for _ in 0..tries {
        outcome = perform(t, check, dialect).0;
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// The same once, and the name that it has used.
pub(super) fn perform(t: &mut Trial, check: &Check, dialect: Dialect) -> (Done, String) {
    let mut places = t.places();
    for _ in 0..BEGINNINGS {
        places = t.places();
        let mut player = Player::new(t, dialect);
        let outcome = check
            .walk(&mut places, &mut |places, step| player.step(places, step))
            .and_then(|()| player.settle());
        let is_late = player.is_late;
        // What a server takes for a connection is seen while there is one.
        let peers = std::mem::take(&mut player.peers);
        drop(player);
        if check.is("watched") {
            t.kept = peers.into_values().flatten().collect();
        }
        if places.is_named {
            t.is_named();
        }
        if !is_late {
            return (outcome, name_of(&mut places));
        }
    }
    (Ok(()), name_of(&mut places))
}

fn name_of(places: &mut Places) -> String {
    String::from_utf8(places.fill("{name}").unwrap_or_default()).unwrap_or_default()
}

struct Player<'t> {
    trial: &'t mut Trial,
    dialect: Dialect,
    /// The connections, by what they are called. `None`: it is left alone.
    peers: BTreeMap<Vec<u8>, Option<Peer>>,
    on: Vec<u8>,
    /// How many bytes are sent at once.
    slice: Option<usize>,
    /// What is to be sent in one write.
    said: Vec<u8>,
    /// What has to come, in one comparison.
    expected: Vec<u8>,
    list: List,
    made: Vec<Prepared>,
    /// The files in the server's folder.
    noted: BTreeSet<PathBuf>,
    laps: Vec<Duration>,
    lap: Instant,
    sent: Instant,
    /// A gap has begun.
    in_gap: bool,
    /// It was too long, and the conversation says nothing.
    is_late: bool,
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Player<'_> {
    fn new(trial: &mut Trial, dialect: Dialect) -> Player<'_> {
        Player {
            trial,
            dialect,
            peers: BTreeMap::new(),
            on: b"1".to_vec(),
            slice: None,
            said: Vec::new(),
            expected: Vec::new(),
            list: List::default(),
            made: Vec::new(),
            noted: BTreeSet::new(),
            laps: Vec::new(),
            lap: Instant::now(),
            sent: Instant::now(),
            in_gap: false,
            is_late: false,
        }
    }

    fn step(&mut self, places: &mut Places, step: Step) -> Done<Then> {
        match step {
            Step::ClientLine(line) => {
                self.compare()?;
                self.said.extend(line);
                self.said.push(b'\n');
            }
            Step::ClientBytes(bytes) => {
                self.compare()?;
                self.said.extend(bytes);
            }
            Step::Server(line) => {
                self.send()?;
                self.expected.extend(line);
            }
            Step::ServerBytes(bytes) => {
                self.settle()?;
                self.with(|p| p.expect(bytes))?;
            }
            Step::Open(before, hole, after) => {
                self.settle()?;
                self.with(|p| open(p, places, &before, &hole, &after))?;
            }
            Step::Word(word, argument) => {
                self.settle()?;
                if self.is_late {
                    return Ok(Then::Stop);
                }
                return self.word(places, word, &argument);
            }
        }
        Ok(Then::GoOn)
    }

    /// Sends and compares what waits for that.
    fn settle(&mut self) -> Done {
        self.send()?;
        self.compare()
    }

    fn send(&mut self) -> Done {
        let said = std::mem::take(&mut self.said);
        if said.is_empty() {
            return Ok(());
        }
        let slice = self.slice;
        let longest = self.with(|p| {
            (p.slice, p.longest) = (slice, Duration::ZERO);
            Ok(p.send(said).longest)
        })?;
        // In these a silence ends a word.
        let has_silences = matches!(self.dialect, Dialect::Filesaver | Dialect::Count);
        self.is_late |= has_silences && longest > GAP;
        self.is_late |= std::mem::take(&mut self.in_gap) && self.sent.elapsed() > GAP;
        self.sent = Instant::now();
        Ok(())
    }

    fn compare(&mut self) -> Done {
        let expected = std::mem::take(&mut self.expected);
        if expected.is_empty() { Ok(()) } else { self.with(|p| p.expect(expected)) }
    }

    /// Does something on the connection, unless it is left alone.
    fn with<T: Default>(&mut self, what: impl FnOnce(&mut Peer) -> Done<T>) -> Done<T> {
        if !self.peers.contains_key(&self.on) {
            self.peers.insert(self.on.clone(), Some(self.trial.open()?));
        }
        match self.peers.get_mut(&self.on) {
            Some(Some(peer)) => what(peer),
            _ => Ok(T::default()),
        }
    }

    fn word(&mut self, places: &mut Places, word: &str, argument: &[u8]) -> Done<Then> {
        let number = number_in(argument);
        let time = number.unwrap_or(0) as u64;
        match word {
            "open" => {
                if !argument.is_empty() {
                    self.on = argument.to_vec();
                }
                self.peers.remove(&self.on);
                self.with(|_| Ok(()))?;
            }
            "on" => self.on = argument.to_vec(),
            "close" => drop(self.peers.remove(&self.on)),
            "reset" => {
                if let Some(Some(peer)) = self.peers.remove(&self.on) {
                    peer.reset();
                }
            }
            "slice" => self.slice = number,
            "sleep" => sleep(Duration::from_millis(time)),
            "silence" => sleep(SILENCE),
            "gap" => {
                sleep(Duration::from_millis(time));
                self.in_gap = true;
            }
            "if" | "unless" => {
                let comes = self.with(|p| p.begins(&shown(argument)))?;
                return Ok(if comes == (word == "if") { Then::GoOn } else { Then::LeaveOut });
            }
            "silent" => {
                let is_silent = self.with(|p| Ok(p.is_quiet(time).is_ok()))?;
                return Ok(if is_silent { Then::GoOn } else { Then::LeaveOut });
            }
            "busy" => {
                if self.with(|p| p.begins(&shown(argument)))? {
                    self.peers.insert(self.on.clone(), None);
                }
            }
            "send" => {}
            "stop" => return Ok(Then::Stop),
            "enough" if self.trial.is_half_over() => return Ok(Then::Stop),
            "enough" => {}
            "list" => {
                let (folder, dialect) = (shown(argument), self.dialect);
                self.list = self.with(|p| List::read(p, dialect, &folder))?;
            }
            "made" => {
                let Some(made) = self.make(places, &shown(argument)) else { return Ok(Then::Stop) };
                self.made.push(made);
            }
            "stored" => self.stored(argument)?,
            "noted" => self.noted = self.files(),
            "unchanged" => self.unchanged()?,
            "clean" => self.clean(&shown(argument))?,
            "differ" => {
                let is_twice = |(n, id)| places.ids.iter().skip(n + 1).any(|it| it == id);
                if let Some((_, id)) = places.ids.iter().enumerate().find(|it| is_twice(*it)) {
                    let expected = msg!("two different ids", "dua id yang berbeda");
                    return self.trial.failed(expected, same(format!("\"id\":\"{id}\"")));
                }
            }
            "lap" => self.laps.push(std::mem::replace(&mut self.lap, Instant::now()).elapsed()),
            "prompt" => self.prompt(time)?,
            word if is_in(peer::WORDS, word) => self.with(|p| p.obey(word, argument))?,
            word => self.about_list(places, word, argument)?,
        }
        Ok(Then::GoOn)
    }

    /// A server that sends a reply in two writes waits 40 ms between them.
    fn prompt(&mut self, later: u64) -> Done {
        self.laps.sort_unstable();
        let at = |n: usize| self.laps.get(n).map_or(0, Duration::as_millis);
        let (most, took) = (at(0) + u128::from(later), at(self.laps.len() * 3 / 4));
        if took <= most {
            return Ok(());
        }
        self.trial.failed(
            msg!("most replies within {most} ms", "kebanyakan jawaban dalam {most} ms"),
            msg!(
                "most took longer than {most} ms: {took} ms",
                "kebanyakan lebih dari {most} ms: {took} ms"
            ),
        )
    }

    fn about_list(&mut self, places: &Places, word: &str, argument: &[u8]) -> Done {
        let number = number_in(argument);
        let argument = shown(argument);
        let (name, size) = argument.rsplit_once(" : ").unwrap_or((&argument, ""));
        let found = self.list.entries.iter().find(|(listed, _)| listed == name);
        let record = places.records.get(name.as_bytes());
        let (expected, came) = match word {
            "has" => {
                let is_it = match record {
                    Some(record) => self.list.records.contains(record),
                    None => found.is_some_and(|(_, size_of)| *size_of == size.parse().ok()),
                };
                if is_it {
                    return Ok(());
                }
                let size_of = found.and_then(|(_, size)| *size);
                let came = size_of.map(|size| listed(name, size));
                let size = record.and_then(|it| it.get("size")?.as_u64()).or(size.parse().ok());
                let expected = listed(name, size.unwrap_or(0));
                let came = came.filter(|came| *came != expected);
                let came =
                    came.unwrap_or_else(|| msg!("a list without it", "daftar tanpa file itu"));
                (expected, came)
            }
            "lacks" => {
                let Some((name, size)) = found else { return Ok(()) };
                let expected = msg!("a list without {name}", "daftar tanpa {name}");
                (expected, listed(name, size.unwrap_or(0)))
            }
            "counts" => {
                let (count, entries) = (self.list.count, self.list.entries.len());
                let expected = number.unwrap_or(entries);
                let is_announced = number.is_some() || count == Some(expected);
                if is_announced && entries == expected {
                    return Ok(());
                }
                let came = if is_announced { entries } else { count.unwrap_or(0) };
                (a_line(&format!("ok {expected}")), a_line(&format!("ok {came}")))
            }
            "totals" => {
                let total = self.list.total.unwrap_or(0);
                let sum = self.list.entries.iter().filter_map(|(_, size)| *size).sum();
                if number.map_or(total == sum, |least| total >= least as u64) {
                    return Ok(());
                }
                (a_line(&format!("total {sum}")), a_line(&format!("total {total}")))
            }
            _ => {
                let pairs = self.list.entries.windows(2);
                let wrong = { pairs }.find(|pair| matches!(pair, [a, b] if a.0 > b.0));
                let Some([(first, _), (second, _)]) = wrong else { return Ok(()) };
                let order = |first: &str, second: &str| {
                    msg!("{first} before {second}", "{first} sebelum {second}")
                };
                (order(second, first), order(first, second))
            }
        };
        self.trial.failed(expected, came)
    }

    /// Puts something there. `None`: that is not possible here.
    fn make(&mut self, places: &mut Places, argument: &str) -> Option<Prepared> {
        let (kind, name) = argument.split_once(' ')?;
        let root = self.trial.root.clone()?;
        let (size, name) = if kind == "sparse" { name.split_once(' ')? } else { ("0", name) };
        let path = root.parent()?.join(name);
        // A path that is not UTF-8 cannot be asked for in every dialect.
        places.known.insert("outside".to_owned(), path.to_str()?.as_bytes().to_vec());
        Prepared::new(kind, size.parse().ok()?, &root, name).ok()
    }

    fn stored(&mut self, argument: &[u8]) -> Done {
        let Some(root) = self.trial.root.clone() else { return Ok(()) };
        let (name, bytes) = divided(argument);
        match fs::read(root.join(&name)) {
            Ok(found) if found == bytes => Ok(()),
            _ => self.trial.failed(
                msg!(
                    "the same bytes in the file {name} in the folder",
                    "byte yang sama di file {name} di folder itu"
                ),
                msg!("no such file, or another", "tidak ada, atau isinya lain"),
            ),
        }
    }

    fn files(&self) -> BTreeSet<PathBuf> {
        self.trial.root.as_deref().map(files_in).unwrap_or_default()
    }

    /// A server may need a moment to notice that a client has gone.
    fn unchanged(&mut self) -> Done {
        let until = Instant::now() + LEFT;
        loop {
            let files = self.files();
            let Some(path) = files.difference(&self.noted).next() else { return Ok(()) };
            if Instant::now() >= until {
                let name =
                    path.file_name().map_or_else(Default::default, |it| it.to_string_lossy());
                return self.trial.failed(
                    msg!("no new file in the folder", "tidak ada file baru di folder"),
                    msg!("the file {name} in the folder", "file {name} di folder itu"),
                );
            }
            sleep(LOOK);
        }
    }

    fn clean(&mut self, name: &str) -> Done {
        let path = self.trial.root.as_ref().and_then(|root| Some(root.parent()?.join(name)));
        match path.filter(|path: &PathBuf| path.exists()) {
            Some(path) => {
                let _ = fs::remove_file(path);
                self.trial.failed(
                    msg!("no file outside the folder", "tidak ada file di luar folder"),
                    msg!("the file {name} beside the folder", "file {name} di luar folder itu"),
                )
            }
            None => Ok(()),
        }
    }
}

fn listed(name: &str, size: u64) -> Msg {
    msg!("a list with {name} and {size} bytes", "daftar berisi {name} dengan {size} byte")
}

/// A line, or four bytes, of which a part may be anything of a kind.
fn open(p: &mut Peer, places: &mut Places, before: &[u8], hole: &Hole, after: &[u8]) -> Done {
    if *hole == Hole::Seconds {
        p.expect(before)?;
        let bytes = p.take(4)?;
        let seconds = <[u8; 4]>::try_from(bytes.as_slice()).map_or(f32::NAN, f32::from_le_bytes);
        if (0.0..3600.0).contains(&seconds) {
            return p.expect(after);
        }
        p.unread(&bytes);
        return p.failed(vec![msg!("a time in seconds, as 4 bytes", "waktu dalam detik, 4 byte")]);
    }
    let (before, after) = (shown(before), shown(after));
    let end = after.strip_suffix('\n').unwrap_or(&after);
    let cr = end.replace('\r', " CR");
    let form = |middle: String| format!("{before}{middle}{cr}");
    let forms: Vec<_> = places.forms(hole).into_iter().map(form).collect();
    let line = p.line(&forms.join(" / "))?;
    let said = std::str::from_utf8(&line)
        .ok()
        .and_then(|line| line.strip_suffix('\n')?.strip_prefix(&before)?.strip_suffix(end));
    if said.and_then(|said| places.note(hole, said)).is_some() {
        return Ok(());
    }
    p.unread(&line);
    p.failed(forms.iter().map(|form| a_line(form)).collect())
}
