//! A file that is published whole or not at all.
//!
//! A [`Draft`] is written under a name that no client can ask for. It gets its final name by one operation that
//! fails if the name is taken. To look first and create later would lose to another upload in between, and a
//! plain rename would replace silently. The hard link does neither.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::plain::file_id;
use super::private;
use crate::error::lock;
use crate::limits;
use crate::store::disk::{self, op};

/// How a draft gets its final name. The start finds out which of these a folder allows. A link that fails
/// later is a failed upload, never a reason for a weaker way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Publishing {
    /// By hard link, which fails if the name is taken.
    Link,
    /// By a look and a rename, under a lock that all servers on the folder share. Servers never replace each
    /// other's files by this. Another program that creates the name in the same instant could lose its file.
    LockedRename,
}

/// An unfinished file. When it is dropped it is removed, or it stays if it is one to keep.
pub(super) struct Draft {
    file: Option<File>,
    path: PathBuf,
    is_kept: bool,
}

impl Draft {
    /// Creates an empty draft at `path`, where nothing may be yet.
    pub(super) fn create(path: PathBuf) -> io::Result<Draft> {
        let file = op(|| OpenOptions::new().write(true).create_new(true).open(&path))?;
        Ok(Draft { file: Some(file), path, is_kept: false })
    }

    /// A file with what has come so far, which stays until it is published.
    pub(super) fn kept(file: File, path: PathBuf) -> Draft {
        Draft { file: Some(file), path, is_kept: true }
    }

    pub(super) fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// Makes one that is kept an ordinary draft at this path.
    pub(super) fn keep_no_longer(&mut self, path: PathBuf) -> io::Result<()> {
        op(|| fs::rename(&self.path, &path))?;
        (self.path, self.is_kept) = (path, false);
        Ok(())
    }

    /// Removes it. One that is kept is still locked then, so that no other process goes on with it meanwhile.
    pub(super) fn discard(self) {
        let _ = op(|| fs::remove_file(&self.path));
    }

    fn file(&self) -> io::Result<&File> {
        self.file.as_ref().ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    /// Adds to the end.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.file()?;
        op(|| file.write_all(bytes))
    }

    /// Adds all that is in another draft.
    pub(super) fn append(&mut self, other: &Draft) -> io::Result<()> {
        let mut from = op(|| File::open(&other.path))?;
        let mut file = self.file()?;
        op(|| io::copy(&mut from, &mut file)).map(drop)
    }

    /// Makes sure that what was written survives a loss of power.
    pub(super) fn sync(&self) -> io::Result<()> {
        op(|| self.file()?.sync_all())
    }

    /// Closes it. Windows may set the time of change then, and a name that is given before keeps the old one in
    /// its folder.
    pub(super) fn close(&mut self) {
        self.file = None;
    }

    /// Gives back what it takes on the disk. Nothing can be added after that.
    pub(super) fn clear(&mut self) {
        if let Some(file) = self.file.take() {
            let _ = op(|| file.set_len(0));
        }
    }

    /// What the system says about the draft.
    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        op(|| fs::symlink_metadata(&self.path))
    }

    /// Gives the finished draft its final name. Returns `false` if the name is taken: the draft is then as it
    /// was, and another name can be tried. `renaming` is the lock file for [`Publishing::LockedRename`]; the
    /// threads of this server take turns at it.
    pub(super) fn publish(
        &mut self,
        target: &Path,
        how: Publishing,
        renaming: &Mutex<PathBuf>,
    ) -> io::Result<bool> {
        if matches!(how, Publishing::Link) {
            return match op(|| fs::hard_link(&self.path, target)) {
                Ok(()) => Ok(true),
                // A network file system may send the request twice. The second answer is that the name is
                // taken, by the first.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    Ok(self.is_at(target))
                }
                Err(error) => Err(error),
            };
        }
        // Windows renames no open file.
        self.close();
        let renaming = lock(renaming);
        let held = op(|| private::lock(&renaming, limits::LOCK_WAIT))?;
        let _held = held.ok_or(io::ErrorKind::Unsupported)?;
        match disk::look(target)? {
            Some(_) => Ok(false),
            None => op(|| fs::rename(&self.path, target)).map(|()| true),
        }
    }

    /// Gives the draft this name and replaces what has it: for the server's own files.
    pub(super) fn replace(mut self, target: &Path) -> io::Result<()> {
        self.close();
        op(|| fs::rename(&self.path, target))
    }

    /// Whether the file at `target` is this draft. That the draft has a second name proves nothing: a backup
    /// that makes hard links gives it one.
    fn is_at(&self, target: &Path) -> bool {
        let id = |path| fs::symlink_metadata(path).ok().and_then(|found| file_id(&found));
        id(target).is_some_and(|found| id(&self.path) == Some(found))
    }
}

