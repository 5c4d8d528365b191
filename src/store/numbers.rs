//! The free numbers of a name, so that the ten-thousandth `a.txt` is stored as fast as the first.
//!
//! This is a hint: exclusive creation decides whether a number is free. A hint comes from one pass over the folder,
//! and then follows what this server stores and removes there. When the folder's time of change tells that another
//! process has changed it, the hints in it count no longer. (A change by another process in the moment in which
//! this server changes the folder is missed: a number that it freed is then found late.)

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::SystemTime;

use super::name::FileName;
use crate::error::lock;

/// Numbers up to this one are tried without a hint. Most names have no more.
const FIRST_TRIES: u64 = 4;

/// How many names have a hint. The oldest goes first.
const HINTS: usize = 10_000;

/// The hints of one store.
pub(super) struct Numbers {
    root: PathBuf,
    hints: Mutex<Hints>,
}

#[derive(Default)]
struct Hints {
    /// The free numbers of a name, up to the next one that is taken.
    by_name: HashMap<FileName, Range<u64>>,
    /// The names in the order of their passes.
    order: VecDeque<FileName>,
    folders: HashMap<String, Folder>,
}

/// A folder in which names have hints.
#[derive(Default)]
struct Folder {
    /// Its time of change when the hints were last known to be true.
    changed: Option<SystemTime>,
    /// How many changes are under way.
    changing: usize,
}

/// A change of a folder by this server.
pub(super) struct Change<'n> {
    numbers: &'n Numbers,
    folder: String,
}

impl Numbers {
    pub(super) fn new(root: PathBuf) -> Numbers {
        Numbers { root, hints: Mutex::default() }
    }

    /// Begins to store or remove this file, if that can concern a hint.
    pub(super) fn change(&self, file: &FileName) -> Option<Change<'_>> {
        let has_hints = !lock(&self.hints).by_name.is_empty();
        has_hints.then(|| self.begin(file))
    }

    fn begin(&self, file: &FileName) -> Change<'_> {
        let folder = file.folder().unwrap_or_default().to_owned();
        let time = self.change_time(&folder);
        let hints = &mut *lock(&self.hints);
        let known = hints.folders.entry(folder.clone()).or_default();
        if known.changing == 0 && known.changed != time {
            // Another process has changed it.
            let is_elsewhere = |name: &FileName| name.folder().unwrap_or_default() != folder;
            hints.by_name.retain(|name, _| is_elsewhere(name));
            hints.order.retain(is_elsewhere);
        }
        known.changing += 1;
        Change { numbers: self, folder }
    }

    fn change_time(&self, folder: &str) -> Option<SystemTime> {
        fs::metadata(self.root.join(folder)).and_then(|found| found.modified()).ok()
    }

    /// Reads the folder. No lock is held meanwhile.
    fn look(&self, name: &FileName, after: u64) -> Range<u64> {
        let folder = self.root.join(name.folder().unwrap_or_default());
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let numbers = entries.filter_map(|entry| name.number_of(entry.file_name().to_str()?));
        let taken: BTreeSet<u64> = numbers.filter(|n| *n > after).collect();
        let start = (after.saturating_add(1)..).find(|n| !taken.contains(n)).unwrap_or(after);
        start..taken.range(start..).next().copied().unwrap_or(u64::MAX)
    }

    /// The next number to try for `name`, when `after` and what was tried before it were taken. It is given once.
    /// `change` is that of this file, and begins now if it has not.
    pub(super) fn next<'n>(
        &'n self,
        name: &FileName,
        after: u64,
        change: &mut Option<Change<'n>>,
    ) -> u64 {
        if after < FIRST_TRIES {
            return after + 1;
        }
        change.get_or_insert_with(|| self.begin(name));
        let next = |hints: &mut Hints| hints.by_name.get_mut(name).and_then(Iterator::next);
        if let Some(hinted) = next(&mut lock(&self.hints)) {
            return hinted;
        }
        let mut free = self.look(name, after);
        let hints = &mut *lock(&self.hints);
        if let Some(hinted) = next(hints) {
            // Another thread has made a pass meanwhile.
            return hinted;
        }
        let first = free.next().unwrap_or(after);
        if hints.by_name.insert(name.clone(), free).is_none() {
            hints.order.push_back(name.clone());
        }
        if hints.order.len() > HINTS
            && let Some(oldest) = hints.order.pop_front()
        {
            hints.by_name.remove(&oldest);
        }
        first
    }
}

