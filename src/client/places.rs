//! The places where names are looked up: this machine's files, and those on the server.

use std::ffi::OsString;
use std::fs::{self, DirEntry, File};
use std::io;
use std::path::{Path, PathBuf};

use super::Client;
use super::argument::{Argument, texts};
use super::names::{self, Found, Kind, Named, Place};
use super::outcome::{Outcome, Stop};
use crate::dialect;
use crate::error::{Answer, CREATE, Code, Failure, READ, Tried};
use crate::lang::{escaped, msg, printable, text};
use crate::limits;
use crate::store::{Entry, FileName, Listing};

const LIST: Tried = ("list", "membaca daftar");

/// How deep a client follows the folders of a server with `-r`: a server could make them without an end.
const DEPTH: usize = 32;

/// The files of this machine that an argument means, and the other names that the user chose for them. With
/// `renames`, `PATH as NAME` chooses one.
///
/// # Errors
/// The argument is wrong, or no file matches a pattern.
pub(crate) fn here(argument: &Argument, renames: bool) -> Outcome<Named<PathBuf>> {
    match argument {
        Argument::Words(words) => Ok(Named::literal(match renamed(words).filter(|_| renames) {
            Some((path, other)) => vec![(path.into(), Some(other))],
            None => words.iter().map(|word| (word.into(), None)).collect(),
        })),
        Argument::Typed(line) => {
            let Named { names, by_pattern, skipped, .. } =
                names::resolve(line, names::ESCAPES, renames, &mut LocalFiles)?;
            let names = names.into_iter().map(|(path, other)| (path.into(), other)).collect();
            Ok(Named { by_pattern, skipped, ..Named::literal(names) })
        }
    }
}

/// The files on the server that an argument means. With `renames`, `NAME as OTHER` chooses another name for
/// one.
///
/// # Errors
/// The argument is wrong, no file matches a pattern, or a request failed.
pub(super) fn on_server(client: &mut Client, argument: &Argument, renames: bool) -> Outcome<Named> {
    let place = &mut ServerFiles(client, Collected::default());
    match argument {
        Argument::Typed(line) => names::resolve(line, names::ESCAPES, renames, place),
        Argument::Words(words) => match renamed(words).filter(|_| renames) {
            Some((name, other)) => {
                Ok(Named::literal(vec![(name.to_string_lossy().into_owned(), Some(other))]))
            }
            None => names::resolve_words(&texts(words), place),
        },
    }
}

/// The file and its other name in the words `ONE as OTHER`.
fn renamed(words: &[OsString]) -> Option<(&OsString, String)> {
    match words {
        [one, between, other] if between == "as" => {
            Some((one, other.to_string_lossy().into_owned()))
        }
        _ => None,
    }
}

/// This machine's files, by their paths.
struct LocalFiles;

impl Place for LocalFiles {
    fn home(&self) -> Option<String> {
        std::env::home_dir().map(|home| home.to_string_lossy().into_owned())
    }

    fn has(&mut self, name: &str) -> Answer<Option<bool>> {
        Ok(Some(fs::symlink_metadata(name).is_ok()))
    }

    fn list(&mut self, folder: &str) -> Answer<Option<Vec<Found>>> {
        let folder = if folder.is_empty() { "." } else { folder };
        Ok(Some(read_folder(folder).unwrap_or_default()))
    }
}

/// What is in a folder of this machine, by name and with links followed.
fn read_folder(folder: impl AsRef<Path>) -> io::Result<Vec<Found>> {
    let found = |entry: DirEntry| {
        let (name, metadata) = (entry.file_name(), fs::metadata(entry.path()));
        let kind = match metadata {
            _ if name.to_str().is_none() => Kind::NotUtf8,
            Ok(found) if found.is_dir() => Kind::Folder,
            Ok(found) if found.is_file() => Kind::File(found.len()),
            _ => Kind::Other,
        };
        let name = name.into_string().unwrap_or_else(|name| printable(name.as_encoded_bytes()));
        Found { name, kind }
    };
    let mut all: Vec<_> = fs::read_dir(folder)?.flatten().map(found).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// The files on the server.
struct ServerFiles<'c>(&'c mut Client, Collected);

