//! Takes a command line apart: flags, their values, and other words. Reads the flags that several programs have.

use std::collections::VecDeque;
use std::ffi::OsString;

use super::{InstrumentFlags, Wrong, completions, man};
use crate::client::nearest::nearest;
use crate::lang::{Lang, msg, text};
use crate::limits;

/// What a flag takes, in both languages.
pub(crate) type Wanted = (&'static str, &'static str);

pub(crate) const SERVER: Wanted = ("HOST[:PORT]", "HOST[:PORT]");
pub(crate) const DIALECT: Wanted =
    ("text, struct, filesaver, json or count", "text, struct, filesaver, json atau count");
pub(crate) const COUNT: Wanted = ("a number from 1 on", "bilangan mulai dari 1");
pub(crate) const SIZE: Wanted =
    ("a number of bytes, or one like 10k, 5M, 2G", "banyaknya byte, atau seperti 10k, 5M, 2G");
pub(crate) const THEME: Wanted = ("light or dark", "light atau dark");
const BUFFER: Wanted = ("a size from 1 to 16M", "ukuran dari 1 sampai 16M");
const LANGUAGE: Wanted = ("en or id", "en atau id");
const SHELL: Wanted = ("bash, zsh or fish", "bash, zsh atau fish");

/// One part of a command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arg {
    /// `--name`, or `-n`.
    Flag(String),
    /// Anything else, and all that follows `--`.
    Word(OsString),
}

/// A command line, taken from the left.
pub(crate) struct Args {
    words: VecDeque<OsString>,
    flag: String,
    /// What follows the flag after `=`, until it is taken.
    value: Option<OsString>,
    only_words: bool,
}

/// The flags that several programs have.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) buffer: Option<usize>,
    pub(crate) instruments: InstrumentFlags,
    pub(crate) lang: Lang,
}

impl Shared {
    /// Reads a flag that several programs have. Some ask for a text to print, and nothing else.
    pub(crate) fn read(
        &mut self,
        flag: &str,
        line: &mut Args,
        program: &str,
        usage: &str,
    ) -> Result<Option<String>, Wrong> {
        match flag {
            "--buffer" => self.buffer = Some(line.parsed(BUFFER, buffer)?),
            "--trace" | "-t" => self.instruments.trace = true,
            "--kernel" => self.instruments.kernel = true,
            "--stammer" => {
                self.instruments.stammer = Some(line.value()?.to_string_lossy().into_owned());
            }
            "--capture" => self.instruments.capture = Some(line.value()?.into()),
            "--capture-bytes" => {
                let size = |text: &str| size(text)?.try_into().ok();
                self.instruments.capture_bytes = Some(line.parsed(SIZE, size)?);
            }
            "--lang" => self.lang = line.parsed(LANGUAGE, Lang::named)?,
            "--completions" => {
                let script = |shell: &str| completions::script(shell, program, usage);
                return line.parsed(SHELL, script).map(Some);
            }
            "--man" => return Ok(Some(man::page(program, usage))),
            "--help" | "-h" => return Ok(Some(usage.to_owned())),
            "--version" | "-V" => {
                return Ok(Some(format!("{program} {}\n", env!("CARGO_PKG_VERSION"))));
            }
            _ => {
                return Err(match meant(flag, usage) {
                    Some(meant) => text!("unexpected-nearest", flag, meant),
                    None => unexpected(flag),
                });
            }
        }
        Ok(None)
    }
}

impl Args {
    pub(crate) fn new(words: impl IntoIterator<Item = OsString>) -> Args {
        let words = words.into_iter().collect();
        Args { words, flag: String::new(), value: None, only_words: false }
    }

