//! The places where names are looked up: this machine's files, and those on the server.

use std::fs::{self, Metadata};
use std::io;

use super::Client;
use super::names::{Found, Place};
use crate::error::{Answer, Code, Doing, Failure};
use crate::store::{Entry, FileName, Listing};

/// This machine's files, by their paths.
pub(super) struct Here;

impl Place for Here {
    fn has(&mut self, name: &str) -> Answer<Option<bool>> {
        Ok(Some(fs::symlink_metadata(name).is_ok()))
    }

    fn list(&mut self, folder: &str) -> Answer<Option<Vec<Found>>> {
        let folder = if folder.is_empty() { "." } else { folder };
        let entries = read_folder(folder).into_iter().flatten();
        // A pipe or a device cannot be sent.
        let entries = entries.filter(|(_, metadata)| metadata.is_file() || metadata.is_dir());
        let found = |(name, metadata): (_, Metadata)| Found { name, is_folder: metadata.is_dir() };
        Ok(Some(entries.map(found).collect()))
    }
}

/// The files on the server.
pub(super) struct There<'c>(pub(super) &'c mut Client);

impl Place for There<'_> {
    fn has(&mut self, name: &str) -> Answer<Option<bool>> {
        if self.0.requests().get_size.is_none() {
            return Ok(None);
        }
        // A long line of several names is not a valid name, and needs no request.
        if FileName::parse(name.as_bytes()).is_err() {
            return Ok(Some(false));
        }
        match self.0.get_size(name) {
            Ok(_) => Ok(Some(true)),
            Err(failure) => match failure.code() {
                Some(Code::IsFolder) => Ok(Some(true)),
                Some(Code::NotFound | Code::BadName) => Ok(Some(false)),
                _ => Err(failure),
            },
        }
    }

    fn list(&mut self, folder: &str) -> Answer<Option<Vec<Found>>> {
        if self.0.requests().list_files.is_none() {
            return Ok(None);
        }
        let folder = folder.trim_end_matches('/');
        let listing = match self.0.list_files((!folder.is_empty()).then_some(folder)) {
            Ok(listing) => listing,
            Err(failure) if matches!(failure.code(), Some(Code::NotFound | Code::BadName)) => {
                return Ok(Some(Vec::new()));
            }
            Err(failure) => return Err(failure),
        };
        // A server must not lead a pattern to another folder.
        let entries = listing.entries().filter(|entry| !entry.name.contains('/'));
        let found = |e: Entry<'_>| Found { name: e.name.to_owned(), is_folder: e.size.is_none() };
        Ok(Some(entries.map(found).collect()))
    }
}

/// The files in this folder that could be sent.
pub(super) fn local_files() -> Answer<Listing> {
    let entries = read_folder(".").map_err(|error| Failure::local(Doing::List, ".", error))?;
    let mut listing = Listing::default();
    for (name, metadata) in entries {
        if metadata.is_file() && FileName::parse(name.as_bytes()).is_ok() {
            listing.push(Entry { name: &name, size: Some(metadata.len()), id: None });
        }
    }
    listing.sort();
    Ok(listing)
}

/// The entries of a folder of this machine, links followed, without those that have no readable name.
fn read_folder(folder: &str) -> io::Result<impl Iterator<Item = (String, Metadata)>> {
    let entries = fs::read_dir(folder)?.flatten();
    Ok(entries.filter_map(|entry| {
        Some((entry.file_name().into_string().ok()?, fs::metadata(entry.path()).ok()?))
    }))
}
