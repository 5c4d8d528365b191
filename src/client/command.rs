//! The client's commands: for each an entry in [`COMMANDS`], and the function that runs it and tells the
//! user the result. The help texts in `lang` describe them, and the shell completions are made from these.
//!
//! To add a command that the server has to know:
//! 1. its handler, its request and its line in `HELP` in a dialect, and its field in `Requests`;
//! 2. a method of [`Client`](super::Client), and here an entry and a function;
//! 3. its line in `lang/help/commands.*.txt`, its text in `topics.*.txt`, its word in `cli/completions/rlwrap.words`,
//!    and a sentence in each language if it needs one;
//! 4. its row in the guide (protocol, dialects, programs) and in `tests/transcripts/rows.txt`.
//!
//! In the help, an argument called `PATH` or `FILE` is a file of this machine: the completions offer those.

use std::fs;
use std::path::PathBuf;

use super::ahead::{Downloads, Uploads};
use super::argument::Argument;
use super::batch::{speed, transfer};
use super::keyboard::Typed;
use super::names::Named;
use super::outcome::{Outcome, Stop};
use super::places::{
    Files, Moved, Skipped, StandardInput, folders_here, folders_there, here_and_skipped,
    local_files, on_server,
};
use super::ui::Ui;
use super::{Greeting, Receipt};
use crate::dialect::Dialect;
use crate::lang::{self, Msg, escaped, printable};

/// A command of the client.
pub struct Command {
    /// The word that the user types.
    pub word: &'static str,
    /// Another spelling of the word.
    pub alias: Option<&'static str>,
    /// Whether an argument follows it.
    pub takes: Takes,
    /// Runs it, and tells the user the result.
    pub run: fn(&mut Ui, &Argument) -> Outcome,
}

/// Whether a command takes an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// It takes none.
    Nothing,
    /// It takes one, but works without.
    Option,
    /// It needs one. The prompt asks for it.
    Argument,
}

/// All commands.
pub static COMMANDS: [Command; 13] = [
    Command { word: "connme", alias: Some("conme"), takes: Takes::Nothing, run: connme },
    Command { word: "ls", alias: None, takes: Takes::Option, run: ls },
    Command { word: "size", alias: None, takes: Takes::Argument, run: size },
    Command { word: "upload", alias: None, takes: Takes::Argument, run: upload },
    Command { word: "download", alias: None, takes: Takes::Argument, run: download },
    Command { word: "sum", alias: None, takes: Takes::Argument, run: sum },
    Command { word: "rm", alias: None, takes: Takes::Argument, run: rm },
    Command { word: "count", alias: None, takes: Takes::Argument, run: count },
    Command { word: "lls", alias: None, takes: Takes::Nothing, run: lls },
    Command { word: "say", alias: None, takes: Takes::Argument, run: say },
    Command { word: "help", alias: Some("?"), takes: Takes::Option, run: help },
    Command { word: "byebye", alias: None, takes: Takes::Nothing, run: byebye },
    Command { word: "exit", alias: Some("quit"), takes: Takes::Nothing, run: exit },
];

/// The command of this word, in any letter case.
pub(crate) fn find(word: &str) -> Option<&'static Command> {
    let lower = word.to_ascii_lowercase();
    COMMANDS.iter().find(|command| command.word == lower || command.alias == Some(&lower))
}

/// The commands of `connme-lab`. The client had them before.
const OF_THE_LAB: [&str; 5] = ["demo", "compare", "lesson", "grade", "dissector"];

/// What to type instead, if this word is a command of `connme-lab`. `line` is what was typed.
pub(crate) fn of_the_lab(word: &str, line: &str) -> Option<Msg> {
    let command = OF_THE_LAB.into_iter().find(|command| word.eq_ignore_ascii_case(command))?;
    Some(Msg::IsOfTheLab { command, line: printable(line.as_bytes()) })
}

/// Words of other programs, and the command that does it here.
const OF_OTHERS: [(&str, &str); 13] = [
    ("get", "download"),
    ("mget", "download"),
    ("put", "upload"),
    ("mput", "upload"),
    ("send", "upload"),
    ("dir", "ls"),
    ("list", "ls"),
    ("del", "rm"),
    ("delete", "rm"),
    ("connect", "connme"),
    ("open", "connme"),
    ("close", "byebye"),
    ("disconnect", "byebye"),
];

