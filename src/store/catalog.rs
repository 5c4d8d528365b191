//! The identities of the files at the top of the root, in `.connme/mydatafile.dat`.
//!
//! A file gets its identity when that is first sent to a client; other files cost nothing here. The catalog is a
//! table to which lines are appended. When it is twice as long as it was, it is written again without the lines
//! of files that are gone, so its size is bounded by the number of files.
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
//! name later has another time. (A file of the same size that takes it within one tick of the file system's
//! clock has the same time, and so the identity of the one before.) Several servers on one root append under a
//! lock. Where there are no locks, the first line about a file counts, so that two servers still return the same
//! identity.

use std::collections::HashMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::time::{Instant, UNIX_EPOCH};

use super::disk::{not_stored, op};
use super::private;
use super::workspace::Draft;
use super::{FileName, Store, random};
use crate::error::{Code, Error, Result, lock};
use crate::limits;

/// How many lines may be appended to a table before it is written again, beside as many as it had.
const SPARE_LINES: u64 = if cfg!(test) { 10 } else { 256 };

/// The bytes of the first line up to its random number.
const HEAD: u64 = 27;

const SECOND: u64 = 1_000_000_000;

/// What tells a file from another that had the same name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    pub(super) size: u64,
    /// When it was changed, in nanoseconds since 1970.
    pub(super) changed: u64,
}

impl Stamp {
    pub(super) fn of(found: &Metadata) -> Stamp {
        let since = found.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let nanos = since.unwrap_or_default().as_nanos();
        Stamp { size: found.len(), changed: u64::try_from(nanos).unwrap_or(u64::MAX) }
    }

    /// Refuses another file than the one that is expected, if one is.
    pub(super) fn must_be(self, expected: Option<Stamp>) -> Result<()> {
        if expected.is_none_or(|expected| expected == self) { Ok(()) } else { Err(no_such_file()) }
    }
}

/// What has been read of the table.
#[derive(Default)]
pub(super) struct Catalog {
    files: HashMap<Box<str>, (Box<str>, Stamp)>,
    /// How the table begins. One that begins otherwise is read from its beginning.
    head: Vec<u8>,
    /// How many bytes and lines have been read.
    read: u64,
    lines: u64,
    /// How many files were in the table when it was written.
    kept: u64,
}

impl Catalog {
    fn id(&self, name: &str, stamp: Stamp) -> Option<&str> {
        self.files.get(name).filter(|(_, known)| *known == stamp).map(|(id, _)| &**id)
    }

    /// Takes a line of the table. `None`: it is damaged.
    fn read_line(&mut self, line: &[u8]) -> Option<()> {
        self.lines += 1;
        let (sum, rest) = std::str::from_utf8(line).ok()?.split_once(' ')?;
        if u32::from_str_radix(sum, 16) != Ok(check(rest)) {
            return None;
        }
        let mut words = rest.splitn(5, ' ');
        let (kind, id) = (words.next()?, words.next()?);
        let size = words.next()?.parse().ok()?;
        if kind == "=" {
            self.kept = size;
            return Some(());
        }
        // Seconds and nine more digits: without the point, nanoseconds.
        let stamp = Stamp { size, changed: words.next()?.replacen('.', "", 1).parse().ok()? };
        let name = words.next()?;
        // The first line about a file counts.
        if self.id(name, stamp).is_none() {
            self.files.insert(name.into(), (id.into(), stamp));
        }
        Some(())
    }
}

impl Store {
    /// Returns the identities of these files at the top of the root, in their order. Gives one to those that have
    /// none and still exist, if this server may write.
    ///
    /// # Errors
    /// An identity that is needed cannot be kept, so it is not returned; or the table cannot be read.
    pub(super) fn identify(&self, files: &[(&str, Stamp)]) -> Result<Vec<Option<String>>> {
        self.keep(files).map_err(|error| not_stored("an identity", &error))
    }