impl Place for ServerFiles<'_> {
    fn has(&mut self, name: &str) -> Answer<Option<bool>> {
        if self.0.requests().get_size.is_none() {
            return Ok(None);
        }
        // A long line of several names is not a valid name, and needs no request.
        if FileName::parse(name.as_bytes()).is_err() {
            return Ok(Some(false));
        }
        match self.0.get_size(name).map_err(|failure| (failure.code(), failure)) {
            Ok(_) | Err((Some(Code::IsFolder), _)) => Ok(Some(true)),
            Err((Some(Code::NotFound | Code::BadName), _)) => Ok(Some(false)),
            Err((_, failure)) => Err(failure),
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
        self.1.add(&listing)?;
        Ok(Some(entries_of(&listing)))
    }
}

/// What is in a folder of the server, which must not lead to another folder.
fn entries_of(listing: &Listing) -> Vec<Found> {
    let entries = listing.entries().filter(|entry| !entry.name.contains('/'));
    let kind = |entry: &Entry<'_>| entry.size.map_or(Kind::Folder, Kind::File);
    entries.map(|entry| Found { name: entry.name.to_owned(), kind: kind(&entry) }).collect()
}

/// Puts the files in a folder, and in the folders in it, in the place of the folder. `enter` returns what is in one of
/// them: each entry with its name at the other end.
fn walk<N>(
    named: &mut Named<N>,
    folder: (N, String),
    mut enter: impl FnMut(&mut Named<N>, &N, &str) -> Outcome<Vec<(N, String, Kind)>>,
) -> Outcome {
    let mut folders = vec![folder];
    while let Some((folder, other)) = folders.pop() {
        for (name, other, kind) in enter(named, &folder, &other)? {
            match kind {
                Kind::File(_) => named.names.push((name, Some(other))),
                Kind::Folder => folders.push((name, other)),
                Kind::NotUtf8 | Kind::Other => named.left_out += 1,
            }
        }
    }
    Ok(())
}

/// Puts the files in a folder, and in the folders in it, in the place of the folder. Their names on the server
/// begin with its name. The server has to have these folders: no dialect can make one.
///
/// # Errors
/// The server does not have one of the folders, or does not answer.
pub(super) fn folders_here(client: &mut Client, named: &mut Named<PathBuf>) -> Outcome {
    for (path, other) in std::mem::take(&mut named.names) {
        if !path.is_dir() {
            named.names.push((path, other));
            continue;
        }
        let reading = |path: &Path, error| Failure::local(LIST, path.display(), error);
        // The folder `.` has a name too.
        let whole = path.canonicalize().map_err(|error| reading(&path, error))?;
        let own = whole.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let there = other.unwrap_or_else(|| own.to_owned());
        walk(named, (path, there), |named, path, there| {
            let entries = match read_folder(path) {
                Ok(entries) => entries,
                Err(error) => {
                    named.failed.push((path.display().to_string(), reading(path, error)));
                    return Ok(Vec::new());
                }
            };
            match client.list_files(Some(there)) {
                Err(failure) if failure.code() == Some(Code::NotFound) => {
                    return Err(Stop::Refused(text!("no-folder-there", folder = escaped(there))));
                }
                listing => listing.map(drop)?,
            }
            let entry = |Found { name, kind }| {
                let (path, there) = (path.join(&name), format!("{there}/{name}"));
                let is_link = kind == Kind::Folder && path.is_symlink();
                // Hidden files and what else has no name on a server is left out, as in a pattern.
                let has_name = FileName::parse(there.as_bytes()).is_ok();
                (path, there, if is_link || !has_name { Kind::Other } else { kind })
            };
            Ok(entries.into_iter().map(entry).collect())
        })?;
    }
    Ok(())
}

