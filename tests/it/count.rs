//! The count dialect in bytes.

use crate::support::TestServer;

#[test]
fn a_message_ends_at_lf_with_the_stream_or_in_silence() {
    let server = TestServer::start(&[]);
    let table = [
        ("halo, dunia", "11"),
        ("", "0"),
        ("é漢😀", "3"),
        ("e\u{301}", "2"),
        ("a b\tc", "5"),
        ("a\rb", "3"),
    ];
    for (message, count) in table {
        for end in ["\n", "\r\n", "\nand more\n"] {
            server.peer_of("count").say(format!("{message}{end}")).hear(count).hear_end();
        }
        if !message.is_empty() {
            server.peer_of("count").say(message).end_writing().hear(count).hear_end();
            server.peer_of("count").say(message).hear(count).hear_end();
            server.peer_of("count").drip(message).say("\n").hear(count).hear_end();
        }
    }
    server.peer_of("count").end_writing().hear("0").hear_end();
}

#[test]
fn what_cannot_be_counted_is_said() {
    let server = TestServer::start(&["--idle-timeout", "1"]);
    for bytes in [&b"\xff\n"[..], b"a\xc3\n", b"\xc0\x80\n", b"\xed\xa0\x80\n"] {
        server.peer_of("count").say(bytes).hear("error: not UTF-8").hear_end();
    }
    let most = 64 << 10;
    server.peer_of("count").say("x".repeat(most)).say("\n").hear("65536").hear_end();
    server.peer_of("count").say("x".repeat(most)).say("\r\n").hear("65536").hear_end();
    server.peer_of("count").say("x".repeat(most)).end_writing().hear("65536").hear_end();
    server.peer_of("count").say("x".repeat(most + 1)).say("\n").hear("error: too long").hear_end();
    server
        .peer_of("count")
        .say("x".repeat(most + 1))
        .end_writing()
        .hear("error: too long")
        .hear_end();
    server.peer_of("count").say("x".repeat(1 << 20)).hear("error: too long").hear_end();
    server.peer_of("count").hear("error: timeout").hear_end();
}
