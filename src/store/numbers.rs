//! Which counters are taken: so that the ten-thousandth `a.txt` finds its number as fast as the
//! first.
//!
//! This is a memory, and a hint: exclusive creation decides whether a number is free. The memory of
//! a folder is filled in one pass over it, told of everything that this server does there, and
//! doubted when the folder's time of change says that somebody else has been at work. (Where that
//! time has a coarse grain, a change by another server in the same instant as one of ours is missed:
//! a number that it freed is then found late.)

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::name::{FileName, shortened, split_extension};
use crate::limits;

/// A folder of so many entries is read whenever it has changed.
const SMALL: usize = 1000;

/// A pass over a larger one is repeated only when it would take less than this share of the time, so
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
    entries: usize,
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
            known.changed == changed
                || (known.entries > SMALL && known.scanned.elapsed() < known.cost * SHARE)
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

    /// The folder's time of change before we do something in it, if it is remembered: for
    /// [`Numbers::added`] and [`Numbers::removed`].
    pub(super) fn before(&self, folder: &Path) -> Option<SystemTime> {
        if self.folders().contains_key(folder) { change_time(folder) } else { None }
    }

    /// A file called `last` has appeared in the folder, by our own doing.
    pub(super) fn added(&self, folder: &Path, last: &str, before: Option<SystemTime>) {
        self.told(folder, before, |known| {
            if let Some((key, n)) = counter(last) {
                known.families.entry(key).or_default().take(n);
            }
        });
    }

    /// A file called `last` has gone, by our own doing.
    pub(super) fn removed(&self, folder: &Path, last: &str, before: Option<SystemTime>) {
        self.told(folder, before, |known| {
            if let Some((key, n)) = counter(last)
                && let Some(family) = known.families.get_mut(&key)
            {
                family.free(n);
                if family.is_empty() {
                    known.families.remove(&key);
                }
            }
        });
    }

    fn told(&self, folder: &Path, before: Option<SystemTime>, what: impl FnOnce(&mut Folder)) {
        if !self.folders().contains_key(folder) {
            return;
        }
        let changed = change_time(folder);
        if let Some(known) = self.folders().get_mut(folder) {
            what(known);
            // If somebody else had been here before us, the memory stays in doubt.
            if known.changed == before {
                known.changed = changed;
            }
        }
    }

    /// Reads the folder. The lock is not held meanwhile.
    fn learn(&self, folder: &Path, changed: Option<SystemTime>) {
        let scanned = Instant::now();
        let mut families: HashMap<String, Family> = HashMap::new();
        let mut entries: usize = 0;
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            entries = entries.saturating_add(1);
            if let Some((key, n)) = entry.file_name().to_str().and_then(counter) {
                families.entry(key).or_default().take(n);
            }
        }
        let known = Folder { changed, scanned, cost: scanned.elapsed(), entries, families };
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

    /// Whether no number of it is taken.
    fn is_empty(&self) -> bool {
        let below = self.low.saturating_sub(1);
        self.above.is_empty() && u64::try_from(self.holes.len()).is_ok_and(|holes| holes == below)
    }

    fn free(&mut self, n: u64) {
        if !self.above.remove(&n) && n < self.low {
            self.holes.insert(n);
        }
    }
}

/// Whose counters they are. The counter of a very long name eats of its stem, so only as much of the
/// stem counts as no counter can eat.
fn key(stem: &str, extension: &str) -> String {
    let room = limits::NAME_PART
        .saturating_sub(extension.len())
        .saturating_sub("_18446744073709551615".len());
    format!("{}/{extension}", shortened(stem, room))
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
        for taken in [1, 3, 6].into_iter().chain(family.above.clone()) {
            family.take(taken);
        }
        for n in 1..family.low {
            assert!(!family.is_empty());
            family.free(n);
        }
        assert!(family.is_empty());
        let mut family = Family::default();
        (1..6).for_each(|n| family.take(n));
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
