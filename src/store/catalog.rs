//! The identities of the files at the top of the root, in `.connme/mydatafile.dat`.
//!
//! A file gets its identity when that is first sent to a client; other files cost nothing here. The catalog is a
//! table to which lines are appended. From time to time it is written again without the lines of files that are
//! gone, so its size is bounded by the number of files.
//!
//! ```text
//! 1c0e9b52 = 7c9e6679f3d2a410 1
//! 4f1c33e0 + 6f9619ff-8b86-4011-b42d-00cf4fc964ff 33 1767225600.123456789 a.png
//! ```
//!
//! The first line has a random number, which differs from one table to the next, and the number of files that
//! were in the table when it was written. The first word of each line is a checksum of the rest: a line that is
//! incomplete, or was changed by hand, is skipped.
//!
//! An identity belongs to a file of this name, size and time of change, not to the name: a file that takes the
//! name later has another time. So an error here can cost an identity, but never gives a file the identity of
//! another. Several servers on one root append under a lock. Where there are no locks, the first line about a
//! file counts, so that two servers still return the same identity. Where the file system takes `A` and `a` for
//! one name, so does the catalog.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::plain::file_id;
use super::private::{self, PRIVATE};
use super::random;
use super::workspace::Workspace;
use crate::error::{Code, Error, Result, lock};
use crate::limits;
use crate::log::Log;
use crate::store::disk::op;

/// An identity: a random (version 4) UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(u128);

/// What tells a file from another that had the same name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    size: u64,
    /// When it was changed, as the time since 1970.
    changed: Duration,
}

/// The catalog of one store.
pub(super) struct Catalog {
    root: PathBuf,
    path: PathBuf,
    lock: PathBuf,
    fsync: bool,
    log: Log,
    known: Mutex<Known>,
    /// Held by the thread that writes.
    turn: Mutex<()>,
}

/// What has been read of the table.
#[derive(Default)]
struct Known {
    files: HashMap<Box<str>, (Id, Stamp)>,
    /// Where the file system does not tell upper from lower case: the names of these files, by what all
    /// spellings of a name have in common.
    spellings: Option<HashMap<String, Box<str>>>,
    /// What an earlier table said. If the table is removed by hand, no identity is lost with it.
    before: HashMap<Box<str>, (Id, Stamp)>,
    /// The first line of the table. A table that begins with another line is read from its beginning.
    head: Vec<u8>,
    /// How many bytes and lines have been read.
    read: u64,
    lines: u64,
    /// How many lines the table had when it was written.
    kept: u64,
}

/// The longest line that is read: an identity, a stamp and a name of 255 bytes are less than 400.
const LINE: usize = 1024;

/// How many lines may be appended to a table before it is written again, beside as many as it had.
const SLACK: u64 = 256;

/// How much of a table is written at a time. The whole table as one text would take its size in memory.
const PIECE: usize = 32 << 10;

/// How far apart two files must be changed to have two times, with [`DRAFT_AGE`] to spare: the clock by which a
/// file system notes a change moves every 4 or 10 ms.
const GRAIN: Duration = Duration::from_millis(50);

/// The same for a file system that notes seconds, or every second of them, as FAT does.
const COARSE_GRAIN: Duration = Duration::from_secs(3);

/// An upload that is stored later than this after it began gets the time of that moment.
pub(super) const DRAFT_AGE: Duration = Duration::from_millis(10);

impl Id {
    fn new() -> Id {
        let random = u128::from(random()) << 64 | u128::from(random());
        // With the bits of version 4 and of the variant of RFC 9562.
        Id(random & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62)
    }

