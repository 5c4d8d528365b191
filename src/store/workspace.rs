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
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::name::is_number;
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

/// A server's own folder for drafts.
pub(super) struct Workspace {
    pub(super) folder: PathBuf,
    lock: Option<File>,
    /// The number of the next draft.
    next: AtomicU64,
    /// How a draft gets its final name in this root.
    pub(super) publishing: Publishing,
    /// The lock file for [`Publishing::LockedRename`]. One thread of this server uses it at a time.
    renaming: Mutex<PathBuf>,
}

impl Workspace {
    /// Removes what dead servers left, makes a folder for this server, and finds out what the file system can
    /// do.
    pub(super) fn claim(root: &Path) -> io::Result<Arc<Workspace>> {
        let private = private::folder(root, PRIVATE)?;
        let incoming = private::folder(&private, "incoming")?;
        // One start at a time: between creating a lock file and locking it, it looks like that of a dead server.
        // Where there are no locks, dead servers look like running ones, and nothing is removed.
        let starting =
            private::lock(File::try_lock, &private.join("starting"), Instant::now() + START_WAIT)?;
        let folder = incoming.join(format!("{:016x}", random()));
        op(|| fs::create_dir(&folder))?;
        let lock = private::lock(File::try_lock, &folder.join(LOCK), Instant::now() + START_WAIT)?;
        let publishing = match has_links(&folder)? {
            true => Publishing::Link,
            false => must_lock(starting.is_some())?,
        };
        let (renaming, next) = (Mutex::new(private.join("renaming")), AtomicU64::new(0));
        let workspace = Workspace { folder, lock, next, publishing, renaming };
        if starting.is_some() {
            workspace.clear_dead_servers(&incoming)?;
        }
        Ok(Arc::new(workspace))
    }

    /// A new, empty draft.
    pub(super) fn new_draft(self: &Arc<Workspace>) -> io::Result<Draft> {
        let (workspace, path) = (Arc::clone(self), self.next_path());
        let file = op(|| OpenOptions::new().write(true).create_new(true).open(&path))?;
        Ok(Draft { workspace, file: Some(file), path, is_kept: false })
    }

    /// A path that no draft has had.
    fn next_path(&self) -> PathBuf {
        self.folder.join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
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

/// A file under its hidden name. When it is dropped this name is removed, or it stays if it is one to keep.
pub(super) struct Draft {
    /// The folder stays as long as there is a draft in it, in case the store moves to another one meanwhile.
    workspace: Arc<Workspace>,
    /// `None` after `finish`.
    file: Option<File>,
    path: PathBuf,
    /// It stays when this is dropped, because a client may go on with it.
    pub(super) is_kept: bool,
}

impl Draft {
    /// Goes on with a file in which some has come before, and which stays until it is published.
    pub(super) fn into_kept(self, file: File, path: PathBuf) -> Draft {
        Draft { workspace: Arc::clone(&self.workspace), file: Some(file), path, is_kept: true }
    }

    /// Removes it. One that is kept is still locked then, so that no other process goes on with it meanwhile.
    pub(super) fn discard(self) {
        let _ = op(|| fs::remove_file(&self.path));
    }

    /// Adds to the end.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = self.file.as_mut().ok_or_else(finished)?;
        op(|| file.write_all(bytes))
    }

    /// Adds all that is in another draft.
    pub(super) fn append(&mut self, other: &Draft) -> io::Result<()> {
        let mut from = op(|| File::open(&other.path))?;
        let file = self.file.as_mut().ok_or_else(finished)?;
        op(|| io::copy(&mut from, file)).map(drop)
    }

    /// What the system says about the draft.
    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        op(|| fs::symlink_metadata(&self.path))
    }

    /// Syncs the file if that is asked for, and closes it. It is closed before it gets its name: Windows may set its time of
    /// change, by which `json` knows it again, when it is closed.
    pub(super) fn finish(&mut self, fsync: bool) -> io::Result<()> {
        if fsync && let Some(file) = &self.file {
            op(|| file.sync_all())?;
        }
        // Never in a server: what a client has kept of a download moves into our own folder first.
        if self.is_kept {
            let path = self.workspace.next_path();
            op(|| fs::rename(&self.path, &path))?;
            (self.path, self.is_kept) = (path, false);
        }
        self.file = None;
        Ok(())
    }

