//! Errors: what was tried, on what, and why it failed.
//!
//! An [`Error`] has two readers. The peer gets a [`Code`] and a short sentence with no path and no system
//! error in it. The log gets the whole of it through `Display`. A [`Failure`] is what becomes of a
//! client's request. It holds what a person has to be told, and `lang` has the words for it.

use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::limits;

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
    /// Something failed on the server that is not the peer's fault.
    Internal,
}

impl Code {
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

    /// The word that travels.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(code, _)| *code == self).map_or("", |(_, word)| word)
    }

    /// The code of a word that a server sent, if it is one.
    #[must_use]
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
    /// `None`: the peer is gone and cannot be told.
    code: Option<Code>,
    sentence: String,
    cause: Option<String>,
    closes: bool,
    waited: Option<Box<Partial>>,
}

impl Error {
    /// An error that the peer may read as it is.
    #[must_use]
    pub fn new(code: Code, sentence: impl Into<String>) -> Error {
        let (code, sentence) = (Some(code), sentence.into());
        Error { code, sentence, cause: None, closes: false, waited: None }
    }

    /// The peer is gone, or has to be treated so.
    #[must_use]
    pub fn gone(sentence: impl Into<String>) -> Error {
        let sentence = sentence.into();
        Error { code: None, sentence, cause: None, closes: true, waited: None }
    }

    /// A system call that failed: `tried` is a verb and an object, `cause` the system's answer.
    /// The peer is told only what kind of trouble it is.
    #[must_use]
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
    #[must_use]
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
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Error {
        self.cause = Some(cause.into());
        self
    }

    /// Marks an error after which the two sides cannot be in step: it is answered, then the connection
    /// is closed.
    #[must_use]
    pub fn and_close(mut self) -> Error {
        self.closes = true;
        self
    }

    /// Adds what had arrived of the message that was awaited.
    #[must_use]
    pub fn with_partial(mut self, got: &[u8], wanted: Awaited) -> Error {
        let got = got.iter().take(limits::SHOWN).copied().collect();
        self.waited = Some(Box::new(Partial { got, wanted }));
        self
    }

    /// Whether it has this code.
    #[must_use]
    pub fn is(&self, code: Code) -> bool {
        self.code == Some(code)
    }

    /// The code, for tests.
    #[cfg(test)]
    pub(crate) fn code(&self) -> Code {
        self.code.unwrap()
    }

    /// Whether the peer is gone.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.code.is_none()
    }

    /// Whether the connection cannot go on after this.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.closes
    }

    /// The code as a word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        self.code.map_or("gone", Code::word)
    }

    /// The sentence for the peer.
    #[must_use]
    pub fn sentence(&self) -> &str {
        &self.sentence
    }

    /// What only the log may show, or else the sentence.
    #[must_use]
    pub fn cause(&self) -> &str {
        self.cause.as_deref().unwrap_or(&self.sentence)
    }

    /// What had arrived of the message that was awaited, if one was.
    #[must_use]
    pub fn partial(&self) -> Option<&Partial> {
        self.waited.as_deref()
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

/// Why a client's request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is no connection.
    NotConnected,
    /// No connection can be had.
    Unreachable {
        /// The server's address, as a user would write it.
        server: String,
        /// What the system says.
        cause: String,
    },
    /// The dialect has no such command. Nothing was sent.
    Lacks(&'static str),
    /// The dialect cannot carry it. Nothing was sent.
    Unsendable(Unsendable),
    /// A file or a folder of this machine.
    Local {
        /// What was tried.
        doing: Doing,
        /// On what.
        path: String,
        /// Why it failed.
        why: Trouble,
    },
    /// The server's error reply.
    Refused {
        /// Its code, known here or not.
        word: String,
        /// What it adds.
        sentence: String,
    },
    /// The server's error reply, sent before it closed the connection by itself.
    LastWords {
        /// Its code.
        word: String,
        /// What it adds.
        sentence: String,
    },
    /// The server has no such file, and its dialect has no words for more.
    NotFound,
    /// The server has refused a file, and its dialect has no words for why.
    NotTaken,
    /// Another reply than was expected.
    Unexpected {
        /// What was expected.
        expected: Expected,
        /// The reply, or how it begins.
        got: Vec<u8>,
    },
    /// The server sent these bytes before it was asked.
    Unasked(Vec<u8>),
    /// A list that has more names than can be kept.
    ListTooLong(usize),
    /// A list that comes too slowly; how many names have come.
    ListTooSlow(usize),
    /// The server closed the connection and has not replied.
    NoReply,
    /// The connection ended or broke.
    Gone {
        /// What the system says, if it broke.
        cause: Option<String>,
        /// The message that was awaited, if one was.
        waited: Option<Partial>,
    },
    /// What was awaited did not come in time.
    Silent(Partial),
    /// The server has confirmed an upload, but may have stored more than was sent.
    Unsure,
}

impl Failure {
    /// What a server said with an error reply.
    #[must_use]
    pub fn refused(word: &str, sentence: &str) -> Failure {
        Failure::Refused { word: word.to_owned(), sentence: sentence.to_owned() }
    }

    /// A system call on a file of this machine that failed.
    #[must_use]
    pub fn local(doing: Doing, path: impl fmt::Display, cause: impl fmt::Display) -> Failure {
        let why = Trouble::System(cause.to_string());
        Failure::Local { doing, path: path.to_string(), why }
    }

    /// The code of a refusal, if it is one that is known here.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Failure::NotFound => Some(Code::NotFound),
            Failure::Refused { word, .. } | Failure::LastWords { word, .. } => {
                Code::from_word(word)
            }
            _ => None,
        }
    }

    /// Whether the connection cannot be used after this.
    #[must_use]
    pub fn closes(&self) -> bool {
        match self {
            Failure::NotConnected
            | Failure::Unreachable { .. }
            | Failure::Lacks(_)
            | Failure::Unsendable(_)
            | Failure::Local { .. }
            | Failure::NotFound
            | Failure::NotTaken => false,
            // After these two the server closes.
            Failure::Refused { .. } => matches!(self.code(), Some(Code::Busy | Code::Timeout)),
            _ => true,
        }
    }
}

