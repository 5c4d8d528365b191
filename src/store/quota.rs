//! How much the store holds, for `--max-total-size`, without reading the folder for each upload.
//!
//! What has come of an upload counts, not what was announced: a client that announces much and sends little takes
//! nothing from others. An upload that no longer fits is refused, and what has come of it no longer counts, so that of all
//! that met one goes on. Other servers and programs change the folder too, so it is counted again from time to time.
//! Uploads wait for a count, and a file is stored or removed under the same lock: else a count would not be known to
//! have seen it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::listing::visible;
use crate::error::{Code, Error, Result, lock};

/// The folder is counted at most this often, and in at most one part in [`COST_FACTOR`] of the time.
const RECOUNT: Duration = Duration::from_secs(2);
const COST_FACTOR: u32 = 20;

/// The size of everything in one store.
pub(super) struct Quota {
    root: PathBuf,
    limit: u64,
    account: Mutex<Account>,
}

struct Account {
    stored: u64,
    /// What has come of uploads that are under way.
    drafts: u64,
    /// When the folder is counted next.
    next_count: Instant,
}

/// What has come of one upload, until it is stored or given up.
pub(super) struct Share<'q> {
    quota: &'q Quota,
    size: u64,
}

impl Quota {
    pub(super) fn new(root: PathBuf, limit: u64) -> Quota {
        let account = Account { stored: 0, drafts: 0, next_count: Instant::now() };
        let quota = Quota { root, limit, account: Mutex::new(account) };
        drop(quota.account());
        quota
    }

    /// An empty share.
    pub(super) fn share(&self) -> Share<'_> {
        Share { quota: self, size: 0 }
    }

    /// Removes a file of this size.
    pub(super) fn remove(&self, size: u64, remove: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut account = lock(&self.account);
        remove()?;
        account.stored = account.stored.saturating_sub(size);
        Ok(())
    }

    /// The account, after a count if it is time for one.
    fn account(&self) -> MutexGuard<'_, Account> {
        let mut account = lock(&self.account);
        let start = Instant::now();
        if start >= account.next_count {
            account.stored = total_size(&self.root);
            account.next_count = start + RECOUNT.max(start.elapsed() * COST_FACTOR);
        }
        account
    }
}

impl Account {
    fn must_have(&self, more: u64, limit: u64) -> Result<()> {
        let taken = self.stored.saturating_add(self.drafts);
        if taken.saturating_add(more) <= limit {
            return Ok(());
        }
        let sentence = "all files together may not be larger than the server allows";
        Err(Error::new(Code::NoSpace, sentence))
    }
}

impl Share<'_> {
    /// Makes sure that this much more would fit now.
    pub(super) fn must_fit(&self, more: u64) -> Result<()> {
        self.quota.account().must_have(more, self.quota.limit)
    }

    /// Adds what comes. If it does not fit, nothing of the upload counts any longer: it is refused, and removed.
    pub(super) fn grow(&mut self, more: u64) -> Result<()> {
        let account = &mut *self.quota.account();
        let fits = account.must_have(more, self.quota.limit);
        if fits.is_ok() {
            account.drafts += more;
            self.size += more;
        } else {
            account.drafts -= std::mem::take(&mut self.size);
        }
        fits
    }

    /// Stores the upload: what has come of it is then part of what is stored.
    pub(super) fn count_as_stored<T>(&mut self, store: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut account = lock(&self.quota.account);
        let stored = store()?;
        let size = std::mem::take(&mut self.size);
        account.drafts -= size;
        account.stored = account.stored.saturating_add(size);
        Ok(stored)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        lock(&self.quota.account).drafts -= self.size;
    }
}

/// The sizes of all files below `root` that a client can see.
fn total_size(root: &Path) -> u64 {
    let (mut total, mut folders) = (0_u64, vec![root.to_owned()]);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    impl Quota {
        fn upload(&self, size: u64) -> Option<Share<'_>> {
            let mut share = self.share();
            share.grow(size).ok().map(|()| share)
        }

        /// What is stored and what has come of uploads.
        pub(in crate::store) fn taken(&self) -> u64 {
            let account = lock(&self.account);
            account.stored + account.drafts
        }

        fn stored(&self) -> u64 {
            lock(&self.account).stored
        }
    }

    /// Who announced 999,999,000 bytes and sent 1.2 kB/s had everybody else refused for days.
    #[test]
    fn what_has_come_counts_and_not_what_was_announced() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("docs")).unwrap();
        fs::write(root.path().join("docs/a"), [0; 40]).unwrap();
        fs::write(root.path().join(".hidden"), [0; 40]).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("a", root.path().join("link")).unwrap();
        let quota = Quota::new(root.path().to_owned(), 100);
        let mut first = quota.share();
        // It could come, and takes nothing yet. What could not fit even now is refused at once.
        assert!(first.must_fit(60).is_ok() && first.must_fit(61).is_err());
        let second = quota.upload(50).unwrap();
        assert!(first.grow(10).is_ok() && first.grow(1).is_err());
        // What had come of it is given back.
        assert_eq!((first.size, quota.taken()), (0, 90));
        drop(first);
        { second }.count_as_stored(|| Ok(())).unwrap();
        assert_eq!(quota.stored(), 90);
        assert!(quota.upload(11).is_none() && quota.upload(10).is_some());
        quota.remove(40, || Ok(())).unwrap();
        assert!(quota.upload(50).is_some());
        let full = || Err(Error::new(Code::NoSpace, "full"));
        assert!(quota.upload(50).unwrap().count_as_stored::<()>(full).is_err());
        assert_eq!((quota.stored(), lock(&quota.account).drafts), (50, 0));
    }

    /// Two uploads that overflowed together were both refused.
    #[test]
    fn an_upload_goes_on_when_another_one_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let quota = Quota::new(root.path().to_owned(), 100);
        let (mut one, mut other) = (quota.upload(50).unwrap(), quota.upload(50).unwrap());
        assert!(one.grow(1).is_err() && other.grow(50).is_ok());
        assert!(other.grow(1).is_err());
    }

    #[test]
    fn the_folder_is_counted_again_when_it_is_time() {
        let root = tempfile::tempdir().unwrap();
        let quota = Quota::new(root.path().to_owned(), 100);
        fs::write(root.path().join("by-hand"), [0; 60]).unwrap();
        // Not yet, because it was counted at the start.
        assert!(quota.upload(100).is_some());
        lock(&quota.account).next_count = Instant::now();
        assert!(quota.upload(41).is_none() && quota.upload(40).is_some());
        let next = lock(&quota.account).next_count;
        assert!(next.saturating_duration_since(Instant::now()) > RECOUNT / 2);
    }

    /// A file that was removed during a count was counted all the same.
    #[test]
    fn no_file_is_stored_or_removed_during_a_count() {
        let root = tempfile::tempdir().unwrap();
        let quota = Quota::new(root.path().to_owned(), 100);
        let must_be_locked = || {
            assert!(quota.account.try_lock().is_err());
            Ok(())
        };
        let share = quota.upload(7).unwrap();
        { share }.count_as_stored(must_be_locked).unwrap();
        quota.remove(7, must_be_locked).unwrap();
    }
}