    /// Gives the finished draft its final name. Returns `false` if the name is taken: the draft is then as it was, and
    /// another name can be tried.
    pub(super) fn publish_as(&self, target: &Path) -> io::Result<bool> {
        if let Publishing::LockedRename = self.workspace.publishing {
            return self.rename_locked(target);
        }
        match op(|| fs::hard_link(&self.path, target)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            linked => linked.map(|()| true),
        }
    }

    /// See [`Publishing::LockedRename`].
    fn rename_locked(&self, target: &Path) -> io::Result<bool> {
        let renaming = lock(&self.workspace.renaming);
        let held =
            op(|| private::lock(File::try_lock, &renaming, Instant::now() + limits::LOCK_WAIT))?;
        let _held = held.ok_or(io::ErrorKind::Unsupported)?;
        match disk::look(target)? {
            Some(_) => Ok(false),
            None => op(|| fs::rename(&self.path, target)).map(|()| true),
        }
    }

    /// Gives the draft this name and replaces what has it: for the server's own files.
    pub(super) fn replace(mut self, target: &Path, fsync: bool) -> io::Result<()> {
        self.finish(fsync)?;
        op(|| fs::rename(&self.path, target))
    }
}

impl Drop for Draft {
    /// Removes the draft's own name. A published file keeps its other one, and after a rename this one is gone already.
    fn drop(&mut self) {
        // Windows removes no open file.
        self.file = None;
        if !self.is_kept {
            let _ = op(|| fs::remove_file(&self.path));
        }
    }
}

fn finished() -> io::Error {
    io::Error::other("it is finished")
}

/// Makes sure that a new name in `folder` survives a loss of power. Only Unix opens a folder for that;
/// elsewhere the file's own sync has to be enough.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    let synced = if cfg!(unix) { op(|| File::open(folder)?.sync_all()) } else { Ok(()) };
    match synced {
        // Some file systems have no such call, and need none.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) =>
        {
            Ok(())
        }
        synced => synced,
    }
}

