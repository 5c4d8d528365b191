//! For the rooms of the lab that start programs: a temporary folder, and the file of this program.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Answer, CREATE, Failure, Tried};

pub(super) const START: Tried = ("start", "menjalankan");

/// The file of this program. Where `/proc` is not mounted, as in a bare container, it is found by the word that
/// started it.
pub(super) fn this_program() -> io::Result<PathBuf> {
    std::env::current_exe().or_else(|error| match std::env::args_os().next() {
        Some(word) if Path::new(&word).is_file() => std::path::absolute(word),
        _ => Err(error),
    })
}

/// A folder that is removed when this is dropped.
pub(super) struct TemporaryFolder(pub(super) PathBuf);

impl TemporaryFolder {
    pub(super) fn new() -> Answer<TemporaryFolder> {
        let mut temporary = std::env::temp_dir();
        // A bare container has no such folder.
        if !temporary.is_dir() {
            temporary = std::env::current_dir().unwrap_or(temporary);
        }
        let path = temporary.join(format!("connme-scratch-{:016x}", crate::store::random()));
        fs::create_dir(&path).map_err(|error| Failure::local(CREATE, path.display(), error))?;
        Ok(TemporaryFolder(path))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
