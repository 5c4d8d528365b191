//! Errors: what was tried, on what, and why it failed.
//!
//! An [`Error`] has two readers. The peer gets a [`Code`] and a short sentence with no path and no system
//! error in it. The log gets the whole of it through `Display`. A [`Failure`] is for a client's user.

mod failure;

use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::limits;
pub use failure::{CREATE, Failure, OPEN, READ, Tried};

/// The codes that travel: `error CODE MESSAGE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// What was sent is not a request, or it is not known where it ends.
    BadRequest,
    /// The first word of a line is not a command.
    UnknownCommand,
    /// A name breaks a rule, or leads to something that is not a plain file.
    BadName,
    /// There is no such file or folder.
    NotFound,
    /// The name is that of a folder, and a file is needed.
    IsFolder,
    /// More than `--max-file-size`.
    TooLarge,
    /// The disk, or what `--max-total-size` allows, is full.
    NoSpace,
    /// The server was started with `--read-only`, or its disk has become so.
    ReadOnly,
    /// All connections are taken.
    Busy,
    /// The peer was silent, or too slow, for too long.
    Timeout,
    /// The file is not the one of which the peer has the beginning.
    Changed,
    /// Something failed on the server that is not the peer's fault.
    Internal,
}

impl Code {
    const WORDS: [(Code, &'static str); 12] = [
        (Code::BadRequest, "bad-request"),
        (Code::UnknownCommand, "unknown-command"),
        (Code::BadName, "bad-name"),
        (Code::NotFound, "not-found"),
        (Code::IsFolder, "is-folder"),
        (Code::TooLarge, "too-large"),
        (Code::NoSpace, "no-space"),
        (Code::ReadOnly, "read-only"),
        (Code::Busy, "busy"),
        (Code::Timeout, "timeout"),
        (Code::Changed, "changed"),
        (Code::Internal, "internal"),
    ];

    /// The word that travels.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(code, _)| *code == self).map_or("", |(_, word)| word)
    }

    /// The code of a word that a server sent, if it is one.
    pub fn from_word(word: &str) -> Option<Code> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(code, _)| *code)
    }
}

/// What most functions here return.
pub type Result<T> = std::result::Result<T, Error>;

/// What a client's request returns.
pub type Answer<T> = std::result::Result<T, Failure>;

/// Something that a server, a wire or a store could not do.
pub struct Error {
    kind: Kind,
    sentence: String,
    cause: Option<String>,
    closes: bool,
    partial: Option<Box<Partial>>,
}

/// What kind of error it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The peer is told this code.
    Told(Code),
    /// The peer is gone and cannot be told.
    Gone,
}

impl Error {
    /// An error that the peer may read as it is.
    pub fn new(code: Code, sentence: impl Into<String>) -> Error {
        let (kind, sentence) = (Kind::Told(code), sentence.into());
        Error { kind, sentence, cause: None, closes: false, partial: None }
    }

    /// The peer is gone, or has to be treated so.
    pub fn gone(sentence: impl Into<String>) -> Error {
        let sentence = sentence.into();
        Error { kind: Kind::Gone, sentence, cause: None, closes: true, partial: None }
    }

    /// A system call that failed: `tried` is a verb and an object, `cause` the system's answer.
    /// The peer is told only what kind of trouble it is.
    pub fn io(tried: impl fmt::Display, cause: &io::Error) -> Error {
        use io::ErrorKind as Kind;
        let (code, sentence) = match cause.kind() {
            Kind::NotFound | Kind::NotADirectory => (Code::NotFound, "no such file"),
            Kind::IsADirectory => (Code::IsFolder, "that is a folder"),
            Kind::InvalidFilename => (Code::BadName, "the disk cannot hold such a name"),
            Kind::CrossesDevices => (
                Code::BadName,
                "that folder is on another file system: no file can be stored there",
            ),
            Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => {
                (Code::NoSpace, "the server's disk has no space for it")
            }
            Kind::ReadOnlyFilesystem => (Code::ReadOnly, "the server's disk is read-only"),
            _ => (Code::Internal, "the server failed; its log says why"),
        };
        Error::new(code, sentence).because(format!("{tried}: {cause}"))
    }

