//! What a folder contains, as far as a client may see it.

use std::fs::{self, DirEntry, Metadata};
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

/// The contents of a folder, in small blocks of memory. When a list is freed, an allocator keeps single
/// names and large blocks, once for every thread that ever sent a list.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The sizes of all its files together.
    pub total: u64,
    chunks: Vec<Chunk>,
    /// The lines in their order.
    order: Vec<Place>,
}

/// Where a line is. The beginning of its name is all that most comparisons need; a shorter name ends in
/// zeros, which no name has in it.
#[derive(Clone, Copy, Debug)]
struct Place {
    head: u128,
    chunk: u32,
    line: u32,
}

#[derive(Clone, Debug)]
struct Chunk {
    /// Each name, and the identity after it.
    text: String,
    lines: Vec<Line>,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    /// Where in the text the name begins, where it ends, and where the identity ends.
    start: u32,
    name_end: u32,
    id_end: u32,
    size: Option<u64>,
    stamp: Stamp,
}

/// How much text a chunk has at most, unless a single name is longer.
const CHUNK: usize = 64 << 10;

/// How many lines a chunk has at most.
const LINES: usize = 512;

/// What a line needs in memory beside its name, with the room into which the order grows.
const LINE: usize = size_of::<Line>() + 2 * size_of::<Place>();

/// How many files are identified at a time.
const BATCH: usize = 500;

impl Listing {
    /// Reads a folder. Where the allocation is full, drops what it has and only counts the rest.
    pub(super) fn read(folder: &Path, allocation: &mut Allocation) -> Result<Listing> {
        let mut listing = Listing::default();
        each_entry(folder, &mut |name, found| {
            if allocation.take(name.len() + LINE) {
                listing.push_found(name, found);
            } else {
                listing = Listing::default();
            }
            Ok(())
        })?;
        listing.sort();
        Ok(listing)
    }

    fn push_found(&mut self, name: &str, found: &Metadata) {
        let size = found.is_file().then_some(found.len());
        self.push_line(Entry { name, size, id: None }, Stamp::of(found));
    }

    /// Adds an entry at the end, and its size to the total.
    pub fn push(&mut self, entry: Entry<'_>) {
        self.push_line(entry, Stamp::default());
    }

    fn push_line(&mut self, Entry { name, size, id }: Entry<'_>, stamp: Stamp) {
        // A server can send sizes that add up to more.
        self.total = self.total.saturating_add(size.unwrap_or(0));
        let id = id.unwrap_or_default();
        let fits = |chunk: &Chunk| {
            chunk.text.len() + name.len() + id.len() <= CHUNK && chunk.lines.len() < LINES
        };
        if !self.chunks.last().is_some_and(fits) {
            // Most lists are short: the first chunk grows with them.
            let (text, lines) = if self.chunks.is_empty() { (0, 0) } else { (CHUNK, LINES) };
            let (text, lines) = (String::with_capacity(text), Vec::with_capacity(lines));
            self.chunks.push(Chunk { text, lines });
        }
        let number = small(self.chunks.len() - 1);
        let Some(chunk) = self.chunks.last_mut() else { return };
        let [start, name_end, id_end] =
            [0, name.len(), name.len() + id.len()].map(|end| small(chunk.text.len() + end));
        chunk.text.push_str(name);
        chunk.text.push_str(id);
        let line = small(chunk.lines.len());
        self.order.push(Place { head: head(name), chunk: number, line });
        chunk.lines.push(Line { start, name_end, id_end, size, stamp });
    }

    /// How many entries there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.order.len()
    }

    /// The entries, in their order.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.order.iter().map(|at| {
            let (name, id, line) = line(&self.chunks, at);
            Entry { name, size: line.size, id: Some(id).filter(|id| !id.is_empty()) }
        })
    }

    /// The files with their stamps, some hundred at a time.
    pub(super) fn batches(&self) -> impl Iterator<Item = Vec<(&str, Stamp)>> {
        self.order.chunks(BATCH).map(|order| {
            let lines = order.iter().map(|at| line(&self.chunks, at));
            let files = lines.filter(|(.., line)| line.size.is_some());
            files.map(|(name, _, line)| (name, line.stamp)).collect()
        })
    }

    /// Sorts the entries by name, byte by byte.
    pub fn sort(&mut self) {
        let Listing { chunks, order, .. } = self;
        let name = |at: &Place| line(chunks, at).0;
        order.sort_unstable_by(|a, b| a.head.cmp(&b.head).then_with(|| name(a).cmp(name(b))));
    }
}

/// A name, its identity, and the rest of its line.
#[allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "only positions that were written down when the line was added"
)]
fn line<'c>(chunks: &'c [Chunk], at: &Place) -> (&'c str, &'c str, &'c Line) {
    let Chunk { text, lines } = &chunks[at.chunk as usize];
    let line = &lines[at.line as usize];
    let (start, name_end) = (line.start as usize, line.name_end as usize);
    (&text[start..name_end], &text[name_end..line.id_end as usize], line)
}

/// The first bytes of a name, as a number that sorts as they do.
fn head(name: &str) -> u128 {
    let mut head = [0; 16];
    head.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    u128::from_be_bytes(head)
}

/// Names are no longer than a line from a server, and a list is bounded by its memory.
fn small(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Calls `tell` with the files and folders in a folder that a client can ask for.
fn each_entry(folder: &Path, tell: &mut dyn FnMut(&str, &Metadata) -> Result<()>) -> Result<()> {
    let failed = |error| Error::io(format!("list {}", folder.display()), &error);
    for entry in visible(folder).map_err(failed)? {
        let (name, entry) = entry.map_err(failed)?;
        // A file that has gone since the folder was read is no error. Links are not followed.
        match entry.metadata() {
            Ok(found) if found.is_file() || found.is_dir() => tell(&name, &found)?,
            _ => {}
        }
    }
    Ok(())
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

    #[test]
    fn a_chunk_is_full_before_the_next_one_begins() {
        let chunks = |name: &str, id: &str, count: usize| {
            let mut listing = Listing::default();
            (0..count).for_each(|_| listing.push(Entry { name, size: None, id: Some(id) }));
            assert_eq!(listing.count(), count);
            let text: usize = listing.chunks.iter().map(|chunk| chunk.text.len()).sum();
            assert_eq!(text, count * (name.len() + id.len()));
            listing.chunks.len()
        };
        assert_eq!((chunks("a", "", LINES), chunks("a", "", LINES + 1)), (1, 2));
        // As much text as fits, names and identities together.
        let (name, id) = ("n".repeat(1000), "i".repeat(24));
        assert_eq!(
            (chunks(&name, &id, CHUNK / 1024), chunks(&name, &id, CHUNK / 1024 + 1)),
            (1, 2)
        );
        assert_eq!(chunks(&"n".repeat(CHUNK + 1), "", 3), 3);
    }
}