impl Change<'_> {
    /// Notes that the file was removed.
    pub(super) fn removed(&self, file: &FileName) {
        for (name, free) in &mut lock(&self.numbers.hints).by_name {
            if name.folder() == file.folder()
                && let Some(n) = name
                    .number_of(file.last())
                    .filter(|n| (FIRST_TRIES + 1..free.start).contains(n))
            {
                *free = n..if n + 1 == free.start { free.end } else { n + 1 };
            }
        }
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        let time = self.numbers.change_time(&self.folder);
        if let Some(folder) = lock(&self.numbers.hints).folders.get_mut(&self.folder) {
            folder.changing -= 1;
            folder.changed = folder.changed.max(time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> FileName {
        FileName::parse(name.as_bytes()).unwrap()
    }

    /// A folder with `a_1.txt` to `a_9.txt`, and its hints.
    fn nine() -> (tempfile::TempDir, Numbers) {
        let folder = tempfile::tempdir().unwrap();
        for n in 1..=9 {
            fs::write(folder.path().join(format!("a_{n}.txt")), "").unwrap();
        }
        let numbers = Numbers::new(folder.path().to_owned());
        (folder, numbers)
    }

    impl Numbers {
        /// The number that an upload of this name finds first, if the file system says that four are taken.
        fn first(&self, of: &str) -> u64 {
            self.next(&name(of), FIRST_TRIES, &mut self.change(&name(of)))
        }

        fn hint(&self, of: &str) -> Option<Range<u64>> {
            lock(&self.hints).by_name.get(&name(of)).cloned()
        }
    }

    #[test]
    fn the_first_numbers_are_tried_and_the_rest_is_looked_up_once() {
        let (folder, numbers) = nine();
        let a = name("a.txt");
        fs::write(folder.path().join("a_12.txt"), "").unwrap();
        let mut change = None;
        let mut next = |name: &FileName, n| numbers.next(name, n, &mut change);
        assert_eq!([0, 1, 3].map(|n| next(&a, n)), [1, 2, 4]);
        assert_eq!([4, 4].map(|n| next(&a, n)), [10, 11]);
        assert_eq!(numbers.hint("a.txt"), Some(12..12));
        // Another pass, from where the first one ended.
        assert_eq!([11, 13].map(|n| next(&a, n)), [13, 14]);
        // A name that the folder shows otherwise does not come again and again.
        assert_eq!(next(&name("b.txt"), 4), 5);
        lock(&numbers.hints).by_name.clear();
        assert_eq!(next(&name("b.txt"), 5), 6);
    }

    #[test]
    fn a_hint_follows_what_this_server_does() {
        let (folder, numbers) = nine();
        assert_eq!(numbers.first("a.txt"), 10);
        let remove = |file: &str| {
            let change = numbers.change(&name(file));
            fs::remove_file(folder.path().join(file)).unwrap();
            change.unwrap().removed(&name(file));
        };
        remove("a_9.txt");
        assert_eq!(numbers.hint("a.txt"), Some(9..10));
        remove("a_7.txt");
        remove("a_2.txt");
        assert_eq!(numbers.hint("a.txt"), Some(7..8));
        assert_eq!(numbers.first("a.txt"), 7);
        fs::write(folder.path().join("b"), "").unwrap();
        // The folder was changed by another process: the next one makes a pass.
        assert_eq!(numbers.first("a.txt"), 7);
    }

    #[test]
    fn a_change_by_another_process_ends_the_hints_of_its_folder() {
        let (folder, numbers) = nine();
        fs::create_dir(folder.path().join("docs")).unwrap();
        assert_eq!((numbers.first("a.txt"), numbers.first("docs/a.txt")), (10, 5));
        // What this server changes does not.
        let change = numbers.change(&name("c"));
        fs::write(folder.path().join("c"), "").unwrap();
        drop(change);
        drop(numbers.change(&name("c")));
        assert_eq!(numbers.hint("a.txt"), Some(11..u64::MAX));
        fs::remove_file(folder.path().join("a_6.txt")).unwrap();
        lock(&numbers.hints).folders.get_mut("").unwrap().changed = Some(SystemTime::UNIX_EPOCH);
        assert_eq!(numbers.first("a.txt"), 6);
        assert_eq!(numbers.hint("docs/a.txt"), Some(6..u64::MAX));
    }

    #[test]
    fn the_oldest_hint_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let numbers = Numbers::new(folder.path().to_owned());
        for n in 0..=HINTS {
            numbers.first(&n.to_string());
        }
        let hints = lock(&numbers.hints);
        assert_eq!((hints.by_name.len(), hints.order.len()), (HINTS, HINTS));
        assert!(!hints.by_name.contains_key(&name("0")) && hints.by_name.contains_key(&name("1")));
    }
}