/// What to say of a word that is not a command, in any letter case. `line` is what was typed.
pub(super) fn not_a_command(word: &str, line: &str) -> Msg {
    let lower = word.to_ascii_lowercase();
    if let Some(msg) = of_the_lab(word, line) {
        return msg;
    }
    if let Some((word, here)) = OF_OTHERS.iter().find(|(other, _)| *other == lower) {
        return Msg::said(
            format!("{word} is {here} here; help shows all commands"),
            format!("{word} di sini adalah {here}; help menunjukkan semua perintah"),
        );
    }
    match lower.as_str() {
        "cd" | "pwd" => Msg::said(
            "there is no current folder: a name has its folders in it, as in 'ls docs' and 'download docs/a.txt'",
            "tidak ada folder aktif: nama memuat foldernya, seperti 'ls docs' dan 'download docs/a.txt'",
        ),
        "cls" | "clear" => Msg::said(
            "the screen belongs to your terminal: Ctrl-L clears it in most",
            "layar diatur oleh terminal Anda: Ctrl-L membersihkannya di kebanyakan terminal",
        ),
        _ => Msg::UnknownCommand {
            word: escaped(word),
            nearest: nearest(&lower, COMMANDS.iter().map(|command| command.word)),
        },
    }
}

impl Command {
    /// Checks whether it takes this argument.
    ///
    /// # Errors
    /// It does not.
    pub(super) fn check(&self, argument: &Argument) -> Result<(), Msg> {
        let command = self.word;
        match (self.takes, argument.is_empty()) {
            (Takes::Nothing, false) => Err(Msg::TakesNothing { command }),
            (Takes::Argument, true) => Err(Msg::ArgumentMissing { command }),
            _ => Ok(()),
        }
    }
}

fn connme(ui: &mut Ui, _: &Argument) -> Outcome {
    let greeting = ui.client.connme()?;
    let server = ui.client.server();
    ui.tell(&match greeting {
        Greeting::First => Msg::Connected { server },
        Greeting::Again => Msg::ConnectedAgain { server },
        Greeting::Still => Msg::StillConnected { server },
    })
}

fn ls(ui: &mut Ui, argument: &Argument) -> Outcome {
    let words = argument.words()?;
    let folder = match words.as_slice() {
        [] => None,
        [flag, ..] if flag.starts_with('-') => {
            return Err(Stop::Wrong(Msg::TakesNoFlags { command: "ls" }));
        }
        [folder] => Some(folder.as_str()),
        _ => return Err(Stop::Wrong(Msg::OneFolder)),
    };
    let listing = ui.client.list_files(folder)?;
    ui.show(&listing)
}

fn lls(ui: &mut Ui, _: &Argument) -> Outcome {
    ui.show(&local_files()?)
}

/// The files on the server that an argument means, after the user was told what a pattern leaves out.
fn found(ui: &mut Ui, argument: &Argument, renames: bool) -> Result<Named, Stop> {
    let named = on_server(&mut ui.client, argument, renames)?;
    tell_skipped(ui, &named.skipped);
    Ok(named)
}

fn tell_skipped(ui: &Ui, skipped: &Skipped) {
    const MOST: usize = 10;
    for (name, why) in skipped.iter().take(MOST) {
        ui.talk(&Msg::Skipped { name: escaped(name), why: why.clone() });
    }
    if skipped.len() > MOST {
        ui.talk(&Msg::MoreSkipped { count: skipped.len() - MOST });
    }
}

fn size(ui: &mut Ui, argument: &Argument) -> Outcome {
    ui.must_have(ui.client.requests().get_size.is_some())?;
    for (name, _) in &found(ui, argument, false)?.names {
        let size = ui.client.get_size(name);
        ui.report(name, size, |size| Msg::Size { name: escaped(name), size })?;
    }
    Ok(())
}

fn sum(ui: &mut Ui, argument: &Argument) -> Outcome {
    ui.must_have(ui.client.requests().sum.is_some())?;
    for (name, _) in &found(ui, argument, false)?.names {
        let sum = ui.client.sum(name);
        ui.report(name, sum, |sum| Msg::Sum { name: escaped(name), sum: sum.to_string() })?;
    }
    Ok(())
}

