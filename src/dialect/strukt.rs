//! `struct`: fixed-width little-endian integers in front of every name and payload.
//!
//! The wire of the original Python assignment, so that its own client works unchanged. `h` has 2
//! bytes, `i` has 4, `f` is a float of 4. The commands are words without an end mark; none of them is
//! the beginning of another, so their bytes alone say where they end. A CR, LF or space between
//! commands is passed over. Numbers are shown in brackets, `>` is the client:
//!
//! ```text
//! > connme                          < connected
//! > upload                          < ready
//! > [h 5] a.txt [i 5] hello         < received   (a pause)   [f 0.01]
//! > ls                              < [i 1]
//!                                   < [i 5] a.txt [i 5]
//! > (any byte: a nod)               < [i 5]      (the total)
//! > size                            < ready
//! > [h 5] a.txt                     < [i 5]      (-1: there is none)
//! > download                        < ready
//! > [h 5] a.txt                     < [i 5] hello
//! > (any byte: a nod)               < [f 0.01]
//! > rm                              < ready
//! > [h 5] a.txt Y                   < [i 1]      (-1: there is none; after N nothing is sent)
//! > byebye                          both close
//! ```
//!
//! Three things here are the price of the original:
//! - Its client takes one read for `received` and a second for the float. Sent together they can
//!   arrive together, and that client waits for ever. So a pause stands between them.
//! - Its client finds out that it has no such file only after it has sent the name, and goes on with
//!   its next command. So where a size is due, what arrives up to a pause may be exactly a command:
//!   then the upload was given up.
//! - There is no word for "no". An upload that is refused is read and dropped, and nothing is said; the
//!   server's log says why. Our own client sends nothing after a payload, and waits for `received`. It
//!   waits two seconds, twice the time that sending took, and a second for each 64 KiB that may still be on
//!   the way. Only if nothing came for that long does it ask `connme`: if `connected` comes, the file was
//!   refused. An original server that is still reading by then stores these six bytes in the file, and
//!   does not answer `connected` after `received`: then the upload fails.
//!
//! The original server does not notice the end of a stream. So our client says `byebye` before it closes.

use std::time::{Duration, Instant};

use super::{Gathered, Receiver, Requests, Source, nonsense, nonsense_ahead};
use crate::error::{Awaited, Code, Error, Result};
use crate::limits;
use crate::log::{Done, Session};
use crate::store::{Entry, FileName, Listing, Store};
use crate::wire::Wire;

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

/// What the client sends where only the fact counts that something came.
const NOD: &[u8] = b"1";

const YES: u8 = b'Y';
const NO: u8 = b'N';

/// Where there is no such file, or a number that `i` cannot hold.
const NONE: i32 = -1;

// The messages.

fn write_name(wire: &mut Wire, name: &str) -> Result<()> {
    let length = i16::try_from(name.len())
        .map_err(|_| Error::new(Code::BadName, "this wire has two bytes for a name's length"))?;
    wire.write(&length.to_le_bytes())?;
    wire.write(name.as_bytes())
}

/// A name's bytes. A negative length leaves nobody to say where they end.
fn read_name(wire: &mut Wire) -> Result<Vec<u8>> {
    let length = i16::from_le_bytes(wire.read_array()?);
    let length = usize::try_from(length)
        .map_err(|_| Error::new(Code::BadRequest, "a name of negative length").and_close())?;
    wire.read_bytes(length)
}

/// A number of bytes; what `i` cannot hold is said as "none".
fn write_size(wire: &mut Wire, size: Option<u64>) -> Result<()> {
    let size = size.and_then(|size| i32::try_from(size).ok()).unwrap_or(NONE);
    wire.write(&size.to_le_bytes())
}

fn read_int(wire: &mut Wire) -> Result<i32> {
    Ok(i32::from_le_bytes(wire.read_array()?))
}

