//! What is inside `.connme`: plain folders and plain files that a server of ours made, and nothing else.
//!
//! Somebody else may have put something there under one of our names: a folder that was copied or cloned
//! can carry a symbolic link or a pipe. So nothing here is followed or waited for: a link or a pipe in the
//! place of one of our files is an error, and what has a name that we do not give is left alone.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::plain;
use crate::limits;
use crate::store::disk::op;

/// The folder inside the root that is out of every client's reach.
pub(super) const PRIVATE: &str = ".connme";

/// Whether the file system has locks, and whether this one is held now.
#[derive(Debug)]
pub(super) enum Lock {
    /// It is ours until the file is dropped.
    Held(File),
    /// Another process holds it.
    Taken,
    /// The file system has no locks.
    Unsupported,
}

/// The folder of this name in `parent`, created if it is not there.
///
/// # Errors
/// Something else has the name, or the folder cannot be created.
pub(super) fn folder(parent: &Path, name: &str) -> io::Result<PathBuf> {
    let path = parent.join(name);
    match op(|| fs::create_dir(&path)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if op(|| fs::symlink_metadata(&path))?.is_dir() { Ok(path) } else { Err(not_ours(&path)) }
}

/// Refuses a root in which something else has the name of our folder.
///
/// # Errors
/// See [`folder`].
pub(super) fn must_be_a_folder(root: &Path) -> io::Result<()> {
    let path = root.join(PRIVATE);
    match fs::symlink_metadata(&path) {
        Ok(found) if !found.is_dir() => Err(not_ours(&path)),
        _ => Ok(()),
    }
}

/// Opens one of our files in this way, without following a link or waiting for a pipe.
///
/// # Errors
/// It is not a plain file, or cannot be opened.
pub(super) fn open(path: &Path, options: &OpenOptions) -> io::Result<File> {
    let is_ours = |found: io::Result<Metadata>| found.is_ok_and(|found| found.is_file());
    let opened = match plain::unfollowed(options) {
        Some(options) => op(|| options.open(path)),
        // A system whose flags are not known here: look first, because opening a pipe would wait.
        None => match fs::symlink_metadata(path) {
            Ok(found) if !found.is_file() => return Err(not_ours(path)),
            _ => op(|| options.open(path)),
        },
    };
    match opened {
        Ok(file) if is_ours(file.metadata()) => Ok(file),
        Ok(_) => Err(not_ours(path)),
        // The system has many words for a link or a pipe that it does not open.
        Err(_) if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) => {
            Err(not_ours(path))
        }
        Err(error) => Err(error),
    }
}

/// Locks one of our files, which is created if it is not there. Waits at most this long for another
/// process that holds it.
///
/// # Errors
/// See [`open`].
pub(super) fn lock(path: &Path, wait: Duration) -> io::Result<Lock> {
    let file = open(path, OpenOptions::new().create(true).append(true))?;
    let until = Instant::now() + wait;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock::Held(file)),
            Err(TryLockError::Error(error)) if is_unsupported(&error) => {
                return Ok(Lock::Unsupported);
            }
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() >= until => return Ok(Lock::Taken),
            Err(TryLockError::WouldBlock) => std::thread::sleep(limits::LOCK_POLL),
        }
    }
}

/// Whether this says that the file system has no locks. `ENOLCK`, which a network file system without its
/// lock service answers, has no kind of its own: 37 on Linux, 77 on macOS and the BSDs.
fn is_unsupported(error: &io::Error) -> bool {
    let no_locks = cfg!(unix) && matches!(error.raw_os_error(), Some(37 | 77));
    error.kind() == io::ErrorKind::Unsupported || no_locks
}

fn not_ours(path: &Path) -> io::Error {
    let what = "something else has the name of a file or folder of the server's own";
    io::Error::other(format!("{}: {what}; remove it", path.display()))
}
