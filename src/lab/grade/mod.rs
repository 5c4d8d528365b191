//! Grades a server, written by anyone in any language: `connme-lab grade`.
//!
//! A [`Check`] is one rule of the protocol as a short conversation in raw bytes. They are in `conversations`, a file
//! for each dialect; [`run`] plays them one after the other, each with connections, names and a deadline of its own.
//! A check that others need runs before them, and if it fails they are skipped. After a check that failed, or that a
//! server may not survive, an ordinary request on a new connection shows whether the server still answers. After the
//! last check the files of all of them are removed, as far as that can be done.
//!
//! | question | where it is answered |
//! |---|---|
//! | what is a conversation? | `conversation`, and `places` for what is in braces |
//! | who plays it? | `player`, over `peer`: with a server on the stage of `server`, with a client on that of `client::examiner` |
//! | who starts and ends programs? | `launch` and `process` beside this room, and `client::drive` |
//! | who judges? | whoever plays; what is left of a client when it has ended, `client::judge` |
//! | who tells? | `report` and `hint` to people, `formats` to other programs, all in the sentences of the lab |
//!
//! Whatever the server does, the report is whole: no wait is longer than the check's deadline, no run longer than
//! [`TOTAL`] and what the program of a student takes to start again.

pub mod client;
mod conversation;
pub mod formats;
mod hint;
mod peer;
mod places;
mod player;
mod prepared;
pub mod program;
pub mod report;
mod seen;
mod server;
pub mod suite;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::client::connection::reach;
use crate::dialect::Dialect;
use crate::lab::launch::Launched;
use crate::lab::lecture::trace::Event;
use crate::lab::line::Flags;
use crate::lab::process::{Usage, command_words, last_lines, soon};
use crate::lab::random::Random;
use crate::lab::text::said;
use crate::lang::{self, Lang, Msg};
pub use conversation::Check;
use peer::Done;
use places::Places;
use player::shown;
use prepared::files_in;
pub use seen::{Fail, Rung};
use seen::{Record, came, expected};
use server::{Found, Trial};
pub use suite::checks;

/// After this time the rest is not run.
pub const TOTAL: Duration = Duration::from_secs(110);

/// How long a check may take by default.
pub const TIME: Duration = Duration::from_secs(5);

/// How long a server may take to give back what it took for connections that have ended.
const GIVEN_BACK: Duration = Duration::from_secs(3);

/// How long a program takes to end after its connections have.
const MOMENT: Duration = Duration::from_millis(100);

/// How many files and threads more it may have afterwards: some servers keep a few for the next connections.
const FEW: usize = 16;

/// How many megabytes more it may take afterwards.
const LITTLE: u64 = 100;

/// From this number of megabytes on, three quarters of what a server was sent of a file are more than it may take. A
/// runtime that collects its garbage late may take less than this number for a file that it does not hold.
const SOME: u64 = 32;

/// What a check has to put in place is not possible here: some systems have no such name, or demand a right for links.
const NOT_HERE: &str = "not-here";

/// The most bytes that a server may send in a run: all of them are kept for the report.
const MOST: u64 = 24 << 20;

/// What a run is to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server as the user wrote it, for the commands in the report.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The dialect.
    pub dialect: Dialect,
    /// What is graded, and the checks that are chosen.
    pub flags: Flags,
    /// Chooses names, sizes and bytes.
    pub seed: u64,
    /// How long a check may take.
    pub time: Duration,
    /// Stop after the first group that breaks a rule of the protocol.
    pub stops: bool,
    /// Checks of the user's own, in place of ours, and the file that they are in.
    pub own: Option<(String, &'static [Check])>,
    /// How this program was called, for the commands in the report.
    pub program: String,
    /// The language of the report.
    pub lang: Lang,
}

