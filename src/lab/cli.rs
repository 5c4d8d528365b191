//! The command line of `connme-lab`.

use std::ffi::OsString;

use super::COMMANDS;
use super::grade::client::Driven;
use super::grade::formats;
use super::line::{CommandLine, Flags};
use super::text::said;
use crate::cli::args::{self, Arg, Args, Shared, Wanted};
use crate::cli::{Parsed, Wrong};
use crate::client::Config;
use crate::client::argument::Argument;
use crate::client::command;
use crate::client::nearest::nearest;
use crate::dialect::Dialect;
use crate::lang::{Lang, printable};
use crate::limits;

/// Flags that do nothing without one of the commands or flags after them.
const ONLY_FOR: &str = include_str!("flags.txt");

/// Reads a command line, without the program's name.
///
/// # Errors
/// What is wrong with it.
pub fn parse(
    words: impl IntoIterator<Item = OsString>,
    lang: Lang,
) -> Result<Parsed<CommandLine>, Wrong> {
    let usage = lang.choose(include_str!("help.en.txt"), include_str!("help.id.txt"));
    let mut line = Args::new(words);
    let mut shared = Shared { lang, ..Shared::default() };
    let (mut server, mut typed, mut used) = (None, Vec::new(), Vec::new());
    let (mut flags, mut driven) = (Flags::default(), Driven::default());
    let mut config = Config::new(lang);
    while let Some(arg) = line.next()? {
        let flag = match arg {
            Arg::Flag(flag) => flag,
            Arg::Word(word) => {
                typed.push(word);
                continue;
            }
        };
        let long = match flag.as_str() {
            "-s" => "--server",
            "-d" => "--dialect",
            "-q" => "--quiet",
            long => long,
        };
        used.push(long.to_owned());
        match long {
            "--server" => server = Some(line.parsed(args::SERVER, args::address)?),
            "--dialect" => config.dialect = line.parsed(args::DIALECT, Dialect::named)?,
            "--quiet" => config.quiet = true,
            "--json" => flags.json = true,
            "--step" => flags.step = true,
            "--all" => flags.all = true,
            "--gift" => flags.gift = true,
            "--output" => flags.output = Some(line.value()?.into()),
            "--ladder" => flags.ladder.file = Some(line.value()?.into()),
            "--svg" => flags.svg = Some(line.value()?.into()),
            "--theme" => flags.ladder.is_dark = line.parsed(args::THEME, args::is_dark)?,
            "--only" => flags.only.push(text(&mut line)?),
            "--list" => flags.list = true,
            "--seed" => flags.seed = Some(line.parsed(args::COUNT, args::digits)?),
            "--time" => flags.time = Some(line.parsed(CHECK_TIME, check_time)?),
            "--root" => flags.root = Some(line.value()?.into()),
            "--run" => flags.run = Some(text(&mut line)?),
            "--conversation" => flags.conversation = Some(line.value()?.into()),
            "--client" => {
                let first = std::mem::replace(&mut driven.command, text(&mut line)?);
                driven.more.extend(Some(first).filter(|first| !first.is_empty()));
            }
            "--pair" => driven.pair.push(text(&mut line)?),
            "--map" => driven.map.push(text(&mut line)?),
            "--style" => driven.is_assignment = line.parsed(STYLE, style)?,
            "--downloads" => driven.downloads = Some(text(&mut line)?),
            "--requests" => flags.requests = Some(line.parsed(REQUESTS, number_of_requests)?),
            "--format" => flags.format = line.parsed(FORMAT, formats::named)?,
            // The demo always has a trace, and nothing else here shows one.
            "--trace" | "-t" | "--stammer" => return Err(args::unexpected(&flag)),
            _ => {
                if let Some(text) = shared.read(&flag, &mut line, "connme-lab", usage)? {
                    return Ok(Parsed::Print(text));
                }
            }
        }
    }
    let mut typed = typed.into_iter();
    let command = command_of(typed.next())?;
    let argument = Argument::Words(typed.collect());
    match (command, argument.is_empty()) {
        ("compare", true) => return Err(command::argument_missing(command).see_help()),
        ("demo" | "grade" | "dissector" | "questions", false) => {
            return Err(command::takes_nothing(command).see_help());
        }
        _ => {}
    }
    check_use(&used, command)?;
    if driven.pair.is_empty() && !driven.more.is_empty() {
        return Err(said("several-clients", &[]).see_help());
    }
    flags.client = Some(driven).filter(|driven| *driven != Driven::default());
    let is_named = server.is_some();
    let (host, port) = server.unwrap_or_default();
    if command == "compare" && port.is_some() {
        return Err(said("port-in-compare", &[]));
    }
    let host = host.unwrap_or_else(|| limits::TCP_IP.to_owned());
    config.port = port.unwrap_or(config.dialect.port());
    let Shared { buffer, instruments, lang } = shared;
    let to_errors = instruments.capture_takes_output();
    let config = Config { host, buffer, lang, to_errors, ..config };
    Ok(Parsed::Run(CommandLine { command, argument, config, is_named, instruments, flags }))
}

fn text(line: &mut Args) -> Result<String, Wrong> {
    Ok(line.value()?.to_string_lossy().into_owned())
}

