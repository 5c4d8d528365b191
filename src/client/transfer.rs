//! Sending and receiving one file. Received files go into a store in the downloads folder.

use std::cell::OnceCell;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use super::outcome::Outcome;
use super::patience::Patience;
use super::{Client, Progress, Receipt, Watch, partial};
use crate::dialect::{Dialect, Receiver};
use crate::error::{Answer, Code, Error, Failure, OPEN, READ, Tried};
use crate::lang::{Msg, Word, readable, text};
use crate::log::Log;
use crate::sha256::{Sha256, Sum};
use crate::store::{FileName, Incoming, Options, Store};

const SEND: Tried = ("send", "mengirim");

/// Less is not kept: to receive it again takes hardly longer than to ask for the rest.
const KEPT_SIZE: u64 = 64 << 10;

/// More than this is not compared with the server without a word: it takes a second on a slow machine.
const SILENT_CHECK: u64 = 50_000_000;

impl Client {
    /// Receives a file into the downloads folder, under the last part of its name or another name.
    /// Nothing that the server sends chooses where it goes.
    ///
    /// # Errors
    /// The folder's, the server's, or the connection's.
    pub fn download(
        &mut self,
        name: &str,
        local: Option<&str>,
        watch: &mut Watch<'_>,
    ) -> Answer<Receipt> {
        self.receive(name, local, watch, None)
    }

    /// Receives a file, and writes its bytes as they come. What cannot be written ends it.
    ///
    /// # Errors
    /// The output's, the server's, or the connection's.
    pub(super) fn download_to(&mut self, name: &str, output: &mut dyn Write) -> Outcome {
        let fetch = self.requests().download.ok_or_else(|| self.lacks("download"))?;
        if self.config.dialect == Dialect::Filesaver {
            // Its first bytes are known when the last one has come.
            return Err(self.lacks("download NAME as -").into());
        }
        let mut passing = Passing { output, written: Ok(()) };
        let received = self.ask(|wire| fetch.run(wire, name, &mut passing));
        passing.written.and_then(|()| passing.output.flush())?;
        Ok(received.map(drop)?)
    }

    /// Receives a file, which perhaps was asked for at this moment, and publishes it.
    pub(super) fn receive(
        &mut self,
        name: &str,
        local: Option<&str>,
        watch: &mut Watch<'_>,
        asked: Option<Instant>,
    ) -> Answer<Receipt> {
        let start = asked.unwrap_or_else(Instant::now);
        let folder = self.config.downloads_path();
        let local = self.local_name(name, local)?;
        let store = Rc::clone(&self.downloads);
        let mut arriving = Arriving {
            folder: &folder,
            store: &store,
            name: &local,
            key: self.key(name),
            sha: self.config.verify.then(Sha256::default),
            file: None,
            total: None,
            offset: 0,
            rest_since: None,
            done: 0,
            watch,
        };
        let received = self.fetch(name, &mut arriving, asked.is_some());
        let (bytes, offset) = (arriving.done, arriving.offset);
        let start = arriving.rest_since.unwrap_or(start);
        let is_useless = bytes <= KEPT_SIZE || matches!(received, Err(Failure::Unconfirmed(_)));
        if received.is_err() && is_useless {
            arriving.begin_again(false);
        }
        if let (Err(_), Some((done, total))) = (&received, arriving.partial()) {
            (arriving.watch)(Progress::Kept(done, total));
        }
        let published = received.and_then(|()| arriving.publish());
        let stored = self.config.downloads.join(published?);
        let (stored, time) = (Some(stored.display().to_string()), start.elapsed());
        Ok(Receipt { stored, bytes, partial: offset, time })
    }

    /// The name that a received file gets here.
    pub(super) fn local_name(&self, name: &str, local: Option<&str>) -> Answer<FileName> {
        let local = local.unwrap_or_else(|| name.rsplit('/').next().unwrap_or(name));
        FileName::parse(local.as_bytes()).map_err(|error| {
            let why = text!("refused-here", cause = error.cause());
            not_kept(local, &self.config.downloads, why)
        })
    }

