//! A short session with every read and write shown, then a comparison, against a server of its own.

use std::fs;

use super::capture::Capture;
use super::local::{LocalServer, TemporaryFolder};
use super::picture::Picture;
use super::trace::{Output, Side};
use super::{Instruments, compare};
use crate::client::argument::Argument;
use crate::client::outcome::Outcome;
use crate::client::ui::Ui;
use crate::client::{Client, Config};
use crate::error::{CREATE, Failure};
use crate::lab::cli::CommandLine;
use crate::lab::words;
use crate::limits;

/// The name of the file that the session sends.
const FILE: &str = "hello.txt";

/// Runs the session, then the comparison.
pub(in crate::lab) fn run(ui: &mut Ui, line: &CommandLine) -> Outcome {
    let folder = TemporaryFolder::new()?;
    let file = folder.0.join(FILE);
    fs::write(&file, "halo, dunia\n").map_err(|e| Failure::local(CREATE, FILE, e))?;
    let picture = Picture::begin(&line.ladder, line.config.lang)?;
    let recorder = picture.as_ref().map(Picture::recorder);
    let recorded = Instruments { recorder, ..Instruments::default() };
    let serving = recorded.clone().prepare(Side::Server);
    let server = LocalServer::prepared(&folder.0.join("root"), "", serving)?;
    let config = Config {
        host: limits::TCP_IP.to_owned(),
        port: server.port(ui.config().dialect),
        // Messages name the downloads folder as a reader knows it, and fit on a slide.
        base: folder.0.clone(),
        yes: true,
        trace: true,
        ..ui.config().clone()
    };
    let (trace, capture) = (Some(Output::of_errors()), Capture::of_program());
    let instruments = Instruments { trace, capture, ..recorded };
    let client = Client::new(config, instruments.prepare(Side::Client));
    let commands = [
        ("connme", vec![]),
        ("upload", vec![file.clone().into()]),
        ("ls", vec![]),
        ("size", vec![FILE.into()]),
        ("download", vec![FILE.into()]),
        ("rm", vec![FILE.into()]),
        ("byebye", vec![]),
    ];
    ui.tell(&words::ladder_legend())?;
    let waits = line.step && ui.asks;
    ui.with_client(client, |ui| -> Outcome {
        for (word, words) in commands {
            let shown = words.iter().map(|_| format!(" {FILE}")).collect::<String>();
            ui.print(&format!("\n$ connme-client {word}{shown}\n"))?;
            if waits && ui.ask(&words::ask_enter())?.line().is_none() {
                break;
            }
            ui.run(word, &Argument::Words(words))?;
        }
        Ok(())
    })?;
    picture.map_or(Ok(()), |picture| picture.write())?;
    // With its own port, each dialect can be told in a capture.
    let config = Config { host: limits::TCP_IP.to_owned(), ..ui.config().clone() };
    let rows = compare::compare(&config, server.has_usual_ports(), &file)?;
    compare::show(ui, line, &rows.into_iter().flatten().collect::<Vec<_>>())
}
