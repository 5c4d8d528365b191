//! What the client halves have in common: what a user can ask for, and how a reply is read.

use std::time::{Duration, Instant};

use super::Receiver;
use crate::error::{Answer, Code, Failure};
use crate::lang::{Msg, escape, msg, quoted, text};
use crate::limits;
use crate::sha256::Sum;
use crate::store::{Entry, FileName, Listing};
use crate::wire::Wire;

/// Where a client gets the file that it sends: fills the buffer with the next bytes, and returns how much of it.
pub type Source<'s> = dyn FnMut(&mut [u8]) -> Answer<usize> + 's;

/// Lists the root, or a folder if the dialect has them.
pub type List = fn(&mut Wire, Option<&str>) -> Answer<Listing>;

/// Fetches a file.
#[derive(Clone, Copy)]
pub struct Download {
    /// Asks for the file of this name.
    pub ask: fn(&mut Wire, &str) -> Answer<()>,
    /// Takes it, and returns its size.
    pub take: fn(&mut Wire, &str, &mut dyn Receiver<Failure>) -> Answer<u64>,
}

impl Download {
    /// Asks for a file and takes it.
    ///
    /// # Errors
    /// The server's, the receiver's, or the connection's.
    pub fn run(self, wire: &mut Wire, name: &str, into: &mut dyn Receiver<Failure>) -> Answer<u64> {
        (self.ask)(wire, name)?;
        (self.take)(wire, name, into)
    }
}

/// Sends a file.
#[derive(Clone, Copy)]
pub struct Upload {
    /// Offers a file of this name and size.
    pub ask: fn(&mut Wire, &str, u64) -> Answer<()>,
    /// Takes the reply that the server accepts it, where it says so.
    pub take_ready: fn(&mut Wire) -> Answer<()>,
    /// Sends its bytes.
    pub send: fn(&mut Wire, u64, &mut Source<'_>) -> Answer<()>,
    /// Takes the confirmation for a file of this name and size, whose bytes took this long to send. Returns the name
    /// under which it was stored, where the server tells.
    pub take_receipt: fn(&mut Wire, &str, u64, Duration) -> Answer<Option<String>>,
    /// Whether a server that takes no more of the bytes says why.
    pub is_told_why: bool,
}

impl Upload {
    /// Sends the bytes, and returns how long that took. A server that refuses them says why and closes, so its reason
    /// is worth more than ours.
    ///
    /// # Errors
    /// The server's, the source's, or the connection's.
    pub fn send_or_reason(
        self,
        wire: &mut Wire,
        name: &str,
        size: u64,
        from: &mut Source<'_>,
    ) -> Answer<Duration> {
        let begun = Instant::now();
        match (self.send)(wire, size, from) {
            Ok(()) => Ok(begun.elapsed()),
            // Our own file failed, and the server waits for the rest of it: no reply will come.
            Err(broken @ Failure::Local(_)) => Err(broken),
            Err(broken) if self.is_told_why => {
                match (self.take_receipt)(wire, name, size, begun.elapsed()) {
                    Err(reason @ Failure::Refused { .. }) => Err(reason),
                    _ => Err(broken),
                }
            }
            Err(broken) => Err(broken),
        }
    }
}

/// Has the SHA-256 of a file computed.
#[derive(Clone, Copy)]
pub struct SumOf {
    /// Asks for it.
    pub ask: fn(&mut Wire, &str) -> Answer<()>,
    /// Takes it.
    pub take: fn(&mut Wire) -> Answer<Sum>,
}

/// Fetches the rest of a file whose first bytes, this many, have this sum. Returns the size of the rest.
pub type Resume = fn(&mut Wire, &str, u64, Sum, &mut dyn Receiver<Failure>) -> Answer<u64>;

/// The client half of a dialect: a function for each request and its reply. They have the names that
/// the functions of the Python assignment have. Those that are two functions, one that asks and one that takes the
/// reply, can be sent before the replies to earlier ones have come. `None` is what a dialect has no words for.
#[derive(Clone, Copy)]
pub struct Requests {
    /// Says hello.
    pub connme: Option<fn(&mut Wire) -> Answer<()>>,
    /// See [`List`].
    pub list_files: Option<List>,
    /// Whether a list can be that of a folder.
    pub has_folders: bool,
    /// Removes a file.
    pub delete: Option<fn(&mut Wire, &str) -> Answer<()>>,
    /// Asks for the size of a file.
    pub get_size: Option<fn(&mut Wire, &str) -> Answer<u64>>,
    /// See [`Download`].
    pub download: Option<Download>,
    /// See [`Upload`].
    pub upload: Option<Upload>,
    /// See [`SumOf`].
    pub sum: Option<SumOf>,
    /// See [`Resume`].
    pub resume: Option<Resume>,
    /// Whether the server takes requests before it has replied to earlier ones.
    pub supports_pipelining: Option<fn(&mut Wire) -> Answer<bool>>,
    /// Has the characters of a text counted.
    pub count: Option<fn(&mut Wire, &str) -> Answer<u64>>,
    /// Says goodbye.
    pub byebye: Option<fn(&mut Wire) -> Answer<()>>,
    /// Returns the error that a server says, where these bytes are an error reply.
    pub error_in: fn(&[u8]) -> Option<Failure>,
    /// Whether each request needs a connection of its own.
    pub one_a_connection: bool,
    /// Whether the server confirms that it has stored a file.
    pub confirms: bool,
    /// Whether the server has to be told goodbye, because it does not notice the end of the stream.
    pub needs_goodbye: bool,
}

impl Requests {
    /// A dialect without words.
    pub(super) const NONE: Requests = Requests {
        connme: None,
        list_files: None,
        has_folders: false,
        delete: None,
        get_size: None,
        download: None,
        upload: None,
        sum: None,
        resume: None,
        supports_pipelining: None,
        count: None,
        byebye: None,
        error_in: |_| None,
        one_a_connection: false,
        confirms: true,
        needs_goodbye: false,
    };

