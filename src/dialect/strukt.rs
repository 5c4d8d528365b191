//! `struct`: fixed-width little-endian integers in front of every name and payload.
//!
//! The dialect of the original Python assignment, so that its own client works unchanged. `h` has 2
//! bytes, `i` has 4, `f` is a float of 4. The commands are words without an end mark. None of them is
//! the beginning of another, so their bytes alone say where they end. A CR, LF or space between commands
//! is ignored. Numbers are in brackets, `>` is the client:
//!
//! ```text
//! > connme                          < connected
//! > upload                          < ready
//! > [h 5] a.txt [i 5] hello         < received   (a pause)   [f 0.01]
//! > ls                              < [i 1]
//!                                   < [i 5] a.txt [i 5]
//! > (any byte)                      < [i 5]      (the total)
//! > size                            < ready
//! > [h 5] a.txt                     < [i 5]      (-1: there is none)
//! > download                        < ready
//! > [h 5] a.txt                     < [i 5] hello
//! > (any byte)                      < [f 0.01]
//! > rm                              < ready
//! > [h 5] a.txt Y                   < [i 1]      (-1: there is none; after N nothing is sent)
//! > byebye                          both close
//! ```
//!
//! Three things here are for the original programs:
//! - The original client takes one read for `received` and a second one for the float. Sent together
//!   they can arrive together, and then that client waits for ever. So there is a pause between them.
//! - The original client finds out that it has no such file only after it has sent the name. Then it goes
//!   on with its next command. So where a size is expected, what arrives up to a pause may be exactly a
//!   command: then the upload was given up.
//! - No word refuses a file. An upload that is refused is read and dropped, and nothing is replied; the
//!   server's log says why. Our own client sends nothing after a payload, and waits for `received`: two
//!   seconds, twice the time that sending took, and a second for each 64 KiB that may still be on the
//!   way. Only if nothing came for that long does it ask `connme`. If `connected` comes, the file was
//!   refused. An original server that is still reading by then stores the six bytes of `connme` in the file, and
//!   does not answer `connected` after `received`: then the upload fails.
//!
//! The original server does not notice the end of a stream. So our client says `byebye` before it closes.

use std::time::{Duration, Instant};

use super::requests::{Download, IncomingList, Upload, not_one_of, receive, send, unexpected};
use super::{Receiver, Requests, Source, send_file};
use crate::error::{Answer, Code, Error, Expected, Failure, Result};
use crate::lang::{Msg, msg, text};
use crate::limits;
use crate::log::{ConnectionLog, Done};
use crate::store::{Entry, FileName, Listing, Store};
use crate::wire::Wire;

/// How much of a payload can be on its way when all of it has been written: systems buffer less. The
/// client allows time for no more than this, so that a refused file of 2 GiB is known after minutes, not
/// hours.
const RECEIPT_BUFFERED: u64 = 16 << 20;

/// How many bytes a second a server of `struct` reads at least. A client has sent a payload when its
/// system has taken it, and a slow server, or one on a slow line, then still has to read it.
const RECEIPT_RATE: u64 = 64 << 10;

/// How long a client of `struct` waits at least for `received` before it asks whether the upload was
/// refused. It adds twice the time that sending took, and the time of [`RECEIPT_RATE`].
const RECEIPT_TIME: Duration = Duration::from_secs(2);

const CONNME: &str = "connme";
const LS: &str = "ls";
const SIZE: &str = "size";
const RM: &str = "rm";
const DOWNLOAD: &str = "download";
const UPLOAD: &str = "upload";
const BYEBYE: &str = "byebye";
const COMMANDS: [&str; 7] = [UPLOAD, LS, DOWNLOAD, RM, SIZE, CONNME, BYEBYE];

const CONNECTED: &str = "connected";
const READY: &str = "ready";
const RECEIVED: &str = "received";

/// What the client sends where any byte would do.
const ACKNOWLEDGEMENT: &[u8] = b"1";

const YES: u8 = b'Y';
const NO: u8 = b'N';

