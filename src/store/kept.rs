//! What has come of downloads that were cut: `.connme/partial/KEY`, in a client's folder. A server keeps none.
//!
//! A key says what the bytes belong to. The file is locked while it is written, and the lock ends with the process.
//! So the next download goes on where this one ended, however it ended, and a second one at the same time does
//! not touch it. A file that is published is put aside before: see [`Draft::publish`].

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::atomic::Draft;
use super::incoming::{Incoming, not_stored};
use super::plain::file_id;
use super::private::{self, PRIVATE};
use super::sha256::{Sha256, Sum};
use super::{FileName, Store};
use crate::error::Result;
use crate::limits;
use crate::store::disk::op;

/// The folder inside the private folder.
const PARTIAL: &str = "partial";

/// Whether anything is kept under this key in the folder at `root`. Creates nothing.
#[must_use]
pub fn is_kept(root: &Path, key: Sum) -> bool {
    fs::symlink_metadata(root.join(PRIVATE).join(PARTIAL).join(key.to_string())).is_ok()
}

impl Store {
    /// Begins a download that is kept under this key if it is cut. If another process writes under this key,
    /// it is one that is not kept.
    ///
    /// # Errors
    /// See [`Store::begin`].
    pub fn begin_kept(&self, name: &FileName, key: Sum) -> Result<Incoming<'_>> {
        let incoming = self.begin(name)?;
        self.sweep_kept();
        let draft = self.partial().and_then(|folder| {
            let path = folder.join(key.to_string());
            if let Some(old) = open_kept(path.clone())? {
                old.discard();
            }
            create_kept(path)
        });
        match draft {
            Ok(Some(draft)) => Ok(incoming.into_draft(draft)),
            Ok(None) => Ok(incoming),
            Err(error) => Err(not_stored(name, &error)),
        }
    }

    /// Goes on with what is kept under this key. Returns it with the sum of its bytes so far and their number.
    /// `None`: nothing is kept, or another process writes it.
    ///
    /// # Errors
    /// See [`Store::begin`], or what is kept cannot be read.
    pub fn resume_kept(
        &self,
        name: &FileName,
        key: Sum,
    ) -> Result<Option<(Incoming<'_>, Sha256, u64)>> {
        self.sweep_kept();
        let failed = |error| not_stored(name, &error);
        let path = self.partial().map_err(failed)?.join(key.to_string());
        let Some(mut draft) = open_kept(path).map_err(failed)? else { return Ok(None) };
        let (sha, length) = draft.sum().map_err(failed)?;
        Ok(Some((self.begin(name)?.into_draft(draft), sha, length)))
    }

    fn partial(&self) -> io::Result<PathBuf> {
        private::folder(&private::folder(&self.root, PRIVATE)?, PARTIAL)
    }

    /// Removes what has been kept too long. What cannot be removed now is tried again the next time.
    fn sweep_kept(&self) {
        let Ok(entries) = self.partial().and_then(fs::read_dir) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            let stem = path.file_stem().and_then(OsStr::to_str);
            let is_ours = stem.and_then(|stem| Sum::parse(stem.as_bytes())).is_some();
            let changed = entry.metadata().and_then(|found| found.modified());
            let is_old =
                changed.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > limits::KEPT_AGE));
            if is_ours
                && is_old
                && let Ok(Some(draft)) = open_kept(path)
            {
                draft.discard();
            }
        }
    }
}

