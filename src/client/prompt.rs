//! What a person sees of the client: the prompt, a single command, and what comes of either.
//!
//! Results go to standard output, talk and failures to standard error. A reader that closes standard
//! output ends the program quietly.

use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use super::action::{self, Action};
use super::{Client, Receipt};
use crate::error::{Code, Error, Result};
use crate::lang::{Hint, Msg};
use crate::log::escape;
use crate::store::{Entry, Listing};

/// Runs one command from the command line.
#[must_use]
pub fn single(client: Client) -> ExitCode {
    let mut face = Face::new(client);
    let action = match action::from_words(&face.client.config().command) {
        Ok(action) => action,
        Err(wrong) => {
            face.complain(&wrong);
            face.complain(&Msg::TryHelp);
            return ExitCode::from(2);
        }
    };
    face.client.connect_by_itself();
    let done = face.perform(action);
    face.client.close();
    face.leave(done)
}

/// Runs the prompt until its input ends, or the user leaves.
#[must_use]
pub fn interactive(client: Client) -> ExitCode {
    let mut face = Face::new(client);
    let done = face.converse();
    if face.client.is_connected() {
        let _ = face.client.byebye();
    }
    face.leave(done)
}

/// The user's side of things.
struct Face {
    client: Client,
    /// Somebody sits at the keyboard.
    asks: bool,
    failures: usize,
}

impl Face {
    fn new(client: Client) -> Face {
        Face { client, asks: io::stdin().is_terminal(), failures: 0 }
    }

    fn leave(&self, done: io::Result<()>) -> ExitCode {
        match done {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                self.complain(&Msg::CannotUse { why: format!("write the results: {error}") });
                ExitCode::FAILURE
            }
            _ if self.failures > 0 => ExitCode::FAILURE,
            _ => ExitCode::SUCCESS,
        }
    }

    fn converse(&mut self) -> io::Result<()> {
        loop {
            let server = self.client.is_connected().then(|| self.client.server());
            let Some(line) = self.ask(&Msg::Prompt { server })? else { return Ok(()) };
            let action = match action::from_line(&line) {
                Err(Msg::NameMissing { command }) => match self.ask_for(command)? {
                    Some(action) => action.map(Some),
                    None => return Ok(()),
                },
                action => action,
            };
            match action {
                Ok(None) => {}
                Ok(Some(Action::Exit)) => return Ok(()),
                Ok(Some(action)) => self.perform(action)?,
                Err(wrong) => {
                    self.complain(&wrong);
                    self.failures += 1;
                }
            }
        }
    }

    /// The second step of a command that was typed without what it needs.
    fn ask_for(
        &self,
        command: &'static str,
    ) -> io::Result<Option<std::result::Result<Action, Msg>>> {
        let question = match command {
            "upload" => Msg::AskUpload,
            "download" => Msg::AskDownload,
            "rm" => Msg::AskRm,
            "size" => Msg::AskSize,
            _ => Msg::AskCount,
        };
        Ok(self.ask(&question)?.map(|answer| action::completed(command, &answer)))
    }

    /// Asks, if somebody is there to be asked, and reads a line. `None` is the end of the input.
    fn ask(&self, question: &Msg) -> io::Result<Option<String>> {
        if self.asks {
            let mut stdout = io::stdout().lock();
            stdout.write_all(question.say().as_bytes())?;
            stdout.flush()?;
        }
        let mut line = Vec::new();
        if io::stdin().lock().read_until(b'\n', &mut line)? == 0 {
            if self.asks {
                self.print("")?;
            }
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line);
        Ok(Some(line.trim_end_matches(['\n', '\r']).to_owned()))
    }

    fn perform(&mut self, action: Action) -> io::Result<()> {
        match action {
            Action::Connme => self.connme(),
            Action::Ls(folder) => {
                let listing = self.client.list_files(folder.as_deref());
                self.report("ls", "", listing, |face, listing| face.list(&listing))
            }
            Action::Size(names) => names.iter().try_for_each(|name| {
                let size = self.client.get_size(name);
                self.report("size", name, size, |face, size| {
                    face.tell(&Msg::Size { name: shown(name), size })
                })
            }),
            Action::Upload(pairs) => pairs.iter().try_for_each(|(path, name)| {
                let receipt = self.client.upload(path, name.as_deref());
                let path = path.to_string_lossy();
                self.report("upload", &path, receipt, |face, receipt| {
                    let own = path.rsplit(['/', std::path::MAIN_SEPARATOR]).next();
                    let name = shown(own.unwrap_or(&path));
                    let transfer = transfer(&receipt);
                    let stored = receipt.stored.as_deref().map_or(name.clone(), shown);
                    face.tell(&Msg::Uploaded { name, stored, transfer })
                })
            }),
            Action::Download(pairs) => pairs.iter().try_for_each(|(name, local)| {
                let receipt = self.client.download(name, local.as_deref());
                self.report("download", name, receipt, |face, receipt| {
                    let transfer = transfer(&receipt);
                    let stored = shown(receipt.stored.as_deref().unwrap_or_default());
                    face.tell(&Msg::Downloaded { name: shown(name), stored, transfer })
                })
            }),
            Action::Rm(names) => names.iter().try_for_each(|name| self.rm(name)),
            Action::Count(text) => {
                let count = self.client.count(&text);
                self.report("count", "", count, |face, count| face.tell(&Msg::Characters { count }))
            }
            Action::Lls => {
                let listing = local_files();
                self.report("lls", "", listing, |face, listing| face.list(&listing))
            }
            Action::Help => self.tell(&Msg::PromptHelp),
            Action::Byebye => {
                let said = self.client.byebye();
                self.report("byebye", "", said, |face, ()| {
                    face.talk(&Msg::Closed);
                    Ok(())
                })
            }
            Action::Exit => Ok(()),
        }
    }

    fn connme(&mut self) -> io::Result<()> {
        let before = self.client.is_connected();
        let said = self.client.connme();
        let server = self.client.server();
        self.report("connme", "", said, |face, ()| {
            face.tell(&if before {
                Msg::StillConnected { server }
            } else {
                Msg::Connected { server }
            })
        })
    }

    fn rm(&mut self, name: &str) -> io::Result<()> {
        let question = Msg::AskSure { name: shown(name) };
        if self.client.can_ask() && !self.client.config().yes {
            let answer = self.ask(&question)?.unwrap_or_default();
            if !answer.trim().eq_ignore_ascii_case("y") {
                let cancelled = Msg::RmCancelled { name: shown(name) };
                if self.asks {
                    return self.tell(&cancelled);
                }
                self.failures += 1;
                self.complain(&cancelled);
                return Ok(());
            }
        }
        let removed = self.client.delete(name);
        self.report("rm", name, removed, |face, ()| face.tell(&Msg::Removed { name: shown(name) }))
    }

    fn list(&self, listing: &Listing) -> io::Result<()> {
        let talks = io::stdout().is_terminal();
        if talks {
            self.tell(&Msg::Files { count: listing.entries.len() })?;
        }
        for Entry { name, size, .. } in &listing.entries {
            match size {
                Some(size) => self.print(&format!("file {size:>12} {}", shown(name)))?,
                None => self.print(&format!("dir  {:>12} {}", "-", shown(name)))?,
            }
        }
        if talks { self.tell(&Msg::Total { bytes: listing.total }) } else { Ok(()) }
    }

    /// Shows what came of a command.
    fn report<T>(
        &mut self,
        command: &str,
        name: &str,
        outcome: Result<T>,
        show: impl FnOnce(&Face, T) -> io::Result<()>,
    ) -> io::Result<()> {
        match outcome {
            Ok(value) => show(self, value),
            Err(error) => self.fail(format!("{command} {}", shown(name)).trim().to_owned(), &error),
        }
    }

    fn fail(&mut self, tried: String, error: &Error) -> io::Result<()> {
        self.failures += 1;
        let dialect = self.client.config().dialect.name();
        self.complain(&explain(tried, error, dialect));
        Ok(())
    }

    /// A result.
    fn tell(&self, msg: &Msg) -> io::Result<()> {
        self.print(&msg.say())
    }

    fn print(&self, line: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(format!("{line}\n").as_bytes())?;
        stdout.flush()
    }

    /// Something that is no result.
    fn talk(&self, msg: &Msg) {
        if !self.client.config().quiet {
            let _ = io::stderr().write_all(format!("{}\n", msg.say()).as_bytes());
        }
    }

    /// Something that went wrong.
    fn complain(&self, msg: &Msg) {
        let _ = io::stderr().write_all(format!("connme-client: {}\n", msg.say()).as_bytes());
    }
}

