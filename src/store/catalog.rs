//! Who is who: the identity of every file at the top of the root, in `.connme/mydatafile.dat`.
//!
//! The catalog is a journal. A file that is stored appends a line, a file that is removed appends
//! another; nothing is rewritten on the way. Whoever wants to know reads what has been appended since
//! it looked last, so servers on one root learn of each other's files. A start writes the journal
//! anew, if no other server is at work.
//!
//! ```text
//! 1c0e9b52 = 7c9e6679f3d2a410
//! 4f1c33e0 + 6f9619ff-8b86-4011-b42d-00cf4fc964ff 33 1767225600.000000000 a.png
//! 9a02b7d1 - 33 1767225600.000000000 a.png
//! ```
//!
//! The line with `=` tells one journal from the next. The first word of each is a check of the rest: a
//! line that is torn, or was changed by hand, is passed over.
//! An identity belongs to a file of this name, size and time of change, not to the name: whoever
//! takes the name later is somebody else. So what goes wrong here can cost an identity, but never
//! gives a file another one's. For the same file the first line counts, so that two servers that met
//! it at the same moment agree.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use super::name::split_extension;
use super::plain::same_file;
use super::random;
use super::workspace::PRIVATE;
use crate::disk::op;
use crate::log::Log;

/// An identity: a random (version 4) UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(u128);

/// What is known of a file at the top of the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who it is.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// Its size.
    pub size: u64,
}

/// A file as the file system tells it from another that had the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    writable: bool,
    log: Log,
    /// The journal, open for appending, and what the system said of it then.
    journal: Mutex<Option<(Arc<File>, Metadata)>>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    files: HashMap<String, (Id, Stamp)>,
    names: HashMap<Id, String>,
    /// How much of the journal has been read.
    read: u64,
    /// How it begins. One that begins otherwise is another journal.
    head: Vec<u8>,
}

/// How much of a journal's beginning tells it from another: its first line has a random number in it.
const HEAD: u64 = 64;

/// Room for most lines.
const USUAL_LINE: usize = 128;

impl Id {
    fn new() -> Id {
        let random = u128::from(random()) << 64 | u128::from(random());
        // Version 4 and the variant of RFC 9562, in their places.
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

impl Record {
    /// The extension of its name, with the dot.
    #[must_use]
    pub fn extension(&self) -> &str {
        split_extension(&self.name).1
    }
}

impl Stamp {
    pub(super) fn size(self) -> u64 {
        self.size
    }

    pub(super) fn of(metadata: &Metadata) -> Stamp {
        let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Stamp { size: metadata.len(), changed: since.unwrap_or_default() }
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}.{:09}", self.size, self.changed.as_secs(), self.changed.subsec_nanos())
    }
}

impl Catalog {
    pub(super) fn new(root: &Path, writable: bool, log: Log) -> Catalog {
        let private = root.join(PRIVATE);
        Catalog {
            root: root.to_owned(),
            path: private.join("mydatafile.dat"),
            lock: private.join("identifying"),
            writable,
            log,
            journal: Mutex::default(),
            known: Mutex::default(),
        }
    }

    /// A file was stored: one append, and nobody waits for anybody. Says the identity that it got.
    pub(super) fn stored(&self, name: &str, stamp: Stamp) -> Id {
        let id = Id::new();
        self.append(&line(format_args!("+ {id} {stamp} {name}")));
        id
    }

    /// The identity that a file goes by which was just stored with this one: another server may have
    /// met it a moment before.
    pub(super) fn settled(&self, name: &str, stamp: Stamp, id: Id) -> Id {
        let mut known = self.known();
        let _ = self.catch_up(&mut known);
        known.id(name, stamp).unwrap_or(id)
    }

    /// A file is about to be removed. Said before it is done: whoever takes the name next must not
    /// inherit the identity, not even if it has the same size and time.
    pub(super) fn removed(&self, name: &str, stamp: Stamp) {
        self.append(&line(format_args!("- {stamp} {name}")));
    }

