//! What has come of downloads that were cut: `.connme/partial/KEY`, in the downloads folder. A server has none.
//!
//! A key says what the bytes belong to. The file is locked while it is written, and the lock ends with the process.
//! So the next download goes on where this one ended, however it ended, and a second one at the same time does
//! not touch it. A file that is complete becomes an ordinary draft before it gets its name: see
//! [`Incoming::publish`]. So a kill in the middle never leaves a published file here.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::sha256::{Sha256, Sum};
use crate::store::{FileName, Incoming, Store, private};

/// The folder inside the private folder.
const PARTIAL: &str = "partial";

/// How long what has come of a download is kept.
const AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Whether anything is kept under this key in the folder at `root`. Creates nothing.
pub(super) fn exists(root: &Path, key: Sum) -> bool {
    let folder = root.join(private::PRIVATE).join(PARTIAL);
    fs::symlink_metadata(folder.join(key.to_string())).is_ok()
}

/// Begins a download that is kept under this key if it is cut. If another process writes under this key,
/// it is one that is not kept.
pub(super) fn begin<'s>(store: &'s Store, name: &FileName, key: Sum) -> Result<Incoming<'s>> {
    let incoming = store.begin(name.clone())?;
    let path = partial_folder(store)?.join(key.to_string());
    if let Some(old) = open(&path)? {
        discard(old, &path);
    }
    Ok(match create(&path)? {
        Some(file) => incoming.into_kept(file, path),
        None => incoming,
    })
}

/// Goes on with what is kept under this key. Returns it with the sum of its bytes so far and their number. `watch` is
/// told how many of them were read, and returns whether to go on. `None`: nothing is kept, another process writes it,
/// or the user wants no more.
pub(super) fn resume<'s>(
    store: &'s Store,
    name: &FileName,
    key: Sum,
    watch: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Option<(Incoming<'s>, Sha256, u64)>> {
    let path = partial_folder(store)?.join(key.to_string());
    let Some(mut file) = open(&path)? else { return Ok(None) };
    let (mut sha, mut length, mut buffer) = (Sha256::default(), 0, vec![0; 64 << 10]);
    let size = file.metadata().map_or(0, |found| found.len());
    loop {
        if !watch(length, size) {
            return Ok(None);
        }
        match file.read(&mut buffer).map_err(|error| failed(&path, &error))? {
            0 => break,
            n => {
                sha.update(buffer.get(..n).unwrap_or_default());
                length += n as u64;
            }
        }
    }
    Ok(Some((store.begin(name.clone())?.into_kept(file, path), sha, length)))
}

/// The folder, without what has been kept too long.
fn partial_folder(store: &Store) -> Result<PathBuf> {
    let folder = store.private_folder(PARTIAL)?;
    // What cannot be removed now is tried again the next time.
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let stem = path.file_stem().and_then(OsStr::to_str);
        let is_ours = stem.and_then(|stem| Sum::parse(stem.as_bytes())).is_some();
        let changed = entry.metadata().and_then(|found| found.modified());
        let is_old = changed.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > AGE));
        if is_ours
            && is_old
            && let Ok(Some(file)) = open(&path)
        {
            discard(file, &path);
        }
    }
    Ok(folder)
}

/// Opens and locks what is kept at this path. `None`: nothing is, another process has it, or the file system has
/// no locks.
fn open(path: &Path) -> Result<Option<File>> {
    let file = match private::open(path, OpenOptions::new().read(true).append(true)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(|error| failed(path, &error))?,
    };
    // Another process may have removed or published it before the lock was free.
    Ok((file.try_lock().is_ok() && private::leads_to(path, &file)).then_some(file))
}

/// Creates and locks an empty file at this path. `None`: another process was faster, or the file system has no
/// locks.
fn create(path: &Path) -> Result<Option<File>> {
    match OpenOptions::new().append(true).read(true).create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(failed(path, &error)),
        Ok(file) => Ok((file.try_lock().is_ok() && private::leads_to(path, &file)).then_some(file)),
    }
}

