//! Opens plain files and nothing else. A name may lead to a folder, a symbolic link, a pipe, a device or a
//! socket: what leads out of the root, waits for ever or has no end is refused.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

use crate::error::{Code, Error, Result};
use crate::store::disk::{self, op};

/// The flags that make the system itself refuse a link (`O_NOFOLLOW`), not wait for the other end of a pipe
/// (`O_NONBLOCK`) and not take a terminal as its own (`O_NOCTTY`), added up. The standard library passes such flags
/// on but has no names for them. Where their numbers are not known here, a file is looked at before it is opened.
#[cfg(unix)]
const UNFOLLOWED: Option<i32> = if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
    Some(0o404_400)
} else if cfg!(all(target_os = "linux", target_arch = "aarch64")) {
    Some(0o104_400)
} else if cfg!(target_os = "macos") {
    Some(0x2_0104)
} else {
    None
};

/// The plain file at this path, as the system sees it.
pub(super) fn look(path: &Path) -> Result<Metadata> {
    let found =
        op(|| fs::symlink_metadata(path)).map_err(|error| not_done("look at", path, &error))?;
    must_be_plain(&found)?;
    Ok(found)
}

/// Refuses a path at which there is something other than a plain file.
#[inline(never)]
pub(super) fn must_be_plain_or_free(path: &Path) -> Result<()> {
    let found = disk::look(path).map_err(|error| not_done("look at", path, &error))?;
    found.as_ref().map_or(Ok(()), must_be_plain)
}

/// Opens the plain file at this path for reading. Does it with one call where it can, because a look before
/// would cost as much again. What turns out to be something else is closed unread.
pub(super) fn open(path: &Path) -> Result<(File, Metadata)> {
    match open_unfollowed(path) {
        Some(Ok(file)) => {
            let opened = opened(&file, path)?;
            must_be_plain(&opened)?;
            Ok((file, opened))
        }
        // A look finds out best what it is. And a plain file that another process has a lease on may be waited
        // for.
        Some(Err(_)) | None => open_with_a_look(path),
    }
}

/// Adds the flags that make the system refuse a link and not wait for a pipe. `None` where their numbers are
/// not known.
#[cfg(unix)]
pub(super) fn unfollowed(options: &OpenOptions) -> Option<OpenOptions> {
    let flags = UNFOLLOWED?;
    let mut options = options.clone();
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags);
    Some(options)
}

#[cfg(not(unix))]
pub(super) fn unfollowed(_: &OpenOptions) -> Option<OpenOptions> {
    None
}

/// `None` where the flags of this system are not known. Not inlined, and neither are the functions after it:
/// what one of them uses of the stack, the next can use again.
#[inline(never)]
fn open_unfollowed(path: &Path) -> Option<io::Result<File>> {
    let options = unfollowed(OpenOptions::new().read(true))?;
    Some(op(|| options.open(path)))
}

#[inline(never)]
fn opened(file: &File, path: &Path) -> Result<Metadata> {
    op(|| file.metadata()).map_err(|error| not_done("open", path, &error))
}

/// Looks before it opens, because to open a pipe is to wait for its other end, and looks again after that.
#[cold]
#[inline(never)]
fn open_with_a_look(path: &Path) -> Result<(File, Metadata)> {
    let seen = look(path)?;
    let file = op(|| File::open(path)).map_err(|error| not_done("open", path, &error))?;
    let opened = opened(&file, path)?;
    if !same_file(&seen, &opened) {
        return Err(Error::new(Code::NotFound, "the file was just replaced: try again"));
    }
    Ok((file, opened))
}

fn not_done(tried: &str, path: &Path, error: &io::Error) -> Error {
    Error::io(format!("{tried} {}", path.display()), error)
}

fn must_be_plain(found: &Metadata) -> Result<()> {
    if found.is_file() {
        Ok(())
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
pub(super) fn file_id(found: &Metadata) -> Option<(u64, u64)> {
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
    fn both_ways_to_open_open_the_same() {
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
        for way in [open, open_with_a_look] {
            let (mut file, found) = way(&path("plain")).unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            assert_eq!((text.as_str(), found.len()), ("plain", 5));
            for (name, code) in [
                ("folder", Code::IsFolder),
                ("link", Code::BadName),
                ("dangling", Code::BadName),
                ("way-in", Code::BadName),
                ("pipe", Code::BadName),
                ("socket", Code::BadName),
                ("nothing", Code::NotFound),
            ] {
                assert_eq!(way(&path(name)).unwrap_err().code(), code, "{name}");
            }
        }
        let found = |name: &str| fs::symlink_metadata(path(name)).unwrap();
        fs::write(path("other"), "plain").unwrap();
        for (other, same) in [("plain", true), ("other", false), ("folder", false)] {
            assert_eq!(same_file(&found("plain"), &found(other)), same, "{other}");
            assert_eq!(same_file(&found(other), &found("plain")), same, "{other}");
        }
        assert!(!same_file(&found("folder"), &found("folder")));
        // Either way would do without the other: the flags are tried by themselves.
        let linux =
            cfg!(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")));
        assert_eq!(UNFOLLOWED.is_some(), linux || cfg!(target_os = "macos"));
        assert_eq!(open_unfollowed(&path("plain")).is_some(), UNFOLLOWED.is_some());
        if let Some(options) = unfollowed(OpenOptions::new().read(true)) {
            let opens = |name| options.open(path(name)).is_ok();
            assert_eq!(["plain", "link", "pipe"].map(opens), [true, false, true]);
        }
    }
}
