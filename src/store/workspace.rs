//! A server's own folder in the store: `.connme/incoming/ID/`, where its uploads are written.
//!
//! ```text
//! .connme/starting               locked while a server starts
//! .connme/incoming/ID/lock       locked as long as the server ID runs
//! .connme/incoming/ID/17         an upload that has begun
//! .connme/incoming/ID/taken/     a file that is being removed, under its name: see `remove_if`
//! ```
//!
//! The system releases the lock however the server ends. So the next start removes the folders of dead servers
//! and leaves those of running ones.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::atomic::{Draft, Publishing, RenameLock};
use super::name::{FileName, is_number};
use super::plain::file_id;
use super::private::{self, PRIVATE};
use super::random;
use crate::error::lock;
use crate::limits;
use crate::store::disk::{self, op};

const LOCK: &str = "lock";

/// The folder for a file that is being removed. It is made at the start: on a full disk it could not be made
/// later, and that is when files are removed.
const TAKEN: &str = "taken";

pub(super) struct Workspace {
    root: PathBuf,
    folder: PathBuf,
    lock: Option<File>,
    /// The number of the next draft.
    next: AtomicU64,
    /// How a draft gets its final name in this root.
    publishing: Publishing,
    rename_lock: RenameLock,
    /// Held while a file is in [`TAKEN`]: there is one at a time.
    taken: Mutex<()>,
    /// The file system that drafts are on.
    device: Option<u64>,
}

impl Workspace {
    /// Removes what dead servers left, makes a folder for this server, and finds out what the file system can
    /// do. `publishing` is for tests: the way to use instead.
    pub(super) fn claim(root: &Path, publishing: Option<Publishing>) -> io::Result<Workspace> {
        let private = private::folder(root, PRIVATE)?;
        let incoming = private::folder(&private, "incoming")?;
        let rename_lock = RenameLock::new(private.join("renaming"));
        // One start at a time: between creating a lock file and locking it, it looks like that of a dead server.
        // Where there are no locks, dead servers look like running ones, and nothing is removed.
        let starting = private::lock(&private.join("starting"), limits::START_WAIT)?;
        let folder = incoming.join(format!("{:016x}", random()));
        op(|| fs::create_dir(&folder))?;
        let lock = private::lock(&folder.join(LOCK), limits::START_WAIT)?;
        op(|| fs::create_dir(folder.join(TAKEN)))?;
        let device = device(&folder)?;
        let publishing = match publishing {
            Some(publishing) => publishing,
            None if has_links(&folder, root)? => Publishing::Link,
            None if starting.is_some() => Publishing::LockedRename,
            None => Publishing::Rename,
        };
        let workspace = Workspace {
            root: root.to_owned(),
            folder,
            lock,
            next: AtomicU64::new(0),
            publishing,
            rename_lock,
            taken: Mutex::default(),
            device,
        };
        if starting.is_some() {
            workspace.clear_dead_servers(&incoming)?;
        }
        Ok(workspace)
    }

    pub(super) fn publishing(&self) -> Publishing {
        self.publishing
    }

