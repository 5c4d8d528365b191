//! `text`: newline-delimited commands, a size header line before each binary payload.
//!
//! A request is a line: a command in any letter case, then its argument, which is the rest of the
//! line and may hold spaces. It ends at LF; a CR before the LF is dropped. A reply begins with `ok`
//! or with `error CODE MESSAGE`. One whole conversation, `>` from the client and `<` from the server:
//!
//! ```text
#![doc = include_str!("../../tests/transcripts/tour.txt")]
//! ```
//!
//! What keeps the two sides in step:
//! - After `upload NAME` the client waits for `ok ready`, then says how many bytes will come, in
//!   decimal digits and LF, and sends exactly so many. The server takes them all before it reads
//!   another command. A payload may hold anything, commands too.
//! - Where an upload was refused, a client that did not wait sends its size header where a command
//!   is due. So a line of nothing but digits is never a command: the connection is closed, and no
//!   payload is read as commands.
//! - A line that has no end is not run: half of `rm notes_1.txt` is not `rm notes`.
//! - After a line that is too long, or a size header that is none, nobody can tell where the next
//!   command begins: the connection is closed.

use std::time::Instant;

use super::{Gathered, Receiver, Requests, Source, digits, is_stored_name, nonsense};
use super::{read_reply_line, reason_or};
use crate::error::{Code, Error, Result};
use crate::limits;
use crate::log::{Done, Session};
use crate::store::{Entry, FileName, Listing, Store};
use crate::wire::Wire;

/// The commands of this wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Connme,
    Ls,
    Size,
    Rm,
    Download,
    Upload,
    Count,
    Help,
    Byebye,
}

/// Each command's word, what stands behind it, and what it does. `conme` is how some write the first.
const COMMANDS: [(Command, &str, &str, &str); 9] = [
    (Command::Connme, "connme", "", "say hello"),
    (Command::Ls, "ls", " [FOLDER]", "list the files, with their sizes"),
    (Command::Size, "size", " NAME", "say how large a file is"),
    (Command::Rm, "rm", " NAME", "remove a file"),
    (Command::Download, "download", " NAME", "send a file: its size, then its bytes"),
    (Command::Upload, "upload", " NAME", "take a file: after 'ok ready', SIZE and the bytes"),
    (Command::Count, "count", " TEXT", "count the characters of a text"),
    (Command::Help, "help", "", "list the commands"),
    (Command::Byebye, "byebye", "", "say goodbye"),
];

impl Command {
    fn word(self) -> &'static str {
        COMMANDS.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }

    fn from_word(word: &[u8]) -> Option<Command> {
        let word = if word.eq_ignore_ascii_case(b"conme") { b"connme" } else { word };
        COMMANDS.iter().find(|row| word.eq_ignore_ascii_case(row.1.as_bytes())).map(|row| row.0)
    }
}

/// What a reply begins with.
const OK: &str = "ok";
const ERROR: &str = "error";

// The messages: each is written and read by one pair of functions, and both halves use them.

/// The next request line that is not empty.
fn read_request(wire: &mut Wire) -> Result<Option<Vec<u8>>> {
    loop {
        match wire.read_line(limits::LINE)? {
            None => return Ok(None),
            Some(line) if line.trim_ascii().is_empty() => {}
            Some(line) => return Ok(Some(line)),
        }
    }
}

fn write_request(wire: &mut Wire, command: Command, argument: &str) -> Result<()> {
    if argument.contains(char::is_control) {
        // A line break in a name would make two commands of one.
        return Err(Error::new(Code::BadName, "a name has no control characters"));
    }
    if argument.starts_with(' ') || argument.ends_with(' ') {
        // The server would take it for another name, the one without the spaces.
        let sentence = "on this wire nothing begins or ends with a space";
        return Err(Error::new(Code::BadName, sentence));
    }
    wire.write(command.word().as_bytes())?;
    if !argument.is_empty() {
        write!(wire, " {argument}")?;
    }
    wire.write(b"\n")
}

/// A request line in two: the word, and the rest without the spaces around it.
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let line = trim(line);
    let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    let (word, rest) = line.split_at_checked(end).unwrap_or_default();
    (word, trim(rest))
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] | [rest @ .., b' '] = bytes {
        bytes = rest;
    }
    bytes
}

