//! Tells the user when a reply takes long: what has come of it so far, and what is still expected.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::keyboard::Interrupt;
use crate::dialect::Dialect;
use crate::error::{Expected, Failure, Partial, lock};
use crate::limits;
use crate::wire::stream::{Ending, Stream, is_silence};

/// How long a reply may take before the user is told. A person who sees nothing for longer thinks that the
/// program hangs.
const NOTICE_TIME: Duration = Duration::from_secs(3);

/// Called when a message takes long to come, with what has come of it, and what is expected.
pub(super) type Notice = Arc<dyn Fn(&Partial) + Send + Sync>;

/// Whether the user is to be told, once, that a reply takes long, and whether the user waits no longer.
#[derive(Clone, Default)]
pub(super) struct Patience {
    pub(super) notice: Option<Notice>,
    pub(super) interrupt: Interrupt,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    is_told: bool,
    /// Since when the next message is expected, however many reads that takes.
    since: Option<Instant>,
    /// How the reply begins: what the first read of it brought.
    reply: Vec<u8>,
}

impl Patience {
    /// Begins a request and its reply.
    pub(super) fn begin(&self) {
        *lock(&self.state) = State::default();
    }

    /// The dialect that the last reply seems to be in, if not this one.
    pub(super) fn looks_like(&self, dialect: Dialect) -> Option<Dialect> {
        dialect.guess(&lock(&self.state).reply)
    }

    /// Whether the user has interrupted the command that runs.
    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupt.has_come()
    }

    /// The failure, unless the user is the reason for it.
    pub(super) fn or_interrupted(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Gone { .. } if self.is_interrupted() => Failure::Interrupted,
            failure => failure,
        }
    }

    /// Fails if the user has interrupted the command that runs.
    fn check(&self) -> io::Result<()> {
        if self.is_interrupted() { Err(io::Error::other("interrupted")) } else { Ok(()) }
    }

    fn message_came(&self) {
        lock(&self.state).since = None;
    }

    /// How long until the notice is due, if there is one.
    fn time_left(&self) -> Option<Duration> {
        let mut state = lock(&self.state);
        let since = *state.since.get_or_insert_with(Instant::now);
        let is_due = self.notice.is_some() && !state.is_told;
        is_due.then(|| NOTICE_TIME.saturating_sub(since.elapsed()))
    }

    fn tell(&self, partial: &Partial) {
        lock(&self.state).is_told = true;
        if let Some(notice) = &self.notice {
            notice(partial);
        }
    }
}

/// A stream whose reads tell the user when they take long.
pub(super) struct Patient {
    inner: Box<dyn Stream>,
    patience: Patience,
    timeout: Duration,
    partial: Partial,
}

impl Patient {
    pub(super) fn new(inner: Box<dyn Stream>, patience: Patience) -> Patient {
        let partial = Partial { got: Vec::new(), expected: Expected::Close };
        Patient { inner, patience, timeout: Duration::ZERO, partial }
    }

    /// Reads once. If the notice is due before the timeout, the wait has two parts.
    fn wait(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut left = self.timeout;
        if let Some(before) = self.patience.time_left().filter(|before| *before < left) {
            self.inner.limit_wait(before)?;
            match self.inner.read(into) {
                Err(error) if is_silence(&error) => self.patience.tell(&self.partial),
                brought => return brought,
            }
            left -= before;
        }
        self.inner.limit_wait(left)?;
        self.inner.read(into)
    }
}

/// What wakes it up would hold the connection open.
impl Drop for Patient {
    fn drop(&mut self) {
        self.patience.interrupt.wake_by(None);
    }
}

