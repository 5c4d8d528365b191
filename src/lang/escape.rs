//! Makes a peer's bytes fit to print. A name can hold commands for a terminal, and direction marks that
//! make it read as another name.

use std::borrow::Cow;

use crate::limits;

/// A peer's bytes made fit to print: what is not printable is spelled out, and what is long is cut.
/// A name can hold commands for a terminal, and direction marks that make it read as another name.
pub fn escape(bytes: &[u8]) -> Cow<'_, str> {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    let is_plain = bytes.len() < limits::SHOWN && bytes.iter().all(plain);
    // What nearly every name is.
    if is_plain && let Ok(text) = std::str::from_utf8(bytes) {
        return text.into();
    }
    spell_out(bytes, limits::SHOWN, true).into()
}

/// The same for text that is printed without quotation marks around it: those in it stay as they are, and so do
/// backslashes.
pub fn printable(bytes: &[u8]) -> String {
    spell_out(bytes, limits::SHOWN, false)
}

/// The same for a path of this machine and for a whole conversation: nothing is cut.
pub fn readable(bytes: &[u8]) -> String {
    spell_out(bytes, usize::MAX, false)
}

/// A name that is safe to print in a sentence. One with a space at an end has quotes around it.
pub fn escaped(name: &str) -> String {
    let printed = printable(name.as_bytes());
    if name.trim() == name { printed } else { format!("'{printed}'") }
}

/// The same with quotation marks around it: what a peer sent, in a sentence.
pub fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", escape(bytes))
}

/// Whether a terminal obeys it, or reads text after it in the other direction.
pub(crate) fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A name in which only control characters are spelled out.
pub(crate) fn without_controls(name: &str) -> String {
    let spell = |c: char| match is_control(c) {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    name.chars().map(spell).collect()
}

fn spell_out(bytes: &[u8], most: usize, quoted: bool) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        let letters = chunk.valid().chars().map(Ok).chain(chunk.invalid().iter().map(Err));
        for letter in letters {
            if text.len() >= most {
                break;
            }
            match letter {
                Ok('\'') => text.push('\''),
                Ok(c @ ('"' | '\\')) if !quoted => text.push(c),
                // A combining mark is escaped only if it has no character to combine with.
                Ok(c) if !text.is_empty() && combines(c) => text.push(c),
                Ok(c) => text.extend(c.escape_debug()),
                Err(byte) => text += &format!("\\x{byte:02x}"),
            }
        }
    }
    // What is as long was perhaps cut before it came here.
    if text.len() >= most {
        text.push('…');
    }
    text
}

/// Whether `c` joins the letter before it: the standard library escapes such a character only at
/// the beginning of a text.
fn combines(c: char) -> bool {
    c.escape_debug().len() > 1 && format!("a{c}").escape_debug().count() == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_sent_is_printable() {
        let table: [(&[u8], &str); 9] = [
            (b"plain name.txt", "plain name.txt"),
            ("é CJK 漢字 e\u{301}".as_bytes(), "é CJK 漢字 e\u{301}"),
            (b"it's \"so\" \\", "it's \\\"so\\\" \\\\"),
            (b"\x1b[31mred\x07", "\\u{1b}[31mred\\u{7}"),
            (b"a\r\nb\0", "a\\r\\nb\\0"),
            ("a\u{202e}txt.exe\u{200b}".as_bytes(), "a\\u{202e}txt.exe\\u{200b}"),
            (b"\xff\xc0\x80", "\\xff\\xc0\\x80"),
            ("\u{85}\u{2028}".as_bytes(), "\\u{85}\\u{2028}"),
            ("\u{301}a".as_bytes(), "\\u{301}a"),
        ];
        for (bytes, shown) in table {
            assert_eq!(escape(bytes), shown);
        }
    }

    #[test]
    fn a_path_and_an_unquoted_name_keep_their_backslashes() {
        assert_eq!(printable(b"C:\\my \"b\".txt\x07"), "C:\\my \"b\".txt\\u{7}");
        assert_eq!(readable(b"downloads\\big.bin"), r"downloads\big.bin");
        assert_eq!(printable(&[b'\\'; 5000]).chars().count(), limits::SHOWN + 1);
    }

    #[test]
    fn a_conversation_is_readable_and_whole() {
        assert_eq!(readable(b"{\"a\":\"\\u00e9\"}\x1b[31m\r"), "{\"a\":\"\\u00e9\"}\\u{1b}[31m\\r");
        assert_eq!(readable(&[b'a'; 5000]).len(), 5000);
    }

    #[test]
    fn what_is_long_is_cut() {
        assert_eq!(escape(&[b'a'; 5000]).chars().count(), limits::SHOWN + 1);
        assert!(escape(&[b'\n'; 5000]).len() < limits::SHOWN + 8);
        assert!(escape(&[0xff; 5000]).len() < limits::SHOWN + 8);
    }
}