/// For a file that does not exist, or a number that `i` cannot hold.
const NONE: i32 = -1;

// The server's half.

/// Serves one connection: a command at a time, until the client says goodbye or leaves.
///
/// # Errors
/// The connection broke, or an error closed it.
pub fn handle_client(wire: &mut Wire, store: &Store, log: &ConnectionLog<'_>) -> Result<()> {
    while let Some(command) = wire.read_word_of(&COMMANDS)? {
        let since = Instant::now();
        let mut name = Vec::new();
        let outcome = match command {
            CONNME => handle_connme(wire),
            LS => handle_list_files(wire, store),
            SIZE => handle_get_file_size(wire, store, &mut name),
            RM => handle_delete(wire, store, &mut name),
            DOWNLOAD => handle_download(wire, store, &mut name),
            UPLOAD => handle_upload(wire, store, &mut name),
            _ => Ok(Done::default()),
        };
        // The client has its answer before the log has its line.
        let sent = wire.end_reply();
        log.command(command.as_bytes(), &name, since, &outcome);
        match outcome {
            Err(error) if error.closes() => return Err(error),
            _ if command == BYEBYE => return Ok(()),
            _ => sent?,
        }
    }
    Ok(())
}

fn handle_connme(wire: &mut Wire) -> Result<Done> {
    wire.write(CONNECTED.as_bytes())?;
    Ok(Done::default())
}

fn handle_list_files(wire: &mut Wire, store: &Store) -> Result<Done> {
    // This dialect has no word that refuses a list, and an empty one would be wrong: only the close is
    // left.
    let (listing, _place) = store.list(None, wire.network).map_err(Error::and_close)?;
    wire.write_list(|wire| write_listing(wire, &listing))?;
    Ok(Done::default())
}

fn handle_get_file_size(wire: &mut Wire, store: &Store, name: &mut Vec<u8>) -> Result<Done> {
    wire.write(READY.as_bytes())?;
    *name = read_name(wire)?;
    let size = FileName::parse(name).and_then(|name| store.size(&name));
    write_size(wire, size.as_ref().ok().copied())?;
    size.map(|_| Done::default())
}

fn handle_delete(wire: &mut Wire, store: &Store, name: &mut Vec<u8>) -> Result<Done> {
    wire.write(READY.as_bytes())?;
    *name = read_name(wire)?;
    match wire.read_array()? {
        [YES] => {}
        // The original server removed the file before it asked.
        [NO] => return Ok(Done::default()),
        _ => return Err(Error::new(Code::BadRequest, "neither Y nor N").and_close()),
    }
    let removed = FileName::parse(name).and_then(|name| store.remove(&name));
    write_size(wire, removed.as_ref().ok().map(|_| 1))?;
    removed.map(|_| Done { removed: true, ..Done::default() })
}

fn handle_download(wire: &mut Wire, store: &Store, name: &mut Vec<u8>) -> Result<Done> {
    wire.write(READY.as_bytes())?;
    *name = read_name(wire)?;
    let since = Instant::now();
    let file = match FileName::parse(name).and_then(|name| store.open_file(name)) {
        Ok(file) if i32::try_from(file.size).is_ok() => file,
        Ok(file) => {
            write_size(wire, None)?;
            let sentence = format!("{} bytes do not fit into four bytes", file.size);
            return Err(Error::new(Code::TooLarge, sentence));
        }
        Err(error) => {
            write_size(wire, None)?;
            return Err(error);
        }
    };
    write_size(wire, Some(file.size))?;
    let done = send_file(wire, file)?;
    wire.read_array::<1>()?;
    write_seconds(wire, since)?;
    Ok(done)
}

