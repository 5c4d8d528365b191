//! The client: what a user can do, a method each, over whichever dialect is spoken.
//!
//! It returns values and prints nothing; what a person sees is made in [`prompt`]. Files that come
//! in go through a [`Store`] of the client's own, so the server's promises hold here too: a file
//! appears when it is whole, and it replaces nothing.

pub mod action;
pub mod prompt;

use std::fs::{self, File};
use std::io::Read;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::args::client::Config;
use crate::dialect::{Receiver, Requests};
use crate::error::{Code, Error, Result};
use crate::limits;
use crate::store::{FileName, Incoming, Listing, Options, Store};
use crate::wire::{Manner, Wire};

/// A client, connected or not.
pub struct Client {
    config: Config,
    wire: Option<Wire>,
    /// Where received files go, opened when the first one comes.
    downloads: Option<Store>,
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
}

impl Client {
    /// A client that has not connected yet.
    #[must_use]
    pub fn new(config: Config) -> Client {
        Client { config, wire: None, downloads: None }
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

    /// Whether there is a connection, as far as is known.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.wire.is_some()
    }

    /// Opens a connection, if there is none.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub fn open(&mut self) -> Result<()> {
        if self.wire.is_none() {
            self.wire = Some(self.connect()?);
        }
        Ok(())
    }

    /// Opens a connection, if there is none, and says hello.
    ///
    /// # Errors
    /// The server cannot be reached, or does not say hello.
    pub fn connme(&mut self) -> Result<()> {
        self.open()?;
        self.ask(|requests, wire| requests.connme(wire))
    }

    /// Says goodbye and closes the connection. The connection is gone whatever comes of it.
    ///
    /// # Errors
    /// The server did not say goodbye.
    pub fn byebye(&mut self) -> Result<()> {
        let said = self.ask(|requests, wire| requests.byebye(wire));
        self.close();
        said
    }

    /// Closes the connection, if there is one, without a word.
    pub fn close(&mut self) {
        if let Some(wire) = self.wire.take() {
            wire.close();
        }
    }

    /// What stands in the server's root, or in a folder of it.
    ///
    /// # Errors
    /// The server's, or the connection's; so in all that follow.
    pub fn list_files(&mut self, folder: Option<&str>) -> Result<Listing> {
        self.ask(|requests, wire| requests.list_files(wire, folder))
    }

    /// Removes a file from the server.
    ///
    /// # Errors
    /// See [`Client::list_files`].
    pub fn delete(&mut self, name: &str) -> Result<()> {
        self.ask(|requests, wire| requests.delete(wire, name))
    }

    /// The size of a file on the server.
    ///
    /// # Errors
    /// See [`Client::list_files`].
    pub fn get_size(&mut self, name: &str) -> Result<u64> {
        self.ask(|requests, wire| requests.get_size(wire, name))
    }

    /// Has the characters of a text counted.
    ///
    /// # Errors
    /// See [`Client::list_files`].
    pub fn count(&mut self, text: &str) -> Result<u64> {
        self.ask(|requests, wire| requests.count(wire, text))
    }

    /// Sends a file, under its own name if no other is given.
    ///
    /// # Errors
    /// The file's, the server's, or the connection's.
    pub fn upload(&mut self, path: &Path, name: Option<&str>) -> Result<Receipt> {
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
        let start = Instant::now();
        let stored = self.ask(|requests, wire| {
            requests.upload(wire, name, size, &mut |room| {
                let n = file
                    .read(room)
                    .map_err(|error| Error::local(format!("read {shown}"), error))?;
                if n == 0 {
                    let why = "it became shorter while it was sent";
                    return Err(Error::local(format!("send {shown}"), why).and_close());
                }
                Ok(n)
            })
        })?;
        Ok(Receipt { stored, bytes: size, time: start.elapsed() })
    }

    /// Fetches a file into the downloads folder, under the last part of its name or another name.
    /// Nothing that the server sends has a say in where it goes.
    ///
    /// # Errors
    /// The folder's, the server's, or the connection's.
    pub fn download(&mut self, name: &str, local: Option<&str>) -> Result<Receipt> {
        let local = local.unwrap_or_else(|| name.rsplit('/').next().unwrap_or(name));
        let here = |error: &Error| {
            let folder = self.config.downloads.display();
            let cause = error.cause().unwrap_or(error.sentence());
            Error::local(format!("keep {local} in {folder}"), cause)
        };
        let local_name = FileName::parse(local.as_bytes()).map_err(|error| here(&error))?;
        let store = match self.downloads.take() {
            Some(store) => store,
            None => Store::open(&self.config.downloads, Options::default())
                .map_err(|error| here(&error))?,
        };
        let start = Instant::now();
        let received = receive(self, &store, &local_name, name);
        self.downloads = Some(store);
        let (bytes, stored) = received?;
        let stored = self.config.downloads.join(stored.as_str()).display().to_string();
        Ok(Receipt { stored: Some(stored), bytes, time: start.elapsed() })
    }

    /// Puts a request over the connection. One that has broken, or is out of step, is dropped.
    fn ask<T>(&mut self, what: impl FnOnce(&dyn Requests, &mut Wire) -> Result<T>) -> Result<T> {
        let Some(wire) = self.wire.as_mut() else {
            return Err(Error::new(Code::Unreachable, "there is no connection"));
        };
        let answer = what(self.config.dialect.requests(), wire);
        let in_step = match &answer {
            Ok(_) => true,
            // A payload that we did not want is owed to us all the same.
            Err(error) => !error.closes() && wire.settle().unwrap_or(false),
        };
        if !in_step {
            self.wire = None;
        }
        answer
    }

    fn connect(&self) -> Result<Wire> {
        let Config { host, port, buffer, .. } = &self.config;
        let unreachable = |why: &dyn std::fmt::Display| {
            Error::new(Code::Unreachable, format!("connect to {}", self.server()))
                .because(why.to_string())
        };
        let addresses =
            (host.as_str(), *port).to_socket_addrs().map_err(|error| unreachable(&error))?;
        let mut failed = unreachable(&"the name leads to no address");
        for address in addresses {
            let prepared =
                TcpStream::connect_timeout(&address, limits::CONNECT_TIME).and_then(|stream| {
                    stream.set_nodelay(true)?;
                    stream.set_write_timeout(Some(limits::PAYLOAD_WINDOW))?;
                    Ok(stream)
                });
            match prepared {
                Ok(stream) => {
                    let manner = Manner {
                        idle: limits::REPLY_TIME,
                        message: limits::REPLY_TIME,
                        ..Manner::default()
                    };
                    return Ok(Wire::new(Box::new(stream), manner.with_buffer(*buffer)));
                }
                Err(error) => failed = unreachable(&error),
            }
        }
        Err(failed)
    }
}