    /// Whether the dialect has the request that this command of a client needs. `None`: it needs none.
    pub fn has(&self, command: &str) -> Option<bool> {
        Some(match command {
            "ls" => self.list_files.is_some(),
            "rm" => self.delete.is_some(),
            "size" => self.get_size.is_some(),
            "download" => self.download.is_some(),
            "upload" => self.upload.is_some(),
            "sum" => self.sum.is_some(),
            "count" => self.count.is_some(),
            _ => return None,
        })
    }
}

/// How many of the last bytes of a payload can be on their way when all of it has been written.
const RECEIPT_TAIL: u64 = 8 << 20;

/// Sends a file. Its confirmation may be late by twice the time that the end of it took to write.
pub(super) fn send(wire: &mut Wire, size: u64, from: &mut Source<'_>) -> Answer<()> {
    let (mut left, mut end_begun) = (size, Instant::now());
    wire.write_payload(size, &mut |buffer| {
        if left > RECEIPT_TAIL {
            end_begun = Instant::now();
        }
        from(buffer).inspect(|n| left = left.saturating_sub(*n as u64))
    })?;
    wire.flush()?;
    wire.allow(end_begun.elapsed().saturating_mul(2));
    Ok(())
}

/// Makes sure that nothing has come since the last reply. Before a request no reply is owed, and a stale
/// one would be taken for the answer; before a payload, the server may have refused it. A server that closes by
/// itself says why.
///
/// # Errors
/// Something has come, or the server has closed the connection.
pub fn must_be_quiet(requests: &Requests, wire: &mut Wire, before_payload: bool) -> Answer<()> {
    let came = wire.take_arrived()?;
    if came.is_empty() {
        return Ok(());
    }
    // A server says that it is busy to a new connection, and that its time is over to an idle one.
    let is_meant = |failure: &Failure| {
        before_payload || matches!(failure.code(), Some(Code::Busy | Code::Timeout))
    };
    Err((requests.error_in)(&came).filter(is_meant).unwrap_or_else(|| unasked(&came)))
}

/// A reply that is not of this protocol.
#[allow(clippy::needless_pass_by_value, reason = "it is made for this")]
pub(super) fn unexpected(expected: Msg, got: impl AsRef<[u8]>) -> Failure {
    let got = match got.as_ref() {
        [] => msg!("nothing", "tidak ada yang diterima"),
        got => msg!("{}", "yang diterima {}", quoted(got)),
    };
    Failure::Strange(text!("expected-and-got", expected, got))
}

/// A reply where one of these was expected.
pub(super) fn not_one_of(words: &[&str], got: impl AsRef<[u8]>) -> Failure {
    let words: Vec<_> = words.iter().map(|word| escape(word.as_bytes())).collect();
    unexpected(Msg::one_of(&words, '\''), got)
}

/// A reply that is not read yet: shows what has arrived of it.
pub(super) fn unexpected_ahead(expected: Msg, wire: &mut Wire) -> Failure {
    unexpected(expected, wire.take_arrived().unwrap_or_default())
}

/// Something that no request has asked for.
pub(super) fn unasked(came: &[u8]) -> Failure {
    let came = quoted(came);
    Failure::Strange(text!("sent-unasked", came))
}

pub(super) fn control_character() -> Failure {
    Failure::Unsendable(text!("no-control-characters"))
}

/// Reads a line of a reply as text. `last` needs no newline where the server closes after it.
pub(super) fn read_reply_line(wire: &mut Wire, last: &str) -> Answer<String> {
    let line = match wire.read_line_or(last.as_bytes(), limits::REPLY_LINE) {
        Err(error) if error.is(Code::BadRequest) && error.partial().is_none() => {
            return Err(unexpected_ahead(msg!("a shorter line", "baris yang lebih pendek"), wire));
        }
        line => line?.ok_or_else(Failure::closed)?,
    };
    String::from_utf8(line)
        .map_err(|error| unexpected(msg!("a line in UTF-8", "satu baris UTF-8"), error.as_bytes()))
}

/// What an entry of a list costs in memory beside its text.
const ENTRY: usize = 64;

/// A list while it arrives from a server, within bounds of memory and time.
pub(super) struct IncomingList {
    pub(super) listing: Listing,
    memory: usize,
    begun: Instant,
}

impl IncomingList {
    /// More entries than this cannot be kept, however short their names are.
    pub(super) const MOST: usize = limits::LIST_MEMORY / ENTRY;

