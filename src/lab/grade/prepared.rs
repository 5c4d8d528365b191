//! What a check puts into the server's folder, or beside it, and takes away again, and what it finds there.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// What a check has put there. It is taken away when this is dropped.
pub(super) struct Prepared {
    inside: PathBuf,
    /// The path of the same name beside the folder.
    pub(super) outside: PathBuf,
}

impl Prepared {
    /// Puts something into a server's folder, or beside it: `KIND NAME`. `None`: that is not possible here.
    pub(super) fn new(what: &str, root: &Path) -> Option<Prepared> {
        let (kind, name) = what.split_once(' ')?;
        let has_more = ["sparse", "twin"].contains(&kind);
        let (more, name) = if has_more { name.split_once(' ')? } else { ("", name) };
        let inside = root.join(if kind == "no-text" { no_text(name)? } else { name.into() });
        let prepared = Prepared { inside, outside: root.with_file_name(name) };
        let Prepared { inside, outside } = &prepared;
        match kind {
            "folder" => fs::create_dir(inside),
            "folder-with-a-file" => {
                fs::create_dir(inside).and_then(|()| fs::write(inside.join("a.txt"), SECRET))
            }
            "outside" => fs::write(outside, SECRET),
            "link" | "linked-folder" => {
                let secret = outside.join("a.txt");
                fs::create_dir_all(outside).ok()?;
                fs::write(&secret, SECRET).ok()?;
                let made = link(if kind == "link" { &secret } else { outside }, inside);
                // Wine says that it has made a link when it has not.
                made.and_then(|()| fs::read_link(inside).map(drop))
            }
            // Not every disk has links, and some have few for a file.
            "twin" => fs::hard_link(root.join(more), inside)
                .or_else(|_| fs::copy(root.join(more), inside).map(drop)),
            "sparse" => fs::File::create(inside).ok()?.set_len(more.parse().ok()?),
            _ => fs::write(inside, SECRET),
        }
        .ok()?;
        Some(prepared)
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        for path in [&self.inside, &self.outside] {
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
fn no_text(name: &str) -> Option<OsString> {
    let bytes = [name.as_bytes(), b"\xff"].concat();
    Some(std::os::unix::ffi::OsStringExt::from_vec(bytes))
}

#[cfg(unix)]
use std::os::unix::fs::symlink as link;

#[cfg(not(unix))]
fn no_text(_: &str) -> Option<OsString> {
    None
}

#[cfg(windows)]
fn link(to: &Path, from: &Path) -> std::io::Result<()> {
    match to.is_dir() {
        true => std::os::windows::fs::symlink_dir(to, from),
        false => std::os::windows::fs::symlink_file(to, from),
    }
}