    /// Reads an identity as it is printed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Id> {
        let id = u128::from_str_radix(&text.replace('-', ""), 16).ok().map(Id)?;
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = |shift: u32, bits: u32| (self.0 >> shift) & ((1 << bits) - 1);
        let (a, b, c) = (group(96, 32), group(80, 16), group(64, 16));
        write!(f, "{a:08x}-{b:04x}-{c:04x}-{:04x}-{:012x}", group(48, 16), group(0, 48))
    }
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Stamp {
        let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Stamp { size: metadata.len(), changed: since.unwrap_or_default() }
    }

    pub(super) fn size(self) -> u64 {
        self.size
    }

    /// Whether the file system has given it a time that is not rounded to seconds.
    fn is_precise(self) -> bool {
        self.changed.subsec_nanos() != 0
    }

    /// How long it takes until a file that takes the name has another stamp for certain. An upload that took
    /// longer than [`DRAFT_AGE`] gets the time at which it is stored, so a draft that has waited cannot have
    /// this one either.
    fn until_unique(self) -> Duration {
        let grain = if self.is_precise() { GRAIN } else { COARSE_GRAIN };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.changed.saturating_add(grain).saturating_sub(now).min(grain)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}.{:09}", self.size, self.changed.as_secs(), self.changed.subsec_nanos())
    }
}

impl Catalog {
    pub(super) fn new(root: &Path, fsync: bool, log: Log) -> Catalog {
        let private = root.join(PRIVATE);
        Catalog {
            root: root.to_owned(),
            path: private.join("mydatafile.dat"),
            lock: private.join("identifying"),
            fsync,
            log,
            known: Mutex::default(),
            turn: Mutex::default(),
        }
    }

    /// Returns the identities of these files, in their order. Gives one to those that have none, if this server
    /// may write: `workspace` is where a new table is written. Waits until no other file can get their stamps.
    ///
    /// # Errors
    /// An identity that is needed cannot be kept, so it is not returned; or the table cannot be read.
    pub(super) fn identify(
        &self,
        files: &[(&str, Stamp)],
        workspace: Option<&Workspace>,
    ) -> Result<Vec<Option<Id>>> {
        let mut known = self.caught_up()?;
        let new = files.iter().filter(|(name, stamp)| known.id(name, *stamp).is_none());
        let until_unique = new.map(|(_, stamp)| stamp.until_unique()).max();
        if let (Some(until_unique), Some(workspace)) = (until_unique, workspace) {
            // No lock is held during the wait.
            drop(known);
            std::thread::sleep(until_unique);
            // What was seen may have changed by now: only what is still there is written down.
            known = self.keep(files, |name, stamp| self.is_still(name, stamp), workspace)?;
        }
        Ok(files.iter().map(|(name, stamp)| known.id(name, *stamp)).collect())
    }

    /// Whether a thread writes to the table, or waits for another server that does.
    #[cfg(test)]
    pub(super) fn is_writing(&self) -> bool {
        self.turn.try_lock().is_err()
    }

    /// The identity of a file that has just been stored, whatever has become of it since.
    ///
    /// # Errors
    /// See [`Catalog::identify`].
    pub(super) fn identify_stored(
        &self,
        name: &str,
        stamp: Stamp,
        workspace: &Workspace,
    ) -> Result<Option<Id>> {
        if !stamp.is_precise() {
            std::thread::sleep(stamp.until_unique());
        }
        Ok(self.keep(&[(name, stamp)], |_, _| true, workspace)?.id(name, stamp))
    }

