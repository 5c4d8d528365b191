//! Messages out of bytes, however the bytes arrive.

use super::script::{Script, Step, Written};
use super::*;
use crate::error::{Awaited, Waited};
use std::sync::Arc;

fn wire((script, written): (Script, Written)) -> (Wire, Written) {
    (Wire::new(Box::new(script), WireConfig::default()), written)
}

/// Runs a reader over the same bytes whole, one byte a read, and with reads of one byte.
fn three_ways(bytes: &[u8], mut check: impl FnMut(&mut Wire)) {
    check(&mut wire(Script::whole(bytes)).0);
    check(&mut wire(Script::bytewise(bytes)).0);
    let config = WireConfig::default().with_buffer(Some(1));
    check(&mut Wire::new(Box::new(Script::whole(bytes).0), config));
}

#[test]
fn lines_end_at_lf_however_they_arrive() {
    three_ways(b"one\r\n\ntwo words\nlast", |wire| {
        assert_eq!(wire.read_line(9).unwrap().unwrap(), b"one");
        assert_eq!(wire.read_line(9).unwrap().unwrap(), b"");
        assert_eq!(wire.read_line(9).unwrap().unwrap(), b"two words");
        let cut = wire.read_line(9).unwrap_err();
        assert_eq!((cut.word(), cut.closes()), ("bad-request", true));
    });
}

#[test]
fn a_clean_end_is_no_error() {
    three_ways(b"one\n", |wire| {
        assert!(wire.read_line(9).unwrap().is_some());
        assert!(wire.read_line(9).unwrap().is_none());
        assert!(wire.read_line(9).unwrap().is_none());
    });
}

#[test]
fn a_line_may_have_just_so_many_bytes() {
    for (end, ok) in [("\n", true), ("\r\n", true), ("5\n", false), ("5\r\n", false)] {
        three_ways(format!("1234{end}").as_bytes(), |wire| {
            assert_eq!(wire.read_line(4).is_ok(), ok, "{end:?}");
        });
    }
    // No end mark at all: refused as soon as it is too long, not when memory is full.
    three_ways(&[b'a'; 100_000], |wire| {
        assert_eq!(wire.read_line(4).unwrap_err().word(), "bad-request");
        assert!(wire.input.capacity() < 5_000);
    });
}

#[test]
fn a_word_ends_at_lf_at_a_pause_or_with_the_stream() {
    let pause = Duration::from_millis(100);
    let bytes = |bytes: &str| Step::Bytes(bytes.into());
    let (mut wire, _) = wire(Script::new([
        bytes("SE"),
        bytes("ND"),
        Step::Pause,
        bytes("a.t"),
        bytes("xt\r\nb\n\nc"),
        Step::Pause,
        bytes("last"),
    ]));
    for expected in ["SEND", "a.txt", "b", "", "c", "last"] {
        assert_eq!(wire.read_word(9, pause).unwrap().unwrap(), expected.as_bytes());
    }
    assert!(wire.read_word(9, pause).unwrap().is_none());
    for (word, ok) in
        [("1234\n", true), ("1234\r\n", true), ("1234", true), ("12345\n", false), ("12345", false)]
    {
        three_ways(word.as_bytes(), |wire| assert_eq!(wire.read_word(4, pause).is_ok(), ok));
    }
}

#[test]
fn a_known_word_ends_where_its_bytes_say() {
    three_ways(b"lsrm \r\nlsupload", |wire| {
        for expected in ["ls", "rm", "ls", "upload"] {
            assert_eq!(wire.read_word_of(&["ls", "rm", "upload"]).unwrap(), Some(expected));
        }
        assert_eq!(wire.read_word_of(&["ls"]).unwrap(), None);
    });
    three_ways(b"lx", |wire| assert!(wire.read_word_of(&["ls"]).unwrap_err().closes()));
    three_ways(b"uplo", |wire| {
        assert_eq!(wire.read_word_of(&["upload"]).unwrap_err().word(), "gone");
    });
}

