//! How much the store holds, for `--max-total-size`, without reading the folder for each upload.
//!
//! An upload reserves its size before its first byte, so that many at once cannot exceed the limit together.
//! Other servers and programs change the folder too, so it is counted again from time to time.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::listing::visible;
use crate::error::lock;

/// The folder is counted at most this often, and in at most one part in [`PART`] of the time.
const RECOUNT: Duration = Duration::from_secs(2);
const PART: u32 = 20;

/// The size of everything in one store.
pub(super) struct Quota {
    root: PathBuf,
    limit: Option<u64>,
    account: Mutex<Account>,
}

struct Account {
    stored: u64,
    reserved: u64,
    /// What was stored since the running count began: the count may have missed it.
    meanwhile: u64,
    /// When the folder is counted next; `None` while it is being counted.
    next_count: Option<Instant>,
}

/// Room that is set aside for one upload, until it is stored or given up.
pub(super) struct Reservation<'q> {
    quota: &'q Quota,
    size: u64,
    is_stored: bool,
}

impl Quota {
    pub(super) fn new(root: PathBuf, limit: Option<u64>) -> Quota {
        let next_count = Some(Instant::now());
        let account = Account { stored: 0, reserved: 0, meanwhile: 0, next_count };
        let quota = Quota { root, limit, account: Mutex::new(account) };
        if limit.is_some() {
            quota.count_if_due();
        }
        quota
    }

    /// An empty reservation.
    pub(super) fn reservation(&self) -> Reservation<'_> {
        Reservation { quota: self, size: 0, is_stored: false }
    }

    /// Notes that a file of this size has been removed.
    pub(super) fn removed(&self, size: u64) {
        let mut account = lock(&self.account);
        account.stored = account.stored.saturating_sub(size);
    }

    /// Counts the folder if it is time. A thread that comes while another one counts uses the last count.
    fn count_if_due(&self) {
        let start = Instant::now();
        let mut account = lock(&self.account);
        if account.next_count.is_none_or(|due| start < due) {
            return;
        }
        (account.next_count, account.meanwhile) = (None, 0);
        drop(account);
        let stored = total_size(&self.root);
        let mut account = lock(&self.account);
        account.stored = stored.saturating_add(account.meanwhile);
        account.next_count = Some(start + rest(start.elapsed()));
    }
}

impl Reservation<'_> {
    /// How much room it is.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Sets more room aside, and returns whether there is that much.
    pub(super) fn grow(&mut self, more: u64) -> bool {
        if let Some(limit) = self.quota.limit {
            self.quota.count_if_due();
            let mut account = lock(&self.quota.account);
            let taken = account.stored.saturating_add(account.reserved);
            if taken.saturating_add(more) > limit {
                return false;
            }
            account.reserved += more;
        }
        self.size += more;
        true
    }

    /// Notes that the upload is stored: its room is no longer reserved, but used.
    pub(super) fn stored(mut self) {
        self.is_stored = true;
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if self.quota.limit.is_some() {
            let mut account = lock(&self.quota.account);
            account.reserved -= self.size;
            if self.is_stored {
                account.stored = account.stored.saturating_add(self.size);
                account.meanwhile = account.meanwhile.saturating_add(self.size);
            }
        }
    }
}

/// The sizes of all files below `root` that a client can see.
fn total_size(root: &Path) -> u64 {
    let mut total: u64 = 0;
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for (_, entry) in visible(&folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => folders.push(entry.path()),
                // Sparse files can add up to any size.
                Ok(found) if found.is_file() => total = total.saturating_add(found.len()),
                _ => {}
            }
        }
    }
    total
}

/// How long after the start of a count of this cost the next one is due.
fn rest(cost: Duration) -> Duration {
    RECOUNT.max(cost * PART)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    impl Quota {
        fn reserve(&self, size: u64) -> Option<Reservation<'_>> {
            let mut reservation = self.reservation();
            reservation.grow(size).then_some(reservation)
        }
    }

    #[test]
    fn room_is_given_once() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("docs")).unwrap();
        fs::write(root.path().join("docs/a"), [0; 40]).unwrap();
        fs::write(root.path().join(".hidden"), [0; 40]).unwrap();
        let quota = Quota::new(root.path().to_owned(), Some(100));
        let first = quota.reserve(30).unwrap();
        let second = quota.reserve(30).unwrap();
        assert!(quota.reserve(1).is_none());
        first.stored();
        assert!(quota.reserve(1).is_none());
        drop(second);
        assert!(quota.reserve(31).is_none());
        assert!(quota.reserve(30).is_some());
        quota.removed(40);
        assert!(quota.reserve(70).is_some());
        let mut grown = quota.reserve(10).unwrap();
        assert!(grown.grow(60) && !grown.grow(1));
        assert_eq!(grown.size(), 70);
    }

    #[test]
    fn the_folder_is_counted_again_when_it_is_time() {
        let root = tempfile::tempdir().unwrap();
        let quota = Quota::new(root.path().to_owned(), Some(100));
        assert_eq!(rest(Duration::ZERO), RECOUNT);
        assert_eq!(rest(RECOUNT), RECOUNT * PART);
        let due_in = || {
            let next = lock(&quota.account).next_count.unwrap();
            next.saturating_duration_since(Instant::now())
        };
        assert!(due_in() > RECOUNT / 2);
        fs::write(root.path().join("by-hand"), [0; 60]).unwrap();
        // Not yet, because it was counted at the start.
        assert!(quota.reserve(100).is_some());
        lock(&quota.account).next_count = None;
        assert!(quota.reserve(100).is_some());
        let reservation = quota.reserve(30).unwrap();
        lock(&quota.account).next_count = Some(Instant::now());
        assert!(quota.reserve(11).is_none() && due_in() > RECOUNT / 2);
        assert!(quota.reserve(10).is_some());
        // What is stored during a count is not lost with it.
        lock(&quota.account).next_count = None;
        reservation.stored();
        assert_eq!(lock(&quota.account).meanwhile, 30);
    }

    #[test]
    fn no_limit_counts_nothing() {
        let quota = Quota::new("/nowhere".into(), None);
        let (one, other) = (quota.reserve(u64::MAX), quota.reserve(u64::MAX));
        assert!(one.is_some() && other.is_some());
    }
}
