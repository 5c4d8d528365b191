//! The dialects: five ways of saying the same thing over TCP, one file each.
//!
//! A dialect is two halves over the same few functions that read and write its messages. Its server
//! half is a function `handle_client`, a conversation over a [`Wire`] and a [`Store`]. Its client
//! half is a [`Requests`], one method for each thing that a user can ask for.

pub mod count;
pub mod filesaver;
#[cfg(test)]
mod fuzz;
pub mod json;
pub mod json_value;
pub mod strukt;
pub mod text;

use std::time::{Duration, Instant};

use crate::error::{Code, Error, Result};
use crate::lang::escape;
use crate::limits;
use crate::log::Session;
use crate::store::{Entry, FileName, Incoming, Listing, Store};
use crate::wire::Wire;

/// The wires that are spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Newline-delimited commands, a size header line before each binary payload.
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
    #[must_use]
    pub fn named(name: &str) -> Option<Dialect> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }

    /// The name for flags and log lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Text => "text",
            Dialect::Struct => "struct",
            Dialect::Filesaver => "filesaver",
            Dialect::Json => "json",
            Dialect::Count => "count",
        }
    }

    /// The port, if no other is said.
    #[must_use]
    pub fn port(self) -> u16 {
        match self {
            Dialect::Text => limits::TCP_PORT,
            Dialect::Struct => limits::STRUCT_PORT,
            Dialect::Filesaver => limits::FILESAVER_PORT,
            Dialect::Json => limits::JSON_PORT,
            Dialect::Count => limits::COUNT_PORT,
        }
    }

    /// Serves one connection to its end.
    ///
    /// # Errors
    /// What ended the connection, if that was not the peer's wish.
    pub fn handle_client(self, wire: &mut Wire, store: &Store, log: &Session<'_>) -> Result<()> {
        match self {
            Dialect::Text => text::handle_client(wire, store, log),
            Dialect::Struct => strukt::handle_client(wire, store, log),
            Dialect::Filesaver => filesaver::handle_client(wire, store, log),
            Dialect::Json => json::handle_client(wire, store, log),
            Dialect::Count => count::handle_client(wire, log),
        }
    }

    /// What a peer is told that cannot be served, where the dialect has words for it.
    #[must_use]
    pub fn error_reply(self, error: &Error) -> Vec<u8> {
        match self {
            Dialect::Text => text::error_line(error).into_bytes(),
            Dialect::Json => json::error_line(error).into_bytes(),
            Dialect::Count => count::error_text(error).into_bytes(),
            Dialect::Struct | Dialect::Filesaver => Vec::new(),
        }
    }

    /// The client's half.
    #[must_use]
    pub fn requests(self) -> &'static dyn Requests {
        match self {
            Dialect::Text => &text::Client,
            Dialect::Struct => &strukt::Client,
            Dialect::Filesaver => &filesaver::Client,
            Dialect::Json => &json::Client,
            Dialect::Count => &count::Client,
        }
    }
}

/// Where a client puts a file that it receives.
pub trait Receiver {
    /// The file comes, and will have so many bytes; `None` is not known yet.
    ///
    /// # Errors
    /// There is no room for them.
    fn expect(&mut self, size: Option<u64>) -> Result<()>;

    /// The next of them.
    ///
    /// # Errors
    /// They cannot be kept.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// Bytes that belong in front of all that came.
    ///
    /// # Errors
    /// They cannot be kept.
    fn put_before(&mut self, bytes: &[u8]) -> Result<()>;
}

/// The server puts what it receives into the store.
impl Receiver for Incoming<'_> {
    fn expect(&mut self, size: Option<u64>) -> Result<()> {
        Incoming::expect(self, size)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Incoming::write(self, bytes)
    }

    fn put_before(&mut self, bytes: &[u8]) -> Result<()> {
        Incoming::put_before(self, bytes)
    }
}

/// Where a client gets a file that it sends: fills the room it is given, and says how much of it.
pub type Source<'s> = dyn FnMut(&mut [u8]) -> Result<usize> + 's;

/// The client's half of a dialect: each method is one request and its reply. The methods have the
/// names that the functions of the Python assignment have. What a dialect has no words for, it
/// leaves as it is here; nothing is sent then.
pub trait Requests {
    /// The commands that this dialect has words for.
    fn commands(&self) -> &'static [&'static str];

    /// Whether the server says that it has stored a file.
    fn has_receipts(&self) -> bool {
        true
    }

    /// Whether each request needs a connection of its own.
    fn one_a_connection(&self) -> bool {
        false
    }

    /// Whether the server has to be told goodbye, because it does not notice the end of the stream.
    fn needs_goodbye(&self) -> bool {
        false
    }

    /// The error that a server says, where these bytes are an error reply.
    fn error_in(&self, _bytes: &[u8]) -> Option<Error> {
        None
    }

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

/// The reply to a payload. A server that refuses one says why and closes, so where sending failed its
/// reason is worth more than ours.
fn reason_or<T>(sent: Result<()>, reply: impl FnOnce() -> Result<T>) -> Result<T> {
    if let Err(error) = &sent
        && error.code() == Code::Local
    {
        // Our own file failed, and the server waits for the rest of it: no reply will come.
        return sent.and_then(|()| reply());
    }
    match (sent, reply()) {
        (Ok(()), reply) => reply,
        (Err(_), Err(reason)) if reason.code() != Code::Gone => Err(reason.and_close()),
        (Err(broken), _) => Err(broken),
    }
}

/// What stands before the sentence of a server that closed by itself.
pub const LAST_WORDS: &str = "the server's last words: ";

