//! The command line of `connme-client`.

use std::ffi::OsString;
use std::path::{PathBuf, absolute};

use super::args::{self, Arg, Args, Shared};
use super::{Parsed, Wrong};
use crate::client::{Config, Pictures};
use crate::dialect::Dialect;
use crate::lang::{Lang, Msg, Wanted};
use crate::lecture::capture;
use crate::lecture::faults::Faults;
use crate::limits;

/// What the user asks of the client, and what a lecture adds.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandLine {
    /// The client's configuration.
    pub config: Config,
    /// What goes wrong with what is sent.
    pub faults: Option<Faults>,
    /// Where every read and write becomes a packet.
    pub capture: Option<capture::Settings>,
    /// A completion script, to be delivered in the place of a command.
    pub completions: Option<String>,
    /// What a run of the grader is to do.
    pub grade: GradeFlags,
}

/// The flags of `grade`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GradeFlags {
    /// Only checks with one of these words in their id.
    pub only: Vec<String>,
    /// Print the checks and run none.
    pub list: bool,
    /// Passed checks explain themselves too.
    pub verbose: bool,
    /// Chooses names, sizes and bytes.
    pub seed: Option<u64>,
    /// The seconds that a check may take.
    pub time: Option<f64>,
    /// The server's folder.
    pub root: Option<PathBuf>,
    /// The form of the report.
    pub format: Option<String>,
}

/// The forms of a report that `grade` knows.
pub const FORMATS: &str = "table json tap junit gradescope classroom classroom-base64 check50";

/// Flags that do nothing without one of these commands or flags.
const ONLY_FOR: [(&str, &str); 14] = [
    ("--json", "compare"),
    ("--svg", "compare demo"),
    ("--theme", "--ladder --svg"),
    ("--step", "demo"),
    ("--all", "lesson"),
    ("--output", "grade dissector --completions"),
    ("--only", "grade"),
    ("--list", "grade"),
    ("--verbose", "grade"),
    ("-v", "grade"),
    ("--seed", "grade"),
    ("--time", "grade"),
    ("--root", "grade"),
    ("--format", "grade"),
];

/// Flags that concern one connection to a server, and the commands that make none, or several of their own.
const NOT_FOR: [(&str, &str); 5] = [
    ("--capture", "lesson grade dissector lls"),
    ("--ladder", "lesson grade dissector lls compare"),
    ("--trace", "lesson grade dissector lls compare"),
    ("-t", "lesson grade dissector lls compare"),
    ("--stammer", "lesson grade dissector lls compare demo"),
];

