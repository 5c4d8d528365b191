//! Why a client's request failed: what a program has to know of it, and the sentence for a person.

use std::fmt;

use super::{Code, Error, Expected, Partial};
use crate::lang::{Msg, Word, escape, msg, printable, quoted, readable, text};

/// What was tried on a file of this machine, as a verb in both languages.
pub type Tried = (&'static str, &'static str);

/// Opening it.
pub const OPEN: Tried = ("open", "membuka");

/// Reading it.
pub const READ: Tried = ("read", "membaca");

/// Creating it.
pub const CREATE: Tried = ("create", "membuat");

/// Why a client's request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The user has interrupted it.
    Interrupted,
    /// There is no connection, or no such request in the dialect. Nothing was sent.
    NotSent(Msg),
    /// The dialect cannot carry this name or this file. Nothing was sent.
    Unsendable(Msg),
    /// Something on this machine: what was tried, and why it failed.
    Local(Msg),
    /// No connection can be had; what the system says.
    Unreachable(String),
    /// The server's error reply.
    Refused {
        /// Its code, known here or not.
        word: String,
        /// What it adds.
        sentence: String,
    },
    /// The server closed the connection, and nothing of a reply has come.
    NoReply,
    /// The connection has ended.
    Gone {
        /// How.
        why: Msg,
        /// The server has not closed it: it broke.
        broke: bool,
    },
    /// What was expected did not come in time.
    Silent(Msg),
    /// The server, or the line to it, took too little of what was sent.
    Stalled,
    /// A reply that is longer than can be kept, or comes too slowly.
    Endless(Msg),
    /// What came is not of this protocol.
    Strange(Msg),
    /// The file was moved, but is perhaps not the same.
    Unconfirmed(Msg),
}

impl Failure {
    /// What a server said with an error reply.
    pub fn refused(word: &str, sentence: &str) -> Failure {
        Failure::Refused { word: word.to_owned(), sentence: sentence.to_owned() }
    }

    /// The server has no such file, and its dialect has no words for more.
    pub fn not_found() -> Failure {
        Failure::refused(Code::NotFound.word(), "no such file")
    }

    /// The dialect has no such command.
    pub fn lacks(dialect: &str, command: &str) -> Failure {
        Failure::NotSent(text!("dialect-lacks", dialect, command))
    }

    /// What was tried on this machine, on which file, and why it failed: what the system says, or a sentence.
    pub fn local((en, id): Tried, path: impl fmt::Display, why: impl Word) -> Failure {
        let path = readable(path.to_string().as_bytes());
        let why = why.into_msg();
        Failure::Local(msg!("{en} {path}: {why}", "{id} {path}: {why}"; why))
    }

    /// The server has closed the connection, in order.
    pub fn closed() -> Failure {
        let why = msg!("the server closed the connection", "server menutup koneksi");
        Failure::Gone { why, broke: false }
    }

    /// The code of a refusal, if it is one that is known here.
    pub fn code(&self) -> Option<Code> {
        match self {
            Failure::Refused { word, .. } => Code::from_word(word),
            _ => None,
        }
    }

    /// Whether the connection was lost or refused, so that another one may do.
    pub fn is_lost(&self) -> bool {
        match self {
            Failure::Unreachable(_)
            | Failure::NoReply
            | Failure::Gone { .. }
            | Failure::Stalled
            | Failure::Silent(_) => true,
            failure => matches!(failure.code(), Some(Code::Busy | Code::Timeout)),
        }
    }

    /// Whether the connection cannot be used after this.
    pub fn closes(&self) -> bool {
        match self {
            Failure::NotSent(_)
            | Failure::Unsendable(_)
            | Failure::Local(_)
            | Failure::Unreachable(_)
            | Failure::Unconfirmed(_) => false,
            // After these two the server closes.
            Failure::Refused { .. } => matches!(self.code(), Some(Code::Busy | Code::Timeout)),
            _ => true,
        }
    }

    /// The sentence for a person, without what was tried.
    pub fn why(&self) -> Msg {
        match self {
            Failure::Interrupted => msg!("interrupted", "dihentikan"),
            Failure::NotSent(why)
            | Failure::Unsendable(why)
            | Failure::Local(why)
            | Failure::Gone { why, .. }
            | Failure::Silent(why)
            | Failure::Endless(why)
            | Failure::Strange(why)
            | Failure::Unconfirmed(why) => why.clone(),
            Failure::Unreachable(cause) => cause.into_msg(),
            Failure::NoReply => text!("no-reply"),
            Failure::Refused { word, sentence } => refused(word, sentence),
            Failure::Stalled => text!("stalled"),
        }
    }
}

