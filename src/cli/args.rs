//! Takes a command line apart: flags, their values, and other words.

use std::collections::VecDeque;
use std::ffi::OsString;

use super::Wrong;
use crate::dialect::Dialect;
use crate::lang::{Msg, Wanted};
use crate::limits;

/// One thing that stands on a command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arg {
    /// `--name`, or `-n`.
    Flag(String),
    /// Anything else, and all that follows `--`.
    Word(OsString),
}

/// A command line, taken from the left.
pub(super) struct Args {
    words: VecDeque<OsString>,
    flag: String,
    /// What stood behind `=`, until somebody asks for it.
    value: Option<OsString>,
    only_words: bool,
}

impl Args {
    pub(super) fn new(words: impl IntoIterator<Item = OsString>) -> Args {
        let words = words.into_iter().collect();
        Args { words, flag: String::new(), value: None, only_words: false }
    }

    /// What stands next.
    pub(super) fn next(&mut self) -> Result<Option<Arg>, Wrong> {
        if self.value.is_some() {
            return Err(Msg::FlagTakesNoValue { flag: self.flag.clone() });
        }
        let Some(word) = self.words.pop_front() else { return Ok(None) };
        let flag = match word.to_str() {
            Some("--") if !self.only_words => {
                self.only_words = true;
                return self.next();
            }
            Some(flag) if !self.only_words && flag.len() > 1 && flag.starts_with('-') => flag,
            _ => return Ok(Some(Arg::Word(word))),
        };
        match flag.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => {
                self.value = Some(value.into());
                self.flag = flag.to_owned();
            }
            _ => self.flag = flag.to_owned(),
        }
        Ok(Some(Arg::Flag(self.flag.clone())))
    }

    /// The value of the flag that was just taken. What looks like another flag is no value, unless
    /// it stands behind `=`: `--root --read-only` is more likely a slip than a folder.
    pub(super) fn value(&mut self) -> Result<OsString, Wrong> {
        let is_flag = |word: &OsString| word.as_encoded_bytes().starts_with(b"--");
        let value = match self.value.take() {
            None if self.words.front().is_some_and(is_flag) => None,
            None => self.words.pop_front(),
            value => value,
        };
        value.ok_or_else(|| Msg::FlagNeedsValue { flag: self.flag.clone() })
    }

    /// The value, as text that `read` understands; `wanted` is what that would be.
    pub(super) fn parsed<T>(
        &mut self,
        wanted: Wanted,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Wrong> {
        let value = self.value()?;
        let parsed = value.to_str().and_then(read);
        parsed.ok_or_else(|| Msg::FlagValue {
            flag: self.flag.clone(),
            value: value.to_string_lossy().into_owned(),
            wanted,
        })
    }
}

/// `text`, and so on.
pub(super) fn dialect(name: &str) -> Option<Dialect> {
    Dialect::named(name)
}

/// A number, from one on.
pub(super) fn count(text: &str) -> Option<usize> {
    text.parse().ok().filter(|n| *n > 0)
}

/// A number of bytes: `1500`, `10k`, `5M`, `2G`.
pub(super) fn size(text: &str) -> Option<u64> {
    let unit = match text.chars().last()? {
        'k' | 'K' => 1_000,
        'm' | 'M' => 1_000_000,
        'g' | 'G' => 1_000_000_000,
        _ => return digits(text),
    };
    digits(text.get(..text.len().checked_sub(1)?)?)?.checked_mul(unit)
}

/// The size of one read.
pub(super) fn buffer(text: &str) -> Option<usize> {
    let size = size(text).filter(|size| (1..=limits::MAX_BUFFER).contains(size))?;
    size.try_into().ok()
}

