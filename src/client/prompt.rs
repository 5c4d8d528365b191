//! What a person sees of the client: the prompt, a single command, and what comes of either.
//!
//! Results go to standard output, talk and failures to standard error. A reader that closes standard
//! output ends the program quietly.

use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::action::{self, Action, Names};
use super::explain::explain;
use super::keys::without_keys;
use super::names::{self, Named, Problem, Rules};
use super::places::{Here, There, local_files};
use super::table;
use super::terminal::{Bar, Terminal};
use super::{Client, Config, Receipt, progress};
use crate::error::{Answer, Failure, Waited};
use crate::lang::Msg;
use crate::lang::escape;
use crate::store::Listing;

/// A terminal with fewer columns has no room for a long prompt and a command on one line.
const ROOM_TO_TYPE: usize = 110;

/// Runs one command from the command line.
#[must_use]
pub fn single(client: Client, extras: &'static dyn Extras) -> ExitCode {
    let mut ui = Ui::new(client, extras);
    let action = match action::from_words(&ui.client.config().command) {
        Ok(action) => action,
        Err(wrong) => return ui.wrong_use(&wrong),
    };
    if let Some(wrong) = ui.unfit(&action) {
        ui.complain(&wrong);
        return ExitCode::from(2);
    }
    ui.is_single = true;
    ui.client.connect_by_itself();
    let done = ui.perform(action);
    ui.client.close();
    ui.leave(done)
}

/// Runs the prompt until its input ends, or the user leaves.
#[must_use]
pub fn interactive(client: Client, extras: &'static dyn Extras) -> ExitCode {
    let mut ui = Ui::new(client, extras);
    let done = ui.converse();
    if ui.client.is_connected() {
        let _ = ui.client.byebye();
    }
    ui.leave(done)
}

/// Files here, and the other names that the user chose for them.
type Paths = Vec<(PathBuf, Option<String>)>;

/// What a person sees of the client.
pub struct Ui {
    client: Client,
    terminal: Terminal,
    /// Somebody sits at the keyboard.
    asks: bool,
    /// One command from the command line, and no prompt.
    is_single: bool,
    failures: usize,
    extras: &'static dyn Extras,
}

/// The commands that a lecture adds.
pub trait Extras {
    /// Does the same job through every dialect, and shows what each costs.
    ///
    /// # Errors
    /// Standard output cannot be written to; so in all that follow.
    fn compare(&self, ui: &mut Ui, path: &Path) -> io::Result<()>;

    /// Shows a short session with a trace, then a comparison.
    ///
    /// # Errors
    /// See [`Extras::compare`].
    fn demo(&self, ui: &mut Ui) -> io::Result<()>;
}

impl Ui {
    /// Does something with another client in the place of this one.
    pub(crate) fn with_client<T>(&mut self, client: Client, what: impl FnOnce(&mut Ui) -> T) -> T {
        let own = std::mem::replace(&mut self.client, client);
        let done = what(self);
        self.client = own;
        done
    }

    /// What the user asked for when the program was started.
    pub(crate) fn config(&self) -> &Config {
        self.client.config()
    }

    /// How wide the terminal is.
    pub(crate) fn columns(&self) -> usize {
        self.terminal.columns
    }

    /// Counts a failure and explains it.
    pub(crate) fn failed(&mut self, command: &str, name: &str, failure: Failure) -> io::Result<()> {
        self.failures += 1;
        let tried = format!("{command} {}", shown(name)).trim().to_owned();
        self.complain(&explain(tried, failure, &self.client, self.is_single));
        Ok(())
    }

    /// Does these things, one after the other.
    pub(crate) fn perform_all(
        &mut self,
        actions: impl IntoIterator<Item = Action>,
    ) -> io::Result<()> {
        actions.into_iter().try_for_each(|action| self.perform(action))
    }

    fn new(client: Client, extras: &'static dyn Extras) -> Ui {
        let asks = io::stdin().is_terminal();
        let mut ui =
            Ui { client, terminal: Terminal::look(), asks, is_single: false, failures: 0, extras };
        if io::stderr().is_terminal() && !ui.client.config().quiet {
            let lang = ui.client.config().lang;
            // A bar may have been drawn on this line.
            let begin = if ui.terminal.colour { "\r\x1b[K" } else { "" };
            ui.client.notify(Arc::new(move |waited: &Waited| {
                let line = Msg::StillWaiting { waited: waited.clone() }.say(lang);
                let _ = io::stderr().write_all(format!("{begin}{line}\n").as_bytes());
            }));
        }
        ui
    }