/// Puts the files in a folder of the server, and in the folders in it, in the place of the folder. Makes the
/// folders in the downloads folder, after all lists have come.
///
/// # Errors
/// A list cannot be had, there is too much in the folders, or a folder cannot be made here.
pub(super) fn folders_there(client: &mut Client, named: &mut Named) -> Outcome {
    let (mut collected, mut to_make) = (Collected::default(), Vec::new());
    let downloads = client.config().downloads_path();
    for (name, other) in std::mem::take(&mut named.names) {
        let there = name.trim_end_matches('/').to_owned();
        let own = there.rsplit('/').next().unwrap_or(&there).to_owned();
        let here = other.clone().unwrap_or(own);
        let mut is_file = true;
        walk(named, (there, here), |named, there, here| {
            let listing = match client.list_files(Some(there)) {
                Err(failure) if is_file && failure.code() == Some(Code::NotFound) => {
                    return Ok(Vec::new());
                }
                // The other folders are moved even if the server cannot read this one.
                Err(failure)
                    if matches!(failure, Failure::Unsendable(_))
                        || !is_file && matches!(failure, Failure::Refused { .. }) =>
                {
                    is_file = false;
                    named.failed.push((there.clone(), failure));
                    return Ok(Vec::new());
                }
                listing => listing?,
            };
            is_file = false;
            collected.add(&listing)?;
            // The name of a folder of this machine is as good as that of a file.
            if FileName::parse(here.as_bytes()).is_err() {
                named.left_out += 1;
                return Ok(Vec::new());
            }
            if here.split('/').count() > DEPTH {
                return Err(Stop::Refused(text!("too-deep", folder = escaped(there), DEPTH)));
            }
            let folder = downloads.join(here);
            if leads_elsewhere(&downloads, here) {
                let is_link = msg!("it is a link", "itu tautan");
                let failure = Failure::local(CREATE, folder.display(), is_link);
                named.failed.push((there.clone(), failure));
                return Ok(Vec::new());
            }
            to_make.push(folder);
            let entry =
                |Found { name, kind }| (format!("{there}/{name}"), format!("{here}/{name}"), kind);
            Ok(entries_of(&listing).into_iter().map(entry).collect())
        })?;
        if is_file {
            named.names.push((name, other));
        }
    }
    for folder in to_make {
        fs::create_dir_all(&folder)
            .map_err(|error| Failure::local(CREATE, folder.display(), error))?;
    }
    Ok(())
}

/// Whether a part of this path in the downloads folder is a link.
fn leads_elsewhere(downloads: &Path, path: &str) -> bool {
    let mut whole = downloads.to_owned();
    path.split('/').any(|part| {
        whole.push(part);
        whole.is_symlink()
    })
}

/// How much a command has collected from lists of a server.
#[derive(Default)]
struct Collected {
    entries: usize,
    memory: usize,
}

impl Collected {
    /// Takes note of one more list. A folder may be made here, and takes a block of the disk.
    fn add(&mut self, listing: &Listing) -> Answer<()> {
        self.entries += listing.entries().len();
        let names: usize = listing.entries().map(|entry| 2 * entry.name.len() + 128).sum();
        self.memory += names + 4096;
        match self.memory > limits::LIST_MEMORY {
            true => Err(dialect::too_long(self.entries)),
            false => Ok(()),
        }
    }
}

/// What came on standard input, in a file that is removed with this.
pub(super) struct StandardInput(PathBuf);

