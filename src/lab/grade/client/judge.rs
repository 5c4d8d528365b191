//! What a check says about a client, when it has ended: by its files, its exit status, what it has printed, and what
//! it took.

use std::collections::BTreeMap;
use std::fs;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};
use std::process::ExitStatus;

use super::examiner::Examiner;
use crate::lab::grade::prepared::files_in;
use crate::lab::grade::seen::{Fail, Verdict, fail, quoted, same};
use crate::lang::{Msg, msg};

/// The files in a folder and below, by path.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// The exit status of a program that does not know the command.
const UNKNOWN: i32 = 127;

/// What is to be so: a word, what follows it, and the bytes of a file.
pub(super) type Fact = (&'static str, String, Vec<u8>);

/// What was seen of a client.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) printed: String,
    /// The end of its last process. `None`: it was ended from here.
    pub(super) status: Option<ExitStatus>,
    /// It was ended because nothing happened.
    pub(super) hangs: bool,
    /// The most memory in MiB.
    pub(super) memory: u64,
    pub(super) before: Files,
    pub(super) after: Files,
    /// What it was told, and what is to be so.
    pub(super) typed: Vec<String>,
    pub(super) facts: Vec<Fact>,
    /// The path of the folder where it saves.
    pub(super) downloads: PathBuf,
}

/// What programs print that end because of a mistake of their own.
const CRASHES: [&str; 7] = [
    "Traceback (most recent call last)",
    "panicked at",
    "Exception in thread",
    "Unhandled exception",
    "terminate called",
    "Segmentation fault",
    "UnhandledPromiseRejection",
];

/// Parts of words by which a client says that something failed.
const FAILURES: &str = "error|fail|lost|incomplete|reset|broke|unexpected|wrong|mismatch|invalid|refused|differ|expected\
    |not |n't |closed|ended|premature|truncat|missing|cannot|abort|only |no such|unknown|another|too |gagal|salah|putus\
    |tidak|bukan|kurang";

impl Seen {
    /// Whether it has ended, and by no mistake of its own.
    pub(super) fn has_ended_well(&self) -> bool {
        self.status.is_some() && !self.has_crashed()
    }

    /// Whether it ended by a mistake of its own.
    fn has_crashed(&self) -> bool {
        let by_signal = self.status.is_some() && self.code().is_none();
        by_signal || CRASHES.iter().any(|text| self.printed.contains(text))
    }

    /// Its exit status. `None`: it was ended, from here or by a signal.
    fn code(&self) -> Option<i32> {
        self.status?.code()
    }