    /// A new draft for an upload.
    pub(super) fn draft(&self) -> io::Result<Draft> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Draft::create(self.folder.join(number.to_string()))
    }

    /// Gives a finished draft its final name: see [`Draft::publish`].
    pub(super) fn publish(&self, draft: &mut Draft, target: &Path) -> io::Result<bool> {
        draft.publish(target, self.publishing, &self.rename_lock)
    }

    /// Whether a draft can get a name in this folder, as far as can be known before.
    pub(super) fn reaches(&self, folder: &Path) -> io::Result<bool> {
        Ok(device(folder)? == self.device)
    }

    /// Whether the folder still exists.
    pub(super) fn exists(&self) -> bool {
        self.folder.join(TAKEN).is_dir()
    }

    /// Moves what has this name at the top of the root out of it, and removes it if it is the file that
    /// `is_meant` accepts; anything else is put back. A look and then a removal could remove a file that took
    /// the name in between.
    pub(super) fn remove_if(
        &self,
        name: &FileName,
        is_meant: impl FnOnce(&Metadata) -> bool,
    ) -> io::Result<bool> {
        let _one_at_a_time = lock(&self.taken);
        let taken = self.folder.join(TAKEN).join(name.last());
        if disk::look(&taken)?.is_some() {
            // What could not be put back the last time must not be replaced now.
            self.put_back(&taken)?;
        }
        op(|| fs::rename(self.root.join(name.last()), &taken))?;
        let removed = match op(|| fs::symlink_metadata(&taken)) {
            Ok(found) if is_meant(&found) => op(|| fs::remove_file(&taken)).map(|()| true),
            found => found.map(|_| false),
        };
        if !matches!(removed, Ok(true)) {
            self.put_back(&taken)?;
        }
        removed
    }

    /// Gives what was moved away its name again, or the first free number of it. Replaces nothing.
    fn put_back(&self, taken: &Path) -> io::Result<()> {
        let name = taken.file_name().and_then(OsStr::to_str).map(str::as_bytes);
        let Some(Ok(name)) = name.map(FileName::parse) else { return Ok(()) };
        if op(|| fs::symlink_metadata(taken))?.is_dir() {
            // A folder has no second name. No system lets it replace a file, or a folder with files in it.
            return op(|| fs::rename(taken, self.root.join(name.last())));
        }
        let mut wanted = name.clone();
        let mut file = Draft::finished(taken.to_owned());
        for n in 1.. {
            match self.publish(&mut file, &self.root.join(wanted.last())) {
                Ok(true) => break,
                Ok(false) => wanted = name.numbered(n),
                Err(error) => {
                    // It stays where it is, and is not lost: the next start tries again.
                    std::mem::forget(file);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Removes the folders of dead servers. What is in one of them and has a name that no server gives stays,
    /// and so does the folder.
    fn clear_dead_servers(&self, incoming: &Path) -> io::Result<()> {
        for entry in op(|| fs::read_dir(incoming))? {
            let folder = entry?.path();
            if folder != self.folder && is_ours(&folder) && is_dead(&folder) {
                // It fails for two reasons, and neither may stop a start: the folder is gone already, or it
                // stays until the next start.
                let _ = self.clear(&folder);
            }
        }
        Ok(())
    }

    fn clear(&self, folder: &Path) -> io::Result<()> {
        for entry in op(|| fs::read_dir(folder))? {
            let entry = entry?;
            let (path, kind, name) = (entry.path(), entry.file_type()?, entry.file_name());
            if kind.is_dir() && name == TAKEN {
                self.put_all_back(&path)?;
            } else if kind.is_file() && name.to_str().is_some_and(is_number) {
                op(|| fs::remove_file(&path))?;
            }
        }
        // The lock is removed last: a folder without one belongs to a dead server too.
        let lock = folder.join(LOCK);
        if disk::look(&lock)?.is_some_and(|found| found.is_file()) {
            op(|| fs::remove_file(&lock))?;
        }
        op(|| fs::remove_dir(folder))
    }

    /// Puts back the file that a dead server had moved away. Anything else stays: another program has put it
    /// here, or a folder took the name of the file in the moment in which the server died.
    fn put_all_back(&self, folder: &Path) -> io::Result<()> {
        for entry in op(|| fs::read_dir(folder))? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                self.put_back(&entry.path())?;
            }
        }
        op(|| fs::remove_dir(folder))
    }
}

impl Drop for Workspace {
    /// Leaves nothing to clear. The lock is released first, because Windows removes no open file.
    fn drop(&mut self) {
        self.lock = None;
        let _ = self.clear(&self.folder);
    }
}

/// Whether a hard link can be made from this folder to the root. If both are on one file system, one is tried
/// between two names inside the folder.
fn has_links(folder: &Path, root: &Path) -> io::Result<bool> {
    if device(folder)? != device(root)? {
        return Err(io::Error::other(".connme in it is on another file system"));
    }
    let (one, other) = (folder.join("0"), folder.join("1"));
    let made = Draft::create(one.clone())?;
    let linked = op(|| fs::hard_link(&one, &other)).map(|()| Draft::finished(other));
    drop(made);
    Ok(linked.is_ok())
}

/// The number of the file system that a folder is on, where the system has one.
fn device(folder: &Path) -> io::Result<Option<u64>> {
    Ok(file_id(&op(|| fs::symlink_metadata(folder))?).map(|(device, _)| device))
}

/// Whether this is a folder with a name that only a start gives.
fn is_ours(folder: &Path) -> bool {
    let hex = |name: &str| name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let name = folder.file_name().and_then(OsStr::to_str);
    name.is_some_and(hex) && fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir())
}

