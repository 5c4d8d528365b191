//! The part of a server that does not depend on its shape: what is answered to what came.
//!
//! It is a small part of `text`: `connme`, `ls`, `size`, `rm`, `download`, `upload`, `byebye`. It reads and writes no
//! socket: a shape hands over what came, and asks what to do next. In memory it holds at most what one read brought,
//! one line, one list, and a piece of a file.

use super::BUFFER;
use crate::dialect::digits;
use crate::dialect::text::{
    error_line, in_megabytes, is_from_a_browser, must_be_alone, split, unknown_command,
};
use crate::error::{Code, Error, Result};
use crate::limits;
use crate::store::{Entry, FileName, Incoming, Outgoing, Store};

/// What the shape has to do next.
pub(super) enum Turn<'c> {
    /// Send these bytes, or some of them, and say how many: [`Conversation::sent`].
    Send(&'c [u8]),
    /// Receive, and hand over what came: [`Conversation::received`].
    Receive,
    /// Close the connection, because nothing more is to be sent.
    HangUp,
}

/// A conversation with one client.
pub(super) struct Conversation<'s> {
    store: &'s Store,
    input: Vec<u8>,
    /// The client sends no more.
    has_ended: bool,
    output: Vec<u8>,
    expected: Expected<'s>,
}

