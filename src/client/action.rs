//! What a user asks for: a typed line, or the words of a command line, become an [`Action`].

use std::ffi::OsString;
use std::path::PathBuf;

use crate::lang::Msg;
use crate::log::escape;

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Connect, or test the connection.
    Connme,
    /// List the server's files.
    Ls(Option<String>),
    /// Say how large these are.
    Size(Vec<String>),
    /// Send these, each perhaps under another name.
    Upload(Vec<(PathBuf, Option<String>)>),
    /// Fetch these, each perhaps under another name.
    Download(Vec<(String, Option<String>)>),
    /// Remove these.
    Rm(Vec<String>),
    /// Have a text counted.
    Count(String),
    /// List what could be sent.
    Lls,
    /// The same job through every dialect.
    Compare(PathBuf),
    /// Send each of these in a write of its own.
    Say(Vec<Vec<u8>>),
    /// A session with a trace, then a comparison.
    Demo,
    /// Show the commands.
    Help,
    /// Close the connection.
    Byebye,
    /// Leave.
    Exit,
}

/// What stands between words.
const BLANK: [char; 2] = [' ', '\t'];

/// What a command got to work on.
enum Words {
    /// Words that the user's shell has taken apart, or quotation marks at the prompt.
    Apart(Vec<OsString>),
    /// The rest of a typed line: one name, which may hold spaces.
    Rest(String),
}

/// The words of a command line.
///
/// # Errors
/// They are no command.
pub fn from_words(words: &[OsString]) -> Result<Action, Msg> {
    let (word, rest) = words.split_first().map_or((None, [].as_slice()), |(w, r)| (Some(w), r));
    let word = word.map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    action(&word, Words::Apart(rest.to_vec()))
}

/// A line that was typed at the prompt; `None` is an empty one.
///
/// # Errors
/// It is no command.
pub fn from_line(line: &str) -> Result<Option<Action>, Msg> {
    // Not every kind of white space: a name may begin or end with one that is no ASCII.
    let line = line.trim_matches(BLANK);
    if line.is_empty() {
        return Ok(None);
    }
    let (word, rest) = line.split_once(BLANK).unwrap_or((line, ""));
    let rest = rest.trim_matches(BLANK);
    let words = if rest.contains('"') && !word.eq_ignore_ascii_case("count") {
        Words::Apart(unquote(rest)?)
    } else {
        Words::Rest(rest.to_owned())
    };
    action(word, words).map(Some)
}

/// What `answer`, given to a question for what a command lacked, makes of the command.
///
/// # Errors
/// It is still no command.
pub fn completed(command: &str, answer: &str) -> Result<Action, Msg> {
    action(command, Words::Rest(answer.trim_matches(BLANK).to_owned()))
}

fn action(word: &str, words: Words) -> Result<Action, Msg> {
    match word.to_ascii_lowercase().as_str() {
        "connme" | "conme" => alone("connme", &words, Action::Connme),
        "ls" => match words.names() {
            names if names.len() > 1 => Err(Msg::OneFolder),
            names => Ok(Action::Ls(names.into_iter().next())),
        },
        "size" => Ok(Action::Size(words.some_names("size")?)),
        "rm" => Ok(Action::Rm(words.some_names("rm")?)),
        "upload" => {
            let pairs = words.some_pairs("upload")?.into_iter();
            let text = |name: OsString| name.to_string_lossy().into_owned();
            Ok(Action::Upload(pairs.map(|(path, name)| (path.into(), name.map(text))).collect()))
        }
        "download" => {
            let pairs = words.some_pairs("download")?.into_iter();
            let text = |name: OsString| name.to_string_lossy().into_owned();
            Ok(Action::Download(pairs.map(|(name, to)| (text(name), to.map(text))).collect()))
        }
        "count" => match words {
            Words::Rest(text) if text.is_empty() => Err(Msg::NameMissing { command: "count" }),
            Words::Rest(text) => Ok(Action::Count(text)),
            Words::Apart(words) if words.is_empty() => Err(Msg::NameMissing { command: "count" }),
            Words::Apart(words) => {
                let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
                Ok(Action::Count(words.join(" ")))
            }
        },
        "compare" => match words.apart().as_slice() {
            [path] => Ok(Action::Compare(path.into())),
            _ => Err(Msg::NameMissing { command: "compare" }),
        },
        "say" => match words.apart().as_slice() {
            [] => Err(Msg::NameMissing { command: "say" }),
            texts => {
                Ok(Action::Say(texts.iter().map(|t| unescape(&t.to_string_lossy())).collect()))
            }
        },
        "demo" => alone("demo", &words, Action::Demo),
        "lls" => alone("lls", &words, Action::Lls),
        "help" | "?" => alone("help", &words, Action::Help),
        "byebye" => alone("byebye", &words, Action::Byebye),
        "exit" | "quit" => alone("exit", &words, Action::Exit),
        lower => {
            let word = escape(word.as_bytes()).into_owned();
            Err(Msg::UnknownCommand { word, nearest: nearest(lower) })
        }
    }
}

