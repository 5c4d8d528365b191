//! How much the store holds, for `--max-total-size`: known at any moment without reading the folder.
//!
//! An upload reserves its size before its first byte, so that many at once cannot exceed the limit
//! together. Other servers and hands change the folder too, so it is counted anew now and then.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The folder is counted anew at most this often, and in at most a twentieth of the time.
const RECOUNT: Duration = Duration::from_secs(2);
const SHARE: u32 = 20;

/// The account of one store.
pub(super) struct Quota {
    root: PathBuf,
    limit: Option<u64>,
    account: Mutex<Account>,
}

#[derive(Default)]
struct Account {
    stored: u64,
    reserved: u64,
    /// What was stored since the running count began: the count may have missed it.
    meanwhile: u64,
    counted: Option<(Instant, Duration)>,
    counting: bool,
}

/// Room that is set aside for one upload, until it is stored or given up.
pub(super) struct Reservation<'q> {
    quota: &'q Quota,
    size: u64,
}

impl Quota {
    pub(super) fn new(root: PathBuf, limit: Option<u64>) -> Quota {
        let quota = Quota { root, limit, account: Mutex::default() };
        if limit.is_some() {
            quota.count_if_old();
        }
        quota
    }

    /// Sets room aside, or says that there is none.
    pub(super) fn reserve(&self, size: u64) -> Option<Reservation<'_>> {
        let mut reservation = Reservation { quota: self, size: 0 };
        reservation.grow(size)?;
        Some(reservation)
    }

    /// A file of this size has been removed.
    pub(super) fn removed(&self, size: u64) {
        let mut account = self.account();
        account.stored = account.stored.saturating_sub(size);
    }

    fn count_if_old(&self) {
        {
            let mut account = self.account();
            let old = account
                .counted
                .is_none_or(|(when, cost)| when.elapsed() >= RECOUNT.max(cost * SHARE));
            // Whoever comes while somebody counts uses the last count.
            if account.counting || !old {
                return;
            }
            account.counting = true;
            account.meanwhile = 0;
        }
        let start = Instant::now();
        let stored = total_size(&self.root);
        let mut account = self.account();
        account.stored = stored.saturating_add(account.meanwhile);
        account.counted = Some((Instant::now(), start.elapsed()));
        account.counting = false;
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation<'_> {
    /// How much room it is.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Sets more room aside, or says that there is none.
    pub(super) fn grow(&mut self, more: u64) -> Option<()> {
        let size = self.size.saturating_add(more);
        if let Some(limit) = self.quota.limit {
            self.quota.count_if_old();
            let mut account = self.quota.account();
            let total = account.stored.saturating_add(account.reserved).saturating_add(more);
            if total > limit {
                return None;
            }
            account.reserved = account.reserved.saturating_add(more);
        }
        self.size = size;
        Some(())
    }

    /// The upload is stored: its room is no longer reserved, but used.
    pub(super) fn stored(self) {
        if self.quota.limit.is_none() {
            return;
        }
        let mut account = self.quota.account();
        account.stored = account.stored.saturating_add(self.size);
        account.meanwhile = account.meanwhile.saturating_add(self.size);
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if self.quota.limit.is_none() {
            return;
        }
        let mut account = self.quota.account();
        account.reserved = account.reserved.saturating_sub(self.size);
    }
}

/// The sizes of all plain files below `root` that a client could see.
fn total_size(root: &Path) -> u64 {
    let mut total: u64 = 0;
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) if metadata.is_file() => total = total.saturating_add(metadata.len()),
                _ => {}
            }
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }

    #[test]
    fn no_limit_counts_nothing() {
        let quota = Quota::new("/nowhere".into(), None);
        assert!(quota.reserve(u64::MAX).is_some() && quota.reserve(u64::MAX).is_some());
    }
}
