//! Which counters are taken: so that the ten-thousandth `a.txt` finds its number as fast as the
//! first.
//!
//! This is a memory, and a hint: exclusive creation decides whether a number is free. The memory of
//! a folder is filled in one pass over it, told of everything that this server does there, and
//! doubted when the folder's time of change says that somebody else has been at work.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::name::{FileName, split_extension};
use crate::limits;

/// A pass over a folder is repeated only when it would take less than this share of the time, so
/// that two servers at work in one large folder do not keep each other reading it.
const SHARE: u32 = 20;

/// Folders that are remembered; beyond it all are forgotten, and learnt anew.
const FOLDERS: usize = 64;

/// The memory of one store.
#[derive(Default)]
pub(super) struct Numbers {
    folders: Mutex<HashMap<PathBuf, Folder>>,
}

struct Folder {
    /// The folder's time of change when the memory was last true.
    changed: Option<SystemTime>,
    scanned: Instant,
    cost: Duration,
    /// By stem and extension, with a slash between, which no name holds.
    families: HashMap<String, Family>,
}

/// The taken counters of one name.
#[derive(Debug, PartialEq, Eq)]
struct Family {
    /// All numbers from 1 up to here, this one not included, are taken but for the holes.
    low: u64,
    holes: BTreeSet<u64>,
    /// Taken ones beyond.
    above: BTreeSet<u64>,
}

impl Numbers {
    /// The first number that is free for `name`, as far as is known; `from` or a later one, because
    /// those before were just tried.
    pub(super) fn first_free(&self, folder: &Path, name: &FileName, from: u64) -> u64 {
        let changed = change_time(folder);
        let known = self.folders().get(folder).is_some_and(|known| {
            known.changed == changed || known.scanned.elapsed() < known.cost * SHARE
        });
        if !known {
            self.learn(folder, changed);
        }
        let (stem, extension) = name.stem_and_extension();
        let folders = self.folders();
        let family =
            folders.get(folder).and_then(|known| known.families.get(&key(stem, extension)));
        family.map_or(from, |family| family.first_free(from))
    }

    /// The number `n` was found to be taken for `name`.
    pub(super) fn taken(&self, folder: &Path, name: &FileName, n: u64) {
        let (stem, extension) = name.stem_and_extension();
        if let Some(known) = self.folders().get_mut(folder) {
            known.families.entry(key(stem, extension)).or_default().take(n);
        }
    }

    /// A file called `last` has appeared in the folder, by our own doing.
    pub(super) fn added(&self, folder: &Path, last: &str) {
        self.told(folder, |known| {
            if let Some((key, n)) = counter(last) {
                known.families.entry(key).or_default().take(n);
            }
        });
    }

    /// A file called `last` has gone, by our own doing.
    pub(super) fn removed(&self, folder: &Path, last: &str) {
        self.told(folder, |known| {
            if let Some((key, n)) = counter(last)
                && let Some(family) = known.families.get_mut(&key)
            {
                family.free(n);
            }
            // The counter of a very long name has eaten of its stem, so whose it is cannot be told.
            if last.len() >= limits::NAME_PART.saturating_sub(4) {
                known.families.retain(|key, _| key.len() < limits::NAME_PART.saturating_sub(24));
            }
        });
    }

    fn told(&self, folder: &Path, what: impl FnOnce(&mut Folder)) {
        if !self.folders().contains_key(folder) {
            return;
        }
        let changed = change_time(folder);
        if let Some(known) = self.folders().get_mut(folder) {
            what(known);
            known.changed = known.changed.max(changed);
        }
    }

    /// Reads the folder. The lock is not held meanwhile.
    fn learn(&self, folder: &Path, changed: Option<SystemTime>) {
        let scanned = Instant::now();
        let mut families: HashMap<String, Family> = HashMap::new();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if let Some((key, n)) = entry.file_name().to_str().and_then(counter) {
                families.entry(key).or_default().take(n);
            }
        }
        let known = Folder { changed, scanned, cost: scanned.elapsed(), families };
        let mut folders = self.folders();
        if folders.len() >= FOLDERS {
            folders.clear();
        }
        folders.insert(folder.to_owned(), known);
    }

    fn folders(&self) -> MutexGuard<'_, HashMap<PathBuf, Folder>> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Family {
    fn default() -> Family {
        Family { low: 1, holes: BTreeSet::new(), above: BTreeSet::new() }
    }
}