    /// Gives an identity to those of these files that have none and are `wanted`.
    fn keep(
        &self,
        files: &[(&str, Stamp)],
        wanted: impl Fn(&str, Stamp) -> bool,
        workspace: &Workspace,
    ) -> Result<MutexGuard<'_, Known>> {
        let until = Instant::now() + limits::LOCK_WAIT;
        // The threads of this server wait for each other here, and only one of them waits for other servers:
        // two servers that see a new file at the same moment must not each give it an identity.
        let _turn = lock(&self.turn);
        let wait = until.saturating_duration_since(Instant::now());
        let locked = private::lock(&self.lock, wait).map_err(|error| not_kept("lock", &error))?;
        let mut known = self.caught_up()?;
        self.append(&mut known, files, wanted).map_err(|error| not_kept("write", &error))?;
        // Without a lock, what another server appends meanwhile would be lost with the old table.
        let is_long = known.lines > known.kept.saturating_mul(2).saturating_add(SLACK);
        if is_long && locked.is_some() {
            self.rewrite(&mut known, workspace);
        }
        Ok(known)
    }

    fn caught_up(&self) -> Result<MutexGuard<'_, Known>> {
        let mut known = lock(&self.known);
        self.catch_up(&mut known).map_err(|error| not_kept("read", &error))?;
        Ok(known)
    }

    /// The name of the file that has this identity, and the stamp that it must still have.
    pub(super) fn find(&self, id: Id) -> Result<Option<(String, Stamp)>> {
        let known = self.caught_up()?;
        let mut entries = known.files.iter().chain(&known.before);
        let found = entries.find(|(_, (known, _))| *known == id);
        Ok(found.map(|(name, (_, stamp))| (name.to_string(), *stamp)))
    }

    /// Writes the lines of such files, in one write.
    fn append(
        &self,
        known: &mut Known,
        files: &[(&str, Stamp)],
        wanted: impl Fn(&str, Stamp) -> bool,
    ) -> io::Result<()> {
        let mut lines = String::new();
        for (name, stamp) in files {
            if known.id(name, *stamp).is_none() && wanted(name, *stamp) {
                let before = known.before.get(*name).filter(|(_, before)| before == stamp);
                lines += &file_line(name, before.map_or_else(Id::new, |(id, _)| *id), *stamp);
            }
        }
        if lines.is_empty() {
            return Ok(());
        }
        let mut options = OpenOptions::new();
        let file = op(|| private::open(&self.path, options.append(true).create(true)))?;
        let start = if file.metadata()?.len() == 0 { head(0) } else { String::new() };
        // The first byte ends a line that another writer has left incomplete.
        op(|| (&file).write_all(format!("{start}\n{lines}").as_bytes()))?;
        if self.fsync {
            op(|| file.sync_data())?;
        }
        self.catch_up(known)
    }

    fn is_still(&self, name: &str, stamp: Stamp) -> bool {
        let found = fs::symlink_metadata(self.root.join(name));
        found.is_ok_and(|found| found.is_file() && Stamp::of(&found) == stamp)
    }

    /// Writes the table again, with the lines of files that still exist. If that fails, the old one stays in
    /// use, and grows to twice its size before the next attempt.
    fn rewrite(&self, known: &mut Known, workspace: &Workspace) {
        let gone = known.files.extract_if(|name, (_, stamp)| !self.is_still(name, *stamp));
        let gone: Vec<_> = gone.collect();
        if let Err(error) = self.write_table(known, workspace) {
            known.files.extend(gone);
            self.log.lasting(format_args!("catalog: write {}: {error}", self.path.display()));
        }
        if let Known { spellings: Some(spellings), files, .. } = known {
            spellings.retain(|_, name| files.contains_key(name));
        }
        known.kept = known.lines;
    }

    fn write_table(&self, known: &mut Known, workspace: &Workspace) -> io::Result<()> {
        let head = head(known.files.len());
        let mut text = head.clone();
        let mut draft = workspace.draft()?;
        for (name, (id, stamp)) in &known.files {
            text += &file_line(name, *id, *stamp);
            if text.len() >= PIECE {
                draft.write(text.as_bytes())?;
                text.clear();
            }
        }
        draft.write(text.as_bytes())?;
        if self.fsync {
            draft.sync()?;
        }
        let written = draft.metadata()?.len();
        draft.replace(&self.path)?;
        known.head = head.into_bytes();
        known.read = written;
        known.lines = known.files.len() as u64;
        Ok(())
    }

    /// Reads what has been appended since the last look.
    fn catch_up(&self, known: &mut Known) -> io::Result<()> {
        let file = match op(|| private::open(&self.path, OpenOptions::new().read(true))) {
            Ok(file) => file,
            // It does not exist yet, or was removed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                known.start_over(Vec::new(), false);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let size = file.metadata()?.len();
        let mut lines = BufReader::new(file);
        let mut line = Vec::new();
        let next = |lines: &mut BufReader<_>, line: &mut Vec<u8>| {
            line.clear();
            lines.take(LINE as u64).read_until(b'\n', line)
        };
        next(&mut lines, &mut line)?;
        if known.head != line || size < known.read {
            known.start_over(line.clone(), folds_case(&self.path));
        }
        lines.seek(SeekFrom::Start(known.read))?;
        let mut damaged = 0;
        loop {
            let n = next(&mut lines, &mut line)?;
            // A last line without its end is perhaps still being written.
            if line.pop_if(|last| *last == b'\n').is_none() && n < LINE {
                break;
            }
            known.read += n as u64;
            match std::str::from_utf8(&line).ok().and_then(entry) {
                Some(Entry::Head(kept)) => known.kept = kept,
                Some(Entry::File(id, stamp, name)) => known.add(id, stamp, name),
                None if line.is_empty() => {}
                None => damaged += 1,
            }
        }
        known.lines += damaged;
        if damaged > 0 {
            self.log.line(format_args!("catalog: skipped {damaged} damaged lines"));
        }
        Ok(())
    }
}

