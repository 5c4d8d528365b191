//! Waits: what is said about a message that does not come, what came without being asked for, and who gives
//! way when others wait.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{Brought, Wire, ended};
use crate::error::{Awaited, Code, Error, Result, Waited};
use crate::limits;
use crate::wire::stream::Ending;

/// Told when a message takes long to come: what has arrived of it, and what is awaited.
pub type Notice = Arc<dyn Fn(&Waited) + Send + Sync>;

/// A wait for one message.
pub(super) struct Wait {
    pub(super) wanted: Awaited,
    /// When the message must be complete. Its first byte sets it.
    pub(super) deadline: Option<Instant>,
}

/// What is being sent takes memory that others may wait for.
pub(super) struct GivesWay {
    others: Arc<AtomicUsize>,
    /// When the present look at it began, and how far it has come since.
    since: Instant,
    steps: usize,
}

impl Wait {
    pub(super) fn new(wanted: Awaited) -> Wait {
        Wait { wanted, deadline: None }
    }
}

impl Wire {
    /// Begins an exchange: a request and its reply. `notice` is told, once, when a message of it has not
    /// come after [`limits::NOTICE_TIME`].
    pub fn begin_exchange(&mut self, notice: Option<Notice>) {
        self.notice = notice;
        self.awaiting_since = None;
        self.has_reply = false;
    }

    /// Whether a message has come in this exchange, or the beginning of one.
    #[must_use]
    pub fn has_reply(&self) -> bool {
        self.has_reply || !self.buffered().is_empty()
    }

    /// Notes that the peer has said something that only a peer of this dialect says.
    pub fn understand(&mut self) {
        self.is_understood = true;
    }

    /// Whether the peer has said such a thing.
    #[must_use]
    pub fn is_understood(&self) -> bool {
        self.is_understood
    }

    /// Waits until something has come, or the end of the stream, and leaves it where it is. Returns
    /// false where nothing at all comes within `longest`.
    ///
    /// # Errors
    /// The connection broke.
    pub fn wait_for_any(&mut self, longest: Duration, wanted: Awaited) -> Result<bool> {
        if !self.buffered().is_empty() {
            return Ok(true);
        }
        Ok(!matches!(self.read_more(longest, &mut Wait::new(wanted))?, Brought::Silence))
    }

    /// What has arrived up to a silence of `pause`, left where it is. Stops at `most` bytes.
    ///
    /// # Errors
    /// The connection broke, or nothing comes in time.
    pub fn peek(&mut self, most: usize, pause: Duration) -> Result<&[u8]> {
        let mut wait = Wait::new(Awaited::Word);
        while self.buffered().len() < most {
            let brought = if self.buffered().is_empty() {
                self.fill(&mut wait)?
            } else {
                self.fill_before(&mut wait, pause)?
            };
            match brought {
                Brought::Bytes => {}
                Brought::Silence if self.buffered().is_empty() => return Err(self.silent(&wait)),
                _ => break,
            }
        }
        Ok(self.buffered())
    }

    /// Takes what has arrived, without waiting for more: about a line of a reply at most.
    ///
    /// # Errors
    /// The connection broke, or its end is all that has arrived.
    pub fn take_arrived(&mut self) -> Result<Vec<u8>> {
        while self.buffered().len() < limits::REPLY_LINE && !self.ended {
            match self.read_with(|stream, into| stream.read_now(into))? {
                Brought::Bytes => {}
                Brought::Silence | Brought::End => break,
            }
        }
        if self.ended && self.buffered().is_empty() {
            return Err(Error::new(Code::Gone, "the server closed the connection"));
        }
        Ok(self.take(usize::MAX))
    }

    /// How long until the notice is due, if there is one.
    pub(super) fn time_to_notice(&mut self) -> Option<Duration> {
        self.notice.as_ref()?;
        let since = *self.awaiting_since.get_or_insert_with(Instant::now);
        Some(limits::NOTICE_TIME.saturating_sub(since.elapsed()))
    }

    pub(super) fn give_notice(&mut self, wanted: Awaited) {
        if let Some(notice) = self.notice.take() {
            notice(&Waited { got: self.buffered().to_vec(), wanted });
        }
    }

    /// The message did not come in time.
    pub(super) fn silent(&self, wait: &Wait) -> Error {
        let silent = Error::connection(&io::ErrorKind::TimedOut.into());
        silent.waiting(self.buffered(), wait.wanted)
    }

    /// The stream ended in the middle of the message.
    pub(super) fn cut_short(&self, wait: &Wait) -> Error {
        ended().waiting(self.buffered(), wait.wanted)
    }

    /// Does what `write` does. Meanwhile, as long as `others` is not zero, the connection ends where the
    /// peer takes less than [`limits::LIST_STEPS`] in [`limits::WRITE_WAIT`]: others wait for the memory
    /// that this takes.
    ///
    /// # Errors
    /// Those of `write`, or the peer takes too little.
    pub fn giving_way_to(
        &mut self,
        others: &Arc<AtomicUsize>,
        write: impl FnOnce(&mut Wire) -> Result<()>,
    ) -> Result<()> {
        self.gives_way =
            Some(GivesWay { others: Arc::clone(others), since: Instant::now(), steps: 0 });
        let written = write(self);
        self.gives_way = None;
        written
    }

    /// Reads the byte by which a peer asks for the next part of a long message. All of these together have
    /// the time that one message has.
    ///
    /// # Errors
    /// The stream ends before, or the byte does not come in time.
    pub fn read_nod(&mut self, deadline: &mut Option<Instant>) -> Result<()> {
        self.must_owe_nothing()?;
        let mut wait = Wait::new(Awaited::Bytes(1));
        wait.deadline = *deadline;
        while self.buffered().is_empty() {
            match self.fill_before(&mut wait, limits::WRITE_WAIT)? {
                Brought::Bytes => {}
                Brought::End => return Err(self.cut_short(&wait)),
                Brought::Silence => self.has_moved(0)?,
            }
        }
        *deadline = wait.deadline;
        let nod = self.take(1);
        self.complete(&nod, 0, Ending::Width);
        self.has_moved(1)
    }

    /// What gives way has moved on by so many steps.
    pub(super) fn has_moved(&mut self, steps: usize) -> Result<()> {
        let Some(way) = &mut self.gives_way else { return Ok(()) };
        way.steps = way.steps.saturating_add(steps);
        if way.since.elapsed() < limits::WRITE_WAIT {
            return Ok(());
        }
        let moved = std::mem::take(&mut way.steps);
        way.since = Instant::now();
        if moved >= limits::LIST_STEPS || way.others.load(Ordering::Acquire) == 0 {
            return Ok(());
        }
        let sentence = "the list was read too slowly, and others wait for its memory";
        Err(Error::new(Code::Timeout, sentence).and_close())
    }
}
