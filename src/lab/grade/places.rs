//! What may be in braces in a conversation, and what takes its place.
//!
//! | what | with |
//! |---|---|
//! | `{bytes N}`, `{bytes N-M}` | random bytes, that many |
//! | `{every}` | the 256 values that a byte can have |
//! | `{bytes}`, `{size}`, `{sum}`, `{MB}` | the bytes that the last of these or the last ` = BYTES` gave, their number, their SHA-256, the megabytes |
//! | `{head N}`, `{rest N}`, `{sum N}` | the first N of these bytes, the others, the SHA-256 of the first |
//! | `{letters N}`, `{letters N-M}`, `{number N-M}` | random letters; a random number |
//! | `{times N TEXT}` | N times the text |
//! | `{name}`, `{name2}` … | a name of the grader's own |
//! | `{n}` | the number of the turn in a `repeat` |
//! | `{length NAME}`, `{type NAME}`, `{text NAME}` | how many bytes NAME has, its extension, it as JSON |
//! | `{outside}` | the path of what was made outside the folder |
//! | `{stored}`, `{stored2}` …, `{id NAME}` | what stood there when the server said it; the id of the record of NAME |
//!
//! A `{` before anything but a letter or a digit stands for itself: JSON has such ones. The same place is filled with the
//! same bytes in the whole check. What the server says may also have one of these:
//!
//! | what | what may come |
//! |---|---|
//! | `{code A B}`, `{code}` | the code A or B, and any text; any code |
//! | `{line}`, `{no-path}` | anything up to the end of the line; the same without a path of the machine |
//! | `{number}` | a number, which is noted |
//! | `{stored}` | anything up to the end of the line, which is noted |
//! | `{new NAME}`, `{record NAME}` | the record of the file NAME, which is noted; the noted one |

use std::collections::BTreeMap;

use crate::dialect::json_value::Value;
use crate::error::Code;
use crate::lab::random::Random;
use crate::sha256::Sha256;
use crate::store::extension;

/// A place stands for at most this many bytes, whatever a file of the user's says.
const MOST: usize = 64_000_000;

/// Fewer bytes than this have no white space.
const SMALL: usize = 100;

/// The name under which numbers are noted.
const NUMBER: &str = "number";

/// What the places of a check are filled with.
#[derive(Clone, Default)]
pub(super) struct Places {
    pub(super) random: Random,
    /// How the names of this check begin.
    pub(super) prefix: String,
    pub(super) content: Vec<u8>,
    /// What the server has said, or the player has made.
    pub(super) known: BTreeMap<String, Vec<u8>>,
    /// The last record of each file.
    pub(super) records: BTreeMap<Vec<u8>, Value>,
    /// The ids of all records.
    pub(super) ids: Vec<String>,
}

/// After how many bytes the server may say anything of a kind, and the words for that.
type Hole = (usize, String);

impl Places {
    pub(super) fn new(random: Random, prefix: &str) -> Places {
        Places { random, prefix: prefix.to_owned(), ..Places::default() }
    }

    /// The bytes that a text stands for. `None`: it has a mistake.
    pub(super) fn fill(&mut self, text: &str) -> Option<Vec<u8>> {
        let (bytes, hole) = self.fill_open(text)?;
        hole.is_none().then_some(bytes)
    }

