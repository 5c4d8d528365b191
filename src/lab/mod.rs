//! What a lecture adds to server and client: the program `connme-lab`, and the instruments of both programs.
//!
//! A reader of the server needs nothing of this: only the programs in `bin` name it. Without instruments both
//! programs have the plain socket.
//!
//! | module | what it is for |
//! |---|---|
//! | [`cli`] | the command line of `connme-lab`, which becomes a [line](mod@line) |
//! | [`lecture`] | instruments: trace, faults, captures, pictures; the demo, the comparison, the lessons |
//! | [`grade`] | grades a server or a client that speaks a dialect, in any language |
//! | [`architectures`] | one server in five shapes, and what each costs |
//! | `launch`, `process` | programs that the lab starts, and ends |
//! | [`starter`] | a server and a client as one writes them first, to be improved |

pub mod architectures;
pub mod cli;
pub mod grade;
mod launch;
pub mod lecture;
pub mod line;
mod pack;
mod process;
mod random;
mod scratch;
pub mod starter;
mod text;

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::client::Client;
use crate::client::outcome::{Outcome, Stop};
use crate::client::ui::Ui;
use crate::lang::Msg;
use crate::wire::stream;
use lecture::capture::Capture;
use lecture::{DISSECTOR, compare, deliver, demo, kernel, lessons, questions, tcp};
use line::CommandLine;

type Run = fn(&mut Ui, &CommandLine) -> Outcome;

/// What the user types, and what does it.
const COMMANDS: [(&str, Run); 10] = [
    ("demo", demo::run),
    ("compare", compare::run),
    ("lesson", lessons::run),
    ("tcp", tcp::run),
    // Its exit status is its own, so it is run without the others' frame.
    ("grade", |_, _| Ok(())),
    ("dissector", |ui, line| deliver(ui, line, DISSECTOR)),
    ("questions", questions::run),
    ("pack", |_, line| pack::write(line)),
    ("shape", architectures::run),
    ("bench", architectures::bench::run),
];

/// Runs a command of `connme-lab`.
pub fn run(line: &CommandLine) -> ExitCode {
    let lang = line.config.lang;
    let complain = move |msg: Msg| {
        let text = format!("connme-lab: {}\n", msg.say(lang));
        let _ = io::stderr().write_all(text.as_bytes());
    };
    if line.command == "grade" {
        return grade::program::main(line).unwrap_or_else(|why| {
            complain(why);
            ExitCode::from(2)
        });
    }
    let mut ui = Ui::single("connme-lab", Client::new(line.config.clone(), stream::plain()));
    let done = ui.perform(line.command, &line.argument.text(), |ui| {
        kernel::check(line.instruments.kernel)?;
        let capture = Capture::start(&line.instruments, complain).map_err(Stop::Refused)?;
        let command = COMMANDS.iter().find(|(word, _)| *word == line.command);
        let outcome = command.map_or(Ok(()), |(_, run)| run(ui, line));
        if let Some(capture) = capture {
            capture.finish();
        }
        outcome
    });
    ui.leave(done)
}
