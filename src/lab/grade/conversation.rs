//! Conversations: checks as a person writes them down.
//!
//! A file has one check after the other. The head of each is `== ID POINTS must|should SECTION`, then lines `KEY: TEXT`
//! with its sentences. The rest is the conversation, a step on each line:
//!
//! - `> TEXT` is a line from the client and `< TEXT` a line from the server, both without their LF. `>| BYTES` and
//!   `<| BYTES` have none. What the server says on lines that follow each other is one write; `send` ends it.
//! - Any other line is a word, and what the word needs. Who plays the conversation knows the words.
//! - `repeat N` … `again` stands for N times the lines between them; `{n}` counts, from 1.
//!
//! In a step `\n`, `\r`, `\t`, `\\`, `\0` and `\xNN` are bytes. `{…}` is filled in when the check begins.
//! `[h N]`, `[i N]` and `[f N]` are numbers of 2, 4 and 4 bytes, little-endian.

use super::peer::Random;
use crate::store::Sha256;

/// One check.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) id: &'static str,
    pub(super) points: u64,
    pub(super) must: bool,
    /// The part of the guide that it follows from.
    pub(super) section: &'static str,
    sentences: Vec<(&'static str, &'static str)>,
    body: Vec<&'static str>,
}

/// A step of a conversation, with everything filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The client sends this line, given without its LF.
    ClientLine(Vec<u8>),
    /// The client sends these bytes.
    ClientBytes(Vec<u8>),
    /// The server sends these bytes in one write.
    Server(Vec<u8>),
    /// A word of the notation.
    Word(&'static str, Vec<u8>),
}

impl Conversation {
    /// The sentence of this key, such as `en` or `why.id`.
    pub(super) fn sentence(&self, key: &str) -> &'static str {
        self.sentences.iter().find(|(known, _)| *known == key).map_or("", |(_, text)| text)
    }

    /// The steps.
    ///
    /// # Errors
    /// The line that cannot be filled in.
    pub(super) fn steps(&self, random: &mut Random) -> Result<Vec<Step>, &'static str> {
        let mut filler = Filler { random, content: Vec::new(), count: 0, is_open: false };
        let mut steps = Vec::new();
        filler.steps(&self.body, &mut steps)?;
        Ok(steps)
    }
}

/// The checks of a file.
///
/// # Errors
/// The number of the line that is none, counted from 1.
pub(super) fn parse(text: &'static str) -> Result<Vec<Conversation>, usize> {
    let mut checks: Vec<Conversation> = Vec::new();
    for (n, line) in text.lines().enumerate().map(|(n, line)| (n + 1, line)) {
        if let Some(head) = line.strip_prefix("== ") {
            let mut words = head.split(' ');
            let mut word = || words.next().ok_or(n);
            let (id, points) = (word()?, word()?.parse().map_err(|_| n)?);
            let (duty, section) = (word()?, words.next().unwrap_or_default());
            let must = duty == "must";
            if !must && duty != "should" {
                return Err(n);
            }
            let (sentences, body) = (Vec::new(), Vec::new());
            checks.push(Conversation { id, points, must, section, sentences, body });
        } else if !line.is_empty() && !line.starts_with('#') {
            let check = checks.last_mut().ok_or(n)?;
            let sentence = line.split_once(": ").filter(|(key, _)| KEYS.contains(key));
            match sentence.filter(|_| check.body.is_empty()) {
                Some(sentence) => check.sentences.push(sentence),
                None => check.body.push(line),
            }
        }
    }
    Ok(checks)
}

const KEYS: [&str; 4] = ["en", "id", "why.en", "why.id"];

/// Fills in what stands in braces:
///
/// | what | with |
/// |---|---|
/// | `{bytes N}` | N random bytes |
/// | `{every}` | the 256 values that a byte can have |
/// | `{times N TEXT}` | N times the text |
/// | `{bytes}`, `{size}`, `{sum}` | the bytes that the last of these or the last `NAME = BYTES` gave, their number, their SHA-256 |
/// | `{word}` | letters that are different in each run, the same in one check |
/// | `{n}` | the number of the turn in a `repeat` |
struct Filler<'r> {
    random: &'r mut Random,
    content: Vec<u8>,
    count: usize,
    /// What the server said last can go on.
    is_open: bool,
}