/// A check and how it ended.
#[derive(Debug)]
pub struct Graded {
    /// The check.
    pub check: &'static Check,
    /// How it ended, by its name in the sentences: `passed`, `failed`, or why it was not run.
    pub way: &'static str,
    /// The check or the flag because of which it was not run.
    pub about: &'static str,
    /// Why it failed.
    pub failure: Option<Box<Fail>>,
    /// How long it took.
    pub time: Duration,
    /// The steps.
    pub rungs: Vec<Rung>,
}

impl Graded {
    /// One that was run since this time.
    fn run(check: &'static Check, start: Instant, outcome: Done, rungs: Vec<Rung>) -> Graded {
        let (way, failure) = match outcome {
            Ok(()) => ("passed", None),
            Err(failure) if failure.verdict == NOT_HERE => (NOT_HERE, None),
            Err(failure) => ("failed", Some(failure)),
        };
        Graded { check, way, about: "", failure, time: start.elapsed(), rungs }
    }

    /// One that was not run.
    fn not_run(check: &'static Check, way: &'static str, about: &'static str) -> Graded {
        Graded { check, way, about, failure: None, time: Duration::ZERO, rungs: Vec::new() }
    }

    /// Whether it passed.
    pub fn passed(&self) -> bool {
        self.way == "passed"
    }

    /// The check that it needs, and that did not pass.
    fn needs(&self) -> Option<&'static str> {
        (self.way == "skipped").then_some(self.about)
    }

    /// Whether its points count.
    pub fn counts(&self) -> bool {
        !["needs", "left-out", NOT_HERE].contains(&self.way)
    }

    /// The points that it got.
    pub fn score(&self) -> u64 {
        if self.passed() { self.check.points } else { 0 }
    }
}

/// The result of a run.
#[derive(Debug)]
pub struct Report {
    /// What was to be done.
    pub options: Options,
    /// The checks in the order of the table.
    pub graded: Vec<Graded>,
    /// How long all took.
    pub time: Duration,
}