fn upload(ui: &mut Ui, argument: &Argument) -> Outcome {
    ui.must_have(ui.client.requests().upload.is_some())?;
    if let [from, between, name] = argument.plain_words().as_slice()
        && (from.as_str(), between.as_str()) == ("-", "as")
    {
        must_be_single(ui)?;
        // The size goes first.
        let input = StandardInput::read()?;
        let files = vec![(input.path().to_owned(), Some(name.clone()))];
        let batch = Uploads::new(&mut ui.client, files);
        return transfer(ui, &["-".to_owned()], None, batch, uploaded);
    }
    let (argument, is_recursive) = folders(ui, argument);
    let (mut files, skipped) = here_and_skipped(&argument, true)?;
    tell_skipped(ui, &skipped);
    if is_recursive {
        let moved = folders_here(&mut ui.client, files)?;
        files = left_out(ui, moved);
    }
    let size = |(path, _): &(PathBuf, _)| fs::metadata(path).map_or(0, |found| found.len());
    let total = files.iter().map(size).sum();
    let names: Vec<_> = files.iter().map(|(path, _)| path.to_string_lossy().into_owned()).collect();
    let batch = Uploads::new(&mut ui.client, files);
    transfer(ui, &names, Some(total), batch, uploaded)
}

fn uploaded(ui: &Ui, path: &str, receipt: &Receipt) -> Msg {
    let own = path.rsplit(['/', std::path::MAIN_SEPARATOR]).next().unwrap_or(path);
    let (name, bytes) = (escaped(own), receipt.bytes);
    if receipt.grew {
        ui.talk(&Msg::Grew { name: name.clone(), bytes });
    }
    let (seconds, rate) = speed(bytes, receipt.time);
    if !receipt.confirmed {
        return Msg::Sent { name, bytes, seconds, rate };
    }
    let stored = escaped(receipt.stored.as_deref().unwrap_or(own));
    Msg::Uploaded { name, stored, bytes, seconds, rate }
}

/// Standard input and standard output in the place of a file are for a single command alone.
fn must_be_single(ui: &Ui) -> Outcome {
    if ui.is_single { Ok(()) } else { Err(Stop::Wrong(Msg::NotAtThePrompt)) }
}

fn download(ui: &mut Ui, argument: &Argument) -> Outcome {
    ui.must_have(ui.client.requests().download.is_some())?;
    if let [name, between, to] = argument.plain_words().as_slice()
        && (between.as_str(), to.as_str()) == ("as", "-")
    {
        must_be_single(ui)?;
        return match ui.print_file(name) {
            Err(failure) => {
                ui.failed(name, failure);
                Ok(())
            }
            Ok(written) => Ok(written?),
        };
    }
    let (argument, is_recursive) = folders(ui, argument);
    let mut files = found(ui, &argument, true)?.names;
    if is_recursive {
        let moved = folders_there(&mut ui.client, files)?;
        files = left_out(ui, moved);
    }
    let names: Vec<_> = files.iter().map(|(name, _)| name.clone()).collect();
    let batch = Downloads::new(&mut ui.client, files);
    transfer(ui, &names, None, batch, downloaded)
}

fn downloaded(_: &Ui, name: &str, receipt: &Receipt) -> Msg {
    let stored = lang::readable(receipt.stored.as_deref().unwrap_or_default().as_bytes());
    let came = receipt.bytes - receipt.kept;
    let (seconds, rate) = speed(came, receipt.time);
    let last = (receipt.kept > 0).then_some(came);
    Msg::Downloaded { name: escaped(name), stored, bytes: receipt.bytes, last, seconds, rate }
}

/// The files, after the user was told what is left out of them.
fn left_out<N>(ui: &mut Ui, moved: Moved<N>) -> Files<N> {
    for (name, failure) in moved.skipped {
        ui.failed(&name, failure);
    }
    if moved.left_out > 0 {
        ui.talk(&Msg::LeftOut { count: moved.left_out });
    }
    moved.files
}

/// The files and folders of an argument without `-r` before them, and whether folders are meant.
fn folders(ui: &Ui, argument: &Argument) -> (Argument, bool) {
    match argument {
        Argument::Typed(line) if line.starts_with("-r ") => {
            (Argument::typed(line.trim_start_matches("-r ")), true)
        }
        argument => (argument.clone(), ui.config().recursive),
    }
}

