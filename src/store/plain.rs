//! Plain files and nothing else. A name may lead to a folder, or to a symbolic link, a pipe, a device,
//! a socket: what leads out of the root, waits for ever or has no end is refused, and never followed.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

use crate::disk::op;
use crate::error::{Code, Error, Result};

/// What makes the system itself refuse a link (`O_NOFOLLOW`), and not wait for the other end of a pipe
/// (`O_NONBLOCK`). The standard library passes such flags on and names none: where their numbers are
/// not known here, a file is looked at before it is opened, which costs a system call more.
const UNFOLLOWED: Option<i32> = if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
    Some(0o400_000 | 0o4_000)
} else if cfg!(all(target_os = "linux", target_arch = "aarch64")) {
    Some(0o100_000 | 0o4_000)
} else if cfg!(target_os = "macos") {
    Some(0x100 | 0x4)
} else {
    None
};

/// The plain file at this path, as the system sees it.
pub(super) fn look(path: &Path) -> Result<Metadata> {
    let found = op(|| fs::symlink_metadata(path))
        .map_err(|error| Error::io(format!("look at {}", path.display()), &error))?;
    must_be_plain(&found)?;
    Ok(found)
}

/// Opens the plain file at this path for reading.
pub(super) fn open(path: &Path) -> Result<(File, Metadata)> {
    open_with(path, UNFOLLOWED)
}

fn open_with(path: &Path, unfollowed: Option<i32>) -> Result<(File, Metadata)> {
    let opening = |error: &io::Error| Error::io(format!("open {}", path.display()), error);
    let seen = if unfollowed.is_none() { Some(look(path)?) } else { None };
    let mut how = OpenOptions::new();
    how.read(true);
    #[cfg(unix)]
    if let Some(flags) = unfollowed {
        use std::os::unix::fs::OpenOptionsExt;
        how.custom_flags(flags);
    }
    let file = op(|| how.open(path)).map_err(|error| match look(path) {
        // It says better why a link or a socket cannot be opened.
        Err(reason) => reason,
        Ok(_) => opening(&error),
    })?;
    let opened = file.metadata().map_err(|error| opening(&error))?;
    must_be_plain(&opened)?;
    if seen.is_some_and(|seen| !same_file(&seen, &opened)) {
        return Err(Error::new(Code::NotFound, "the file was just replaced: try again"));
    }
    Ok((file, opened))
}

fn must_be_plain(found: &Metadata) -> Result<()> {
    if found.is_file() {
        Ok(())
    } else if found.is_dir() {
        Err(Error::new(Code::IsFolder, "that is a folder"))
    } else {
        Err(Error::new(Code::BadName, "that is no plain file"))
    }
}

/// Whether what was looked at is what was opened: a name can change hands in between.
pub(super) fn same_file(a: &Metadata, b: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        b.is_file() && (a.dev(), a.ino()) == (b.dev(), b.ino())
    }
    #[cfg(not(unix))]
    {
        a.is_file() && b.is_file()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn both_ways_to_open_open_the_same() {
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
        for unfollowed in [UNFOLLOWED, None] {
            let (mut file, found) = open_with(&path("plain"), unfollowed).unwrap();
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
                let refused = open_with(&path(name), unfollowed).unwrap_err();
                assert_eq!(refused.code(), code, "{name} {unfollowed:?}");
            }
        }
    }
}
