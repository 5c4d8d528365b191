//! The client: what a user can do, a method each, over whichever dialect is spoken.
//!
//! It returns values and prints nothing; what a person sees is made in [`prompt`]. Files that come
//! in go through a [`Store`] of the client's own, so the server's promises hold here too: a file
//! appears when it is whole, and it replaces nothing.

pub mod action;
mod columns;
mod explain;
mod keys;
mod names;
mod places;
pub(crate) mod progress;
pub mod prompt;
pub mod screen;
pub(crate) mod table;
mod terminal;

use std::cell::OnceCell;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::dialect::{self, Dialect, Receiver, Requests};
use crate::error::{Awaited, Code, Error, Result};
use crate::lang::Lang;
use crate::limits;
use crate::log::Log;
use crate::store::{FileName, Incoming, Listing, Options, Store};
use crate::wire::stream::{Prepare, set_options};
use crate::wire::{Notice, Wire, WireConfig};

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
    /// The user has connected and not said goodbye.
    connected: bool,
    /// A single command connects by itself, and again if the connection was lost.
    by_itself: bool,
    /// The connection, in a dialect where it lasts.
    wire: Option<Wire>,
    prepare: Prepare,
    /// How many connections there have been.
    connections: u64,
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
    /// From the request to the last byte, or to the server's receipt.
    pub time: Duration,
    /// The file became longer while it was sent.
    pub grew: bool,
    /// The server has said that it has it.
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
            connected: false,
            by_itself: false,
            wire: None,
            prepare,
            connections: 0,
            downloads: None,
            notice: None,
        }
    }

    /// The server's address, as a user would write it.
    #[must_use]
    pub fn server(&self) -> String {
        let Config { host, port, .. } = &self.config;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
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

    /// Opens a connection, if there is none. Where each request has a connection of its own, this
    /// tries whether one can be had.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub fn open(&mut self) -> Result<()> {
        if self.wire.is_none() {
            let mut wire = self.connect()?;
            match self.requests().one_a_connection() {
                true => wire.close(),
                false => self.wire = Some(wire),
            }
        }
        self.connected = true;
        Ok(())
    }

    /// Opens a connection, if there is none, and says hello.
    ///
    /// # Errors
    /// The server cannot be reached, or does not say hello.
    pub fn connme(&mut self) -> Result<()> {
        let had_one = self.wire.is_some();
        self.open()?;
        if self.requests().one_a_connection() {
            return Ok(());
        }
        match self.ask(|requests, wire| requests.connme(wire)) {
            // The server had closed it, perhaps long ago: that is what this command is for.
            Err(_) if had_one && !self.connected => {
                self.open()?;
                self.ask(|requests, wire| requests.connme(wire))
            }
            said => said,
        }
    }

    /// Says goodbye and closes the connection. The connection is gone whatever comes of it.
    ///
    /// # Errors
    /// The server did not say goodbye.
    pub fn byebye(&mut self) -> Result<()> {
        let said = match (self.connected, self.requests().one_a_connection()) {
            (true, true) => Ok(()),
            _ => self.ask(|requests, wire| requests.byebye(wire)),
        };
        self.connected = false;
        if let Some(mut wire) = self.wire.take() {
            wire.close();
        }
        said
    }

    /// Closes the connection, if there is one. Says goodbye only where the server needs it.
    pub fn close(&mut self) {
        if self.wire.is_some() && self.requests().needs_goodbye() {
            let _ = self.byebye();
        }
        self.connected = false;
        if let Some(mut wire) = self.wire.take() {
            wire.close();
        }
    }

    /// Sends each of these in a write of its own, with a pause between so that they stay apart, ends our
    /// direction, and gives all that comes back, made fit to print. Netcat, for those who have none.
    ///
    /// # Errors
    /// See [`Client::list_files`].
    pub fn say(&mut self, texts: &[Vec<u8>]) -> Result<String> {
        let mut wire = self.connect()?;
        for text in texts {
            wire.write(text)?;
            wire.pause(limits::HEAD_PAUSE)?;
        }
        wire.end_writing()?;
        let mut heard = Vec::new();
        wire.read_to_end(&mut |bytes| {
            if heard.len() < limits::MESSAGE {
                heard.extend_from_slice(bytes);
            }
            Ok(())
        })?;
        let mut shown = String::new();
        for line in heard.split_inclusive(|byte| *byte == b'\n') {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            shown += &crate::lang::readable(text);
            shown.push('\n');
        }
        Ok(shown)
    }

    fn requests(&self) -> &'static dyn Requests {
        self.config.dialect.requests()
    }

    /// What stands in the server's root, or in a folder of it.
    ///
    /// # Errors
    /// The server's, or the connection's; so in all that follow.
    pub fn list_files(&mut self, folder: Option<&str>) -> Result<Listing> {
        self.must_speak("ls")?;
        self.ask(|requests, wire| requests.list_files(wire, folder))
    }

    /// Removes a file from the server.
    ///
    /// # Errors
    /// See [`Client::list_files`].
    pub fn delete(&mut self, name: &str) -> Result<()> {
        self.must_speak("rm")?;
        self.ask(|requests, wire| requests.delete(wire, name))
    }

    /// The size of a file on the server.
    ///
    /// # Errors
    /// See [`Client::list_files`].
    pub fn get_size(&mut self, name: &str) -> Result<u64> {
        self.must_speak("size")?;
        self.ask(|requests, wire| requests.get_size(wire, name))
    }

    /// Has the characters of a text counted.
    ///
    /// # Errors
    /// See [`Client::list_files`].
    pub fn count(&mut self, text: &str) -> Result<u64> {
        self.must_speak("count")?;
        self.ask(|requests, wire| requests.count(wire, text))
    }

    /// Sends a file, under its own name if no other is given.
    ///
    /// # Errors
    /// The file's, the server's, or the connection's.
    pub fn upload(
        &mut self,
        path: &Path,
        name: Option<&str>,
        watch: &mut Watch<'_>,
    ) -> Result<Receipt> {
        self.must_speak("upload")?;
        let shown = path.display();
        let local = |error: std::io::Error| Error::local(format!("open {shown}"), error);
        // Looked at before it is opened: opening a pipe would wait for its other end.
        let found = fs::metadata(path).map_err(local)?;
        if !found.is_file() {
            let what = if found.is_dir() { "it is a folder" } else { "it is no plain file" };
            return Err(Error::local(format!("send {shown}"), what));
        }
        let own_name = path.file_name().map(|name| name.to_str());
        let name = match (name, own_name) {
            (Some(name), _) | (None, Some(Some(name))) => name,
            _ => return Err(Error::local(format!("send {shown}"), "its name is not UTF-8")),
        };
        let mut file = File::open(path).map_err(local)?;
        let size = file.metadata().map_err(local)?.len();
        if size == 0 {
            must_be_empty(&mut file, path)?;
        }
        let start = Instant::now();
        let mut done: u64 = 0;
        let stored = self.ask(|requests, wire| {
            requests.upload(wire, name, size, &mut |room| {
                watch(done, Some(size));
                let n = file
                    .read(room)
                    .map_err(|error| Error::local(format!("read {shown}"), error))?;
                if n == 0 {
                    let why = "it became shorter while it was sent";
                    return Err(Error::local(format!("send {shown}"), why).and_close());
                }
                done = done.saturating_add(n.try_into().unwrap_or(u64::MAX));
                Ok(n)
            })
        })?;
        let grew = file.metadata().is_ok_and(|now| now.len() > size);
        Ok(Receipt {
            stored,
            bytes: size,
            time: start.elapsed(),
            grew,
            confirmed: self.requests().has_receipts(),
        })
    }

    /// Fetches a file into the downloads folder, under the last part of its name or another name.
    /// Nothing that the server sends has a say in where it goes.
    ///
    /// # Errors
    /// The folder's, the server's, or the connection's.
    pub fn download(
        &mut self,
        name: &str,
        local: Option<&str>,
        watch: &mut Watch<'_>,
    ) -> Result<Receipt> {
        self.must_speak("download")?;
        let local = local.unwrap_or_else(|| name.rsplit('/').next().unwrap_or(name));
        let local_name = FileName::parse(local.as_bytes()).map_err(|error| {
            let folder = self.config.downloads.display();
            Error::local(format!("keep {local} in {folder}"), error.sentence())
        })?;
        let start = Instant::now();
        let folder = self.config.downloads.clone();
        let store = self.downloads.take().map_or_else(OnceCell::new, OnceCell::from);
        let arriving = Arriving {
            folder: &folder,
            store: &store,
            name: &local_name,
            incoming: None,
            size: None,
            done: 0,
            watch,
        };
        let received = receive(self, arriving, name);
        self.downloads = store.into_inner();
        let (bytes, stored) = received?;
        let stored = self.config.downloads.join(stored).display().to_string();
        Ok(Receipt {
            stored: Some(stored),
            bytes,
            time: start.elapsed(),
            grew: false,
            confirmed: true,
        })
    }

    /// Whether the dialect has words for a command.
    #[must_use]
    pub fn speaks(&self, command: &str) -> bool {
        self.requests().commands().contains(&command)
    }

    /// Refuses a command that the dialect has no words for, before anything is opened or sent.
    fn must_speak(&self, command: &'static str) -> Result<()> {
        if self.speaks(command) {
            return Ok(());
        }
        Err(Error::new(Code::Lacks, command))
    }

    /// Puts a request over the connection, or over one of its own. A connection that has broken, or
    /// is out of step, is dropped.
    fn ask<T>(&mut self, what: impl FnOnce(&dyn Requests, &mut Wire) -> Result<T>) -> Result<T> {
        if self.by_itself && !self.connected {
            match self.requests().one_a_connection() {
                true => self.connected = true,
                false => self.open()?,
            }
        }
        if !self.connected {
            return Err(Error::new(Code::Unreachable, "there is no connection"));
        }
        let requests = self.requests();
        let mut wire = match self.wire.take() {
            Some(wire) => wire,
            None => self.connect()?,
        };
        wire.begin_exchange(self.notice.clone());
        let answer = dialect::must_be_quiet(requests, &mut wire)
            .and_then(|()| what(requests, &mut wire).map_err(|error| unanswered(error, &wire)))
            .map_err(|error| before_understood(error, &wire));
        if answer.is_ok() {
            wire.understand();
        }
        if requests.one_a_connection() {
            wire.close();
            return answer;
        }
        let in_step = match &answer {
            Ok(_) => true,
            // A payload that we did not want is owed to us all the same.
            Err(error) => !error.closes() && wire.settle().unwrap_or(false),
        };
        // What failed here is no reason to send the user away: the next request connects anew.
        let failed_here = answer.as_ref().is_err_and(|error| error.code() == Code::Local);
        self.connected = in_step || failed_here;
        self.wire = in_step.then_some(wire);
        answer
    }

    fn connect(&mut self) -> Result<Wire> {
        let socket = self.reach()?;
        self.connections = self.connections.saturating_add(1);
        let config = WireConfig {
            payload_buffer: limits::LONE_BUFFER,
            idle: limits::REPLY_TIME,
            message: limits::REPLY_TIME,
            ..WireConfig::default()
        };
        let stream = (self.prepare)(socket, self.config.dialect.name());
        Ok(Wire::new(stream, config.with_buffer(self.config.buffer)))
    }

    /// The first of the server's addresses that answers.
    fn reach(&self) -> Result<TcpStream> {
        let Config { host, port, .. } = &self.config;
        let unreachable = |why: &dyn std::fmt::Display| {
            Error::new(Code::Unreachable, format!("connect to {}", self.server()))
                .because(why.to_string())
        };
        let addresses =
            (host.as_str(), *port).to_socket_addrs().map_err(|error| unreachable(&error))?;
        let mut failed = unreachable(&"the name leads to no address");
        for address in addresses {
            let prepared = TcpStream::connect_timeout(&address, limits::CONNECT_TIME)
                .and_then(|socket| set_options(&socket).map(|()| socket));
            match prepared {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = unreachable(&error),
            }
        }
        Err(failed)
    }
}

