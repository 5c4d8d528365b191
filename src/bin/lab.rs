//! `connme-lab`: reads its flags, then runs a command of a lecture.

mod start;

use std::process::ExitCode;

use connme::lab;

fn main() -> ExitCode {
    start::program("connme-lab", lab::cli::parse, |line| Ok(lab::run(&line)))
}