    fn keep(&self, files: &[(&str, Stamp)]) -> io::Result<Vec<Option<String>>> {
        // All threads that wait for another process wait until the same moment, not one after the other.
        let until = Instant::now() + limits::LOCK_WAIT;
        let mut catalog = lock(&self.catalog);
        self.catch_up(&mut catalog)?;
        let is_new = |(name, stamp): &(&str, Stamp)| catalog.id(name, *stamp).is_none();
        if !self.options.read_only && files.iter().any(is_new) {
            let workspace = self.workspace()?;
            // Two servers that see a new file at the same moment must not each give it an identity.
            let locked = private::lock(File::try_lock, &self.private("identifying")?, until)?;
            self.append(&mut catalog, files)?;
            // Without a lock, what another server appends meanwhile would be lost with the old table.
            if locked.is_some() && catalog.lines > catalog.kept.saturating_mul(2) + SPARE_LINES {
                // If that fails, the old one stays in use, and grows to twice its size before the next attempt.
                catalog.kept = catalog.lines;
                let _ = self.rewrite(&catalog, workspace.new_draft()?);
            }
        }
        let ids = files.iter().map(|(name, stamp)| catalog.id(name, *stamp).map(str::to_owned));
        Ok(ids.collect())
    }

    /// The name of the file that has this identity, and the stamp that it must still have.
    ///
    /// # Errors
    /// No file has it, or the table cannot be read.
    pub fn find_by_id(&self, id: &str) -> Result<(FileName, Stamp)> {
        let mut catalog = lock(&self.catalog);
        self.catch_up(&mut catalog).map_err(|error| not_stored("an identity", &error))?;
        let found = catalog.files.iter().find(|(_, (known, _))| **known == *id);
        let (name, (_, stamp)) = found.ok_or_else(no_such_file)?;
        Ok((FileName::parse(name.as_bytes())?, *stamp))
    }

    /// Gives an identity to those of these files that have none, and writes their lines, in one write.
    fn append(&self, catalog: &mut Catalog, files: &[(&str, Stamp)]) -> io::Result<()> {
        self.catch_up(catalog)?;
        // A line about a file that is gone would take the identity from the one that has its name now.
        let is_new = |(name, stamp): &&(&str, Stamp)| {
            catalog.id(name, *stamp).is_none() && self.is_still(name, *stamp)
        };
        let new = files.iter().filter(is_new);
        let lines: String = new.map(|(name, stamp)| file_line(name, &new_id(), *stamp)).collect();
        let path = self.private(TABLE)?;
        let file = op(|| private::open(&path, OpenOptions::new().append(true).create(true)))?;
        let start = if file.metadata()?.len() == 0 { head(0) } else { String::new() };
        // The first byte ends a line that another writer has left incomplete.
        op(|| (&file).write_all(format!("{start}\n{lines}").as_bytes()))?;
        if self.options.fsync {
            op(|| file.sync_data())?;
        }
        self.catch_up(catalog)
    }

    fn is_still(&self, name: &str, stamp: Stamp) -> bool {
        let found = fs::symlink_metadata(self.root.join(name));
        found.is_ok_and(|found| found.is_file() && Stamp::of(&found) == stamp)
    }

    /// Writes the table again, with the lines of files that still exist.
    fn rewrite(&self, catalog: &Catalog, mut draft: Draft) -> io::Result<()> {
        let files = catalog.files.iter().filter(|(name, (_, stamp))| self.is_still(name, *stamp));
        let lines: Vec<_> = files.map(|(name, (id, stamp))| file_line(name, id, *stamp)).collect();
        draft.write((head(lines.len()) + &lines.concat()).as_bytes())?;
        draft.replace(&self.private(TABLE)?, self.options.fsync)
    }

    /// Reads what has been appended since the last look.
    fn catch_up(&self, catalog: &mut Catalog) -> io::Result<()> {
        let path = self.private(TABLE)?;
        let mut file = match op(|| private::open(&path, OpenOptions::new().read(true))) {
            // It does not exist yet, or was removed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                *catalog = Catalog::default();
                return Ok(());
            }
            file => file?,
        };
        let mut head = Vec::new();
        Read::take(&file, HEAD).read_to_end(&mut head)?;
        if catalog.head != head || file.metadata()?.len() < catalog.read {
            *catalog = Catalog { head, ..Catalog::default() };
        }
        file.seek(SeekFrom::Start(catalog.read))?;
        let (mut lines, mut line, mut damaged) = (BufReader::new(file), Vec::new(), 0);
        // A last line without its end is perhaps still being written.
        while lines.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            catalog.read += line.len() as u64;
            if line != b"\n" && catalog.read_line(line.trim_ascii_end()).is_none() {
                damaged += 1;
            }
            line.clear();
        }
        if damaged > 0 {
            self.log.line(format_args!("catalog: skipped {damaged} damaged lines"));
        }
        Ok(())
    }
}