    /// Whether it has printed one of these texts.
    fn says(&self, texts: &str) -> bool {
        let printed = self.printed.to_lowercase();
        texts.to_lowercase().split('|').any(|text| printed.contains(text))
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
    pub(super) fn judge(&self, examiner: &Examiner) -> Result<(), Box<Fail>> {
        let wrong = |verdict, expected: Msg, got: Msg| {
            let mut failure = fail(vec![expected], got, examiner.record.connections());
            failure.verdict = verdict;
            Err(failure)
        };
        if self.code() == Some(UNKNOWN) {
            return wrong(
                Verdict::NotSupported,
                msg!("a client that knows this command", "client yang mengenal perintah ini"),
                msg!("exit status 127", "status keluar 127"),
            );
        }
        let differs = |fact: &Fact| self.differs(fact);
        let waits_for = examiner.waits_for();
        if self.has_crashed() {
            let expected =
                msg!("the client does not crash", "client tidak berhenti karena galat program");
            let line = crate::lang::printable(self.last_words().as_bytes());
            let got = msg!("a crash: {line}", "program berhenti karena galat: {line}");
            return wrong(Verdict::Crashed, expected, got);
        }
        if let Some(failure) = examiner.acts().failure.clone() {
            return Err(failure);
        }
        let memory = self.facts.iter().find(|fact| fact.0 == "memory");
        if let Some((expected, got)) = memory.and_then(differs) {
            return wrong(Verdict::Wrong, expected, got);
        }
        let others = examiner.acts().others.clone();
        if self.hangs || waits_for.is_some() {
            let said: Vec<_> = others.iter().map(|it| quoted(it.said().as_bytes())).collect();
            let verdict = if self.hangs { Verdict::Hangs } else { Verdict::Wrong };
            let got = match said.is_empty() {
                _ if self.hangs => msg!(
                    "nothing more: the client does not end",
                    "tidak ada lagi: client tidak berakhir"
                ),
                true => msg!("nothing: the client has ended", "tidak ada: client sudah selesai"),
                false => same(said.join(", ")),
            };
            let expected =
                waits_for.unwrap_or_else(|| msg!("the end of the client", "client selesai"));
            // Perhaps it has asked for nothing of this check.
            let got = match examiner.unasked() {
                Some(word) => msg!(
                    "{got}; if it takes another word for {word}, use --map",
                    "{got}; kalau katanya untuk {word} lain, pakai --map"; got
                ),
                None => got,
            };
            return wrong(verdict, expected, got);
        }
        for request in others {
            if !request.is_harmless() && !examiner.knows(&request) {
                let expected = msg!("only what the user asked for", "hanya yang diminta pengguna");
                return wrong(Verdict::Wrong, expected, same(quoted(&request.0)));
            }
        }
        match self.facts.iter().find_map(differs) {
            Some((expected, got)) => wrong(Verdict::Wrong, expected, got),
            None => Ok(()),
        }
    }

    /// The line by which a program says why it crashed, or how it ended.
    fn last_words(&self) -> String {
        let mut lines = self.printed.lines().filter(|line| !line.trim().is_empty());
        let is_mark = |line: &&str| CRASHES.iter().any(|text| line.contains(text));
        // Python says it at the end, others at the beginning.
        let line = match self.printed.contains(CRASHES[0]) {
            true => lines.next_back(),
            false => lines.find(is_mark),
        };
        let status = || self.status.map(|status| status.to_string());
        line.map(|line| line.trim().to_owned()).or_else(status).unwrap_or_default()
    }

    /// What a fact expects and what there is, if they differ.
    fn differs(&self, (word, text, bytes): &Fact) -> Option<(Msg, Msg)> {
        // A file that was there before may have this name too.
        let is_it = |path: &str| path.rsplit('/').next() == Some(text);
        let of_name = || self.after.iter().filter(|(path, _)| is_it(path)).map(|(_, bytes)| bytes);
        match *word {
            "saved" if of_name().all(|found| found != bytes) => Some((
                file(text, bytes.len()),
                match of_name().next() {
                    Some(found) => file_of(found, bytes),
                    None => msg!("no such file", "tidak ada file itu"),
                },
            )),
            "nothing" => {
                let (path, bytes) = self.visible().next()?;
                Some((msg!("no file", "tidak ada file"), file(path, bytes.len())))
            }
            "inside" => {
                let is_outside =
                    |(path, _): &(&str, &[u8])| !Path::new(path).starts_with(&self.downloads);
                let (path, bytes) = self.visible().find(is_outside)?;
                let expected = msg!(
                    "no file outside the folder of downloads",
                    "tidak ada file di luar folder unduhan"
                );
                Some((expected, file(path, bytes.len())))
            }
            "says" if !self.says(text) => {
                let texts = text.replace('|', "\" / \"");
                let expected =
                    msg!("the client shows \"{texts}\"", "client menampilkan \"{texts}\"");
                Some((expected, self.shown()))
            }
            "never" if self.printed.contains(text.as_str()) => {
                let text = quoted(text.as_bytes());
                let expected =
                    msg!("the client does not show {text}", "client tidak menampilkan {text}");
                Some((expected, self.shown()))
            }
            "exit" if (text == "ok") != (self.code() == Some(0)) => {
                let code = self.code().unwrap_or(-1);
                let expected = match text.as_str() {
                    "ok" => msg!("exit status 0", "status keluar 0"),
                    _ => msg!("an exit status that is not 0", "status keluar yang bukan 0"),
                };
                Some((expected, msg!("exit status {code}", "status keluar {code}")))
            }
            "told" if self.code() == Some(0) && !self.says(FAILURES) => Some((
                msg!(
                    "a failure: the client says so, or its exit status is not 0",
                    "kegagalan: client mengatakannya, atau status keluarnya bukan 0"
                ),
                self.shown(),
            )),
            "memory" if self.memory > text.parse().unwrap_or(u64::MAX) => {
                let memory = self.memory;
                Some((
                    msg!("at most {text} MiB of memory", "paling banyak {text} MiB memori"),
                    msg!("{memory} MiB", "{memory} MiB"),
                ))
            }
            _ => None,
        }
    }

    fn shown(&self) -> Msg {
        let code = self.code().unwrap_or(-1);
        let lines: Vec<_> = self.printed.lines().collect();
        let last = lines.iter().skip(lines.len().saturating_sub(3)).copied().collect::<Vec<_>>();
        let last = quoted(last.join("\n").as_bytes());
        msg!(
            "exit status {code}, and at the end {last}",
            "status keluar {code}, dan pada akhirnya {last}"
        )
    }
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

fn file(name: &str, size: usize) -> Msg {
    msg!("the file {name} with {size} bytes", "file {name} dengan {size} byte")
}

fn file_of(found: &[u8], wanted: &[u8]) -> Msg {
    let size = found.len();
    let at = found.iter().zip(wanted).take_while(|(a, b)| a == b).count();
    msg!("{size} bytes, and byte {at} is another", "{size} byte, dan byte ke-{at} lain")
}
