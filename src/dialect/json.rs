//! `json`: one JSON object a line; `size` in it announces the payload.
//!
//! The dialect of three sibling clients, made right. One request a connection, ended by LF. JSON itself
//! can hold no raw line break, so there is never a doubt where the line ends. What the server sends ends
//! in CR LF. Unknown members are ignored.
//!
//! ```text
//! > {"aksi":"transfer","file":"a.png","size":5,"type":".png"}\n   (and the 5 bytes)
//! < OK {"id":"…","nama_file":"a.png","size":5,"type":".png"}\r\n
//!
//! > {"aksi":"list"}\n
//! < [{"id":"…","nama_file":"a.png","size":5,"type":".png"}]\r\n
//!
//! > {"aksi":"get","file":"a.png"}\n        (or "id" in place of "file")
//! < {"id":"…","nama_file":"a.png","size":5,"type":".png"}\r\n   (a pause, and the 5 bytes)
//!
//! > {"aksi":"hapus","id":"…"}\n
//! < OK {"id":"…","nama_file":"a.png","size":5,"type":".png"}\r\n
//! ```
//!
//! `null` means that there is no such file: these four bytes and the close, without CR LF, because the
//! original client compares what one read brings with them. `ERRCMD` means that the `aksi` is unknown,
//! `ERROR CODE MESSAGE` anything else.
//!
//! Two things are for the original clients alone. The one that fetches takes what one read brings as the
//! record and all that follows as the file, so there is a pause between them. The one that lists reads 16
//! bytes at a time and looks for CR LF at the end of one read, so an array whose last read would bring
//! the LF alone gets a space.

use std::time::{Duration, Instant};

use super::json_value::Value;
use super::requests::{
    Download, IncomingList, Upload, is_stored_name, not_one_of, read_reply_line, receive, send,
    unexpected, unexpected_ahead,
};
use super::{Receiver, Requests, send_file};
use crate::error::{Answer, Code, Error, Failure, Result};
use crate::lang::{Msg, escaped, msg, text};
use crate::limits;
use crate::log::{ConnectionLog, Done};
use crate::store::{Entry, FileName, Listing, Record, Stamp, Store, extension};
use crate::wire::Wire;

const TRANSFER: &str = "transfer";
const LIST: &str = "list";
const GET: &str = "get";
const HAPUS: &str = "hapus";

const OK: &str = "OK";
const ERROR: &str = "ERROR";
const ERRCMD: &str = "ERRCMD";
const NULL: &str = "null";
const END: &str = "\r\n";

/// How many bytes the original listing client reads at a time.
const ORIGINAL_READ: usize = 16;

// The server's half.

/// What a request asks for. The line that it was read from is dropped before a payload comes.
struct Request {
    aksi: String,
    file: Option<String>,
    id: Option<String>,
    size: Option<u64>,
}

impl Request {
    fn parse(line: &[u8]) -> Result<Request> {
        let value = Value::parse_members(line, &["aksi", "file", "id", "size"]);
        let value = value.ok_or_else(|| bad_request("that is not a JSON object on a line"))?;
        let text = |name| value.get(name).and_then(Value::as_text).map(str::to_owned);
        let size = value.get("size").and_then(Value::as_u64);
        let aksi = text("aksi").unwrap_or_default();
        Ok(Request { aksi, file: text("file"), id: text("id"), size })
    }
}

/// Serves one connection: one request.
///
/// # Errors
/// The connection broke, or an error closed it.
pub fn handle_client(wire: &mut Wire, store: &Store, log: &ConnectionLog<'_>) -> Result<()> {
    let line = match wire.read_line(limits::MESSAGE) {
        Ok(Some(line)) => line,
        Ok(None) => return Ok(()),
        Err(error) => {
            refuse(wire, &error)?;
            return Err(error);
        }
    };
    let since = Instant::now();
    let request = Request::parse(&line);
    drop(line);
    let mut shown = (String::new(), String::new());
    let outcome = request.and_then(|request| {
        shown = (
            request.aksi.clone(),
            request.file.as_ref().or(request.id.as_ref()).cloned().unwrap_or_default(),
        );
        match request.aksi.as_str() {
            TRANSFER => handle_upload(wire, store, &request),
            LIST => handle_list_files(wire, store),
            GET => handle_download(wire, store, &request),
            HAPUS => handle_delete(wire, store, &request),
            _ => {
                write_line(wire, ERRCMD).and(Err(Error::new(Code::UnknownCommand, "no such aksi")))
            }
        }
    });
    let (aksi, name) = &shown;
    // The client has its answer before the log has its line.
    let sent = match &outcome {
        Err(error) if error.is_gone() => Ok(()),
        Err(error) if !error.is(Code::UnknownCommand) => {
            refuse(wire, error).and_then(|()| wire.flush())
        }
        _ => wire.flush(),
    };
    log.command(aksi.as_bytes(), name.as_bytes(), since, &outcome);
    sent
}

