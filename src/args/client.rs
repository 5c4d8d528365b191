//! The command line of `connme-client`.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{Arg, Args, Lone, Parsed, Wrong};
use crate::dialect::Dialect;
use crate::lang::{Lang, Msg, Wanted};
use crate::limits;
use crate::stammer::Faults;

/// What a client is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The server's host, as a name or a number.
    pub host: String,
    /// The server's port.
    pub port: u16,
    /// What is spoken.
    pub dialect: Dialect,
    /// Where received files go.
    pub downloads: PathBuf,
    /// Remove without a question.
    pub yes: bool,
    /// Say only results and failures.
    pub quiet: bool,
    /// The size of every read, if the user wants one.
    pub buffer: Option<usize>,
    /// The user has named a server.
    pub named: bool,
    /// The user has given the server's port.
    pub has_port: bool,
    /// Show every read and write.
    pub trace: bool,
    /// What goes wrong with what is said.
    pub faults: Option<Faults>,
    /// Figures for programs.
    pub json: bool,
    /// The language for people.
    pub lang: Lang,
    /// One command and its arguments; none is the prompt.
    pub command: Vec<OsString>,
}

/// Reads a command line, without the program's name.
///
/// # Errors
/// What is wrong with it.
pub fn parse(
    words: impl IntoIterator<Item = OsString>,
    lang: Lang,
) -> Result<Parsed<Config>, Wrong> {
    let mut args = Args::new(words);
    let mut server = (None, None);
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
        trace: false,
        faults: None,
        json: false,
        lang,
        command: Vec::new(),
    };
    while let Some(arg) = args.next()? {
        let flag = match arg {
            Arg::Flag(flag) => flag,
            Arg::Word(word) => {
                config.command.push(word);
                continue;
            }
        };
        match flag.as_str() {
            "--server" | "-s" => {
                server = args.parsed(Wanted::Server, address)?;
                config.named = true;
            }
            "--trace" | "-t" => config.trace = true,
            "--stammer" => config.faults = Some(args.parsed(Wanted::Faults, Faults::parse)?),
            "--json" => config.json = true,
            "--dialect" | "-d" => {
                config.dialect = args.parsed(Wanted::Dialect, super::dialect)?;
            }
            "--downloads" | "-o" => config.downloads = args.value()?.into(),
            "--yes" | "-y" => config.yes = true,
            "--quiet" | "-q" => config.quiet = true,
            "--buffer" => {
                config.buffer = Some(args.parsed(Wanted::Buffer, super::buffer)?);
            }
            "--lang" => config.lang = args.parsed(Wanted::Language, Lang::named)?,
            "--completions" => {
                let usage = Msg::ClientUsage.say(lang);
                let script =
                    |shell: &str| super::completions::script(shell, "connme-client", &usage);
                return args.parsed(Wanted::Shell, script).map(Parsed::Print);
            }
            "--help" | "-h" => return Ok(Parsed::Print(Msg::ClientUsage.say(lang))),
            "--version" | "-V" => return Ok(Parsed::Print(super::version("connme-client"))),
            _ => return Err(Msg::UnknownFlag { flag }),
        }
    }
    config.host = server.0.unwrap_or_else(|| limits::TCP_IP.to_owned());
    config.has_port = server.1.is_some();
    config.port = server.1.unwrap_or(config.dialect.port());
    Ok(Parsed::Run(config))
}

/// The command line that reaches a server. An IPv6 host has its brackets.
#[must_use]
pub fn reaching(host: &str, port: u16, dialect: Dialect) -> String {
    let port = if port == dialect.port() { String::new() } else { format!(":{port}") };
    let dialect = match dialect {
        Dialect::Text => String::new(),
        other => format!(" --dialect {}", other.name()),
    };
    format!("connme-client --server {host}{port}{dialect}")
}

fn address(text: &str) -> Option<(Option<String>, Option<u16>)> {
    super::host_and_port(text, Lone::Host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Config {
        match parse(line.split_whitespace().map(Into::into), Lang::En).unwrap() {
            Parsed::Run(config) => config,
            Parsed::Print(text) => panic!("{text}"),
        }
    }

    #[test]
    fn flags_may_stand_anywhere_before_two_dashes() {
        let config = run("-s host:99 upload -q a --downloads=d -- --yes");
        assert_eq!((config.host.as_str(), config.port), ("host", 99));
        assert_eq!(config.command, ["upload", "a", "--yes"]);
        assert_eq!(config.downloads, PathBuf::from("d"));
        assert!(config.quiet && !config.yes);
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