    /// The same where what the server says may be left open.
    pub(super) fn fill_open(&mut self, text: &str) -> Option<(Vec<u8>, Option<Hole>)> {
        let (mut bytes, mut hole) = (Vec::new(), None);
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = rest.get(c.len_utf8()..)?;
            let place = match c {
                '{' => enclosed(rest, c, '}'),
                '[' => enclosed(rest, c, ']'),
                _ => None,
            };
            if c == '\\' {
                let (byte, after) = escaped(rest)?;
                bytes.push(byte);
                rest = after;
            } else if let Some((inside, after)) = place.filter(|(inside, _)| is_place(c, inside)) {
                rest = after;
                match self.place(inside) {
                    Some(filled) => bytes.extend(filled),
                    None if hole.is_none() && is_hole(inside) => {
                        hole = Some((bytes.len(), self.text(inside)?));
                    }
                    None => return None,
                }
            } else {
                bytes.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        Some((bytes, hole))
    }

    /// What a place is filled with. `None`: it is open, or it has a mistake.
    fn place(&mut self, inside: &str) -> Option<Vec<u8>> {
        let (word, rest) = inside.split_once(' ').unwrap_or((inside, ""));
        let text = |text: String| Some(text.into_bytes());
        match (word, rest) {
            ("bytes", "") => return Some(self.content.clone()),
            ("bytes", range) => {
                let count = self.in_range(range).filter(|count| *count <= MOST)?;
                self.content = random_bytes(&self.random, count);
            }
            ("every", _) => self.content = (0..=255).collect(),
            ("times", rest) => {
                let (count, what) = rest.split_once(' ')?;
                let (count, what): (usize, _) = (count.parse().ok()?, self.fill(what)?);
                count.checked_mul(what.len()).filter(|length| *length <= MOST)?;
                return Some(what.repeat(count));
            }
            ("size", _) => return text(self.content.len().to_string()),
            ("MB", _) => {
                let size = self.content.len();
                return text(format!("{}.{:06}", size / 1_000_000, size % 1_000_000));
            }
            ("sum", _) => {
                let mut sum = Sha256::default();
                sum.update(&self.cut(rest)?.0);
                return text(sum.sum().to_string());
            }
            ("head", _) => return Some(self.cut(rest)?.0),
            ("rest", _) => return Some(self.cut(rest)?.1),
            ("h" | "i" | "f", number) if !number.is_empty() => {
                let number = self.text(number)?;
                return Some(match word {
                    "h" => number.parse::<i16>().ok()?.to_le_bytes().to_vec(),
                    "i" => number.parse::<i32>().ok()?.to_le_bytes().to_vec(),
                    _ => number.parse::<f32>().ok()?.to_le_bytes().to_vec(),
                });
            }
            ("letters", _) => {
                let count = self.in_range(rest).filter(|count| *count <= MOST)?;
                return text(letters(&self.salted("letters"), count));
            }
            ("number", _) if !rest.is_empty() => return text(self.in_range(rest)?.to_string()),
            (name, "") if name.starts_with("name") => {
                return text(format!("{}-{}", self.prefix, letters(&self.salted(name), 8)));
            }
            ("length" | "type" | "text" | "id", "") => return None,
            ("length", _) => return text(self.fill(rest)?.len().to_string()),
            ("type", _) => return text(extension(&self.text(rest)?).to_owned()),
            ("text", _) => return text(Value::text(&self.text(rest)?).to_string()),
            ("id", _) => {
                let record = self.fill(rest).and_then(|name| self.records.get(&name))?;
                return text(record.get("id")?.to_string());
            }
            (word, _) => return self.known.get(word).cloned(),
        }
        Some(self.content.clone())
    }

    /// The first bytes of the content, as many as this says or all, and the others.
    fn cut(&mut self, count: &str) -> Option<(Vec<u8>, Vec<u8>)> {
        let count = self.text(count)?;
        let at = if count.is_empty() { self.content.len() } else { count.parse().ok()? };
        self.content.split_at_checked(at).map(|(head, rest)| (head.to_vec(), rest.to_vec()))
    }

    /// The same as `fill`, where it is a text.
    fn text(&mut self, text: &str) -> Option<String> {
        String::from_utf8(self.fill(text)?).ok()
    }

    /// What the server says in place of a hole. `None`: it may not be there.
    pub(super) fn note(&mut self, hole: &str, said: &str) -> Option<()> {
        let (word, rest) = hole.split_once(' ').unwrap_or((hole, ""));
        let is = |is: bool| is.then_some(());
        match word {
            "code" => {
                let code = said.split(' ').next().unwrap_or_default();
                let is_code = || Code::from_word(code).is_some();
                is(if rest.is_empty() { is_code() } else { is_in(rest, code) })
            }
            "line" => Some(()),
            "no-path" => {
                let parent = self.known.get("parent").map(|path| String::from_utf8_lossy(path));
                let is_told = parent.is_some_and(|path| said.contains(&*path));
                is(!is_told && !said.contains("Errno") && !said.contains("Traceback"))
            }
            "new" => {
                let record = Value::parse(said.as_bytes())?;
                let id = record.get("id")?.as_text()?.to_owned();
                let name = record.get("nama_file")?.as_text()?.to_owned();
                let is_it = name == rest
                    && record.get("size")?.as_u64()? == self.content.len() as u64
                    && record.get("type")?.as_text()? == extension(&name);
                is(is_it && !id.is_empty())?;
                self.ids.push(id);
                self.records.insert(name.into_bytes(), record);
                Some(())
            }
            "record" => is(self.records.get(rest.as_bytes())? == &Value::parse(said.as_bytes())?),
            _ => {
                let is_number = !said.is_empty() && said.bytes().all(|it| it.is_ascii_digit());
                is(word != NUMBER || is_number)?;
                self.known.insert(word.to_owned(), said.as_bytes().to_vec());
                Some(())
            }
        }
    }

    /// What may stand in place of a hole, for a report.
    pub(super) fn form(&self, hole: &str) -> String {
        let (word, rest) = hole.split_once(' ').unwrap_or((hole, "CODE"));
        match word {
            "code" => format!("{} MESSAGE", rest.replace(' ', "|")),
            "new" | "record" => format!(
                "{{\"id\":\"…\",\"nama_file\":{},\"size\":{},\"type\":\"{}\"}}",
                Value::text(rest),
                self.content.len(),
                extension(rest)
            ),
            NUMBER => "N".to_owned(),
            "line" | "no-path" => "…".to_owned(),
            _ => "STOREDNAME".to_owned(),
        }
    }

    /// Notes something that is right, where no server says anything.
    pub(super) fn note_anything(&mut self, hole: &str) {
        let said = if hole.starts_with("new ") { self.form(hole) } else { "1".to_owned() };
        let _ = self.note(hole, &said);
    }

    /// A number in `N` or `N-M`.
    fn in_range(&self, range: &str) -> Option<usize> {
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        let (low, high): (usize, usize) = (low.parse().ok()?, high.parse().ok()?);
        let width = u64::try_from(high.checked_sub(low)?).ok()?.checked_add(1)?;
        let more = self.salted(range).next() % width;
        low.checked_add(usize::try_from(more).ok()?)
    }

    /// The same numbers for the same text.
    fn salted(&self, salt: &str) -> Random {
        Random::of(self.random.0, salt)
    }
}

fn letters(random: &Random, count: usize) -> String {
    let mut random = random.clone();
    let mut letter = || char::from(b'a' + u8::try_from(random.next() & 15).unwrap_or(0));
    (0..count).map(|_| letter()).collect()
}

/// Random bytes, from a copy of the generator, so that its next number is another one only for what comes later.
fn random_bytes(random: &Random, count: usize) -> Vec<u8> {
    let mut own = Random(random.0 ^ count as u64);
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        bytes.extend_from_slice(&own.next().to_le_bytes());
    }
    bytes.truncate(count);
    if count < SMALL {
        // Whether white space survives is what other checks are about.
        let blanks = bytes.iter_mut().filter(|byte| byte.is_ascii_whitespace());
        blanks.for_each(|byte| *byte = 0xfe);
    }
    bytes
}

