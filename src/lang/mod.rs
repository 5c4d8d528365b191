//! The messages of all programs: one [`Msg`] for each, and one table with its two languages, so that the compiler
//! finds a missing sentence. What is sent over a connection is the same in both languages.

/// The sentence in this language: English first, then Indonesian.
macro_rules! say {
    ($lang:expr, $en:literal, $id:literal $(, $word:expr)* $(,)?) => {
        match $lang {
            Lang::En => format!($en $(, $word)*),
            Lang::Id => format!($id $(, $word)*),
        }
    };
}

mod escape;
mod failures;
mod messages;

use crate::error::{Failure, Partial, Trouble};
pub use escape::{escape, escaped, printable, readable};
pub(crate) use escape::{is_control, without_controls};
pub(crate) use messages::decimal;

/// The languages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Bahasa Indonesia.
    Id,
}

impl Lang {
    /// The language of this code, as a flag has it.
    #[must_use]
    pub fn named(code: &str) -> Option<Lang> {
        match code {
            "en" => Some(Lang::En),
            "id" => Some(Lang::Id),
            _ => None,
        }
    }

    /// The one of these that is in this language.
    #[must_use]
    pub fn choose<T>(self, en: T, id: T) -> T {
        if self == Lang::En { en } else { id }
    }

    /// The language of the environment: that of the first of these variables that has a value.
    #[must_use]
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Lang {
        let value = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .find_map(|name| variable(name).filter(|value| !value.is_empty()));
        match value {
            Some(value) if value.to_ascii_lowercase().starts_with("id") => Lang::Id,
            _ => Lang::En,
        }
    }
}

