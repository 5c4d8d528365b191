//! Conversations without a socket: every way of cutting what the peer says, the same replies.

use std::sync::Arc;
use std::time::Duration;

use super::requests::{self, IncomingList, is_stored_name, too_slow};
use super::*;
use crate::error::{Answer, Code, Failure, READ};
use crate::lang::{Lang, quoted};
use crate::log::Log;
use crate::store::{Entry, Listing, Options, Store};
use crate::wire::WireConfig;
use crate::wire::script::{Script, Step, Taken, Written};

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
    let store = Arc::new(Store::open(root, Options::default(), &Log::silent()).unwrap());
    let log = Log::silent();
    let session = log.session("192.0.2.1:1".parse().unwrap(), dialect.name());
    let mut wire = Wire::new(Box::new(script), WireConfig::default());
    let _ = dialect.handle_client(&mut wire, &store.of_client(None), &session);
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

/// A conversation over a folder with `a` in it, which holds `hello`: what the client sends, as bytes and
/// pauses, and what the server has sent by then.
type Conversation<'c> = (&'c [&'c [u8]], &'c [u8]);

/// Where the client pauses.
const PAUSE: &[u8] = b"<pause>";

/// Runs a conversation. An identity in it becomes `ID`, a float of four bytes `TIME`.
fn held(root: &std::path::Path, dialect: Dialect, sent: &[&[u8]]) -> String {
    let step = |bytes: &&[u8]| match *bytes {
        PAUSE => Step::Pause,
        bytes => Step::Bytes(bytes.to_vec()),
    };
    let answer = answer_over(root, dialect, Script::new(sent.iter().map(step)));
    let mut text: String = answer.iter().map(|byte| char::from(*byte)).collect();
    let identities = text.match_indices("\"id\":\"").map(|(at, id)| at + id.len());
    for at in identities.collect::<Vec<_>>().into_iter().rev() {
        text.replace_range(at..at + 36, "ID");
    }
    text.trim_end_matches("<end>").to_owned()
}

fn check(dialect: Dialect, conversations: &[Conversation<'_>]) {
    for (sent, expected) in conversations {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("a"), "hello").unwrap();
        let expected: String = expected.iter().map(|byte| char::from(*byte)).collect();
        let held = held(root.path(), dialect, sent);
        // Where seconds are sent, only their width is known.
        let mut held: Vec<char> = held.chars().collect();
        if let Some((before, _)) = expected.split_once("TIME") {
            let at = before.chars().count();
            held.splice(at..at + 4, "TIME".chars());
        }
        let held: String = held.into_iter().collect();
        let sent: Vec<_> = sent.iter().map(|bytes| String::from_utf8_lossy(bytes)).collect();
        assert_eq!(held, expected, "{} {sent:?}", dialect.name());
    }
}

#[test]
fn struct_answers_as_its_page_says() {
    let (five, none, one): (&[u8], &[u8], &[u8]) =
        (&[5, 0, 0, 0], &[255, 255, 255, 255], &[1, 0, 0, 0]);
    let list = [one, one, b"a", five, five].concat();
    let download = [b"ready", five, b"helloTIME"].concat();
    let upload = [&b"upload\x01\0b"[..], five, b"world"].concat();
    let taken = [&b"upload\x01\0a"[..], five, b"worldls1", b"1"].concat();
    let both = [b"readyreceived<pause>TIME", &[2, 0, 0, 0][..], one, b"a", five].concat();
    let both = [&both[..], &[3, 0, 0, 0], b"a_1", five, &[10, 0, 0, 0]].concat();
    check(
        Dialect::Struct,
        &[
            (&[b"connme"], b"connected"),
            (&[b"con", b"nme \r\nconnme"], b"connectedconnected"),
            (&[b"ls1"], &list),
            (&[b"size\x01\0asize\x01\0b"], &[b"ready", five, b"ready", none].concat()),
            (&[b"download\x01\0a1"], &download),
            (&[b"download\x01\0b"], &[b"ready", none].concat()),
            (&[b"rm\x01\0aYrm\x01\0aY"], &[b"ready", one, b"ready", none].concat()),
            (&[b"rm\x01\0aNls1"], &[&b"ready"[..], &list].concat()),
            (&[b"rm\x01\0aXconnme"], b"ready"),
            (&[&upload], b"readyreceived<pause>TIME"),
            (&[&taken], &both),
            // A name or a size of negative length: nothing that follows is a command.
            (&[b"size\xff\xffconnme"], b"ready"),
            (&[b"upload\x01\0b\xff\xff\xff\xffconnme"], b"ready"),
            // A refused upload is dropped, and nothing is said.
            (&[b"upload\x02\0.b\x06\0\0\0connmeconnme"], b"readyconnected"),
            // An upload that the client gives up after its name.
            (&[b"upload\x01\0b", b"connme", PAUSE], b"readyconnected"),
            (&[b"upload\x01\0b", b"ls", PAUSE, b"1"], &[&b"ready"[..], &list].concat()),
            (&[b"byebyeconnme"], b""),
            (&[b"hello"], b""),
            (&[b""], b""),
        ],
    );
    // A size whose first bytes are those of a command is a size.
    let size = i32::from_le_bytes(*b"ls\0\0");
    let mut upload = [&b"upload\x01\0b"[..], b"ls\0\0"].concat();
    upload.extend(vec![b'x'; size.try_into().unwrap()]);
    check(Dialect::Struct, &[(&[&upload], b"readyreceived<pause>TIME")]);
}