fn write_ok(wire: &mut Wire, what: impl std::fmt::Display) -> Result<()> {
    writeln!(wire, "{OK} {what}")
}

/// The reply that says what is wrong: a code for programs, a sentence for people.
#[must_use]
pub fn error_line(error: &Error) -> String {
    format!("{ERROR} {} {}\n", error.word(), error.sentence())
}

/// What stands behind `ok`; an `error` reply comes back as the error that it says.
fn read_reply(wire: &mut Wire) -> Result<String> {
    let line = read_text(wire)?;
    if let Some(what) = after_word(&line, OK) {
        wire.understand();
        return Ok(what.to_owned());
    }
    if let Some(error) = parse_error(&line) {
        wire.understand();
        return Err(error);
    }
    let expected = match after_word(&line, ERROR) {
        Some(_) => "'error CODE MESSAGE'",
        None => "a line starting with ok or error",
    };
    Err(nonsense(expected, line.as_bytes()))
}

fn parse_error(line: &str) -> Option<Error> {
    let error = after_word(line, ERROR).filter(|error| !error.trim().is_empty())?;
    let (word, sentence) = error.split_once(' ').unwrap_or((error, ""));
    Some(Error::said(word, sentence))
}

/// A reply that begins with `ok` but does not continue as expected.
fn unexpected(expected: &str, reply: &str) -> Error {
    nonsense(expected, format!("{OK} {reply}").as_bytes())
}

/// A line of a reply.
fn read_text(wire: &mut Wire) -> Result<String> {
    read_reply_line(wire, "")
}

fn after_word<'l>(line: &'l str, word: &str) -> Option<&'l str> {
    match line.strip_prefix(word)? {
        "" => Some(""),
        rest => rest.strip_prefix(' '),
    }
}

/// The size header: decimal digits and nothing else. No sign, no space, no other script's digits.
fn write_size(wire: &mut Wire, size: u64) -> Result<()> {
    writeln!(wire, "{size}")
}

fn read_size(wire: &mut Wire) -> Result<u64> {
    let line = wire.read_line(limits::LINE)?;
    let line = line.ok_or_else(|| Error::new(Code::Gone, "the upload was given up"))?;
    digits(&line)
        .ok_or_else(|| Error::new(Code::BadRequest, "a size is 1 to 19 decimal digits").and_close())
}

fn write_listing(wire: &mut Wire, listing: &Listing) -> Result<()> {
    write_ok(wire, listing.count())?;
    for Entry { name, size, .. } in listing.entries() {
        match size {
            Some(size) => writeln!(wire, "file {size} {name}")?,
            None => writeln!(wire, "dir - {name}")?,
        }
    }
    writeln!(wire, "total {}", listing.total)
}

