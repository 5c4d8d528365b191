//! Conversations: checks as a person writes them down.
//!
//! A file has one check after the other. The head of each is `== ID POINTS must|should SECTION`, then lines `KEY: TEXT`:
//!
//! | key | what it says |
//! |---|---|
//! | `en`, `id` | what passes, in both languages |
//! | `why.en`, `why.id` | what usually breaks it; `rule: NAME` is that of several checks |
//! | `needs` | the checks without which this one says nothing |
//! | `set` | `hostile`: a bad server may not survive it; `root`, `watched`: it needs the folder, the process; `patience=N`: it has N times as long; `tries=N`: it is right if one of N is |
//!
//! The rest is the conversation, a step on each line:
//!
//! - `> TEXT` is a line from the client and `< TEXT` a line from the server, both without their LF. `>| BYTES` and
//!   `<| BYTES` have none. What one side says on lines that follow each other is one write; `send` ends it.
//! - Any other line is a word, and what the word needs. Who plays the conversation knows the words.
//! - `repeat N` … `again` stands for N times the lines between them; `{n}` counts, from 1.
//! - `if TEXT` … `done` is left out if something else comes.
//! - `:: WORD` before the first check, and the lines below it, give a word of this file's own, which may use those that
//!   are before it. What follows the word is `{1}`, or after a ` | ` `{2}`; what follows ` = ` are the bytes of the places.
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

