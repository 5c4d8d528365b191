//! What a check puts into the server's folder, or beside it, and takes away again.

use std::fs;
use std::io;
use std::path::Path;

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
    /// A file beside the server's folder.
    Outside,
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
    };
    let outcome = if made.is_ok() { what(t) } else { Ok(()) };
    let _ = match kind {
        Kind::Folder => fs::remove_dir_all(inside),
        Kind::File | Kind::Link => fs::remove_file(inside),
        Kind::Outside => Ok(()),
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

const SECRET: &str = "secret";

fn link(to: &Path, from: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::symlink(to, from);
    #[cfg(windows)]
    return std::os::windows::fs::symlink_file(to, from);
    #[cfg(not(any(unix, windows)))]
    return {
        let _ = (to, from);
        Err(io::ErrorKind::Unsupported.into())
    };
}
