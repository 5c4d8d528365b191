//! The folder of files that every dialect serves, and every promise about it.
//!
//! - A file is visible only when every byte of it has arrived, and it replaces nothing: an upload
//!   grows in `workspace`, and is published under the first free name.
//! - A name leads to a plain file inside the root, never through a symbolic link, never to a pipe or
//!   a device. (Somebody on this machine who swaps a folder for a link while a name is walked can lead
//!   it astray: the standard library cannot open a file below a folder that it holds.)
//! - Any number of servers may share one folder. They meet in the file system alone: exclusive
//!   creation decides who gets a name, file locks tell the living from the dead.
//!
//! The store knows nothing of the wire. What a thread of a connection does here is all ordinary
//! blocking file work, and no upload, download or removal waits for another's: locks are held across
//! file work only at a start, where there are no hard links, and where an identity is given.

mod catalog;
mod listing;
mod name;
mod numbers;
mod plain;
mod quota;
mod workspace;

use std::fs::{self, File, Metadata};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use crate::atomic::{self, Draft, Publishing, Turnstile};
use crate::disk;
use crate::error::{Code, Error, Result};
use crate::log::Log;
use catalog::{Catalog, Stamp};
pub use catalog::{Id, Record};
use listing::Room;
pub use listing::{Entry, Held, Listing};
pub use name::FileName;
use numbers::Numbers;
use quota::{Quota, Reservation};
use workspace::{PRIVATE, Workspace};

/// What a store is told when it is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Nothing may be stored or removed.
    pub read_only: bool,
    /// A confirmed file survives a loss of power, not only a kill.
    pub fsync: bool,
    /// The largest file, if there is a limit.
    pub max_file_size: Option<u64>,
    /// The most that all files together may hold, if there is a limit.
    pub max_total_size: Option<u64>,
    /// Files have identities: see [`Store::records`].
    pub identities: bool,
    /// How files get their names.
    pub publishing: Publishing,
}

/// A folder of files.
pub struct Store {
    root: PathBuf,
    options: Options,
    workspace: Mutex<Option<Arc<Workspace>>>,
    turnstile: Turnstile,
    numbers: Numbers,
    quota: Quota,
    catalog: Option<Catalog>,
    lists_held: Arc<AtomicUsize>,
}

/// A counter that is tried by itself up to here, so that a gap made by hand is found at once; what
/// lies beyond is looked up in the memory of `numbers`.
const TRIED: u64 = 4;

impl Store {
    /// Opens the folder at `root`, makes it if it is not there, and sweeps what dead servers left.
    ///
    /// # Errors
    /// It cannot be made, or is no folder, or cannot be written to.
    pub fn open(root: &Path, options: Options, log: &Log) -> Result<Store> {
        let shown = root.display();
        if !options.read_only {
            disk::op(|| fs::create_dir_all(root))
                .map_err(|error| Error::io(format!("create the folder {shown}"), &error))?;
        }
        let found = disk::op(|| fs::metadata(root))
            .map_err(|error| Error::io(format!("open {shown}"), &error))?;
        if !found.is_dir() {
            let no_folder = io::ErrorKind::NotADirectory.into();
            return Err(Error::io(format!("open {shown}"), &no_folder));
        }
        let new_catalog = || Catalog::new(root, !options.read_only, log.clone());
        let catalog = options.identities.then(new_catalog);
        let workspace = if options.read_only {
            None
        } else {
            // A catalog that cannot be written anew still serves as it is.
            let compact = || {
                let Some(catalog) = &catalog else { return };
                if let Err(error) = stamps(root).and_then(|files| catalog.compact(&files)) {
                    log.line(format_args!("catalog: write it anew: {error}"));
                }
            };
            let claimed = Workspace::claim(root, compact)
                .map_err(|error| Error::io(format!("write in the folder {shown}"), &error))?;
            Some(Arc::new(claimed))
        };
        Ok(Store {
            root: root.to_owned(),
            workspace: Mutex::new(workspace),
            turnstile: Turnstile::new(root.join(PRIVATE).join("renaming")),
            numbers: Numbers::default(),
            quota: Quota::new(root.to_owned(), options.max_total_size),
            catalog,
            lists_held: Arc::default(),
            options,
        })
    }

