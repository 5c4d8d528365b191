//! The client's commands: for each an entry in [`COMMANDS`], and the function that runs it and tells the
//! user the result. The help texts in `lang` describe them, and the shell completions are made from these.
//!
//! To add a command that the server has to know:
//! 1. its handler, its request and its line in `HELP` in a dialect, and its field in `Requests`;
//! 2. a method of [`Client`], and here an entry and a function;
//! 3. its line in `lang/help/commands.*.txt`, its text in `topics.*.txt`, what the prompt asks in `questions.*.txt`, its
//!    word in `cli/completions/rlwrap.words`, and a sentence in `lang/texts.txt` if it needs one;
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
use super::nearest::nearest;
use super::outcome::{Outcome, Stop};
use super::places::{StandardInput, folders_here, folders_there, here, local_files, on_server};
use super::ui::Ui;
use super::{Client, Greeting, Receipt, table};
use crate::dialect::Dialect;
use crate::error::{Answer, Failure};
use crate::lang::{self, Msg, Word, bytes, client_help, client_usage, decimal, escaped, foreign};
use crate::lang::{help_on, is_control, msg, prompt_help, text, without_controls};
use crate::store::Listing;

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
    Command { word: "lls", alias: None, takes: Takes::Option, run: lls },
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

/// What to say of a word that is not a command, in any letter case.
pub(super) fn not_a_command(word: &str) -> Msg {
    let lower = word.to_ascii_lowercase();
    let known = COMMANDS.iter().map(|command| command.word);
    foreign(&lower).unwrap_or_else(|| unknown(word, nearest(&lower, known)))
}

/// There is no such command. Perhaps the nearest was meant.
pub(crate) fn unknown(word: &str, nearest: Option<&str>) -> Msg {
    let word = escaped(word);
    match nearest {
        Some(nearest) => text!("unknown-command-nearest", word, nearest),
        None if word.contains([':', '.']) || word == "localhost" => {
            text!("unknown-command-server", word)
        }
        None => text!("unknown-command", word),
    }
}

/// A command that takes nothing got something.
pub(crate) fn takes_nothing(command: &str) -> Msg {
    match command {
        "connme" => text!("connme-takes-nothing"),
        _ => msg!("{command} takes no argument", "{command} tidak menerima argumen"),
    }
}

/// A command that needs an argument got none.
pub(crate) fn argument_missing(command: &str) -> Msg {
    match command {
        "count" | "say" => msg!("{command} needs a text", "{command} harus diikuti teks"),
        _ => msg!("{command} needs a file name", "{command} harus diikuti nama file"),
    }
}

impl Command {
    /// Checks whether it takes this argument.
    ///
    /// # Errors
    /// It does not.
    pub(super) fn check(&self, argument: &Argument) -> Result<(), Msg> {
        let command = self.word;
        if matches!(command, "ls" | "lls" | "size" | "sum" | "rm") && argument.has_flag() {
            return Err(text!("takes-no-flags", command));
        }
        match (self.takes, argument.is_empty()) {
            (Takes::Nothing, false) => Err(takes_nothing(command)),
            (Takes::Argument, true) => {
                let missing = argument_missing(command);
                Err(text!("see-help-on", missing, command))
            }
            _ => Ok(()),
        }
    }
}

fn connme(ui: &mut Ui, _: &Argument) -> Outcome {
    let greeting = ui.client.connme()?;
    let server = ui.client.server();
    ui.tell(&match greeting {
        Greeting::First => text!("connected", server, newline = '\n'),
        Greeting::Again => text!("connected-again", server),
        Greeting::Still => text!("still-connected", server),
    })
}

fn ls(ui: &mut Ui, argument: &Argument) -> Outcome {
    let folder = one_folder(argument)?;
    let listing = ui.client.list_files(folder.as_deref())?;
    show(ui, &listing)
}

/// The folder of a command that takes one or none.
fn one_folder(argument: &Argument) -> Outcome<Option<String>> {
    let mut words = argument.words()?;
    let folder = words.pop();
    if words.is_empty() {
        return Ok(folder);
    }
    Err(Stop::Wrong(text!("one-folder")))
}

fn lls(ui: &mut Ui, argument: &Argument) -> Outcome {
    let folder = one_folder(argument)?;
    show(ui, &local_files(folder.as_deref().unwrap_or("."))?)
}

