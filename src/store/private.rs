//! Opens what is inside `.connme`: plain folders and plain files that a server made, and nothing else.
//!
//! Another program may have put something there under one of these names: a folder that was copied or cloned
//! can contain a symbolic link or a pipe. So nothing here is followed or waited for. A link or a pipe in the
//! place of a file of the server is an error, and what has another name is left alone.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::plain;
use crate::limits;
use crate::store::disk::op;

/// The folder inside the root that is out of every client's reach.
pub(super) const PRIVATE: &str = ".connme";

/// The folder of this name in `parent`, created if it does not exist.
///
/// # Errors
/// Something else has the name, or the folder cannot be created.
pub(super) fn folder(parent: &Path, name: &str) -> io::Result<PathBuf> {
    let path = parent.join(name);
    match op(|| fs::create_dir(&path)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ if op(|| fs::symlink_metadata(&path))?.is_dir() => Ok(path),
        _ => Err(not_ours(&path)),
    }
}

/// Refuses a root in which something else has the name of the server's own folder.
///
/// # Errors
/// See [`folder`].
pub(super) fn must_be_a_folder(root: &Path) -> io::Result<()> {
    let path = root.join(PRIVATE);
    let is_taken = fs::symlink_metadata(&path).is_ok_and(|found| !found.is_dir());
    if is_taken { Err(not_ours(&path)) } else { Ok(()) }
}

/// Opens one of the server's files with these options, without following a link or waiting for a pipe.
///
/// # Errors
/// It is not a plain file, or cannot be opened.
pub(super) fn open(path: &Path, options: &OpenOptions) -> io::Result<File> {
    let is_something_else =
        || fs::symlink_metadata(path).is_ok_and(|found: Metadata| !found.is_file());
    let opened = match plain::unfollowed(options) {
        Some(options) => op(|| options.open(path)),
        // The flags of this system are not known here: look first, because opening a pipe would wait.
        None if is_something_else() => Err(not_ours(path)),
        None => op(|| options.open(path)),
    };
    match opened {
        Ok(file) if file.metadata()?.is_file() => Ok(file),
        Ok(_) => Err(not_ours(path)),
        // Systems have many errors for a link or a pipe that they do not open.
        Err(_) if is_something_else() => Err(not_ours(path)),
        Err(error) => Err(error),
    }
}

/// Locks one of the server's files, which is created if it does not exist. The lock is held until the file is
/// dropped. `None`: the file system has no locks.
///
/// # Errors
/// See [`open`], or another process has held the lock for this long.
pub(super) fn lock(path: &Path, wait: Duration) -> io::Result<Option<File>> {
    let file = open(path, OpenOptions::new().create(true).append(true))?;
    let until = Instant::now() + wait;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(error)) if is_unsupported(&error) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() >= until => {
                let what = format!("another process holds the lock on {}", path.display());
                return Err(io::Error::other(what));
            }
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
    let what = "something else has the name of one of the server's own files or folders";
    io::Error::other(format!("{}: {what}; remove it", path.display()))
}