fn refuse(wire: &mut Wire, error: &Error) -> Result<()> {
    if error.is_gone() {
        Ok(())
    } else if error.is(Code::NotFound) {
        wire.write(NULL.as_bytes())
    } else {
        wire.write(error_line(error).as_bytes())
    }
}

fn handle_upload(wire: &mut Wire, store: &Store, request: &Request) -> Result<Done> {
    let file =
        request.file.as_deref().ok_or_else(|| bad_request("file is missing, or is not a text"))?;
    let name = top_name(file)?;
    let size = request.size.ok_or_else(|| bad_request("size is a whole number of bytes"))?;
    wire.expect_payload(size);
    let mut incoming = store.begin(name)?;
    incoming.must_have_room(size)?;
    wire.read_payload(&mut |bytes| incoming.write(bytes))?;
    let record = incoming.publish_recorded()?;
    write_line(wire, format_args!("{OK} {}", record_value(&record)))?;
    Ok(Done { bytes: size, stored: Some(record.name), removed: false })
}

/// Writes an array record by record, so that only the files' names are in memory, and not their text too.
fn handle_list_files(wire: &mut Wire, store: &Store) -> Result<Done> {
    let (files, _place) = store.list(None, wire.network)?;
    // Each has an identity that is kept before the first is sent.
    store.records(&files).try_for_each(|records| records.map(drop))?;
    wire.write_list(|wire| {
        let mut length = "[]".len() + END.len();
        let mut comma = "";
        wire.write(b"[")?;
        for records in store.records(&files) {
            for record in records? {
                let text = format!("{comma}{}", record_value(&record));
                comma = ",";
                length += text.len();
                wire.write(text.as_bytes())?;
            }
        }
        let space = if length % ORIGINAL_READ == 1 { " " } else { "" };
        write_line(wire, format_args!("]{space}"))
    })?;
    Ok(Done::default())
}

fn handle_download(wire: &mut Wire, store: &Store, request: &Request) -> Result<Done> {
    let (name, stamp) = requested(store, request)?;
    let (file, record) = store.open_recorded(&name, stamp)?;
    write_line(wire, record_value(&record))?;
    wire.pause(limits::HEAD_PAUSE)?;
    send_file(wire, file)
}

fn handle_delete(wire: &mut Wire, store: &Store, request: &Request) -> Result<Done> {
    let (name, stamp) = requested(store, request)?;
    let record = store.remove_recorded(&name, stamp)?;
    write_line(wire, format_args!("{OK} {}", record_value(&record)))?;
    Ok(Done::default())
}

/// The file that a request means, and the stamp that it must have if the request has its identity.
fn requested(store: &Store, request: &Request) -> Result<(FileName, Option<Stamp>)> {
    let not_at_top = || Error::new(Code::NotFound, "no such file at the top of the folder");
    match (&request.file, &request.id) {
        (Some(file), _) => match FileName::parse(file.as_bytes())? {
            name if name.folder().is_some() => Err(not_at_top()),
            name => Ok((name, None)),
        },
        (None, Some(id)) => {
            let (name, stamp) = store.find_by_id(id)?;
            Ok((name, Some(stamp)))
        }
        (None, None) => Err(bad_request("file or id is missing")),
    }
}

/// A name at the top of the root, where files have records.
fn top_name(file: &str) -> Result<FileName> {
    match FileName::parse(file.as_bytes())? {
        name if name.folder().is_some() => {
            Err(Error::new(Code::BadName, "this dialect has no folders"))
        }
        name => Ok(name),
    }
}

fn bad_request(sentence: &str) -> Error {
    Error::new(Code::BadRequest, sentence)
}

// The client's half.

