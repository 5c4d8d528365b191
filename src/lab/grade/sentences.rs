//! What is said of a check and of its failure, in both languages: the sentences are in `sentences.en.txt` and
//! `sentences.id.txt`, each on a line, after its name.

use std::fmt::Display;

use crate::lang::{Lang, Msg};

const ENGLISH: &str = include_str!("sentences.en.txt");
const INDONESIAN: &str = include_str!("sentences.id.txt");

/// The sentence of this name: what a rule says (`rule`) and what usually breaks it (`mistake`), what is `expected`, what
/// `came`, what is `seen`, and what `cannot` be done. Nothing if there is none.
pub(super) fn sentence(lang: Lang, kind: &str, name: &str) -> &'static str {
    let of_it = |line: &'static str| {
        line.strip_prefix(kind)?.strip_prefix(' ')?.strip_prefix(name)?.strip_prefix(" = ")
    };
    lang.choose(ENGLISH, INDONESIAN).lines().find_map(of_it).unwrap_or_default()
}

/// The same in both languages, with these words in place of each `{}`.
pub(super) fn said(kind: &str, name: &str, words: &[&dyn Display]) -> Msg {
    Msg::of(|lang| {
        let text = sentence(lang, kind, name).replace("\\n", "\n");
        let mut parts = text.split("{}");
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
        let places = |text: &str| text.matches("{}").count();
        for ((name, en), (same, id)) in parts(ENGLISH).zip(parts(INDONESIAN)) {
            // A plural has its `s` in English alone.
            assert!(
                name == same
                    && places(en) - places(id)
                        <= usize::from(en.contains("check{}") || en.contains("point{}"))
            );
        }
        let mut names: Vec<_> = parts(ENGLISH).map(|(name, _)| name).collect();
        assert_eq!(names.len(), INDONESIAN.lines().count());
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a sentence is there twice");
        let sources = [
            include_str!("hint.rs"),
            include_str!("client/judge.rs"),
            include_str!("client/mod.rs"),
            include_str!("client/pair.rs"),
            include_str!("conversation.rs"),
            include_str!("mod.rs"),
            include_str!("peer.rs"),
            include_str!("player.rs"),
            include_str!("program.rs"),
            include_str!("server.rs"),
            include_str!("suite.rs"),
        ];
        let mut said = 0;
        for (kind, call) in [("expected ", "expected(\""), ("came ", "came(\""), ("", "said(\"")] {
            for words in sources.iter().flat_map(|code| code.split(call).skip(1)) {
                let words: Vec<_> = words.split('"').collect();
                // Some names are in a variable.
                let name = match words[..] {
                    [kind, ", ", name, ..] if call.starts_with("said") => format!("{kind} {name}"),
                    [name, ..] if !kind.is_empty() => format!("{kind}{name}"),
                    _ => continue,
                };
                assert!(names.contains(&name.as_str()), "{name}");
                said += 1;
            }
        }
        assert!(said > 50, "{said}");
        for name in names.into_iter().filter_map(|name| name.strip_prefix("seen ")) {
            let word = format!("\"{name}\"");
            assert!(sources.iter().any(|code| code.contains(&word)), "{name}");
        }
    }
}
