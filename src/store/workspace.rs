//! A server's own folder in the store: `.connme/incoming/ID/`, where its uploads are written.
//!
//! ```text
//! .connme/starting               locked while a server starts
//! .connme/incoming/ID/lock       locked as long as the server ID runs
//! .connme/incoming/ID/17         an upload that has begun
//! .connme/removing               locked while a file is removed
//! .connme/renaming               locked while an upload gets its name, where there are no hard links
//! ```
//!
//! The system releases the lock however the server ends. So the next start removes the folders of dead servers
//! and leaves those of running ones.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::draft::Draft;
use super::name::is_number;
use super::plain::file_id;
use super::private::{self, PRIVATE};
use super::random;
use crate::error::lock;
use crate::limits;
use crate::store::disk::{self, op};

/// How long a start waits for the start of another server, which removes what dead servers left.
const START_WAIT: Duration = Duration::from_secs(30);

const LOCK: &str = "lock";

/// How a draft gets its final name: by one operation that fails if the name is taken. To look first and create later
/// would lose to another upload in between, and a plain rename would replace silently. The start finds out which of
/// these a folder allows. A link that fails later is a failed upload, never a reason for a weaker way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Publishing {
    /// By hard link.
    Link,
    /// By a look and a rename, under a lock that all servers on the folder share. Servers never replace each
    /// other's files by this. Another program that creates the name in the same instant could lose its file.
    LockedRename,
}

pub(super) struct Workspace {
    folder: PathBuf,
    lock: Option<File>,
    /// The number of the next draft.
    next: AtomicU64,
    /// How a draft gets its final name in this root.
    publishing: Publishing,
    /// The lock file for [`Publishing::LockedRename`]. The threads of this server take turns at it.
    renaming: Mutex<PathBuf>,
}

impl Workspace {
    /// Removes what dead servers left, makes a folder for this server, and finds out what the file system can
    /// do. `publishing` is for tests: the way to use instead.
    pub(super) fn claim(root: &Path, publishing: Option<Publishing>) -> io::Result<Workspace> {
        let private = private::folder(root, PRIVATE)?;
        let incoming = private::folder(&private, "incoming")?;
        // One start at a time: between creating a lock file and locking it, it looks like that of a dead server.
        // Where there are no locks, dead servers look like running ones, and nothing is removed.
        let starting = private::lock(&private.join("starting"), Instant::now() + START_WAIT)?;
        let folder = incoming.join(format!("{:016x}", random()));
        op(|| fs::create_dir(&folder))?;
        let mut workspace = Workspace {
            lock: private::lock(&folder.join(LOCK), Instant::now() + START_WAIT)?,
            next: AtomicU64::new(0),
            publishing: publishing.unwrap_or(Publishing::Link),
            renaming: Mutex::new(private.join("renaming")),
            folder,
        };
        if publishing.is_none() && !workspace.has_links()? {
            workspace.publishing = must_lock(starting.is_some())?;
        }
        if starting.is_some() {
            workspace.clear_dead_servers(&incoming)?;
        }
        Ok(workspace)
    }

    /// A new draft for an upload.
    pub(super) fn draft(&self) -> io::Result<Draft> {
        Draft::create(self.path())
    }

    /// The path of the next draft.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
    }

    /// Gives a finished draft its final name. Returns `false` if the name is taken: the draft is then as it was, and
    /// another name can be tried.
    pub(super) fn publish(&self, draft: &mut Draft, target: &Path) -> io::Result<bool> {
        if self.publishing == Publishing::Link {
            return match op(|| fs::hard_link(draft.path(), target)) {
                // A network file system may send the request twice. The second answer is that the name is
                // taken, by the first.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    Ok(is_one_file(draft.path(), target))
                }
                linked => linked.map(|()| true),
            };
        }
        // Windows renames no open file.
        draft.close();
        let renaming = lock(&self.renaming);
        let held = op(|| private::lock(&renaming, Instant::now() + limits::LOCK_WAIT))?;
        let _held = held.ok_or(io::ErrorKind::Unsupported)?;
        match disk::look(target)? {
            Some(_) => Ok(false),
            None => op(|| fs::rename(draft.path(), target)).map(|()| true),
        }
    }

    /// Whether the folder still exists.
    pub(super) fn exists(&self) -> bool {
        self.folder.is_dir()
    }

    /// Whether hard links can be made: tries it between two names in this folder.
    fn has_links(&self) -> io::Result<bool> {
        let (mut one, other) = (self.draft()?, self.path());
        let is_linked = self.publish(&mut one, &other);
        let _ = op(|| fs::remove_file(other));
        Ok(is_linked.unwrap_or(false))
    }

    /// Removes the folders of dead servers. What is in one of them and has a name that no server gives stays,
    /// and so does the folder.
    fn clear_dead_servers(&self, incoming: &Path) -> io::Result<()> {
        for entry in op(|| fs::read_dir(incoming))? {
            let folder = entry?.path();
            if folder != self.folder && is_ours(&folder) && is_dead(&folder) {
                // It fails for two reasons, and neither may stop a start: the folder is gone already, or it
                // stays until the next start.
                let _ = clear(&folder);
            }
        }
        Ok(())
    }
}

