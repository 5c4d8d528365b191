//! The command line of `connme-server`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::{Arg, Args, Lone, Parsed, Wrong};
use crate::dialect::Dialect;
use crate::lang::Msg;
use crate::limits;
use crate::store;

/// What a server is to do.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen, and which dialect to speak there.
    pub listen: Vec<Listen>,
    /// The folder with the files.
    pub root: PathBuf,
    /// What may happen to them.
    pub store: store::Options,
    /// Connections at once.
    pub max_connections: usize,
    /// Silence that ends a connection.
    pub idle_timeout: Duration,
    /// The size of every read, if the user wants one.
    pub buffer: Option<usize>,
    /// A file for the log lines, beside standard error.
    pub log: Option<PathBuf>,
}

/// One address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// What is spoken there.
    pub dialect: Dialect,
    /// The host, as a name or a number.
    pub host: String,
    /// The port; 0 is any free one.
    pub port: u16,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: Vec::new(),
            root: limits::UPLOAD_FOLDER.into(),
            store: store::Options { identities: true, ..store::Options::default() },
            max_connections: limits::MAX_CONNECTIONS,
            idle_timeout: Duration::from_secs(limits::IDLE_TIMEOUT),
            buffer: None,
            log: None,
        }
    }
}

const USAGE: &str = "\
connme-server: serves the files of one folder over TCP

usage: connme-server [--listen [DIALECT=][HOST:]PORT]... [--all] [FLAG]...

  --listen [DIALECT=][HOST:]PORT
                         where to listen (default text=127.0.0.1:1234); may be given often;
                         port 0 takes a free one; an IPv6 host stands in brackets;
                         DIALECT is text, struct, filesaver, json or count
  --all                  every dialect at its own port: text 1234, struct 1235, filesaver 5050,
                         json 31000, count 12345
  --root DIR             the folder with the files (default uploads)
  --read-only            nothing can be uploaded or removed
  --max-connections N    connections at once (default 256)
  --max-file-size SIZE   the largest file that is taken
  --max-total-size SIZE  the most that all files together may hold
  --idle-timeout SECONDS silence between commands that ends a connection (default 300)
  --fsync                what was confirmed survives a loss of power too
  --buffer SIZE          the size of one read from a socket, 1 byte to 16M (default 1024 for
                         commands, 524288 for files)
  --log FILE             append the log to FILE too
  --help, --version

SIZE is in bytes, or has a unit: 10k, 5M, 2G (thousands). The log goes to standard error.

  connme-server                                 files in ./uploads, on 127.0.0.1:1234
  connme-server --listen 0.0.0.0:1234 --read-only --root lecture
  connme-server --listen 0 --buffer 1           a free port; every read brings one byte
";

/// Reads a command line, without the program's name.
///
/// # Errors
/// What is wrong with it.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Parsed<Config>, Wrong> {
    let mut args = Args::new(words);
    let mut config = Config::default();
    while let Some(arg) = args.next()? {
        let flag = match arg {
            Arg::Flag(flag) => flag,
            Arg::Word(word) => {
                return Err(Msg::UnexpectedWord { word: word.to_string_lossy().into_owned() });
            }
        };
        match flag.as_str() {
            "--listen" | "-l" => config.listen.push(args.parsed("[DIALECT=][HOST:]PORT", listen)?),
            "--all" => config.listen.extend(Dialect::ALL.into_iter().map(at_home)),
            "--root" | "-r" => config.root = args.value()?.into(),
            "--read-only" => config.store.read_only = true,
            "--fsync" => config.store.fsync = true,
            "--max-connections" => {
                config.max_connections = args.parsed("a number from 1 on", super::count)?;
            }
            "--max-file-size" => {
                config.store.max_file_size = Some(args.parsed(A_SIZE, super::size)?);
            }
            "--max-total-size" => {
                config.store.max_total_size = Some(args.parsed(A_SIZE, super::size)?);
            }
            "--idle-timeout" => {
                let seconds = args.parsed("seconds, from 1 to 31536000", seconds)?;
                config.idle_timeout = Duration::from_secs(seconds);
            }
            "--buffer" => {
                config.buffer = Some(args.parsed("a size from 1 to 16M", super::buffer)?);
            }
            "--log" => config.log = Some(args.value()?.into()),
            "--help" | "-h" => return Ok(Parsed::Print(USAGE.to_owned())),
            "--version" | "-V" => return Ok(Parsed::Print(super::version("connme-server"))),
            _ => return Err(Msg::UnknownFlag { flag }),
        }
    }
    if config.listen.is_empty() {
        config.listen.push(at_home(Dialect::Text));
    }
    Ok(Parsed::Run(config))
}

const A_SIZE: &str = "a number of bytes, or one like 10k, 5M, 2G";

/// A dialect where it is expected.
fn at_home(dialect: Dialect) -> Listen {
    Listen { dialect, host: limits::TCP_IP.to_owned(), port: dialect.port() }
}

fn listen(text: &str) -> Option<Listen> {
    let (dialect, address) = match text.split_once('=') {
        Some((name, address)) => (super::dialect(name)?, address),
        None => (Dialect::Text, text),
    };
    let (host, port) = super::host_and_port(address, Lone::Port)?;
    let port = port.unwrap_or(dialect.port());
    Some(Listen { dialect, host: host.unwrap_or_else(|| limits::TCP_IP.to_owned()), port })
}

/// At most a year: a timeout that no clock overflows.
fn seconds(text: &str) -> Option<u64> {
    super::digits(text).filter(|seconds| (1..=31_536_000).contains(seconds))
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
    fn the_defaults_are_the_assignments() {
        let config = run("");
        let text = Listen { dialect: Dialect::Text, host: "127.0.0.1".into(), port: 1234 };
        assert_eq!(config.listen, [text]);
        assert_eq!(config.root, PathBuf::from("uploads"));
        assert_eq!((config.max_connections, config.buffer), (256, None));
    }

    #[test]
    fn every_flag_is_read() {
        let config =
            run("--listen text=[::1]:0 -l 99 --root=x --read-only --max-connections 3 --log l \
             --max-file-size 5k --max-total-size=1M --idle-timeout 9 --fsync --buffer 1");
        let hosts: Vec<_> = config.listen.iter().map(|l| (l.host.as_str(), l.port)).collect();
        assert_eq!(hosts, [("::1", 0), ("127.0.0.1", 99)]);
        assert_eq!(config.root, PathBuf::from("x"));
        assert!(config.store.read_only && config.store.fsync);
        assert_eq!(config.store.max_file_size, Some(5_000));
        assert_eq!(config.store.max_total_size, Some(1_000_000));
        assert_eq!(config.idle_timeout, Duration::from_secs(9));
        assert_eq!((config.max_connections, config.buffer), (3, Some(1)));
        assert_eq!(config.log, Some("l".into()));
    }
}