#[test]
fn filesaver_answers_as_its_page_says() {
    let stored = |sent: &[&[u8]]| {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("a"), "hello").unwrap();
        assert!(held(root.path(), Dialect::Filesaver, sent).starts_with("OK"));
        let read = |name| std::fs::read_to_string(root.path().join(name)).ok();
        (read("b").unwrap_or_default(), read("a_1").unwrap_or_default())
    };
    let both = |b: &str, a: &str| (b.to_owned(), a.to_owned());
    check(
        Dialect::Filesaver,
        &[
            (&[b"RECEIVE\na\n"], b"OKa<SEPARATOR>5<pause>hello"),
            (&[b"RECEIVE", PAUSE, b"a", PAUSE], b"OKa<SEPARATOR>5<pause>hello"),
            (&[b"RECEIVE\nb\n"], b"OKERROR: File not found"),
            (&[b"RECEIVE\n../a\n"], b"OKERROR: File not found"),
            (&[b"SEND\nb\nb<SEPARATOR>5\nworld"], b"OK"),
            (&[b"HELLO\n"], b""),
            (&[b""], b""),
        ],
    );
    assert_eq!(stored(&[b"SEND\nb\nb<SEPARATOR>5\nworld"]), both("world", ""));
    assert_eq!(stored(&[b"SEND\r\n/x/b\r\n/x/b<SEPARATOR>5\r\nworld"]), both("world", ""));
    assert_eq!(stored(&[b"SEND\na\na<SEPARATOR>5\nworld"]), both("", "world"));
    // Without end marks, in whatever pieces.
    assert_eq!(stored(&[b"SEND", PAUSE, b"bb<SEPARATOR>5world"]), both("world", ""));
    assert_eq!(stored(&[b"SEND", PAUSE, b"b", b"b<SEP", b"ARATOR>5wor", b"ld"]), both("world", ""));
    assert_eq!(stored(&[b"SEND", PAUSE, b"C:\\x\\bC:\\x\\b<SEPARATOR>2", b"12"]), both("12", ""));
    assert_eq!(stored(&[b"SEND", PAUSE, b"bb<SEPARATOR>0"]), both("", ""));
    let many = [&b"bb<SEPARATOR>12"[..], b"3456789012xx"].concat();
    assert_eq!(stored(&[b"SEND", PAUSE, &many]), both("3456789012xx", ""));
    // Cut short, too much, or another name: nothing is stored.
    for sent in [
        &b"b\nb<SEPARATOR>5\nworl"[..],
        b"b\nb<SEPARATOR>5\nworlds",
        b"b\nc<SEPARATOR>5\nworld",
        b"b\nb<SEPARATOR>x\nworld",
        b"bb<SEPARATOR>5worl",
        b"bb<SEPARATOR>5worlds",
        b"bb<SEPARATOR>world",
        b"bb<SEPARATOR>",
        b"bc<SEPARATOR>5world",
        b".b.b<SEPARATOR>5world",
    ] {
        assert_eq!(stored(&[b"SEND\n", sent]), both("", ""), "{}", String::from_utf8_lossy(sent));
    }
}

