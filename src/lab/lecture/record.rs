//! Records what happens on connections, for a picture: when, in which direction, how many bytes, and how
//! they begin. What it keeps is bounded: the rest is counted.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::kernel::Row;
use super::payloads::{Announced, Payloads};
use super::trace::{Connection, Event, Observer, Side};
use crate::error::lock;
use crate::wire::stream::Ending;

/// The reads, writes, messages and silences that are kept of one side of a connection. A picture of more is
/// taller than a reader scrolls.
pub(super) const MOST_ENTRIES: usize = 300;

/// The sides of connections that are kept.
const MOST_TAPES: usize = 40;

/// The first bytes that are kept of a call: more than a label has room for.
const HEAD: usize = 80;

/// How long a picture waits for the other thread's side to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// When the call began, on the clock of the recorder.
    pub(super) began: Duration,
    /// When it returned.
    pub(super) at: Duration,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A call moved bytes: these of what this side sends. It began with `head`.
    Moved {
        by: Side,
        from: u64,
        length: u64,
        head: Vec<u8>,
    },
    /// What this side sends has ended.
    End(Side),
    Reset,
    Silence,
    /// A message has come: these bytes of what the other side sends.
    Message {
        from: u64,
        length: u64,
        ending: Ending,
        is_payload: bool,
    },
    /// This side sends a payload.
    Payload(Announced),
    /// This side has broken off.
    Cut,
}

/// One side of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tape {
    pub(super) connection: Connection,
    pub(super) began: Duration,
    pub(super) entries: Vec<Entry>,
    /// What the kernel said, and when, from then on until the next one.
    pub(super) rows: Vec<(Duration, Row)>,
    /// How many entries were not kept.
    pub(super) left_out: u64,
    sent: u64,
    came: u64,
    /// The bytes of complete messages.
    understood: u64,
    payloads: Payloads,
}

impl Tape {
    pub(super) fn new(connection: Connection, began: Duration) -> Tape {
        Tape {
            connection,
            began,
            entries: Vec::new(),
            rows: Vec::new(),
            left_out: 0,
            sent: 0,
            came: 0,
            understood: 0,
            payloads: Payloads::new(connection.dialect),
        }
    }

    pub(super) fn side(&self) -> Side {
        self.connection.side
    }

    /// Adds an event that a call brought, which took this time.
    pub(super) fn add(&mut self, event: Event<'_>, at: Duration, took: Duration) {
        let (own, other) = (self.side(), self.side().other());
        let moved = |by, position: &mut u64, bytes: &[u8]| {
            let (from, length) = (*position, bytes.len() as u64);
            *position += length;
            let head = bytes.iter().copied().take(HEAD).collect();
            What::Moved { by, from, length, head }
        };
        match event {
            Event::Wrote(bytes) if self.side() == Side::Client => {
                for announced in self.payloads.send(bytes) {
                    self.push(Entry { began: at, at, what: What::Payload(announced) });
                }
            }
            Event::Read(_) => self.payloads.answered(),
            _ => {}
        }
        let what = match event {
            Event::Read(bytes) => moved(other, &mut self.came, bytes),
            Event::Wrote(bytes) => moved(own, &mut self.sent, bytes),
            Event::End => What::End(other),
            Event::Ended => What::End(own),
            Event::Reset | Event::OurReset => What::Reset,
            Event::Silence => What::Silence,
            Event::Message(bytes, length, ending) => {
                let from = self.understood;
                self.understood += length;
                What::Message { from, length, ending, is_payload: bytes.is_empty() }
            }
            Event::Kernel(row) => {
                if self.rows.len() < MOST_ENTRIES {
                    self.rows.push((at, row));
                }
                return;
            }
        };
        self.push(Entry { began: at.saturating_sub(took), at, what });
    }

    /// What happened in this time.
    fn between(&self, from: Duration, to: Duration) -> Tape {
        let entries = self.entries.iter().filter(|entry| (from..to).contains(&entry.at));
        let before = self.rows.iter().rfind(|(at, _)| *at < from);
        let during = self.rows.iter().filter(|(at, _)| (from..to).contains(at));
        let rows = before.map(|(_, row)| (from, *row)).into_iter().chain(during.copied()).collect();
        Tape { began: from, entries: entries.cloned().collect(), rows, ..self.clone() }
    }