impl Report {
    /// Grades group after group. What is done with each when it has ended is up to the caller. After the last one, `grade`
    /// is told that what has not been run is left out.
    fn of(
        options: &Options,
        tell: impl Fn(&[Graded]),
        mut grade: impl FnMut(&[&'static Check], bool) -> Vec<Graded>,
    ) -> Report {
        let (start, mut is_over, mut graded) = (Instant::now(), false, Vec::new());
        for group in options.wanted().chunk_by(|a, b| a.group() == b.group()) {
            let of = grade(group, is_over);
            tell(&of);
            is_over |= options.stops && of.iter().any(|it| it.check.must && it.failure.is_some());
            graded.extend(of);
        }
        Report { options: options.clone(), graded, time: start.elapsed() }
    }

    /// The points, and the most there are.
    pub fn score(&self) -> (u64, u64) {
        let (score, most) = points(&self.graded);
        (self.limit(most).map_or(score, |limit| score.min(limit)), most)
    }

    /// A server that gives away what is outside its folder gets at most 60 % of the points.
    fn limit(&self, most: u64) -> Option<u64> {
        self.is_open().then_some(most * 6 / 10)
    }

    /// Whether a client was given something that a rule keeps from clients: what is outside the folder, or hidden.
    pub fn is_open(&self) -> bool {
        self.opening().is_some()
    }

    /// The first check in which that happened.
    fn opening(&self) -> Option<&Graded> {
        let keeps = |it: &&Graded| {
            it.check.must && ["path", "hidden", "links"].contains(&it.check.sentence("rule"))
        };
        let gave = |it: &Graded| it.failure.as_ref().is_some_and(|it| !it.gave_nothing);
        self.graded.iter().filter(keeps).find(|it| gave(it))
    }

    /// Whether any check was run.
    pub(super) fn has_run(&self) -> bool {
        let ran = |it: &Graded| it.passed() || it.failure.is_some();
        self.graded.iter().any(ran)
    }

    /// Whether every check passed that the protocol requires.
    pub fn is_right(&self) -> bool {
        let must = |it: &&Graded| it.check.must && it.counts();
        self.has_run() && self.graded.iter().filter(must).all(Graded::passed)
    }
}

/// The points that these got, and the most there are.
fn points(of: &[Graded]) -> (u64, u64) {
    let most = of.iter().filter(|it| it.counts()).map(|it| it.check.points).sum();
    (of.iter().map(Graded::score).sum(), most)
}

/// Runs the checks. What is done with each group when it has ended is up to the caller.
///
/// # Errors
/// Why nothing can be graded: there is no server, its folder is another one, or the client asks for nothing.
pub fn run(mut options: Options, tell: impl Fn(&[Graded])) -> Result<Report, Msg> {
    if options.flags.client.is_some() {
        return client::run(&options, tell);
    }
    let command = options.flags.run.as_ref();
    let launched =
        command.map(|it| Launched::start(command_words(it).unwrap_or_default(), options.dialect));
    let launched = launched.transpose()?;
    let address = match &launched {
        Some(launched) => launched.address,
        None => reach((options.host.as_str(), options.port), options.time.max(TIME))
            .and_then(|stream| stream.peer_addr())
            .map_err(|why| {
                said("cannot reach", &[&lang::address(&options.host, options.port), &why])
            })?,
    };
    options.flags.root = launched.as_ref().map(Launched::root).or(options.flags.root);
    let mut run = Run {
        ours: checks(options.dialect, false).first().cloned().unwrap_or_default(),
        address,
        came: 0,
        launched,
        deadline: Instant::now() + TOTAL,
        stopped: None,
        passed: BTreeMap::new(),
        done: BTreeMap::new(),
        options: options.clone(),
    };
    if options.wanted().iter().any(|check| check.is("root")) {
        run.find_root()?;
    }
    let report = Report::of(&options, tell, |group, is_over| {
        group.iter().filter(|_| !is_over).for_each(|check| run.grade(check));
        // Some were needed by others.
        let done = |check: &&'static Check| {
            run.done.remove(check.id).unwrap_or_else(|| Graded::not_run(check, "left-out", ""))
        };
        group.iter().map(done).collect()
    });
    // The folder of a server that was started here is removed.
    if run.launched.is_none() && run.stopped.is_none() {
        let _ = run.trial(2, "sweep").sweep();
    }
    Ok(report)
}

struct Run {
    options: Options,
    /// Our first check, by whose phrases servers are asked for something beside the checks.
    ours: Check,
    address: SocketAddr,
    /// How many bytes have come.
    came: u64,
    /// The server, if it was started here.
    launched: Option<Launched>,
    /// The end of the run. The starts of a program that ends again and again do not count.
    deadline: Instant,
    /// The check after which the server answered no more.
    stopped: Option<&'static str>,
    /// The checks that were begun, and whether they have passed. What needs itself has no end.
    passed: BTreeMap<&'static str, bool>,
    /// Those of groups that are not told yet.
    done: BTreeMap<&'static str, Graded>,
}

impl Run {
    /// Runs a check, after those that it needs.
    fn grade(&mut self, check: &'static Check) {
        if self.passed.contains_key(check.id) {
            return;
        }
        self.passed.insert(check.id, false);
        let lacks = match (&self.options.flags.root, &self.launched) {
            (None, None) if check.is("root") => Some("root"),
            (None, Some(_)) if check.is("root") => Some("run"),
            _ if check.is("watched") && self.usage().is_none() => Some("run"),
            _ => None,
        };
        let needs = if lacks.is_some() { "" } else { check.sentence("needs") };
        let is_needed = |it: &&Check| needs.split_whitespace().any(|id| id == it.id);
        let mut missing = None;
        for need in self.options.suite().iter().filter(is_needed) {
            self.grade(need);
            if self.passed.get(need.id) != Some(&true) {
                missing = missing.or(Some(need.id));
            }
        }
        let left_out = match (lacks, self.stopped, missing) {
            (Some(flag), ..) => Some(("needs", flag)),
            (_, Some(by), _) => Some(("stopped", by)),
            _ if self.left().is_zero() => Some(("no-time", "")),
            (.., missing) => missing.map(|id| ("skipped", id)),
        };
        let graded = match left_out {
            Some((why, about)) => Graded::not_run(check, why, about),
            None => self.attempt(check),
        };
        self.passed.insert(check.id, graded.passed());
        self.done.insert(check.id, graded);
    }