impl Known {
    fn id(&self, name: &str, stamp: Stamp) -> Option<Id> {
        let is_it = |file: &&(Id, Stamp)| file.1 == stamp;
        let respelled = || self.files.get(self.spellings.as_ref()?.get(&folded(name))?);
        let file = self.files.get(name).filter(is_it).or_else(|| respelled().filter(is_it));
        file.map(|(id, _)| *id)
    }

    /// Begins with another table.
    fn start_over(&mut self, head: Vec<u8>, folds_case: bool) {
        let mut before = std::mem::take(&mut self.files);
        if before.is_empty() {
            before = std::mem::take(&mut self.before);
        }
        let spellings = folds_case.then(HashMap::new);
        *self = Known { head, before, spellings, ..Known::default() };
    }

    fn add(&mut self, id: Id, stamp: Stamp, name: &str) {
        self.lines += 1;
        // The first line about a file counts.
        if self.id(name, stamp).is_none() {
            self.files.insert(name.into(), (id, stamp));
            if let Some(spellings) = &mut self.spellings {
                spellings.insert(folded(name), name.into());
            }
        }
    }
}

/// Whether the file system at this path, where a file is, takes names that differ in case for one.
fn folds_case(path: &Path) -> bool {
    let other = path.with_file_name("MYDATAFILE.DAT");
    let id = |path: &Path| fs::symlink_metadata(path).ok().map(|found| file_id(&found));
    id(&other).is_some_and(|other| id(path) == Some(other))
}

/// What the spellings of a name have in common: its letters in upper case, where every system agrees about them.
fn folded(name: &str) -> String {
    let fold = |c: char| match c.to_uppercase().next() {
        Some(upper) if c < '\u{500}' && upper.to_lowercase().eq([c]) => upper,
        _ => c,
    };
    name.chars().map(fold).collect()
}

/// A line of the table.
#[derive(Clone, Copy)]
enum Entry<'l> {
    Head(u64),
    File(Id, Stamp, &'l str),
}

/// The first line of a new table with this many files in it.
fn head(kept: usize) -> String {
    line(format_args!("= {:016x} {kept}", random()))
}

fn file_line(name: &str, id: Id, stamp: Stamp) -> String {
    line(format_args!("+ {id} {stamp} {name}"))
}

/// The error for a catalog that cannot be used. It never says that the file does not exist.
pub(super) fn not_kept(tried: &str, error: &io::Error) -> Error {
    let failed = Error::io(format!("{tried} the catalog"), error);
    if failed.is(Code::NoSpace) {
        return failed;
    }
    let sentence = "the server cannot keep an identity for the file; its log says why";
    Error::new(Code::Internal, sentence).because(failed.cause())
}

