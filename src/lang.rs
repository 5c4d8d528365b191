//! What the two programs say to people: one [`Msg`] for each thing there is to say, and one `match`
//! that puts it into words. The wire speaks one language, and the log is for programs too; neither
//! is translated.

/// Something to say to a person.
#[allow(missing_docs, reason = "a field is the word that stands in the sentence")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Msg {
    /// A flag that does not exist.
    UnknownFlag { flag: String },
    /// A flag at the end of the line, without the value it needs.
    FlagNeedsValue { flag: String },
    /// `--flag=value` where the flag has no value.
    FlagTakesNoValue { flag: String },
    /// A value that is not what the flag takes.
    FlagValue { flag: String, value: String, wanted: &'static str },
    /// The server takes flags only.
    UnexpectedWord { word: String },
    /// Where to look for what is right.
    TryHelp,
    /// The server is ready at this address.
    Listening { address: String, dialect: &'static str },
    /// The server cannot listen at an address.
    CannotListen { address: String, why: String },
    /// The port is somebody else's already.
    PortTaken { address: String },
    /// Something else cannot be done.
    CannotUse { why: String },
    /// The server's folder cannot be used.
    CannotUseRoot { why: String },
    /// The server's log cannot be written.
    CannotUseLog { why: String },

    /// The prompt, and the server that it is connected to.
    Prompt { server: Option<String> },
    /// The questions for what a command needs.
    AskUpload,
    /// See [`Msg::AskUpload`].
    AskDownload,
    /// See [`Msg::AskUpload`].
    AskRm,
    /// See [`Msg::AskUpload`].
    AskSize,
    /// See [`Msg::AskUpload`].
    AskCount,
    /// Whether a file should really go.
    AskSure { name: String },
    /// It stays.
    RmCancelled { name: String },
    /// It is gone.
    Removed { name: String },
    /// Connected to a server just now.
    Connected { server: String },
    /// Connected already, and the server answers.
    StillConnected { server: String },
    /// There is no connection that could be used.
    NotConnected,
    /// The connection has been closed at the user's wish.
    Closed,
    /// A file was sent.
    Uploaded { name: String, stored: String, transfer: String },
    /// A file was received.
    Downloaded { name: String, stored: String, transfer: String },
    /// A file's size.
    Size { name: String, size: u64 },
    /// The head of a list.
    Files { count: usize },
    /// The foot of a list.
    Total { bytes: u64 },
    /// A number of characters.
    Characters { count: u64 },
    /// No command is called so.
    UnknownCommand { word: String },
    /// A command that needs a name got none.
    NameMissing { command: &'static str },
    /// A command that takes nothing got something.
    TakesNothing { command: &'static str },
    /// A list of two folders.
    OneFolder,
    /// A quotation mark that is opened and not closed.
    OpenQuote,
    /// What the prompt understands.
    PromptHelp,
    /// A command failed.
    Failed { tried: String, why: String, hint: Option<Hint> },
    /// The dialect has no such command.
    Lacks { dialect: &'static str, command: String },
}

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Perhaps no server is there.
    IsServerRunning,
    /// Look what is there.
    SeeLs,
    /// Look what is here.
    SeeLls,
    /// Another name would do.
    OtherName,
    /// It may work later.
    TryAgain,
    /// Connect anew.
    Reconnect,
    /// Perhaps something else listens there.
    WrongServer,
}

impl Msg {
    /// The sentence.
    #[must_use]
    pub fn say(&self) -> String {
        match self {
            Msg::UnknownFlag { flag } => format!("there is no flag {flag}"),
            Msg::FlagNeedsValue { flag } => format!("{flag} needs a value behind it"),
            Msg::FlagTakesNoValue { flag } => format!("{flag} takes no value"),
            Msg::FlagValue { flag, value, wanted } => {
                format!("{flag} takes {wanted}, not '{value}'")
            }
            Msg::UnexpectedWord { word } => format!("'{word}' is no flag"),
            Msg::TryHelp => "--help shows what can be said".to_owned(),
            Msg::Listening { address, dialect } => format!("listening on {address} ({dialect})"),
            Msg::CannotListen { address, why } => {
                format!("cannot listen on {address}: {why}; say another place with --listen")
            }
            Msg::PortTaken { address } => format!(
                "cannot listen on {address}: another program has that port; \
                 stop it, or say another with --listen"
            ),
            Msg::CannotUse { why } => format!("cannot {why}"),
            Msg::CannotUseRoot { why } => format!("cannot {why}; say another folder with --root"),
            Msg::CannotUseLog { why } => format!("cannot {why}; say another file with --log"),
            Msg::Prompt { server: None } => "connme (not connected)> ".to_owned(),
            Msg::Prompt { server: Some(server) } => format!("connme {server}> "),
            Msg::AskUpload => "Path of the file to upload: ".to_owned(),
            Msg::AskDownload => "Name of the file to download: ".to_owned(),
            Msg::AskRm => "Name of the file to remove: ".to_owned(),
            Msg::AskSize => "Name of the file whose size you want: ".to_owned(),
            Msg::AskCount => "Text to count: ".to_owned(),
            Msg::AskSure { name } => format!("Remove {name} from the server? (Y/N): "),
            Msg::RmCancelled { name } => format!("{name} stays where it is"),
            Msg::Removed { name } => format!("{name} removed from the server"),
            Msg::Connected { server } => format!("connected to {server}"),
            Msg::StillConnected { server } => {
                format!("already connected to {server}, and it answers")
            }
            Msg::NotConnected => "not connected: connme opens a connection".to_owned(),
            Msg::Closed => "connection closed".to_owned(),
            Msg::Uploaded { name, stored, transfer } if name == stored => {
                format!("{name} uploaded: {transfer}")
            }
            Msg::Uploaded { name, stored, transfer } => {
                format!("{name} uploaded as {stored}: {transfer}")
            }
            Msg::Downloaded { name, stored, transfer } => {
                format!("{name} downloaded to {stored}: {transfer}")
            }
            Msg::Size { name, size } => {
                format!("{name}: {size} bytes ({}.{:06} MB)", size / 1_000_000, size % 1_000_000)
            }
            Msg::Files { count } => format!("files ({count}):"),
            Msg::Total { bytes } => format!("total {bytes} bytes"),
            Msg::Characters { count } => format!("{count} characters"),
            Msg::UnknownCommand { word } => {
                format!("there is no command '{word}'; help shows all commands")
            }
            Msg::NameMissing { command } => format!("{command} needs a name behind it"),
            Msg::TakesNothing { command } => format!("nothing stands behind {command}"),
            Msg::OneFolder => "ls takes one folder; a name with spaces needs quotes".to_owned(),
            Msg::OpenQuote => "a quotation mark is opened and not closed".to_owned(),
            Msg::PromptHelp => PROMPT_HELP.to_owned(),
            Msg::Failed { tried, why, hint: None } => format!("cannot {tried}: {why}"),
            Msg::Failed { tried, why, hint: Some(hint) } => {
                format!("cannot {tried}: {why}; {}", hint.say())
            }
            Msg::Lacks { dialect, command } => {
                format!("the {dialect} dialect has no {command}; nothing was sent")
            }
        }
    }
}

impl Hint {
    fn say(self) -> &'static str {
        match self {
            Hint::IsServerRunning => "is the server running? --server says where it is",
            Hint::SeeLs => "ls shows what is there",
            Hint::SeeLls => "lls shows what could be sent",
            Hint::OtherName => "'as NAME' behind it gives another name",
            Hint::TryAgain => "try again in a moment",
            Hint::Reconnect => "connme opens a new connection",
            Hint::WrongServer => "is that a connme server, and the right port for this dialect?",
        }
    }
}

const PROMPT_HELP: &str = "\
connme                  connect, or test the connection
ls [FOLDER]             list the files on the server
size NAME               say how large a file is
upload PATH [as NAME]   send a file
download NAME [as OTHER]  fetch a file
rm NAME                 remove a file from the server
count TEXT              have the characters of a text counted
lls                     list the files here that could be sent
byebye                  close the connection
exit                    leave
A name may hold spaces. With \"quotes\" there may be several: upload \"a b.txt\" c.txt";