    /// What stands in the root, or in a folder below it.
    ///
    /// # Errors
    /// There is no such folder, or it cannot be read.
    pub fn list(&self, folder: Option<&FileName>) -> Result<Held<Listing>> {
        let path = match folder {
            None => self.root.clone(),
            Some(name) => self.walk(name.as_str().split('/'))?,
        };
        let reading = |error| Error::io(format!("list {}", path.display()), &error);
        let mut listing = Listing::default();
        let mut room = Room::new(&self.lists_held);
        for entry in fs::read_dir(&path).map_err(reading)? {
            let entry = entry.map_err(reading)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if !FileName::can_be(&name) {
                continue;
            }
            // What has gone since the folder was read is no error, and links are not followed.
            let Ok(metadata) = entry.metadata() else { continue };
            let size = if metadata.is_file() {
                Some(metadata.len())
            } else if metadata.is_dir() {
                None
            } else {
                continue;
            };
            listing.push(Entry { name: &name, size, id: None });
            room.hold(&listing)?;
        }
        listing.sort();
        Ok(Held { list: listing, _room: room })
    }

    /// The size of a file.
    ///
    /// # Errors
    /// There is no such plain file.
    pub fn size(&self, name: &FileName) -> Result<u64> {
        Ok(self.find(name)?.1.len())
    }

    /// Opens a file for reading, and says how much is in it now.
    ///
    /// # Errors
    /// There is no such plain file, or it cannot be opened.
    pub fn open_file(&self, name: &FileName) -> Result<(Outgoing, u64)> {
        let (file, opened) = plain::open(&self.path_of(name)?)?;
        Ok((Outgoing { file, name: name.clone() }, opened.len()))
    }

    /// Removes a file, and says how large it was.
    ///
    /// # Errors
    /// There is no such plain file, or nothing may be removed.
    pub fn remove(&self, name: &FileName) -> Result<u64> {
        self.must_be_writable()?;
        let (path, found) = self.find(name)?;
        let before = path.parent().and_then(|folder| self.numbers.before(folder));
        if let Some(catalog) = self.catalog_of(name) {
            catalog.removed(name.last(), Stamp::of(&found));
        }
        disk::op(|| fs::remove_file(&path))
            .map_err(|error| Error::io(format!("remove {}", path.display()), &error))?;
        self.quota.removed(found.len());
        if let Some(folder) = path.parent() {
            self.numbers.removed(folder, name.last(), before);
        }
        Ok(found.len())
    }

    /// The identities of all files at the top of the root, sorted by name.
    ///
    /// # Errors
    /// The root cannot be read.
    pub fn records(&self) -> Result<Held<Vec<Record>>> {
        let mut room = Room::new(&self.lists_held);
        let Some(catalog) = &self.catalog else {
            return Ok(Held { list: Vec::new(), _room: room });
        };
        let mut files = stamps(&self.root)
            .map_err(|error| Error::io(format!("list {}", self.root.display()), &error))?;
        files.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (name, _) in &files {
            // Once as a record, and once as the line that it becomes.
            room.take(name.len().saturating_add(size_of::<Record>()).saturating_mul(2))?;
        }
        let list =
            catalog.identify_all(&files).map_err(|error| Error::io("read the catalog", &error))?;
        Ok(Held { list, _room: room })
    }

    /// The identity of one file at the top of the root.
    ///
    /// # Errors
    /// There is no such plain file there.
    pub fn record(&self, name: &FileName) -> Result<Record> {
        let (_, found) = self.find(name)?;
        match self.catalog_of(name) {
            Some(catalog) => catalog
                .identify(name.last(), Stamp::of(&found))
                .map_err(|error| Error::io("read the catalog", &error)),
            None => Err(Error::new(Code::NotFound, "only files at the top have an identity")),
        }
    }

    /// The identity of a file that was just stored, whatever has become of it since.
    #[must_use]
    pub fn record_of(&self, stored: &Stored) -> Option<Record> {
        let (catalog, id) = (self.catalog_of(&stored.name)?, stored.id?);
        let id = catalog.settled(stored.name.last(), stored.stamp, id);
        Some(Record { id, name: stored.name.as_str().to_owned(), size: stored.stamp.size() })
    }

    /// The file that has this identity.
    ///
    /// # Errors
    /// No file has it.
    pub fn by_id(&self, id: Id) -> Result<FileName> {
        let nobody = || Error::new(Code::NotFound, "no file has that identity");
        let found = self.catalog.as_ref().and_then(|catalog| catalog.find(id));
        let (name, stamp) = found.ok_or_else(nobody)?;
        let name = FileName::parse(name.as_bytes())?;
        let is_the_same = self.find(&name).is_ok_and(|(_, found)| Stamp::of(&found) == stamp);
        if is_the_same { Ok(name) } else { Err(nobody()) }
    }

    /// The catalog, if the name is one of those that are in it.
    fn catalog_of(&self, name: &FileName) -> Option<&Catalog> {
        self.catalog.as_ref().filter(|_| name.folder().is_none())
    }

