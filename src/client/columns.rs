//! How wide a text is on a terminal: wide characters take two columns, joining ones none.
//!
//! The standard library has no table for that. These ranges cover the scripts and symbols that
//! terminals draw wide today; what they miss costs a crooked column, and nothing else.

/// The columns that a text takes.
#[must_use]
pub(super) fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// At most `room` columns of a text, with a mark where something is missing.
#[must_use]
pub(super) fn cut(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let mut left = room.saturating_sub(1);
    let mut short = String::new();
    for c in text.chars() {
        match left.checked_sub(columns(c)) {
            Some(rest) => left = rest,
            None => break,
        }
        short.push(c);
    }
    if room > 0 {
        short.push('…');
    }
    short
}

fn columns(c: char) -> usize {
    match u32::from(c) {
        // Marks that join the letter before them, and signs that are not drawn.
        0x300..=0x36f
        | 0x483..=0x489
        | 0x591..=0x5bd
        | 0x610..=0x61a
        | 0x64b..=0x65f
        | 0x900..=0x902
        | 0x93c
        | 0x941..=0x948
        | 0x94d
        | 0xe31
        | 0xe34..=0xe3a
        | 0xe47..=0xe4e
        | 0x1ab0..=0x1aff
        | 0x1dc0..=0x1dff
        | 0x200b..=0x200f
        | 0x20d0..=0x20ff
        | 0x3099..=0x309a
        | 0xfe00..=0xfe0f
        | 0xfe20..=0xfe2f
        | 0xfeff
        | 0xe0100..=0xe01ef => 0,
        // East Asian scripts and their full-width forms.
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0x33ff
        | 0x3400..=0x4dbf
        | 0x4e00..=0x9fff
        | 0xa000..=0xa4cf
        | 0xa960..=0xa97f
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1b000..=0x1b2ff
        | 0x20000..=0x3fffd => 2,
        // Emoji.
        0x231a..=0x231b
        | 0x23e9..=0x23ec
        | 0x25fd..=0x25fe
        | 0x2614..=0x2615
        | 0x2648..=0x2653
        | 0x26a1
        | 0x26bd..=0x26be
        | 0x2705
        | 0x270a..=0x270b
        | 0x2728
        | 0x274c
        | 0x2753..=0x2755
        | 0x2795..=0x2797
        | 0x2b1b..=0x2b1c
        | 0x2b50
        | 0x1f004
        | 0x1f0cf
        | 0x1f18e
        | 0x1f191..=0x1f19a
        | 0x1f200..=0x1f320
        | 0x1f32d..=0x1f64f
        | 0x1f680..=0x1f6ff
        | 0x1f7e0..=0x1f7eb
        | 0x1f900..=0x1f9ff
        | 0x1fa70..=0x1faff => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_what_a_terminal_draws() {
        let table = [
            ("", 0),
            ("abc", 3),
            ("é", 1),
            ("e\u{301}", 1),
            ("漢字", 4),
            ("한글", 4),
            ("😀", 2),
            ("ｱ", 1),
            ("Ａ", 2),
        ];
        for (text, columns) in table {
            assert_eq!(width(text), columns, "{text}");
        }
    }

    #[test]
    fn a_cut_never_takes_more_than_its_room() {
        for text in ["abcdef", "漢字漢字", "a漢b字", "e\u{301}e\u{301}e\u{301}"] {
            for room in 0..10 {
                let short = cut(text, room);
                assert!(width(&short) <= room, "{text} {room} {short}");
                assert_eq!(short == text, width(text) <= room);
            }
        }
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("漢字漢字", 4), "漢…");
    }
}
