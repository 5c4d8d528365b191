//! Two tapes, or one, as the arrows and messages of a connection.
//!
//! If both sides were recorded, an arrow leads from the write to the read, by the position of its bytes: one
//! write can come in many reads, and one read can bring many writes. If one side was recorded, the arrows are
//! level. Where a message ends, only its receiver knows.

use std::collections::BTreeMap;
use std::time::Duration;

use super::record::{Arrow, Mark, Message, Part, Tape};
use super::trace::{Connection, Side};

/// A connection, seen from one side or from both.
pub(super) struct Conversation<'t> {
    pub(super) tapes: Vec<&'t Tape>,
    pub(super) arrows: Vec<Arrow>,
    pub(super) messages: Vec<Message>,
    pub(super) brackets: Vec<Bracket>,
    /// How many messages of a side are complete at a point.
    pub(super) complete: BTreeMap<(Side, Duration), usize>,
}

/// A message that has come, and when its first and its last bytes came.
pub(super) struct Bracket {
    pub(super) message: Message,
    pub(super) first: Duration,
    pub(super) last: Duration,
    /// How many messages before it are complete at the same point.
    pub(super) number: usize,
}

impl<'t> Conversation<'t> {
    fn new(tapes: Vec<&'t Tape>) -> Conversation<'t> {
        let of = |side| tapes.iter().copied().find(|tape| tape.side() == side);
        let (mut arrows, mut messages) = (Vec::new(), Vec::new());
        for by in [Side::Client, Side::Server] {
            let (sender, receiver) = (of(by), of(by.other()));
            arrows.extend(flights(by, sender, receiver));
            messages.extend(receiver.into_iter().flat_map(come));
        }
        arrows.sort_by_key(|arrow| (arrow.start, arrow.end));
        let (mut brackets, mut complete) = (Vec::new(), BTreeMap::new());
        for message in messages.iter().cloned() {
            let its = |arrow: &&Arrow| {
                arrow.by == message.by && arrow.from < message.to && arrow.to > message.from
            };
            let ends = || arrows.iter().filter(its).map(|arrow| arrow.end);
            let (Some(first), Some(last)) = (ends().min(), ends().max()) else { continue };
            let count = complete.entry((message.by, last)).or_insert(0);
            brackets.push(Bracket { message, first, last, number: *count });
            *count += 1;
        }
        Conversation { tapes, arrows, messages, brackets, complete }
    }

    /// What happened beside the arrows, and on which tape.
    pub(super) fn marks(&self) -> impl Iterator<Item = (&Tape, &(Duration, Mark))> {
        self.tapes.iter().flat_map(|tape| tape.marks.iter().map(move |mark| (*tape, mark)))
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
        self.messages.iter().any(|it| it.by == by && it.ending.is_none())
            || self.tapes.iter().any(|tape| tape.side() == by && tape.is_cut())
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
    let (Some(sender), Some(receiver)) = (sender, receiver) else {
        let calls = sender.or(receiver).into_iter().flat_map(|tape| tape.arrows_of(by));
        return calls.map(|call| Arrow { start: call.end, ..call.clone() }).collect();
    };
    let mut arrows = Vec::new();
    let end = receiver.arrows_of(by).find(|read| read.is_end());
    for write in sender.arrows_of(by) {
        let start = write.start;
        if write.is_end() {
            let came = end.map_or(start, |end| end.end.max(start));
            arrows.push(Arrow { end: came, is_lost: end.is_none(), ..write.clone() });
            continue;
        }
        let mut reached = write.from;
        let is_of_it = |read: &&Arrow| read.from < write.to && read.to > write.from;
        for read in receiver.arrows_of(by).filter(is_of_it) {
            let (from, to) = (read.from.max(write.from), read.to.min(write.to));
            let mut head = if from == write.from { write.head.clone() } else { read.head.clone() };
            head.truncate(usize::try_from(to - from).unwrap_or(usize::MAX));
            let end = read.end.max(start);
            arrows.push(Arrow { by, start, end, from, to, head, is_lost: false });
            reached = to;
        }
        if reached < write.to && receiver.left_out == 0 {
            let head = if reached == write.from { write.head.clone() } else { Vec::new() };
            let is_lost = true;
            arrows.push(Arrow { end: start, from: reached, head, is_lost, ..write.clone() });
        }
    }
    // A program that ends without a word closes too.
    let has_ended = arrows.iter().any(Arrow::is_end);
    let end = end.filter(|_| !has_ended);
    arrows.extend(end.map(|end| Arrow { start: end.end, ..end.clone() }));
    arrows
}

/// The messages of one side, as their receiver has understood them, and what came after the last one before the end.
fn come(receiver: &Tape) -> Vec<Message> {
    let by = receiver.side().other();
    let messages = receiver.messages.iter().map(|(_, message)| message.clone());
    let mut messages: Vec<_> = messages.collect();
    let from = messages.last().map_or(0, |message| message.to);
    let to = receiver.arrows_of(by).map(|arrow| arrow.to).max().unwrap_or(0);
    let is_over = receiver.arrows_of(by).any(Arrow::is_end)
        || receiver.marks.iter().any(|(_, mark)| *mark == Mark::Reset);
    if is_over && from < to && receiver.left_out == 0 {
        let part = if by == Side::Client { Part::Command } else { Part::Reply };
        messages.push(Message { by, from, to, part, ending: None });
    }
    messages
}
