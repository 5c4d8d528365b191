//! English.

use super::{Hint, Msg, Wanted, escape, few, megabytes, printable, readable};
use crate::error::{Awaited, Doing, Expected, Failure, Partial, Trouble, Unsendable};

/// The commands, for both help texts and the completions.
const COMMANDS: &str = include_str!("help/commands.en.txt");

pub(super) fn say(msg: &Msg) -> String {
    match msg {
        Msg::ServerUsage => include_str!("help/server.en.txt").to_owned(),
        Msg::ClientUsage => include_str!("help/client.en.txt").replace("COMMANDS\n", COMMANDS),
        Msg::UnknownFlag { flag } => format!("unexpected argument '{flag}'"),
        Msg::FlagNeedsValue { flag } => format!("{flag} needs a value"),
        Msg::FlagTakesNoValue { flag } => format!("{flag} takes no value"),
        Msg::FlagValue { flag, value, wanted } => {
            format!("{flag} takes {}, not '{value}'", wants(*wanted))
        }
        Msg::FlagIsFor { flag, users } => format!("{flag} is for {}", users.replace(' ', " or ")),
        Msg::FlagIsNotFor { flag, command } => format!("{flag} does nothing for {command}"),
        Msg::SameFile { flag, other } => format!("{flag} and {other} need two different files"),
        Msg::Said { en, .. } => en.clone(),
        Msg::IsOfTheLab { command, line } => {
            format!("{command} is a command of connme-lab: connme-lab {line}")
        }
        Msg::UnexpectedWord { word } => format!("unexpected argument '{word}'"),
        Msg::TryHelp => "see --help".to_owned(),
        Msg::Listening { address, dialect } => format!("listening on {address} ({dialect})"),
        Msg::TypeElsewhere { command, host_is_known: true } => {
            format!("on other machines, type: {command}")
        }
        Msg::TypeElsewhere { command, host_is_known: false } => {
            format!(
                "on other machines, type: {command}\n(HOST is this machine's address: see 'ip addr' or 'ipconfig')"
            )
        }
        Msg::Root { path, is_new: false } => format!("files are in {path}"),
        Msg::Root { path, is_new: true } => format!("files are in {path} (created)"),
        Msg::Waiting => "waiting for clients...".to_owned(),
        Msg::PeerCame { .. } => "open".to_owned(),
        Msg::Connections { count } => format!("{count} connected"),
        Msg::PeerWent { .. } => "close".to_owned(),
        Msg::CannotListen { address, why } => {
            format!("cannot listen on {address}: {why}; choose another with --listen")
        }
        Msg::PortTaken { address } => format!(
            "cannot listen on {address}: that port is taken, perhaps by another connme-server; \
             stop that one, or choose another port with --listen"
        ),
        Msg::CannotUseRoot { why } => format!("cannot {why}; choose another folder with --root"),
        Msg::CannotUseLog { why } => format!("cannot {why}; choose another file with --log"),
        Msg::Prompt { server: None, .. } => "connme (not connected)> ".to_owned(),
        Msg::Prompt { server: Some(server), .. } => format!("connme {server}> "),
        Msg::Ask { command } => match *command {
            "upload" => "Path of the file to upload: ".to_owned(),
            "download" => "Name of the file to download: ".to_owned(),
            "rm" => "Name of the file to remove: ".to_owned(),
            "size" => "Name of the file whose size you want: ".to_owned(),
            "sum" => "Name of the file whose SHA-256 you want: ".to_owned(),
            "count" => "Text to count: ".to_owned(),
            command => format!("What to {command}: "),
        },
        Msg::AskSure { names } => match names.as_slice() {
            [name] => format!("Remove {name} from the server? (Y/N): "),
            names => format!(
                "{}\nRemove these {} files from the server? (Y/N): ",
                names.join("\n"),
                names.len()
            ),
        },
        Msg::RmCancelled { names } => match names.as_slice() {
            [name] => format!("{name} stays where it is"),
            _ => "nothing was removed".to_owned(),
        },
        Msg::NoMatch { pattern } => format!("no file matches {pattern}"),
        Msg::Unanswered { names } => format!(
            "cannot rm {}: cannot ask (end of input); use --yes to remove without \
             asking",
            few(names)
        ),
        Msg::AsNeedsOne => {
            "'as NAME' needs exactly one file before it; put quotes around a name with spaces"
                .to_owned()
        }
        Msg::KeysIgnored { is_used } => {
            let line = if *is_used { "" } else { ", so this line was not run" };
            format!(
                "arrow keys do not work here{line}; \
                 'rlwrap connme-client' gives them, and a history"
            )
        }
        Msg::Removed { name } => format!("{name} removed from the server"),
        Msg::Connected { server } => format!("connected to {server}"),
        Msg::StillConnected { server } => format!("already connected to {server}, and it answers"),
        Msg::Closed => "connection closed".to_owned(),
        Msg::Uploaded { name, stored, bytes, seconds, rate } => {
            let renamed = if name == stored { String::new() } else { format!(" as {stored}") };
            format!("{name} uploaded{renamed}: {bytes} bytes in {seconds} s ({rate})")
        }
        Msg::Sent { name, bytes, seconds, rate } => {
            format!(
                "{name} sent: {bytes} bytes in {seconds} s ({rate}); this dialect sends no confirmation"
            )
        }
        Msg::Downloaded { name, stored, bytes, last, seconds, rate } => {
            let last = last.map(|last| format!(", the last {last}")).unwrap_or_default();
            format!("{name} downloaded to {stored}: {bytes} bytes{last} in {seconds} s ({rate})")
        }
        Msg::Together { files, bytes, seconds, rate } => {
            format!("{files} files: {bytes} bytes in {seconds} s ({rate})")
        }
        Msg::Continuing { done, total } => format!("continuing at {done} of {total}"),
        Msg::TryingAgain { name, failure, seconds, number, of } => {
            format!("{name}: {}; trying again in {seconds} s ({number} of {of})", because(failure))
        }
        Msg::Kept { name, done, total } => {
            format!("{done} of {total} are kept: the next download of {name} continues there")
        }
        Msg::Verified { name } => format!("{name} verified: both ends have the same SHA-256"),
        Msg::Sum { name, sum } => format!("{sum}  {name}"),
        Msg::NoFolderThere { folder } => format!(
            "the server has no folder {folder}, and the protocol cannot make one; create it in the \
             server's folder first, or upload the files without -r"
        ),
        Msg::TooDeep { folder, most } => format!(
            "the folder {folder} is more than {most} folders deep, and nothing was received; download \
             a folder in it"
        ),
        Msg::LeftOut { count } => format!(
            "left out of these folders: {count} (hidden files, links to folders, and what cannot be read \
             or has a name that a server refuses)"
        ),
        Msg::AwaitingReceipt { bytes, seconds } => {
            format!("{bytes} handed to the system; waiting for the receipt, {seconds} s")
        }
        Msg::FilesDone { files, of } => format!("{files} of {of} files"),
        Msg::BytesDone { done, total: Some(total) } => format!("{done} of {total}"),
        Msg::BytesDone { done, total: None } => done.clone(),
        Msg::TimeLeft { seconds } => format!("{seconds} s left"),
        Msg::Grew { name, bytes } => {
            format!("{name} became longer while it was sent: its first {bytes} bytes are stored")
        }
        Msg::Size { name, size } => format!("{name}: {size} bytes ({})", megabytes(*size)),
        Msg::Files { count } => format!("files ({count}):"),
        Msg::Total { bytes } => format!("total {bytes} bytes"),
        Msg::Characters { count } => format!("{count} characters"),
        Msg::UnknownCommand { word, nearest: Some(nearest) } => {
            format!("there is no command '{word}'; did you mean {nearest}?")
        }
        Msg::UnknownCommand { word, nearest: None } => {
            format!("there is no command '{word}'; help shows all commands")
        }
        Msg::ArgumentMissing { command: command @ ("count" | "say") } => {
            format!("{command} needs a text")
        }
        Msg::ArgumentMissing { command } => format!("{command} needs a file name"),
        Msg::TakesNothing { command } => format!("{command} takes no argument"),
        Msg::OneFolder => "ls takes one folder; a name with spaces needs quotes".to_owned(),
        Msg::OpenQuote => "a quotation mark is opened and not closed".to_owned(),
        Msg::PromptHelp => {
            format!("{COMMANDS}{}", include_str!("help/prompt.en.txt").trim_end())
        }
        Msg::CannotWrite { why } => format!("cannot write the results: {why}"),
        Msg::Failed { failure, .. } if **failure == Failure::NotConnected => because(failure),
        Msg::Failed { command, name, failure, hint } => {
            let tried = match &**failure {
                Failure::Unreachable { server, .. } => format!("connect to {server}: "),
                Failure::Local { .. } => String::new(),
                _ => match *command {
                    "connme" => "connect: ".to_owned(),
                    "size" => format!("get the size of {name}: "),
                    "sum" => format!("get the SHA-256 of {name}: "),
                    command if name.is_empty() => format!("{command}: "),
                    command => format!("{command} {name}: "),
                },
            };
            // A busy server gives this advice itself.
            let is_said = matches!(&**failure, Failure::Refused { sentence, .. } if sentence.contains("again"));
            let hint = hint.filter(|hint| !(is_said && *hint == Hint::TryAgain));
            let hint = hint.map(|hint| format!("; {}", advise(hint))).unwrap_or_default();
            format!("cannot {tried}{}{hint}", because(failure))
        }
        Msg::StillWaiting { waited } => {
            format!("{}; still waiting for {}", so_far(waited), awaited(waited))
        }
        Msg::Lacks { dialect, command } => {
            format!("the {dialect} dialect has no {command}; nothing was sent")
        }
    }
}

