//! The dialects: five ways of saying the same thing over TCP, one file each.
//!
//! A dialect is two halves over the same few functions that read and write its messages. Its server
//! half is a function `handle_client`, a conversation over a [`Wire`] and a [`Store`]. Its client
//! half is a [`Requests`], one method for each thing that a user can ask for.

pub mod text;

use crate::error::{Code, Error, Result};
use crate::log::Session;
use crate::store::{Listing, Store};
use crate::wire::Wire;

/// The wires that are spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Newline-delimited commands, a size header line before each binary payload.
    Text,
}

impl Dialect {
    /// All of them, with the names that flags and log lines have for them, and their ports.
    pub const ALL: [(Dialect, &'static str, u16); 1] =
        [(Dialect::Text, "text", crate::limits::TCP_PORT)];

    /// The dialect of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Dialect> {
        Self::ALL.iter().find(|(_, known, _)| *known == name).map(|(dialect, _, _)| *dialect)
    }

    /// The name for flags and log lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// The port, if no other is said.
    #[must_use]
    pub fn port(self) -> u16 {
        self.row().2
    }

    /// Serves one connection to its end.
    ///
    /// # Errors
    /// What ended the connection, if that was not the peer's wish.
    pub fn handle_client(self, wire: &mut Wire, store: &Store, log: &Session<'_>) -> Result<()> {
        match self {
            Dialect::Text => text::handle_client(wire, store, log),
        }
    }

    /// Tells a peer that no place is free, where the dialect has words for it.
    #[must_use]
    pub fn farewell(self, error: &Error) -> Vec<u8> {
        match self {
            Dialect::Text => text::error_line(error).into_bytes(),
        }
    }

    /// The client's half.
    #[must_use]
    pub fn requests(self) -> &'static dyn Requests {
        match self {
            Dialect::Text => &text::Client,
        }
    }

    fn row(self) -> (Dialect, &'static str, u16) {
        let text = (Dialect::Text, "text", crate::limits::TCP_PORT);
        Self::ALL.into_iter().find(|(dialect, _, _)| *dialect == self).unwrap_or(text)
    }
}

/// Where a client puts a file that it receives.
pub trait Receiver {
    /// The server has said how many bytes will come.
    ///
    /// # Errors
    /// There is no room for them.
    fn expect(&mut self, size: u64) -> Result<()>;

    /// The next of them.
    ///
    /// # Errors
    /// They cannot be kept.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;
}

/// Where a client gets a file that it sends: fills the room it is given, and says how much of it.
pub type Source<'s> = dyn FnMut(&mut [u8]) -> Result<usize> + 's;

/// The client's half of a dialect: each method is one request and its reply. The methods have the
/// names that the functions of the Python assignment have. What a dialect has no words for, it
/// leaves as it is here; nothing is sent then.
pub trait Requests {
    /// Says hello.
    ///
    /// # Errors
    /// As the server says, or the connection broke; so in all that follow.
    fn connme(&self, _wire: &mut Wire) -> Result<()> {
        lacks("connme")
    }

    /// What stands in the root, or in a folder.
    ///
    /// # Errors
    /// See [`Requests::connme`].
    fn list_files(&self, _wire: &mut Wire, _folder: Option<&str>) -> Result<Listing> {
        lacks("ls")
    }

    /// Removes a file.
    ///
    /// # Errors
    /// See [`Requests::connme`].
    fn delete(&self, _wire: &mut Wire, _name: &str) -> Result<()> {
        lacks("rm")
    }

    /// A file's size in bytes.
    ///
    /// # Errors
    /// See [`Requests::connme`].
    fn get_size(&self, _wire: &mut Wire, _name: &str) -> Result<u64> {
        lacks("size")
    }

    /// Fetches a file, and says how many bytes it had.
    ///
    /// # Errors
    /// See [`Requests::connme`].
    fn download(&self, _wire: &mut Wire, _name: &str, _into: &mut dyn Receiver) -> Result<u64> {
        lacks("download")
    }

    /// Sends a file, and says under which name it was stored, where the server tells.
    ///
    /// # Errors
    /// See [`Requests::connme`].
    fn upload(
        &self,
        _wire: &mut Wire,
        _name: &str,
        _size: u64,
        _from: &mut Source<'_>,
    ) -> Result<Option<String>> {
        lacks("upload")
    }

    /// Has the characters of a text counted.
    ///
    /// # Errors
    /// See [`Requests::connme`].
    fn count(&self, _wire: &mut Wire, _text: &str) -> Result<u64> {
        lacks("count")
    }

    /// Says goodbye.
    ///
    /// # Errors
    /// See [`Requests::connme`].
    fn byebye(&self, _wire: &mut Wire) -> Result<()> {
        lacks("byebye")
    }
}

fn lacks<T>(command: &str) -> Result<T> {
    Err(Error::new(Code::Lacks, command))
}

#[cfg(test)]
mod tests;
