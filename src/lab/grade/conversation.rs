//! Conversations: checks as a person writes them down.
//!
//! A file has one check after the other. The head of each is `== ID POINTS must|should SECTION`, then lines `KEY: TEXT`:
//!
//! | key | what it says |
//! |---|---|
//! | `en`, `id` | what passes, in both languages |
//! | `why.en`, `why.id` | what usually breaks it; `rule: NAME` is that of several checks |
//! | `needs` | the checks without which this one says nothing |
//! | `set` | `hostile`: a bad server may not survive it; `root`, `watched`: it needs the folder, the process; `patience=N`: it has N times as long; `peak=N`: a client takes at most N MiB, a server that many more, at any moment; `tries=N`: it is right if one of N is |
//!
//! The rest is the conversation, a step on each line:
//!
//! - `> TEXT` is a line from the client and `< TEXT` a line from the server, both without their LF. `>| BYTES` and
//!   `<| BYTES` have none. What one side says on lines that follow each other is one write; `send` ends it.
//! - Any other line is a word, and what the word needs. Who plays the conversation knows the words.
//! - `repeat N` … `again` stands for N times the lines between them; `{n}` counts, from 1.
//! - `if TEXT` … `done` is left out if something else comes.
//! - `let = BYTES` says what the bytes of the places are.
//! - `:: WORD` before the first check, and the lines below it, are a phrase: a word that stands for these lines, and may use
//!   those that are before it. What follows the word is put in place of `{1}`, and after a ` | ` of `{2}`; what that has in
//!   braces is filled in there. A ` = BYTES` after that is a `let` before these lines.
//!
//! In a step `\n`, `\r`, `\t`, `\\`, `\0` and `\xNN` are bytes. What is in braces is filled in: see `places`.
//! `[h N]`, `[i N]` and `[f N]` are numbers of 2, 4 and 4 bytes, little-endian.

use std::str::FromStr;
use std::sync::Arc;

use super::places::{Places, is_in};
use crate::lab::lecture::trace::Side;
use crate::lab::random::Random;
use crate::lab::text::said;
use crate::lang::Msg;

/// The number of a line in its file, from 1, that line, and one of those that it stands for.
type Line = (usize, String, String);

/// One rule of the protocol, as a short conversation.
#[derive(Clone, Debug, Default)]
pub struct Check {
    /// `group/name`. It stays the same, because teachers write it down.
    pub id: &'static str,
    /// What it is worth.
    pub points: u64,
    /// The protocol requires it.
    pub must: bool,
    /// The part of the guide that it follows from.
    pub(super) section: &'static str,
    /// The line of its head.
    pub(super) line: usize,
    sentences: Vec<(&'static str, &'static str)>,
    body: Vec<Line>,
    phrases: Arc<Vec<Phrase>>,
}

/// A word that a file defines, and the lines that it stands for, with their numbers.
type Phrase = (&'static str, Vec<(usize, &'static str)>);

/// The number of a line in another file than the one that is read: a mistake in it is told where it is used.
const ELSEWHERE: usize = 0;

/// A step of a conversation, with everything filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step<'l> {
    /// The client sends this line.
    Line(Vec<u8>),
    /// This side sends these bytes.
    Bytes(Side, Vec<u8>),
    /// The server sends something of this kind, between these bytes.
    Open(Vec<u8>, String, Vec<u8>),
    /// A word of the notation.
    Word(&'l str, Vec<u8>),
}

/// A word of the notation, and what follows it.
pub(super) type Word<'w> = (&'w str, &'w [u8]);

/// What comes after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    GoOn,
    /// What was asked by `if` is not so.
    LeaveOut,
    /// The check is at its end.
    Stop,
}

/// The number of a line that is wrong, and what is wrong with it.
pub(super) type Mistake = (usize, Msg);

