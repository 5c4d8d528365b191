//! The client: one method for each request, over any dialect, and the user's commands.
//!
//! The methods return values and print nothing. A [`command`] calls them, and [`prompt`] prints the results.
//! Received files go through a [`Store`] of the client's own, so the server's promises hold here too: a file
//! appears when it is complete, and it replaces nothing.

mod ahead;
pub mod argument;
mod batch;
pub mod command;
pub(crate) mod connection;
mod explain;
pub(crate) mod keyboard;
pub(crate) mod names;
pub(crate) mod nearest;
pub mod outcome;
mod partial;
mod patience;
pub(crate) mod places;
pub(crate) mod progress;
pub mod prompt;
pub(crate) mod table;
pub mod terminal;
mod transfer;
pub(crate) mod ui;

use std::cell::OnceCell;
use std::ffi::OsString;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use crate::dialect::{Dialect, Requests};
use crate::error::{Answer, Expected, Failure};
use crate::lang::{Lang, address, readable, text};
use crate::limits;
use crate::store::{Listing, Store};
use crate::wire::Wire;
use crate::wire::stream::Prepare;
use patience::Patience;

/// How often `say` looks for a reply between two texts.
const LOOKS: u32 = 10;

/// What the user of a client asked for when the program was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The server's host, as a name or a number.
    pub host: String,
    /// The server's port.
    pub port: u16,
    /// The dialect.
    pub dialect: Dialect,
    /// Where received files go.
    pub downloads: PathBuf,
    /// The folder that the downloads folder is in, if not the current one.
    pub base: PathBuf,
    /// Remove files without a question.
    pub yes: bool,
    /// Print only results and failures.
    pub quiet: bool,
    /// The size of every read, if the user chose one.
    pub buffer: Option<usize>,
    /// Wait for each reply before the next request, also with many files.
    pub in_step: bool,
    /// Compare the sums of both ends after each transfer.
    pub verify: bool,
    /// Go on with downloads that were cut.
    pub resume: bool,
    /// How often a download that was cut is tried again.
    pub retry: u32,
    /// Folders are moved with all that is in them.
    pub recursive: bool,
    /// Print a trace on standard error, where a bar would be drawn.
    pub trace: bool,
    /// Print results on standard error, because standard output is for something else.
    pub to_errors: bool,
    /// The language of all messages.
    pub lang: Lang,
    /// One command and its arguments. Empty for the prompt.
    pub command: Vec<OsString>,
}

impl Config {
    /// What holds if the user asks for nothing else.
    pub fn new(lang: Lang) -> Config {
        Config {
            host: limits::TCP_IP.to_owned(),
            port: limits::TCP_PORT,
            downloads: limits::DOWNLOAD_FOLDER.into(),
            resume: true,
            retry: limits::RETRIES,
            lang,
            ..Config::default()
        }
    }

    /// The path of the downloads folder. Messages have it without its base.
    pub(crate) fn downloads_path(&self) -> PathBuf {
        self.base.join(&self.downloads)
    }
}

/// A client, connected or not.
pub struct Client {
    config: Config,
    prepare: Prepare,
    /// The user has connected, and has not said goodbye.
    is_wanted: bool,
    /// The request is one that a busy server refuses alone.
    busy_keeps_connection: bool,
    /// The connection was lost, and the user is told when there is another one.
    is_lost: bool,
    /// A request opens the first connection too.
    on_demand: bool,
    /// Called when a connection takes the place of one that was lost. Then a request that changes nothing is
    /// repeated over it.
    again: Option<Box<dyn Fn()>>,
    /// The connection, in a dialect that keeps it for several requests.
    wire: Option<Wire>,
    /// The number of connections so far.
    connections: u64,
    /// The server has sent something that belongs to this dialect.
    dialect_is_confirmed: bool,
    /// Where received files go. Opened when the first one comes.
    downloads: Rc<OnceCell<Store>>,
    patience: Patience,
    /// Whether the server takes requests that are sent ahead, if that is known.
    supports_pipelining: Option<bool>,
}

