//! The command lines of server and client: what the user typed becomes a configuration, a text to print, or one
//! message about what is wrong.
//!
//! Nothing here touches the system. The programs find out whether a folder exists or a port is free.

pub(crate) mod args;
pub mod client;
mod completions;
mod man;
pub mod server;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::lang::{Lang, Msg};

/// The result of reading a command line.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed<C> {
    /// Run with this configuration.
    Run(C),
    /// Print this, and end.
    Print(String),
}

/// What is wrong with a command line.
pub type Wrong = Msg;

/// What is to be put between wires and their sockets, as it was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstrumentFlags {
    /// Show every read and write.
    pub trace: bool,
    /// Show after each of them what the kernel says of the socket.
    pub kernel: bool,
    /// The faults of a simulated bad network.
    pub stammer: Option<String>,
    /// The file in which every read and write becomes a packet. `-` is standard output.
    pub capture: Option<PathBuf>,
    /// How many bytes of each packet's payload are kept, if not all.
    pub capture_bytes: Option<u32>,
}

impl InstrumentFlags {
    /// Whether standard output is for the capture, and for nothing else.
    pub fn capture_takes_output(&self) -> bool {
        self.capture.as_deref() == Some(Path::new("-"))
    }

    /// Finds a flag that would do nothing. `draws`: there is a picture of the connections.
    pub(crate) fn check(&self, draws: bool) -> Result<(), Wrong> {
        if self.kernel && !self.trace && !draws {
            return Err(args::flag_is_for("--kernel", "--trace"));
        }
        if self.capture_bytes.is_some() && self.capture.is_none() {
            return Err(args::flag_is_for("--capture-bytes", "--capture"));
        }
        Ok(())
    }
}

/// A picture that the user asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// Its file.
    pub file: Option<PathBuf>,
    /// Light on dark, for a dark slide.
    pub is_dark: bool,
}

/// The language of all messages, those about wrong flags included: that of a `--lang` anywhere on the command
/// line, else that of the environment.
pub fn language(words: &[OsString], variable: impl Fn(&str) -> Option<String>) -> Lang {
    let mut flags = words.iter().filter_map(|word| word.to_str());
    let code = flags.clone().find_map(|word| word.strip_prefix("--lang=")).or_else(|| {
        flags.find(|word| *word == "--lang")?;
        flags.next()
    });
    code.and_then(Lang::named).unwrap_or_else(|| Lang::of_environment(variable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_known_before_the_first_message() {
        let lang = |line: &str| {
            let words: Vec<OsString> = line.split_whitespace().map(Into::into).collect();
            language(&words, |name| (name == "LANG").then(|| "id_ID".to_owned()))
        };
        assert_eq!(lang("--nonsense"), Lang::Id);
        assert_eq!(lang("--nonsense --lang en"), Lang::En);
        assert_eq!(lang("--lang=en x"), Lang::En);
        assert_eq!(lang("--lang xx"), Lang::Id);
    }
}