impl Family {
    fn first_free(&self, from: u64) -> u64 {
        let hole = self.holes.range(from..).next().copied();
        hole.unwrap_or_else(|| {
            let beyond = self.low.max(from)..u64::MAX;
            beyond.into_iter().find(|n| !self.above.contains(n)).unwrap_or(from)
        })
    }

    fn take(&mut self, n: u64) {
        if n < self.low {
            self.holes.remove(&n);
            return;
        }
        self.above.insert(n);
        while self.above.remove(&self.low) {
            self.low = self.low.saturating_add(1);
        }
    }

    fn free(&mut self, n: u64) {
        if !self.above.remove(&n) && n < self.low {
            self.holes.insert(n);
        }
    }
}

fn key(stem: &str, extension: &str) -> String {
    format!("{stem}/{extension}")
}

/// Takes `a_12.txt` apart: whose number it is, and which.
fn counter(last: &str) -> Option<(String, u64)> {
    let (stem, extension) = split_extension(last);
    let (stem, digits) = stem.rsplit_once('_')?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    let n = digits.parse().ok().filter(|n| plain && *n < u64::MAX)?;
    Some((key(stem, extension), n))
}

fn change_time(folder: &Path) -> Option<SystemTime> {
    fs::metadata(folder).and_then(|metadata| metadata.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_knows_its_first_free_number() {
        let mut family = Family::default();
        for (taken, free) in [(2, 1), (1, 3), (5, 3), (3, 4), (4, 6)] {
            family.take(taken);
            assert_eq!(family.first_free(1), free);
        }
        for (freed, free) in [(3, 3), (1, 1), (9, 1)] {
            family.free(freed);
            assert_eq!(family.first_free(1), free);
        }
        for (taken, free) in [(1, 3), (3, 6)] {
            family.take(taken);
            assert_eq!(family.first_free(1), free);
        }
        // A number that somebody made up costs nothing.
        family.take(u64::MAX - 1);
        assert_eq!((family.first_free(1), family.above.len()), (6, 1));
    }

    #[test]
    fn counters_are_taken_apart() {
        let table = [
            ("a_12.txt", Some(("a/.txt", 12))),
            ("a_1", Some(("a/", 1))),
            ("a_b_7.tar.gz", None),
            ("a_b.tar_7.gz", Some(("a_b.tar/.gz", 7))),
            ("_3.txt", Some(("/.txt", 3))),
            ("a_012.txt", None),
            ("a_0.txt", None),
            ("a_+1.txt", None),
            ("a_.txt", None),
            ("a.txt", None),
            ("a_99999999999999999999.txt", None),
        ];
        for (last, expected) in table {
            let expected = expected.map(|(key, n)| (key.to_owned(), n));
            assert_eq!(counter(last), expected, "{last}");
        }
    }

    #[test]
    fn a_change_by_hand_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str| fs::write(folder.path().join(name), "").unwrap();
        let a = FileName::parse(b"a.txt").unwrap();
        for n in 1..=3 {
            put(&format!("a_{n}.txt"));
        }
        let numbers = Numbers::default();
        assert_eq!(numbers.first_free(folder.path(), &a, 1), 4);
        numbers.taken(folder.path(), &a, 4);
        assert_eq!(numbers.first_free(folder.path(), &a, 1), 5);
        fs::remove_file(folder.path().join("a_2.txt")).unwrap();
        let long_ago = SystemTime::UNIX_EPOCH;
        if let Some(known) = numbers.folders().get_mut(folder.path()) {
            (known.changed, known.cost) = (Some(long_ago), Duration::ZERO);
        }
        assert_eq!(numbers.first_free(folder.path(), &a, 1), 2);
    }
}
