//! What a check puts into the server's folder, or beside it, and takes away again, and what it finds there.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a check has put there. It is taken away when this is dropped.
pub(super) struct Prepared {
    paths: Vec<PathBuf>,
}

impl Prepared {
    /// Puts something of this name into a server's folder, or beside it.
    ///
    /// # Errors
    /// It is not possible: for links some systems demand a right.
    pub(super) fn new(kind: &str, size: u64, root: &Path, name: &str) -> io::Result<Prepared> {
        let is_text = kind != "no-text";
        let inside = root.join(if is_text { name.into() } else { no_text(name)? });
        let outside = root.with_file_name(name);
        let prepared = Prepared { paths: vec![inside.clone(), outside.clone()] };
        match kind {
            "file" | "no-text" => fs::write(&inside, SECRET)?,
            "folder" => fs::create_dir(&inside)?,
            "outside" => fs::write(&outside, SECRET)?,
            "link" | "linked-folder" => {
                let secret = outside.join("a.txt");
                fs::create_dir_all(&outside)?;
                fs::write(&secret, SECRET)?;
                link(if kind == "link" { &secret } else { &outside }, &inside)?;
            }
            _ => fs::File::create(&inside)?.set_len(size)?,
        }
        Ok(prepared)
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        for path in &self.paths {
            let is_folder = path.symlink_metadata().is_ok_and(|it| it.is_dir());
            let _ = if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
    }
}

const SECRET: &str = "secret";

/// The files in this folder and below.
pub(super) fn files_in(folder: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            true => files.append(&mut files_in(&entry.path())),
            false => drop(files.insert(entry.path())),
        }
    }
    files
}

/// This name with a byte in it that UTF-8 does not have.
#[cfg(unix)]
fn no_text(name: &str) -> io::Result<OsString> {
    let bytes = [name.as_bytes(), b"\xff"].concat();
    Ok(std::os::unix::ffi::OsStringExt::from_vec(bytes))
}

#[cfg(unix)]
use std::os::unix::fs::symlink as link;

#[cfg(not(unix))]
fn no_text(_: &str) -> io::Result<OsString> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(windows)]
fn link(to: &Path, from: &Path) -> io::Result<()> {
    match to.is_dir() {
        true => std::os::windows::fs::symlink_dir(to, from),
        false => std::os::windows::fs::symlink_file(to, from),
    }
}
