//! Why a client's request failed: what a person has to be told. `lang` has the words for it.

use std::fmt;

use super::{Code, Error, Partial};

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
        partial: Option<Partial>,
    },
    /// What was awaited did not come in time.
    Silent(Partial),
    /// The file here and the file on the server have different sums.
    SumsDiffer {
        /// It was sent, and is stored on the server.
        is_stored: bool,
    },
    /// The server cannot compute sums, so a file that was moved could not be compared.
    NoSum {
        /// It was sent, and is stored on the server.
        is_stored: bool,
    },
    /// The user has interrupted it.
    Interrupted,
    /// The server, or the line to it, took too little of what was sent.
    Stalled,
    /// The server has confirmed an upload, but may have stored more than was sent.
    Unsure,
}

impl Failure {
    /// What a server said with an error reply.
    #[must_use]
    pub fn refused(word: &str, sentence: &str) -> Failure {
        Failure::Refused { word: word.to_owned(), sentence: sentence.to_owned() }
    }

    /// The server has no such file, and its dialect has no words for more.
    #[must_use]
    pub fn not_found() -> Failure {
        Failure::refused(Code::NotFound.word(), "no such file")
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
            Failure::Refused { word, .. } => Code::from_word(word),
            _ => None,
        }
    }

    /// Whether the connection was lost or refused, so that another one may do.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        match self {
            Failure::Unreachable { .. }
            | Failure::NoReply
            | Failure::Gone { .. }
            | Failure::Stalled
            | Failure::Silent(_) => true,
            failure => matches!(failure.code(), Some(Code::Busy | Code::Timeout)),
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
            | Failure::SumsDiffer { .. }
            | Failure::NoSum { .. }
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
        match (error.is(Code::Timeout), error.partial) {
            (true, Some(partial)) => Failure::Silent(*partial),
            (true, None) => Failure::Stalled,
            (false, partial) => {
                Failure::Gone { cause: error.cause, partial: partial.map(|it| *it) }
            }
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
    /// Running a command.
    Run,
    /// Comparing a file with what came back.
    Compare,
}

/// Why something on this machine failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is a folder.
    IsFolder,
    /// It is a link, or in a folder that is one.
    IsLink,
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
    /// It cannot have this name here, because of this rule.
    Name(String),
    /// The disk is full; what the system says.
    NoSpace(String),
    /// What the system says.
    System(String),
}

/// What a reply should have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// One of these words of the protocol.
    Words(Vec<String>),
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
