//! An upload: it is written out of sight, and published whole or not at all.
//!
//! ```text
//! publish
//!   finish                 the draft is closed
//!   take_first_free        a.txt, a_1.txt and so on, until one is free
//!     publish_as           a hard link: it fails if the name is taken
//!   Draft::drop            the hidden name goes, the final one stays
//! ```

use std::fs::File;
use std::path::PathBuf;

use super::catalog::{Stamp, new_id};
use super::disk::{self, not_stored};
use super::plain;
use super::quota::{Quota, Share};
use super::workspace::{Draft, sync_folder};
use super::{FileName, Record, Store};
use crate::error::{Code, Error, Result};

/// An upload that has begun. It leaves nothing if it is dropped before it is published.
pub struct Incoming<'s> {
    store: &'s Store,
    name: FileName,
    draft: Draft,
    /// What it takes of the room for all files, where that has a limit. Fields are dropped from top to bottom: first the
    /// draft is removed, then its room is given back.
    share: Option<Share<'s>>,
    /// How much has come.
    came: u64,
}

impl Store {
    /// Begins an upload. Nothing of it is visible before [`Incoming::publish`].
    ///
    /// # Errors
    /// Nothing can be stored under this name, or nothing may be stored at all.
    pub fn begin(&self, name: FileName) -> Result<Incoming<'_>> {
        self.must_be_writable()?;
        // A folder that does not exist, or a name that a folder has, is refused now, before the client sends the file. A
        // plain file of this name is no obstacle: the upload gets a number.
        let path = self.path_of(&name)?;
        let found = disk::look(&path).map_err(|error| plain::not_done("look at", &path, &error))?;
        if let Some(found) = found {
            plain::must_be_plain(found)?;
        }
        let draft = self.draft().map_err(|error| not_stored(name.as_str(), &error))?;
        let share = self.quota.as_ref().map(Quota::share);
        Ok(Incoming { store: self, name, draft, share, came: 0 })
    }
}

impl<'s> Incoming<'s> {
    /// Looks whether there is room for a file of this size, before it comes. The limits are checked again while it does.
    ///
    /// # Errors
    /// It is larger than a file may be, or than what all files together may still have. The disk is not asked.
    pub fn must_have_room(&self, size: u64) -> Result<()> {
        self.must_not_be_too_large(size)?;
        match &self.share {
            Some(share) => share.must_fit(size),
            None => Ok(()),
        }
    }

