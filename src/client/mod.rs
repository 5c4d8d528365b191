//! The client: one method for each request, over any dialect, and the user's commands.
//!
//! The methods return values and print nothing. A [`command`] calls them, and [`prompt`] prints the results.
//! Received files go through a [`Store`] of the client's own, so the server's promises hold here too: a file
//! appears when it is complete, and it replaces nothing.

mod ahead;
pub mod argument;
pub mod command;
mod connection;
mod explain;
mod keys;
mod names;
mod patience;
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
use crate::wire::Wire;
use crate::wire::stream::Prepare;
pub use patience::Notice;
use patience::Patience;

/// What the user of a client asked for when the program was started.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    #[must_use]
    pub fn new(lang: Lang) -> Config {
        Config {
            host: limits::TCP_IP.to_owned(),
            port: limits::TCP_PORT,
            dialect: Dialect::Text,
            downloads: limits::DOWNLOAD_FOLDER.into(),
            base: PathBuf::new(),
            yes: false,
            quiet: false,
            buffer: None,
            in_step: false,
            verify: false,
            resume: true,
            retry: limits::RETRIES,
            recursive: false,
            trace: false,
            to_errors: false,
            lang,
            command: Vec::new(),
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
    /// The user has connected, and has not disconnected.
    connected: bool,
    /// A request opens the connection that it needs: for a single command.
    by_itself: bool,
    /// The connection, in a dialect that keeps it for several requests.
    wire: Option<Wire>,
    /// The number of connections so far.
    connections: u64,
    /// In the last exchange, the server sent something that belongs to this dialect.
    dialect_is_confirmed: bool,
    /// Where received files go. Opened when the first one comes.
    downloads: Option<Store>,
    /// Called when a reply takes long.
    notice: Option<Notice>,
    patience: Patience,
    /// Whether the server takes requests that are sent ahead, if that is known.
    knows_parts: Option<bool>,
    /// How much of the last download that failed is kept, and the size of the file.
    kept: Option<(u64, u64)>,
}

/// What is known of a file that was sent or received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its name on the server, if the server tells it, or its path on this machine.
    pub stored: Option<String>,
    /// Its size.
    pub bytes: u64,
    /// How much of it was here already, from a download that was cut.
    pub kept: u64,
    /// From the request to the last byte, or to the server's confirmation.
    pub time: Duration,
    /// The file became longer while it was sent.
    pub grew: bool,
    /// The server has confirmed that it has the file.
    pub confirmed: bool,
}

/// How far a transfer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The number of bytes so far, and the total if it is known.
    Moved(u64, Option<u64>),
    /// A download goes on where it was cut, at this many bytes of this many.
    Continuing(u64, Option<u64>),
    /// The system has taken all bytes of an upload, and the receipt is awaited.
    Sent,
}

/// Called while a transfer runs.
pub type Watch<'w> = dyn FnMut(Progress) + 'w;

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
            dialect_is_confirmed: false,
            downloads: None,
            notice: None,
            patience: Patience::default(),
            knows_parts: None,
            kept: None,
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

    /// Sets what is called, once for each request, when a reply takes long.
    pub fn notify(&mut self, notice: Notice) {
        self.notice = Some(notice);
    }

    /// The number of connections so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections
    }

    /// Makes each request open the connection that it needs.
    pub fn connect_by_itself(&mut self) {
        self.by_itself = true;
    }

    /// Whether a request can be sent: there is a connection, or one will be opened.
    #[must_use]
    pub fn can_ask(&self) -> bool {
        self.connected || self.by_itself
    }

    /// Whether there is a connection, as far as is known.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// The requests of the dialect.
    #[must_use]
    pub fn requests(&self) -> &'static Requests {
        self.config.dialect.requests()
    }

    /// Opens a connection if there is none, and sends the greeting. In a dialect with one connection for each
    /// request, this tests whether the server accepts one.
    ///
    /// # Errors
    /// The server cannot be reached, or does not answer the greeting.
    pub fn connme(&mut self) -> Answer<()> {
        let had_one = self.wire.is_some();
        self.open()?;
        let Some(connme) = self.requests().connme else { return Ok(()) };
        match self.ask(connme) {
            // The server had closed the connection, perhaps long ago: connects again.
            Err(_) if had_one && !self.connected => {
                self.open()?;
                self.ask(connme)
            }
            answer => answer,
        }
    }

    /// Sends the dialect's goodbye and closes the connection, also if the goodbye fails.
    ///
    /// # Errors
    /// The server did not answer the goodbye.
    pub fn byebye(&mut self) -> Answer<()> {
        let answer = match self.requests().byebye {
            Some(byebye) => self.ask(byebye),
            None if self.connected => Ok(()),
            None if self.by_itself => Err(Failure::Lacks("byebye")),
            None => Err(Failure::NotConnected),
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
        for text in texts {
            wire.write(text)?;
            wire.pause(limits::HEAD_PAUSE)?;
        }
        wire.end_writing()?;
        let mut heard = Vec::new();
        let read = wire.read_to_end::<Failure>(&mut |bytes| {
            heard.extend_from_slice(bytes);
            // A server may never end.
            if heard.len() < limits::MESSAGE { Ok(()) } else { Err(Failure::NoReply) }
        });
        if heard.len() < limits::MESSAGE {
            read?;
        }
        let lines = heard.split_inclusive(|byte| *byte == b'\n');
        Ok(lines.map(|line| readable(line.strip_suffix(b"\n").unwrap_or(line)) + "\n").collect())
    }

    /// Lists the server's files, or those in a folder.
    ///
    /// # Errors
    /// The server's error, or the connection's.
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

    /// Counts the characters of a text.
    ///
    /// # Errors
    /// See [`Client::list_files`].
    pub fn count(&mut self, text: &str) -> Answer<u64> {
        let count = self.requests().count.ok_or(Failure::Lacks("count"))?;
        self.ask(|wire| count(wire, text))
    }
}