/// A connection that ended before any of the reply came: that is not the middle of a message.
fn unanswered(error: Error, wire: &Wire) -> Error {
    // With a cause, the connection broke.
    let has_ended = error.code() == Code::Gone && error.cause().is_none();
    if has_ended && !wire.has_reply() { error.waiting(b"", Awaited::Reply) } else { error }
}

/// A failure on a connection on which the server has not been understood: it may speak another dialect.
fn before_understood(error: Error, wire: &Wire) -> Error {
    let suspicious = match error.code() {
        Code::Nonsense | Code::Gone => true,
        // Without a wait of ours the server itself reported the timeout.
        Code::Timeout => error.waited().is_some(),
        _ => false,
    };
    if suspicious && !wire.is_understood() { error.on_first_exchange() } else { error }
}

/// Refuses a file that is empty for the system and yet has bytes, as those in `/proc`: they are made
/// while they are read, so that their size is not known before.
fn must_be_empty(file: &mut File, path: &Path) -> Result<()> {
    let shown = path.display();
    let read = file.read(&mut [0]);
    let n = read.map_err(|error| Error::local(format!("read {shown}"), error))?;
    // A file that has just grown from nothing to something is an ordinary one.
    if n == 0 || file.metadata().is_ok_and(|now| now.len() > 0) {
        return Ok(());
    }
    let why = "it has content but its size is given as 0; send a copy of it";
    Err(Error::local(format!("send {shown}"), why))
}

