//! The command line of `connme-lab`.

use std::ffi::OsString;
use std::path::PathBuf;

use super::grade::client::Driven;
use super::grade::formats;
use super::words;
use crate::cli::args::{self, Arg, Args, Shared, Wanted};
use crate::cli::{InstrumentFlags, Parsed, Picture, Wrong};
use crate::client::Config;
use crate::client::argument::Argument;
use crate::client::command;
use crate::client::nearest::nearest;
use crate::dialect::Dialect;
use crate::lang::{Lang, printable};
use crate::limits;

/// A command of `connme-lab`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// A session with every read and write shown.
    Demo,
    /// The same job through every dialect.
    Compare,
    /// Exercises to predict, run and explain.
    Lesson,
    /// An experiment with TCP itself.
    Tcp,
    /// Checks a server.
    Grade,
    /// Prints what explains the dialects to Wireshark.
    Dissector,
    /// Prints questions for an exam.
    Questions,
    /// Writes what a course system needs to grade.
    Pack,
    /// Serves files in one of five shapes.
    Shape,
    /// Compares the shapes.
    Bench,
}

impl Command {
    const ALL: [Command; 10] = [
        Command::Demo,
        Command::Compare,
        Command::Lesson,
        Command::Tcp,
        Command::Grade,
        Command::Dissector,
        Command::Questions,
        Command::Pack,
        Command::Shape,
        Command::Bench,
    ];

    /// The word that the user types.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Command::Demo => "demo",
            Command::Compare => "compare",
            Command::Lesson => "lesson",
            Command::Tcp => "tcp",
            Command::Grade => "grade",
            Command::Dissector => "dissector",
            Command::Questions => "questions",
            Command::Pack => "pack",
            Command::Shape => "shape",
            Command::Bench => "bench",
        }
    }
}

/// What the user asks of the lab.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandLine {
    /// The command.
    pub command: Command,
    /// What follows it.
    pub argument: Argument,
    /// The configuration of the client that it uses.
    pub config: Config,
    /// The user has named a server, and its port.
    pub named: (bool, bool),
    /// The instruments.
    pub instruments: InstrumentFlags,
    /// The time-sequence diagram of the demo. Its theme is that of all pictures.
    pub ladder: Picture,
    /// The file for the bars of a comparison.
    pub svg: Option<PathBuf>,
    /// Print figures as JSON.
    pub json: bool,
    /// Wait for Enter before each step of the demo.
    pub step: bool,
    /// Run all lessons, without a pause.
    pub all: bool,
    /// Print the questions for Moodle.
    pub gift: bool,
    /// The file for a report or the dissector, if not standard output.
    pub output: Option<PathBuf>,
    /// What a run of the grader is to do.
    pub grade: GradeFlags,
    /// The requests of all clients of `bench` together, if not as many as usual.
    pub requests: Option<usize>,
}

/// The flags of `grade`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GradeFlags {
    /// Only the checks of these names and groups.
    pub only: Vec<String>,
    /// Print the checks and run none.
    pub list: bool,
    /// Chooses names, sizes and bytes.
    pub seed: Option<u64>,
    /// The seconds that a check may take.
    pub time: Option<f64>,
    /// The server's folder.
    pub root: Option<PathBuf>,
    /// The command that starts the server.
    pub run: Option<String>,
    /// The file with the user's own checks.
    pub conversation: Option<PathBuf>,
    /// The client to grade, instead of a server.
    pub client: Option<Driven>,
    /// The form of the report, if not that for people.
    pub format: &'static str,
}

