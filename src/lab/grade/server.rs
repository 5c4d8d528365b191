//! Plays the client's side of a conversation with a server. A connection is opened where one is needed. Its own words:
//!
//! | word | what it means |
//! |---|---|
//! | `enough` | the check is passed if half of its time is over: how fast a server is, is not what it is about |
//! | `list`, `list FOLDER` | asks for the list, of which the next six speak |
//! | `has NAME`, `has NAME : SIZE`, `has NAME : folder`, `lacks NAME` | it has this record, this file, this folder; it has nothing of this name |
//! | `counts`, `totals`, `sorted` | it announces as many entries as it has; its total is right; its order is |
//! | `no-more` | it has nothing that the list before has not |
//! | `differ` | the ids of all records differ |
//! | `made KIND NAME` | the name has `{name}` in it; in or beside the server's folder there is a `file`, `folder`, `link`, `linked-folder`, `outside`, `no-text` or `sparse SIZE` |
//! | `stored NAME = BYTES`, `clean NAME` | in the folder is this; beside it nothing of this name |
//! | `noted`, `unchanged` | the files in the folder are noted; a second later at most there are no others |
//! | `lap`, `prompt N` | the time since the last one is noted; most times are at most N ms longer than the shortest one |

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::conversation::{Check, Then, number_in};
use super::lists::List;
use super::peer::{Done, Peer};
use super::places::{Places, is_in};
use super::player::{Player, Stage, is_common, shown};
use super::prepared::{Prepared, files_in};
use super::record::Record;
use super::seen::{Fail, a_line, fail, same};
use crate::dialect::Dialect;
use crate::lab::lecture::trace::Side;
use crate::lang::{Msg, msg};

/// Whether this is a word of a conversation with a server. What is made, and taken away again, has a name of the
/// grader's own, also in a file of the user's: it is never one of the user's own files.
pub(super) fn is_known(word: &str, argument: &str) -> bool {
    let is_safe = match word {
        "made" | "clean" => argument.contains("{name") && !argument.contains(['/', '\\']),
        _ => true,
    };
    is_safe && (is_in(WORDS, word) || is_common(word))
}

const WORDS: &str = "enough list has lacks counts totals sorted no-more differ made stored clean noted unchanged lap prompt";

/// How long files of failed uploads may stay, and the time between two looks for them.
const LEFT: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(20);

/// One run of a check: where its connections, names and bytes come from.
pub(super) struct Trial {
    pub(super) record: Arc<Record>,
    pub(super) dialect: Dialect,
    pub(super) address: SocketAddr,
    /// What its conversations begin with.
    pub(super) places: Places,
    /// The server's folder, if the user has given it.
    pub(super) root: Option<PathBuf>,
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

impl Trial {
    /// Plays a check, as often as it may be tried. What is told is the first failure.
    pub(super) fn play(&mut self, check: &Check) -> Done {
        let outcome = self.perform(check).0;
        let mut is_right = outcome.is_ok();
        for _ in 1..check.times("tries") {
            is_right = is_right || !self.record.left().is_zero() && self.perform(check).0.is_ok();
        }
        if is_right { Ok(()) } else { outcome }
    }

    /// The same once, and the name that it has used.
    pub(super) fn perform(&mut self, check: &Check) -> (Done, String) {
        self.found = Found::default();
        self.places.random.next();
        let mut places = self.places.clone();
        let mut player = Player::new();
        let outcome = check
            .walk(&mut places, &mut |places, step| player.step(self, places, step))
            .and_then(|()| player.settle(self));
        self.found.peers = player.peers.into_values().flatten().collect();
        let name = places.fill("{name}").unwrap_or_default();
        (outcome, String::from_utf8(name).unwrap_or_default())
    }

    /// Removes the files of the grader that the server lists, each in this conversation; what remains, from its folder.
    pub(super) fn sweep(&mut self, remove: &Check) -> Done {
        let prefix = self.places.prefix.clone();
        let list = List::read(&mut self.connect()?, self.dialect, "")?;
        for (name, _) in list.entries.into_iter().filter(|(name, _)| name.contains(&prefix)) {
            self.places.known.insert("own".to_owned(), name.into_bytes());
            let _ = self.perform(remove);
        }
        let entries =
            self.root.iter().filter_map(|root| fs::read_dir(root).ok()).flatten().flatten();
        let is_own = |it: &fs::DirEntry| it.file_name().to_string_lossy().contains(&prefix);
        entries.filter(is_own).for_each(|it| drop(fs::remove_file(it.path())));
        Ok(())
    }