/// What has to come next.
#[derive(Default)]
enum Expected<'s> {
    #[default]
    Command,
    Size(Incoming<'s>),
    /// A payload of this size, of which that much is left.
    Payload(Incoming<'s>, u64, u64),
    /// Nothing, until the rest of this file is sent.
    Download(Outgoing),
    /// Nothing that is answered.
    Nothing,
}

impl<'s> Conversation<'s> {
    pub(super) fn new(store: &'s Store) -> Conversation<'s> {
        let (input, output) = (Vec::new(), Vec::new());
        let expected = Expected::Command;
        Conversation { store, input, has_ended: false, output, expected }
    }

    /// These bytes came. None is the end of what the client sends.
    pub(super) fn received(&mut self, bytes: &[u8]) {
        self.has_ended |= bytes.is_empty();
        self.input.extend(bytes);
    }

    /// So many bytes of the last [`Turn::Send`] were sent.
    pub(super) fn sent(&mut self, count: usize) {
        self.output.drain(..count.min(self.output.len()));
    }

    /// Works on what came, as far as it goes. Replies are collected, so that they leave in one write.
    pub(super) fn turn(&mut self) -> Turn<'_> {
        while self.output.len() < BUFFER {
            match self.step() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => self.refuse(&error),
            }
        }
        match self.expected {
            _ if !self.output.is_empty() => Turn::Send(&self.output),
            Expected::Nothing => Turn::HangUp,
            _ => Turn::Receive,
        }
    }

    fn refuse(&mut self, error: &Error) {
        if error.closes() {
            self.expected = Expected::Nothing;
        }
        self.output.extend(error_line(error).as_bytes());
    }

    /// Takes one message from what came. Returns whether that was possible.
    fn step(&mut self) -> Result<bool> {
        match std::mem::take(&mut self.expected) {
            Expected::Payload(file, size, left) => return self.take_payload(file, size, left),
            Expected::Download(file) => self.read_file(file),
            Expected::Nothing => {
                self.input.clear();
                self.expected = Expected::Nothing;
                return Ok(false);
            }
            waits => match (self.take_line()?, waits) {
                (Some(line), Expected::Size(file)) => self.begin_payload(file, &line)?,
                (Some(line), _) if line.trim_ascii().is_empty() => {}
                (Some(line), _) => self.answer(&line)?,
                (None, waits) => {
                    self.expected = if self.has_ended { Expected::Nothing } else { waits };
                    return Ok(false);
                }
            },
        }
        Ok(true)
    }

    /// The next line, without its end. A command without its LF is never run.
    fn take_line(&mut self) -> Result<Option<Vec<u8>>> {
        let wrong = |sentence| Error::new(Code::BadRequest, sentence).and_close();
        let end = self.input.iter().position(|byte| *byte == b'\n');
        // A CR before the LF is not a part of the line.
        let before = self.input.get(..end.unwrap_or(self.input.len())).unwrap_or_default();
        let line = before.strip_suffix(b"\r").unwrap_or(before).to_vec();
        match end {
            _ if line.len() > limits::LINE => Err(wrong("the line is too long")),
            None if self.has_ended && !self.input.is_empty() => Err(wrong("the line has no end")),
            None => Ok(None),
            Some(end) => {
                self.input.drain(..=end);
                Ok(Some(line))
            }
        }
    }

    fn answer(&mut self, line: &[u8]) -> Result<()> {
        if is_from_a_browser(line) {
            return Err(unknown_command(line));
        }
        let (command, argument) = split(line);
        match command.to_ascii_lowercase().as_slice() {
            b"connme" | b"conme" => {
                must_be_alone(argument)?;
                self.reply_ok("connected");
            }
            b"ls" => self.list(argument)?,
            b"size" => {
                let size = self.store.size(&FileName::parse(argument)?)?;
                self.reply_ok(in_megabytes(size));
            }
            b"rm" => {
                let name = FileName::parse(argument)?;
                self.store.remove(&name)?;
                self.reply_ok(format_args!("removed {}", name.as_str()));
            }
            b"download" => {
                let file = self.store.open_file(FileName::parse(argument)?)?;
                self.reply_ok(file.size);
                self.expected = Expected::Download(file);
            }
            b"upload" => {
                self.expected = Expected::Size(self.store.begin(FileName::parse(argument)?)?);
                self.reply_ok("ready");
            }
            b"byebye" => {
                must_be_alone(argument)?;
                self.reply_ok("byebye");
                self.expected = Expected::Nothing;
            }
            _ => {
                let error = unknown_command(line);
                let known = "there are connme, ls, size, rm, download, upload and byebye";
                let is_noise = error.closes();
                return Err(if is_noise { error } else { Error::new(Code::UnknownCommand, known) });
            }
        }
        Ok(())
    }

    fn reply_ok(&mut self, what: impl std::fmt::Display) {
        self.output.extend(format!("ok {what}\n").into_bytes());
    }

    fn list(&mut self, argument: &[u8]) -> Result<()> {
        let folder = if argument.is_empty() { None } else { Some(FileName::parse(argument)?) };
        let (listing, _place) = self.store.list(folder.as_ref(), None)?;
        self.reply_ok(listing.entries().len());
        for Entry { name, size, .. } in listing.entries() {
            let line = match size {
                Some(size) => format!("file {size} {name}\n"),
                None => format!("dir - {name}\n"),
            };
            self.output.extend(line.into_bytes());
        }
        self.output.extend(format!("total {}\n", listing.total).into_bytes());
        Ok(())
    }

    fn begin_payload(&mut self, file: Incoming<'s>, line: &[u8]) -> Result<()> {
        let size = digits(line).ok_or_else(|| {
            Error::new(Code::BadRequest, "a size is 1 to 19 decimal digits").and_close()
        })?;
        file.must_have_room(size).map_err(Error::and_close)?;
        self.expected = Expected::Payload(file, size, size);
        Ok(())
    }

    /// Adds what came to the file. A client that leaves before its end has sent nothing.
    fn take_payload(&mut self, mut file: Incoming<'s>, size: u64, left: u64) -> Result<bool> {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(self.input.len());
        let piece: Vec<_> = self.input.drain(..count).collect();
        // The rest of what is refused is not taken: so it cannot be run as commands either.
        file.write(&piece).map_err(Error::and_close)?;
        match left - count as u64 {
            0 => {
                let stored = file.publish()?;
                self.reply_ok(format_args!("received {size} {}", stored.as_str()));
                return Ok(true);
            }
            _ if self.has_ended => self.expected = Expected::Nothing,
            left => self.expected = Expected::Payload(file, size, left),
        }
        Ok(false)
    }

    fn read_file(&mut self, mut file: Outgoing) {
        let mut buffer = vec![0; BUFFER.min(usize::try_from(file.size).unwrap_or(BUFFER))];
        let count = file.read(&mut buffer).unwrap_or(0);
        self.output.extend(buffer.iter().take(count));
        file.size -= count as u64;
        match file.size {
            0 => {}
            // The file has become shorter, and the client expects more.
            _ if count == 0 => self.expected = Expected::Nothing,
            _ => self.expected = Expected::Download(file),
        }
    }
}