fn handle_upload(wire: &mut Wire, store: &Store, name: &mut Vec<u8>) -> Result<Done> {
    wire.write(READY.as_bytes())?;
    *name = read_name(wire)?;
    if was_given_up(wire)? {
        return Err(Error::new(Code::NotFound, "given up: the client has no such file"));
    }
    let since = Instant::now();
    let size = u64::try_from(read_int(wire)?)
        .map_err(|_| Error::new(Code::BadRequest, "a payload of negative size").and_close())?;
    wire.expect_payload(size);
    let begun = FileName::parse(name).and_then(|name| store.begin(name));
    let stored = begun.and_then(|mut incoming| {
        incoming.must_have_room(size)?;
        wire.read_payload(&mut |bytes| incoming.write(bytes))?;
        incoming.publish()
    });
    let stored = match stored {
        Err(error) if !error.closes() => {
            // This dialect has no word that refuses; dropping what was announced keeps both in step.
            wire.read_payload::<Error>(&mut |_| Ok(()))?;
            return Err(error);
        }
        stored => stored?,
    };
    wire.write(RECEIVED.as_bytes())?;
    wire.pause(limits::RECEIPT_PAUSE)?;
    write_seconds(wire, since)?;
    wire.end_reply()?;
    Ok(Done { bytes: size, stored: Some(stored.as_str().to_owned()), removed: false })
}

/// Whether a command arrives where a size is expected. Only a size that begins with a command's letters
/// needs a second look.
fn was_given_up(wire: &mut Wire) -> Result<bool> {
    let begins = |held: &[u8]| COMMANDS.iter().any(|c| c.as_bytes().starts_with(held));
    let first = wire.peek(1, limits::WORD_PAUSE)?;
    if !begins(first.get(..1).unwrap_or_default()) {
        return Ok(false);
    }
    let longest = COMMANDS.iter().map(|command| command.len()).max().unwrap_or(0);
    let held = wire.peek(longest.saturating_add(1), limits::WORD_PAUSE)?;
    Ok(COMMANDS.iter().any(|command| command.as_bytes() == held))
}

// The client's half.

/// The requests of this dialect.
pub const REQUESTS: Requests = Requests {
    connme: Some(connme),
    list_files: Some(list_files),
    delete: Some(delete),
    get_size: Some(get_size),
    download: Some(Download { ask: |wire, name| begin(wire, DOWNLOAD, name), take: take_download }),
    upload: Some(Upload {
        ask: ask_upload,
        take_ready: |_| Ok(()),
        send: send_payload,
        take_receipt,
        is_told_why: false,
    }),
    byebye: Some(byebye),
    needs_goodbye: true,
    ..Requests::NONE
};

fn connme(wire: &mut Wire) -> Answer<()> {
    wire.write(CONNME.as_bytes())?;
    expect_word(wire, &[CONNECTED]).map(drop)
}

fn list_files(wire: &mut Wire, _: Option<&str>) -> Answer<Listing> {
    wire.write(LS.as_bytes())?;
    read_listing(wire)
}

fn delete(wire: &mut Wire, name: &str) -> Answer<()> {
    begin(wire, RM, name)?;
    wire.write(&[YES])?;
    match read_int(wire)? {
        1 => Ok(()),
        NONE => Err(Failure::not_found()),
        other => Err(not_one_of(&["1", "-1"], other.to_string())),
    }
}

fn get_size(wire: &mut Wire, name: &str) -> Answer<u64> {
    begin(wire, SIZE, name)?;
    read_size(wire)
}

fn take_download(wire: &mut Wire, _: &str, into: &mut dyn Receiver<Failure>) -> Answer<u64> {
    let size = read_size(wire)?;
    let kept = receive(wire, size, into);
    match kept {
        Err(failure) if failure.closes() => return Err(failure),
        // What we cannot keep still has to be taken and acknowledged.
        Err(_) => wire.read_payload::<Error>(&mut |_| Ok(()))?,
        Ok(_) => {}
    }
    wire.write(ACKNOWLEDGEMENT)?;
    read_seconds(wire)?;
    kept
}

fn ask_upload(wire: &mut Wire, name: &str, size: u64) -> Answer<()> {
    // After the command it would be too late to find out.
    announced(size)?;
    begin(wire, UPLOAD, name)
}