    /// A new connection.
    fn connect(&self) -> Done<Peer> {
        let time = self.record.left().max(Duration::from_millis(1));
        let error = match TcpStream::connect_timeout(&self.address, time) {
            Ok(stream) => return Ok(Peer::new(stream, &self.record)),
            Err(error) => error,
        };
        let is_refused = error.kind() != ErrorKind::TimedOut;
        let got = match is_refused {
            true => msg!("no connection: {error}", "tidak ada koneksi: {error}"),
            false => msg!(
                "no connection in time: the server does not accept, or its queue (`listen`) is full",
                "tidak ada koneksi: server tidak melakukan accept, atau antreannya (`listen`) penuh"
            ),
        };
        let failure = fail(vec![msg!("a connection", "koneksi")], got, self.record.opened());
        Err(Box::new(Fail { is_refused, gave_nothing: true, ..*failure }))
    }

    /// A failure of the whole check.
    pub(super) fn failed<T>(&self, expected: Msg, got: Msg) -> Done<T> {
        Err(fail(vec![expected], got, self.record.connections()))
    }
}

impl Stage for Trial {
    fn side(&self) -> Side {
        Side::Client
    }

    fn open(&mut self) -> Done<Option<Peer>> {
        self.connect().map(Some)
    }

    fn hear(&mut self, player: &mut Player, line: Vec<u8>) -> Done<Then> {
        player.send(self)?;
        player.expected.extend(line);
        Ok(Then::GoOn)
    }

    fn word(
        &mut self,
        player: &mut Player,
        places: &mut Places,
        word: &'static str,
        argument: &[u8],
    ) -> Done<Option<Then>> {
        match word {
            "enough" => {
                let half = (self.record.deadline - self.record.start) / 2;
                return Ok(Some(if self.record.left() < half { Then::Stop } else { Then::GoOn }));
            }
            "list" => {
                let (folder, dialect) = (shown(argument), self.dialect);
                let list = player.with(self, |p| List::read(p, dialect, &folder))?;
                self.found.before = std::mem::replace(&mut self.found.list, list);
            }
            "made" => {
                let made = self.make(places, &shown(argument));
                let Some(made) = made else { return Ok(Some(Then::Stop)) };
                self.found.made.push(made);
            }
            "stored" => self.stored(&shown(argument), &places.content)?,
            "noted" => self.found.noted = self.files(),
            "unchanged" => self.unchanged()?,
            "clean" => self.clean(&shown(argument))?,
            "differ" => {
                let is_twice = |(n, id)| places.ids.iter().skip(n + 1).any(|it| it == id);
                if let Some((_, id)) = places.ids.iter().enumerate().find(|it| is_twice(*it)) {
                    let expected = msg!("two different ids", "dua id yang berbeda");
                    return self.failed(expected, same(format!("\"id\":\"{id}\"")));
                }
            }
            "lap" => self.found.laps.push(Instant::now()),
            "prompt" => self.prompt(number_in(argument).unwrap_or(0))?,
            word if is_common(word) => return Ok(None),
            word => self.about_list(places, word, argument)?,
        }
        Ok(Some(Then::GoOn))
    }
}

impl Trial {
    /// A server that sends a reply in two writes waits 40 ms between them.
    fn prompt(&mut self, later: u64) -> Done {
        let laps = self.found.laps.iter().zip(self.found.laps.iter().skip(1));
        let mut times: Vec<_> = laps.map(|(a, b)| (*b - *a).as_millis()).collect();
        times.sort_unstable();
        let at = |n: usize| times.get(n).copied().unwrap_or(0);
        let (most, took) = (at(0) + u128::from(later), at(times.len() * 3 / 4));
        if took <= most {
            return Ok(());
        }
        self.failed(
            msg!("most replies within {most} ms", "kebanyakan jawaban dalam {most} ms"),
            msg!(
                "most took longer than {most} ms: {took} ms",
                "kebanyakan lebih dari {most} ms: {took} ms"
            ),
        )
    }

