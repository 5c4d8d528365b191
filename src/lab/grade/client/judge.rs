//! What a check says about a client, when it has ended: by its files, its exit status, what it has printed, and what
//! it took.

use std::collections::BTreeMap;
use std::fs;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};
use std::process::ExitStatus;

use super::drive::parts;
use super::examiner::{Acts, Request};
use crate::dialect::Dialect;
use crate::lab::grade::places::is_in;
use crate::lab::grade::prepared::files_in;
use crate::lab::grade::seen::{Fail, Rung, came, expected, fail, first_difference, quoted, same};
use crate::lang::{Msg, printable};

/// The files in a folder and below, by path.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// The exit status of a program that does not know the command.
const UNKNOWN: i32 = 127;

/// A word of the conversation, such as one for what is to be so, what follows it, and the bytes of a file.
pub(super) type Fact = (String, String, Vec<u8>);

/// What was seen of a client.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) printed: String,
    /// The end of its last process. `None`: it was ended from here.
    pub(super) status: Option<ExitStatus>,
    /// It was ended because nothing happened.
    pub(super) hangs: bool,
    /// The most memory in MiB that it has taken, and that it may take.
    pub(super) memory: u64,
    pub(super) most: Option<u64>,
    pub(super) before: Files,
    pub(super) after: Files,
    /// What it was told, and what is to be so.
    pub(super) orders: Vec<String>,
    pub(super) facts: Vec<Fact>,
    /// What has happened on the wire, and step by step.
    pub(super) acts: Acts,
    pub(super) rungs: Vec<Rung>,
    /// The path of the folder where it saves.
    pub(super) downloads: PathBuf,
}

/// What Python prints before it says at the end why it crashed, and what others print when they do.
const TRACEBACK: &str = "Traceback (most recent call last)";
const CRASHES: &str = "panicked at|Exception in thread|Unhandled exception|terminate called|Segmentation fault\
    |UnhandledPromiseRejection";

/// Parts of words by which a client says that something failed.
const FAILURES: &str = "error|fail|lost|incomplete|reset|broke|unexpected|wrong|mismatch|invalid|refused|differ|expected\
    |not |n't |closed|ended|premature|truncat|missing|cannot|abort|only |no such|unknown|another|too |gagal|salah|putus\
    |tidak|bukan|kurang";

impl Seen {
    /// Whether it ended by a mistake of its own.
    pub(super) fn has_crashed(&self) -> bool {
        let by_signal = self.status.is_some() && self.code().is_none();
        by_signal || has_any(&self.printed, CRASHES) || self.printed.contains(TRACEBACK)
    }

    /// Its exit status. `None`: it was ended, from here or by a signal.
    fn code(&self) -> Option<i32> {
        self.status?.code()
    }

    /// Whether it has printed one of these texts.
    fn says(&self, texts: &str) -> bool {
        has_any(&self.printed.to_lowercase(), &texts.to_lowercase())
    }

    /// The files that were not there before or have changed, are not hidden and not marked as unfinished.
    fn visible(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let marks = [".part", ".partial", ".tmp", ".temp", ".download", ".crdownload", "~"];
        let is_seen = move |(path, bytes): &(&String, &Vec<u8>)| {
            let is_hidden =
                path.split('/').any(|part| part.starts_with('.') || part == "__pycache__");
            let is_new = self.before.get(*path) != Some(*bytes);
            is_new && !is_hidden && !marks.iter().any(|mark| path.ends_with(mark))
        };
        self.after.iter().filter(is_seen).map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
    }

    /// The first thing that is not as it must be.
    ///
    /// # Errors
    /// That.
    pub(super) fn judge(&self, dialect: Dialect) -> Result<(), Box<Fail>> {
        let acts = &self.acts;
        let is_told = |it: &Request| self.orders.iter().any(|order| it.obeys(dialect, order));
        let is_unasked = |it: &&Request| !it.is_harmless() && !is_told(it) && !acts.has_heard(it);
        let (verdict, (expected, got)) = if self.code() == Some(UNKNOWN) {
            ("not-supported", (expected("command", &[]), came("status", &[&UNKNOWN])))
        } else if self.has_crashed() {
            let line = printable(self.last_words().as_bytes());
            ("crashed", (expected("no-crash", &[]), came("crash", &[&line])))
        } else if let Some(failure) = &acts.failure {
            return Err(failure.clone());
        } else if let Some(most) = self.most.filter(|most| self.memory > *most) {
            ("wrong", (expected("memory", &[&most]), same(format!("{} MiB", self.memory))))
        } else if self.hangs || acts.waits_for.is_some() {
            let due = acts.waits_for.as_ref().map(|line| same(quoted(line)));
            let due = due.unwrap_or_else(|| expected("end", &[]));
            (if self.hangs { "hangs" } else { "wrong" }, (due, self.asked_instead()))
        } else if let Some(request) = acts.others.iter().find(is_unasked) {
            ("wrong", (expected("asked", &[]), same(quoted(&request.0))))
        } else if let Some(differs) = self.facts.iter().find_map(|it| self.differs(it)) {
            ("wrong", differs)
        } else {
            return Ok(());
        };
        Err(Box::new(Fail { verdict, ..*fail(expected, got, 0) }))
    }

