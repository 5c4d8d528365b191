//! How much the store holds, for `--max-total-size`, without reading the folder for each upload.
//!
//! What has come of an upload counts, not what was announced: a client that announces much and sends little takes
//! nothing from others. An upload that no longer fits is refused, and what has come of it is removed at once, so that of
//! all that met one goes on. Other servers and programs change the folder too, so it is counted again from time to time.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
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

#[derive(Default)]
struct Account {
    stored: u64,
    /// What has come of uploads that are under way.
    drafts: u64,
    /// The sizes of the files that are being stored or removed now.
    changing: u64,
    /// The sizes of all files of which that was true during the running count: it may have missed them or not.
    uncertain: u64,
    /// When the folder is counted next; `None` while it is being counted.
    next_count: Option<Instant>,
}

/// What has come of one upload, until it is stored or given up.
pub(super) struct Share<'q> {
    quota: &'q Quota,
    size: u64,
}

impl Quota {
    pub(super) fn new(root: PathBuf, limit: u64) -> Quota {
        let account = Account { next_count: Some(Instant::now()), ..Account::default() };
        let quota = Quota { root, limit, account: Mutex::new(account) };
        quota.count_if_due();
        quota
    }

    /// An empty share.
    pub(super) fn share(&self) -> Share<'_> {
        Share { quota: self, size: 0 }
    }

    /// Removes a file of this size.
    pub(super) fn remove(&self, size: u64, remove: impl FnOnce() -> Result<()>) -> Result<()> {
        self.change_total(size, remove, |account| {
            account.stored = account.stored.saturating_sub(size);
        })
    }

    /// Stores or removes a file of this size, and notes it.
    fn change_total<T>(
        &self,
        size: u64,
        change: impl FnOnce() -> Result<T>,
        note: impl FnOnce(&mut Account),
    ) -> Result<T> {
        let mut account = lock(&self.account);
        account.changing = account.changing.saturating_add(size);
        account.uncertain = account.uncertain.saturating_add(size);
        drop(account);
        let changed = change();
        let mut account = lock(&self.account);
        account.changing = account.changing.saturating_sub(size);
        if changed.is_ok() {
            note(&mut account);
        }
        changed
    }

    /// Counts the folder if it is time. A thread that comes while another one counts uses the last count.
    fn count_if_due(&self) {
        let start = Instant::now();
        let mut account = lock(&self.account);
        if account.next_count.is_none_or(|due| start < due) {
            return;
        }
        account.begin_count();
        drop(account);
        let counted = total_size(&self.root);
        let pause = RECOUNT.max(start.elapsed() * COST_FACTOR);
        lock(&self.account).end_count(counted, start + pause);
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

    fn begin_count(&mut self) {
        (self.next_count, self.uncertain) = (None, self.changing);
    }

    /// Takes a count. It is only known to a certain degree if files were stored or removed meanwhile.
    fn end_count(&mut self, counted: u64, next: Instant) {
        let least = counted.saturating_sub(self.uncertain);
        self.stored = self.stored.clamp(least, counted.saturating_add(self.uncertain));
        self.next_count = Some(next);
    }
}

