//! What several rooms of the lab say, in two languages, and how they lay out a text.

use std::fmt::Display;

use crate::lang::{Lang, Msg};

const ENGLISH: &str = include_str!("sentences.en.txt");
const INDONESIAN: &str = include_str!("sentences.id.txt");

/// The sentence of this name in `sentences.en.txt` or `sentences.id.txt`. Nothing if there is none.
pub(super) fn sentence(lang: Lang, name: &str) -> &'static str {
    let of_it = |line: &'static str| line.strip_prefix(name)?.strip_prefix(" = ");
    lang.choose(ENGLISH, INDONESIAN).lines().find_map(of_it).unwrap_or_default()
}

/// The same in both languages, with these words in place of each `{}`.
pub(super) fn said(name: &str, words: &[&dyn Display]) -> Msg {
    Msg::of(|lang| {
        let text = sentence(lang, name).replace("\\n", "\n");
        let mut parts = text.split("{}");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.zip(words).fold(first, |text, (part, word)| format!("{text}{word}{part}"))
    })
}

/// A text in lines of this width.
pub(super) fn wrapped(text: &str, columns: usize) -> String {
    filled(text.split(' '), columns).join("\n")
}

/// Lines of this width, with as many words as each has room for. A longer word goes on in the next line.
pub(super) fn filled<'w>(words: impl IntoIterator<Item = &'w str>, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for mut word in words {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > columns {
            lines.push(String::new());
        }
        while let Some((at, _)) = word.char_indices().nth(columns.max(1)) {
            let (start, rest) = word.split_at(at);
            lines.insert(lines.len() - 1, start.to_owned());
            word = rest;
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

    /// A name of 255 bytes made a line of 106 columns.
    #[test]
    fn no_line_is_wider_than_it_may_be() {
        assert_eq!(wrapped("a bcdé fghij kl", 4), "a\nbcdé\nfghi\nj kl");
        assert_eq!(wrapped("éé", 0), "é\né");
    }

    /// The compiler does not look into these files.
    #[test]
    fn each_sentence_is_said_and_is_there_in_both_languages() {
        let parts = |text: &'static str| text.lines().map(|line| line.split_once(" = ").unwrap());
        let places = |text: &str| text.matches("{}").count();
        for ((name, en), (same, id)) in parts(ENGLISH).zip(parts(INDONESIAN)) {
            // A plural has its `s` in English alone.
            let plurals = usize::from(en.contains("check{}") || en.contains("point{}"));
            assert!(name == same && places(en) - places(id) <= plurals, "{name}");
        }
        let mut names: Vec<_> = parts(ENGLISH).map(|(name, _)| name).collect();
        assert_eq!(names.len(), INDONESIAN.lines().count());
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "a sentence is there twice");
        let sources = [
            include_str!("architectures/bench.rs"),
            include_str!("architectures/mod.rs"),
            include_str!("cli.rs"),
            include_str!("grade/client/judge.rs"),
            include_str!("grade/client/mod.rs"),
            include_str!("grade/client/pair.rs"),
            include_str!("grade/conversation.rs"),
            include_str!("grade/hint.rs"),
            include_str!("grade/mod.rs"),
            include_str!("grade/peer.rs"),
            include_str!("grade/player.rs"),
            include_str!("grade/program.rs"),
            include_str!("grade/report.rs"),
            include_str!("grade/server.rs"),
            include_str!("grade/suite.rs"),
            include_str!("lecture/capture.rs"),
            include_str!("lecture/compare.rs"),
            include_str!("lecture/kernel.rs"),
            include_str!("lecture/lessons.rs"),
            include_str!("lecture/sequence.rs"),
            include_str!("lecture/tcp.rs"),
            include_str!("lecture/trace.rs"),
            include_str!("pack.rs"),
        ];
        // Those of a rule, and of the mistake that breaks it, are named in the conversations. The others have two words
        // where the second one is in a variable.
        for name in &names {
            let (kind, word) = name.split_once(' ').unwrap_or(("", name));
            let is_said = |word: &str| sources.iter().any(|code| code.contains(word));
            let is_there = is_said(&format!("\"{name}\"")) || is_said(&format!("\"{word}\""));
            assert!(["rule", "mistake", "label"].contains(&kind) || is_there, "{name}: never said");
        }
        let mut said = 0;
        for (kind, call) in [("expected ", "expected(\""), ("came ", "came(\""), ("", "said(\"")] {
            for words in sources.iter().flat_map(|code| code.split(call).skip(1)) {
                let name = format!("{kind}{}", words.split('"').next().unwrap());
                assert!(names.contains(&name.as_str()), "{name}");
                said += 1;
            }
        }
        assert!(said > 100, "{said}");
    }
}
