//! Files with an identity: what the `json` dialect calls records. They are the files at the top of the root.

use super::catalog::{Stamp, no_such_file};
use super::{FileName, Listing, Outgoing, Store};
use crate::error::Result;

/// What is known about a file at the top of the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its identity. A read-only server has none for a file to which no other server has given one, and a
    /// removal none for a file whose identity cannot be kept.
    pub id: Option<String>,
    /// Its name.
    pub name: String,
    /// Its size.
    pub size: u64,
}

impl Record {
    pub(super) fn new(id: Option<String>, name: &str, stamp: Stamp) -> Record {
        Record { id, name: name.to_owned(), size: stamp.size }
    }
}

impl Store {
    /// Gives an identity that is kept to each of these files of the root: see [`Store::each_record`].
    ///
    /// # Errors
    /// An identity cannot be kept.
    pub fn identify_all(&self, files: &Listing) -> Result<()> {
        files.batches().try_for_each(|batch| self.identify(&batch).map(drop))
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
                if self.is_shown(id.as_ref()) {
                    tell(&Record::new(id, name, *stamp))?;
                }
            }
        }
        Ok(())
    }

    /// Opens a file at the top of the root for reading, and returns its record too. It must have this stamp, if one
    /// is given.
    ///
    /// # Errors
    /// There is no such plain file, or its identity cannot be kept.
    pub fn open_recorded(
        &self,
        name: &FileName,
        stamp: Option<Stamp>,
    ) -> Result<(Outgoing, Record)> {
        let (file, found) = self.open_plain(name)?;
        must_be(stamp, Stamp::of(&found))?;
        Ok((file, self.record(name, Stamp::of(&found))?))
    }

    /// Removes a file at the top of the root, and returns what its record was. It must have this stamp, if one is
    /// given. Removes it even if its identity cannot be kept.
    ///
    /// # Errors
    /// There is no such plain file, or nothing may be removed.
    pub fn remove_recorded(&self, name: &FileName, stamp: Option<Stamp>) -> Result<Record> {
        self.must_be_writable()?;
        let _turn = self.turn_to_remove()?;
        let (path, found) = self.find(name)?;
        let found = Stamp::of(&found);
        must_be(stamp, found)?;
        let record = self.record(name, found);
        self.remove_at(&path, name, found.size)?;
        Ok(record.unwrap_or_else(|_| Record::new(None, name.as_str(), found)))
    }

    fn record(&self, name: &FileName, stamp: Stamp) -> Result<Record> {
        let id = self.identify(&[(&self.spelling(name), stamp)])?.pop().flatten();
        let record = Record::new(id, name.as_str(), stamp);
        if self.is_shown(record.id.as_ref()) { Ok(record) } else { Err(no_such_file()) }
    }

    /// The name of a file as its folder has it. Where `A` and `a` are one file, both have its identity.
    fn spelling(&self, name: &FileName) -> String {
        if !cfg!(any(windows, target_os = "macos")) {
            return name.as_str().to_owned();
        }
        let found = self.root.join(name.as_str()).canonicalize().ok();
        let last = found.as_ref().and_then(|path| path.file_name()?.to_str());
        last.unwrap_or(name.as_str()).to_owned()
    }

    /// Whether a file with this identity is shown to a peer. One that has none has gone since the folder was read,
    /// except on a read-only server.
    fn is_shown(&self, id: Option<&String>) -> bool {
        id.is_some() || self.options.read_only
    }
}

fn must_be(expected: Option<Stamp>, found: Stamp) -> Result<()> {
    if expected.is_none_or(|expected| expected == found) { Ok(()) } else { Err(no_such_file()) }
}