/// What stands up to the bracket that closes, and what follows that.
fn enclosed(text: &str, open: char, close: char) -> Option<(&str, &str)> {
    let mut depth = 1_usize;
    for (at, c) in text.char_indices() {
        depth += usize::from(c == open);
        depth -= usize::from(c == close);
        if depth == 0 {
            return Some((text.get(..at)?, text.get(at + c.len_utf8()..)?));
        }
    }
    None
}

/// Whether this is one of these words.
pub(super) fn is_in(words: &str, word: &str) -> bool {
    words.split(' ').any(|known| known == word)
}

/// Whether the other side may say something of a kind in this place.
fn is_hole(inside: &str) -> bool {
    let word = inside.split(' ').next().unwrap_or_default();
    is_in("code line no-path new record number", word) || word.starts_with("stored")
}

/// Whether what stands in these brackets is to be filled in: JSON has such brackets too.
fn is_place(open: char, inside: &str) -> bool {
    match open {
        '{' => inside.starts_with(|first: char| first.is_ascii_alphanumeric()),
        _ => ["h ", "i ", "f "].iter().any(|word| inside.starts_with(word)),
    }
}

/// The byte after a backslash, and what follows it.
fn escaped(text: &str) -> Option<(u8, &str)> {
    if let Some(hex) = text.strip_prefix('x') {
        return Some((u8::from_str_radix(hex.get(..2)?, 16).ok()?, hex.get(2..)?));
    }
    let at = r"nrt0\".find(text.chars().next()?)?;
    Some((*b"\n\r\t\0\\".get(at)?, text.get(1..)?))
}