/// Reads a command line, without the program's name.
///
/// # Errors
/// What is wrong with it.
pub fn parse(
    words: impl IntoIterator<Item = OsString>,
    lang: Lang,
) -> Result<Parsed<CommandLine>, Wrong> {
    let usage = Msg::ClientUsage.say(lang);
    let mut line = Args::new(words);
    let mut shared = Shared::new(lang);
    let (mut server, mut completions) = (None, None);
    let mut grade = GradeFlags::default();
    let mut flags = Vec::new();
    let mut config = Config {
        host: String::new(),
        port: 0,
        dialect: Dialect::Text,
        downloads: limits::DOWNLOAD_FOLDER.into(),
        yes: false,
        quiet: false,
        buffer: None,
        named: false,
        has_port: false,
        in_step: false,
        verify: false,
        resume: true,
        retry: limits::RETRIES,
        recursive: false,
        all: false,
        step: false,
        trace: false,
        json: false,
        pictures: Pictures::default(),
        output: None,
        to_errors: false,
        lang,
        command: Vec::new(),
    };
    while let Some(arg) = line.next()? {
        let flag = match arg {
            Arg::Flag(flag) => flag,
            Arg::Word(word) => {
                config.command.push(word);
                continue;
            }
        };
        flags.push(flag.clone());
        match flag.as_str() {
            "--server" | "-s" => server = Some(line.parsed(Wanted::Server, args::host_and_port)?),
            "--dialect" | "-d" => config.dialect = line.parsed(Wanted::Dialect, Dialect::named)?,
            "--downloads" | "-o" => config.downloads = line.value()?.into(),
            "--yes" | "-y" => config.yes = true,
            "--quiet" | "-q" => config.quiet = true,
            "--json" => config.json = true,
            "--output" => config.output = Some(line.value()?.into()),
            "--in-step" => config.in_step = true,
            "--verify" => config.verify = true,
            "--no-resume" => config.resume = false,
            "--retry" => config.retry = line.parsed(Wanted::Retries, |text| text.parse().ok())?,
            "--recursive" | "-r" => config.recursive = true,
            "--all" => config.all = true,
            "--step" => config.step = true,
            "--ladder" => config.pictures.ladder = Some(line.value()?.into()),
            "--svg" => config.pictures.svg = Some(line.value()?.into()),
            "--theme" => config.pictures.is_dark = line.parsed(Wanted::Theme, is_dark)?,
            "--only" => grade.only.push(line.parsed(Wanted::Check, |it| Some(it.to_owned()))?),
            "--list" => grade.list = true,
            "--verbose" | "-v" => grade.verbose = true,
            "--seed" => grade.seed = Some(line.parsed(Wanted::Count, args::digits)?),
            "--time" => grade.time = Some(line.parsed(Wanted::CheckTime, check_time)?),
            "--root" => grade.root = Some(line.value()?.into()),
            "--format" => grade.format = Some(line.parsed(Wanted::Format, format)?),
            _ => {
                let is_script = flag == "--completions";
                match shared.read(flag, &mut line, "connme-client", &usage)? {
                    // A file for it may follow.
                    text @ Some(_) if is_script => completions = text,
                    Some(text) => return Ok(Parsed::Print(text)),
                    None => {}
                }
            }
        }
    }
    let command = config.command.first().map(|word| word.to_string_lossy().into_owned());
    check_use(&flags, command.as_deref())?;
    config.named = server.is_some();
    let (host, port) = server.unwrap_or_else(|| (limits::TCP_IP.to_owned(), None));
    config.has_port = port.is_some();
    config.port = port.unwrap_or(config.dialect.port());
    let capture = shared.capture()?;
    check_files(&config.pictures, capture.as_ref())?;
    let to_errors = capture.as_ref().is_some_and(capture::Settings::takes_output);
    let Shared { buffer, trace, faults, lang, .. } = shared;
    let config = Config { host, buffer, trace, lang, to_errors, ..config };
    Ok(Parsed::Run(CommandLine { config, faults, capture, completions, grade }))
}

/// Finds a flag that would do nothing. Without a command there is a prompt, which takes all of them but `grade`.
fn check_use(flags: &[String], command: Option<&str>) -> Result<(), Wrong> {
    let is_used = |user: &str| {
        let is_command = command.map_or(user != "grade" && !user.starts_with('-'), |it| it == user);
        is_command || flags.iter().any(|flag| flag == user)
    };
    for flag in flags {
        let users = ONLY_FOR.iter().find(|(known, _)| known == flag).map(|(_, users)| *users);
        if let Some(users) = users.filter(|users| !users.split(' ').any(is_used)) {
            return Err(Msg::FlagIsFor { flag: flag.clone(), users });
        }
        let others = NOT_FOR.iter().find(|(known, _)| known == flag).map(|(_, others)| *others);
        if let (Some(others), Some(command)) = (others, command)
            && others.split(' ').any(|other| other == command)
        {
            let (flag, command) = (flag.clone(), command.to_owned());
            return Err(Msg::FlagIsNotFor { flag, command });
        }
    }
    Ok(())
}

/// Finds a file that two flags would write to.
fn check_files(pictures: &Pictures, capture: Option<&capture::Settings>) -> Result<(), Wrong> {
    let capture = capture.filter(|it| !it.takes_output()).map(|it| &it.file);
    let Pictures { ladder, svg, .. } = pictures;
    for (flag, one, other, two) in [
        ("--ladder", ladder.as_ref(), "--svg", svg.as_ref()),
        ("--ladder", ladder.as_ref(), "--capture", capture),
        ("--svg", svg.as_ref(), "--capture", capture),
    ] {
        if let (Some(one), Some(two)) = (one, two)
            && (one == two || absolute(one).ok() == absolute(two).ok())
        {
            return Err(Msg::SameFile { flag, other });
        }
    }
    Ok(())
}

/// Seconds, with decimals, up to a minute.
fn check_time(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = text.parse().ok().filter(|_| is_plain)?;
    (0.1..=60.0).contains(&seconds).then_some(seconds)
}

/// Whether a theme is the dark one.
fn is_dark(text: &str) -> Option<bool> {
    match text {
        "light" => Some(false),
        "dark" => Some(true),
        _ => None,
    }
}

