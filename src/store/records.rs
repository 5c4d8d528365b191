//! Files with an identity: what the `json` dialect calls records. They are the files at the top of the root.

use std::fs::{self, Metadata};
use std::time::Instant;

use super::budget::Budgeted;
use super::catalog::{self, Id, Stamp};
use super::disk::op;
use super::incoming::not_stored;
use super::{FileName, Listing, Outgoing, Store};
use crate::error::{Code, Error, Result};

/// What is known about a file at the top of the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its identity. A read-only server has none for a file to which no other server has given one, and a
    /// removal none for a file whose identity cannot be kept.
    pub id: Option<Id>,
    /// Its name.
    pub name: String,
    /// Its size.
    pub size: u64,
}

/// How many new files get their identities while a list of them is in memory.
const FEW: usize = 500;

impl Record {
    pub(super) fn new(id: Option<Id>, name: &str, stamp: Stamp) -> Record {
        Record { id, name: name.to_owned(), size: stamp.size() }
    }
}

impl Store {
    /// The contents of the root. All its files have an identity that is kept: see [`Store::each_record`].
    ///
    /// # Errors
    /// The root cannot be read, or an identity cannot be kept.
    pub fn files(&self) -> Result<Budgeted<Listing>> {
        let began = Instant::now();
        let mut files = self.list_since(began, None)?;
        if self.new_among(&files)? > FEW {
            // That many take time, and this list would hold memory that others wait for.
            drop(files);
            Listing::read_parts(&self.root, &mut |part| self.identify_all(part))?;
            files = self.list_since(began, None)?;
        }
        self.identify_all(&files)?;
        Ok(files)
    }

    /// Calls `tell` with the record of each of these files. Only some of the records are in memory at a time.
    ///
    /// # Errors
    /// Those of `tell`, or the catalog cannot be read.
    pub fn each_record(
        &self,
        files: &Listing,
        tell: &mut dyn FnMut(&Record) -> Result<()>,
    ) -> Result<()> {
        for batch in files.batches() {
            for ((name, stamp), id) in batch.iter().zip(self.identify(&batch)?) {
                if self.is_shown(id) {
                    tell(&Record::new(id, name, *stamp))?;
                }
            }
        }
        Ok(())
    }

    /// Opens a file at the top of the root for reading, and returns its record too.
    ///
    /// # Errors
    /// There is no such plain file, or its identity cannot be kept.
    pub fn open_recorded(&self, name: &FileName) -> Result<(Outgoing, Record)> {
        let (file, found) = self.open_plain(name)?;
        Ok((file, self.record(name, Stamp::of(&found))?))
    }

    /// Opens the file that has this identity.
    ///
    /// # Errors
    /// No file has it.
    pub fn open_by_id(&self, id: Id) -> Result<(Outgoing, Record)> {
        let (name, stamp) = self.find_by_id(id)?;
        let (file, found) = self.open_plain(&name)?;
        if Stamp::of(&found) != stamp {
            return Err(no_such_identity());
        }
        Ok((file, Record::new(Some(id), name.as_str(), stamp)))
    }

    /// Removes a file at the top of the root, and returns what its record was. Removes it even if its identity
    /// cannot be kept.
    ///
    /// # Errors
    /// There is no such plain file, or nothing may be removed.
    pub fn remove_recorded(&self, name: &FileName) -> Result<Record> {
        self.must_be_writable()?;
        let stamp = Stamp::of(&self.find(name)?.1);
        let record = self.record(name, stamp);
        self.remove_exactly(name, stamp)?;
        Ok(record.unwrap_or_else(|_| Record::new(None, name.as_str(), stamp)))
    }

    /// Removes the file that has this identity, and no other file that takes its name meanwhile.
    ///
    /// # Errors
    /// No file has it, or nothing may be removed.
    pub fn remove_by_id(&self, id: Id) -> Result<Record> {
        self.must_be_writable()?;
        let (name, stamp) = self.find_by_id(id)?;
        self.remove_exactly(&name, stamp)?;
        Ok(Record::new(Some(id), name.as_str(), stamp))
    }

    /// Removes a file at the top of the root if it still is the one with this stamp. Another file that has
    /// taken its name meanwhile stays.
    pub(super) fn remove_exactly(&self, name: &FileName, stamp: Stamp) -> Result<()> {
        let is_meant = |found: &Metadata| found.is_file() && Stamp::of(found) == stamp;
        let (path, found) = self.find(name)?;
        if !is_meant(&found) {
            return Err(no_such_file());
        }
        let failed = |error| Error::io(format!("remove {}", name.as_str()), &error);
        self.note_removal(name, stamp.size(), || match self.workspace() {
            Ok(workspace) if workspace.remove_if(name, is_meant).map_err(failed)? => Ok(()),
            Ok(_) => Err(no_such_file()),
            // A full disk has no space for the server's own folder. A removal must work there most of all.
            Err(error) if Error::io("", &error).is(Code::NoSpace) => {
                op(|| fs::remove_file(&path)).map_err(failed)
            }
            Err(error) => Err(not_stored(name, &error)),
        })
    }

    fn record(&self, name: &FileName, stamp: Stamp) -> Result<Record> {
        let id = self.identify(&[(name.as_str(), stamp)])?.into_iter().next().flatten();
        if !self.is_shown(id) {
            return Err(no_such_file());
        }
        Ok(Record::new(id, name.as_str(), stamp))
    }

    /// Whether a file with this identity is shown to a peer. One that has none has gone since the folder was read,
    /// except on a read-only server.
    fn is_shown(&self, id: Option<Id>) -> bool {
        id.is_some() || self.options.read_only
    }

    /// How many of these files have no identity yet, and get one from this server.
    fn new_among(&self, files: &Listing) -> Result<usize> {
        let mut new = 0;
        for batch in files.batches().take_while(|_| !self.options.read_only) {
            let ids = self.catalog.identify(&batch, None)?;
            new += ids.iter().filter(|id| id.is_none()).count();
        }
        Ok(new)
    }

    fn identify_all(&self, files: &Listing) -> Result<()> {
        files.batches().try_for_each(|batch| self.identify(&batch).map(drop))
    }

    fn identify(&self, files: &[(&str, Stamp)]) -> Result<Vec<Option<Id>>> {
        if self.options.read_only {
            return self.catalog.identify(files, None);
        }
        let workspace = self.workspace();
        let workspace = workspace.map_err(|error| catalog::not_kept("write", &error))?;
        self.catalog.identify(files, Some(&workspace))
    }

    fn find_by_id(&self, id: Id) -> Result<(FileName, Stamp)> {
        let (name, stamp) = self.catalog.find(id)?.ok_or_else(no_such_identity)?;
        let name = FileName::parse(name.as_bytes())?;
        let is_the_same = self.find(&name).is_ok_and(|(_, found)| Stamp::of(&found) == stamp);
        if is_the_same { Ok((name, stamp)) } else { Err(no_such_identity()) }
    }
}

fn no_such_file() -> Error {
    Error::new(Code::NotFound, "no such file")
}

fn no_such_identity() -> Error {
    Error::new(Code::NotFound, "no file has this id")
}