/// A word byte by byte costs what a line byte by byte costs: no byte is looked at twice.
#[test]
fn a_long_word_is_searched_once() {
    let bytes = vec![b'a'; limits::MESSAGE];
    let looked_at = |take: &dyn Fn(&mut Wire)| {
        let mut wire = wire(Script::bytewise(&bytes)).0;
        take(&mut wire);
        wire.input.searched.get()
    };
    let line = looked_at(&|wire| assert!(wire.read_line(limits::MESSAGE).is_err()));
    let pause = Duration::from_secs(9);
    let word = looked_at(&|wire| assert!(wire.read_word(limits::MESSAGE, pause).is_ok()));
    let before = looked_at(&|wire| assert!(wire.read_before(b"<>", limits::MESSAGE).is_err()));
    assert_eq!((line, word), (bytes.len(), bytes.len()));
    // The first byte of a mark may be there already.
    assert!(before <= bytes.len() * 2, "{before}");
}

#[test]
fn a_mark_is_found_where_its_bytes_came_apart() {
    three_ways(b"a<<SEP>b<SEP>", |wire| {
        assert_eq!(wire.read_before(b"<SEP>", 9).unwrap(), b"a<");
        assert_eq!(wire.read_before(b"<SEP>", 9).unwrap(), b"b");
    });
}

#[test]
fn a_part_ends_where_it_is_said_to_and_the_whole_is_one_message() {
    three_ways(b"[ab][c]\n", |wire| {
        let ends = &mut |byte| byte == b']';
        assert_eq!(wire.read_part(9, ends).unwrap(), b"[ab]");
        assert_eq!(wire.read_part(9, ends).unwrap(), b"[c]");
        assert_eq!(wire.read_line(9).unwrap().unwrap(), b"");
        assert_eq!(wire.read_part(9, ends).unwrap_err().word(), "gone");
    });
    three_ways(&[b'a'; 100_000], |wire| {
        assert_eq!(wire.read_part(9, &mut |_| false).unwrap_err().word(), "bad-request");
    });
}

#[test]
fn a_line_may_be_all_that_a_peer_says() {
    three_ways(b"null", |wire| {
        assert_eq!(wire.read_line_or(b"null", 9).unwrap().unwrap(), b"null");
        assert!(wire.read_line_or(b"null", 9).unwrap().is_none());
    });
    three_ways(b"nul", |wire| assert!(wire.read_line_or(b"null", 9).is_err()));
    three_ways(b"null\r\n", |wire| {
        assert_eq!(wire.read_line_or(b"null", 9).unwrap().unwrap(), b"null");
    });
}

#[test]
fn a_long_wait_is_told_once_with_what_has_come() {
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (mut wire, _) = wire(Script::new([
        Step::Bytes(b"ok connected".to_vec()),
        Step::Pause, // The three seconds.
        Step::Bytes(b"\n".to_vec()),
        Step::Bytes(b"conn".to_vec()),
        Step::Pause, // The rest of the time.
    ]));
    let sink = Arc::clone(&told);
    wire.begin_exchange(Some(Arc::new(move |waited: &Waited| {
        sink.lock().unwrap().push(waited.clone());
    })));
    assert_eq!(wire.read_line(99).unwrap().unwrap(), b"ok connected");
    let waited = |got: &[u8], wanted| Waited { got: got.to_vec(), wanted };
    assert_eq!(*told.lock().unwrap(), [waited(b"ok connected", Awaited::Line)]);
    let error = wire.read_word_of(&["connected"]).unwrap_err();
    let wanted = Awaited::Words(&["connected"]);
    assert_eq!(error.waited(), Some(&waited(b"conn", wanted)));
    assert_eq!(told.lock().unwrap().len(), 1);
}

