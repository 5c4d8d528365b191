//! The only way from a peer's bytes to a path.
//!
//! A [`FileName`] is made by [`FileName::parse`], or by [`FileName::numbered`] from another one. No other code in the crate
//! turns what came from a peer into a path. A name that breaks a rule is refused, never repaired: a client that sends `../a.txt` gets
//! an error, and neither that file nor `a.txt`.

use crate::error::{Code, Error, Result};
use crate::limits;

/// A name that is safe to join to the root: parts joined by `/`, none of which leads anywhere else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(String);

impl FileName {
    /// Takes a name as it came from a peer.
    ///
    /// # Errors
    /// It breaks one of the rules; the error says which.
    pub fn parse(bytes: &[u8]) -> Result<FileName> {
        let bad_name = |sentence| Error::new(Code::BadName, sentence);
        let name = std::str::from_utf8(bytes).map_err(|_| bad_name("a name must be UTF-8"))?;
        if name.is_empty() {
            return Err(bad_name("the name is missing"));
        }
        match name.split('/').find_map(broken_rule) {
            Some(sentence) => Err(bad_name(sentence)),
            None => Ok(FileName(name.to_owned())),
        }
    }

    /// The whole name, parts joined by `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folders before the last part, if there are any, joined by `/`.
    pub fn folder(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(folder, _)| folder)
    }

    /// The last part: the name of the file itself.
    pub fn last(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, last)| last)
    }

    /// The name with a counter: `a.txt` becomes `a_1.txt`. Where that is longer than a name can be, the stem is
    /// shortened at a character boundary.
    pub fn numbered(&self, number: u64) -> FileName {
        let counter = format!("_{number}");
        let room = limits::NAME_PART.saturating_sub(counter.len());
        let (mut stem, mut extension) = split_extension(self.last());
        // An extension that leaves no room at all is part of the stem.
        if extension.len() >= room {
            (stem, extension) = (self.last(), "");
        }
        let room = room - extension.len();
        let stem = (0..=room.min(stem.len())).rev().find_map(|end| stem.get(..end));
        let last = format!("{}{counter}{extension}", stem.unwrap_or_default());
        match self.folder() {
            Some(folder) => FileName(format!("{folder}/{last}")),
            None => FileName(last),
        }
    }

    /// The number for which [`FileName::numbered`] gives this last part.
    pub(super) fn number_of(&self, last: &str) -> Option<u64> {
        let stem = last.strip_suffix(extension(self.last())).unwrap_or(last);
        let number = stem.rsplit_once('_')?.1.parse().ok()?;
        (self.numbered(number).last() == last).then_some(number)
    }
}

/// The extension of a name, with its dot; empty if it has none.
pub fn extension(last: &str) -> &str {
    split_extension(last).1
}

/// Splits a name as Python's `os.path.splitext` does: the extension begins at the last dot and has it.
fn split_extension(last: &str) -> (&str, &str) {
    match last.rfind('.') {
        Some(dot) if dot > 0 => last.split_at(dot),
        _ => (last, ""),
    }
}

/// Whether this is a decimal number.
pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The rule that a part of a name breaks. That no part begins with a dot keeps `..` out too.
pub(super) fn broken_rule(part: &str) -> Option<&'static str> {
    if part.is_empty() {
        Some("a name may not begin or end with a slash, or have two in a row")
    } else if part.len() > limits::NAME_PART {
        Some("a part of a name may be at most 255 bytes")
    } else if part.starts_with('.') {
        Some("no part of a name may begin with a dot")
    } else if part.starts_with(' ') || part.ends_with(' ') {
        Some("no part of a name may begin or end with a space")
    } else if part.contains('\\') {
        Some("a name may not contain a backslash: folders are joined by /")
    } else if part.contains(|c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')) {
        Some("a name may not contain characters that change the direction of writing")
    } else if part.contains(char::is_control) {
        Some("a name may not contain control characters")
    } else if cfg!(windows) {
        broken_rule_on_windows(part)
    } else {
        None
    }
}

fn broken_rule_on_windows(part: &str) -> Option<&'static str> {
    if part.contains(['<', '>', ':', '"', '|', '?', '*']) {
        Some("Windows does not allow < > : \" | ? * in a name")
    } else if part.ends_with('.') {
        Some("Windows does not allow a dot at the end of a name")
    } else if is_short_name(part) {
        Some("on Windows that may be the short name of another file")
    } else if is_device(part) {
        Some("on Windows that is the name of a device")
    } else {
        None
    }
}

/// Whether Windows may have made this up as a second name for a longer one, as `CONNME~1` for `.connme`.
fn is_short_name(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or_default();
    stem.rsplit_once('~').is_some_and(|(_, number)| is_number(number))
}