impl Check {
    /// The sentence of this key, such as `en` or `why.id`.
    pub(super) fn sentence(&self, key: &str) -> &'static str {
        self.sentences.iter().find(|(known, _)| *known == key).map_or("", |(_, text)| text)
    }

    /// Whether this is a word of `set`.
    pub(super) fn is(&self, word: &str) -> bool {
        is_in(self.sentence("set"), word)
    }

    /// The number of a word of `set`, such as `patience`.
    pub(super) fn number<T: FromStr>(&self, word: &str) -> Option<T> {
        let number = |flag: &str| flag.strip_prefix(word)?.strip_prefix('=')?.parse().ok();
        self.sentence("set").split(' ').find_map(number)
    }

    /// Hands on one step after the other.
    ///
    /// # Errors
    /// A line that cannot be filled in.
    pub(super) fn walk(&self, places: &mut Places, visit: &mut Visit<'_>) -> Result<(), Mistake> {
        walk(&self.body, places, visit).map(drop)
    }

    /// Finds unknown words, and what cannot be filled in.
    ///
    /// # Errors
    /// The first line of this check that is wrong.
    pub(super) fn examine(&self, is_known: impl Fn(&str, &str) -> bool) -> Result<(), Mistake> {
        for (at, (_, lines)) in self.phrases.iter().enumerate() {
            let earlier = self.phrases.get(..at).unwrap_or_default();
            for (number, line) in lines.iter().filter(|(number, _)| *number != ELSEWHERE) {
                let word = line.split(' ').next().unwrap_or_default();
                // What `made` needs may come with the argument.
                let is_word = ["", "{name}"].iter().any(|argument| is_known(word, argument));
                if !is_word && !earlier.iter().any(|(known, _)| *known == word) {
                    return Err((*number, said("wrong word", &[line])));
                }
            }
        }
        for (number, line, text) in &self.body {
            let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
            if !is_known(word, rest) {
                return Err((*number, said("wrong word", &[line])));
            }
        }
        let mut places = Places::new(Random(1), "grade");
        places.known.insert("outside".to_owned(), Vec::new());
        self.walk(&mut places, &mut |places, step| {
            if let Step::Open(_, hole, _) = step {
                places.note_anything(&hole);
            }
            Then::GoOn
        })
    }

    /// A conversation of these lines, in which the phrases of this one's file may be used.
    pub(super) fn of_lines(&self, lines: &str) -> Check {
        let mut check = Check { phrases: Arc::clone(&self.phrases), ..Check::default() };
        for (n, line) in lines.lines().enumerate() {
            expand((n + 1, line), line, &self.phrases, &mut check.body);
        }
        check
    }
}

/// The checks of a file, which may use the phrases of another check's file.
///
/// # Errors
/// The line that is none.
pub(super) fn parse(text: &'static str, known: Option<&Check>) -> Result<Vec<Check>, Mistake> {
    let mut checks: Vec<Check> = Vec::new();
    let mut phrases = known.map(|it| it.phrases.to_vec()).unwrap_or_default();
    let of_others = phrases.len();
    phrases.iter_mut().flat_map(|(_, lines)| lines).for_each(|(n, _)| *n = ELSEWHERE);
    for (n, line) in text.lines().enumerate().map(|(n, line)| (n + 1, line)) {
        let wrong = |name: &str| (n, said(&format!("wrong {name}"), &[]));
        if let Some(head) = line.strip_prefix("== ") {
            let (id, points, must, section) = read_head(head).ok_or_else(|| wrong("head"))?;
            checks.push(Check { id, points, must, section, line: n, ..Check::default() });
        } else if let Some(word) = line.strip_prefix(":: ").filter(|_| checks.is_empty()) {
            phrases.push((word, Vec::new()));
        } else if !line.is_empty() && !line.starts_with('#') {
            let Some(check) = checks.last_mut() else {
                let own = phrases.get_mut(of_others..).and_then(|own| own.last_mut());
                own.ok_or_else(|| wrong("beginning"))?.1.push((n, line));
                continue;
            };
            let sentence = line.split_once(": ").filter(|(key, _)| KEYS.contains(key));
            match sentence.filter(|_| check.body.is_empty()) {
                Some(sentence) => check.sentences.push(sentence),
                None => expand((n, line), line, &phrases, &mut check.body),
            }
        }
    }
    let phrases = Arc::new(phrases);
    checks.iter_mut().for_each(|check| check.phrases = Arc::clone(&phrases));
    Ok(checks)
}