/// A wire that keeps what its notice is told.
fn with_notice(steps: Vec<Step>) -> (Wire, Arc<std::sync::Mutex<Vec<Awaited>>>) {
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (mut wire, _) = wire(Script::new(steps));
    let sink = Arc::clone(&told);
    wire.begin_exchange(Some(Arc::new(move |waited: &Waited| {
        sink.lock().unwrap().push(waited.wanted);
    })));
    (wire, told)
}

#[test]
fn a_payload_that_stalls_is_told_once_and_goes_on() {
    let bytes = |bytes: &str| Step::Bytes(bytes.into());
    let steps = || vec![bytes("hel"), Step::Pause, bytes("lo")];
    let (mut wire, told) = with_notice(steps());
    wire.expect_payload(5);
    let mut got = Vec::new();
    wire.read_payload::<Error>(&mut |bytes| {
        got.extend_from_slice(bytes);
        Ok(())
    })
    .unwrap();
    assert_eq!(got, b"hello");
    assert_eq!(*told.lock().unwrap(), [Awaited::Payload { came: 3, size: Some(5) }]);

    let (mut wire, told) = with_notice(steps());
    wire.read_to_end::<Error>(&mut |_| Ok(())).unwrap();
    assert_eq!(*told.lock().unwrap(), [Awaited::Payload { came: 3, size: None }]);

    // The second stall is too long.
    let (mut wire, told) = with_notice(vec![bytes("hel"), Step::Pause, Step::Pause]);
    wire.expect_payload(5);
    let error = wire.read_payload::<Error>(&mut |_| Ok(())).unwrap_err();
    assert_eq!((error.word(), told.lock().unwrap().len()), ("timeout", 1));
}

/// A client that waits for a message in several steps gives its notice as early as with one.
#[test]
fn a_notice_is_due_by_the_time_since_the_last_message() {
    let steps = vec![Step::Pause, Step::Bytes(b"re".to_vec()), Step::Bytes(b"ceived".to_vec())];
    let (mut wire, _) = with_notice(steps);
    assert!(!wire.wait_for_any(Duration::from_secs(2), Awaited::Line).unwrap());
    let since = wire.exchange.awaiting_since();
    assert!(since.is_some());
    assert!(wire.wait_for_any(Duration::from_secs(2), Awaited::Line).unwrap());
    assert_eq!(wire.exchange.awaiting_since(), since);
    assert!(wire.read_word_of(&["received"]).is_ok());
    assert_eq!(wire.exchange.awaiting_since(), None);
    // A list in parts that come is not late.
    let (mut wire, _) = with_notice(vec![Step::Bytes(b"[a][b".to_vec())]);
    assert_eq!(wire.read_part(9, &mut |byte| byte == b']').unwrap(), b"[a]");
    assert_eq!((wire.exchange.awaiting_since(), wire.has_reply()), (None, true));
}

#[test]
fn what_has_arrived_is_taken_without_waiting() {
    let bytes = |bytes: &str| Step::Bytes(bytes.into());
    let (mut wire, _) =
        wire(Script::new([bytes("a\nb"), Step::Pause, bytes("c"), Step::Pause, Step::Pause]));
    assert_eq!(wire.take_arrived().unwrap(), b"a\nb");
    assert_eq!(wire.take_arrived().unwrap(), b"c");
    assert_eq!(wire.take_arrived().unwrap(), b"");
    assert_eq!(wire.take_arrived().unwrap_err().word(), "gone");
}

#[test]
fn bytes_are_counted_and_what_follows_stays() {
    three_ways(b"\x05\0\0\0hello!", |wire| {
        assert_eq!(i32::from_le_bytes(wire.read_array().unwrap()), 5);
        assert_eq!(wire.peek(3, Duration::from_millis(100)).unwrap().get(..3).unwrap(), b"hel");
        assert_eq!(wire.read_bytes(5).unwrap(), b"hello");
        let mut rest = Vec::new();
        wire.read_to_end::<Error>(&mut |piece| {
            rest.extend_from_slice(piece);
            Ok(())
        })
        .unwrap();
        assert_eq!(rest, b"!");
        assert_eq!(wire.read_bytes(1).unwrap_err().word(), "gone");
    });
}

