//! From a line typed at the prompt to the files that it means: quotes, escapes, `~/`, `*` and `?`.
//!
//! Nothing here opens a file or sends a request: a [`Place`] answers what exists, in this folder or
//! on the server.

use std::collections::BTreeMap;

use super::action::BLANK;
use crate::error::{Answer, Failure};
use crate::lang::Msg;
use crate::lang::escape;

/// Where names lead to: the files here, or those on the server.
pub(super) trait Place {
    /// Whether there is something of exactly this name. `None`: the place cannot tell.
    ///
    /// # Errors
    /// The answer could not be had; so in `list`.
    fn has(&mut self, name: &str) -> Answer<Option<bool>>;

    /// What is in a folder; the empty name is the top. A folder that does not exist is empty. `None`:
    /// the place cannot tell.
    ///
    /// # Errors
    /// See [`Place::has`].
    fn list(&mut self, folder: &str) -> Answer<Option<Vec<Found>>>;
}

/// Something in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The last part of its name.
    pub(super) name: String,
    /// It is a folder, and not a file.
    pub(super) folder: bool,
}

/// What is special in a typed line.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// `\` makes the next character an ordinary one. Never on Windows, where it separates folders.
    pub(super) escapes: bool,
    /// What replaces `~` at the beginning of a word.
    pub(super) home: Option<String>,
}

/// The files that a line means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    /// Each name, and the other name that the user chose for it.
    pub(super) names: Vec<(String, Option<String>)>,
    /// At least one was found by a pattern.
    pub(super) by_pattern: bool,
}

impl Named {
    /// Names that are used as they are.
    pub(super) fn literal(names: Vec<(String, Option<String>)>) -> Named {
        Named { names, by_pattern: false }
    }
}

/// Why a line means no files.
#[derive(Debug)]
pub(super) enum Problem {
    /// The line is wrong.
    Line(Msg),
    /// The place could not be asked.
    Place(Failure),
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Problem {
        Problem::Place(failure)
    }
}

/// Finds the files that a typed line means. If the whole line is the name of a file, it is that file,
/// whatever characters are in it. Otherwise it is split into words as a shell does. With `renames`,
/// `NAME as OTHER` gives another name.
///
/// # Errors
/// The line is wrong, or the place could not be asked.
pub(super) fn resolve(
    line: &str,
    rules: &Rules,
    renames: bool,
    place: &mut dyn Place,
) -> Result<Named, Problem> {
    let whole = with_home(line, rules);
    if !line.contains(|c| SPECIAL.contains(&c) || (c == '\\' && rules.escapes)) {
        if !line.contains(['*', '?']) {
            return Ok(one(whole, None));
        }
        // A pattern and nothing else: the list says whether it is also a name.
        let words = split(line, rules).ok_or(Problem::Line(Msg::OpenQuote))?;
        return expand_all(&words, place);
    }
    if let Some(name) = quoted(line) {
        return Ok(one(name.to_owned(), None));
    }
    let there = place.has(&whole)?;
    if there == Some(true) {
        return Ok(one(whole, None));
    }
    let words = split(line, rules).ok_or(Problem::Line(Msg::OpenQuote))?;
    // Where the place cannot tell what exists, spaces belong to the name.
    let literal = there.is_none() && !line.contains(['\'', '"']);
    let last_as = words.iter().rposition(|word| word.bare && word.text() == "as");
    if renames
        && let Some(at) = last_as.filter(|at| *at > 0 && at.saturating_add(1) < words.len())
        && let Some(word) = words.get(at)
    {
        let left = line.get(..word.start).unwrap_or_default().trim_matches(BLANK);
        let right = line.get(word.end..).unwrap_or_default().trim_matches(BLANK);
        let other = match words.get(at.saturating_add(1)..) {
            Some([only]) => only.text(),
            _ => right.to_owned(),
        };
        let left_whole = with_home(left, rules);
        if literal || place.has(&left_whole)? == Some(true) {
            return Ok(one(left_whole, Some(other)));
        }
        let [word] = words.get(..at).unwrap_or_default() else {
            return Err(Problem::Line(Msg::AsNeedsOne));
        };
        let found = expand(word, place)?;
        let [name] = found.as_slice() else { return Err(Problem::Line(Msg::AsNeedsOne)) };
        return Ok(one(name.clone(), Some(other)));
    }
    if literal {
        return Ok(one(whole, None));
    }
    expand_all(&words, place)
}

