//! `text`: newline-delimited commands, a size header line before each binary payload.
//!
//! A request is a line: a command in any letter case, then its argument, which is the rest of the line
//! and may contain spaces. It ends at LF; a CR before the LF is dropped. A reply begins with `ok` or with
//! `error CODE MESSAGE`. One whole conversation (`tests/transcripts/tour.txt`), `>` from the client and `<` from the
//! server:
//!
//! ```text
#![doc = include_str!("../../tests/transcripts/tour.txt")]
//! ```
//!
//! What keeps the two sides in step:
//! - After `upload NAME` the client waits for `ok ready`, then sends the number of bytes, in decimal
//!   digits and LF, and exactly that many bytes. The server takes them all before it reads another
//!   command. A payload may contain anything, commands too.
//! - If an upload was refused, a client that did not wait sends its size header where a command is
//!   expected. So a line of digits is never a command: the connection is closed, and no payload is read
//!   as commands.
//! - A line without an end is not run: half of `rm notes_1.txt` is not `rm notes`.
//! - After a line that is too long, or a wrong size header, it is not known where the next
//!   command begins: the connection is closed.

use std::fmt::Display;
use std::time::{Duration, Instant};

use super::requests::{
    Download, IncomingList, SumOf, Upload, control_character, is_stored_name, not_one_of,
    read_reply_line, receive, send, unexpected,
};
use super::{Receiver, Requests, Source, digits, send_file};
use crate::error::{Answer, Code, Error, Failure, Result};
use crate::lang::{msg, text};
use crate::limits;
use crate::log::{ConnectionLog, Done};
use crate::sha256::Sum;
use crate::store::{Entry, FileName, Listing, Store};
use crate::wire::Wire;

/// How many lines of a server's help a client reads.
const HELP_LINES: u64 = 1000;

// The server's half. What both halves call, such as `split` and `write_ok`, is at the end of the file.

/// Serves one connection: a command at a time, until the client says goodbye or leaves.
///
/// # Errors
/// The connection broke, or an error closed it.
pub fn handle_client(wire: &mut Wire, store: &Store, log: &ConnectionLog<'_>) -> Result<()> {
    loop {
        let request = match wire.read_line(limits::LINE) {
            Ok(Some(line)) if line.trim_ascii().is_empty() => continue,
            Ok(Some(line)) => line,
            Ok(None) => return Ok(()),
            Err(error) => {
                refuse(wire, &error);
                return Err(error);
            }
        };
        let since = Instant::now();
        let (word, argument) = split(&request);
        let command = word.to_ascii_lowercase();
        let outcome = match handler_of(&command) {
            Some(handle) if !is_from_a_browser(&request) => handle(wire, store, argument),
            // Also a web request that begins with a known command.
            _ => Err(unknown_command(&request)),
        };
        let goes_on = match &outcome {
            Ok(_) => command != b"byebye",
            Err(error) => refuse(wire, error),
        };
        // The answer is sent before the log has its line, unless the next request has come already. The log has its line
        // also if the answer could not be sent: `sent?` comes after it.
        let sent = wire.end_reply();
        log.command(word, argument, since, &outcome);
        if !goes_on {
            return outcome.map(|_| ());
        }
        sent?;
    }
}

/// First reads and throws away what is left of a refused payload, if that is at most [`limits::DRAIN`] bytes. Then writes
/// the error. Returns whether the two sides are in step after that.
fn refuse(wire: &mut Wire, error: &Error) -> bool {
    if error.is_gone() {
        return false;
    }
    let is_in_step = !error.closes() && wire.drop_owed_payload().unwrap_or(false);
    // In any case: the peer may have ended its direction, and still listen. `end_reply` or `close_and_wait` sends it.
    let _ = wire.write(error_line(error).as_bytes());
    is_in_step
}

/// Carries out a command and writes its reply. Returns what the log says of it.
type Handler = fn(&mut Wire, &Store, &[u8]) -> Result<Done>;

