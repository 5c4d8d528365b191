//! The command line of `connme-server`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::args::{self, Arg, Args, COUNT, SIZE, Shared, Wanted, count, size};
use super::{InstrumentFlags, Parsed, Wrong};
use crate::dialect::Dialect;
use crate::lang::{Lang, server_usage};
use crate::limits;
use crate::store;

const LISTEN: Wanted = ("[DIALECT=][HOST:]PORT", "[DIALEK=][HOST:]PORT");
const HOST: Wanted =
    ("a host name or an address, without a port", "nama host atau alamat, tanpa port");
const SECONDS: Wanted = ("seconds, from 1 to 31536000", "detik, dari 1 sampai 31536000");

/// The configuration of a server.
#[derive(Clone, Debug)]
pub struct Config {
    /// The addresses to listen on, and the dialect of each.
    pub listen: Vec<Listen>,
    /// The folder with the files.
    pub root: PathBuf,
    /// What clients may do with them.
    pub store: store::Options,
    /// The most connections at one time.
    pub max_connections: usize,
    /// The most connections at one time from one address.
    pub max_per_address: usize,
    /// Every connection begins with the PROXY line of a load balancer.
    pub proxy_protocol: bool,
    /// How long a connection may be silent.
    pub idle_timeout: Duration,
    /// The size of every read, if the user chose one.
    pub buffer: Option<usize>,
    /// A file for the log lines, in addition to standard error.
    pub log: Option<PathBuf>,
    /// What is put between its wires and their sockets.
    pub instruments: InstrumentFlags,
    /// The language of all messages.
    pub lang: Lang,
}

/// One address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The dialect.
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
            store: store::Options::default(),
            max_connections: limits::MAX_CONNECTIONS,
            max_per_address: limits::MAX_PER_ADDRESS,
            proxy_protocol: false,
            idle_timeout: Duration::from_secs(limits::IDLE_TIMEOUT),
            buffer: None,
            log: None,
            instruments: InstrumentFlags::default(),
            lang: Lang::default(),
        }
    }
}

/// Reads a command line, without the program's name.
///
/// # Errors
/// What is wrong with it.
pub fn parse(
    words: impl IntoIterator<Item = OsString>,
    lang: Lang,
) -> Result<Parsed<Config>, Wrong> {
    let usage = server_usage().say(lang);
    let mut line = Args::new(words);
    let mut shared = Shared { lang, ..Shared::default() };
    let mut config = Config::default();
    let mut host = limits::TCP_IP.to_owned();
    let mut asked = Vec::new();
    while let Some(arg) = line.next()? {
        let flag = match arg {
            Arg::Flag(flag) => flag,
            Arg::Word(word) => {
                if let Some(port) = args::lone_port(&word) {
                    asked.push((Dialect::Text, None, Some(port)));
                    continue;
                }
                return Err(args::unexpected(&word.to_string_lossy()));
            }
        };
        let store = &mut config.store;
        match flag.as_str() {
            "--listen" | "-l" => asked.push(line.parsed(LISTEN, listen)?),
            "--all" => asked.extend(Dialect::ALL.map(|dialect| (dialect, None, None))),
            "--host" => host = line.parsed(HOST, lone_host)?,
            "--root" | "-r" => config.root = line.value()?.into(),
            "--read-only" => store.read_only = true,
            "--fsync" => store.fsync = true,
            "--max-connections" => config.max_connections = line.parsed(COUNT, count)?,
            "--max-per-address" => config.max_per_address = line.parsed(COUNT, count)?,
            "--max-file-size" => store.max_file_size = Some(line.parsed(SIZE, size)?),
            "--max-total-size" => store.max_total_size = Some(line.parsed(SIZE, size)?),
            "--proxy-protocol" => config.proxy_protocol = true,
            "--idle-timeout" => config.idle_timeout = line.parsed(SECONDS, seconds)?,
            "--log" => config.log = Some(line.value()?.into()),
            _ => {
                if let Some(text) = shared.read(&flag, &mut line, "connme-server", &usage)? {
                    return Ok(Parsed::Print(text));
                }
            }
        }
    }
    if asked.is_empty() {
        asked.push((Dialect::Text, None, None));
    }
    // `--host` may follow the flags that it is for.
    let whole = |(dialect, own, port): Asked| Listen {
        dialect,
        host: own.unwrap_or_else(|| host.clone()),
        port: port.unwrap_or(dialect.port()),
    };
    let listen = asked.into_iter().map(whole).collect();
    let Shared { buffer, instruments, lang } = shared;
    instruments.check(false)?;
    Ok(Parsed::Run(Config { listen, buffer, instruments, lang, ..config }))
}

/// A dialect, and the host and the port for it if the user has given them.
type Asked = (Dialect, Option<String>, Option<u16>);