    /// What is wrong with a command line, and where to look for what is right.
    fn wrong_use(&self, wrong: &Msg) -> ExitCode {
        let said = match wrong {
            Msg::UnknownCommand { nearest: Some(_), .. } => self.words(wrong),
            // The list that the prompt would point to is the prompt's.
            Msg::UnknownCommand { word, nearest: None } => {
                let word = word.clone();
                format!("{}; {}", self.words(&Msg::NoCommand { word }), self.words(&Msg::TryHelp))
            }
            wrong => format!("{}; {}", self.words(wrong), self.words(&Msg::TryHelp)),
        };
        let _ = io::stderr().write_all(format!("connme-client: {said}\n").as_bytes());
        ExitCode::from(2)
    }

    /// Why an action does not fit the flags, if it does not.
    fn unfit(&self, action: &Action) -> Option<Msg> {
        let has_port = self.client.config().has_port;
        (has_port && matches!(action, Action::Compare(_))).then_some(Msg::CompareTakesNoPort)
    }

    fn leave(&self, done: io::Result<()>) -> ExitCode {
        match done {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                self.complain(&Msg::CannotWrite { why: error.to_string() });
                ExitCode::FAILURE
            }
            _ if self.failures > 0 => ExitCode::FAILURE,
            _ => ExitCode::SUCCESS,
        }
    }

    fn converse(&mut self) -> io::Result<()> {
        loop {
            let server = self.client.is_connected().then(|| self.client.server());
            let is_narrow = self.terminal.columns < ROOM_TO_TYPE;
            let Some(line) = self.ask(&Msg::Prompt { server, is_narrow })? else { return Ok(()) };
            let action = match action::from_line(&line) {
                Err(Msg::NameMissing { command }) if question(command).is_some() => {
                    match self.ask_for(command)? {
                        Some(action) => action.map(Some),
                        None => return Ok(()),
                    }
                }
                action => action,
            };
            match action {
                Ok(None) => {}
                Ok(Some(Action::Exit)) => return Ok(()),
                Ok(Some(action)) => match self.unfit(&action) {
                    Some(wrong) => self.refuse(&wrong)?,
                    None => self.perform(action)?,
                },
                Err(wrong) => self.refuse(&wrong)?,
            }
        }
    }

    /// The second step of a command that was typed without what it needs.
    fn ask_for(&self, command: &'static str) -> io::Result<Option<Result<Action, Msg>>> {
        let Some(question) = question(command) else { return Ok(None) };
        Ok(self.ask(&question)?.map(|answer| action::completed(command, &answer)))
    }

    /// Prints the question if standard input is a terminal, and reads a line. `None` is the end of the
    /// input.
    fn ask(&self, question: &Msg) -> io::Result<Option<String>> {
        if self.asks {
            let mut stdout = io::stdout().lock();
            stdout.write_all(self.words(question).as_bytes())?;
            stdout.flush()?;
        }
        let mut line = Vec::new();
        if io::stdin().lock().read_until(b'\n', &mut line)? == 0 {
            if self.asks {
                self.print("\n")?;
            }
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches(['\n', '\r']);
        let Some((typed, only_before)) = without_keys(line) else {
            return Ok(Some(line.to_owned()));
        };
        // Keys in the middle were meant to change the line, and have not.
        let is_used = only_before && !typed.is_empty();
        self.complain(&Msg::KeysIgnored { is_used: only_before });
        Ok(Some(if is_used { typed } else { String::new() }))
    }

    fn perform(&mut self, action: Action) -> io::Result<()> {
        match action {
            Action::Connme => self.connme(),
            Action::Ls(folder) => {
                let listing = self.client.list_files(folder.as_deref());
                self.report("ls", "", listing, |ui, listing| ui.list(&listing))
            }
            Action::Size(names) => {
                let Some(found) = self.on_server("size", &names)? else { return Ok(()) };
                found.names.iter().try_for_each(|(name, _)| {
                    let size = self.client.get_size(name);
                    let show = |ui: &Ui, size| ui.tell(&Msg::Size { name: shown(name), size });
                    self.report("size", name, size, show)
                })
            }
            Action::Upload(names) => {
                let Some(pairs) = self.here("upload", &names)? else { return Ok(()) };
                // Once, and not for each file.
                if pairs.len() > 1 && !self.client.can_ask() {
                    return self.failed("upload", "", Failure::NotConnected);
                }
                let mut together = Together::default();
                for (path, name) in &pairs {
                    let mut bar = self.bar();
                    let receipt = self.client.upload(path, name.as_deref(), &mut |done, total| {
                        bar.show(done, total);
                    });
                    drop(bar);
                    together.add(&receipt);
                    let path = path.to_string_lossy();
                    self.report("upload", &path, receipt, |ui, receipt| {
                        ui.uploaded(&path, &receipt)
                    })?;
                }
                self.tell_together(&together)
            }
            Action::Download(names) => {
                let Some(found) = self.on_server("download", &names)? else { return Ok(()) };
                let mut together = Together::default();
                for (name, local) in &found.names {
                    let mut bar = self.bar();
                    let receipt =
                        self.client.download(name, local.as_deref(), &mut |done, total| {
                            bar.show(done, total);
                        });
                    drop(bar);
                    together.add(&receipt);
                    self.report("download", name, receipt, |ui, receipt| {
                        ui.downloaded(name, &receipt)
                    })?;
                }
                self.tell_together(&together)
            }
            Action::Rm(names) => {
                let Some(found) = self.on_server("rm", &names)? else { return Ok(()) };
                let names: Vec<_> = found.names.into_iter().map(|(name, _)| name).collect();
                if found.by_pattern && names.len() > 1 {
                    return self.rm_all(&names);
                }
                names.iter().try_for_each(|name| self.rm(name))
            }
            Action::Count(text) => {
                let count = self.client.count(&text);
                self.report("count", "", count, |ui, count| ui.tell(&Msg::Characters { count }))
            }
            Action::Lls => {
                let listing = local_files();
                self.report("lls", "", listing, |ui, listing| ui.list(&listing))
            }
            Action::Compare(names) => {
                let path = match self.here("compare", &names)?.as_deref() {
                    None => return Ok(()),
                    Some([(path, None)]) => path.clone(),
                    Some(_) => return self.refuse(&Msg::OneFile),
                };
                self.extras.compare(self, &path)
            }
            Action::Say(texts) => {
                let said = self.client.say(&texts);
                self.report("say", "", said, |ui, heard| ui.print(&heard))
            }
            Action::Demo => self.extras.demo(self),
            Action::Help if self.is_single => self.print(&self.words(&Msg::ClientUsage)),
            Action::Help => self.tell(&Msg::PromptHelp),
            Action::Byebye => {
                let said = self.client.byebye();
                self.report("byebye", "", said, |ui, ()| {
                    ui.talk(&Msg::Closed);
                    Ok(())
                })
            }
            Action::Exit => Ok(()),
        }
    }

    /// The files here that a command means. `None`: it means none, and that has been said.
    fn here(&mut self, command: &str, names: &Names) -> io::Result<Option<Paths>> {
        let line = match names {
            Names::Typed(line) => line,
            Names::Words(words) => {
                let text = |name: &OsString| name.to_string_lossy().into_owned();
                let pairs = Names::pairs(words).into_iter();
                return Ok(Some(
                    pairs.map(|(p, name)| (p.into(), name.as_ref().map(text))).collect(),
                ));
            }
        };
        let home = std::env::home_dir().map(|home| home.to_string_lossy().into_owned());
        let rules = Rules { escapes: !cfg!(windows), home };
        let found = names::resolve(line, &rules, command != "compare", &mut Here);
        let found = self.found(command, line, found)?;
        Ok(found.map(|found| found.names.into_iter().map(|(p, name)| (p.into(), name)).collect()))
    }

    /// The files on the server that a command means. `None`: it means none, and that has been said.
    fn on_server(&mut self, command: &str, names: &Names) -> io::Result<Option<Named>> {
        let renames = command == "download";
        let requests = self.client.requests();
        // The command itself says that the dialect lacks it.
        let can_ask = match command {
            "size" => requests.get_size.is_some(),
            "rm" => requests.delete.is_some(),
            _ => requests.download.is_some(),
        };
        let place = &mut There(&mut self.client);
        let (line, found) = match names {
            Names::Typed(line) if can_ask => {
                let rules = Rules { escapes: !cfg!(windows), home: None };
                (line.clone(), names::resolve(line, &rules, renames, place))
            }
            Names::Typed(line) => (line.clone(), Ok(Named::literal(vec![(line.clone(), None)]))),
            Names::Words(words) => {
                let text = |word: &OsString| word.to_string_lossy().into_owned();
                let texts: Vec<_> = words.iter().map(text).collect();
                let found = match Names::pairs(words).as_slice() {
                    [(name, Some(other))] if renames => {
                        Ok(Named::literal(vec![(text(name), Some(text(other)))]))
                    }
                    _ if can_ask => names::resolve_words(&texts, place),
                    _ => Ok(Named::literal(texts.iter().map(|t| (t.clone(), None)).collect())),
                };
                (texts.join(" "), found)
            }
        };
        self.found(command, &line, found)
    }

    fn found(
        &mut self,
        command: &str,
        line: &str,
        found: Result<Named, Problem>,
    ) -> io::Result<Option<Named>> {
        match found {
            Ok(found) => Ok(Some(found)),
            Err(Problem::Line(wrong)) => self.refuse(&wrong).map(|()| None),
            Err(Problem::Place(failure)) => self.failed(command, line, failure).map(|()| None),
        }
    }

    /// A command that cannot be done as it was given.
    fn refuse(&mut self, wrong: &Msg) -> io::Result<()> {
        self.failures = self.failures.saturating_add(1);
        self.complain(wrong);
        Ok(())
    }

    fn connme(&mut self) -> io::Result<()> {
        let before = self.client.is_connected();
        let said = self.client.connme();
        let server = self.client.server();
        let msg = if before { Msg::StillConnected { server } } else { Msg::Connected { server } };
        self.report("connme", "", said, |ui, ()| ui.tell(&msg))
    }

    /// Removes what a pattern has matched, after one question for all of it.
    fn rm_all(&mut self, names: &[String]) -> io::Result<()> {
        let list = names.iter().map(|name| shown(name)).collect();
        // The failure names the first few, as the question has named all.
        let mut name = names.iter().take(3).map(|name| shown(name)).collect::<Vec<_>>().join(" ");
        if names.len() > 3 {
            name.push_str(" ...");
        }
        if self.may_remove(&Msg::AskSureAll { names: list }, &Msg::RmAllCancelled, name)? {
            return names.iter().try_for_each(|name| self.remove(name));
        }
        Ok(())
    }

    fn rm(&mut self, name: &str) -> io::Result<()> {
        if self.client.can_ask()
            && self.client.requests().delete.is_some()
            && !self.client.config().yes
        {
            // What is not there needs no question.
            if self.client.requests().get_size.is_some()
                && let Err(failure) = self.client.get_size(name)
            {
                return self.failed("rm", name, failure);
            }
            let shown = || shown(name);
            let question = Msg::AskSure { name: shown() };
            if !self.may_remove(&question, &Msg::RmCancelled { name: shown() }, shown())? {
                return Ok(());
            }
        }
        self.remove(name)
    }

    /// Asks before a removal, unless the user has said yes to all. What comes of a no is said.
    fn may_remove(&mut self, question: &Msg, cancelled: &Msg, name: String) -> io::Result<bool> {
        if self.client.config().yes {
            return Ok(true);
        }
        let answer = self.ask(question)?;
        let is_yes = |answer: &String| answer.trim().eq_ignore_ascii_case("y");
        match answer {
            Some(answer) if is_yes(&answer) => return Ok(true),
            _ if self.asks => self.tell(cancelled)?,
            Some(_) => self.refuse(cancelled)?,
            None => self.refuse(&Msg::Unanswered { name })?,
        }
        Ok(false)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let removed = self.client.delete(name);
        self.report("rm", name, removed, |ui, ()| ui.tell(&Msg::Removed { name: shown(name) }))
    }

    /// A bar, where nothing else is drawn and something may be.
    fn bar(&self) -> Bar {
        let config = self.client.config();
        let bar = self.terminal.bar && !config.quiet && !config.trace;
        Bar::new(Terminal { bar, ..self.terminal })
    }

    fn uploaded(&self, path: &str, receipt: &Receipt) -> io::Result<()> {
        let own = path.rsplit(['/', std::path::MAIN_SEPARATOR]).next().unwrap_or(path);
        let stored = receipt.stored.as_deref().unwrap_or(own);
        let (seconds, rate) = pace(receipt.bytes, receipt.time);
        let (name, stored, bytes) = (shown(own), shown(stored), receipt.bytes);
        if receipt.grew {
            self.talk(&Msg::Grew { name: name.clone(), bytes });
        }
        if !receipt.confirmed {
            return self.tell(&Msg::Sent { name, bytes, seconds, rate });
        }
        self.tell(&Msg::Uploaded { name, stored, bytes, seconds, rate })
    }

    fn downloaded(&self, name: &str, receipt: &Receipt) -> io::Result<()> {
        let stored = shown(receipt.stored.as_deref().unwrap_or_default());
        let (seconds, rate) = pace(receipt.bytes, receipt.time);
        let (name, bytes) = (shown(name), receipt.bytes);
        self.tell(&Msg::Downloaded { name, stored, bytes, seconds, rate })
    }

    fn tell_together(&self, together: &Together) -> io::Result<()> {
        if together.files < 2 {
            return Ok(());
        }
        let (seconds, rate) = pace(together.bytes, together.time);
        let (files, bytes) = (together.files, together.bytes);
        self.tell(&Msg::Together { files, bytes, seconds, rate })
    }

    fn list(&self, listing: &Listing) -> io::Result<()> {
        if !self.terminal.out {
            return self.print(&table::plain(listing, shown));
        }
        self.tell(&Msg::Files { count: listing.count() })?;
        self.print(&table::table(listing, self.terminal.colour, shown))?;
        self.tell(&Msg::Total { bytes: listing.total })
    }

    /// Shows what came of a command.
    fn report<T>(
        &mut self,
        command: &str,
        name: &str,
        outcome: Answer<T>,
        show: impl FnOnce(&Ui, T) -> io::Result<()>,
    ) -> io::Result<()> {
        match outcome {
            Ok(value) => show(self, value),
            Err(failure) => self.failed(command, name, failure),
        }
    }

    pub(crate) fn words(&self, msg: &Msg) -> String {
        msg.say(self.client.config().lang)
    }

    /// A result.
    fn tell(&self, msg: &Msg) -> io::Result<()> {
        self.print(&format!("{}\n", self.words(msg)))
    }

    pub(crate) fn print(&self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    /// Something that is no result.
    fn talk(&self, msg: &Msg) {
        if !self.client.config().quiet {
            let _ = io::stderr().write_all(format!("{}\n", self.words(msg)).as_bytes());
        }
    }

    /// Something that went wrong.
    fn complain(&self, msg: &Msg) {
        let line = format!("connme-client: {}\n", self.words(msg));
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

/// What a command that was typed alone asks for, if it is one of the assignment's.
fn question(command: &str) -> Option<Msg> {
    match command {
        "upload" => Some(Msg::AskUpload),
        "download" => Some(Msg::AskDownload),
        "rm" => Some(Msg::AskRm),
        "size" => Some(Msg::AskSize),
        "count" => Some(Msg::AskCount),
        _ => None,
    }
}

/// What several transfers come to.
#[derive(Default)]
struct Together {
    files: usize,
    bytes: u64,
    time: Duration,
}

impl Together {
    fn add(&mut self, receipt: &Answer<Receipt>) {
        if let Ok(receipt) = receipt {
            self.files = self.files.saturating_add(1);
            self.bytes = self.bytes.saturating_add(receipt.bytes);
            self.time = self.time.saturating_add(receipt.time);
        }
    }
}

/// How long, and how fast.
fn pace(bytes: u64, time: Duration) -> (String, String) {
    let rate = progress::per_second(bytes, time);
    (format!("{:.3}", time.as_secs_f64()), format!("{}/s", table::readable(rate)))
}

/// A name fit to be shown.
fn shown(name: &str) -> String {
    escape(name.as_bytes()).into_owned()
}
