//! The folder of files that every dialect serves, and every promise about it.
//!
//! - A file is visible only when every byte of it has arrived, and it replaces nothing: an upload is written in
//!   `workspace`, and is published under the first free name.
//! - A name leads to a plain file inside the root, never through a symbolic link, never to a pipe or a device.
//!   (Another process on this machine that replaces a folder by a link while a name is walked can lead it
//!   astray, and one that puts a pipe in the place of a file that is being opened can let it wait: the standard
//!   library cannot open a file below a folder that it holds, or refuse a pipe.)
//! - Any number of servers may share one folder. They coordinate through the file system alone: a hard link, or a lock where
//!   there are none, decides which upload gets a name, and file locks tell running servers from dead ones.
//!
//! The store does not know how its files travel. All work here is ordinary blocking file work, and no upload or download
//! waits for the bytes of another. A lock is held during file work in six cases only: a start, an upload whose draft cannot be
//! made, a removal, a file system without hard links, a limit for all files together, and the catalog of identities.

mod catalog;
pub(crate) mod disk;
mod incoming;
mod listing;
mod name;
mod numbers;
mod plain;
pub(crate) mod private;
mod quota;
mod records;
mod sums;
mod turns;
mod workspace;

use std::fs::{self, File, Metadata, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use crate::error::{Code, Error, Result, lock};
use crate::limits;
use crate::log::Log;
use crate::sha256::Sum;
use catalog::Catalog;
pub use catalog::Stamp;
// `op(work)` is `work()`, which tests can make fail.
use disk::op;
pub use incoming::Incoming;
pub use listing::{Entry, Listing};
pub use name::{FileName, extension};
use numbers::Numbers;
use quota::Quota;
pub use records::Record;
use sums::Sums;
pub use turns::Place;
use turns::Turns;
use workspace::{Draft, Workspace};

/// The configuration of a store.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Nothing may be stored or removed.
    pub read_only: bool,
    /// A confirmed file survives a loss of power, not only a kill.
    pub fsync: bool,
    /// The largest file, if there is a limit.
    pub max_file_size: Option<u64>,
    /// The largest size of all files together, if there is a limit.
    pub max_total_size: Option<u64>,
}

/// A folder of files.
pub struct Store {
    root: PathBuf,
    options: Options,
    /// Where drafts are. `None` until the disk has room for it.
    workspace: Mutex<Option<Arc<Workspace>>>,
    /// Which numbers are free for a name.
    numbers: Numbers,
    /// The limit for all files together, if there is one.
    quota: Option<Quota>,
    /// The identities of files, for `json`.
    catalog: Mutex<Catalog>,
    log: Log,
    /// Sums that were computed before.
    sums: Sums,
    /// Who may do long work now.
    turns: Turns,
    /// Held from a look at one certain file until it is removed: between the two, its name could be another file's.
    removing: RwLock<()>,
}

impl Store {
    /// Opens the folder at `root`, creates it if it does not exist, and removes what dead servers left.
    ///
    /// # Errors
    /// It cannot be created, or is not a folder, or cannot be written to.
    pub fn open(root: &Path, options: Options, log: &Log) -> Result<Store> {
        let shown = root.display();
        let failed = |tried, error| Error::io(format!("{tried} {shown}"), &error);
        if !options.read_only {
            op(|| fs::create_dir_all(root)).map_err(|error| failed("create the folder", error))?;
        }
        let found = op(|| fs::metadata(root)).map_err(|error| failed("open", error))?;
        if !found.is_dir() {
            return Err(failed("open", io::ErrorKind::NotADirectory.into()));
        }
        let store = Store {
            root: root.to_owned(),
            workspace: Mutex::default(),
            numbers: Numbers::new(root.to_owned()),
            quota: options.max_total_size.map(|limit| Quota::new(root.to_owned(), limit)),
            catalog: Mutex::default(),
            log: log.clone(),
            sums: Sums::default(),
            turns: Turns::default(),
            removing: RwLock::default(),
            options,
        };
        if store.options.read_only {
            private::path_in(root).map_err(|error| failed("open", error))?;
            return Ok(store);
        }
        let claimed = store.workspace().map_err(|error| failed("write in the folder", error));
        match claimed {
            // It can still be read, and files can be removed from it.
            Err(error) if error.is(Code::NoSpace) => log.line(&error),
            claimed => drop(claimed?),
        }
        Ok(store)
    }

