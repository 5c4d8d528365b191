//! Sending and receiving files. Received files go into a store in the downloads folder.

use std::cell::OnceCell;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::time::Instant;

use super::{Client, Receipt, Watch};
use crate::dialect::Receiver;
use crate::error::{Answer, Doing, Error, Expected, Failure, Trouble};
use crate::log::Log;
use crate::store::{FileName, Incoming, Options, Store};

impl Client {
    /// Sends a file, under its own name if no other is given.
    ///
    /// # Errors
    /// The file's, the server's, or the connection's.
    pub fn upload(
        &mut self,
        path: &Path,
        name: Option<&str>,
        watch: &mut Watch<'_>,
    ) -> Answer<Receipt> {
        let requests = self.requests();
        let send = requests.upload.ok_or(Failure::Lacks("upload"))?;
        let trouble = |why| {
            let path = path.display().to_string();
            Failure::Local { doing: Doing::Send, path, why }
        };
        let opening = |error: io::Error| Failure::local(Doing::Open, path.display(), error);
        let reading = |error: io::Error| Failure::local(Doing::Read, path.display(), error);
        // Checked before it is opened: opening a pipe would wait for its other end.
        let found = fs::metadata(path).map_err(opening)?;
        if !found.is_file() {
            return Err(trouble(if found.is_dir() {
                Trouble::IsFolder
            } else {
                Trouble::NotPlain
            }));
        }
        let own_name = path.file_name().and_then(|name| name.to_str());
        let name = name.or(own_name).ok_or_else(|| trouble(Trouble::NotUtf8))?;
        let mut file = File::open(path).map_err(opening)?;
        let size = file.metadata().map_err(opening)?.len();
        // The files in /proc are made while they are read, so that their size is not known before. A file that
        // has just grown from nothing to something is an ordinary one.
        if size == 0
            && file.read(&mut [0]).map_err(reading)? > 0
            && !file.metadata().is_ok_and(|now| now.len() > 0)
        {
            return Err(trouble(Trouble::SizeUnknown));
        }
        let start = Instant::now();
        let mut done = 0;
        let stored = self.ask(|wire| {
            send(wire, name, size, &mut |buffer| {
                watch(done, Some(size));
                let n = file.read(buffer).map_err(reading)?;
                done += n as u64;
                if n > 0 { Ok(n) } else { Err(trouble(Trouble::BecameShorter)) }
            })
        })?;
        let grew = file.metadata().is_ok_and(|now| now.len() > size);
        let (time, confirmed) = (start.elapsed(), requests.confirms);
        Ok(Receipt { stored, bytes: size, time, grew, confirmed })
    }

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
        let fetch = self.requests().download.ok_or(Failure::Lacks("download"))?;
        let folder = self.config.downloads.clone();
        let local = local.unwrap_or_else(|| name.rsplit('/').next().unwrap_or(name));
        let local = FileName::parse(local.as_bytes()).map_err(|e| not_kept(local, &folder, &e))?;
        let start = Instant::now();
        let store = self.downloads.take().map_or_else(OnceCell::new, OnceCell::from);
        let mut arriving =
            Arriving { folder: &folder, store: &store, name: &local, file: None, done: 0, watch };
        let received = self.ask(|wire| fetch(wire, name, &mut arriving));
        let published = received.and_then(|bytes| Ok((bytes, arriving.publish()?)));
        self.downloads = store.into_inner();
        let (bytes, stored) = published?;
        let stored = Some(folder.join(stored).display().to_string());
        Ok(Receipt { stored, bytes, time: start.elapsed(), grew: false, confirmed: true })
    }
}

/// A file that is being received.
struct Arriving<'s> {
    folder: &'s Path,
    /// Opened when the first file comes, so that a refused request creates no folder.
    store: &'s OnceCell<Store>,
    name: &'s FileName,
    /// The file and its size, after the server has announced it.
    file: Option<(Incoming<'s>, Option<u64>)>,
    done: u64,
    watch: &'s mut Watch<'s>,
}

impl Arriving<'_> {
    fn publish(self) -> Answer<String> {
        let Some((file, _)) = self.file else { return Err(no_file()) };
        match file.publish() {
            Ok(stored) => Ok(stored.as_str().to_owned()),
            Err(error) => Err(not_kept(self.name.as_str(), self.folder, &error)),
        }
    }

    fn begin(&mut self, size: Option<u64>) -> Result<(), Error> {
        let store = match self.store.get() {
            Some(store) => store,
            None => {
                let opened = Store::open(self.folder, Options::default(), &Log::silent())?;
                self.store.get_or_init(|| opened)
            }
        };
        let mut incoming = store.begin(self.name)?;
        incoming.expect(size)?;
        self.file = Some((incoming, size));
        Ok(())
    }
}

impl Receiver<Failure> for Arriving<'_> {
    fn expect(&mut self, size: Option<u64>) -> Answer<()> {
        self.begin(size).map_err(|error| not_kept(self.name.as_str(), self.folder, &error))
    }

    fn write(&mut self, bytes: &[u8]) -> Answer<()> {
        let (file, size) = self.file.as_mut().ok_or_else(no_file)?;
        self.done += bytes.len() as u64;
        (self.watch)(self.done, *size);
        file.write(bytes).map_err(|error| not_kept(self.name.as_str(), self.folder, &error))
    }

    fn put_before(&mut self, bytes: &[u8]) -> Answer<()> {
        let (file, _) = self.file.as_mut().ok_or_else(no_file)?;
        file.put_before(bytes).map_err(|error| not_kept(self.name.as_str(), self.folder, &error))
    }
}

fn no_file() -> Failure {
    Failure::Unexpected { expected: Expected::File, got: Vec::new() }
}

/// A failure of this machine's store, which is not the server's.
fn not_kept(name: &str, folder: &Path, error: &Error) -> Failure {
    Failure::local(Doing::Keep(folder.display().to_string()), name, error.cause())
}
