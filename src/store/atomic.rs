//! A file that is published whole or not at all.
//!
//! A [`Draft`] is written under a name that nobody looks at, and is given its final name by one
//! operation that fails if that name is taken. Looking first and creating after would lose to
//! whoever comes between; a plain rename would replace silently. The hard link does neither.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::disk::op;

/// How a draft gets its final name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Publishing {
    /// By hard link, and where the file system has none, by rename.
    #[default]
    Link,
    /// By rename under a lock, always: what [`Publishing::Link`] falls back to. For tests.
    Rename,
}

/// A file in the making. It is removed when it is dropped before it was published.
pub struct Draft {
    file: Option<File>,
    path: PathBuf,
}

impl Draft {
    /// A new, empty draft at `path`, where nothing may be yet.
    ///
    /// # Errors
    /// As the system says.
    pub fn create(path: PathBuf) -> io::Result<Draft> {
        let file = op(|| OpenOptions::new().write(true).create_new(true).open(&path))?;
        Ok(Draft { file: Some(file), path })
    }

    /// Adds to the end.
    ///
    /// # Errors
    /// As the system says.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.file.as_mut() {
            Some(file) => op(|| file.write_all(bytes)),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Adds all that is in another draft.
    ///
    /// # Errors
    /// As the system says.
    pub fn append(&mut self, other: &Draft) -> io::Result<()> {
        let mut from = op(|| File::open(&other.path))?;
        let file = self.file.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        op(|| io::copy(&mut from, file)).map(drop)
    }

    /// Makes sure that what was written survives a loss of power.
    ///
    /// # Errors
    /// As the system says.
    pub fn sync(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| op(|| file.sync_all()))
    }

    /// The draft is complete: nothing more can be written, and this is what the system says of it.
    /// Windows renames no open file, so it is closed here.
    ///
    /// # Errors
    /// As the system says.
    pub fn finish(&mut self) -> io::Result<Metadata> {
        let file = self.file.take().ok_or(io::ErrorKind::BrokenPipe)?;
        op(|| file.metadata())
    }

    /// Gives the finished draft its final name. `false` says that the name is taken; the draft is
    /// then as it was, and another name can be tried.
    ///
    /// # Errors
    /// As the system says.
    pub fn publish(
        &mut self,
        target: &Path,
        how: Publishing,
        turnstile: &Turnstile,
    ) -> io::Result<bool> {
        use io::ErrorKind as Kind;
        if how == Publishing::Rename {
            return turnstile.rename(&self.path, target);
        }
        match op(|| fs::hard_link(&self.path, target)) {
            Ok(()) => Ok(true),
            // A network file system may ask twice, and be told that the name is taken: by us.
            Err(error) if error.kind() == Kind::AlreadyExists => Ok(self.has_two_names()),
            Err(error)
                if matches!(
                    error.kind(),
                    Kind::NotFound
                        | Kind::StorageFull
                        | Kind::QuotaExceeded
                        | Kind::ReadOnlyFilesystem
                        | Kind::InvalidFilename
                ) =>
            {
                Err(error)
            }
            // Each system has another word for it, and some have none: there are no links here.
            Err(_) => turnstile.rename(&self.path, target),
        }
    }

    /// Whether the link was made after all.
    fn has_two_names(&self) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            fs::metadata(&self.path).is_ok_and(|metadata| metadata.nlink() > 1)
        }
        #[cfg(not(unix))]
        {
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

/// Where there are no hard links: lets one server at a time look and rename. All servers on a folder
/// meet at the same lock file, so none of them can come between; only somebody who copies a file
/// into the folder by hand, in the very same moment and under the very same name, could.
pub struct Turnstile {
    lock: PathBuf,
    /// For file systems that have no locks either.
    here: Mutex<()>,
}

impl Turnstile {
    /// A turnstile at this lock file, which is made when it is first needed.
    #[must_use]
    pub fn new(lock: PathBuf) -> Turnstile {
        Turnstile { lock, here: Mutex::new(()) }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<bool> {
        let _here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        let lock = op(|| OpenOptions::new().create(true).append(true).open(&self.lock))?;
        // Where there are no locks either, the threads of this server still take turns.
        let _ = lock.lock();
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
///
/// # Errors
/// As the system says.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { op(|| File::open(folder)?.sync_all()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_published_whole_and_replaces_nothing() {
        for how in [Publishing::Link, Publishing::Rename] {
            let folder = tempfile::tempdir().unwrap();
            let (a, b) = (folder.path().join("a"), folder.path().join("b"));
            let turnstile = Turnstile::new(folder.path().join("lock"));
            fs::write(&a, "old").unwrap();
            let mut draft = Draft::create(folder.path().join("draft")).unwrap();
            draft.write(b"new").unwrap();
            draft.finish().unwrap();
            assert!(!draft.publish(&a, how, &turnstile).unwrap());
            assert!(draft.publish(&b, how, &turnstile).unwrap());
            drop(draft);
            assert_eq!(fs::read(&a).unwrap(), b"old");
            assert_eq!(fs::read(&b).unwrap(), b"new");
            assert!(!folder.path().join("draft").exists());
        }
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