/// Asks before each removal, but only once for all that a pattern has found.
fn rm(ui: &mut Ui, argument: &Argument) -> Outcome {
    ui.must_have(ui.client.requests().delete.is_some())?;
    let found = found(ui, argument, false)?;
    let names: Vec<String> = found.names.into_iter().map(|(name, _)| name).collect();
    let asked_together = if found.by_pattern { names.len().max(1) } else { 1 };
    for names in names.chunks(asked_together) {
        if !may_remove(ui, names)? {
            continue;
        }
        for name in names {
            let removed = ui.client.delete(name);
            ui.report(name, removed, |()| Msg::Removed { name: escaped(name) })?;
        }
    }
    Ok(())
}

/// Whether the user says that these may be removed, or has said so for all files with `--yes`.
fn may_remove(ui: &mut Ui, names: &[String]) -> Result<bool, Stop> {
    if ui.config().yes {
        return Ok(true);
    }
    // A single file that does not exist needs no question. What a pattern has found does exist.
    if let [name] = names
        && ui.client.requests().get_size.is_some()
        && let Err(failure) = ui.client.get_size(name)
    {
        ui.failed(name, failure);
        return Ok(false);
    }
    let names: Vec<_> = names.iter().map(|name| escaped(name)).collect();
    // A person may answer again. A script has given its answer.
    for _ in 0..if ui.asks { ASKED } else { 1 } {
        match ui.hear(&Msg::AskSure { names: names.clone() })? {
            Typed::Line(answer) => match is_yes(&answer) {
                Some(true) => return Ok(true),
                Some(false) => break,
                None => {}
            },
            Typed::End if !ui.asks => {
                ui.refuse(&Msg::Unanswered { names });
                return Ok(false);
            }
            Typed::Cancelled { .. } | Typed::End => break,
        }
    }
    match ui.asks {
        true => ui.tell(&Msg::RmCancelled { names })?,
        false => ui.refuse(&Msg::RmCancelled { names }),
    }
    Ok(false)
}

/// How often a question is asked that gets no clear answer.
const ASKED: usize = 3;

/// Whether this answer means yes or no, in either language. `None`: neither.
fn is_yes(answer: &str) -> Option<bool> {
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" | "ya" | "ok" => Some(true),
        "n" | "no" | "tidak" => Some(false),
        _ => None,
    }
}

fn count(ui: &mut Ui, argument: &Argument) -> Outcome {
    let count = ui.client.count(&argument.text())?;
    ui.tell(&Msg::Characters { count })
}

fn say(ui: &mut Ui, argument: &Argument) -> Outcome {
    let texts: Vec<_> = argument.words()?.iter().map(|text| unescape(text)).collect();
    let heard = ui.client.say(&texts)?;
    let ends_lines = matches!(ui.config().dialect, Dialect::Text | Dialect::Json);
    let is_refused = heard.is_empty() || heard.to_ascii_lowercase().starts_with("error");
    let is_half = matches!(texts.as_slice(), [text] if !text.contains(&b'\n'));
    if is_refused && is_half && ends_lines {
        ui.talk(&Msg::NoNewline);
    }
    Ok(ui.print(&heard)?)
}

fn help(ui: &mut Ui, argument: &Argument) -> Outcome {
    if argument.is_empty() {
        return match ui.is_single {
            true => Ok(ui.print(&ui.words(&Msg::ClientHelp))?),
            false => ui.tell(&Msg::PromptHelp),
        };
    }
    let typed = argument.text();
    let command = find(&typed).ok_or_else(|| not_a_command(&typed, &typed))?;
    ui.tell(&Msg::HelpOn { command: command.word })
}

fn byebye(ui: &mut Ui, _: &Argument) -> Outcome {
    ui.client.byebye()?;
    ui.talk(&Msg::Closed);
    Ok(())
}

fn exit(ui: &mut Ui, _: &Argument) -> Outcome {
    ui.is_over = true;
    Ok(())
}

/// The command that was probably meant by this word: the nearest, if it is near.
pub(crate) fn nearest<'c>(word: &str, commands: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let best = commands.min_by_key(|command| distance(word, command))?;
    let few = if best.len() > 3 { 2 } else { 1 };
    (distance(word, best) <= few).then_some(best)
}

/// How many letters have to be added, removed, changed or swapped with the next to get from `a` to `b`.
#[allow(clippy::indexing_slicing, reason = "every index is at most the length of its text")]
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(20).collect(), b.chars().collect());
    // The distances between the first letters of `a` and those of `b`.
    let mut costs = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            if i == 0 || j == 0 {
                costs[i][j] = i + j;
                continue;
            }
            let changed = costs[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let best = changed.min(costs[i - 1][j] + 1).min(costs[i][j - 1] + 1);
            let is_swap = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            costs[i][j] = if is_swap { best.min(costs[i - 2][j - 2] + 1) } else { best };
        }
    }
    costs[a.len()][b.len()]
}