fn because(failure: &Failure) -> String {
    match failure {
        Failure::NotConnected => "not connected: connme opens a connection".to_owned(),
        Failure::Unreachable { cause, .. } => cause.clone(),
        Failure::Lacks(command) => format!("this dialect has no {command}"),
        Failure::Unsendable(what) => unsendable(*what),
        Failure::Local { doing, path, why } => local(doing, &readable(path.as_bytes()), why),
        Failure::Refused { word, sentence } => said(sentence, word),
        Failure::LastWords { word, sentence } => {
            format!("the server closed the connection and said why: {}", said(sentence, word))
        }
        Failure::NotFound => "no such file (not-found)".to_owned(),
        Failure::NotTaken => {
            "the server did not take it, and this dialect has no words for why".to_owned()
        }
        Failure::Unexpected { expected, got } => {
            let got = if got.is_empty() { "nothing".to_owned() } else { quoted(got) };
            format!("expected {}, got {got}", wanted_reply(expected))
        }
        Failure::Unasked(got) => format!("the server sent {} without being asked", quoted(got)),
        Failure::ListTooLong(names) => {
            format!("the list is too long to be kept: {names} names so far")
        }
        Failure::ListTooSlow(names) => format!("the list came too slowly: {names} names so far"),
        Failure::NoReply => "the server closed the connection without a reply".to_owned(),
        Failure::Gone { cause, waited } => {
            let gone = match cause {
                Some(cause) => format!("the connection broke ({})", escape(cause.as_bytes())),
                None if waited.is_some() => {
                    "the connection ended in the middle of a message".to_owned()
                }
                None => "the server closed the connection".to_owned(),
            };
            match waited.as_ref().filter(|waited| waited.has_come()) {
                Some(waited) => format!("{gone}; {}", so_far(waited)),
                None => gone,
            }
        }
        Failure::Silent(waited) if waited.has_come() => {
            format!("{}; gave up waiting for {}", so_far(waited), awaited(waited))
        }
        Failure::Silent(waited) => {
            format!("the server was silent for too long; waited for {}", awaited(waited))
        }
        Failure::SumsDiffer { is_stored: true } => {
            "it was sent, but the file on the server has another SHA-256".to_owned()
        }
        Failure::SumsDiffer { is_stored: false } => {
            "what came does not have the SHA-256 of the file on the server".to_owned()
        }
        Failure::NoSum { is_stored: true } => {
            "it is stored, but not verified: the server has no 'sum'".to_owned()
        }
        Failure::NoSum { is_stored: false } => {
            "it cannot be verified and is not kept: the server has no 'sum'; try without --verify"
                .to_owned()
        }
        Failure::Stalled => {
            "the server took too little in the last 90 s: the line may be down".to_owned()
        }
        Failure::Unsure => "the server confirmed the file, but may have stored 'connme' at its \
                            end; check its size"
            .to_owned(),
    }
}