/// What a server says is English, and between Indonesian words quoted as such.
fn refused(word: &str, sentence: &str) -> Msg {
    let printed = printable(word.as_bytes());
    let (plain, said) = match sentence {
        "" => (printed.clone(), printed),
        sentence => (
            format!("{} ({printed})", printable(sentence.as_bytes())),
            format!("{} ({printed})", quoted(sentence.as_bytes())),
        ),
    };
    let known = match word {
        "not-found" if sentence.contains("folder") => "Folder tidak ditemukan di server",
        "not-found" => "File tidak ditemukan di server",
        "unknown-command" => "Perintah tidak dikenali",
        "is-folder" => "itu folder, bukan file",
        "read-only" => "server ini hanya bisa dibaca",
        "busy" => "server sedang sibuk",
        "bad-name" => return Msg::said(plain, format!("nama ini ditolak: {said}")),
        "too-large" => return Msg::said(plain, format!("file terlalu besar: {said}")),
        "no-space" => return Msg::said(plain, format!("ruang server penuh: {said}")),
        _ => return Msg::said(plain, format!("jawaban server: {said}")),
    };
    Msg::said(plain, format!("{known} ({word})"))
}

/// What a wire says of a connection, for a client.
impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let partial = error.partial.as_deref();
        let came = partial.filter(|partial| partial.has_come());
        if error.is(Code::Timeout) {
            let Some(partial) = partial else { return Failure::Stalled };
            let (so_far, expected) = (partial.so_far(), partial.expected());
            return Failure::Silent(match came {
                Some(_) => text!("gave-up", so_far, expected),
                None => text!("silent", expected),
            });
        }
        let gone = match (&error.cause, partial) {
            (Some(cause), _) => text!("broke", cause = escape(cause.as_bytes())),
            (None, Some(Partial { expected: Expected::Payload { .. }, .. })) => {
                text!("ended-in-file")
            }
            (None, Some(_)) => text!("ended-in-message"),
            (None, None) => return Failure::closed(),
        };
        let why = match came.map(Partial::so_far) {
            Some(so_far) => msg!("{gone}; {so_far}", "{gone}; {so_far}"; gone, so_far),
            None => gone,
        };
        Failure::Gone { why, broke: error.cause.is_some() }
    }
}

impl Partial {
    /// What has come of it, in words.
    pub fn so_far(&self) -> Msg {
        let got = quoted(&self.got);
        match self.expected {
            Expected::Payload { came, size: Some(size) } => text!("some-came", came, size),
            Expected::Payload { came, size: None } => text!("came", came),
            _ if self.got.is_empty() => msg!("no reply yet", "belum ada jawaban"),
            Expected::Line => text!("came-without-newline", got),
            _ => msg!("so far came {got}", "sejauh ini diterima {got}"),
        }
    }

    /// What is expected, in words.
    pub fn expected(&self) -> Msg {
        match self.expected {
            Expected::Line if self.has_come() => msg!("the newline", "newline"),
            Expected::Line => msg!("a line", "satu baris"),
            Expected::Words(words) => Msg::one_of(words, '"'),
            Expected::Bytes(count) => msg!("{count} bytes", "{count} byte"),
            Expected::Close => msg!("the server to close the connection", "server menutup koneksi"),
            _ if self.has_come() => msg!("the rest", "sisanya"),
            _ => msg!("a reply", "jawaban"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::Lang;

    fn both(msg: &Msg) -> (String, String) {
        (msg.say(Lang::En), msg.say(Lang::Id))
    }

    #[test]
    fn a_refusal_is_explained_in_both_languages() {
        let table = [
            ("busy", "later", "later (busy)", "server sedang sibuk (busy)"),
            ("own", "", "own", "jawaban server: own"),
            (
                "too-large",
                "\"x\"",
                "\"x\" (too-large)",
                "file terlalu besar: \"\\\"x\\\"\" (too-large)",
            ),
        ];
        for (word, sentence, en, id) in table {
            let said = both(&Failure::refused(word, sentence).why());
            assert_eq!(said, (en.to_owned(), id.to_owned()));
        }
    }

    #[test]
    fn a_wait_shows_what_has_come_and_what_is_expected() {
        let partial = |got: &str, expected| Partial { got: got.into(), expected };
        let table = [
            (
                partial("ok connected", Expected::Line),
                "so far came \"ok connected\" with no newline; gave up waiting for the newline",
                "sejauh ini diterima \"ok connected\" tanpa newline; berhenti menunggu newline",
            ),
            (
                partial("", Expected::Line),
                "the server was silent for too long; waited for a line",
                "server diam terlalu lama; yang ditunggu: satu baris",
            ),
            (
                partial("rec", Expected::Words(&["received", "connected"])),
                "so far came \"rec\"; gave up waiting for \"received\" or \"connected\"",
                "sejauh ini diterima \"rec\"; berhenti menunggu \"received\" atau \"connected\"",
            ),
            (
                partial("", Expected::Payload { came: 5, size: Some(10) }),
                "5 of 10 bytes came; gave up waiting for the rest",
                "5 dari 10 byte diterima; berhenti menunggu sisanya",
            ),
            (
                partial("", Expected::Payload { came: 5, size: None }),
                "5 bytes came; gave up waiting for the rest",
                "5 byte diterima; berhenti menunggu sisanya",
            ),
        ];
        for (Partial { got, expected }, en, id) in table {
            let silent = std::io::ErrorKind::TimedOut.into();
            let failure = Failure::from(Error::connection(&silent).with_partial(&got, expected));
            assert_eq!(both(&failure.why()), (en.to_owned(), id.to_owned()));
        }
    }
}
