//! The command line of `connme-client`.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{Arg, Args, Lone, Parsed, Wrong};
use crate::dialect::Dialect;
use crate::lang::Msg;
use crate::limits;

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
    /// One command and its arguments; none is the prompt.
    pub command: Vec<OsString>,
}

const USAGE: &str = "\
connme-client: moves files to and from a connme server

usage: connme-client [FLAG]... [COMMAND [ARG]...]

  connme                      test the connection
  ls [FOLDER]                 list the files on the server
  size NAME...                say how large files are
  upload PATH...              send files; 'upload PATH as NAME' stores under another name
  download NAME...            fetch files; 'download NAME as OTHER' keeps under another name
  rm NAME...                  remove files from the server
  count TEXT                  have the characters of a text counted
  lls                         list the files here that could be sent
Without a COMMAND: a prompt, which takes these and help, byebye, exit.

  -s, --server HOST[:PORT]    the server (default 127.0.0.1:1234)
  -d, --dialect NAME          what it speaks: text (default), struct, filesaver, json, count
  -o, --downloads DIR         where received files go (default downloads)
  -y, --yes                   remove without a question
  -q, --quiet                 say only results and failures
      --buffer SIZE           the size of one read from the socket, 1 byte to 16M
  -h, --help, -V, --version   and -- ends the flags

Results go to standard output, talk to standard error. 'ls' prints a line a file: kind, size, name.
Exit status: 0, or 1 if anything failed, or 2 for wrong use.

  connme-client upload report.pdf
  connme-client --server 192.168.1.20 ls | awk '{ print $2 }'
";

/// Reads a command line, without the program's name.
///
/// # Errors
/// What is wrong with it.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Parsed<Config>, Wrong> {
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
            "--server" | "-s" => server = args.parsed("HOST[:PORT]", address)?,
            "--dialect" | "-d" => {
                config.dialect = args.parsed(DIALECTS, super::dialect)?;
            }
            "--downloads" | "-o" => config.downloads = args.value()?.into(),
            "--yes" | "-y" => config.yes = true,
            "--quiet" | "-q" => config.quiet = true,
            "--buffer" => {
                config.buffer = Some(args.parsed("a size from 1 to 16M", super::buffer)?);
            }
            "--help" | "-h" => return Ok(Parsed::Print(USAGE.to_owned())),
            "--version" | "-V" => return Ok(Parsed::Print(super::version("connme-client"))),
            _ => return Err(Msg::UnknownFlag { flag }),
        }
    }
    config.host = server.0.unwrap_or_else(|| limits::TCP_IP.to_owned());
    config.port = server.1.unwrap_or(config.dialect.port());
    Ok(Parsed::Run(config))
}

const DIALECTS: &str = "text, struct, filesaver, json or count";

fn address(text: &str) -> Option<(Option<String>, Option<u16>)> {
    super::host_and_port(text, Lone::Host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Config {
        match parse(line.split_whitespace().map(Into::into)).unwrap() {
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
    fn the_port_is_the_dialects() {
        let config = run("-s [::1]");
        assert_eq!((config.host.as_str(), config.port), ("::1", 1234));
    }
}