impl Filler<'_> {
    fn steps(&mut self, lines: &[&'static str], steps: &mut Vec<Step>) -> Result<(), &'static str> {
        let mut lines = lines.iter();
        while let Some(line) = lines.next() {
            let step = self.step(line).ok_or(*line)?;
            let was_open = std::mem::replace(&mut self.is_open, matches!(step, Step::Server(_)));
            match (step, steps.last_mut()) {
                (Step::Word("repeat", times), _) => {
                    let times = std::str::from_utf8(&times).ok().and_then(|it| it.parse().ok());
                    self.is_open = was_open;
                    let body: Vec<_> =
                        lines.by_ref().take_while(|line| **line != "again").copied().collect();
                    for turn in 1..=times.ok_or(*line)? {
                        self.count = turn;
                        self.steps(&body, steps)?;
                    }
                }
                (Step::Server(more), Some(Step::Server(bytes))) if was_open => bytes.extend(more),
                (Step::Word("send", _), _) => {}
                (step, _) => steps.push(step),
            }
        }
        Ok(())
    }

    fn step(&mut self, line: &'static str) -> Option<Step> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if let Some((name, content)) = rest.split_once(" = ").filter(|_| !word.contains(['<', '>']))
        {
            let content = self.fill(content)?;
            self.content.clone_from(&content);
            let name = self.fill(name)?;
            return Some(Step::Word(word, [name, b" = ".to_vec(), content].concat()));
        }
        let mut bytes = self.fill(rest)?;
        Some(match word {
            ">" => Step::ClientLine(bytes),
            ">|" => Step::ClientBytes(bytes),
            "<" => {
                bytes.push(b'\n');
                Step::Server(bytes)
            }
            "<|" => Step::Server(bytes),
            word => Step::Word(word, bytes),
        })
    }

    /// The bytes that a text stands for. `None`: it has a mistake.
    fn fill(&mut self, text: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = rest.get(c.len_utf8()..)?;
            let place =
                |close: char| rest.split_once(close).filter(|(inside, _)| is_place(c, inside));
            if c == '\\' {
                let (byte, after) = escaped(rest)?;
                bytes.push(byte);
                rest = after;
            } else if let Some((inside, after)) = place('}').filter(|_| c == '{') {
                bytes.extend(self.place(inside)?);
                rest = after;
            } else if let Some((inside, after)) = place(']').filter(|_| c == '[') {
                let number = String::from_utf8(self.fill(inside.get(2..)?)?).ok()?;
                match inside.get(..1)? {
                    "h" => bytes.extend(number.parse::<i16>().ok()?.to_le_bytes()),
                    "i" => bytes.extend(number.parse::<i32>().ok()?.to_le_bytes()),
                    _ => bytes.extend(number.parse::<f32>().ok()?.to_le_bytes()),
                }
                rest = after;
            } else {
                bytes.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        Some(bytes)
    }

    fn place(&mut self, inside: &str) -> Option<Vec<u8>> {
        let (word, rest) = inside.split_once(' ').unwrap_or((inside, ""));
        match (word, rest) {
            ("bytes", "") => return Some(self.content.clone()),
            ("size", _) => return Some(self.content.len().to_string().into_bytes()),
            ("sum", _) => {
                let mut sum = Sha256::default();
                sum.update(&self.content);
                return Some(sum.sum().to_string().into_bytes());
            }
            ("n", _) => return Some(self.count.to_string().into_bytes()),
            ("word", _) => {
                // A copy, so that the next one is the same.
                let number = self.random.clone().next();
                let letter =
                    |n: u32| char::from(b'a' + u8::try_from(number >> (n * 5) & 15).unwrap_or(0));
                return Some((0..8).map(letter).collect::<String>().into_bytes());
            }
            ("bytes", count) => {
                let count = count.parse().ok()?;
                self.content = random_bytes(self.random, count);
            }
            ("every", _) => self.content = (0..=255).collect(),
            ("times", rest) => {
                let (count, what) = rest.split_once(' ')?;
                self.content = self.fill(what)?.repeat(count.parse().ok()?);
            }
            _ => return None,
        }
        Some(self.content.clone())
    }
}

/// Random bytes, from a copy of the generator, so that its next number is another one only for what comes later.
fn random_bytes(random: &mut Random, count: usize) -> Vec<u8> {
    let mut own = Random(random.0 ^ count as u64);
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        bytes.extend_from_slice(&own.next().to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}

/// Whether what stands in these brackets is to be filled in: JSON has braces too.
fn is_place(open: char, inside: &str) -> bool {
    let word = inside.split(' ').next().unwrap_or_default();
    match open {
        '{' => ["bytes", "size", "sum", "n", "word", "every", "times"].contains(&word),
        _ => inside.len() > 2 && ["h", "i", "f"].contains(&word),
    }
}

/// The byte after a backslash, and what follows it.
fn escaped(text: &str) -> Option<(u8, &str)> {
    let simple = |byte| Some((byte, text.get(1..)?));
    match text.bytes().next()? {
        b'n' => simple(b'\n'),
        b'r' => simple(b'\r'),
        b't' => simple(b'\t'),
        b'0' => simple(0),
        b'\\' => simple(b'\\'),
        b'x' => Some((u8::from_str_radix(text.get(1..3)?, 16).ok()?, text.get(3..)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(body: &'static str) -> Result<Vec<Step>, &'static str> {
        let text: &'static str = format!("== a/b 1 must x\nen: is\n{body}").leak();
        parse(text).unwrap()[0].steps(&mut Random(7))
    }

    #[test]
    fn a_step_is_what_it_stands_for() {
        let word = |word, rest: &str| Step::Word(word, rest.into());
        let table: [(&'static str, Vec<Step>); 8] = [
            ("> ls\n>| x", vec![Step::ClientLine(b"ls".into()), Step::ClientBytes(b"x".into())]),
            (
                "< ok\n< 1\n<| 2\nsend\n< 3",
                vec![Step::Server(b"ok\n1\n2".into()), Step::Server(b"3\n".into())],
            ),
            (
                "file a b = x\\r\\x41\n< {size} {bytes}",
                vec![word("file", "a b = x\rA"), Step::Server(b"3 x\rA\n".into())],
            ),
            (
                "repeat 2\n> {n}\nagain\nclose",
                vec![
                    Step::ClientLine(b"1".into()),
                    Step::ClientLine(b"2".into()),
                    word("close", ""),
                ],
            ),
            (
                ">| [h 5][i -1][h {size}]",
                vec![Step::ClientBytes(b"\x05\0\xff\xff\xff\xff\0\0".into())],
            ),
            ("> {\"aksi\":[1]}", vec![Step::ClientLine(b"{\"aksi\":[1]}".into())]),
            ("<| {times 3 ab}{size}", vec![Step::Server(b"ababab6".into())]),
            ("$ upload a.txt\nexit ok", vec![word("$", "upload a.txt"), word("exit", "ok")]),
        ];
        for (body, expected) in table {
            assert_eq!(steps(body), Ok(expected), "{body}");
        }
        let Ok(every) = steps("<| {every}{bytes 5}") else { panic!() };
        assert!(
            matches!(&every[..], [Step::Server(bytes)] if bytes.len() == 261 && bytes[255] == 255)
        );
        for wrong in ["> \\y", "> \\x4", "> [i a]", "repeat x\nagain"] {
            assert!(steps(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_head_says_what_a_check_is_worth() {
        let checks =
            parse("# text\n== a/b 3 should p.md#x\nen: does\nwhy.id: k: l\n> ls\n").unwrap();
        let check = &checks[0];
        assert_eq!((check.id, check.points, check.must), ("a/b", 3, false));
        assert_eq!((check.sentence("en"), check.sentence("why.id")), ("does", "k: l"));
        for (wrong, line) in [("> ls", 1), ("\n== a/b x must", 2), ("== a/b 1 may", 1), ("== a", 1)]
        {
            assert_eq!(parse(wrong).unwrap_err(), line, "{wrong}");
        }
    }
}
