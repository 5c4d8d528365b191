//! A file that is published whole or not at all.
//!
//! A [`Draft`] is written under a name that no client can ask for. What becomes of it is decided at the end.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::store::disk::op;

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

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What the system says about the draft.
    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        op(|| fs::symlink_metadata(&self.path))
    }

    /// Gives the draft this name and replaces what has it: for the server's own files.
    pub(super) fn replace(mut self, target: &Path) -> io::Result<()> {
        self.close();
        op(|| fs::rename(&self.path, target))
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
