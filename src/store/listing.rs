//! What stands in a folder: a list that takes two blocks of memory, however many names are in it.
//!
//! A string of its own for each name would cost more than the name, and sorting would follow a pointer
//! at every look. Here all names lie in one text, and each line has the first bytes of its name at hand.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

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

/// What all lists together may hold in memory. A peer that asks for a long list and does not read it must
/// not be able to fill the memory, not even with friends.
#[derive(Default)]
pub(super) struct Budget {
    held: Mutex<usize>,
    freed: Condvar,
    /// How many lists wait for room.
    waiting: Arc<AtomicUsize>,
}

/// A share of the budget, given back when it is dropped.
pub(super) struct Share {
    budget: Arc<Budget>,
    taken: usize,
    /// How much it would have taken in all when there was no room.
    needed: usize,
}

/// A list, and the share of the budget that it has for as long as it is held.
pub struct Budgeted<L> {
    list: L,
    share: Share,
}

impl<L> std::ops::Deref for Budgeted<L> {
    type Target = L;

    fn deref(&self) -> &L {
        &self.list
    }
}

impl<L> Budgeted<L> {
    /// How many lists wait for room. While there are any, a list whose peer does not take it gives way.
    #[must_use]
    pub fn waiting(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.share.budget.waiting)
    }
}

impl Budget {
    /// Builds a list, which takes its share as it grows. Where there is no room, waits for some and builds
    /// it again.
    pub(super) fn build<L>(
        self: &Arc<Budget>,
        list: impl Fn(&mut Share) -> Result<L>,
    ) -> Result<Budgeted<L>> {
        let until = Instant::now() + limits::LIST_WAIT;
        loop {
            let mut share = Share { budget: Arc::clone(self), taken: 0, needed: 0 };
            match list(&mut share) {
                // What was taken is given back while we wait, or two could wait for each other.
                Err(error) if error.code() == Code::Busy => {
                    let needed = share.needed;
                    drop(share);
                    if !self.wait_for(needed, until) {
                        return Err(error);
                    }
                }
                list => return list.map(|list| Budgeted { list, share }),
            }
        }
    }

    /// Waits until there is this much room; `false` says that there is none in time.
    fn wait_for(&self, needed: usize, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let has_none = |held: &mut usize| !has_room(*held, 0, needed);
        let waited = self.freed.wait_timeout_while(self.held(), left, has_none);
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        waited.is_ok_and(|(_, waited)| !waited.timed_out())
    }

    fn held(&self) -> MutexGuard<'_, usize> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Makes sure that there is room for a list as it is now.
    pub(super) fn hold(&mut self, listing: &Listing) -> Result<()> {
        match listing.memory().saturating_sub(self.taken) {
            0 => Ok(()),
            more => self.take(more),
        }
    }

    /// Takes more.
    pub(super) fn take(&mut self, bytes: usize) -> Result<()> {
        let mut held = self.budget.held();
        if !has_room(*held, self.taken, bytes) {
            self.needed = self.taken.saturating_add(bytes);
            let sentence = "too many long lists are being sent: try again in a moment";
            return Err(Error::new(Code::Busy, sentence));
        }
        *held = held.saturating_add(bytes);
        self.taken = self.taken.saturating_add(bytes);
        Ok(())
    }
}

/// Whether a list that holds `own` of all that is held may take more. A list that is alone may be larger
/// than the budget.
fn has_room(held: usize, own: usize, more: usize) -> bool {
    held == own || held.saturating_add(more) <= limits::LISTS_HELD
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.taken > 0 {
            let mut held = self.budget.held();
            *held = held.saturating_sub(self.taken);
            drop(held);
            self.budget.freed.notify_all();
        }
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

    fn share(budget: &Arc<Budget>) -> Share {
        Share { budget: Arc::clone(budget), taken: 0, needed: 0 }
    }

    #[test]
    fn one_list_may_be_long_and_many_together_may_not() {
        let budget = Arc::default();
        let mut first = share(&budget);
        first.take(limits::LISTS_HELD).unwrap();
        first.take(limits::LISTS_HELD).unwrap();
        let mut second = share(&budget);
        assert!(second.take(1).is_err());
        drop((first, second));
        assert!(share(&budget).take(1).is_ok());
        assert_eq!(*budget.held(), 0);
    }

    /// A list that had taken half of the budget took the other half beside a list that had a little.
    #[test]
    fn a_list_that_grows_beside_another_keeps_within_the_budget() {
        let budget = Arc::default();
        let (mut growing, mut other) = (share(&budget), share(&budget));
        growing.take(limits::LISTS_HELD / 2).unwrap();
        other.take(limits::LISTS_HELD / 4).unwrap();
        assert!(growing.take(limits::LISTS_HELD / 2).is_err());
        assert!(growing.take(limits::LISTS_HELD / 4).is_ok());
    }

    #[test]
    fn a_list_waits_for_the_room_that_another_gives_back() {
        let budget: Arc<Budget> = Arc::default();
        let mut first = share(&budget);
        first.take(limits::LISTS_HELD).unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| budget.build(|share| share.take(1)).map(drop));
            while budget.waiting.load(Ordering::Acquire) == 0 {
                std::thread::yield_now();
            }
            drop(first);
            assert!(second.join().unwrap().is_ok());
        });
    }
}