/// Removes a file while it is locked: no other process goes on with it meanwhile.
fn discard(file: File, path: &Path) {
    let _ = fs::remove_file(path);
    drop(file);
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::io(format!("keep {}", path.display()), error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::tests::ALONE;
    use crate::error::lock;
    use crate::log::Log;
    use crate::store::Options;
    use crate::store::disk::fault::{Fault, during};
    use std::sync::MutexGuard;
    use std::time::SystemTime;

    /// A folder in which no lock is inherited by a process that another test starts.
    struct Folder(
        tempfile::TempDir,
        #[allow(dead_code, reason = "it is held")] MutexGuard<'static, ()>,
    );

    impl Folder {
        fn path(&self) -> &Path {
            self.0.path()
        }
    }

    fn fixture() -> (Folder, Store, FileName, Sum) {
        let folder = Folder(tempfile::tempdir().unwrap(), lock(&ALONE));
        let store = Store::open(folder.path(), Options::default(), &Log::default()).unwrap();
        (folder, store, FileName::parse(b"a").unwrap(), key("a"))
    }

    fn key(text: &str) -> Sum {
        let mut sha = Sha256::default();
        sha.update(text.as_bytes());
        sha.sum()
    }

    fn cut(store: &Store, name: &FileName, key: Sum, bytes: &[u8]) {
        let mut incoming = begin(store, name, key).unwrap();
        incoming.must_have_room(9).unwrap();
        incoming.write(bytes).unwrap();
    }

    #[test]
    fn what_was_cut_goes_on_and_is_published_whole() {
        let (folder, store, name, key) = fixture();
        assert!(
            !exists(folder.path(), key)
                && resume(&store, &name, key, &mut |_, _| true).unwrap().is_none()
        );
        cut(&store, &name, key, b"abc");
        assert!(exists(folder.path(), key) && !folder.path().join("a").exists());
        let (mut incoming, mut sha, length) =
            resume(&store, &name, key, &mut |_, _| true).unwrap().unwrap();
        sha.update(b"def");
        assert_eq!((length, sha.sum()), (3, self::key("abcdef")));
        incoming.must_have_room(3).unwrap();
        incoming.write(b"def").unwrap();
        incoming.publish().unwrap();
        assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"abcdef");
        assert!(!exists(folder.path(), key));
    }

    #[test]
    fn a_download_that_begins_again_or_is_discarded_leaves_nothing_of_the_old_one() {
        let (folder, store, name, key) = fixture();
        cut(&store, &name, key, b"abcdef");
        cut(&store, &name, key, b"xy");
        let (incoming, _, length) = resume(&store, &name, key, &mut |_, _| true).unwrap().unwrap();
        assert_eq!(length, 2);
        incoming.discard();
        assert!(!exists(folder.path(), key));
    }

    /// Ctrl-C ends the reading of a large part, and what is here stays.
    #[test]
    fn how_much_was_read_is_told_and_the_user_may_end_it() {
        let (folder, store, name, key) = fixture();
        cut(&store, &name, key, b"abc");
        let mut told = Vec::new();
        let mut watch = |done, of| {
            told.push((done, of));
            done == 0
        };
        assert!(resume(&store, &name, key, &mut watch).unwrap().is_none());
        assert_eq!(told, [(0, 3), (3, 3)]);
        assert!(exists(folder.path(), key));
        assert_eq!(resume(&store, &name, key, &mut |_, _| true).unwrap().unwrap().2, 3);
    }

    #[test]
    fn one_process_at_a_time_writes_what_is_kept() {
        let (folder, store, name, key) = fixture();
        let mut first = begin(&store, &name, key).unwrap();
        first.must_have_room(3).unwrap();
        first.write(b"abc").unwrap();
        assert!(resume(&store, &name, key, &mut |_, _| true).unwrap().is_none());
        cut(&store, &name, key, b"xyz");
        first.publish().unwrap();
        assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"abc");
        // The second one was not kept.
        assert!(!exists(folder.path(), key));
        // What cannot be kept for another reason is a failure.
        assert!(create(&folder.path().join("missing/a")).is_err());
    }

    #[test]
    fn what_is_old_is_removed_and_what_is_not_ours_stays() {
        let (folder, store, name, key) = fixture();
        let partial = partial_folder(&store).unwrap();
        cut(&store, &name, key, b"abc");
        let set_age = |path: &Path, age| {
            let file = OpenOptions::new().append(true).open(path).unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
        };
        let day = Duration::from_secs(24 * 60 * 60);
        fs::write(partial.join("notes"), "").unwrap();
        set_age(&partial.join("notes"), day * 30);
        set_age(&partial.join(key.to_string()), day * 6);
        partial_folder(&store).unwrap();
        assert!(exists(folder.path(), key));
        set_age(&partial.join(key.to_string()), day * 8);
        cut(&store, &name, self::key("b"), b"abc");
        assert!(!exists(folder.path(), key) && exists(folder.path(), self::key("b")));
        assert!(partial.join("notes").exists());
    }

    /// A kill at any moment of a publication, then the same download again, which finds another file there.
    #[test]
    fn a_file_that_was_published_is_never_written_to() {
        let go_on = |store: &Store, name: &FileName, key: Sum, bytes: &[u8]| {
            let resumed = resume(store, name, key, &mut |_, _| true).unwrap();
            let mut incoming =
                resumed.map_or_else(|| begin(store, name, key).unwrap(), |(incoming, ..)| incoming);
            incoming.must_have_room(bytes.len() as u64)?;
            incoming.write(bytes)?;
            incoming.publish().map(drop)
        };
        for fault in [Fault::Fails, Fault::Ends] {
            for k in 1.. {
                let (folder, store, name, key) = fixture();
                cut(&store, &name, key, b"abc");
                let (mut incoming, ..) =
                    resume(&store, &name, key, &mut |_, _| true).unwrap().unwrap();
                incoming.must_have_room(3).unwrap();
                incoming.write(b"def").unwrap();
                let (stored, came) = during(k, fault, || incoming.publish().map(drop));
                let target = folder.path().join("a");
                let is_published = target.exists();
                assert!(is_published || stored.is_err());
                // What fails or is killed on its way to its name begins again.
                let kept = resume(&store, &name, key, &mut |_, _| true)
                    .unwrap()
                    .map(|(.., length)| length);
                assert!(kept.is_none_or(|length| length == 6 && !is_published));
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
        let (folder, store, name, key) = fixture();
        let precious = folder.path().join("precious");
        fs::write(&precious, "precious").unwrap();
        let planted = partial_folder(&store).unwrap().join(key.to_string());
        std::os::unix::fs::symlink(&precious, planted).unwrap();
        assert!(
            begin(&store, &name, key).is_err()
                && resume(&store, &name, key, &mut |_, _| true).is_err()
        );
        assert_eq!(fs::read(precious).unwrap(), b"precious");
    }
}