/// All commands, for whoever mistyped one.
const COMMANDS: [&str; 11] =
    ["connme", "ls", "size", "upload", "download", "rm", "count", "lls", "help", "byebye", "exit"];

/// The command that was probably meant: the one that fewest slips of the finger lead to.
fn nearest(word: &str) -> Option<&'static str> {
    let slips = |command: &&&str| distance(word, command);
    let best = COMMANDS.iter().min_by_key(slips)?;
    let few = if best.len() > 3 { 2 } else { 1 };
    (distance(word, best) <= few).then_some(*best)
}

/// How many letters have to be put in, taken out, changed or swapped with the next.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(20).collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i.saturating_add(1)];
        for (j, to) in b.iter().enumerate() {
            let cell = |up: usize, left: usize| {
                let row = rows.len().checked_sub(up).and_then(|at| rows.get(at));
                row.and_then(|row| row.get(j.checked_add(1)?.checked_sub(left)?)).copied()
            };
            let changed = cell(1, 1).unwrap_or(0).saturating_add(usize::from(from != to));
            let removed = cell(1, 0).unwrap_or(0).saturating_add(1);
            let added = row.last().copied().unwrap_or(0).saturating_add(1);
            let before =
                |text: &[char], at: usize| at.checked_sub(1).and_then(|at| text.get(at)).copied();
            let are_swapped = before(&a, i) == Some(*to) && before(&b, j) == Some(*from);
            let swapped = cell(2, 2).filter(|_| are_swapped).map(|cost| cost.saturating_add(1));
            let best = changed.min(removed).min(added);
            row.push(swapped.map_or(best, |swapped| swapped.min(best)));
        }
        rows.push(row);
    }
    rows.last().and_then(|row| row.last()).copied().unwrap_or(0)
}

fn alone(command: &'static str, words: &Words, action: Action) -> Result<Action, Msg> {
    match words {
        Words::Rest(rest) if !rest.is_empty() => Err(Msg::TakesNothing { command }),
        Words::Apart(words) if !words.is_empty() => Err(Msg::TakesNothing { command }),
        _ => Ok(action),
    }
}

impl Words {
    fn apart(self) -> Vec<OsString> {
        match self {
            Words::Apart(words) => words,
            Words::Rest(rest) if rest.is_empty() => Vec::new(),
            Words::Rest(rest) => vec![rest.into()],
        }
    }

    fn names(self) -> Vec<String> {
        self.apart().into_iter().map(|name| name.to_string_lossy().into_owned()).collect()
    }

    fn some_names(self, command: &'static str) -> Result<Vec<String>, Msg> {
        let names = self.names();
        if names.is_empty() { Err(Msg::NameMissing { command }) } else { Ok(names) }
    }

    /// Names, or `ONE as OTHER`. At the prompt the last ` as ` of the line counts.
    fn some_pairs(self, command: &'static str) -> Result<Vec<(OsString, Option<OsString>)>, Msg> {
        let words = match self {
            Words::Rest(rest) => match rest.rsplit_once(" as ") {
                Some((one, other)) => vec![
                    one.trim_matches(BLANK).into(),
                    "as".into(),
                    other.trim_matches(BLANK).into(),
                ],
                None => Words::Rest(rest).apart(),
            },
            Words::Apart(words) => words,
        };
        match words.as_slice() {
            [] => Err(Msg::NameMissing { command }),
            [one, between, other] if between == "as" => {
                Ok(vec![(one.clone(), Some(other.clone()))])
            }
            words => Ok(words.iter().map(|word| (word.clone(), None)).collect()),
        }
    }
}