/// The files that the words of a command line mean: the shell has split them, and a pattern that it
/// left alone is one for this place.
///
/// # Errors
/// See [`resolve`].
pub(super) fn resolve_words(words: &[String], place: &mut dyn Place) -> Result<Named, Problem> {
    let words: Vec<_> = words.iter().map(|word| Word::unquoted(word)).collect();
    expand_all(&words, place)
}

/// Splits a line as a shell does, but leaves backslashes alone. `None`: a quote is not closed.
pub(super) fn unquote(line: &str) -> Option<Vec<String>> {
    let words = split(line, &Rules { escapes: false, home: None })?;
    Some(words.iter().map(Word::text).collect())
}

/// The name in a line that is quotes around one name, and nothing else.
fn quoted(line: &str) -> Option<&str> {
    let mark = line.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let name = line.strip_prefix(mark)?.strip_suffix(mark)?;
    (!name.contains([mark, '\\'])).then_some(name)
}

/// What makes a line more than one word. A backslash too, where it escapes.
const SPECIAL: [char; 4] = [' ', '\t', '\'', '"'];

fn one(name: String, other: Option<String>) -> Named {
    Named::literal(vec![(name, other)])
}

fn with_home(text: &str, rules: &Rules) -> String {
    match (text.strip_prefix('~'), &rules.home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with(is_separator) => {
            format!("{home}{rest}")
        }
        _ => text.to_owned(),
    }
}

fn is_separator(c: char) -> bool {
    c == '/' || c == std::path::MAIN_SEPARATOR
}

/// A word of a line.
#[derive(Debug)]
struct Word {
    /// Its characters, and whether each is ordinary: quoted or escaped.
    letters: Vec<(char, bool)>,
    /// Nothing in it was quoted or escaped.
    bare: bool,
    /// Where it is in the line, in bytes.
    start: usize,
    end: usize,
}

impl Word {
    fn unquoted(text: &str) -> Word {
        let letters = text.chars().map(|c| (c, false)).collect();
        Word { letters, bare: true, start: 0, end: text.len() }
    }

    fn text(&self) -> String {
        self.letters.iter().map(|(c, _)| c).collect()
    }

    fn is_pattern(&self) -> bool {
        is_pattern(&self.letters)
    }
}

fn is_pattern(letters: &[(char, bool)]) -> bool {
    letters.iter().any(|letter| matches!(letter, ('*' | '?', false)))
}

/// The words of a line; `None` if a quote is not closed.
fn split(line: &str, rules: &Rules) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote = None;
    let mut chars = line.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if quote.is_none() && BLANK.contains(&c) {
            words.extend(word.take());
            continue;
        }
        let end = at.saturating_add(c.len_utf8());
        let word =
            word.get_or_insert_with(|| Word { letters: Vec::new(), bare: true, start: at, end });
        word.end = end;
        let next = chars.peek().map(|(_, next)| *next);
        // Between double quotes a backslash escapes only what would end them, or itself.
        let escapes = rules.escapes
            && match quote {
                None => next.is_some(),
                Some('"') => matches!(next, Some('"' | '\\')),
                Some(_) => false,
            };
        match c {
            '\\' if escapes => {
                if let Some((at, next)) = chars.next() {
                    word.letters.push((next, true));
                    word.end = at.saturating_add(next.len_utf8());
                }
                word.bare = false;
            }
            '\'' | '"' if quote.is_none() => {
                quote = Some(c);
                word.bare = false;
            }
            c if quote == Some(c) => quote = None,
            '~' if word.letters.is_empty() && quote.is_none() && word.bare => {
                let alone = next.is_none_or(|c| is_separator(c) || BLANK.contains(&c));
                match rules.home.as_ref().filter(|_| alone) {
                    Some(home) => word.letters.extend(home.chars().map(|c| (c, true))),
                    None => word.letters.push((c, false)),
                }
            }
            c => word.letters.push((c, quote.is_some())),
        }
    }
    words.extend(word);
    if quote.is_some() { None } else { Some(words) }
}

