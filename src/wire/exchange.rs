//! A client's request and its reply: whether the reply has begun, and what is told when it takes long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Wire;
use crate::error::{Awaited, Partial};
use crate::limits;

/// How long a client waits for a reply before it reports, once and to a terminal only, what has come so
/// far. A person who sees nothing for longer thinks that the program hangs.
const NOTICE_TIME: Duration = Duration::from_secs(3);

/// A function that is called when a message takes long to come, with what has arrived of it, and what is
/// awaited.
pub type Notice = Arc<dyn Fn(&Partial) + Send + Sync>;

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
    /// How much longer than usual the next message may take to begin.
    more_time: Duration,
    /// What was taken already of a message that is read in parts: its first bytes, and its length.
    part: (Vec<u8>, u64),
}

impl Exchange {
    /// How long until the notice is due, if there is one.
    pub(super) fn time_to_notice(&mut self) -> Option<Duration> {
        self.notice.as_ref()?;
        let since = *self.awaiting_since.get_or_insert_with(Instant::now);
        Some(NOTICE_TIME.saturating_sub(since.elapsed()))
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
        self.more_time = Duration::ZERO;
        self.has_reply = true;
        std::mem::take(&mut self.part)
    }

    pub(super) fn part_came(&mut self, part: &[u8]) {
        let (mut shown, length) = self.message_came();
        // Enough of it to be shown when the message is complete.
        shown.extend(part.iter().take(limits::SHOWN.saturating_sub(shown.len())));
        self.part = (shown, length + part.len() as u64);
    }

    pub(super) fn more_time(&self) -> Duration {
        self.more_time
    }

    #[cfg(test)]
    pub(super) fn awaiting_since(&self) -> Option<Instant> {
        self.awaiting_since
    }
}

impl Wire {
    /// Begins an exchange: a request and its reply. `notice` is told, once, when a message of it has not
    /// come after three seconds.
    pub fn begin_exchange(&mut self, notice: Option<Notice>) {
        self.exchange.notice = notice;
        self.exchange.awaiting_since = None;
        self.exchange.has_reply = false;
        self.exchange.more_time = Duration::ZERO;
    }

    /// Lets the next message begin later than usual, by this much.
    pub fn allow(&mut self, more: Duration) {
        self.exchange.more_time = more;
    }

    /// Allows for the payload that was just written: much of it can still be on its way.
    pub fn allow_for_payload(&mut self) {
        self.allow(self.output.tail.saturating_mul(2));
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::WireConfig;
    use crate::wire::script::{Script, Step};

    #[test]
    fn a_reply_has_begun_with_its_first_byte() {
        let (script, _) = Script::new([Step::Bytes(b"ok\nerr".to_vec())]);
        let mut wire = Wire::new(Box::new(script), WireConfig::default());
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
}
