//! Conversations without a socket: every way of cutting what the peer says, the same replies.

use std::sync::Arc;
use std::time::Duration;

use super::requests::{self, IncomingList, is_stored_name, too_slow};
use super::*;
use crate::error::{Answer, Code, Failure, READ};
use crate::lang::{Lang, quoted};
use crate::log::Log;
use crate::store::{Entry, Options, Store};
use crate::wire::WireConfig;
use crate::wire::script::{Script, Step, Taken, Written};

/// What the server answers to a peer that does this, over an empty store.
pub(super) fn answer(dialect: Dialect, (script, written): (Script, Written)) -> Vec<u8> {
    let root = tempfile::tempdir().unwrap();
    answer_over(root.path(), dialect, (script, written))
}

pub(super) fn answer_over(
    root: &std::path::Path,
    dialect: Dialect,
    (script, written): (Script, Written),
) -> Vec<u8> {
    let store = Arc::new(Store::open(root, Options::default(), &Log::default()).unwrap());
    let log = Log::default();
    let session = log.for_connection("192.0.2.1:1".parse().unwrap(), dialect.name());
    let mut wire = Wire::new(Box::new(script), WireConfig::default());
    let _ = dialect.handle_client(&mut wire, &store, &session);
    wire.close_and_wait();
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

/// What the server says in a transcript.
fn heard(transcript: &str) -> String {
    let mut heard = String::new();
    for line in transcript.lines() {
        if let Some(line) = line.strip_prefix("< ") {
            heard += &format!("{line}\n");
        } else if let Some(bytes) = line.strip_prefix("<| ") {
            heard += &bytes.replace("\\n", "\n");
        }
    }
    heard
}

#[test]
fn transcripts_are_true_over_a_script() {
    for transcript in [
        include_str!("../../tests/transcripts/tour.txt"),
        include_str!("../../tests/transcripts/rows.txt"),
        include_str!("../../tests/transcripts/names.txt"),
    ] {
        let answer = String::from_utf8(answer(Dialect::Text, Script::whole(said(transcript))));
        assert_eq!(answer.unwrap().trim_end_matches("<end>"), heard(transcript));
    }
}

/// The replies to requests that came together leave together, but not after a large file was read.
#[test]
fn a_file_is_not_read_for_a_peer_that_an_earlier_reply_did_not_reach() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("a"), "hello").unwrap();
    let store = Arc::new(Store::open(root.path(), Options::default(), &Log::default()).unwrap());
    let sum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    for request in ["sum a", &format!("resume 5 {sum} a")] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = Log::open(Some(&path), Lang::En).unwrap();
        let (script, _) = Script::whole(format!("connme\n{request}\n"));
        let script = script.taking([Taken::Breaks]);
        let mut wire = Wire::new(Box::new(script), WireConfig::default());
        let connection = log.for_connection("192.0.2.1:1".parse().unwrap(), "text");
        let _ = Dialect::Text.handle_client(&mut wire, &store, &connection);
        log.flush();
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text.matches(" ok\n").count(), 1, "{text}");
        assert_eq!(text.matches(" gone: cut short\n").count(), 1, "{text}");
    }
}

#[test]
fn a_dialect_tells_which_commands_it_lacks() {
    for (dialect, lacking) in [
        (Dialect::Text, ""),
        (Dialect::Struct, "sum count"),
        (Dialect::Filesaver, "ls size sum rm count"),
        (Dialect::Json, "sum count"),
        (Dialect::Count, "ls size upload download sum rm"),
    ] {
        let has = |word: &&str| dialect.requests().has(word);
        let all = ["ls", "size", "upload", "download", "sum", "rm", "count"];
        let lacks: Vec<_> = all.into_iter().filter(|word| has(word) == Some(false)).collect();
        assert_eq!(lacks.join(" "), lacking);
        let known = all.iter().filter(|word| has(word) == Some(true)).count();
        assert_eq!((known + lacks.len(), has(&"help")), (all.len(), None));
    }
}

/// The original client reads 16 bytes at a time, and looks for CR LF at the end of one read.
#[test]
fn no_list_of_json_ends_with_a_lone_line_feed() {
    let mut spaces = 0;
    for length in 1..=17 {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("n".repeat(length)), "").unwrap();
        let sent = Script::whole("{\"aksi\":\"list\"}\n");
        let list = answer_over(root.path(), Dialect::Json, sent);
        let list = list.strip_suffix(b"<end>").unwrap();
        assert!(list.ends_with(b"\r\n") && list.len() % 16 != 1, "{length}");
        spaces += usize::from(list.ends_with(b" \r\n"));
    }
    assert!((1..=2).contains(&spaces), "{spaces}");
}