/// A number from 0 to `most`. Another one may be letters of another wire, so the error shows its bytes
/// and those after them.
fn read_number(wire: &mut Wire, what: &str, most: usize) -> Result<usize> {
    let bytes = wire.read_array()?;
    let number = i32::from_le_bytes(bytes);
    usize::try_from(number).ok().filter(|number| *number <= most).ok_or_else(|| {
        let after = wire.take_arrived().unwrap_or_default();
        nonsense(&format!("{what}, not {number}"), &[&bytes, &after[..]].concat())
    })
}

/// A number of bytes; `None` is a negative one.
fn read_size(wire: &mut Wire) -> Result<Option<u64>> {
    Ok(u64::try_from(read_int(wire)?).ok())
}

fn write_seconds(wire: &mut Wire, since: Instant) -> Result<()> {
    wire.write(&since.elapsed().as_secs_f32().to_le_bytes())
}

fn read_seconds(wire: &mut Wire) -> Result<f32> {
    Ok(f32::from_le_bytes(wire.read_array()?))
}

/// A listing, file by file, each with a nod between: `nod` takes one or gives one.
fn write_listing(wire: &mut Wire, listing: &Listing) -> Result<()> {
    let fits = |entry: &Entry<'_>| entry.size.is_some_and(|size| i32::try_from(size).is_ok());
    let files = || listing.entries().filter(fits);
    let total = files().filter_map(|file| file.size).fold(0, u64::saturating_add);
    write_size(wire, files().count().try_into().ok())?;
    // One deadline for all the nods: a client that sends one now and then holds the list no longer than one
    // that sends none.
    let mut deadline = None;
    for Entry { name, size, .. } in files() {
        write_size(wire, name.len().try_into().ok())?;
        wire.write(name.as_bytes())?;
        write_size(wire, size)?;
        wire.read_nod(&mut deadline)?;
    }
    write_size(wire, Some(total))
}

fn read_listing(wire: &mut Wire) -> Result<Listing> {
    let count = read_number(wire, "a number of files", Gathered::MOST)?;
    wire.understand();
    let mut gathered = Gathered::new();
    for _ in 0..count {
        let length = read_number(wire, "the length of a name", limits::LINE)?;
        let name = String::from_utf8(wire.read_bytes(length)?)
            .map_err(|error| nonsense("a name in UTF-8", error.as_bytes()))?;
        let size = read_number(wire, "the size of a file", usize::MAX)?;
        let size = Some(size.try_into().unwrap_or(u64::MAX));
        gathered.push(Entry { name: &name, size, id: None })?;
        wire.write(NOD)?;
    }
    let (listing, total) = (gathered.listing, read_int(wire)?);
    // A total that does not fit is sent as "none".
    let expected = i32::try_from(listing.total).unwrap_or(NONE);
    if total != expected {
        let expected = format!("{expected} as the total of the sizes");
        return Err(nonsense(&expected, total.to_string().as_bytes()));
    }
    Ok(listing)
}

// The server's half.

/// Serves one connection: a command at a time, until the peer says goodbye or leaves.
///
/// # Errors
/// What ended the connection, if that was not the peer's wish.
pub fn handle_client(wire: &mut Wire, store: &Store, log: &Session<'_>) -> Result<()> {
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
        log.command(command.as_bytes(), &name, since, &outcome);
        match outcome {
            Err(error) if error.closes() => return Err(error),
            _ if command == BYEBYE => return Ok(()),
            _ => {}
        }
    }
    Ok(())
}

fn handle_connme(wire: &mut Wire) -> Result<Done> {
    wire.write(CONNECTED.as_bytes())?;
    Ok(Done::default())
}

fn handle_list_files(wire: &mut Wire, store: &Store) -> Result<Done> {
    // No word of this wire refuses a list, and an empty one would be a lie: only the close is left.
    let listing = store.list(None).map_err(Error::and_close)?;
    wire.giving_way_to(&listing.waiting(), |wire| write_listing(wire, &listing))?;
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
    removed.map(|_| Done::default())
}