/// What a greeting has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// There was no connection.
    First,
    /// The connection was lost, and there is another one.
    Again,
    /// The connection is still there.
    Still,
}

/// What is known of a file that was sent or received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its name on the server, if the server tells it, or its path on this machine.
    pub stored: Option<String>,
    /// Its size.
    pub bytes: u64,
    /// How much of it was here already, from a download that was cut.
    pub partial: u64,
    /// From the request to the last byte, or to the server's confirmation.
    pub time: Duration,
}

/// How far a transfer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The number of bytes so far, and the total if it is known. While the beginning of a cut download is read here, those
    /// that were read.
    Moved(u64, Option<u64>),
    /// This many bytes of a download that was cut are here, and reading them takes a while.
    Checking(u64),
    /// They are compared with those on the server, which takes as long.
    Comparing,
    /// A download goes on where it was cut, at this many bytes of this many.
    Continuing(u64, Option<u64>),
    /// A download has failed, and what has come of it is kept: this many bytes of this many.
    Kept(u64, Option<u64>),
    /// The system has taken all bytes of an upload, and the receipt is expected.
    Sent,
}

fn not_connected() -> Failure {
    Failure::NotSent(text!("not-connected"))
}

/// Called while a transfer runs.
pub type Watch<'w> = dyn FnMut(Progress) + 'w;

impl Client {
    /// A client that has not connected yet. `prepare` puts instruments between a wire and its socket.
    pub fn new(config: Config, prepare: Prepare) -> Client {
        Client {
            config,
            prepare,
            is_wanted: false,
            busy_keeps_connection: false,
            is_lost: false,
            on_demand: false,
            again: None,
            wire: None,
            connections: 0,
            dialect_is_confirmed: false,
            downloads: Rc::default(),
            patience: Patience::default(),
            supports_pipelining: None,
        }
    }

    /// The server's address, as a user would write it.
    pub fn server(&self) -> String {
        address(&self.config.host, self.config.port)
    }

    /// What the user asked for when the program was started.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The number of connections so far.
    pub fn connections(&self) -> u64 {
        self.connections
    }

    /// Makes each request open the connection that it needs.
    pub fn connect_on_demand(&mut self) {
        self.on_demand = true;
    }

    /// Whether a request can be sent: there is a connection, or one will be opened.
    pub fn can_ask(&self) -> bool {
        self.is_wanted || self.on_demand
    }

    /// Whether there is a connection, as far as is known.
    pub fn is_connected(&self) -> bool {
        self.wire.is_some() || (self.is_wanted && self.requests().one_a_connection)
    }

    /// The dialect has no such command.
    pub(crate) fn lacks(&self, command: &str) -> Failure {
        Failure::lacks(self.config.dialect.name(), command)
    }

