//! `connme-server`: reads its flags, opens the folder and the ports, and serves.

use std::io::Write;
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;

use connme::cli::client::reaching;
use connme::cli::server::{Config, Listen, parse};
use connme::cli::{self, Parsed};
use connme::client::terminal;
use connme::dialect::Dialect;
use connme::error::Error;
use connme::lang::{self, Msg};
use connme::lecture::Instruments;
use connme::lecture::capture::{Capture, Settings};
use connme::lecture::trace::{Output, Side};
use connme::log::Log;
use connme::server::{ConnectionLimits, Server, address};
use connme::store::Store;
use connme::wire::WireConfig;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let lang = cli::language(&words, |name| std::env::var(name).ok());
    match parse(words, lang) {
        Ok(Parsed::Print(text)) => say(&text),
        Err(wrong) => complain(&format!("{}; {}", wrong.say(lang), Msg::TryHelp.say(lang)), 2),
        Ok(Parsed::Run(config)) => match run(config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(wrong) => complain(&wrong.say(lang), 1),
        },
    }
}

/// The system's words on what the user can do something about.
fn why(error: &Error) -> String {
    error.cause().to_owned()
}

fn run(config: Config) -> Result<(), Msg> {
    let log = Log::open(config.log.as_deref(), config.lang)
        .map_err(|error| Msg::CannotUseLog { why: why(&error) })?;
    let served = serve(config, &log);
    log.flush();
    served
}

fn serve(config: Config, log: &Log) -> Result<(), Msg> {
    // Ports before the folder: a second server by mistake then leaves no trace in it.
    let listeners = config.listen.iter().map(bind).collect::<Result<Vec<_>, _>>()?;
    let output_is_taken = config.capture.as_ref().is_some_and(Settings::takes_output);
    let (to, lang) = (log.clone(), config.lang);
    let capture = Capture::start(config.capture.as_ref(), move |msg| to.line(msg.say(lang)))?;
    let is_new = !config.root.exists();
    let store = Store::open(&config.root, config.store, log)
        .map_err(|error| Msg::CannotUseRoot { why: why(&error) })?;
    let tell = |msg: Msg| {
        let text = format!("{}\n", msg.say(config.lang));
        if output_is_taken {
            return log.trace(&text);
        }
        say(&text);
    };
    let of = |l: &TcpListener| l.local_addr().unwrap_or_else(|_| ([0, 0, 0, 0], 0).into());
    for (dialect, listener) in &listeners {
        let address = of(listener).to_string();
        tell(Msg::Listening { address, dialect: dialect.name() });
    }
    for (dialect, at) in listeners.iter().map(|(d, l)| (*d, of(l))) {
        if !at.ip().is_loopback() {
            let host = address::for_others(at.ip());
            tell(Msg::TypeElsewhere {
                host_is_known: host.is_some(),
                command: reaching(host.as_deref().unwrap_or("HOST"), at.port(), dialect),
            });
        }
    }
    let root = std::path::absolute(&config.root).unwrap_or(config.root);
    tell(Msg::Root { path: root.display().to_string(), is_new });
    tell(Msg::Waiting);
    let traced = log.clone();
    let print = Arc::new(move |line: &str| traced.trace(line));
    let trace =
        config.trace.then(|| Output { columns: terminal::columns(&std::io::stderr()), print });
    let faults = config.faults;
    let instruments = Instruments { trace, faults, capture, ..Instruments::default() };
    let wires = WireConfig { idle: config.idle_timeout, ..WireConfig::default() };
    let wires = wires.with_buffer(config.buffer);
    let limits =
        ConnectionLimits { all: config.max_connections, per_address: config.max_per_address };
    let prepare = instruments.prepare(Side::Server);
    let server = Server::new(store, log.clone(), wires, limits, prepare);
    server.with_proxy_line(config.proxy_protocol).run(listeners);
    Ok(())
}

fn bind(listen: &Listen) -> Result<(Dialect, TcpListener), Msg> {
    let Listen { dialect, host, port } = listen;
    let at = lang::address(host, *port);
    match TcpListener::bind((host.as_str(), *port)) {
        Ok(listener) => Ok((*dialect, listener)),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Err(Msg::PortTaken { address: at })
        }
        Err(error) => Err(Msg::CannotListen { address: at, why: error.to_string() }),
    }
}

/// A closed standard output does not keep a server from serving.
fn say(text: &str) -> ExitCode {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    ExitCode::SUCCESS
}

fn complain(text: &str, status: u8) -> ExitCode {
    let _ = std::io::stderr().write_all(format!("connme-server: {text}\n").as_bytes());
    ExitCode::from(status)
}