/// The sentence about bytes that came before a request. They are its cause.
pub const UNASKED: &str = "the server sent something without being asked";

/// Makes sure that nothing has come since the last reply. Before a request no reply is owed, and a stale one
/// would be taken for the answer. A server that closes by itself says why, and that is shown as it is.
///
/// # Errors
/// Something has come, or the server has closed the connection.
pub fn must_be_quiet(requests: &dyn Requests, wire: &mut Wire) -> Result<()> {
    let came = wire.take_arrived()?;
    if came.is_empty() {
        return Ok(());
    }
    match requests.error_in(&came) {
        // The server says this to a new connection.
        Some(error) if error.code() == Code::Busy => Err(error.and_close()),
        // The server says this to an idle one, perhaps long ago.
        Some(error) if error.code() == Code::Timeout => {
            let last_words = format!("{LAST_WORDS}{}", error.sentence());
            Err(Error::new(error.code(), last_words).and_close())
        }
        _ => {
            let unasked = Error::new(Code::Nonsense, UNASKED);
            Err(unasked.because(format!("\"{}\"", escape(&came))).and_close())
        }
    }
}

/// A reply that is not of this protocol: what was expected, and what came in its place.
fn nonsense(expected: &str, got: &[u8]) -> Error {
    let got = match got {
        [] => "got nothing".to_owned(),
        got => format!("got \"{}\"", escape(got)),
    };
    Error::new(Code::Nonsense, format!("expected {expected}")).because(got).and_close()
}

/// The same, where the reply is not read yet: shows what has arrived of it.
fn nonsense_ahead(expected: &str, wire: &mut Wire) -> Error {
    nonsense(expected, &wire.take_arrived().unwrap_or_default())
}

/// A line of a reply as text. `last` needs no newline where the server closes after it.
fn read_reply_line(wire: &mut Wire, last: &str) -> Result<String> {
    let line = match wire.read_line_or(last.as_bytes(), limits::REPLY_LINE) {
        Ok(line) => line,
        // Half a line from a server is not a bad request: the connection is gone.
        Err(error) if error.code() == Code::BadRequest && error.waited().is_some() => {
            return Err(error.with_code(Code::Gone));
        }
        Err(error) if error.code() == Code::BadRequest => {
            return Err(nonsense_ahead("a shorter line", wire));
        }
        Err(error) => return Err(error),
    };
    let line = line.ok_or_else(|| Error::new(Code::Gone, "the server closed the connection"))?;
    String::from_utf8(line).map_err(|error| nonsense("a line in UTF-8", error.as_bytes()))
}

/// What an entry of a list costs in memory beside its text.
const ENTRY: usize = 64;

/// A list while it arrives from a server, within bounds of memory and time.
struct Gathered {
    listing: Listing,
    memory: usize,
    begun: Instant,
}

impl Gathered {
    /// More entries than this cannot be kept, however short their names are.
    const MOST: usize = limits::LIST_MEMORY / ENTRY;

    fn new() -> Gathered {
        Gathered { listing: Listing::default(), memory: 0, begun: Instant::now() }
    }

    fn push(&mut self, entry: Entry<'_>) -> Result<()> {
        let elapsed = self.begun.elapsed();
        self.push_after(elapsed, entry)
    }

    fn push_after(&mut self, elapsed: Duration, entry: Entry<'_>) -> Result<()> {
        let count = self.listing.count();
        let text = entry.name.len().saturating_add(entry.id.unwrap_or_default().len());
        self.memory = self.memory.saturating_add(text).saturating_add(ENTRY);
        if self.memory > limits::LIST_MEMORY {
            let error = Error::new(Code::Nonsense, "the list is too long to be kept");
            return Err(error.because(format!("{count} names so far")).and_close());
        }
        if elapsed > time_for(count, self.memory) {
            let sentence = format!("the list came too slowly: {count} names so far");
            return Err(Error::new(Code::Timeout, sentence).and_close());
        }
        self.listing.push(entry);
        Ok(())
    }
}

/// How long a list may have taken when this much of it has come: each entry adds to it, so that a long
/// list over a slow line has enough time.
fn time_for(entries: usize, bytes: usize) -> Duration {
    let entries = limits::ENTRY_TIME.saturating_mul(entries.try_into().unwrap_or(u32::MAX));
    let seconds = u64::try_from(bytes).unwrap_or(u64::MAX) / limits::PAYLOAD_RATE;
    limits::REPLY_TIME.saturating_add(entries).saturating_add(Duration::from_secs(seconds))
}

/// Whether a server can have stored under the name `stored` what was sent as `asked`: under that name,
/// or under one with a counter in it.
fn is_stored_name(asked: &str, stored: &str) -> bool {
    let counters = stored.match_indices('_').filter_map(|(at, _)| {
        let rest = stored.get(at..)?.strip_prefix('_')?;
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest.get(..end)?.parse().ok()
    });
    let mut counters = counters.filter(|counter| *counter > 0);
    let numbered = |asked: &FileName| counters.any(|n| asked.numbered(n).as_str() == stored);
    asked == stored || FileName::parse(asked.as_bytes()).as_ref().is_ok_and(numbered)
}

/// A number in 1 to 19 decimal digits and nothing else: no sign, no space, no other script's digits.
fn digits(text: &[u8]) -> Option<u64> {
    if text.len() > limits::SIZE_DIGITS || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn lacks<T>(command: &str) -> Result<T> {
    Err(Error::new(Code::Lacks, command))
}

#[cfg(test)]
mod tests;
