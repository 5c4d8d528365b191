//! `connme-client`: reads its flags, then runs a single command or the prompt.

use std::io::Write;
use std::process::ExitCode;

use connme::cli::client::{CommandLine, parse};
use connme::cli::{self, Parsed};
use connme::client::{Client, prompt};
use connme::grade;
use connme::lang::Msg;
use connme::lecture::capture::Capture;
use connme::lecture::picture::Picture;
use connme::lecture::trace::{Output, Side};
use connme::lecture::{COMMANDS, Instruments};

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let lang = cli::language(&words, |name| std::env::var(name).ok());
    match parse(words, lang) {
        Ok(Parsed::Run(line)) => run(line),
        Ok(Parsed::Print(text)) => {
            let written = std::io::stdout().write_all(text.as_bytes());
            if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(wrong) => {
            let (wrong, try_help) = (wrong.say(lang), Msg::TryHelp.say(lang));
            let text = format!("connme-client: {wrong}; {try_help}\n");
            let _ = std::io::stderr().write_all(text.as_bytes());
            ExitCode::from(2)
        }
    }
}

fn run(CommandLine { config, faults, capture, completions, grade }: CommandLine) -> ExitCode {
    let lang = config.lang;
    let complain = move |msg: Msg| {
        let text = format!("connme-client: {}\n", msg.say(lang));
        let _ = std::io::stderr().write_all(text.as_bytes());
    };
    if let [word, rest @ ..] = config.command.as_slice()
        && word.eq_ignore_ascii_case("grade")
    {
        if rest.is_empty() {
            return grade::program::main(&config, &grade);
        }
        complain(Msg::TakesNothing { command: "grade" });
        return ExitCode::from(2);
    }
    let capture = match Capture::start(capture.as_ref(), complain) {
        Ok(capture) => capture,
        Err(wrong) => {
            complain(wrong);
            return ExitCode::FAILURE;
        }
    };
    let trace = config.trace.then(Output::of_errors);
    let undrawn = |failure| {
        let (failure, name) = (Box::new(failure), String::new());
        complain(Msg::Failed { command: "--ladder", name, failure, hint: None });
        ExitCode::FAILURE
    };
    let picture = match Picture::begin(&config) {
        Ok(picture) => picture,
        Err(failure) => return undrawn(failure),
    };
    let recorder = picture.as_ref().map(Picture::recorder);
    let instruments = Instruments { trace, faults, recorder, capture, ..Instruments::default() };
    let is_single = !config.command.is_empty();
    let client = Client::new(config, instruments.prepare(Side::Client));
    let status = if let Some(script) = completions {
        prompt::deliver(client, &script)
    } else if is_single {
        prompt::single(client, &COMMANDS)
    } else {
        prompt::interactive(client, &COMMANDS)
    };
    picture.map_or(Ok(()), |picture| picture.write()).map_or_else(undrawn, |()| status)
}
