//! What stands in a folder: a list that takes two blocks of memory, however many names are in it.
//!
//! A string of its own for each name would cost more than the name, and sorting would follow a pointer
//! at every look. Here all names lie in one text, and each line has the first bytes of its name at hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Code, Error, Result};
use crate::limits;

/// Something that stands in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'l> {
    /// The last part of its name.
    pub name: &'l str,
    /// The size of a file; `None` is a folder.
    pub size: Option<u64>,
    /// Its identity, where that is known. An empty one is none.
    pub id: Option<&'l str>,
}

/// A folder's contents.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The sizes of the files in it together.
    pub total: u64,
    text: String,
    lines: Vec<Line>,
}

/// An entry, whose name and identity lie in the text, the one behind the other.
#[derive(Clone, Copy, Debug)]
struct Line {
    /// How the name begins: in most comparisons it is all that is looked at.
    head: u128,
    /// Where the name begins, how long it is, and how long the identity is behind it.
    start: usize,
    name: u32,
    id: u32,
    size: Option<u64>,
}

impl Listing {
    /// Adds an entry at the end, and its size to the total.
    pub fn push(&mut self, entry: Entry<'_>) {
        let Entry { name, size, id } = entry;
        let id = id.unwrap_or_default();
        let start = self.text.len();
        self.text.push_str(name);
        self.text.push_str(id);
        // Neither a system's names nor a line from a server are longer than that.
        let length = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.lines.push(Line { head: head(name), start, name: length(name), id: length(id), size });
        self.total = self.total.saturating_add(size.unwrap_or(0));
    }

    /// How many entries there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lines.len()
    }

    /// The entries, in their order.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.lines.iter().map(|line| line.entry(&self.text))
    }

    /// Sorts the entries by name, byte by byte.
    pub fn sort(&mut self) {
        let name = |line: &Line| line.entry(&self.text).name;
        self.lines.sort_unstable_by(|a, b| a.head.cmp(&b.head).then_with(|| name(a).cmp(name(b))));
    }

    /// The memory that it holds.
    fn memory(&self) -> usize {
        self.text.capacity().saturating_add(self.lines.capacity().saturating_mul(size_of::<Line>()))
    }
}

impl Line {
    fn entry<'l>(&self, text: &'l str) -> Entry<'l> {
        let rest = text.get(self.start..).unwrap_or_default();
        let (name, rest) = rest.split_at_checked(self.name as usize).unwrap_or_default();
        let id = rest.get(..self.id as usize).filter(|id| !id.is_empty());
        Entry { name, size: self.size, id }
    }
}

/// The first sixteen bytes of a name, as a number that sorts as they do. A shorter name ends in zeros,
/// which no name has in it.
fn head(name: &str) -> u128 {
    let mut head = [0; 16];
    head.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    u128::from_be_bytes(head)
}

/// A list, and the room that it takes for as long as it is held.
pub struct Held<L> {
    pub(super) list: L,
    pub(super) _room: Room,
}

impl<L> std::ops::Deref for Held<L> {
    type Target = L;

    fn deref(&self) -> &L {
        &self.list
    }
}

/// A share of what all lists together may hold, given back when it is dropped. A peer that asks for a
/// long list and does not read it must not be able to fill the memory, not even with friends.
pub(super) struct Room {
    all: Arc<AtomicUsize>,
    taken: usize,
}

impl Room {
    pub(super) fn new(all: &Arc<AtomicUsize>) -> Room {
        Room { all: Arc::clone(all), taken: 0 }
    }

    /// Makes sure that there is room for a list as it is now.
    pub(super) fn hold(&mut self, listing: &Listing) -> Result<()> {
        match listing.memory().saturating_sub(self.taken) {
            0 => Ok(()),
            more => self.take(more),
        }
    }

    pub(super) fn take(&mut self, bytes: usize) -> Result<()> {
        let before = self.all.fetch_add(bytes, Ordering::AcqRel);
        self.taken = self.taken.saturating_add(bytes);
        let alone = before < self.taken;
        if before.saturating_add(bytes) > limits::LISTS_HELD && !alone {
            let sentence = "too many long lists are being sent: try again in a moment";
            return Err(Error::new(Code::Busy, sentence));
        }
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.all.fetch_sub(self.taken, Ordering::AcqRel);
    }
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
        let mut listing = Listing::default();
        for name in &names {
            listing.push(Entry { name, size: Some(2), id: None });
        }
        listing.sort();
        names.sort_unstable();
        assert_eq!(listing.entries().map(|entry| entry.name).collect::<Vec<_>>(), names);
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
    fn one_list_may_be_long_and_many_together_may_not() {
        let all = Arc::default();
        let mut first = Room::new(&all);
        first.take(limits::LISTS_HELD * 2).unwrap();
        let mut second = Room::new(&all);
        assert!(second.take(1).is_err());
        drop((first, second));
        assert!(Room::new(&all).take(1).is_ok());
        assert_eq!(all.load(Ordering::Acquire), 0);
    }
}
