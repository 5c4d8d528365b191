//! What a folder contains, and how much memory all lists together may take.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::catalog::Stamp;
use crate::error::{Code, Error, Result};
use crate::limits;

/// A file or a folder in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'l> {
    /// The last part of its name.
    pub name: &'l str,
    /// The size of a file; `None` is a folder.
    pub size: Option<u64>,
    /// Its identity, where that is known. An empty one is none.
    pub id: Option<&'l str>,
}

/// A folder's contents, in chunks of memory. A string for each name, and one large block for all lines, are
/// what an allocator keeps when they are freed, once for every thread that ever sent a list.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The sizes of the files in it together.
    pub total: u64,
    chunks: Vec<Chunk>,
    /// The lines, sorted by name; empty as long as they are in the order in which they came.
    order: Vec<Place>,
}

/// Where a line is. The beginning of its name is what most comparisons need.
#[derive(Clone, Copy, Debug)]
struct Place {
    head: [u64; 2],
    chunk: u32,
    line: u32,
}

#[derive(Clone, Debug)]
struct Chunk {
    /// The names, and each one's identity after it.
    text: String,
    lines: Vec<Line>,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    /// Where in the text the name begins, and where it and the identity end.
    start: u32,
    name_end: u32,
    id_end: u32,
    size: Option<u64>,
    changed: Duration,
}

/// How much text a chunk has at most, beside a name that is longer than that.
const CHUNK: usize = 64 << 10;

/// Room for the lines of a chunk.
const LINES: usize = 512;

impl Listing {
    /// Adds an entry at the end, and its size to the total.
    pub fn push(&mut self, entry: Entry<'_>) {
        self.push_line(entry, Duration::ZERO);
    }

    /// Adds a file, and when it was changed.
    pub(super) fn push_file(&mut self, name: &str, stamp: Stamp) {
        self.push_line(Entry { name, size: Some(stamp.size()), id: None }, stamp.changed());
    }

    fn push_line(&mut self, Entry { name, size, id }: Entry<'_>, changed: Duration) {
        let id = id.unwrap_or_default();
        let fits = |chunk: &Chunk| {
            let text = chunk.text.len().saturating_add(name.len()).saturating_add(id.len());
            text <= CHUNK && chunk.lines.len() < LINES
        };
        if !self.chunks.last().is_some_and(fits) {
            // Most lists are short: the first chunk grows with them.
            let (text, lines) = if self.chunks.is_empty() { (0, 0) } else { (CHUNK, LINES) };
            let (text, lines) = (String::with_capacity(text), Vec::with_capacity(lines));
            self.chunks.push(Chunk { text, lines });
        }
        let Some(chunk) = self.chunks.last_mut() else { return };
        // Neither a system's names nor a line from a server are longer than that.
        let at = |text: &String| u32::try_from(text.len()).unwrap_or(u32::MAX);
        let start = at(&chunk.text);
        chunk.text.push_str(name);
        let name_end = at(&chunk.text);
        chunk.text.push_str(id);
        let id_end = at(&chunk.text);
        chunk.lines.push(Line { start, name_end, id_end, size, changed });
        self.total = self.total.saturating_add(size.unwrap_or(0));
    }

    /// How many entries there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.lines.len()).sum()
    }

    /// The entries, in their order.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.lines().map(|(chunk, line)| chunk.entry(line))
    }

    /// The files, and how each is told from others that had its name.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, Stamp)> {
        self.lines().filter_map(|(chunk, line)| {
            let stamp = Stamp::new(line.size?, line.changed);
            Some((chunk.entry(line).name, stamp))
        })
    }

    fn lines(&self) -> impl Iterator<Item = (&Chunk, &Line)> {
        let as_they_came = if self.order.is_empty() { self.chunks.as_slice() } else { &[] };
        let as_they_came =
            as_they_came.iter().flat_map(|chunk| chunk.lines.iter().map(move |line| (chunk, line)));
        let sorted = self.order.iter().filter_map(|at| line(&self.chunks, at));
        as_they_came.chain(sorted)
    }

    /// Sorts the entries by name, byte by byte.
    pub fn sort(&mut self) {
        let Listing { chunks, order, .. } = self;
        order.clear();
        order.reserve_exact(chunks.iter().map(|chunk| chunk.lines.len()).sum());
        for (number, chunk) in (0..).zip(chunks.iter()) {
            order.extend((0..).zip(&chunk.lines).map(|(n, line)| {
                let head = head(chunk.name(line));
                Place { head, chunk: number, line: n }
            }));
        }
        let name = |at: &Place| line(chunks, at).map(|(chunk, line)| chunk.name(line));
        order.sort_unstable_by(|a, b| a.head.cmp(&b.head).then_with(|| name(a).cmp(&name(b))));
    }
}

