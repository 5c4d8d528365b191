//! From a line typed at the prompt to the files that it means: quotes, escapes, `~/`, `*` and `?`.
//!
//! This module opens no file and sends no request. It asks a [`Place`] which files exist.

use std::collections::BTreeSet;

use super::outcome::{Outcome, Stop};
use crate::error::{Answer, Failure};
use crate::lang::{Msg, escape, escaped, msg, text};

/// What separates words. Not every kind of white space: a name may begin or end with another kind.
pub(super) const BLANK: [char; 2] = [' ', '\t'];

/// Whether `\` makes the next character of a typed line an ordinary one. Not on Windows, where it separates folders.
pub(crate) const ESCAPES: bool = !cfg!(windows);

/// Where files are looked up: in this folder, or on the server.
pub(super) trait Place {
    /// What `~` is at the beginning of a word, if anything.
    fn home(&self) -> Option<String> {
        None
    }

    /// Whether a file or a folder has exactly this name. `None`: this place cannot tell.
    ///
    /// # Errors
    /// The lookup failed.
    fn has(&mut self, name: &str) -> Answer<Option<bool>>;

    /// Lists a folder. The empty name is the top folder. A folder that does not exist is empty. `None`:
    /// this place has no lists.
    ///
    /// # Errors
    /// The lookup failed.
    fn list(&mut self, folder: &str) -> Answer<Option<Vec<Found>>>;
}

/// A file or a folder that a [`Place`] lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The last part of its name.
    pub(super) name: String,
    /// What it is.
    pub(super) kind: Kind,
}

/// What a [`Place`] has under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Of this size.
    File(u64),
    Folder,
    /// Something whose name is not UTF-8, and is shown with other characters.
    NotUtf8,
    /// What cannot be sent: a pipe or a device, or something that cannot be read.
    Other,
}

/// Files, each with the other name that the user chose for it.
pub(crate) type Files<N> = Vec<(N, Option<String>)>;

/// The files that a line means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named<N = String> {
    pub(crate) names: Files<N>,
    /// Whether a pattern found any of them.
    pub(super) by_pattern: bool,
    /// What a pattern matches that is not a file, and why it is left out.
    pub(super) skipped: Vec<(String, Msg)>,
    /// The folders that cannot be moved, and why.
    pub(super) failed: Vec<(String, Failure)>,
    /// How many entries of folders are left out, for a reason that holds for all such entries.
    pub(super) left_out: usize,
}

impl<N> Named<N> {
    /// Names that are used as they are.
    pub(super) fn literal(names: Files<N>) -> Named<N> {
        let (by_pattern, skipped, failed) = (false, Vec::new(), Vec::new());
        Named { names, by_pattern, skipped, failed, left_out: 0 }
    }

    /// The names alone.
    pub(super) fn into_names(self) -> Vec<N> {
        self.names.into_iter().map(|(name, _)| name).collect()
    }
}

/// Finds the files that a typed line means. If the whole line is the name of a file, it is that file,
/// whatever characters are in it. Otherwise it is split into words as a shell does. With `renames`,
/// `NAME as OTHER` chooses another name. For `escapes` see [`ESCAPES`].
///
/// # Errors
/// The line is wrong, or a lookup failed.
pub(super) fn resolve(
    line: &str,
    escapes: bool,
    renames: bool,
    place: &mut dyn Place,
) -> Outcome<Named> {
    let one = |name, other| Ok(Named::literal(vec![(name, other)]));
    let home = place.home();
    let words =
        split(line, escapes, home.as_deref()).ok_or_else(|| Stop::Wrong(text!("open-quote")));
    let is_plain = |c: char| !BLANK.contains(&c) && !QUOTES.contains(&c) && c != '\\';
    // A single word is looked up only if it could be a name with special characters in it.
    if let Ok([(_, word)]) = words.as_deref()
        && (line.starts_with(QUOTES) || line.chars().all(is_plain))
    {
        return expand_all([word], place);
    }
    let whole = with_home(line, home.as_deref());
    let exists = place.has(&whole)?;
    if exists == Some(true) {
        return one(whole, None);
    }
    let words = words?;
    // Where the place cannot tell what exists, spaces belong to the name.
    let is_literal = exists.is_none() && !line.contains(QUOTES);
    let is_as = |(_, word): &(_, Word)| *word == unquoted("as");
    let last_as = words.iter().rposition(is_as).filter(|_| renames);
    if let Some((left @ [_, ..], [(at, _), right @ ..])) =
        last_as.and_then(|at| words.split_at_checked(at))
        && let [(start, word), more @ ..] = right
    {
        // As they are typed: all that separates the words of a name belongs to it.
        let name = line.get(..*at).unwrap_or_default().trim_matches(BLANK);
        let name = with_home(name, home.as_deref());
        let other = match more {
            [] => text(word),
            _ => line.get(*start..).unwrap_or_default().trim_matches(BLANK).to_owned(),
        };
        if is_literal || place.has(&name)? == Some(true) {
            return one(name, Some(other));
        }
        let [(_, word)] = left else { return Err(as_needs_one()) };
        let found = expand(word, place, &mut Vec::new())?;
        let [name] = found.as_slice() else { return Err(as_needs_one()) };
        return one(name.clone(), Some(other));
    }
    if is_literal {
        one(whole, None)
    } else {
        expand_all(words.iter().map(|(_, word)| word), place)
    }
}