    /// How long the run may still take.
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    fn trial(&self, patience: u32, salt: &str) -> Trial<'_> {
        let deadline = Instant::now() + self.left().min(self.options.time * patience);
        // The names differ from check to check, so that one check's files are not in another's way.
        let prefix = format!("grade-{:06x}", Random::of(self.options.seed, "").next() & 0xff_ffff);
        let mut places = Places::new(Random::of(self.options.seed, salt), &prefix);
        let parent = self.options.flags.root.as_ref().and_then(|root| root.parent());
        let parent = parent.map(|it| it.as_os_str().as_encoded_bytes().to_vec());
        places.known.extend(parent.map(|it| ("parent".to_owned(), it)));
        let record = Record::new(self.came, deadline, false);
        Trial { run: self, record, places, found: Found::default() }
    }

    fn attempt(&mut self, check: &'static Check) -> Graded {
        let start = Instant::now();
        if let Some(launched) = &self.launched {
            launched.process.forget();
        }
        let mut trial = self.trial(check.number("patience").unwrap_or(1), check.id);
        let before = check.is("watched").then(|| self.usage()).flatten();
        let outcome = trial.play(check).and_then(|()| self.must_take_little(check, before, &trial));
        // Closes the connections, which is a step, too.
        trial.found = Found::default();
        let mut state = trial.record.state();
        let (rungs, came) = (std::mem::take(&mut state.rungs), state.came);
        drop(state);
        drop(trial);
        self.came = came;
        // The end of a connection comes before that of the program.
        let moment = if outcome.is_ok() { Duration::ZERO } else { MOMENT };
        let has_ended = self.launched.as_mut().is_some_and(|it| it.process.wait(moment).is_some());
        if outcome.is_ok() && !check.is("hostile") && !has_ended {
            return Graded::run(check, start, outcome, rungs);
        }
        let probed = self.probe();
        // Perhaps it needs a moment.
        if probed.is_err() && self.probe().is_err() {
            self.stopped = Some(check.id);
        }
        let mut outcome = outcome.and(probed.map_err(|failure| {
            let expected = expected("alive", &[]);
            Box::new(Fail { expected, connection: 0, ..*failure })
        }));
        if let (Err(failure), Some(launched)) = (&mut outcome, &mut self.launched) {
            let has_ended = has_ended || launched.process.ended().is_some();
            failure.gone = if has_ended { Some("ended") } else { failure.gone };
            failure.printed = last_lines(&launched.process.printed());
        }
        let graded = Graded::run(check, start, outcome, rungs);
        self.restart();
        graded
    }

    fn usage(&self) -> Option<Usage> {
        self.launched.as_ref()?.process.usage()
    }

    /// The next check has a server again, if it was started here.
    fn restart(&mut self) {
        let Some(launched) = &mut self.launched else { return };
        let start = Instant::now();
        if (self.stopped.is_some() || launched.process.ended().is_some())
            && launched.restart().is_ok()
        {
            self.address = launched.address;
            self.stopped = None;
        }
        self.deadline += start.elapsed();
    }

    /// Looks where the server keeps its files. The folder that the user has named must be that one.
    fn find_root(&mut self) -> Result<(), Msg> {
        let Some(root) = self.options.flags.root.clone() else { return Ok(()) };
        let mut trial = self.trial(1, "root");
        let put = self.ours.of_lines("put {name} = probe");
        // These cannot say whether it was stored.
        let can_say = ![Dialect::Filesaver, Dialect::Count].contains(&self.options.dialect);
        let is_stored = can_say && trial.perform(&put).is_ok();
        let name = shown(&trial.places.fill("{name}").unwrap_or_default());
        drop(trial);
        if self.launched.is_none() {
            let is_it = root.is_dir() && (!is_stored || root.join(name).exists());
            return is_it.then_some(()).ok_or_else(|| said("cannot root", &[&root.display()]));
        }
        if can_say {
            if !is_stored && self.probe().is_err() {
                self.stopped = Some("upload");
            }
            self.restart();
            let above = root.parent().unwrap_or(&root);
            let stored = files_in(above).into_iter().find(|it| it.ends_with(&name));
            self.options.flags.root = stored.and_then(|it| Some(it.parent()?.to_owned()));
        }
        Ok(())
    }