fn announced(size: u64) -> Answer<[u8; 4]> {
    let too_large = |_| Failure::Unsendable(text!("file-too-large-here", most = i32::MAX));
    Ok(i32::try_from(size).map_err(too_large)?.to_le_bytes())
}

fn send_payload(wire: &mut Wire, size: u64, from: &mut Source<'_>) -> Answer<()> {
    wire.write(&announced(size)?)?;
    send(wire, size, from)
}

fn take_receipt(wire: &mut Wire, _: &str, size: u64, elapsed: Duration) -> Answer<Option<String>> {
    let time = time_for_receipt(size, elapsed);
    if wire.wait_for_any(time, Expected::Words(&[RECEIVED]))? {
        expect_word(wire, &[RECEIVED])?;
        read_seconds(wire)?;
        return Ok(None);
    }
    // Silence: either the server refused the file, or it is slow.
    wire.write(CONNME.as_bytes())?;
    if expect_word(wire, &[RECEIVED, CONNECTED])? == CONNECTED {
        return Err(Failure::Unconfirmed(text!("not-taken")));
    }
    read_seconds(wire)?;
    // A server that was still reading has taken the question for more of the file.
    let comes = wire.wait_for_any(RECEIPT_TIME, Expected::Words(&[CONNECTED]));
    if comes.unwrap_or(false) && expect_word(wire, &[CONNECTED]).is_ok() {
        return Ok(None);
    }
    wire.mark_out_of_step();
    Err(Failure::Unconfirmed(text!("connme-stored")))
}

fn byebye(wire: &mut Wire) -> Answer<()> {
    wire.write(BYEBYE.as_bytes())?;
    Ok(wire.flush()?)
}

/// Sends a command that is answered with `ready`, and the name after that.
fn begin(wire: &mut Wire, command: &str, name: &str) -> Answer<()> {
    // After the command it would be too late to find out.
    name_length(name)?;
    wire.write(command.as_bytes())?;
    expect_word(wire, &[READY])?;
    write_name(wire, name)
}

fn expect_word(wire: &mut Wire, words: &'static [&'static str]) -> Answer<&'static str> {
    match wire.read_word_of(words) {
        Err(error) if error.is(Code::UnknownCommand) => {
            Err(not_one_of(words, wire.take_arrived().unwrap_or_default()))
        }
        word => {
            let word = word?.ok_or_else(Failure::closed)?;
            wire.dialect_is_confirmed = true;
            Ok(word)
        }
    }
}

/// How long the receipt for a payload may take before the client asks. The payload was written in
/// `elapsed`, but the end of it may still be on its way.
fn time_for_receipt(size: u64, elapsed: Duration) -> Duration {
    let on_its_way = size.min(RECEIPT_BUFFERED);
    let reading = Duration::from_secs(on_its_way.div_ceil(RECEIPT_RATE));
    RECEIPT_TIME.saturating_add(elapsed.saturating_mul(2)).saturating_add(reading)
}

// The messages. What one half writes, a function beside it reads in the other.

fn write_name(wire: &mut Wire, name: &str) -> Answer<()> {
    wire.write(&name_length(name)?.to_le_bytes())?;
    Ok(wire.write(name.as_bytes())?)
}

fn name_length(name: &str) -> Answer<i16> {
    i16::try_from(name.len())
        .map_err(|_| Failure::Unsendable(text!("name-too-long-here", most = i16::MAX)))
}

/// Reads a name. With a negative length it has no end.
fn read_name(wire: &mut Wire) -> Result<Vec<u8>> {
    let length = i16::from_le_bytes(wire.read_array()?);
    let length = usize::try_from(length)
        .map_err(|_| Error::new(Code::BadRequest, "a name of negative length").and_close())?;
    wire.read_bytes(length)
}

/// Writes a number of bytes; what `i` cannot hold is written as "none".
fn write_size(wire: &mut Wire, size: Option<u64>) -> Result<()> {
    let size = size.and_then(|size| i32::try_from(size).ok()).unwrap_or(NONE);
    wire.write(&size.to_le_bytes())
}