impl StandardInput {
    /// Reads all of it.
    pub(super) fn read() -> Answer<StandardInput> {
        let folder = std::env::temp_dir();
        let path = folder.join(format!("connme-client-{:016x}", crate::store::random()));
        let creating = |error| Failure::local(CREATE, path.display(), error);
        let mut options = File::options();
        // Other users of this machine may not read it.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.write(true).create_new(true).open(&path).map_err(creating)?;
        let input = StandardInput(path);
        let reading = |error| Failure::local(READ, "-", error);
        io::copy(&mut io::stdin().lock(), &mut file).map_err(reading)?;
        Ok(input)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for StandardInput {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The files in a folder here that could be sent, and the folders.
pub(super) fn local_files(folder: &str) -> Answer<Listing> {
    let folder = &names::with_home(folder, LocalFiles.home().as_deref());
    let entries = read_folder(folder).map_err(|error| Failure::local(LIST, folder, error))?;
    let mut listing = Listing::default();
    for Found { name, kind } in &entries {
        let size = match *kind {
            Kind::File(size) => Some(size),
            Kind::Folder => None,
            Kind::NotUtf8 | Kind::Other => continue,
        };
        if FileName::parse(name.as_bytes()).is_ok() {
            listing.push(Entry { name, size, id: None });
        }
    }
    listing.sort();
    Ok(listing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::tests::scripted;
    use crate::wire::script::Step;

    #[test]
    fn folders_of_a_server_that_have_no_end_are_left() {
        let list = vec![Step::Pause, Step::Bytes(b"ok 1\ndir - a\ntotal 0\n".into())];
        let (mut client, written, folder) = scripted(vec![list; 2 * DEPTH].concat());
        let mut named = Named::literal(vec![("a".to_owned(), None)]);
        let moved = folders_there(&mut client, &mut named);
        assert!(matches!(moved, Err(Stop::Refused(_))));
        assert_eq!(written.text().lines().count(), DEPTH + 1);
        assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
    }

    #[test]
    fn a_folder_that_is_not_there_is_empty_and_one_that_cannot_be_read_is_not() {
        let reply = |line: &str| vec![Step::Pause, Step::Bytes(line.into())];
        for (line, found) in [("error not-found no\n", Some(0)), ("error internal no\n", None)] {
            let (mut client, _, _folder) = scripted(reply(line));
            let listed = ServerFiles(&mut client, Collected::default()).list("a");
            assert_eq!(listed.ok().map(|found| found.unwrap().len()), found, "{line}");
        }
    }

    #[test]
    fn what_lists_of_a_server_take_together_is_bounded() {
        let mut listing = Listing::default();
        listing.push(Entry { name: &"a".repeat(100), size: None, id: None });
        let fit = limits::LIST_MEMORY / (2 * 100 + 128 + 4096);
        let mut collected = Collected::default();
        assert!((0..fit).all(|_| collected.add(&listing).is_ok()));
        assert_eq!(collected.add(&listing), Err(dialect::too_long(fit + 1)));
    }

    #[test]
    fn three_words_can_be_a_file_and_its_other_name() {
        let here = |words: &[&str], renames| {
            let words = Argument::Words(words.iter().map(Into::into).collect());
            let found = here(&words, renames).unwrap().names;
            found.into_iter().map(|(path, name)| (path.display().to_string(), name)).collect()
        };
        let pair = |name: &str, other: Option<&str>| (name.to_owned(), other.map(str::to_owned));
        let all: Vec<_> = here(&["a", "as", "b"], true);
        assert_eq!(all, [pair("a", Some("b"))]);
        let all: Vec<_> = here(&["a", "as", "b"], false);
        assert_eq!(all, [pair("a", None), pair("as", None), pair("b", None)]);
        let all: Vec<_> = here(&["a", "as"], true);
        assert_eq!(all, [pair("a", None), pair("as", None)]);
    }

    #[test]
    fn what_came_on_standard_input_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input");
        fs::write(&path, "hello").unwrap();
        drop(StandardInput(path.clone()));
        assert!(!path.exists());
    }

    /// A backslash separates folders on Windows.
    #[test]
    fn a_backslash_before_a_space_is_an_escape_where_it_separates_no_folders() {
        let found = here(&Argument::typed("no\\ such file"), true).unwrap().into_names();
        let words =
            if cfg!(windows) { ["no\\", "such", "file"].as_slice() } else { &["no such", "file"] };
        assert_eq!(found, words.iter().map(PathBuf::from).collect::<Vec<_>>());
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_no_file() {
        let device = Found { name: "null".to_owned(), kind: Kind::Other };
        assert!(read_folder("/dev").unwrap().contains(&device));
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_behind_a_link_is_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("docs/more")).unwrap();
        std::os::unix::fs::symlink("/", folder.path().join("docs/top")).unwrap();
        for (path, elsewhere) in
            [("docs", false), ("docs/more", false), ("docs/top", true), ("docs/top/tmp", true)]
        {
            assert_eq!(leads_elsewhere(folder.path(), path), elsewhere, "{path}");
        }
    }
}