/// Finds the files that the words of a command line mean. The shell has split them, and a pattern that
/// it has not replaced is one for this place.
///
/// # Errors
/// See [`resolve`].
pub(super) fn resolve_words(words: &[String], place: &mut dyn Place) -> Outcome<Named> {
    let words: Vec<_> = words.iter().map(|word| unquoted(word)).collect();
    expand_all(&words, place)
}

fn as_needs_one() -> Stop {
    Stop::Wrong(text!("as-needs-one"))
}

const QUOTES: [char; 2] = ['\'', '"'];

/// A path in which `~` at the beginning is replaced.
pub(super) fn with_home(text: &str, home: Option<&str>) -> String {
    match (text.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with(is_separator) => {
            format!("{home}{rest}")
        }
        _ => text.to_owned(),
    }
}

fn is_separator(c: char) -> bool {
    c == '/' || c == std::path::MAIN_SEPARATOR
}

/// A character, and whether it was quoted or escaped.
type Letter = (char, bool);

/// A word of a line.
type Word = Vec<Letter>;

fn unquoted(text: &str) -> Word {
    text.chars().map(|c| (c, false)).collect()
}

fn text(letters: &[Letter]) -> String {
    letters.iter().map(|(c, _)| c).collect()
}

fn is_pattern(letters: &[Letter]) -> bool {
    letters.iter().any(|letter| matches!(letter, ('*' | '?', false)))
}

/// The words of a line, split as a shell does. With `escapes`, `\` makes the next character an ordinary one. `None`: a
/// quote is not closed.
pub(crate) fn words(line: &str, escapes: bool) -> Option<Vec<String>> {
    Some(split(line, escapes, None)?.iter().map(|(_, word)| text(word)).collect())
}

/// Splits a line into words, each after the byte at which it begins. `None`: a quote is not closed.
fn split(line: &str, escapes: bool, home: Option<&str>) -> Option<Vec<(usize, Word)>> {
    let mut words = Vec::new();
    let mut word: Option<(usize, Word)> = None;
    let mut quote = None;
    let mut chars = line.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if quote.is_none() && BLANK.contains(&c) {
            words.extend(word.take());
            continue;
        }
        let (start, letters) = word.get_or_insert_with(|| (at, Word::new()));
        let next = chars.peek().map(|(_, next)| *next);
        let escaped = next.filter(|next| match quote {
            _ if c != '\\' || !escapes => false,
            None => true,
            // Between double quotes, a backslash escapes only what would end them, and itself.
            Some(mark) => mark == '"' && matches!(next, '"' | '\\'),
        });
        let ends_word = |c: char| is_separator(c) || BLANK.contains(&c);
        if let Some(next) = escaped {
            letters.push((next, true));
            chars.next();
        } else if quote == Some(c) {
            quote = None;
        } else if quote.is_none() && QUOTES.contains(&c) {
            quote = Some(c);
        } else if let Some(home) = home
            && (c, at) == ('~', *start)
            && next.is_none_or(ends_word)
        {
            letters.extend(home.chars().map(|c| (c, true)));
        } else {
            letters.push((c, quote.is_some()));
        }
    }
    words.extend(word);
    if quote.is_some() { None } else { Some(words) }
}

