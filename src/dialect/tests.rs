//! Conversations without a socket: every way of cutting what the peer says, the same replies.

use std::time::Duration;

use super::requests::{IncomingList, closed, is_stored_name};
use super::*;
use crate::error::{Answer, Failure};
use crate::log::Log;
use crate::store::{Entry, Options};
use crate::wire::WireConfig;
use crate::wire::script::{Script, Step, Written};

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
    let mut wire = Wire::new(Box::new(script), WireConfig::default());
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

/// A place for a file that a client fetches.
#[derive(Default)]
struct Kept(Vec<u8>);

impl Receiver<Failure> for Kept {
    fn expect(&mut self, _: Option<u64>) -> Answer<()> {
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Answer<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn put_before(&mut self, bytes: &[u8]) -> Answer<()> {
        self.0.splice(0..0, bytes.iter().copied());
        Ok(())
    }
}

/// What a client half makes of what a server says: the file that it fetched, if it fetched one.
type Ask = fn(&Requests, &mut Wire) -> Answer<Vec<u8>>;

const RECORD: &str = "{\"id\":\"6f9619ff-8b86-4011-b42d-00cf4fc964ff\",\"nama_file\":\"a\",\"size\":5,\"type\":\"\"}";

/// One good reply to each request of each dialect, and how it is asked for.
fn conversations() -> Vec<(Dialect, Vec<u8>, Ask)> {
    let list: Ask = |requests, wire| requests.list_files.unwrap()(wire, None).map(|_| vec![]);
    let size: Ask = |requests, wire| requests.get_size.unwrap()(wire, "a").map(|_| vec![]);
    let rm: Ask = |requests, wire| requests.delete.unwrap()(wire, "a").map(|()| vec![]);
    let count: Ask = |requests, wire| requests.count.unwrap()(wire, "a").map(|_| vec![]);
    let connme: Ask = |requests, wire| requests.connme.unwrap()(wire).map(|()| vec![]);
    let upload: Ask = |requests, wire| {
        let mut source = |room: &mut [u8]| Ok(room.len());
        requests.upload.unwrap()(wire, "a", 5, &mut source).map(|_| vec![])
    };
    let download: Ask = |requests, wire| {
        let mut kept = Kept::default();
        requests.download.unwrap()(wire, "a", &mut kept)?;
        Ok(kept.0)
    };
    let i = |n: i32| n.to_le_bytes();
    let float = 0.5_f32.to_le_bytes();
    let struct_list = [&i(1)[..], &i(1), b"a", &i(5), &i(5)].concat();
    let struct_file = [&b"ready"[..], &i(5), b"hello", &float].concat();
    let struct_receipt = [&b"readyreceived"[..], &float].concat();
    vec![
        (Dialect::Text, b"ok connected\n".to_vec(), connme),
        (Dialect::Text, b"ok 2\nfile 5 a\ndir - b\ntotal 5\n".to_vec(), list),
        (Dialect::Text, b"ok 5 bytes (0.000005 MB)\n".to_vec(), size),
        (Dialect::Text, b"ok removed a\n".to_vec(), rm),
        (Dialect::Text, b"ok 5\nhello".to_vec(), download),
        (Dialect::Text, b"ok ready\nok received 5 a\n".to_vec(), upload),
        (Dialect::Text, b"ok 1\n".to_vec(), count),
        (Dialect::Struct, b"connected".to_vec(), connme),
        (Dialect::Struct, struct_list, list),
        (Dialect::Struct, [&b"ready"[..], &i(5)].concat(), size),
        (Dialect::Struct, [&b"ready"[..], &i(1)].concat(), rm),
        (Dialect::Struct, struct_file, download),
        (Dialect::Struct, struct_receipt, upload),
        (Dialect::Filesaver, b"OKa<SEPARATOR>5hello".to_vec(), download),
        (Dialect::Json, format!("[{RECORD}] \r\n").into_bytes(), list),
        (Dialect::Json, format!("[{RECORD}]\r\n").into_bytes(), size),
        (Dialect::Json, format!("OK {RECORD}\r\n").into_bytes(), rm),
        (Dialect::Json, format!("{RECORD}\r\nhello").into_bytes(), download),
        (Dialect::Json, format!("OK {RECORD}\r\n").into_bytes(), upload),
    ]
}

fn asked(dialect: Dialect, ask: Ask, (script, _): (Script, Written)) -> Answer<Vec<u8>> {
    ask(dialect.requests(), &mut Wire::new(Box::new(script), WireConfig::default()))
}

#[test]
fn a_client_half_understands_its_server_however_it_arrives() {
    for (dialect, reply, ask) in conversations() {
        for script in [Script::whole(&reply), Script::bytewise(&reply)] {
            let fetched = asked(dialect, ask, script).unwrap();
            assert!(fetched.is_empty() || fetched == b"hello", "{}", dialect.name());
        }
    }
}

#[test]
fn a_server_that_stops_anywhere_is_noticed() {
    for (dialect, reply, ask) in conversations() {
        for at in 0..reply.len() {
            let cut = reply.get(..at).unwrap();
            let bytes = (at > 0).then(|| Step::Bytes(cut.to_vec()));
            for end in [None, Some(Step::Pause), Some(Step::Reset)] {
                let steps = bytes.clone().into_iter().chain(end.clone());
                let outcome = asked(dialect, ask, Script::new(steps));
                let cut = String::from_utf8_lossy(cut);
                let error = match outcome {
                    Err(error) => error,
                    Ok(_) => panic!("{} {cut:?} {end:?}", dialect.name()),
                };
                if let Failure::Silent(waited) = error {
                    // What had come of the message.
                    assert!(reply[..at].ends_with(&waited.got), "{cut:?}: {waited:?}");
                }
            }
        }
    }
}

#[test]
fn a_server_that_talks_nonsense_is_an_error_or_an_answer() {
    let mut seed = 5_u64;
    let mut answers = 0;
    for (dialect, reply, ask) in conversations() {
        for _ in 0..400 {
            let mut reply = reply.clone();
            for _ in 0..3 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let [at, byte, kind, ..] = (seed >> 16).to_le_bytes();
                let at = usize::from(at) % reply.len().max(1);
                match kind % 3 {
                    0 => reply.insert(at, byte),
                    1 if !reply.is_empty() => reply[at] = byte,
                    _ if !reply.is_empty() => drop(reply.remove(at)),
                    _ => {}
                }
            }
            answers += usize::from(asked(dialect, ask, Script::whole(&reply)).is_ok());
        }
    }
    assert!(answers > 100, "{answers}");
}

