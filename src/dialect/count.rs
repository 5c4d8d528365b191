//! `count`: one message a connection; the answer is the number of its characters.
//!
//! Nothing in the message says where it ends. It may end in LF, which is not counted, nor a CR before
//! it; or with the stream; or where the sender falls silent for 100 ms. The last is a guess: a message
//! that is held up on its way for longer than that is taken for a shorter one, and no server can know
//! better. That is what this wire teaches.
//!
//! ```text
//! > halo, dunia\n
//! < 11
//! ```
//!
//! The number has nothing behind it: the close ends it. What is not UTF-8 is answered
//! `error: not UTF-8`; what is longer than 64 KiB, `error: too long`.

use std::time::Instant;

use super::Requests;
use crate::error::{Code, Error, Result};
use crate::limits;
use crate::log::{Done, Session};
use crate::wire::Wire;

/// What an answer begins with that is no number.
const ERROR: &str = "error: ";

/// The longest answer that a client believes.
const ANSWER: usize = 256;

/// How a refusal reads on this wire.
#[must_use]
pub fn error_text(error: &Error) -> String {
    match error.code() {
        Code::Busy | Code::Timeout => format!("{ERROR}{}", error.word()),
        _ => format!("{ERROR}{}", error.sentence()),
    }
}

// The server's half.

/// Serves one connection: one message, one answer.
///
/// # Errors
/// What ended the connection, if that was not the peer's wish.
pub fn handle_client(wire: &mut Wire, log: &Session<'_>) -> Result<()> {
    let message = match wire.read_word(limits::MESSAGE, limits::WORD_PAUSE) {
        // The end of the stream ends a message, even one of nothing.
        Ok(message) => Ok(message.unwrap_or_default()),
        Err(error) if error.code() == Code::BadRequest => {
            Err(Error::new(Code::BadRequest, "too long"))
        }
        Err(error) => Err(error),
    };
    let since = Instant::now();
    let answer = message.and_then(|message| count(&message));
    let outcome = match answer {
        Ok(count) => wire.write(count.to_string().as_bytes()).map(|()| Done::default()),
        Err(error) if error.code() == Code::Gone => return Err(error),
        Err(error) => {
            wire.write(error_text(&error).as_bytes())?;
            Err(error)
        }
    };
    log.command(b"count", b"", since, &outcome);
    outcome.map(drop)
}

fn count(message: &[u8]) -> Result<usize> {
    match std::str::from_utf8(message) {
        Ok(text) => Ok(text.chars().count()),
        Err(_) => Err(Error::new(Code::BadRequest, "not UTF-8")),
    }
}

// The client's half.

/// The one request of this wire.
pub struct Client;

impl Requests for Client {
    fn one_a_connection(&self) -> bool {
        true
    }

    fn commands(&self) -> &'static [&'static str] {
        &["count"]
    }

    fn error_in(&self, bytes: &[u8]) -> Option<Error> {
        // Two of the reasons are code words of the other wires.
        let reason = String::from_utf8_lossy(bytes);
        let reason = reason.strip_prefix(ERROR)?;
        Some(Error::new(Code::from_word(reason).unwrap_or(Code::BadRequest), reason))
    }

    fn count(&self, wire: &mut Wire, text: &str) -> Result<u64> {
        if text.contains('\n') || text.ends_with('\r') {
            let sentence = "this wire ends a message at the first line break";
            return Err(Error::new(Code::BadRequest, sentence));
        }
        wire.write(text.as_bytes())?;
        wire.write(b"\n")?;
        wire.end_writing()?;
        let answer = wire.read_to_close(ANSWER)?;
        if answer.len() > ANSWER {
            return Err(nonsense(&answer));
        }
        if let Some(error) = self.error_in(&answer) {
            return Err(error);
        }
        if answer.is_empty() {
            return Err(Error::new(Code::Gone, "the server closed the connection"));
        }
        super::digits(&answer).ok_or_else(|| nonsense(&answer))
    }
}

fn nonsense(answer: &[u8]) -> Error {
    super::nonsense("a number", answer)
}