#[test]
fn json_answers_as_its_page_says() {
    let record = |name: &str, size: u32, kind: &str| {
        format!("{{\"id\":\"ID\",\"nama_file\":\"{name}\",\"size\":{size},\"type\":\"{kind}\"}}")
    };
    let a = record("a", 5, "");
    check(
        Dialect::Json,
        &[
            (&[b"{\"aksi\":\"list\"}\n"], format!("[{a}]\r\n").as_bytes()),
            (
                &[b"{\"aksi\":\"get\",\"file\":\"a\"}\r\n"],
                format!("{a}\r\n<pause>hello").as_bytes(),
            ),
            (&[b"{\"aksi\":\"get\",\"file\":\"b\"}\n"], b"null"),
            (&[b"{\"aksi\":\"get\",\"id\":\"x\"}\n"], b"null"),
            (&[b"{\"aksi\":\"get\",\"file\":\"x/a\"}\n"], b"null"),
            (&[b"{\"aksi\":\"hapus\",\"file\":\"x/a\"}\n"], b"null"),
            (&[b"{\"aksi\":\"hapus\",\"file\":\"a\"}\n"], format!("OK {a}\r\n").as_bytes()),
            (
                &[b"{\"aksi\":\"transfer\",\"file\":\"a.png\",\"size\":3}\nabc"],
                format!("OK {}\r\n", record("a.png", 3, ".png")).as_bytes(),
            ),
            (
                &[b"{\"aksi\":\"transfer\",\"file\":\"a\",\"size\":0}\n"],
                format!("OK {}\r\n", record("a_1", 0, "")).as_bytes(),
            ),
            (
                &[b"{\"aksi\":\"transfer\",\"file\":\"x/a\",\"size\":1}\nx"],
                b"ERROR bad-name this dialect has no folders\r\n",
            ),
            (
                &[b"{\"aksi\":\"transfer\",\"size\":1}\nx"],
                b"ERROR bad-request file is missing, or is not a text\r\n",
            ),
            (
                &[b"{\"aksi\":\"transfer\",\"file\":\"b\"}\n"],
                b"ERROR bad-request size is a whole number of bytes\r\n",
            ),
            (&[b"{\"aksi\":\"get\"}\n"], b"ERROR bad-request file or id is missing\r\n"),
            (&[b"{\"aksi\":\"dance\"}\n"], b"ERRCMD\r\n"),
            (&[b"{}\n"], b"ERRCMD\r\n"),
            (&[b"[]\n"], b"ERROR bad-request that is not a JSON object on a line\r\n"),
            (
                &[b"{\"aksi\":\"list\"}"],
                b"ERROR bad-request the connection ended in the middle of a line\r\n",
            ),
            (&[b""], b""),
        ],
    );
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
fn count_answers_as_its_page_says() {
    let long = vec![b'x'; limits::MESSAGE];
    let longer = vec![b'x'; limits::MESSAGE + 1];
    check(
        Dialect::Count,
        &[
            (&[b"halo, dunia\n"], b"11"),
            (&["é漢\r\nmore".as_bytes()], b"2"),
            (&[b"ha", b"lo"], b"4"),
            (&[b"halo", PAUSE], b"4"),
            (&[b""], b"0"),
            (&[b"\xff\n"], b"error: not UTF-8"),
            (&[&long, b"\n"], b"65536"),
            (&[&longer, b"\n"], b"error: too long"),
            (&[PAUSE], b"error: timeout"),
        ],
    );
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
        requests.upload.unwrap().run(wire, "a", 5, &mut source).map(|_| vec![])
    };
    let download: Ask = |requests, wire| {
        let mut kept = Kept::default();
        requests.download.unwrap().run(wire, "a", &mut kept)?;
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
    for (dialect, reply, ask) in conversations() {
        for _ in 0..400 {
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
    let list: Ask = |requests, wire| requests.list_files.unwrap()(wire, None).map(|_| vec![]);
    let (rm, connme): (Ask, Ask) = (
        |requests, wire| requests.delete.unwrap()(wire, "a").map(|()| vec![]),
        |requests, wire| requests.connme.unwrap()(wire).map(|()| vec![]),
    );
    let download: Ask = |requests, wire| {
        requests.download.unwrap().run(wire, "a", &mut Kept::default()).map(|_| vec![])
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
    for (dialect, reply, ask, dialect_is_confirmed) in table {
        let mut wire = Wire::new(Box::new(Script::whole(&reply).0), WireConfig::default());
        assert!(ask(dialect.requests(), &mut wire).is_err());
        let case = String::from_utf8_lossy(&reply);
        assert_eq!(
            wire.dialect_is_confirmed(),
            dialect_is_confirmed,
            "{} {case:?}",
            dialect.name()
        );
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
        from: &mut dyn Source,
    ) -> Answer<Option<String>> {
        (self.ask)(wire, name, size)?;
        (self.take_ready)(wire)?;
        let time = self.send_or_reason(wire, name, size, from)?;
        (self.take_receipt)(wire, name, size, time)
    }
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

fn listed(listing: &Listing) -> Vec<(String, Option<u64>)> {
    listing.entries().map(|entry| (entry.name.to_owned(), entry.size)).collect()
}

fn xs(room: &mut [u8]) -> Answer<usize> {
    room.fill(b'x');
    Ok(room.len())
}

#[allow(clippy::needless_pass_by_value, reason = "it is what map_err passes")]
fn why(failure: Failure) -> String {
    failure.why().say(Lang::En)
}

/// What is said of a reply that is not of the protocol.
fn unexpected(expected: &str, got: impl AsRef<[u8]>) -> String {
    format!("expected {expected}, got {}", quoted(got.as_ref()))
}

fn words(words: &str, got: &str) -> String {
    let words: Vec<_> = words.split('|').map(|word| format!("'{word}'")).collect();
    unexpected(&words.join(" or "), got)
}

fn refused(word: &str, sentence: &str) -> String {
    why(Failure::refused(word, sentence))
}

fn not_found() -> String {
    why(Failure::not_found())
}

fn closed() -> String {
    why(Failure::closed())
}

const CONTROL: &str = "a name may not have control characters";

#[test]
fn the_client_half_of_text() {
    let text = Dialect::Text;
    let connme = |reply: &str| client(text, reply.as_bytes(), |r, w| r.connme.unwrap()(w));
    let list = |reply: &str, folder: Option<&str>| {
        let (answer, written) =
            client(text, reply.as_bytes(), |r, w| r.list_files.unwrap()(w, folder));
        (answer.map(|listing| listed(&listing)), written)
    };
    let size = |reply: &str| client(text, reply.as_bytes(), |r, w| r.get_size.unwrap()(w, "a")).0;
    let rm = |reply: &str| client(text, reply.as_bytes(), |r, w| r.delete.unwrap()(w, "a")).0;
    let count = |reply: &str| client(text, reply.as_bytes(), |r, w| r.count.unwrap()(w, "x y"));
    let upload = |reply: &str| {
        client(text, reply.as_bytes(), |r, w| r.upload.unwrap().run(w, "a", 5, &mut xs))
    };
    assert_eq!(connme("ok connected\n"), (Ok(()), "connme\n".to_owned()));
    assert_eq!(connme("error busy later\n").0, Err(refused("busy", "later")));
    assert_eq!(connme("error busy\n").0, Err(refused("busy", "")));
    assert_eq!(connme("error\n").0, Err(words("error CODE MESSAGE", "error")));
    for strange in ["okay\n", "OK\n", "errors x y\n"] {
        let said = unexpected("a line starting with ok or error", strange.trim());
        assert_eq!(connme(strange).0, Err(said));
    }
    let long = "x".repeat(limits::REPLY_LINE + 2) + "\n";
    let failure = connme(&long).0.unwrap_err();
    assert!(failure.starts_with("expected a shorter line, "), "{failure}");
    let bytes = client(text, b"ok \xff\n", |r, w| r.connme.unwrap()(w)).0.unwrap_err();
    assert_eq!(bytes, unexpected("a line in UTF-8", b"ok \xff"));

    let two = vec![("a b".to_owned(), Some(5)), ("docs".to_owned(), None)];
    let reply = "ok 2\nfile 5 a b\ndir - docs\ntotal 5\n";
    assert_eq!(list(reply, None), (Ok(two.clone()), "ls\n".to_owned()));
    assert_eq!(list(reply, Some("my docs")), (Ok(two), "ls my docs\n".to_owned()));
    for (reply, failure) in [
        ("ok x\n", words("ok COUNT", "ok x")),
        ("ok 1\nfile -1 a\n", words("file SIZE NAME|dir - NAME", "file -1 a")),
        ("ok 1\ndir 5 a\n", words("file SIZE NAME|dir - NAME", "dir 5 a")),
        ("ok 1\nlink - a\n", words("file SIZE NAME|dir - NAME", "link - a")),
        ("ok 1\nfile 5 a\ntotal 6\n", words("total 5", "total 6")),
        ("ok 0\nok\n", words("total 0", "ok")),
    ] {
        assert_eq!(list(reply, None).0, Err(failure), "{reply}");
    }
    assert_eq!(size("ok 5 bytes (0.000005 MB)\n"), Ok(5));
    assert_eq!(size("ok five\n"), Err(words("ok SIZE bytes", "ok five")));
    assert_eq!(rm("ok removed a\n"), Ok(()));
    assert_eq!(rm("ok removed b\n"), Err(words("ok removed a", "ok removed b")));
    assert_eq!(count("ok 3\n"), (Ok(3), "count x y\n".to_owned()));
    assert_eq!(count("ok\n").0, Err(words("ok N", "ok ")));
    let stored = (Ok(Some("a_1".to_owned())), "upload a\n5\nxxxxx".to_owned());
    assert_eq!(upload("ok ready\nok received 5 a_1\n"), stored);
    assert_eq!(upload("ok redy\n"), (Err(words("ok ready", "ok redy")), "upload a\n".to_owned()));
    for wrong in ["received 4 a", "received 5 b", "received 5", "a"] {
        let failure = words("ok received 5 a", &format!("ok {wrong}"));
        assert_eq!(upload(&format!("ok ready\nok {wrong}\n")).0, Err(failure));
    }
    let (answer, written) = client(text, b"ok byebye\n", |r, w| r.byebye.unwrap()(w));
    assert_eq!((answer, written.as_str()), (Ok(()), "byebye\n"));
    for (name, why) in [
        ("a\nrm b", CONTROL),
        (" a", "in this dialect a name may not begin or end with a space"),
        ("a ", "in this dialect a name may not begin or end with a space"),
    ] {
        let sent = client(text, b"", |r, w| r.delete.unwrap()(w, name));
        assert_eq!(sent, (Err(why.to_owned()), String::new()));
    }
    // After a large refused upload the server closes: the connection is of no more use.
    for (size, in_step) in [(limits::DRAIN, true), (limits::DRAIN + 1, false)] {
        let reply = b"ok ready\nerror too-large x\n";
        let (settled, _) = client(text, reply, |r, w| {
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
fn the_client_half_of_struct() {
    let i = |n: i32| n.to_le_bytes();
    let latin = |parts: &[&[u8]]| -> String {
        parts.concat().iter().map(|byte| char::from(*byte)).collect()
    };
    let dialect = Dialect::Struct;
    let list = |reply: &[&[u8]]| {
        let request = |r: &Requests, w: &mut Wire| r.list_files.unwrap()(w, None);
        let (answer, written) = client(dialect, &reply.concat(), request);
        (answer.map(|listing| listed(&listing)), written)
    };
    let size =
        |reply: &[&[u8]]| client(dialect, &reply.concat(), |r, w| r.get_size.unwrap()(w, "a"));
    let rm = |reply: &[&[u8]]| client(dialect, &reply.concat(), |r, w| r.delete.unwrap()(w, "a"));
    let files = [("a".to_owned(), Some(5)), ("b".to_owned(), Some(0))];
    let reply: &[&[u8]] = &[&i(2), &i(1), b"a", &i(5), &i(1), b"b", &i(0), &i(5)];
    assert_eq!(list(reply), (Ok(files.into()), "ls11".to_owned()));
    for (reply, failure) in [
        (&[&i(-1)[..], b"xy"], unexpected("a number of files, not -1", b"\xff\xff\xff\xffxy")),
        (&[&i(1)[..], &i(5000)], unexpected("the length of a name, not 5000", i(5000))),
        (&[&i(0)[..], &i(3)], unexpected("0 as the total of the sizes", b"3")),
    ] {
        assert_eq!(list(reply).0, Err(failure));
    }
    let bad_size: &[&[u8]] = &[&i(1), &i(1), b"a", &i(-2)];
    assert_eq!(list(bad_size).0, Err(unexpected("the size of a file, not -2", i(-2))));
    let bad_name: &[&[u8]] = &[&i(1), &i(1), b"\xff", &i(0)];
    assert_eq!(list(bad_name).0, Err(unexpected("a name in UTF-8", b"\xff")));
    let folder = client(dialect, b"", |r, w| {
        r.list_files.unwrap()(w, Some("docs")).map(|listing| listed(&listing))
    });
    assert_eq!(folder, (Err(why(Failure::lacks("struct", "ls FOLDER"))), String::new()));
    assert_eq!(size(&[b"ready", &i(5)]), (Ok(5), latin(&[b"size\x01\0a"])));
    assert_eq!(size(&[b"ready", &i(-1)]).0, Err(not_found()));
    assert_eq!(size(&[b"ready", &i(-2)]).0, Err(unexpected("a size, or -1", b"-2")));
    assert_eq!(size(&[b"hello"]).0, Err(words("ready", "hello")));
    assert_eq!(size(&[b""]).0, Err(closed()));
    assert_eq!(rm(&[b"ready", &i(1)]), (Ok(()), latin(&[b"rm\x01\0aY"])));
    assert_eq!(rm(&[b"ready", &i(-1)]).0, Err(not_found()));
    assert_eq!(rm(&[b"ready", &i(5)]).0, Err(words("1|-1", "5")));
    let (answer, written) = client(dialect, b"", |r, w| r.byebye.unwrap()(w));
    assert_eq!((answer, written.as_str()), (Ok(()), "byebye"));
    let longest = "n".repeat(32_767);
    assert_eq!(
        client(dialect, b"", |r, w| r.get_size.unwrap()(w, &(longest.clone() + "n"))).0,
        Err("in this dialect a name may be at most 32767 bytes".to_owned())
    );
    assert!(client(dialect, b"", |r, w| r.get_size.unwrap()(w, &longest)).1.starts_with("size"));
    let large = client(dialect, b"", |r, w| r.upload.unwrap().run(w, "a", 1 << 31, &mut xs));
    let why = "in this dialect a file may be at most 2147483647 bytes";
    assert_eq!(large, (Err(why.to_owned()), String::new()));
    // A file that cannot be kept is taken off the wire all the same.
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
    let reply = [b"ready", &i(5)[..], b"hello", &i(0), b"connected"].concat();
    let (answer, written) = client(dialect, &reply, |r, w| {
        let kept = r.download.unwrap().run(w, "a", &mut Full);
        r.connme.unwrap()(w)?;
        kept
    });
    assert_eq!(answer, Err("read a: full".to_owned()));
    assert_eq!(written, latin(&[b"download\x01\0a1connme"]));
}

#[test]
fn the_client_halves_of_filesaver_json_and_count() {
    let saver = Dialect::Filesaver;
    let fetch = |dialect: Dialect, reply: &[u8]| {
        let mut kept = Kept::default();
        let (answer, written) =
            client(dialect, reply, |r, w| r.download.unwrap().run(w, "a", &mut kept));
        (answer.map(|size| (size, kept.0)), written)
    };
    let sent = "RECEIVE\na\n".to_owned();
    assert_eq!(fetch(saver, b"OKa<SEPARATOR>5hello"), (Ok((5, b"hello".to_vec())), sent));
    assert_eq!(fetch(saver, b"OKa<SEPARATOR>212").0, Ok((2, b"12".to_vec())));
    assert_eq!(fetch(saver, b"OKERROR: File not found").0, Err(not_found()));
    assert_eq!(fetch(saver, b"NO").0, Err(words("OK", "NO")));
    assert_eq!(fetch(saver, b"OKb<SEPARATOR>5hello").0.unwrap_err(), {
        words("a<SEPARATOR>", "b<SEPARATOR>5hello")
    });
    let cut = fetch(saver, b"OKa<SEPARATOR>9hello").0.unwrap_err();
    assert!(cut.ends_with("middle of a message; 5 of 9 bytes came"), "{cut}");
    let upload = |dialect: Dialect, name: &str, reply: &[u8]| {
        client(dialect, reply, |r, w| r.upload.unwrap().run(w, name, 5, &mut xs))
    };
    let said = "SEND\na\na<SEPARATOR>5\nxxxxx<end>".to_owned();
    assert_eq!(upload(saver, "a", b"OK"), (Ok(None), said));
    for (name, why) in
        [("a\nb", CONTROL), ("a<SEPARATOR>b", "in this dialect a name may not contain <SEPARATOR>")]
    {
        let failed = (Err(why.to_owned()), String::new());
        assert_eq!(upload(saver, name, b"OK"), failed);
    }

    let json = Dialect::Json;
    let record = |name: &str, size: u32| {
        let id = "6f9619ff-8b86-4011-b42d-00cf4fc964ff";
        format!("{{\"id\":\"{id}\",\"nama_file\":\"{name}\",\"size\":{size},\"type\":\"\"}}")
    };
    let rm = |reply: &str| client(json, reply.as_bytes(), |r, w| r.delete.unwrap()(w, "a"));
    let ok = |name: &str, size: u32| format!("OK {}\r\n", record(name, size));
    let asked = "{\"aksi\":\"hapus\",\"file\":\"a\"}\n".to_owned();
    assert_eq!(rm(&ok("a", 5)), (Ok(()), asked));
    let of_a = "'OK' and the record of a";
    assert_eq!(rm(&ok("b", 5)).0, Err(unexpected(of_a, ok("b", 5).trim_end())));
    assert_eq!(rm("null").0, Err(not_found()));
    assert_eq!(rm("ERRCMD\r\n").0, Err(refused("unknown-command", "ERRCMD")));
    assert_eq!(rm("ERROR busy later\r\n").0, Err(refused("busy", "later")));
    assert_eq!(rm("ERROR\r\n").0, Err(words("ERROR CODE MESSAGE", "ERROR")));
    assert_eq!(rm("ERROR \r\n").0, Err(words("ERROR CODE MESSAGE", "ERROR ")));
    assert_eq!(rm("OK {}\r\n").0, Err(unexpected(of_a, "OK {}")));
    let file = fetch(json, format!("{}\r\nhello", record("a", 5)).as_bytes());
    let asked = "{\"aksi\":\"get\",\"file\":\"a\"}\n".to_owned();
    assert_eq!(file, (Ok((5, b"hello".to_vec())), asked));
    assert_eq!(fetch(json, b"null").0, Err(not_found()));
    assert_eq!(fetch(json, b"{}\r\n").0, Err(unexpected("a record", "{}")));
    let asked = "{\"aksi\":\"transfer\",\"file\":\"a.b\",\"size\":5,\"type\":\".b\"}\nxxxxx";
    let stored = (Ok(Some("a_1.b".to_owned())), asked.to_owned());
    assert_eq!(upload(json, "a.b", ok("a_1.b", 5).as_bytes()), stored);
    for wrong in [ok("b", 5), ok("a", 4), "null".to_owned()] {
        let failure = Err(unexpected("'OK' and the record of a with 5 bytes", wrong.trim_end()));
        assert_eq!(upload(json, "a", wrong.as_bytes()).0, failure);
    }
    let list = |reply: &str| {
        client(json, reply.as_bytes(), |r, w| r.list_files.unwrap()(w, None))
            .0
            .map(|listing| listed(&listing))
    };
    let (a, b) = (record("a", 5), record("b]}\\\"[{", 7));
    let both = vec![("a".to_owned(), Some(5)), ("b]}\"[{".to_owned(), Some(7))];
    for reply in [format!("[{a},{b}]\r\n"), format!("[ {a} , {b} ] \r\n")] {
        assert_eq!(list(&reply), Ok(both.clone()), "{reply}");
    }
    assert_eq!(list("[]\r\n"), Ok(vec![]));
    let size = |name: &str| {
        let reply = format!("[{a}]\r\n");
        client(json, reply.as_bytes(), |r, w| r.get_size.unwrap()(w, name)).0
    };
    assert_eq!((size("a"), size("b")), (Ok(5), Err(not_found())));
    let nested = "[".repeat(9) + &"]".repeat(9);
    let nested = format!("{{\"x\":{nested},{}", a.strip_prefix('{').unwrap());
    assert_eq!(list(&format!("[{nested}]\r\n")).unwrap().len(), 1);
    for (reply, expected, got) in [
        ("null".to_owned(), "a list", "null".to_owned()),
        ("{}\r\n".to_owned(), "a list", "{}".to_owned()),
        (format!("[{a}{b}]\r\n"), "a record", b),
        ("[{}]\r\n".to_owned(), "a record", "{}".to_owned()),
        ("[]x\r\n".to_owned(), "the end of the list", "x".to_owned()),
    ] {
        assert_eq!(list(&reply), Err(unexpected(expected, &got)), "{reply}");
    }
    assert_eq!(list("ERROR busy later\r\n"), Err(refused("busy", "later")));
    let long = format!("[{{\"x\":\"{}", "x".repeat(limits::REPLY_LINE * 2));
    let failure = list(&long).unwrap_err();
    assert!(failure.starts_with("expected a shorter record, "), "{failure}");

    let count = |text: &str, reply: &str| {
        client(Dialect::Count, reply.as_bytes(), |r, w| r.count.unwrap()(w, text))
    };
    assert_eq!(count("halo", "4"), (Ok(4), "halo\n<end>".to_owned()));
    assert_eq!(count("halo", "").0, Err(closed()));
    assert_eq!(count("halo", "four").0, Err(unexpected("a number", "four")));
    assert_eq!(count("halo", "error: busy").0, Err(refused("busy", "busy")));
    assert_eq!(count("halo", "error: not UTF-8").0, Err(refused("bad-request", "not UTF-8")));
    for text in ["a\nb", "a\r"] {
        let failure = "in this dialect a text ends at the first line break".to_owned();
        assert_eq!(count(text, "1"), (Err(failure), String::new()));
    }
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
fn text_ends_a_conversation_where_it_has_to() {
    check(
        Dialect::Text,
        &[
            (&[b"byebye\nconnme\n"], b"ok byebye\n"),
            (
                &[b"byebye now\nconnme\n"],
                b"error bad-request this command takes no argument\nok connected\n",
            ),
            (&[b"\x01\nconnme\n"], b"error bad-request that is not text\n"),
            (&[b"GET / HTTP/1.1\nconnme\n"], b"error bad-request this is not a web server\n"),
            (
                &[b"upload .x\n-5\nconnme\n"],
                b"error bad-name no part of a name may begin with a dot\nerror bad-request a size \
                  header where a command is expected: wait for 'ok ready' before it\n",
            ),
            // A sign alone is no number.
            (
                &[b"-\nconnme\n"],
                b"error unknown-command type help for the commands\nok connected\n",
            ),
            (&[b"a\tb\x1b[A\x08\n"], b"error unknown-command type help for the commands\n"),
            (
                &[b"upload b\nfive\nconnme\n"],
                b"ok ready\nerror bad-request a size is 1 to 19 decimal digits\n",
            ),
            (&[b"upload b\n"], b"ok ready\n"),
        ],
    );
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
    fn set_read_timeout(&mut self, timeout: Duration) -> std::io::Result<()> {
        self.0.set_read_timeout(timeout)
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
    for (dialect, said) in [
        (Dialect::Text, "size a\n"),
        (Dialect::Struct, "connme"),
        (Dialect::Json, "{\"aksi\":\"hapus\",\"file\":\"a\"}\n"),
    ] {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("a"), "").unwrap();
        let path = root.path().join(".log");
        let log = Log::open(Some(&path), Lang::En).unwrap();
        let store = Arc::new(Store::open(root.path(), Options::default(), &log).unwrap());
        let session = log.session("192.0.2.1:1".parse().unwrap(), dialect.name());
        let seen = Arc::default();
        let script = Script::whole(said).0;
        let stream = Watched(script, path.clone(), log.clone(), Arc::clone(&seen));
        let mut wire = Wire::new(Box::new(stream), WireConfig::default());
        dialect.handle_client(&mut wire, &store.of_client(None), &session).unwrap();
        wire.close_and_wait();
        log.flush();
        assert!(std::fs::read_to_string(path).unwrap().contains(" ok\n"), "{}", dialect.name());
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