    /// What came in place of the request that is due.
    fn asked_instead(&self) -> Msg {
        let Acts { others, heard, .. } = &self.acts;
        let said: Vec<_> = others.iter().map(|it| quoted(it.said().as_bytes())).collect();
        let got = match said.is_empty() {
            _ if self.hangs => came("no-end", &[]),
            true => came("no-request", &[]),
            false => same(said.join(", ")),
        };
        let is_idle = |it: &Request| is_in("connme help byebye", &it.action());
        let mut told = self.orders.iter().map(|order| parts(order).0).filter(|it| *it != "connme");
        match told.next() {
            // It has asked for nothing of this check.
            Some(word) if heard.is_empty() && others.iter().all(is_idle) => {
                Msg::of(|lang| came("other-word", &[&got.say(lang), &word]).say(lang))
            }
            _ => got,
        }
    }

    /// The line by which a program says why it crashed, or how it ended.
    fn last_words(&self) -> String {
        let lines = || self.printed.lines().filter(|line| !line.trim().is_empty());
        // Python says it at the end, others at the beginning.
        let line = match self.printed.contains(TRACEBACK) {
            true => lines().next_back(),
            false => lines().find(|line| has_any(line, CRASHES)),
        };
        let status = || self.status.map(|status| status.to_string());
        line.map(|line| line.trim().to_owned()).or_else(status).unwrap_or_default()
    }

    /// What a fact expects and what there is, if they differ.
    fn differs(&self, (word, text, bytes): &Fact) -> Option<(Msg, Msg)> {
        let file =
            |name: &str, bytes: &[u8]| came("file", &[&printable(name.as_bytes()), &bytes.len()]);
        // A file that was there before may have this name too.
        let is_it = |path: &str| path.rsplit('/').next() == Some(text);
        let of_name = || self.after.iter().filter(|(path, _)| is_it(path)).map(|(_, bytes)| bytes);
        let is_outside = |path: &str| !Path::new(path).starts_with(&self.downloads);
        let new = self.visible().find(|(path, _)| *word == "nothing" || is_outside(path));
        let (is_so, got) = match word.as_str() {
            "saved" => {
                let other = |found: &Vec<u8>| {
                    came("other-bytes", &[&found.len(), &first_difference(bytes, found)])
                };
                let found = of_name().next().map_or_else(|| came("no-file", &[]), other);
                (of_name().any(|found| found == bytes), found)
            }
            "nothing" | "inside" => {
                (new.is_none(), new.map_or_else(Msg::default, |(path, bytes)| file(path, bytes)))
            }
            "says" => (self.says(text), self.shown()),
            "never" => (!self.printed.contains(text.as_str()), self.shown()),
            "told" => (self.code() != Some(0) || self.says(FAILURES), self.shown()),
            "exit" => {
                let code = self.code().unwrap_or(-1);
                ((text == "ok") == (code == 0), came("status", &[&code]))
            }
            _ => return None,
        };
        let right = match word.as_str() {
            "saved" => file(text, bytes),
            "exit" => expected(if text == "ok" { "exit-ok" } else { "exit-failed" }, &[]),
            _ => expected(word, &[&printable(text.replace('|', "\" / \"").as_bytes())]),
        };
        (!is_so).then_some((right, got))
    }

    fn shown(&self) -> Msg {
        let code = self.code().unwrap_or(-1);
        let lines: Vec<_> = self.printed.lines().collect();
        let last = lines.iter().skip(lines.len().saturating_sub(3)).copied().collect::<Vec<_>>();
        came("status-and-text", &[&code, &quoted(last.join("\n").as_bytes())])
    }
}

/// Whether one of these, with `|` between them, is in a text.
fn has_any(text: &str, words: &str) -> bool {
    words.split('|').any(|word| text.contains(word))
}

/// The files in this folder and below, by their paths in it.
pub(super) fn files(folder: &Path) -> Files {
    let read = |path: PathBuf| {
        let found = path.symlink_metadata();
        let bytes = match found.is_ok_and(|it| it.is_file() && it.len() < MOST) {
            true => fs::read(&path).unwrap_or_default(),
            false => vec![0],
        };
        let name = path.strip_prefix(folder).ok()?.to_string_lossy();
        Some((name.replace(MAIN_SEPARATOR, "/"), bytes))
    };
    files_in(folder).into_iter().filter_map(read).collect()
}

/// Larger files are not read.
const MOST: u64 = 64 << 20;
