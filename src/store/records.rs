//! Files with an identity: what the `json` dialect calls records. They are the files at the top of the root.

use std::fs::File;
use std::sync::PoisonError;
use std::time::Instant;

use super::catalog::{Stamp, no_such_file};
use super::{FileName, Listing, Outgoing, Store};
use crate::error::Result;
use crate::limits;

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

impl Store {
    /// The records of these files, some hundred at a time, so that few are in memory. Each has an identity that is kept.
    pub fn records(&self, files: &Listing) -> impl Iterator<Item = Result<Vec<Record>>> {
        files.batches().map(|batch| {
            let files = self.identify(&batch)?.into_iter().zip(batch);
            Ok(files.filter_map(|(id, (name, stamp))| self.record(id, name, stamp)).collect())
        })
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
        let file = self.open_file(name.clone())?;
        let found = Stamp::of(&file.found);
        found.must_be(stamp)?;
        Ok((file, self.record_of(name, found)?))
    }

    /// Removes a file at the top of the root, and returns what its record was. It must have this stamp, if one is
    /// given. Removes it even if its identity cannot be kept.
    ///
    /// # Errors
    /// There is no such plain file, or nothing may be removed.
    pub fn remove_recorded(&self, name: &FileName, stamp: Option<Stamp>) -> Result<Record> {
        self.must_be_writable()?;
        let found = Stamp::of(&self.find(name)?.1);
        found.must_be(stamp)?;
        // Others wait while this one removes, so what takes longer comes before.
        let record = self.record_of(name, found);
        // All threads that wait for another process wait until the same moment, not one after the other.
        let until = Instant::now() + limits::LOCK_WAIT;
        let _removing = self.removing.write().unwrap_or_else(PoisonError::into_inner);
        let _held = self.lock_removals(File::try_lock, until)?;
        self.remove_now(name, Some(found))?;
        let without_id = |_| Record { id: None, name: name.as_str().to_owned(), size: found.size };
        Ok(record.unwrap_or_else(without_id))
    }

    fn record_of(&self, name: &FileName, stamp: Stamp) -> Result<Record> {
        let id = self.identify(&[(name.as_str(), stamp)])?.pop().flatten();
        self.record(id, name.as_str(), stamp).ok_or_else(no_such_file)
    }

    /// The record of a file, if it is shown to a peer. One that has no identity has gone since the folder was read,
    /// except on a read-only server.
    fn record(&self, id: Option<String>, name: &str, Stamp { size, .. }: Stamp) -> Option<Record> {
        let is_shown = id.is_some() || self.options.read_only;
        is_shown.then(|| Record { id, name: name.to_owned(), size })
    }
}
