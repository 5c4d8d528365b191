//! What was seen of a server or a client in a check: the steps, and why it failed. What its connections share is here
//! too: how long they may wait, and where the steps are noted.

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::error::lock;
use crate::lab::lecture::trace::Event;
use crate::lab::text::said;
use crate::lang::{Msg, escape};

/// Why a check failed.
#[derive(Clone, Debug, Default)]
pub struct Fail {
    /// What kind of failure it is, by its name in the sentences: `wrong`, or of a client also `hangs`, `crashed` or
    /// `not-supported`. `not-here` is none: the check cannot be run.
    pub verdict: &'static str,
    /// What would have been right.
    pub expected: Msg,
    /// What came.
    pub got: Msg,
    /// The expected bytes and those that came, if bytes were compared.
    pub bytes: Option<(Vec<u8>, Vec<u8>)>,
    /// On which of the check's connections, counted from 1.
    pub connection: u64,
    /// What the server has printed meanwhile, if the grader has started it: its last lines.
    pub printed: Vec<String>,
    /// The server has `ended`, or has `refused` a connection.
    pub gone: Option<&'static str>,
    /// Nothing came, or an error, or something else was due than a refusal: so nothing was given away.
    pub gave_nothing: bool,
    /// What a client was told to do.
    pub typed: Vec<String>,
}

/// A step of a check.
#[derive(Debug)]
pub struct Rung {
    /// The time since the check began.
    pub at: Duration,
    /// The connection, counted from 1.
    pub connection: u64,
    /// What happened.
    pub event: Event<Vec<u8>>,
}

/// How much of a client's payload a step shows.
const SHOWN: usize = 8 << 10;

/// How long it is read what a client has sent before it ended.
const REST: Duration = Duration::from_secs(1);

/// What all connections of a check share.
pub(super) struct Record {
    pub(super) start: Instant,
    pub(super) deadline: Instant,
    /// The other side is a client.
    pub(super) is_server: bool,
    state: Mutex<State>,
}

/// What changes in a check.
#[derive(Default)]
pub(super) struct State {
    /// When something happened last, after the start.
    active: Duration,
    /// How many bytes have come in the run, where that is limited.
    pub(super) came: u64,
    pub(super) rungs: Vec<Rung>,
    /// How many MiB of a large file were sent.
    pub(super) flooded: u64,
    pub(super) connections: u64,
    /// When the conversation with a client was at its end, and whether all was right.
    pub(super) played: Option<(Instant, bool)>,
    /// When the check ended. Since then only what has been sent before is read.
    pub(super) ended: Option<Instant>,
}

impl Record {
    /// Of a check that begins when this many bytes have come.
    pub(super) fn new(came: u64, deadline: Instant, is_server: bool) -> Arc<Record> {
        let state = Mutex::new(State { came, ..State::default() });
        Arc::new(Record { start: Instant::now(), deadline, is_server, state })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) fn note(&self, connection: u64, event: Event<Vec<u8>>) {
        self.touch();
        let rungs = &mut self.state().rungs;
        // What a client sends in pieces of a payload is one step: it may be a lot.
        if self.is_server
            && let (Event::Read(more), Some(Rung { connection: last, event: Event::Read(got), .. })) =
                (&event, rungs.last_mut())
            && *last == connection
            && !got.ends_with(b"\n")
        {
            if got.len() < SHOWN {
                got.extend_from_slice(more);
            }
            return;
        }
        rungs.push(Rung { at: self.start.elapsed(), connection, event });
    }

    pub(super) fn left(&self) -> Duration {
        let deadline = self.state().ended.map_or(self.deadline, |ended| ended + REST);
        deadline.saturating_duration_since(Instant::now())
    }

    /// How long nothing has happened.
    pub(super) fn idle(&self) -> Duration {
        self.start.elapsed().saturating_sub(self.state().active)
    }

    /// Something has happened.
    pub(super) fn touch(&self) {
        self.state().active = self.start.elapsed();
    }

    /// When the conversation with a client has failed.
    pub(super) fn failed(&self) -> Option<Instant> {
        self.state().played.filter(|(_, is_right)| !is_right).map(|(when, _)| when)
    }

    pub(super) fn is_over(&self) -> bool {
        self.state().ended.is_some()
    }

    /// The number of a new connection.
    pub(super) fn opened(&self) -> u64 {
        let mut state = self.state();
        state.connections += 1;
        state.connections
    }
}

/// What should have come.
pub(super) fn expected(name: &str, words: &[&dyn Display]) -> Msg {
    said(&format!("expected {name}"), words)
}

/// What has come instead.
pub(super) fn came(name: &str, words: &[&dyn Display]) -> Msg {
    said(&format!("came {name}"), words)
}

pub(super) fn fail(expected: Msg, got: Msg, connection: u64) -> Box<Fail> {
    Box::new(Fail { verdict: "wrong", expected, got, connection, ..Fail::default() })
}

/// A text that is the same in both languages.
pub(super) fn same(text: String) -> Msg {
    Msg::said(text.clone(), text)
}

/// A line of this form.
pub(super) fn a_line(form: &str) -> Msg {
    same(format!("\"{form}\\n\""))
}

/// Bytes in quotation marks, fit to print, and how many there are if they are cut.
pub(super) fn quoted(bytes: &[u8]) -> String {
    let more = if bytes.len() > 120 { format!(" ({} bytes)", bytes.len()) } else { String::new() };
    format!("\"{}\"{more}", escape(bytes.get(..120).unwrap_or(bytes)))
}

/// How many bytes are the same at the beginning.
pub(super) fn first_difference(expected: &[u8], came: &[u8]) -> usize {
    expected.iter().zip(came).take_while(|(a, b)| a == b).count()
}
