//! Two tapes, or one, as arrows and messages.
//!
//! If both sides were recorded, an arrow leads from the write to the read, by the position of its bytes: one
//! write can come in many reads, and one read can bring many writes. If one side was recorded, the arrows are
//! level.

use std::collections::BTreeMap;
use std::time::Duration;

use super::payloads::Announced;
use super::record::{Entry, Tape, What};
use super::trace::{Connection, Side};
use crate::wire::stream::Ending;

/// The parts of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Command,
    Header,
    Payload,
    Reply,
}

pub(super) const PARTS: [Part; 4] = [Part::Command, Part::Header, Part::Payload, Part::Reply];

/// Some bytes on their way, or the end of what a side sends.
#[derive(Clone, Debug)]
pub(super) struct Arrow {
    pub(super) by: Side,
    pub(super) start: Duration,
    pub(super) end: Duration,
    pub(super) from: u64,
    /// The same as `from` for an end.
    pub(super) to: u64,
    pub(super) head: Vec<u8>,
    /// Nothing says that it has come.
    pub(super) is_lost: bool,
}

/// Bytes of one side that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) by: Side,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) part: Part,
    /// How the receiver knew its end, if the receiver was recorded.
    pub(super) ending: Option<Ending>,
    pub(super) is_complete: bool,
}

/// Something at one side that is not an arrow.
pub(super) enum Mark {
    Reset,
    Silence(Duration),
}

/// A connection, seen from one side or from both.
pub(super) struct Conversation<'t> {
    pub(super) tapes: Vec<&'t Tape>,
    pub(super) arrows: Vec<Arrow>,
    pub(super) messages: Vec<Message>,
    pub(super) marks: Vec<(Side, Duration, Mark)>,
}

impl<'t> Conversation<'t> {
    fn new(tapes: Vec<&'t Tape>) -> Conversation<'t> {
        let of = |side| tapes.iter().copied().find(|tape| tape.side() == side);
        let (mut arrows, mut messages) = (Vec::new(), Vec::new());
        for by in [Side::Client, Side::Server] {
            let (sender, receiver) = (of(by), of(by.other()));
            arrows.extend(flights(by, sender, receiver));
            messages.extend(match (sender, receiver) {
                (sender, Some(receiver)) => come(receiver, sender),
                (Some(sender), None) => sent(sender),
                (None, None) => Vec::new(),
            });
        }
        arrows.sort_by_key(|arrow| (arrow.start, arrow.end));
        let mut marks = Vec::new();
        for tape in &tapes {
            let mut is_reset = false;
            for Entry { began, at, what } in &tape.entries {
                let mark = match what {
                    What::Reset if !std::mem::replace(&mut is_reset, true) => Mark::Reset,
                    What::Silence => Mark::Silence(at.saturating_sub(*began)),
                    _ => continue,
                };
                marks.push((tape.side(), *at, mark));
            }
        }
        Conversation { tapes, arrows, messages, marks }
    }

    /// The parts that an arrow brings, in the order of its bytes. An end brings none.
    pub(super) fn parts_of(&self, arrow: &Arrow) -> Vec<Part> {
        let touches = |it: &&Message| it.by == arrow.by && it.from < arrow.to && arrow.from < it.to;
        let mut parts: Vec<_> =
            self.messages.iter().filter(touches).map(|message| message.part).collect();
        parts.dedup();
        // More cannot be told apart in one line.
        parts.truncate(6);
        parts
    }

    /// Whether this side ended in the middle of something, or on purpose.
    pub(super) fn is_cut(&self, by: Side) -> bool {
        self.messages.iter().any(|it| it.by == by && !it.is_complete)
            || self.tapes.iter().any(|tape| tape.side() == by && tape.is_cut())
    }

    /// When the first and the last bytes of a message came.
    pub(super) fn span(&self, message: &Message) -> Option<(Duration, Duration)> {
        let its = |arrow: &&Arrow| {
            arrow.by == message.by && arrow.from < message.to && arrow.to > message.from
        };
        let ends = || self.arrows.iter().filter(its).map(|arrow| arrow.end);
        Some((ends().min()?, ends().max()?))
    }
}

/// The tapes of each connection: those with the same addresses belong together.
pub(super) fn pair(tapes: &[Tape]) -> Vec<Conversation<'_>> {
    let mut pairs: Vec<Vec<&Tape>> = Vec::new();
    for tape in tapes {
        let fits = |pair: &&mut Vec<&Tape>| match pair.as_slice() {
            [one] => one.connection == Connection { side: tape.side().other(), ..tape.connection },
            _ => false,
        };
        match pairs.iter_mut().find(fits) {
            Some(pair) => pair.push(tape),
            None => pairs.push(vec![tape]),
        }
    }
    pairs.into_iter().map(Conversation::new).collect()
}

