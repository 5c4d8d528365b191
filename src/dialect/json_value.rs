//! A JSON value: text to value and back, by RFC 8259.
//!
//! What the RFC leaves open is decided like this. Two members of one name are refused, because two
//! readers could use different ones. A lone half of a surrogate pair is refused, because no text can hold
//! it. Numbers are kept as they were written, because no type here holds them all.

use std::collections::HashSet;
use std::fmt;

use crate::limits::JSON_DEPTH;

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it was written.
    Number(String),
    /// A text.
    Text(String),
    /// `[…]`
    Array(Vec<Value>),
    /// `{…}`, in the order in which it was written.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// Reads one value, with white space around it and nothing else. `None` if it is not JSON.
    pub fn parse(text: &[u8]) -> Option<Value> {
        let mut reader = Reader { rest: std::str::from_utf8(text).ok()? };
        let value = reader.value(JSON_DEPTH, true)?;
        reader.white();
        reader.rest.is_empty().then_some(value)
    }

    /// Reads an object, and keeps only the members with these names: a request may have any number of others
    /// that mean nothing here, and they would take thirty times the memory of their text. `None` if it is
    /// not a JSON object.
    pub fn parse_members(text: &[u8], wanted: &[&str]) -> Option<Value> {
        let mut reader = Reader { rest: std::str::from_utf8(text).ok()? };
        reader.white();
        let value = reader.object(JSON_DEPTH.checked_sub(1)?, |name| wanted.contains(&name))?;
        reader.white();
        reader.rest.is_empty().then_some(value)
    }

    /// A whole number.
    pub fn number(n: u64) -> Value {
        Value::Number(n.to_string())
    }

    /// A text.
    pub fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    /// The member of this name, if this is an object that has one.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Object(members) => members.iter().find(|(n, _)| n == name).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The text, if this is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if this is one that is written as digits alone and fits.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Value::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(yes) => write!(f, "{yes}"),
            Value::Number(digits) => f.write_str(digits),
            Value::Text(text) => print_text(text, f),
            Value::Array(values) => {
                f.write_str("[")?;
                for (n, value) in values.iter().enumerate() {
                    let comma = if n > 0 { "," } else { "" };
                    write!(f, "{comma}{value}")?;
                }
                f.write_str("]")
            }
            Value::Object(members) => {
                f.write_str("{")?;
                for (n, (name, value)) in members.iter().enumerate() {
                    f.write_str(if n > 0 { "," } else { "" })?;
                    print_text(name, f)?;
                    write!(f, ":{value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

fn print_text(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            // Control characters must be escaped; DEL and its kin may be, and are, for terminals.
            c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn white(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    /// Takes `word` if it is next.
    fn takes(&mut self, word: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        Some(c)
    }

    /// Reads a value. With `keeps`, what is inside it is kept.
    fn value(&mut self, depth: usize, keeps: bool) -> Option<Value> {
        self.white();
        match self.rest.as_bytes().first()? {
            b'n' => self.takes("null").map(|()| Value::Null),
            b't' => self.takes("true").map(|()| Value::Bool(true)),
            b'f' => self.takes("false").map(|()| Value::Bool(false)),
            b'"' => self.text().map(Value::Text),
            b'[' => self.array(depth.checked_sub(1)?, keeps),
            b'{' => self.object(depth.checked_sub(1)?, |_| keeps),
            _ => self.number(),
        }
    }

    /// Reads what is between these two marks, with commas between the items.
    fn items(
        &mut self,
        [open, close]: [&str; 2],
        mut item: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.takes(open)?;
        self.white();
        if self.takes(close).is_some() {
            return Some(());
        }
        loop {
            item(self)?;
            self.white();
            if self.takes(close).is_some() {
                return Some(());
            }
            self.takes(",")?;
        }
    }

    fn array(&mut self, depth: usize, keeps: bool) -> Option<Value> {
        let mut values = Vec::new();
        self.items(["[", "]"], |reader| {
            let value = reader.value(depth, keeps)?;
            if keeps {
                values.push(value);
            }
            Some(())
        })?;
        Some(Value::Array(values))
    }

    fn object(&mut self, depth: usize, keeps: impl Fn(&str) -> bool) -> Option<Value> {
        let mut members: Vec<(String, Value)> = Vec::new();
        let mut names = HashSet::new();
        self.items(["{", "}"], |reader| {
            let name = reader.name()?;
            let is_kept = keeps(&name);
            let value = reader.value(depth, is_kept)?;
            if is_kept {
                names.insert(name.clone()).then_some(())?;
                members.push((name, value));
            }
            Some(())
        })?;
        Some(Value::Object(members))
    }

    fn name(&mut self) -> Option<String> {
        self.white();
        let name = self.text()?;
        self.white();
        self.takes(":")?;
        Some(name)
    }

    fn number(&mut self) -> Option<Value> {
        let start = self.rest;
        let _ = self.takes("-");
        if self.takes("0").is_none() {
            self.digits()?;
        }
        if self.takes(".").is_some() {
            self.digits()?;
        }
        if self.rest.starts_with(['e', 'E']) {
            self.next()?;
            if self.rest.starts_with(['+', '-']) {
                self.next()?;
            }
            self.digits()?;
        }
        let length = start.len().checked_sub(self.rest.len())?;
        start.get(..length).map(|number| Value::Number(number.to_owned()))
    }

    /// One digit or more.
    fn digits(&mut self) -> Option<()> {
        let rest = self.rest.trim_start_matches(|c: char| c.is_ascii_digit());
        if rest.len() == self.rest.len() {
            return None;
        }
        self.rest = rest;
        Some(())
    }

    fn text(&mut self) -> Option<String> {
        self.takes("\"")?;
        let mut text = String::new();
        loop {
            match self.next()? {
                '"' => return Some(text),
                '\\' => text.push(self.escaped()?),
                c if c < ' ' => return None,
                c => text.push(c),
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        match self.next()? {
            c @ ('"' | '\\' | '/') => Some(c),
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'u' => {
                let first = self.unit()?;
                if !(0xd800..0xdc00).contains(&first) {
                    return char::from_u32(first); // None for the second half of a pair.
                }
                self.takes("\\u")?;
                let second = self.unit()?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                char::from_u32(0x10000 + ((first - 0xd800) << 10) + second)
            }
            _ => None,
        }
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Option<u32> {
        let digits = self.rest.get(..4)?;
        self.rest = self.rest.get(4..)?;
        // The number reader alone would take a sign.
        if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            u32::from_str_radix(digits, 16).ok()
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_that_are_not_wanted_are_passed_over() {
        let wanted = |text: &str| Value::parse_members(text.as_bytes(), &["a", "b"]);
        let kept = wanted("{\"x\":[1,{\"y\":[]}],\"a\":5,\"z\":{\"a\":6},\"x\":\"]\",\"b\":[7]} ");
        assert_eq!(kept.unwrap().to_string(), "{\"a\":5,\"b\":[7]}");
        assert_eq!(wanted(" {} ").unwrap(), Value::Object(vec![]));
        let deep =
            |levels: usize| format!("{{\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(wanted(&deep(JSON_DEPTH - 1)).is_some() && wanted(&deep(JSON_DEPTH)).is_none());
        for wrong in [
            "",
            "5",
            "[]",
            "null",
            "{",
            "{}}",
            "{\"x\":}",
            "{\"x\":[1,]}",
            "{\"x\":[1 2]}",
            "{\"x\":{\"y\"}}",
            "{\"x\":01}",
            "{\"x\":\"}",
            "{\"a\":1,\"a\":2}",
            "{\"x\":1,}",
        ] {
            assert_eq!(wanted(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_json_is_read_and_printed() {
        // Without a third column it is printed as it was written.
        let table = [
            ("null", ""),
            ("true", ""),
            ("false", ""),
            ("0", ""),
            ("-0", ""),
            ("5", ""),
            ("-12.50e+7", ""),
            ("1E400", ""),
            ("0.1", ""),
            ("1e-2", ""),
            ("123456789012345678901234567890", ""),
            ("\"\"", ""),
            ("\"a b\"", ""),
            ("\"é漢😀\"", ""),
            ("[]", ""),
            ("[1,2,[3]]", ""),
            ("{}", ""),
            ("{\"a\":1}", ""),
            ("{\"b\":1,\"a\":{\"b\":[]}}", ""),
            (" \t\r\n null \n", "null"),
            ("[ 1 , 2 ]", "[1,2]"),
            ("{ \"a\" : null }", "{\"a\":null}"),
            ("\"\\\"\\\\\\/\"", "\"\\\"\\\\/\""),
            ("\"\\b\\f\\n\\r\\t\"", "\"\\u0008\\u000c\\u000a\\u000d\\u0009\""),
            ("\"\\u0041\\u00e9\\u6f22\"", "\"Aé漢\""),
            ("\"\\ud83d\\ude00\"", "\"😀\""),
            ("\"\\uD834\\uDD1E\"", "\"𝄞\""),
            ("\"\\u0000\"", "\"\\u0000\""),
            ("\"\\uffff\"", "\"\u{ffff}\""),
            ("\"\u{7f}\u{80}\"", "\"\\u007f\\u0080\""),
            ("{\"\":0}", ""),
            ("[[],{},\"\"]", ""),
            ("{\"a\":\"}\"}", ""),
            ("\"[\"", ""),
            ("[true,false,null]", ""),
            ("-1", ""),
            ("10", ""),
            ("{\"a\":1,\"A\":2}", ""),
            ("\"\u{2028}\"", ""),
            ("\"\\u2028\"", "\"\u{2028}\""),
        ];
        for (text, printed) in table {
            let value = Value::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            let printed = if printed.is_empty() { text } else { printed };
            assert_eq!(value.to_string(), printed);
            assert_eq!(Value::parse(printed.as_bytes()), Some(value), "{printed}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        let table = [
            "",
            " ",
            "nul",
            "nulll",
            "Null",
            "TRUE",
            "None",
            "undefined",
            "NaN",
            "Infinity",
            "+1",
            "01",
            "-",
            "-01",
            "1.",
            ".5",
            "1.e5",
            "1e",
            "1e+",
            "0x10",
            "1_000",
            "1 2",
            "٥",
            "--1",
            "1.2.3",
            "\"",
            "\"a",
            "'a'",
            "\"\\\"",
            "\"\\x41\"",
            "\"\\u12\"",
            "\"\\u+123\"",
            "\"\\u12G4\"",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "\"\\ud800x\"",
            "\"\\ud800\\n\"",
            "\"\\ud800\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\udc00\\ud800\"",
            "\"\\a\"",
            "\"\\\n\"",
            "\"a\nb\"",
            "\"a\tb\"",
            "\"\0\"",
            "[",
            "]",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1,,2]",
            "{",
            "}",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,",
            "{\"a\":1,}",
            "{a:1}",
            "{'a':1}",
            "{1:1}",
            "{\"a\" 1}",
            "{\"a\":1 \"b\":2}",
            "{,}",
            "{\"a\":1,\"a\":1}",
            "{\"a\":1,\"\\u0061\":2}",
            "[1}",
            "{\"a\":1]",
            "null null",
            "[]x",
            "\u{feff}null",
            "\u{a0}null",
            "/**/null",
            "null//",
            "\"a\"b",
            "{\"a\":{}",
            "[[[[",
            "}{",
            ",",
            ":",
        ];
        for text in table {
            assert_eq!(Value::parse(text.as_bytes()), None, "{text:?}");
        }
        for bytes in
            [&b"\"\xff\""[..], b"\"\xc0\x80\"", b"\"\xed\xa0\x80\"", b"\"\xe2\x82\"", b"\x80"]
        {
            assert_eq!(Value::parse(bytes), None);
        }
    }

    #[test]
    fn depth_has_an_end() {
        let skipped = |n: usize, open: &str, close: &str| {
            let text = format!("{{\"x\":{}1{}}}", open.repeat(n), close.repeat(n));
            Value::parse_members(text.as_bytes(), &[]).is_some()
        };
        for (open, close) in [("[", "]"), ("{\"y\":", "}")] {
            assert!(
                skipped(JSON_DEPTH - 1, open, close) && !skipped(JSON_DEPTH, open, close),
                "{open}"
            );
        }
        let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(Value::parse(nested(JSON_DEPTH).as_bytes()).is_some());
        assert!(Value::parse(nested(JSON_DEPTH + 1).as_bytes()).is_none());
        assert!(Value::parse("[".repeat(1_000_000).as_bytes()).is_none());
        assert!(Value::parse("{\"a\":".repeat(1_000_000).as_bytes()).is_none());
    }

    #[test]
    fn random_bytes_are_an_error_or_a_value() {
        let pieces = [
            "{", "}", "[", "]", ",", ":", "\"", "\\", "u", "d83d", "\\ude00", "null", "true", "1",
            "-", ".", "e", " ", "a", "é", "\n", "\\u00", "0", "\"a\":", "\"b\"",
        ];
        let mut random = crate::random::Random(1);
        let mut random = move |end: usize| random.below(end);
        let mut values = 0;
        for _ in 0..50_000 {
            let mut text: Vec<u8> =
                (0..random(12)).flat_map(|_| pieces[random(pieces.len())].bytes()).collect();
            if random(4) == 0 && !text.is_empty() {
                let at = random(text.len());
                text[at] = u8::try_from(random(256)).unwrap();
            }
            if let Some(value) = Value::parse(&text) {
                values += 1;
                assert_eq!(Value::parse(value.to_string().as_bytes()), Some(value));
            }
        }
        assert!(values > 500, "{values}");
    }
}