fn handler_of(command: &[u8]) -> Option<Handler> {
    Some(match command {
        // Some write it with one n.
        b"connme" | b"conme" => handle_connme,
        b"ls" => handle_list_files,
        b"rm" => handle_delete,
        b"size" => handle_get_file_size,
        b"download" => handle_download,
        b"upload" => handle_upload,
        b"sum" => handle_sum,
        b"resume" => handle_resume,
        b"count" => handle_count,
        b"help" => handle_help,
        b"byebye" => handle_byebye,
        _ => return None,
    })
}

fn handle_connme(wire: &mut Wire, _: &Store, argument: &[u8]) -> Result<Done> {
    must_be_alone(argument)?;
    write_ok(wire, "connected")?;
    Ok(Done::default())
}

fn handle_list_files(wire: &mut Wire, store: &Store, argument: &[u8]) -> Result<Done> {
    let folder = if argument.is_empty() { None } else { Some(FileName::parse(argument)?) };
    // A long list has a place until it is sent.
    let (listing, _place) = store.list(folder.as_ref(), wire.network)?;
    wire.write_list(|wire| write_listing(wire, &listing))?;
    Ok(Done::default())
}

fn handle_delete(wire: &mut Wire, store: &Store, argument: &[u8]) -> Result<Done> {
    let name = FileName::parse(argument)?;
    store.remove(&name)?;
    write_ok(wire, format_args!("removed {}", name.as_str()))?;
    Ok(Done { removed: true, ..Done::default() })
}

fn handle_get_file_size(wire: &mut Wire, store: &Store, argument: &[u8]) -> Result<Done> {
    let size = store.size(&FileName::parse(argument)?)?;
    write_ok(wire, in_megabytes(size))?;
    Ok(Done::default())
}

fn handle_download(wire: &mut Wire, store: &Store, argument: &[u8]) -> Result<Done> {
    let file = store.open_file(FileName::parse(argument)?)?;
    write_ok(wire, file.size)?;
    send_file(wire, file)
}

fn handle_upload(wire: &mut Wire, store: &Store, argument: &[u8]) -> Result<Done> {
    let mut incoming = store.begin(FileName::parse(argument)?)?;
    write_ok(wire, "ready")?;
    // `ok ready` waits in our buffer: the next read sends it first.
    let size = read_size(wire)?;
    // Before `must_have_room`: if that fails, `refuse` reads and throws away this many bytes, or, if they are many, returns
    // false, and the connection ends. So none of them is run as a command.
    wire.expect_payload(size);
    incoming.must_have_room(size)?;
    wire.read_payload(&mut |bytes| incoming.write(bytes))?;
    let stored = incoming.publish()?;
    write_ok(wire, format_args!("received {size} {}", stored.as_str()))?;
    Ok(Done { bytes: size, stored: Some(stored.as_str().to_owned()), removed: false })
}

fn read_size(wire: &mut Wire) -> Result<u64> {
    let line = wire.read_line(limits::LINE)?.ok_or_else(|| Error::gone("no size has come"))?;
    digits(&line)
        .ok_or_else(|| Error::new(Code::BadRequest, "a size is 1 to 19 decimal digits").and_close())
}

fn handle_sum(wire: &mut Wire, store: &Store, argument: &[u8]) -> Result<Done> {
    let name = FileName::parse(argument)?;
    // A file is not read for a client to which an earlier reply could not be sent.
    wire.flush()?;
    write_ok(wire, store.sum(name, wire.network)?)?;
    Ok(Done::default())
}

fn handle_resume(wire: &mut Wire, store: &Store, argument: &[u8]) -> Result<Done> {
    let (offset, rest) = split(argument);
    let (sum, name) = split(rest);
    let (Some(offset), Some(sum)) = (digits(offset), Sum::parse(sum)) else {
        let sentence =
            "expected OFFSET in digits, a SHA-256 of 64 small letters and digits, and a name";
        return Err(Error::new(Code::BadRequest, sentence));
    };
    let name = FileName::parse(name)?;
    // A file is not read for a client to which an earlier reply could not be sent.
    wire.flush()?;
    let file = store.open_at(name, offset, sum, wire.network)?;
    write_ok(wire, file.size)?;
    send_file(wire, file)
}

fn handle_count(wire: &mut Wire, _: &Store, argument: &[u8]) -> Result<Done> {
    let text = std::str::from_utf8(argument)
        .map_err(|_| Error::new(Code::BadRequest, "the text is not UTF-8"))?;
    write_ok(wire, text.chars().count())?;
    Ok(Done::default())
}

