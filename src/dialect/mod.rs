//! The dialects: five ways of saying the same thing over TCP, one file each.
//!
//! A dialect is two halves over the same few functions that read and write its messages. The server
//! half is a function `handle_client`: a conversation over a [`Wire`] and a [`Store`]. The client half is a
//! [`Requests`]: one function for each thing that a user can ask for.

pub mod count;
pub mod filesaver;
#[cfg(test)]
mod fuzz;
pub mod json;
pub mod json_value;
mod requests;
pub mod strukt;
#[cfg(test)]
#[path = "table/tests.rs"]
mod table;
pub mod text;

use crate::error::{Error, Result};
use crate::limits;
use crate::log::{ConnectionLog, Done};
use crate::store::{Incoming, Outgoing, Store};
use crate::wire::Wire;
pub use requests::{
    Download, List, Requests, Resume, Source, SumOf, Upload, must_be_quiet, too_long,
};

/// The five dialects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Newline-delimited commands, a size header line before each binary payload.
    #[default]
    Text,
    /// Fixed-width little-endian integers in front of every name and payload.
    Struct,
    /// Words without an end mark; the end of the stream ends the file.
    Filesaver,
    /// One JSON object a line; `size` in it announces the payload.
    Json,
    /// One message a connection; nothing marks its end but a pause or the close.
    Count,
}

impl Dialect {
    /// All of them, in the order in which they are taught.
    pub const ALL: [Dialect; 5] =
        [Dialect::Text, Dialect::Struct, Dialect::Filesaver, Dialect::Json, Dialect::Count];

    /// The dialect of this name.
    pub fn named(name: &str) -> Option<Dialect> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }

    /// The dialect of a server that has begun a reply like this, where a client of this dialect waits for more.
    pub fn guess(self, reply: &[u8]) -> Option<Dialect> {
        let looks_like = match reply {
            [] => return None,
            [b'o', b'k', b' ', ..] | [b'e', b'r', b'r', b'o', b'r', b' ', ..] => Dialect::Text,
            [b'[' | b'{', ..] | [b'O', b'K', b' ', ..] | [b'E', b'R', b'R', ..] => Dialect::Json,
            b"OK" => Dialect::Filesaver,
            b"connected" | b"ready" => Dialect::Struct,
            reply if reply.contains(&0) => Dialect::Struct,
            reply if reply.iter().all(u8::is_ascii_digit) => Dialect::Count,
            _ => return None,
        };
        (looks_like != self).then_some(looks_like)
    }

    /// The name for flags and log lines.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Text => "text",
            Dialect::Struct => "struct",
            Dialect::Filesaver => "filesaver",
            Dialect::Json => "json",
            Dialect::Count => "count",
        }
    }

    /// The default port.
    pub fn port(self) -> u16 {
        match self {
            Dialect::Text => limits::TCP_PORT,
            Dialect::Struct => limits::STRUCT_PORT,
            Dialect::Filesaver => limits::FILESAVER_PORT,
            Dialect::Json => limits::JSON_PORT,
            Dialect::Count => limits::COUNT_PORT,
        }
    }

    /// The client's half.
    pub fn requests(self) -> &'static Requests {
        match self {
            Dialect::Text => &text::REQUESTS,
            Dialect::Struct => &strukt::REQUESTS,
            Dialect::Filesaver => &filesaver::REQUESTS,
            Dialect::Json => &json::REQUESTS,
            Dialect::Count => &count::REQUESTS,
        }
    }

    /// Serves one connection to its end.
    ///
    /// # Errors
    /// The connection broke, or an error closed it.
    pub fn handle_client(
        self,
        wire: &mut Wire,
        store: &Store,
        log: &ConnectionLog<'_>,
    ) -> Result<()> {
        match self {
            Dialect::Text => text::handle_client(wire, store, log),
            Dialect::Struct => strukt::handle_client(wire, store, log),
            Dialect::Filesaver => filesaver::handle_client(wire, store, log),
            Dialect::Json => json::handle_client(wire, store, log),
            Dialect::Count => count::handle_client(wire, log),
        }
    }

    /// The reply that refuses a connection, where the dialect has words for it.
    pub fn error_reply(self, error: &Error) -> Vec<u8> {
        match self {
            Dialect::Text => text::error_line(error).into_bytes(),
            Dialect::Json => json::error_line(error).into_bytes(),
            Dialect::Count => count::error_text(error).into_bytes(),
            Dialect::Struct | Dialect::Filesaver => Vec::new(),
        }
    }
}

/// Where a received file goes: into the store, or into a client's folder. `E` is its kind of error.
pub trait Receiver<E> {
    /// The file comes and has this many bytes; `None` is not known yet.
    ///
    /// # Errors
    /// There is no space for them.
    fn announce(&mut self, size: Option<u64>) -> std::result::Result<(), E>;

    /// Adds the next bytes.
    ///
    /// # Errors
    /// They cannot be kept.
    fn write(&mut self, bytes: &[u8]) -> std::result::Result<(), E>;

    /// Puts bytes before all that came.
    ///
    /// # Errors
    /// They cannot be kept.
    fn put_before(&mut self, bytes: &[u8]) -> std::result::Result<(), E>;
}

impl Receiver<Error> for Incoming<'_> {
    fn announce(&mut self, size: Option<u64>) -> Result<()> {
        Incoming::must_have_room(self, size.unwrap_or(0))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Incoming::write(self, bytes)
    }

    fn put_before(&mut self, bytes: &[u8]) -> Result<()> {
        Incoming::put_before(self, bytes)
    }
}

/// Sends the bytes of a file. The peer has been told the size: if the file cannot supply that many now,
/// only a close says so.
fn send_file(wire: &mut Wire, mut file: Outgoing) -> Result<Done> {
    wire.write_payload(file.size, &mut |buffer| file.read(buffer)).map_err(|error: Error| {
        Error::gone("the download was cut short").because(error.to_string())
    })?;
    Ok(Done { bytes: file.size, ..Done::default() })
}

/// Reads a number in 1 to 19 decimal digits and nothing else: no sign, no space, no other script's
/// digits.
pub(crate) fn digits(text: &[u8]) -> Option<u64> {
    if text.len() > limits::SIZE_DIGITS || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
