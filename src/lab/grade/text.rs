//! The checks of `text`: words, framing and files. Those on names are in `text_names`; what a server refuses and
//! how it behaves is in `text_manners`.

use super::peer::{Done, Peer, Trial};
use super::words::Say;
use super::{Check, must, should};
use crate::store::Sha256;

pub(super) static CHECKS: &[Check] = &[
    must("first/connme", "reply", 3, |t| hello(&mut t.open()?)),
    must("first/no-greeting", "greeting", 1, |t| {
        let mut p = t.open()?;
        p.is_quiet(100)?;
        // It does answer, whatever it says.
        p.send("connme\n").take(1).map(drop)
    }),
    must("first/upload", "upload", 3, |t| {
        let (name, bytes) = file(t, ".txt");
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        hello(&mut p)
    }),
    must("first/download", "download", 3, |t| {
        let (name, bytes) = file(t, ".txt");
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        get(&mut p, &name, &bytes)?;
        hello(&mut p)
    })
    .needs("first/upload"),
    must("first/size", "size", 2, |t| {
        let (name, bytes) = file(t, ".txt");
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        size(&mut p, &name, bytes.len())
    })
    .needs("first/upload"),
    must("first/rm", "rm", 2, |t| {
        let (name, bytes) = file(t, ".txt");
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        p.send(format!("rm {name}\n")).expect(format!("ok removed {name}\n"))?;
        // Not by a request for a file that is not there, which is a check of its own.
        put(&mut p, &name, b"another")?;
        get(&mut p, &name, b"another")
    })
    .needs("first/download"),
    must("first/ls", "ls", 2, |t| {
        let (name, bytes) = file(t, ".txt");
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        listed(&mut p, &name, Some(bytes.len()))?;
        hello(&mut p)
    })
    .needs("first/upload"),
    must("first/byebye", "byebye", 2, |t| {
        let mut p = t.open()?;
        p.send("byebye\n").expect("ok byebye\n")?;
        p.closes()
    }),
    should("first/conme", "conme", 1, |t| t.open()?.send("conme\n").expect("ok connected\n")),
    should("first/count", "count", 2, |t| {
        let word = t.letters(7);
        let mut p = t.open()?;
        p.send(format!("count {word}\n")).expect("ok 7\n")?;
        p.send(format!("count {word} \u{e9}\u{6f22} {word}\n")).expect("ok 18\n")
    }),
    should("first/count-of-nothing", "count", 1, |t| t.open()?.send("count\n").expect("ok 0\n")),
    should("first/help", "help", 1, |t| {
        let mut p = t.open()?;
        p.send("help\n");
        let lines = p.line_as("ok N", |line| number(line.strip_prefix("ok ")?))?;
        for _ in 0..lines {
            p.line("…")?;
        }
        hello(&mut p)
    }),
    must("framing/one-byte-at-a-time", "lines", 3, |t| {
        let mut p = t.open()?;
        p.send_apart("connme\n", 1).expect("ok connected\n")?;
        p.send_apart("connme\n", 1).expect("ok connected\n")
    }),
    must("framing/cut-command", "lines", 2, |t| {
        let name = t.name(".txt");
        let line = format!("size {name}\n");
        let cut = t.between(2, line.len() - 2);
        let mut p = t.open()?;
        p.send(line.get(..cut).unwrap_or_default()).pause(60);
        p.send(line.get(cut..).unwrap_or_default());
        refused(&mut p, &["not-found"])?;
        hello(&mut p)
    })
    .needs("refusals/size-of-nothing"),
    must("framing/two-commands", "joined", 3, |t| {
        let mut p = t.open()?;
        p.send("connme\nconnme\n").expect("ok connected\nok connected\n")?;
        hello(&mut p)
    }),
    must("framing/command-and-half", "joined", 2, |t| {
        let mut p = t.open()?;
        p.send("connme\nconn").expect("ok connected\n")?;
        p.send("me\n").expect("ok connected\n")
    }),
    must("framing/header-with-payload", "header", 3, |t| {
        let (name, bytes) = file(t, ".bin");
        let mut p = t.open()?;
        p.send(format!("upload {name}\n")).expect("ok ready\n")?;
        p.send(with_header(&bytes)).expect(received(&bytes, &name))?;
        get(&mut p, &name, &bytes)
    })
    .needs("first/download"),
    must("framing/all-in-one-segment", "all-in-one", 2, |t| {
        let (name, bytes) = file(t, ".bin");
        let mut p = t.open()?;
        let request = [format!("upload {name}\n").into_bytes(), with_header(&bytes)].concat();
        p.send(request).expect(format!("ok ready\n{}", received(&bytes, &name)))?;
        get(&mut p, &name, &bytes)
    })
    .needs("framing/header-with-payload"),
    must("framing/cut-at-every-byte", "header", 3, |t| {
        let bytes = b"12\nls\n".to_vec();
        let mut p = t.open()?;
        let length = with_header(&bytes).len();
        for cut in 1..length {
            let name = t.name("");
            p.send(format!("upload {name}\n")).expect("ok ready\n")?;
            let both = with_header(&bytes);
            p.send(both.get(..cut).unwrap_or_default()).pause(4);
            p.send(both.get(cut..).unwrap_or_default()).expect(received(&bytes, &name))?;
            get(&mut p, &name, &bytes)?;
        }
        Ok(())
    })
    .needs("framing/header-with-payload")
    .patience(4),
    must("framing/payload-byte-by-byte", "payload", 2, |t| {
        let name = t.name(".bin");
        let length = t.between(30, 40);
        let bytes = t.bytes(length);
        let mut p = t.open()?;
        p.send(format!("upload {name}\n")).expect("ok ready\n")?;
        p.send(format!("{length}\n")).apart();
        p.send_apart(&bytes, 1).expect(received(&bytes, &name))?;
        get(&mut p, &name, &bytes)
    })
    .needs("first/download"),
    must("framing/payload-of-commands", "payload-words", 3, |t| {
        let (victim, bytes) = file(t, ".txt");
        let name = t.name(".sh");
        let payload = format!("connme\nrm {victim}\nbyebye\n3\nend").into_bytes();
        let mut p = t.open()?;
        put(&mut p, &victim, &bytes)?;
        put(&mut p, &name, &payload)?;
        get(&mut p, &victim, &bytes)?;
        get(&mut p, &name, &payload)
    })
    .needs("first/download"),
    must("framing/command-after-payload", "after", 3, |t| {
        let (name, bytes) = file(t, ".txt");
        let mut p = t.open()?;
        p.send(format!("upload {name}\n")).expect("ok ready\n")?;
        p.send(format!("{}\n", bytes.len())).apart();
        p.send([&bytes[..], b"connme\n"].concat());
        p.expect(format!("{}ok connected\n", received(&bytes, &name)))
    })
    .needs("first/upload"),
    must("framing/download-then-command", "joined", 2, |t| {
        let (name, bytes) = file(t, ".txt");
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        p.send(format!("download {name}\nconnme\n")).expect(format!("ok {}\n", bytes.len()))?;
        p.expect([&bytes[..], b"ok connected\n"].concat())
    })
    .needs("first/download framing/two-commands"),
    must("framing/cr-lf", "crlf", 2, |t| {
        let (name, bytes) = file(t, ".txt");
        let mut p = t.open()?;
        p.send("connme\r\n").expect("ok connected\n")?;
        p.send(format!("upload {name}\r\n")).expect("ok ready\n")?;
        p.send(format!("{}\r\n", bytes.len())).apart();
        p.send(&bytes).expect(received(&bytes, &name))
    })
    .needs("first/upload"),
    must("framing/empty-lines", "empty", 1, |t| {
        let mut p = t.open()?;
        p.send("\n\r\n   \nconnme\n").expect("ok connected\n")?;
        hello(&mut p)
    })
    .needs("framing/two-commands"),
    must("framing/letter-case", "case", 1, |t| {
        t.open()?.send("ConnMe\nCONNME\n").expect("ok connected\nok connected\n")
    })
    .needs("framing/two-commands"),
    must("framing/spaces-around", "spaces", 1, |t| {
        let name = t.name(".txt");
        let mut p = t.open()?;
        p.send("   connme  \n").expect("ok connected\n")?;
        put(&mut p, &name, b"hello")?;
        p.send(format!("  size    {name}  \n")).expect("ok 5 bytes (0.000005 MB)\n")
    })
    .needs("first/size"),
    must("framing/longest-line", "longest", 1, |t| {
        let mut p = t.open()?;
        p.send([&[b'x'; 4096][..], b"\n"].concat());
        refused(&mut p, &["unknown-command"])?;
        hello(&mut p)
    })
    .needs("refusals/unknown-command"),
    must("framing/letter-cut-in-two", "cut-letter", 2, |t| {
        let name = t.name("\u{6f22}.txt");
        let line = format!("upload {name}\n").into_bytes();
        let cut = line.len() - 7;
        let mut p = t.open()?;
        p.send(line.get(..cut).unwrap_or_default()).pause(30);
        p.send(line.get(cut..).unwrap_or_default()).expect("ok ready\n")?;
        p.send("2\n").apart().send("hi").expect(format!("ok received 2 {name}\n"))
    })
    .needs("names/not-ascii framing/cut-command"),
    should("framing/sending-ahead", "ahead", 2, |t| {
        let (mut requests, mut replies) = (Vec::new(), Vec::new());
        for _ in 0..8 {
            let (name, bytes) = file(t, ".bin");
            requests.extend_from_slice(format!("upload {name}\n").as_bytes());
            requests.extend(with_header(&bytes));
            requests.extend_from_slice(format!("connme\ndownload {name}\n").as_bytes());
            replies.extend_from_slice(
                format!("ok ready\n{}ok connected\n", received(&bytes, &name)).as_bytes(),
            );
            replies.extend_from_slice(format!("ok {}\n", bytes.len()).as_bytes());
            replies.extend(bytes);
        }
        t.open()?.send(requests).expect(replies)
    })
    .needs("framing/all-in-one-segment framing/download-then-command")
    .patience(2),
    must("files/empty", "bytes", 2, |t| {
        let name = t.name(".txt");
        let mut p = t.open()?;
        p.send(format!("upload {name}\n")).expect("ok ready\n")?;
        p.send("0\n").expect(format!("ok received 0 {name}\n"))?;
        get(&mut p, &name, b"")?;
        size(&mut p, &name, 0)
    })
    .needs("first/download first/size"),
    must("files/every-byte", "bytes", 3, |t| {
        let name = t.name(".bin");
        let all: Vec<u8> = (0..=255).collect();
        let bytes = [&b"\r\n\r\n"[..], &all, b"\0\xff\xfe\r\n"].concat();
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        get(&mut p, &name, &bytes)
    })
    .needs("first/download"),
    must("files/white-space-at-the-ends", "bytes", 2, |t| {
        let name = t.name(".txt");
        let bytes = format!("\n  {} \t\r\n\n", t.letters(9)).into_bytes();
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        get(&mut p, &name, &bytes)
    })
    .needs("first/download"),
    must("files/in-pieces", "payload", 3, |t| {
        let name = t.name(".bin");
        let length = t.between(60_000, 90_000);
        let bytes = t.bytes(length);
        let piece = t.between(3_000, 7_000);
        let mut p = t.open()?;
        p.send(format!("upload {name}\n")).expect("ok ready\n")?;
        p.send(format!("{length}\n")).apart();
        p.send_apart(&bytes, piece).expect(received(&bytes, &name))?;
        get(&mut p, &name, &bytes)
    })
    .needs("first/download"),
    must("files/same-name-twice", "counter", 3, |t| {
        let (name, first) = file(t, ".txt");
        let second = t.bytes(first.len() + 3);
        let (stored, third) = (counted(t, &name, "_1.txt"), counted(t, &name, "_2.txt"));
        let mut p = t.open()?;
        put(&mut p, &name, &first)?;
        put_as(&mut p, &name, &second, &stored)?;
        put_as(&mut p, &name, b"3", &third)
    })
    .needs("first/upload"),
    must("files/nothing-replaced", "replace", 3, |t| {
        let (name, first) = file(t, ".txt");
        for ending in ["_1.txt", "_2.txt", "_3.txt"] {
            counted(t, &name, ending);
        }
        let mut p = t.open()?;
        put(&mut p, &name, &first)?;
        p.send(format!("upload {name}\n"));
        if p.line("ok ready")? == "ok ready" {
            p.send("3\n").apart().send("new");
            p.line("ok received 3 STOREDNAME")?;
        }
        get(&mut p, &name, &first)
    })
    .needs("first/download"),
    must("files/receipt-tells-the-name", "receipt", 2, |t| {
        let (name, first) = file(t, ".txt");
        counted(t, &name, "_1.txt");
        let mut p = t.open()?;
        put(&mut p, &name, &first)?;
        p.send(format!("upload {name}\n")).expect("ok ready\n")?;
        p.send("6\n").apart().send("second");
        let form = "ok received 6 STOREDNAME";
        let stored =
            p.line_as(form, |line| Some(line.strip_prefix("ok received 6 ")?.to_owned()))?;
        t.also(&stored);
        get(&mut p, &stored, b"second")
    })
    .needs("first/download"),
    must("files/counter-before-the-last-dot", "counter", 2, |t| {
        let (name, bytes) = file(t, ".tar.gz");
        let stored = counted(t, &name, ".tar_1.gz").replace(".tar.tar", ".tar");
        t.also(&stored);
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        put_as(&mut p, &name, &bytes, &stored)
    })
    .needs("files/same-name-twice"),
    must("files/counter-without-a-dot", "counter", 1, |t| {
        let (name, bytes) = file(t, "");
        let stored = format!("{name}_1");
        t.also(&stored);
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        put_as(&mut p, &name, &bytes, &stored)
    })
    .needs("files/same-name-twice"),
    must("files/lowest-free-counter", "counter", 1, |t| {
        let (name, bytes) = file(t, ".txt");
        let (first, second) = (counted(t, &name, "_1.txt"), counted(t, &name, "_2.txt"));
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        put_as(&mut p, &name, &bytes, &first)?;
        put_as(&mut p, &name, &bytes, &second)?;
        p.send(format!("rm {first}\n")).expect(format!("ok removed {first}\n"))?;
        put_as(&mut p, &name, &bytes, &first)
    })
    .needs("files/same-name-twice first/rm"),
    must("files/size-counts-bytes", "characters", 2, |t| {
        let name = t.name(".txt");
        let text = format!("\u{e9}\u{6f22}{}\u{1f600}", t.letters(3)).into_bytes();
        let mut p = t.open()?;
        put(&mut p, &name, &text)?;
        size(&mut p, &name, text.len())?;
        get(&mut p, &name, &text)
    })
    .needs("first/size first/download"),
    must("files/megabytes", "size", 1, |t| {
        let name = t.name(".bin");
        let length = t.between(100_001, 123_456);
        let bytes = t.bytes(length);
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        size(&mut p, &name, length)
    })
    .needs("first/size files/in-pieces"),
    must("files/zeros-before-the-size", "zeros", 1, |t| {
        let name = t.name(".txt");
        let mut p = t.open()?;
        for size in ["005", "0000000000000000005"] {
            p.send(format!("upload {name}\n")).expect("ok ready\n")?;
            p.send(format!("{size}\n")).apart().send("hello");
            p.expect(format!("ok received 5 {name}\n"))?;
            p.send(format!("rm {name}\n")).expect(format!("ok removed {name}\n"))?;
        }
        Ok(())
    })
    .needs("first/rm"),
    must("files/ls-counts", "ls", 2, |t| {
        let mut p = t.open()?;
        for _ in 0..3 {
            let (name, bytes) = file(t, ".txt");
            put(&mut p, &name, &bytes)?;
        }
        let list = listing(&mut p, "ls\n")?;
        let entries = list.entries.len();
        if list.count == entries {
            return hello(&mut p);
        }
        p.unread(format!("ok {}\n", list.count).as_bytes());
        p.failed(&[Say::Line { form: format!("ok {entries}") }])
    })
    .needs("first/ls"),
    must("files/ls-total", "ls", 2, |t| {
        let mut p = t.open()?;
        for _ in 0..3 {
            let (name, bytes) = file(t, ".txt");
            put(&mut p, &name, &bytes)?;
        }
        let list = listing(&mut p, "ls\n")?;
        let total: usize = list.entries.iter().filter_map(|(size, _)| *size).sum();
        if list.total == total {
            return Ok(());
        }
        p.unread(format!("total {}\n", list.total).as_bytes());
        p.failed(&[Say::Line { form: format!("total {total}") }])
    })
    .needs("first/ls"),
    must("files/ls-sorted", "sorted", 2, |t| {
        let mut p = t.open()?;
        let name = t.name("");
        for ending in ["b", "C", "a_2", "a_10", "\u{e9}", "z"] {
            let name = format!("{name}{ending}");
            t.also(&name);
            put(&mut p, &name, b"x")?;
        }
        let list = listing(&mut p, "ls\n")?;
        let names: Vec<_> = list.entries.iter().map(|(_, name)| name.as_str()).collect();
        match names.windows(2).find(|pair| matches!(pair, [a, b] if a > b)) {
            Some([first, second]) => {
                p.unread(format!("… {first}\n… {second}\n").as_bytes());
                p.failed(&[Say::Order { first: (*second).to_owned(), second: (*first).to_owned() }])
            }
            _ => Ok(()),
        }
    })
    .needs("first/ls names/not-ascii"),
    must("files/half-is-invisible", "half", 3, |t| {
        let name = t.name(".txt");
        let (mut p, mut other) = (t.open()?, t.open()?);
        p.send(format!("upload {name}\n")).expect("ok ready\n")?;
        p.send("100\nonly a part").pause(50);
        missing(&mut other, &name)?;
        listed(&mut other, &name, None)
    })
    .needs("first/ls together/two-clients refusals/size-of-nothing"),
    must("files/half-is-gone", "half", 3, |t| {
        let (name, bytes) = file(t, ".txt");
        let mut p = t.open()?;
        p.send(format!("upload {name}\n")).expect("ok ready\n")?;
        p.send("100\nonly a part").pause(20);
        drop(p);
        let mut p = t.open()?;
        p.pause(60);
        missing(&mut p, &name)?;
        put(&mut p, &name, &bytes)
    })
    .needs("first/upload refusals/size-of-nothing")
    .hostile(),
    should("files/sum", "sum", 2, |t| {
        let (name, bytes) = file(t, ".bin");
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        p.send(format!("sum {name}\n")).expect(format!("ok {}\n", sum(&bytes)))?;
        put(&mut p, &format!("{name}x"), b"")?;
        t.also(&format!("{name}x"));
        p.send(format!("sum {name}x\n")).expect(format!("ok {}\n", sum(b"")))
    })
    .needs("first/upload"),
    should("files/sum-of-nothing", "sum", 1, |t| {
        let name = t.name(".txt");
        let mut p = t.open()?;
        p.send(format!("sum {name}\n"));
        refused(&mut p, &["not-found"])
    })
    .needs("files/sum"),
    should("files/resume", "resume", 2, |t| {
        let (name, bytes) = file(t, ".bin");
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        for offset in [0, 1, t.between(2, bytes.len() - 1)] {
            let (head, rest) = bytes.split_at(offset);
            p.send(format!("resume {offset} {} {name}\n", sum(head)));
            p.expect([format!("ok {}\n", rest.len()).as_bytes(), rest].concat())?;
        }
        hello(&mut p)
    })
    .needs("first/download"),
    should("files/resume-at-the-end", "resume", 1, |t| {
        let (name, bytes) = file(t, ".bin");
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        p.send(format!("resume {} {} {name}\n", bytes.len(), sum(&bytes))).expect("ok 0\n")?;
        hello(&mut p)
    })
    .needs("files/resume"),
    should("files/resume-of-another-file", "resume", 1, |t| {
        let (name, bytes) = file(t, ".bin");
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        p.send(format!("resume 5 {} {name}\n", sum(b"other")));
        refused(&mut p, &["changed"])?;
        p.send(format!("resume {} {} {name}\n", bytes.len() + 1, sum(&bytes)));
        refused(&mut p, &["changed"])?;
        hello(&mut p)
    })
    .needs("files/resume"),
    should("files/resume-not-understood", "resume", 1, |t| {
        let (name, bytes) = file(t, ".bin");
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        let whole = sum(&bytes);
        for words in [format!("-1 {whole}"), format!("5x {whole}"), "5 abc".to_owned()] {
            p.send(format!("resume {words} {name}\n"));
            refused(&mut p, &["bad-request"])?;
        }
        hello(&mut p)
    })
    .needs("files/resume"),
];