/// Prints a list: as a table on a terminal, else as lines for programs.
fn show(ui: &Ui, listing: &Listing) -> Outcome {
    if !ui.terminal.out {
        // Programs read these lines, and give the names to other commands.
        ui.print(&table::plain(listing, without_controls))?;
        match listing.entries().filter(|entry| entry.name.contains(is_control)).count() {
            0 => {}
            count => ui.note(&text!("control-characters", count)),
        }
        return Ok(());
    }
    let (count, total) = (listing.entries().len(), bytes(listing.total));
    ui.tell(&msg!("files ({count}):", "Daftar file ({count}):"))?;
    ui.print(&table::table(listing, ui.terminal.colour, ui.config().lang, escaped))?;
    ui.tell(&msg!("total {total}", "Total ukuran direktori: {total}"))
}

/// The files on the server that an argument means, after the user was told what a pattern leaves out.
fn found(ui: &mut Ui, argument: &Argument) -> Outcome<Named> {
    let named = on_server(&mut ui.client, argument, false)?;
    tell_left_out(ui, &named);
    Ok(named)
}

/// Tells what is left out of the files that were found.
fn tell_left_out<N>(ui: &mut Ui, named: &Named<N>) {
    const MOST: usize = 10;
    for (name, why) in named.skipped.iter().take(MOST) {
        let name = escaped(name);
        ui.note(&msg!("{name} is left out: {why}", "{name} dilewatkan: {why}"; why));
    }
    if let Some(count @ 1..) = named.skipped.len().checked_sub(MOST) {
        ui.note(&msg!("and {count} more", "dan {count} lagi"));
    }
    for (name, failure) in &named.failed {
        ui.fail_on(name, failure);
    }
    match named.left_out {
        0 if named.names.is_empty() && named.failed.is_empty() => {
            ui.note(&msg!("the folder has no files", "folder itu tidak berisi file"));
        }
        0 => {}
        count => ui.note(&text!("left-out-of-folders", count)),
    }
}

/// Asks for each of these names, and tells the result, or why there is none.
fn for_each(
    ui: &mut Ui,
    names: &[String],
    ask: impl Fn(&mut Client, &str) -> Answer<Msg>,
) -> Outcome {
    for name in names {
        match ask(&mut ui.client, name) {
            Ok(result) => ui.tell(&result)?,
            Err(failure @ Failure::Interrupted) => return Err(Stop::Failed(failure)),
            Err(failure) => ui.fail_on(name, &failure),
        }
    }
    Ok(())
}

fn size(ui: &mut Ui, argument: &Argument) -> Outcome {
    let names = found(ui, argument)?.into_names();
    for_each(ui, &names, |client, name| {
        let size = client.get_size(name)?;
        let megabytes = decimal(&format!("{}.{:06} MB", size / 1_000_000, size % 1_000_000));
        let (name, size) = (escaped(name), bytes(size));
        Ok(text!("size", name, size, megabytes))
    })
}

/// Prints sums as `sha256sum` does.
fn sum(ui: &mut Ui, argument: &Argument) -> Outcome {
    let names = found(ui, argument)?.into_names();
    for_each(ui, &names, |client, name| {
        Ok(format!("{}  {}", client.sum(name)?, escaped(name)).into_msg())
    })
}

fn upload(ui: &mut Ui, argument: &Argument) -> Outcome {
    let words = argument.plain_words();
    if words.first().is_some_and(|word| word == "-") {
        must_be_single(ui)?;
        let name = match words.as_slice() {
            [_, between, name] if between == "as" => name,
            _ => {
                return Err(Stop::Wrong(text!("input-has-no-name")));
            }
        };
        // The size goes first.
        let input = StandardInput::read()?;
        let files = vec![(input.path().to_owned(), Some(name.clone()))];
        let batch = Uploads::new(&mut ui.client, files);
        return transfer(ui, std::slice::from_ref(name), None, batch, uploaded);
    }
    let (argument, is_recursive) = folders(ui, argument);
    let mut named = here(&argument, true)?;
    if is_recursive {
        folders_here(&mut ui.client, &mut named)?;
    }
    tell_left_out(ui, &named);
    let files = named.names;
    let size = |(path, _): &(PathBuf, _)| fs::metadata(path).map_or(0, |found| found.len());
    let total = files.iter().map(size).sum();
    let names: Vec<_> = files.iter().map(|(path, _)| path.to_string_lossy().into_owned()).collect();
    let batch = Uploads::new(&mut ui.client, files);
    transfer(ui, &names, Some(total), batch, uploaded)
}