impl Share<'_> {
    /// Makes sure that this much more would fit now.
    pub(super) fn must_fit(&self, more: u64) -> Result<()> {
        self.quota.count_if_due();
        lock(&self.quota.account).must_have(more, self.quota.limit)
    }

    /// Adds what comes. If it does not fit, `remove` removes what has come: before another upload is looked at.
    pub(super) fn grow(&mut self, more: u64, remove: impl FnOnce()) -> Result<()> {
        self.quota.count_if_due();
        let account = &mut *lock(&self.quota.account);
        let fits = account.must_have(more, self.quota.limit);
        if fits.is_ok() {
            account.drafts += more;
            self.size += more;
        } else {
            remove();
            account.drafts -= std::mem::take(&mut self.size);
        }
        fits
    }

    /// Stores the upload: what has come of it is then part of what is stored.
    pub(super) fn store<T>(&mut self, store: impl FnOnce() -> Result<T>) -> Result<T> {
        let size = self.size;
        let stored = self.quota.change_total(size, store, |account| {
            account.drafts -= size;
            account.stored = account.stored.saturating_add(size);
        })?;
        self.size = 0;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    impl Quota {
        fn upload(&self, size: u64) -> Option<Share<'_>> {
            let mut share = self.share();
            share.grow(size, || {}).ok().map(|()| share)
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
        let quota = Quota::new(root.path().to_owned(), 100);
        let mut first = quota.share();
        // It could come, and takes nothing yet. What could not fit even now is refused at once.
        assert!(first.must_fit(60).is_ok() && first.must_fit(61).is_err());
        let second = quota.upload(50).unwrap();
        let removed = std::cell::Cell::new(0);
        let mut grow = |more| first.grow(more, || removed.set(removed.get() + 1)).is_ok();
        assert!(grow(10) && removed.get() == 0 && !grow(1) && removed.get() == 1);
        // What had come of it is given back.
        assert_eq!((first.size, quota.taken()), (0, 90));
        drop(first);
        { second }.store(|| Ok(())).unwrap();
        assert_eq!(quota.stored(), 90);
        assert!(quota.upload(11).is_none() && quota.upload(10).is_some());
        quota.remove(40, || Ok(())).unwrap();
        assert!(quota.upload(50).is_some());
        let full = || Err(Error::new(Code::NoSpace, "full"));
        assert!(quota.upload(50).unwrap().store::<()>(full).is_err());
        assert_eq!((quota.stored(), lock(&quota.account).drafts), (50, 0));
    }

    /// Two uploads that overflowed together were both refused.
    #[test]
    fn an_upload_goes_on_when_another_one_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let quota = Quota::new(root.path().to_owned(), 100);
        let (mut one, mut other) = (quota.upload(50).unwrap(), quota.upload(50).unwrap());
        assert!(one.grow(1, || {}).is_err() && other.grow(50, || {}).is_ok());
        assert!(other.grow(1, || {}).is_err());
    }

    #[test]
    fn the_folder_is_counted_again_when_it_is_time() {
        let root = tempfile::tempdir().unwrap();
        let quota = Quota::new(root.path().to_owned(), 100);
        fs::write(root.path().join("by-hand"), [0; 60]).unwrap();
        // Not yet, because it was counted at the start.
        assert!(quota.upload(100).is_some());
        lock(&quota.account).next_count = None;
        assert!(quota.upload(100).is_some());
        lock(&quota.account).next_count = Some(Instant::now());
        assert!(quota.upload(41).is_none() && quota.upload(40).is_some());
        let next = lock(&quota.account).next_count.unwrap();
        assert!(next.saturating_duration_since(Instant::now()) > RECOUNT / 2);
    }

    /// A file that was removed during a count was counted all the same.
    #[test]
    fn a_count_does_not_undo_what_happened_meanwhile() {
        let root = tempfile::tempdir().unwrap();
        let quota = Quota::new(root.path().to_owned(), 100);
        let now = Instant::now();
        lock(&quota.account).stored = 60;
        let share = quota.upload(7).unwrap();
        // One change has begun before the count, one is under way at its end.
        let counting = |counted: u64, then: u64| {
            quota
                .remove(10, || {
                    lock(&quota.account).begin_count();
                    Ok(())
                })
                .unwrap();
            quota
                .remove(5, || {
                    lock(&quota.account).end_count(counted, now);
                    Ok(())
                })
                .unwrap();
            assert_eq!(quota.stored(), then, "{counted}");
            lock(&quota.account).stored = 60;
        };
        // The count has seen both files, one or the other, or neither.
        for counted in [60, 55, 50, 45] {
            counting(counted, 45);
        }
        // Another process has stored or removed files as well.
        counting(90, 70);
        counting(20, 30);
        // Nothing happened meanwhile: what was counted is true.
        lock(&quota.account).begin_count();
        lock(&quota.account).end_count(33, now);
        assert_eq!(quota.stored(), 33);
        lock(&quota.account).begin_count();
        { share }.store(|| Ok(())).unwrap();
        lock(&quota.account).end_count(33, now);
        assert_eq!(quota.stored(), 40);
    }
}