/// A line of the table, with its checksum in front.
fn line(entry: fmt::Arguments<'_>) -> String {
    let entry = entry.to_string();
    format!("{:08x} {entry}\n", check(&entry))
}

fn entry(line: &str) -> Option<Entry<'_>> {
    let (sum, rest) = line.split_once(' ')?;
    if u32::from_str_radix(sum, 16).ok()? != check(rest) {
        return None;
    }
    let mut words = rest.splitn(5, ' ');
    let mut word = || words.next();
    match (word()?, word()?) {
        ("=", _) => word()?.parse().ok().map(Entry::Head),
        ("+", id) => {
            let size = word()?.parse().ok()?;
            let (seconds, nanos) = word()?.split_once('.')?;
            let nanos = nanos.parse().ok().filter(|nanos| *nanos < 1_000_000_000)?;
            let changed = Duration::new(seconds.parse().ok()?, nanos);
            Some(Entry::File(Id::parse(id)?, Stamp { size, changed }, word()?))
        }
        _ => None,
    }
}

/// FNV-1a: finds accidents, and is not meant to find more.
fn check(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::fs::File;

    struct Server {
        catalog: Catalog,
        workspace: Workspace,
    }

    fn server(root: &Path) -> Server {
        let workspace = Workspace::claim(root, None).unwrap();
        Server { catalog: Catalog::new(root, false, Log::silent()), workspace }
    }

    impl Server {
        fn ids(&self, files: &[(&str, Stamp)]) -> Vec<Option<Id>> {
            self.catalog.identify(files, Some(&self.workspace)).unwrap()
        }

        fn id(&self, name: &str, stamp: Stamp) -> Option<Id> {
            self.ids(&[(name, stamp)])[0]
        }

        fn table(&self) -> Vec<u8> {
            fs::read(&self.catalog.path).unwrap()
        }
    }

    fn put(root: &Path, name: &str) -> Stamp {
        let path = root.join(name);
        fs::write(&path, name).unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(SystemTime::now()).unwrap();
        Stamp::of(&fs::metadata(path).unwrap())
    }

    #[test]
    fn an_identity_is_a_version_4_uuid() {
        for _ in 0..100 {
            let id = Id::new();
            let text = id.to_string();
            assert_eq!(Id::parse(&text), Some(id));
            let bytes = text.as_bytes();
            assert_eq!((text.len(), bytes[14], bytes[8], bytes[23]), (36, b'4', b'-', b'-'));
            assert!(b"89ab".contains(&bytes[19]), "{text}");
        }
        for wrong in
            ["", "x", "6F9619FF-8B86-4011-B42D-00CF4FC964FF", "6f9619ff8b864011b42d00cf4fc964ff"]
        {
            assert_eq!(Id::parse(wrong), None);
        }
    }

    #[test]
    fn lines_are_read_as_they_are_written() {
        let id = Id::new();
        let changed = Duration::from_nanos(1_700_000_000_000_000_042);
        let stamp = Stamp { size: 5, changed };
        let written = line(format_args!("+ {id} {stamp} my file.txt"));
        match entry(written.trim_end()) {
            Some(Entry::File(read, read_stamp, name)) => {
                assert_eq!((read, read_stamp, name), (id, stamp, "my file.txt"));
            }
            _ => panic!("{written}"),
        }
        assert!(matches!(entry(head(7).trim_end()), Some(Entry::Head(7))));
        // A second has no more nanoseconds.
        let too_late = line(format_args!("+ {id} 5 {}.1000000000 a", u64::MAX));
        assert!(entry(too_late.trim_end()).is_none());
        // Torn anywhere, or one byte changed: not a line.
        for at in 0..written.len() - 1 {
            assert!(written.get(..at).and_then(entry).is_none());
            let mut changed = written.trim_end().as_bytes().to_vec();
            changed[at] ^= 1;
            assert!(std::str::from_utf8(&changed).ok().and_then(entry).is_none(), "{at}");
        }
    }

    #[test]
    fn an_identity_belongs_to_the_file_and_not_to_the_name() {
        let root = tempfile::tempdir().unwrap();
        let server = server(root.path());
        let stamp = put(root.path(), "a");
        let first = server.id("a", stamp).unwrap();
        assert_eq!(server.id("a", stamp), Some(first));
        assert_eq!(server.catalog.find(first).unwrap(), Some(("a".to_owned(), stamp)));
        let changed = put(root.path(), "a");
        let second = server.id("a", changed).unwrap();
        assert!(second != first && server.catalog.find(first).unwrap().is_none());
        // A file that is gone by now gets no identity, and takes none from another.
        assert_eq!(server.id("a", stamp), None);
        assert_eq!(server.id("a", changed), Some(second));
        fs::remove_file(root.path().join("a")).unwrap();
        assert_eq!(server.id("b", changed), None);
    }

    /// On Windows, `HELLO.TXT` had another identity than `hello.txt`, though there is only one such file.
    #[test]
    fn one_file_has_one_identity_in_every_letter_case() {
        let root = tempfile::tempdir().unwrap();
        let server = server(root.path());
        let stamp = put(root.path(), "hello.txt");
        let id = server.id("hello.txt", stamp);
        let folds = root.path().join("HELLO.TXT").exists();
        assert_eq!(server.id("HELLO.TXT", stamp), id.filter(|_| folds));
        let (one, other) = (Id::new(), Id::new());
        let later = Stamp { size: 1, ..stamp };
        let mut known = Known::default();
        known.start_over(Vec::new(), true);
        known.add(one, stamp, "hé.txt");
        assert_eq!((known.id("HÉ.txt", stamp), known.id("HÉ.txt", later)), (Some(one), None));
        known.add(other, stamp, "HÉ.TXT");
        assert_eq!((known.id("Hé.txt", stamp), known.files.len()), (Some(one), 1));
        known.add(other, later, "HÉ.TXT");
        assert_eq!(
            (known.id("hé.txt", stamp), known.id("hé.txt", later)),
            (Some(one), Some(other))
        );
        known.start_over(Vec::new(), false);
        known.add(one, stamp, "a");
        assert_eq!((known.id("A", stamp), known.id("a", stamp)), (None, Some(one)));
        for (name, all) in
            [("aZ_1.é", "AZ_1.É"), ("ßıſµς\u{212a}", "ßıſµς\u{212a}"), ("ა漢", "ა漢")]
        {
            assert_eq!(folded(name), all);
        }
    }

    #[test]
    fn two_files_that_share_a_moment_do_not_share_an_identity() {
        let root = tempfile::tempdir().unwrap();
        let server = server(root.path());
        let until = |changed| Stamp { changed, size: 1 }.until_unique();
        assert_eq!(until(Duration::new(u64::MAX, 1)), GRAIN);
        assert_eq!(until(Duration::from_secs(u64::MAX)), COARSE_GRAIN);
        assert_eq!(until(Duration::ZERO), Duration::ZERO);
        // Told as soon as they are there, removed and stored again: the times are never the same.
        let mut ids = HashSet::new();
        for _ in 0..10 {
            fs::write(root.path().join("a"), "x").unwrap();
            let stamp = Stamp::of(&fs::metadata(root.path().join("a")).unwrap());
            let start = Instant::now();
            let id = server.catalog.identify(&[("a", stamp)], Some(&server.workspace));
            assert!(start.elapsed() > GRAIN / 3, "it has not waited");
            assert!(ids.insert(id.unwrap()[0].unwrap()));
            fs::remove_file(root.path().join("a")).unwrap();
        }
    }

    #[test]
    fn two_servers_and_a_restart_agree() {
        let root = tempfile::tempdir().unwrap();
        let (one, other) = (server(root.path()), server(root.path()));
        let files = ["a", "b"].map(|name| (name, put(root.path(), name)));
        let a = one.id("a", files[0].1);
        let ids = other.ids(&files);
        assert_eq!(ids[0], a);
        assert_eq!(one.ids(&files), ids);
        assert_eq!(server(root.path()).ids(&files), ids);
        // Where there are no locks, two servers can write a line each: the first counts.
        let stamp = put(root.path(), "c");
        let lines: Vec<_> =
            [Id::new(), Id::new()].map(|id| line(format_args!("+ {id} {stamp} c"))).into();
        let mut table = one.table();
        table.extend_from_slice(lines.concat().as_bytes());
        fs::write(&one.catalog.path, table).unwrap();
        let first = one.id("c", stamp).unwrap();
        assert!(lines[0].contains(&first.to_string()));
        assert_eq!(other.id("c", stamp), Some(first));
    }

    #[test]
    fn a_table_that_is_another_one_is_read_from_its_beginning() {
        let root = tempfile::tempdir().unwrap();
        let (one, other) = (server(root.path()), server(root.path()));
        let files = ["a", "b"].map(|name| (name, put(root.path(), name)));
        let ids = one.ids(&files);
        assert_eq!(other.ids(&files), ids);
        one.catalog.rewrite(&mut one.catalog.caught_up().unwrap(), &one.workspace);
        assert_eq!(other.ids(&files), ids);
        // Removed by hand: a server that knows says so to the rest, by name or by identity.
        fs::remove_file(&one.catalog.path).unwrap();
        assert_eq!(other.catalog.find(ids[1].unwrap()).unwrap().unwrap().0, "b");
        assert_eq!(one.ids(&files), ids);
        assert_eq!(server(root.path()).ids(&files), ids);
        // A read-only server tells what the table says, and nothing else.
        let new = put(root.path(), "new");
        let read_only = Catalog::new(root.path(), false, Log::silent());
        let asked = [files[0], ("new", new)];
        assert_eq!(read_only.identify(&asked, None).unwrap(), [ids[0], None]);
        let told = one.id("new", new);
        assert_eq!(read_only.identify(&asked, None).unwrap(), [ids[0], told]);
    }

    /// The journal grew by 2.6 to 9.6 MB a second.
    #[test]
    fn the_table_is_bounded_by_the_number_of_files() {
        let root = tempfile::tempdir().unwrap();
        let mut server = server(root.path());
        let stay = ["x", "y"].map(|name| (name, put(root.path(), name)));
        let ids = server.ids(&stay);
        let mut most = 0;
        for n in 0..2000 {
            let name = format!("{n:0>200}");
            let stamp = put(root.path(), &name);
            let told = server.catalog.identify_stored(&name, stamp, &server.workspace);
            assert!(told.unwrap().is_some());
            fs::remove_file(root.path().join(&name)).unwrap();
            most = most.max(server.table().len());
            if n % 300 == 299 {
                // Not even restarts just before it would be written again let it grow.
                server.catalog = Catalog::new(root.path(), false, Log::silent());
            }
        }
        assert!(most < 350 * 300, "{most}");
        assert_eq!(server.ids(&stay), ids);
    }

    #[test]
    fn the_table_is_written_again_when_it_has_grown_and_not_before() {
        let root = tempfile::tempdir().unwrap();
        let server = server(root.path());
        let gone = put(root.path(), "gone");
        assert_eq!(gone.size(), 4);
        let store = |name: &str, stamp| {
            server.catalog.identify_stored(name, stamp, &server.workspace).unwrap().unwrap();
            let table = String::from_utf8(server.table()).unwrap();
            (table.contains(" gone\n"), table.lines().filter(|line| !line.is_empty()).count())
        };
        assert_eq!(store("gone", gone), (true, 2));
        fs::remove_file(root.path().join("gone")).unwrap();
        for (_, lines) in (2..=SLACK).zip(3..) {
            assert_eq!(store("a", put(root.path(), "a")), (true, lines));
        }
        // One more: the lines of "gone" and of the older files "a" are left out.
        assert_eq!(store("a", put(root.path(), "a")), (false, 2));
    }

    #[test]
    fn only_what_has_been_appended_is_read_again() {
        let root = tempfile::tempdir().unwrap();
        let mut server = server(root.path());
        let log = root.path().join("log");
        server.catalog.log = Log::open(Some(&log), crate::lang::Lang::En).unwrap();
        let said = || {
            server.catalog.log.flush();
            fs::read_to_string(&log).unwrap()
        };
        let at_the_end = |lines: u64| {
            let known = server.catalog.caught_up().unwrap();
            assert_eq!((known.read, known.lines), (server.table().len() as u64, lines));
            assert!(known.before.is_empty() && !known.head.is_empty(), "read from the beginning");
        };
        for (lines, name) in (1..).zip(["a", "b"]) {
            server.id(name, put(root.path(), name)).unwrap();
            at_the_end(lines);
        }
        assert_eq!(said(), "");
        let mut table = OpenOptions::new().append(true).open(&server.catalog.path).unwrap();
        table.write_all(b"\ndamaged\ndamaged too\n").unwrap();
        at_the_end(4);
        at_the_end(4);
        assert_eq!(said().matches("skipped 2 damaged lines").count(), 1);
    }

    #[test]
    fn damage_costs_no_more_than_what_it_hit() {
        let root = tempfile::tempdir().unwrap();
        let one = server(root.path());
        let names: Vec<_> = (0..5).map(|n| n.to_string()).collect();
        let files: Vec<_> =
            names.iter().map(|name| (name.as_str(), put(root.path(), name))).collect();
        let ids = one.ids(&files);
        let text = one.table();
        for at in 0..text.len() {
            let mut damaged = text.clone();
            damaged[at] = b'#';
            for damaged in [damaged, text[..at].to_vec()] {
                fs::write(&one.catalog.path, damaged).unwrap();
                let again = server(root.path()).ids(&files);
                assert!(again.iter().all(Option::is_some));
                for (n, id) in again.iter().enumerate() {
                    assert!(ids.iter().enumerate().all(|(m, other)| other != id || m == n));
                }
                let kept = ids.iter().filter(|id| again.contains(id)).count();
                assert!(at + 100 < text.len() || kept >= 3, "{kept} kept after damage at {at}");
            }
        }
    }

    #[test]
    fn an_identity_that_cannot_be_kept_is_not_returned() {
        let root = tempfile::tempdir().unwrap();
        let server = server(root.path());
        let stamp = put(root.path(), "a");
        // A folder of another program has the name: it is neither written to nor removed.
        fs::create_dir(&server.catalog.path).unwrap();
        let told = server.catalog.identify(&[("a", stamp)], Some(&server.workspace));
        assert!(told.unwrap_err().is(Code::Internal));
        assert!(server.catalog.identify(&[("a", stamp)], None).is_err());
        fs::remove_dir(&server.catalog.path).unwrap();
        #[cfg(unix)]
        {
            let precious = root.path().join("precious");
            fs::write(&precious, "precious").unwrap();
            for planted in [server.catalog.path.clone(), server.catalog.lock.clone()] {
                let _ = fs::remove_file(&planted);
                std::os::unix::fs::symlink(&precious, &planted).unwrap();
                let told = server.catalog.identify(&[("a", stamp)], Some(&server.workspace));
                assert!(told.unwrap_err().is(Code::Internal));
                assert_eq!(fs::read(&precious).unwrap(), b"precious");
                fs::remove_file(&planted).unwrap();
            }
        }
        let full = not_kept("write", &io::ErrorKind::StorageFull.into());
        assert_eq!(full.code(), Code::NoSpace);
        // Another process that holds the lock is waited for, but not for ever.
        let held = private::lock(&server.catalog.lock, Duration::ZERO).unwrap();
        let told = server.catalog.identify(&[("a", stamp)], Some(&server.workspace));
        assert!(told.unwrap_err().is(Code::Internal));
        drop(held);
        assert!(server.id("a", stamp).is_some());
    }
}