    /// The identities of all these files, in their order. Those that nobody has met yet get one, and
    /// those that are not among them lose theirs.
    ///
    /// # Errors
    /// The journal is there and cannot be read: whoever is in it keeps an identity that we do not know.
    pub(super) fn identify_all(&self, files: &[(String, Stamp)]) -> io::Result<Vec<Record>> {
        let mut known = self.known();
        self.catch_up(&mut known)?;
        let all_met = files.iter().all(|(name, stamp)| known.id(name, *stamp).is_some());
        if !all_met || known.files.len() > files.len() {
            let _one_at_a_time = self.lock();
            self.catch_up(&mut known)?;
            let present: HashMap<&str, Stamp> =
                files.iter().map(|(name, stamp)| (name.as_str(), *stamp)).collect();
            let mut news = String::new();
            // What was seen may be over by now: only what is still so is written down.
            for (name, (_, stamp)) in &known.files {
                if present.get(name.as_str()) != Some(stamp) && !self.is_still(name, *stamp) {
                    news += &line(format_args!("- {stamp} {name}"));
                }
            }
            for (name, stamp) in files {
                if known.id(name, *stamp).is_none() && self.is_still(name, *stamp) {
                    news += &line(format_args!("+ {} {stamp} {name}", Id::new()));
                }
            }
            self.learn(&mut known, &news);
        }
        let record = |(name, stamp): &(String, Stamp)| {
            let id = known.id(name, *stamp)?;
            Some(Record { id, name: name.clone(), size: stamp.size })
        };
        Ok(files.iter().filter_map(record).collect())
    }

    /// The identity of one file; it gets one, if nobody has met it yet.
    ///
    /// # Errors
    /// See [`Catalog::identify_all`].
    pub(super) fn identify(&self, name: &str, stamp: Stamp) -> io::Result<Record> {
        let mut known = self.known();
        self.catch_up(&mut known)?;
        if known.id(name, stamp).is_none() {
            let _one_at_a_time = self.lock();
            self.catch_up(&mut known)?;
            if known.id(name, stamp).is_none() {
                let news = line(format_args!("+ {} {stamp} {name}", Id::new()));
                self.learn(&mut known, &news);
            }
        }
        let id = known.id(name, stamp).unwrap_or_else(Id::new);
        Ok(Record { id, name: name.to_owned(), size: stamp.size })
    }

    fn is_still(&self, name: &str, stamp: Stamp) -> bool {
        let found = fs::symlink_metadata(self.root.join(name));
        found.is_ok_and(|found| found.is_file() && Stamp::of(&found) == stamp)
    }

    /// The name of the file that has this identity, and how to tell whether it still is that file.
    pub(super) fn find(&self, id: Id) -> Option<(String, Stamp)> {
        let mut known = self.known();
        let _ = self.catch_up(&mut known);
        let name = known.names.get(&id)?;
        let (_, stamp) = known.files.get(name)?;
        Some((name.clone(), *stamp))
    }

    /// Writes the journal anew, with what is true of these files. For a start, while nobody else is
    /// at work.
    pub(super) fn compact(&self, files: &[(String, Stamp)]) -> io::Result<()> {
        let mut known = self.known();
        // A journal that cannot be read now is not to be written over.
        match self.read_on(&mut known) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut text = line(format_args!("= {:016x}", random()));
        for (name, stamp) in files {
            let id = known.id(name, *stamp).unwrap_or_else(Id::new);
            text += &line(format_args!("+ {id} {stamp} {name}"));
        }
        let new = self.path.with_extension("new");
        op(|| fs::write(&new, &text))?;
        op(|| fs::rename(&new, &self.path))?;
        *known = Known::default();
        self.catch_up(&mut known)
    }

    /// Appends news, and knows them even if they could not be appended.
    fn learn(&self, known: &mut Known, news: &str) {
        if news.is_empty() {
            return;
        }
        if self.append(news) {
            let _ = self.catch_up(known);
        } else {
            self.take_in(known, news.as_bytes());
        }
    }

    /// One write, whose first byte ends whatever a writer before us may have left torn.
    fn append(&self, lines: &str) -> bool {
        if !self.writable {
            return false;
        }
        let write =
            |journal: Arc<File>| op(|| (&*journal).write_all(&[b"\n", lines.as_bytes()].concat()));
        let appended = self.journal().and_then(write);
        if let Err(error) = &appended {
            self.log.lasting(format_args!("catalog: write {}: {error}", self.path.display()));
        }
        appended.is_ok()
    }