/// `DIALECT`, or `[DIALECT=][HOST:]PORT`, or `[DIALECT=]HOST`.
fn listen(text: &str) -> Option<Asked> {
    if let Some(dialect) = Dialect::named(text) {
        return Some((dialect, None, None));
    }
    let (name, address) = text.split_once('=').unwrap_or(("text", text));
    let (host, port) = args::address(address)?;
    Some((Dialect::named(name)?, host, port))
}

/// A host without a port. So an IPv6 address, which has at least two colons, needs no brackets.
fn lone_host(text: &str) -> Option<String> {
    let is_bare = text.matches(':').count() > 1 && !text.starts_with('[');
    let text = if is_bare { format!("[{text}]") } else { text.to_owned() };
    let (host, port) = args::address(&text)?;
    host.filter(|_| port.is_none())
}

/// At most a year, so that no clock overflows.
fn seconds(text: &str) -> Option<Duration> {
    let seconds = args::digits(text).filter(|seconds| (1..=31_536_000).contains(seconds))?;
    Some(Duration::from_secs(seconds))
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
    fn the_defaults_are_the_assignments() {
        let config = run("");
        let text = Listen { dialect: Dialect::Text, host: "127.0.0.1".into(), port: 1234 };
        assert_eq!(config.listen, [text]);
        assert_eq!(config.root, PathBuf::from("uploads"));
        assert_eq!((config.max_connections, config.buffer), (256, None));
        assert!(!config.proxy_protocol);
    }

    #[test]
    fn what_is_not_given_of_an_address_is_the_dialects_and_the_hosts() {
        let hosts = |line: &str| -> Vec<String> {
            let listen = run(line).listen.into_iter();
            listen.map(|l| format!("{} {} {}", l.dialect.name(), l.host, l.port)).collect()
        };
        assert_eq!(hosts("--listen 0.0.0.0"), ["text 0.0.0.0 1234"]);
        assert_eq!(hosts("--listen json=0.0.0.0"), ["json 0.0.0.0 31000"]);
        assert_eq!(hosts("--listen json=[::]"), ["json :: 31000"]);
        assert_eq!(hosts("2234"), ["text 127.0.0.1 2234"]);
        assert_eq!(hosts("--listen count"), ["count 127.0.0.1 12345"]);
        assert_eq!(hosts("--host 0.0.0.0"), ["text 0.0.0.0 1234"]);
        assert_eq!(hosts("--host [::]"), ["text :: 1234"]);
        assert_eq!(hosts("--listen 9 --listen json=h:9 --host ::"), ["text :: 9", "json h 9"]);
        let all = ["text", "struct", "filesaver", "json", "count"]
            .map(|name| Dialect::named(name).unwrap())
            .map(|dialect| format!("{} 0.0.0.0 {}", dialect.name(), dialect.port()));
        assert_eq!(hosts("--host 0.0.0.0 --all"), all);
        assert_eq!(hosts("--all --host 0.0.0.0"), all);
        for wrong in ["", "0.0.0.0:80", "[::", "[::]:80", "a b", "[host]"] {
            assert!(parse(["--host".into(), wrong.into()], Lang::En).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_to_listen_on_may_name_a_dialect() {
        let some = |host: Option<&str>, port| Some((Dialect::Text, host.map(str::to_owned), port));
        assert_eq!(listen("1234"), some(None, Some(1234)));
        assert_eq!(listen("text=0"), some(None, Some(0)));
        assert_eq!(listen("text=host:0"), some(Some("host"), Some(0)));
        assert_eq!(listen("[::1]"), some(Some("::1"), None));
        for wrong in ["+1", "", "text=", "=1", "morse=1"] {
            assert_eq!(listen(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_flag_is_read() {
        let config =
            run("--listen text=[::1]:0 -l 99 --root=x --read-only --max-connections 3 --log l \
             --max-file-size 5k --max-total-size=1M --idle-timeout 9 --fsync --buffer 1 \
             --proxy-protocol --capture c.pcap --capture-bytes 64");
        let hosts: Vec<_> = config.listen.iter().map(|l| (l.host.as_str(), l.port)).collect();
        assert_eq!(hosts, [("::1", 0), ("127.0.0.1", 99)]);
        assert_eq!(config.root, PathBuf::from("x"));
        assert!(config.store.read_only && config.store.fsync && config.proxy_protocol);
        assert_eq!(config.store.max_file_size, Some(5_000));
        assert_eq!(config.store.max_total_size, Some(1_000_000));
        assert_eq!(config.idle_timeout, Duration::from_secs(9));
        assert_eq!((config.max_connections, config.buffer), (3, Some(1)));
        assert_eq!(config.log, Some("l".into()));
        let InstrumentFlags { capture, capture_bytes, .. } = config.instruments;
        assert_eq!((capture, capture_bytes), (Some("c.pcap".into()), Some(64)));
    }
}
