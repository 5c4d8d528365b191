//! A small server that answers rightly what a conversation does not say. It keeps its files in memory.

use std::collections::BTreeMap;

use crate::dialect::json_value::Value;
use crate::dialect::{Dialect, digits};
use crate::lab::grade::peer::Peer;
use crate::store::extension;

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
    pub(super) fn read(dialect: Dialect, peer: &mut Peer) -> Option<Request> {
        if dialect != Dialect::Struct {
            return peer.line("REQUEST").ok().map(Request);
        }
        loop {
            let come = peer.held();
            let blanks = come.iter().take_while(|byte| b"\r\n ".contains(byte)).count();
            let rest = come.get(blanks..).unwrap_or_default();
            if let Some(word) = COMMANDS.iter().find(|word| rest.starts_with(word.as_bytes())) {
                peer.taken(blanks);
                return Some(Request(peer.taken(word.len())));
            }
            let may_come = |word: &&str| word.as_bytes().starts_with(rest);
            if !COMMANDS.iter().any(may_come) || !peer.read().ok()? {
                return None;
            }
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

    /// Answers it. Returns whether the peer goes on.
    pub(super) fn answer(&self, dialect: Dialect, peer: &mut Peer, files: &mut Files) -> bool {
        let answered = match dialect {
            Dialect::Struct => strukt(peer, files, &words(&self.0).0),
            Dialect::Json => json(peer, files, &self.0),
            _ => text(peer, files, &self.0),
        };
        answered.is_some() && dialect != Dialect::Json
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

fn text(peer: &mut Peer, files: &mut Files, line: &[u8]) -> Option<()> {
    let (word, name) = words(line);
    let found = files.get(&name).cloned();
    let reply = match (word.as_str(), found) {
        ("", _) => return Some(()),
        ("connme", _) => "ok connected\n".to_owned(),
        ("help", _) => "ok 1\nconnme ls size rm download upload count byebye\n".to_owned(),
        ("count", _) => format!("ok {}\n", name.chars().count()),
        ("byebye", _) => {
            peer.send("ok byebye\n");
            return None;
        }
        ("ls", _) => {
            let line =
                |(name, bytes): (&String, &Vec<u8>)| format!("file {} {name}\n", bytes.len());
            let lines: String = files.iter().map(line).collect();
            let total: usize = files.values().map(Vec::len).sum();
            format!("ok {}\n{lines}total {total}\n", files.len())
        }
        ("upload", _) => {
            peer.send("ok ready\n");
            let size = peer.line("SIZE").ok().and_then(|line| size_in(&line));
            let size =
                size.and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= MOST);
            let Some(size) = size else {
                peer.send("error bad-request expected a size\n");
                return None;
            };
            files.insert(name.clone(), peer.take(size).ok()?);
            format!("ok received {size} {name}\n")
        }
        ("size" | "rm" | "download", None) => "error not-found no such file\n".to_owned(),
        ("size", Some(bytes)) => {
            format!("ok {} bytes ({:.6} MB)\n", bytes.len(), bytes.len() as f64 / 1e6)
        }
        ("rm", Some(_)) => {
            files.remove(&name);
            format!("ok removed {name}\n")
        }
        ("download", Some(bytes)) => {
            peer.send([format!("ok {}\n", bytes.len()).as_bytes(), &bytes].concat());
            return Some(());
        }
        _ => "error unknown-command no such command\n".to_owned(),
    };
    peer.send(reply);
    Some(())
}

/// A number of four bytes; -1 for a file that is not there.
fn number(n: Option<usize>) -> [u8; 4] {
    n.and_then(|n| i32::try_from(n).ok()).unwrap_or(-1).to_le_bytes()
}

fn strukt(peer: &mut Peer, files: &mut Files, word: &str) -> Option<()> {
    match word {
        "connme" => drop(peer.send("connected")),
        "byebye" => return None,
        "ls" => {
            peer.send(number(Some(files.len())));
            for (name, bytes) in files.iter() {
                let (length, size) = (number(Some(name.len())), number(Some(bytes.len())));
                peer.send([&length, name.as_bytes(), &size].concat());
                peer.take(1).ok()?;
            }
            peer.send(number(Some(files.values().map(Vec::len).sum())));
        }
        _ => {
            peer.send("ready");
            let length = i16::from_le_bytes(peer.take(2).ok()?.try_into().ok()?);
            let name = peer.take(usize::try_from(length).ok()?).ok()?;
            let name = String::from_utf8_lossy(&name).into_owned();
            let found = files.get(&name).cloned();
            match word {
                "upload" => {
                    let size = i32::from_le_bytes(peer.take(4).ok()?.try_into().ok()?);
                    let size = usize::try_from(size).ok().filter(|size| *size <= MOST)?;
                    files.insert(name, peer.take(size).ok()?);
                    peer.send("received").pause(20);
                    peer.send(0.01f32.to_le_bytes());
                }
                "rm" => {
                    if peer.take(1).ok()? == b"Y" {
                        peer.send(number(files.remove(&name).map(|_| 1)));
                    }
                }
                "download" => {
                    peer.send(number(found.as_ref().map(Vec::len)));
                    if let Some(bytes) = found {
                        peer.send(bytes).take(1).ok()?;
                        peer.send(0.01f32.to_le_bytes());
                    }
                }
                _ => drop(peer.send(number(found.map(|it| it.len())))),
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

fn json(peer: &mut Peer, files: &mut Files, line: &[u8]) -> Option<()> {
    let request = Value::parse(line).unwrap_or(Value::Null);
    let text = |member: &str| request.get(member).and_then(Value::as_text).map(str::to_owned);
    let name = text("file").or_else(|| {
        let id = text("id")?;
        files.keys().find(|name| record(name, 0).contains(&id)).cloned()
    });
    let name = name.unwrap_or_default();
    let found = files.get(&name).cloned();
    let reply = match (text("aksi").as_deref(), found) {
        _ if request == Value::Null => "ERROR bad-request not JSON\r\n".to_owned(),
        (Some("list"), _) => {
            let records: Vec<_> = files.iter().map(|(name, it)| record(name, it.len())).collect();
            format!("[{}]\r\n", records.join(","))
        }
        (Some("transfer"), _) => {
            let size = request.get("size").and_then(Value::as_u64).unwrap_or(0);
            let size = usize::try_from(size).unwrap_or(0).min(MOST);
            files.insert(name.clone(), peer.take(size).ok()?);
            format!("OK {}\r\n", record(&name, size))
        }
        (Some("get" | "hapus"), None) => "null".to_owned(),
        (Some("get"), Some(bytes)) => {
            peer.send(format!("{}\r\n", record(&name, bytes.len()))).pause(50);
            peer.send(bytes);
            return Some(());
        }
        (Some("hapus"), Some(bytes)) => {
            files.remove(&name);
            format!("OK {}\r\n", record(&name, bytes.len()))
        }
        _ => "ERRCMD\r\n".to_owned(),
    };
    peer.send(reply);
    Some(())
}