    /// Takes a file that was asked for. Else asks for the rest of one that was cut, or for all of it.
    fn fetch(&mut self, name: &str, arriving: &mut Arriving<'_>, is_asked: bool) -> Answer<()> {
        let requests = self.requests();
        let fetch = requests.download.ok_or_else(|| self.lacks("download"))?;
        if is_asked {
            return self.step(|wire| (fetch.take)(wire, name, arriving)).map(drop);
        }
        self.must_verify_if_asked()?;
        if let Some(resume) = requests.resume
            && let Some((offset, sum)) = arriving.take_up(&self.patience)?
        {
            let resumed = self.ask_again(false, |wire| resume(wire, name, offset, sum, arriving));
            if resumed.is_ok() {
                arriving.is_compared();
            }
            match resumed.and_then(|_| self.sum(name)) {
                Ok(sum) if Some(sum) == arriving.sum() => return Ok(()),
                // It was changed after the beginning was compared.
                Ok(_) | Err(Failure::Strange(_)) => {}
                // What the server cannot do, or how it says so, is no reason to give up.
                Err(failure @ Failure::Refused { .. }) => match failure.code() {
                    None | Some(Code::Changed | Code::UnknownCommand | Code::BadRequest) => {}
                    Some(_) => return Err(failure),
                },
                Err(failure) => return Err(failure),
            }
            arriving.begin_again(self.config.verify);
        }
        self.ask(|wire| fetch.run(wire, name, arriving))?;
        match arriving.sum() {
            Some(sum) if self.config.verify => self.verify(name, sum, false),
            _ => Ok(()),
        }
    }

    /// The sum of a file on the server.
    ///
    /// # Errors
    /// See [`Client::list_files`].
    pub fn sum(&mut self, name: &str) -> Answer<Sum> {
        let sum = self.requests().sum.ok_or_else(|| self.lacks("sum"))?;
        self.ask_again(true, |wire| {
            (sum.ask)(wire, name)?;
            (sum.take)(wire)
        })
    }

    /// Makes sure that a file that was just moved, and has this sum here, has the same at the server.
    pub(super) fn verify(&mut self, name: &str, here: Sum, is_stored: bool) -> Answer<()> {
        let why = match self.sum(name) {
            Ok(there) if there == here => return Ok(()),
            Ok(_) if is_stored => text!("stored-differs"),
            Ok(_) => text!("received-differs"),
            Err(failure) if failure.code() != Some(Code::UnknownCommand) => return Err(failure),
            Err(_) if is_stored => text!("stored-not-verified"),
            Err(_) => text!("received-not-verified"),
        };
        Err(Failure::Unconfirmed(why))
    }

    pub(super) fn must_verify_if_asked(&self) -> Answer<()> {
        let cannot = self.config.verify && self.requests().sum.is_none();
        if cannot { Err(self.lacks("sum")) } else { Ok(()) }
    }

    /// The key under which a download of this name is kept if it is cut: the sum of what it belongs to.
    /// `None`: the user does not want it, or the dialect cannot go on with it.
    fn key(&self, name: &str) -> Option<Sum> {
        self.requests().resume.filter(|_| self.config.resume)?;
        let mut sha = Sha256::default();
        sha.update(format!("{}\n{name}", self.server()).as_bytes());
        Some(sha.sum())
    }

    /// Whether a part of this file is here.
    pub(super) fn has_partial(&self, name: &str) -> bool {
        self.key(name).is_some_and(|key| partial::exists(&self.config.downloads_path(), key))
    }
}

/// A file of this machine that is to be sent.
pub(super) struct LocalFile {
    file: File,
    path: PathBuf,
    pub(super) name: String,
    pub(super) size: u64,
}