/// The lines that this one stands for: those of its phrase, or itself.
fn expand(of: (usize, &str), line: &str, phrases: &[Phrase], body: &mut Vec<Line>) {
    let as_it_is = |line: String| (of.0, of.1.to_owned(), line);
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let own = phrases.iter().rposition(|(known, _)| *known == word);
    let Some([earlier @ .., (_, lines)]) = own.and_then(|own| phrases.get(..=own)) else {
        body.push(as_it_is(line.to_owned()));
        return;
    };
    let (arguments, content) = with_content(rest);
    body.extend(content.map(|content| as_it_is(format!("let = {content}"))));
    for (number, written) in lines {
        let of = if *number == ELSEWHERE { of } else { (*number, *written) };
        let mut line = (*written).to_owned();
        for (at, argument) in arguments.split(" | ").enumerate() {
            line = line.replace(&format!("{{{}}}", at + 1), argument);
        }
        expand(of, &line, earlier, body);
    }
}

fn read_head(head: &'static str) -> Option<(&'static str, u64, bool, &'static str)> {
    let words: Vec<_> = head.split(' ').collect();
    let [id, points, duty @ ("must" | "should"), section @ ..] = words.as_slice() else {
        return None;
    };
    Some((id, points.parse().ok()?, *duty == "must", section.first().copied().unwrap_or_default()))
}

/// The words that begin what `done` ends.
const ASKED: &str = "if unless silent may";

/// The lines up to this end of what one of these words has begun, and those after it.
fn up_to<'l>(lines: &'l [Line], begin: &str, end: &str) -> Option<(&'l [Line], &'l [Line])> {
    let mut open = 1;
    let at = lines.iter().position(|(.., line)| {
        let word = line.split(' ').next().unwrap_or_default();
        open += u32::from(is_in(begin, word));
        open -= u32::from(word == end);
        open == 0
    })?;
    Some((lines.get(..at)?, lines.get(at + 1..)?))
}

/// No loop has more turns, whatever a file of the user's says.
const MOST_TURNS: usize = 100_000;

const KEYS: [&str; 7] = ["en", "id", "why.en", "why.id", "rule", "needs", "set"];

/// What is done with a step, and what comes after that.
type Visit<'v> = dyn FnMut(&mut Places, Step<'_>) -> Then + 'v;

fn walk(mut lines: &[Line], places: &mut Places, visit: &mut Visit<'_>) -> Result<Then, Mistake> {
    while let [(number, source, line), after @ ..] = lines {
        lines = after;
        let wrong = || (*number, said("wrong line", &[source]));
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "repeat" {
            let times = places.fill(rest).and_then(|it| number_in(&it));
            let times = times.filter(|times| *times <= MOST_TURNS).ok_or_else(wrong)?;
            let body;
            (body, lines) = up_to(lines, "repeat", "again").ok_or_else(wrong)?;
            for turn in 1..=times {
                places.known.insert("n".to_owned(), turn.to_string().into_bytes());
                if walk(body, places, visit)? == Then::Stop {
                    return Ok(Then::Stop);
                }
            }
            continue;
        }
        let after_done = up_to(lines, ASKED, "done").map(|(_, after)| after);
        if word == "again" || is_in(ASKED, word) && after_done.is_none() {
            return Err(wrong());
        }
        // Of all other words a ` = ` is a part of what they are about.
        let takes_bytes = is_in("file let local saved serve stored", word);
        let (rest, content) = if takes_bytes { with_content(rest) } else { (rest, None) };
        let step = step(word, rest, places).ok_or_else(wrong)?;
        if let Some(content) = content {
            places.content = places.fill(content).ok_or_else(wrong)?;
        }
        if is_in("let done", word) {
            continue;
        }
        match visit(places, step) {
            Then::GoOn => {}
            Then::LeaveOut => lines = after_done.unwrap_or_default(),
            Then::Stop => return Ok(Then::Stop),
        }
    }
    Ok(Then::GoOn)
}