    /// The size of a file.
    ///
    /// # Errors
    /// There is no such plain file.
    pub fn size(&self, name: &FileName) -> Result<u64> {
        Ok(self.find(name)?.1.len())
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// There is no such plain file, or it cannot be opened.
    pub fn open_file(&self, name: FileName) -> Result<Outgoing> {
        let opened = self.path_of(&name).and_then(|path| plain::open(&path));
        let (file, found) = self.check_root(opened)?;
        Ok(Outgoing { size: found.len(), file, name, found })
    }

    /// Removes a file, and returns its size.
    ///
    /// # Errors
    /// There is no such plain file, or nothing may be removed.
    pub fn remove(&self, name: &FileName) -> Result<u64> {
        self.must_be_writable()?;
        // Whatever has the name may go. So removals by name wait only for those that look for one certain file.
        let until = Instant::now() + limits::LOCK_WAIT;
        let _removing = self.removing.read().unwrap_or_else(PoisonError::into_inner);
        let _held = self.lock_removals(File::try_lock_shared, until)?;
        self.remove_now(name, None)
    }

    /// Waits for the removals of other servers on the root.
    fn lock_removals(
        &self,
        try_lock: fn(&File) -> std::result::Result<(), TryLockError>,
        until: Instant,
    ) -> Result<Option<File>> {
        let path = self.private("removing");
        let held = path.and_then(|path| private::lock(try_lock, &path, until));
        match held.map_err(|error| Error::io("wait for other removals", &error)) {
            // A full disk must not keep files from being removed.
            Err(error) if error.is(Code::NoSpace) || error.is(Code::NotFound) => Ok(None),
            held => held,
        }
    }

    /// Removes a file that must have this stamp, if one is given, and returns its size.
    fn remove_now(&self, name: &FileName, stamp: Option<Stamp>) -> Result<u64> {
        let (path, found) = self.find(name)?;
        Stamp::of(&found).must_be(stamp)?;
        let failed = |error| Error::io(format!("remove {}", path.display()), &error);
        let remove = || self.numbers.remove(name, || op(|| fs::remove_file(&path)));
        match &self.quota {
            Some(quota) => quota.remove(found.len(), || remove().map_err(failed))?,
            None => remove().map_err(failed)?,
        }
        Ok(found.len())
    }

    /// Removes an upload that has failed after it had got its name, also where the lock cannot be had.
    fn take_back(&self, name: &FileName, stamp: Option<Stamp>) -> Result<u64> {
        let _removing = self.removing.write().unwrap_or_else(PoisonError::into_inner);
        let _held = self.lock_removals(File::try_lock, Instant::now());
        self.remove_now(name, stamp)
    }

    /// Refuses to change a read-only store.
    ///
    /// # Errors
    /// Nothing may be stored or removed.
    pub fn must_be_writable(&self) -> Result<()> {
        if self.options.read_only {
            return Err(Error::new(Code::ReadOnly, "this server is read-only"));
        }
        Ok(())
    }

    /// The folder of this name in `.connme`, created if it does not exist.
    ///
    /// # Errors
    /// Something else has the name, or the folder cannot be created.
    pub(crate) fn private_folder(&self, name: &str) -> Result<PathBuf> {
        let folder = private::folder(&self.root, private::PRIVATE);
        let folder = folder.and_then(|folder| private::folder(&folder, name));
        folder.map_err(|error| Error::io(format!("open the folder {name}"), &error))
    }

    /// The path of one of the server's own files.
    fn private(&self, name: &str) -> io::Result<PathBuf> {
        Ok(private::path_in(&self.root)?.join(name))
    }

    /// The server's own folder. Makes a new one if it has been removed. A root that is gone is not made again.
    fn workspace(&self) -> io::Result<Arc<Workspace>> {
        let mut current = lock(&self.workspace);
        if let Some(known) = &*current
            && known.folder.is_dir()
        {
            return Ok(Arc::clone(known));
        }
        *current = None;
        let claimed = Workspace::claim(&self.root)?;
        *current = Some(Arc::clone(&claimed));
        Ok(claimed)
    }

    /// A new draft, in the server's own folder.
    fn draft(&self) -> io::Result<Draft> {
        private::path_in(&self.root)?;
        let known = lock(&self.workspace).clone();
        match known.map(|workspace| workspace.new_draft()) {
            Some(Ok(draft)) => Ok(draft),
            // The folder was not made yet, or is gone. If neither is so, this fails once more.
            _ => self.workspace()?.new_draft(),
        }
    }

    /// The plain file of this name, and what the system says about it.
    fn find(&self, name: &FileName) -> Result<(PathBuf, Metadata)> {
        let look = |path: PathBuf| plain::metadata(&path).map(|found| (path, found));
        self.check_root(self.path_of(name).and_then(look))
    }

    /// Where something was not found, looks whether the whole root is gone: that is the server's fault, not the peer's.
    fn check_root<T>(&self, found: Result<T>) -> Result<T> {
        found.map_err(|error| match error.is(Code::NotFound) && !self.root.is_dir() {
            true => {
                Error::new(Code::Internal, "the server's folder is gone").because(error.cause())
            }
            false => error,
        })
    }

    /// The path for a name; the file may not exist.
    fn path_of(&self, name: &FileName) -> Result<PathBuf> {
        Ok(self.walk(name.folder())?.join(name.last()))
    }

    /// The path of a folder, walked from the root through real folders only.
    fn walk(&self, folder: Option<&str>) -> Result<PathBuf> {
        let mut path = self.root.clone();
        // Each part between slashes; `None`, the root, has none.
        for part in folder.into_iter().flat_map(|folder| folder.split('/')) {
            path.push(part);
            let found = disk::look(&path);
            match found.map_err(|error| plain::not_done("look at", &path, &error))? {
                Some(found) if found.is_dir() => {}
                Some(found) if found.is_symlink() => {
                    let sentence = "no part of a name may be a symbolic link";
                    return Err(Error::new(Code::BadName, sentence));
                }
                // There is no such folder, or the root itself is gone.
                _ => return self.check_root(Err(Error::new(Code::NotFound, "no such folder"))),
            }
        }
        Ok(path)
    }
}

/// Long work for a client takes a place among that of its network: see `turns`.
impl Store {
    /// The contents of the root, or of a folder below it. A long list has a place until that is dropped.
    ///
    /// # Errors
    /// There is no such folder, or it cannot be read, or no place is free.
    pub fn list(
        &self,
        folder: Option<&FileName>,
        network: Option<u128>,
    ) -> Result<(Listing, Option<Place<'_>>)> {
        let place = || self.turns.take_place(network);
        let path = self.walk(folder.map(FileName::as_str));
        self.check_root(path.and_then(|path| Listing::read(&path, place)))
    }

