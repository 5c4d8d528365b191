//! Conversations without a socket: every way of cutting what the peer says, the same replies.

use super::*;
use crate::log::Log;
use crate::store::Options;
use crate::stream::script::{Script, Step, Written};
use crate::wire::Manner;

/// What the server answers to a peer that does this, over an empty store.
pub(super) fn answer(dialect: Dialect, (script, written): (Script, Written)) -> Vec<u8> {
    let root = tempfile::tempdir().unwrap();
    answer_over(root.path(), dialect, (script, written))
}

fn answer_over(
    root: &std::path::Path,
    dialect: Dialect,
    (script, written): (Script, Written),
) -> Vec<u8> {
    let store = Store::open(root, Options::default(), &Log::silent()).unwrap();
    let log = Log::silent();
    let session = log.session("192.0.2.1:1".parse().unwrap(), dialect.name());
    let mut wire = Wire::new(Box::new(script), Manner::default());
    let _ = dialect.handle_client(&mut wire, &store, &session);
    wire.close();
    written.bytes()
}

/// What the client says in a transcript.
fn said(transcript: &str) -> Vec<u8> {
    let mut said = Vec::new();
    for line in transcript.lines() {
        if let Some(line) = line.strip_prefix("> ") {
            said.extend_from_slice(line.replace("\\r", "\r").as_bytes());
            said.push(b'\n');
        } else if let Some(bytes) = line.strip_prefix(">| ") {
            said.extend_from_slice(bytes.replace("\\n", "\n").as_bytes());
        }
    }
    said
}

#[test]
fn where_a_conversation_is_cut_makes_no_difference() {
    let tour = said(include_str!("../../tests/transcripts/tour.txt"));
    let rows = said(include_str!("../../tests/transcripts/rows.txt"));
    let commands = rows.iter().filter(|byte| **byte == b'\n').count();
    assert!(commands >= 25, "{commands}");
    for said in [tour, rows] {
        let whole = answer(Dialect::Text, Script::whole(&said));
        assert!(whole.ends_with(b"ok byebye\n<end>") || whole.ends_with(b"ok byebye\n"));
        assert_eq!(answer(Dialect::Text, Script::bytewise(&said)), whole);
        for at in 1..said.len() {
            let (first, second) = said.split_at(at);
            let pieces = [Step::Bytes(first.to_vec()), Step::Bytes(second.to_vec())];
            let cut = answer(Dialect::Text, Script::new(pieces));
            assert!(cut == whole, "cut at {at}: {}", String::from_utf8_lossy(&cut));
        }
    }
}

#[test]
fn where_a_conversation_ends_loses_no_step() {
    let said = said(include_str!("../../tests/transcripts/tour.txt"));
    let whole = answer(Dialect::Text, Script::whole(&said));
    for at in 0..said.len() {
        let cut = answer(Dialect::Text, Script::whole(&said[..at]));
        // What was answered up to there is what is always answered; then perhaps that half a line is
        // no line, then the end.
        let cut = String::from_utf8(cut).unwrap();
        let cut = cut.trim_end_matches("<end>");
        let cut = cut.split("error bad-request").next().unwrap();
        assert!(whole.starts_with(cut.as_bytes()), "cut at {at}: {cut}");
    }
}

#[test]
fn replies_to_commands_in_one_segment_leave_in_one_write() {
    let script = Script::whole("connme\nls\nsize x\nbyebye\n");
    let written = script.1.clone();
    let answer = answer(Dialect::Text, script);
    assert!(answer.starts_with(b"ok connected\nok 0\ntotal 0\nerror not-found no such file\n"));
    assert_eq!(written.writes(), 1);
}