    /// The journal to append to. To look whether what is open still is what stands at `path` costs
    /// less than to open it; where the system does not tell one file from another, it is opened.
    fn journal(&self) -> io::Result<Arc<File>> {
        let held = || self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let open = held().clone();
        if cfg!(unix)
            && let Some((file, known)) = open
            && fs::symlink_metadata(&self.path).is_ok_and(|found| same_file(&known, &found))
        {
            return Ok(file);
        }
        let open = || OpenOptions::new().append(true).create(true).open(&self.path);
        let file = Arc::new(op(open)?);
        *held() = file.metadata().ok().map(|metadata| (Arc::clone(&file), metadata));
        Ok(file)
    }

    /// Reads what has been appended since the last look. A journal that has become shorter is
    /// another one, and read from its beginning.
    fn catch_up(&self, known: &mut Known) -> io::Result<()> {
        match self.read_on(known) {
            // Not there yet, or not any more: what we know is not lost with it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if known.read > 0 {
                    self.log.lasting("catalog: it is gone, and written anew");
                    self.start_over(known);
                    let _ = self.read_on(known);
                }
                Ok(())
            }
            Err(error) => {
                self.log.lasting(format_args!("catalog: read {}: {error}", self.path.display()));
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    fn read_on(&self, known: &mut Known) -> io::Result<()> {
        let mut file = op(|| File::open(&self.path))?;
        let length = file.metadata()?.len();
        let mut head = Vec::new();
        (&mut file).take(HEAD).read_to_end(&mut head)?;
        if length < known.read || !head.starts_with(&known.head) {
            self.start_over(known);
            return self.read_on(known);
        }
        known.head = head;
        if length == known.read {
            return Ok(());
        }
        file.seek(SeekFrom::Start(known.read))?;
        let mut news = Vec::new();
        file.read_to_end(&mut news)?;
        // A last line without its end is perhaps still being written.
        let whole =
            news.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at.saturating_add(1));
        self.take_in(known, news.get(..whole).unwrap_or_default());
        known.read = known.read.saturating_add(whole.try_into().unwrap_or(u64::MAX));
        Ok(())
    }

    /// The journal is another than the one that was read. If that was an accident, what we know is
    /// written into the new one; if not, it does no harm there.
    fn start_over(&self, known: &mut Known) {
        let before = std::mem::take(known);
        let entry = |(name, (id, stamp)): (&String, &(Id, Stamp))| {
            line(format_args!("+ {id} {stamp} {name}"))
        };
        let lines: String = before.files.iter().map(entry).collect();
        if !lines.is_empty() && !self.append(&lines) {
            self.take_in(known, lines.as_bytes());
        }
    }

    fn take_in(&self, known: &mut Known, lines: &[u8]) {
        let mut damaged: u64 = 0;
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match std::str::from_utf8(line).ok().and_then(entry) {
                Some(Entry::Stored(id, stamp, name)) => known.add(id, stamp, name),
                Some(Entry::Removed(stamp, name)) => known.remove(stamp, name),
                Some(Entry::Generation) => {}
                None => damaged = damaged.saturating_add(1),
            }
        }
        if damaged > 0 {
            self.log.line(format_args!("catalog: {damaged} damaged lines passed over"));
        }
    }

