//! The client as a user meets it: the sessions in `tests/sessions`, over a server in this process.
//!
//! A client reads and writes the standard streams and looks into the current folder, so each command of a session is a
//! process of its own: this test program again, which then is a client.

use std::collections::BTreeMap;
use std::env;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, ExitCode};
use std::thread;

use super::{Client, Config, prompt};
use crate::cli::{self, Parsed};
use crate::dialect::Dialect;
use crate::lang::Lang;
use crate::log::Log;
use crate::server::{ConnectionLimits, Server};
use crate::store::Store;
use crate::wire::script::{Script, Step, Written};
use crate::wire::{Wire, WireConfig, stream};
use sessions::Stage;

#[path = "../../tests/it/sessions.rs"]
mod sessions;

/// The words of the command line, a line each.
const WORDS: &str = "CONNME_TEST_WORDS";

/// The client's program, in a process of its own.
#[test]
#[ignore = "the other tests start it"]
fn program() {
    let Ok(words) = env::var(WORDS) else { return };
    let words: Vec<_> = words.lines().map(Into::into).collect();
    let lang = cli::language(&words, |name| env::var(name).ok());
    let said = |text: &str, status| {
        let mut output: Box<dyn Write> =
            if status == 0 { Box::new(std::io::stdout()) } else { Box::new(std::io::stderr()) };
        output.write_all(text.as_bytes()).unwrap();
        ExitCode::from(status)
    };
    let status = match cli::client::parse(words, lang) {
        Ok(Parsed::Run(line)) => {
            let is_single = !line.config.command.is_empty();
            let client = Client::new(line.config, stream::plain());
            if is_single { prompt::single(client) } else { prompt::interactive(client) }
        }
        Ok(Parsed::Print(text)) => said(&text, 0),
        Err(wrong) => said(&format!("connme-client: {}\n", wrong.say(lang)), 2),
    };
    let number = (0..=255).find(|n| ExitCode::from(*n) == status);
    std::process::exit(number.unwrap().into());
}

fn start_again(words: &[String]) -> Option<(Command, &'static str)> {
    let (program, arguments) = words.split_first()?;
    let mut command = Command::new(env::current_exe().unwrap());
    // With more than one thread, the name of a test is printed after it.
    let own = ["client::tests::program", "--exact", "--ignored", "--nocapture", "--test-threads=2"];
    command.args(own).env(WORDS, arguments.join("\n"));
    (program == "connme-client").then_some((command, "\nrunning 1 test\n"))
}

/// A server in this process, over a folder of its own.
fn stage(flags: &[String]) -> Stage {
    let Ok(Parsed::Run(config)) = cli::server::parse(flags.iter().map(Into::into), Lang::En) else {
        panic!("{flags:?}")
    };
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), config.store, &Log::silent()).unwrap();
    let limits = ConnectionLimits { all: 100, per_address: 100 };
    let server = Server::new(store, Log::silent(), WireConfig::default(), limits, stream::plain());
    let bind = |dialect| (dialect, TcpListener::bind("127.0.0.1:0").unwrap());
    let listeners = Dialect::ALL.map(bind);
    let addresses: BTreeMap<&str, SocketAddr> =
        listeners.iter().map(|(dialect, at)| (dialect.name(), at.local_addr().unwrap())).collect();
    thread::spawn(move || server.run(listeners.into()));
    let root = folder.path().to_owned();
    let address_of = Box::new(move |dialect: &str| {
        let _kept = &folder;
        addresses[dialect]
    });
    Stage { root, address_of, program: start_again }
}

#[test]
fn sessions_are_as_written() {
    sessions::play_all(stage);
}

/// A client whose server does these things, what is written to it, and the folder of the client.
pub(super) fn scripted(steps: Vec<Step>) -> (Client, Written, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    // Nothing can be reached at port 0.
    let config = Config { port: 0, base: folder.path().to_owned(), ..Config::new(Lang::En) };
    let mut client = Client::new(config, stream::plain());
    let (script, written) = Script::new(steps);
    client.wire = Some(Wire::new(Box::new(script), WireConfig::default()));
    (client.is_wanted, client.supports_pipelining) = (true, Some(true));
    (client, written, folder)
}