fn said(sentence: &str, word: &str) -> String {
    let (sentence, word) = (printable(sentence.as_bytes()), printable(word.as_bytes()));
    if sentence.is_empty() { word } else { format!("{sentence} ({word})") }
}

fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", escape(bytes))
}

fn unsendable(what: Unsendable) -> String {
    match what {
        Unsendable::ControlCharacter => "a name may not have control characters".to_owned(),
        Unsendable::SpaceAtEnd => {
            "in this dialect a name may not begin or end with a space".to_owned()
        }
        Unsendable::LongName(most) => format!("in this dialect a name may have {most} bytes"),
        Unsendable::LargeFile(most) => format!("in this dialect a file may have {most} bytes"),
        Unsendable::Separator => "in this dialect a name may not contain <SEPARATOR>".to_owned(),
        Unsendable::LineBreak => "in this dialect a text ends at the first line break".to_owned(),
    }
}

fn local(doing: &Doing, path: &str, why: &Trouble) -> String {
    let tried = match doing {
        Doing::Open => format!("open {path}"),
        Doing::Send => format!("send {path}"),
        Doing::Read => format!("read {path}"),
        Doing::Keep(folder) => format!("keep {path} in {folder}"),
        Doing::List => format!("list {path}"),
        Doing::Create => format!("create {path}"),
        Doing::StartServer => "start a server".to_owned(),
        Doing::Run => format!("run {path}"),
        Doing::Compare => format!("compare {path}"),
    };
    let why = match why {
        Trouble::IsFolder => "it is a folder",
        Trouble::NotPlain => "it is not a plain file",
        Trouble::NotUtf8 => "its name is not UTF-8",
        Trouble::SizeUnknown => "it has content but its size is given as 0; send a copy of it",
        Trouble::BecameShorter => "it became shorter while it was sent",
        Trouble::Different => "what came back is not what was sent",
        Trouble::Name(cause) | Trouble::System(cause) => cause,
    };
    format!("{tried}: {why}")
}