#[test]
fn a_size_of_struct_whose_first_bytes_are_those_of_a_command_is_a_size() {
    let mut upload = b"upload\x01\0bls\0\0".to_vec();
    upload.resize(upload.len() + usize::from(u16::from_le_bytes(*b"ls")), b'x');
    assert!(answer(Dialect::Struct, Script::whole(upload)).starts_with(b"readyreceived<pause>"));
}

#[test]
fn a_text_of_count_has_a_longest_length() {
    let counted = |length: usize| {
        let text = "x".repeat(length) + "\n";
        String::from_utf8(answer(Dialect::Count, Script::whole(text))).unwrap()
    };
    assert_eq!(counted(limits::MESSAGE), "65536<end>");
    assert_eq!(counted(limits::MESSAGE + 1), "error: too long<end>");
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
pub(super) struct Kept(pub(super) Vec<u8>);

impl Receiver<Failure> for Kept {
    fn announce(&mut self, _: Option<u64>) -> Answer<()> {
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

#[test]
fn a_server_that_stops_anywhere_is_noticed() {
    for row in table::rows().into_iter().filter(|row| row.is_good) {
        let reply = row.reply();
        for at in 0..reply.len() {
            let cut = reply.get(..at).unwrap();
            let bytes = (at > 0).then(|| Step::Bytes(cut.to_vec()));
            for end in [None, Some(Step::Pause), Some(Step::Reset)] {
                let steps = bytes.clone().into_iter().chain(end.clone());
                let outcome = row.ask(&mut wire_of(Script::new(steps)));
                let cut = String::from_utf8_lossy(cut);
                let error = match outcome {
                    Err(error) => error,
                    Ok(_) => panic!("{} cut after {cut:?} {end:?}", row.line),
                };
                if let Failure::Silent(said) = error
                    && let said = said.say(Lang::En)
                    && said.starts_with("so far came")
                {
                    let what_came = |from: usize| said.contains(&quoted(&reply[from..at]));
                    assert!((0..at).any(what_came), "{cut:?}: {said}");
                }
            }
        }
    }
}

#[test]
fn a_server_that_talks_nonsense_is_an_error_or_an_answer() {
    let mut random = crate::random::Random(5);
    let mut answers = 0;
    for row in table::rows().into_iter().filter(|row| row.is_good) {
        let reply = row.reply();
        for _ in 0..200 {
            let mut reply = reply.clone();
            for _ in 0..3 {
                let [at, byte, kind, ..] = random.next().to_le_bytes();
                let at = usize::from(at) % reply.len().max(1);
                match kind % 3 {
                    0 => reply.insert(at, byte),
                    1 if !reply.is_empty() => reply[at] = byte,
                    _ if !reply.is_empty() => drop(reply.remove(at)),
                    _ => {}
                }
            }
            answers += usize::from(row.ask(&mut wire_of(Script::whole(&reply))).is_ok());
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
    let stored = Dialect::Struct.requests().upload.unwrap().run(&mut wire, "a", 5, &mut source);
    (stored, written.bytes())
}

#[test]
fn the_beginning_of_a_reply_tells_the_dialect() {
    let table = [
        (Dialect::Text, "connected", Some("struct")),
        (Dialect::Text, "\u{1}\0\0\0", Some("struct")),
        (Dialect::Text, "OK", Some("filesaver")),
        (Dialect::Text, "[{\"id\"", Some("json")),
        (Dialect::Text, "12", Some("count")),
        (Dialect::Text, "ok conn", None),
        (Dialect::Text, "hello", None),
        (Dialect::Text, "", None),
        (Dialect::Struct, "error b", Some("text")),
        (Dialect::Struct, "conn", None),
    ];
    for (own, reply, other) in table {
        assert_eq!(own.guess(reply.as_bytes()).map(Dialect::name), other, "{reply}");
    }
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
    assert!(why(stored.unwrap_err()).starts_with("the server did not take it"));
    assert_eq!(written, asked);
    // Silence: asked, but it was only slow.
    let late = vec![ready, Step::Pause, received, bytes(&float), connected];
    let (stored, written) = struct_upload(late.clone());
    assert_eq!((stored.unwrap(), written), (None, asked));
    // A server that was still reading has taken the question for more of the file: nothing answers it.
    for end in [vec![], vec![Step::Pause], vec![bytes(b"conn"), Step::Pause], vec![bytes(b"ready")]]
    {
        let without_the_answer = [late.split_last().unwrap().1, &end].concat();
        let error = struct_upload(without_the_answer).0.unwrap_err();
        assert!(why(error).starts_with("the server confirmed the file, but may have stored"));
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
    Dialect::Struct.requests().upload.unwrap().run(&mut wire, "a", size, &mut source).unwrap();
    let enough = Duration::from_secs(12)..Duration::from_secs(30);
    assert!(written.waits().iter().any(|wait| enough.contains(wait)), "{:?}", written.waits());
}

/// Whether a server has been understood by the time that its reply turns out to be wrong.
#[test]
fn a_dialect_is_understood_from_its_first_message_on() {
    let i = |n: i32| n.to_le_bytes();
    let table: Vec<(Dialect, Vec<u8>, &str, bool)> = vec![
        (Dialect::Text, b"ok removed b\n".into(), "rm a", true),
        (Dialect::Text, b"error not-found x\n".into(), "rm a", true),
        (Dialect::Text, b"error\n".into(), "rm a", false),
        (Dialect::Text, b"ok 2\nfile".into(), "ls", true),
        (Dialect::Text, b"OK\n".into(), "rm a", false),
        (Dialect::Struct, b"readyxxx".into(), "rm a", true),
        (Dialect::Struct, b"hello".into(), "connme", false),
        (Dialect::Struct, [&i(1)[..], &i(-1)].concat(), "ls", true),
        (Dialect::Struct, i(-1).into(), "ls", false),
        (Dialect::Filesaver, b"OKb".into(), "download a", true),
        (Dialect::Filesaver, b"NO".into(), "download a", false),
        (Dialect::Json, table::unescape("[{a 5},{"), "ls", true),
        (Dialect::Json, b"[{".into(), "ls", false),
        (Dialect::Json, b"ERROR busy x\r\n".into(), "ls", true),
        (Dialect::Json, b"OK {}\r\n".into(), "rm a", true),
        (Dialect::Json, b"{}\r\n".into(), "download a", false),
        (Dialect::Json, table::unescape("{a 5}\\r\\nhel"), "download a", true),
    ];
    for (dialect, reply, request, dialect_is_confirmed) in table {
        let mut wire = wire_of(Script::whole(&reply));
        assert!(table::ask(dialect, request, &mut wire).is_err());
        let case = String::from_utf8_lossy(&reply);
        assert_eq!(wire.dialect_is_confirmed, dialect_is_confirmed, "{} {case:?}", dialect.name());
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
    assert_eq!(pushed(2, Duration::from_secs(2 * 59)), Err(too_slow(2)));
    // Ten thousand round trips of a quarter of a second.
    assert!(pushed(10_000, Duration::from_secs(2_500)).is_ok());
    assert!(pushed(10_000, Duration::from_secs(6_000)).is_err());
}

#[test]
fn what_comes_before_a_request_is_an_error_that_shows_it() {
    let said = |word: &str, sentence: &str| (word.to_owned(), sentence.to_owned());
    let refused = |(word, sentence)| Failure::Refused { word, sentence };
    let last_words = |(word, sentence)| Failure::Refused { word, sentence };
    let unasked = |came: &str| requests::unasked(came.as_bytes());
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
        (Dialect::Text, "", Failure::closed()),
        (Dialect::Struct, "", Failure::closed()),
    ];
    for (dialect, came, failure) in table {
        let steps = (!came.is_empty()).then(|| Step::Bytes(came.into()));
        let mut wire = Wire::new(Box::new(Script::new(steps).0), WireConfig::default());
        let quiet = must_be_quiet(dialect.requests(), &mut wire, false);
        assert!(failure.closes());
        assert_eq!(quiet, Err(failure), "{} {came:?}", dialect.name());
    }
    let mut wire = Wire::new(Box::new(Script::new([Step::Pause]).0), WireConfig::default());
    assert!(must_be_quiet(Dialect::Text.requests(), &mut wire, false).is_ok());
}

impl Upload {
    /// Offers a file, sends it and takes the confirmation.
    pub(super) fn run(
        self,
        wire: &mut Wire,
        name: &str,
        size: u64,
        from: &mut Source<'_>,
    ) -> Answer<Option<String>> {
        (self.ask)(wire, name, size)?;
        (self.take_ready)(wire)?;
        let time = self.send_or_reason(wire, name, size, from)?;
        (self.take_receipt)(wire, name, size, time)
    }
}

fn wire_of((script, _): (Script, Written)) -> Wire {
    Wire::new(Box::new(script), WireConfig::default())
}

/// What a client half makes of a reply, or why it fails, and all that it has written.
fn client<T>(
    dialect: Dialect,
    reply: &[u8],
    request: impl FnOnce(&Requests, &mut Wire) -> Answer<T>,
) -> (std::result::Result<T, String>, String) {
    let (script, written) = Script::whole(reply);
    let mut wire = Wire::new(Box::new(script), WireConfig::default());
    let answer = request(dialect.requests(), &mut wire).map_err(why);
    let _ = wire.flush();
    let written: String = written.bytes().iter().map(|byte| char::from(*byte)).collect();
    (answer, written)
}

pub(super) fn xs(room: &mut [u8]) -> Answer<usize> {
    room.fill(b'x');
    Ok(room.len())
}

#[allow(clippy::needless_pass_by_value, reason = "it is what map_err passes")]
pub(super) fn why(failure: Failure) -> String {
    failure.why().say(Lang::En)
}

#[test]
fn no_reply_and_no_record_is_held_whatever_its_length() {
    let line = "x".repeat(limits::REPLY_LINE + 2) + "\n";
    let failure =
        client(Dialect::Text, line.as_bytes(), |r, w| r.connme.unwrap()(w)).0.unwrap_err();
    assert!(failure.starts_with("expected a shorter line, "), "{failure}");
    let record = format!("[{{\"x\":\"{}", "x".repeat(limits::REPLY_LINE * 2));
    let list = |r: &Requests, w: &mut Wire| r.list_files.unwrap()(w, None).map(drop);
    let failure = client(Dialect::Json, record.as_bytes(), list).0.unwrap_err();
    assert!(failure.starts_with("expected a shorter record, "), "{failure}");
}

/// After a large refused upload the server closes: the connection is of no more use.
#[test]
fn a_refused_upload_is_in_step_if_what_is_owed_is_little() {
    for (size, in_step) in [(limits::DRAIN, true), (limits::DRAIN + 1, false)] {
        let reply = b"ok ready\nerror too-large x\n";
        let (settled, _) = client(Dialect::Text, reply, |r, w| {
            assert!(r.upload.unwrap().run(w, "a", size, &mut xs).is_err());
            Ok(w.drop_owed_payload()?)
        });
        assert_eq!(settled, Ok(in_step), "{size}");
    }
}

/// A server that refuses a payload closes, so where sending fails its reason is what counts.
#[test]
fn a_reason_is_worth_more_than_a_broken_connection() {
    let upload = |reply: &[u8], taken: &[Taken]| {
        let script = Script::whole(reply).0.taking(taken.iter().copied());
        let mut wire = Wire::new(Box::new(script), WireConfig::default());
        Dialect::Text.requests().upload.unwrap().run(&mut wire, "a", 5, &mut xs)
    };
    let broken = [Taken::Some(99), Taken::Breaks];
    let refusal = Failure::refused("too-large", "x");
    assert_eq!(upload(b"ok ready\nerror too-large x\n", &broken), Err(refusal));
    let gone = upload(b"ok ready\nok received 5 a\n", &broken).unwrap_err();
    assert!(matches!(gone, Failure::Gone { broke: true, .. }), "{gone:?}");
    let mut local = |_: &mut [u8]| Err(Failure::local(READ, "a", "gone"));
    let mut wire = Wire::new(Box::new(Script::whole("ok ready\n").0), WireConfig::default());
    let failed = Dialect::Text.requests().upload.unwrap().run(&mut wire, "a", 5, &mut local);
    assert_eq!(failed, Err(Failure::local(READ, "a", "gone")));
}

#[test]
fn what_struct_cannot_count_is_not_sent() {
    let longest = "n".repeat(32_767);
    let size = |name: &str| client(Dialect::Struct, b"", |r, w| r.get_size.unwrap()(w, name));
    let failure = "in this dialect a name may be at most 32767 bytes".to_owned();
    assert_eq!(size(&(longest.clone() + "n")).0, Err(failure));
    assert!(size(&longest).1.starts_with("size"));
    let upload = |r: &Requests, w: &mut Wire| r.upload.unwrap().run(w, "a", 1 << 31, &mut xs);
    let failure = "in this dialect a file may be at most 2147483647 bytes".to_owned();
    assert_eq!(client(Dialect::Struct, b"", upload), (Err(failure), String::new()));
}

/// A file that cannot be kept is taken off the wire all the same.
#[test]
fn a_full_disk_leaves_both_sides_in_step() {
    struct Full;
    impl Receiver<Failure> for Full {
        fn announce(&mut self, _: Option<u64>) -> Answer<()> {
            Ok(())
        }
        fn write(&mut self, _: &[u8]) -> Answer<()> {
            Err(Failure::local(READ, "a", "full"))
        }
        fn put_before(&mut self, _: &[u8]) -> Answer<()> {
            Ok(())
        }
    }
    let reply = b"ready\x05\0\0\0hello\0\0\0\0connected";
    let (answer, written) = client(Dialect::Struct, reply, |r, w| {
        let kept = r.download.unwrap().run(w, "a", &mut Full);
        r.connme.unwrap()(w)?;
        kept
    });
    assert_eq!(answer, Err("read a: full".to_owned()));
    assert_eq!(written, "download\x01\0a1connme");
}

#[test]
fn a_list_is_kept_within_a_memory() {
    let name = "n".repeat(1_000_000);
    let entry = Entry { name: &name, size: Some(1), id: Some("id") };
    let mut list = IncomingList::new();
    let most = limits::LIST_MEMORY / (name.len() + "id".len() + 64);
    for _ in 0..most {
        list.push(entry).unwrap();
    }
    assert_eq!(list.push(entry), Err(too_long(most)));
}

#[test]
fn each_dialect_has_a_name_a_port_and_perhaps_words_that_refuse() {
    let table = [
        ("text", 1234, "error busy later\n"),
        ("struct", 1235, ""),
        ("filesaver", 5050, ""),
        ("json", 31000, "ERROR busy later\r\n"),
        ("count", 12345, "error: busy"),
    ];
    for (dialect, (name, port, reply)) in Dialect::ALL.into_iter().zip(table) {
        assert_eq!((dialect.name(), dialect.port()), (name, port));
        assert_eq!(Dialect::named(name), Some(dialect));
        let busy = Error::new(Code::Busy, "later");
        assert_eq!(String::from_utf8(dialect.error_reply(&busy)).unwrap(), reply);
    }
    assert_eq!(Dialect::named("Text"), None);
}

#[test]
fn each_dialect_has_words_for_these_commands() {
    let words = |requests: &Requests| {
        let has = [
            ("connme", requests.connme.is_some()),
            ("ls", requests.list_files.is_some()),
            ("rm", requests.delete.is_some()),
            ("size", requests.get_size.is_some()),
            ("download", requests.download.is_some()),
            ("upload", requests.upload.is_some()),
            ("count", requests.count.is_some()),
            ("byebye", requests.byebye.is_some()),
            ("(one a connection)", requests.one_a_connection),
            ("(confirms)", requests.confirms),
            ("(needs goodbye)", requests.needs_goodbye),
        ];
        has.into_iter().filter(|(_, has)| *has).map(|(word, _)| word).collect::<Vec<_>>().join(" ")
    };
    let table = [
        "connme ls rm size download upload count byebye (confirms)",
        "connme ls rm size download upload byebye (confirms) (needs goodbye)",
        "download upload (one a connection)",
        "ls rm size download upload (one a connection) (confirms)",
        "count (one a connection) (confirms)",
    ];
    for (dialect, expected) in Dialect::ALL.into_iter().zip(table) {
        assert_eq!(words(dialect.requests()), expected, "{}", dialect.name());
    }
}

#[test]
fn what_struct_cannot_say_is_none() {
    let root = tempfile::tempdir().unwrap();
    let large = std::fs::File::create(root.path().join("large")).unwrap();
    large.set_len(1 << 31).unwrap();
    std::fs::write(root.path().join("small"), "x").unwrap();
    let sent: &[u8] = b"download\x05\0largesize\x05\0largels1";
    let answer = answer_over(root.path(), Dialect::Struct, Script::whole(sent));
    let i = |n: i32| n.to_le_bytes();
    let list = [&i(1)[..], &i(5), b"small", &i(1), &i(1)].concat();
    let expected = [b"ready", &i(-1)[..], b"ready", &i(-1), &list].concat();
    assert_eq!(answer, expected);
}

#[test]
fn a_request_is_a_word_and_the_rest() {
    let table: [[&[u8]; 3]; 6] = [
        [b"ls", b"ls", b""],
        [b"  ls  ", b"ls", b""],
        [b"rm  my file.txt  ", b"rm", b"my file.txt"],
        [b"rm\ta", b"rm\ta", b""],
        [b"count a  b", b"count", b"a  b"],
        [b"RM \xff", b"RM", b"\xff"],
    ];
    for [line, word, argument] in table {
        assert_eq!(text::split(line), (word, argument));
    }
}

#[test]
fn a_size_is_digits() {
    let good = [("0", 0), ("05", 5), ("9223372036854775808", 1 << 63)];
    for (text, size) in good {
        assert_eq!(digits(text.as_bytes()), Some(size));
    }
    assert_eq!(digits(&[b'9'; 19]), Some(9_999_999_999_999_999_999));
    for text in
        ["", "-1", "+5", " 5", "5 ", "0x5", "1e3", "18446744073709551616", "٥", "５", "1_000"]
    {
        assert_eq!(digits(text.as_bytes()), None, "{text:?}");
    }
}

#[test]
fn a_megabyte_has_a_million_bytes() {
    assert_eq!(text::in_megabytes(33), "33 bytes (0.000033 MB)");
    assert_eq!(text::in_megabytes(12_345_678), "12345678 bytes (12.345678 MB)");
}

/// A stream that takes note of the log whenever something is sent.
struct Watched(Script, std::path::PathBuf, Log, Arc<std::sync::Mutex<Vec<String>>>);

impl std::io::Read for Watched {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(into)
    }
}

impl std::io::Write for Watched {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.2.flush();
        self.3.lock().unwrap().push(std::fs::read_to_string(&self.1).unwrap());
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl crate::wire::stream::Stream for Watched {
    fn limit_wait(&mut self, timeout: Duration) -> std::io::Result<()> {
        self.0.limit_wait(timeout)
    }

    fn pause(&mut self, time: Duration) {
        self.0.pause(time);
    }

    fn end_writing(&mut self) -> std::io::Result<()> {
        self.0.end_writing()
    }
}

/// A client of json or struct found `ok` in the log before it had its reply.
#[test]
fn the_reply_is_sent_before_the_log_says_ok() {
    for (dialect, said, logged) in [
        (Dialect::Text, "download a\n", "text download \"a\" 5 bytes 0."),
        (Dialect::Struct, "connme", "struct connme"),
        (Dialect::Json, "{\"aksi\":\"hapus\",\"file\":\"a\"}\n", "json hapus \"a\""),
    ] {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("a"), "hello").unwrap();
        let path = root.path().join(".log");
        let log = Log::open(Some(&path), Lang::En).unwrap();
        let store = Arc::new(Store::open(root.path(), Options::default(), &log).unwrap());
        let session = log.for_connection("192.0.2.1:1".parse().unwrap(), dialect.name());
        let seen = Arc::default();
        let script = Script::whole(said).0;
        let stream = Watched(script, path.clone(), log.clone(), Arc::clone(&seen));
        let mut wire = Wire::new(Box::new(stream), WireConfig::default());
        dialect.handle_client(&mut wire, &store, &session).unwrap();
        wire.close_and_wait();
        log.flush();
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains(logged) && text.contains(" ok\n"), "{text}");
        let seen = seen.lock().unwrap();
        assert!(!seen.is_empty() && seen.iter().all(|log| !log.contains(" ok\n")), "{seen:?}");
    }
}

/// Sparse files can add up to more than 64 bits hold, and our own client refused the total.
#[test]
fn a_total_may_have_more_digits_than_a_size() {
    let listed = "ok 3\nfile 9223372036854775807 a\nfile 9223372036854775807 b\nfile 9223372036854775807 c\n\
                  total 18446744073709551615\n";
    let script = Script::whole(listed).0;
    let mut wire = Wire::new(Box::new(script), WireConfig::default());
    let list = text::REQUESTS.list_files.unwrap();
    assert_eq!(list(&mut wire, None).unwrap().total, u64::MAX);
}
