//! What travels in each dialect, as a table in `tests/dialects/`: what a client sends, what a server sends, and what each
//! side takes it for. The server is run from the left to the right, the client from the right to the left: each with
//! all at once, byte by byte, and with more bytes after it.
//!
//! ```text
//! size a\n | ok 5 bytes (0.000005 MB)\n | | size a = 5
//! ```
//!
//! Before it, the server's folder has a file `a` with `hello` in it. The third column says what has changed there:
//! `+b=x` is a file that was stored, `-a` one that was removed. The last one has the request of our client, and what
//! it gets for it, after `=`, or why it gets nothing, after `!`; without one, the client is not run. A `!` before what
//! the server sends: ours does not send it, and is not run.
//!
//! `\s` is a space, `[h 1]` and `[i 5]` are numbers of two and of four bytes, `[f]` is a float of four that is not
//! compared, `{a 5}` is a record of `json`. `<pause>` is a pause, `<end>` the end of the client's direction,
//! `<close>` the close of a server that answers nothing after it, and `<cut>` that of one that was waiting for more.

use std::fs;
use std::path::Path;

use super::tests::{Kept, answer_over, why, xs};
use super::{Dialect, Requests};
use crate::error::Answer;
use crate::store::Listing;
use crate::wire::script::{Script, Step};
use crate::wire::{Wire, WireConfig};

const TABLES: [&str; 5] = [
    include_str!("../../../tests/dialects/text.txt"),
    include_str!("../../../tests/dialects/struct.txt"),
    include_str!("../../../tests/dialects/filesaver.txt"),
    include_str!("../../../tests/dialects/json.txt"),
    include_str!("../../../tests/dialects/count.txt"),
];

const ID: &str = "6f9619ff-8b86-4011-b42d-00cf4fc964ff";

/// Where a float is.
const FLOAT: &[u8] = b"\x01\x02\x03\x04";

pub(super) struct Row {
    dialect: Dialect,
    pub(super) line: &'static str,
    client: Vec<u8>,
    server: Vec<u8>,
    is_ours: bool,
    folder: &'static str,
    /// What our client is asked for, and what it gets.
    request: Option<(&'static str, &'static str)>,
    /// It gets what it has asked for.
    pub(super) is_good: bool,
}

pub(super) fn rows() -> Vec<Row> {
    let tables = Dialect::ALL.into_iter().zip(TABLES);
    let rows = tables.flat_map(|(dialect, table)| {
        let lines = table.lines().filter(|line| line.contains('|') && !line.starts_with('#'));
        lines.map(move |line| Row::of(dialect, line))
    });
    let rows: Vec<Row> = rows.collect();
    assert!(rows.len() > 120, "{} rows", rows.len());
    rows
}

impl Row {
    fn of(dialect: Dialect, line: &'static str) -> Row {
        let [client, server, folder, request]: [&str; 4] =
            line.split('|').map(str::trim).collect::<Vec<_>>().try_into().unwrap();
        let parted = request.split_once(" =").or_else(|| request.split_once(" ! "));
        let request = parted.map(|(request, outcome)| (request, outcome.trim()));
        let is_good = request.is_some_and(|(asked, _)| line.contains(&format!("| {asked} =")));
        Row {
            dialect,
            line,
            client: unescape(client),
            server: unescape(server.trim_start_matches('!')),
            is_ours: !server.starts_with('!'),
            folder,
            request,
            is_good,
        }
    }

    /// Whether a peer can send more after this, in this dialect.
    fn goes_on(&self) -> bool {
        matches!(self.dialect, Dialect::Text | Dialect::Struct)
    }

    pub(super) fn ask(&self, wire: &mut Wire) -> Answer<String> {
        ask(self.dialect, self.request.unwrap().0, wire)
    }

    /// What the server's bytes are on the wire.
    pub(super) fn reply(&self) -> Vec<u8> {
        without(&without(&self.server, "<pause>"), "<close>")
    }
}