    /// Whether the server has given back what it took for a check, some time after that.
    fn must_take_little(&self, check: &Check, before: Option<Usage>, trial: &Trial<'_>) -> Done {
        let Some(before) = before else { return Ok(()) };
        let sent = trial.record.state().flooded;
        let peak = check.number("peak");
        let mut much = Msg::default();
        let is_little = soon(self.options.time.min(GIVEN_BACK), || {
            let now = self.usage().unwrap_or_default();
            let files = now.files.saturating_sub(before.files);
            let threads = now.threads.saturating_sub(before.threads);
            let memory = match peak {
                Some(_) => now.peak.saturating_sub(before.peak) / 1024,
                None => now.memory.saturating_sub(before.memory) / 1024,
            };
            much = came("much", &[&files, &threads, &memory]);
            // One that is slow may not have taken much of a file yet. What it has taken, it must not hold.
            let holds_it = memory >= SOME && memory * 4 >= sent * 3 && sent > 0;
            files <= FEW && threads <= FEW && memory <= peak.unwrap_or(LITTLE) && !holds_it
        });
        let little = expected("little", &[]);
        let little = peak.map_or(little, |most| expected("peak", &[&most]));
        trial.must(is_little, little, much)
    }

    /// Whether the server answers. A wrong answer is one too: the checks say what is wrong with it.
    fn probe(&self) -> Done {
        let mut trial = self.trial(1, "probe");
        let outcome = trial.perform(&self.ours.of_lines("probe"));
        match trial.record.state().rungs.iter().any(|step| matches!(step.event, Event::Read(_))) {
            true => Ok(()),
            false => outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_its_sentences_and_its_needs() {
        for (dialect, least) in Dialect::ALL.into_iter().zip([60, 20, 14, 25, 10]) {
            let all = checks(dialect, false);
            assert!(all.len() >= least, "{}: {}", dialect.name(), all.len());
            for check in all {
                let id = format!("{}/{}", dialect.name(), check.id);
                assert_eq!(all.iter().filter(|other| other.id == check.id).count(), 1, "{id}");
                for need in check.sentence("needs").split_whitespace() {
                    assert!(all.iter().any(|other| other.id == need), "{id} needs {need}");
                }
                assert!(needs(check, all, 0) < 12, "{id}: its needs go round in a circle");
                let (page, title) = check.section.split_once('#').unwrap();
                let page = match page {
                    "protocol.md" => include_str!("../../guide/protocol.md"),
                    "dialects.md" => include_str!("../../guide/dialects.md"),
                    page => panic!("{id}: {page}"),
                };
                let anchor = |line: &str| {
                    line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-")
                };
                let is_there = |line: &str| line.starts_with('#') && anchor(line) == title;
                assert!(page.lines().any(is_there), "{id}: {title}");
                for lang in [Lang::En, Lang::Id] {
                    assert_ne!(check.about(lang), "", "{id}");
                    assert_ne!(check.rule(lang), "", "{id}");
                    assert_ne!(check.mistake(lang), "", "{id}");
                }
            }
        }
    }

    fn needs(check: &Check, all: &[Check], depth: usize) -> usize {
        let of = |id: &str| all.iter().find(|other| other.id == id).unwrap();
        let deeper = |id| if depth > 12 { depth } else { needs(of(id), all, depth + 1) };
        check.sentence("needs").split_whitespace().map(deeper).max().unwrap_or(depth)
    }
}