fn handle_download(wire: &mut Wire, store: &Store, name: &mut Vec<u8>) -> Result<Done> {
    wire.write(READY.as_bytes())?;
    *name = read_name(wire)?;
    let since = Instant::now();
    let opened = FileName::parse(name).and_then(|name| store.open_file(&name));
    let (mut file, size) = match opened {
        Ok((file, size)) if i32::try_from(size).is_ok() => (file, size),
        Ok((_, size)) => {
            write_size(wire, None)?;
            let sentence = format!("{size} bytes are more than this wire can say");
            return Err(Error::new(Code::TooLarge, sentence));
        }
        Err(error) => {
            write_size(wire, None)?;
            return Err(error);
        }
    };
    write_size(wire, Some(size))?;
    wire.write_payload(size, &mut |room| file.read(room))
        .map_err(|error| Error::new(Code::Gone, "download cut short").because(error.to_string()))?;
    wire.read_array::<1>()?;
    write_seconds(wire, since)?;
    Ok(Done::bytes(size))
}

fn handle_upload(wire: &mut Wire, store: &Store, name: &mut Vec<u8>) -> Result<Done> {
    wire.write(READY.as_bytes())?;
    *name = read_name(wire)?;
    if was_given_up(wire)? {
        return Err(Error::new(Code::NotFound, "given up: the client has no such file"));
    }
    let since = Instant::now();
    let size = read_size(wire)?
        .ok_or_else(|| Error::new(Code::BadRequest, "a payload of negative size").and_close())?;
    wire.expect_payload(size);
    let begun = FileName::parse(name).and_then(|name| store.begin(&name));
    let stored = begun.and_then(|mut incoming| {
        incoming.expect(Some(size))?;
        wire.read_payload(&mut |bytes| incoming.write(bytes))?;
        incoming.publish()
    });
    let stored = match stored {
        Err(error) if !error.closes() => {
            // No word of this wire refuses; dropping what was announced keeps the two in step.
            wire.read_payload(&mut |_| Ok(()))?;
            return Err(error);
        }
        stored => stored?,
    };
    wire.write(RECEIVED.as_bytes())?;
    wire.pause(limits::RECEIPT_PAUSE)?;
    write_seconds(wire, since)?;
    wire.reply_is_complete()?;
    Ok(Done { bytes: size, stored: Some(stored.as_str().to_owned()) })
}

/// Whether a command arrives where a size is due. Only a size that begins with a command's letters
/// has to be looked at twice.
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

/// The requests of this wire.
pub struct Client;

impl Client {
    /// Sends a command that waits for `ready`, and what comes behind it.
    fn begin(wire: &mut Wire, command: &str, name: &str) -> Result<()> {
        // Behind the command it would be too late to find out.
        if i16::try_from(name.len()).is_err() {
            let sentence = "this wire has two bytes for a name's length: 32767 at most";
            return Err(Error::new(Code::BadName, sentence));
        }
        wire.write(command.as_bytes())?;
        expect_word(wire, &[READY])?;
        write_name(wire, name)
    }

    /// The size of a file, or that there is none.
    fn size(wire: &mut Wire) -> Result<u64> {
        match read_int(wire)? {
            NONE => Err(not_found()),
            size => u64::try_from(size)
                .map_err(|_| nonsense("a size, or -1", size.to_string().as_bytes())),
        }
    }
}

