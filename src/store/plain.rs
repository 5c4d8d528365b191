//! Opens plain files and nothing else. A name may lead to a folder, a symbolic link, a pipe, a device or a
//! socket: what leads out of the root, waits for ever or has no end is refused.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;

use crate::error::{Code, Error, Result};
use crate::store::disk::op;

/// What the system says about the plain file at this path.
pub(super) fn metadata(path: &Path) -> Result<Metadata> {
    let found =
        op(|| fs::symlink_metadata(path)).map_err(|error| not_done("look at", path, &error))?;
    must_be_plain(found)
}

/// Opens the plain file at this path for reading. Looks before it, because to open a pipe is to wait for its other
/// end, and after it, because the name can change hands in between.
pub(super) fn open(path: &Path) -> Result<(File, Metadata)> {
    let seen = metadata(path)?;
    let opened = op(|| File::open(path)).and_then(|file| Ok((op(|| file.metadata())?, file)));
    let (opened, file) = opened.map_err(|error| not_done("open", path, &error))?;
    if !same_file(&seen, &opened) {
        return Err(Error::new(Code::NotFound, "the file was just replaced: try again"));
    }
    Ok((file, opened))
}

pub(super) fn not_done(tried: &str, path: &Path, error: &io::Error) -> Error {
    Error::io(format!("{tried} {}", path.display()), error)
}

/// Refuses what is not a plain file.
pub(super) fn must_be_plain(found: Metadata) -> Result<Metadata> {
    if found.is_file() {
        Ok(found)
    } else if found.is_dir() {
        Err(Error::new(Code::IsFolder, "that is a folder"))
    } else {
        Err(Error::new(Code::BadName, "that is not a plain file"))
    }
}

/// Whether what was looked at is what was opened: a name can change hands in between. Where files have no
/// numbers, any two plain files count as the same.
pub(super) fn same_file(a: &Metadata, b: &Metadata) -> bool {
    a.is_file() && b.is_file() && file_id(a) == file_id(b)
}

/// The numbers of a file system and of a file on it, where the system has them.
fn file_id(found: &Metadata) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Some((found.dev(), found.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = found;
        None
    }
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    #[test]
    fn plain_files_are_opened_and_nothing_else() {
        use super::*;
        use std::io::Read;
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("plain"), "plain").unwrap();
        fs::create_dir(path("folder")).unwrap();
        symlink(path("plain"), path("link")).unwrap();
        symlink(path("nothing"), path("dangling")).unwrap();
        symlink(path("folder"), path("way-in")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(path("pipe")).status().unwrap();
        assert!(made.success());
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        let (mut file, opened) = open(&path("plain")).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), opened.len()), ("plain", 5));
        for (name, code) in [
            ("folder", Code::IsFolder),
            ("link", Code::BadName),
            ("dangling", Code::BadName),
            ("way-in", Code::BadName),
            ("pipe", Code::BadName),
            ("socket", Code::BadName),
            ("nothing", Code::NotFound),
        ] {
            assert_eq!(open(&path(name)).unwrap_err().code(), code, "{name}");
        }
        let found = |name: &str| fs::symlink_metadata(path(name)).unwrap();
        fs::write(path("other"), "plain").unwrap();
        for (other, same) in [("plain", true), ("other", false), ("folder", false)] {
            assert_eq!(same_file(&found("plain"), &found(other)), same, "{other}");
            assert_eq!(same_file(&found(other), &found("plain")), same, "{other}");
        }
        assert!(!same_file(&found("folder"), &found("folder")));
    }
}
