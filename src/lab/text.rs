//! Texts as several rooms of the lab lay them out.

use crate::lang::Msg;

/// These words, of which one is meant.
pub(super) fn alternatives(words: &[&str]) -> Msg {
    let (last, others) = words.split_last().unwrap_or((&"", &[]));
    let others = others.join(", ");
    Msg::said(format!("{others} or {last}"), format!("{others} atau {last}"))
}

/// A text in lines of this width.
pub(super) fn wrapped(text: &str, columns: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > columns {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    lines.join("\n")
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