/// Flags that do nothing without one of these commands or flags.
const ONLY_FOR: [(&str, &str); 28] = [
    ("--json", "compare"),
    ("--svg", "compare demo"),
    ("--ladder", "demo"),
    ("--theme", "--ladder --svg"),
    ("--step", "demo"),
    ("--all", "lesson grade"),
    ("--gift", "questions"),
    ("--kernel", "demo"),
    ("--capture", "demo compare"),
    ("--capture-bytes", "--capture"),
    ("--buffer", "demo compare"),
    ("--server", "compare grade"),
    ("--dialect", "demo grade pack"),
    ("--output", "grade dissector questions"),
    ("--only", "grade"),
    ("--list", "grade"),
    ("--seed", "grade"),
    ("--time", "grade"),
    ("--root", "grade shape"),
    ("--run", "grade pack"),
    ("--format", "grade"),
    ("--conversation", "grade"),
    ("--client", "grade"),
    ("--pair", "grade"),
    ("--map", "--client"),
    ("--style", "--client"),
    ("--downloads", "--client"),
    ("--requests", "bench"),
];

/// Reads a command line, without the program's name.
///
/// # Errors
/// What is wrong with it.
pub fn parse(
    words: impl IntoIterator<Item = OsString>,
    lang: Lang,
) -> Result<Parsed<CommandLine>, Wrong> {
    let usage = words::usage().say(lang);
    let mut line = Args::new(words);
    let mut shared = Shared { lang, ..Shared::default() };
    let (mut server, mut typed, mut flags) = (None, Vec::new(), Vec::new());
    let (mut ladder, mut svg, mut output) = (Picture::default(), None, None);
    let (mut json, mut step, mut all, mut gift) = (false, false, false, false);
    let mut grade = GradeFlags::default();
    let mut driven = Driven::default();
    let mut requests = None;
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
        flags.push(long.to_owned());
        match long {
            "--server" => server = Some(line.parsed(args::SERVER, args::address)?),
            "--dialect" => config.dialect = line.parsed(args::DIALECT, Dialect::named)?,
            "--quiet" => config.quiet = true,
            "--json" => json = true,
            "--step" => step = true,
            "--all" => all = true,
            "--gift" => gift = true,
            "--output" => output = Some(line.value()?.into()),
            "--ladder" => ladder.file = Some(line.value()?.into()),
            "--svg" => svg = Some(line.value()?.into()),
            "--theme" => ladder.is_dark = line.parsed(args::THEME, args::is_dark)?,
            "--only" => grade.only.push(line.value()?.to_string_lossy().into_owned()),
            "--list" => grade.list = true,
            "--seed" => grade.seed = Some(line.parsed(args::COUNT, args::digits)?),
            "--time" => grade.time = Some(line.parsed(CHECK_TIME, check_time)?),
            "--root" => grade.root = Some(line.value()?.into()),
            "--run" => grade.run = Some(line.value()?.to_string_lossy().into_owned()),
            "--conversation" => grade.conversation = Some(line.value()?.into()),
            "--client" => {
                let command = line.value()?.to_string_lossy().into_owned();
                let first = std::mem::replace(&mut driven.command, command);
                driven.more.extend(Some(first).filter(|first| !first.is_empty()));
            }
            "--pair" => driven.pair.push(line.value()?.to_string_lossy().into_owned()),
            "--map" => driven.map.push(line.value()?.to_string_lossy().into_owned()),
            "--style" => driven.is_assignment = line.parsed(STYLE, style)?,
            "--downloads" => {
                driven.downloads = Some(line.value()?.to_string_lossy().into_owned());
            }
            "--requests" => requests = Some(line.parsed(REQUESTS, number_of_requests)?),
            "--format" => grade.format = line.parsed(FORMAT, formats::named)?,
            // The demo always has a trace, and nothing else here shows one.
            "--trace" | "-t" | "--stammer" => return Err(args::unexpected(&flag)),
            _ => {
                if let Some(text) = shared.read(&flag, &mut line, "connme-lab", &usage)? {
                    return Ok(Parsed::Print(text));
                }
            }
        }
    }
    let mut typed = typed.into_iter();
    let command = command_of(typed.next())?;
    let argument = Argument::Words(typed.collect());
    match (command, argument.is_empty()) {
        (Command::Compare, true) => {
            return Err(command::argument_missing(command.word()).see_help());
        }
        (Command::Demo | Command::Grade | Command::Dissector | Command::Questions, false) => {
            return Err(command::takes_nothing(command.word()).see_help());
        }
        _ => {}
    }
    check_use(&flags, command)?;
    if driven.pair.is_empty() && !driven.more.is_empty() {
        return Err(words::one_client().see_help());
    }
    grade.client = Some(driven).filter(|driven| *driven != Driven::default());
    let named = (server.is_some(), server.as_ref().is_some_and(|(_, port)| port.is_some()));
    let (host, port) = server.unwrap_or_default();
    let host = host.unwrap_or_else(|| limits::TCP_IP.to_owned());
    config.port = port.unwrap_or(config.dialect.port());
    let Shared { buffer, instruments, lang } = shared;
    let to_errors = instruments.capture_takes_output();
    let config = Config { host, buffer, lang, to_errors, ..config };
    Ok(Parsed::Run(CommandLine {
        command,
        argument,
        config,
        named,
        instruments,
        ladder,
        svg,
        json,
        step,
        all,
        gift,
        output,
        grade,
        requests,
    }))
}

