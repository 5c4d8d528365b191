//! Waits: what is told about a message that does not come, and who is disconnected when others wait.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::message::Brought;
use super::stream::Ending;
use super::{Wire, ended};
use crate::error::{Awaited, Code, Error, Partial, Result};
use crate::limits;

/// A function that is called when a message takes long to come, with what has arrived of it, and what is
/// awaited.
pub type Notice = Arc<dyn Fn(&Partial) + Send + Sync>;

/// A wait for one message.
pub(super) struct Wait {
    pub(super) wanted: Awaited,
    /// When the message must be complete. Its first byte sets it.
    pub(super) deadline: Option<Instant>,
}

impl Wait {
    pub(super) fn new(wanted: Awaited) -> Wait {
        Wait { wanted, deadline: None }
    }
}

/// A client's request and its reply.
#[derive(Default)]
pub(super) struct Exchange {
    /// Told once when a message takes long to come.
    notice: Option<Notice>,
    /// Since when the next message is awaited, however many reads that takes.
    awaiting_since: Option<Instant>,
    /// A message has come in this exchange.
    has_reply: bool,
    /// The peer has sent something that only a peer of this dialect sends.
    dialect_is_confirmed: bool,
    /// What was taken already of a message that is read in parts: its first bytes, and its length.
    part: (Vec<u8>, u64),
}

impl Exchange {
    /// How long until the notice is due, if there is one.
    pub(super) fn time_to_notice(&mut self) -> Option<Duration> {
        self.notice.as_ref()?;
        let since = *self.awaiting_since.get_or_insert_with(Instant::now);
        Some(limits::NOTICE_TIME.saturating_sub(since.elapsed()))
    }

    pub(super) fn give_notice(&mut self, got: &[u8], wanted: Awaited) {
        if let Some(notice) = self.notice.take() {
            notice(&Partial { got: got.to_vec(), wanted });
        }
    }

    /// A piece of a payload came: the next one may take as long again.
    pub(super) fn piece_came(&mut self) {
        self.awaiting_since = None;
    }

    /// Returns the parts of the message that came before.
    pub(super) fn message_came(&mut self) -> (Vec<u8>, u64) {
        self.awaiting_since = None;
        self.has_reply = true;
        std::mem::take(&mut self.part)
    }

    pub(super) fn part_came(&mut self, part: &[u8]) {
        let (mut shown, length) = self.message_came();
        // Enough of it to be shown when the message is complete.
        shown.extend(part.iter().take(limits::SHOWN.saturating_sub(shown.len())));
        self.part = (shown, length + part.len() as u64);
    }

    #[cfg(test)]
    pub(super) fn awaiting_since(&self) -> Option<Instant> {
        self.awaiting_since
    }
}

/// What is being sent takes memory that others may wait for.
pub(super) struct Eviction {
    waiting: Arc<AtomicUsize>,
    /// When the present look at it began, and how far it has come since.
    since: Instant,
    steps: usize,
}

impl Wire {
    /// Begins an exchange: a request and its reply. `notice` is told, once, when a message of it has not
    /// come after [`limits::NOTICE_TIME`].
    pub fn begin_exchange(&mut self, notice: Option<Notice>) {
        self.exchange.notice = notice;
        self.exchange.awaiting_since = None;
        self.exchange.has_reply = false;
    }

    /// Whether a message has come in this exchange, or the beginning of one.
    #[must_use]
    pub fn has_reply(&self) -> bool {
        self.exchange.has_reply || !self.input.held().is_empty()
    }

    /// Notes that the peer has sent something that only a peer of this dialect sends.
    pub fn confirm_dialect(&mut self) {
        self.exchange.dialect_is_confirmed = true;
    }

    /// Whether the peer has sent such a thing.
    #[must_use]
    pub fn dialect_is_confirmed(&self) -> bool {
        self.exchange.dialect_is_confirmed
    }

    /// The message did not come in time.
    pub(super) fn silent(&self, wait: &Wait) -> Error {
        let silent = Error::connection(&io::ErrorKind::TimedOut.into());
        silent.with_partial(self.input.held(), wait.wanted)
    }

    /// The stream ended in the middle of the message.
    pub(super) fn cut_short(&self, wait: &Wait) -> Error {
        ended().with_partial(self.input.held(), wait.wanted)
    }

    /// Runs `write`, which sends something large. Whenever others wait for its memory, a peer that takes
    /// less than [`limits::LIST_STEPS`] in [`limits::WRITE_WAIT`] is disconnected.
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
        let mut wait = self.begin_message(Awaited::Bytes(1))?;
        wait.deadline = *deadline;
        while self.input.held().is_empty() {
            match self.fill_in_message(&mut wait, limits::WRITE_WAIT)? {
                Brought::Bytes => {}
                Brought::End => return Err(self.cut_short(&wait)),
                Brought::Silence => self.has_moved(0)?,
            }
        }
        *deadline = wait.deadline;
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
        if now.duration_since(self.since) < limits::WRITE_WAIT {
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
        let after = |times: u32| start + limits::WRITE_WAIT * times;
        let waiting = Arc::new(AtomicUsize::new(1));
        let mut eviction = Eviction { waiting: Arc::clone(&waiting), since: start, steps: 0 };
        assert!(eviction.moved_at(0, start + limits::WRITE_WAIT / 2).is_ok());
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
        let since = since.checked_sub(limits::WRITE_WAIT).unwrap();
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
                eviction.since = eviction.since.checked_sub(limits::WRITE_WAIT).unwrap();
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

    #[test]
    fn a_reply_has_begun_with_its_first_byte() {
        let mut wire = wire([Step::Bytes(b"ok\nerr".to_vec())]);
        wire.begin_exchange(None);
        assert!(!wire.has_reply());
        wire.read_line(9).unwrap();
        assert!(wire.has_reply());
        wire.begin_exchange(None);
        assert!(wire.has_reply(), "half a line is here");
        wire.read_bytes(3).unwrap();
        wire.begin_exchange(None);
        assert!(!wire.has_reply());
    }

    #[test]
    fn a_look_ahead_stops_when_it_has_enough() {
        let steps = [b"ab".to_vec(), b"cd".to_vec(), b"ef".to_vec()].map(Step::Bytes);
        let mut wire = wire(steps);
        assert_eq!(wire.peek(4, limits::WORD_PAUSE).unwrap(), b"abcd");
    }
}
