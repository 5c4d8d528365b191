//! The client: what a user can do, a method each, over any dialect.
//!
//! It returns values and prints nothing; what a person sees is made in [`prompt`]. Files that come in go
//! through a [`Store`] of the client's own, so the server's promises hold here too: a file appears when
//! it is whole, and it replaces nothing.

pub mod argument;
pub mod command;
mod connection;
mod explain;
mod keys;
mod names;
pub(crate) mod places;
pub(crate) mod progress;
pub mod prompt;
pub(crate) mod table;
pub mod terminal;
mod transfer;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::dialect::{Dialect, Requests};
use crate::error::{Answer, Failure};
use crate::lang::{Lang, address, readable};
use crate::limits;
use crate::store::{Listing, Store};
use crate::wire::stream::Prepare;
use crate::wire::{Notice, Wire};

/// What the user of a client asked for when the program was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The server's host, as a name or a number.
    pub host: String,
    /// The server's port.
    pub port: u16,
    /// What is spoken.
    pub dialect: Dialect,
    /// Where received files go.
    pub downloads: PathBuf,
    /// Remove without a question.
    pub yes: bool,
    /// Say only results and failures.
    pub quiet: bool,
    /// The size of every read, if the user wants one.
    pub buffer: Option<usize>,
    /// The user has named a server.
    pub named: bool,
    /// The user has given the server's port.
    pub has_port: bool,
    /// A trace is printed on standard error, where a bar would be drawn.
    pub trace: bool,
    /// Figures for programs.
    pub json: bool,
    /// The language for people.
    pub lang: Lang,
    /// One command and its arguments; none is the prompt.
    pub command: Vec<OsString>,
}

/// A client, connected or not.
pub struct Client {
    config: Config,
    prepare: Prepare,
    /// The user has connected and not said goodbye.
    connected: bool,
    /// A single command connects by itself, and again if the connection was lost.
    by_itself: bool,
    /// The connection, in a dialect where it lasts.
    wire: Option<Wire>,
    /// How many connections there have been.
    connections: u64,
    /// The server of the last exchange has sent something that belongs to this dialect.
    is_understood: bool,
    /// Where received files go, opened when the first one comes.
    downloads: Option<Store>,
    /// Told when a reply takes long to come.
    notice: Option<Notice>,
}

/// What is known of a file that was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The name that it has now, where the server tells.
    pub stored: Option<String>,
    /// Its size.
    pub bytes: u64,
    /// From the request to the last byte, or to the server's confirmation.
    pub time: Duration,
    /// The file became longer while it was sent.
    pub grew: bool,
    /// The server has confirmed that it has the file.
    pub confirmed: bool,
}

/// Told how much of a transfer is done, and of how much if that is known.
pub type Watch<'w> = dyn FnMut(u64, Option<u64>) + 'w;

impl Client {
    /// A client that has not connected yet. `prepare` puts instruments between a wire and its socket.
    #[must_use]
    pub fn new(config: Config, prepare: Prepare) -> Client {
        Client {
            config,
            prepare,
            connected: false,
            by_itself: false,
            wire: None,
            connections: 0,
            is_understood: false,
            downloads: None,
            notice: None,
        }
    }

    /// The server's address, as a user would write it.
    #[must_use]
    pub fn server(&self) -> String {
        address(&self.config.host, self.config.port)
    }

    /// What the user asked for when the program was started.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// From now on `notice` is told, once for each request, when a reply takes long to come.
    pub fn notify(&mut self, notice: Notice) {
        self.notice = Some(notice);
    }

    /// How many connections there have been.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections
    }

    /// From now on a request opens the connection that it needs.
    pub fn connect_by_itself(&mut self) {
        self.by_itself = true;
    }

    /// Whether a request has a chance: there is a connection, or one will be opened.
    #[must_use]
    pub fn can_ask(&self) -> bool {
        self.connected || self.by_itself
    }

    /// Whether there is a connection, as far as is known.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// What the dialect has words for.
    #[must_use]
    pub fn requests(&self) -> &'static Requests {
        self.config.dialect.requests()
    }

    /// Opens a connection, if there is none, and says hello. Where each request has a connection of its
    /// own, this tries whether one can be had.
    ///
    /// # Errors
    /// The server cannot be reached, or does not say hello.
    pub fn connme(&mut self) -> Answer<()> {
        let had_one = self.wire.is_some();
        self.open()?;
        let Some(connme) = self.requests().connme else { return Ok(()) };
        match self.ask(connme) {
            // The server had closed it, perhaps long ago: this command connects again.
            Err(_) if had_one && !self.connected => {
                self.open()?;
                self.ask(connme)
            }
            answer => answer,
        }
    }

    /// Says goodbye and closes the connection, also if that fails.
    ///
    /// # Errors
    /// The server did not say goodbye.
    pub fn byebye(&mut self) -> Answer<()> {
        let answer = match self.requests().byebye {
            Some(byebye) => self.ask(byebye),
            None if self.connected => Ok(()),
            None if self.by_itself => Err(Failure::Lacks("byebye")),
            None => Err(Failure::NotConnected),
        };
        self.disconnect();
        answer
    }

    /// Closes the connection, if there is one. Says goodbye only where the server needs it.
    pub fn close(&mut self) {
        if self.wire.is_some() && self.requests().needs_goodbye {
            let _ = self.byebye();
        }
        self.disconnect();
    }

    /// Sends each of these in a write of its own, with a pause between so that they stay apart, ends our
    /// direction, and returns all that comes back, made fit to print. A netcat for those who have none.
    ///
    /// # Errors
    /// See [`Client::list_files`].
    pub fn say(&mut self, texts: &[Vec<u8>]) -> Answer<String> {
        let mut wire = self.connect()?;
        for text in texts {
            wire.write(text)?;
            wire.pause(limits::HEAD_PAUSE)?;
        }
        wire.end_writing()?;
        let mut heard = Vec::new();
        wire.read_to_end::<Failure>(&mut |bytes| {
            if heard.len() < limits::MESSAGE {
                heard.extend_from_slice(bytes);
            }
            Ok(())
        })?;
        let lines = heard.split_inclusive(|byte| *byte == b'\n');
        Ok(lines.map(|line| readable(line.strip_suffix(b"\n").unwrap_or(line)) + "\n").collect())
    }

    /// What is in the server's root, or in a folder of it.
    ///
    /// # Errors
    /// The server's, or the connection's; so in all that follow.
    pub fn list_files(&mut self, folder: Option<&str>) -> Answer<Listing> {
        let list_files = self.requests().list_files.ok_or(Failure::Lacks("ls"))?;
        self.ask(|wire| list_files(wire, folder))
    }

    /// Removes a file from the server.
    ///
    /// # Errors
    /// See [`Client::list_files`].
    pub fn delete(&mut self, name: &str) -> Answer<()> {
        let delete = self.requests().delete.ok_or(Failure::Lacks("rm"))?;
        self.ask(|wire| delete(wire, name))
    }

    /// The size of a file on the server.
    ///
    /// # Errors
    /// See [`Client::list_files`].
    pub fn get_size(&mut self, name: &str) -> Answer<u64> {
        let get_size = self.requests().get_size.ok_or(Failure::Lacks("size"))?;
        self.ask(|wire| get_size(wire, name))
    }

    /// Has the characters of a text counted.
    ///
    /// # Errors
    /// See [`Client::list_files`].
    pub fn count(&mut self, text: &str) -> Answer<u64> {
        let count = self.requests().count.ok_or(Failure::Lacks("count"))?;
        self.ask(|wire| count(wire, text))
    }
}
