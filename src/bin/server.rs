//! `connme-server`: reads its flags, opens the folder and the ports, and serves.

mod address;
mod start;

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;

use connme::cli::client::reaching;
use connme::cli::server::{Config, Listen, parse};
use connme::dialect::Dialect;
use connme::lab::lecture::capture::Capture;
use connme::lab::lecture::faults::Faults;
use connme::lab::lecture::trace::{Output, Side};
use connme::lab::lecture::{self, Instruments};
use connme::lang::{self, Msg, msg, text};
use connme::log::Log;
use connme::server::{ConnectionLimits, Server};
use connme::store::Store;
use connme::wire::WireConfig;
use start::Stop;

fn main() -> ExitCode {
    start::program("connme-server", parse, run)
}

fn run(config: Config) -> Result<ExitCode, Stop> {
    let faults = lecture::faults(&config.instruments).map_err(Stop::wrong_use)?;
    let log = Log::open(config.log.as_deref(), config.lang)
        .map_err(|error| text!("cannot-use-log", why = error.cause()))?;
    let served = serve(config, faults, &log);
    log.flush();
    served?;
    Ok(ExitCode::SUCCESS)
}

fn serve(config: Config, faults: Option<Faults>, log: &Log) -> Result<(), Msg> {
    // Ports before the folder: a second server by mistake then leaves no trace in it.
    let listeners = config.listen.iter().map(bind).collect::<Result<Vec<_>, _>>()?;
    let flags = &config.instruments;
    let output_is_taken = flags.capture_takes_output();
    let (to, lang) = (log.clone(), config.lang);
    let capture = Capture::start(flags, move |msg| to.line(msg.say(lang)))?;
    let is_new = !config.root.exists();
    let store = Store::open(&config.root, config.store, log)
        .map_err(|error| text!("cannot-use-root", why = error.cause()))?;
    let tell = |msg: Msg| {
        let text = format!("{}\n", msg.say(lang));
        if output_is_taken {
            return log.trace(&text);
        }
        // A closed standard output does not keep a server from serving.
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    };
    for (dialect, listener) in &listeners {
        tell(text!("listening", address = at(listener), dialect = dialect.name()));
    }
    tell_other_machines(&listeners, tell);
    let root = std::path::absolute(&config.root).unwrap_or(config.root);
    let created = if is_new { msg!(" (created)", " (folder baru dibuat)") } else { Msg::default() };
    tell(text!("files-are-in", root = root.display(), created));
    tell(text!("waiting"));
    let traced = log.clone();
    let print = Arc::new(move |line: &str| traced.trace(line));
    let trace = flags.trace.then(|| Output::new(print));
    let instruments =
        Instruments { trace, kernel: flags.kernel, faults, capture, ..Instruments::default() };
    let wires = WireConfig { idle: config.idle_timeout, ..WireConfig::default() };
    let wires = wires.with_buffer(config.buffer);
    let limits =
        ConnectionLimits { all: config.max_connections, per_address: config.max_per_address };
    let prepare = instruments.prepare(Side::Server);
    let mut server = Server::new(store, log.clone(), wires, limits, prepare);
    server.has_proxy_line = config.proxy_protocol;
    let address = listeners.first().map(|(_, first)| at(first).to_string()).unwrap_or_default();
    let served = server.run(listeners);
    served.map_err(|error| text!("cannot-listen", address, error = error.cause()))
}

/// Tells what users of other machines type, and what lets them in.
fn tell_other_machines(listeners: &[(Dialect, TcpListener)], tell: impl Fn(Msg)) {
    let mut ports = Vec::new();
    for (dialect, listener) in listeners {
        let at = at(listener);
        if !at.ip().is_loopback() {
            ports.push(at.port().to_string());
            let own = address::for_others(at.ip());
            let host = own.as_deref().unwrap_or("HOST");
            let command = reaching("connme-client", host, at.port(), *dialect);
            tell(text!("on-other-machines", command));
            if own.is_none() {
                tell(text!("host-is-unknown"));
            }
        }
    }
    if cfg!(windows) && !ports.is_empty() {
        tell(text!("open-firewall"));
        tell(text!("firewall-command", ports = ports.join(",")));
    }
}

fn bind(listen: &Listen) -> Result<(Dialect, TcpListener), Msg> {
    let address = lang::address(&listen.host, listen.port);
    match TcpListener::bind((listen.host.as_str(), listen.port)) {
        Ok(listener) => Ok((listen.dialect, listener)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(text!("port-is-taken", address))
        }
        Err(error) => Err(text!("cannot-listen", address, error)),
    }
}

/// Where it listens.
fn at(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().unwrap_or_else(|_| ([0, 0, 0, 0], 0).into())
}
