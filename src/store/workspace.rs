//! A server's own corner of the store: `.connme/incoming/ID/`, where its uploads grow.
//!
//! Its `lock` file is locked for as long as the server lives, and the system lets go of it however
//! the server ends. So whoever starts next can tell the leftovers of the dead, which it sweeps, from
//! the uploads of the living, which it leaves alone.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::random;
use crate::atomic::Draft;
use crate::disk::op;

/// The folder inside the root that is out of every client's reach.
pub(super) const PRIVATE: &str = ".connme";

pub(super) struct Workspace {
    folder: PathBuf,
    lock: Option<File>,
    drafts: AtomicU64,
}

impl Workspace {
    /// Sweeps what dead servers left, then makes a corner of our own. `alone` is done before anyone
    /// else can start, if no other server is at work in this root.
    pub(super) fn claim(root: &Path, alone: impl FnOnce()) -> io::Result<Workspace> {
        let private = root.join(PRIVATE);
        match op(|| fs::create_dir(&private)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        // A link here would lead all that is ours to somewhere else.
        if !op(|| fs::symlink_metadata(&private))?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let incoming = private.join("incoming");
        op(|| fs::create_dir_all(&incoming))?;

        // One start at a time: between making a lock file and locking it, it looks like a dead one's.
        let starting = open_lock(&private.join("starting"))?;
        // Where there are no locks, nothing looks dead, and nothing is swept.
        let _ = starting.lock();
        if sweep(&incoming)? == 0 {
            alone();
        }
        let folder = incoming.join(format!("{:016x}", random()));
        op(|| fs::create_dir(&folder))?;
        let lock = open_lock(&folder.join("lock"))?;
        let _ = lock.try_lock();
        Ok(Workspace { folder, lock: Some(lock), drafts: AtomicU64::new(0) })
    }

    /// A new draft for an upload.
    pub(super) fn draft(&self) -> io::Result<Draft> {
        let n = self.drafts.fetch_add(1, Ordering::Relaxed);
        Draft::create(self.folder.join(n.to_string()))
    }
}

impl Drop for Workspace {
    /// An orderly end leaves nothing to sweep. Windows removes no file that is open.
    fn drop(&mut self) {
        self.lock = None;
        let _ = op(|| fs::remove_dir_all(&self.folder));
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    op(|| OpenOptions::new().create(true).append(true).open(path))
}

/// Removes the corners whose owners are gone, and counts the others. On a file system without locks
/// nobody can tell, and nothing is removed.
fn sweep(incoming: &Path) -> io::Result<usize> {
    let mut living: usize = 0;
    for entry in op(|| fs::read_dir(incoming))? {
        let folder = entry?.path();
        // Unlocked again before the removal, for Windows: under the start's lock nobody takes it.
        let dead = match open_lock(&folder.join("lock")) {
            Ok(lock) => lock.try_lock().is_ok(),
            Err(_) => false,
        };
        if !dead {
            living = living.saturating_add(1);
        } else {
            // Two causes to fail, neither to stop a start: it is gone already, or it stays until the
            // next one.
            let _ = op(|| fs::remove_dir_all(&folder));
        }
    }
    Ok(living)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corners(root: &Path) -> usize {
        fs::read_dir(root.join(PRIVATE).join("incoming")).unwrap().count()
    }

    #[test]
    fn the_dead_are_swept_and_the_living_are_not() {
        let root = tempfile::tempdir().unwrap();
        let living = Workspace::claim(root.path(), || {}).unwrap();
        let mut draft = living.draft().unwrap();
        draft.write(b"half").unwrap();
        let dead = Workspace::claim(root.path(), || {}).unwrap();
        let left = dead.draft().unwrap();
        // What a kill leaves: the files stay, the lock goes with its owner.
        let folder = dead.folder.clone();
        std::mem::forget(left);
        let mut dead = std::mem::ManuallyDrop::new(dead);
        dead.lock = None;
        assert!(folder.join("0").exists());
        assert_eq!(corners(root.path()), 2);

        let next = Workspace::claim(root.path(), || {}).unwrap();
        assert!(!folder.exists());
        assert!(living.folder.join("0").exists());
        assert_eq!(corners(root.path()), 2);
        drop((next, draft, living));
        assert_eq!(corners(root.path()), 0);
    }
}
