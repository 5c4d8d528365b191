//! Errors: what was tried, on what, why it failed, and which word the wire has for it.
//!
//! An [`Error`] has two readers. The peer gets [`Error::word`] and [`Error::sentence`]: a code and a
//! short sentence with no path and no system error in it. The log, or the user at a terminal, gets
//! the whole of it through `Display`.

use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The kinds of failure that somebody tells apart: a peer by the word on the wire, the server's
/// loop by whether there is anyone left to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// What was sent is not a request, or cannot be framed.
    BadRequest,
    /// The first word of a line is no command.
    UnknownCommand,
    /// A name breaks a rule, or leads to something that is not a plain file.
    BadName,
    /// There is no such file or folder.
    NotFound,
    /// The name is a folder's where a file's is needed.
    IsFolder,
    /// More than `--max-file-size`.
    TooLarge,
    /// The disk, or what `--max-total-size` allows, is full.
    NoSpace,
    /// The server was started with `--read-only`, or its disk has turned so.
    ReadOnly,
    /// All connections are taken.
    Busy,
    /// The peer was silent, or too slow, for too long.
    Timeout,
    /// Something failed here that is no fault of the peer's.
    Internal,
    /// The peer is gone. Never on the wire: nobody is left to hear it.
    Gone,
    /// The peer broke the protocol, in a reply. Never on the wire: only a client says it.
    Nonsense,
    /// The server confirmed an upload, but may have stored something else. Never on the wire: only a client
    /// says it.
    Unsure,
    /// This dialect has no such command. Never on the wire: nothing is sent.
    Lacks,
    /// No connection could be had. Never on the wire: there is none.
    Unreachable,
    /// A file or a folder of the client's own could not be used. Never on the wire.
    Local,
}

impl Code {
    /// The words of the wire, as `error CODE MESSAGE` has them.
    const WORDS: [(Code, &'static str); 11] = [
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
        (Code::Internal, "internal"),
    ];

    /// The word that travels. Those that never travel have one for the log.
    #[must_use]
    pub fn word(self) -> &'static str {
        match Self::WORDS.iter().find(|(code, _)| *code == self) {
            Some((_, word)) => word,
            None => match self {
                Code::Gone => "gone",
                Code::Lacks => "lacks",
                Code::Unsure => "unsure",
                Code::Unreachable => "unreachable",
                Code::Local => "local",
                _ => "nonsense",
            },
        }
    }

    /// The code of a word that a server sent, if it is one.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Code> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(code, _)| *code)
    }
}

/// What a read waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
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
    /// A reply. Nothing of it has come.
    Reply,
}

/// A message that is not complete: what has arrived of it, and what was awaited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waited {
    /// How it begins; of a payload nothing.
    pub got: Vec<u8>,
    /// What the read waits for.
    pub wanted: Awaited,
}

/// Something that could not be done.
pub struct Error {
    code: Code,
    sentence: String,
    cause: Option<String>,
    closes: bool,
    /// A server's word for it that is not in [`Code::WORDS`].
    their_word: Option<String>,
    waited: Option<Box<Waited>>,
    first: bool,
}