/// What a client gets that asks for this.
pub(super) fn ask(dialect: Dialect, request: &str, wire: &mut Wire) -> Answer<String> {
    let words: Vec<_> = request.split(' ').map(|word| text(&unescape(word))).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let requests: &Requests = dialect.requests();
    let done = |()| "done".to_owned();
    match *words.as_slice() {
        ["connme"] => requests.connme.unwrap()(wire).map(done),
        ["byebye"] => requests.byebye.unwrap()(wire).map(done),
        ["ls"] => requests.list_files.unwrap()(wire, None).map(|files| listed(&files)),
        ["ls", folder] => {
            requests.list_files.unwrap()(wire, Some(folder)).map(|files| listed(&files))
        }
        ["size", name] => requests.get_size.unwrap()(wire, name).map(|size| size.to_string()),
        ["rm", name] => requests.delete.unwrap()(wire, name).map(done),
        ["count", ..] => {
            let count = requests.count.unwrap()(wire, &words[1..].join(" "));
            count.map(|count| count.to_string())
        }
        ["download", name] => {
            let mut kept = Kept::default();
            requests.download.unwrap().run(wire, name, &mut kept)?;
            Ok(String::from_utf8_lossy(&kept.0).into_owned())
        }
        ["upload", name, size] => {
            let upload = requests.upload.unwrap();
            let stored = upload.run(wire, name, size.parse().unwrap(), &mut xs)?;
            Ok(stored.unwrap_or_else(|| "sent".to_owned()))
        }
        _ => panic!("{request}"),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn listed(files: &Listing) -> String {
    let files = files.entries().map(|entry| match entry.size {
        Some(size) => format!("{} {size}", entry.name),
        None => format!("{}/", entry.name),
    });
    files.collect::<Vec<_>>().join(", ")
}

pub(super) fn unescape(cell: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), cell);
    while let Some((found, after)) = escape(rest).or_else(|| {
        let mut chars = rest.chars();
        Some((chars.next()?.to_string().into(), chars.as_str()))
    }) {
        bytes.extend(found);
        rest = after;
    }
    bytes
}

/// What the escape at the beginning stands for, and what follows it.
fn escape(text: &str) -> Option<(Vec<u8>, &str)> {
    let escapes =
        [("\\n", "\n"), ("\\r", "\r"), ("\\t", "\t"), ("\\s", " "), ("\\0", "\0"), ("\\\\", "\\")];
    for (escape, byte) in escapes {
        if let Some(after) = text.strip_prefix(escape) {
            return Some((byte.into(), after));
        }
    }
    if let Some((digits, after)) = text.strip_prefix("\\x").and_then(|it| it.split_at_checked(2)) {
        return Some((vec![u8::from_str_radix(digits, 16).unwrap()], after));
    }
    if let Some((record, after)) = text.strip_prefix('{').and_then(|it| it.split_once('}')) {
        let (name, size) = record.split_once(' ').filter(|(name, _)| !name.contains('"'))?;
        let extension = crate::store::extension(name);
        let record = format!(
            "{{\"id\":\"{ID}\",\"nama_file\":\"{name}\",\"size\":{size},\"type\":\"{extension}\"}}"
        );
        return Some((record.into(), after));
    }
    let (number, after) = text.strip_prefix('[')?.split_once(']')?;
    let bytes = match number.split_once(' ') {
        None if number == "f" => FLOAT.to_vec(),
        Some(("h", n)) => n.parse::<i16>().ok()?.to_le_bytes().to_vec(),
        Some(("i", n)) => n.parse::<i32>().ok()?.to_le_bytes().to_vec(),
        _ => return None,
    };
    Some((bytes, after))
}

fn without(bytes: &[u8], mark: &str) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    while let Some(at) = bytes.windows(mark.len()).position(|it| it == mark.as_bytes()) {
        bytes.drain(at..at + mark.len());
    }
    bytes
}

/// The steps of a peer that sends this, and pauses where it says so.
fn steps(mut sent: &[u8], bytewise: bool) -> Vec<Step> {
    const PAUSE: &[u8] = b"<pause>";
    let mut steps = Vec::new();
    loop {
        let pause = sent.windows(PAUSE.len()).position(|it| it == PAUSE);
        let piece = &sent[..pause.unwrap_or(sent.len())];
        let size = if bytewise { 1 } else { piece.len().max(1) };
        steps.extend(piece.chunks(size).map(|bytes| Step::Bytes(bytes.to_vec())));
        let Some(pause) = pause else { return steps };
        steps.push(Step::Pause);
        sent = &sent[pause + PAUSE.len()..];
    }
}

