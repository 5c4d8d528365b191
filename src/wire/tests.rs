//! Messages out of bytes, however the bytes arrive.

use super::script::{Script, Step, Taken, Written};
use super::stream::Ending;
use super::*;

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
        assert!(wire.memory() < 5_000);
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

/// Byte by byte a long message costs what it costs at once.
#[test]
fn no_byte_is_searched_twice() {
    for (mark, may_have_begun) in [(b"\n".as_slice(), 0), (b"<>", 1)] {
        let mut input = Input::NONE;
        for length in 1..100 {
            input.add(b"a");
            assert_eq!(input.find(mark), None);
            assert_eq!(input.searched, length - may_have_begun);
        }
        // What was searched is not seen again.
        input.bytes.iter_mut().zip(mark).for_each(|(old, new)| *old = *new);
        assert_eq!(input.find(mark), None);
        input.add(mark);
        assert_eq!(input.find(mark), Some(99));
    }
}

#[test]
fn a_mark_is_found_where_its_bytes_came_apart() {
    three_ways(b"a<<SEP>b<SEP>", |wire| {
        assert_eq!(wire.read_until(b"<SEP>", 9).unwrap(), b"a<");
        assert_eq!(wire.read_until(b"<SEP>", 9).unwrap(), b"b");
    });
}