    /// Whether this side has broken off.
    pub(super) fn is_cut(&self) -> bool {
        self.entries.iter().any(|entry| entry.what == What::Cut)
    }

    /// Notes that this side breaks off here.
    pub(super) fn cut(&mut self, at: Duration) {
        self.push(Entry { began: at, at, what: What::Cut });
    }

    /// Whether the last line that this side has sent has no end yet.
    pub(super) fn is_in_line(&self) -> bool {
        self.connection.dialect == "text" && self.payloads.has_begun()
    }

    /// Kept in any case is how a connection ended, and a payload that began with bytes that were kept.
    fn push(&mut self, entry: Entry) {
        let other = self.side().other();
        let reached = || {
            self.entries.iter().rev().find_map(|entry| match entry.what {
                What::Moved { by, from, length, .. } if by == other => Some(from + length),
                _ => None,
            })
        };
        let is_end = match entry.what {
            What::End(_) | What::Reset | What::Cut => true,
            What::Message { from, is_payload: true, .. } => reached().is_some_and(|to| from < to),
            _ => false,
        };
        let most = if is_end { MOST_ENTRIES + 8 } else { MOST_ENTRIES };
        if self.entries.len() < most { self.entries.push(entry) } else { self.left_out += 1 }
    }
}

/// A part of a session that has a picture of its own.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    /// The word of its command.
    pub(super) word: &'static str,
    /// What the user typed.
    pub(super) typed: String,
    began: Duration,
}

/// Keeps the tapes of all connections, by one clock.
pub struct Recorder {
    start: Instant,
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    tapes: Vec<Tape>,
    scenes: Vec<Scene>,
    running: usize,
    left_out: u64,
}

impl Recorder {
    /// A recorder whose clock begins now.
    #[must_use]
    pub fn new() -> Arc<Recorder> {
        let (start, state) = (Instant::now(), Mutex::default());
        Arc::new(Recorder { start, state, ended: Condvar::new() })
    }

    /// The observer of one side of a connection that has just begun.
    #[must_use]
    pub(super) fn begin(self: &Arc<Recorder>, connection: Connection) -> Arc<dyn Observer> {
        let mut state = lock(&self.state);
        state.running += 1;
        let number = state.tapes.len();
        if number < MOST_TAPES {
            state.tapes.push(Tape::new(connection, self.start.elapsed()));
        } else {
            state.left_out += 1;
        }
        Arc::new(Track { recorder: Arc::clone(self), number })
    }

    /// Begins a part of the session with a picture of its own.
    pub(super) fn begin_scene(&self, word: &'static str, typed: &str) {
        let (began, typed) = (self.start.elapsed(), typed.to_owned());
        lock(&self.state).scenes.push(Scene { word, typed, began });
    }

    /// Each scene, and the tapes of what happened in it.
    pub(super) fn scenes(&self) -> Vec<(Scene, Vec<Tape>)> {
        let state = lock(&self.state);
        let scene = |(n, scene): (usize, &Scene)| {
            let to = state.scenes.get(n + 1).map_or(Duration::MAX, |next| next.began);
            let tapes = state.tapes.iter().map(|tape| tape.between(scene.began, to));
            (scene.clone(), tapes.filter(|tape| !tape.entries.is_empty()).collect())
        };
        state.scenes.iter().enumerate().map(scene).collect()
    }

    /// All tapes, after those that still run have had a moment to end, and the number of sides of connections
    /// that were left out.
    pub(super) fn tapes(&self) -> (Vec<Tape>, u64) {
        let state = lock(&self.state);
        let waited = self.ended.wait_timeout_while(state, PATIENCE, |state| state.running > 0);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (state.tapes.clone(), state.left_out)
    }
}

/// Records one side of a connection.
struct Track {
    recorder: Arc<Recorder>,
    number: usize,
}