    /// Gives up our corner of the folder: an orderly end leaves nothing to sweep.
    pub fn leave(&self) {
        self.workspace.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Begins an upload. Nothing of it is visible before [`Incoming::publish`].
    ///
    /// # Errors
    /// The name leads nowhere, or nothing may be stored.
    pub fn begin(&self, name: &FileName) -> Result<Incoming<'_>> {
        self.must_be_writable()?;
        free_of_others(&self.path_of(name)?)?;
        let (workspace, draft) = self.draft().map_err(|error| not_stored(name, &error))?;
        Ok(Incoming {
            store: self,
            name: name.clone(),
            draft,
            reservation: None,
            left: Some(0),
            workspace,
        })
    }

    /// Whether nothing may be stored or removed.
    ///
    /// # Errors
    /// It is so.
    pub fn must_be_writable(&self) -> Result<()> {
        if self.options.read_only {
            return Err(Error::new(Code::ReadOnly, "this server only gives files away"));
        }
        Ok(())
    }

    /// A new draft, in our corner of the folder. If somebody has removed that corner, or the whole
    /// root was away for a while, a new one is made.
    fn draft(&self) -> io::Result<(Arc<Workspace>, Draft)> {
        let current = || self.workspace.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(workspace) = current() {
            match workspace.draft() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                draft => return draft.map(|draft| (workspace, draft)),
            }
        }
        let workspace = Arc::new(Workspace::claim(&self.root, || {})?);
        let draft = workspace.draft()?;
        let mut current = self.workspace.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Some(Arc::clone(&workspace));
        Ok((workspace, draft))
    }

    /// The plain file that a name leads to, and what the system says of it.
    fn find(&self, name: &FileName) -> Result<(PathBuf, Metadata)> {
        let path = self.path_of(name)?;
        let found = plain::look(&path)?;
        Ok((path, found))
    }

    /// Where a name leads to; whether there is anything, nobody has looked.
    fn path_of(&self, name: &FileName) -> Result<PathBuf> {
        Ok(self.folder_of(name)?.join(name.last()))
    }

    /// The folder that a name's file stands in.
    fn folder_of(&self, name: &FileName) -> Result<PathBuf> {
        match name.folder() {
            None => Ok(self.root.clone()),
            Some(folder) => self.walk(folder.split('/')),
        }
    }

    /// Walks down from the root, through real folders only.
    fn walk<'n>(&self, parts: impl Iterator<Item = &'n str>) -> Result<PathBuf> {
        let mut path = self.root.clone();
        for part in parts {
            path.push(part);
            match disk::op(|| fs::symlink_metadata(&path)) {
                Ok(found) if found.is_dir() => {}
                Ok(found) if found.is_symlink() => {
                    return Err(Error::new(Code::BadName, "no part of a name may be a link"));
                }
                Ok(_) => return Err(Error::new(Code::NotFound, "no such folder")),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(Error::new(Code::NotFound, "no such folder"));
                }
                Err(error) => return Err(Error::io(format!("look at {}", path.display()), &error)),
            }
        }
        Ok(path)
    }
}

/// A file on its way out.
pub struct Outgoing {
    file: File,
    name: FileName,
}

impl Outgoing {
    /// The next bytes of the file; none at its end.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        loop {
            match self.file.read(into) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => {
                    let name = self.name.as_str();
                    return other.map_err(|error| Error::io(format!("read {name}"), &error));
                }
            }
        }
    }
}

/// An upload that has begun. Dropped before it is published, it leaves nothing.
pub struct Incoming<'s> {
    store: &'s Store,
    name: FileName,
    draft: Draft,
    reservation: Option<Reservation<'s>>,
    /// How much is still to come; `None` where nobody has said.
    left: Option<u64>,
    /// Keeps the draft's folder, should the store have moved to another meanwhile.
    workspace: Arc<Workspace>,
}