#[test]
fn a_part_ends_where_it_is_said_to_and_the_whole_is_one_message() {
    three_ways(b"[ab][c]\n", |wire| {
        let ends = &mut |byte| byte == b']';
        assert_eq!(wire.read_part(9, ends).unwrap(), b"[ab]");
        assert_eq!(wire.read_part(9, ends).unwrap(), b"[c]");
        assert_eq!(wire.messages().0, 2);
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
fn messages_are_counted_and_one_has_begun_with_its_first_byte() {
    let (mut wire, _) = wire(Script::whole("ok\nerr"));
    assert_eq!(wire.messages(), (0, false));
    wire.read_line(9).unwrap();
    assert_eq!(wire.messages(), (1, true));
    wire.read_bytes(3).unwrap();
    assert_eq!(wire.messages(), (2, false));
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

/// A client that was killed in a stall had lost what came before it.
#[test]
fn what_has_come_of_a_payload_is_handed_on_before_more_is_waited_for() {
    let bytes = |bytes: &[u8]| Step::Bytes(bytes.to_vec());
    let (mut wire, _) = wire(Script::new([bytes(b"hel"), bytes(b"l"), Step::Pause, bytes(b"o")]));
    let mut pieces = Vec::new();
    wire.expect_payload(5);
    let read = wire.read_payload::<Error>(&mut |piece| {
        pieces.push(String::from_utf8_lossy(piece).into_owned());
        Ok(())
    });
    // First what had come before the payload: nothing.
    assert_eq!(pieces, ["", "hel", "l"]);
    assert_eq!(read.unwrap_err().word(), "timeout");
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
        let error = wire.read_payload::<Error>(&mut |_| Ok(())).unwrap_err();
        assert_eq!(error.word(), "gone");
        let expected = Expected::Payload { came: 4, size: Some(5) };
        assert_eq!(error.partial().unwrap().expected, expected);
    });
}

#[test]
fn no_line_is_read_out_of_a_payload_that_was_not_taken() {
    three_ways(b"rm a\nrm b\nls\n", |wire| {
        wire.expect_payload(10);
        let full = || Err(Error::new(Code::NoSpace, "full"));
        assert_eq!(wire.read_payload(&mut |_| full()).unwrap_err().word(), "no-space");
        assert!(wire.drop_owed_payload().unwrap());
        assert_eq!(wire.read_line(9).unwrap().unwrap(), b"ls");
    });
    let (mut wire, _) = wire(Script::whole("rm a\n"));
    wire.expect_payload(limits::DRAIN + 1);
    assert!(!wire.drop_owed_payload().unwrap());
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
    for (size, writes) in [(5, 1), (20_000, 1), (600_000, 7)] {
        let (script, written) = Script::whole("");
        let config = WireConfig { single_write: None, ..WireConfig::default() };
        let mut wire = Wire::new(Box::new(script), config);
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
    wire.close_and_wait();
    assert_eq!(written.text(), "bye<end>");
}

#[test]
fn a_close_sends_what_was_written_and_does_not_wait() {
    let (mut wire, written) = wire(Script::whole("unread"));
    wire.write(b"bye").unwrap();
    wire.close();
    assert_eq!((written.text().as_str(), written.reads().len()), ("bye", 0));
}

#[test]
fn what_cannot_be_sent_is_not_waited_for() {
    let (script, written) = Script::whole("unread");
    let (mut wire, _) = wire((script.taking([Taken::Breaks]), written.clone()));
    wire.write(b"bye").unwrap();
    wire.close_and_wait();
    assert_eq!((written.text().as_str(), written.reads().len()), ("", 0));
}

#[test]
fn reads_ask_for_as_much_as_the_configuration_says() {
    let asked = |buffer: Option<usize>, size: u64| {
        let config = WireConfig::default().with_buffer(buffer);
        let (script, written) = Script::whole("line\nrest");
        let mut wire = Wire::new(Box::new(script), config);
        wire.read_line(99).unwrap();
        wire.expect_payload(size);
        let _ = wire.read_payload::<Error>(&mut |_| Ok(()));
        let reads = written.reads();
        (reads[0], *reads.last().unwrap())
    };
    assert_eq!(asked(None, 1 << 30), (limits::BUFFER_SIZE, limits::PAYLOAD_READ));
    assert_eq!(asked(Some(7), 1 << 30), (7, 7));
    // No more than is left.
    assert_eq!(asked(None, 5), (limits::BUFFER_SIZE, 1));
}

#[test]
fn a_payload_has_a_larger_buffer_once_it_has_filled_one() {
    let first = limits::PAYLOAD_READ;
    let asked = |sizes: &[usize]| {
        let steps = sizes.iter().map(|size| Step::Bytes(vec![b'x'; *size]));
        let (mut wire, written) = wire(Script::new(steps));
        wire.expect_payload(1 << 30);
        let _ = wire.read_payload::<Error>(&mut |_| Ok(()));
        written.reads()
    };
    // What a read asks for, and after it has brought that.
    assert_eq!(asked(&[first, 2 * first]), [first, 2 * first, limits::PAYLOAD_BUFFER]);
    assert_eq!(asked(&[first, 2 * first, 4 * first])[3], limits::PAYLOAD_BUFFER);
    assert_eq!(asked(&[first - 1, 1]), [first; 3]);
}

#[test]
fn a_peer_that_fills_the_buffer_is_asked_for_more() {
    let asked = |first: usize| {
        let mut lines = vec![b'\n'; first];
        lines.resize(limits::BUFFER_SIZE * 3, b'x');
        lines.push(b'\n');
        let steps = [lines[..first].to_vec(), lines[first..].to_vec()].map(Step::Bytes);
        let (mut wire, written) = wire(Script::new(steps));
        for _ in 0..=first {
            wire.read_line(9_999).unwrap().unwrap();
        }
        written.reads()[1]
    };
    assert_eq!(asked(limits::BUFFER_SIZE - 1), limits::BUFFER_SIZE);
    assert_eq!(asked(limits::BUFFER_SIZE), limits::FULL_READ);
}

/// An idle connection kept the larger buffer.
#[test]
fn a_peer_that_has_sent_a_large_file_is_asked_for_little_again() {
    let asked = |more: usize| {
        let steps = [limits::BUFFER_SIZE, more, 1].map(|count| Step::Bytes(vec![b'\n'; count]));
        let (mut wire, written) = wire(Script::new(steps));
        wire.wait_for_any(Duration::from_secs(1), Expected::Line).unwrap();
        wire.expect_payload((limits::BUFFER_SIZE + more) as u64);
        wire.read_payload::<Error>(&mut |_| Ok(())).unwrap();
        wire.read_line(0).unwrap().unwrap();
        *written.reads().last().unwrap()
    };
    assert_eq!(asked(limits::FULL_READ - 1), limits::FULL_READ);
    assert_eq!(asked(limits::FULL_READ), limits::BUFFER_SIZE);
}

#[test]
fn a_signal_interrupts_nothing() {
    let steps = [Step::Interruption, Step::Bytes(b"a\n".to_vec())];
    let (mut wire, _) = wire(Script::new(steps));
    assert_eq!(wire.read_line(9).unwrap().unwrap(), b"a");
}

#[test]
fn what_is_written_is_sent_at_once_when_it_is_much() {
    let (mut wire, written) = wire(Script::whole(""));
    let almost = vec![b'x'; limits::SMALL_REPLY - 1];
    wire.write(&almost).unwrap();
    assert_eq!(written.writes(), 0);
    write!(wire, "x").unwrap();
    assert_eq!((written.writes(), written.bytes().len()), (1, limits::SMALL_REPLY));
}

#[test]
fn no_buffer_stays_with_the_connection() {
    let (mut wire, _) = wire(Script::new([Step::Bytes(b"12345".to_vec())]));
    wire.write(b"small").unwrap();
    assert!(wire.memory() > 0);
    wire.flush().unwrap();
    assert_eq!(wire.memory(), 0);
    // The same for what is read.
    wire.read_bytes(4).unwrap();
    assert!(wire.memory() > 0);
    wire.read_bytes(1).unwrap();
    assert_eq!(wire.memory(), 0);
}

#[test]
fn a_reply_leaves_when_it_is_complete_and_no_request_waits() {
    let (mut wire, written) = wire(Script::whole("a\nb\n"));
    for (reply, sent) in [("1\n", ""), ("2\n", "1\n2\n")] {
        wire.read_line(9).unwrap();
        wire.write(reply.as_bytes()).unwrap();
        wire.end_reply().unwrap();
        assert_eq!(written.text(), sent);
    }
}

#[test]
fn a_pause_and_an_end_come_after_what_was_written() {
    let (mut wire, written) = wire(Script::whole(""));
    wire.write(b"a").unwrap();
    wire.pause(Duration::from_millis(1)).unwrap();
    wire.write(b"b").unwrap();
    wire.end_writing().unwrap();
    assert_eq!(written.text(), "a<pause>b<end>");
}

#[test]
fn writes_go_on_after_short_ones_interruptions_and_waits() {
    let (script, written) = Script::whole("");
    let taken = [Taken::Some(2), Taken::Interrupted, Taken::Waits, Taken::Some(1)];
    let config = WireConfig { single_write: None, ..WireConfig::default() };
    let mut wire = Wire::new(Box::new(script.taking(taken)), config);
    wire.write(b"12345").unwrap();
    wire.flush().unwrap();
    assert_eq!((written.text().as_str(), written.writes()), ("12345", 5));
}

#[test]
fn where_writes_are_not_repeated_each_is_small_and_the_first_wait_is_the_last() {
    let once = || WireConfig { single_write: Some(SINGLE_WRITE), ..WireConfig::default() };
    let (script, written) = Script::whole("");
    let mut wire = Wire::new(Box::new(script.taking([Taken::Interrupted])), once());
    wire.write(&vec![b'a'; SINGLE_WRITE * 2 + 1]).unwrap();
    assert_eq!((written.bytes().len(), written.writes()), (SINGLE_WRITE * 2 + 1, 4));
    let (script, written) = Script::whole("");
    let mut wire = Wire::new(Box::new(script.taking([Taken::Some(2), Taken::Waits])), once());
    wire.write(b"12345").unwrap();
    assert!(wire.flush().unwrap_err().is(Code::Timeout));
    assert!(wire.flush().is_err() && !wire.can_write());
    wire.write(b"6").unwrap();
    assert!(wire.flush().is_err());
    assert_eq!((written.text().as_str(), written.writes()), ("12", 2));
}

#[test]
fn after_a_failed_write_what_the_peer_had_sent_is_still_read() {
    for broken in [Taken::Breaks, Taken::Some(0)] {
        let (script, written) = Script::whole("error busy\nmore\n");
        let mut wire = Wire::new(Box::new(script.taking([broken])), WireConfig::default());
        wire.write(b"12345").unwrap();
        assert!(wire.flush().unwrap_err().is_gone());
        assert!(wire.write_payload::<Error>(5, &mut |room| Ok(room.len())).is_ok());
        assert_eq!(wire.read_line(99).unwrap().unwrap(), b"error busy");
        assert!(!wire.drop_owed_payload().unwrap(), "the connection is of no more use");
        wire.close_and_wait();
        assert_eq!((written.text().as_str(), written.writes()), ("", 1));
    }
}

#[test]
fn a_close_reads_on_but_not_without_end() {
    let unread = |kibibytes: usize| {
        let steps = vec![Step::Bytes(vec![b'x'; 64 << 10]); kibibytes / 64];
        let (mut wire, written) = wire(Script::new(steps));
        wire.close_and_wait();
        assert_eq!(written.text(), "<end>");
        written.reads().len()
    };
    assert_eq!(unread(0), 1);
    assert_eq!(unread(640), 11);
    let most = usize::try_from(limits::CLOSE_BYTES >> 10).unwrap();
    assert_eq!(unread(most + 640), most / 64);
    // A timeout for each read, within the time for all.
    let (mut wire, written) = wire(Script::new([Step::Pause, Step::Bytes(b"x".to_vec())]));
    wire.close_and_wait();
    assert_eq!(written.reads().len(), 1);
    let waits = written.waits();
    assert!(waits[0] <= limits::CLOSE_TIME && waits[0] > limits::CLOSE_TIME / 2, "{waits:?}");
}

#[test]
fn a_connection_that_is_over_is_not_read_from() {
    let (mut wire, written) = wire(Script::whole(""));
    assert!(wire.read_line(9).unwrap().is_none());
    wire.write(b"bye").unwrap();
    wire.close_and_wait();
    assert_eq!((written.text().as_str(), written.reads().len()), ("bye", 1));
}

#[test]
fn a_connection_that_is_out_of_step_is_not_used_again() {
    let (mut wire, _) = wire(Script::whole("a\n"));
    assert!(wire.drop_owed_payload().unwrap());
    wire.mark_out_of_step();
    assert!(!wire.drop_owed_payload().unwrap());
}

/// The deadline of a message is set by its first byte, and no further byte moves it.
#[test]
fn a_message_has_a_deadline() {
    let config = WireConfig { message_time: Duration::ZERO, ..WireConfig::default() };
    let steps = || [Step::Bytes(b"ha".to_vec()), Step::Bytes(b"lf\n".to_vec())];
    let slow = |read: &dyn Fn(&mut Wire) -> bool| {
        let mut wire = Wire::new(Box::new(Script::new(steps()).0), config.clone());
        read(&mut wire)
    };
    let is_late = |error: Error| error.is(Code::Timeout) && error.partial().unwrap().got == b"ha";
    assert!(slow(&|wire| is_late(wire.read_line(9).unwrap_err())));
    assert!(slow(&|wire| is_late(wire.read_word(9, Duration::from_secs(9)).unwrap_err())));
    assert!(slow(&|wire| is_late(wire.read_bytes(5).unwrap_err())));
    assert!(slow(&|wire| is_late(wire.read_until(b"\n", 9).unwrap_err())));
    assert!(slow(&|wire| is_late(wire.read_part(9, &mut |b| b == b'\n').unwrap_err())));
    assert!(slow(&|wire| is_late(wire.read_to_close(9).unwrap_err())));
}

#[test]
fn a_wait_is_as_long_as_its_message_allows() {
    let config = WireConfig {
        idle: Duration::from_secs(100),
        message_time: Duration::from_secs(50),
        payload_window: Duration::from_secs(20),
        ..WireConfig::default()
    };
    let (script, written) = Script::bytewise("ab\n");
    let mut wire = Wire::new(Box::new(script), config.clone());
    wire.read_line(9).unwrap();
    let seconds = |waits: Vec<Duration>| -> Vec<u64> {
        waits.into_iter().map(|wait| (wait + Duration::from_millis(500)).as_secs()).collect()
    };
    assert_eq!(seconds(written.waits()), [100, 50, 50]);
    // A word waits for its pause only, and the next piece of a payload as long as all of it at its pace.
    let (script, written) = Script::bytewise("ab");
    let mut wire = Wire::new(Box::new(script), config.clone());
    wire.read_word(9, Duration::from_secs(7)).unwrap();
    assert_eq!(seconds(written.waits()), [100, 7, 7]);
    let (script, written) = Script::bytewise("ab");
    let mut wire = Wire::new(Box::new(script), config);
    wire.expect_payload(2);
    wire.read_payload::<Error>(&mut |_| Ok(())).unwrap();
    assert_eq!(seconds(written.waits()), [20, 20]);
}

/// After a byte in the 89th second another one was waited for for 90 more.
#[test]
fn what_a_payload_was_waited_for_is_not_waited_for_again() {
    let (mut wire, written) = wire(Script::bytewise("ab"));
    wire.expect_payload(2);
    let mut pace = Pace::new(limits::PAYLOAD_WINDOW, 9);
    pace.check(1, limits::PAYLOAD_WINDOW * 2 / 3).unwrap();
    assert_eq!(wire.read_piece(&mut [0; 2], &mut pace).unwrap(), 1);
    assert!(written.waits()[0] <= limits::PAYLOAD_WINDOW / 3, "{:?}", written.waits());
}

/// A server may have to read a large file before it answers. The message after that has the usual time again.
#[test]
fn one_message_may_begin_later_than_usual() {
    let ok = || Step::Bytes(b"ok\n".to_vec());
    let (mut wire, written) = wire(Script::new([ok(), ok()]));
    let (idle, more) = (WireConfig::default().idle, Duration::from_secs(1000));
    wire.allow(more);
    wire.read_bytes(3).unwrap();
    wire.read_bytes(3).unwrap();
    let [first, second] = written.waits()[..] else { panic!("two reads") };
    assert!(first > more && second <= idle, "{first:?} {second:?}");
}

#[test]
fn what_has_come_is_waited_for_and_stays_where_it_is() {
    let steps = [Step::Pause, Step::Bytes(b"ok\n".to_vec())];
    let (mut wire, written) = wire(Script::new(steps));
    let longest = Duration::from_secs(3);
    assert!(!wire.wait_for_any(longest, Expected::Line).unwrap(), "nothing has come");
    assert!(written.waits()[0] <= longest);
    for _ in 0..2 {
        assert!(wire.wait_for_any(longest, Expected::Line).unwrap());
    }
    assert_eq!(written.reads().len(), 2, "what is here needs no read");
    assert_eq!(wire.read_line(9).unwrap().unwrap(), b"ok");
    assert!(wire.wait_for_any(longest, Expected::Line).unwrap(), "the end has come");
}

#[test]
fn nothing_is_a_word_or_a_mark_of_its_own() {
    let pause = Duration::from_millis(100);
    // Silence before a word is a timeout, the end is none.
    let mut silent = wire(Script::new([Step::Pause])).0;
    assert!(silent.read_word(9, pause).unwrap_err().is(Code::Timeout));
    assert!(wire(Script::whole("")).0.read_word(9, pause).unwrap().is_none());
    assert!(wire(Script::new([Step::Pause])).0.peek(3, pause).unwrap_err().is(Code::Timeout));
    let (mut ended, _) = wire(Script::whole("ab"));
    assert_eq!(ended.peek(3, pause).unwrap(), b"ab");
    // Just as long as it may be, and one byte more.
    three_ways(b"1234<>5", |wire| assert_eq!(wire.read_until(b"<>", 5).unwrap(), b"1234"));
    three_ways(&[b'x'; 99], |wire| {
        assert!(wire.read_until(b"<>", 9).unwrap_err().is(Code::BadRequest));
        assert!(wire.read_part(9, &mut |_| false).unwrap_err().is(Code::BadRequest));
    });
    three_ways(b"123456789]", |wire| {
        assert_eq!(wire.read_part(9, &mut |byte| byte == b']').unwrap().len(), 10);
    });
    three_ways(b"12345", |wire| {
        assert_eq!(wire.read_to_close(9).unwrap(), b"12345");
        assert_eq!(wire.read_to_close(9).unwrap(), b"");
    });
    let (mut long, _) = wire(Script::bytewise("12345"));
    assert_eq!(long.read_to_close(3).unwrap(), b"1234");
}

#[test]
fn every_message_is_noted_with_its_length() {
    let (mut wire, written) = wire(Script::whole("line\r\nls\x05\0\0\0na<>[a][b]\nhelloend"));
    wire.read_line(9).unwrap();
    wire.read_word_of(&["ls"]).unwrap();
    wire.read_array::<4>().unwrap();
    wire.read_until(b"<>", 9).unwrap();
    wire.read_part(9, &mut |byte| byte == b']').unwrap();
    wire.read_line(9).unwrap();
    wire.expect_payload(5);
    wire.read_payload::<Error>(&mut |_| Ok(())).unwrap();
    wire.expect_payload(0);
    wire.read_payload::<Error>(&mut |_| Ok(())).unwrap();
    wire.read_to_end::<Error>(&mut |_| Ok(())).unwrap();
    wire.read_to_end::<Error>(&mut |_| Ok(())).unwrap();
    let expected = [
        ("line\r", 6, Ending::Lf),
        ("ls", 2, Ending::Word),
        ("\u{5}\0\0\0", 4, Ending::Width),
        ("na", 4, Ending::Mark),
        ("[a]", 3, Ending::Part),
        ("[b]", 4, Ending::Lf),
        ("", 5, Ending::Size),
        ("end", 3, Ending::Stream),
    ];
    assert_eq!(written.messages(), expected.map(|(text, n, end)| (text.to_owned(), n, end)));
}

#[test]
fn a_payload_that_is_not_wanted_is_dropped_if_it_is_small() {
    for (size, in_step) in [(limits::DRAIN, true), (limits::DRAIN + 1, false)] {
        let bytes = vec![b'x'; usize::try_from(size).unwrap()];
        let (mut wire, _) = wire(Script::new([Step::Bytes(bytes), Step::Bytes(b"a\n".to_vec())]));
        wire.expect_payload(size);
        assert_eq!(wire.drop_owed_payload().unwrap(), in_step, "{size}");
        assert_eq!(wire.read_line(9).is_ok(), in_step);
    }
}

#[test]
fn what_has_arrived_is_about_a_line_at_most() {
    let steps = vec![Step::Bytes(vec![b'x'; 1000]); 100];
    let (mut wire, _) = wire(Script::new(steps));
    let arrived = wire.take_arrived().unwrap().len();
    assert!((limits::REPLY_LINE..limits::REPLY_LINE + 5000).contains(&arrived), "{arrived}");
    let steps = [Step::Bytes(vec![b'x'; limits::REPLY_LINE]), Step::Bytes(b"more".to_vec())];
    let config = WireConfig::default().with_buffer(Some(1 << 20));
    let mut wire = Wire::new(Box::new(Script::new(steps).0), config);
    assert_eq!(wire.take_arrived().unwrap().len(), limits::REPLY_LINE);
}

#[test]
fn a_reset_is_not_a_silence() {
    let reset = |read: &dyn Fn(&mut Wire) -> Error| {
        let error = read(&mut wire(Script::new([Step::Reset])).0);
        assert!(error.is_gone() && error.cause() != error.sentence(), "{error}");
    };
    reset(&|wire| wire.read_line(9).unwrap_err());
    reset(&|wire| wire.take_arrived().unwrap_err());
    reset(&|wire| wire.read_to_end::<Error>(&mut |_| Ok(())).unwrap_err());
}

#[test]
fn a_socket_is_as_a_wire_needs_it() {
    use super::stream::{Stream, set_options};
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    set_options(&server).unwrap();
    assert!(server.nodelay().unwrap());
    assert_eq!(server.write_timeout().unwrap(), Some(limits::WRITE_WAIT));
    let timeout = server.try_clone().unwrap();
    let (mut socket, mut peer) = (server, client);
    socket.limit_wait(Duration::ZERO).unwrap();
    let shortest = timeout.read_timeout().unwrap().unwrap();
    assert!(!shortest.is_zero() && shortest < Duration::from_millis(100));
    socket.limit_wait(Duration::from_secs(9)).unwrap();
    assert_eq!(timeout.read_timeout().unwrap(), Some(Duration::from_secs(9)));
    // Nothing has come: no wait. What has come is read.
    assert!(stream::is_silence(&socket.read_now(&mut [0; 9]).unwrap_err()));
    assert_eq!(peer.write(b"hello").unwrap(), 5);
    peer.flush().unwrap();
    let mut buffer = [0; 9];
    assert_eq!(socket.read(&mut buffer).unwrap(), 5);
    assert_eq!(&buffer[..5], b"hello");
    // Something is unread, so the close is a reset.
    peer.write_all(b"more").unwrap();
    assert!(socket.force_reset());
    drop((socket, timeout));
    assert!(peer.read(&mut buffer).is_err());
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    let (mut socket, mut peer) = (server, client);
    peer.end_writing().unwrap();
    assert_eq!(socket.read(&mut buffer).unwrap(), 0);
    assert!(!socket.force_reset(), "nothing is unread");
    assert!(!Script::whole("").0.force_reset());
    let before = Instant::now();
    socket.pause(Duration::from_millis(20));
    assert!(before.elapsed() >= Duration::from_millis(20));
}

#[test]
fn a_look_ahead_stops_when_it_has_enough() {
    let steps = [b"ab".to_vec(), b"cd".to_vec(), b"ef".to_vec()].map(Step::Bytes);
    let (mut wire, _) = wire(Script::new(steps));
    assert_eq!(wire.peek(4, limits::WORD_PAUSE).unwrap(), b"abcd");
}

impl Wire {
    /// How much memory the buffers hold.
    pub(crate) fn memory(&self) -> usize {
        self.input.bytes.capacity() + self.output.capacity()
    }
}

fn over(script: (Script, Written)) -> Wire {
    wire(script).0
}

#[test]
fn acknowledgements_of_a_list_keep_its_pace_and_have_no_deadline_together() {
    let bytes = |bytes: &[u8]| Step::Bytes(bytes.to_vec());
    let (mut wire, written) = wire(Script::new([bytes(b"1"), bytes(b"2rest"), Step::Pause]));
    wire.write_list(|wire| {
        wire.read_acknowledgement()?;
        wire.list.as_mut().unwrap().check(0, limits::LIST_WINDOW / 3)?;
        wire.read_acknowledgement()
    })
    .unwrap();
    assert_eq!(wire.read_bytes(4).unwrap(), b"rest");
    let silent = wire.write_list(|wire| {
        wire.list.as_mut().unwrap().check(0, limits::LIST_WINDOW / 3)?;
        wire.read_acknowledgement()
    });
    assert!(silent.unwrap_err().is(Code::Timeout));
    // Each may take what is left of the time.
    let third = limits::LIST_WINDOW.as_secs() / 3;
    let waits: Vec<_> = written.waits().iter().map(|wait| wait.as_secs_f64().ceil()).collect();
    assert_eq!(waits, [3 * third, 2 * third, 2 * third].map(|seconds| seconds as f64));
    // With one acknowledgement less than it takes in time, the list ends.
    for (came, is_enough) in [(63, false), (64, true)] {
        let mut wire = over(Script::new([bytes(&[b'1'; 64])]));
        let wait =
            |wire: &mut Wire| wire.list.as_mut().unwrap().check(0, limits::LIST_WINDOW * 2 / 3);
        let ended = wire.write_list(|wire| {
            wait(wire)?;
            (0..came).try_for_each(|_| wire.read_acknowledgement())?;
            wait(wire)
        });
        assert_eq!(ended.is_ok(), is_enough);
        assert!(wire.list.is_none());
    }
}

#[test]
fn the_pace_of_a_list_is_kept_over_all_its_writes() {
    let mut wire = over(Script::new([]));
    let ended = wire.write_list(|wire| {
        wire.write(b"a")?;
        wire.flush()?;
        wire.list.as_mut().unwrap().check(0, limits::LIST_WINDOW * 2 / 3)?;
        wire.write(b"b")?;
        wire.flush()?;
        wire.list.as_mut().unwrap().check(0, limits::LIST_WINDOW * 2 / 3)
    });
    assert!(ended.unwrap_err().is(Code::Timeout));
}
