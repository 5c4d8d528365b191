//! `filesaver`: words without an end mark, `<SEPARATOR>` in the metadata, and a file that ends with
//! the stream.
//!
//! One request a connection. The original client ends no word; netcat and our own client end each with
//! LF. A word without LF ends where the sender falls silent for 100 ms, so the first of them costs a
//! pause. Sending, then fetching:
//!
//! ```text
//! > SEND\n                                > RECEIVE\n
//! < OK                                    < OK
//! > a.txt\n                               > a.txt\n
//! > a.txt<SEPARATOR>5\n                   < a.txt<SEPARATOR>5   (a pause)
//! > hello   (the end of the stream)       < hello   (the end of the stream)
//! ```
//!
//! Behind a name with an LF the size ends like any word, at LF or in a pause. Behind a name without one
//! it has no end at all, because an LF there is the first byte of the file.
//!
//! The original client's name and metadata may arrive glued to each other, and to the bytes:
//! `a.txta.txt<SEPARATOR>5hello`. What stands before the separator is the name twice, so half of it is
//! the name. Behind the separator nothing says where the digits of the size end and the bytes begin,
//! and bytes may be digits too. But the size and the number of its digits add up to all that came
//! until the end of the stream, and only one size can: this wire can be decoded, when it is over.
//!
//! What it cannot do: tell a transfer that was cut from one that was not, in every case. `12` and
//! twelve bytes, cut right behind the `12`, is the same as `1` and the byte `2`, and is stored as that.
//! Nothing is replied to a file that was sent; a fetched file that is not there is answered
//! `ERROR: File not found`, and a client that looks only at that takes a file of this name for it.

use std::time::Instant;

use super::{Receiver, Requests, Source, digits};
use crate::error::{Code, Error, Result};
use crate::limits;
use crate::log::{Done, Session};
use crate::store::{FileName, Store};
use crate::wire::Wire;

const SEND: &[u8] = b"SEND";
const RECEIVE: &[u8] = b"RECEIVE";
const OK: &[u8] = b"OK";
const SEPARATOR: &str = "<SEPARATOR>";
const NOT_FOUND: &[u8] = b"ERROR: File not found";

// The messages.

/// The metadata, without an end mark: the size's digits are found by [`read_file`].
fn write_head(wire: &mut Wire, name: &str, size: u64) -> Result<()> {
    write!(wire, "{name}{SEPARATOR}{size}")
}

/// The size and the bytes behind a separator, up to the end of the stream. Says how large the file is.
fn read_file(wire: &mut Wire, into: &mut dyn Receiver) -> Result<u64> {
    let mut lead = Vec::new();
    let mut lead_ended = false;
    // The size ended before a byte that can be no part of it.
    let mut is_size = false;
    let mut all: u64 = 0;
    wire.read_to_end(&mut |mut bytes| {
        all = all.saturating_add(bytes.len().try_into().unwrap_or(u64::MAX));
        while let ([byte, rest @ ..], false) = (bytes, lead_ended) {
            is_size = !byte.is_ascii_digit();
            lead_ended = is_size || lead.len() == limits::SIZE_DIGITS;
            if lead_ended {
                into.expect(None)?;
            } else {
                lead.push(*byte);
                bytes = rest;
            }
        }
        if lead_ended && all > most_that_fits(&lead) {
            return Err(Error::new(Code::BadRequest, "more came than any size says").and_close());
        }
        if bytes.is_empty() { Ok(()) } else { into.write(bytes) }
    })?;
    if !lead_ended {
        into.expect(None)?;
    }
    let (size, length) = size_that_fits(&lead, all).ok_or_else(|| {
        let digits = String::from_utf8_lossy(&lead);
        let came = all.saturating_sub(lead.len().try_into().unwrap_or(u64::MAX));
        // Where the file itself begins with digits, this number is too large.
        let sentence = format!("cut short: {came} of {digits} bytes came");
        let no_size = Error::new(Code::BadRequest, "cut short: no size fits what came");
        match is_size {
            true => Error::new(Code::BadRequest, sentence),
            false => no_size.because(format!("\"{digits}\"")),
        }
    })?;
    match lead.get(length..).unwrap_or_default() {
        [] => {}
        // These digits were bytes of the file.
        digits => into.put_before(digits)?,
    }
    Ok(size)
}

/// The size among the digits in front that, with the number of its digits, adds up to all that came;
/// and that number. Longer ones are larger, so at most one fits.
fn size_that_fits(lead: &[u8], all: u64) -> Option<(u64, usize)> {
    let zero_in_front = lead.first() == Some(&b'0');
    let longest = if zero_in_front { 1 } else { lead.len() };
    (1..=longest).find_map(|length| {
        let size = digits(lead.get(..length)?)?;
        let sum = size.checked_add(length.try_into().ok()?)?;
        (sum == all).then_some((size, length))
    })
}