/// A name, and some bytes for it.
pub(super) fn file(t: &mut Trial, ending: &str) -> (String, Vec<u8>) {
    let length = t.between(20, 60);
    (t.name(ending), t.bytes(length))
}

/// The name with another ending, to be removed too.
fn counted(t: &mut Trial, name: &str, ending: &str) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let stored = format!("{stem}{ending}");
    t.also(&stored);
    stored
}

pub(super) fn hello(p: &mut Peer) -> Done {
    p.send("connme\n").expect("ok connected\n")
}

pub(super) fn put(p: &mut Peer, name: &str, bytes: &[u8]) -> Done {
    put_as(p, name, bytes, name)
}

/// An upload as careful as it can be: the server has time to read the header before the payload comes. So a
/// server that reads both at once fails the checks on framing, and not every other.
pub(super) fn put_as(p: &mut Peer, name: &str, bytes: &[u8], stored: &str) -> Done {
    p.send(format!("upload {name}\n")).expect("ok ready\n")?;
    p.send(format!("{}\n", bytes.len()));
    if !bytes.is_empty() {
        p.apart().send(bytes);
    }
    p.expect(received(bytes, stored))
}

pub(super) fn get(p: &mut Peer, name: &str, bytes: &[u8]) -> Done {
    p.send(format!("download {name}\n")).expect(format!("ok {}\n", bytes.len()))?;
    p.expect(bytes)
}