fn wanted_reply(expected: &Expected) -> String {
    match expected {
        Expected::Words(words) => format!("'{}'", escape(words.as_bytes())),
        Expected::OkOrError => "a line starting with ok or error".to_owned(),
        Expected::Utf8Line => "a line in UTF-8".to_owned(),
        Expected::ShorterLine => "a shorter line".to_owned(),
        Expected::Number => "a number".to_owned(),
        Expected::FileCount(number) => format!("a number of files, not {number}"),
        Expected::NameLength(number) => format!("the length of a name, not {number}"),
        Expected::FileSize(number) => format!("the size of a file, not {number}"),
        Expected::Utf8Name => "a name in UTF-8".to_owned(),
        Expected::SizeOrNone => "a size, or -1".to_owned(),
        Expected::Total(total) => format!("{total} as the total of the sizes"),
        Expected::List => "a list".to_owned(),
        Expected::EndOfList => "the end of the list".to_owned(),
        Expected::Record => "a record".to_owned(),
        Expected::ShorterRecord => "a shorter record".to_owned(),
        Expected::File => "a file".to_owned(),
        Expected::RecordOf(name, None) => format!("'OK' and the record of {name}"),
        Expected::RecordOf(name, Some(size)) => {
            format!("'OK' and the record of {name} with {size} bytes")
        }
    }
}

fn so_far(waited: &Partial) -> String {
    match waited.wanted {
        Awaited::Payload { came, size: Some(size) } => format!("{came} of {size} bytes came"),
        Awaited::Payload { came, size: None } => format!("{came} bytes came"),
        _ if waited.got.is_empty() => "nothing has come so far".to_owned(),
        Awaited::Line => format!("so far came {} with no newline", quoted(&waited.got)),
        _ => format!("so far came {}", quoted(&waited.got)),
    }
}

fn awaited(waited: &Partial) -> String {
    match waited.wanted {
        Awaited::Line if waited.has_come() => "the newline".to_owned(),
        Awaited::Line => "a line".to_owned(),
        Awaited::Words(words) => format!("\"{}\"", words.join("\" or \"")),
        Awaited::Bytes(count) => format!("{count} bytes"),
        Awaited::Close => "the server to close the connection".to_owned(),
        _ if waited.has_come() => "the rest".to_owned(),
        _ => "a reply".to_owned(),
    }
}

fn wants(wanted: Wanted) -> &'static str {
    match wanted {
        Wanted::Listen => "[DIALECT=][HOST:]PORT",
        Wanted::Host => "a host name or an address, without a port",
        Wanted::Server => "HOST[:PORT]",
        Wanted::Dialect => "text, struct, filesaver, json or count",
        Wanted::Count => "a number from 1 on",
        Wanted::Retries => "a number from 0 on",
        Wanted::Size => "a number of bytes, or one like 10k, 5M, 2G",
        Wanted::Buffer => "a size from 1 to 16M",
        Wanted::Seconds => "seconds, from 1 to 31536000",
        Wanted::Faults => "faults like slice=1,delay=20",
        Wanted::Language => "en or id",
        Wanted::Shell => "bash, zsh or fish",
        Wanted::Theme => "light or dark",
        Wanted::Said(en, _) => en,
    }
}

fn advise(hint: Hint) -> String {
    let advice = match hint {
        Hint::OtherDialect { dialect } => {
            return format!("tried the {dialect} dialect; try another with --dialect NAME");
        }
        Hint::LeaveForOtherDialect { dialect } => {
            return format!(
                "tried the {dialect} dialect; to try another, leave, and start again with \
                 --dialect NAME"
            );
        }
        Hint::NoPatterns { dialect } => {
            return format!("the {dialect} dialect has no list, so * is part of the name");
        }
        Hint::IsServerRunning => "is the server running? choose another with --server",
        Hint::SeeLs => "ls shows what is there",
        Hint::WithFolders => "-r sends all that is in it",
        Hint::SeeLls => "lls shows what could be sent",
        Hint::OtherName => "add 'as NAME' to choose another name",
        Hint::TryAgain => "try again in a moment",
        Hint::RunAgain => "run the command again",
        Hint::Reconnect => "connme opens a new connection",
        Hint::WrongServer => "is that a connme server?",
    };
    advice.to_owned()
}
