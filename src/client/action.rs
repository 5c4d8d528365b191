//! What a user asks for: a typed line, or the words of a command line, become an [`Action`].

use std::ffi::OsString;

use super::names;
use crate::lang::Msg;
use crate::lang::escape;

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Connect, or test the connection.
    Connme,
    /// List the server's files.
    Ls(Option<String>),
    /// Say how large these are.
    Size(Names),
    /// Send these, each perhaps under another name.
    Upload(Names),
    /// Fetch these, each perhaps under another name.
    Download(Names),
    /// Remove these.
    Rm(Names),
    /// Have a text counted.
    Count(String),
    /// List what could be sent.
    Lls,
    /// The same job through every dialect.
    Compare(Names),
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

/// What separates words.
pub(super) const BLANK: [char; 2] = [' ', '\t'];

/// What a command works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// Words that the user's shell has split.
    Words(Vec<OsString>),
    /// The rest of a typed line. What it means depends on the files that exist.
    Typed(String),
}

/// The words of a command line.
///
/// # Errors
/// They are no command.
pub fn from_words(words: &[OsString]) -> Result<Action, Msg> {
    let (word, rest) = words.split_first().map_or((None, [].as_slice()), |(w, r)| (Some(w), r));
    let word = word.map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    action(&word, Names::Words(rest.to_vec()))
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
    action(word, Names::Typed(rest.trim_matches(BLANK).to_owned())).map(Some)
}

/// What `answer`, given to a question for what a command lacked, makes of the command.
///
/// # Errors
/// It is still no command.
pub fn completed(command: &str, answer: &str) -> Result<Action, Msg> {
    action(command, Names::Typed(answer.trim_matches(BLANK).to_owned()))
}

fn action(word: &str, names: Names) -> Result<Action, Msg> {
    match word.to_ascii_lowercase().as_str() {
        "connme" | "conme" => alone("connme", &names, Action::Connme),
        "ls" => match names.quoted()?.as_slice() {
            [] => Ok(Action::Ls(None)),
            [folder] => Ok(Action::Ls(Some(folder.to_string_lossy().into_owned()))),
            _ => Err(Msg::OneFolder),
        },
        "size" => Ok(Action::Size(names.some("size")?)),
        "rm" => Ok(Action::Rm(names.some("rm")?)),
        "upload" => Ok(Action::Upload(names.some("upload")?)),
        "download" => Ok(Action::Download(names.some("download")?)),
        "count" => match names.some("count")? {
            Names::Typed(text) => Ok(Action::Count(text)),
            Names::Words(words) => {
                let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
                Ok(Action::Count(words.join(" ")))
            }
        },
        "compare" => Ok(Action::Compare(names.some("compare")?)),
        "say" => {
            let texts = names.some("say")?.quoted()?;
            Ok(Action::Say(texts.iter().map(|t| unescape(&t.to_string_lossy())).collect()))
        }
        "demo" => alone("demo", &names, Action::Demo),
        "lls" => alone("lls", &names, Action::Lls),
        "help" | "?" => alone("help", &names, Action::Help),
        "byebye" => alone("byebye", &names, Action::Byebye),
        "exit" | "quit" => alone("exit", &names, Action::Exit),
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

fn alone(command: &'static str, names: &Names, action: Action) -> Result<Action, Msg> {
    if names.is_empty() { Ok(action) } else { Err(Msg::TakesNothing { command }) }
}

impl Names {
    fn is_empty(&self) -> bool {
        match self {
            Names::Words(words) => words.is_empty(),
            Names::Typed(rest) => rest.is_empty(),
        }
    }

    fn some(self, command: &'static str) -> Result<Names, Msg> {
        if self.is_empty() { Err(Msg::NameMissing { command }) } else { Ok(self) }
    }

    /// The words, where a typed line without quotes is one, spaces and backslashes and all.
    fn quoted(self) -> Result<Vec<OsString>, Msg> {
        match self {
            Names::Words(words) => Ok(words),
            Names::Typed(rest) if rest.is_empty() => Ok(Vec::new()),
            Names::Typed(rest) if !rest.contains(['\'', '"']) => Ok(vec![rest.into()]),
            Names::Typed(rest) => {
                let words = names::unquote(&rest).ok_or(Msg::OpenQuote)?;
                Ok(words.into_iter().map(Into::into).collect())
            }
        }
    }

    /// Words as names, or `ONE as OTHER`: then the last is another name for the first.
    #[must_use]
    pub fn pairs(words: &[OsString]) -> Vec<(OsString, Option<OsString>)> {
        match words {
            [one, between, other] if between == "as" => vec![(one.clone(), Some(other.clone()))],
            words => words.iter().map(|word| (word.clone(), None)).collect(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_line_is_a_command_and_the_rest() {
        let line = |line: &str| from_line(line).unwrap().unwrap();
        let typed = |rest: &str| Names::Typed(rest.to_owned());
        assert_eq!(from_line("  "), Ok(None));
        assert_eq!(line("CONME"), Action::Connme);
        assert_eq!(line("ls"), Action::Ls(None));
        assert_eq!(line("ls my docs"), Action::Ls(Some("my docs".into())));
        assert_eq!(line("ls 'my docs'"), Action::Ls(Some("my docs".into())));
        assert_eq!(from_line("ls \"a\" b"), Err(Msg::OneFolder));
        assert_eq!(line("rm x\u{3000}"), Action::Rm(typed("x\u{3000}")));
        assert_eq!(line("rm my file.txt "), Action::Rm(typed("my file.txt")));
        assert_eq!(line("count a \"b"), Action::Count("a \"b".into()));
        assert_eq!(line("say connme\\nls x\\n"), Action::Say(vec![b"connme\nls x\n".to_vec()]));
        assert_eq!(line("say 'a\\n' \"b c\""), Action::Say(vec![b"a\n".to_vec(), b"b c".to_vec()]));
        assert_eq!(from_line("say 'a"), Err(Msg::OpenQuote));
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
        let os = |words: &[&str]| words.iter().map(Into::into).collect::<Vec<OsString>>();
        let words = |words: &[&str]| from_words(&os(words));
        assert_eq!(words(&["size", "a b", "c"]), Ok(Action::Size(Names::Words(os(&["a b", "c"])))));
        assert_eq!(
            Names::pairs(&os(&["a", "as", "b"])),
            [("a".into(), Some("b".into()))] as [(OsString, Option<OsString>); 1]
        );
        assert_eq!(
            Names::pairs(&os(&["a", "as"])),
            [("a".into(), None), ("as".into(), None)] as [(OsString, Option<OsString>); 2]
        );
        assert_eq!(words(&["count", "a", "b"]), Ok(Action::Count("a b".into())));
        assert!(words(&["ls", "a", "b"]).is_err());
        assert!(words(&["rm"]).is_err());
    }
}