pub(super) fn size(p: &mut Peer, name: &str, bytes: usize) -> Done {
    let megabytes = format!("{}.{:06}", bytes / 1_000_000, bytes % 1_000_000);
    p.send(format!("size {name}\n")).expect(format!("ok {bytes} bytes ({megabytes} MB)\n"))
}

pub(super) fn missing(p: &mut Peer, name: &str) -> Done {
    p.send(format!("size {name}\n"));
    refused(p, &["not-found"])
}

/// The next line is an error with one of these codes.
pub(super) fn refused(p: &mut Peer, codes: &[&str]) -> Done {
    let form: Vec<_> = codes.iter().map(|code| format!("error {code} MESSAGE")).collect();
    let line = p.line(&form.join(" / "))?;
    let code = line.strip_prefix("error ").and_then(|rest| rest.split(' ').next());
    if code.is_some_and(|code| codes.contains(&code)) {
        return Ok(());
    }
    p.unread((line + "\n").as_bytes());
    let forms: Vec<_> = form.into_iter().map(|form| Say::Line { form }).collect();
    p.failed(&forms)
}

pub(super) fn sum(bytes: &[u8]) -> String {
    let mut sum = Sha256::default();
    sum.update(bytes);
    sum.sum().to_string()
}

fn with_header(bytes: &[u8]) -> Vec<u8> {
    [format!("{}\n", bytes.len()).as_bytes(), bytes].concat()
}