impl Read for Patient {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.patience.check()?;
        let brought = self.wait(into);
        let mut state = lock(&self.patience.state);
        if let (Ok(n), true) = (&brought, state.reply.is_empty()) {
            state.reply.extend(into.iter().take(limits::SHOWN.min(*n)));
        }
        drop(state);
        if matches!(self.partial.expected, Expected::Payload { .. } | Expected::Value) {
            // The next piece may take as long again.
            self.patience.message_came();
        }
        brought
    }
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.patience.check()?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Stream for Patient {
    fn limit_wait(&mut self, timeout: Duration) -> io::Result<()> {
        self.timeout = timeout;
        Ok(())
    }

    fn read_now(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.inner.read_now(into)
    }

    fn pause(&mut self, time: Duration) {
        self.inner.pause(time);
    }

    fn end_writing(&mut self) -> io::Result<()> {
        self.inner.end_writing()
    }

    fn force_reset(&mut self) -> bool {
        self.inner.force_reset()
    }

    fn waits_for_end(&self) -> bool {
        self.inner.waits_for_end()
    }

    fn note_wait(&mut self, got: &[u8], expected: Expected) {
        let got = got.iter().take(limits::SHOWN).copied().collect();
        self.partial = Partial { got, expected };
    }

    fn note_message(&mut self, bytes: &[u8], length: u64, end: Ending) {
        self.patience.message_came();
        self.inner.note_message(bytes, length, end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::wire::script::{Script, Step, Written};
    use crate::wire::{Wire, WireConfig};

    /// A wire, what its user was told, and the script's record.
    fn wire(steps: Vec<Step>) -> (Wire, Arc<Mutex<Vec<Partial>>>, Patience, Written) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&told);
        let notice: Notice = Arc::new(move |partial| lock(&sink).push(partial.clone()));
        let patience = Patience { notice: Some(notice), ..Patience::default() };
        let (script, written) = Script::new(steps);
        let stream = Patient::new(Box::new(script), patience.clone());
        let config = WireConfig { idle: Duration::from_secs(100), ..WireConfig::default() };
        (Wire::new(Box::new(stream), config), told, patience, written)
    }

    fn bytes(bytes: &str) -> Step {
        Step::Bytes(bytes.into())
    }

    #[test]
    fn a_long_wait_is_told_once_with_what_has_come() {
        let (mut wire, told, ..) = wire(vec![
            bytes("ok connected"),
            Step::Pause, // The three seconds.
            bytes("\n"),
            bytes("conn"),
            Step::Pause, // The rest of the time.
        ]);
        assert_eq!(wire.read_line(99).unwrap().unwrap(), b"ok connected");
        let partial = |got: &[u8], expected| Partial { got: got.to_vec(), expected };
        assert_eq!(*lock(&told), [partial(b"ok connected", Expected::Line)]);
        let error = wire.read_word_of(&["connected"]).unwrap_err();
        let expected = Expected::Words(&["connected"]);
        assert_eq!(error.partial(), Some(&partial(b"conn", expected)));
        assert_eq!(lock(&told).len(), 1);
    }

    /// A stream that can reset, and waits for the end.
    struct Able;

    impl Read for Able {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }
    }

    impl Write for Able {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Stream for Able {
        fn limit_wait(&mut self, _: Duration) -> io::Result<()> {
            Ok(())
        }

        fn pause(&mut self, _: Duration) {}

        fn end_writing(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn force_reset(&mut self) -> bool {
            true
        }

        fn waits_for_end(&self) -> bool {
            true
        }
    }

    #[test]
    fn what_another_stream_can_do_it_can_too() {
        let patient = |stream| Patient::new(stream, Patience::default());
        let mut other = patient(Box::new(Able));
        assert!(other.force_reset() && other.waits_for_end());
        let mut other = patient(Box::new(Script::new([]).0));
        assert!(!other.force_reset() && !other.waits_for_end());
    }

    #[test]
    fn a_connection_that_is_over_is_not_held_open() {
        let (held, patience) = (Arc::new(()), Patience::default());
        let copy = Arc::clone(&held);
        let stream = Patient::new(Box::new(Script::new([]).0), patience.clone());
        patience.interrupt.wake_by(Some(Box::new(move || drop(copy))));
        drop(stream);
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[test]
    fn a_wait_has_two_parts_until_the_notice_was_given() {
        let (mut wire, told, _, written) = wire(vec![Step::Pause, Step::Pause]);
        wire.write(b"ls").unwrap();
        wire.pause(Duration::from_millis(1)).unwrap();
        assert_eq!(written.text(), "ls<pause>");
        assert!(wire.read_line(9).is_err());
        let seconds = |wait: Duration| (wait + Duration::from_millis(500)).as_secs();
        assert_eq!(written.waits().into_iter().map(seconds).collect::<Vec<_>>(), [3, 97]);
        assert_eq!(lock(&told).len(), 1);
    }

    #[test]
    fn a_payload_that_stalls_is_told_once_and_goes_on() {
        let steps = || vec![bytes("hel"), Step::Pause, bytes("lo")];
        let (mut halted, told, ..) = wire(steps());
        halted.expect_payload(5);
        let mut got = Vec::new();
        let mut sink = |bytes: &[u8]| {
            got.extend_from_slice(bytes);
            Ok::<_, Error>(())
        };
        halted.read_payload(&mut sink).unwrap();
        assert_eq!(got, b"hello");
        let expected = |partial: &Partial| partial.expected;
        let payload = |size| Expected::Payload { came: 3, size };
        assert_eq!(lock(&told).iter().map(expected).collect::<Vec<_>>(), [payload(Some(5))]);
        let (mut to_end, told, ..) = wire(steps());
        to_end.read_to_end::<Error>(&mut |_| Ok(())).unwrap();
        assert_eq!(lock(&told).iter().map(expected).collect::<Vec<_>>(), [payload(None)]);
        // The second stall is too long.
        let (mut lost, told, ..) = wire(vec![bytes("hel"), Step::Pause, Step::Pause]);
        lost.expect_payload(5);
        let error = lost.read_payload::<Error>(&mut |_| Ok(())).unwrap_err();
        assert_eq!((error.word(), lock(&told).len()), ("timeout", 1));
    }

    /// A client that waits for a message in several steps tells it as early as with one.
    #[test]
    fn a_notice_is_due_by_the_time_since_the_last_message() {
        let since = |patience: &Patience| lock(&patience.state).since;
        let (mut parts, _, patience, _) = wire(vec![Step::Pause, bytes("re"), bytes("ceived")]);
        assert!(!parts.wait_for_any(Duration::from_secs(2), Expected::Line).unwrap());
        let first = since(&patience);
        assert!(first.is_some());
        assert!(parts.wait_for_any(Duration::from_secs(2), Expected::Line).unwrap());
        assert_eq!(since(&patience), first);
        parts.read_word_of(&["received"]).unwrap();
        assert_eq!(since(&patience), None);
        // A list in parts that come is not late.
        let (mut list, _, patience, _) = wire(vec![bytes("[a][b")]);
        assert_eq!(list.read_part(9, &mut |byte| byte == b']').unwrap(), b"[a]");
        assert_eq!((since(&patience), list.messages()), (None, (1, true)));
    }
}