fn handle_help(wire: &mut Wire, _: &Store, argument: &[u8]) -> Result<Done> {
    must_be_alone(argument)?;
    write_ok(wire, HELP.len())?;
    for line in HELP {
        writeln!(wire, "{line}")?;
    }
    Ok(Done::default())
}

fn handle_byebye(wire: &mut Wire, _: &Store, argument: &[u8]) -> Result<Done> {
    must_be_alone(argument)?;
    write_ok(wire, "byebye")?;
    Ok(Done::default())
}

const HELP: [&str; 11] = [
    "connme          say hello",
    "ls [FOLDER]     list the files, with their sizes",
    "size NAME       say how large a file is",
    "rm NAME         remove a file",
    "download NAME   send a file: its size, then its bytes",
    "upload NAME     take a file: after 'ok ready', SIZE and the bytes",
    "sum NAME        say the SHA-256 of a file",
    "resume N SUM NAME  send a file from byte N on, if SUM is that of the bytes before",
    "count TEXT      count the characters of a text",
    "help            list the commands",
    "byebye          say goodbye",
];

// The client's half.

/// The requests of this dialect.
pub const REQUESTS: Requests = Requests {
    connme: Some(connme),
    list_files: Some(list_files),
    has_folders: true,
    delete: Some(delete),
    get_size: Some(get_size),
    download: Some(Download {
        ask: |wire, name| write_request(wire, "download", name),
        take: take_download,
    }),
    upload: Some(Upload {
        ask: |wire, name, _| write_request(wire, "upload", name),
        take_ready,
        send: send_payload,
        take_receipt,
        is_told_why: true,
    }),
    sum: Some(SumOf { ask: |wire, name| write_request(wire, "sum", name), take: take_sum }),
    resume: Some(resume),
    supports_pipelining: Some(supports_pipelining),
    count: Some(count),
    byebye: Some(byebye),
    error_in: |bytes| parse_error(std::str::from_utf8(bytes).ok()?.trim_end()),
    ..Requests::NONE
};

fn connme(wire: &mut Wire) -> Answer<()> {
    write_request(wire, "connme", "")?;
    read_reply(wire).map(drop)
}

fn list_files(wire: &mut Wire, folder: Option<&str>) -> Answer<Listing> {
    write_request(wire, "ls", folder.unwrap_or_default())?;
    read_listing(wire)
}

fn delete(wire: &mut Wire, name: &str) -> Answer<()> {
    write_request(wire, "rm", name)?;
    let reply = read_reply(wire)?;
    if reply.strip_prefix("removed ") == Some(name) {
        return Ok(());
    }
    Err(not_ok(&format!("removed {name}"), &reply))
}

fn get_size(wire: &mut Wire, name: &str) -> Answer<u64> {
    write_request(wire, "size", name)?;
    let reply = read_reply(wire)?;
    let size = reply.split_once(' ').and_then(|(size, _)| digits(size.as_bytes()));
    size.ok_or_else(|| not_ok("SIZE bytes", &reply))
}

fn take_download(wire: &mut Wire, _: &str, into: &mut dyn Receiver<Failure>) -> Answer<u64> {
    let reply = read_reply(wire)?;
    let size = digits(reply.as_bytes()).ok_or_else(|| not_ok("SIZE", &reply))?;
    receive(wire, size, into)
}

fn take_ready(wire: &mut Wire) -> Answer<()> {
    let ready = read_reply(wire)?;
    if ready == "ready" { Ok(()) } else { Err(not_ok("ready", &ready)) }
}

fn send_payload(wire: &mut Wire, size: u64, from: &mut Source<'_>) -> Answer<()> {
    writeln!(wire, "{size}")?;
    send(wire, size, from)
}

fn take_receipt(wire: &mut Wire, name: &str, size: u64, _: Duration) -> Answer<Option<String>> {
    let reply = read_reply(wire);
    if reply.is_err() && size > limits::DRAIN {
        // The server closes rather than read so much that it does not want.
        wire.mark_out_of_step();
    }
    let reply = reply?;
    let stored = after_word(&reply, "received").and_then(|rest| rest.split_once(' '));
    match stored {
        Some((received, stored))
            if digits(received.as_bytes()) == Some(size) && is_stored_name(name, stored) =>
        {
            Ok(Some(stored.to_owned()))
        }
        _ => Err(not_ok(&format!("received {size} {name}"), &reply)),
    }
}