    /// The requests of the dialect.
    pub fn requests(&self) -> &'static Requests {
        self.config.dialect.requests()
    }

    /// Opens a connection if there is none, and sends the greeting. In a dialect with one connection for each
    /// request, this tests whether the server accepts one.
    ///
    /// # Errors
    /// The server cannot be reached, or does not answer the greeting.
    pub fn connme(&mut self) -> Answer<Greeting> {
        let (was_wanted, had_one, before) = (self.is_wanted, self.wire.is_some(), self.connections);
        // The result says whether it connects again.
        let again = self.again.take();
        let on_demand = std::mem::replace(&mut self.on_demand, true);
        let answer = match self.requests().connme {
            Some(connme) => match self.ask(connme) {
                // The server had closed the connection, perhaps long ago: connects again.
                Err(_) if had_one && self.wire.is_none() => self.ask(connme),
                answer => answer,
            },
            None => self.connect().map(|mut wire| wire.close_and_wait()),
        };
        (self.again, self.on_demand) = (again, on_demand);
        answer?;
        self.is_wanted = true;
        let is_new = self.connections > before && !self.requests().one_a_connection;
        Ok(match (was_wanted, is_new) {
            (false, _) => Greeting::First,
            (true, true) => Greeting::Again,
            (true, false) => Greeting::Still,
        })
    }

    /// Sends the dialect's goodbye and closes the connection, also if the goodbye fails.
    ///
    /// # Errors
    /// The server did not answer the goodbye.
    pub fn byebye(&mut self) -> Answer<()> {
        let answer = match self.requests().byebye {
            // Over the connection that there is: another one is not opened to be closed.
            Some(byebye) if self.wire.is_some() => {
                self.must_be_quiet().and_then(|()| self.step(byebye))
            }
            _ if self.is_wanted => Ok(()),
            None if self.on_demand => Err(self.lacks("byebye")),
            Some(byebye) if self.on_demand && self.connections == 0 => self.ask(byebye),
            _ => Err(not_connected()),
        };
        self.leave();
        answer
    }

    /// Closes the connection if there is one. Sends a goodbye only in a dialect that needs it.
    pub fn close(&mut self) {
        if self.wire.is_some() && self.requests().needs_goodbye {
            let _ = self.byebye();
        }
        self.leave();
    }

    /// Sends each text in one write, with pauses between so that they stay apart, and ends our direction.
    /// Returns the answer, escaped. It does what netcat does, for users who have no netcat.
    ///
    /// # Errors
    /// See [`Client::list_files`].
    pub fn say(&mut self, texts: &[Vec<u8>]) -> Answer<String> {
        let mut wire = self.connect()?;
        let mut heard = Vec::new();
        for (n, text) in texts.iter().enumerate() {
            // A reply is read when it comes, so that a trace shows it there: without waiting for it, because a bad
            // network joins only what is sent before a wait.
            for _ in 0..if n > 0 { LOOKS } else { 0 } {
                wire.pause(limits::HEAD_PAUSE / LOOKS)?;
                heard.extend(wire.take_arrived().unwrap_or_default());
            }
            wire.write(text)?;
        }
        wire.wait_for_any(limits::HEAD_PAUSE, Expected::Close)?;
        wire.end_writing()?;
        let read = wire.read_to_end::<Failure>(&mut |bytes| {
            // A server may never end.
            heard.extend(bytes.iter().take(limits::MESSAGE.saturating_sub(heard.len())));
            if heard.len() < limits::MESSAGE { Ok(()) } else { Err(Failure::closed()) }
        });
        if heard.len() < limits::MESSAGE {
            read.map_err(|failure| self.patience.or_interrupted(failure))?;
        }
        let lines = heard.split_inclusive(|byte| *byte == b'\n');
        Ok(lines.map(|line| readable(line.strip_suffix(b"\n").unwrap_or(line)) + "\n").collect())
    }

    /// Lists the server's files, or those in a folder.
    ///
    /// # Errors
    /// The server's error, or the connection's.
    pub fn list_files(&mut self, folder: Option<&str>) -> Answer<Listing> {
        let list_files = self.requests().list_files.ok_or_else(|| self.lacks("ls"))?;
        if folder.is_some() && !self.requests().has_folders {
            return Err(self.lacks("folders"));
        }
        self.ask_again(true, |wire| list_files(wire, folder))
    }

    /// Removes a file from the server.
    ///
    /// # Errors
    /// See [`Client::list_files`].
    pub fn delete(&mut self, name: &str) -> Answer<()> {
        let delete = self.requests().delete.ok_or_else(|| self.lacks("rm"))?;
        self.ask(|wire| delete(wire, name))
    }

    /// The size of a file on the server.
    ///
    /// # Errors
    /// See [`Client::list_files`].
    pub fn get_size(&mut self, name: &str) -> Answer<u64> {
        let get_size = self.requests().get_size.ok_or_else(|| self.lacks("size"))?;
        self.ask_again(true, |wire| get_size(wire, name))
    }

    /// Counts the characters of a text.
    ///
    /// # Errors
    /// See [`Client::list_files`].
    pub fn count(&mut self, text: &str) -> Answer<u64> {
        let count = self.requests().count.ok_or_else(|| self.lacks("count"))?;
        self.ask_again(true, |wire| count(wire, text))
    }
}

#[cfg(test)]
mod tests;
