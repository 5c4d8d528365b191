//! What a check puts into the server's folder, or beside it, and takes away again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::peer::{Done, Trial};

/// What is there under a name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A file.
    File,
    /// An empty folder.
    Folder,
    /// A link to a file beside the server's folder.
    Link,
    /// A link to a folder beside the server's folder, with a file a.txt.
    LinkedFolder,
    /// A file beside the server's folder.
    Outside,
    /// A file of this size with nothing in it.
    Sparse(u64),
}

/// Does something while this is there. Where it cannot be made, for links take a right on some systems, nothing is
/// done.
pub(super) fn with(
    t: &mut Trial,
    kind: Kind,
    name: &str,
    what: impl FnOnce(&mut Trial) -> Done,
) -> Done {
    let Some(root) = t.root.clone() else { return Ok(()) };
    let Some(parent) = root.parent() else { return Ok(()) };
    let (inside, outside) = (root.join(name), parent.join(name));
    let made = match kind {
        Kind::File => fs::write(&inside, SECRET),
        Kind::Folder => fs::create_dir(&inside),
        Kind::Link => fs::write(&outside, SECRET).and_then(|()| link(&outside, &inside)),
        Kind::Outside => fs::write(&outside, SECRET),
        Kind::LinkedFolder | Kind::Sparse(_) => Ok(()),
    };
    let outcome = if made.is_ok() { what(t) } else { Ok(()) };
    let _ = match kind {
        Kind::Folder => fs::remove_dir_all(inside),
        Kind::File | Kind::Link => fs::remove_file(inside),
        Kind::Outside | Kind::LinkedFolder | Kind::Sparse(_) => Ok(()),
    };
    if matches!(kind, Kind::Link | Kind::Outside) {
        let _ = fs::remove_file(outside);
    }
    outcome
}

/// The same with a name of the grader's, first in the folder above the server's and then by its whole path.
pub(super) fn outside(t: &mut Trial, what: impl Fn(&mut Trial, &str) -> Done) -> Done {
    let name = t.name(".txt");
    let whole = t.root.as_ref().and_then(|root| root.parent()).map(|it| it.join(&name));
    with(t, Kind::Outside, &name, |t| {
        what(t, &format!("../{name}"))?;
        // A path that is not UTF-8 cannot be asked for in every dialect.
        whole.as_ref().and_then(|path| path.to_str()).map_or(Ok(()), |path| what(t, path))
    })
}

/// What a check has put there. It is taken away when this is dropped.
pub(super) struct Prepared {
    paths: Vec<PathBuf>,
}

impl Prepared {
    /// Puts something of this name into a server's folder, or beside it.
    ///
    /// # Errors
    /// It is not possible: for links some systems demand a right.
    pub(super) fn new(kind: Kind, root: &Path, name: &str) -> io::Result<Prepared> {
        let (inside, outside) = (root.join(name), root.with_file_name(name));
        let prepared = Prepared { paths: vec![inside.clone(), outside.clone()] };
        match kind {
            Kind::File => fs::write(&inside, SECRET)?,
            Kind::Folder => fs::create_dir(&inside)?,
            Kind::Link => {
                fs::write(&outside, SECRET)?;
                link(&outside, &inside)?;
            }
            Kind::LinkedFolder => {
                fs::create_dir(&outside)?;
                fs::write(outside.join("a.txt"), SECRET)?;
                link(&outside, &inside)?;
            }
            Kind::Outside => fs::write(&outside, SECRET)?,
            Kind::Sparse(size) => fs::File::create(&inside)?.set_len(size)?,
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

fn link(to: &Path, from: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::symlink(to, from);
    #[cfg(windows)]
    return match to.is_dir() {
        true => std::os::windows::fs::symlink_dir(to, from),
        false => std::os::windows::fs::symlink_file(to, from),
    };
    #[cfg(not(any(unix, windows)))]
    return {
        let _ = (to, from);
        Err(io::ErrorKind::Unsupported.into())
    };
}