    /// Adds to the file.
    ///
    /// # Errors
    /// The disk does not take it, or it is more than is allowed.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.came = self.came.saturating_add(bytes.len() as u64);
        // Not every dialect announces a size.
        self.must_not_be_too_large(self.came)?;
        if let Some(share) = &mut self.share {
            share.grow(bytes.len() as u64)?;
        }
        self.draft.write(bytes).map_err(|error| not_stored(self.name.as_str(), &error))
    }

    fn must_not_be_too_large(&self, size: u64) -> Result<()> {
        // No file system has files of 2^63 bytes or more: refused before they are sent.
        let most = self.store.options.max_file_size.unwrap_or(i64::MAX.unsigned_abs());
        if size > most {
            let sentence = format!("files may be at most {most} bytes");
            return Err(Error::new(Code::TooLarge, sentence));
        }
        Ok(())
    }

    /// Makes the whole file visible under the first free name: tries `a.txt`, `a_1.txt` and so on. Where all files have a
    /// limit together, the file counts as stored from that moment on.
    ///
    /// # Errors
    /// The disk does not take it, or the folder has gone.
    pub fn publish(mut self) -> Result<FileName> {
        let failed = |error| not_stored(self.name.as_str(), &error);
        self.draft.finish(self.store.options.fsync).map_err(failed)?;
        // Walked again: a folder may have been replaced meanwhile.
        let folder = self.store.walk(self.name.folder())?;
        // Two closures, which run later: `give_name` is called below, or by `count_as_stored`, and calls `try_name` for each
        // name.
        let try_name = |name: &FileName| self.draft.publish_as(&folder.join(name.last()));
        let give_name = || self.store.numbers.take_first_free(&self.name, try_name).map_err(failed);
        let stored = match &mut self.share {
            Some(share) => share.count_as_stored(give_name)?,
            None => give_name()?,
        };
        if self.store.options.fsync
            && let Err(error) = sync_folder(&folder)
        {
            // An upload that failed is to leave no file.
            let _ = self.store.take_back(&stored, None);
            return Err(failed(error));
        }
        // The hidden name, where the file still has it, goes when the draft is dropped, here.
        Ok(stored)
    }

    /// Publishes a file at the top of the root, and returns its record. If its identity cannot be kept, nothing
    /// is stored.
    ///
    /// # Errors
    /// See [`Incoming::publish`], or its identity cannot be kept.
    pub fn publish_recorded(mut self) -> Result<Record> {
        let (store, fsync) = (self.store, self.store.options.fsync);
        let found = self.draft.finish(fsync).and_then(|()| self.draft.metadata());
        let found = found.map_err(|error| not_stored(self.name.as_str(), &error))?;
        let stamp = Stamp::of(&found);
        let name = self.publish()?;
        match store.identify(&[(name.as_str(), stamp)]) {
            // If another request has removed it meanwhile, its identity leads nowhere.
            Ok(mut ids) => {
                let id = Some(ids.pop().flatten().unwrap_or_else(new_id));
                Ok(Record { id, name: name.as_str().to_owned(), size: stamp.size })
            }
            // Removed again, unless another request has done that.
            Err(error) => match store.take_back(&name, Some(stamp)) {
                Err(failed) if !failed.is(Code::NotFound) => Err(failed),
                _ => Err(error),
            },
        }
    }

    /// Puts bytes in front of what has come, at the price of a copy: for a dialect in which only the end tells
    /// where the file began.
    ///
    /// # Errors
    /// See [`Incoming::write`].
    pub fn put_before(&mut self, bytes: &[u8]) -> Result<()> {
        let failed = |error| not_stored(self.name.as_str(), &error);
        let draft = self.store.draft().map_err(failed)?;
        let old = std::mem::replace(&mut self.draft, draft);
        self.write(bytes)?;
        self.draft.append(&old).map_err(|error| not_stored(self.name.as_str(), &error))
    }

    /// Goes on with what has come before and is in this file at this path, which stays there if the upload is cut.
    pub fn into_kept(mut self, file: File, path: PathBuf) -> Incoming<'s> {
        self.draft = self.draft.into_kept(file, path);
        self
    }

    /// Whether it stays if it is cut.
    pub fn is_kept(&self) -> bool {
        self.draft.is_kept
    }

    /// Removes what has come, also of one that would be kept.
    pub fn discard(self) {
        self.draft.discard();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Log;
    use crate::store::Options;

    fn store(fsync: bool) -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { fsync, max_file_size: Some(10), ..Options::default() };
        let store = Store::open(folder.path(), options, &Log::default()).unwrap();
        (folder, store)
    }

    #[test]
    fn a_file_of_unknown_size_is_bounded_while_it_comes() {
        let (_folder, store) = store(true);
        let begin = |size| {
            let incoming = store.begin(FileName::parse(b"a").unwrap()).unwrap();
            incoming.must_have_room(size).map(|()| incoming)
        };
        let mut unknown = begin(0).unwrap();
        unknown.write(&[0; 10]).unwrap();
        assert!(unknown.write(&[0]).unwrap_err().is(Code::TooLarge));
        let mut known = begin(10).unwrap();
        known.write(&[0; 4]).unwrap();
        known.write(&[0; 6]).unwrap();
        assert!(known.publish().is_ok());
        assert!(begin(11).is_err());
        assert!(begin(0).unwrap().publish().is_ok());
    }
}
