//! A short session with every read and write shown, then a comparison, against a server of its own.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::capture::Capture;
use super::keys::{self, Wish};
use super::lessons::clear;
use super::local::LocalServer;
use super::picture::{Picture, save};
use super::trace::{Output, Side, legend};
use super::{Instruments, compare};
use crate::client::argument::Argument;
use crate::client::outcome::{Outcome, Stop};
use crate::client::prompt::prompt;
use crate::client::ui::Ui;
use crate::client::{Client, Config};
use crate::error::lock;
use crate::lab::line::CommandLine;
use crate::lab::scratch::TemporaryFolder;
use crate::lang::msg;

/// The name of the file that the session sends.
const FILE: &str = "hello.txt";

/// A terminal with room for the longest prompt and a command.
const ROOM: usize = 100;

/// The server waits through a discussion, of a day at most.
const FLAGS: &str = "--idle-timeout 86400";

/// What the user types.
const TYPED: [&str; 7] = [
    "connme",
    "upload hello.txt",
    "ls",
    "size hello.txt",
    "download hello.txt",
    "rm hello.txt",
    "byebye",
];

/// Runs the session, then the comparison.
pub(in crate::lab) fn run(ui: &mut Ui, line: &CommandLine) -> Outcome {
    let folder = TemporaryFolder::new()?;
    let file = folder.0.join(FILE);
    save(&file, "halo, dunia\n")?;
    let picture = Picture::begin(&line.flags.ladder, line.config.lang)?;
    let kernel = line.instruments.kernel;
    let recorded = Instruments { picture: picture.clone(), kernel, ..Instruments::default() };
    let serving = recorded.clone().prepare(Side::Server);
    let server = LocalServer::prepared(&folder.0.join("root"), FLAGS, serving)?;
    let config = Config {
        port: server.port(ui.config().dialect),
        // Messages name the downloads folder as a reader knows it, and fit on a slide.
        base: folder.0.clone(),
        yes: true,
        trace: true,
        ..ui.config().clone()
    };
    let (address, capture) = (format!("{}:{}", config.host, config.port), Capture::of_program());
    let zero = Arc::new(Mutex::new(Instant::now()));
    let trace = Some(Output { zero: Some(Arc::clone(&zero)), ..Output::of_errors() });
    let instruments = Instruments { trace, capture, ..recorded };
    let client = Client::new(config, instruments.prepare(Side::Client));
    let waits = line.flags.step && ui.asks;
    let enter = msg!("(Enter)", "(Enter)");
    if waits {
        clear(ui)?;
    }
    ui.tell(&legend(kernel))?;
    let goes_on = ui.with_client(client, |ui| -> Result<bool, Stop> {
        for (number, typed) in TYPED.into_iter().enumerate() {
            let (word, name) = typed.split_once(' ').unwrap_or((typed, ""));
            let words = match (word, name) {
                (_, "") => Vec::new(),
                ("upload", _) => vec![file.clone().into()],
                (_, name) => vec![name.into()],
            };
            // What a user sees at the prompt.
            let server = (number > 0).then_some(address.as_str());
            let is_narrow = ui.terminal.columns < ROOM;
            let typed = ui.words(&prompt(server, is_narrow)) + typed;
            ui.print(&format!("\n{typed}\n"))?;
            // What the command before has done stays until then.
            if waits {
                if keys::ask(ui, &enter)? == Wish::Leave {
                    return Ok(false);
                }
                clear(ui)?;
                ui.print(&format!("{typed}\n"))?;
            }
            if let Some(picture) = &picture {
                picture.begin_scene(word, &typed);
            }
            *lock(&zero) = Instant::now();
            ui.run(word, &Argument::Words(words))?;
        }
        Ok(true)
    })?;
    if let Some(picture) = picture {
        picture.write()?;
    }
    if !goes_on || (waits && keys::ask(ui, &enter)? == Wish::Leave) {
        return Ok(());
    }
    if waits {
        clear(ui)?;
    } else {
        ui.print("\n")?;
    }
    let rows = compare::compare(ui.config(), Some(&server), &file)?;
    compare::show(ui, line, &rows.into_iter().flatten().collect::<Vec<_>>())?;
    compare::explain_capture(ui, line, &server)
}