    /// The sum of a file as it is now. Takes a place if it is not remembered.
    ///
    /// # Errors
    /// See [`Store::open_file`], or it cannot be read, or no place is free.
    pub fn sum(&self, name: FileName, network: Option<u128>) -> Result<Sum> {
        self.sum_of(&mut self.open_file(name)?, u64::MAX, network)
    }

    /// Opens what follows an offset of a file, if the bytes before it have this sum. Takes a place for as long as these
    /// bytes are read, if their sum is not remembered.
    ///
    /// # Errors
    /// See [`Store::open_file`], or the file begins otherwise, or no place is free.
    pub fn open_at(
        &self,
        name: FileName,
        offset: u64,
        sum: Sum,
        network: Option<u128>,
    ) -> Result<Outgoing> {
        let mut file = self.open_file(name)?;
        let changed = || Error::new(Code::Changed, "the file does not begin with these bytes");
        file.size = file.size.checked_sub(offset).ok_or_else(changed)?;
        if self.sum_of(&mut file, offset, network)? != sum {
            return Err(changed());
        }
        file.file.seek(io::SeekFrom::Start(offset)).map_err(|error| file.failed(&error))?;
        Ok(file)
    }
}

/// A file that is open for reading.
pub struct Outgoing {
    /// How many bytes of it are to be sent.
    pub size: u64,
    file: File,
    name: FileName,
    /// What the system said of it when it was opened.
    found: Metadata,
}

impl Outgoing {
    fn failed(&self, error: &io::Error) -> Error {
        Error::io(format!("read {}", self.name.as_str()), error)
    }

    /// Reads the next bytes of the file. Returns 0 at its end.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        self.file.read(into).map_err(|error| self.failed(&error))
    }
}

/// A number that a peer cannot guess, from the source that the standard library has for its maps.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests;
