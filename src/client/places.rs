//! Where names lead to: the files in this folder, and those on the server.

use std::fs;

use super::Client;
use super::names::{Found, Place};
use crate::error::{Answer, Code, Doing, Failure};
use crate::store::{Entry, FileName, Listing};

/// The files here, by paths.
pub(super) struct Here;

impl Place for Here {
    fn has(&mut self, name: &str) -> Answer<Option<bool>> {
        Ok(Some(fs::symlink_metadata(name).is_ok()))
    }

    fn list(&mut self, folder: &str) -> Answer<Option<Vec<Found>>> {
        let folder = if folder.is_empty() { "." } else { folder };
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(metadata) = fs::metadata(entry.path()) else { continue };
            let Ok(name) = entry.file_name().into_string() else { continue };
            // A pipe or a device cannot be sent.
            if metadata.is_file() || metadata.is_dir() {
                found.push(Found { name, folder: metadata.is_dir() });
            }
        }
        Ok(Some(found))
    }
}

/// The files on the server.
pub(super) struct There<'c>(pub(super) &'c mut Client);

impl Place for There<'_> {
    fn has(&mut self, name: &str) -> Answer<Option<bool>> {
        if self.0.requests().get_size.is_none() {
            return Ok(None);
        }
        // A long line of names is no name: there is nothing to ask.
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
        // A list has names of one part: a server must not lead a pattern to another folder.
        let entries = listing.entries().filter(|entry| !entry.name.contains('/'));
        let found = |e: Entry<'_>| Found { name: e.name.to_owned(), folder: e.size.is_none() };
        Ok(Some(entries.map(found).collect()))
    }
}

/// The files in this folder that could be sent.
pub(super) fn local_files() -> Answer<Listing> {
    let reading = |error| Failure::local(Doing::List, ".", error);
    let mut listing = Listing::default();
    for entry in fs::read_dir(".").map_err(reading)? {
        let entry = entry.map_err(reading)?;
        let Ok(metadata) = fs::metadata(entry.path()) else { continue };
        let Ok(name) = entry.file_name().into_string() else { continue };
        if metadata.is_file() && FileName::parse(name.as_bytes()).is_ok() {
            listing.push(Entry { name: &name, size: Some(metadata.len()), id: None });
        }
    }
    listing.sort();
    Ok(listing)
}