    /// The next part.
    pub(crate) fn next(&mut self) -> Result<Option<Arg>, Wrong> {
        if self.value.is_some() {
            let flag = &self.flag;
            return Err(msg!("{flag} takes no value", "{flag} tidak menerima nilai").see_help());
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

    /// The value of the flag that was just taken. What looks like another flag is not a value, unless it
    /// follows `=`: `--root --read-only` is more likely a mistake than a folder.
    pub(crate) fn value(&mut self) -> Result<OsString, Wrong> {
        let is_flag = |word: &OsString| word.as_encoded_bytes().starts_with(b"--");
        let value = match self.value.take() {
            None if self.words.front().is_some_and(is_flag) => None,
            None => self.words.pop_front(),
            value => value,
        };
        let flag = &self.flag;
        let missing = || msg!("{flag} needs a value", "{flag} harus diikuti nilai").see_help();
        value.ok_or_else(missing)
    }

    /// The value as `read` understands it. `wanted` is what the flag takes.
    pub(crate) fn parsed<T>(
        &mut self,
        wanted: Wanted,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Wrong> {
        let value = self.value()?;
        let parsed = value.to_str().and_then(read);
        parsed.ok_or_else(|| wrong_value(&self.flag, &value.to_string_lossy(), wanted))
    }
}

/// A value that is not what the flag takes.
pub(crate) fn wrong_value(flag: &str, value: &str, (en, id): Wanted) -> Wrong {
    msg!("{flag} takes {en}, not '{value}'", "{flag} menerima {id}, bukan '{value}'").see_help()
}

/// A flag or a word that means nothing here.
pub(crate) fn unexpected(argument: &str) -> Wrong {
    msg!("unexpected argument '{argument}'", "argumen '{argument}' tidak dikenali").see_help()
}

/// A flag that does nothing without one of these commands or flags, divided by spaces.
pub(crate) fn flag_is_for(flag: &str, users: &str) -> Wrong {
    let (en, id) = (users.replace(' ', " or "), users.replace(' ', " atau "));
    msg!("{flag} is for {en}", "{flag} hanya untuk {id}").see_help()
}

/// The flag of this help text that was probably meant, with its value.
fn meant(flag: &str, usage: &str) -> Option<String> {
    // Words of other programs.
    let flag = match flag {
        "--port" | "--host" | "--address" if usage.contains("--server HOST") => "--server",
        "--port" | "--address" => "--listen",
        flag => flag,
    };
    let (_, flags) = completions::items(usage);
    let names: Vec<_> = flags.iter().map(|flag| format!("--{}", flag.name)).collect();
    let nearest = nearest(flag, names.iter().map(String::as_str))?;
    let value =
        flags.iter().find(|flag| nearest.strip_prefix("--") == Some(&flag.name))?.value.as_ref();
    Some(value.map_or(nearest.to_owned(), |value| format!("{nearest} {value}")))
}

/// A port in the place of a command or a file: nothing else is only digits.
pub(crate) fn lone_port(word: &OsString) -> Option<u16> {
    word.to_str().and_then(port)
}

/// A number from 1 on.
pub(crate) fn count(text: &str) -> Option<usize> {
    digits(text)?.try_into().ok().filter(|n| *n > 0)
}

/// A number of bytes: `1500`, `10k`, `5M`, `2G`.
pub(crate) fn size(text: &str) -> Option<u64> {
    let (number, unit) = match text.strip_suffix(|c: char| c.is_ascii_alphabetic()) {
        None => (text, 1),
        Some(number) => match text.as_bytes().last()?.to_ascii_lowercase() {
            b'k' => (number, 1_000),
            b'm' => (number, 1_000_000),
            b'g' => (number, 1_000_000_000),
            _ => return None,
        },
    };
    digits(number)?.checked_mul(unit)
}

/// The size of one read.
fn buffer(text: &str) -> Option<usize> {
    let size = size(text).filter(|size| (1..=limits::MAX_BUFFER).contains(size))?;
    size.try_into().ok()
}

/// A host and a port, if they are given.
pub(crate) type Address = (Option<String>, Option<u16>);

/// `PORT`, `HOST` or `HOST:PORT`. An IPv6 host has brackets.
pub(crate) fn address(text: &str) -> Option<Address> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some((None, Some(port(text)?)));
    }
    let (host, rest) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').filter(|(host, _)| host.contains(':'))?,
        None => text.split_at_checked(text.find(':').unwrap_or(text.len()))?,
    };
    // `+1` was meant for a port.
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
    let is_host = host.starts_with(char::is_alphanumeric) && host.chars().all(allowed);
    let port = match rest {
        "" => None,
        rest => Some(port(rest.strip_prefix(':')?)?),
    };
    (is_host || text.starts_with('[')).then(|| (Some(host.to_owned()), port))
}

/// A port number.
pub(crate) fn port(text: &str) -> Option<u16> {
    digits(text)?.try_into().ok()
}

/// Whether a theme is the dark one.
pub(crate) fn is_dark(text: &str) -> Option<bool> {
    match text {
        "light" => Some(false),
        "dark" => Some(true),
        _ => None,
    }
}

/// Digits only: `parse` alone would take a plus sign too.
pub(crate) fn digits(text: &str) -> Option<u64> {
    if text.as_bytes().iter().all(u8::is_ascii_digit) { text.parse().ok() } else { None }
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
        let said = |wrong: Wrong| wrong.say(Lang::En);
        assert_eq!(args.value().map_err(said), Err("--a needs a value; see --help".to_owned()));
        let mut args = Args::new(["--a".into(), "--b".into()]);
        args.next().unwrap();
        assert!(args.value().is_err());
        let mut args = Args::new(["--a=1".into()]);
        args.next().unwrap();
        assert_eq!(args.next().map_err(said), Err("--a takes no value; see --help".to_owned()));
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
        // The largest is what its message says.
        assert_eq!((buffer("16M"), buffer("16000001")), (Some(16_000_000), None));
        assert_eq!((count("5"), count("+5"), count("0")), (Some(5), None, None));
    }

    #[test]
    fn an_address_is_a_host_a_port_or_both() {
        let some = |host: Option<&str>, port| Some((host.map(str::to_owned), port));
        assert_eq!(address("1234"), some(None, Some(1234)));
        assert_eq!(address("host:0"), some(Some("host"), Some(0)));
        assert_eq!(address("my-host"), some(Some("my-host"), None));
        assert_eq!(address("0.0.0.0"), some(Some("0.0.0.0"), None));
        assert_eq!(address("[::1]:80"), some(Some("::1"), Some(80)));
        assert_eq!(address("[::1]"), some(Some("::1"), None));
        for wrong in [
            "",
            "+1",
            "70000",
            "a,b",
            "::1:80",
            "host:",
            ":80",
            "host:65536",
            "host:+1",
            "[::1",
            "[::1]80",
            "[]:1",
            "[host]",
        ] {
            assert_eq!(address(wrong), None, "{wrong}");
        }
    }
}