    /// A connection that failed during a read or a write.
    pub fn connection(cause: &io::Error) -> Error {
        use io::ErrorKind as Kind;
        match cause.kind() {
            Kind::WouldBlock | Kind::TimedOut => Error::new(Code::Timeout, "silent for too long")
                .because("nothing came in time")
                .and_close(),
            Kind::UnexpectedEof => Error::gone("the connection ended in the middle of a message"),
            _ => Error::gone("the connection broke").because(cause.to_string()),
        }
    }

    /// Adds what only the log may show.
    pub fn because(mut self, cause: impl Into<String>) -> Error {
        self.cause = Some(cause.into());
        self
    }

    /// Marks an error after which the two sides cannot be in step: it is answered, then the connection
    /// is closed.
    pub fn and_close(mut self) -> Error {
        self.closes = true;
        self
    }

    /// Adds what had arrived of the message that was expected.
    pub fn with_partial(mut self, got: &[u8], expected: Expected) -> Error {
        let got = got.iter().take(limits::SHOWN).copied().collect();
        self.partial = Some(Box::new(Partial { got, expected }));
        self
    }

    /// Whether it has this code.
    pub fn is(&self, code: Code) -> bool {
        self.kind == Kind::Told(code)
    }

    /// The code, for tests.
    #[cfg(test)]
    pub(crate) fn code(&self) -> Code {
        let Kind::Told(code) = self.kind else { panic!("the peer is gone") };
        code
    }

    /// Whether the peer is gone.
    pub fn is_gone(&self) -> bool {
        self.kind == Kind::Gone
    }

    /// Whether the connection cannot go on after this.
    pub fn closes(&self) -> bool {
        self.closes
    }

    /// The code as a word.
    pub fn word(&self) -> &'static str {
        match self.kind {
            Kind::Told(code) => code.word(),
            Kind::Gone => "gone",
        }
    }

    /// The sentence for the peer.
    pub fn sentence(&self) -> &str {
        &self.sentence
    }

    /// What only the log may show, or else the sentence.
    pub fn cause(&self) -> &str {
        self.cause.as_deref().unwrap_or(&self.sentence)
    }

    /// How much had come of the payload that was expected, if one was.
    pub fn payload_came(&self) -> u64 {
        match self.partial() {
            Some(Partial { expected: Expected::Payload { came, .. }, .. }) => *came,
            _ => 0,
        }
    }

    /// What had arrived of the message that was expected, if one was.
    pub fn partial(&self) -> Option<&Partial> {
        self.partial.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.word(), self.sentence)?;
        match &self.cause {
            Some(cause) => write!(f, " ({cause})"),
            None => Ok(()),
        }
    }
}

/// The same sentence as `Display`, so that a failed test reads well too.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

/// What a read waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A line, up to its newline.
    Line,
    /// A word, up to its newline or a pause.
    Word,
    /// One of these words.
    Words(&'static [&'static str]),
    /// This many bytes.
    Bytes(usize),
    /// Bytes up to a mark.
    Mark,
    /// A JSON value, up to its end.
    Value,
    /// The end of the stream.
    Close,
    /// A payload of `size` bytes, of which `came` have come.
    Payload {
        /// How many bytes have come.
        came: u64,
        /// How many were announced. `None`: the payload ends with the stream.
        size: Option<u64>,
    },
}

/// A message that is not complete: what has arrived of it, and what is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// How it begins; nothing of a payload.
    pub got: Vec<u8>,
    /// What the read waits for.
    pub expected: Expected,
}

impl Partial {
    /// Whether anything of it has arrived.
    pub fn has_come(&self) -> bool {
        !self.got.is_empty() || matches!(self.expected, Expected::Payload { .. })
    }
}

/// Locks a mutex, also after a panic of another thread that held it: a bug in one connection must not
/// end the others, and all that is locked here is changed in single steps.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_it_is_written() {
        for (code, word) in Code::WORDS {
            assert_eq!(code.word(), word);
            assert_eq!(Code::from_word(word), Some(code));
        }
        assert_eq!(Code::from_word("gone"), None);
    }

    #[test]
    fn a_folder_on_another_file_system_is_refused_by_name() {
        let error = Error::io("link a", &io::ErrorKind::CrossesDevices.into());
        assert!(error.is(Code::BadName) && error.sentence().contains("another file system"));
    }

    #[test]
    fn the_peer_never_sees_a_path_and_the_log_does() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = Error::io("open /srv/secret", &denied);
        assert!(!error.sentence().contains("secret"));
        assert_eq!(
            error.to_string(),
            "internal: the server failed; its log says why (open /srv/secret: permission denied)"
        );
    }
}
