//! The lowest number that may be free for a name, so that the ten-thousandth `a.txt` is stored as fast as the
//! first.
//!
//! This is a hint: exclusive creation decides whether a number is free. A hint comes from a pass over the
//! folder, and then follows what this server stores and removes there. When the folder's time of change tells
//! that another process has changed it, the next upload of that name makes another pass. (Where that time has a
//! coarse grain, a change by another server at the same instant as one by this server is missed: a number that it
//! freed is then found late.)

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use super::listing::visible;
use super::name::FileName;
use crate::error::lock;

/// Numbers up to this one are tried without a hint. Most names have no more.
const TRIED: u64 = 4;

/// How many taken numbers are tried after a hint before another pass: about as much work as a pass.
const MISSES: u64 = 64;

/// A name that has a hint gets another pass only when passes have taken less than one part in this many of the
/// time. So two servers at work in one large folder do not keep each other reading it.
const PART: u32 = 20;

/// A folder with no more entries than this is read whenever it has changed.
const SMALL: usize = 1000;

/// How many names have a hint. Beyond it all hints are dropped.
const NAMES: usize = 500;

/// The hints of one store.
pub(super) struct Numbers {
    root: PathBuf,
    hints: Mutex<Hints>,
}

#[derive(Default)]
struct Hints {
    by_name: HashMap<FileName, Hint>,
    /// When the next pass for a name with a hint may be made.
    next_pass: Option<Instant>,
}

struct Hint {
    /// The folder's time of change when the hint was last known to be true.
    changed: Option<SystemTime>,
    lowest: u64,
}

impl Numbers {
    pub(super) fn new(root: PathBuf) -> Numbers {
        Numbers { root, hints: Mutex::default() }
    }

    /// The next number to try for `name`, when `after` and what was tried before it were taken.
    pub(super) fn next(&self, name: &FileName, after: u64) -> u64 {
        if after < TRIED {
            return after + 1;
        }
        let changed = self.change_time(name);
        self.hinted(name, after, changed).unwrap_or_else(|| self.look(name, after, changed))
    }

    fn hinted(&self, name: &FileName, after: u64, changed: Option<SystemTime>) -> Option<u64> {
        let hints = lock(&self.hints);
        let hint = hints.by_name.get(name)?;
        let is_current = hint.changed == changed
            || hints.next_pass.is_some_and(|next_pass| Instant::now() < next_pass);
        (is_current && after < hint.lowest + MISSES).then(|| hint.lowest.max(after + 1))
    }

    /// Reads the folder. No lock is held meanwhile.
    fn look(&self, name: &FileName, after: u64, changed: Option<SystemTime>) -> u64 {
        let start = Instant::now();
        let folder = self.folder_of(name);
        let mut count = 0;
        let entries = visible(&folder).into_iter().flatten().flatten().inspect(|_| count += 1);
        let numbers = entries.filter_map(|(last, _)| name.number_of(&last));
        let taken: BTreeSet<u64> = numbers.filter(|n| *n > after).collect();
        let lowest = (after + 1..).find(|n| !taken.contains(n)).unwrap_or(after);
        let next_pass = start + rest(count, start.elapsed());
        let mut hints = lock(&self.hints);
        if hints.by_name.len() >= NAMES {
            hints.by_name.clear();
        }
        hints.by_name.insert(name.clone(), Hint { changed, lowest });
        hints.next_pass = Some(next_pass);
        lowest
    }

    /// The folder's time of change before this server changes something in it, if there are hints for it: for
    /// [`Numbers::stored`] and [`Numbers::removed`].
    pub(super) fn before(&self, file: &FileName) -> Option<SystemTime> {
        let has_hints = lock(&self.hints).by_name.keys().any(|name| name.folder() == file.folder());
        if has_hints { self.change_time(file) } else { None }
    }

    /// Notes that this server has stored a file.
    pub(super) fn stored(&self, file: &FileName, before: Option<SystemTime>) {
        self.note(file, before, |lowest, n| if lowest == n { n + 1 } else { lowest });
    }

    /// Notes that this server has removed a file.
    pub(super) fn removed(&self, file: &FileName, before: Option<SystemTime>) {
        self.note(file, before, u64::min);
    }

    fn note(&self, file: &FileName, before: Option<SystemTime>, new: impl Fn(u64, u64) -> u64) {
        if before.is_none() {
            return;
        }
        let after = self.change_time(file);
        for (name, hint) in &mut lock(&self.hints).by_name {
            if name.folder() != file.folder() {
                continue;
            }
            if let Some(n) = name.number_of(file.last()).filter(|n| *n > TRIED) {
                hint.lowest = new(hint.lowest, n);
            }
            // If another process had changed the folder before, the hint stays in doubt.
            if hint.changed == before {
                hint.changed = after;
            }
        }
    }

