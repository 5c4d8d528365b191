//! What a folder contains, as far as a client may see it.

use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;

use super::budget::Allocation;
use super::catalog::Stamp;
use super::name::FileName;
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

/// The contents of a folder.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The sizes of all its files together.
    pub total: u64,
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    name: Box<str>,
    id: Box<str>,
    size: Option<u64>,
    stamp: Stamp,
}

/// What a line needs in memory beside its name, with the room into which a vector grows and what an allocator
/// adds to a string.
const LINE: usize = 2 * size_of::<Line>() + 16;

/// How many files are identified at a time.
const BATCH: usize = 500;

impl Listing {
    /// Reads a folder. Where the allocation is full, drops what it has and only counts the rest.
    pub(super) fn read(folder: &Path, allocation: &mut Allocation) -> Result<Listing> {
        let failed = |error| Error::io(format!("list {}", folder.display()), &error);
        let mut listing = Listing::default();
        for entry in visible(folder).map_err(failed)? {
            let (name, entry) = entry.map_err(failed)?;
            // A file that has gone since the folder was read is no error. Links are not followed.
            let Ok(found) = entry.metadata() else { continue };
            if !found.is_file() && !found.is_dir() {
                continue;
            }
            if !allocation.take(name.len() + LINE) {
                listing.lines = Vec::new();
                continue;
            }
            let size = found.is_file().then_some(found.len());
            listing.push_line(Entry { name: &name, size, id: None }, Stamp::of(&found));
        }
        listing.sort();
        Ok(listing)
    }

    /// Adds an entry at the end, and its size to the total.
    pub fn push(&mut self, entry: Entry<'_>) {
        self.push_line(entry, Stamp::default());
    }

    fn push_line(&mut self, Entry { name, size, id }: Entry<'_>, stamp: Stamp) {
        // A server can send sizes that add up to more.
        self.total = self.total.saturating_add(size.unwrap_or(0));
        let (name, id) = (name.into(), id.unwrap_or_default().into());
        self.lines.push(Line { name, id, size, stamp });
    }

    /// How many entries there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lines.len()
    }

    /// The entries, in their order.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.lines.iter().map(|Line { name, id, size, .. }| {
            let id = Some(&**id).filter(|id| !id.is_empty());
            Entry { name, size: *size, id }
        })
    }

    /// The files with their stamps, some hundred at a time.
    pub(super) fn batches(&self) -> impl Iterator<Item = Vec<(&str, Stamp)>> {
        self.lines.chunks(BATCH).map(|lines| {
            let files = lines.iter().filter(|line| line.size.is_some());
            files.map(|line| (&*line.name, line.stamp)).collect()
        })
    }

    /// Sorts the entries by name, byte by byte.
    pub fn sort(&mut self) {
        self.lines.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    }
}

/// The entries of a folder that a client can ask for, with their names.
pub(super) fn visible(
    folder: &Path,
) -> io::Result<impl Iterator<Item = io::Result<(String, DirEntry)>>> {
    Ok(op(|| fs::read_dir(folder))?.filter_map(|entry| match entry {
        Ok(entry) => {
            let name = entry.file_name().into_string().ok()?;
            FileName::can_be(&name).then_some(Ok((name, entry)))
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
        assert_eq!((listing.count(), listing.total), (names.len(), 2 * names.len() as u64));
    }

    #[test]
    fn a_line_is_counted_with_the_room_into_which_a_list_grows() {
        assert!((2 * size_of::<Line>()..3 * size_of::<Line>()).contains(&LINE));
    }

    #[test]
    fn an_entry_comes_back_as_it_was() {
        let mut listing = Listing::default();
        let entries = [
            Entry { name: "a", size: Some(u64::MAX), id: Some("x-1") },
            Entry { name: "docs", size: None, id: None },
            Entry { name: "b", size: Some(1), id: None },
        ];
        entries.into_iter().for_each(|entry| listing.push(entry));
        assert!(listing.entries().eq(entries));
        assert_eq!(listing.total, u64::MAX);
    }
}