    fn about_list(&mut self, places: &Places, word: &str, argument: &[u8]) -> Done {
        let argument = shown(argument);
        let (name, size) = argument.rsplit_once(" : ").unwrap_or((&argument, ""));
        let found = self.found.list.entries.iter().find(|(listed, _)| listed == name);
        let record = places.records.get(name.as_bytes());
        let (expected, came) = match word {
            "has" => {
                let size = record.map_or(size.parse().ok(), |it| it.get("size")?.as_u64());
                let is_it = match record {
                    Some(record) => self.found.list.records.contains(record),
                    None => found.is_some_and(|(_, size_of)| *size_of == size),
                };
                if is_it {
                    return Ok(());
                }
                // The record of a file may differ in something else.
                let other = found.filter(|(_, size_of)| *size_of != size);
                let came = other.map(|(_, size_of)| listed(name, *size_of));
                (listed(name, size), came.unwrap_or_else(|| lacking(name)))
            }
            "lacks" => {
                let Some((name, size)) = found else { return Ok(()) };
                (lacking(name), listed(name, *size))
            }
            "no-more" => {
                let mut entries = self.found.list.entries.iter();
                let new = entries.find(|entry| !self.found.before.entries.contains(entry));
                let Some((name, size)) = new else { return Ok(()) };
                (lacking(name), listed(name, *size))
            }
            "counts" => {
                let (count, entries) =
                    (self.found.list.count.unwrap_or(0), self.found.list.entries.len());
                if count == entries {
                    return Ok(());
                }
                (a_line(&format!("ok {entries}")), a_line(&format!("ok {count}")))
            }
            "totals" => {
                let total = self.found.list.total.unwrap_or(0);
                let sum = self.found.list.entries.iter().filter_map(|(_, size)| *size).sum();
                if total == sum {
                    return Ok(());
                }
                (a_line(&format!("total {sum}")), a_line(&format!("total {total}")))
            }
            _ => {
                let pairs = self.found.list.entries.windows(2);
                let wrong = { pairs }.find(|pair| matches!(pair, [a, b] if a.0 > b.0));
                let Some([(first, _), (second, _)]) = wrong else { return Ok(()) };
                let order = |first: &str, second: &str| {
                    msg!("{first} before {second}", "{first} sebelum {second}")
                };
                (order(second, first), order(first, second))
            }
        };
        self.failed(expected, came)
    }

    /// Puts something there. `None`: that is not possible here.
    fn make(&mut self, places: &mut Places, argument: &str) -> Option<Prepared> {
        let (kind, name) = argument.split_once(' ')?;
        let root = self.root.clone()?;
        let (size, name) = if kind == "sparse" { name.split_once(' ')? } else { ("0", name) };
        let path = root.parent()?.join(name);
        // A path that is not UTF-8 cannot be asked for in every dialect.
        places.known.insert("outside".to_owned(), path.to_str()?.as_bytes().to_vec());
        Prepared::new(kind, size.parse().ok()?, &root, name).ok()
    }

    fn stored(&mut self, name: &str, bytes: &[u8]) -> Done {
        let Some(root) = self.root.clone() else { return Ok(()) };
        match fs::read(root.join(name)) {
            Ok(found) if found == bytes => Ok(()),
            _ => self.failed(
                msg!(
                    "the same bytes in the file {name} in the folder",
                    "byte yang sama di file {name} di folder itu"
                ),
                msg!("no such file, or another", "tidak ada, atau isinya lain"),
            ),
        }
    }

    fn files(&self) -> BTreeSet<PathBuf> {
        self.root.as_deref().map(files_in).unwrap_or_default()
    }

    /// A server may need a moment to notice that a client has gone.
    fn unchanged(&mut self) -> Done {
        let until = Instant::now() + LEFT;
        loop {
            let files = self.files();
            let Some(path) = files.difference(&self.found.noted).next() else { return Ok(()) };
            if Instant::now() >= until {
                let name =
                    path.file_name().map_or_else(Default::default, |it| it.to_string_lossy());
                return self.failed(
                    msg!("no new file in the folder", "tidak ada file baru di folder"),
                    msg!("the file {name} in the folder", "file {name} di folder itu"),
                );
            }
            sleep(LOOK);
        }
    }

    fn clean(&mut self, name: &str) -> Done {
        let path = self.root.as_ref().and_then(|root| Some(root.parent()?.join(name)));
        match path.filter(|path: &PathBuf| path.exists()) {
            Some(path) => {
                let _ = fs::remove_file(path);
                self.failed(
                    msg!("no file outside the folder", "tidak ada file di luar folder"),
                    msg!("the file {name} beside the folder", "file {name} di luar folder itu"),
                )
            }
            None => Ok(()),
        }
    }
}

/// An entry of a list.
fn listed(name: &str, size: Option<u64>) -> Msg {
    let about = size.map_or_else(|| "dir -".to_owned(), |size| format!("file {size}"));
    msg!("a list with: {about} {name}", "daftar berisi: {about} {name}")
}

fn lacking(name: &str) -> Msg {
    msg!("a list without {name}", "daftar tanpa {name}")
}
