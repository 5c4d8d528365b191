//! How each program begins, and how it ends if it cannot run.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use connme::cli::{self, Parsed, Wrong};
use connme::lang::{Lang, Msg};

/// Why a program cannot run.
pub(crate) struct Stop {
    /// The exit status.
    status: u8,
    why: Msg,
}

impl Stop {
    /// The command line is wrong.
    pub(crate) fn wrong_use(why: Wrong) -> Stop {
        Stop { status: 2, why }
    }
}

impl From<Msg> for Stop {
    fn from(why: Msg) -> Stop {
        Stop { status: 1, why }
    }
}

/// Reads the command line of this program, and prints or runs what it asks for.
pub(crate) fn program<C>(
    name: &str,
    parse: impl FnOnce(Vec<OsString>, Lang) -> Result<Parsed<C>, Wrong>,
    run: impl FnOnce(C) -> Result<ExitCode, Stop>,
) -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let lang = cli::language(&words, |name| std::env::var(name).ok());
    let ended = match parse(words, lang) {
        Ok(Parsed::Run(line)) => run(line),
        Ok(Parsed::Print(text)) => match io::stdout().write_all(text.as_bytes()) {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(_) => Ok(ExitCode::FAILURE),
        },
        Err(wrong) => Err(Stop::wrong_use(wrong)),
    };
    ended.unwrap_or_else(|Stop { status, why }| {
        complain(name, &why, lang);
        ExitCode::from(status)
    })
}

/// Prints what went wrong, after the name of the program.
pub(crate) fn complain(name: &str, why: &Msg, lang: Lang) {
    let _ = io::stderr().write_all(format!("{name}: {}\n", why.say(lang)).as_bytes());
}