/// The requests of this dialect.
pub const REQUESTS: Requests = Requests {
    list_files: Some(list_files),
    delete: Some(delete),
    get_size: Some(get_size),
    download: Some(Download { ask: ask_download, take: take_download }),
    upload: Some(Upload {
        ask: ask_upload,
        take_ready: |_| Ok(()),
        send,
        take_receipt,
        is_told_why: true,
    }),
    error_in: |bytes| parse_error(std::str::from_utf8(bytes).ok()?.trim_end()),
    one_a_connection: true,
    ..Requests::NONE
};

fn list_files(wire: &mut Wire, _: Option<&str>) -> Answer<Listing> {
    write_request(wire, LIST, vec![])?;
    read_listing(wire)
}

fn delete(wire: &mut Wire, name: &str) -> Answer<()> {
    write_request(wire, HAPUS, vec![("file", Value::text(name))])?;
    let reply = read_reply(wire)?.ok_or_else(Failure::not_found)?;
    let shown = escaped(name);
    let expected = msg!("'OK' and the record of {shown}", "'OK' dan record {shown}");
    read_done(wire, Some(reply), expected, |removed, _| removed == name).map(drop)
}

/// Finds the size in the list: this dialect has no request for it.
fn get_size(wire: &mut Wire, name: &str) -> Answer<u64> {
    let listing = list_files(wire, None)?;
    let size = listing.entries().find(|entry| entry.name == name).and_then(|entry| entry.size);
    size.ok_or_else(Failure::not_found)
}

fn ask_download(wire: &mut Wire, name: &str) -> Answer<()> {
    write_request(wire, GET, vec![("file", Value::text(name))])
}

fn take_download(wire: &mut Wire, _: &str, into: &mut dyn Receiver<Failure>) -> Answer<u64> {
    let reply = read_reply(wire)?.ok_or_else(Failure::not_found)?;
    let record = parse_record(&reply);
    let (_, size) = record.ok_or_else(|| unexpected(a_record(), &reply))?;
    wire.dialect_is_confirmed = true;
    receive(wire, size, into)
}

fn ask_upload(wire: &mut Wire, name: &str, size: u64) -> Answer<()> {
    let members = vec![
        ("file", Value::text(name)),
        ("size", Value::number(size)),
        ("type", Value::text(extension(name))),
    ];
    write_request(wire, TRANSFER, members)
}

fn take_receipt(wire: &mut Wire, name: &str, size: u64, _: Duration) -> Answer<Option<String>> {
    // `null` means that there is no such file, which is not an answer to an upload.
    let reply = read_reply(wire)?;
    let is_it = |stored: &str, got| got == size && is_stored_name(name, stored);
    let shown = escaped(name);
    let expected = text!("ok-and-record", shown, size);
    read_done(wire, reply, expected, is_it).map(Some)
}

// The messages. What one half writes, a function beside it reads in the other.

fn write_request(wire: &mut Wire, aksi: &str, members: Vec<(&str, Value)>) -> Answer<()> {
    let aksi = ("aksi", Value::text(aksi));
    let members = std::iter::once(aksi).chain(members);
    let request = Value::Object(members.map(|(name, value)| (name.to_owned(), value)).collect());
    Ok(writeln!(wire, "{request}")?)
}

/// A file that has no identity yet, on a server that is read-only, has an empty one.
fn record_value(record: &Record) -> Value {
    let member = |name: &str, value| (name.to_owned(), value);
    Value::Object(vec![
        member("id", Value::text(record.id.as_deref().unwrap_or_default())),
        member("nama_file", Value::text(&record.name)),
        member("size", Value::number(record.size)),
        member("type", Value::text(extension(&record.name))),
    ])
}

fn read_record(value: &Value) -> Option<Entry<'_>> {
    Some(Entry {
        name: value.get("nama_file")?.as_text()?,
        size: Some(value.get("size")?.as_u64()?),
        id: Some(value.get("id")?.as_text()?),
    })
}

fn write_line(wire: &mut Wire, line: impl std::fmt::Display) -> Result<()> {
    write!(wire, "{line}{END}")
}

/// The reply that says what is wrong.
pub fn error_line(error: &Error) -> String {
    format!("{ERROR} {} {}{END}", error.word(), error.sentence())
}

