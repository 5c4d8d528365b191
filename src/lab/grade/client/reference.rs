//! A small server that answers rightly what a conversation does not say. It keeps its files in memory.

use std::collections::BTreeMap;
use std::time::Duration;

use super::connection::Connection;
use crate::dialect::json_value::Value;
use crate::dialect::{Dialect, digits};
use crate::store::{Sha256, extension};

/// The files of the server, by name.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// The commands of `struct`. None is the beginning of another.
const COMMANDS: [&str; 7] = ["connme", "ls", "size", "rm", "download", "upload", "byebye"];

/// The largest upload that is taken.
const MOST: usize = 64 << 20;

/// What a client has asked for: a line, or a command of `struct`.
#[derive(Clone, Debug)]
pub(super) struct Request(pub(super) Vec<u8>);

impl Request {
    /// The next request. `None` at the end, or if what comes is none.
    pub(super) fn read(dialect: Dialect, connection: &mut Connection) -> Option<Request> {
        if dialect != Dialect::Struct {
            return connection.line().map(Request);
        }
        loop {
            let come = connection.peek().ok()?;
            let blanks = come.iter().take_while(|byte| b"\r\n ".contains(byte)).count();
            let rest = come.get(blanks..).unwrap_or_default();
            let is_whole = |word: &&&str| rest.starts_with(word.as_bytes());
            if let Some(word) = COMMANDS.iter().find(is_whole) {
                connection.skip(blanks);
                let word = connection.command(word.len());
                return Some(Request(word));
            }
            let may_come = |word: &&str| word.as_bytes().starts_with(rest);
            if come.is_empty() || !COMMANDS.iter().any(may_come) {
                return None;
            }
            connection.pause(Duration::from_millis(5));
        }
    }

    /// Whether it asks for what this line of a conversation says.
    pub(super) fn is(&self, dialect: Dialect, line: &[u8]) -> bool {
        match dialect {
            Dialect::Json => {
                let (ours, wanted) = (Value::parse(&self.0), Value::parse(line));
                let Some(Value::Object(members)) = wanted else { return false };
                ours.is_some_and(|ours| {
                    members.iter().all(|(name, value)| ours.get(name) == Some(value))
                })
            }
            _ => words(&self.0) == words(line),
        }
    }

    /// It as text, as a person would say it.
    pub(super) fn said(&self) -> String {
        let (word, argument) = words(&self.0);
        match Value::parse(&self.0) {
            Some(Value::Object(_)) => String::from_utf8_lossy(self.0.trim_ascii()).into_owned(),
            _ => format!("{word} {argument}").trim_end().to_owned(),
        }
    }

    /// Whether a client may send it although nobody asked for it: it changes nothing.
    pub(super) fn is_harmless(&self, dialect: Dialect) -> bool {
        let (word, _) = words(&self.0);
        match dialect {
            Dialect::Json => Value::parse(&self.0)
                .is_some_and(|it| it.get("aksi").and_then(Value::as_text) == Some("list")),
            _ => ["connme", "help", "byebye", "ls", "size", "sum", "count", "resume"]
                .contains(&word.as_str()),
        }
    }

    /// Whether a client sends it that was told this.
    pub(super) fn obeys(&self, dialect: Dialect, order: &str) -> bool {
        let (word, name) = order.split_once(' ').unwrap_or((order, ""));
        match dialect {
            Dialect::Struct => words(&self.0).0 == word,
            Dialect::Json => {
                let request = Value::parse(&self.0);
                let action =
                    request.as_ref().and_then(|it| it.get("aksi")).and_then(Value::as_text);
                let wanted = match word {
                    "upload" => "transfer",
                    "download" => "get",
                    "rm" => "hapus",
                    _ => "list",
                };
                action == Some(wanted)
            }
            _ => words(&self.0) == (word.to_owned(), name.to_owned()),
        }
    }

    /// Answers it. Returns whether the connection goes on.
    pub(super) fn answer(
        &self,
        dialect: Dialect,
        connection: &mut Connection,
        files: &mut Files,
    ) -> bool {
        match dialect {
            Dialect::Struct => strukt(connection, files, &words(&self.0).0).is_some(),
            Dialect::Json => {
                json(connection, files, &self.0);
                false
            }
            _ => text(connection, files, &self.0),
        }
    }
}

/// The command in small letters, and what follows it.
fn words(line: &[u8]) -> (String, String) {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
    let line = line.trim_matches(' ');
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let word = word.to_ascii_lowercase();
    (if word == "conme" { "connme".to_owned() } else { word }, rest.trim_matches(' ').to_owned())
}

/// The size in a line of digits, and nothing else.
pub(super) fn size_in(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    digits(line.strip_suffix(b"\r").unwrap_or(line))
}

