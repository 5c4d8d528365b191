//! Grades a client, written by anyone in any language: `connme-lab grade --client COMMAND`.
//!
//! The checks are the conversations in `conversations/*.client.txt`. For each of them the client is started in a fresh
//! folder, which is its home too, against a server on a fresh port that plays the other side. Beside the words
//! that `player` knows, a conversation has these:
//!
//! | word | what it means |
//! |---|---|
//! | `$ upload a.txt` | the client is told to do this |
//! | `file NAME = BYTES`, `local NAME = BYTES` | a file is there, where the client runs or where it saves |
//! | `sparse NAME N` | a file of N MiB is there |
//! | `serve NAME = BYTES` | the server has this file |
//! | `may LINE` | what follows up to `done` is for a client that asks this |
//! | `absent` | there is no server |
//! | `saved NAME = BYTES`, `nothing`, `inside` | this file is there; the client has saved none; none but where it saves |
//! | `says A\|B`, `never TEXT` | the client prints one of these; does not print this |
//! | `told` | the client says that something failed, or its exit status does |
//! | `exit ok`, `exit failed` | its exit status |
//! | `input ends` | its input ends without `byebye` |
//!
//! What the client asks for besides is answered rightly by our own server, and may change nothing.

mod drive;
mod examiner;
mod judge;
pub mod pair;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use super::conversation::{Step, Then};
use super::peer::Peer;
use super::places::{Places, is_in};
use super::player::shown;
use super::seen::Record;
use super::{Check, Graded, NOT_HERE, Options, Report};
use crate::dialect::Dialect;
use crate::error::lock;
use crate::lab::process::{Process, command_words, last_lines, soon};
use crate::lab::random::Random;
use crate::lab::scratch::TemporaryFolder;
use crate::lab::text::said;
use crate::lang::Msg;
use crate::log::Log;
use crate::store::{self, Store};
use drive::{COMMAND, Client, MANNERS, map_of, parts, typed};
use examiner::{Acts, Examiner};
use judge::{Seen, files};

/// How a client is started and told what to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Driven {
    /// The command that starts it.
    pub command: String,
    /// `WORD=TEXT`: what to type for a command.
    pub map: Vec<String>,
    /// It takes a command's word and its file on two lines.
    pub is_assignment: bool,
    /// Where it saves files.
    pub downloads: Option<String>,
    /// Further clients: see [`pair`].
    pub more: Vec<String>,
    /// The servers that they are tried with, as `NAME=HOST:PORT`.
    pub pair: Vec<String>,
}

impl Driven {
    fn map(&self) -> Result<BTreeMap<String, String>, Msg> {
        let entries = self.map.iter().map(|entry| {
            let is_right = |(word, text): &(&str, &str)| {
                let has_file = ["{path}", "{name}"].iter().any(|place| text.contains(place));
                is_in("connme ls byebye", word)
                    || is_in("size rm rm-no download upload", word) && has_file
            };
            let right =
                entry.split_once('=').filter(is_right).ok_or_else(|| said("cannot map", &[entry]));
            right.map(|(word, text)| (word.to_owned(), text.replace("\\n", "\n")))
        });
        entries.collect()
    }
}

/// How many checks run at once: most of them wait.
const AT_ONCE: usize = 6;

/// How often it is looked at a client that runs.
const LOOK: Duration = Duration::from_millis(10);

/// How long a client may go on after a mistake on the wire, so that what it prints is seen.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// How long bytes may be under way when the client has ended.
const UNDER_WAY: Duration = Duration::from_secs(1);

/// How much longer than the usual time a check may take in which something happens all the time.
const LONGEST: Duration = Duration::from_secs(10);

/// The port of a check without a server: it belongs to a service that no machine has.
const ABSENT: u16 = 1;

/// A client is ended when nothing happens, and not at a moment.
const NEVER: Duration = Duration::from_secs(600);