/// Whether hard links can be made: tries it between two names in this folder.
fn has_links(folder: &Path) -> io::Result<bool> {
    let [one, other] = ["0", "1"].map(|name| folder.join(name));
    op(|| File::create_new(&one))?;
    let is_linked = op(|| fs::hard_link(&one, &other));
    let _ = op(|| fs::remove_file(&other));
    op(|| fs::remove_file(&one))?;
    Ok(is_linked.is_ok())
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
    // The lock is removed last: a folder without one belongs to a dead server too.
    let lock = folder.join(LOCK);
    if disk::look(&lock)?.is_some_and(|found| found.is_file()) {
        op(|| fs::remove_file(&lock))?;
    }
    op(|| fs::remove_dir(folder))
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
pub(crate) mod tests {
    use super::*;
    use crate::store::disk::fault::{Fault, during};

    /// Starts with this way to publish: without links, the operation fails that tries one.
    pub(in crate::store) fn by<T>(
        how: Publishing,
        start: impl Fn() -> Option<T>,
        way: impl Fn(&T) -> Publishing,
    ) -> T {
        let starts = (0..60).map(|k| during(k, Fault::Fails, &start).0);
        starts.flatten().find(|started| way(started) == how).unwrap()
    }

    fn folders(root: &Path) -> usize {
        fs::read_dir(root.join(PRIVATE).join("incoming")).unwrap().count()
    }

    fn claim(root: &Path) -> Arc<Workspace> {
        Workspace::claim(root).unwrap()
    }

    /// What a kill leaves: the files stay, the lock goes with its owner.
    fn kill(workspace: Arc<Workspace>) -> PathBuf {
        let workspace = Arc::into_inner(workspace).unwrap();
        let mut workspace = std::mem::ManuallyDrop::new(workspace);
        workspace.lock = None;
        workspace.folder.clone()
    }

    #[test]
    fn dead_servers_are_cleared_and_running_ones_are_not() {
        let root = tempfile::tempdir().unwrap();
        let running = claim(root.path());
        let mut draft = running.new_draft().unwrap();
        draft.write(b"half").unwrap();
        let dead = claim(root.path());
        let mut left = dead.new_draft().unwrap();
        // The system does that when a process ends.
        left.file = None;
        fs::copy(&left.path, left.path.with_file_name("2")).unwrap();
        drop(left);
        let folder = kill(dead);
        assert!(folder.join("2").exists());
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
                let claimed = Workspace::claim(root.path());
                let is_a_folder_of_ours = plant == "folder" && at != ".connme/starting";
                assert_eq!(
                    claimed.is_err(),
                    is_start_refused && !is_a_folder_of_ours,
                    "{plant} at {at}"
                );
                drop(claimed);
                let emptied = plant == "folder" && at.ends_with("0123456789abcdef");
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
        let root = tempfile::tempdir().unwrap();
        for how in [Publishing::Link, Publishing::LockedRename] {
            let workspace = by(how, || Workspace::claim(root.path()).ok(), |it| it.publishing);
            assert_eq!(workspace.publishing, how);
        }
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
            let workspace = by(how, || Workspace::claim(root.path()).ok(), |it| it.publishing);
            let (a, b) = (root.path().join("a"), root.path().join("b"));
            fs::write(&a, "old").unwrap();
            let mut draft = workspace.new_draft().unwrap();
            draft.write(b"new").unwrap();
            draft.finish(false).unwrap();
            assert!(!draft.publish_as(&a).unwrap());
            assert!(draft.publish_as(&b).unwrap());
            let path = draft.path.clone();
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
        let root = tempfile::tempdir().unwrap();
        let workspace = claim(root.path());
        let (draft, target) = (workspace.new_draft().unwrap(), root.path().join("a"));
        let (published, _) = during(1, Fault::Fails, || draft.publish_as(&target));
        assert!(published.is_err() && !target.exists());
    }

    #[test]
    fn a_file_of_the_server_can_be_replaced() {
        let root = tempfile::tempdir().unwrap();
        let (workspace, table) = (claim(root.path()), root.path().join("table"));
        fs::write(&table, "old").unwrap();
        let mut draft = workspace.new_draft().unwrap();
        draft.write(b"new").unwrap();
        let path = draft.path.clone();
        draft.replace(&table, false).unwrap();
        assert_eq!(fs::read(table).unwrap(), b"new");
        assert!(!path.exists());
    }

    /// A test cannot see whether the disk flushes, but it sees the operation.
    #[test]
    fn a_flush_is_an_operation_that_can_fail() {
        let root = tempfile::tempdir().unwrap();
        let mut draft = claim(root.path()).new_draft().unwrap();
        assert!(during(1, Fault::Fails, || draft.finish(true)).0.is_err());
        assert!(draft.finish(true).is_ok() && sync_folder(root.path()).is_ok());
        assert_eq!(during(1, Fault::Fails, || sync_folder(root.path())).0.is_err(), cfg!(unix));
    }

    #[test]
    fn a_draft_that_is_given_up_leaves_nothing_and_takes_over_no_file() {
        let root = tempfile::tempdir().unwrap();
        let workspace = claim(root.path());
        let mut draft = workspace.new_draft().unwrap();
        draft.write(b"half").unwrap();
        let path = draft.path.clone();
        assert!(path.exists());
        drop(draft);
        assert!(!path.exists());
        fs::write(workspace.folder.join("1"), "mine").unwrap();
        assert!(workspace.new_draft().is_err());
        assert_eq!(fs::read(workspace.folder.join("1")).unwrap(), b"mine");
    }

    #[test]
    fn a_draft_that_is_kept_stays_until_it_is_finished() {
        let root = tempfile::tempdir().unwrap();
        let workspace = claim(root.path());
        let (path, target) = (root.path().join("kept"), root.path().join("a"));
        fs::write(&path, "some").unwrap();
        let kept = || {
            let file = File::options().append(true).open(&path).unwrap();
            workspace.new_draft().unwrap().into_kept(file, path.clone())
        };
        drop(kept());
        let mut draft = kept();
        draft.write(b" more").unwrap();
        draft.finish(false).unwrap();
        assert!(!path.exists() && draft.publish_as(&target).unwrap());
        drop(draft);
        assert_eq!(fs::read(target).unwrap(), b"some more");
        assert_eq!(fs::read_dir(&workspace.folder).unwrap().count(), 1);
    }
}
