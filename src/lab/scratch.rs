//! For the rooms of the lab that start programs: a temporary folder, and the file of this program.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::error::{Answer, CREATE, Failure, Tried};

pub(super) const START: Tried = ("start", "menjalankan");

/// The file of this program. Where `/proc` is not mounted, as in a bare container, it is found by the word that
/// started it.
pub(super) fn this_program() -> io::Result<PathBuf> {
    std::env::current_exe().or_else(|error| match std::env::args_os().next() {
        Some(word) if Path::new(&word).is_file() => std::path::absolute(word),
        _ => Err(error),
    })
}

/// A folder that is removed when this is dropped. It holds a lock, which the system releases when the program
/// ends: so the next run can remove what a killed run has left.
pub(super) struct TemporaryFolder(pub(super) PathBuf, Option<File>);

const SCRATCH: &str = "connme-scratch-";

impl TemporaryFolder {
    pub(super) fn new() -> Answer<TemporaryFolder> {
        let mut temporary = std::env::temp_dir();
        // A bare container has no such folder.
        if !temporary.is_dir() {
            temporary = std::env::current_dir().unwrap_or(temporary);
        }
        let path = temporary.join(format!("{SCRATCH}{:016x}", crate::store::random()));
        let failed = |error| Failure::local(CREATE, path.display(), error);
        fs::create_dir(&path).map_err(failed)?;
        let mut lock = File::create_new(path.join("lock")).map_err(failed)?;
        let _ = lock.lock();
        // Another run takes a lock file that is free for a dead one's only when it has been locked once.
        let _ = lock.write_all(b"locked");
        for entry in fs::read_dir(&temporary).into_iter().flatten().flatten() {
            if is_left_over(&entry.path(), &path) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        Ok(TemporaryFolder(path, Some(lock)))
    }
}

/// Whether an ended run has left this folder. All users share the temporary folder, so it must be a plain
/// folder with such a name and with a plain lock file in it, and on Unix both must have the owner of `own`.
/// Anything else is not opened.
fn is_left_over(folder: &Path, own: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_ours = name.strip_prefix(SCRATCH).is_some_and(|number| {
        number.len() == 16 && number.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    });
    let look = |path: &Path| fs::symlink_metadata(path).ok().filter(|it| has_same_owner(it, own));
    let lock = folder.join("lock");
    is_ours
        && folder != own
        && look(folder).is_some_and(|it| it.is_dir())
        && look(&lock).is_some_and(|it| it.is_file() && it.len() > 0)
        && File::open(lock).is_ok_and(|lock| lock.try_lock().is_ok())
}

#[cfg(unix)]
fn has_same_owner(found: &fs::Metadata, own: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::symlink_metadata(own).is_ok_and(|own| own.uid() == found.uid())
}

#[cfg(not(unix))]
fn has_same_owner(_: &fs::Metadata, _: &Path) -> bool {
    true
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        self.1 = None;
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_ended_run_has_left_is_removed() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let folder = temporary.path().join(name);
            fs::create_dir(&folder).unwrap();
            folder
        };
        let with_lock = |name: &str| {
            let folder = folder(name);
            fs::write(folder.join("lock"), "locked").unwrap();
            folder
        };
        let own = temporary.path();
        assert!(is_left_over(&with_lock("connme-scratch-0123456789abcdef"), own));
        for name in ["connme-scratch-x", "connme-scratch-FEDCBA9876543210", "scratch"] {
            assert!(!is_left_over(&with_lock(name), own), "{name}");
        }
        assert!(!is_left_over(&folder("connme-scratch-0000000000000000"), own));
        let running = with_lock("connme-scratch-1111111111111111");
        let lock = File::open(running.join("lock")).unwrap();
        lock.lock().unwrap();
        assert!(!is_left_over(&running, own));
        #[cfg(unix)]
        {
            use std::os::unix::fs::symlink;
            let linked = folder("connme-scratch-2222222222222222");
            symlink(running.join("lock"), linked.join("lock")).unwrap();
            assert!(!is_left_over(&linked, own));
            let link = temporary.path().join("connme-scratch-3333333333333333");
            symlink(with_lock("elsewhere"), &link).unwrap();
            assert!(!is_left_over(&link, own));
        }
    }
}