/// What a client of `struct` makes of an upload of five bytes, and all that it wrote.
fn struct_upload(steps: Vec<Step>) -> (Answer<Option<String>>, Vec<u8>) {
    let (script, written) = Script::new(steps);
    let mut wire = Wire::new(Box::new(script), WireConfig::default());
    let mut source = |room: &mut [u8]| {
        room.fill(b'x');
        Ok(room.len())
    };
    let stored = Dialect::Struct.requests().upload.unwrap()(&mut wire, "a", 5, &mut source);
    (stored, written.bytes())
}

#[test]
fn nothing_follows_a_payload_of_struct_before_its_receipt() {
    let bytes = |bytes: &[u8]| Step::Bytes(bytes.to_vec());
    let float = 0.5_f32.to_le_bytes();
    let upload = [&b"upload\x01\0a"[..], &5_i32.to_le_bytes(), b"xxxxx"].concat();
    let asked = [&upload[..], b"connme"].concat();
    let (ready, received, connected) = (bytes(b"ready"), bytes(b"received"), bytes(b"connected"));

    let (stored, written) = struct_upload(vec![ready.clone(), received.clone(), bytes(&float)]);
    assert_eq!((stored.unwrap(), written), (None, upload.clone()));
    // Half a word is not nothing: it is waited for, and nothing is asked.
    let halves = [bytes(b"rec"), bytes(b"eived"), bytes(&float)];
    let (stored, written) = struct_upload([&[ready.clone()][..], &halves].concat());
    assert_eq!((stored.unwrap(), written), (None, upload));
    // Silence: asked, and refused.
    let (stored, written) = struct_upload(vec![ready.clone(), Step::Pause, connected.clone()]);
    assert_eq!((stored.unwrap_err(), written), (Failure::NotTaken, asked.clone()));
    // Silence: asked, but it was only slow.
    let late = vec![ready, Step::Pause, received, bytes(&float), connected];
    let (stored, written) = struct_upload(late.clone());
    assert_eq!((stored.unwrap(), written), (None, asked));
    // A server that was still reading has taken the question for more of the file: nothing answers it.
    for end in [vec![], vec![Step::Pause], vec![bytes(b"conn"), Step::Pause], vec![bytes(b"ready")]]
    {
        let without_the_answer = [late.split_last().unwrap().1, &end].concat();
        let error = struct_upload(without_the_answer).0.unwrap_err();
        assert_eq!((&error, error.closes()), (&Failure::Unsure, true));
    }
}

