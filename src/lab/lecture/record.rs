//! What happens at one side of a connection, as a picture needs it: when, in which direction, how many bytes, and how
//! they begin. What is kept is bounded: the rest is counted.

use std::time::Duration;

use super::kernel::Row;
use super::trace::{Connection, Event, Side};
use crate::wire::stream::Ending;

/// The reads, writes, messages and silences that are kept of one side of a connection. A picture of more is
/// taller than a reader scrolls.
pub(super) const MOST_EVENTS: usize = 300;

/// The first bytes that are kept of a call: more than a label has room for.
const HEAD: usize = 80;

/// Some bytes on their way, or the end of what a side sends.
#[derive(Clone, Debug)]
pub(super) struct Arrow {
    /// The side that sends.
    pub(super) by: Side,
    /// On a tape: when the call began and when it returned, on the clock of the recording.
    pub(super) start: Duration,
    pub(super) end: Duration,
    /// These of all bytes that the side sends. None for an end.
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) head: Vec<u8>,
    /// Nothing says that it has come.
    pub(super) is_lost: bool,
}

impl Arrow {
    pub(super) fn is_end(&self) -> bool {
        self.from == self.to
    }
}

/// The parts of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Command,
    Header,
    Payload,
    Reply,
}

/// Bytes of one side that belong together, as the other side has understood them.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) by: Side,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) part: Part,
    /// How the receiver knew its end. It did not if the message is incomplete.
    pub(super) ending: Option<Ending>,
}

/// Something at one side that is not an arrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Reset,
    Silence(Duration),
}

/// One side of a connection.
#[derive(Clone, Debug)]
pub(super) struct Tape {
    pub(super) connection: Connection,
    pub(super) began: Duration,
    /// What its calls have moved.
    pub(super) arrows: Vec<Arrow>,
    /// What has come.
    pub(super) messages: Vec<(Duration, Message)>,
    pub(super) marks: Vec<(Duration, Mark)>,
    /// What the kernel said, and when, from then on until the next one.
    pub(super) rows: Vec<(Duration, Row)>,
    /// The number of bytes after which this side breaks off, on purpose.
    pub(super) cut: Option<u64>,
    /// How many events were not kept.
    pub(super) left_out: u64,
    sent: u64,
    came: u64,
    /// The bytes of complete messages.
    understood: u64,
}

impl Tape {
    pub(super) fn new(connection: Connection, began: Duration, cut: Option<u64>) -> Tape {
        Tape {
            connection,
            began,
            arrows: Vec::new(),
            messages: Vec::new(),
            marks: Vec::new(),
            rows: Vec::new(),
            cut,
            left_out: 0,
            sent: 0,
            came: 0,
            understood: 0,
        }
    }

    pub(super) fn side(&self) -> Side {
        self.connection.side
    }

    /// Whether this side has broken off on purpose.
    pub(super) fn is_cut(&self) -> bool {
        self.arrows_of(self.side()).any(|arrow| arrow.is_end() && Some(arrow.from) == self.cut)
    }

    /// The arrows of what this side sends.
    pub(super) fn arrows_of(&self, by: Side) -> impl Iterator<Item = &Arrow> {
        self.arrows.iter().filter(move |arrow| arrow.by == by)
    }

    /// Adds an event that a call brought, which took this time.
    pub(super) fn add(&mut self, event: Event<&[u8]>, at: Duration, took: Duration) {
        let (own, other) = (self.side(), self.side().other());
        match event {
            Event::Read(bytes) => self.call(other, bytes, at, took),
            Event::Wrote(bytes) => self.call(own, bytes, at, took),
            Event::End => self.call(other, b"", at, took),
            Event::Ended => self.call(own, b"", at, took),
            Event::Reset | Event::OurReset => {
                if !self.marks.iter().any(|(_, mark)| *mark == Mark::Reset) {
                    self.marks.push((at, Mark::Reset));
                }
            }
            Event::Silence if self.has_room(false) => self.marks.push((at, Mark::Silence(took))),
            Event::Message(bytes, length, ending) => {
                self.message(bytes.is_empty(), length, ending, at);
            }
            Event::Kernel(row) if self.rows.len() < MOST_EVENTS => self.rows.push((at, row)),
            Event::Silence | Event::Kernel(_) => {}
        }
    }

    /// A call has moved these bytes of what this side sends. Without any, it is the end.
    fn call(&mut self, by: Side, bytes: &[u8], at: Duration, took: Duration) {
        let position = if by == self.side() { &mut self.sent } else { &mut self.came };
        let (from, to) = (*position, *position + bytes.len() as u64);
        *position = to;
        if self.has_room(bytes.is_empty()) {
            let start = at.saturating_sub(took);
            let head = bytes.iter().copied().take(HEAD).collect();
            self.arrows.push(Arrow { by, start, end: at, from, to, head, is_lost: false });
        }
    }