/// What a wire says of a connection, for a client.
impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match (error.code, error.waited) {
            (Some(Code::Timeout), Some(waited)) => Failure::Silent(*waited),
            (_, waited) => Failure::Gone { cause: error.cause, waited: waited.map(|it| *it) },
        }
    }
}

/// What a dialect cannot carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsendable {
    /// A line break in a name would make two commands of one.
    ControlCharacter,
    /// The server would take the name without its space.
    SpaceAtEnd,
    /// The name is longer than this many bytes.
    LongName(u16),
    /// The file is larger than this.
    LargeFile(u32),
    /// The name has a mark in it that separates names.
    Separator,
    /// The text has a line break, where the message would end.
    LineBreak,
}

/// What was tried on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Opening a file.
    Open,
    /// Sending a file.
    Send,
    /// Reading a file.
    Read,
    /// Keeping a received file in this folder.
    Keep(String),
    /// Listing a folder.
    List,
    /// Creating a file or a folder.
    Create,
    /// Starting a server.
    StartServer,
    /// Comparing a file with what came back.
    Compare,
}

/// Why something on this machine failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is a folder.
    IsFolder,
    /// It is a pipe, a device or a socket.
    NotPlain,
    /// Its name is not UTF-8.
    NotUtf8,
    /// It has content, but the system says that its size is 0.
    SizeUnknown,
    /// It became shorter while it was sent.
    BecameShorter,
    /// What came back is not what was sent.
    Different,
    /// What the system says.
    System(String),
}

/// What a reply should have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// These words of the protocol.
    Words(String),
    /// A line that starts with ok or error.
    OkOrError,
    /// A line in UTF-8.
    Utf8Line,
    /// A shorter line.
    ShorterLine,
    /// A number.
    Number,
    /// A number of files, not this one.
    FileCount(i32),
    /// The length of a name, not this one.
    NameLength(i32),
    /// The size of a file, not this one.
    FileSize(i32),
    /// A name in UTF-8.
    Utf8Name,
    /// A size, or -1.
    SizeOrNone,
    /// This total of the sizes.
    Total(i32),
    /// A list.
    List,
    /// The end of the list.
    EndOfList,
    /// A record.
    Record,
    /// A shorter record.
    ShorterRecord,
    /// A file.
    File,
    /// `OK` and the record of this file; perhaps with this size.
    RecordOf(String, Option<u64>),
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
}

/// A message that is not complete: what has arrived of it, and what was awaited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// How it begins; nothing of a payload.
    pub got: Vec<u8>,
    /// What the read waits for.
    pub wanted: Awaited,
}

impl Partial {
    /// Whether anything of it has arrived.
    #[must_use]
    pub fn has_come(&self) -> bool {
        !self.got.is_empty() || matches!(self.wanted, Awaited::Payload { .. })
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