/// What a system has taken of a payload may be far from read: the wait grows with it.
#[test]
fn a_client_of_struct_waits_for_a_slow_server() {
    let size = 640 << 10;
    let steps = [b"ready".to_vec(), b"received".to_vec(), 0.5_f32.to_le_bytes().to_vec()];
    let (script, written) = Script::new(steps.map(Step::Bytes));
    let mut wire = Wire::new(Box::new(script), WireConfig::default());
    let mut source = |room: &mut [u8]| Ok(room.len());
    Dialect::Struct.requests().upload.unwrap()(&mut wire, "a", size, &mut source).unwrap();
    let enough = Duration::from_secs(12)..Duration::from_secs(30);
    assert!(written.waits().iter().any(|wait| enough.contains(wait)), "{:?}", written.waits());
}

/// Whether a server has been understood by the time that its reply turns out to be wrong.
#[test]
fn a_dialect_is_understood_from_its_first_message_on() {
    let i = |n: i32| n.to_le_bytes();
    let list: Ask = |requests, wire| requests.list_files.unwrap()(wire, None).map(|_| vec![]);
    let (rm, connme): (Ask, Ask) = (
        |requests, wire| requests.delete.unwrap()(wire, "a").map(|()| vec![]),
        |requests, wire| requests.connme.unwrap()(wire).map(|()| vec![]),
    );
    let download: Ask = |requests, wire| {
        requests.download.unwrap()(wire, "a", &mut Kept::default()).map(|_| vec![])
    };
    let table: Vec<(Dialect, Vec<u8>, Ask, bool)> = vec![
        (Dialect::Text, b"ok removed b\n".into(), rm, true),
        (Dialect::Text, b"error not-found x\n".into(), rm, true),
        (Dialect::Text, b"error\n".into(), rm, false),
        (Dialect::Text, b"ok 2\nfile".into(), list, true),
        (Dialect::Text, b"OK\n".into(), rm, false),
        (Dialect::Struct, b"readyxxx".into(), rm, true),
        (Dialect::Struct, b"hello".into(), connme, false),
        (Dialect::Struct, [&i(1)[..], &i(-1)].concat(), list, true),
        (Dialect::Struct, i(-1).into(), list, false),
        (Dialect::Filesaver, b"OKb".into(), download, true),
        (Dialect::Filesaver, b"NO".into(), download, false),
        (Dialect::Json, format!("[{RECORD},{{").into(), list, true),
        (Dialect::Json, b"[{".into(), list, false),
        (Dialect::Json, b"ERROR busy x\r\n".into(), list, true),
        (Dialect::Json, b"OK {}\r\n".into(), rm, true),
        (Dialect::Json, b"{}\r\n".into(), download, false),
        (Dialect::Json, format!("{RECORD}\r\nhel").into(), download, true),
    ];
    for (dialect, reply, ask, is_understood) in table {
        let mut wire = Wire::new(Box::new(Script::whole(&reply).0), WireConfig::default());
        assert!(ask(dialect.requests(), &mut wire).is_err());
        let case = String::from_utf8_lossy(&reply);
        assert_eq!(wire.is_understood(), is_understood, "{} {case:?}", dialect.name());
    }
}