/// What comes at most, if all these digits are the size: a sender that goes on for ever is not kept.
fn most_that_fits(lead: &[u8]) -> u64 {
    let lead = if lead.first() == Some(&b'0') { b"0" } else { lead };
    let length = u64::try_from(lead.len()).unwrap_or(u64::MAX);
    digits(lead).map_or(0, |size| size.saturating_add(length))
}

/// The name, out of what stands before the separator: twice, with LF behind each or with nothing.
fn name_before_separator(head: &[u8]) -> Option<(&[u8], bool)> {
    if let Some(at) = head.iter().position(|byte| *byte == b'\n') {
        let (first, second) = (head.get(..at)?, head.get(at.saturating_add(1)..)?);
        let first = first.strip_suffix(b"\r").unwrap_or(first);
        return (first == second).then_some((first, true));
    }
    let (first, second) = head.split_at_checked(head.len() / 2)?;
    (first == second).then_some((first, false))
}

/// The last part of a path, of whichever system: the original client sends what its user typed.
fn last_part(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| b"/\\".contains(byte)).next().unwrap_or(path)
}

// The server's half.

/// Serves one connection: one request.
///
/// # Errors
/// What ended the connection, if that was not the peer's wish.
pub fn handle_client(wire: &mut Wire, store: &Store, log: &Session<'_>) -> Result<()> {
    let Some(word) = wire.read_word(limits::LINE, limits::WORD_PAUSE)? else { return Ok(()) };
    let since = Instant::now();
    let mut name = Vec::new();
    let outcome = match word.as_slice() {
        SEND => handle_upload(wire, store, &mut name),
        RECEIVE => handle_download(wire, store, &mut name),
        _ => Err(Error::new(Code::UnknownCommand, "neither SEND nor RECEIVE")),
    };
    log.command(&word, &name, since, &outcome);
    outcome.map(drop)
}

fn handle_upload(wire: &mut Wire, store: &Store, name: &mut Vec<u8>) -> Result<Done> {
    // The close is the only "no" of this wire, and here it comes in time.
    store.must_be_writable()?;
    wire.write(OK)?;
    let head = wire.read_before(SEPARATOR.as_bytes(), limits::LINE * 2)?;
    let (path, has_end_mark) = name_before_separator(&head)
        .ok_or_else(|| Error::new(Code::BadRequest, "the name does not stand there twice"))?;
    *name = path.to_vec();
    let mut incoming = store.begin(&FileName::parse(last_part(path))?)?;
    let size = if has_end_mark {
        let size = wire.read_word(limits::LINE, limits::WORD_PAUSE)?.as_deref().and_then(digits);
        let size = size.ok_or_else(|| Error::new(Code::BadRequest, "a size is decimal digits"))?;
        wire.expect_payload(size);
        incoming.expect(Some(size))?;
        wire.read_payload(&mut |bytes| incoming.write(bytes))?;
        let too_much = || Error::new(Code::BadRequest, "more came than the size says");
        wire.read_to_end(&mut |more| if more.is_empty() { Ok(()) } else { Err(too_much()) })?;
        size
    } else {
        read_file(wire, &mut incoming)?
    };
    let stored = incoming.publish()?;
    Ok(Done { bytes: size, stored: Some(stored.as_str().to_owned()) })
}

fn handle_download(wire: &mut Wire, store: &Store, name: &mut Vec<u8>) -> Result<Done> {
    wire.write(OK)?;
    match wire.read_word(limits::LINE, limits::WORD_PAUSE) {
        Ok(word) => *name = word.unwrap_or_default(),
        Err(error) => {
            wire.write(NOT_FOUND)?;
            return Err(error);
        }
    }
    let opened = FileName::parse(name).and_then(|name| Ok((store.open_file(&name)?, name)));
    let ((mut file, size), name) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            wire.write(NOT_FOUND)?;
            return Err(error);
        }
    };
    write_head(wire, name.as_str(), size)?;
    wire.pause(limits::HEAD_PAUSE)?;
    wire.write_payload(size, &mut |room| file.read(room))?;
    Ok(Done::bytes(size))
}

// The client's half.

/// The requests of this wire.
pub struct Client;