/// Bytes as `printf` writes them: `\n`, `\r`, `\t`, `\0`, `\\` and `\xNN`.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let rest = chars.as_str();
        let (byte, length) = match (c, rest.chars().next()) {
            ('\\', Some('n')) => (Some(b'\n'), 1),
            ('\\', Some('r')) => (Some(b'\r'), 1),
            ('\\', Some('t')) => (Some(b'\t'), 1),
            ('\\', Some('0')) => (Some(0), 1),
            ('\\', Some('\\')) => (Some(b'\\'), 1),
            ('\\', Some('x')) => {
                (rest.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok()), 3)
            }
            _ => (None, 0),
        };
        match byte {
            Some(byte) => {
                bytes.push(byte);
                chars = rest.get(length..).unwrap_or_default().chars();
            }
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// Takes words apart at spaces, but not inside quotation marks.
fn unquote(rest: &str) -> Result<Vec<OsString>, Msg> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
    for c in rest.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            c if BLANK.contains(&c) && !quoted => words.extend(word.take().map(Into::into)),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word.map(Into::into));
    if quoted { Err(Msg::OpenQuote) } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_typed_line_is_one_name_unless_it_is_quoted() {
        let line = |line: &str| from_line(line).unwrap().unwrap();
        assert_eq!(from_line("  "), Ok(None));
        assert_eq!(line("CONME"), Action::Connme);
        assert_eq!(line("ls"), Action::Ls(None));
        assert_eq!(line("ls my docs"), Action::Ls(Some("my docs".into())));
        assert_eq!(line("rm x\u{3000}"), Action::Rm(names(&["x\u{3000}"])));
        assert_eq!(line("rm my file.txt "), Action::Rm(names(&["my file.txt"])));
        assert_eq!(line("rm \"a b\" c \"\""), Action::Rm(names(&["a b", "c", ""])));
        assert_eq!(line("count a \"b"), Action::Count("a \"b".into()));
        assert_eq!(
            line("upload my as file as b c.txt"),
            Action::Upload(vec![("my as file".into(), Some("b c.txt".into()))])
        );
        assert_eq!(line("download \"a as b\""), Action::Download(vec![("a as b".into(), None)]));
        assert_eq!(from_line("rm \"a"), Err(Msg::OpenQuote));
        assert_eq!(from_line("rm"), Err(Msg::NameMissing { command: "rm" }));
        assert_eq!(from_line("exit now"), Err(Msg::TakesNothing { command: "exit" }));
        assert_eq!(
            from_line("lsx"),
            Err(Msg::UnknownCommand { word: "lsx".into(), nearest: Some("ls") })
        );
    }

    #[test]
    fn bytes_are_written_as_printf_does() {
        let table: [(&str, &[u8]); 6] = [
            ("connme\\n", b"connme\n"),
            ("\\x05\\0a\\\\n", b"\x05\0a\\n"),
            ("\\xff", b"\xff"),
            ("\\xzz\\q\\", b"\\xzz\\q\\"),
            ("é", "é".as_bytes()),
            ("\\r\\t", b"\r\t"),
        ];
        for (text, bytes) in table {
            assert_eq!(unescape(text), bytes, "{text}");
        }
    }

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        let table = [
            ("uplaod", Some("upload")),
            ("downlod", Some("download")),
            ("sl", Some("ls")),
            ("szie", Some("size")),
            ("byeby", Some("byebye")),
            ("konme", Some("connme")),
            ("mr", Some("rm")),
            ("delete", None),
            ("x", None),
            ("put", None),
            ("", None),
        ];
        for (word, meant) in table {
            assert_eq!(nearest(word), meant, "{word}");
        }
        assert_eq!((distance("ab", "ba"), distance("", "abc"), distance("abc", "abc")), (1, 3, 0));
    }

    #[test]
    fn a_command_line_has_words() {
        let words = |words: &[&str]| from_words(&words.iter().map(Into::into).collect::<Vec<_>>());
        assert_eq!(words(&["size", "a b", "c"]), Ok(Action::Size(names(&["a b", "c"]))));
        assert_eq!(
            words(&["upload", "a", "as", "b"]),
            Ok(Action::Upload(vec![("a".into(), Some("b".into()))]))
        );
        assert_eq!(
            words(&["download", "a", "as"]),
            Ok(Action::Download(vec![("a".into(), None), ("as".into(), None)]))
        );
        assert_eq!(words(&["count", "a", "b"]), Ok(Action::Count("a b".into())));
        assert!(words(&["ls", "a", "b"]).is_err());
    }
}