/// Opens and locks what is kept at this path. `None`: nothing is, another process has it, or the file system has
/// no locks.
fn open_kept(path: PathBuf) -> io::Result<Option<Draft>> {
    let file = match private::open(&path, OpenOptions::new().read(true).append(true)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    if file.try_lock().is_err() {
        return Ok(None);
    }
    Ok(still_there(&file, &path)?.then(|| Draft::kept(file, path)))
}

/// Whether the locked file still has this name. Another process may have published or removed it before the lock
/// was free.
fn still_there(file: &fs::File, path: &Path) -> io::Result<bool> {
    let id = file_id(&file.metadata()?);
    Ok(fs::symlink_metadata(path).is_ok_and(|found| file_id(&found) == id))
}

/// Creates and locks an empty file at this path. `None`: another process was faster, or the file system has no
/// locks.
fn create_kept(path: PathBuf) -> io::Result<Option<Draft>> {
    match op(|| OpenOptions::new().append(true).read(true).create_new(true).open(&path)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Ok(file) if file.try_lock().is_ok() => {
            Ok(still_there(&file, &path)?.then(|| Draft::kept(file, path)))
        }
        created => created.map(|_| None),
    }
}

impl<'s> Incoming<'s> {
    fn into_draft(mut self, draft: Draft) -> Incoming<'s> {
        self.draft = draft;
        self
    }

    /// Whether it stays if it is cut.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.draft.is_kept()
    }

    /// Removes what has come, also of a download that would be kept.
    pub fn discard(self) {
        self.draft.discard();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Log;
    use crate::store::Options;
    use crate::store::disk::fault::{Fault, during};
    use std::time::{Duration, SystemTime};

    fn store() -> (tempfile::TempDir, Store, FileName, Sum) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default(), &Log::silent()).unwrap();
        (folder, store, FileName::parse(b"a").unwrap(), key("a"))
    }

    fn key(text: &str) -> Sum {
        let mut sha = Sha256::default();
        sha.update(text.as_bytes());
        sha.sum()
    }

    fn cut(store: &Store, name: &FileName, key: Sum, bytes: &[u8]) {
        let mut incoming = store.begin_kept(name, key).unwrap();
        incoming.expect(Some(9)).unwrap();
        incoming.write(bytes).unwrap();
    }

    #[test]
    fn what_was_cut_goes_on_and_is_published_whole() {
        let (folder, store, name, key) = store();
        assert!(!is_kept(folder.path(), key) && store.resume_kept(&name, key).unwrap().is_none());
        cut(&store, &name, key, b"abc");
        assert!(is_kept(folder.path(), key) && !folder.path().join("a").exists());
        let (mut incoming, mut sha, length) = store.resume_kept(&name, key).unwrap().unwrap();
        sha.update(b"def");
        assert_eq!((length, sha.sum()), (3, self::key("abcdef")));
        incoming.expect(Some(3)).unwrap();
        incoming.write(b"def").unwrap();
        incoming.publish().unwrap();
        assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"abcdef");
        assert!(!is_kept(folder.path(), key));
    }

    #[test]
    fn a_download_that_begins_again_or_is_discarded_leaves_nothing_of_the_old_one() {
        let (folder, store, name, key) = store();
        cut(&store, &name, key, b"abcdef");
        cut(&store, &name, key, b"xy");
        let (incoming, _, length) = store.resume_kept(&name, key).unwrap().unwrap();
        assert_eq!(length, 2);
        incoming.discard();
        assert!(!is_kept(folder.path(), key));
    }

    #[test]
    fn one_process_at_a_time_writes_what_is_kept() {
        let (folder, store, name, key) = store();
        let mut first = store.begin_kept(&name, key).unwrap();
        first.expect(Some(3)).unwrap();
        first.write(b"abc").unwrap();
        assert!(store.resume_kept(&name, key).unwrap().is_none());
        cut(&store, &name, key, b"xyz");
        first.publish().unwrap();
        assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"abc");
        // The second one was not kept.
        assert!(!is_kept(folder.path(), key));
    }

    #[test]
    fn what_is_old_is_removed_and_what_is_not_ours_stays() {
        let (folder, store, name, key) = store();
        let partial = store.partial().unwrap();
        cut(&store, &name, key, b"abc");
        let set_age = |path: &Path, age| {
            let file = OpenOptions::new().append(true).open(path).unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
        };
        let day = Duration::from_secs(24 * 60 * 60);
        fs::write(partial.join("notes"), "").unwrap();
        set_age(&partial.join("notes"), day * 30);
        set_age(&partial.join(key.to_string()), day * 6);
        store.sweep_kept();
        assert!(is_kept(folder.path(), key));
        set_age(&partial.join(key.to_string()), day * 8);
        cut(&store, &name, self::key("b"), b"abc");
        assert!(!is_kept(folder.path(), key) && is_kept(folder.path(), self::key("b")));
        assert!(partial.join("notes").exists());
    }

    /// A kill at any moment of a publication, then the same download again, which finds another file there.
    #[test]
    fn a_file_that_was_published_is_never_written_to() {
        let go_on = |store: &Store, name: &FileName, key: Sum, bytes: &[u8]| {
            let resumed = store.resume_kept(name, key).unwrap();
            let mut incoming = resumed
                .map_or_else(|| store.begin_kept(name, key).unwrap(), |(incoming, ..)| incoming);
            incoming.expect(Some(bytes.len() as u64))?;
            incoming.write(bytes)?;
            incoming.publish().map(drop)
        };
        for fault in [Fault::Fails, Fault::Ends] {
            for k in 1.. {
                let (folder, store, name, key) = store();
                cut(&store, &name, key, b"abc");
                let (mut incoming, ..) = store.resume_kept(&name, key).unwrap().unwrap();
                incoming.expect(Some(3)).unwrap();
                incoming.write(b"def").unwrap();
                let (stored, came) = during(k, fault, || incoming.publish().map(drop));
                let target = folder.path().join("a");
                let is_published = target.exists();
                assert!(is_published || stored.is_err());
                // What failed can still be continued; of what was killed, that is not always known.
                let kept = store.resume_kept(&name, key).unwrap().map(|(.., length)| length);
                assert!(kept.is_none_or(|length| length == 6));
                assert!(kept.is_some() || is_published || fault == Fault::Ends);
                go_on(&store, &name, key, b"ghi").unwrap();
                if is_published {
                    assert_eq!(fs::read(target).unwrap(), b"abcdef");
                }
                if !came {
                    assert!(k > 3, "{k}");
                    break;
                }
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_place_of_what_is_kept_is_not_followed() {
        let (folder, store, name, key) = store();
        let precious = folder.path().join("precious");
        fs::write(&precious, "precious").unwrap();
        let planted = store.partial().unwrap().join(key.to_string());
        std::os::unix::fs::symlink(&precious, planted).unwrap();
        assert!(store.begin_kept(&name, key).is_err() && store.resume_kept(&name, key).is_err());
        assert_eq!(fs::read(precious).unwrap(), b"precious");
    }
}
