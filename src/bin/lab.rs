//! `connme-lab`: reads its flags, then runs a command of a lecture.

use std::io::Write;
use std::process::ExitCode;

use connme::cli::{self, Parsed};
use connme::lab;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let lang = cli::language(&words, |name| std::env::var(name).ok());
    match lab::cli::parse(words, lang) {
        Ok(Parsed::Run(line)) => lab::run(&line),
        Ok(Parsed::Print(text)) => {
            let written = std::io::stdout().write_all(text.as_bytes());
            if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(wrong) => {
            let text = format!("connme-lab: {}\n", wrong.say(lang));
            let _ = std::io::stderr().write_all(text.as_bytes());
            ExitCode::from(2)
        }
    }
}