fn step<'l>(word: &'l str, rest: &str, places: &mut Places) -> Option<Step<'l>> {
    let lf: &[u8] = if word == "<" { b"\n" } else { b"" };
    let end = |bytes: Vec<u8>| [bytes.as_slice(), lf].concat();
    Some(match word {
        ">" => Step::Line([places.fill(rest)?.as_slice(), b"\n"].concat()),
        ">|" => Step::Bytes(Side::Client, places.fill(rest)?),
        "<" | "<|" => match places.fill_open(rest)? {
            (bytes, None) => Step::Bytes(Side::Server, end(bytes)),
            (mut before, Some((at, hole))) => {
                let after = before.split_off(at);
                Step::Open(before, hole, end(after))
            }
        },
        word => Step::Word(word, places.fill(rest)?),
    })
}

/// What follows a word, and what follows ` = ` in that.
fn with_content(rest: &str) -> (&str, Option<&str>) {
    match (rest.strip_prefix("= "), rest.split_once(" = "), rest.strip_suffix(" =")) {
        (Some(content), ..) => ("", Some(content)),
        (_, Some((argument, content)), _) => (argument, Some(content)),
        (.., Some(argument)) => (argument, Some("")),
        _ => (rest, None),
    }
}

/// The number in a word's argument.
pub(super) fn number_in<T: FromStr>(argument: &[u8]) -> Option<T> {
    std::str::from_utf8(argument).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(body: &str) -> Result<Vec<String>, Mistake> {
        let mut steps = Vec::new();
        let check = Check::default().of_lines(body);
        check.walk(&mut Places::new(Random(7), ""), &mut |_, step| {
            steps.push(format!("{step:?}"));
            Then::GoOn
        })?;
        Ok(steps)
    }

    #[test]
    fn a_step_is_what_it_stands_for() {
        let word = |word, rest: &str| Step::Word(word, rest.into());
        let asks = |line: &str| Step::Line(format!("{line}\n").into());
        let replies = |line: &str| Step::Bytes(Side::Server, format!("{line}\n").into());
        let table: [(&'static str, Vec<Step>); 9] = [
            ("> ls\n>| x", vec![asks("ls"), Step::Bytes(Side::Client, b"x".into())]),
            ("< ok\n<| 2", vec![replies("ok"), Step::Bytes(Side::Server, b"2".into())]),
            (
                "file a b = x\\r\\x41\n< {size} {bytes}",
                vec![word("file", "a b"), replies("3 x\rA")],
            ),
            ("repeat 2\n> {n}\nagain\nclose", vec![asks("1"), asks("2"), word("close", "")]),
            (
                ">| [h 5][i -1][h {size}]",
                vec![Step::Bytes(Side::Client, b"\x05\0\xff\xff\xff\xff\0\0".into())],
            ),
            ("> {\"aksi\":[1]}", vec![asks("{\"aksi\":[1]}")]),
            ("<| {times 3 ab}{size}", vec![Step::Bytes(Side::Server, b"ababab0".into())]),
            (
                "made file a = {size}\nif a = b\ndone",
                vec![word("made", "file a = 0"), word("if", "a = b")],
            ),
            ("$ upload a.txt\nexit ok", vec![word("$", "upload a.txt"), word("exit", "ok")]),
        ];
        for (body, expected) in table {
            let expected = expected.iter().map(|step| format!("{step:?}")).collect();
            assert_eq!(steps(body), Ok(expected), "{body}");
        }
        let mut places = Places::new(Random(7), "");
        let every = places.fill("{every}{bytes 5}").unwrap();
        assert!(every.len() == 261 && every[255] == 255);
        for wrong in [
            "> \\y",
            "> \\x4",
            "> [i a]",
            "repeat x\nagain",
            "repeat 2\n> a",
            "repeat 9999999999\n> a\nagain",
            "again",
            "if x\n> a",
            "> {bytes 99999999999999}",
            "> {letters 99999999999999}",
            "> {times 99999999999 abcdefgh}",
        ] {
            assert!(steps(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_phrase_stands_for_its_lines() {
        let file = ":: a\na {1}\n:: b\na {2}\nif x\na {1}\ndone\n== b/c 1 must x\nen: is\nif y\nb 1 | {n} = z\ndone\n";
        let check = &parse(file, None).unwrap()[0];
        let lines: Vec<_> = check.body.iter().map(|(n, _, line)| (*n, line.as_str())).collect();
        let inside = [(11, "let = z"), (2, "a {n}"), (5, "if x"), (2, "a 1"), (7, "done")];
        assert_eq!(lines[0], (10, "if y"));
        assert_eq!(lines[1..6], inside);
        // What is left out goes up to its own end.
        let walked = check.walk(&mut Places::default(), &mut |_, step| match step {
            Step::Word("if", _) => Then::LeaveOut,
            _ => panic!(),
        });
        assert_eq!(walked, Ok(()));
        // One that uses itself would have no end.
        assert_eq!(check.examine(|word, _| word != "a").unwrap_err().0, 2);
        // A file that uses it learns of a mistake where it does so.
        let used = &parse("== b/c 1 must\nen: is\nb 1\n", Some(check)).unwrap()[0];
        assert_eq!(used.body[1], (3, "b 1".to_owned(), "if x".to_owned()));
    }

    #[test]
    fn a_mistake_in_a_phrase_is_told_where_it_stands() {
        let table = [
            (":: a\n> x\nnonsense 5\n== b/c 1 must\nen: is\na", 3, "nonsense 5"),
            (":: a\n> x\nnonsense 5\n== b/c 1 must\nen: is\n> y", 3, "nonsense 5"),
            (":: a\nb\n:: b\n> x\n== b/c 1 must\nen: is\n> y", 2, "b"),
            (":: a\n< {2}\n== b/c 1 must\nen: is\na x", 2, "< {2}"),
            ("== b/c 1 must\nen: is\n> {length}", 3, "> {length}"),
        ];
        for (file, number, line) in table {
            let check = &parse(file, None).unwrap()[0];
            let (found, what) = check.examine(|word, _| is_in("> < made", word)).unwrap_err();
            let what = what.say(crate::lang::Lang::En);
            assert!(found == number && what.contains(&format!("'{line}'")), "{found} {what}");
        }
        let made = ":: a\nmade file {1}\n:: b\na {1}\n== b/c 1 must\nen: is\nb {name}";
        let needs_name = |word: &str, of: &str| word == "made" && of.contains("{name");
        assert_eq!(parse(made, None).unwrap()[0].examine(needs_name), Ok(()));
    }

    #[test]
    fn a_head_says_what_a_check_is_worth() {
        let checks =
            parse("# text\n== a/b 3 should p.md#x\nen: does\nwhy.id: k: l\n> ls\n", None).unwrap();
        let check = &checks[0];
        assert_eq!((check.id, check.points, check.must), ("a/b", 3, false));
        assert_eq!((check.sentence("en"), check.sentence("why.id")), ("does", "k: l"));
        for (wrong, line) in [("> ls", 1), ("\n== a/b x must", 2), ("== a/b 1 may", 1), ("== a", 1)]
        {
            assert_eq!(parse(wrong, None).unwrap_err().0, line, "{wrong}");
        }
    }
}
