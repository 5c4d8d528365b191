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

mod atomic;
mod budget;
mod catalog;
pub(crate) mod disk;
mod incoming;
mod listing;
mod name;
mod numbers;
mod plain;
mod private;
mod quota;
mod workspace;

use std::fs::{self, File, Metadata};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Code, Error, Result};
use crate::log::Log;
use atomic::{Draft, Publishing};
pub use budget::Budgeted;
use budget::{Allocation, Budget};
use catalog::{Catalog, Stamp};
pub use catalog::{Id, Record};
use incoming::not_stored;
pub use incoming::{Incoming, Stored};
pub use listing::{Entry, Listing};
pub use name::{FileName, extension};
use numbers::Numbers;
use quota::Quota;
use workspace::Workspace;

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
}

/// A folder of files.
pub struct Store {
    root: PathBuf,
    options: Options,
    workspace: Mutex<Option<Arc<Workspace>>>,
    numbers: Numbers,
    quota: Quota,
    catalog: Catalog,
    lists: Arc<Budget>,
    /// For tests: how drafts get their names, whatever the file system can do.
    publishing: Option<Publishing>,
}

/// How many files are identified at a time.
const BATCH: usize = 500;

impl Store {
    /// Opens the folder at `root`, creates it if it is not there, and clears what dead servers left.
    ///
    /// # Errors
    /// It cannot be created, or is not a folder, or cannot be written to.
    pub fn open(root: &Path, options: Options, log: &Log) -> Result<Store> {
        Store::open_with(root, options, None, log)
    }

    fn open_with(
        root: &Path,
        options: Options,
        publishing: Option<Publishing>,
        log: &Log,
    ) -> Result<Store> {
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
        let workspace = if options.read_only {
            private::must_be_a_folder(root)
                .map_err(|error| Error::io(format!("open {shown}"), &error))?;
            None
        } else {
            match Workspace::claim(root, publishing) {
                Ok(claimed) => {
                    if claimed.publishing() == Publishing::Rename {
                        log.line(format_args!(
                            "{shown}: this file system has neither hard links nor file locks: another \
                             server or program that stores the same name at the same moment can lose \
                             its file"
                        ));
                    }
                    Some(Arc::new(claimed))
                }
                Err(error) => {
                    let error = Error::io(format!("write in the folder {shown}"), &error);
                    // A full disk can still be read, and made less full.
                    if !error.is(Code::NoSpace) {
                        return Err(error);
                    }
                    log.line(&error);
                    None
                }
            }
        };
        Ok(Store {
            root: root.to_owned(),
            workspace: Mutex::new(workspace),
            numbers: Numbers::default(),
            quota: Quota::new(root.to_owned(), options.max_total_size),
            catalog: Catalog::new(root, options.fsync, log.clone()),
            lists: Arc::default(),
            publishing,
            options,
        })
    }

    /// What stands in the root, or in a folder below it.
    ///
    /// # Errors
    /// There is no such folder, or it cannot be read.
    pub fn list(&self, folder: Option<&FileName>) -> Result<Budgeted<Listing>> {
        self.lists.build(|allocation| self.read_folder(folder, allocation))
    }