fn expand_all<'w>(
    words: impl IntoIterator<Item = &'w Word>,
    place: &mut dyn Place,
) -> Outcome<Named> {
    let (mut names, mut skipped, mut by_pattern) = (Vec::new(), Vec::new(), false);
    for word in words {
        let found = expand(word, place, &mut skipped)?;
        by_pattern |= is_pattern(word) && found != [text(word)];
        names.extend(found);
    }
    // With a pattern, a file is meant once. One that is only named, and twice, is meant twice.
    let mut given = BTreeSet::new();
    names.retain(|name| !by_pattern || given.insert(name.clone()));
    let names = names.into_iter().map(|name| (name, None)).collect();
    skipped.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(Named { by_pattern, skipped, ..Named::literal(names) })
}

/// Finds the files that a word means: that of its own name, or those that match it if it is a pattern
/// and no file has this name.
fn expand(
    word: &Word,
    place: &mut dyn Place,
    skipped: &mut Vec<(String, Msg)>,
) -> Outcome<Vec<String>> {
    let parts: Vec<_> = word.split(|(c, _)| is_separator(*c)).collect();
    let Some(first) = parts.iter().position(|part| is_pattern(part)) else {
        return Ok(vec![text(word)]);
    };
    let (above, patterns) = parts.split_at(first);
    let mut found = vec![above.iter().map(|part| text(part) + "/").collect::<String>()];
    for (n, part) in patterns.iter().enumerate() {
        let is_last = n + 1 == patterns.len();
        let shows_hidden = part.first().is_some_and(|(c, _)| *c == '.');
        let mut longer = Vec::new();
        for folder in found {
            let Some(entries) = place.list(&folder)? else { return Ok(vec![text(word)]) };
            if patterns.len() == 1 && entries.iter().any(|entry| entry.name == text(part)) {
                return Ok(vec![text(word)]);
            }
            let end = if is_last { "" } else { "/" };
            for Found { name, kind } in entries {
                let is_hidden = name.starts_with('.') && !shows_hidden;
                if is_hidden || !matches(part, &name) {
                    continue;
                }
                let why = match (kind, is_last) {
                    (Kind::File(_), true) | (Kind::Folder, false) => {
                        longer.push(format!("{folder}{name}{end}"));
                        continue;
                    }
                    (Kind::Folder, true) => msg!("it is a folder", "itu folder"),
                    (Kind::NotUtf8, _) => text!("not-utf8"),
                    (Kind::File(_), false) | (Kind::Other, _) => continue,
                };
                skipped.push((format!("{folder}{name}"), why));
            }
        }
        found = longer;
    }
    if found.is_empty() {
        let pattern = escape(text(word).as_bytes()).into_owned();
        let left_out = skipped.first().cloned().map_or_else(Msg::default, |(name, why)| {
            text!("but-left-out", name = escaped(&name), why)
        });
        return Err(Stop::Refused(text!("no-match", pattern, left_out)));
    }
    found.sort();
    Ok(found)
}