impl Track {
    fn with(&self, add: impl FnOnce(&mut Tape, Duration)) {
        let at = self.recorder.start.elapsed();
        if let Some(tape) = lock(&self.recorder.state).tapes.get_mut(self.number) {
            add(tape, at);
        }
    }
}

impl Observer for Track {
    fn see(&self, event: Event<'_>, _: Duration, took: Duration) {
        self.with(|tape, at| tape.add(event, at, took));
    }

    fn cut(&self) {
        self.with(Tape::cut);
    }
}

impl Drop for Track {
    fn drop(&mut self) {
        lock(&self.recorder.state).running -= 1;
        self.recorder.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Connection {
        let (client, server) = (([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into());
        Connection { side: Side::Client, dialect: "text", client, server }
    }

    #[test]
    fn a_tape_is_bounded_and_keeps_the_end() {
        let mut tape = Tape::new(connection(), Duration::ZERO);
        let bytes = vec![7; 100_000];
        for _ in 0..1000 {
            tape.add(Event::Wrote(&bytes), Duration::ZERO, Duration::ZERO);
        }
        tape.add(Event::Reset, Duration::ZERO, Duration::ZERO);
        assert_eq!((tape.entries.len(), tape.left_out), (MOST_ENTRIES + 1, 700));
        assert_eq!(tape.sent, 100_000_000);
        // The end of a long payload comes after what is kept, and names it.
        let mut long = Tape::new(connection(), Duration::ZERO);
        for _ in 0..1000 {
            long.add(Event::Read(b"12345"), Duration::ZERO, Duration::ZERO);
        }
        for _ in 0..3 {
            let payload = Event::Message(b"", 2500, Ending::Size);
            long.add(payload, Duration::ZERO, Duration::ZERO);
        }
        assert_eq!(long.entries.len(), MOST_ENTRIES + 1);
        let What::Moved { from, length, head, .. } = &tape.entries[2].what else { panic!() };
        assert_eq!((*from, *length, head.len()), (200_000, 100_000, HEAD));
    }

    #[test]
    fn a_scene_has_what_happened_in_its_time() {
        let recorder = Recorder::new();
        let track = recorder.begin(connection());
        let said = |word, bytes: &[u8]| {
            recorder.begin_scene(word, word);
            track.see(Event::Wrote(bytes), Duration::ZERO, Duration::ZERO);
        };
        said("ls", b"ls\n");
        let row = Row { state: "CLOSE_WAIT", sent: 0, unread: 0, timer: None, timeouts: 0 };
        track.see(Event::Kernel(row), Duration::ZERO, Duration::ZERO);
        said("rm", b"rm a\n");
        let scenes = recorder.scenes();
        let seen: Vec<_> = scenes
            .iter()
            .map(|(scene, tapes)| (scene.word, tapes.len(), &tapes[0].entries[0].what))
            .collect();
        for ((word, tapes, what), expected) in seen.iter().zip([("ls", 0, 3), ("rm", 3, 5)]) {
            let What::Moved { from, length, .. } = what else { panic!("{what:?}") };
            assert_eq!((*word, *from, *length), expected);
            assert_eq!(*tapes, 1);
        }
        assert!(scenes.iter().all(|(_, tapes)| tapes[0].entries.len() == 1), "{scenes:?}");
        // A state lasts until the next one, so the later scene begins with it.
        let (later, tapes) = &scenes[1];
        assert_eq!(tapes[0].rows, [(later.began, row)]);
    }

    #[test]
    fn a_recorder_is_bounded_and_waits_for_the_other_side() {
        let recorder = Recorder::new();
        let begin = || recorder.begin(connection());
        (0..MOST_TAPES).for_each(|_| drop(begin()));
        begin().see(Event::Reset, Duration::ZERO, Duration::ZERO);
        let last = begin();
        let thread = std::thread::spawn(move || drop(last));
        let (tapes, left_out) = recorder.tapes();
        thread.join().unwrap();
        assert_eq!((tapes.len(), left_out), (MOST_TAPES, 2));
        assert_eq!(lock(&recorder.state).running, 0);
    }
}