fn text(connection: &mut Connection, files: &mut Files, line: &[u8]) -> bool {
    let (word, name) = words(line);
    let found = files.get(&name).cloned();
    let reply = match (word.as_str(), found) {
        ("", _) => return true,
        ("connme", _) => "ok connected\n".to_owned(),
        ("help", _) => "ok 1\nconnme ls size rm download upload count byebye\n".to_owned(),
        ("count", _) => format!("ok {}\n", name.chars().count()),
        ("byebye", _) => {
            connection.send(b"ok byebye\n");
            return false;
        }
        ("ls", _) => {
            let line =
                |(name, bytes): (&String, &Vec<u8>)| format!("file {} {name}\n", bytes.len());
            let lines: String = files.iter().map(line).collect();
            let total: usize = files.values().map(Vec::len).sum();
            format!("ok {}\n{lines}total {total}\n", files.len())
        }
        ("upload", _) => {
            connection.send(b"ok ready\n");
            let size = connection.line().and_then(|line| size_in(&line));
            let size =
                size.and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= MOST);
            let Some(size) = size else {
                connection.send(b"error bad-request expected a size\n");
                return false;
            };
            let bytes = connection.take(size);
            if bytes.len() < size {
                return false;
            }
            files.insert(name.clone(), bytes);
            format!("ok received {size} {name}\n")
        }
        ("size" | "rm" | "download" | "sum", None) => "error not-found no such file\n".to_owned(),
        ("size", Some(bytes)) => {
            format!("ok {} bytes ({:.6} MB)\n", bytes.len(), bytes.len() as f64 / 1e6)
        }
        ("rm", Some(_)) => {
            files.remove(&name);
            format!("ok removed {name}\n")
        }
        ("sum", Some(bytes)) => {
            let mut sum = Sha256::default();
            sum.update(&bytes);
            format!("ok {}\n", sum.sum())
        }
        ("download", Some(bytes)) => {
            connection.send(&[format!("ok {}\n", bytes.len()).as_bytes(), &bytes].concat());
            return true;
        }
        _ => "error unknown-command no such command\n".to_owned(),
    };
    connection.send(reply.as_bytes());
    true
}

/// A number of four bytes.
fn number(n: usize) -> [u8; 4] {
    i32::try_from(n).unwrap_or(-1).to_le_bytes()
}

fn strukt(connection: &mut Connection, files: &mut Files, word: &str) -> Option<()> {
    let exactly = |connection: &mut Connection, count: usize| {
        Some(connection.take(count)).filter(|bytes| bytes.len() == count)
    };
    let size = |connection: &mut Connection| {
        let bytes = exactly(connection, 4)?.try_into().ok()?;
        usize::try_from(i32::from_le_bytes(bytes)).ok().filter(|size| *size <= MOST)
    };
    match word {
        "connme" => connection.send(b"connected"),
        "byebye" => return None,
        "ls" => {
            connection.send(&number(files.len()));
            for (name, bytes) in files.iter() {
                let entry = [&number(name.len()), name.as_bytes(), &number(bytes.len())].concat();
                connection.send(&entry);
                exactly(connection, 1)?;
            }
            connection.send(&number(files.values().map(Vec::len).sum()));
        }
        _ => {
            connection.send(b"ready");
            let length = i16::from_le_bytes(exactly(connection, 2)?.try_into().ok()?);
            let name = exactly(connection, usize::try_from(length).ok()?)?;
            let name = String::from_utf8_lossy(&name).into_owned();
            let found = files.get(&name).cloned();
            match word {
                "upload" => {
                    let size = size(connection)?;
                    let bytes = exactly(connection, size)?;
                    files.insert(name, bytes);
                    connection.send(b"received");
                    connection.pause(Duration::from_millis(20));
                    connection.send(&0.01f32.to_le_bytes());
                }
                "rm" => {
                    if exactly(connection, 1)? == b"Y" {
                        let removed = files.remove(&name).map_or(-1i32, |_| 1);
                        connection.send(&removed.to_le_bytes());
                    }
                }
                "download" => {
                    connection
                        .send(&found.as_ref().map_or((-1i32).to_le_bytes(), |it| number(it.len())));
                    if let Some(bytes) = found {
                        connection.send(&bytes);
                        exactly(connection, 1)?;
                        connection.send(&0.01f32.to_le_bytes());
                    }
                }
                _ => connection.send(&found.map_or((-1i32).to_le_bytes(), |it| number(it.len()))),
            }
        }
    }
    Some(())
}

fn record(name: &str, size: usize) -> String {
    let text = |it: &str| Value::text(it);
    Value::Object(vec![
        ("id".to_owned(), text(&format!("00000000-0000-4000-8000-{:012}", name.len()))),
        ("nama_file".to_owned(), text(name)),
        ("size".to_owned(), Value::number(size as u64)),
        ("type".to_owned(), text(extension(name))),
    ])
    .to_string()
}

fn json(connection: &mut Connection, files: &mut Files, line: &[u8]) {
    let Some(request) = Value::parse(line) else {
        return connection.send(b"ERROR bad-request not JSON\r\n");
    };
    let text = |member: &str| request.get(member).and_then(Value::as_text).map(str::to_owned);
    let name = text("file").or_else(|| {
        let id = text("id")?;
        files.keys().find(|name| record(name, 0).contains(&id)).cloned()
    });
    let name = name.unwrap_or_default();
    let found = files.get(&name).cloned();
    match (text("aksi").as_deref(), found) {
        (Some("list"), _) => {
            let records: Vec<_> = files.iter().map(|(name, it)| record(name, it.len())).collect();
            connection.send(format!("[{}]\r\n", records.join(",")).as_bytes());
        }
        (Some("transfer"), _) => {
            let size = request.get("size").and_then(Value::as_u64).unwrap_or(0);
            let size = usize::try_from(size).unwrap_or(0).min(MOST);
            let bytes = connection.take(size);
            if bytes.len() == size {
                files.insert(name.clone(), bytes);
                connection.send(format!("OK {}\r\n", record(&name, size)).as_bytes());
            }
        }
        (Some("get" | "hapus"), None) => connection.send(b"null"),
        (Some("get"), Some(bytes)) => {
            connection.send(format!("{}\r\n", record(&name, bytes.len())).as_bytes());
            connection.pause(Duration::from_millis(50));
            connection.send(&bytes);
        }
        (Some("hapus"), Some(bytes)) => {
            files.remove(&name);
            connection.send(format!("OK {}\r\n", record(&name, bytes.len())).as_bytes());
        }
        _ => connection.send(b"ERRCMD\r\n"),
    }
}
