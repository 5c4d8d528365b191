//! A short session with every read and write shown, then a comparison, against a server of its own.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::capture::Capture;
use super::local::{LocalServer, TemporaryFolder};
use super::picture::Picture;
use super::trace::{Output, Side};
use super::{Instruments, compare};
use crate::client::argument::Argument;
use crate::client::command::Outcome;
use crate::client::prompt::Ui;
use crate::client::{Client, Config};
use crate::error::{Doing, Failure};
use crate::lang::Msg;
use crate::limits;

/// The name of the file that the session sends.
const FILE: &str = "hello.txt";

/// The program is in another folder until this is dropped, which goes back to this one.
struct Inside(PathBuf);

impl Inside {
    /// Goes to a folder whose path means the same from there, if that is possible.
    fn enter(folder: &Path) -> Option<Inside> {
        let before = env::current_dir().ok().filter(|_| folder.is_absolute())?;
        env::set_current_dir(folder).ok().map(|()| Inside(before))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = env::set_current_dir(&self.0);
    }
}

/// Runs the session, then the comparison.
pub(super) fn run(ui: &mut Ui, _: &Argument) -> Outcome {
    let folder = TemporaryFolder::new()?;
    let file = folder.0.join(FILE);
    fs::write(&file, "halo, dunia\n").map_err(|e| Failure::local(Doing::Create, FILE, e))?;
    let picture = Picture::begin(ui.config())?;
    let recorder = picture.as_ref().map(Picture::recorder);
    let recorded = Instruments { recorder, ..Instruments::default() };
    let serving = recorded.clone().prepare(Side::Server);
    let server = LocalServer::prepared(&folder.0.join("root"), "", serving)?;
    // Messages then name the downloads folder as a reader knows it, and fit on a slide.
    let inside = Inside::enter(&folder.0);
    let downloads = limits::DOWNLOAD_FOLDER;
    let downloads = inside.as_ref().map_or(folder.0.join(downloads), |_| downloads.into());
    let config = Config {
        host: limits::TCP_IP.to_owned(),
        port: server.port(ui.config().dialect),
        named: false,
        downloads,
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
    ui.tell(&Msg::LadderLegend)?;
    let waits = ui.config().step && ui.asks;
    ui.with_client(client, |ui| -> Outcome {
        for (word, words) in commands {
            let shown = words.iter().map(|_| format!(" {FILE}")).collect::<String>();
            ui.print(&format!("\n$ connme-client {word}{shown}\n"))?;
            if waits && ui.ask(&Msg::AskEnter)?.is_none() {
                break;
            }
            ui.run(word, &Argument::Words(words))?;
        }
        Ok(())
    })?;
    drop(inside);
    picture.map_or(Ok(()), |picture| picture.write())?;
    // With its own port, each dialect can be told in a capture.
    let (host, named) = (limits::TCP_IP.to_owned(), server.has_usual_ports());
    let config = Config { host, named, ..ui.config().clone() };
    let rows = compare::compare(&config, &file)?;
    compare::show(ui, &rows.into_iter().flatten().collect::<Vec<_>>())
}