/// Reads a line from the server. `None` is `null`; an error comes back as the failure that it says.
fn read_reply(wire: &mut Wire) -> Answer<Option<String>> {
    let line = read_reply_line(wire, NULL)?;
    if let Some(failure) = parse_error(&line) {
        wire.dialect_is_confirmed = true;
        return Err(failure);
    }
    if line.trim_end() == ERROR {
        return Err(not_one_of(&["ERROR CODE MESSAGE"], line));
    }
    let is_null = Value::parse(line.as_bytes()) == Some(Value::Null);
    Ok((!is_null).then_some(line))
}

fn parse_error(line: &str) -> Option<Failure> {
    if line == ERRCMD {
        return Some(Failure::refused(Code::UnknownCommand.word(), ERRCMD));
    }
    let error = line.strip_prefix(ERROR)?.strip_prefix(' ')?;
    let error = Some(error).filter(|error| !error.trim().is_empty())?;
    let (word, sentence) = error.split_once(' ').unwrap_or((error, ""));
    Some(Failure::refused(word, sentence))
}

/// Reads the record after `OK`. Returns the name in it, if it is the expected one.
fn read_done(
    wire: &mut Wire,
    line: Option<String>,
    expected: Msg,
    is_expected: impl Fn(&str, u64) -> bool,
) -> Answer<String> {
    let line = line.unwrap_or_else(|| NULL.to_owned());
    let record = line.strip_prefix(OK).and_then(|rest| rest.strip_prefix(' '));
    if record.is_some() {
        wire.dialect_is_confirmed = true;
    }
    match record.and_then(parse_record) {
        Some((name, size)) if is_expected(&name, size) => Ok(name),
        _ => Err(unexpected(expected, line)),
    }
}

fn a_record() -> Msg {
    msg!("a record", "sebuah record")
}

/// The name and the size in a record.
fn parse_record(text: &str) -> Option<(String, u64)> {
    let value = Value::parse(text.as_bytes())?;
    let record = read_record(&value)?;
    Some((record.name.to_owned(), record.size?))
}

/// Reads a list record by record, so that neither the whole line nor a tree of it is ever in memory.
fn read_listing(wire: &mut Wire) -> Answer<Listing> {
    if !wire.peek(1, limits::MESSAGE_TIME)?.starts_with(b"[") {
        let line = read_reply(wire)?.unwrap_or_else(|| NULL.to_owned());
        return Err(unexpected(msg!("a list", "sebuah daftar"), line));
    }
    let mut list = IncomingList::new();
    let mut first = true;
    loop {
        let mut nesting = Nesting::default();
        // The bracket of the list belongs to the part with its first record.
        let mut is_open = !first;
        let mut ends = |byte| {
            if is_open { nesting.ends_with(byte) } else { std::mem::replace(&mut is_open, true) }
        };
        let part = match wire.read_part(limits::REPLY_LINE, &mut ends) {
            Err(error) if error.is(Code::BadRequest) => {
                let expected = msg!("a shorter record", "record yang lebih pendek");
                return Err(unexpected_ahead(expected, wire));
            }
            part => part?,
        };
        let part = if first { part.strip_prefix(b"[").unwrap_or(&part) } else { &part };
        let text = part.trim_ascii_start();
        if text == b"]" {
            break;
        }
        // There is a comma between two records.
        let record = if first { Some(text) } else { text.strip_prefix(b",") };
        let value = record.and_then(Value::parse);
        let record = value.as_ref().and_then(read_record);
        list.push(record.ok_or_else(|| unexpected(a_record(), part))?)?;
        if first {
            wire.dialect_is_confirmed = true;
        }
        first = false;
    }
    let rest = read_reply_line(wire, "")?;
    if rest.trim_ascii().is_empty() {
        Ok(list.listing)
    } else {
        Err(unexpected(msg!("the end of the list", "akhir daftar"), rest))
    }
}

/// How deeply a byte of a list is nested. Brackets inside a text do not count.
#[derive(Default)]
struct Nesting {
    depth: u64,
    in_text: bool,
    escaped: bool,
}

impl Nesting {
    /// Whether this byte ends an object of the list, or the list.
    fn ends_with(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_text => self.escaped = true,
            b'"' => self.in_text = !self.in_text,
            _ if self.in_text => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' if self.depth <= 1 => return true,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        false
    }
}
