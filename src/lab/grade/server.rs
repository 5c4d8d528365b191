//! Plays the client's side of a conversation with a server. A connection is opened where one is needed. Its own words:
//!
//! | word | what it means |
//! |---|---|
//! | `enough` | the check is passed if half of its time is over: how fast a server is, is not what it is about |
//! | `list`, `list FOLDER` | asks for the list, of which the next five speak |
//! | `has NAME`, `has NAME : SIZE`, `has NAME : folder`, `lacks NAME` | it has this record, this file, this folder; it has nothing of this name |
//! | `counts`, `totals`, `sorted` | it announces as many entries as it has; its total is right; its order is |
//! | `differ` | the ids of all records differ |
//! | `made KIND NAME` | the name has `{name}` in it; in or beside the server's folder there is a `file`, `folder`, `link`, `linked-folder`, `outside` or `sparse SIZE` |
//! | `stored NAME = BYTES`, `clean NAME` | in the folder is this; beside it nothing of this name |
//! | `noted`, `unchanged` | the files in the folder are noted; a second later at most there are no others |
//! | `lap`, `prompt N` | the time since the last one is noted; most times are at most N ms longer than the shortest one |

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::conversation::{Check, Then, divided, is_in, number_in};
use super::lists::List;
use super::peer::{Done, Peer, Trial};
use super::places::Places;
use super::player::{Player, Stage, is_common, shown};
use super::prepared::{Prepared, files_in};
use super::seen::{a_line, same};
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

const WORDS: &str = "enough list has lacks counts totals sorted differ made stored clean noted unchanged lap prompt";

/// How often a conversation is begun again in which a gap was too long because this machine is busy.
const BEGINNINGS: usize = 5;

/// How long files of failed uploads may stay, and the time between two looks for them.
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
        let (mut player, mut server) = (Player::new(dialect), Server::new(t, dialect));
        let outcome = check
            .walk(&mut places, &mut |places, step| player.step(&mut server, places, step))
            .and_then(|()| player.settle(&mut server));
        let Player { peers, is_late, .. } = player;
        drop(server);
        // What a server takes for a connection is seen while there is one.
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

/// A server, and what was found out about it.
struct Server<'t> {
    trial: &'t mut Trial,
    dialect: Dialect,
    list: List,
    made: Vec<Prepared>,
    /// The files in the server's folder.
    noted: BTreeSet<PathBuf>,
    laps: Vec<Duration>,
    lap: Instant,
}

impl Stage for Server<'_> {
    fn side(&self) -> Side {
        Side::Client
    }

    fn open(&mut self) -> Done<Option<Peer>> {
        self.trial.open().map(Some)
    }

    fn hear(&mut self, player: &mut Player, line: Vec<u8>) -> Done<Then> {
        player.send(self)?;
        player.expected.extend(line);
        player.expected.push(b'\n');
        Ok(Then::GoOn)
    }

    fn word(
        &mut self,
        player: &mut Player,
        places: &mut Places,
        word: &'static str,
        argument: &[u8],
    ) -> Done<Then> {
        match word {
            "enough" if self.trial.is_half_over() => return Ok(Then::Stop),
            "enough" => {}
            "list" => {
                let (folder, dialect) = (shown(argument), self.dialect);
                self.list = player.with(self, |p| List::read(p, dialect, &folder))?;
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
            "prompt" => self.prompt(number_in(argument).unwrap_or(0))?,
            word if is_common(word) => return player.obey(self, word, argument),
            word => self.about_list(places, word, argument)?,
        }
        Ok(Then::GoOn)
    }
}

impl Server<'_> {
    fn new(trial: &mut Trial, dialect: Dialect) -> Server<'_> {
        Server {
            trial,
            dialect,
            list: List::default(),
            made: Vec::new(),
            noted: BTreeSet::new(),
            laps: Vec::new(),
            lap: Instant::now(),
        }
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
                let folder =
                    || msg!("a list with the folder {name}", "daftar berisi folder {name}");
                let expected = size.map_or_else(folder, |size| listed(name, size));
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
                let (count, entries) = (self.list.count.unwrap_or(0), self.list.entries.len());
                if count == entries {
                    return Ok(());
                }
                (a_line(&format!("ok {entries}")), a_line(&format!("ok {count}")))
            }
            "totals" => {
                let total = self.list.total.unwrap_or(0);
                let sum = self.list.entries.iter().filter_map(|(_, size)| *size).sum();
                if total == sum {
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
