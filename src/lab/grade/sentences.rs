//! What is said of a check and of its failure, in both languages: the sentences are in `sentences.en.txt` and
//! `sentences.id.txt`, each on a line, after its name.

use std::fmt::Display;

use crate::lang::{Lang, Msg};

const ENGLISH: &str = include_str!("sentences.en.txt");
const INDONESIAN: &str = include_str!("sentences.id.txt");

/// The sentence of this name: what a rule says (`rule`) and what usually breaks it (`mistake`), what is `expected`, what
/// `came`, what is `seen`. Nothing if there is none.
pub(super) fn sentence(lang: Lang, kind: &str, name: &str) -> &'static str {
    let of_it = |line: &'static str| {
        line.strip_prefix(kind)?.strip_prefix(' ')?.strip_prefix(name)?.strip_prefix(" = ")
    };
    lang.choose(ENGLISH, INDONESIAN).lines().find_map(of_it).unwrap_or_default()
}

/// The same in both languages, with these words in place of each `{}`.
pub(super) fn said(kind: &str, name: &str, words: &[&dyn Display]) -> Msg {
    Msg::of(|lang| {
        let mut parts = sentence(lang, kind, name).split("{}");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.zip(words).fold(first, |text, (part, word)| format!("{text}{word}{part}"))
    })
}

/// What should have come.
pub(super) fn expected(name: &str, words: &[&dyn Display]) -> Msg {
    said("expected", name, words)
}

/// What has come instead.
pub(super) fn came(name: &str, words: &[&dyn Display]) -> Msg {
    said("came", name, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The compiler does not look into these files.
    #[test]
    fn each_sentence_that_is_said_is_there_in_both_languages() {
        let parts = |text: &'static str| text.lines().map(|line| line.split_once(" = ").unwrap());
        let form = |(name, text): (&'static str, &str)| (name, text.matches("{}").count());
        assert!(parts(ENGLISH).map(form).eq(parts(INDONESIAN).map(form)));
        let mut names: Vec<_> = parts(ENGLISH).map(|(name, _)| name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a sentence is there twice");
        let sources = [
            include_str!("client/judge.rs"),
            include_str!("hint.rs"),
            include_str!("mod.rs"),
            include_str!("peer.rs"),
            include_str!("player.rs"),
            include_str!("server.rs"),
        ];
        let mut said = 0;
        for (kind, call) in [("expected", "expected(\""), ("came", "came(\"")] {
            for name in sources.iter().flat_map(|code| code.split(call).skip(1)) {
                let name = format!("{kind} {}", name.split('"').next().unwrap());
                assert!(names.contains(&name.as_str()), "{name}");
                said += 1;
            }
        }
        assert!(said > 30, "{said}");
        for name in names.into_iter().filter_map(|name| name.strip_prefix("seen ")) {
            assert!(sources[1].contains(&format!("\"{name}\"")), "{name}");
        }
    }
}