impl Client {
    /// Says what is wanted, and waits for the word that lets us go on.
    fn begin(wire: &mut Wire, word: &[u8], name: &str) -> Result<()> {
        if name.contains(char::is_control) || name.contains(SEPARATOR) {
            return Err(Error::new(Code::BadName, "this wire cannot carry such a name"));
        }
        wire.write(word)?;
        wire.write(b"\n")?;
        match wire.read_bytes(OK.len())? {
            ok if ok == OK => wire.understand(),
            mut other => {
                other.extend(wire.take_arrived().unwrap_or_default());
                return Err(super::nonsense("'OK'", &other));
            }
        }
        wire.write(name.as_bytes())?;
        wire.write(b"\n")
    }
}

impl Requests for Client {
    fn one_a_connection(&self) -> bool {
        true
    }

    fn has_receipts(&self) -> bool {
        false
    }

    fn commands(&self) -> &'static [&'static str] {
        &["upload", "download"]
    }

    fn download(&self, wire: &mut Wire, name: &str, into: &mut dyn Receiver) -> Result<u64> {
        Client::begin(wire, RECEIVE, name)?;
        let head = format!("{name}{SEPARATOR}");
        let longest = head.len().max(NOT_FOUND.len());
        let begins = wire.peek(longest, limits::MESSAGE_TIME)?;
        // Looked at in this order, a file called ERROR.txt can be fetched.
        if begins.starts_with(head.as_bytes()) {
            wire.read_bytes(head.len())?;
            // Here the server broke off.
            return read_file(wire, into).map_err(|error| match error.code() {
                Code::BadRequest => error.with_code(Code::Gone),
                _ => error,
            });
        }
        if begins == NOT_FOUND {
            return Err(Error::new(Code::NotFound, "no such file"));
        }
        Err(super::nonsense(&format!("'{head}'"), begins))
    }

    fn upload(
        &self,
        wire: &mut Wire,
        name: &str,
        size: u64,
        from: &mut Source<'_>,
    ) -> Result<Option<String>> {
        Client::begin(wire, SEND, name)?;
        write_head(wire, name, size)?;
        wire.write(b"\n")?;
        wire.write_payload(size, from)?;
        wire.end_writing()?;
        // Nothing is replied; when the server closes, it is done with the file.
        wire.read_to_close(limits::REPLY_LINE)?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn just_one_size_fits() {
        let table = [
            ("0", 1, Some((0, 1))),
            ("5", 6, Some((5, 1))),
            ("12", 14, Some((12, 2))),
            ("12", 2, Some((1, 1))), // Cut behind the 12: nobody can tell.
            ("12", 3, None),
            ("05", 6, None),
            ("01", 1, Some((0, 1))),
            ("", 0, None),
            (
                "1234567890123456789",
                1_234_567_890_123_456_808,
                Some((1_234_567_890_123_456_789, 19)),
            ),
        ];
        for (lead, all, fits) in table {
            assert_eq!(size_that_fits(lead.as_bytes(), all), fits, "{lead} {all}");
        }
    }

    struct Nowhere;

    impl Receiver for Nowhere {
        fn expect(&mut self, _: Option<u64>) -> Result<()> {
            Ok(())
        }

        fn write(&mut self, _: &[u8]) -> Result<()> {
            Ok(())
        }

        fn put_before(&mut self, _: &[u8]) -> Result<()> {
            Ok(())
        }
    }

    /// Digits alone may be a size and the beginning of the file: there is no size to be shown.
    #[test]
    fn a_size_that_is_not_certain_is_not_shown() {
        let table = [
            ("10hello", "bad-request: cut short: 5 of 10 bytes came"),
            ("912345", "bad-request: cut short: no size fits what came (\"912345\")"),
            ("", "bad-request: cut short: no size fits what came (\"\")"),
            (
                "99999999999999999991",
                "bad-request: cut short: no size fits what came (\"9999999999999999999\")",
            ),
        ];
        for (came, said) in table {
            let script = crate::wire::stream::script::Script::whole(came).0;
            let mut wire = Wire::new(Box::new(script), crate::wire::WireConfig::default());
            assert_eq!(read_file(&mut wire, &mut Nowhere).unwrap_err().to_string(), said);
        }
    }

    #[test]
    fn the_name_stands_there_twice() {
        let table: [(&str, Option<(&str, bool)>); 8] = [
            ("a.txta.txt", Some(("a.txt", false))),
            ("aaaa", Some(("aa", false))),
            ("a.txt\na.txt", Some(("a.txt", true))),
            ("a.txt\r\na.txt", Some(("a.txt", true))),
            ("a.txtb.txt", None),
            ("a.txt\nb.txt", None),
            ("aaa", None),
            ("éé", Some(("é", false))),
        ];
        for (head, name) in table {
            let name = name.map(|(name, marks)| (name.as_bytes(), marks));
            assert_eq!(name_before_separator(head.as_bytes()), name, "{head}");
        }
    }
}
