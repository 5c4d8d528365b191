//! What was seen of a server or a client in a check: the steps, and why it failed.

use std::time::Duration;

use crate::lang::{Msg, escape};

/// Why a check failed.
#[derive(Clone, Debug, Default)]
pub struct Fail {
    /// What kind of failure it is, by its name in the sentences: `wrong`, or of a client also `hangs`, `crashed` or
    /// `not-supported`.
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
    /// It is not whom the conversation is played with that is wrong, but the other program.
    pub is_of_other: bool,
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
    pub what: What,
}

/// What happened on a connection.
#[derive(Debug)]
pub enum What {
    /// We sent these bytes.
    Sent(Vec<u8>),
    /// These bytes came.
    Got(Vec<u8>),
    /// We ended our direction.
    Ended,
    /// The server ended its direction.
    End,
    /// The connection broke.
    Reset,
    /// Nothing came.
    Silence,
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
