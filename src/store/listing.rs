//! What a folder contains, as far as a client may see it.

use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;

use super::catalog::Stamp;
use super::name::broken_rule;
use super::turns::Place;
use crate::error::{Error, Result};
use crate::store::disk::op;

/// A file or a folder in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'l> {
    /// The last part of its name.
    pub name: &'l str,
    /// The size of a file; `None` is a folder.
    pub size: Option<u64>,
    /// Its identity, where that is known. An empty one counts as none.
    pub id: Option<&'l str>,
}

/// The contents of a folder, in little memory: clients that do not read their lists hold many of them.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The sizes of all its files together.
    pub total: u64,
    /// Each name, and the identity after it.
    text: String,
    lines: Vec<Line>,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    /// Where the name begins.
    start: u32,
    name_length: u16,
    id_length: u16,
    /// `u64::MAX` is a folder.
    size: u64,
    changed: u64,
}

/// A list that is longer is an expensive request.
const LONG: usize = 64 << 10;

/// What an entry has beside its name when it is sent: about that much in each dialect.
const BESIDE: usize = 16;

/// How many files are identified at a time.
const BATCH: usize = 500;

impl Listing {
    /// Reads a folder. Takes a place as soon as the list is long.
    pub(super) fn read<'t>(
        folder: &Path,
        take_place: impl Fn() -> Result<Place<'t>>,
    ) -> Result<(Listing, Option<Place<'t>>)> {
        // Room from the start: a vector that grows from nothing leaves small pieces of memory with an idle connection's thread.
        let (text, lines) = (String::with_capacity(2 << 10), Vec::with_capacity(64));
        let (mut listing, mut length, mut place) = (Listing { total: 0, text, lines }, 0, None);
        let failed = |error| Error::io(format!("list {}", folder.display()), &error);
        for entry in visible(folder).map_err(failed)? {
            let (name, entry) = entry.map_err(failed)?;
            // A file that has gone since the folder was read is no error. Links are not followed.
            let Ok(found) = entry.metadata() else { continue };
            if !found.is_file() && !found.is_dir() {
                continue;
            }
            length += name.len() + BESIDE;
            if length > LONG && place.is_none() {
                place = Some(take_place()?);
            }
            let size = found.is_file().then_some(found.len());
            listing.push_line(Entry { name: &name, size, id: None }, Stamp::of(&found).changed);
        }
        listing.sort();
        Ok((listing, place))
    }

    /// Adds an entry at the end, and its size to the total.
    pub fn push(&mut self, entry: Entry<'_>) {
        self.push_line(entry, 0);
    }

    fn push_line(&mut self, Entry { name, size, id }: Entry<'_>, changed: u64) {
        // A server can send sizes that add up to more.
        self.total = self.total.saturating_add(size.unwrap_or(0));
        let id = id.unwrap_or_default();
        let start = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.text.push_str(name);
        self.text.push_str(id);
        // No line that is read is longer.
        let [name_length, id_length] =
            [name, id].map(|text| u16::try_from(text.len()).unwrap_or(u16::MAX));
        let size = size.unwrap_or(u64::MAX);
        self.lines.push(Line { start, name_length, id_length, size, changed });
    }

    /// The entries, in their order.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Entry<'_>> {
        self.lines.iter().map(|line| {
            let (name, id) = texts(&self.text, line);
            let size = Some(line.size).filter(|size| *size < u64::MAX);
            Entry { name, size, id: Some(id).filter(|id| !id.is_empty()) }
        })
    }

    /// The files with their stamps, some hundred at a time.
    pub(super) fn batches(&self) -> impl Iterator<Item = Vec<(&str, Stamp)>> {
        self.lines.chunks(BATCH).map(|lines| {
            let files = lines.iter().filter(|line| line.size < u64::MAX);
            let stamp = |line: &Line| Stamp { size: line.size, changed: line.changed };
            files.map(|line| (texts(&self.text, line).0, stamp(line))).collect()
        })
    }

    /// Sorts the entries by name, byte by byte.
    pub fn sort(&mut self) {
        let Listing { text, lines, .. } = self;
        lines.sort_unstable_by(|a, b| texts(text, a).0.cmp(texts(text, b).0));
    }
}

/// The name and the identity of a line.
fn texts<'t>(text: &'t str, line: &Line) -> (&'t str, &'t str) {
    let name = line.start as usize;
    let id = name + usize::from(line.name_length);
    let end = id + usize::from(line.id_length);
    (text.get(name..id).unwrap_or_default(), text.get(id..end).unwrap_or_default())
}

/// The entries of a folder that a client can ask for, with their names.
pub(super) fn visible(
    folder: &Path,
) -> io::Result<impl Iterator<Item = io::Result<(String, DirEntry)>>> {
    Ok(op(|| fs::read_dir(folder))?.filter_map(|entry| match entry {
        Ok(entry) => {
            let name = entry.file_name().into_string().ok()?;
            broken_rule(&name).is_none().then_some(Ok((name, entry)))
        }
        Err(error) => Some(Err(error)),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_byte_by_byte() {
        let mut names = vec![
            "b",
            "a",
            "é",
            "a_1",
            "file-0000000001.txt",
            "file-0000000001",
            "file-0000000000.txt",
            "aa",
            "Z",
            "\u{10ffff}",
            "file-00000000010",
            "file-000000000",
        ];
        let many: Vec<_> = (0..3000).map(|n| format!("n{}", n * 7919 % 3000)).collect();
        names.extend(many.iter().map(String::as_str));
        let mut listing = Listing::default();
        for name in &names {
            listing.push(Entry { name, size: Some(2), id: None });
        }
        let in_order = |listing: &Listing| -> Vec<String> {
            listing.entries().map(|entry| entry.name.to_owned()).collect()
        };
        assert_eq!(in_order(&listing), names);
        listing.sort();
        names.sort_unstable();
        assert_eq!(in_order(&listing), names);
        assert_eq!((listing.entries().len(), listing.total), (names.len(), 2 * names.len() as u64));
    }

    #[test]
    fn an_entry_comes_back_as_it_was() {
        let mut listing = Listing::default();
        let entries = [
            Entry { name: "a", size: Some(u64::MAX - 1), id: Some("x-1") },
            Entry { name: "docs", size: None, id: None },
            Entry { name: "b", size: Some(1), id: None },
        ];
        entries.into_iter().for_each(|entry| listing.push(entry));
        assert!(listing.entries().eq(entries));
        assert_eq!(listing.total, u64::MAX);
    }

    #[test]
    fn a_long_list_takes_a_place_and_a_short_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let turns = super::super::turns::Turns::default();
        let read = || Listing::read(folder.path(), || turns.take_place(None));
        let write = |n: usize| fs::write(folder.path().join(format!("{n:0>112}")), "").unwrap();
        (0..512).for_each(write);
        let (listing, place) = read().unwrap();
        assert!(listing.entries().len() == 512 && place.is_none());
        write(512);
        let held: Vec<_> = (0..32).map(|_| read().unwrap().1.unwrap()).collect();
        assert!(read().err().unwrap().is(crate::error::Code::Busy));
        drop(held);
        assert_eq!(read().unwrap().0.entries().len(), 513);
    }
}