/// A line of a file, with its number from 1.
type Line = (usize, &'static str);

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

/// A word that a file defines, and the lines that it stands for.
type Phrase = (&'static str, Vec<Line>);

/// A step of a conversation, with everything filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The client sends this line.
    Line(Vec<u8>),
    /// This side sends these bytes.
    Bytes(Side, Vec<u8>),
    /// The server sends something of this kind, between these bytes.
    Open(Vec<u8>, String, Vec<u8>),
    /// A word of the notation.
    Word(&'static str, Vec<u8>),
}

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
    pub(super) fn times(&self, word: &str) -> u32 {
        let number = |flag: &str| flag.strip_prefix(word)?.strip_prefix('=')?.parse().ok();
        self.sentence("set").split(' ').find_map(number).unwrap_or(1)
    }

    /// Hands on one step after the other.
    ///
    /// # Errors
    /// A line that cannot be filled in.
    pub(super) fn walk(&self, places: &mut Places, visit: &mut Visit<'_>) -> Result<(), Mistake> {
        walk(&self.body, &self.phrases, None, places, visit).map(drop)
    }

    /// Finds unknown words, and what cannot be filled in.
    ///
    /// # Errors
    /// The first line of this check that is wrong.
    pub(super) fn examine(&self, is_known: impl Fn(&str, &str) -> bool) -> Result<(), Mistake> {
        let bodies = self.phrases.iter().map(|(_, body)| body).chain([&self.body]);
        for (n, (line, text)) in
            bodies.enumerate().flat_map(|(n, body)| body.iter().map(move |it| (n, it)))
        {
            let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
            let is_own = self.phrases.iter().take(n).any(|(known, _)| *known == word);
            if !is_known(word, rest) && !is_own {
                return Err((*line, said("wrong word", &[text])));
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

    /// A conversation of these lines.
    pub(super) fn of_lines(lines: &'static str) -> Check {
        let body = lines.lines().enumerate().map(|(n, line)| (n + 1, line)).collect();
        Check { body, ..Check::default() }
    }

    /// A conversation of this line alone, which may be a phrase of this one's file.
    pub(super) fn of_line(&self, line: &'static str) -> Check {
        Check { phrases: Arc::clone(&self.phrases), ..Check::of_lines(line) }
    }
}

/// The checks of a file, which may use the phrases of another check's file.
///
/// # Errors
/// The line that is none.
pub(super) fn parse(text: &'static str, known: Option<&Check>) -> Result<Vec<Check>, Mistake> {
    let mut checks: Vec<Check> = Vec::new();
    let mut phrases: Vec<Phrase> = Vec::new();
    for (n, line) in text.lines().enumerate().map(|(n, line)| (n + 1, line)) {
        let wrong = |name: &str| (n, said(&format!("wrong {name}"), &[]));
        if let Some(head) = line.strip_prefix("== ") {
            let (id, points, must, section) = read_head(head).ok_or_else(|| wrong("head"))?;
            checks.push(Check { id, points, must, section, line: n, ..Check::default() });
        } else if let Some(word) = line.strip_prefix(":: ").filter(|_| checks.is_empty()) {
            phrases.push((word, Vec::new()));
        } else if !line.is_empty() && !line.starts_with('#') {
            let Some(check) = checks.last_mut() else {
                let (_, body) = phrases.last_mut().ok_or_else(|| wrong("beginning"))?;
                body.push((n, line));
                continue;
            };
            let sentence = line.split_once(": ").filter(|(key, _)| KEYS.contains(key));
            match sentence.filter(|_| check.body.is_empty()) {
                Some(sentence) => check.sentences.push(sentence),
                None => check.body.push((n, line)),
            }
        }
    }
    let known = known.into_iter().flat_map(|it| it.phrases.iter().cloned());
    let phrases: Arc<Vec<_>> = Arc::new(known.chain(phrases).collect());
    for check in &mut checks {
        check.phrases = Arc::clone(&phrases);
    }
    Ok(checks)
}

fn read_head(head: &'static str) -> Option<(&'static str, u64, bool, &'static str)> {
    let words: Vec<_> = head.split(' ').collect();
    let [id, points, duty @ ("must" | "should"), section @ ..] = words.as_slice() else {
        return None;
    };
    Some((id, points.parse().ok()?, *duty == "must", section.first().copied().unwrap_or_default()))
}

/// The lines before the next line that is this word, and those after it.
fn up_to<'l>(lines: &'l [Line], word: &str) -> Option<(&'l [Line], &'l [Line])> {
    let at = lines.iter().position(|(_, line)| *line == word)?;
    Some((lines.get(..at)?, lines.get(at + 1..)?))
}

/// No loop has more turns, whatever a file of the user's says.
const MOST_TURNS: usize = 100_000;

const KEYS: [&str; 7] = ["en", "id", "why.en", "why.id", "rule", "needs", "set"];

/// What is done with a step, and what comes after that.
type Visit<'v> = dyn FnMut(&mut Places, Step) -> Then + 'v;

/// A phrase may use those that are before it. What is wrong in one is told of the line that uses it, `at`.
fn walk(
    mut lines: &[Line],
    phrases: &[Phrase],
    at: Option<usize>,
    places: &mut Places,
    visit: &mut Visit<'_>,
) -> Result<Then, Mistake> {
    while let [(number, line), after @ ..] = lines {
        lines = after;
        let number = at.unwrap_or(*number);
        let wrong = || (number, said("wrong line", &[line]));
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let own = phrases.iter().rposition(|(known, _)| *known == word);
        if let Some([earlier @ .., (_, body)]) = own.and_then(|own| phrases.get(..=own)) {
            let arguments = arguments(rest, places).ok_or_else(wrong)?;
            let before = std::mem::replace(&mut places.arguments, arguments);
            if walk(body, earlier, Some(number), places, visit)? == Then::Stop {
                return Ok(Then::Stop);
            }
            places.arguments = before;
            continue;
        }
        if word == "repeat" {
            let times = places.fill(rest).and_then(|it| number_in(&it));
            let times = times.filter(|times| *times <= MOST_TURNS).ok_or_else(wrong)?;
            let body;
            (body, lines) = up_to(lines, "again").ok_or_else(wrong)?;
            for turn in 1..=times {
                places.known.insert("n".to_owned(), turn.to_string().into_bytes());
                if walk(body, phrases, at, places, visit)? == Then::Stop {
                    return Ok(Then::Stop);
                }
            }
            continue;
        }
        if word == "done" {
            continue;
        }
        let after_done = up_to(lines, "done").map(|(_, after)| after);
        let is_asked = ["if", "unless", "silent", "may"].contains(&word);
        if word == "again" || is_asked && after_done.is_none() {
            return Err(wrong());
        }
        let step = step(word, rest, places).ok_or_else(wrong)?;
        match visit(places, step) {
            Then::GoOn => {}
            Then::LeaveOut => lines = after_done.unwrap_or_default(),
            Then::Stop => return Ok(Then::Stop),
        }
    }
    Ok(Then::GoOn)
}

fn step(word: &'static str, rest: &str, places: &mut Places) -> Option<Step> {
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
        // Of all other words a ` = ` is a part of what they are about.
        "file" | "let" | "local" | "saved" | "serve" | "stored" => {
            Step::Word(word, arguments(rest, places)?.join(&b" | "[..]))
        }
        word => Step::Word(word, places.fill(rest)?),
    })
}

/// What follows a word, with ` | ` between its parts. What follows ` = ` are the bytes of the places from there on.
fn arguments(rest: &str, places: &mut Places) -> Option<Vec<Vec<u8>>> {
    let parts = (rest.strip_prefix("= "), rest.split_once(" = "), rest.strip_suffix(" ="));
    let (arguments, content) = match parts {
        (Some(content), ..) => ("", Some(content)),
        (_, Some((arguments, content)), _) => (arguments, Some(content)),
        (.., Some(arguments)) => (arguments, Some("")),
        _ => (rest, None),
    };
    let filled =
        arguments.split(" | ").map(|argument| places.fill(argument)).collect::<Option<_>>()?;
    if let Some(content) = content {
        places.content = places.fill(content)?;
    }
    Some(filled)
}

/// The number in a word's argument.
pub(super) fn number_in<T: FromStr>(argument: &[u8]) -> Option<T> {
    std::str::from_utf8(argument).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(body: &'static str) -> Result<Vec<Step>, Mistake> {
        let mut steps = Vec::new();
        Check::of_lines(body).walk(&mut Places::new(Random(7), ""), &mut |_, step| {
            steps.push(step);
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
            ("<| {times 3 ab}{size}", vec![Step::Bytes(Side::Server, b"ababab6".into())]),
            (
                "made file a = {size}\nif a = b\ndone",
                vec![word("made", "file a = 0"), word("if", "a = b")],
            ),
            ("$ upload a.txt\nexit ok", vec![word("$", "upload a.txt"), word("exit", "ok")]),
        ];
        for (body, expected) in table {
            assert_eq!(steps(body), Ok(expected), "{body}");
        }
        let Ok(every) = steps("<| {every}{bytes 5}") else { panic!() };
        assert!(
            matches!(&every[..], [Step::Bytes(_, bytes)] if bytes.len() == 261 && bytes[255] == 255)
        );
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
        // A phrase that uses itself has no end.
        let endless = parse(":: a\na\n== b/c 1 must x\nen: is\na\n", None).unwrap();
        assert_eq!(endless[0].examine(|_, _| false).unwrap_err().0, 2);
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
