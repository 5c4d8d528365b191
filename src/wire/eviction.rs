//! Eviction: a peer that reads a large message too slowly is disconnected when others wait for the memory
//! that the message takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::Wire;
use super::message::Came;
use super::stream::Ending;
use crate::error::{Awaited, Code, Error, Result};
use crate::limits;

/// What is being sent takes memory that others may wait for.
pub(super) struct Eviction {
    waiting: Arc<AtomicUsize>,
    /// When the present look at it began, and how far it has come since.
    since: Instant,
    steps: usize,
}

impl Wire {
    /// Runs `write`, which sends something large. Whenever others wait for its memory, a peer that takes
    /// less than [`limits::LIST_STEPS`] in [`limits::LIST_TIME`] is disconnected.
    ///
    /// # Errors
    /// Those of `write`, or the peer takes too little.
    pub fn with_eviction(
        &mut self,
        waiting: &Arc<AtomicUsize>,
        write: impl FnOnce(&mut Wire) -> Result<()>,
    ) -> Result<()> {
        let waiting = Arc::clone(waiting);
        self.output.eviction = Some(Eviction { waiting, since: Instant::now(), steps: 0 });
        let written = write(self);
        self.output.eviction = None;
        written
    }

    /// Reads the byte by which a peer asks for the next part of a long message. All of these together
    /// have the time that one message has.
    ///
    /// # Errors
    /// The stream ends before, or the byte does not come in time.
    pub fn read_acknowledgement(&mut self, deadline: &mut Option<Instant>) -> Result<()> {
        self.begin_message(Awaited::Bytes(1))?;
        let end = *deadline.get_or_insert_with(|| Instant::now() + self.config.message);
        while self.input.held().is_empty() {
            if Instant::now() >= end {
                return Err(Error::connection(&std::io::ErrorKind::TimedOut.into()));
            }
            match self.read_once(end.min(Instant::now() + limits::LIST_TIME))? {
                Came::Data => {}
                Came::End => return Err(self.cut_short()),
                Came::Silence => self.has_moved(0)?,
            }
        }
        self.take_message(1, 0, Ending::Width);
        self.has_moved(1)
    }

    /// Counts how far a large message has come.
    pub(super) fn has_moved(&mut self, steps: usize) -> Result<()> {
        match &mut self.output.eviction {
            Some(eviction) => eviction.moved_at(steps, Instant::now()),
            None => Ok(()),
        }
    }
}

impl Eviction {
    fn moved_at(&mut self, steps: usize, now: Instant) -> Result<()> {
        self.steps += steps;
        if now.duration_since(self.since) < limits::LIST_TIME {
            return Ok(());
        }
        self.since = now;
        let moved = std::mem::take(&mut self.steps);
        if moved >= limits::LIST_STEPS || self.waiting.load(Ordering::Acquire) == 0 {
            return Ok(());
        }
        let sentence = "the list was read too slowly, and others wait for its memory";
        Err(Error::new(Code::Timeout, sentence).and_close())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::WireConfig;
    use crate::wire::script::{Script, Step};

    #[test]
    fn a_peer_that_takes_too_little_is_disconnected_while_others_wait() {
        let start = Instant::now();
        let after = |times: u32| start + limits::LIST_TIME * times;
        let waiting = Arc::new(AtomicUsize::new(1));
        let mut eviction = Eviction { waiting: Arc::clone(&waiting), since: start, steps: 0 };
        assert!(eviction.moved_at(0, start + limits::LIST_TIME / 2).is_ok());
        // Enough in several steps, and then counted again from zero.
        assert!(eviction.moved_at(limits::LIST_STEPS - 1, start).is_ok());
        assert!(eviction.moved_at(1, after(1)).is_ok());
        assert!(eviction.moved_at(limits::LIST_STEPS, after(2)).is_ok());
        let error = eviction.moved_at(limits::LIST_STEPS - 1, after(3)).unwrap_err();
        assert!(error.is(Code::Timeout) && error.closes());
        waiting.store(0, Ordering::Release);
        assert!(eviction.moved_at(0, after(4)).is_ok());
    }

    fn wire(steps: impl IntoIterator<Item = Step>) -> Wire {
        Wire::new(Box::new(Script::new(steps).0), WireConfig::default())
    }

    #[test]
    fn nods_have_one_deadline_and_silence_counts_as_no_step() {
        let bytes = |bytes: &[u8]| Step::Bytes(bytes.to_vec());
        let mut nodding = wire([bytes(b"1"), Step::Pause, bytes(b"2rest")]);
        let mut deadline = None;
        nodding.read_acknowledgement(&mut deadline).unwrap();
        let first = deadline;
        assert!(first.is_some());
        nodding.read_acknowledgement(&mut deadline).unwrap();
        assert_eq!(deadline, first);
        assert_eq!(nodding.read_bytes(4).unwrap(), b"rest");
        assert!(nodding.read_acknowledgement(&mut deadline).unwrap_err().is_gone());
        let mut late = wire([bytes(b"1")]);
        assert!(
            late.read_acknowledgement(&mut Some(Instant::now())).unwrap_err().is(Code::Timeout)
        );
        // Others have waited for long enough.
        let mut stalled = wire([Step::Pause, bytes(b"1")]);
        let (waiting, since) = (Arc::new(AtomicUsize::new(1)), Instant::now());
        let since = since.checked_sub(limits::LIST_TIME).unwrap();
        stalled.output.eviction = Some(Eviction { waiting, since, steps: 0 });
        assert!(stalled.read_acknowledgement(&mut None).unwrap_err().is(Code::Timeout));
    }

    #[test]
    fn a_large_message_that_is_not_read_is_given_up_while_others_wait() {
        let waiting = Arc::new(AtomicUsize::new(1));
        let sent = |bytes: usize, moved: usize| {
            let mut wire = wire([]);
            wire.with_eviction(&waiting, |wire| {
                let eviction = wire.output.eviction.as_mut().unwrap();
                eviction.since = eviction.since.checked_sub(limits::LIST_TIME).unwrap();
                eviction.steps = moved;
                wire.write(&vec![0; bytes])?;
                wire.flush()
            })
            .map(|()| assert!(wire.output.eviction.is_none()))
        };
        let kibibytes = 20;
        assert!(sent(kibibytes << 10, limits::LIST_STEPS - kibibytes).is_ok());
        assert!(sent(kibibytes << 10, limits::LIST_STEPS - kibibytes - 1).is_err());
    }
}
