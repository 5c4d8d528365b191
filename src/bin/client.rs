//! `connme-client`: reads its flags, then runs a single command or the prompt.

mod start;

use std::process::ExitCode;

use connme::cli::client::{CommandLine, parse};
use connme::client::{Client, prompt};
use connme::error::Failure;
use connme::lab::lecture::capture::Capture;
use connme::lab::lecture::picture::Picture;
use connme::lab::lecture::trace::{Output, Side};
use connme::lab::lecture::{self, Instruments};
use connme::lang::{Msg, msg};
use start::Stop;

const NAME: &str = "connme-client";

fn main() -> ExitCode {
    start::program(NAME, parse, run)
}

fn run(CommandLine { config, instruments: flags, ladder }: CommandLine) -> Result<ExitCode, Stop> {
    let lang = config.lang;
    let faults = lecture::faults(&flags).map_err(Stop::wrong_use)?;
    let capture = Capture::start(&flags, move |msg| start::complain(NAME, &msg, lang))?;
    let picture = Picture::begin(&ladder, lang).map_err(|failure| undrawn(&failure))?;
    let trace = flags.trace.then(Output::of_errors);
    let written = capture.clone();
    let instruments = Instruments {
        trace,
        kernel: flags.kernel,
        faults,
        picture: picture.clone(),
        capture,
        ..Instruments::default()
    };
    let is_single = !config.command.is_empty();
    let client = Client::new(config, instruments.prepare(Side::Client));
    let status = if is_single { prompt::single(client) } else { prompt::interactive(client) };
    if let Some(capture) = written {
        capture.finish();
    }
    let drawn = picture.map_or(Ok(()), |picture| picture.write());
    drawn.map_err(|failure| undrawn(&failure))?;
    Ok(status)
}

/// A picture cannot be written.
fn undrawn(failure: &Failure) -> Msg {
    let why = failure.why();
    msg!("cannot {why}", "gagal {why}"; why)
}
