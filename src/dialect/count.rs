//! `count`: one message a connection; the answer is the number of its characters.
//!
//! Nothing in the message says where it ends. It may end in LF, which is not counted, nor is a CR before
//! it; or with the stream; or where the sender is silent for 100 ms (Windows: 500 ms). The last is a guess: a
//! message that is delayed on its way for longer than that is taken for a shorter one, and no server can know
//! better. That is what this dialect teaches.
//!
//! ```text
//! > halo, dunia\n
//! < 11
//! ```
//!
//! Nothing follows the number: the close ends it. What is not UTF-8 is answered `error: not UTF-8`; what is
//! longer than 64 KiB, `error: too long`.

use std::time::Instant;

use super::requests::unexpected;
use super::{Requests, digits};
use crate::error::{Answer, Code, Error, Failure, Result};
use crate::lang::{msg, text};
use crate::limits;
use crate::log::{ConnectionLog, Done};
use crate::wire::Wire;

/// How an answer begins that is not a number.
const ERROR: &str = "error: ";

/// The longest answer that a client accepts.
const ANSWER: usize = 256;

/// The reply that says what is wrong.
pub fn error_text(error: &Error) -> String {
    let is_a_word = error.is(Code::Busy) || error.is(Code::Timeout);
    format!("{ERROR}{}", if is_a_word { error.word() } else { error.sentence() })
}

// The server's half.

/// Serves one connection: one message, one answer.
///
/// # Errors
/// The connection broke, or an error closed it.
pub fn handle_client(wire: &mut Wire, log: &ConnectionLog<'_>) -> Result<()> {
    let message = match wire.read_word(limits::MESSAGE, limits::WORD_PAUSE) {
        // The end of the stream ends a message, even one of nothing.
        Ok(message) => Ok(message.unwrap_or_default()),
        Err(error) if error.is(Code::BadRequest) => Err(Error::new(Code::BadRequest, "too long")),
        Err(error) => Err(error),
    };
    let since = Instant::now();
    let answer = message.and_then(|message| characters(&message));
    let outcome = match answer {
        Ok(count) => wire.write(count.to_string().as_bytes()).map(|()| Done::default()),
        Err(error) if error.is_gone() => return Err(error),
        Err(error) => {
            wire.write(error_text(&error).as_bytes())?;
            Err(error)
        }
    };
    log.command(b"count", b"", since, &outcome);
    outcome.map(drop)
}

fn characters(message: &[u8]) -> Result<usize> {
    match std::str::from_utf8(message) {
        Ok(text) => Ok(text.chars().count()),
        Err(_) => Err(Error::new(Code::BadRequest, "not UTF-8")),
    }
}

// The client's half.

/// The one request of this dialect.
pub const REQUESTS: Requests =
    Requests { count: Some(count), error_in, one_a_connection: true, ..Requests::NONE };

fn count(wire: &mut Wire, text: &str) -> Answer<u64> {
    if text.contains('\n') || text.ends_with('\r') {
        return Err(Failure::Unsendable(text!("text-ends-at-newline")));
    }
    wire.write(text.as_bytes())?;
    wire.write(b"\n")?;
    wire.end_writing()?;
    let answer = wire.read_to_close(ANSWER)?;
    match error_in(&answer) {
        Some(failure) => Err(failure),
        None if answer.is_empty() => Err(Failure::closed()),
        None => {
            digits(&answer).ok_or_else(|| unexpected(msg!("a number", "sebuah bilangan"), answer))
        }
    }
}

/// Two of the reasons are codes of the other dialects.
fn error_in(answer: &[u8]) -> Option<Failure> {
    let reason = std::str::from_utf8(answer).ok()?.strip_prefix(ERROR)?;
    let code = Code::from_word(reason).unwrap_or(Code::BadRequest);
    Some(Failure::refused(code.word(), reason))
}