/// The bytes of a text in which `\n`, `\r`, `\t`, `\0`, `\\` and `\xNN` are what `printf` makes of them.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, length) = match (first, after) {
            (b'\\', [b'n', ..]) => (b'\n', 2),
            (b'\\', [b'r', ..]) => (b'\r', 2),
            (b'\\', [b't', ..]) => (b'\t', 2),
            (b'\\', [b'0', ..]) => (0, 2),
            (b'\\', [b'\\', ..]) => (b'\\', 2),
            (b'\\', [b'x', a, b, ..]) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                let digits = String::from_iter([char::from(*a), char::from(*b)]);
                (u8::from_str_radix(&digits, 16).unwrap_or_default(), 4)
            }
            (byte, _) => (*byte, 1),
        };
        bytes.push(byte);
        rest = rest.get(length..).unwrap_or_default();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_missing_or_too_much() {
        let check = |word: &str, rest: &str| {
            let command = COMMANDS.iter().find(|command| command.word == word).unwrap();
            command.check(&Argument::Typed(rest.to_owned()))
        };
        assert_eq!(check("rm", ""), Err(Msg::ArgumentMissing { command: "rm" }));
        assert_eq!(check("exit", "now"), Err(Msg::TakesNothing { command: "exit" }));
        for (word, rest) in [("ls", ""), ("ls", "x"), ("rm", "x"), ("exit", "")] {
            assert_eq!(check(word, rest), Ok(()), "{word} {rest}");
        }
    }

    #[test]
    fn rlwrap_knows_every_command() {
        let words = include_str!("../cli/completions/rlwrap.words").split_whitespace();
        assert!(words.eq(COMMANDS.iter().map(|command| command.word)));
    }

    #[test]
    fn a_word_of_another_program_is_answered_with_the_command_here() {
        let said = |word: &str| not_a_command(word, word).say(lang::Lang::En);
        assert_eq!(said("GET"), "get is download here; help shows all commands");
        assert!(OF_OTHERS.iter().all(|(_, here)| COMMANDS.iter().any(|it| it.word == *here)));
        assert!(said("cd").starts_with("there is no current folder"));
        assert!(said("demo").starts_with("demo is a command of connme-lab"));
        // A suggestion is never something else.
        assert_eq!(said("ftp"), "there is no command 'ftp'; help shows all commands");
    }

    #[test]
    fn an_answer_is_yes_or_no_in_both_languages() {
        for (answer, meaning) in [
            ("y", Some(true)),
            (" YES\r", Some(true)),
            ("Ya", Some(true)),
            ("ok", Some(true)),
            ("N", Some(false)),
            ("no", Some(false)),
            ("TIDAK", Some(false)),
            ("", None),
            ("yep", None),
            ("yn", None),
        ] {
            assert_eq!(is_yes(answer), meaning, "{answer:?}");
        }
    }

    #[test]
    fn bytes_are_written_as_printf_does() {
        let table: [(&str, &[u8]); 6] = [
            ("connme\\n", b"connme\n"),
            ("\\x05\\0a\\\\n", b"\x05\0a\\n"),
            ("\\xff", b"\xff"),
            ("\\xzz\\q\\", b"\\xzz\\q\\"),
            ("é", "é".as_bytes()),
            ("\\r\\t", b"\r\t"),
        ];
        for (text, bytes) in table {
            assert_eq!(unescape(text), bytes, "{text}");
        }
    }

    #[test]
    fn a_mistyped_command_is_recognized() {
        let table = [
            ("uplaod", Some("upload")),
            ("downlod", Some("download")),
            ("sl", Some("ls")),
            ("szie", Some("size")),
            ("byeby", Some("byebye")),
            ("konme", Some("connme")),
            ("mr", Some("rm")),
            ("delete", None),
            ("x", None),
            ("put", None),
            ("", None),
        ];
        for (word, meant) in table {
            let words = COMMANDS.iter().map(|command| command.word);
            assert_eq!(nearest(word, words), meant, "{word}");
        }
        assert_eq!((distance("ab", "ba"), distance("", "abc"), distance("abc", "abc")), (1, 3, 0));
    }
}