fn take_sum(wire: &mut Wire) -> Answer<Sum> {
    wire.allow(limits::SUM_TIME);
    let reply = read_reply(wire)?;
    Sum::parse(reply.as_bytes()).ok_or_else(|| not_ok("SHA-256", &reply))
}

fn resume(
    wire: &mut Wire,
    name: &str,
    offset: u64,
    sum: Sum,
    into: &mut dyn Receiver<Failure>,
) -> Answer<u64> {
    write_request(wire, "resume", &format!("{offset} {sum} {name}"))?;
    wire.allow(limits::SUM_TIME);
    take_download(wire, name, into)
}

/// Looks for `resume` in the help. A server that knows it takes no read for a message.
fn supports_pipelining(wire: &mut Wire) -> Answer<bool> {
    write_request(wire, "help", "")?;
    let reply = read_reply(wire)?;
    let count = digits(reply.as_bytes()).ok_or_else(|| not_ok("N", &reply))?;
    let mut knows_resume = false;
    // A help that drips has the time of a list.
    let mut list = IncomingList::new();
    for _ in 0..count.min(HELP_LINES) {
        let line = read_reply_line(wire, "")?;
        knows_resume |= after_word(&line, "resume").is_some();
        list.push(Entry { name: &line, size: None, id: None })?;
    }
    Ok(knows_resume && count <= HELP_LINES)
}

fn count(wire: &mut Wire, text: &str) -> Answer<u64> {
    write_request(wire, "count", text)?;
    let reply = read_reply(wire)?;
    digits(reply.as_bytes()).ok_or_else(|| not_ok("N", &reply))
}

fn byebye(wire: &mut Wire) -> Answer<()> {
    write_request(wire, "byebye", "")?;
    read_reply(wire).map(drop)
}

// The messages. What one half writes, a function beside it reads in the other.

fn write_request(wire: &mut Wire, command: &str, argument: &str) -> Answer<()> {
    if argument.contains(char::is_control) {
        return Err(control_character());
    }
    if argument.starts_with(' ') || argument.ends_with(' ') {
        return Err(Failure::Unsendable(text!("no-space-at-ends")));
    }
    let space = if argument.is_empty() { "" } else { " " };
    writeln!(wire, "{command}{space}{argument}")?;
    Ok(())
}

/// Whether the first line of a web request looks like this. A web page can make a browser send any lines after it.
pub(crate) fn is_from_a_browser(line: &[u8]) -> bool {
    [b" HTTP/1.0", b" HTTP/1.1", b" HTTP/2.0"].iter().any(|end| line.ends_with(*end))
}

/// The answer to a line that is not a command. A peer that does not speak this protocol is not heard any further.
pub(crate) fn unknown_command(line: &[u8]) -> Error {
    if is_from_a_browser(line) {
        return Error::new(Code::BadRequest, "this is not a web server").and_close();
    }
    let number = trim(line);
    let number = number.strip_prefix(b"-").or(number.strip_prefix(b"+")).unwrap_or(number);
    if !number.is_empty() && number.iter().all(u8::is_ascii_digit) {
        let sentence = "a size header where a command is expected: wait for 'ok ready' before it";
        return Error::new(Code::BadRequest, sentence).and_close();
    }
    // Tabs, and what the arrow keys and the backspace key send, are typed into netcat; other control characters are
    // not typed by a person.
    let is_typed = |c: char| !c.is_control() || matches!(c, '\t' | '\u{1b}' | '\u{8}');
    if std::str::from_utf8(line).is_ok_and(|line| line.chars().all(is_typed)) {
        return Error::new(Code::UnknownCommand, "type help for the commands");
    }
    // The lines after this one may be commands that were hidden in it: in a TLS hello, for example.
    Error::new(Code::BadRequest, "that is not text").and_close()
}

