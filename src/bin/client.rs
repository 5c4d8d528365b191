//! `connme-client`: reads its flags, then runs a single command or the prompt.

use std::io::Write;
use std::process::ExitCode;

use connme::cli::client::{CommandLine, parse};
use connme::cli::{self, Parsed};
use connme::client::{Client, prompt};
use connme::error::Failure;
use connme::lab::lecture::capture::Capture;
use connme::lab::lecture::picture::Picture;
use connme::lab::lecture::trace::{Output, Side};
use connme::lab::lecture::{self, Instruments};
use connme::lang::{Lang, Msg, msg};

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let lang = cli::language(&words, |name| std::env::var(name).ok());
    match parse(words, lang) {
        Ok(Parsed::Run(line)) => run(line),
        Ok(Parsed::Print(text)) => {
            let written = std::io::stdout().write_all(text.as_bytes());
            if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(wrong) => complain(&wrong.say(lang), 2),
    }
}

fn run(CommandLine { config, instruments: flags, ladder }: CommandLine) -> ExitCode {
    let lang = config.lang;
    let faults = match lecture::faults(&flags) {
        Ok(faults) => faults,
        Err(wrong) => return complain(&wrong.say(lang), 2),
    };
    let tell = move |msg: Msg| {
        complain(&msg.say(lang), 1);
    };
    let capture = match Capture::start(&flags, tell) {
        Ok(capture) => capture,
        Err(wrong) => return complain(&wrong.say(lang), 1),
    };
    let picture = match Picture::begin(&ladder, lang) {
        Ok(picture) => picture,
        Err(failure) => return undrawn(&failure, lang),
    };
    let trace = flags.trace.then(Output::of_errors);
    let recorder = picture.as_ref().map(Picture::recorder);
    let written = capture.clone();
    let instruments = Instruments {
        trace,
        kernel: flags.kernel,
        faults,
        recorder,
        capture,
        ..Instruments::default()
    };
    let is_single = !config.command.is_empty();
    let client = Client::new(config, instruments.prepare(Side::Client));
    let status = if is_single { prompt::single(client) } else { prompt::interactive(client) };
    if let Some(capture) = written {
        capture.finish();
    }
    match picture.map_or(Ok(()), |picture| picture.write()) {
        Ok(()) => status,
        Err(failure) => undrawn(&failure, lang),
    }
}

/// A picture cannot be written.
fn undrawn(failure: &Failure, lang: Lang) -> ExitCode {
    let why = failure.why();
    complain(&msg!("cannot {why}", "gagal {why}"; why).say(lang), 1)
}

fn complain(text: &str, status: u8) -> ExitCode {
    let _ = std::io::stderr().write_all(format!("connme-client: {text}\n").as_bytes());
    ExitCode::from(status)
}