/// The arrows of what one side sends.
fn flights(by: Side, sender: Option<&Tape>, receiver: Option<&Tape>) -> Vec<Arrow> {
    let mut arrows = Vec::new();
    let empty = Vec::new();
    let writes = sender.map_or(&empty, |tape| &tape.entries);
    let reads = receiver.map_or(&empty, |tape| &tape.entries);
    let level = |entry: &Entry| {
        let (from, to, head) = match &entry.what {
            What::Moved { by: its, from, length, head } if *its == by => {
                (*from, from + length, head.clone())
            }
            What::End(its) if *its == by => (0, 0, Vec::new()),
            _ => return None,
        };
        let (start, end) = (entry.at, entry.at);
        Some(Arrow { by, start, end, from, to, head, is_lost: false })
    };
    let (Some(_), Some(receiver)) = (sender, receiver) else {
        return writes.iter().chain(reads).filter_map(level).collect();
    };
    let reads: Vec<_> = reads.iter().filter_map(level).collect();
    let mut has_ended = false;
    for (entry, write) in writes.iter().filter_map(|entry| Some((entry, level(entry)?))) {
        let start = entry.began;
        if write.from == write.to {
            let end = reads.iter().find(|read| read.from == read.to).map(|read| read.end);
            let is_lost = end.is_none();
            arrows.push(Arrow { start, end: end.unwrap_or(start).max(start), is_lost, ..write });
            has_ended = true;
            continue;
        }
        let mut reached = write.from;
        for read in reads.iter().filter(|read| read.from < write.to && read.to > write.from) {
            let (from, to) = (read.from.max(write.from), read.to.min(write.to));
            let mut head = if from == write.from { write.head.clone() } else { read.head.clone() };
            head.truncate(usize::try_from(to - from).unwrap_or(usize::MAX));
            let end = read.end.max(start);
            arrows.push(Arrow { by, start, end, from, to, head, is_lost: false });
            reached = to;
        }
        if reached < write.to && receiver.left_out == 0 {
            let head = if reached == write.from { write.head.clone() } else { Vec::new() };
            arrows.push(Arrow { start, end: start, from: reached, head, is_lost: true, ..write });
        }
    }
    // A program that ends without a word closes too.
    arrows.extend(reads.into_iter().filter(|read| read.from == read.to && !has_ended));
    arrows
}

/// The messages of one side, as their receiver has understood them.
fn come(receiver: &Tape, sender: Option<&Tape>) -> Vec<Message> {
    let by = receiver.side().other();
    let mut messages = Vec::new();
    let (mut reached, mut understood) = (0, 0);
    let mut is_over = false;
    for entry in &receiver.entries {
        match &entry.what {
            What::Moved { by: its, from, length, .. } if *its == by => reached = from + length,
            What::End(its) => is_over |= *its == by,
            What::Reset => is_over = true,
            What::Message { from, length, ending, is_payload } => {
                let is_field = matches!(ending, Ending::Width | Ending::Mark | Ending::Size);
                let is_file =
                    *ending == Ending::Stream && receiver.connection.dialect == "filesaver";
                let part = match by {
                    _ if *is_payload || is_file => Part::Payload,
                    Side::Server => Part::Reply,
                    Side::Client if is_field => Part::Header,
                    Side::Client => Part::Command,
                };
                if let [_, .., last] = messages.as_mut_slice()
                    && part == Part::Payload
                    && by == Side::Client
                {
                    // The line before a payload tells its size.
                    let last: &mut Message = last;
                    last.part = Part::Header;
                }
                understood = from + length;
                let (from, to, ending) = (*from, understood, Some(*ending));
                messages.push(Message { by, from, to, part, ending, is_complete: true });
            }
            _ => {}
        }
    }
    if is_over && reached > understood && receiver.left_out == 0 {
        let mut entries = sender.iter().flat_map(|tape| &tape.entries);
        let is_payload =
            entries.any(|entry| matches!(entry.what, What::Payload(it) if it.from == understood));
        let part = if is_payload { Part::Payload } else { plain(by) };
        let (from, to, ending) = (understood, reached, None);
        messages.push(Message { by, from, to, part, ending, is_complete: false });
    }
    messages
}

/// What a side says besides payloads.
fn plain(by: Side) -> Part {
    if by == Side::Client { Part::Command } else { Part::Reply }
}

/// What one side sent, as far as it knows it itself: a payload, and what is between two replies.
fn sent(sender: &Tape) -> Vec<Message> {
    let (by, plain) = (sender.side(), plain(sender.side()));
    let mut messages: Vec<Message> = Vec::new();
    let (mut reached, mut begin) = (0, 0);
    let mut add = |from: u64, to: u64, part: Part| {
        if from < to {
            messages.push(Message { by, from, to, part, ending: None, is_complete: true });
        }
    };
    for entry in &sender.entries {
        match &entry.what {
            What::Moved { by: its, from, length, .. } if *its == by => reached = from + length,
            What::Moved { .. } if begin < reached => {
                add(begin, reached, plain);
                begin = reached;
            }
            What::Payload(Announced { header, from, size }) => {
                // In the other dialects, all since the last reply announces the payload.
                let is_text = sender.connection.dialect == "text";
                let header = if is_text { begin.max(*header) } else { begin };
                add(begin, header, plain);
                // A first message is a command too.
                add(header, *from, if header == 0 { plain } else { Part::Header });
                begin = from.saturating_add(*size);
                add(*from, begin, Part::Payload);
            }
            _ => {}
        }
    }
    add(begin, reached, plain);
    messages.retain(|message| message.from < reached);
    for message in &mut messages {
        let is_half = message.part != Part::Payload && sender.is_in_line();
        let is_short = sender.is_cut() || is_half || message.to > reached;
        message.is_complete = message.to < reached || sender.left_out > 0 || !is_short;
        message.to = message.to.min(reached);
    }
    messages
}

/// The messages by their side and by the point at which they are complete, in their order.
pub(super) type Named<'c> = BTreeMap<(Side, Duration), Vec<&'c Message>>;

pub(super) fn named<'c>(it: &'c Conversation<'_>) -> Named<'c> {
    let mut named: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for message in &it.messages {
        if let Some((_, last)) = it.span(message) {
            named.entry((message.by, last)).or_default().push(message);
        }
    }
    named
}