/// What has changed in a folder that had `a` with `hello` in it.
fn changes(root: &Path) -> String {
    let mut changes = Vec::new();
    for entry in fs::read_dir(root).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if name != ".connme" && name != "a" {
            changes.push(format!("+{name}={}", text(&fs::read(entry.path()).unwrap())));
        }
    }
    if !root.join("a").exists() {
        changes.push("-a".to_owned());
    }
    changes.join(" ")
}

#[test]
fn a_server_answers_and_stores_as_the_table_says() {
    let mut wrong = String::new();
    for row in rows().iter().filter(|row| row.is_ours) {
        let sent = without(&row.client, "<end>");
        let expected = without(&without(&row.server, "<close>"), "<cut>");
        let mut check = |sent: &[u8], bytewise: bool, expected: &[u8]| {
            let root = tempfile::tempdir().unwrap();
            fs::write(root.path().join("a"), "hello").unwrap();
            let script = Script::new(steps(sent, bytewise));
            let mut held = answer_over(root.path(), row.dialect, script);
            if let Some(at) = expected.windows(FLOAT.len()).position(|it| it == FLOAT) {
                held.splice(at..at + FLOAT.len(), FLOAT.iter().copied());
            }
            let held = without(&held, "<end>");
            let held = with_one_id(held);
            if held != expected || changes(root.path()) != row.folder {
                let (held, changes) = (String::from_utf8_lossy(&held), changes(root.path()));
                wrong += &format!("{}\n   sent {held:?}, folder {changes:?}\n", row.line);
            }
        };
        check(&sent, false, &expected);
        check(&sent, true, &expected);
        if row.goes_on() && !row.server.ends_with(b"<cut>") {
            let (more, reply) = match row.dialect {
                Dialect::Text => ("connme\n", "ok connected\n"),
                _ => ("connme", "connected"),
            };
            let reply = if row.server.ends_with(b"<close>") { "" } else { reply };
            check(
                &[&sent, more.as_bytes()].concat(),
                false,
                &[&expected, reply.as_bytes()].concat(),
            );
        }
    }
    assert!(wrong.is_empty(), "another answer or another folder:\n{wrong}");
}

/// What was sent, with the identity of the tables in the place of each.
fn with_one_id(mut sent: Vec<u8>) -> Vec<u8> {
    let begin = b"\"id\":\"";
    let at =
        |it: &[u8]| it.windows(begin.len()).position(|it| it == begin).map(|at| at + begin.len());
    let mut from = 0;
    while let Some(id) = at(&sent[from..]) {
        from += id + ID.len();
        sent.splice(from - ID.len()..from, ID.bytes());
    }
    sent
}

#[test]
fn a_client_asks_and_understands_as_the_table_says() {
    let mut wrong = String::new();
    for row in rows() {
        let Some((_, outcome)) = row.request else { continue };
        let reply =
            ["<pause>", "<close>"].iter().fold(row.server.clone(), |it, mark| without(&it, mark));
        let more: &[u8] = if row.goes_on() && row.is_good { b"zz" } else { b"" };
        for (bytewise, more) in [(false, &b""[..]), (true, b""), (false, more)] {
            let (script, written) = Script::new(steps(&[&reply, more].concat(), bytewise));
            let mut wire = Wire::new(Box::new(script), WireConfig::default());
            let got = row.ask(&mut wire).unwrap_or_else(why);
            let _ = wire.flush();
            let sent = written.bytes();
            let is_it = match outcome.strip_suffix('…') {
                Some(begin) => got.starts_with(begin),
                None => got == outcome,
            };
            if !is_it || sent != row.client {
                let sent = String::from_utf8_lossy(&sent);
                wrong += &format!("{}\n   got {got:?}, sent {sent:?}\n", row.line);
            }
            if !more.is_empty() {
                assert_eq!(wire.take_arrived().unwrap(), more, "{}", row.line);
            }
        }
    }
    assert!(wrong.is_empty(), "another request or another outcome:\n{wrong}");
}