fn uploaded(ui: &Ui, path: &str, receipt: &Receipt) -> Msg {
    let own = path.rsplit(['/', std::path::MAIN_SEPARATOR]).next().unwrap_or(path);
    let (name, size) = (escaped(own), bytes(receipt.bytes));
    let (seconds, rate) = speed(receipt.bytes, receipt.time);
    if !ui.client.requests().confirms {
        return text!("sent", name, size, seconds, rate);
    }
    let renamed = match escaped(receipt.stored.as_deref().unwrap_or(own)) {
        stored if stored == name => Msg::default(),
        stored => msg!(" as {stored}", " sebagai {stored}"),
    };
    text!("uploaded", name, renamed, size, seconds, rate)
}

/// Standard input and standard output in the place of a file are for a single command alone.
fn must_be_single(ui: &Ui) -> Outcome {
    if ui.is_single {
        return Ok(());
    }
    Err(Stop::Wrong(text!("only-single")))
}

fn download(ui: &mut Ui, argument: &Argument) -> Outcome {
    if let [name, between, to] = argument.plain_words().as_slice()
        && (between.as_str(), to.as_str()) == ("as", "-")
    {
        must_be_single(ui)?;
        return Ok(ui.perform("download", name, |ui| ui.print_file(name))?);
    }
    let (argument, is_recursive) = folders(ui, argument);
    let mut named = on_server(&mut ui.client, &argument, true)?;
    if is_recursive {
        folders_there(&mut ui.client, &mut named)?;
    }
    tell_left_out(ui, &named);
    let files = named.names;
    let names: Vec<_> = files.iter().map(|(name, _)| name.clone()).collect();
    let batch = Downloads::new(&mut ui.client, files);
    transfer(ui, &names, None, batch, downloaded)
}

fn downloaded(_: &Ui, name: &str, receipt: &Receipt) -> Msg {
    let stored = lang::readable(receipt.stored.as_deref().unwrap_or_default().as_bytes());
    let came = receipt.bytes - receipt.partial;
    let (name, size) = (escaped(name), bytes(receipt.bytes));
    let last = match receipt.partial {
        0 => Msg::default(),
        _ => msg!(", the last {came}", ", {came} terakhir"),
    };
    let (seconds, rate) = speed(came, receipt.time);
    text!("downloaded", name, stored, size, last, seconds, rate, newline = '\n')
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
    let named = found(ui, argument)?;
    let by_pattern = named.by_pattern;
    let names = named.into_names();
    let asked_together = if by_pattern { names.len().max(1) } else { 1 };
    for names in names.chunks(asked_together) {
        if !may_remove(ui, names)? {
            continue;
        }
        for_each(ui, names, |client, name| {
            client.delete(name)?;
            let name = escaped(name);
            Ok(msg!("{name} removed from the server", "File {name} berhasil dihapus dari server"))
        })?;
    }
    Ok(())
}