/// Whether no process holds the lock of this folder. Its server has held it since shortly after it made the
/// folder, and no server is in between: only one starts at a time.
fn is_dead(folder: &Path) -> bool {
    match private::open(&folder.join(LOCK), OpenOptions::new().read(true)) {
        // Unlocked again before the removal, for Windows. No other server takes it during a start. A shared
        // lock is enough to ask, and the only one that NFS gives on a file that is open for reading.
        Ok(lock) => lock.try_lock_shared().is_ok(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(root: &Path) -> usize {
        fs::read_dir(root.join(PRIVATE).join("incoming")).unwrap().count()
    }

    fn claim(root: &Path) -> Workspace {
        Workspace::claim(root, None).unwrap()
    }

    /// What a kill leaves: the files stay, the lock goes with its owner.
    fn kill(workspace: Workspace) -> PathBuf {
        let mut workspace = std::mem::ManuallyDrop::new(workspace);
        workspace.lock = None;
        workspace.folder.clone()
    }

    #[test]
    fn dead_servers_are_cleared_and_running_ones_are_not() {
        let root = tempfile::tempdir().unwrap();
        let running = claim(root.path());
        let mut draft = running.draft().unwrap();
        draft.write(b"half").unwrap();
        let dead = claim(root.path());
        let mut left = dead.draft().unwrap();
        // The system does that when a process ends.
        left.close();
        std::mem::forget(left);
        let folder = kill(dead);
        assert!(folder.join("0").exists());
        assert_eq!(folders(root.path()), 2);

        let next = claim(root.path());
        assert!(!folder.exists());
        assert!(running.folder.join("0").exists());
        assert_eq!(folders(root.path()), 2);
        drop((next, draft, running));
        assert_eq!(folders(root.path()), 0);
    }

    /// `.connme/incoming -> DIR` removed every folder in DIR; a git repository can carry such a link.
    #[cfg(unix)]
    #[test]
    fn what_is_not_ours_is_not_followed_waited_for_or_removed() {
        use std::os::unix::fs::symlink;
        let precious = tempfile::tempdir().unwrap();
        fs::create_dir_all(precious.path().join("0123456789abcdef/project")).unwrap();
        fs::write(precious.path().join("0123456789abcdef/0"), "precious").unwrap();
        for (at, is_start_refused) in [
            (PRIVATE, true),
            (".connme/incoming", true),
            (".connme/starting", true),
            (".connme/incoming/0123456789abcdef", false),
            (".connme/incoming/0123456789abcdef/lock", false),
            (".connme/incoming/0123456789abcdef/0", false),
            (".connme/incoming/0123456789abcdef/taken", false),
            (".connme/incoming/0123456789abcdef/taken/a.txt", false),
            (".connme/incoming/0123456789abcdef/own", false),
            (".connme/incoming/.DS_Store", false),
        ] {
            for plant in ["link", "pipe", "folder"] {
                let root = tempfile::tempdir().unwrap();
                let planted = root.path().join(at);
                fs::create_dir_all(planted.parent().unwrap()).unwrap();
                match plant {
                    "link" => symlink(precious.path(), &planted).unwrap(),
                    "pipe" => {
                        let made = std::process::Command::new("mkfifo").arg(&planted).status();
                        assert!(made.unwrap().success());
                    }
                    _ => fs::create_dir(&planted).unwrap(),
                }
                fs::write(root.path().join("a.txt"), "stored").unwrap();
                let claimed = Workspace::claim(root.path(), None);
                let is_a_folder_of_ours = plant == "folder" && at != ".connme/starting";
                assert_eq!(
                    claimed.is_err(),
                    is_start_refused && !is_a_folder_of_ours,
                    "{plant} at {at}"
                );
                drop(claimed);
                let emptied = plant == "folder"
                    && (at.ends_with("taken") || at.ends_with("0123456789abcdef"));
                assert_eq!(fs::symlink_metadata(&planted).is_ok(), !emptied, "{plant} at {at}");
                let kept = fs::read(precious.path().join("0123456789abcdef/0")).unwrap();
                assert_eq!(kept, b"precious");
                assert_eq!(fs::read(root.path().join("a.txt")).unwrap(), b"stored");
                assert!(!root.path().join("a_1.txt").exists(), "{plant} at {at}");
                assert!(precious.path().join("0123456789abcdef/project").exists());
            }
        }
    }

    #[test]
    fn what_the_file_system_can_do_is_found_out_at_the_start() {
        use crate::store::disk::fault::{Fault, during};
        let root = tempfile::tempdir().unwrap();
        assert_eq!(claim(root.path()).publishing(), Publishing::Link);
        // Where the one link fails that is tried, no other is.
        let mut found = Vec::new();
        for k in 1..40 {
            if let (Ok(workspace), true) =
                during(k, Fault::Fails, || Workspace::claim(root.path(), None))
            {
                found.push(workspace.publishing());
            }
        }
        assert!(found.contains(&Publishing::LockedRename), "{found:?}");
        assert!(!found.contains(&Publishing::Rename), "{found:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_on_another_file_system_is_out_of_reach() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("docs")).unwrap();
        let workspace = claim(root.path());
        assert!(workspace.reaches(&root.path().join("docs")).unwrap());
        assert!(!workspace.reaches(Path::new("/proc")).unwrap());
    }

    #[test]
    fn a_file_that_took_the_name_is_put_back() {
        for publishing in [Publishing::Link, Publishing::LockedRename, Publishing::Rename] {
            let root = tempfile::tempdir().unwrap();
            let workspace = Workspace::claim(root.path(), Some(publishing)).unwrap();
            let name = FileName::parse(b"a.txt").unwrap();
            fs::write(root.path().join("a.txt"), "another").unwrap();
            assert!(!workspace.remove_if(&name, |_| false).unwrap());
            assert_eq!(fs::read(root.path().join("a.txt")).unwrap(), b"another");
            // The name is taken once more before it can be given back: nothing is replaced.
            let meanwhile = |_: &_| fs::write(root.path().join("a.txt"), "a third").is_err();
            assert!(!workspace.remove_if(&name, meanwhile).unwrap());
            assert_eq!(fs::read(root.path().join("a.txt")).unwrap(), b"a third");
            assert_eq!(fs::read(root.path().join("a_1.txt")).unwrap(), b"another");
            // A link that took the name replaces nothing on its way back.
            #[cfg(unix)]
            {
                fs::remove_file(root.path().join("a.txt")).unwrap();
                std::os::unix::fs::symlink("/nowhere", root.path().join("a.txt")).unwrap();
                let meanwhile = |_: &_| fs::write(root.path().join("a.txt"), "a third").is_err();
                assert!(!workspace.remove_if(&name, meanwhile).unwrap());
                assert_eq!(fs::read(root.path().join("a.txt")).unwrap(), b"a third");
                assert!(root.path().join("a_2.txt").is_symlink());
            }
            assert!(workspace.remove_if(&name, |_| true).unwrap());
            assert!(!root.path().join("a.txt").exists());
            let gone = workspace.remove_if(&name, |_| true).unwrap_err();
            assert_eq!(gone.kind(), io::ErrorKind::NotFound);
        }
    }

    #[test]
    fn a_file_that_could_not_be_put_back_is_not_replaced() {
        let root = tempfile::tempdir().unwrap();
        let workspace = claim(root.path());
        let name = FileName::parse(b"a.txt").unwrap();
        fs::write(workspace.folder.join(TAKEN).join("a.txt"), "kept").unwrap();
        fs::write(root.path().join("a.txt"), "meant").unwrap();
        assert!(workspace.remove_if(&name, |found| found.len() == 5).unwrap());
        assert!(!root.path().join("a.txt").exists());
        assert_eq!(fs::read(root.path().join("a_1.txt")).unwrap(), b"kept");
    }

    #[test]
    fn a_file_that_a_dead_server_had_taken_away_is_put_back_by_the_next() {
        let root = tempfile::tempdir().unwrap();
        let dead = claim(root.path());
        let taken = dead.folder.join(TAKEN);
        fs::write(taken.join("a.txt"), "stored").unwrap();
        let folder = kill(dead);
        let _next = claim(root.path());
        assert!(!folder.exists());
        assert_eq!(fs::read(root.path().join("a.txt")).unwrap(), b"stored");
    }

    #[test]
    fn only_folders_with_names_that_a_start_gives_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let incoming = root.path().join(PRIVATE).join("incoming");
        let names =
            ["zzzzzzzzzzzzzzzz", "0123456789abcde", "0123456789abcdef0", "0123456789abcdef"];
        for name in names {
            fs::create_dir_all(incoming.join(name)).unwrap();
        }
        let _running = claim(root.path());
        let kept = names.map(|name| incoming.join(name).exists());
        assert_eq!(kept, [true, true, true, false]);
    }
}
