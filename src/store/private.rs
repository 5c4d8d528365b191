//! Opens what is inside `.connme`: plain folders and plain files that a server made, and nothing else.
//!
//! Another program may have put something there under one of these names: a folder that was copied or cloned
//! can contain a symbolic link or a pipe. So nothing here is followed or waited for. A link or a pipe in the
//! place of a file of the server is an error, and what has another name is left alone.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::plain;
use crate::store::disk::{self, op};

/// How often such a lock is tried: the standard library has no lock with a deadline.
const LOCK_POLL: Duration = Duration::from_millis(2);
/// How often it is tried at least: a thread may have waited for others of its own server until its time was up.
const LEAST_TRIES: u32 = 100;

/// The folder inside the root that is out of every client's reach.
pub(crate) const PRIVATE: &str = ".connme";

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

/// The path of `.connme` in this root, which need not exist.
///
/// # Errors
/// Something else has this name, such as a link to another folder.
pub(super) fn path_in(root: &Path) -> io::Result<PathBuf> {
    let path = root.join(PRIVATE);
    let is_ours = disk::look(&path)?.is_none_or(|found| found.is_dir());
    if is_ours { Ok(path) } else { Err(not_ours(&path)) }
}

/// Opens one of the server's files with these options. Looks first, because opening a pipe would wait.
///
/// # Errors
/// It is not a plain file, or cannot be opened.
pub(crate) fn open(path: &Path, options: &OpenOptions) -> io::Result<File> {
    if disk::look(path)?.is_some_and(|found| !found.is_file()) {
        return Err(not_ours(path));
    }
    op(|| options.open(path))
}

/// Whether this path still leads to this open file. Where files have no numbers, any file counts as this one.
pub(crate) fn leads_to(path: &Path, file: &File) -> bool {
    let found = fs::symlink_metadata(path).and_then(|there| Ok((there, file.metadata()?)));
    found.is_ok_and(|(there, open)| plain::same_file(&there, &open))
}

/// Locks one of the server's files, which is created if it does not exist: for one process alone, or for several, as
/// `try_lock` does it. The lock is held until the file is dropped. `None`: the file system has no locks.
///
/// # Errors
/// See [`open`], or another process still holds the lock at this moment.
pub(super) fn lock(
    try_lock: fn(&File) -> Result<(), TryLockError>,
    path: &Path,
    until: Instant,
) -> io::Result<Option<File>> {
    // Windows locks no file that was opened for appending alone.
    let file = open(path, OpenOptions::new().create(true).read(true).append(true))?;
    let mut tries = 0;
    loop {
        tries += 1;
        match try_lock(&file) {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(error)) if is_unsupported(&error) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if tries >= LEAST_TRIES && Instant::now() >= until => {
                let what = format!("another process holds the lock on {}", path.display());
                return Err(io::Error::other(what));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_POLL),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::disk::fault::{Fault, during};
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn a_lock_is_held_once_and_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = lock(File::try_lock, &path, Instant::now()).unwrap();
        assert!(first.is_some());
        let until = Instant::now() + Duration::from_millis(20);
        let second = lock(File::try_lock, &path, until).unwrap_err();
        assert!(second.to_string().contains("another process holds the lock"), "{second}");
        assert!(Instant::now() >= until);
        drop(first);
        // A process that another test starts has a copy of every open file for a moment.
        let until = Instant::now() + Duration::from_secs(60);
        assert!(lock(File::try_lock, &path, until).unwrap().is_some());
    }

    /// Under load it was not tried again, because the wait for other threads had taken all the time there was.
    #[test]
    fn a_lock_is_tried_often_also_if_there_is_no_time_left() {
        static TRIES: AtomicU32 = AtomicU32::new(1);
        let late = |_: &File| match TRIES.fetch_add(1, Ordering::Relaxed) {
            LEAST_TRIES => Ok(()),
            _ => Err(TryLockError::WouldBlock),
        };
        let folder = tempfile::tempdir().unwrap();
        assert!(lock(late, &folder.path().join("lock"), Instant::now()).unwrap().is_some());
    }

    #[test]
    fn a_file_system_without_locks_is_recognised() {
        let folder = tempfile::tempdir().unwrap();
        let lock = |try_lock: fn(&File) -> Result<(), TryLockError>| {
            lock(try_lock, &folder.path().join("lock"), Instant::now())
        };
        let none = lock(|_| Err(TryLockError::Error(io::ErrorKind::Unsupported.into())));
        assert!(none.unwrap().is_none());
        assert!(
            lock(|_| Err(TryLockError::Error(io::ErrorKind::PermissionDenied.into()))).is_err()
        );
        let none = lock(|_| Err(TryLockError::Error(io::Error::from_raw_os_error(37))));
        assert_eq!(none.is_ok_and(|held| held.is_none()), cfg!(unix));
    }

    #[test]
    fn what_another_program_has_put_there_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        path_in(root).unwrap();
        assert_eq!(folder(root, PRIVATE).unwrap(), root.join(PRIVATE));
        path_in(root).unwrap();
        assert_eq!(folder(root, PRIVATE).unwrap(), root.join(PRIVATE));
        let missing = folder(&root.join("missing"), "a").unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        // Why it could not be created, and not that it is missing.
        let (failed, _) = during(1, Fault::Fails, || folder(root, "b"));
        assert_eq!(failed.unwrap_err().to_string(), "a fault of the test's");
        let refused = |error: io::Error| error.to_string().contains("something else has the name");
        let reading = || OpenOptions::new().read(true).clone();
        assert!(refused(open(&root.join(PRIVATE), &reading()).unwrap_err()));
        let missing = open(&root.join("missing"), &reading()).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        fs::remove_dir(root.join(PRIVATE)).unwrap();
        fs::write(root.join(PRIVATE), "").unwrap();
        assert!(open(&root.join(PRIVATE), &reading()).is_ok());
        assert!(refused(folder(root, PRIVATE).unwrap_err()));
        assert!(refused(path_in(root).unwrap_err()));
    }
}