fn read_listing(wire: &mut Wire) -> Result<Listing> {
    let count = read_reply(wire)?;
    let count = digits(count.as_bytes()).ok_or_else(|| unexpected("'ok COUNT'", &count))?;
    let mut gathered = Gathered::new();
    for _ in 0..count {
        let line = read_text(wire)?;
        let expected = "'file SIZE NAME' or 'dir - NAME'";
        gathered.push(parse_entry(&line).ok_or_else(|| nonsense(expected, line.as_bytes()))?)?;
    }
    let (listing, line) = (gathered.listing, read_text(wire)?);
    let total = after_word(&line, "total").and_then(|total| digits(total.as_bytes()));
    if total != Some(listing.total) {
        return Err(nonsense(&format!("'total {}'", listing.total), line.as_bytes()));
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

/// A size as people like to see it beside the exact one: a megabyte is 1,000,000 bytes.
fn readable(size: u64) -> String {
    format!("{size} bytes ({}.{:06} MB)", size / 1_000_000, size % 1_000_000)
}

// The server's half.

/// Serves one connection: a command at a time, until the peer says goodbye or leaves.
///
/// # Errors
/// What ended the connection, if that was not the peer's wish.
pub fn handle_client(wire: &mut Wire, store: &Store, log: &Session<'_>) -> Result<()> {
    loop {
        let line = match read_request(wire) {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(()),
            Err(error) => {
                refuse(wire, &error)?;
                return Err(error);
            }
        };
        let since = Instant::now();
        let (word, argument) = split(&line);
        let command = Command::from_word(word);
        let outcome = match must_be_ours(&line, command) {
            Ok(command) => obey(wire, store, command, argument),
            Err(error) => Err(error),
        };
        let in_step = outcome.as_ref().map_or_else(|error| refuse(wire, error), |_| Ok(true));
        // The client has its answer before the log has its line.
        let sent = wire.reply_is_complete();
        log.command(word, argument, since, &outcome);
        match outcome {
            Err(error) if !in_step? => return Err(error),
            Ok(_) if command == Some(Command::Byebye) => return Ok(()),
            _ => sent?,
        }
    }
}

/// Answers with an error, and says whether the two sides are still in step. What is owed of a
/// refused payload comes off the wire first, if it is little enough for that.
fn refuse(wire: &mut Wire, error: &Error) -> Result<bool> {
    if error.code() == Code::Gone {
        return Ok(false);
    }
    // Answered whatever becomes of the rest: the peer may have ended its direction and still listen.
    let settled = if error.closes() { Ok(false) } else { wire.settle() };
    wire.write(error_line(error).as_bytes())?;
    settled
}

/// Keeps out lines that come from something else than a client of this wire.
fn must_be_ours(line: &[u8], command: Option<Command>) -> Result<Command> {
    let browsers = [b" HTTP/1.0", b" HTTP/1.1", b" HTTP/2.0"];
    if browsers.iter().any(|end| line.ends_with(*end)) {
        // A web page can make a browser send any lines it likes behind this one.
        return Err(Error::new(Code::BadRequest, "this is no web server").and_close());
    }
    let number = trim(line);
    let number = number.strip_prefix(b"-").or(number.strip_prefix(b"+")).unwrap_or(number);
    if number.iter().all(u8::is_ascii_digit) {
        let sentence = "a size header where a command is due: wait for 'ok ready' before it";
        return Err(Error::new(Code::BadRequest, sentence).and_close());
    }
    match command {
        Some(command) => Ok(command),
        None if is_binary(line) => {
            // The lines after this one may be commands that were hidden in it: in a TLS hello, for example.
            Err(Error::new(Code::BadRequest, "that is not text").and_close())
        }
        None => Err(Error::new(Code::UnknownCommand, "say help for the commands")),
    }
}

/// Whether a line was not typed by a person. Tabs, and what the arrow keys and the backspace key send,
/// are typed into netcat.
fn is_binary(line: &[u8]) -> bool {
    let typed = |c: char| !c.is_control() || matches!(c, '\t' | '\u{1b}' | '\u{8}');
    !std::str::from_utf8(line).is_ok_and(|line| line.chars().all(typed))
}

/// Out of line: what a command needs of the stack is not to lie on it while a connection only waits. It
/// saves a page, a quarter of what an idle connection holds.
#[inline(never)]
fn obey(wire: &mut Wire, store: &Store, command: Command, argument: &[u8]) -> Result<Done> {
    match command {
        Command::Connme => handle_connme(wire, argument),
        Command::Ls => handle_list_files(wire, store, argument),
        Command::Size => handle_get_file_size(wire, store, argument),
        Command::Rm => handle_delete(wire, store, argument),
        Command::Download => handle_download(wire, store, argument),
        Command::Upload => handle_upload(wire, store, argument),
        Command::Count => handle_count(wire, argument),
        Command::Help => handle_help(wire, argument),
        Command::Byebye => handle_byebye(wire, argument),
    }
}

#[inline(never)]
fn handle_connme(wire: &mut Wire, argument: &[u8]) -> Result<Done> {
    must_be_alone(argument)?;
    write_ok(wire, "connected")?;
    Ok(Done::default())
}

#[inline(never)]
fn handle_list_files(wire: &mut Wire, store: &Store, argument: &[u8]) -> Result<Done> {
    let folder = if argument.is_empty() { None } else { Some(FileName::parse(argument)?) };
    let listing = store.list(folder.as_ref())?;
    wire.giving_way_to(&listing.waiting(), |wire| write_listing(wire, &listing))?;
    Ok(Done::default())
}

#[inline(never)]
fn handle_get_file_size(wire: &mut Wire, store: &Store, argument: &[u8]) -> Result<Done> {
    let size = store.size(&FileName::parse(argument)?)?;
    write_ok(wire, readable(size))?;
    Ok(Done::default())
}

#[inline(never)]
fn handle_delete(wire: &mut Wire, store: &Store, argument: &[u8]) -> Result<Done> {
    let name = FileName::parse(argument)?;
    store.remove(&name)?;
    write_ok(wire, format_args!("removed {}", name.as_str()))?;
    Ok(Done::default())
}

#[inline(never)]
fn handle_download(wire: &mut Wire, store: &Store, argument: &[u8]) -> Result<Done> {
    let (mut file, size) = store.open_file(&FileName::parse(argument)?)?;
    write_ok(wire, size)?;
    // The peer has been told the size: if the file cannot supply it now, only a close says so.
    wire.write_payload(size, &mut |room| file.read(room))
        .map_err(|error| Error::new(Code::Gone, "download cut short").because(error.to_string()))?;
    Ok(Done::bytes(size))
}

#[inline(never)]
fn handle_upload(wire: &mut Wire, store: &Store, argument: &[u8]) -> Result<Done> {
    let mut incoming = store.begin(&FileName::parse(argument)?)?;
    write_ok(wire, "ready")?;
    let size = read_size(wire)?;
    wire.expect_payload(size);
    incoming.expect(Some(size))?;
    wire.read_payload(&mut |bytes| incoming.write(bytes))?;
    let stored = incoming.publish()?;
    write_ok(wire, format_args!("received {size} {}", stored.as_str()))?;
    // What is left of the upload is removed after the client has been told.
    wire.reply_is_complete()?;
    Ok(Done { bytes: size, stored: Some(stored.as_str().to_owned()) })
}

#[inline(never)]
fn handle_count(wire: &mut Wire, argument: &[u8]) -> Result<Done> {
    let text = std::str::from_utf8(argument)
        .map_err(|_| Error::new(Code::BadRequest, "the text is not UTF-8"))?;
    write_ok(wire, text.chars().count())?;
    Ok(Done::default())
}

#[inline(never)]
fn handle_help(wire: &mut Wire, argument: &[u8]) -> Result<Done> {
    must_be_alone(argument)?;
    write_ok(wire, COMMANDS.len())?;
    for (_, word, argument, what) in COMMANDS {
        let usage = format!("{word}{argument}");
        writeln!(wire, "{usage:<16}{what}")?;
    }
    Ok(Done::default())
}

#[inline(never)]
fn handle_byebye(wire: &mut Wire, argument: &[u8]) -> Result<Done> {
    must_be_alone(argument)?;
    write_ok(wire, "byebye")?;
    Ok(Done::default())
}

fn must_be_alone(argument: &[u8]) -> Result<()> {
    if argument.is_empty() {
        return Ok(());
    }
    Err(Error::new(Code::BadRequest, "nothing stands behind this command"))
}

// The client's half.

/// The requests of this wire.
pub struct Client;

impl Requests for Client {
    fn commands(&self) -> &'static [&'static str] {
        &["connme", "ls", "rm", "size", "download", "upload", "count", "byebye"]
    }

    fn error_in(&self, bytes: &[u8]) -> Option<Error> {
        parse_error(std::str::from_utf8(bytes).ok()?.trim_end())
    }

    fn connme(&self, wire: &mut Wire) -> Result<()> {
        write_request(wire, Command::Connme, "")?;
        read_reply(wire).map(drop)
    }

    fn list_files(&self, wire: &mut Wire, folder: Option<&str>) -> Result<Listing> {
        write_request(wire, Command::Ls, folder.unwrap_or_default())?;
        read_listing(wire)
    }

    fn delete(&self, wire: &mut Wire, name: &str) -> Result<()> {
        write_request(wire, Command::Rm, name)?;
        let reply = read_reply(wire)?;
        if reply.strip_prefix("removed ") == Some(name) {
            return Ok(());
        }
        Err(unexpected(&format!("'ok removed {name}'"), &reply))
    }

    fn get_size(&self, wire: &mut Wire, name: &str) -> Result<u64> {
        write_request(wire, Command::Size, name)?;
        let reply = read_reply(wire)?;
        let size = reply.split_once(' ').and_then(|(size, _)| digits(size.as_bytes()));
        size.ok_or_else(|| unexpected("'ok SIZE bytes'", &reply))
    }

    fn download(&self, wire: &mut Wire, name: &str, into: &mut dyn Receiver) -> Result<u64> {
        write_request(wire, Command::Download, name)?;
        let reply = read_reply(wire)?;
        let size = digits(reply.as_bytes()).ok_or_else(|| unexpected("'ok SIZE'", &reply))?;
        wire.expect_payload(size);
        into.expect(Some(size))?;
        wire.read_payload(&mut |bytes| into.write(bytes))?;
        Ok(size)
    }

    fn upload(
        &self,
        wire: &mut Wire,
        name: &str,
        size: u64,
        from: &mut Source<'_>,
    ) -> Result<Option<String>> {
        write_request(wire, Command::Upload, name)?;
        let ready = read_reply(wire)?;
        if ready != "ready" {
            return Err(unexpected("'ok ready'", &ready));
        }
        write_size(wire, size)?;
        let sent = wire.write_payload(size, from).and_then(|()| wire.flush());
        let reply = reason_or(sent, || read_reply(wire)).map_err(|error| {
            // The server has read and dropped a little, or it closes: see limits::DRAIN.
            if size > limits::DRAIN { error.and_close() } else { error }
        })?;
        let stored = after_word(&reply, "received").and_then(|rest| rest.split_once(' '));
        match stored {
            Some((received, stored))
                if digits(received.as_bytes()) == Some(size) && is_stored_name(name, stored) =>
            {
                Ok(Some(stored.to_owned()))
            }
            _ => Err(unexpected(&format!("'ok received {size} {name}'"), &reply)),
        }
    }

    fn count(&self, wire: &mut Wire, text: &str) -> Result<u64> {
        write_request(wire, Command::Count, text)?;
        let reply = read_reply(wire)?;
        digits(reply.as_bytes()).ok_or_else(|| unexpected("'ok N'", &reply))
    }

    fn byebye(&self, wire: &mut Wire) -> Result<()> {
        write_request(wire, Command::Byebye, "")?;
        read_reply(wire).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_word_and_the_rest() {
        let table: [[&[u8]; 3]; 6] = [
            [b"ls", b"ls", b""],
            [b"  ls  ", b"ls", b""],
            [b"rm  my file.txt  ", b"rm", b"my file.txt"],
            [b"rm\ta", b"rm\ta", b""],
            [b"count a  b", b"count", b"a  b"],
            [b"RM \xff", b"RM", b"\xff"],
        ];
        for [line, word, argument] in table {
            assert_eq!(split(line), (word, argument));
        }
    }

    #[test]
    fn a_size_is_digits() {
        let good = [("0", 0), ("05", 5), ("9223372036854775808", 1 << 63)];
        for (text, size) in good {
            assert_eq!(digits(text.as_bytes()), Some(size));
        }
        assert_eq!(digits(&[b'9'; 19]), Some(9_999_999_999_999_999_999));
        for text in
            ["", "-1", "+5", " 5", "5 ", "0x5", "1e3", "18446744073709551616", "٥", "５", "1_000"]
        {
            assert_eq!(digits(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_megabyte_has_a_million_bytes() {
        assert_eq!(readable(33), "33 bytes (0.000033 MB)");
        assert_eq!(readable(12_345_678), "12345678 bytes (12.345678 MB)");
    }

    #[test]
    fn words_are_known_in_any_case() {
        for (command, word, _, _) in COMMANDS {
            assert_eq!(Command::from_word(word.to_uppercase().as_bytes()), Some(command));
            assert_eq!(command.word(), word);
        }
        assert_eq!(Command::from_word(b"ConMe"), Some(Command::Connme));
        assert_eq!(Command::from_word(b"lsx"), None);
    }
}
