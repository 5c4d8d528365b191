//! A file that is published whole or not at all.
//!
//! A [`Draft`] is written under a name that nobody looks at, and is given its final name by one
//! operation that fails if that name is taken. Looking first and creating after would lose to
//! whoever comes between; a plain rename would replace silently. The hard link does neither.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::private::{self, Lock};
use crate::limits;
use crate::store::disk::op;

/// How a draft gets its final name. Which of these a folder allows is found out once, when it is opened:
/// a link that fails later is a failed upload, never a reason for a weaker way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Publishing {
    /// By hard link, which fails if the name is taken.
    #[default]
    Link,
    /// By a look and a rename, under a lock that all servers on the folder share.
    LockedRename,
    /// The same where the file system has no locks either: only this server's threads take turns.
    Rename,
}

/// A file in the making. It is removed when it is dropped before it was published.
pub(super) struct Draft {
    file: Option<File>,
    path: PathBuf,
}

impl Draft {
    /// A new, empty draft at `path`, where nothing may be yet.
    pub(super) fn create(path: PathBuf) -> io::Result<Draft> {
        let file = op(|| OpenOptions::new().write(true).create_new(true).open(&path))?;
        Ok(Draft { file: Some(file), path })
    }

    /// A finished file that is there already.
    pub(super) fn finished(path: PathBuf) -> Draft {
        Draft { file: None, path }
    }

    /// Adds to the end.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.file.as_mut() {
            Some(file) => op(|| file.write_all(bytes)),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Adds all that is in another draft.
    pub(super) fn append(&mut self, other: &Draft) -> io::Result<()> {
        let mut from = op(|| File::open(&other.path))?;
        let file = self.file.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        op(|| io::copy(&mut from, file)).map(drop)
    }

    /// Makes sure that what was written survives a loss of power.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| op(|| file.sync_all()))
    }

    pub(super) fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| file.set_modified(time))
    }

    /// What the system says of the draft.
    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        let file = self.file.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        op(|| file.metadata())
    }

    /// Gives the finished draft its final name. `false` says that the name is taken; the draft is
    /// then as it was, and another name can be tried.
    pub(super) fn publish(
        &mut self,
        target: &Path,
        how: Publishing,
        lock: &RenameLock,
    ) -> io::Result<bool> {
        if how != Publishing::Link {
            // Windows renames no open file.
            self.file = None;
            return lock.rename(&self.path, target, how);
        }
        match op(|| fs::hard_link(&self.path, target)) {
            Ok(()) => Ok(true),
            // A network file system may ask twice, and be told that the name is taken: by us.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(self.is_at(target)),
            Err(error) => Err(error),
        }
    }

    /// Gives the draft this name in the place of what has it: for files of our own.
    pub(super) fn replace(mut self, target: &Path) -> io::Result<()> {
        self.file = None;
        op(|| fs::rename(&self.path, target))
    }

    /// Whether the file at `target` is this draft. A second name of the draft proves nothing: a backup
    /// that makes hard links gives it one.
    fn is_at(&self, target: &Path) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let file =
                |path| fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()));
            file(target).is_some_and(|found| file(&self.path) == Some(found))
        }
        #[cfg(not(unix))]
        {
            let _ = target;
            false
        }
    }
}

impl Drop for Draft {
    /// After a link this takes away the second name, after a rename there is nothing left to take.
    fn drop(&mut self) {
        self.file = None;
        let _ = op(|| fs::remove_file(&self.path));
    }
}

/// Where there are no hard links: looks whether the name is free and renames, one after the other. Servers
/// of ours never replace each other's files by this; another program that creates the name in the same
/// instant could lose its file.
pub(super) struct RenameLock {
    file: PathBuf,
    /// For file systems that have no locks either.
    here: Mutex<()>,
}

impl RenameLock {
    /// A lock on this file, which is created when it is first needed.
    pub(super) fn new(file: PathBuf) -> RenameLock {
        RenameLock { file, here: Mutex::new(()) }
    }

    fn rename(&self, from: &Path, to: &Path, how: Publishing) -> io::Result<bool> {
        let _here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        let _among_servers = match how {
            Publishing::LockedRename => {
                match op(|| private::lock(&self.file, limits::LOCK_WAIT))? {
                    Lock::Held(file) => Some(file),
                    Lock::Taken | Lock::Unsupported => return Err(io::ErrorKind::TimedOut.into()),
                }
            }
            _ => None,
        };
        match op(|| fs::symlink_metadata(to)) {
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                op(|| fs::rename(from, to)).map(|()| true)
            }
            Err(error) => Err(error),
        }
    }
}

/// Makes sure that a new name in `folder` survives a loss of power. Only Unix lets a folder be
/// opened for that; elsewhere the file's own sync has to be enough.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { op(|| File::open(folder)?.sync_all()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_published_whole_and_replaces_nothing() {
        for how in [Publishing::Link, Publishing::LockedRename, Publishing::Rename] {
            let folder = tempfile::tempdir().unwrap();
            let (a, b) = (folder.path().join("a"), folder.path().join("b"));
            let lock = RenameLock::new(folder.path().join("lock"));
            fs::write(&a, "old").unwrap();
            let mut draft = Draft::create(folder.path().join("draft")).unwrap();
            draft.write(b"new").unwrap();
            assert!(!draft.publish(&a, how, &lock).unwrap());
            assert!(draft.publish(&b, how, &lock).unwrap());
            drop(draft);
            assert_eq!(fs::read(&a).unwrap(), b"old");
            assert_eq!(fs::read(&b).unwrap(), b"new");
            assert!(!folder.path().join("draft").exists());
        }
    }

    /// It fell back to a look and a rename, which can replace a file that was stored in between.
    #[test]
    fn a_link_that_fails_is_a_failure() {
        use crate::store::disk::fault::{Fault, during};
        let folder = tempfile::tempdir().unwrap();
        let (path, target) = (folder.path().join("draft"), folder.path().join("a"));
        let lock = RenameLock::new(folder.path().join("lock"));
        let mut draft = Draft::create(path).unwrap();
        let publish = || draft.publish(&target, Publishing::Link, &lock);
        let (published, _) = during(1, Fault::Fails, publish);
        assert!(published.is_err() && !target.exists());
    }

    #[test]
    fn only_the_draft_itself_counts_as_its_link() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let draft = Draft::create(path("draft")).unwrap();
        fs::write(path("other"), "").unwrap();
        fs::hard_link(path("draft"), path("second")).unwrap();
        assert_eq!(draft.is_at(&path("second")), cfg!(unix));
        assert!(!draft.is_at(&path("other")) && !draft.is_at(&path("nothing")));
        // A link that was made, though the system said that the name was taken.
        let (lock, mut draft) = (RenameLock::new(path("lock")), draft);
        let published = draft.publish(&path("second"), Publishing::Link, &lock).unwrap();
        assert_eq!(published, cfg!(unix));
    }

    #[test]
    fn a_draft_that_is_given_up_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut draft = Draft::create(folder.path().join("draft")).unwrap();
        draft.write(b"half").unwrap();
        drop(draft);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_draft_never_takes_over_a_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("draft"), "mine").unwrap();
        assert!(Draft::create(folder.path().join("draft")).is_err());
        assert_eq!(fs::read(folder.path().join("draft")).unwrap(), b"mine");
    }
}