/// A message for the user.
#[allow(missing_docs, reason = "a field is a word of the sentence")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Msg {
    /// How to call the server.
    ServerUsage,
    /// How to call the client.
    ClientUsage,
    /// How to call the client, on one screen.
    ClientHelp,
    /// What this command of the client does.
    HelpOn { command: &'static str },
    /// A sentence of another module, in both languages.
    Said { en: String, id: String },
    /// A flag that does not exist. Perhaps this one was meant.
    UnknownFlag { flag: String, meant: Option<String> },
    /// A flag at the end of the line, without the value it needs.
    FlagNeedsValue { flag: String },
    /// `--flag=value` where the flag has no value.
    FlagTakesNoValue { flag: String },
    /// A value that is not what the flag takes.
    FlagValue { flag: String, value: String, wanted: Wanted },
    /// A flag that does nothing without one of these commands or flags, divided by spaces.
    FlagIsFor { flag: String, users: &'static str },
    /// A flag that this command does nothing with.
    FlagIsNotFor { flag: String, command: String },
    /// Two flags that would write to the same file.
    SameFile { flag: &'static str, other: &'static str },
    /// A command of `connme-lab`, and what was typed.
    IsOfTheLab { command: &'static str, line: String },
    /// The server takes flags only.
    UnexpectedWord { word: String },
    /// Where to look for what is right.
    TryHelp,
    /// The server is ready at this address.
    Listening { address: String, dialect: &'static str },
    /// What users of other machines type. If this machine's address is not known, it contains HOST.
    TypeElsewhere { command: String, host_is_known: bool },
    /// The folder with the files, and whether it has just been created.
    Root { path: String, is_new: bool },
    /// The server waits for clients.
    Waiting,
    /// The server cannot listen at an address.
    CannotListen { address: String, why: String },
    /// Another program listens at this address.
    PortTaken { address: String },
    /// The server's folder cannot be used.
    CannotUseRoot { why: String },
    /// The server's log cannot be written.
    CannotUseLog { why: String },
    /// The prompt, and the server that it is connected to. `is_narrow`: the line must leave room to type in
    /// 80 columns.
    Prompt { server: Option<String>, is_narrow: bool },
    /// Asks for the argument that this command needs.
    Ask { command: &'static str },
    /// Asks whether these files are to be removed.
    AskSure { names: Vec<String> },
    /// A pattern that no file matches.
    NoMatch { pattern: String },
    /// The question before a removal had no answer: the input has ended.
    Unanswered { names: Vec<String> },
    /// `as NAME` after several files.
    AsNeedsOne,
    /// Arrow keys, which no line editor has handled, and whether the rest of the line is used.
    KeysIgnored { is_used: bool },
    /// These files are not removed.
    RmCancelled { names: Vec<String> },
    /// A file was removed.
    Removed { name: String },
    /// The client has connected to a server.
    Connected { server: String },
    /// The connection was lost, and there is another one.
    ConnectedAgain { server: String },
    /// The client was connected already, and the server answers.
    StillConnected { server: String },
    /// The user has closed the connection.
    Closed,
    /// A file was sent.
    Uploaded { name: String, stored: String, bytes: u64, seconds: String, rate: String },
    /// A file was sent in a dialect without confirmations.
    Sent { name: String, bytes: u64, seconds: String, rate: String },
    /// A file was received.
    /// Of one that went on, `last` came now.
    Downloaded {
        name: String,
        stored: String,
        bytes: u64,
        last: Option<u64>,
        seconds: String,
        rate: String,
    },
    /// Several files were moved.
    Together { files: usize, failed: usize, bytes: u64, seconds: String, rate: String },
    /// This many files were sent again after the connection was lost.
    SentTwice { count: usize },
    /// This many files were not moved, for the reason that was told last.
    NotTried { count: usize },
    /// What is here of a download is compared with what is on the server.
    Checking { done: String },
    /// A download goes on where it was cut.
    Continuing { done: String, total: String },
    /// A download was cut, and is tried again.
    TryingAgain { name: String, failure: Box<Failure>, seconds: u64, number: u32, of: u32 },
    /// What has come of a download is kept.
    Kept { name: String, done: String, total: String },
    /// The user has interrupted a transfer.
    Interrupted { name: String, may_be_stored: bool },
    /// A line of the input that is longer than this many KiB.
    LineTooLong { most: u64 },
    /// The sums of both ends are the same.
    Verified { name: String },
    /// The sum of a file, as `sha256sum` prints it.
    Sum { name: String, sum: String },
    /// The server lacks a folder that files are to be sent to.
    NoFolderThere { folder: String },
    /// The folders of the server are too deep for `-r`.
    TooDeep { folder: String, most: usize },
    /// A pattern matches this, which is left out.
    Skipped { name: String, why: Trouble },
    /// This many more are left out.
    MoreSkipped { count: usize },
    /// `-r` does not take all that is in a folder.
    LeftOut { count: usize },
    /// All of an upload was sent, but not confirmed yet.
    AwaitingReceipt { bytes: String, seconds: u64 },
    /// How many files are done.
    FilesDone { files: usize, of: usize },
    /// How many files have failed.
    FilesFailed { count: usize },
    /// How many bytes are done, of how many if that is known.
    BytesDone { done: String, total: Option<String> },
    /// How long a transfer will take.
    TimeLeft { seconds: u64 },
    /// A file became longer while it was sent.
    Grew { name: String, bytes: u64 },
    /// A file's size.
    Size { name: String, size: u64 },
    /// This many names in a list for programs have control characters, and are not printed as they are.
    NamesSpelled { count: usize },
    /// The line before a list.
    Files { count: usize },
    /// The line after a list.
    Total { bytes: u64 },
    /// A number of characters.
    Characters { count: u64 },
    /// There is no such command. Perhaps the nearest was meant.
    UnknownCommand { word: String, nearest: Option<&'static str> },
    /// A command that needs an argument got none.
    ArgumentMissing { command: &'static str },
    /// A command that takes nothing got something.
    TakesNothing { command: &'static str },
    /// A text that `say` sent does not end with a newline, and nothing was answered.
    NoNewline,
    /// Standard input or output in the place of a file, at the prompt.
    NotAtThePrompt,
    /// A flag where a command takes none.
    TakesNoFlags { command: &'static str },
    /// A list of several folders.
    OneFolder,
    /// A quotation mark that is opened and not closed.
    OpenQuote,
    /// The help of the prompt.
    PromptHelp,
    /// The results cannot be written.
    CannotWrite { why: String },
    /// A command failed.
    Failed { command: &'static str, name: String, failure: Box<Failure>, hint: Option<Hint> },
    /// A reply takes long.
    /// Perhaps the server has another dialect than this client.
    StillWaiting { partial: Partial, looks_like: Option<&'static str> },
    /// The dialect has no such command.
    Lacks { dialect: &'static str, command: &'static str },
}

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// `[DIALECT=][HOST:]PORT`
    Listen,
    /// A host without a port.
    Host,
    /// `HOST[:PORT]`
    Server,
    /// The name of a dialect.
    Dialect,
    /// A whole number that is not zero.
    Count,
    /// A whole number.
    Retries,
    /// A number of bytes.
    Size,
    /// The size of one read.
    Buffer,
    /// A time.
    Seconds,
    /// Faults, joined by commas.
    Faults,
    /// The code of a language.
    Language,
    /// The name of a shell.
    Shell,
    /// The colours of a picture.
    Theme,
    /// What a flag of another module takes, in both languages.
    Said(&'static str, &'static str),
}

/// What to do about a failure.
#[allow(missing_docs, reason = "a field is a word of the sentence")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Perhaps no server runs there.
    IsServerRunning,
    /// `ls` shows the server's files.
    SeeLs,
    /// `lls` shows the files here.
    SeeLls,
    /// A folder needs `-r`.
    WithFolders,
    /// The same for a folder of the server.
    WithFoldersThere,
    /// Another name may be accepted.
    OtherName,
    /// It may work later.
    TryAgain,
    /// The next command connects again.
    Reconnect,
    /// What was asked for may have been done, though its reply was lost. `has_list`: `ls` shows whether.
    MayBeDone { has_list: bool },
    /// Run the same command again: a single command has no prompt to connect from.
    RunAgain,
    /// Perhaps another kind of server listens there.
    WrongServer,
    /// Perhaps the server has another dialect than this.
    OtherDialect { dialect: &'static str },
    /// The same at the prompt, where the dialect cannot be changed.
    LeaveForOtherDialect { dialect: &'static str },
    /// The dialect has no list in which a pattern could find names.
    NoPatterns { dialect: &'static str },
}

impl Msg {
    /// A sentence in both languages.
    #[must_use]
    pub fn said(en: impl Into<String>, id: impl Into<String>) -> Msg {
        Msg::Said { en: en.into(), id: id.into() }
    }

    /// A picture cannot be written.
    #[must_use]
    pub fn undrawn(failure: Failure) -> Msg {
        let (failure, name) = (Box::new(failure), String::new());
        Msg::Failed { command: "--ladder", name, failure, hint: None }
    }

    /// The sentence, and where to look for what is right, unless it says that itself.
    #[must_use]
    pub fn with_help(&self, lang: Lang) -> String {
        let (wrong, help) = (self.say(lang), Msg::TryHelp.say(lang));
        match self {
            Msg::UnknownCommand { .. }
            | Msg::UnknownFlag { meant: Some(_), .. }
            | Msg::IsOfTheLab { .. }
            | Msg::Said { .. } => wrong,
            _ => format!("{wrong}; {help}"),
        }
    }

    /// The sentence.
    #[must_use]
    pub fn say(&self, lang: Lang) -> String {
        messages::say(self, lang)
    }
}

/// A host and a port, as a user would write them: an IPv6 address has brackets.
#[must_use]
pub fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Awaited, Expected};

    #[test]
    fn the_environment_is_asked_in_order() {
        let lang = |set: &[(&str, &str)]| {
            Lang::of_environment(|name| {
                let value = set.iter().find(|(variable, _)| *variable == name);
                value.map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(lang(&[]), Lang::En);
        assert_eq!(lang(&[("LANG", "id_ID.UTF-8")]), Lang::Id);
        assert_eq!(lang(&[("LANG", "id_ID.UTF-8"), ("LC_ALL", "C")]), Lang::En);
        assert_eq!(lang(&[("LANG", "C"), ("LC_MESSAGES", "id")]), Lang::Id);
        assert_eq!(lang(&[("LC_ALL", ""), ("LANG", "ID")]), Lang::Id);
    }

    /// Word for word what the assignment's programs say.
    #[test]
    fn indonesian_says_what_the_assignment_says() {
        let name = || "NAME".to_owned();
        let table = [
            (Msg::Ask { command: "upload" }, "Masukkan path file yang ingin diunggah: "),
            (Msg::Ask { command: "download" }, "Masukkan nama file yang ingin diunduh: "),
            (Msg::Ask { command: "rm" }, "Masukkan nama file yang ingin dihapus: "),
            (Msg::Ask { command: "size" }, "Masukkan nama file yang ingin diketahui ukurannya: "),
            (
                Msg::AskSure { names: vec![name()] },
                "Apakah Anda yakin ingin menghapus NAME? (Y/N): ",
            ),
            (Msg::RmCancelled { names: vec![name()] }, "Penghapusan file NAME dibatalkan"),
            (Msg::Removed { name: name() }, "File NAME berhasil dihapus dari server"),
            (Msg::Files { count: 2 }, "Daftar file (2):"),
            (Msg::Total { bytes: 33 }, "Total ukuran direktori: 33 bytes"),
            (Msg::Closed, "Menutup koneksi"),
            (Msg::Waiting, "Menunggu koneksi dari client..."),
        ];
        for (msg, said) in table {
            assert_eq!(msg.say(Lang::Id), said);
        }
        let (seconds, rate) = ("0.01".to_owned(), "1.5 kB/s".to_owned());
        let uploaded =
            Msg::Uploaded { name: name(), stored: name(), bytes: 5, seconds, rate }.say(Lang::Id);
        assert!(uploaded.starts_with("File NAME berhasil diunggah dalam 0,01 detik"), "{uploaded}");
        let size = Msg::Size { name: name(), size: 33 }.say(Lang::Id);
        assert!(size.starts_with("Ukuran file NAME: 33 bytes"), "{size}");
        let prompt = Msg::Prompt { server: None, is_narrow: false }.say(Lang::Id);
        let choose = "Pilih perintah (upload/ls/download/rm/size/connme/byebye): ";
        assert!(prompt.ends_with(choose), "{prompt}");
        let server = Some("192.168.100.100:31000".to_owned());
        let narrow = Msg::Prompt { server, is_narrow: true }.say(Lang::Id);
        assert_eq!(narrow, format!("[192.168.100.100:31000]\n{choose}"));
        assert!(choose.len() <= 60, "there is room to type in 80 columns");
    }

    fn both(msg: &Msg) -> (String, String) {
        (msg.say(Lang::En), msg.say(Lang::Id))
    }

    fn failed(failure: Failure) -> (String, String) {
        let failure = Box::new(failure);
        both(&Msg::Failed { command: "ls", name: String::new(), failure, hint: None })
    }

    /// A busy server sends its own advice, in English.
    #[test]
    fn advice_is_given_once() {
        let failure = Failure::refused("busy", "all connections are taken: try again in a moment");
        let (failure, hint) = (Box::new(failure), Some(Hint::TryAgain));
        let msg = Msg::Failed { command: "ls", name: String::new(), failure, hint };
        let (en, id) = both(&msg);
        assert_eq!(en, "cannot ls: all connections are taken: try again in a moment (busy)");
        assert_eq!(id, "ls gagal: server sedang sibuk (busy); coba lagi sebentar lagi");
    }

    #[test]
    fn an_unexpected_reply_is_explained_in_both_languages() {
        let unexpected = |expected, got: &str| Failure::Unexpected { expected, got: got.into() };
        let table = [
            (
                unexpected(Expected::Words(vec!["OK".into()]), "NO, got it"),
                "expected 'OK', got \"NO, got it\"",
                "seharusnya 'OK', tetapi yang diterima \"NO, got it\"",
            ),
            (
                unexpected(Expected::List, ""),
                "expected a list, got nothing",
                "seharusnya sebuah daftar, tetapi tidak ada yang diterima",
            ),
            (
                Failure::Unasked(b"ok 0\n".to_vec()),
                "the server sent \"ok 0\\n\" without being asked",
                "server mengirim \"ok 0\\n\" tanpa diminta",
            ),
            (
                Failure::NoReply,
                "the server closed the connection without a reply",
                "server menutup koneksi tanpa jawaban",
            ),
            (
                Failure::Unsure,
                "the server confirmed the file, but may have stored 'connme' at its end; check \
                 its size",
                "server sudah mengonfirmasi file itu, tetapi mungkin 'connme' ikut tersimpan di \
                 akhirnya; periksa ukurannya",
            ),
        ];
        for (failure, en, id) in table {
            assert_eq!(failed(failure), (format!("cannot ls: {en}"), format!("ls gagal: {id}")));
        }
    }

    #[test]
    fn a_wait_shows_what_has_come_and_what_is_awaited() {
        let partial = |got: &str, expected| Partial { got: got.into(), expected };
        let table = [
            (
                partial("ok connected", Awaited::Line),
                "so far came \"ok connected\" with no newline; still waiting for the newline",
                "sejauh ini diterima \"ok connected\" tanpa newline; masih menunggu newline",
            ),
            (
                partial("", Awaited::Line),
                "nothing has come so far; still waiting for a line",
                "belum ada yang diterima; masih menunggu satu baris",
            ),
            (
                partial("rec", Awaited::Words(&["received", "connected"])),
                "so far came \"rec\"; still waiting for \"received\" or \"connected\"",
                "sejauh ini diterima \"rec\"; masih menunggu \"received\" atau \"connected\"",
            ),
            (
                partial("", Awaited::Payload { came: 5, size: Some(10) }),
                "5 of 10 bytes came; still waiting for the rest",
                "5 dari 10 byte diterima; masih menunggu sisanya",
            ),
            (
                partial("", Awaited::Payload { came: 5, size: None }),
                "5 bytes came; still waiting for the rest",
                "5 byte diterima; masih menunggu sisanya",
            ),
        ];
        for (partial, en, id) in table {
            assert_eq!(
                both(&Msg::StillWaiting { partial, looks_like: None }),
                (en.to_owned(), id.to_owned())
            );
        }
    }
}
