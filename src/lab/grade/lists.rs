//! The lists of the dialects.

use super::peer::{Done, Peer};
use crate::dialect::json_value::Value;
use crate::dialect::{Dialect, digits};

/// The longest name in a list of `struct`.
const NAME: usize = 4096;

/// A name, and the size of a file. A folder has none.
pub(super) type Entry = (String, Option<u64>);

/// What a server says that it has.
#[derive(Default)]
pub(super) struct List {
    /// How many entries it announces.
    pub(super) count: Option<u64>,
    pub(super) entries: Vec<Entry>,
    /// The sum of the sizes that it tells.
    pub(super) total: Option<u64>,
    /// The records of `json`.
    pub(super) records: Vec<Value>,
    /// How many bytes all of that has, in `json`.
    pub(super) length: usize,
}

impl List {
    /// Asks for the list of a folder; without a name, for that of the server's.
    pub(super) fn read(p: &mut Peer, dialect: Dialect, folder: &str) -> Done<List> {
        match dialect {
            Dialect::Text => text(p.send(format!("ls {folder}").trim_end().to_owned() + "\n")),
            Dialect::Struct => strukt(p),
            Dialect::Json => json(p),
            Dialect::Filesaver | Dialect::Count => Ok(List::default()),
        }
    }
}

/// The name in a line of a list of `text`, and the size of a file.
fn entry(line: &str) -> Option<Entry> {
    if let Some(name) = line.strip_prefix("dir - ") {
        return Some((name.to_owned(), None));
    }
    let (size, name) = line.strip_prefix("file ")?.split_once(' ')?;
    Some((name.to_owned(), Some(digits(size.as_bytes())?)))
}

/// Up to its `total`: whether the count is right is a check of its own.
fn text(p: &mut Peer) -> Done<List> {
    let count = p.line_as("ok COUNT", |line| digits(line.strip_prefix("ok ")?.as_bytes()))?;
    let mut list = List { count: Some(count), ..List::default() };
    while list.total.is_none() {
        p.line_as("file SIZE NAME / dir - NAME / total BYTES", |line| {
            match line.strip_prefix("total ") {
                Some(total) => list.total = Some(digits(total.as_bytes())?),
                None => list.entries.push(entry(line)?),
            }
            Some(())
        })?;
    }
    Ok(list)
}

fn strukt(p: &mut Peer) -> Done<List> {
    let int =
        |p: &mut Peer| -> Done<i32> { Ok(p.take(4)?.try_into().map_or(-1, i32::from_le_bytes)) };
    p.send("ls");
    let (mut list, mut sum) = (List::default(), 0_i64);
    for _ in 0..int(p)? {
        let length = usize::try_from(int(p)?).unwrap_or(0).min(NAME);
        let name = String::from_utf8_lossy(&p.take(length)?).into_owned();
        let size = int(p)?;
        sum += i64::from(size);
        list.entries.push((name, u64::try_from(size).ok()));
        p.send("1");
    }
    p.expect(i32::try_from(sum).unwrap_or(-1).to_le_bytes())?;
    Ok(list)
}

fn json(p: &mut Peer) -> Done<List> {
    p.send("{\"aksi\":\"list\"}\n");
    let (records, length) =
        p.line_as("[…] CR", |line| match Value::parse(line.strip_suffix('\r')?.as_bytes())? {
            Value::Array(records) => Some((records, line.len() + 1)),
            _ => None,
        })?;
    p.closes(false)?;
    let entry = |record: &Value| {
        let name = record.get("nama_file")?.as_text()?;
        Some((name.to_owned(), record.get("size").and_then(Value::as_u64)))
    };
    let entries = records.iter().filter_map(entry).collect();
    Ok(List { entries, records, length, ..List::default() })
}
