//! The sums of files. A sum takes a processor for as long as it takes to read the file, so it is remembered as long
//! as the file is still.

use std::collections::VecDeque;
use std::fs::Metadata;
use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use super::{Outgoing, Store};
use crate::error::{Result, lock};
use crate::sha256::{Sha256, Sum};

/// How much of a file is read at once.
const READ_SIZE: usize = 64 << 10;

/// How much of it is read in one turn.
const TURN: u64 = 32 << 20;

/// A slow disk or a slow processor reads less in a turn.
const TURN_TIME: Duration = Duration::from_millis(200);

/// How many sums are remembered.
const REMEMBERED: usize = 1000;

/// How long a file must not have changed: no file system has a coarser clock, so a later change gives it another
/// time.
const STILL: Duration = Duration::from_secs(3);

/// The sums that are remembered, the oldest first, and what tells each of these files from all others.
pub(super) type Sums = Mutex<VecDeque<(String, Sum)>>;

impl Store {
    /// The sum of the first `length` bytes of a file, or of all if it has fewer. Takes a place if it has to read
    /// them.
    pub(super) fn sum_of(
        &self,
        file: &mut Outgoing,
        length: u64,
        network: Option<u128>,
    ) -> Result<Sum> {
        let (identity, changed) = identity(file.name.as_str(), &file.found);
        let key = format!("{identity} {length}");
        let remembered = lock(&self.sums).iter().find(|(known, _)| *known == key).map(|it| it.1);
        if let Some(sum) = remembered {
            return Ok(sum);
        }
        let place = self.turns.take_place(network)?;
        let is_still = |now: SystemTime| now.duration_since(changed).is_ok_and(|age| age >= STILL);
        let is_still = self.clock().is_ok_and(is_still);
        let (mut sha, mut left, mut buffer) = (Sha256::default(), length, vec![0; READ_SIZE]);
        while left > 0 {
            place.turn(|| read(file, &mut left, &mut buffer, &mut sha))?;
        }
        let sum = sha.sum();
        if is_still {
            let mut sums = lock(&self.sums);
            sums.push_back((key, sum));
            if sums.len() > REMEMBERED {
                sums.pop_front();
            }
        }
        Ok(sum)
    }

    /// The time by the clock of the file system, which may be another machine's.
    fn clock(&self) -> io::Result<SystemTime> {
        if self.options.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let mut draft = self.draft()?;
        draft.write(b"now")?;
        draft.metadata()?.modified()
    }
}

/// Adds the next bytes of a file to a sum, for one turn. At the end of the file nothing is left.
fn read(file: &mut Outgoing, left: &mut u64, buffer: &mut [u8], sha: &mut Sha256) -> Result<()> {
    let (since, after) = (Instant::now(), left.saturating_sub(TURN));
    while *left > after && since.elapsed() < TURN_TIME {
        let piece = usize::try_from(*left - after).unwrap_or(READ_SIZE).min(READ_SIZE);
        let piece = buffer.get_mut(..piece).unwrap_or_default();
        let n = file.read(piece)?;
        sha.update(piece.get(..n).unwrap_or_default());
        *left = if n == 0 { 0 } else { *left - n as u64 };
    }
    Ok(())
}

/// What tells a file, as it is now, from all others, and when it was changed.
#[cfg(unix)]
fn identity(_: &str, found: &Metadata) -> (String, SystemTime) {
    use std::os::unix::fs::MetadataExt;
    let (seconds, nanos) = (found.ctime(), found.ctime_nsec());
    let identity = format!("{} {} {} {seconds} {nanos}", found.dev(), found.ino(), found.len());
    let since = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    (identity, SystemTime::UNIX_EPOCH + since)
}

#[cfg(not(unix))]
fn identity(name: &str, found: &Metadata) -> (String, SystemTime) {
    let (created, changed) = (found.created().ok(), found.modified().ok());
    let identity = format!("{name} {} {created:?} {changed:?}", found.len());
    (identity, changed.unwrap_or_else(SystemTime::now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use crate::log::Log;
    use crate::store::{FileName, Options};
    use std::fs;
    use std::sync::Arc;

    #[test]
    fn the_sum_of_a_file_that_is_still_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let store =
            Arc::new(Store::open(folder.path(), Options::default(), &Log::default()).unwrap());
        let (name, path) = (FileName::parse(b"a").unwrap(), folder.path().join("a"));
        fs::write(&path, "abc").unwrap();
        let client = Some(1);
        let begins = |sum: Sum| sum.to_string().chars().take(8).collect::<String>();
        let sum = || store.sum(name.clone(), client).map(begins).map_err(|error| error.code());
        // It was changed a moment ago: it may change again without a new time.
        assert_eq!([sum(), sum()], [Ok("ba7816bf".to_owned()), Ok("ba7816bf".to_owned())]);
        let places: Vec<_> = (0..4).map(|_| store.turns.take_place(client).unwrap()).collect();
        assert_eq!(sum(), Err(Code::Busy));
        // As it will be seen in a while.
        let mut file = store.open_file(name.clone()).unwrap();
        let found = fs::metadata(&path).unwrap();
        let (key, _) = identity("a", &found);
        let known = Sum::parse(&[b'7'; 64]).unwrap();
        lock(&store.sums).push_back((format!("{key} {}", u64::MAX), known));
        assert_eq!(sum(), Ok("77777777".to_owned()));
        drop(places);
        // The sum of a part is another one.
        let part = store.sum_of(&mut file, 2, client).unwrap();
        assert_eq!(begins(part), "fb8e20fc");
        fs::write(&path, "abcd").unwrap();
        assert_eq!(sum(), Ok("88d4266f".to_owned()));
    }

    #[test]
    fn the_clock_is_that_of_the_file_system_and_old_sums_go() {
        let folder = tempfile::tempdir().unwrap();
        let store =
            Arc::new(Store::open(folder.path(), Options::default(), &Log::default()).unwrap());
        fs::write(folder.path().join("a"), "x").unwrap();
        let written = fs::metadata(folder.path().join("a")).unwrap().modified().unwrap();
        assert!(store.clock().unwrap() >= written);
        let sum = Sum::parse(&[b'7'; 64]).unwrap();
        lock(&store.sums).extend((0..REMEMBERED).map(|n| (n.to_string(), sum)));
        // A file that is still, in the place of this one, which was changed a moment ago.
        let mut file = store.open_file(FileName::parse(b"a").unwrap()).unwrap();
        file.found = fs::metadata(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
        store.sum_of(&mut file, 1, None).unwrap();
        let sums = lock(&store.sums);
        assert_eq!((sums.len(), sums.front().unwrap().0.as_str()), (REMEMBERED, "1"));
    }
}