pub(super) fn received(bytes: &[u8], stored: &str) -> String {
    format!("ok received {} {stored}\n", bytes.len())
}

fn number(text: &str) -> Option<usize> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// What `ls` says.
pub(super) struct List {
    pub(super) count: usize,
    /// A file has a size, a folder has none.
    pub(super) entries: Vec<(Option<usize>, String)>,
    pub(super) total: usize,
}

/// Reads a list up to its `total`: whether the count is right is a check of its own.
pub(super) fn listing(p: &mut Peer, request: &str) -> Done<List> {
    p.send(request);
    let count = p.line_as("ok COUNT", |line| number(line.strip_prefix("ok ")?))?;
    let mut entries = Vec::new();
    loop {
        let entry = p.line_as("file SIZE NAME / dir - NAME / total BYTES", |line| {
            let (kind, rest) = line.split_once(' ')?;
            if kind == "total" {
                return Some(Err(number(rest)?));
            }
            let (size, name) = rest.split_once(' ')?;
            match (kind, size) {
                ("dir", "-") => Some(Ok((None, name.to_owned()))),
                ("file", size) => Some(Ok((Some(number(size)?), name.to_owned()))),
                _ => None,
            }
        })?;
        match entry {
            Ok(entry) => entries.push(entry),
            Err(total) => return Ok(List { count, entries, total }),
        }
    }
}

/// The list has this file with this size, or does not have it.
pub(super) fn listed(p: &mut Peer, name: &str, size: Option<usize>) -> Done {
    let list = listing(p, "ls\n")?;
    let found = list.entries.iter().find(|(_, listed)| listed == name);
    match (found, size) {
        (Some((found, _)), Some(size)) if *found == Some(size) => Ok(()),
        (None, None) => Ok(()),
        (None, Some(size)) => p.failed(&[Say::Line { form: format!("file {size} {name}") }]),
        (Some((found, _)), size) => {
            let found = found.map_or("-".to_owned(), |size| size.to_string());
            p.unread(format!("… {found} {name}\n").as_bytes());
            p.failed(&[match size {
                Some(size) => Say::Line { form: format!("file {size} {name}") },
                None => Say::NotListed { name: name.to_owned() },
            }])
        }
    }
}