impl Requests for Client {
    fn commands(&self) -> &'static [&'static str] {
        &["connme", "ls", "rm", "size", "download", "upload", "byebye"]
    }

    fn needs_goodbye(&self) -> bool {
        true
    }

    fn connme(&self, wire: &mut Wire) -> Result<()> {
        wire.write(CONNME.as_bytes())?;
        expect_word(wire, &[CONNECTED]).map(drop)
    }

    fn list_files(&self, wire: &mut Wire, folder: Option<&str>) -> Result<Listing> {
        if folder.is_some() {
            return super::lacks("ls FOLDER");
        }
        wire.write(LS.as_bytes())?;
        read_listing(wire)
    }

    fn delete(&self, wire: &mut Wire, name: &str) -> Result<()> {
        Client::begin(wire, RM, name)?;
        wire.write(&[YES])?;
        match read_int(wire)? {
            1 => Ok(()),
            NONE => Err(not_found()),
            other => Err(nonsense("1 or -1", other.to_string().as_bytes())),
        }
    }

    fn get_size(&self, wire: &mut Wire, name: &str) -> Result<u64> {
        Client::begin(wire, SIZE, name)?;
        Client::size(wire)
    }

    fn download(&self, wire: &mut Wire, name: &str, into: &mut dyn Receiver) -> Result<u64> {
        Client::begin(wire, DOWNLOAD, name)?;
        let size = Client::size(wire)?;
        wire.expect_payload(size);
        let kept = into
            .expect(Some(size))
            .and_then(|()| wire.read_payload(&mut |bytes| into.write(bytes)));
        match kept {
            Err(error) if error.closes() => return Err(error),
            // What we cannot keep still has to be taken, and nodded to.
            Err(_) => wire.read_payload(&mut |_| Ok(()))?,
            Ok(()) => {}
        }
        wire.write(NOD)?;
        read_seconds(wire)?;
        kept.map(|()| size)
    }

    fn upload(
        &self,
        wire: &mut Wire,
        name: &str,
        size: u64,
        from: &mut Source<'_>,
    ) -> Result<Option<String>> {
        let Ok(announced) = i32::try_from(size) else {
            let sentence = "this wire has four bytes for a size: 2147483647 at most";
            return Err(Error::new(Code::TooLarge, sentence));
        };
        Client::begin(wire, UPLOAD, name)?;
        wire.write(&announced.to_le_bytes())?;
        let begun = Instant::now();
        wire.write_payload(size, from)?;
        wire.flush()?;
        let patience = time_for_receipt(size, begun.elapsed());
        if wire.wait_for_any(patience, Awaited::Words(&[RECEIVED]))? {
            expect_word(wire, &[RECEIVED])?;
            read_seconds(wire)?;
            return Ok(None);
        }
        // Silence: either the server refused the file, or it is slow.
        wire.write(CONNME.as_bytes())?;
        if expect_word(wire, &[RECEIVED, CONNECTED])? == CONNECTED {
            let sentence = "the server did not take it, and this wire has no word for why";
            return Err(Error::new(Code::Internal, sentence));
        }
        read_seconds(wire)?;
        // A server that was still reading has taken the question for more of the file.
        let comes = wire.wait_for_any(limits::RECEIPT_TIME, Awaited::Words(&[CONNECTED]));
        if comes.unwrap_or(false) && expect_word(wire, &[CONNECTED]).is_ok() {
            return Ok(None);
        }
        let sentence = "the server confirmed the file, but may have stored 'connme' at its end";
        Err(Error::new(Code::Unsure, sentence).and_close())
    }

    fn byebye(&self, wire: &mut Wire) -> Result<()> {
        wire.write(BYEBYE.as_bytes())?;
        wire.flush()
    }
}

/// How long the receipt for a payload may take before the client asks. The payload was written in `elapsed`,
/// but the end of it may still be on its way.
fn time_for_receipt(size: u64, elapsed: Duration) -> Duration {
    let on_its_way = size.min(limits::RECEIPT_BUFFERED);
    let reading = Duration::from_secs(on_its_way.div_ceil(limits::RECEIPT_RATE));
    limits::RECEIPT_TIME.saturating_add(elapsed.saturating_mul(2)).saturating_add(reading)
}

fn expect_word(wire: &mut Wire, words: &'static [&'static str]) -> Result<&'static str> {
    match wire.read_word_of(words) {
        Ok(Some(word)) => {
            wire.understand();
            Ok(word)
        }
        Ok(None) => Err(Error::new(Code::Gone, "the server closed the connection")),
        Err(error) if error.code() == Code::UnknownCommand => {
            Err(nonsense_ahead(&format!("'{}'", words.join("' or '")), wire))
        }
        Err(error) => Err(error),
    }
}

fn not_found() -> Error {
    Error::new(Code::NotFound, "the server has no such file, or none that this wire can say")
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
        for (size, elapsed, patience) in table {
            assert_eq!(time_for_receipt(size, elapsed), patience, "{size} {elapsed:?}");
        }
    }
}
