//! The command line of `connme-client`.

use std::ffi::OsString;

use super::args::{self, Arg, Args, DIALECT, SERVER, Shared, THEME, Wanted};
use super::{InstrumentFlags, Parsed, Picture, Wrong};
use crate::client::Config;
use crate::client::command;
use crate::dialect::Dialect;
use crate::lang::{Lang, client_help, client_usage, help_on};
use crate::limits;

/// What the user asks of the client, and what is put between its wires and their sockets.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandLine {
    /// The client's configuration.
    pub config: Config,
    /// The instruments.
    pub instruments: InstrumentFlags,
    /// The picture of every connection.
    pub ladder: Picture,
}

const RETRIES: Wanted = ("a number from 0 on", "bilangan mulai dari 0");

/// Reads a command line, without the program's name.
///
/// # Errors
/// What is wrong with it.
pub fn parse(
    words: impl IntoIterator<Item = OsString>,
    lang: Lang,
) -> Result<Parsed<CommandLine>, Wrong> {
    let usage = client_usage().say(lang);
    let mut line = Args::new(words);
    let mut shared = Shared { lang, ..Shared::default() };
    let (mut server, mut ladder) = (None, Picture::default());
    let mut config = Config::new(lang);
    while let Some(arg) = line.next()? {
        let flag = match arg {
            Arg::Flag(flag) => flag,
            Arg::Word(word) => {
                match args::lone_port(&word) {
                    // `connme-client 2234`
                    Some(port) if config.command.is_empty() && server.is_none() => {
                        server = Some((None, Some(port)));
                    }
                    _ => config.command.push(word),
                }
                continue;
            }
        };
        match flag.as_str() {
            "--help" | "-h" => {
                let help = command_of(&config).map_or_else(client_help, help_on);
                return Ok(Parsed::Print(help.say(shared.lang)));
            }
            "--server" | "-s" => server = Some(line.parsed(SERVER, args::address)?),
            "--dialect" | "-d" => config.dialect = line.parsed(DIALECT, Dialect::named)?,
            "--downloads" | "-o" => config.downloads = line.value()?.into(),
            "--yes" | "-y" => config.yes = true,
            "--quiet" | "-q" => config.quiet = true,
            "--in-step" => config.in_step = true,
            "--verify" => config.verify = true,
            "--no-resume" => config.resume = false,
            "--retry" => {
                let retries = |text: &str| args::digits(text)?.try_into().ok();
                config.retry = line.parsed(RETRIES, retries)?;
            }
            "--recursive" | "-r" => config.recursive = true,
            "--ladder" => ladder.file = Some(line.value()?.into()),
            "--theme" => ladder.is_dark = line.parsed(THEME, args::is_dark)?,
            _ => {
                if let Some(text) = shared.read(&flag, &mut line, "connme-client", &usage)? {
                    return Ok(Parsed::Print(text));
                }
            }
        }
    }
    if ladder.is_dark && ladder.file.is_none() {
        return Err(args::flag_is_for("--theme", "--ladder"));
    }
    let (host, port) = server.unwrap_or_default();
    let host = host.unwrap_or_else(|| limits::TCP_IP.to_owned());
    config.port = port.unwrap_or(config.dialect.port());
    let Shared { buffer, instruments, lang } = shared;
    instruments.check(ladder.file.is_some())?;
    let (trace, to_errors) = (instruments.trace, instruments.capture_takes_output());
    let config = Config { host, buffer, trace, lang, to_errors, ..config };
    Ok(Parsed::Run(CommandLine { config, instruments, ladder }))
}

/// The command that was named.
fn command_of(config: &Config) -> Option<&'static str> {
    let word = config.command.first()?.to_string_lossy();
    command::find(&word).map(|command| command.word)
}

/// The shortest command line by which a program reaches a server. An IPv6 host has its brackets.
pub fn reaching(program: &str, host: &str, port: u16, dialect: Dialect) -> String {
    let port = if port == dialect.port() { String::new() } else { format!(":{port}") };
    let dialect = match dialect {
        Dialect::Text => String::new(),
        other => format!(" --dialect {}", other.name()),
    };
    format!("{program} --server {host}{port}{dialect}")
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
    fn a_flag_that_would_do_nothing_is_refused() {
        let wrong = |line: &str| {
            let parsed = parse(line.split_whitespace().map(Into::into), Lang::En);
            parsed.err().map(|wrong| wrong.say(Lang::En))
        };
        for (line, said) in [
            ("--theme dark ls", "--theme is for --ladder"),
            ("--theme Dark --ladder a", "--theme takes light or dark, not 'Dark'"),
            ("--capture-bytes 5 ls", "--capture-bytes is for --capture"),
        ] {
            assert_eq!(wrong(line), Some(format!("{said}; see --help")), "{line}");
        }
        for line in ["-t ls", "--capture-bytes 5 --capture f ls", "ls --ladder a --theme dark"] {
            assert_eq!(wrong(line), None, "{line}");
        }
    }

    #[test]
    fn a_line_that_reaches_a_server_is_as_short_as_it_can_be() {
        for (port, dialect) in [(1234, "text"), (99, "text"), (31000, "json"), (99, "count")] {
            let line = reaching("connme-client", "[::1]", port, Dialect::named(dialect).unwrap());
            let config = run(line.strip_prefix("connme-client ").unwrap());
            assert_eq!((config.host.as_str(), config.port), ("::1", port));
            assert_eq!(config.dialect.name(), dialect);
        }
        let line = reaching("connme-client", "192.168.1.20", 1234, Dialect::Text);
        assert_eq!(line, "connme-client --server 192.168.1.20");
    }

    #[test]
    fn a_port_alone_is_a_port() {
        for line in ["2234", "--server 2234", "2234 ls"] {
            let config = run(line);
            assert_eq!((config.host.as_str(), config.port), ("127.0.0.1", 2234), "{line}");
            assert_eq!(config.command.len(), usize::from(line.ends_with("ls")));
        }
        assert_eq!(run("-s h size 2234").command, ["size", "2234"]);
    }

    #[test]
    fn an_unknown_flag_gets_a_suggestion() {
        let said = |line: &str| {
            let parsed = parse(line.split_whitespace().map(Into::into), Lang::En);
            parsed.err().map(|wrong| wrong.say(Lang::En)).unwrap()
        };
        for (line, end) in [
            ("--port 1", "'--port'; did you mean --server HOST[:PORT]?"),
            ("--sever h", "'--sever'; did you mean --server HOST[:PORT]?"),
            ("--qiet", "'--qiet'; did you mean --quiet?"),
            ("--nonsense", "'--nonsense'; see --help"),
        ] {
            assert_eq!(said(line), format!("unexpected argument {end}"));
        }
    }

    #[test]
    fn the_port_is_the_dialects() {
        let config = run("-s [::1]");
        assert_eq!((config.host.as_str(), config.port), ("::1", 1234));
    }
}
