//! What several rooms of the lab say, in two languages, and how they lay out a text.

use std::fmt::Display;

use crate::lang::Msg;

const ENGLISH: &str = include_str!("sentences.en.txt");
const INDONESIAN: &str = include_str!("sentences.id.txt");

/// The sentence of this name in `sentences.en.txt` and `sentences.id.txt`, with these words in place of each `{}`.
pub(super) fn said(name: &str, words: &[&dyn Display]) -> Msg {
    Msg::of(|lang| {
        let of_it = |line: &'static str| line.strip_prefix(name)?.strip_prefix(" = ");
        let sentence = lang.choose(ENGLISH, INDONESIAN).lines().find_map(of_it);
        let text = sentence.unwrap_or_default().replace("\\n", "\n");
        let mut parts = text.split("{}");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.zip(words).fold(first, |text, (part, word)| format!("{text}{word}{part}"))
    })
}

/// A text in lines of this width.
pub(super) fn wrapped(text: &str, columns: usize) -> String {
    filled(text.split(' '), columns).join("\n")
}

/// Lines of this width, with as many words as each has room for.
pub(super) fn filled<'w>(words: impl IntoIterator<Item = &'w str>, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > columns {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    lines
}

/// A text as XML has it. XML has no place for control characters, spelled out or not.
pub(super) fn xml(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The compiler does not look into these files.
    #[test]
    fn each_sentence_is_said_and_is_there_in_both_languages() {
        let parts = |text: &'static str| text.lines().map(|line| line.split_once(" = ").unwrap());
        let places = |text: &str| text.matches("{}").count();
        for ((name, en), (same, id)) in parts(ENGLISH).zip(parts(INDONESIAN)) {
            assert_eq!((name, places(en)), (same, places(id)));
        }
        let mut names: Vec<_> = parts(ENGLISH).map(|(name, _)| name).collect();
        assert_eq!(names.len(), INDONESIAN.lines().count());
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a sentence is there twice");
        let sources = [
            include_str!("architectures/bench.rs"),
            include_str!("architectures/mod.rs"),
            include_str!("cli.rs"),
            include_str!("lecture/capture.rs"),
            include_str!("lecture/compare.rs"),
            include_str!("lecture/kernel.rs"),
            include_str!("lecture/lessons.rs"),
            include_str!("lecture/sequence.rs"),
            include_str!("lecture/tcp.rs"),
            include_str!("lecture/trace.rs"),
            include_str!("pack.rs"),
        ];
        for name in &names {
            let word = format!("\"{name}\"");
            assert!(sources.iter().any(|code| code.contains(&word)), "{name} is never said");
        }
        for words in sources.iter().flat_map(|code| code.split("said(\"").skip(1)) {
            let name = words.split('"').next().unwrap();
            assert!(names.contains(&name), "{name}");
        }
    }
}