impl LocalFile {
    pub(super) fn open(path: &Path, name: Option<&str>) -> Answer<LocalFile> {
        let opening = |error: io::Error| {
            let why = text!("cannot-be-read", error);
            Failure::local(OPEN, path.display(), why)
        };
        let reading = |error: io::Error| Failure::local(READ, path.display(), error);
        let refused = |why: Msg| Failure::local(SEND, path.display(), why);
        // Checked before it is opened: opening a pipe would wait for its other end.
        let found = fs::metadata(path).map_err(opening)?;
        if !found.is_file() {
            let own = readable(path.display().to_string().trim_end_matches('/').as_bytes());
            return Err(refused(match found.is_dir() {
                true => text!("folder-needs-r", own),
                false => text!("not-a-plain-file"),
            }));
        }
        let own_name = path.file_name().and_then(|name| name.to_str());
        let name = name.or(own_name).ok_or_else(|| refused(text!("not-utf8")))?;
        let mut file = File::open(path).map_err(opening)?;
        let size = file.metadata().map_err(opening)?.len();
        // The files in /proc are made while they are read, so that their size is not known before. A file that
        // has just grown from nothing to something is an ordinary one.
        if size == 0
            && file.read(&mut [0]).map_err(reading)? > 0
            && !file.metadata().is_ok_and(|now| now.len() > 0)
        {
            return Err(refused(text!("size-is-zero")));
        }
        Ok(LocalFile { file, path: path.to_owned(), name: name.to_owned(), size })
    }

    /// Reads the next bytes. That there are none is a failure.
    pub(super) fn read(&mut self, into: &mut [u8]) -> Answer<usize> {
        let path = self.path.display();
        match self.file.read(into).map_err(|error| Failure::local(READ, path, error))? {
            0 => Err(Failure::local(SEND, self.path.display(), text!("became-shorter"))),
            n => Ok(n),
        }
    }

    /// Reads all of a small file.
    pub(super) fn read_whole(&mut self) -> Answer<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.size).unwrap_or_default()];
        let mut filled = 0;
        while let Some(rest @ [_, ..]) = bytes.get_mut(filled..) {
            filled += self.read(rest)?;
        }
        Ok(bytes)
    }

    /// The sum of its first bytes, as many as it had when it was opened.
    pub(super) fn sum(&mut self) -> Answer<Sum> {
        let (mut sha, mut left, mut buffer) = (Sha256::default(), self.size, vec![0; 64 << 10]);
        let path = self.path.display();
        self.file.rewind().map_err(|error| Failure::local(READ, path, error))?;
        while left > 0 {
            let n = self.read(&mut buffer)?;
            // Of a file that has grown, what was sent is compared.
            let sent = n.min(usize::try_from(left).unwrap_or(n));
            sha.update(buffer.get(..sent).unwrap_or_default());
            left -= sent as u64;
        }
        Ok(sha.sum())
    }
}

/// A file that is being received.
pub(super) struct Arriving<'s> {
    folder: &'s Path,
    /// Opened when the first file comes, so that a refused request creates no folder.
    store: &'s OnceCell<Store>,
    name: &'s FileName,
    /// Under which it is kept if it is cut.
    key: Option<Sum>,
    /// The sum of what has come, if it is needed.
    sha: Option<Sha256>,
    /// The file, after the server has announced it.
    file: Option<Incoming<'s>>,
    total: Option<u64>,
    /// How much of it was kept.
    offset: u64,
    /// Since when the rest of it comes.
    rest_since: Option<Instant>,
    done: u64,
    watch: &'s mut Watch<'s>,
}

impl<'s> Arriving<'s> {
    fn publish(self) -> Answer<String> {
        let file = self.file.ok_or_else(no_file)?;
        let stored = file.publish().map_err(|error| failed(self.name, self.folder, &error))?;
        Ok(stored.as_str().to_owned())
    }

    /// Goes on with what is kept of it, if anything is. Returns how much that is, and its sum.
    fn take_up(&mut self, patience: &Patience) -> Answer<Option<(u64, Sum)>> {
        let Some(key) = self.key.filter(|key| partial::exists(self.folder, *key)) else {
            return Ok(None);
        };
        let (watch, here) = (&mut *self.watch, &mut self.offset);
        let mut checking = |done, of| {
            *here = of;
            if of > SILENT_CHECK {
                if done == 0 {
                    watch(Progress::Checking(of));
                }
                watch(Progress::Moved(done, Some(of)));
            }
            !patience.is_interrupted()
        };
        let partial = open(self.store, self.folder)
            .and_then(|store| partial::resume(store, self.name, key, &mut checking));
        let partial = partial.map_err(|error| failed(self.name, self.folder, &error))?;
        self.done = self.offset;
        let Some((file, sha, length)) = partial else {
            return if patience.is_interrupted() { Err(Failure::Interrupted) } else { Ok(None) };
        };
        let sum = sha.sum();
        (self.file, self.sha) = (Some(file), Some(sha));
        self.is_compared();
        Ok(Some((length, sum)))
    }

