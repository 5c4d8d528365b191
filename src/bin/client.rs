//! `connme-client`: reads its flags, then runs a single command or the prompt.

use std::io::Write;
use std::process::ExitCode;

use connme::args::client::parse;
use connme::args::{self, Parsed};
use connme::client::{Client, prompt};
use connme::lang::Msg;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let lang = args::language(&words, |name| std::env::var(name).ok());
    match parse(words, lang) {
        Ok(Parsed::Run(config)) if config.command.is_empty() => {
            prompt::interactive(Client::new(config))
        }
        Ok(Parsed::Run(config)) => prompt::single(Client::new(config)),
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
