//! An upload on its way into the store: it grows out of sight, and is published whole or not at all.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::Store;
use super::atomic::{self, Draft};
use super::catalog::{DRAFT_AGE, Record, Stamp};
use super::name::FileName;
use super::quota::Reservation;
use super::workspace::Workspace;
use crate::error::{Code, Error, Result};

/// A counter that is tried by itself up to here, so that a gap made by hand is found at once; what
/// lies beyond is looked up in the memory of `numbers`.
const TRIED: u64 = 4;

/// An upload that has begun. Dropped before it is published, it leaves nothing.
pub struct Incoming<'s> {
    store: &'s Store,
    name: FileName,
    draft: Draft,
    reservation: Option<Reservation<'s>>,
    /// How much is still to come; `None` where nobody has said.
    left: Option<u64>,
    begun: Instant,
    /// Keeps the draft's folder, should the store have moved to another meanwhile.
    workspace: Arc<Workspace>,
}

impl<'s> Incoming<'s> {
    pub(super) fn new(
        store: &'s Store,
        name: FileName,
        draft: Draft,
        workspace: Arc<Workspace>,
    ) -> Incoming<'s> {
        Incoming {
            store,
            name,
            draft,
            reservation: None,
            left: Some(0),
            begun: Instant::now(),
            workspace,
        }
    }

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
            let sentence = format!("files may be at most {most} bytes");
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
    pub fn publish(self) -> Result<Stored> {
        if self.begun.elapsed() > DRAFT_AGE {
            // Two drafts of one name that began together could have one time, and the second be taken for
            // the first, which a client has been told of: see the catalog.
            let _ = self.draft.set_modified(SystemTime::now());
        }
        self.put_in_place()
    }

    fn put_in_place(mut self) -> Result<Stored> {
        if self.left.is_some_and(|left| left > 0) {
            return Err(Error::new(Code::Internal, "less came than was announced"));
        }
        let wanted = self.name.clone();
        let storing = |error| not_stored(&wanted, &error);
        let folder = self.store.folder_of(&self.name)?;
        if self.store.options.fsync {
            self.draft.sync().map_err(storing)?;
        }
        let before = self.store.numbers.before(&folder);
        let name = self.take_free_name(&folder)?;
        if self.store.options.fsync {
            atomic::sync_folder(&folder).map_err(storing)?;
        }
        self.store.numbers.added(&folder, name.last(), before);
        if let Some(reservation) = self.reservation.take() {
            reservation.stored();
        }
        Ok(Stored { name, _draft: self.draft, _workspace: self.workspace })
    }

    /// The same for a file at the top of the root, with its identity. If that cannot be kept, nothing is
    /// stored.
    ///
    /// # Errors
    /// See [`Incoming::publish`], or its identity cannot be kept.
    pub fn publish_recorded(self) -> Result<Record> {
        let store = self.store;
        let workspace = Arc::clone(&self.workspace);
        // To the nanosecond, where the file system has those: no other file gets the same by accident.
        let _ = self.draft.set_modified(SystemTime::now());
        let found = self.draft.metadata().map_err(|error| not_stored(&self.name, &error))?;
        let stamp = Stamp::of(&found);
        let Stored { name, .. } = self.put_in_place()?;
        match store.catalog.identify_stored(name.as_str(), stamp, &workspace) {
            Ok(id) => Ok(Record { id, name: name.as_str().to_owned(), size: stamp.size() }),
            Err(error) => {
                // Withdrawn, unless another request was quicker.
                match store.remove_exactly(&name, stamp) {
                    Err(failed) if !failed.is(Code::NotFound) => Err(failed),
                    _ => Err(error),
                }
            }
        }
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
        self.workspace.publish(&mut self.draft, &target).map_err(|error| not_stored(name, &error))
    }
}

/// A file that has been stored. What is left of its upload is removed when this is dropped, so that a client
/// can be told before.
pub struct Stored {
    name: FileName,
    _draft: Draft,
    _workspace: Arc<Workspace>,
}

impl Stored {
    /// The name it got.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.name.as_str()
    }
}

/// An upload that failed under our hands. If something is not there now, that is not the peer's file.
pub(super) fn not_stored(name: &FileName, error: &io::Error) -> Error {
    let failed = Error::io(format!("store {}", name.as_str()), error);
    if failed.is(Code::NotFound) {
        let sentence = "the server's folder is not as it should be; its log says why";
        return Error::new(Code::Internal, sentence).because(failed.cause());
    }
    failed
}
