//! The client as a user meets it: the sessions in `tests/sessions`, over a server in this process.
//!
//! A client reads and writes the standard streams and looks into the current folder, so each command of a session is a
//! process of its own: this test program again, which then is a client. So is what plays the sessions, because a process
//! that is being started has for a moment all that its parent has open, and its locks: see [`ALONE`].

use std::collections::BTreeMap;
use std::env;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::thread;

use super::{Client, Config, prompt};
use crate::cli::{self, Parsed};
use crate::dialect::Dialect;
use crate::error::lock;
use crate::lang::Lang;
use crate::log::Log;
use crate::server::{ConnectionLimits, Server};
use crate::store::Store;
use crate::wire::script::{Script, Step, Written};
use crate::wire::{Wire, WireConfig, stream};
use sessions::Stage;

#[path = "../../tests/it/sessions.rs"]
mod sessions;

/// Held while a process is started, and by tests that look whether a file is locked.
pub(super) static ALONE: Mutex<()> = Mutex::new(());

/// The words of the command line, a line each.
const WORDS: &str = "CONNME_TEST_WORDS";

/// This program, which runs the test of this name alone.
fn itself(test: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    // With more than one thread, the name of a test is printed after it.
    command.args([test, "--exact", "--ignored", "--nocapture", "--test-threads=2"]);
    command
}

/// What its standard output begins with.
const BEGIN: &str = "\nrunning 1 test\n";

/// The client's program.
#[test]
#[ignore = "the sessions start it"]
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

fn client(words: &[String]) -> Option<(Command, &'static str)> {
    let (program, arguments) = words.split_first()?;
    let mut command = itself("client::tests::program");
    command.env(WORDS, arguments.join("\n"));
    (program == "connme-client").then_some((command, BEGIN))
}

/// A server in this process, over a folder of its own.
fn stage(flags: &[String]) -> Stage {
    let Ok(Parsed::Run(config)) = cli::server::parse(flags.iter().map(Into::into), Lang::En) else {
        panic!("{flags:?}")
    };
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), config.store, &Log::default()).unwrap();
    let limits = ConnectionLimits { all: 100, per_address: 100 };
    let server = Server::new(store, Log::default(), WireConfig::default(), limits, stream::plain());
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
    Stage { root, address_of, program: client }
}

#[test]
#[ignore = "the next one starts it"]
fn play() {
    sessions::play_all(stage);
}

#[test]
fn sessions_are_as_written() {
    let alone = lock(&ALONE);
    let mut command = itself("client::tests::play");
    let playing = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(alone);
    let output = playing.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.contains(" 1 passed"), "{said}");
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
