//! Names that no client should send, through every command: refused, or taken for exactly what they
//! are. Nothing outside the root changes, and nothing hangs.

use std::fs;
use std::path::Path;

use crate::support::{TestServer, escape, visible};

/// More than 300 of them.
pub fn names() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    let mut add = |name: &[u8]| names.push(name.to_vec());
    // Ways up and out.
    for name in [
        "",
        ".",
        "..",
        "...",
        "/",
        "//",
        "../",
        "../x",
        "../../x",
        "..//x",
        "./x",
        "././x",
        "x/..",
        "x/../y",
        "x/.",
        "x/./y",
        "/x",
        "//x",
        "/etc/passwd",
        "x/",
        "x//",
        "x//y",
        "/..",
        "/../x",
        "..\\x",
        "..\\..\\x",
        "x\\y",
        "\\x",
        "\\\\server\\share",
        "x\\..\\y",
        ".\\x",
        "x/..\\y",
        "../secret",
        "../../secret",
        "docs/../../secret",
        "docs/../x",
        "docs/..",
        "docs/.",
        "docs/",
        "..%2fx",
        "%2e%2e/x",
        "%2e%2e%2fx",
        "..%5cx",
        "%00",
        "%0a",
        "..;/x",
        "....//x",
        "..././x",
        ".. /x",
        " ../x",
        "../ x",
        "~",
        "~/x",
        "~root",
        "$HOME",
        "$(id)",
        "`id`",
        "file:///x",
        "http://x/y",
        "C:",
        "C:x",
        "C:/x",
        "C:\\x",
        "C:../x",
        "c:..\\x",
        "\\\\?\\C:\\x",
        "\\\\.\\pipe\\x",
    ] {
        add(name.as_bytes());
    }
    // The server's own corner, and other hidden things.
    for name in [
        ".connme",
        ".connme/",
        ".connme/incoming",
        ".connme/incoming/0",
        ".connme/starting",
        ".connme/mydatafile.dat",
        "./.connme/x",
        "docs/../.connme/x",
        ".CONNME/x",
        ".connme./x",
        ".connme\\x",
        "x/.connme/y",
        ".hidden",
        ".x",
        "..x",
        "docs/.x",
        "docs/..x",
        ".\u{200b}x",
    ] {
        add(name.as_bytes());
    }
    // Every control character, at the beginning, inside and at the end.
    for c in (0..32).chain([127]) {
        add(&[c, b'x']);
        add(&[b'x', c, b'y']);
        add(&[b'x', c]);
    }
    for c in '\u{80}'..='\u{9f}' {
        add(format!("x{c}y").as_bytes());
    }
    // What turns or hides writing.
    for c in "\u{200b}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\u{feff}\u{2028}\u{2029}\u{ad}\u{34f}".chars() {
        add(format!("x{c}y").as_bytes());
    }
    // What is no UTF-8: stray, overlong, cut, surrogates, beyond Unicode.
    for bytes in [
        &b"\xff"[..],
        b"\xfe",
        b"\x80",
        b"x\xbf",
        b"\xc0\xae",
        b"\xc0\xae\xc0\xae",
        b"\xc0\xafx",
        b"x\xc0\xafy",
        b"\xc1\x9c",
        b"\xe0\x80\xae",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xae",
        b"\xf8\x80\x80\x80\xae",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xed\xa0\xbd\xed\xb8\x80",
        b"\xf4\x90\x80\x80",
        b"\xc3",
        b"x\xe2\x82",
        b"\xf0\x9f\x98",
        b"\xc0\x80",
        b"x\xc0\x80y",
    ] {
        add(bytes);
    }
    // Lengths around what a file system can hold.
    for length in [253, 254, 255, 256, 257, 300, 1000, 4000] {
        add(&vec![b'n'; length]);
        add(format!("docs/{}", "n".repeat(length)).as_bytes());
        add("é".repeat(length / 2).as_bytes());
        add(format!("{}.txt", "n".repeat(length - 4)).as_bytes());
    }
    add("x/".repeat(500).as_bytes());
    add(format!("{}x", "x/".repeat(1000)).as_bytes());
    // What means something elsewhere, and is a name like any other here.
    for name in [
        "-",
        "--",
        "-rf",
        "--help",
        "-x.txt",
        "*",
        "?",
        "[x]",
        "{x}",
        "|",
        "|ls",
        ";ls",
        "&",
        "x;rm y",
        "<x",
        ">x",
        "\"",
        "\"x\"",
        "'",
        "!",
        "#x",
        "x#y",
        "%s%n",
        "%x",
        "a=b",
        "a:b",
        "a,b",
        "@x",
        "+",
        "0",
        "5",
        "05",
        "-1",
        "1e3",
        "true",
        "null",
        "None",
        "ok",
        "error",
        "ls",
        "rm",
        "byebye",
        "upload",
        "download x",
        "rm x",
        "total",
        "file",
        "dir",
        "NAME<SEPARATOR>5",
        "<SEPARATOR>",
        "x<SEPARATOR>",
        "{\"aksi\":\"list\"}",
        "ERROR.txt",
        "ERROR: File not found",
        "x HTTP",
        "x.",
        "x..",
        "x.txt.",
        "x. .y",
        "a  b",
        "a b c",
        "x y.txt",
        "CON",
        "con",
        "CON.txt",
        "PRN",
        "AUX",
        "NUL",
        "nul.tar.gz",
        "COM1",
        "COM1.txt",
        "LPT9",
        "CONIN$",
        "COM¹",
        "x:stream",
        "x::$DATA",
        "é",
        "e\u{301}",
        "ﬁ",
        "漢字.txt",
        "😀",
        "👩\u{200d}👩",
        "Ω",
        "İ",
        "ß",
        "\u{1f4a9}.txt",
    ] {
        add(name.as_bytes());
    }
    // Spaces at the ends of parts.
    for name in [" x", "x ", " ", "  ", "x /y", "docs/ x", "docs/x ", "\u{a0}x", "x\u{3000}"] {
        add(name.as_bytes());
    }
    assert!(names.len() >= 300, "{}", names.len());
    names
}