/// Locks a mutex, also after a panic of another thread that held it: a bug in one connection must not
/// end the others, and all that is locked here is changed in single steps.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What most functions here return.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error that the peer may hear as it is.
    #[must_use]
    pub fn new(code: Code, sentence: impl Into<String>) -> Error {
        Error {
            code,
            sentence: sentence.into(),
            cause: None,
            closes: false,
            their_word: None,
            waited: None,
            first: false,
        }
    }

    /// What a server said with an error reply. A word that is not known here is kept as it came.
    #[must_use]
    pub fn said(word: &str, sentence: &str) -> Error {
        match Code::from_word(word) {
            // After these two the server closes.
            Some(code @ (Code::Busy | Code::Timeout)) => Error::new(code, sentence).and_close(),
            Some(code) => Error::new(code, sentence),
            None => {
                let their_word = Some(word.to_owned());
                Error { their_word, ..Error::new(Code::Internal, sentence) }
            }
        }
    }

    /// A system call that failed: `tried` is a verb and an object, `cause` the system's answer.
    /// The peer hears only what kind of trouble it is.
    #[must_use]
    pub fn io(tried: impl fmt::Display, cause: &io::Error) -> Error {
        use io::ErrorKind as Kind;
        let (code, sentence) = match cause.kind() {
            Kind::NotFound | Kind::NotADirectory => (Code::NotFound, "no such file"),
            Kind::IsADirectory => (Code::IsFolder, "that is a folder"),
            Kind::InvalidFilename => (Code::BadName, "the disk cannot hold such a name"),
            Kind::CrossesDevices => {
                let sentence =
                    "that folder is on another file system: a file cannot be stored there";
                (Code::BadName, sentence)
            }
            Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => {
                (Code::NoSpace, "the server's disk has no room for it")
            }
            Kind::ReadOnlyFilesystem => (Code::ReadOnly, "the server's disk is read-only"),
            _ => (Code::Internal, "the server could not do it; its log says why"),
        };
        Error::new(code, sentence).because(format!("{tried}: {cause}"))
    }

    /// A connection that failed under a read or a write.
    #[must_use]
    pub fn connection(cause: &io::Error) -> Error {
        use io::ErrorKind as Kind;
        match cause.kind() {
            Kind::WouldBlock | Kind::TimedOut => {
                let silent = Error::new(Code::Timeout, "silent for too long");
                silent.because("nothing came in time").and_close()
            }
            Kind::UnexpectedEof => {
                Error::new(Code::Gone, "the connection ended in the middle of a message")
            }
            _ => Error::new(Code::Gone, "the connection broke").because(cause.to_string()),
        }
    }

    /// A file or a folder of the client's own that could not be used.
    #[must_use]
    pub fn local(tried: impl fmt::Display, cause: impl fmt::Display) -> Error {
        Error::new(Code::Local, tried.to_string()).because(cause.to_string())
    }

    /// Adds what only the log and the person at the terminal may see.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Error {
        self.cause = Some(cause.into());
        self
    }

    /// Marks an error after which the two sides cannot be in step: it is answered, then the
    /// connection is closed.
    #[must_use]
    pub fn and_close(mut self) -> Error {
        self.closes = true;
        self
    }

    /// Adds what had arrived of the message that was awaited.
    #[must_use]
    pub fn waiting(mut self, got: &[u8], wanted: Awaited) -> Error {
        let got = got.get(..crate::limits::SHOWN).unwrap_or(got).to_vec();
        self.waited = Some(Box::new(Waited { got, wanted }));
        self
    }

    /// The same error as another kind.
    #[must_use]
    pub fn with_code(mut self, code: Code) -> Error {
        self.code = code;
        self
    }

    /// Marks an error of the first exchange on a connection: perhaps the server speaks another
    /// dialect.
    #[must_use]
    pub fn on_first_exchange(mut self) -> Error {
        self.first = true;
        self
    }

    /// Whether this happened in the first exchange on a connection.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.first
    }

    /// What had arrived of the message that was awaited, if one was.
    #[must_use]
    pub fn waited(&self) -> Option<&Waited> {
        self.waited.as_deref()
    }

    /// A server's word for it, where that is not known here.
    #[must_use]
    pub fn their_word(&self) -> Option<&str> {
        self.their_word.as_deref()
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// Whether the connection cannot go on after this.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.closes || self.code == Code::Gone
    }

    /// The word for the wire.
    #[must_use]
    pub fn word(&self) -> &'static str {
        self.code.word()
    }

    /// The sentence for the wire.
    #[must_use]
    pub fn sentence(&self) -> &str {
        &self.sentence
    }

    /// What only the log and the person at the terminal may see.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
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
        assert_eq!(error.code(), Code::BadName);
        assert!(error.sentence().contains("another file system"));
    }

    #[test]
    fn the_peer_never_sees_a_path_and_the_log_does() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = Error::io("open /srv/secret", &denied);
        assert!(!error.sentence().contains("secret"));
        assert_eq!(
            error.to_string(),
            "internal: the server could not do it; its log says why \
             (open /srv/secret: permission denied)"
        );
    }
}