/// The command of this word, in any letter case.
fn command_of(word: Option<OsString>) -> Result<&'static str, Wrong> {
    let commands = COMMANDS.map(|(word, _)| word);
    let Some(word) = word else {
        return Err(said("command-missing", &[&commands.join(", ")]).see_help());
    };
    let word = word.to_string_lossy();
    let lower = word.to_ascii_lowercase();
    if let Some(command) = commands.into_iter().find(|command| *command == lower) {
        return Ok(command);
    }
    if command::COMMANDS.iter().any(|command| command.word == lower) {
        return Err(said("client-command", &[&lower]));
    }
    let nearest = nearest(&lower, commands.into_iter());
    let word = printable(word.as_bytes());
    Err(match nearest {
        Some(_) => command::unknown(&word, nearest),
        None => said("unknown-command", &[&word]).see_help(),
    })
}

/// Finds a flag that would do nothing.
fn check_use(flags: &[String], command: &str) -> Result<(), Wrong> {
    let is_used = |user: &str| user == command || flags.iter().any(|flag| flag == user);
    for flag in flags {
        let users = ONLY_FOR.lines().find_map(|line| line.strip_prefix(flag)?.strip_prefix(' '));
        if let Some(users) = users.filter(|users| !users.split(' ').any(is_used)) {
            return Err(args::flag_is_for(flag, users));
        }
    }
    Ok(())
}

const CHECK_TIME: Wanted = ("seconds, from 0.1 to 60", "detik, dari 0.1 sampai 60");

const REQUESTS: Wanted = ("a number from 1 to 1000000", "bilangan dari 1 sampai 1000000");

fn number_of_requests(text: &str) -> Option<usize> {
    args::count(text).filter(|number| *number <= 1_000_000)
}

const STYLE: Wanted = ("assignment", "assignment");

fn style(text: &str) -> Option<bool> {
    (text == "assignment").then_some(true)
}

const FORMAT: Wanted = (
    "table, json, tap, junit, gradescope, classroom or check50",
    "table, json, tap, junit, gradescope, classroom atau check50",
);

/// Seconds, with decimals, up to a minute.
fn check_time(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = text.parse().ok().filter(|_| is_plain)?;
    (0.1..=60.0).contains(&seconds).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Picture;
    use crate::lab::grade::formats::FORMATS;

    fn read(line: &str) -> Result<Parsed<CommandLine>, String> {
        let words = line.split_whitespace().map(Into::into);
        parse(words, Lang::En).map_err(|wrong| wrong.say(Lang::En))
    }

    fn run(line: &str) -> CommandLine {
        match read(line).unwrap() {
            Parsed::Run(line) => line,
            Parsed::Print(text) => panic!("{text}"),
        }
    }

    #[test]
    fn commands_have_any_letter_case_and_their_own_flags() {
        let line = run("demo --ladder a.svg --svg=b.svg --theme dark");
        assert_eq!(line.flags.ladder, Picture { file: Some("a.svg".into()), is_dark: true });
        assert_eq!(line.flags.svg, Some("b.svg".into()));
        let line = run("-s [::1] GRADE --only text/framing --format tap");
        assert_eq!((line.command, line.config.host.as_str()), ("grade", "::1"));
        assert_eq!((line.config.port, line.is_named), (1234, true));
        assert_eq!(line.flags.only, ["text/framing"]);
        assert_eq!(run("tcp 40-ms").command, "tcp");
        assert_eq!(run("Lesson 7").argument, Argument::Words(vec!["7".into()]));
    }

    #[test]
    fn a_pack_has_its_words_and_the_flags_of_a_run() {
        let line = run("-d json pack classroom out --run x");
        assert_eq!((line.command, line.config.dialect), ("pack", Dialect::Json));
        assert_eq!(line.argument, Argument::Words(vec!["classroom".into(), "out".into()]));
        assert_eq!(line.flags.run.as_deref(), Some("x"));
    }

    #[test]
    fn what_would_do_nothing_is_refused() {
        let wrong = |line: &str| read(line).err();
        for (line, users) in [
            ("--json demo", "compare"),
            ("--svg a.svg lesson", "compare or demo"),
            ("--theme dark demo", "--ladder or --svg"),
            ("--output a demo", "grade or dissector or questions"),
            ("--gift lesson", "questions"),
            ("--kernel lesson", "demo"),
            ("--list compare f", "grade"),
            ("--capture a LESSON", "demo or compare"),
            ("--capture-bytes 5 demo", "--capture"),
            ("--server h dissector", "compare or grade"),
        ] {
            let flag = line.split(' ').next().unwrap();
            assert_eq!(wrong(line), Some(format!("{flag} is for {users}; see --help")));
        }
        for (line, said) in [
            (
                "",
                "expected a command: demo, compare, lesson, tcp, grade, dissector, questions, pack, shape, \
                 bench; see --help",
            ),
            ("upload a", "upload is a command of connme-client"),
            ("x", "there is no command 'x'; see --help"),
            ("demmo", "there is no command 'demmo'; did you mean demo?"),
            ("compare", "compare needs a file name; see --help"),
            ("-t demo", "unexpected argument '-t'; see --help"),
            (
                "grade --format xml",
                "--format takes table, json, tap, junit, gradescope, classroom or \
                 check50, not 'xml'; see --help",
            ),
        ] {
            assert_eq!(wrong(line).as_deref(), Some(said), "{line}");
        }
        assert!(FORMATS.iter().all(|(word, _)| wrong(&format!("grade --format {word}")).is_none()));
    }
}
