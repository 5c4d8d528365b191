//! The command lines of both programs: what the user typed becomes a configuration, a text to print, or one
//! message about what is wrong.
//!
//! Nothing here touches the system. The programs find out whether a folder exists or a port is free.

mod args;
pub mod client;
mod completions;
pub mod server;

use std::ffi::OsString;

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

/// The language of all messages, those about wrong flags included: that of a `--lang` anywhere on the command
/// line, else that of the environment.
#[must_use]
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
