//! `filesaver`: words without an end mark, `<SEPARATOR>` in the metadata, and a file that ends with
//! the stream.
//!
//! One request a connection. The original client ends no word; netcat and our own client end each one
//! with LF. A word without LF ends where the sender is silent for 100 ms (Windows: 500 ms), so the first
//! of them costs a pause. Sending, then fetching:
//!
//! ```text
//! > SEND\n                                > RECEIVE\n
//! < OK                                    < OK
//! > a.txt\n                               > a.txt\n
//! > a.txt<SEPARATOR>5\n                   < a.txt<SEPARATOR>5   (a pause)
//! > hello   (the end of the stream)       < hello   (the end of the stream)
//! ```
//!
//! If the name ended with LF, the size ends like any word, at LF or in a pause. If it did not, the size
//! has no end at all, because an LF there is the first byte of the file.
//!
//! The original client's name and metadata may arrive joined to each other, and to the bytes:
//! `a.txta.txt<SEPARATOR>5hello`. Before the separator is the name twice, so half of it is the name.
//! After the separator nothing says where the digits of the size end and the bytes begin, and bytes may
//! be digits too. But the size and the number of its digits add up to all that came until the end of the
//! stream, and only one size does that: this dialect can be decoded, when it is over.
//!
//! What it cannot do is to tell every transfer that was cut short from one that was not. `12` and twelve
//! bytes, cut after the `12`, is the same as `1` and the byte `2`, and is stored as that. Nothing is
//! replied to a file that was sent. A fetched file that does not exist is answered `ERROR: File not
//! found`, and a client that looks only at that mistakes a file of this name for it.

use std::time::{Duration, Instant};

use super::requests::{Download, Upload, control_character, not_one_of, send};
use super::{Receiver, Requests, Source, digits, send_file};
use crate::error::{Answer, Code, Error, Expected, Failure, Result};
use crate::lang::text;
use crate::limits;
use crate::log::{ConnectionLog, Done};
use crate::store::{FileName, Store};
use crate::wire::Wire;

const SEND: &[u8] = b"SEND";
const RECEIVE: &[u8] = b"RECEIVE";
const OK: &[u8] = b"OK";
const SEPARATOR: &str = "<SEPARATOR>";
const NOT_FOUND: &[u8] = b"ERROR: File not found";

// The server's half.

/// Serves one connection: one request.
///
/// # Errors
/// The connection broke, or an error closed it.
pub fn handle_client(wire: &mut Wire, store: &Store, log: &ConnectionLog<'_>) -> Result<()> {
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
    // The close is the only refusal of this dialect, and here it comes in time.
    store.must_be_writable()?;
    wire.write(OK)?;
    let head = wire.read_until(SEPARATOR.as_bytes(), limits::LINE * 2)?;
    let (path, has_end_mark) = name_before_separator(&head)
        .ok_or_else(|| Error::new(Code::BadRequest, "the name is not there twice"))?;
    *name = path.to_vec();
    let mut incoming = store.begin(FileName::parse(last_part(path))?)?;
    let size = if has_end_mark {
        let size = wire.read_word(limits::LINE, limits::WORD_PAUSE)?.as_deref().and_then(digits);
        let size = size.ok_or_else(|| Error::new(Code::BadRequest, "a size is decimal digits"))?;
        wire.expect_payload(size);
        incoming.must_have_room(size)?;
        wire.read_payload(&mut |bytes| incoming.write(bytes))?;
        let too_much = || Error::new(Code::BadRequest, "more came than the size says");
        wire.read_to_end(&mut |more| if more.is_empty() { Ok(()) } else { Err(too_much()) })?;
        size
    } else {
        read_file(wire, &mut incoming)?
    };
    let stored = incoming.publish()?;
    Ok(Done { bytes: size, stored: Some(stored.as_str().to_owned()), removed: false })
}

fn handle_download(wire: &mut Wire, store: &Store, name: &mut Vec<u8>) -> Result<Done> {
    wire.write(OK)?;
    let opened = wire.read_word(limits::LINE, limits::WORD_PAUSE).and_then(|word| {
        *name = word.unwrap_or_default();
        let name = FileName::parse(name)?;
        Ok((store.open_file(name.clone())?, name))
    });
    if opened.is_err() {
        wire.write(NOT_FOUND)?;
    }
    let (file, name) = opened?;
    write_head(wire, name.as_str(), file.size)?;
    wire.pause(limits::HEAD_PAUSE)?;
    send_file(wire, file)
}

// The client's half.

/// The requests of this dialect.
pub const REQUESTS: Requests = Requests {
    download: Some(Download { ask: |wire, name| begin(wire, RECEIVE, name), take: take_download }),
    upload: Some(Upload {
        ask: ask_upload,
        take_ready: |_| Ok(()),
        send: send_payload,
        take_receipt,
        is_told_why: false,
    }),
    one_a_connection: true,
    confirms: false,
    ..Requests::NONE
};

fn take_download(wire: &mut Wire, name: &str, into: &mut dyn Receiver<Failure>) -> Answer<u64> {
    let head = format!("{name}{SEPARATOR}");
    let longest = head.len().max(NOT_FOUND.len());
    let begins = wire.peek(longest, limits::MESSAGE_TIME)?;
    // In this order, a file called ERROR.txt can be fetched.
    if begins.starts_with(head.as_bytes()) {
        wire.read_bytes(head.len())?;
        return read_file(wire, into);
    }
    if begins == NOT_FOUND {
        return Err(Failure::not_found());
    }
    Err(not_one_of(&[&head], begins))
}