/// A server with something outside its root that must not change, and something inside.
pub fn besieged() -> TestServer {
    let server = TestServer::start(&[]);
    fs::write(server.outside().join("secret"), "secret").unwrap();
    fs::write(server.outside().join("x"), "secret").unwrap();
    fs::create_dir(server.root().join("docs")).unwrap();
    server
}

/// Nothing has happened outside, and nothing hidden was made or left inside.
pub fn assert_unharmed(server: &TestServer) {
    let outside = visible(server.outside());
    assert_eq!(outside, ["root", "secret", "x"]);
    for name in ["secret", "x"] {
        assert_eq!(fs::read(server.outside().join(name)).unwrap(), b"secret");
    }
    let hidden = |folder: &Path| -> Vec<_> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        entries.filter(|name| name.as_encoded_bytes().starts_with(b".")).collect()
    };
    assert_eq!(hidden(server.root()), [".connme"]);
    assert!(hidden(&server.root().join("docs")).is_empty());
}

#[test]
fn hostile_names_are_refused_or_taken_as_they_are() {
    let server = besieged();
    let mut peer = server.peer();
    let mut taken = 0;
    for raw in names().iter().filter(|name| !name.contains(&b'\n')) {
        let line = |command: &str| [command.as_bytes(), b" ", raw, b"\n"].concat();
        let name = trimmed(raw);
        if raw.len() > 4000 {
            continue; // Longer than a line: see the text dialect's own tests.
        }
        peer.say(line("upload"));
        let reply = peer.line();
        if reply == "ok ready\n" {
            peer.say("3\nabc");
            let stored = String::from_utf8(name.to_vec()).unwrap();
            peer.hear(format!("ok received 3 {stored}\n"));
            assert_eq!(server.get(&stored), b"abc", "{stored}");
            peer.say(line("size")).hear("ok 3 bytes (0.000003 MB)\n");
            peer.say(line("download")).hear("ok 3\nabc");
            peer.say(line("ls")).refused("not-found");
            let folder = stored.rsplit_once('/').map_or("", |(folder, _)| folder);
            let last = stored.rsplit('/').next().unwrap();
            peer.say(format!("ls {folder}\n"));
            let count: usize = peer.line()[3..].trim().parse().unwrap();
            let lines: Vec<_> = (0..count).map(|_| peer.line()).collect();
            assert!(lines.contains(&format!("file 3 {last}\n")), "{lines:?}");
            peer.line();
            peer.say(line("rm")).hear(format!("ok removed {stored}\n"));
            taken += 1;
        } else {
            assert!(reply.starts_with("error "), "{}: {reply}", escape(raw));
            for command in ["size", "download", "rm"] {
                peer.say(line(command)).refused_any();
            }
            peer.say(line("ls"));
            let reply = peer.line();
            let lists = name.is_empty() || name == b"docs";
            assert_eq!(reply.starts_with("ok "), lists, "{}: {reply}", escape(raw));
            for _ in 0..if lists { 1 + usize::from(name.is_empty()) } else { 0 } {
                peer.line();
            }
        }
    }
    assert!((60..200).contains(&taken), "{taken} were taken");
    assert_unharmed(&server);
    peer.say("ls\n").hear("ok 1\ndir - docs\ntotal 0\n");
}

fn trimmed(name: &[u8]) -> &[u8] {
    let mut name = name.strip_suffix(b"\r").unwrap_or(name);
    while let [b' ', rest @ ..] | [rest @ .., b' '] = name {
        name = rest;
    }
    name
}