/// Runs the checks, each in a folder of its own.
///
/// # Errors
/// What has to be said if the client does not work at all.
pub(super) fn run(options: &Options, tell: impl Fn(&[Graded])) -> Result<Report, Msg> {
    let folder = TemporaryFolder::new().map_err(|failure| failure.why())?;
    let command = options.flags.client.as_ref().map_or("", |driven| &driven.command);
    let client = Client::new(options, command, &folder.0)?;
    let has_hung = AtomicBool::new(false);
    let grade = |group: &[&'static Check], is_over| {
        at_once(group, |check| match is_over {
            true => Graded::not_run(check, "left-out", ""),
            false => client.grade(check, &has_hung),
        })
    };
    Ok(Report::of(options, tell, grade))
}

/// What this makes of each, in their order, several at a time.
fn at_once<T: Sync, M: Send>(all: &[T], make: impl Fn(&T) -> M + Sync) -> Vec<M> {
    let (next, made) = (Mutex::new(all.iter().enumerate()), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((n, it)) = lock(&next).next() else { return };
                    let of_it = make(it);
                    lock(&made).insert(n, of_it);
                }
            });
        }
    });
    std::mem::take(&mut *lock(&made)).into_values().collect()
}

impl<'f> Client<'f> {
    /// The client that this command starts. It is found out what it takes for commands and where it saves.
    ///
    /// # Errors
    /// What has to be said if it does not work at all.
    fn new(options: &Options, command: &str, folder: &'f Path) -> Result<Client<'f>, Msg> {
        let driven = options.flags.client.clone().unwrap_or_default();
        let words = command_words(command).ok_or_else(|| said("cannot client", &[]))?;
        let own = driven.map()?;
        let untried = Client {
            options: options.clone(),
            folder,
            words,
            map: BTreeMap::new(),
            ends_with_input: false,
            downloads: driven.downloads.clone().unwrap_or_default(),
        };
        let manners = match driven.is_assignment {
            _ if untried.takes(COMMAND) => &MANNERS[2..],
            true => &MANNERS[..1],
            false => &MANNERS,
        };
        let (dialect, check) = (options.dialect, Check::default().of_lines(DRY_RUN));
        let tries = at_once(manners, |manner| {
            let client = Client { map: map_of(manner, &own), ..untried.clone() };
            let seen = client.perform(&check, None).ok()?;
            let asked = &seen.acts.others;
            let is_known = |order: &&&str| {
                let has_name =
                    |said: String| dialect == Dialect::Struct || said.contains(parts(order).1);
                asked.iter().any(|it| it.obeys(dialect, order) && has_name(it.said()))
            };
            let orders = ["ls", "size b.txt", "download a.txt", "rm c.txt"];
            let known = orders.iter().filter(is_known).count();
            let has_ended = seen.status.is_some_and(|status| status.success());
            let rank = (known, asked.len() <= 6, has_ended);
            Some((rank, client, seen))
        });
        let best = tries.into_iter().rev().flatten().max_by_key(|it| it.0);
        let (mut client, seen) = match best {
            Some(((1.., ..), client, seen)) => (client, seen),
            silent => return Err(no_request(&silent.map(|it| it.2.printed).unwrap_or_default())),
        };
        if driven.downloads.is_none() {
            let paths = seen.after.keys().filter_map(|path| path.strip_prefix(WORK));
            let mut folders = paths.filter_map(|path| path.strip_suffix("/a.txt"));
            let folder = folders.next().unwrap_or_default();
            client.downloads = folder.trim_start_matches('/').to_owned();
        }
        let ended = client.perform(&Check::default().of_lines("$ ls\ninput ends"), None);
        client.ends_with_input =
            ended.is_ok_and(|seen| seen.status.is_some() && !seen.has_crashed());
        Ok(client)
    }

    fn grade(&self, check: &'static Check, has_hung: &AtomicBool) -> Graded {
        let start = Instant::now();
        let hangs = |performed: &io::Result<Seen>| performed.as_ref().is_ok_and(|it| it.hangs);
        let mut performed = self.perform(check, None);
        // On a busy machine a client may get no time to run. One that has hung twice in a check does so by itself.
        if hangs(&performed) && !has_hung.load(Ordering::Relaxed) {
            performed = self.perform(check, None);
            has_hung.fetch_or(hangs(&performed), Ordering::Relaxed);
        }
        let Ok(seen) = performed else { return Graded::not_run(check, NOT_HERE, "") };
        let outcome = seen.judge(self.options.dialect).map_err(|mut failure| {
            let typed: String = seen.orders.iter().map(|order| typed(&self.map, order)).collect();
            failure.typed = typed.lines().map(str::to_owned).collect();
            failure.printed = last_lines(&seen.printed);
            failure
        });
        Graded::run(check, start, outcome, seen.rungs)
    }

    /// Plays a conversation with the client in a folder of its own. Beside it is what our server serves. What the client
    /// says is passed on to `server`, if there is one.
    fn perform(&self, check: &Check, server: Option<TcpStream>) -> io::Result<Seen> {
        let name = check.id.replace('/', "-");
        let place = self.folder.join(format!("{name}-{:016x}", store::random()));
        let (folder, served) = (place.join("client"), place.join("server"));
        let work = folder.join(WORK);
        let downloads = work.join(&self.downloads);
        fs::create_dir_all(&downloads)?;
        let store = Store::open(&served, store::Options::default(), &Log::default())
            .map_err(|error| io::Error::other(error.to_string()))?;
        let places = || Places::new(Random::of(self.options.seed, check.id), &name);
        let (mut orders, mut facts) = (Vec::new(), Vec::new());
        let _ = check.walk(&mut places(), &mut |places, step| {
            if let Step::Word(word, it) = step {
                facts.push((word.to_owned(), shown(&it), places.content.clone()));
            }
            Then::GoOn
        });
        for (word, name, bytes) in &facts {
            match word.as_str() {
                "$" => orders.push(name.clone()),
                "serve" => fs::write(served.join(name), bytes)?,
                "file" => fs::write(work.join(name), bytes)?,
                "local" => fs::write(downloads.join(name), bytes)?,
                "sparse" => {
                    let (name, megabytes) = name.split_once(' ').unwrap_or((name, ""));
                    let size = megabytes.parse::<u64>().unwrap_or(0) << 20;
                    fs::File::create(work.join(name))?.set_len(size)?;
                }
                _ => {}
            }
        }
        let has = |wanted| facts.iter().any(|(word, ..)| *word == wanted);
        let dialect = self.options.dialect;
        if dialect != Dialect::Json && !self.takes(COMMAND) {
            if orders.first().is_none_or(|order| order != "connme") {
                orders.insert(0, "connme".to_owned());
            }
            // A client may say of `byebye` that the connection is lost, and not of what was lost with it.
            let is_without = self.ends_with_input && has("told");
            let is_there = orders.iter().any(|order| order == "byebye");
            if !is_without && !is_there && !has("input") {
                orders.push("byebye".to_owned());
            }
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = if has("absent") { ABSENT } else { listener.local_addr()?.port() };
        let time = self.options.time * check.number("patience").unwrap_or(1);
        // What a server does not say is known before it is known what the client does not say.
        let record = Record::new(0, Instant::now() + time / 2, false);
        let server = server.map(|stream| Peer::new(stream, &record));
        let record = Record::new(0, Instant::now() + NEVER, true);
        let examiner = Examiner {
            dialect,
            record: Arc::clone(&record),
            acts: Acts::default(),
            fails_again: has("told"),
            listener,
            store,
            waiting: Vec::new(),
        };
        let mut seen = Seen {
            most: check.number("peak"),
            before: files(&folder),
            downloads: Path::new(WORK).join(&self.downloads),
            ..Seen::default()
        };
        let places = places();
        seen.acts = thread::scope(|scope| {
            let serving = scope.spawn(|| examiner.serve(check, places, server));
            for orders in self.turns(&orders) {
                record.touch();
                match self.start(orders, &work, port) {
                    Ok(mut process) => seen.watch(&mut process, &record, time),
                    Err(error) => seen.printed += &error.to_string(),
                }
                if seen.hangs || record.failed().is_some() {
                    break;
                }
            }
            // What the client sent last may be still under way.
            let is_over = || record.state().played.is_some() || record.idle() >= UNDER_WAY;
            let _ = soon(NEVER, is_over);
            record.state().ended = Some(Instant::now());
            serving.join().unwrap_or_default()
        });
        (seen.after, seen.facts, seen.orders) = (files(&folder), facts, orders);
        seen.rungs = std::mem::take(&mut record.state().rungs);
        let _ = fs::remove_dir_all(place);
        Ok(seen)
    }
}

/// By what a client is asked for here it is known how commands are typed for it, and where it saves.
const DRY_RUN: &str = include_str!("../conversations/dry-run.txt");

/// The folder of a check in which the client runs. Beside it is what no client may touch.
const WORK: &str = "work";

impl Seen {
    /// Waits until the process ends, or nothing happens for this time.
    fn watch(&mut self, process: &mut Process, record: &Record, time: Duration) {
        let start = Instant::now();
        loop {
            self.status = process.wait(LOOK);
            if self.most.is_some() && self.status.is_none() {
                self.memory =
                    self.memory.max(process.usage().map_or(0, |usage| usage.memory / 1024));
            }
            let is_late = record.idle() > time || start.elapsed() > time + LONGEST;
            let is_failed = record.failed().is_some_and(|since| since.elapsed() > AFTERWARDS);
            // What takes too much does not have to go on.
            let is_large = self.most.is_some_and(|most| self.memory > most);
            if self.status.is_some() || is_late || is_failed || is_large {
                self.hangs = self.status.is_none() && is_late && !is_failed && !is_large;
                break;
            }
        }
        process.kill();
        self.printed += &process.printed();
    }
}

/// The words of a conversation with a client.
pub(super) const WORDS: &str = "$ serve file local sparse may \
    absent input saved nothing inside says never told exit";

fn no_request(printed: &str) -> Msg {
    let line = |line: &String| format!("\n  {}", crate::lang::printable(line.as_bytes()));
    let last: String = last_lines(printed).iter().map(line).collect();
    said("cannot ask", &[&last])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::grade::checks;
    use crate::lab::grade::player::is_known;
    use crate::lang::Lang;

    /// Also by a file of the user's.
    #[test]
    fn what_is_put_in_place_stays_in_a_folder_of_the_check() {
        for word in ["file", "local", "sparse", "serve"] {
            assert!(is_known(WORDS, word, "a.txt = {bytes 3}"), "{word}");
            for elsewhere in
                ["../a.txt = x", "/a.txt = x", "b\\a.txt = x", "C:a.txt = x", "{n} = x"]
            {
                assert!(!is_known(WORDS, word, elsewhere), "{word} {elsewhere}");
            }
        }
    }

    #[test]
    fn every_conversation_can_be_played_and_has_its_sentences() {
        let dialects = [(Dialect::Text, 70), (Dialect::Struct, 25), (Dialect::Json, 20)];
        for (dialect, least) in dialects {
            let suite = checks(dialect, true);
            assert!(suite.len() >= least, "{}", suite.len());
            for check in suite {
                let id = format!("{}/{}", dialect.name(), check.id);
                assert_eq!(suite.iter().filter(|it| it.id == check.id).count(), 1, "{id}");
                let mut is_told = false;
                let walked = check.walk(&mut Places::new(Random(1), ""), &mut |_, step| {
                    is_told |= matches!(step, Step::Word("$", _));
                    Then::GoOn
                });
                assert!(walked.is_ok() && is_told, "{id}: {walked:?}");
                for lang in [Lang::En, Lang::Id] {
                    assert_ne!(check.about(lang), "", "{id}");
                    assert_ne!(check.mistake(lang), "", "{id}");
                }
            }
        }
    }
}