    fn read_folder(
        &self,
        folder: Option<&FileName>,
        allocation: &mut Allocation,
    ) -> Result<Listing> {
        let path = match folder {
            None => self.root.clone(),
            Some(name) => self.walk(name.as_str().split('/'))?,
        };
        let reading = |error| Error::io(format!("list {}", path.display()), &error);
        let mut listing = Listing::default();
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
            if !allocation.take(name.len() + listing::LINE) {
                break;
            }
            listing.push(Entry { name: &name, size, id: None });
        }
        listing.sort();
        Ok(listing)
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
        disk::op(|| fs::remove_file(&path))
            .map_err(|error| Error::io(format!("remove {}", path.display()), &error))?;
        self.quota.removed(found.len());
        if let Some(folder) = path.parent() {
            self.numbers.removed(folder, name.last(), before);
        }
        Ok(found.len())
    }

    /// Removes a file at the top of the root if it still is the one with this stamp. Another file that has
    /// taken its name meanwhile stays.
    fn remove_exactly(&self, name: &FileName, stamp: Stamp) -> Result<()> {
        let is_meant = |found: &Metadata| found.is_file() && Stamp::of(found) == stamp;
        let nobody = || Error::new(Code::NotFound, "no such file");
        if !is_meant(&self.find(name)?.1) {
            return Err(nobody());
        }
        let before = self.numbers.before(&self.root);
        let removing = |error| Error::io(format!("remove {}", name.as_str()), &error);
        match self.present_workspace() {
            Ok(workspace) => {
                if !workspace.remove_if(name, is_meant).map_err(removing)? {
                    return Err(nobody());
                }
            }
            // A full disk has no room for a folder of ours, and removing must work there most of all.
            Err(error) if Error::io("", &error).is(Code::NoSpace) => {
                disk::op(|| fs::remove_file(self.root.join(name.last()))).map_err(removing)?;
            }
            Err(error) => return Err(not_stored(name, &error)),
        }
        self.quota.removed(stamp.size());
        self.numbers.removed(&self.root, name.last(), before);
        Ok(())
    }

    /// The files at the top of the root, sorted by name, each with an identity that is kept: see
    /// [`Store::each_record`].
    ///
    /// # Errors
    /// The root cannot be read, or an identity cannot be kept.
    pub fn files(&self) -> Result<Budgeted<Listing>> {
        let files = self.lists.build(|allocation| self.read_files(allocation))?;
        for_each_batch(&files, |files| self.identify(files).map(drop))?;
        Ok(files)
    }

    /// Hands the record of each of these files to `tell`. Only some of them are in memory at a time.
    ///
    /// # Errors
    /// Those of `tell`, or the catalog cannot be read.
    pub fn each_record(
        &self,
        files: &Listing,
        tell: &mut dyn FnMut(&Record) -> Result<()>,
    ) -> Result<()> {
        for_each_batch(files, |files| {
            let ids = self.identify(files)?;
            files.iter().zip(ids).try_for_each(|((name, stamp), id)| {
                // A file that has gone since the folder was read got no identity.
                if id.is_none() && !self.options.read_only {
                    return Ok(());
                }
                tell(&Record { id, name: (*name).to_owned(), size: stamp.size() })
            })
        })
    }

    /// Opens a file at the top of the root for reading, and says what is known of it.
    ///
    /// # Errors
    /// There is no such plain file, or its identity cannot be kept.
    pub fn open_recorded(&self, name: &FileName) -> Result<(Outgoing, Record)> {
        let (file, opened) = plain::open(&self.path_of(name)?)?;
        let record = self.record_as(name, Stamp::of(&opened))?;
        Ok((Outgoing { file, name: name.clone() }, record))
    }

    fn record_as(&self, name: &FileName, stamp: Stamp) -> Result<Record> {
        let ids = self.identify(&[(name.as_str(), stamp)])?;
        let id = ids.into_iter().next().flatten();
        if id.is_none() && !self.options.read_only {
            return Err(Error::new(Code::NotFound, "no such file"));
        }
        Ok(Record { id, name: name.as_str().to_owned(), size: stamp.size() })
    }

    fn identify(&self, files: &[(&str, Stamp)]) -> Result<Vec<Option<Id>>> {
        if self.options.read_only {
            return self.catalog.identify(files, None);
        }
        let workspace = self.present_workspace();
        let workspace = workspace.map_err(|error| catalog::not_kept("write", &error))?;
        self.catalog.identify(files, Some(&workspace))
    }

    /// Opens the file that has this identity.
    ///
    /// # Errors
    /// No file has it.
    pub fn open_by_id(&self, id: Id) -> Result<(Outgoing, Record)> {
        let (name, stamp) = self.stamped_by_id(id)?;
        let (file, opened) = plain::open(&self.path_of(&name)?)?;
        if Stamp::of(&opened) != stamp {
            return Err(no_such_identity());
        }
        let record = Record { id: Some(id), name: name.as_str().to_owned(), size: stamp.size() };
        Ok((Outgoing { file, name }, record))
    }

    fn stamped_by_id(&self, id: Id) -> Result<(FileName, Stamp)> {
        let (name, stamp) = self.catalog.find(id)?.ok_or_else(no_such_identity)?;
        let name = FileName::parse(name.as_bytes())?;
        let is_the_same = self.find(&name).is_ok_and(|(_, found)| Stamp::of(&found) == stamp);
        if is_the_same { Ok((name, stamp)) } else { Err(no_such_identity()) }
    }

    /// Removes the file that has this identity, and no other that takes its name meanwhile.
    ///
    /// # Errors
    /// No file has it, or nothing may be removed.
    pub fn remove_by_id(&self, id: Id) -> Result<Record> {
        self.must_be_writable()?;
        let (name, stamp) = self.stamped_by_id(id)?;
        self.remove_exactly(&name, stamp)?;
        Ok(Record { id: Some(id), name: name.as_str().to_owned(), size: stamp.size() })
    }

    /// Removes a file at the top of the root, and says what it was. A file whose identity cannot be kept
    /// is removed all the same.
    ///
    /// # Errors
    /// There is no such plain file, or nothing may be removed.
    pub fn remove_recorded(&self, name: &FileName) -> Result<Record> {
        self.must_be_writable()?;
        let stamp = Stamp::of(&self.find(name)?.1);
        let record = self.record_as(name, stamp);
        self.remove_exactly(name, stamp)?;
        let unknown = |_| Record { id: None, name: name.as_str().to_owned(), size: stamp.size() };
        Ok(record.unwrap_or_else(unknown))
    }

    /// The plain files at the top of the root that a client could see.
    fn read_files(&self, allocation: &mut Allocation) -> Result<Listing> {
        let reading = |error| Error::io(format!("list {}", self.root.display()), &error);
        let mut files = Listing::default();
        for entry in disk::op(|| fs::read_dir(&self.root)).map_err(reading)? {
            let entry = entry.map_err(reading)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if !FileName::can_be(&name) {
                continue;
            }
            match entry.metadata() {
                Ok(metadata) if metadata.is_file() => {
                    if !allocation.take(name.len() + listing::LINE) {
                        break;
                    }
                    files.push_file(&name, Stamp::of(&metadata));
                }
                _ => {}
            }
        }
        files.sort();
        Ok(files)
    }

    /// Gives up our own folder in the root: an orderly end leaves nothing to clear.
    pub fn leave(&self) {
        self.workspace.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Begins an upload. Nothing of it is visible before [`Incoming::publish`].
    ///
    /// # Errors
    /// The name leads nowhere, or nothing may be stored.
    pub fn begin(&self, name: &FileName) -> Result<Incoming<'_>> {
        self.must_be_writable()?;
        let folder = self.folder_of(name)?;
        plain::must_be_plain_or_free(&folder.join(name.last()))?;
        let (workspace, draft) = self.draft().map_err(|error| not_stored(name, &error))?;
        let reaches = name.folder().is_none() || workspace.reaches(&folder).unwrap_or(true);
        if !reaches {
            // Found out now, and not after the payload has come.
            let storing = format!("store {}", name.as_str());
            return Err(Error::io(storing, &io::ErrorKind::CrossesDevices.into()));
        }
        Ok(Incoming::new(self, name.clone(), draft, workspace))
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

    /// A new draft, in our own folder. If somebody has removed that folder, or the whole root was away for
    /// a while, a new one is made.
    fn draft(&self) -> io::Result<(Arc<Workspace>, Draft)> {
        let workspace = self.workspace()?;
        match workspace.draft() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            draft => return draft.map(|draft| (workspace, draft)),
        }
        self.leave();
        let workspace = self.workspace()?;
        let draft = workspace.draft()?;
        Ok((workspace, draft))
    }

    /// Our folder; a new one, if somebody has removed it.
    fn present_workspace(&self) -> io::Result<Arc<Workspace>> {
        let workspace = self.workspace()?;
        if workspace.is_there() {
            return Ok(workspace);
        }
        drop(workspace);
        self.leave();
        self.workspace()
    }

    fn workspace(&self) -> io::Result<Arc<Workspace>> {
        let current = || self.workspace.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(workspace) = current().clone() {
            return Ok(workspace);
        }
        let claimed = Arc::new(Workspace::claim(&self.root, self.publishing)?);
        *current() = Some(Arc::clone(&claimed));
        Ok(claimed)
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

/// Does something for all files of a list, some hundred at a time.
fn for_each_batch(
    files: &Listing,
    mut work: impl FnMut(&[(&str, Stamp)]) -> Result<()>,
) -> Result<()> {
    let mut files = files.files();
    loop {
        let batch: Vec<_> = files.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return Ok(());
        }
        work(&batch)?;
    }
}

fn no_such_identity() -> Error {
    Error::new(Code::NotFound, "no file has that identity")
}

/// A number that nobody can guess, from the source that the standard library has for its maps.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests;
