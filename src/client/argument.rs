//! What follows a command: a typed line, or the words of a command line.

use std::ffi::OsString;

use super::names::{self, BLANK};
use crate::lang::{Msg, text};

/// What follows a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// Words that the user's shell has split.
    Words(Vec<OsString>),
    /// The rest of a typed line. Its meaning depends on the files that exist.
    Typed(String),
}

/// Splits a typed line into a command's word and what follows it.
pub(super) fn split_line(line: &str) -> (&str, Argument) {
    let line = line.trim_matches(BLANK);
    let (word, rest) = line.split_once(BLANK).unwrap_or((line, ""));
    (word, Argument::typed(rest))
}

impl Argument {
    /// The argument in a typed text.
    pub(super) fn typed(text: &str) -> Argument {
        Argument::Typed(text.trim_matches(BLANK).to_owned())
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Argument::Words(words) => words.is_empty(),
            Argument::Typed(rest) => rest.is_empty(),
        }
    }

    /// Whether a typed line begins with a flag. Those of a command line were taken before.
    pub(super) fn has_flag(&self) -> bool {
        matches!(self, Argument::Typed(line) if line.starts_with('-'))
    }

    /// All of it as text.
    pub(crate) fn text(&self) -> String {
        match self {
            Argument::Words(words) => texts(words).join(" "),
            Argument::Typed(rest) => rest.clone(),
        }
    }

    /// Its words, as white space alone divides a typed line.
    pub(super) fn plain_words(&self) -> Vec<String> {
        match self {
            Argument::Words(words) => texts(words),
            Argument::Typed(rest) => rest.split_whitespace().map(str::to_owned).collect(),
        }
    }

    /// Its words. A typed line without quotes is one word, with its spaces and backslashes.
    ///
    /// # Errors
    /// A quote is not closed.
    pub(super) fn words(&self) -> Result<Vec<String>, Msg> {
        match self {
            Argument::Words(words) => Ok(texts(words)),
            Argument::Typed(rest) if rest.is_empty() => Ok(Vec::new()),
            Argument::Typed(rest) if !rest.contains(['\'', '"']) => Ok(vec![rest.clone()]),
            Argument::Typed(rest) => names::words(rest, false).ok_or_else(|| text!("open-quote")),
        }
    }
}

/// Words as text.
pub(super) fn texts(words: &[OsString]) -> Vec<String> {
    words.iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_line_is_a_command_and_the_rest() {
        let typed = |rest: &str| Argument::Typed(rest.to_owned());
        assert_eq!(split_line("  "), ("", typed("")));
        assert_eq!(split_line(" ls\t"), ("ls", typed("")));
        assert_eq!(split_line("rm x\u{3000}"), ("rm", typed("x\u{3000}")));
        assert_eq!(split_line("rm  my file.txt "), ("rm", typed("my file.txt")));
        assert_eq!(split_line("count a \"b"), ("count", typed("a \"b")));
        assert_eq!(typed("a \"b").text(), "a \"b");
    }

    #[test]
    fn only_quotes_split_a_typed_line_into_words() {
        let words = |line: &str| split_line(line).1.words();
        assert_eq!(words("ls").unwrap(), [""; 0]);
        assert_eq!(words("ls my docs").unwrap(), ["my docs"]);
        assert_eq!(words("ls 'my docs'").unwrap(), ["my docs"]);
        assert_eq!(words("say connme\\nls x\\n").unwrap(), ["connme\\nls x\\n"]);
        assert_eq!(words("say 'a\\n' \"b c\"").unwrap(), ["a\\n", "b c"]);
        assert_eq!(words("say 'a"), Err(text!("open-quote")));
    }

    #[test]
    fn a_command_line_has_words() {
        let words = Argument::Words(["a b", "c"].map(Into::into).to_vec());
        assert_eq!(
            (words.words().unwrap(), words.text()),
            (vec!["a b".into(), "c".into()], "a b c".into())
        );
        assert!(Argument::Words(Vec::new()).is_empty() && !words.is_empty());
    }
}