/// The first sixteen bytes of a name, as numbers that sort as they do. A shorter name ends in zeros, which no
/// name has in it.
fn head(name: &[u8]) -> [u64; 2] {
    let mut bytes = name.iter().copied().chain(std::iter::repeat(0));
    [0; 2].map(|_: u64| {
        let mut head = [0; 8];
        head.iter_mut().zip(&mut bytes).for_each(|(to, from)| *to = from);
        u64::from_be_bytes(head)
    })
}

impl Chunk {
    fn name(&self, line: &Line) -> &[u8] {
        let name = line.start as usize..line.name_end as usize;
        self.text.as_bytes().get(name).unwrap_or_default()
    }

    fn entry(&self, line: &Line) -> Entry<'_> {
        let text =
            |from: u32, to: u32| self.text.get(from as usize..to as usize).unwrap_or_default();
        let id = Some(text(line.name_end, line.id_end)).filter(|id| !id.is_empty());
        Entry { name: text(line.start, line.name_end), size: line.size, id }
    }
}

fn line<'c>(chunks: &'c [Chunk], at: &Place) -> Option<(&'c Chunk, &'c Line)> {
    let chunk = chunks.get(at.chunk as usize)?;
    Some((chunk, chunk.lines.get(at.line as usize)?))
}

/// What all lists together may hold in memory. A peer that asks for a long list and does not read it must
/// not be able to fill the memory, not even with friends.
#[derive(Default)]
pub(super) struct Budget {
    state: Mutex<State>,
    freed: Condvar,
    /// How many lists wait for room.
    waiting: Arc<AtomicUsize>,
}

#[derive(Default)]
struct State {
    held: usize,
    /// The tickets of the lists that wait. The lowest has waited longest, and is served first.
    queue: BTreeSet<u64>,
    next_ticket: u64,
}

/// A share of the budget, given back when it is dropped.
pub(super) struct Share {
    budget: Arc<Budget>,
    taken: usize,
    /// How much of it the list needs so far.
    used: usize,
    /// The list needs more than there is.
    is_full: bool,
    /// Its place among those that wait, if it had to wait.
    ticket: Option<u64>,
}