#[test]
fn a_stored_name_is_the_one_that_was_asked_for_or_has_a_counter() {
    let long = format!("{}.txt", "n".repeat(251));
    let long_numbered = format!("{}_12.txt", "n".repeat(248));
    for (asked, stored, is_it) in [
        ("a.txt", "a.txt", true),
        ("a.txt", "a_1.txt", true),
        ("a.txt", "a_20.txt", true),
        ("a_7.txt", "a_7_1.txt", true),
        ("docs/a", "docs/a_3", true),
        (&long, &long_numbered, true),
        ("a.txt", "b.txt", false),
        ("a.txt", "b_1.txt", false),
        ("a.txt", "a_0.txt", false),
        ("a.txt", "a_01.txt", false),
        ("a.txt", "a_1", false),
        ("a.txt", "a_.txt", false),
        ("a.txt", "docs/a.txt", false),
        ("docs/a", "a_3", false),
        ("a.txt", "", false),
    ] {
        assert_eq!(is_stored_name(asked, stored), is_it, "{asked} {stored}");
    }
}

#[test]
fn a_list_has_a_deadline_that_grows_with_it() {
    let entry = Entry { name: "name", size: Some(1), id: None };
    let pushed = |count: usize, elapsed: Duration| {
        let mut list = IncomingList::new();
        (0..count).for_each(|_| list.push(entry).unwrap());
        list.push_after(elapsed, entry)
    };
    // An entry in 59 seconds, each in good time by itself.
    assert!(pushed(1, Duration::from_secs(59)).is_ok());
    assert_eq!(pushed(2, Duration::from_secs(2 * 59)), Err(Failure::ListTooSlow(2)));
    // Ten thousand round trips of a quarter of a second.
    assert!(pushed(10_000, Duration::from_secs(2_500)).is_ok());
    assert!(pushed(10_000, Duration::from_secs(6_000)).is_err());
}

#[test]
fn what_comes_before_a_request_is_an_error_that_shows_it() {
    let said = |word: &str, sentence: &str| (word.to_owned(), sentence.to_owned());
    let refused = |(word, sentence)| Failure::Refused { word, sentence };
    let last_words = |(word, sentence)| Failure::LastWords { word, sentence };
    let unasked = |came: &str| Failure::Unasked(came.into());
    let table = [
        (Dialect::Text, "error busy try later\n", refused(said("busy", "try later"))),
        (Dialect::Text, "error timeout idle\n", last_words(said("timeout", "idle"))),
        (Dialect::Text, "error not-found x\n", unasked("error not-found x\n")),
        (Dialect::Text, "ok 5", unasked("ok 5")),
        (Dialect::Json, "ERROR busy try later\r\n", refused(said("busy", "try later"))),
        (Dialect::Json, "ERROR timeout idle\r\n", last_words(said("timeout", "idle"))),
        (Dialect::Json, "null", unasked("null")),
        (Dialect::Count, "error: busy", refused(said("busy", "busy"))),
        (Dialect::Struct, "connected", unasked("connected")),
        (Dialect::Filesaver, "OK", unasked("OK")),
        (Dialect::Text, "", closed()),
        (Dialect::Struct, "", closed()),
    ];
    for (dialect, came, failure) in table {
        let steps = (!came.is_empty()).then(|| Step::Bytes(came.into()));
        let mut wire = Wire::new(Box::new(Script::new(steps).0), WireConfig::default());
        let quiet = must_be_quiet(dialect.requests(), &mut wire);
        assert!(failure.closes());
        assert_eq!(quiet, Err(failure), "{} {came:?}", dialect.name());
    }
    let mut wire = Wire::new(Box::new(Script::new([Step::Pause]).0), WireConfig::default());
    assert!(must_be_quiet(Dialect::Text.requests(), &mut wire).is_ok());
}