    /// Takes note that what is here is compared with the server's.
    fn is_compared(&mut self) {
        if self.done > SILENT_CHECK {
            (self.watch)(Progress::Comparing);
        }
    }

    /// Drops what has come.
    fn begin_again(&mut self, needs_sum: bool) {
        if let Some(file) = self.file.take() {
            file.discard();
        }
        (self.offset, self.done, self.sha) = (0, 0, needs_sum.then(Sha256::default));
        self.rest_since = None;
    }

    fn sum(&self) -> Option<Sum> {
        self.sha.as_ref().map(Sha256::sum)
    }

    /// How much of it is kept, and its size, if that is known.
    fn partial(&self) -> Option<(u64, Option<u64>)> {
        let is_kept = self.offset > 0 || self.file.as_ref().is_some_and(Incoming::is_kept);
        (is_kept && self.done > 0).then_some((self.done, self.total))
    }

    fn announced(&mut self, size: Option<u64>) -> Result<(), Error> {
        if let Some(file) = &self.file {
            file.must_have_room(size.unwrap_or(0))?;
            self.total = size.map(|rest| self.done.saturating_add(rest));
            self.rest_since = Some(Instant::now());
            (self.watch)(Progress::Continuing(self.done, self.total));
            return Ok(());
        }
        let store = open(self.store, self.folder)?;
        let key = self.key.filter(|_| size.is_some_and(|size| size > KEPT_SIZE));
        let file = match key {
            Some(key) => partial::begin(store, self.name, key)?,
            None => store.begin(self.name.clone())?,
        };
        // It is noted even if there is no room for it: what is noted is removed after a failure.
        let room = file.must_have_room(size.unwrap_or(0));
        (self.file, self.total) = (Some(file), size);
        room
    }
}

fn open<'s>(store: &'s OnceCell<Store>, folder: &Path) -> Result<&'s Store, Error> {
    if let Some(store) = store.get() {
        return Ok(store);
    }
    let opened = Store::open(folder, Options::default(), &Log::default())?;
    Ok(store.get_or_init(|| opened))
}

impl Receiver<Failure> for Arriving<'_> {
    fn announce(&mut self, size: Option<u64>) -> Answer<()> {
        self.announced(size).map_err(|error| failed(self.name, self.folder, &error))
    }

    fn write(&mut self, bytes: &[u8]) -> Answer<()> {
        let file = self.file.as_mut().ok_or_else(no_file)?;
        if let Err(error) = file.write(bytes) {
            if error.is(Code::NoSpace) {
                // What has come would leave the disk full.
                self.begin_again(false);
            }
            return Err(failed(self.name, self.folder, &error));
        }
        self.done += bytes.len() as u64;
        (self.watch)(Progress::Moved(self.done, self.total));
        if let Some(sha) = &mut self.sha {
            sha.update(bytes);
        }
        Ok(())
    }

    fn put_before(&mut self, bytes: &[u8]) -> Answer<()> {
        let file = self.file.as_mut().ok_or_else(no_file)?;
        self.done += bytes.len() as u64;
        file.put_before(bytes).map_err(|error| failed(self.name, self.folder, &error))
    }
}

/// A file that goes to an output as it comes.
struct Passing<'o> {
    output: &'o mut dyn Write,
    written: io::Result<()>,
}

impl Receiver<Failure> for Passing<'_> {
    fn announce(&mut self, _: Option<u64>) -> Answer<()> {
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Answer<()> {
        self.written = self.output.write_all(bytes);
        if self.written.is_ok() { Ok(()) } else { Err(Failure::Interrupted) }
    }

    fn put_before(&mut self, _: &[u8]) -> Answer<()> {
        Err(no_file())
    }
}

fn no_file() -> Failure {
    Failure::Strange(text!("no-file-came"))
}