fn read_int(wire: &mut Wire) -> Result<i32> {
    Ok(i32::from_le_bytes(wire.read_array()?))
}

/// Reads a number from 0 to `most`. Another one may be letters of another dialect, so the failure shows
/// its bytes and those after them.
fn read_number(wire: &mut Wire, what: fn(i32) -> Msg, most: usize) -> Answer<usize> {
    let bytes = wire.read_array()?;
    let number = i32::from_le_bytes(bytes);
    usize::try_from(number).ok().filter(|number| *number <= most).ok_or_else(|| {
        let after = wire.take_arrived().unwrap_or_default();
        unexpected(what(number), [&bytes, &after[..]].concat())
    })
}

/// Reads the size of a file, or that there is none.
fn read_size(wire: &mut Wire) -> Answer<u64> {
    match read_int(wire)? {
        NONE => Err(Failure::not_found()),
        size => u64::try_from(size).map_err(|_| {
            unexpected(msg!("a size, or -1", "sebuah ukuran, atau -1"), size.to_string())
        }),
    }
}

fn write_seconds(wire: &mut Wire, since: Instant) -> Result<()> {
    wire.write(&since.elapsed().as_secs_f32().to_le_bytes())
}

fn read_seconds(wire: &mut Wire) -> Result<f32> {
    Ok(f32::from_le_bytes(wire.read_array()?))
}

/// Writes a listing, file by file, each followed by an acknowledgement from the client.
fn write_listing(wire: &mut Wire, listing: &Listing) -> Result<()> {
    let fits = |entry: &Entry<'_>| entry.size.is_some_and(|size| i32::try_from(size).is_ok());
    let files = || listing.entries().filter(fits);
    let total = files().filter_map(|file| file.size).sum();
    write_size(wire, Some(files().count() as u64))?;
    for Entry { name, size, .. } in files() {
        write_size(wire, Some(name.len() as u64))?;
        wire.write(name.as_bytes())?;
        write_size(wire, size)?;
        wire.read_acknowledgement()?;
    }
    write_size(wire, Some(total))
}

fn read_listing(wire: &mut Wire) -> Answer<Listing> {
    let a_count = |n| msg!("a number of files, not {n}", "banyaknya file, bukan {n}");
    let a_length = |n| msg!("the length of a name, not {n}", "panjang sebuah nama, bukan {n}");
    let a_size = |n| msg!("the size of a file, not {n}", "ukuran sebuah file, bukan {n}");
    let count = read_number(wire, a_count, IncomingList::MOST)?;
    wire.dialect_is_confirmed = true;
    let mut list = IncomingList::new();
    for _ in 0..count {
        let length = read_number(wire, a_length, limits::LINE)?;
        let name = String::from_utf8(wire.read_bytes(length)?)
            .map_err(|error| unexpected(msg!("a name in UTF-8", "nama UTF-8"), error.as_bytes()))?;
        let size = read_number(wire, a_size, usize::MAX)? as u64;
        list.push(Entry { name: &name, size: Some(size), id: None })?;
        wire.write(ACKNOWLEDGEMENT)?;
    }
    let (listing, total) = (list.listing, read_int(wire)?);
    // A total that does not fit is sent as "none".
    let expected = i32::try_from(listing.total).unwrap_or(NONE);
    if total != expected {
        let expected =
            msg!("{expected} as the total of the sizes", "{expected} sebagai total ukuran");
        return Err(unexpected(expected, total.to_string()));
    }
    Ok(listing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_has_time_for_what_is_still_on_its_way() {
        let seconds = Duration::from_secs;
        let table = [
            (0, seconds(0), seconds(2)),
            (5, seconds(0), seconds(3)),
            (640 << 10, seconds(0), seconds(12)),
            (640 << 10, seconds(30), seconds(72)),
            // No system buffers all of it, and sending it took its own time.
            (i32::MAX as u64, seconds(0), seconds(258)),
        ];
        for (size, elapsed, time) in table {
            assert_eq!(time_for_receipt(size, elapsed), time, "{size} {elapsed:?}");
        }
    }
}
