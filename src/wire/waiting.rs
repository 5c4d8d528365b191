//! Waits: what is said about a message that does not come, and what came without being asked for.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Brought, Wire, ended};
use crate::error::{Awaited, Code, Error, Result, Waited};
use crate::limits;

/// Told when a message takes long to come: what has arrived of it, and what is awaited.
pub type Notice = Arc<dyn Fn(&Waited) + Send + Sync>;

/// A wait for one message.
pub(super) struct Wait {
    pub(super) wanted: Awaited,
    /// When the message must be complete. Its first byte sets it.
    pub(super) deadline: Option<Instant>,
    /// When the wait began, where a notice may come of it.
    since: Option<Instant>,
}

impl Wait {
    pub(super) fn new(wanted: Awaited) -> Wait {
        Wait { wanted, deadline: None, since: None }
    }
}

impl Wire {
    /// Has `notice` told, once, when a message has not come after [`limits::NOTICE_TIME`].
    pub fn notify(&mut self, notice: Option<Notice>) {
        self.notice = notice;
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
    pub(super) fn time_to_notice(&self, wait: &mut Wait) -> Option<Duration> {
        self.notice.as_ref()?;
        let since = *wait.since.get_or_insert_with(Instant::now);
        Some(limits::NOTICE_TIME.saturating_sub(since.elapsed()))
    }

    pub(super) fn give_notice(&mut self, wait: &Wait) {
        if let Some(notice) = self.notice.take() {
            notice(&Waited { got: self.buffered().to_vec(), wanted: wait.wanted });
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
}