    /// Held while an identity is given to a file that is there already: two servers that meet it at
    /// the same moment must not each give it one. Where there are no locks, the first line counts.
    fn lock(&self) -> Option<File> {
        let lock = OpenOptions::new().append(true).create(true).open(&self.lock).ok()?;
        lock.lock().ok()?;
        Some(lock)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn id(&self, name: &str, stamp: Stamp) -> Option<Id> {
        self.files.get(name).filter(|(_, known)| *known == stamp).map(|(id, _)| *id)
    }

    fn add(&mut self, id: Id, stamp: Stamp, name: &str) {
        if self.id(name, stamp).is_some() {
            return;
        }
        if let Some((old, _)) = self.files.insert(name.to_owned(), (id, stamp)) {
            self.names.remove(&old);
        }
        self.names.insert(id, name.to_owned());
    }

    fn remove(&mut self, stamp: Stamp, name: &str) {
        if let Some(id) = self.id(name, stamp) {
            self.files.remove(name);
            self.names.remove(&id);
        }
    }
}

enum Entry<'l> {
    Stored(Id, Stamp, &'l str),
    Removed(Stamp, &'l str),
    Generation,
}

/// A line of the journal, with its check in front and its end behind.
fn line(entry: fmt::Arguments<'_>) -> String {
    let mut line = String::with_capacity(USUAL_LINE);
    let _ = writeln!(line, "{entry}");
    let sum = check(line.trim_end_matches('\n'));
    line.insert_str(0, &format!("{sum:08x} "));
    line
}

fn entry(line: &str) -> Option<Entry<'_>> {
    let (sum, rest) = line.split_once(' ')?;
    if u32::from_str_radix(sum, 16).ok()? != check(rest) {
        return None;
    }
    let (kind, rest) = rest.split_once(' ')?;
    match kind {
        "+" => {
            let (id, rest) = rest.split_once(' ')?;
            let (stamp, name) = stamp(rest)?;
            Some(Entry::Stored(Id::parse(id)?, stamp, name))
        }
        "=" => Some(Entry::Generation),
        "-" => stamp(rest).map(|(stamp, name)| Entry::Removed(stamp, name)),
        _ => None,
    }
}

fn stamp(text: &str) -> Option<(Stamp, &str)> {
    let (size, rest) = text.split_once(' ')?;
    let (time, name) = rest.split_once(' ')?;
    let (second, part) = time.split_once('.')?;
    let part = part.parse().ok().filter(|part| *part < 1_000_000_000)?;
    let changed = Duration::new(second.parse().ok()?, part);
    Some((Stamp { size: size.parse().ok()?, changed }, name))
}

/// FNV-1a: finds accidents, and is not meant to find more.
fn check(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp_of(size: u64, changed: u64) -> Stamp {
        Stamp { size, changed: Duration::from_nanos(changed) }
    }

    fn catalog(root: &Path) -> Catalog {
        fs::create_dir_all(root.join(PRIVATE)).unwrap();
        Catalog::new(root, true, Log::silent())
    }

    fn put(root: &Path, name: &str) -> Stamp {
        fs::write(root.join(name), name).unwrap();
        Stamp::of(&fs::metadata(root.join(name)).unwrap())
    }

    #[test]
    fn a_list_that_is_out_of_date_takes_nobodys_identity() {
        let root = tempfile::tempdir().unwrap();
        let catalog = catalog(root.path());
        let old = [("a".to_owned(), put(root.path(), "a"))];
        catalog.identify_all(&old).unwrap();
        // Stored behind the back of a list that has already looked.
        let stamp = put(root.path(), "b");
        let id = catalog.stored("b", stamp);
        assert_eq!(catalog.identify_all(&old).unwrap().len(), 1);
        assert_eq!(catalog.settled("b", stamp, Id::new()), id);
        // Removed behind its back: it gets no identity any more.
        let gone = [("c".to_owned(), stamp_of(1, 1))];
        assert_eq!(catalog.identify_all(&gone).unwrap(), []);
    }

    #[test]
    fn a_journal_that_is_another_one_is_read_from_its_beginning() {
        let root = tempfile::tempdir().unwrap();
        let (one, other) = (catalog(root.path()), catalog(root.path()));
        let files: Vec<_> = ["a", "b"].map(|name| (name.to_owned(), put(root.path(), name))).into();
        let records = one.identify_all(&files).unwrap();
        assert_eq!(other.identify_all(&files).unwrap(), records);
        // Written anew by a start, and grown beyond where the other had read to.
        one.compact(&files).unwrap();
        for n in 0..20 {
            one.stored(&format!("n{n}"), stamp_of(n, 1));
        }
        assert_eq!(other.identify_all(&files).unwrap(), records);
        // Removed by hand: whoever still knows says so to the rest.
        fs::remove_file(&one.path).unwrap();
        one.stored("c", stamp_of(1, 1));
        assert_eq!(other.identify_all(&files).unwrap(), records);
        fs::remove_file(&one.path).unwrap();
        assert_eq!(one.identify_all(&files).unwrap(), records);
        assert_eq!(catalog(root.path()).identify_all(&files).unwrap(), records);
        // Taken away under a writer that has it open: what was told stays true.
        fs::remove_file(&one.path).unwrap();
        let stamp = put(root.path(), "d");
        let told = one.settled("d", stamp, one.stored("d", stamp));
        assert_eq!(other.identify("d", stamp).unwrap().id, told);
        // A copy in its place, the same to the last byte: what is written now is in the copy.
        let copy = root.path().join("copy");
        fs::copy(&one.path, &copy).unwrap();
        fs::rename(&copy, &one.path).unwrap();
        one.removed("d", stamp);
        assert_ne!(other.identify("d", stamp).unwrap().id, told);
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
        let written =
            line(format_args!("+ {id} {} my file.txt", stamp_of(5, 1_700_000_000_000_000_042)));
        match entry(written.trim_end()) {
            Some(Entry::Stored(read, stamp, name)) => {
                assert_eq!((read, name), (id, "my file.txt"));
                assert_eq!(stamp, stamp_of(5, 1_700_000_000_000_000_042));
            }
            _ => panic!("{written}"),
        }
        // Torn anywhere, or one byte changed: no line.
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
        let catalog = catalog(root.path());
        let first = catalog.identify("a", stamp_of(1, 1)).unwrap().id;
        assert_eq!(catalog.identify("a", stamp_of(1, 1)).unwrap().id, first);
        assert_eq!(catalog.find(first), Some(("a".into(), stamp_of(1, 1))));
        let second = catalog.identify("a", stamp_of(1, 2)).unwrap().id;
        assert!(second != first && catalog.find(first).is_none());
        catalog.removed("a", stamp_of(1, 2));
        let third = catalog.identify("a", stamp_of(1, 2)).unwrap().id;
        assert_ne!(third, second);
        // A removal that is told late does not hit who came after.
        catalog.removed("a", stamp_of(9, 9));
        assert_eq!(catalog.identify("a", stamp_of(1, 2)).unwrap().id, third);
        assert_eq!(catalog.identify_all(&[]).unwrap(), []);
        assert!(catalog.find(third).is_none());
    }

    #[test]
    fn two_servers_and_a_restart_agree() {
        let root = tempfile::tempdir().unwrap();
        let (one, other) = (catalog(root.path()), catalog(root.path()));
        let files =
            [("a".to_owned(), put(root.path(), "a")), ("b".to_owned(), put(root.path(), "b"))];
        one.stored("a", files[0].1);
        let records = other.identify_all(&files).unwrap();
        assert_eq!(records.len(), 2);
        // Told by both: the first line counts.
        let second = one.stored("b", files[1].1);
        assert_eq!(one.settled("b", files[1].1, second), records[1].id);
        assert_eq!(one.identify_all(&files).unwrap(), records);
        assert_eq!(other.identify_all(&files).unwrap(), records);
        let restarted = catalog(root.path());
        restarted.compact(&files).unwrap();
        assert_eq!(restarted.identify_all(&files).unwrap(), records);
        assert_eq!(catalog(root.path()).identify_all(&files).unwrap(), records);
    }

    #[test]
    fn damage_costs_no_more_than_what_it_hit() {
        let root = tempfile::tempdir().unwrap();
        let one = catalog(root.path());
        let name = |n: u32| n.to_string();
        let files: Vec<_> = (0..5).map(|n| (name(n), put(root.path(), &name(n)))).collect();
        let records = one.identify_all(&files).unwrap();
        let text = fs::read(&one.path).unwrap();
        for at in 0..text.len() {
            let mut damaged = text.clone();
            damaged[at] = b'#';
            for damaged in [damaged, text[..at].to_vec()] {
                fs::write(&one.path, damaged).unwrap();
                let again = catalog(root.path()).identify_all(&files).unwrap();
                assert_eq!(again.len(), 5);
                for (record, again) in records.iter().zip(&again) {
                    assert!(again.name == record.name);
                    assert!(!records.iter().any(|r| r.id == again.id && r.name != again.name));
                }
                if at + 100 < text.len() {
                    continue;
                }
                let kept = records.iter().filter(|record| again.contains(record)).count();
                assert!(kept >= 3, "{kept} kept after damage at {at}");
            }
        }
        fs::remove_file(&one.path).unwrap();
        assert_eq!(catalog(root.path()).identify_all(&files).unwrap().len(), 5);
    }
}