/// Whether Windows would open a device under this name. An extension makes no difference.
fn is_device(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let port = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT")).map(|port| {
        let mut digits = port.chars();
        (digits.next(), digits.next())
    });
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        || matches!(port, Some((Some('0'..='9' | '¹' | '²' | '³'), None)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names_are_taken_as_they_are() {
        let long = "é".repeat(127) + "x";
        for name in [
            "a",
            "a.txt",
            "a b.txt",
            "-rf",
            "--",
            "~",
            "$HOME",
            "a..b",
            "a.",
            "é.txt",
            "漢字",
            "docs/a.txt",
            "a/b/c/d",
            "%2e%2e",
            "CON.txt",
            "a:b",
            "'",
            "\"",
            "*",
            "e\u{301}",
            &long,
        ] {
            let is_for_all = name.split('/').all(|part| broken_rule_on_windows(part).is_none());
            let parsed = FileName::parse(name.as_bytes());
            assert_eq!(
                parsed.is_ok_and(|parsed| parsed.0 == name),
                is_for_all || cfg!(not(windows))
            );
        }
    }

    #[test]
    fn the_extension_is_the_one_that_python_gives() {
        for (last, expected) in [
            ("a.txt", ".txt"),
            ("a.tar.gz", ".gz"),
            ("a.", "."),
            ("README", ""),
            (".profile", ""),
            ("", ""),
        ] {
            assert_eq!(extension(last), expected, "{last}");
        }
    }

    #[test]
    fn what_a_client_cannot_ask_for_is_known() {
        let expected = [("a b", true), ("é", true), (".a", false), ("a ", false), ("a\\b", false)];
        assert_eq!(expected.map(|(name, _)| (name, broken_rule(name).is_none())), expected);
    }

    #[test]
    fn bad_names_are_refused() {
        let long = "x".repeat(256);
        for name in [
            "",
            ".",
            "..",
            "/",
            "/a",
            "a/",
            "a//b",
            "../a",
            "a/..",
            "a/../b",
            "a/./b",
            ".hidden",
            "a/.hidden",
            ".connme",
            ".connme/incoming/x",
            "a\\b",
            "..\\a",
            "C:\\a",
            " a",
            "a ",
            "a/ b",
            "a /b",
            "a\nb",
            "a\rb",
            "a\tb",
            "a\0b",
            "a\x1b[2J",
            "a\x7f",
            "a\u{80}",
            "a\u{9f}",
            "a\u{202e}b",
            "a\u{2066}b",
            &long,
        ] {
            let refused = FileName::parse(name.as_bytes());
            assert!(refused.unwrap_err().is(Code::BadName), "{name:?}");
        }
        for bytes in [
            &b"\xff"[..],
            b"a\xc0\xafb",
            b"\xc0\xae\xc0\xae",
            b"\xed\xa0\x80",
            b"a\xf4\x90\x80\x80",
        ] {
            assert!(FileName::parse(bytes).unwrap_err().is(Code::BadName));
        }
    }

    #[test]
    fn windows_refuses_more() {
        for name in [
            "C:a",
            "C:../x",
            "a:stream",
            "a<b",
            "a>b",
            "a|b",
            "a?b",
            "a*b",
            "a\"b",
            "a.",
            "a./b",
            "CON",
            "con",
            "NUL.txt",
            "nul .txt",
            "aux.tar.gz",
            "COM1",
            "com9.txt",
            "LPT0",
            "COM¹",
            "CONIN$",
            "docs/prn",
            "CONNME~1",
            "connme~12/x",
            "a~1.txt",
        ] {
            assert!(name.split('/').any(|part| broken_rule_on_windows(part).is_some()), "{name:?}");
        }
        for name in [
            "CONSOLE",
            "COM",
            "COM10",
            "COMx",
            "nullo.txt",
            "a.b",
            "LPT.txt",
            "a~",
            "a~1b",
            "a~b.c",
        ] {
            assert!(broken_rule_on_windows(name).is_none(), "{name:?}");
        }
    }

    #[test]
    fn the_counter_is_before_the_extension() {
        let table = [
            ("hanyates.txt", 1, "hanyates_1.txt"),
            ("a", 2, "a_2"),
            ("a.tar.gz", 12, "a.tar_12.gz"),
            ("a.", 1, "a_1."),
            ("docs/v1.2/a.txt", 3, "docs/v1.2/a_3.txt"),
            ("docs.d/a", 3, "docs.d/a_3"),
        ];
        for (name, number, numbered) in table {
            let name = FileName(name.to_owned());
            let found = name.numbered(number);
            assert_eq!((found.as_str(), name.number_of(found.last())), (numbered, Some(number)));
        }
        let name = FileName::parse(b"a.txt").unwrap();
        for other in [
            "a.txt",
            "a_.txt",
            "a_01.txt",
            "a_+1.txt",
            "a_99999999999999999999.txt",
            "a_1",
            "b_1.txt",
        ] {
            assert_eq!(name.number_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_long_stem_gives_way_to_the_counter() {
        for name in [
            "x".repeat(255),
            "x".repeat(251) + ".txt",
            "é".repeat(125) + "x.txt",
            "漢".repeat(85),
            "x.".to_owned() + &"y".repeat(253),
            "docs/".to_owned() + &"x".repeat(255),
        ] {
            let name = FileName::parse(name.as_bytes()).unwrap();
            for number in [1, 10, 999, u64::MAX] {
                let numbered = name.numbered(number);
                assert!(numbered.last().len() <= 255);
                assert!(numbered.last().contains(&format!("_{number}")));
                assert_eq!(FileName::parse(numbered.as_str().as_bytes()).unwrap(), numbered);
                assert_eq!(name.number_of(numbered.last()), Some(number));
            }
        }
    }
}
