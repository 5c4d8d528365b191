//! `connme-client`: reads its flags, then runs a single command or the prompt.

use std::io::Write;
use std::process::ExitCode;

use connme::args::Parsed;
use connme::args::client::parse;
use connme::client::{Client, prompt};
use connme::lang::Msg;

fn main() -> ExitCode {
    match parse(std::env::args_os().skip(1)) {
        Ok(Parsed::Run(config)) if config.command.is_empty() => {
            prompt::interactive(Client::new(config))
        }
        Ok(Parsed::Run(config)) => prompt::single(Client::new(config)),
        Ok(Parsed::Print(text)) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            let text = format!("connme-client: {}; {}\n", wrong.say(), Msg::TryHelp.say());
            let _ = std::io::stderr().write_all(text.as_bytes());
            ExitCode::from(2)
        }
    }
}
