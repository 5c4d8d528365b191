//! Two tapes, or one, as arrows and messages.
//!
//! If both sides were recorded, an arrow leads from the write to the read, by the position of its bytes: one
//! write can come in many reads, and one read can bring many writes. If one side was recorded, the arrows are
//! level.

use std::collections::BTreeMap;
use std::time::Duration;

use super::record::{Entry, Tape, Way, What};
use super::trace::Side;
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

/// Some bytes on their way, or the end of a direction.
#[derive(Clone, Debug)]
pub(super) struct Arrow {
    pub(super) way: Way,
    pub(super) start: Duration,
    pub(super) end: Duration,
    pub(super) from: u64,
    /// The same as `from` for the end of a direction.
    pub(super) to: u64,
    pub(super) head: Vec<u8>,
    /// Nothing says that it has come.
    pub(super) is_lost: bool,
}

/// The bytes of a direction that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) way: Way,
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
        let of = |side| tapes.iter().copied().find(|tape| tape.side == side);
        let (mut arrows, mut messages) = (Vec::new(), Vec::new());
        for (way, from, to) in [
            (Way::ToServer, Side::Client, Side::Server),
            (Way::ToClient, Side::Server, Side::Client),
        ] {
            let (sender, receiver) = (of(from), of(to));
            arrows.extend(flights(way, sender, receiver));
            messages.extend(match (sender, receiver) {
                (sender, Some(receiver)) => come(way, receiver, sender),
                (Some(sender), None) => sent(way, sender),
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
                marks.push((tape.side, *at, mark));
            }
        }
        Conversation { tapes, arrows, messages, marks }
    }

    /// The parts that an arrow brings, in the order of its bytes. The end of a direction brings none.
    pub(super) fn parts_of(&self, arrow: &Arrow) -> Vec<Part> {
        let touches =
            |it: &&Message| it.way == arrow.way && it.from < arrow.to && arrow.from < it.to;
        let mut parts: Vec<_> =
            self.messages.iter().filter(touches).map(|message| message.part).collect();
        parts.dedup();
        // More cannot be told apart in one line.
        parts.truncate(6);
        parts
    }

    /// Whether a direction ended in the middle of something, or was ended there on purpose.
    pub(super) fn is_cut(&self, way: Way) -> bool {
        let told = |tape: &&&Tape| Way::of(tape.side) == way;
        let is_cut = |tape: &&Tape| tape.entries.iter().any(|entry| entry.what == What::Cut);
        self.messages.iter().any(|it| it.way == way && !it.is_complete)
            || self.tapes.iter().filter(told).any(is_cut)
    }

    /// When the first and the last bytes of a message came.
    pub(super) fn span(&self, message: &Message) -> Option<(Duration, Duration)> {
        let its = |arrow: &&Arrow| {
            arrow.way == message.way && arrow.from < message.to && arrow.to > message.from
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
            [other] => {
                other.side != tape.side
                    && (other.client, other.server) == (tape.client, tape.server)
            }
            _ => false,
        };
        match pairs.iter_mut().find(fits) {
            Some(pair) => pair.push(tape),
            None => pairs.push(vec![tape]),
        }
    }
    pairs.into_iter().map(Conversation::new).collect()
}