/// `HOST:PORT`, with either part left out where the default serves. An IPv6 host has brackets.
pub(super) fn host_and_port(text: &str, lone: Lone) -> Option<(Option<String>, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
            (Some(host), port)
        }
        None => match (text.split_once(':'), lone) {
            (Some((host, port)), _) => (Some(host), Some(port)),
            (None, Lone::Either) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                (None, Some(text))
            }
            (None, Lone::Either) if !is_host(text) => return None,
            (None, Lone::Either | Lone::Host) => (Some(text), None),
        },
    };
    if host == Some("") {
        return None;
    }
    let port = match port {
        None => None,
        Some(port) => Some(u16::try_from(digits(port)?).ok()?),
    };
    Some((host.map(str::to_owned), port))
}

/// What text without a colon is.
#[derive(Clone, Copy)]
pub(super) enum Lone {
    Host,
    /// A port if it is a number, else a host.
    Either,
}

/// Whether this looks like the name or the number of a host: `+1` was meant for a port.
pub(super) fn is_host(text: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
    text.starts_with(char::is_alphanumeric) && text.chars().all(allowed)
}

/// Digits only: `parse` alone would take a plus sign too.
pub(super) fn digits(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_taken_from_the_left() {
        let mut args =
            Args::new(["--a", "1", "--b=2=3", "-c", "x", "-", "--", "--d", "--"].map(Into::into));
        let flag = |name: &str| Some(Arg::Flag(name.to_owned()));
        let word = |word: &str| Some(Arg::Word(word.into()));
        assert_eq!(args.next().unwrap(), flag("--a"));
        assert_eq!(args.value().unwrap(), "1");
        assert_eq!(args.next().unwrap(), flag("--b"));
        assert_eq!(args.value().unwrap(), "2=3");
        assert_eq!(args.next().unwrap(), flag("-c"));
        for expected in [word("x"), word("-"), word("--d"), word("--"), None] {
            assert_eq!(args.next().unwrap(), expected);
        }
    }

    #[test]
    fn a_value_must_be_there_and_be_wanted() {
        let mut args = Args::new(["--a".into()]);
        args.next().unwrap();
        assert_eq!(args.value(), Err(Msg::FlagNeedsValue { flag: "--a".into() }));
        let mut args = Args::new(["--a".into(), "--b".into()]);
        args.next().unwrap();
        assert!(args.value().is_err());
        let mut args = Args::new(["--a=1".into()]);
        args.next().unwrap();
        assert_eq!(args.next(), Err(Msg::FlagTakesNoValue { flag: "--a".into() }));
    }

    #[test]
    fn sizes_have_units_of_a_thousand() {
        let table = [
            ("0", Some(0)),
            ("1500", Some(1500)),
            ("10k", Some(10_000)),
            ("5M", Some(5_000_000)),
            ("2G", Some(2_000_000_000)),
            ("", None),
            ("k", None),
            ("-1", None),
            ("+1", None),
            ("1.5M", None),
            ("1kk", None),
            ("1T", None),
            ("99999999999999G", None),
            ("é", None),
        ];
        for (text, expected) in table {
            assert_eq!(size(text), expected, "{text}");
        }
        assert_eq!((buffer("0"), buffer("1"), buffer("17M")), (None, Some(1), None));
    }

    #[test]
    fn addresses_may_be_partial() {
        let some = |host: &str, port| Some((Some(host.to_owned()), port));
        assert_eq!(host_and_port("1234", Lone::Either), Some((None, Some(1234))));
        assert_eq!(host_and_port("1234", Lone::Host), some("1234", None));
        assert_eq!(host_and_port("host:0", Lone::Either), some("host", Some(0)));
        assert_eq!(host_and_port("[::1]:80", Lone::Host), some("::1", Some(80)));
        assert_eq!(host_and_port("[::1]", Lone::Host), some("::1", None));
        assert_eq!(host_and_port("0.0.0.0", Lone::Either), some("0.0.0.0", None));
        assert_eq!(host_and_port("my-host", Lone::Either), some("my-host", None));
        for wrong in [
            "+1",
            "70000",
            "a,b",
            "::1:80",
            "host:",
            ":80",
            "",
            "host:65536",
            "host:+1",
            "[::1",
            "[::1]80",
            "[]:1",
        ] {
            assert_eq!(host_and_port(wrong, Lone::Either), None, "{wrong}");
        }
    }
}