    fn change_time(&self, name: &FileName) -> Option<SystemTime> {
        fs::metadata(self.folder_of(name)).and_then(|found| found.modified()).ok()
    }

    fn folder_of(&self, name: &FileName) -> PathBuf {
        self.root.join(name.folder().unwrap_or_default())
    }
}

/// How long after a pass over this many entries no other is made for a name that has a hint.
fn rest(entries: usize, cost: Duration) -> Duration {
    if entries > SMALL { cost * PART } else { Duration::ZERO }
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

    #[test]
    fn the_first_numbers_are_tried_and_the_rest_is_looked_up() {
        let (_folder, numbers) = nine();
        let a = name("a.txt");
        assert_eq!([0, 1, 3, 4].map(|n| numbers.next(&a, n)), [1, 2, 4, 10]);
        // The hint is taken; a name that is taken all the same is passed over.
        assert_eq!([4, 9, 10, 40].map(|n| numbers.next(&a, n)), [10, 10, 11, 41]);
        assert_eq!(numbers.next(&name("b.txt"), 4), 5);
        // After many of those, the folder is read again.
        fs::write(numbers.root.join("a_75.txt"), "").unwrap();
        let changed = numbers.change_time(&a);
        lock(&numbers.hints).by_name.get_mut(&a).unwrap().changed = changed;
        assert_eq!([73, 74].map(|n| numbers.next(&a, n)), [74, 76]);
    }

    #[test]
    fn a_hint_follows_what_this_server_does() {
        let (folder, numbers) = nine();
        let a = name("a.txt");
        let lowest = || numbers.next(&a, TRIED);
        assert_eq!(numbers.before(&a), None);
        assert_eq!(lowest(), 10);
        // Nothing but these notes can tell: the folder's time of change stays in step with the hint.
        let change = |remove: bool, file: &str, lowest_then: u64| {
            let file = name(file);
            let before = numbers.before(&file);
            assert!(before.is_some());
            let path = folder.path().join(file.as_str());
            if remove {
                fs::remove_file(&path).unwrap();
                numbers.removed(&file, before);
            } else {
                fs::write(&path, "").unwrap();
                numbers.stored(&file, before);
            }
            let hints = lock(&numbers.hints);
            let hint = hints.by_name.get(&a).unwrap();
            assert_eq!((hint.lowest, hint.changed), (lowest_then, numbers.change_time(&a)));
        };
        change(false, "a_10.txt", 11);
        change(false, "a_30.txt", 11);
        change(true, "a_7.txt", 7);
        change(true, "a_9.txt", 7);
        change(true, "a_2.txt", 7);
        change(false, "a_7.txt", 8);
        change(false, "b_8.txt", 8);
        change(true, "b_8.txt", 8);
        assert_eq!(lowest(), 8);
        assert_eq!(numbers.before(&name("docs/a.txt")), None);
    }

    #[test]
    fn a_change_by_another_process_is_noticed() {
        let (folder, numbers) = nine();
        let a = name("a.txt");
        assert_eq!(numbers.next(&a, TRIED), 10);
        fs::remove_file(folder.path().join("a_6.txt")).unwrap();
        let long_ago = Some(SystemTime::UNIX_EPOCH);
        let doubt = |next_pass| {
            let mut hints = lock(&numbers.hints);
            hints.next_pass = next_pass;
            hints.by_name.get_mut(&a).unwrap().changed = long_ago;
        };
        // Not at once, if passes take long.
        let later = Instant::now() + Duration::from_secs(600);
        doubt(Some(later));
        assert_eq!(numbers.next(&a, TRIED), 10);
        // What this server does meanwhile leaves the hint in doubt.
        numbers.stored(&name("c"), numbers.before(&a));
        doubt(Some(Instant::now()));
        numbers.stored(&name("c"), numbers.before(&a));
        assert_eq!(numbers.next(&a, TRIED), 6);
    }

    #[test]
    fn a_pass_that_took_long_is_not_soon_repeated() {
        assert_eq!(rest(SMALL, Duration::from_secs(9)), Duration::ZERO);
        assert_eq!(rest(SMALL + 1, Duration::from_secs(1)), Duration::from_secs(20));
        let (_folder, numbers) = nine();
        let start = Instant::now();
        numbers.next(&name("a.txt"), TRIED);
        assert!(lock(&numbers.hints).next_pass.unwrap() >= start);
    }

    #[test]
    fn hints_are_bounded() {
        let (_folder, numbers) = nine();
        for n in 0..NAMES + 1 {
            numbers.next(&name(&n.to_string()), TRIED);
        }
        assert_eq!(lock(&numbers.hints).by_name.len(), 1);
    }
}
