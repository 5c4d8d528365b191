//! What the user asks of the lab, for the command that does it.

use std::path::PathBuf;

use super::grade::client::Driven;
use crate::cli::{InstrumentFlags, Picture};
use crate::client::Config;
use crate::client::argument::Argument;

/// What the user asks of the lab.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandLine {
    /// The word of the command.
    pub command: &'static str,
    /// What follows it.
    pub argument: Argument,
    /// The configuration of the client that it uses.
    pub config: Config,
    /// The user has named a server.
    pub is_named: bool,
    /// The instruments.
    pub instruments: InstrumentFlags,
    /// What else it is to do.
    pub flags: Flags,
}

/// The flags of single commands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flags {
    /// The time-sequence diagram of the demo. Its theme is that of all pictures.
    pub ladder: Picture,
    /// The file for the bars of a comparison.
    pub svg: Option<PathBuf>,
    /// Print figures as JSON.
    pub json: bool,
    /// Wait for Enter before each step of the demo.
    pub step: bool,
    /// Run all lessons, without a pause. Grade all, and show every failure whole.
    pub all: bool,
    /// Print the questions for Moodle.
    pub gift: bool,
    /// The file for a report, the questions or the dissector, if not standard output.
    pub output: Option<PathBuf>,
    /// The requests of all clients of `bench` together, if not as many as usual.
    pub requests: Option<usize>,
    /// Grade only the checks of these names and groups.
    pub only: Vec<String>,
    /// Print the checks and run none.
    pub list: bool,
    /// Chooses names, sizes and bytes.
    pub seed: Option<u64>,
    /// The seconds that a check may take.
    pub time: Option<f64>,
    /// The server's folder.
    pub root: Option<PathBuf>,
    /// The command that starts the server.
    pub run: Option<String>,
    /// The file with the user's own checks.
    pub conversation: Option<PathBuf>,
    /// The client to grade, instead of a server.
    pub client: Option<Driven>,
    /// The form of the report, if not that for people.
    pub format: &'static str,
}