fn expand_all(words: &[Word], place: &mut dyn Place) -> Result<Named, Problem> {
    let mut named = Named::default();
    // Each name, and whether only words that are no patterns have meant it.
    let mut seen = BTreeMap::new();
    for word in words {
        let is_pattern = word.is_pattern();
        let found = expand(word, place)?;
        named.by_pattern |= is_pattern && found != [word.text()];
        for name in found {
            // A file that a pattern matches too is meant once; one that is named twice is meant twice.
            let was_literal = seen.get(&name).copied();
            if was_literal.is_none() || (was_literal == Some(true) && !is_pattern) {
                named.names.push((name.clone(), None));
            }
            seen.insert(name, was_literal.unwrap_or(true) && !is_pattern);
        }
    }
    Ok(named)
}

/// The names that a word means: its own, unless it is a pattern that is not also a name.
fn expand(word: &Word, place: &mut dyn Place) -> Result<Vec<String>, Problem> {
    let text = word.text();
    if !word.is_pattern() {
        return Ok(vec![text]);
    }
    let parts: Vec<_> = word.letters.split(|(c, _)| is_separator(*c)).collect();
    let last = parts.len().saturating_sub(1);
    let mut found = vec![String::new()];
    let mut matched = false;
    for (n, part) in parts.into_iter().enumerate() {
        let is_first = !matched && is_pattern(part);
        matched |= is_first;
        let mut longer = Vec::new();
        for before in found {
            let before = if n == 0 { before } else { before + "/" };
            if !matched {
                longer.push(part.iter().fold(before, |text, (c, _)| text + &c.to_string()));
                continue;
            }
            let hidden = part.first().is_some_and(|(c, _)| *c == '.');
            let Some(mut here) = place.list(&before)? else { return Ok(vec![text]) };
            let itself = || part.iter().map(|(c, _)| *c);
            if is_first && n == last && here.iter().any(|found| found.name.chars().eq(itself())) {
                return Ok(vec![text]);
            }
            here.retain(|found| {
                found.folder == (n < last)
                    && (hidden || !found.name.starts_with('.'))
                    && matches(part, &found.name)
            });
            longer.extend(here.into_iter().map(|found| format!("{before}{}", found.name)));
        }
        found = longer;
    }
    if found.is_empty() {
        let pattern = escape(text.as_bytes()).into_owned();
        return Err(Problem::Line(Msg::NoMatch { pattern }));
    }
    found.sort();
    Ok(found)
}