impl Drop for Workspace {
    /// Leaves nothing to clear. The lock is released first, because Windows removes no open file.
    fn drop(&mut self) {
        self.lock = None;
        let _ = clear(&self.folder);
    }
}

/// The way to publish where there are no hard links.
fn must_lock(has_locks: bool) -> io::Result<Publishing> {
    let sentence = "this file system has neither hard links nor file locks, so that one upload could replace \
                    another: choose a folder on another disk";
    if has_locks { Ok(Publishing::LockedRename) } else { Err(io::Error::other(sentence)) }
}

/// Removes the folder of a server, and the drafts in it.
fn clear(folder: &Path) -> io::Result<()> {
    for entry in op(|| fs::read_dir(folder))? {
        let entry = entry?;
        if entry.file_type()?.is_file() && entry.file_name().to_str().is_some_and(is_number) {
            op(|| fs::remove_file(entry.path()))?;
        }
    }
    // Servers of an earlier version had a folder of this name.
    let _ = op(|| fs::remove_dir(folder.join("taken")));
    // The lock is removed last: a folder without one belongs to a dead server too.
    let lock = folder.join(LOCK);
    if disk::look(&lock)?.is_some_and(|found| found.is_file()) {
        op(|| fs::remove_file(&lock))?;
    }
    op(|| fs::remove_dir(folder))
}

/// Whether these are two names of one file. That a file has a second name proves nothing: a backup that makes hard
/// links gives it one.
fn is_one_file(one: &Path, other: &Path) -> bool {
    let id = |path| fs::symlink_metadata(path).ok().and_then(|found| file_id(&found));
    id(one).is_some_and(|found| id(other) == Some(found))
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
        assert!(folder.join("2").exists());
        assert_eq!(folders(root.path()), 2);

        let next = claim(root.path());
        assert!(!folder.exists());
        assert!(running.folder.join("2").exists());
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
        assert_eq!(claim(root.path()).publishing, Publishing::Link);
        // Where the one link fails that is tried, no other is.
        let mut found = Vec::new();
        for k in 1..40 {
            if let (Ok(workspace), true) =
                during(k, Fault::Fails, || Workspace::claim(root.path(), None))
            {
                found.push(workspace.publishing);
            }
        }
        assert!(found.contains(&Publishing::LockedRename), "{found:?}");
    }

    #[test]
    fn a_file_system_with_neither_links_nor_locks_is_refused() {
        assert_eq!(must_lock(true).unwrap(), Publishing::LockedRename);
        let refused = must_lock(false).unwrap_err().to_string();
        assert!(refused.contains("neither hard links nor file locks"), "{refused}");
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

    #[test]
    fn a_draft_is_published_whole_and_replaces_nothing() {
        for how in [Publishing::Link, Publishing::LockedRename] {
            let root = tempfile::tempdir().unwrap();
            let workspace = Workspace::claim(root.path(), Some(how)).unwrap();
            let (a, b) = (root.path().join("a"), root.path().join("b"));
            fs::write(&a, "old").unwrap();
            let mut draft = workspace.draft().unwrap();
            draft.write(b"new").unwrap();
            assert!(!workspace.publish(&mut draft, &a).unwrap());
            assert!(workspace.publish(&mut draft, &b).unwrap());
            let path = draft.path().to_owned();
            drop(draft);
            assert_eq!(fs::read(&a).unwrap(), b"old");
            assert_eq!(fs::read(&b).unwrap(), b"new");
            assert!(!path.exists());
            let has_lock = root.path().join(PRIVATE).join("renaming").exists();
            assert_eq!(has_lock, how == Publishing::LockedRename);
        }
    }

    /// It fell back to a look and a rename, which can replace a file that was stored in between.
    #[test]
    fn a_link_that_fails_is_a_failure() {
        use crate::store::disk::fault::{Fault, during};
        let root = tempfile::tempdir().unwrap();
        let workspace = claim(root.path());
        let (mut draft, target) = (workspace.draft().unwrap(), root.path().join("a"));
        let publish = || workspace.publish(&mut draft, &target);
        let (published, _) = during(1, Fault::Fails, publish);
        assert!(published.is_err() && !target.exists());
    }

    #[test]
    fn only_the_draft_itself_counts_as_its_link() {
        let root = tempfile::tempdir().unwrap();
        let workspace = claim(root.path());
        let path = |name: &str| root.path().join(name);
        let mut draft = workspace.draft().unwrap();
        fs::write(path("other"), "").unwrap();
        fs::hard_link(draft.path(), path("second")).unwrap();
        assert_eq!(is_one_file(draft.path(), &path("second")), cfg!(unix));
        let is_one_file = |name| is_one_file(draft.path(), &path(name));
        assert!(!is_one_file("other") && !is_one_file("nothing"));
        // A link that was made, though the system said that the name was taken.
        assert_eq!(workspace.publish(&mut draft, &path("second")).unwrap(), cfg!(unix));
    }
}
