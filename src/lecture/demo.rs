//! A short session with every read and write shown, then a comparison, against a server of our own.

use std::fs;
use std::io;

use super::local::{LocalServer, TemporaryFolder};
use super::trace::{Output, Side};
use super::{Instruments, compare};
use crate::client::action::{Action, Names};
use crate::client::prompt::Ui;
use crate::client::{Client, Config};
use crate::error::{Answer, Doing, Failure};
use crate::limits;

/// Runs the session.
pub(super) fn run(ui: &mut Ui) -> io::Result<()> {
    let folder = match TemporaryFolder::new() {
        Ok(folder) => folder,
        Err(error) => return ui.failed("demo", "", error),
    };
    if let Err(error) = session(ui, &folder)? {
        return ui.failed("demo", "", error);
    }
    let config = Config { named: false, ..ui.config().clone() };
    match compare::compare(&config, &folder.0.join(FILE)) {
        Ok(rows) => compare::show(ui, &rows.into_iter().flatten().collect::<Vec<_>>()),
        Err(error) => ui.failed("demo", "", error),
    }
}

/// The name of the file that the session sends.
const FILE: &str = "hello.txt";

fn session(ui: &mut Ui, folder: &TemporaryFolder) -> io::Result<Answer<()>> {
    let file = folder.0.join(FILE);
    let written =
        fs::write(&file, "halo, dunia\n").map_err(|e| Failure::local(Doing::Create, FILE, e));
    let server = match written.and_then(|()| LocalServer::start(&folder.0.join("root"))) {
        Ok(server) => server,
        Err(error) => return Ok(Err(error)),
    };
    let dialect = ui.config().dialect;
    let config = Config {
        host: limits::TCP_IP.to_owned(),
        port: server.port(dialect),
        named: false,
        downloads: folder.0.join("downloads"),
        yes: true,
        trace: true,
        ..ui.config().clone()
    };
    let instruments = Instruments { trace: Some(Output::of_errors()), ..Instruments::default() };
    let client = Client::new(config, instruments.prepare(Side::Client));
    let name = || Names::Words(vec![FILE.into()]);
    ui.with_client(client, |ui| {
        ui.perform_all([
            Action::Connme,
            Action::Upload(Names::Words(vec![file.into()])),
            Action::Ls(None),
            Action::Size(name()),
            Action::Download(name()),
            Action::Rm(name()),
            Action::Byebye,
        ])
    })?;
    Ok(Ok(()))
}