impl Incoming<'_> {
    /// Says how large the file will be, and sets that room aside. `None` is not known: the limits
    /// then hold for what comes.
    ///
    /// # Errors
    /// It is more than the limits allow.
    pub fn expect(&mut self, size: Option<u64>) -> Result<()> {
        self.left = size;
        self.make_room(size.unwrap_or(0))
    }

    /// Adds to the file.
    ///
    /// # Errors
    /// The disk does not take it, or it is more than was announced or is allowed.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        match self.left {
            Some(left) => {
                let more = || Error::new(Code::Internal, "more came than was announced");
                self.left = Some(left.checked_sub(length).ok_or_else(more)?);
            }
            None => self.make_room(length)?,
        }
        self.draft.write(bytes).map_err(|error| not_stored(&self.name, &error))
    }

    /// Puts bytes in front of what is there, at the price of a copy: for a wire that tells only at
    /// the end where the file began.
    ///
    /// # Errors
    /// See [`Incoming::write`].
    pub fn put_before(&mut self, bytes: &[u8]) -> Result<()> {
        let (workspace, draft) =
            self.store.draft().map_err(|error| not_stored(&self.name, &error))?;
        let old = std::mem::replace(&mut self.draft, draft);
        self.write(bytes)?;
        self.draft.append(&old).map_err(|error| not_stored(&self.name, &error))?;
        self.workspace = workspace;
        Ok(())
    }

    fn make_room(&mut self, more: u64) -> Result<()> {
        // No file system holds a file of 2^63 bytes or more: nobody has to send them to find out.
        let most = self.store.options.max_file_size.unwrap_or(i64::MAX.unsigned_abs());
        let so_far = self.reservation.as_ref().map_or(0, Reservation::size);
        if so_far.saturating_add(more) > most {
            let sentence = format!("a file here has at most {most} bytes");
            return Err(Error::new(Code::TooLarge, sentence));
        }
        let no_room = || Error::new(Code::NoSpace, "that is more than all files here may hold");
        match &mut self.reservation {
            Some(reservation) => reservation.grow(more).ok_or_else(no_room),
            None => {
                self.reservation = Some(self.store.quota.reserve(more).ok_or_else(no_room)?);
                Ok(())
            }
        }
    }

    /// Makes the whole file visible under the first free name, and says which that is.
    ///
    /// # Errors
    /// Not all of it is there, or the disk does not take it.
    pub fn publish(mut self) -> Result<Stored> {
        if self.left.is_some_and(|left| left > 0) {
            return Err(Error::new(Code::Internal, "less came than was announced"));
        }
        let _kept_to_the_end = Arc::clone(&self.workspace);
        let wanted = self.name.clone();
        let storing = |error| not_stored(&wanted, &error);
        let folder = self.store.folder_of(&self.name)?;
        if self.store.options.fsync {
            self.draft.sync().map_err(storing)?;
        }
        let stamp = Stamp::of(&self.draft.finish().map_err(storing)?);
        let before = self.store.numbers.before(&folder);
        let name = self.take_free_name(&folder)?;
        if self.store.options.fsync {
            atomic::sync_folder(&folder).map_err(storing)?;
        }
        self.store.numbers.added(&folder, name.last(), before);
        let catalog = self.store.catalog_of(&name);
        let id = catalog.map(|catalog| catalog.stored(name.last(), stamp));
        if let Some(reservation) = self.reservation.take() {
            reservation.stored();
        }
        Ok(Stored { name, stamp, id })
    }

    fn take_free_name(&mut self, folder: &Path) -> Result<FileName> {
        if self.take_name(folder, &self.name.clone())? {
            return Ok(self.name.clone());
        }
        let mut n = 1;
        loop {
            let numbered = self.name.numbered(n);
            if self.take_name(folder, &numbered)? {
                return Ok(numbered);
            }
            self.store.numbers.taken(folder, &self.name, n);
            n = n.saturating_add(1);
            if n > TRIED {
                n = self.store.numbers.first_free(folder, &self.name, n);
            }
        }
    }

    fn take_name(&mut self, folder: &Path, name: &FileName) -> Result<bool> {
        let target = folder.join(name.last());
        self.draft
            .publish(&target, self.store.options.publishing, &self.store.turnstile)
            .map_err(|error| not_stored(name, &error))
    }
}

/// A file that has been stored.
pub struct Stored {
    name: FileName,
    stamp: Stamp,
    id: Option<Id>,
}

impl Stored {
    /// The name it got.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.name.as_str()
    }
}

/// Nothing stands at this path that a file could not stand beside under another number.
fn free_of_others(path: &Path) -> Result<()> {
    match plain::look(path) {
        Err(error) if error.code() != Code::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// An upload that failed under our hands. If something is not there now, that is not the peer's file.
fn not_stored(name: &FileName, error: &io::Error) -> Error {
    let failed = Error::io(format!("store {}", name.as_str()), error);
    if failed.code() == Code::NotFound {
        let sentence = "the server's folder is not as it should be; its log says why";
        return Error::new(Code::Internal, sentence).because(failed.cause().unwrap_or_default());
    }
    failed
}

/// The plain files at the top of the root that a client could see.
fn stamps(root: &Path) -> io::Result<Vec<(String, Stamp)>> {
    let mut files = Vec::new();
    for entry in disk::op(|| fs::read_dir(root))? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !FileName::can_be(&name) {
            continue;
        }
        match entry.metadata() {
            Ok(metadata) if metadata.is_file() => files.push((name, Stamp::of(&metadata))),
            _ => {}
        }
    }
    Ok(files)
}

/// A number that nobody can guess, from the source that the standard library has for its maps.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests;