const TABLE: &str = "mydatafile.dat";

/// The first line of a new table with this many files in it.
fn head(kept: usize) -> String {
    line(&format!("= {:016x} {kept}", random()))
}

fn file_line(name: &str, id: &str, Stamp { size, changed }: Stamp) -> String {
    line(&format!("+ {id} {size} {}.{:09} {name}", changed / SECOND, changed % SECOND))
}

/// A random (version 4) UUID, with the bits of its version and of its variant by RFC 9562.
pub(super) fn new_id() -> String {
    let (a, b) = (random(), random());
    let (first, second, third) = (a >> 32, a >> 16 & 0xffff, a & 0xfff | 0x4000);
    let (fourth, fifth) = (b >> 48 & 0x3fff | 0x8000, b & 0xffff_ffff_ffff);
    format!("{first:08x}-{second:04x}-{third:04x}-{fourth:04x}-{fifth:012x}")
}

/// A line of the table, with its checksum in front.
fn line(entry: &str) -> String {
    format!("{:08x} {entry}\n", check(entry))
}

/// FNV-1a: finds accidents, and is not meant to find more.
fn check(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

pub(super) fn no_such_file() -> Error {
    Error::new(Code::NotFound, "no such file")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Log;
    use crate::store::Options;
    use crate::store::disk::fault::{Fault, during};
    use std::collections::HashSet;
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    fn server(root: &Path) -> Store {
        Store::open(root, Options::default(), &Log::default()).unwrap()
    }

    impl Store {
        fn ids(&self, files: &[(&str, Stamp)]) -> Vec<Option<String>> {
            self.identify(files).unwrap()
        }

        fn id(&self, name: &str, stamp: Stamp) -> Option<String> {
            self.ids(&[(name, stamp)])[0].clone()
        }

        fn table(&self) -> Vec<u8> {
            fs::read(self.private(TABLE).unwrap()).unwrap()
        }
    }

    /// Writes a file, each with a time of its own.
    fn put(root: &Path, name: &str) -> Stamp {
        let path = root.join(name);
        fs::write(&path, name).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now()).unwrap();
        Stamp::of(&fs::metadata(path).unwrap())
    }

    #[test]
    fn an_identity_is_a_version_4_uuid() {
        for _ in 0..100 {
            let text = new_id();
            let bytes = text.as_bytes();
            assert_eq!((text.len(), bytes[14], bytes[8], bytes[23]), (36, b'4', b'-', b'-'));
            assert!(b"89ab".contains(&bytes[19]), "{text}");
            let hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
            assert_eq!(bytes.iter().filter(|byte| hex(byte)).count(), 32, "{text}");
        }
    }

    #[test]
    fn lines_are_read_as_they_are_written() {
        let (id, stamp) = (new_id(), Stamp { size: 5, changed: 1_700_000_000_000_000_042 });
        let written = file_line("my file.txt", &id, stamp);
        let read = |line: &[u8]| {
            let mut catalog = Catalog::default();
            catalog.read_line(line).map(|()| catalog)
        };
        let known = read(written.trim_end().as_bytes()).unwrap();
        assert_eq!((known.id("my file.txt", stamp), known.lines), (Some(&*id), 1));
        assert_eq!(read(head(7).trim_end().as_bytes()).unwrap().kept, 7);
        // Torn anywhere, or one byte changed: not a line.
        for at in 0..written.len() - 1 {
            assert!(read(&written.as_bytes()[..at]).is_none());
            let mut changed = written.trim_end().as_bytes().to_vec();
            changed[at] ^= 1;
            assert!(read(&changed).is_none(), "{at}");
        }
        // No file system has such a time.
        assert!(read(line(&format!("+ {id} 5 {}.0 a", u64::MAX)).trim_end().as_bytes()).is_none());
    }

    #[test]
    fn a_table_of_the_version_before_is_read() {
        let root = tempfile::tempdir().unwrap();
        let server = server(root.path());
        let file = File::create(root.path().join("a.png")).unwrap();
        file.set_len(33).unwrap();
        let time = UNIX_EPOCH + Duration::new(1_767_225_600, 123_456_789);
        file.set_modified(time).unwrap();
        let stamp = Stamp::of(&file.metadata().unwrap());
        if stamp.changed != 1_767_225_600_123_456_789 {
            // This file system does not keep so exact a time.
            return;
        }
        let table = "a3b5bc12 = 7c9e6679f3d2a410 1\n\n\
                     f617f3c5 + 6f9619ff-8b86-4011-b42d-00cf4fc964ff 33 1767225600.123456789 a.png\n";
        fs::write(server.private(TABLE).unwrap(), table).unwrap();
        let id = server.id("a.png", stamp).unwrap();
        assert_eq!(id, "6f9619ff-8b86-4011-b42d-00cf4fc964ff");
        assert_eq!(server.table(), table.as_bytes());
    }

    #[test]
    fn an_identity_belongs_to_the_file_and_not_to_the_name() {
        let root = tempfile::tempdir().unwrap();
        let server = server(root.path());
        let stamp = put(root.path(), "a");
        let first = server.id("a", stamp).unwrap();
        assert_eq!(server.id("a", stamp), Some(first.clone()));
        assert_eq!(server.find_by_id(&first).unwrap().1, stamp);
        let changed = put(root.path(), "a");
        let second = server.id("a", changed).unwrap();
        assert!(second != first && server.find_by_id(&first).is_err());
        // A file that is gone by now gets no identity, and takes none from another.
        assert_eq!(server.id("a", stamp), None);
        assert_eq!(server.id("a", changed), Some(second));
        // Nor is done to the one that is there now what was meant for another.
        let name = FileName::parse(b"a").unwrap();
        assert!(server.open_recorded(&name, Some(stamp)).is_err());
        assert!(server.remove_recorded(&name, Some(stamp)).is_err());
        server.open_recorded(&name, Some(changed)).unwrap();
        fs::remove_file(root.path().join("a")).unwrap();
        assert_eq!(server.id("b", changed), None);
    }

    /// On Windows, `HELLO.TXT` had another identity than `hello.txt`, though there is only one such file.
    /// Where `HELLO.TXT` is the same file as `hello.txt`, each of the two has an identity.
    #[test]
    fn each_spelling_of_a_name_has_an_identity_that_leads_to_the_file() {
        let root = tempfile::tempdir().unwrap();
        let server = server(root.path());
        let stamp = put(root.path(), "hello.txt");
        let respelled = FileName::parse(b"HELLO.TXT").unwrap();
        let other = server.open_recorded(&respelled, None).ok().and_then(|(_, record)| record.id);
        assert_eq!(other.is_some(), root.path().join("HELLO.TXT").exists());
        for id in [server.id("hello.txt", stamp), other].into_iter().flatten() {
            assert_eq!(server.find_by_id(&id).unwrap().1, stamp);
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
        let lines = [new_id(), new_id()].map(|id| file_line("c", &id, stamp));
        fs::write(one.private(TABLE).unwrap(), [one.table(), lines.concat().into_bytes()].concat())
            .unwrap();
        let first = one.id("c", stamp).unwrap();
        assert!(lines[0].contains(&first));
        assert_eq!(other.id("c", stamp), Some(first));
        // A read-only server tells what the table says, and nothing else.
        let new = put(root.path(), "new");
        let options = Options { read_only: true, ..Options::default() };
        let read_only = Store::open(root.path(), options, &Log::default()).unwrap();
        assert_eq!(read_only.ids(&[files[0], ("new", new)]), [a, None]);
        assert_eq!(one.id("new", new), read_only.id("new", new).or(one.id("new", new)));
    }

    /// The journal grew by 2.6 to 9.6 MB a second.
    #[test]
    fn the_table_is_bounded_by_the_number_of_files() {
        let root = tempfile::tempdir().unwrap();
        let mut one = server(root.path());
        let stay = ["x", "y"].map(|name| (name, put(root.path(), name)));
        let (ids, other) = (one.ids(&stay), server(root.path()));
        let mut most = 0;
        for n in 0..500 {
            let name = format!("{n:0>200}");
            one.id(&name, put(root.path(), &name)).unwrap();
            fs::remove_file(root.path().join(&name)).unwrap();
            most = most.max(one.table().len());
            if n % 7 == 6 {
                // Not even restarts just before it would be written again let it grow.
                one = server(root.path());
                assert_eq!(other.ids(&stay), ids);
            }
        }
        assert!(most < 8000, "{most}");
        assert_eq!(one.ids(&stay), ids);
    }

    #[test]
    fn many_lines_at_once_have_the_table_written_again_too() {
        let root = tempfile::tempdir().unwrap();
        let server = server(root.path());
        let names: Vec<_> = (0..30).map(|n: usize| n.to_string()).collect();
        let files: Vec<_> = names.iter().map(|name| (&**name, put(root.path(), name))).collect();
        assert!(server.ids(&files).iter().all(Option::is_some));
        let mut catalog = Catalog::default();
        server.catch_up(&mut catalog).unwrap();
        assert_eq!(catalog.kept, 30);
    }

    #[test]
    fn only_what_has_been_appended_is_read_again() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("log");
        let log = Log::open(Some(&path), crate::lang::Lang::En).unwrap();
        let server = Store::open(root.path(), Options::default(), &log).unwrap();
        let said = || {
            log.flush();
            fs::read_to_string(&path).unwrap()
        };
        let at_the_end = |lines: u64| {
            let mut catalog = lock(&server.catalog);
            server.catch_up(&mut catalog).unwrap();
            assert_eq!((catalog.read, catalog.lines), (server.table().len() as u64, lines));
        };
        for (lines, name) in (2..).zip(["a", "b"]) {
            server.id(name, put(root.path(), name)).unwrap();
            at_the_end(lines);
        }
        assert_eq!(said(), "");
        let mut table =
            OpenOptions::new().append(true).open(server.private(TABLE).unwrap()).unwrap();
        table.write_all(b"\ndamaged\ndamaged too\n").unwrap();
        at_the_end(5);
        at_the_end(5);
        assert_eq!(said().matches("skipped 2 damaged lines").count(), 1);
        // A line that is still being written is read when it is whole.
        table.write_all(b"half").unwrap();
        server.catch_up(&mut lock(&server.catalog)).unwrap();
        assert_eq!(lock(&server.catalog).lines, 5);
        table.write_all(b" and half\n").unwrap();
        at_the_end(6);
        // A table that begins otherwise is another one, and so is one that has become shorter.
        let lines = file_line("a", &new_id(), Stamp::default()).repeat(40);
        fs::write(server.private(TABLE).unwrap(), head(0) + &lines).unwrap();
        at_the_end(41);
        let table = server.table();
        let first = table.iter().position(|byte| *byte == b'\n').unwrap();
        fs::write(server.private(TABLE).unwrap(), &table[..=first]).unwrap();
        at_the_end(1);
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
        let last_line = text[..text.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
        for at in 0..text.len() {
            let mut damaged = text.clone();
            damaged[at] = b'#';
            for damaged in [damaged, text[..at].to_vec()] {
                fs::write(one.private(TABLE).unwrap(), damaged).unwrap();
                *lock(&one.catalog) = Catalog::default();
                let again = one.ids(&files);
                assert!(again.iter().all(Option::is_some));
                for (n, id) in again.iter().enumerate() {
                    assert!(ids.iter().enumerate().all(|(m, other)| other != id || m == n));
                }
                let kept = ids.iter().filter(|id| again.contains(id)).count();
                // A torn last line costs itself alone.
                assert!(at <= last_line || kept >= 4, "{kept} kept after damage at {at}");
            }
        }
    }

    /// Three servers on one root, each of which writes the table again after some lines and is killed at any of
    /// its operations: a file whose identity was told keeps it until it is removed.
    #[test]
    fn an_identity_that_was_told_leads_to_its_file_until_that_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let told: Vec<_> = std::thread::scope(|scope| {
            let serve = |thread: u64| {
                let root = root.path();
                move || {
                    let (mut told, mut random) = (Vec::new(), crate::random::Random(thread));
                    let mut below = |n: u64| random.next() % n;
                    let mut store = server(root);
                    for n in 0..400 {
                        // Half of the servers end at a random operation.
                        let k = u32::try_from(below(60)).unwrap() + 1;
                        let (is_faulty, pick) =
                            (below(2) == 0, usize::try_from(below(1 << 30)).unwrap());
                        let work = || -> Result<()> {
                            let name = FileName::parse(format!("{thread}-{}", n % 37).as_bytes())?;
                            let mut incoming = store.begin(name)?;
                            incoming.write(format!("{thread} {n}").as_bytes())?;
                            let record = incoming.publish_recorded()?;
                            told.push((record.id.unwrap(), format!("{thread} {n}")));
                            let files = store.listing(None)?;
                            let records = store.records(&files).collect::<Result<Vec<_>>>()?;
                            // The others replace theirs at any time.
                            let own = format!("{thread}-");
                            let records = records.into_iter().flatten();
                            for record in records.filter(|it| it.name.starts_with(&own)) {
                                let content = fs::read_to_string(root.join(&record.name));
                                told.push((record.id.unwrap(), content.unwrap_or_default()));
                            }
                            let (id, _) = &told[pick % told.len()];
                            let (name, stamp) = store.find_by_id(id)?;
                            store.remove_recorded(&name, Some(stamp)).map(drop)
                        };
                        let fault = if n % 2 == 0 { Fault::Fails } else { Fault::Ends };
                        let _ = during(if is_faulty { k } else { u32::MAX }, fault, work);
                        if n % 2 == 1 {
                            store = server(root);
                        }
                    }
                    told
                }
            };
            let servers: Vec<_> = (0..3).map(|thread| scope.spawn(serve(thread))).collect();
            servers.into_iter().flat_map(|server| server.join().unwrap()).collect()
        });
        let store = server(root.path());
        let left: HashSet<String> =
            store.all().entries().map(|entry| entry.name.to_owned()).collect();
        let (mut found, mut contents) = (0, HashSet::new());
        for name in &left {
            contents.insert(fs::read_to_string(root.path().join(name)).unwrap());
        }
        for (id, content) in told.iter().filter(|(_, content)| contents.contains(content)) {
            let (name, _) = store.find_by_id(id).unwrap();
            assert_eq!(fs::read_to_string(root.path().join(name.as_str())).unwrap(), *content);
            found += 1;
        }
        assert!(found > 100 && told.len() > 10_000, "{found} of {}", told.len());
    }

    #[test]
    fn an_identity_that_cannot_be_kept_is_not_returned() {
        let root = tempfile::tempdir().unwrap();
        let server = server(root.path());
        let asked = [("a", put(root.path(), "a"))];
        let (table, locked) =
            (server.private(TABLE).unwrap(), server.private("identifying").unwrap());
        // A folder of another program has the name: it is neither written to nor removed.
        fs::create_dir(&table).unwrap();
        assert!(server.identify(&asked).unwrap_err().is(Code::Internal));
        fs::remove_dir(&table).unwrap();
        #[cfg(unix)]
        {
            let precious = root.path().join("precious");
            fs::write(&precious, "precious").unwrap();
            for planted in [&table, &locked] {
                let _ = fs::remove_file(planted);
                std::os::unix::fs::symlink(&precious, planted).unwrap();
                assert!(server.identify(&asked).unwrap_err().is(Code::Internal));
                assert_eq!(fs::read(&precious).unwrap(), b"precious");
                fs::remove_file(planted).unwrap();
            }
        }
        // Another process that holds the lock is waited for, but not for ever.
        let held = private::lock(File::try_lock, &locked, Instant::now()).unwrap();
        assert!(server.identify(&asked).unwrap_err().is(Code::Internal));
        drop(held);
        assert!(server.ids(&asked)[0].is_some());
    }
}