    /// A message has come. A payload that began with bytes that were kept is needed.
    fn message(&mut self, is_payload: bool, length: u64, ending: Ending, at: Duration) {
        let (by, from) = (self.side().other(), self.understood);
        self.understood += length;
        let is_file = ending == Ending::Stream && self.connection.dialect == "filesaver";
        let part = match by {
            _ if is_payload || is_file => Part::Payload,
            Side::Server => Part::Reply,
            Side::Client if matches!(ending, Ending::Width | Ending::Mark | Ending::Size) => {
                Part::Header
            }
            Side::Client => Part::Command,
        };
        if let [_, .., (_, last)] = self.messages.as_mut_slice()
            && (part, by) == (Part::Payload, Side::Client)
        {
            // The line before a payload tells its size.
            last.part = Part::Header;
        }
        let reached = self.arrows_of(by).last().map_or(0, |arrow| arrow.to);
        if self.has_room(is_payload && from < reached) {
            let (to, ending) = (self.understood, Some(ending));
            self.messages.push((at, Message { by, from, to, part, ending }));
        }
    }

    /// Whether one more event can be kept. If not, it is counted. There is some room more for what a picture must have.
    fn has_room(&mut self, is_needed: bool) -> bool {
        let kept = self.arrows.len() + self.messages.len() + self.marks.len();
        let has_room = kept < if is_needed { MOST_EVENTS + 8 } else { MOST_EVENTS };
        self.left_out += u64::from(!has_room);
        has_room
    }

    /// What happened in this time, if any bytes moved in it.
    pub(super) fn between(&self, from: Duration, to: Duration) -> Option<Tape> {
        let is_in = |at: Duration| (from..to).contains(&at);
        let mut part = Tape { began: from, ..self.clone() };
        part.arrows.retain(|arrow| is_in(arrow.end));
        part.messages.retain(|(at, _)| is_in(*at));
        part.marks.retain(|(at, _)| is_in(*at));
        part.rows.retain(|(at, _)| is_in(*at));
        if let Some((_, row)) = self.rows.iter().rfind(|(at, _)| *at < from) {
            part.rows.insert(0, (from, *row));
        }
        Some(part).filter(|part| !part.arrows.is_empty())
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
        let mut tape = Tape::new(connection(), Duration::ZERO, None);
        let bytes = vec![7; 100_000];
        for _ in 0..1000 {
            tape.add(Event::Wrote(&bytes), Duration::ZERO, Duration::ZERO);
        }
        tape.add(Event::Reset, Duration::ZERO, Duration::ZERO);
        assert_eq!((tape.arrows.len(), tape.marks.len(), tape.left_out), (MOST_EVENTS, 1, 700));
        assert_eq!(tape.sent, 100_000_000);
        // The end of a long payload comes after what is kept, and names it.
        let mut long = Tape::new(connection(), Duration::ZERO, None);
        for _ in 0..1000 {
            long.add(Event::Read(b"12345"), Duration::ZERO, Duration::ZERO);
        }
        for _ in 0..3 {
            let payload = Event::Message(&[][..], 2500, Ending::Size);
            long.add(payload, Duration::ZERO, Duration::ZERO);
        }
        assert_eq!((long.arrows.len(), long.messages.len()), (MOST_EVENTS, 1));
        let Arrow { from, to, head, .. } = &tape.arrows[2];
        assert_eq!((*from, *to, head.len()), (200_000, 300_000, HEAD));
    }

    #[test]
    fn a_scene_has_what_happened_in_its_time() {
        let at = Duration::from_secs;
        let mut tape = Tape::new(connection(), Duration::ZERO, None);
        tape.add(Event::Wrote(b"ls\n"), at(1), Duration::ZERO);
        let row = Row { state: "CLOSE_WAIT", sent: 0, unread: 0, timer: None, timeouts: 0 };
        tape.add(Event::Kernel(row), at(2), Duration::ZERO);
        tape.add(Event::Wrote(b"rm a\n"), at(4), Duration::ZERO);
        for (began, end, bytes, rows) in [
            (at(0), at(3), (0, 3), vec![(at(2), row)]),
            (at(3), Duration::MAX, (3, 8), vec![(at(3), row)]),
        ] {
            let scene = tape.between(began, end).unwrap();
            let [Arrow { from, to, .. }] = scene.arrows.as_slice() else { panic!("{scene:?}") };
            // A state lasts until the next one, so the later scene begins with it.
            assert_eq!(((*from, *to), scene.rows), (bytes, rows));
        }
        assert!(tape.between(at(2), at(3)).is_none());
    }
}