/// The arrows of one direction.
fn flights(way: Way, sender: Option<&Tape>, receiver: Option<&Tape>) -> Vec<Arrow> {
    let mut arrows = Vec::new();
    let empty = Vec::new();
    let writes = sender.map_or(&empty, |tape| &tape.entries);
    let reads = receiver.map_or(&empty, |tape| &tape.entries);
    let level = |entry: &Entry| match &entry.what {
        What::Moved { way: its, from, length, head } if *its == way => {
            let (start, to) = (entry.at, from + length);
            Some(Arrow {
                way,
                start,
                end: start,
                from: *from,
                to,
                head: head.clone(),
                is_lost: false,
            })
        }
        What::End(its) if *its == way => {
            let (start, head) = (entry.at, Vec::new());
            Some(Arrow { way, start, end: start, from: 0, to: 0, head, is_lost: false })
        }
        _ => None,
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
            arrows.push(Arrow { way, start, end, from, to, head, is_lost: false });
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

/// The messages of one direction, as their receiver has understood them.
fn come(way: Way, receiver: &Tape, sender: Option<&Tape>) -> Vec<Message> {
    let mut messages = Vec::new();
    let (mut reached, mut understood) = (0, 0);
    let mut is_over = false;
    for entry in &receiver.entries {
        match &entry.what {
            What::Moved { way: its, from, length, .. } if *its == way => reached = from + length,
            What::End(its) => is_over |= *its == way,
            What::Reset => is_over = true,
            What::Message { from, length, ending, is_payload } => {
                let is_field = matches!(ending, Ending::Width | Ending::Mark | Ending::Size);
                let is_file = *ending == Ending::Stream && receiver.dialect == "filesaver";
                let part = match way {
                    _ if *is_payload || is_file => Part::Payload,
                    Way::ToClient => Part::Reply,
                    Way::ToServer if is_field => Part::Header,
                    Way::ToServer => Part::Command,
                };
                if let [_, .., last] = messages.as_mut_slice()
                    && part == Part::Payload
                    && way == Way::ToServer
                {
                    // The line before a payload tells its size.
                    let last: &mut Message = last;
                    last.part = Part::Header;
                }
                understood = from + length;
                let (from, to, ending) = (*from, understood, Some(*ending));
                messages.push(Message { way, from, to, part, ending, is_complete: true });
            }
            _ => {}
        }
    }
    if is_over && reached > understood && receiver.left_out == 0 {
        let is_payload = sender.is_some_and(|tape| {
            tape.entries
                .iter()
                .any(|entry| matches!(entry.what, What::Payload { from, .. } if from == understood))
        });
        let part = match way {
            _ if is_payload => Part::Payload,
            Way::ToServer => Part::Command,
            Way::ToClient => Part::Reply,
        };
        let (from, to, ending) = (understood, reached, None);
        messages.push(Message { way, from, to, part, ending, is_complete: false });
    }
    messages
}

/// What one side sent, as far as it knows it itself: a payload, and what is between two replies.
fn sent(way: Way, sender: &Tape) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    let (mut reached, mut begin) = (0, 0);
    let mut add = |from: u64, to: u64, part: Part| {
        if from < to {
            messages.push(Message { way, from, to, part, ending: None, is_complete: true });
        }
    };
    let plain = if way == Way::ToServer { Part::Command } else { Part::Reply };
    for entry in &sender.entries {
        match &entry.what {
            What::Moved { way: its, from, length, .. } if *its == way => reached = from + length,
            What::Moved { .. } if begin < reached => {
                add(begin, reached, plain);
                begin = reached;
            }
            What::Payload { from, size } => {
                let header = header_before(sender, way, begin, *from);
                let is_first = begin == 0 && header.is_none();
                let header = header.unwrap_or(begin);
                add(begin, header, plain);
                add(header, *from, if is_first { plain } else { Part::Header });
                begin = from.saturating_add(*size);
                add(*from, begin, Part::Payload);
            }
            _ => {}
        }
    }
    add(begin, reached, plain);
    let is_all = sender.left_out == 0;
    let is_cut = sender.entries.iter().any(|entry| entry.what == What::Cut);
    messages.retain(|message| message.from < reached);
    for message in &mut messages {
        // A request that is sent ahead of the last reply is a command, its size and its payload.
        let is_size = || sender.byte(way, message.from).is_some_and(|byte| byte.is_ascii_digit());
        if message.part == Part::Header && sender.dialect == "text" && !is_size() {
            message.part = plain;
        }
        let is_half =
            message.part != Part::Payload && has_lf(sender, way, message.to) == Some(false);
        let is_short = is_cut || is_half || message.to > reached;
        message.is_complete = message.to < reached || !is_all || !is_short;
        message.to = message.to.min(reached);
    }
    messages
}

/// Whether the byte before this position is an LF, if this dialect has lines and the byte is known.
fn has_lf(sender: &Tape, way: Way, at: u64) -> Option<bool> {
    let byte = sender.byte(way, at.checked_sub(1)?).filter(|_| sender.dialect == "text")?;
    Some(byte == b'\n')
}

/// Where the size before a payload begins, if the bytes back to there are known.
fn header_before(sender: &Tape, way: Way, from: u64, to: u64) -> Option<u64> {
    let mut at = to.checked_sub(1)?;
    while at > from && !has_lf(sender, way, at)? {
        at -= 1;
    }
    sender.byte(way, at).filter(u8::is_ascii_digit).map(|_| at)
}

/// The messages by direction and by the point at which they are complete, in their order.
pub(super) type Named<'c> = BTreeMap<(Way, Duration), Vec<&'c Message>>;

pub(super) fn named<'c>(it: &'c Conversation<'_>) -> Named<'c> {
    let mut named: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for message in &it.messages {
        if let Some((_, last)) = it.span(message) {
            named.entry((message.way, last)).or_default().push(message);
        }
    }
    named
}
