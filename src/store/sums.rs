//! The sums of files. A sum takes a processor for as long as it takes to read the file, so few are computed at
//! once: the other requests wait for their turn.

use std::sync::{Condvar, Mutex, PoisonError};

use super::Outgoing;
use super::sha256::{Sha256, Sum};
use crate::error::{Result, lock};
use crate::limits;

/// How much of a file is read at once.
const PIECE: usize = 64 << 10;

/// The sums that are computed now.
#[derive(Default)]
pub(super) struct Sums {
    running: Mutex<usize>,
    ended: Condvar,
}

/// Lets the next request have its turn, also after an error.
struct Turn<'s>(&'s Sums);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *lock(&self.0.running) -= 1;
        self.0.ended.notify_one();
    }
}

impl Sums {
    /// The sum of the next bytes of a file, up to `most` or its end, and how many these are.
    pub(super) fn of(&self, file: &mut Outgoing, most: u64) -> Result<(Sum, u64)> {
        let running = lock(&self.running);
        let waited = self.ended.wait_while(running, |running| *running >= limits::SUMS);
        *waited.unwrap_or_else(PoisonError::into_inner) += 1;
        let _turn = Turn(self);
        let (mut sha, mut left, mut buffer) = (Sha256::default(), most, vec![0; PIECE]);
        while left > 0 {
            let piece = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let piece = buffer.get_mut(..piece).unwrap_or_default();
            let n = file.read(piece)?;
            if n == 0 {
                break;
            }
            sha.update(piece.get(..n).unwrap_or_default());
            left -= n as u64;
        }
        Ok((sha.sum(), most - left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Log;
    use crate::store::{FileName, Options, Store};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    /// Two that are computed hold up the third, until one of them has ended.
    #[test]
    fn few_sums_are_computed_at_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "abc").unwrap();
        let store = Store::open(folder.path(), Options::default(), &Log::silent()).unwrap();
        let name = FileName::parse(b"a").unwrap();
        *lock(&store.sums.running) = limits::SUMS;
        let (sender, sums) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| sender.send(store.sum(&name).unwrap()).unwrap());
            assert!(sums.recv_timeout(Duration::from_millis(100)).is_err());
            drop(Turn(&store.sums));
            assert!(sums.recv().unwrap().to_string().starts_with("ba7816bf"));
        });
        assert_eq!(*lock(&store.sums.running), limits::SUMS - 1);
    }
}