/// Splits a request into its command and the rest, without the spaces around them.
pub(crate) fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let line = trim(line);
    let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    (word, trim(rest))
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] | [rest @ .., b' '] = bytes {
        bytes = rest;
    }
    bytes
}

pub(crate) fn must_be_alone(argument: &[u8]) -> Result<()> {
    if argument.is_empty() {
        return Ok(());
    }
    Err(Error::new(Code::BadRequest, "this command takes no argument"))
}

/// `writeln!` calls [`Wire::write_fmt`].
fn write_ok(wire: &mut Wire, what: impl Display) -> Result<()> {
    writeln!(wire, "ok {what}")
}

/// The reply that says what is wrong: a code for programs, a sentence for people.
pub fn error_line(error: &Error) -> String {
    format!("error {} {}\n", error.word(), error.sentence())
}

/// Reads what follows `ok`; an `error` reply comes back as the failure that it says.
fn read_reply(wire: &mut Wire) -> Answer<String> {
    let line = read_reply_line(wire, "")?;
    let failure = parse_error(&line);
    let what = after_word(&line, "ok");
    if what.is_some() || failure.is_some() {
        wire.dialect_is_confirmed = true;
    }
    match (what, failure) {
        (Some(what), _) => Ok(what.to_owned()),
        (None, Some(failure)) => Err(failure),
        (None, None) if after_word(&line, "error").is_some() => {
            Err(not_one_of(&["error CODE MESSAGE"], line))
        }
        (None, None) => {
            let expected =
                msg!("a line starting with ok or error", "baris yang diawali ok atau error");
            Err(unexpected(expected, line))
        }
    }
}

fn parse_error(line: &str) -> Option<Failure> {
    let error = after_word(line, "error").filter(|error| !error.trim().is_empty())?;
    let (word, sentence) = error.split_once(' ').unwrap_or((error, ""));
    Some(Failure::refused(word, sentence))
}

/// A reply that begins with `ok` but does not continue as expected.
fn not_ok(expected: &str, reply: &str) -> Failure {
    let space = if reply.is_empty() { "" } else { " " };
    not_one_of(&[&format!("ok {expected}")], format!("ok{space}{reply}"))
}

fn after_word<'l>(line: &'l str, word: &str) -> Option<&'l str> {
    match line.strip_prefix(word)? {
        "" => Some(""),
        rest => rest.strip_prefix(' '),
    }
}

fn write_listing(wire: &mut Wire, listing: &Listing) -> Result<()> {
    write_ok(wire, listing.entries().len())?;
    for Entry { name, size, .. } in listing.entries() {
        match size {
            Some(size) => writeln!(wire, "file {size} {name}")?,
            None => writeln!(wire, "dir - {name}")?,
        }
    }
    writeln!(wire, "total {}", listing.total)
}

fn read_listing(wire: &mut Wire) -> Answer<Listing> {
    let reply = read_reply(wire)?;
    let count = digits(reply.as_bytes()).ok_or_else(|| not_ok("COUNT", &reply))?;
    let mut list = IncomingList::new();
    for _ in 0..count {
        let line = read_reply_line(wire, "")?;
        let expected = ["file SIZE NAME", "dir - NAME"];
        list.push(parse_entry(&line).ok_or_else(|| not_one_of(&expected, &line))?)?;
    }
    let (listing, line) = (list.listing, read_reply_line(wire, "")?);
    // As text: sizes can add up to more digits than a size may have.
    if after_word(&line, "total") != Some(listing.total.to_string().as_str()) {
        return Err(not_one_of(&[&format!("total {}", listing.total)], line));
    }
    Ok(listing)
}

fn parse_entry(line: &str) -> Option<Entry<'_>> {
    let (kind, rest) = line.split_once(' ')?;
    let (size, name) = rest.split_once(' ')?;
    let size = match (kind, size) {
        ("file", size) => Some(digits(size.as_bytes())?),
        ("dir", "-") => None,
        _ => return None,
    };
    Some(Entry { name, size, id: None })
}

/// A size, and in megabytes: 1,000,000 bytes each.
pub(crate) fn in_megabytes(size: u64) -> String {
    format!("{size} bytes ({}.{:06} MB)", size / 1_000_000, size % 1_000_000)
}