/// What cannot be kept in this folder under this name.
fn not_kept(name: &str, folder: &Path, why: impl Word) -> Failure {
    let (name, folder, why) = (readable(name.as_bytes()), folder.display(), why.into_msg());
    Failure::Local(text!("not-kept", name, folder, why))
}

/// A failure of this machine's store, which is not the server's.
fn failed(name: &FileName, folder: &Path, error: &Error) -> Failure {
    let cause = error.cause();
    match error.is(Code::NoSpace) {
        true => not_kept(name.as_str(), folder, text!("no-space-here", cause)),
        false => not_kept(name.as_str(), folder, cause),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::client::tests::{ALONE, scripted};
    use crate::error::lock;
    use crate::wire::script::Step;

    /// After a lost line, what was sent is compared, and not what has been added since.
    #[test]
    fn the_sum_of_a_file_that_has_grown_is_that_of_its_first_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "hello").unwrap();
        let mut file = LocalFile::open(&path, None).unwrap();
        fs::write(&path, "hello, and more").unwrap();
        let mut sha = Sha256::default();
        sha.update(b"hello");
        assert_eq!(file.sum().unwrap(), sha.sum());
    }

    /// Its size would have to be sent before it is known.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_is_made_while_it_is_read_is_not_sent() {
        assert!(LocalFile::open(Path::new("/proc/version"), None).is_err());
    }

    /// What was here had been compared with the beginning on the server.
    #[test]
    fn a_file_that_changes_while_its_rest_comes_is_received_again() {
        let other = format!("ok {}\n", "7".repeat(64));
        let replies = ["ok 3\ndef", &other, "ok 2\nhi"].map(|reply| Step::Bytes(reply.into()));
        let steps = replies.into_iter().flat_map(|reply| [Step::Pause, reply]);
        let (mut client, _, _folder) = scripted(steps.collect());
        let _alone = lock(&ALONE);
        let (name, key) = (FileName::parse(b"a").unwrap(), client.key("a").unwrap());
        let downloads = client.config.downloads_path();
        let store = Store::open(&downloads, Options::default(), &Log::default()).unwrap();
        partial::begin(&store, &name, key).unwrap().write(b"abc").unwrap();
        let mut told = Vec::new();
        let receipt = client.download("a", None, &mut |progress| told.push(progress)).unwrap();
        assert_eq!((receipt.bytes, receipt.partial), (2, 0));
        assert_eq!(told[0], Progress::Continuing(3, Some(6)));
        assert_eq!(fs::read(downloads.join("a")).unwrap(), b"hi");
    }

    #[test]
    fn what_was_here_is_kept_and_a_long_comparison_is_told() {
        let (store, name) = (OnceCell::new(), FileName::parse(b"a").unwrap());
        for (offset, done, partial, told) in [
            (0, 9, None, None),
            (5, 0, None, None),
            (5, SILENT_CHECK, Some((SILENT_CHECK, None)), None),
            (5, SILENT_CHECK + 1, Some((SILENT_CHECK + 1, None)), Some(Progress::Comparing)),
        ] {
            let came = Cell::new(None);
            let mut arriving = Arriving {
                folder: Path::new(""),
                store: &store,
                name: &name,
                key: None,
                sha: None,
                file: None,
                total: None,
                offset,
                rest_since: None,
                done,
                watch: &mut |progress| came.set(Some(progress)),
            };
            arriving.is_compared();
            assert_eq!((arriving.partial(), came.get()), (partial, told));
        }
    }

    /// An output whose first write fails: a full disk on which there is room again.
    struct Full(Vec<u8>, bool);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if std::mem::take(&mut self.1) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nothing_follows_what_an_output_did_not_take() {
        for (fails, printed) in [(false, "hello"), (true, "")] {
            let parts = ["ok 5\nhel", "lo"].map(|part| Step::Bytes(part.into()));
            let steps = [Step::Pause].into_iter().chain(parts);
            let (mut client, ..) = scripted(steps.collect());
            let mut output = Full(Vec::new(), fails);
            let written = client.download_to("a", &mut output);
            assert_eq!(written.is_err(), fails);
            assert_eq!((output.0, client.wire.is_some()), (printed.into(), !fails));
        }
    }
}