impl Drop for Draft {
    /// Removes the draft's own name. After a link that is the second name, and after a rename it is gone.
    fn drop(&mut self) {
        // Windows removes no open file.
        self.close();
        if !self.is_kept {
            let _ = op(|| fs::remove_file(&self.path));
        }
    }
}

/// Makes sure that a new name in `folder` survives a loss of power. Only Unix opens a folder for that;
/// elsewhere the file's own sync has to be enough.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { op(|| File::open(folder)?.sync_all()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_published_whole_and_replaces_nothing() {
        for how in [Publishing::Link, Publishing::LockedRename] {
            let folder = tempfile::tempdir().unwrap();
            let (a, b) = (folder.path().join("a"), folder.path().join("b"));
            let lock = Mutex::new(folder.path().join("lock"));
            fs::write(&a, "old").unwrap();
            let mut draft = Draft::create(folder.path().join("draft")).unwrap();
            draft.write(b"new").unwrap();
            assert!(!draft.publish(&a, how, &lock).unwrap());
            assert!(draft.publish(&b, how, &lock).unwrap());
            drop(draft);
            assert_eq!(fs::read(&a).unwrap(), b"old");
            assert_eq!(fs::read(&b).unwrap(), b"new");
            assert!(!folder.path().join("draft").exists());
            assert_eq!(folder.path().join("lock").exists(), how == Publishing::LockedRename);
        }
    }

    /// It fell back to a look and a rename, which can replace a file that was stored in between.
    #[test]
    fn a_link_that_fails_is_a_failure() {
        use crate::store::disk::fault::{Fault, during};
        let folder = tempfile::tempdir().unwrap();
        let (path, target) = (folder.path().join("draft"), folder.path().join("a"));
        let lock = Mutex::new(folder.path().join("lock"));
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
        let (lock, mut draft) = (Mutex::new(path("lock")), draft);
        let published = draft.publish(&path("second"), Publishing::Link, &lock).unwrap();
        assert_eq!(published, cfg!(unix));
    }

    #[test]
    fn a_file_of_the_server_can_be_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("table"), "old").unwrap();
        let mut draft = Draft::create(folder.path().join("draft")).unwrap();
        draft.write(b"new").unwrap();
        draft.replace(&folder.path().join("table")).unwrap();
        assert_eq!(fs::read(folder.path().join("table")).unwrap(), b"new");
        assert!(!folder.path().join("draft").exists());
    }

    /// A test cannot see whether the disk flushes, but it sees the operation.
    #[test]
    fn a_flush_is_an_operation_that_can_fail() {
        use crate::store::disk::fault::{Fault, during};
        let folder = tempfile::tempdir().unwrap();
        let draft = Draft::create(folder.path().join("draft")).unwrap();
        assert!(draft.sync().is_ok() && sync_folder(folder.path()).is_ok());
        assert!(during(1, Fault::Fails, || draft.sync()).0.is_err());
        assert_eq!(during(1, Fault::Fails, || sync_folder(folder.path())).0.is_err(), cfg!(unix));
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