/// A failure in words: what was tried, on what, why it failed and what to do.
fn explain(tried: String, error: &Error, dialect: &'static str) -> Msg {
    let sentence = shown(error.sentence());
    let cause = error.cause().map(|cause| cause.to_owned());
    let hint = match error.code() {
        Code::Lacks => return Msg::Lacks { dialect, command: sentence },
        Code::Unreachable => match cause {
            None => return Msg::NotConnected,
            Some(why) => {
                let hint = Some(Hint::IsServerRunning);
                return Msg::Failed { tried: sentence, why, hint };
            }
        },
        Code::Local => {
            let hint = (tried.starts_with("upload")).then_some(Hint::SeeLls);
            return Msg::Failed { tried: sentence, why: cause.unwrap_or_default(), hint };
        }
        Code::NotFound | Code::IsFolder => Some(Hint::SeeLs),
        Code::BadName => Some(Hint::OtherName),
        Code::Busy | Code::Internal => Some(Hint::TryAgain),
        Code::Gone | Code::Timeout => Some(Hint::Reconnect),
        Code::Nonsense => Some(Hint::WrongServer),
        _ => None,
    };
    let why = match (error.code(), cause) {
        (Code::Gone | Code::Nonsense, Some(cause)) => format!("{sentence} ({cause})"),
        (Code::Gone | Code::Nonsense, None) => sentence,
        (code, _) => format!("{sentence} ({})", code.word()),
    };
    Msg::Failed { tried, why, hint }
}

/// How much, how long, how fast.
fn transfer(receipt: &Receipt) -> String {
    let seconds = receipt.time.max(Duration::from_micros(1)).as_secs_f64();
    // Only shown, never counted with: the nearest float is near enough.
    #[allow(clippy::cast_precision_loss, reason = "a rate of more than 2^53 bytes is no concern")]
    let rate = receipt.bytes as f64 / seconds / 1e6;
    format!("{} bytes in {seconds:.3} s ({rate:.2} MB/s)", receipt.bytes)
}

/// A name fit to be shown.
fn shown(name: &str) -> String {
    escape(name.as_bytes())
}

/// The files in this folder that could be sent.
fn local_files() -> Result<Listing> {
    let reading = |error| Error::local("list this folder", error);
    let mut listing = Listing::default();
    for entry in fs::read_dir(".").map_err(reading)? {
        let entry = entry.map_err(reading)?;
        let Ok(metadata) = fs::metadata(entry.path()) else { continue };
        if metadata.is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            listing.total = listing.total.saturating_add(metadata.len());
            listing.entries.push(Entry { name, size: Some(metadata.len()), id: None });
        }
    }
    listing.entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listing)
}