/// Whether a name matches a pattern: `*` is any characters, `?` is one.
#[allow(clippy::indexing_slicing, reason = "no index is beyond the length of the name")]
fn matches(pattern: &[Letter], name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    // For each length, whether the pattern so far matches the beginning of the name of that length.
    let mut fits = vec![false; name.len() + 1];
    fits[0] = true;
    for (c, is_quoted) in pattern {
        if (*c, *is_quoted) == ('*', false) {
            for n in 0..name.len() {
                fits[n + 1] |= fits[n];
            }
        } else {
            let is_any = (*c, *is_quoted) == ('?', false);
            for n in (0..name.len()).rev() {
                fits[n + 1] = fits[n] && (is_any || name[n] == *c);
            }
            fits[0] = false;
        }
    }
    fits[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names with `/` in them; what has a name below it is a folder.
    struct Script(&'static [&'static str], bool);

    impl Place for Script {
        fn home(&self) -> Option<String> {
            Some("/home/ani".to_owned())
        }

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
                    Some((name, _)) => Found { name: name.to_owned(), kind: Kind::Folder },
                    None => Found { name: rest.to_owned(), kind: Kind::File(0) },
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
        "b\\ c",
        "c d",
        "docs/x.txt",
        "docs/y.md",
        "it's",
        "my as file",
        "two  words",
        "q*",
        "qqq",
        "star*.txt",
    ];

    fn named(line: &str) -> Result<Named, String> {
        named_by(line, true, true)
    }

    fn named_by(line: &str, escapes: bool, known: bool) -> Result<Named, String> {
        resolve(line, escapes, true, &mut Script(FILES, known)).map_err(|stop| format!("{stop:?}"))
    }

    fn names(line: &str) -> Vec<String> {
        let mut all = named(line).unwrap_or_else(|problem| panic!("{line}: {problem}")).names;
        assert!(all.iter().all(|(_, other)| other.is_none()), "{line}: {all:?}");
        all.drain(..).map(|(name, _)| name).collect()
    }

    #[test]
    fn a_line_is_split_as_a_shell_does_it() {
        let table: [(&str, &[&str]); 19] = [
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
            ("x as", &["x", "as"]),
            ("x assets y", &["x", "assets", "y"]),
            ("x 'as' y", &["x", "as", "y"]),
        ];
        for (line, expected) in table {
            assert_eq!(names(line), expected, "{line}");
        }
        assert!(named("'x").unwrap_err().contains("quotation mark"));
        // The lab splits the lines of its exercises in the same way.
        assert_eq!(words("demo 'a b' ~", ESCAPES).unwrap(), ["demo", "a b", "~"]);
        assert_eq!(words("'", ESCAPES), None);
        assert_eq!(words(r"a\ b", ESCAPES).unwrap().len(), if cfg!(windows) { 2 } else { 1 });
    }

    #[test]
    fn a_line_that_is_a_file_is_that_file() {
        for line in ["a b.txt", "b\\ c", "c d", "it's", "my as file", "two  words", "q*"] {
            assert_eq!(names(line), [line]);
        }
    }

    /// A place that must not be asked.
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
            let found = resolve(line, true, true, &mut Unasked).unwrap();
            assert_eq!(found, Named::literal(vec![(name.to_owned(), None)]));
        }
    }

    #[test]
    fn patterns_find_what_matches() {
        let table: [(&str, &[&str]); 13] = [
            // A file that two words mean is meant once, if at least one of them is a pattern.
            ("*.txt ?.txt", &["a b.txt", "a.txt", "b.txt", "star*.txt"]),
            ("a.txt ?.txt", &["a.txt", "b.txt"]),
            ("a.txt a.txt", &["a.txt", "a.txt"]),
            ("a.txt a.txt a*.txt", &["a.txt", "a b.txt"]),
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
        let skipped = named("*").unwrap().skipped;
        assert_eq!(skipped, [("docs".to_owned(), msg!("it is a folder", "itu folder"))]);
        assert!(named("*.txt").unwrap().by_pattern && !named("q* a.txt").unwrap().by_pattern);
        assert!(named("*.pdf").unwrap_err().contains("no file matches"));
        assert!(named("nope/*").unwrap_err().contains("no file matches"));
        // A folder is not what a pattern for files means.
        let folder = named("do*").unwrap_err();
        assert!(
            folder.contains("no file matches do*; docs is left out: it is a folder"),
            "{folder}"
        );
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
            ("two  words as  b  c", "two  words", "b  c"),
            ("my as file as x", "my as file", "x"),
            ("'n o' as 'x y'", "n o", "x y"),
            ("docs/*.md as x", "docs/y.md", "x"),
        ];
        for (line, name, other) in table {
            assert_eq!(pair(line), (name.to_owned(), other.to_owned()), "{line}");
        }
        for line in
            ["a.txt b.txt as c", "*.txt as c", "n o as x", "a  b.txt as c", "a 'b.txt' as c"]
        {
            assert!(named(line).unwrap_err().contains("needs exactly one file"), "{line}");
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
        for line in ["n o as x y", "n  o as x", "a\\ b as c  d", "~ as  x"] {
            let (name, other) = line.split_once(" as ").unwrap();
            let other = other.trim_start().to_owned();
            let name = name.replace('~', "/home/ani");
            assert_eq!(all(line), [(name, Some(other))], "{line}");
        }
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
            let letters = unquoted(pattern);
            assert_eq!(matches(&letters, name), expected, "{pattern} {name}");
        }
        assert!(!matches(&[('*', true)], "a") && matches(&[('*', true)], "*"));
        // A pattern of many stars takes no more than the product of the lengths.
        let letters = unquoted(&"a*".repeat(50));
        assert!(!matches(&letters, &("a".repeat(49) + "b")));
    }
}