fn ask_upload(wire: &mut Wire, name: &str, size: u64) -> Answer<()> {
    begin(wire, SEND, name)?;
    write_head(wire, name, size)?;
    Ok(wire.write(b"\n")?)
}

fn send_payload(wire: &mut Wire, size: u64, from: &mut Source<'_>) -> Answer<()> {
    send(wire, size, from)?;
    Ok(wire.end_writing()?)
}

fn take_receipt(wire: &mut Wire, _: &str, _: u64, _: Duration) -> Answer<Option<String>> {
    // Nothing is replied; when the server closes, it is done with the file.
    wire.read_to_close(limits::REPLY_LINE)?;
    Ok(None)
}

/// Says what is wanted, waits for `OK`, and sends the name.
fn begin(wire: &mut Wire, word: &[u8], name: &str) -> Answer<()> {
    if name.contains(char::is_control) {
        return Err(control_character());
    }
    if name.contains(SEPARATOR) {
        return Err(Failure::Unsendable(text!("no-separator-in-name")));
    }
    wire.write(word)?;
    wire.write(b"\n")?;
    let mut reply = wire.read_bytes(OK.len())?;
    if reply != OK {
        reply.extend(wire.take_arrived().unwrap_or_default());
        return Err(not_one_of(&["OK"], reply));
    }
    wire.dialect_is_confirmed = true;
    wire.write(name.as_bytes())?;
    Ok(wire.write(b"\n")?)
}

// The messages. What one half writes, a function beside it reads in the other.

/// The metadata, without an end mark: the size's digits are found by [`read_file`].
fn write_head(wire: &mut Wire, name: &str, size: u64) -> Result<()> {
    write!(wire, "{name}{SEPARATOR}{size}")
}

/// Reads the size and the bytes after a separator, up to the end of the stream. Returns the size.
fn read_file<E: From<Error>>(
    wire: &mut Wire,
    into: &mut dyn Receiver<E>,
) -> std::result::Result<u64, E> {
    let mut lead = Vec::new();
    let mut lead_ended = false;
    // The size ended before a byte that cannot be a part of it.
    let mut is_size = false;
    let mut all = 0;
    wire.read_to_end(&mut |mut bytes| {
        all += bytes.len() as u64;
        while let ([byte, rest @ ..], false) = (bytes, lead_ended) {
            is_size = !byte.is_ascii_digit();
            lead_ended = is_size || lead.len() == limits::SIZE_DIGITS;
            if lead_ended {
                into.announce(None)?;
            } else {
                lead.push(*byte);
                bytes = rest;
            }
        }
        if lead_ended && all > most_that_fits(&lead) {
            return Err(Error::new(Code::BadRequest, "more came than any size says").into());
        }
        if bytes.is_empty() { Ok(()) } else { into.write(bytes) }
    })?;
    if !lead_ended {
        into.announce(None)?;
    }
    let (size, length) =
        size_that_fits(&lead, all).ok_or_else(|| cut_short(&lead, all, is_size))?;
    match lead.get(length..).unwrap_or_default() {
        [] => {}
        // These digits were bytes of the file.
        digits => into.put_before(digits)?,
    }
    Ok(size)
}

/// Fewer bytes came than the size says. Where the file itself may begin with digits, the size is not known.
fn cut_short(lead: &[u8], all: u64, is_size: bool) -> Error {
    let size = digits(lead).filter(|_| is_size);
    let came = if is_size { all - lead.len() as u64 } else { all };
    let sentence = match size {
        Some(size) => format!("cut short: {came} of {size} bytes came"),
        None => format!("cut short: no size fits {came} bytes"),
    };
    Error::gone(sentence).with_partial(b"", Expected::Payload { came, size })
}

/// Returns the size among these digits that, with the number of its digits, adds up to all that came,
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

/// How much comes at most, if all these digits are the size: more than that is not kept.
fn most_that_fits(lead: &[u8]) -> u64 {
    let lead = if lead.first() == Some(&b'0') { b"0" } else { lead };
    let length = u64::try_from(lead.len()).unwrap_or(u64::MAX);
    digits(lead).map_or(0, |size| size.saturating_add(length))
}

/// The name, out of what is before the separator: twice, each time with LF or without. Returns also
/// whether there was an LF.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn just_one_size_fits() {
        let table = [
            ("0", 1, Some((0, 1))),
            ("5", 6, Some((5, 1))),
            ("12", 14, Some((12, 2))),
            ("12", 2, Some((1, 1))), // Cut after the 12: it looks complete.
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

    impl Receiver<Error> for Nowhere {
        fn announce(&mut self, _: Option<u64>) -> Result<()> {
            Ok(())
        }

        fn write(&mut self, _: &[u8]) -> Result<()> {
            Ok(())
        }

        fn put_before(&mut self, _: &[u8]) -> Result<()> {
            Ok(())
        }
    }

    /// Digits alone may be a size and the beginning of the file: then no size is shown.
    #[test]
    fn a_size_that_is_not_certain_is_not_shown() {
        let table = [
            ("10hello", "gone: cut short: 5 of 10 bytes came"),
            ("1hello", "bad-request: more came than any size says"),
            ("912345", "gone: cut short: no size fits 6 bytes"),
            ("", "gone: cut short: no size fits 0 bytes"),
            ("99999999999999999991", "gone: cut short: no size fits 20 bytes"),
        ];
        for (came, said) in table {
            let script = crate::wire::script::Script::whole(came).0;
            let mut wire = Wire::new(Box::new(script), crate::wire::WireConfig::default());
            assert_eq!(read_file(&mut wire, &mut Nowhere).unwrap_err().to_string(), said);
        }
    }

    #[test]
    fn the_name_is_there_twice() {
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