/// A download into a store. The file is begun only when the server has said that it comes.
fn receive(client: &mut Client, mut to: Arriving<'_>, name: &str) -> Result<(u64, String)> {
    let bytes = client.ask(|requests, wire| requests.download(wire, name, &mut to))?;
    let incoming = to.incoming.ok_or_else(too_early)?;
    let stored = incoming.publish().map_err(|error| not_kept(to.name, to.folder, &error))?;
    Ok((bytes, stored.as_str().to_owned()))
}

/// A file on its way in.
struct Arriving<'s> {
    folder: &'s Path,
    /// Opened when the first file comes, so that a refusal makes no folder.
    store: &'s OnceCell<Store>,
    name: &'s FileName,
    incoming: Option<Incoming<'s>>,
    size: Option<u64>,
    done: u64,
    watch: &'s mut Watch<'s>,
}

impl Receiver for Arriving<'_> {
    fn expect(&mut self, size: Option<u64>) -> Result<()> {
        let kept = |error: Error| not_kept(self.name, self.folder, &error);
        let store = match self.store.get() {
            Some(store) => store,
            None => {
                let opened = Store::open(self.folder, Options::default(), &Log::silent());
                let opened = opened.map_err(kept)?;
                self.store.get_or_init(|| opened)
            }
        };
        let mut incoming = store.begin(self.name).map_err(kept)?;
        incoming.expect(size).map_err(kept)?;
        self.size = size;
        self.incoming = Some(incoming);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let incoming = self.incoming.as_mut().ok_or_else(too_early)?;
        self.done = self.done.saturating_add(bytes.len().try_into().unwrap_or(u64::MAX));
        (self.watch)(self.done, self.size);
        incoming.write(bytes).map_err(|error| not_kept(self.name, self.folder, &error))
    }

    fn put_before(&mut self, bytes: &[u8]) -> Result<()> {
        let incoming = self.incoming.as_mut().ok_or_else(too_early)?;
        incoming.put_before(bytes).map_err(|error| not_kept(self.name, self.folder, &error))
    }
}

fn too_early() -> Error {
    Error::new(Code::Nonsense, "the server sent no file")
}

/// The store's trouble is here, not at the server's.
fn not_kept(name: &FileName, folder: &Path, error: &Error) -> Error {
    let cause = error.cause().unwrap_or(error.sentence());
    Error::local(format!("keep {} in {}", name.as_str(), folder.display()), cause)
}