/// The command of this word, in any letter case.
fn command_of(word: Option<OsString>) -> Result<Command, Wrong> {
    let Some(word) = word else { return Err(words::command_missing()) };
    let word = word.to_string_lossy();
    let lower = word.to_ascii_lowercase();
    if let Some(command) = Command::ALL.into_iter().find(|command| command.word() == lower) {
        return Ok(command);
    }
    if command::COMMANDS.iter().any(|command| command.word == lower) {
        return Err(words::is_of_the_client(&lower));
    }
    let nearest = nearest(&lower, Command::ALL.into_iter().map(Command::word));
    let word = printable(word.as_bytes());
    Err(match nearest {
        Some(_) => command::unknown(&word, nearest),
        None => words::no_such_command(&word),
    })
}

/// Finds a flag that would do nothing.
fn check_use(flags: &[String], command: Command) -> Result<(), Wrong> {
    let is_used = |user: &str| user == command.word() || flags.iter().any(|flag| flag == user);
    for flag in flags {
        let users = ONLY_FOR.iter().find(|(known, _)| known == flag).map(|(_, users)| *users);
        if let Some(users) = users.filter(|users| !users.split(' ').any(is_used)) {
            return Err(args::flag_is_for(flag, users));
        }
    }
    Ok(())
}

const CHECK_TIME: Wanted = ("seconds, from 0.1 to 60", "detik, dari 0.1 sampai 60");

const REQUESTS: Wanted = ("a number from 1 to 1000000", "bilangan dari 1 sampai 1000000");

fn number_of_requests(text: &str) -> Option<usize> {
    let number = text.parse().ok().filter(|number| (1..=1_000_000).contains(number));
    args::digits(text).and(number)
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
        assert_eq!(line.ladder, Picture { file: Some("a.svg".into()), is_dark: true });
        assert_eq!(line.svg, Some("b.svg".into()));
        let line = run("-s [::1] GRADE --only text/framing --format tap");
        assert_eq!((line.command, line.config.host.as_str()), (Command::Grade, "::1"));
        assert_eq!((line.config.port, line.named), (1234, (true, false)));
        assert_eq!(line.grade.only, ["text/framing"]);
        assert_eq!(run("tcp 40-ms").command, Command::Tcp);
        assert_eq!(run("Lesson 7").argument, Argument::Words(vec!["7".into()]));
    }

    #[test]
    fn a_pack_has_its_words_and_the_flags_of_a_run() {
        let line = run("-d json pack classroom out --run x");
        assert_eq!((line.command, line.config.dialect), (Command::Pack, Dialect::Json));
        assert_eq!(line.argument, Argument::Words(vec!["classroom".into(), "out".into()]));
        assert_eq!(line.grade.run.as_deref(), Some("x"));
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
                "expected a command: demo, compare, lesson, tcp, grade, dissector, questions, pack, shape or \
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