fn format(text: &str) -> Option<String> {
    FORMATS.split(' ').any(|known| known == text).then(|| text.to_owned())
}

/// The shortest command line that reaches a server. An IPv6 host has its brackets.
#[must_use]
pub fn reaching(host: &str, port: u16, dialect: Dialect) -> String {
    let port = if port == dialect.port() { String::new() } else { format!(":{port}") };
    let dialect = match dialect {
        Dialect::Text => String::new(),
        other => format!(" --dialect {}", other.name()),
    };
    format!("connme-client --server {host}{port}{dialect}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn run(line: &str) -> Config {
        match parse(line.split_whitespace().map(Into::into), Lang::En).unwrap() {
            Parsed::Run(line) => line.config,
            Parsed::Print(text) => panic!("{text}"),
        }
    }

    #[test]
    fn flags_may_be_anywhere_before_two_dashes() {
        let config = run("-s host:99 upload -q a --downloads=d -- --yes");
        assert_eq!((config.host.as_str(), config.port), ("host", 99));
        assert_eq!(config.command, ["upload", "a", "--yes"]);
        assert_eq!(config.downloads, PathBuf::from("d"));
        assert!(config.quiet && !config.yes);
    }

    #[test]
    fn pictures_have_files_and_a_theme() {
        let pictures = run("demo --ladder a.svg --svg=b.svg --theme dark").pictures;
        let (ladder, svg) = (Some("a.svg".into()), Some("b.svg".into()));
        assert_eq!(pictures, Pictures { ladder, svg, is_dark: true });
        assert!(!run("demo --svg b --theme light").pictures.is_dark);
        let wrong = parse(["--theme".into(), "Dark".into()], Lang::En).unwrap_err();
        assert_eq!(wrong.say(Lang::En), "--theme takes light or dark, not 'Dark'");
    }

    #[test]
    fn a_flag_that_would_do_nothing_is_refused() {
        let wrong = |line: &str| {
            let parsed = parse(line.split_whitespace().map(Into::into), Lang::En);
            parsed.err().map(|wrong| wrong.say(Lang::En))
        };
        for (line, users) in [
            ("--json ls", "compare"),
            ("--svg a.svg ls", "compare or demo"),
            ("--theme dark demo", "--ladder or --svg"),
            ("--output a ls", "grade or dissector or --completions"),
            ("--list", "grade"),
            ("-v ls", "grade"),
            ("--capture-bytes 5 ls", "--capture"),
        ] {
            let flag = line.split(' ').next().unwrap();
            assert_eq!(wrong(line), Some(format!("{flag} is for {users}")));
        }
        for (line, flags) in [
            ("demo --ladder a --svg a", "--ladder and --svg"),
            ("ls --ladder ./a --capture a", "--ladder and --capture"),
            ("compare f --svg b/a --capture=b/./a", "--svg and --capture"),
        ] {
            assert_eq!(wrong(line), Some(format!("{flags} need two different files")));
        }
        assert_eq!(wrong("-t lesson 1").unwrap(), "-t does nothing for lesson");
        assert_eq!(wrong("--stammer cut=1 demo").unwrap(), "--stammer does nothing for demo");
        for line in [
            "-t demo",
            "--json",
            "--json compare f",
            "--step",
            "grade -v",
            "--capture-bytes 5 --capture f ls",
            "demo --ladder a --svg b --capture c",
            "demo --ladder - --capture -",
        ] {
            assert_eq!(wrong(line), None, "{line}");
        }
    }

    #[test]
    fn a_line_that_reaches_a_server_is_as_short_as_it_can_be() {
        for (port, dialect) in [(1234, "text"), (99, "text"), (31000, "json"), (99, "count")] {
            let line = reaching("[::1]", port, Dialect::named(dialect).unwrap());
            let config = run(line.strip_prefix("connme-client ").unwrap());
            assert_eq!((config.host.as_str(), config.port), ("::1", port));
            assert_eq!(config.dialect.name(), dialect);
        }
        let line = reaching("192.168.1.20", 1234, Dialect::Text);
        assert_eq!(line, "connme-client --server 192.168.1.20");
    }

    #[test]
    fn the_port_is_the_dialects() {
        let config = run("-s [::1]");
        assert_eq!((config.host.as_str(), config.port), ("::1", 1234));
    }
}