/// A download into a store. The file is begun only when the server has said that it comes.
fn receive(
    client: &mut Client,
    store: &Store,
    local: &FileName,
    name: &str,
) -> Result<(u64, FileName)> {
    let mut arriving = Arriving { store, name: local, incoming: None };
    let bytes = client.ask(|requests, wire| requests.download(wire, name, &mut arriving))?;
    match arriving.incoming {
        Some(incoming) => incoming
            .publish()
            .map(|stored| (bytes, stored))
            .map_err(|error| arriving_at(local, &error)),
        None => Err(Error::new(Code::Nonsense, "the server sent no file")),
    }
}

/// A file on its way in.
struct Arriving<'s> {
    store: &'s Store,
    name: &'s FileName,
    incoming: Option<Incoming<'s>>,
}

impl Receiver for Arriving<'_> {
    fn expect(&mut self, size: u64) -> Result<()> {
        let mut incoming =
            self.store.begin(self.name).map_err(|error| arriving_at(self.name, &error))?;
        incoming.expect(size).map_err(|error| arriving_at(self.name, &error))?;
        self.incoming = Some(incoming);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self.incoming.as_mut() {
            Some(incoming) => incoming.write(bytes).map_err(|error| arriving_at(self.name, &error)),
            None => Err(Error::new(Code::Nonsense, "bytes came before their number")),
        }
    }
}

/// The store's trouble is here, not at the server's.
fn arriving_at(name: &FileName, error: &Error) -> Error {
    let cause = error.cause().unwrap_or(error.sentence());
    Error::local(format!("keep {}", name.as_str()), cause)
}