/// How much a share takes at a time, so that a list does not ask for every name.
const STEP: usize = 64 << 10;

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
    /// Builds a list, which takes its share as it grows. Where there is no room, gives back what it has,
    /// waits for more, and builds the list again: two lists never wait for each other.
    pub(super) fn build<L>(
        self: &Arc<Budget>,
        list: impl Fn(&mut Share) -> Result<L>,
    ) -> Result<Budgeted<L>> {
        let until = Instant::now() + limits::LIST_WAIT;
        let mut share = self.share(0, None);
        loop {
            let list = list(&mut share)?;
            if !share.is_full {
                share.give_back_unused();
                return Ok(Budgeted { list, share });
            }
            // It may need more than what it had asked for by then.
            let needed = share.used.saturating_mul(2).min(limits::LISTS_HELD);
            let ticket = share.ticket;
            drop((list, share));
            share = self.wait_for(needed, ticket, until).ok_or_else(|| {
                let sentence = "too many long lists are being sent: try again in a moment";
                Error::new(Code::Busy, sentence)
            })?;
        }
    }

    fn share(self: &Arc<Budget>, taken: usize, ticket: Option<u64>) -> Share {
        Share { budget: Arc::clone(self), taken, used: 0, is_full: false, ticket }
    }

    /// A share of this size, as soon as there is room for it and nobody has waited longer.
    fn wait_for(
        self: &Arc<Budget>,
        needed: usize,
        ticket: Option<u64>,
        until: Instant,
    ) -> Option<Share> {
        let mut state = self.state();
        let ticket = ticket.unwrap_or(state.next_ticket);
        state.next_ticket = state.next_ticket.max(ticket.saturating_add(1));
        state.queue.insert(ticket);
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let left = until.saturating_duration_since(Instant::now());
        let is_due =
            |state: &State| state.queue.first() == Some(&ticket) && has_room(state.held, 0, needed);
        let waited = self.freed.wait_timeout_while(state, left, |state| !is_due(state));
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let due = is_due(&state);
        state.queue.remove(&ticket);
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        if due {
            state.held = state.held.saturating_add(needed);
        }
        drop(state);
        // The next one may be due as well.
        self.freed.notify_all();
        due.then(|| self.share(needed, Some(ticket)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Takes more, and says whether there was room for it. If not, the list is of no use: it ends there, and
    /// is built again when there is.
    #[must_use]
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        self.used = self.used.saturating_add(bytes);
        if self.used > self.taken && !self.is_full {
            let more = self.used.saturating_sub(self.taken).max(STEP);
            let mut state = self.budget.state();
            // A list that is longer than a step does not overtake those that wait.
            let overtakes = self.taken > 0 && self.ticket.is_none() && !state.queue.is_empty();
            self.is_full = overtakes || !has_room(state.held, self.taken, more);
            if !self.is_full {
                state.held = state.held.saturating_add(more);
                self.taken = self.taken.saturating_add(more);
            }
        }
        !self.is_full
    }

    /// Takes what a line with this name needs.
    #[must_use]
    pub(super) fn take_line(&mut self, name: &str) -> bool {
        self.take(name.len().saturating_add(size_of::<Line>() + size_of::<Place>()))
    }

    fn give_back_unused(&mut self) {
        let unused = self.taken.saturating_sub(self.used);
        if unused > STEP {
            self.give_back(unused);
        }
    }

    fn give_back(&mut self, bytes: usize) {
        self.taken = self.taken.saturating_sub(bytes);
        let mut state = self.budget.state();
        state.held = state.held.saturating_sub(bytes);
        drop(state);
        self.budget.freed.notify_all();
    }
}

/// Whether a list that holds `own` of all that is held may take more. A list that is alone may be larger
/// than the budget.
fn has_room(held: usize, own: usize, more: usize) -> bool {
    held == own || held.saturating_add(more) <= limits::LISTS_HELD
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back(self.taken);
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
    fn one_list_may_be_long_and_many_together_may_not() {
        let budget: Arc<Budget> = Arc::default();
        let mut first = budget.share(0, None);
        assert!(first.take(limits::LISTS_HELD));
        assert!(first.take(limits::LISTS_HELD));
        let mut second = budget.share(0, None);
        assert!(!second.take(1));
        drop((first, second));
        assert!(budget.share(0, None).take(1));
        assert_eq!(budget.state().held, 0);
    }

    /// A list that had taken half of the budget took the other half beside a list that had a little.
    #[test]
    fn a_list_that_grows_beside_another_keeps_within_the_budget() {
        let budget: Arc<Budget> = Arc::default();
        let (mut growing, mut other) = (budget.share(0, None), budget.share(0, None));
        assert!(growing.take(limits::LISTS_HELD / 2));
        assert!(other.take(limits::LISTS_HELD / 4));
        assert!(!growing.take(limits::LISTS_HELD / 2));
        assert!(other.take(limits::LISTS_HELD / 4));
    }

    #[test]
    fn a_list_waits_for_the_room_that_another_gives_back() {
        let budget: Arc<Budget> = Arc::default();
        let mut first = budget.share(0, None);
        assert!(first.take(limits::LISTS_HELD));
        std::thread::scope(|scope| {
            let second = scope.spawn(|| budget.build(|share| Ok(share.take(STEP))).map(drop));
            while budget.waiting.load(Ordering::Acquire) == 0 {
                std::thread::yield_now();
            }
            drop(first);
            assert!(second.join().unwrap().is_ok());
        });
    }

    #[test]
    fn the_list_that_has_waited_longest_is_served_first() {
        let budget: Arc<Budget> = Arc::default();
        let mut first = budget.share(0, None);
        assert!(first.take(limits::LISTS_HELD));
        std::thread::scope(|scope| {
            let (served, order) = std::sync::mpsc::channel();
            for n in 0..4 {
                let (budget, served) = (&budget, served.clone());
                scope.spawn(move || {
                    let list = budget.build(|share| Ok(share.take(limits::LISTS_HELD))).unwrap();
                    served.send(n).unwrap();
                    drop(list);
                });
                while budget.waiting.load(Ordering::Acquire) <= n {
                    std::thread::yield_now();
                }
            }
            // A newcomer with a long list does not overtake, a short one may.
            drop(first);
            assert_eq!(order.iter().take(4).collect::<Vec<_>>(), [0, 1, 2, 3]);
        });
        let _waiting = budget.state().queue.insert(9);
        let mut newcomer = budget.share(0, None);
        assert!(newcomer.take(STEP) && !newcomer.take(STEP));
    }
}
