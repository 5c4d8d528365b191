//! The free numbers of a name, so that the ten-thousandth `a.txt` is stored nearly as fast as the first.
//!
//! This is a hint: whether a number is free is decided when the name is taken. A hint comes from one pass over the folder.
//! It is valid as long as this server alone changes the folder, which the folder's time of change tells. (A change by
//! another process in the moment in which this server changes the folder is missed: a number that it freed is then
//! found late.)

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::io;
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
    names: VecDeque<(FileName, Range<u64>)>,
    folders: HashMap<String, Folder>,
}

/// A folder in which names have hints.
#[derive(Default)]
struct Folder {
    /// Its time of change when the hints were last known to be true.
    changed: Option<SystemTime>,
    /// How many changes by this server are under way.
    changing: usize,
}

impl Numbers {
    pub(super) fn new(root: PathBuf) -> Numbers {
        Numbers { root, hints: Mutex::default() }
    }

    /// Takes the first free name: tries the given one, then those with a number. `try_name` gives the file a name and
    /// returns true, or returns false if another file has it. `change_folder` keeps the hints valid.
    pub(super) fn take_first_free(
        &self,
        given: &FileName,
        try_name: impl Fn(&FileName) -> io::Result<bool>,
    ) -> io::Result<FileName> {
        self.change_folder(given.folder().unwrap_or_default(), || {
            let (mut name, mut n) = (given.clone(), 0);
            while !try_name(&name)? {
                n = self.next(given, n);
                name = given.numbered(n);
            }
            Ok(name)
        })
    }

    /// Removes a file. A hint that begins after its number is dropped.
    pub(super) fn remove<E>(
        &self,
        file: &FileName,
        remove: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        self.change_folder(file.folder().unwrap_or_default(), || {
            remove()?;
            lock(&self.hints).names.retain(|(name, free)| {
                let number = name.number_of(file.last()).filter(|_| name.folder() == file.folder());
                number.is_none_or(|n| n <= FIRST_TRIES || n >= free.start)
            });
            Ok(())
        })
    }

    /// Makes a change in a folder, and notes the folder's new time of change: hints in it stay valid.
    fn change_folder<T>(&self, folder: &str, change: impl FnOnce() -> T) -> T {
        let is_noted = !lock(&self.hints).names.is_empty();
        if is_noted {
            let time = self.time_of(folder);
            lock(&self.hints).begin_change(folder, time);
        }
        let changed = change();
        if is_noted || !lock(&self.hints).names.is_empty() {
            let time = self.time_of(folder);
            let mut hints = lock(&self.hints);
            let known = hints.folders.entry(folder.to_owned()).or_default();
            known.changing -= usize::from(is_noted);
            known.changed = known.changed.max(time);
        }
        changed
    }

    fn time_of(&self, folder: &str) -> Option<SystemTime> {
        fs::metadata(self.root.join(folder)).and_then(|it| it.modified()).ok()
    }

    /// The number to try after this one. A number from a hint is given out once.
    fn next(&self, name: &FileName, after: u64) -> u64 {
        if after < FIRST_TRIES {
            return after + 1;
        }
        let hinted = |hints: &mut Hints| {
            hints.names.iter_mut().find(|(known, _)| known == name).and_then(|it| it.1.next())
        };
        if let Some(n) = hinted(&mut lock(&self.hints)) {
            return n;
        }
        let mut free = self.find_free(name, after);
        let hints = &mut *lock(&self.hints);
        // Another thread may have made a pass meanwhile.
        hinted(hints).unwrap_or_else(|| {
            let first = free.next().unwrap_or(after);
            hints.names.retain(|(known, _)| known != name);
            hints.names.push_back((name.clone(), free));
            if hints.names.len() > HINTS {
                hints.names.pop_front();
            }
            first
        })
    }

    /// Reads the folder, and returns the first free numbers. No lock is held meanwhile.
    fn find_free(&self, name: &FileName, after: u64) -> Range<u64> {
        let folder = self.root.join(name.folder().unwrap_or_default());
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let numbers = entries.filter_map(|entry| name.number_of(entry.file_name().to_str()?));
        let taken: HashSet<u64> = numbers.collect();
        let start = (after.saturating_add(1)..).find(|n| !taken.contains(n)).unwrap_or(after);
        let end = taken.iter().copied().filter(|n| *n > start).min();
        start..end.unwrap_or(u64::MAX)
    }
}

impl Hints {
    fn begin_change(&mut self, folder: &str, time: Option<SystemTime>) {
        let known = self.folders.entry(folder.to_owned()).or_default();
        if known.changing == 0 && known.changed != time {
            // Another process has changed it.
            self.names.retain(|(name, _)| name.folder().unwrap_or_default() != folder);
        }
        known.changing += 1;
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
        /// The number that an upload of this name gets, if the file system says that four are taken.
        fn first(&self, of: &str) -> u64 {
            let tried = std::cell::Cell::new(0);
            let given = name(of);
            let publish = |_: &FileName| {
                tried.set(tried.get() + 1);
                Ok(tried.get() > FIRST_TRIES + 1)
            };
            let published = self.take_first_free(&given, publish).unwrap();
            given.number_of(published.last()).unwrap()
        }

        fn hint(&self, of: &str) -> Option<Range<u64>> {
            let hints = lock(&self.hints);
            hints.names.iter().find(|(known, _)| *known == name(of)).map(|it| it.1.clone())
        }
    }

    #[test]
    fn the_first_numbers_are_tried_and_the_rest_is_looked_up_once() {
        let (folder, numbers) = nine();
        let a = name("a.txt");
        fs::write(folder.path().join("a_12.txt"), "").unwrap();
        assert_eq!([0, 1, 3].map(|n| numbers.next(&a, n)), [1, 2, 4]);
        assert_eq!([4, 4].map(|n| numbers.next(&a, n)), [10, 11]);
        assert_eq!(numbers.hint("a.txt"), Some(12..12));
        // Another pass, from where the first one ended.
        assert_eq!([11, 13].map(|n| numbers.next(&a, n)), [13, 14]);
        // A name that the folder shows otherwise does not come again and again.
        assert_eq!(numbers.next(&name("b.txt"), 4), 5);
        lock(&numbers.hints).names.clear();
        assert_eq!(numbers.next(&name("b.txt"), 5), 6);
    }

    #[test]
    fn a_hint_ends_where_a_lower_number_becomes_free() {
        let (folder, numbers) = nine();
        assert_eq!(numbers.first("a.txt"), 10);
        let remove = |file: &str| {
            let path = folder.path().join(file);
            numbers.remove(&name(file), || fs::remove_file(path)).is_ok()
        };
        assert!(remove("a_2.txt") && !remove("a_11.txt") && !remove("b_7.txt"));
        assert_eq!(numbers.hint("a.txt"), Some(11..u64::MAX));
        assert!(remove("a_7.txt") && numbers.hint("a.txt").is_none());
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
        numbers.change_folder("", || fs::write(folder.path().join("c"), "").unwrap());
        numbers.change_folder("", || ());
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
            numbers.next(&name(&n.to_string()), FIRST_TRIES);
        }
        assert_eq!(lock(&numbers.hints).names.len(), HINTS);
        assert!(numbers.hint("0").is_none() && numbers.hint("1").is_some());
    }
}