/// Whether a name is of this pattern: `*` is any characters, `?` is one.
fn matches(pattern: &[(char, bool)], name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n): (usize, usize) = (0, 0);
    // Where to go on if what follows the last `*` does not fit: it takes one character more.
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(('*', false)) => {
                p = p.saturating_add(1);
                retry = Some((p, n));
            }
            Some((c, ordinary))
                if (*c == '?' && !ordinary) || name.get(n).is_some_and(|letter| letter == c) =>
            {
                p = p.saturating_add(1);
                n = n.saturating_add(1);
            }
            _ => match retry {
                Some((after, from)) => {
                    p = after;
                    n = from.saturating_add(1);
                    retry = Some((after, n));
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|letter| *letter == ('*', false))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names with `/` in them; what has a name below it is a folder.
    struct Script(&'static [&'static str], bool);

    impl Place for Script {
        fn has(&mut self, name: &str) -> Answer<Option<bool>> {
            Ok(self.1.then(|| self.0.contains(&name)))
        }

        fn list(&mut self, folder: &str) -> Answer<Option<Vec<Found>>> {
            if !self.1 {
                return Ok(None);
            }
            let below = self.0.iter().filter_map(|name| name.strip_prefix(folder));
            let mut found: Vec<_> = below
                .map(|rest| match rest.split_once('/') {
                    Some((name, _)) => Found { name: name.to_owned(), folder: true },
                    None => Found { name: rest.to_owned(), folder: false },
                })
                .collect();
            found.dedup();
            Ok(Some(found))
        }
    }

    const FILES: &[&str] = &[
        ".hidden.txt",
        "a b.txt",
        "a.txt",
        "b.txt",
        "c d",
        "docs/x.txt",
        "docs/y.md",
        "it's",
        "my as file",
        "q*",
        "qqq",
        "star*.txt",
    ];

    fn named(line: &str) -> Result<Named, String> {
        named_by(line, true, true)
    }

    fn named_by(line: &str, escapes: bool, known: bool) -> Result<Named, String> {
        let rules = Rules { escapes, home: Some("/home/ani".to_owned()) };
        resolve(line, &rules, true, &mut Script(FILES, known)).map_err(|problem| match problem {
            Problem::Line(msg) => format!("{msg:?}"),
            Problem::Place(failure) => format!("{failure:?}"),
        })
    }

    fn names(line: &str) -> Vec<String> {
        let mut all = named(line).unwrap_or_else(|problem| panic!("{line}: {problem}")).names;
        assert!(all.iter().all(|(_, other)| other.is_none()), "{line}: {all:?}");
        all.drain(..).map(|(name, _)| name).collect()
    }

    #[test]
    fn a_line_is_split_as_a_shell_does_it() {
        let table: [(&str, &[&str]); 16] = [
            ("a.txt", &["a.txt"]),
            ("a.txt  b.txt", &["a.txt", "b.txt"]),
            ("'a b.txt' b.txt", &["a b.txt", "b.txt"]),
            ("\"a b.txt\"", &["a b.txt"]),
            ("a\\ b.txt b.txt", &["a b.txt", "b.txt"]),
            ("x'y z'\"u v\"", &["xy zu v"]),
            ("'x'\\''y'", &["x'y"]),
            ("\"a\\\"b\\\\c\\d\"", &["a\"b\\c\\d"]),
            ("'a\\b'", &["a\\b"]),
            ("~/x", &["/home/ani/x"]),
            ("~/x ~y '~/z' ~", &["/home/ani/x", "~y", "~/z", "/home/ani"]),
            ("'/tmp/my file.txt' ", &["/tmp/my file.txt"]),
            ("nope nope", &["nope", "nope"]),
            ("\\*", &["*"]),
            ("'' x", &["", "x"]),
            ("as x", &["as", "x"]),
        ];
        for (line, expected) in table {
            assert_eq!(names(line), expected, "{line}");
        }
        assert!(named("'x").unwrap_err().contains("OpenQuote"));
    }

    #[test]
    fn a_line_that_is_a_file_is_that_file() {
        for line in ["a b.txt", "c d", "it's", "my as file", "q*"] {
            assert_eq!(names(line), [line]);
        }
    }

    /// A place that is not to be asked.
    struct Unasked;

    impl Place for Unasked {
        fn has(&mut self, name: &str) -> Answer<Option<bool>> {
            panic!("asked for {name}");
        }

        fn list(&mut self, folder: &str) -> Answer<Option<Vec<Found>>> {
            panic!("asked for the list of {folder}");
        }
    }

    #[test]
    fn a_quoted_name_is_not_asked_for() {
        for (line, name) in [("'a b'", "a b"), ("\"it's *\"", "it's *"), ("a.txt", "a.txt")] {
            let rules = Rules { escapes: true, home: None };
            let found = resolve(line, &rules, true, &mut Unasked).unwrap();
            assert_eq!(found, one(name.to_owned(), None));
        }
    }

    #[test]
    fn patterns_find_what_matches() {
        let table: [(&str, &[&str]); 12] = [
            // A file that two words mean is meant once, if at least one of them is a pattern.
            ("*.txt ?.txt", &["a b.txt", "a.txt", "b.txt", "star*.txt"]),
            ("a.txt ?.txt", &["a.txt", "b.txt"]),
            ("a.txt a.txt", &["a.txt", "a.txt"]),
            ("*.txt", &["a b.txt", "a.txt", "b.txt", "star*.txt"]),
            ("?.txt", &["a.txt", "b.txt"]),
            ("*.txt a.txt", &["a b.txt", "a.txt", "b.txt", "star*.txt"]),
            ("docs/*", &["docs/x.txt", "docs/y.md"]),
            ("*/*.md", &["docs/y.md"]),
            ("*/x.txt", &["docs/x.txt"]),
            ("q* a.txt", &["q*", "a.txt"]),
            ("'star*'*", &["star*.txt"]),
            (".h*", &[".hidden.txt"]),
        ];
        for (line, expected) in table {
            assert_eq!(names(line), expected, "{line}");
        }
        assert!(named("*.txt").unwrap().by_pattern && !named("q* a.txt").unwrap().by_pattern);
        assert!(named("*.pdf").unwrap_err().contains("NoMatch"));
        assert!(named("nope/*").unwrap_err().contains("NoMatch"));
        // A folder is not what a pattern for files means.
        assert!(named("do*").unwrap_err().contains("NoMatch"));
    }

    #[test]
    fn another_name_is_given_with_as() {
        let pair = |line: &str| match named(line).unwrap().names.as_slice() {
            [(name, Some(other))] => (name.clone(), other.clone()),
            other => panic!("{line}: {other:?}"),
        };
        let table = [
            ("a.txt as b", "a.txt", "b"),
            ("a b.txt as b c", "a b.txt", "b c"),
            ("my as file as x", "my as file", "x"),
            ("'n o' as 'x y'", "n o", "x y"),
            ("docs/*.md as x", "docs/y.md", "x"),
        ];
        for (line, name, other) in table {
            assert_eq!(pair(line), (name.to_owned(), other.to_owned()), "{line}");
        }
        for line in ["a.txt b.txt as c", "*.txt as c", "n o as x"] {
            assert!(named(line).unwrap_err().contains("AsNeedsOne"), "{line}");
        }
    }

    #[test]
    fn where_backslashes_separate_folders_they_escape_nothing() {
        let all = named_by("'C:\\my files\\a' C:\\b \"x\\\"", false, true).unwrap().names;
        let all: Vec<_> = all.into_iter().map(|(name, _)| name).collect();
        assert_eq!(all, ["C:\\my files\\a", "C:\\b", "x\\"]);
    }

    #[test]
    fn where_a_place_cannot_tell_what_exists_a_line_is_one_name() {
        let all = |line| named_by(line, true, false).unwrap().names;
        assert_eq!(all("n o*"), [("n o*".to_owned(), None)]);
        assert_eq!(all("n o as x y"), [("n o".to_owned(), Some("x y".to_owned()))]);
        assert_eq!(all("'n o' x"), [("n o".to_owned(), None), ("x".to_owned(), None)]);
    }

    #[test]
    fn a_pattern_matches_as_in_a_shell() {
        let table = [
            ("*", "", true),
            ("*", "abc", true),
            ("a*c", "abc", true),
            ("a*c", "abcd", false),
            ("*a*b*", "xxaxxbxx", true),
            ("?", "", false),
            ("?", "é", true),
            ("??", "é", false),
            ("*.tar.gz", "a.tar.tar.gz", true),
            ("abc", "abc", true),
            ("", "a", false),
        ];
        for (pattern, name, expected) in table {
            let letters = Word::unquoted(pattern).letters;
            assert_eq!(matches(&letters, name), expected, "{pattern} {name}");
        }
        assert!(!matches(&[('*', true)], "a") && matches(&[('*', true)], "*"));
        // A pattern of many stars takes no more than the product of the lengths.
        let letters = Word::unquoted(&"a*".repeat(50)).letters;
        assert!(!matches(&letters, &("a".repeat(49) + "b")));
    }
}