/// Whether the user says that these may be removed, or has said so for all files with `--yes`.
fn may_remove(ui: &mut Ui, names: &[String]) -> Outcome<bool> {
    if ui.config().yes {
        return Ok(true);
    }
    // A single file that does not exist needs no question. What a pattern has found does exist.
    if let [name] = names
        && ui.client.requests().get_size.is_some()
        && let Err(failure) = ui.client.get_size(name)
    {
        ui.fail_on(name, &failure);
        return Ok(false);
    }
    let names: Vec<_> = names.iter().map(|name| escaped(name)).collect();
    let (question, stays) = match names.as_slice() {
        [name] => (
            text!("may-remove", name).asked(),
            msg!("{name} stays where it is", "Penghapusan file {name} dibatalkan"),
        ),
        names => {
            let (list, count) = (names.join("\n") + "\n", names.len());
            (text!("may-remove-all", list, count).asked(), text!("nothing-removed"))
        }
    };
    // A person may answer again. A script has given its answer.
    for _ in 0..if ui.asks { ASKED } else { 1 } {
        match ui.ask(&question)? {
            Typed::Line(answer) => match is_yes(&answer) {
                Some(true) => return Ok(true),
                Some(false) => break,
                None => {}
            },
            Typed::End if !ui.asks => {
                let more = if names.len() > 3 { " ..." } else { "" };
                let few = names.into_iter().take(3).collect::<Vec<_>>().join(" ") + more;
                ui.fail(&text!("cannot-ask", few));
                return Ok(false);
            }
            Typed::Cancelled { .. } | Typed::End => break,
        }
    }
    match ui.asks {
        true => ui.tell(&stays)?,
        false => ui.fail(&stays),
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
    ui.tell(&match count {
        1 => msg!("1 character", "1 karakter"),
        count => msg!("{count} characters", "{count} karakter"),
    })
}

fn say(ui: &mut Ui, argument: &Argument) -> Outcome {
    let texts: Vec<_> = argument.words()?.iter().map(|text| unescape(text)).collect();
    let heard = ui.client.say(&texts)?;
    let ends_lines = matches!(ui.config().dialect, Dialect::Text | Dialect::Json);
    let is_refused = heard.is_empty() || heard.to_ascii_lowercase().starts_with("error");
    let is_half = matches!(texts.as_slice(), [text] if !text.contains(&b'\n'));
    if is_refused && is_half && ends_lines {
        ui.note(&text!("no-newline"));
    }
    Ok(ui.print(&heard)?)
}

fn help(ui: &mut Ui, argument: &Argument) -> Outcome {
    let text = match argument.text().as_str() {
        "" if ui.is_single => client_help(),
        "" => return prompt_help_for(ui),
        "flags" => client_usage(),
        typed => help_on(find(typed).ok_or_else(|| not_a_command(typed))?.word),
    };
    Ok(ui.print(&ui.words(&text))?)
}

/// The help of the prompt, without the commands that the dialect lacks.
fn prompt_help_for(ui: &Ui) -> Outcome {
    let words = COMMANDS.iter().map(|command| command.word);
    let lacking: Vec<_> =
        words.filter(|word| ui.client.requests().has(word) == Some(false)).collect();
    let help = ui.words(&prompt_help());
    let has = |line: &&str| !lacking.contains(&line.split_whitespace().next().unwrap_or_default());
    ui.print(&help.split_inclusive('\n').filter(has).collect::<String>())?;
    if lacking.is_empty() {
        return Ok(());
    }
    let (dialect, lacking) = (ui.config().dialect.name(), lacking.join(" "));
    ui.tell(&text!("lacking-commands", dialect, lacking))
}

fn byebye(ui: &mut Ui, _: &Argument) -> Outcome {
    ui.client.byebye()?;
    ui.note(&msg!("connection closed", "Menutup koneksi"));
    Ok(())
}

fn exit(ui: &mut Ui, _: &Argument) -> Outcome {
    ui.is_over = true;
    Ok(())
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
        assert_eq!(
            check("rm", ""),
            Err(msg!(
                "rm needs a file name; help rm explains it",
                "rm harus diikuti nama file; lihat help rm"
            ))
        );
        assert_eq!(check("exit", "now"), Err(takes_nothing("exit")));
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
        let said = |word: &str| not_a_command(word).say(lang::Lang::En);
        assert_eq!(said("GET"), "get is download here; help shows all commands");
        let here = include_str!("../lang/help/words.en.txt").lines();
        let here = here.filter_map(|line| line.strip_prefix("{word} is ")?.split_once(" here;"));
        assert_eq!(here.filter(|(word, _)| find(word).is_some()).count(), 9);
        for (word, begin) in [
            ("cd", "there is no current folder"),
            ("mkdir", "the protocol makes and removes no folders"),
            ("clear", "the screen belongs to your terminal"),
            ("demo", "demo is a command of connme-lab"),
        ] {
            assert!(said(word).starts_with(begin), "{word}");
        }
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
        let table: [(&str, &[u8]); 7] = [
            ("connme\\n", b"connme\n"),
            ("\\x05\\0a\\\\n", b"\x05\0a\\n"),
            ("\\xff", b"\xff"),
            ("\\xzz\\q\\", b"\\xzz\\q\\"),
            ("\\xaz\\xza", b"\\xaz\\xza"),
            ("é", "é".as_bytes()),
            ("\\r\\t", b"\r\t"),
        ];
        for (text, bytes) in table {
            assert_eq!(unescape(text), bytes, "{text}");
        }
    }
}