#[test]
fn a_payload_is_exactly_its_size() {
    three_ways(b"x\nhello\nrest\n", |wire| {
        wire.read_line(9).unwrap();
        wire.expect_payload(5);
        let mut got = Vec::new();
        wire.read_payload::<Error>(&mut |piece| {
            got.extend_from_slice(piece);
            Ok(())
        })
        .unwrap();
        assert_eq!(got, b"hello");
        assert_eq!(wire.read_line(9).unwrap().unwrap(), b"");
        assert_eq!(wire.read_line(9).unwrap().unwrap(), b"rest");
    });
}

#[test]
fn a_payload_that_stops_short_is_an_error() {
    three_ways(b"hell", |wire| {
        wire.expect_payload(5);
        assert_eq!(wire.read_payload::<Error>(&mut |_| Ok(())).unwrap_err().word(), "gone");
    });
}

#[test]
fn no_line_is_read_out_of_a_payload_that_nobody_took() {
    three_ways(b"rm a\nrm b\nls\n", |wire| {
        wire.expect_payload(10);
        let full = || Err(Error::new(Code::NoSpace, "full"));
        assert_eq!(wire.read_payload(&mut |_| full()).unwrap_err().word(), "no-space");
        assert_eq!(wire.read_line(9).unwrap().unwrap(), b"ls");
    });
    let (mut wire, _) = wire(Script::whole("rm a\n"));
    wire.expect_payload(limits::DRAIN + 1);
    assert!(!wire.settle().unwrap());
    assert!(wire.read_line(9).unwrap_err().closes());
}

#[test]
fn silence_is_a_timeout_that_closes() {
    for steps in [vec![], vec![Step::Bytes(b"half".to_vec())]] {
        let (mut wire, _) = wire(Script::new(steps.into_iter().chain([Step::Pause])));
        let error = wire.read_line(9).unwrap_err();
        assert_eq!((error.word(), error.closes()), ("timeout", true));
    }
}

#[test]
fn what_was_said_leaves_before_we_wait_and_in_one_write() {
    let (mut wire, written) = wire(Script::whole("a\nb\nc\n"));
    for reply in ["1\n", "2\n", "3\n"] {
        wire.read_line(9).unwrap();
        wire.write(reply.as_bytes()).unwrap();
    }
    assert_eq!(written.text(), "");
    assert!(wire.read_line(9).unwrap().is_none());
    assert_eq!((written.text().as_str(), written.writes()), ("1\n2\n3\n", 1));
}

#[test]
fn a_header_and_its_payload_are_sent_together() {
    for (size, writes) in [(5, 1), (20_000, 1), (600_000, 2)] {
        let (mut wire, written) = wire(Script::whole(""));
        wire.write(b"ok\n").unwrap();
        wire.write_payload::<Error>(size, &mut |room| {
            room.fill(b'x');
            Ok(room.len().min(7_000))
        })
        .unwrap();
        wire.flush().unwrap();
        assert_eq!(written.bytes().len() as u64, size + 3);
        assert_eq!(written.writes(), writes, "{size}");
    }
}

#[test]
fn a_source_that_dries_up_ends_the_conversation() {
    let (mut wire, _) = wire(Script::whole(""));
    let mut supply = [4, 0].into_iter();
    let error = wire.write_payload::<Error>(5, &mut |_| Ok(supply.next().unwrap())).unwrap_err();
    assert!(error.closes());
}

#[test]
fn a_close_is_said_before_it_is_done() {
    let (mut wire, written) = wire(Script::whole("unread"));
    wire.write(b"bye").unwrap();
    wire.close();
    assert_eq!(written.text(), "bye<end>");
}