    pub(super) fn new() -> IncomingList {
        IncomingList { listing: Listing::default(), memory: 0, begun: Instant::now() }
    }

    pub(super) fn push(&mut self, entry: Entry<'_>) -> Answer<()> {
        let elapsed = self.begun.elapsed();
        self.push_after(elapsed, entry)
    }

    pub(super) fn push_after(&mut self, elapsed: Duration, entry: Entry<'_>) -> Answer<()> {
        let count = self.listing.entries().len();
        self.memory += entry.name.len() + entry.id.unwrap_or_default().len() + ENTRY;
        if self.memory > limits::LIST_MEMORY {
            return Err(too_long(count));
        }
        if elapsed > time_for(count, self.memory) {
            return Err(too_slow(count));
        }
        self.listing.push(entry);
        Ok(())
    }
}

/// A list has more names than can be kept.
pub fn too_long(names: usize) -> Failure {
    Failure::Endless(text!("list-too-long", names))
}

/// A list comes too slowly.
pub(super) fn too_slow(names: usize) -> Failure {
    Failure::Endless(text!("list-too-slow", names))
}

/// How long a list may have taken when this much of it has come: each entry adds to it, so that a long
/// list over a slow line has enough time.
fn time_for(entries: usize, bytes: usize) -> Duration {
    let entries = limits::ENTRY_TIME.saturating_mul(entries.try_into().unwrap_or(u32::MAX));
    let seconds = bytes as u64 / limits::PAYLOAD_RATE;
    limits::REPLY_TIME.saturating_add(entries).saturating_add(Duration::from_secs(seconds))
}

/// Whether a server can have stored under the name `stored` what was sent as `asked`: under that name,
/// or under one with a counter in it.
pub(super) fn is_stored_name(asked: &str, stored: &str) -> bool {
    let counters = stored.split('_').skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest.get(..end)?.parse().ok()
    });
    let mut counters = counters.filter(|counter| *counter > 0);
    let mut numbered = |asked: &FileName| counters.any(|n| asked.numbered(n).as_str() == stored);
    asked == stored || FileName::parse(asked.as_bytes()).as_ref().is_ok_and(&mut numbered)
}

/// Takes a file of this size off the wire.
pub(super) fn receive(wire: &mut Wire, size: u64, into: &mut dyn Receiver<Failure>) -> Answer<u64> {
    wire.expect_payload(size);
    into.announce(Some(size))?;
    wire.read_payload(&mut |bytes| into.write(bytes))?;
    Ok(size)
}
