//! The checks of `struct`.

use super::peer::{Done, Peer, Trial};
use super::prepared::{Kind, outside, with};
use super::words::Say;
use super::{Check, must, should};

pub(super) static CHECKS: &[Check] = &[
    must("first/connme", "word-reply", 3, |t| {
        let mut p = t.open()?;
        hello(&mut p)?;
        hello(&mut p)
    }),
    must("first/upload", "struct-upload", 3, |t| {
        let (name, bytes) = file(t);
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        hello(&mut p)
    }),
    must("first/size", "width", 2, |t| {
        let (name, bytes) = file(t);
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        size(&mut p, &name, length(&bytes))
    })
    .needs("first/upload"),
    must("first/download", "struct-download", 3, |t| {
        let (name, bytes) = file(t);
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        get(&mut p, &name, &bytes)?;
        hello(&mut p)
    })
    .needs("first/upload"),
    must("first/rm", "struct-rm", 2, |t| {
        let (name, bytes) = file(t);
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        begin(&mut p, "rm", &name)?;
        p.send("Y").expect(1_i32.to_le_bytes())?;
        size(&mut p, &name, -1)
    })
    .needs("first/size"),
    must("first/ls", "struct-ls", 3, |t| {
        let (name, bytes) = file(t);
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        let listed = list(&mut p)?;
        if !listed.contains(&(name.clone().into_bytes(), length(&bytes))) {
            return p.failed(&[Say::Listed { name, size: bytes.len() as u64 }]);
        }
        hello(&mut p)
    })
    .needs("first/upload"),
    must("first/byebye", "byebye", 1, |t| {
        let mut p = t.open()?;
        p.send("byebye");
        p.closes()
    }),
    must("framing/one-byte-at-a-time", "words", 3, |t| {
        let mut p = t.open()?;
        p.send_apart("connme", 1).expect("connected")?;
        p.send_apart("connme", 1).expect("connected")
    }),
    must("framing/two-commands", "words-joined", 3, |t| {
        t.open()?.send("connmeconnme").expect("connectedconnected")
    }),
    must("framing/newline-between", "words-between", 1, |t| {
        t.open()?.send("connme\r\nconnme \n").expect("connectedconnected")
    })
    .needs("framing/two-commands"),
    must("framing/number-cut-in-two", "width", 2, |t| {
        let (name, bytes) = file(t);
        let mut p = t.open()?;
        p.send("upload").expect("ready")?;
        p.send_apart([named(&name), head(&bytes)].concat(), 1).apart().send(&bytes);
        done(&mut p)?;
        get(&mut p, &name, &bytes)
    })
    .needs("first/download"),
    must("framing/name-size-and-bytes-together", "struct-together", 3, |t| {
        let (name, bytes) = file(t);
        let mut p = t.open()?;
        p.send("upload").expect("ready")?;
        p.send([named(&name), head(&bytes), bytes.clone()].concat());
        done(&mut p)?;
        get(&mut p, &name, &bytes)
    })
    .needs("first/download"),
    must("framing/all-in-one-segment", "struct-together", 2, |t| {
        let (name, bytes) = file(t);
        let mut p = t.open()?;
        p.send([b"upload".to_vec(), named(&name), head(&bytes), bytes.clone()].concat());
        p.expect("ready")?;
        done(&mut p)?;
        get(&mut p, &name, &bytes)
    })
    .needs("framing/name-size-and-bytes-together"),
    must("framing/payload-byte-by-byte", "payload", 2, |t| {
        let (name, bytes) = file(t);
        let mut p = t.open()?;
        begin(&mut p, "upload", &name)?;
        p.apart().send(head(&bytes)).apart().send_apart(&bytes, 1);
        done(&mut p)?;
        get(&mut p, &name, &bytes)
    })
    .needs("first/download"),
    must("framing/payload-of-commands", "payload-words", 2, |t| {
        let name = t.name(".sh");
        let bytes = b"connmels\nbyebye\nrm".to_vec();
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        get(&mut p, &name, &bytes)?;
        hello(&mut p)
    })
    .needs("first/download"),
    must("framing/command-after-payload", "after", 2, |t| {
        let (name, bytes) = file(t);
        let mut p = t.open()?;
        begin(&mut p, "upload", &name)?;
        p.apart().send(head(&bytes)).apart().send([&bytes[..], b"connme"].concat());
        done(&mut p)?;
        p.expect("connected")
    })
    .needs("first/upload"),
    must("framing/pause-after-received", "pause-between", 1, |t| {
        t.one_of_three(|t| {
            let (name, bytes) = file(t);
            let mut p = t.open()?;
            begin(&mut p, "upload", &name)?;
            p.apart().send(head(&bytes)).apart().send(&bytes).expect("received")?;
            p.paused()?;
            seconds(&mut p)
        })
    })
    .needs("first/upload"),
    must("files/empty", "bytes", 2, |t| {
        let name = t.name(".txt");
        let mut p = t.open()?;
        put(&mut p, &name, b"")?;
        get(&mut p, &name, b"")?;
        size(&mut p, &name, 0)
    })
    .needs("first/download first/size"),
    must("files/every-byte", "bytes", 3, |t| {
        let name = t.name(".bin");
        let bytes: Vec<u8> = (0..=255).chain(*b"\r\n\0\xff").collect();
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        get(&mut p, &name, &bytes)
    })
    .needs("first/download"),
    must("files/in-pieces", "payload", 3, |t| {
        let name = t.name(".bin");
        let length = t.between(60_000, 90_000);
        let bytes = t.bytes(length);
        let mut p = t.open()?;
        begin(&mut p, "upload", &name)?;
        p.apart().send(head(&bytes)).apart().send_apart(&bytes, 4_000);
        done(&mut p)?;
        get(&mut p, &name, &bytes)
    })
    .needs("first/download"),
    must("files/large", "large", 2, |t| {
        let name = t.name(".bin");
        let length = t.many(2_000_000) + t.below(100_000);
        let bytes = t.bytes(length);
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        get(&mut p, &name, &bytes)
    })
    .needs("files/in-pieces")
    .patience(4),
    must("files/same-name-twice", "counter", 2, |t| {
        let (name, bytes) = file(t);
        let counted = name.replace(".txt", "_1.txt");
        t.also(&counted);
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        put(&mut p, &name, b"second")?;
        size(&mut p, &counted, 6)
    })
    .needs("first/size"),
    must("files/nothing-replaced", "replace", 3, |t| {
        let (name, bytes) = file(t);
        t.also(&name.replace(".txt", "_1.txt"));
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        put(&mut p, &name, b"second")?;
        get(&mut p, &name, &bytes)
    })
    .needs("first/download"),
    must("files/half-is-invisible", "half", 2, |t| {
        let name = t.name(".txt");
        let (mut p, mut other) = (t.open()?, t.open()?);
        begin(&mut p, "upload", &name)?;
        p.apart().send(100_i32.to_le_bytes()).apart().send("only a part").pause(50);
        size(&mut other, &name, -1)
    })
    .needs("first/size together/two-clients refusals/size-of-nothing"),
    must("files/half-is-gone", "half", 2, |t| {
        let name = t.name(".txt");
        let mut p = t.open()?;
        begin(&mut p, "upload", &name)?;
        p.apart().send(100_i32.to_le_bytes()).apart().send("only a part").pause(20);
        drop(p);
        let mut p = t.open()?;
        p.pause(60);
        size(&mut p, &name, -1)
    })
    .needs("first/size refusals/size-of-nothing")
    .hostile(),
    must("names/not-ascii", "characters", 2, |t| {
        let name = t.name(" \u{e9}\u{6f22}.txt");
        let mut p = t.open()?;
        put(&mut p, &name, b"hello")?;
        get(&mut p, &name, b"hello")
    })
    .needs("first/download"),
    must("names/dot-dot", "path", 3, |t| {
        let name = t.name(".txt");
        unknown_everywhere(t, &format!("../{name}"))
    })
    .needs("refusals/size-of-nothing")
    .hostile(),
    must("names/absolute", "path", 2, |t| unknown_everywhere(t, "/etc/hostname"))
        .needs("refusals/size-of-nothing")
        .hostile(),
    must("names/upload-refused-in-step", "path", 2, |t| {
        let name = t.name(".txt");
        let mut p = t.open()?;
        begin(&mut p, "upload", &format!("../{name}"))?;
        p.apart().send(6_i32.to_le_bytes()).apart().send("connme").pause(50);
        p.is_quiet(200)?;
        hello(&mut p)
    })
    .needs("first/upload")
    .hostile(),
    must("refusals/size-of-nothing", "minus-one", 2, |t| {
        let name = t.name(".txt");
        let mut p = t.open()?;
        size(&mut p, &name, -1)?;
        hello(&mut p)
    }),
    must("refusals/download-of-nothing", "minus-one", 1, |t| {
        let name = t.name(".txt");
        let mut p = t.open()?;
        begin(&mut p, "download", &name)?;
        p.expect((-1_i32).to_le_bytes())?;
        hello(&mut p)
    }),
    must("refusals/rm-of-nothing", "minus-one", 1, |t| {
        let name = t.name(".txt");
        let mut p = t.open()?;
        begin(&mut p, "rm", &name)?;
        p.send("Y").expect((-1_i32).to_le_bytes())?;
        hello(&mut p)
    }),
    must("refusals/rm-answered-no", "struct-rm", 3, |t| {
        let (name, bytes) = file(t);
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        begin(&mut p, "rm", &name)?;
        p.send("N");
        hello(&mut p)?;
        size(&mut p, &name, length(&bytes))
    })
    .needs("first/size"),
    must("refusals/negative-size", "bad-size", 1, |t| {
        let name = t.name(".txt");
        let mut p = t.open()?;
        begin(&mut p, "upload", &name)?;
        p.apart().send((-5_i32).to_le_bytes());
        p.ends()?;
        size(&mut t.open()?, &name, -1)
    })
    .needs("refusals/size-of-nothing")
    .hostile(),
    must("refusals/negative-length", "bad-size", 1, |t| {
        let mut p = t.open()?;
        p.send("size").expect("ready")?;
        p.send((-5_i16).to_le_bytes());
        p.ends()?;
        hello(&mut t.open()?)
    })
    .hostile(),
    must("refusals/unknown-word", "unknown-word", 1, |t| {
        let mut p = t.open()?;
        p.send("whatever\n");
        p.ends()?;
        hello(&mut t.open()?)
    })
    .hostile(),
    should("refusals/upload-given-up", "given-up", 1, |t| {
        let name = t.name(".txt");
        let mut p = t.open()?;
        begin(&mut p, "upload", &name)?;
        p.apart().send("connme").expect("connected")
    })
    .needs("first/upload")
    .hostile(),
    must("together/two-clients", "threads", 3, |t| {
        let (mut silent, mut p) = (t.open()?, t.open()?);
        hello(&mut p)?;
        hello(&mut silent)
    }),
    must("together/twenty-clients", "threads", 2, |t| {
        let mut peers = Vec::new();
        for _ in 0..20 {
            peers.push((t.open()?, file(t)));
        }
        for (p, (name, _)) in &mut peers {
            begin(p, "upload", name)?;
        }
        for (p, (_, bytes)) in &mut peers {
            p.pause(2).send(head(bytes));
        }
        for (p, (name, bytes)) in &mut peers {
            p.apart().send(&*bytes);
            done(p)?;
            get(p, name, bytes)?;
        }
        Ok(())
    })
    .needs("together/two-clients first/download")
    .patience(4),
    must("endurance/thousand-commands", "words", 2, |t| {
        let mut p = t.open()?;
        for _ in 0..t.many(1000) {
            hello(&mut p)?;
        }
        Ok(())
    })
    .patience(8),
    must("endurance/thousand-connections", "handles", 2, |t| {
        t.open_many(t.many(250), "connme", None, "connected")
    })
    .needs("together/two-clients")
    .patience(8)
    .hostile(),
    must("manners/leaves", "leaves", 2, |t| {
        for part in ["", "con", "upload", "upload\x05\0abc"] {
            t.open()?.send(part);
        }
        hello(&mut t.open()?)
    })
    .hostile(),
    must("manners/half-close", "half-close", 2, |t| {
        let mut p = t.open()?;
        p.send("connme").half_close().expect("connected")?;
        p.closes()
    }),
    must("manners/reset", "reset", 2, |t| {
        let mut p = t.open()?;
        p.send("connme");
        p.reset();
        hello(&mut t.open()?)
    })
    .hostile(),
    must("root/outside-by-every-word", "path", 3, |t| outside(t, unknown_everywhere))
        .needs("refusals/size-of-nothing refusals/download-of-nothing refusals/rm-of-nothing")
        .root()
        .hostile(),
    must("root/folder-is-no-file", "folder", 1, |t| {
        let name = t.name("");
        with(t, Kind::Folder, &name, |t| not_shown(t, &name))
    })
    .needs(NOTHING_SHOWN)
    .root()
    .hostile(),
    must("root/hidden-files-stay-hidden", "hidden", 1, |t| {
        let name = format!(".{}", t.name(""));
        with(t, Kind::File, &name, |t| not_shown(t, &name))
    })
    .needs(NOTHING_SHOWN)
    .root(),
    must("root/links-are-not-followed", "links", 2, |t| {
        let name = t.name("");
        with(t, Kind::Link, &name, |t| not_shown(t, &name))
    })
    .needs(NOTHING_SHOWN)
    .root(),
];

/// What has to be right before a server can be blamed for what it shows.
const NOTHING_SHOWN: &str =
    "first/ls refusals/size-of-nothing refusals/download-of-nothing refusals/rm-of-nothing";

fn file(t: &mut Trial) -> (String, Vec<u8>) {
    let length = t.between(20, 60);
    (t.name(".txt"), t.bytes(length))
}

fn length(bytes: &[u8]) -> i32 {
    i32::try_from(bytes.len()).unwrap_or(i32::MAX)
}

fn named(name: &str) -> Vec<u8> {
    let length = i16::try_from(name.len()).unwrap_or(i16::MAX);
    [&length.to_le_bytes(), name.as_bytes()].concat()
}

fn head(bytes: &[u8]) -> Vec<u8> {
    length(bytes).to_le_bytes().to_vec()
}

pub(super) fn hello(p: &mut Peer) -> Done {
    p.send("connme").expect("connected")
}

/// A command, and the name when the server is ready for it.
fn begin(p: &mut Peer, command: &str, name: &str) -> Done {
    p.send(command).expect("ready")?;
    p.send(named(name));
    Ok(())
}

fn int(p: &mut Peer) -> Done<i32> {
    let bytes = p.take(4)?;
    Ok(bytes.try_into().map_or(-1, i32::from_le_bytes))
}

fn size(p: &mut Peer, name: &str, expected: i32) -> Done {
    begin(p, "size", name)?;
    p.expect(expected.to_le_bytes())
}

/// The confirmation of an upload.
fn done(p: &mut Peer) -> Done {
    p.expect("received")?;
    seconds(p)
}

fn seconds(p: &mut Peer) -> Done {
    let bytes = p.take(4)?;
    let seconds = <[u8; 4]>::try_from(bytes.as_slice()).map_or(f32::NAN, f32::from_le_bytes);
    if (0.0..3600.0).contains(&seconds) {
        return Ok(());
    }
    p.unread(&bytes);
    p.failed(&[Say::Seconds])
}

/// An upload as careful as it can be: each number and the bytes in a write of their own.
pub(super) fn put(p: &mut Peer, name: &str, bytes: &[u8]) -> Done {
    begin(p, "upload", name)?;
    p.apart().send(head(bytes));
    if !bytes.is_empty() {
        p.apart().send(bytes);
    }
    done(p)
}

fn get(p: &mut Peer, name: &str, bytes: &[u8]) -> Done {
    begin(p, "download", name)?;
    p.expect(head(bytes))?;
    p.expect(bytes)?;
    p.send("1");
    seconds(p)
}

/// For the server there is no such file, whatever the command.
fn unknown_everywhere(t: &mut Trial, name: &str) -> Done {
    let mut p = t.open()?;
    size(&mut p, name, -1)?;
    begin(&mut p, "download", name)?;
    p.expect((-1_i32).to_le_bytes())?;
    if t.is_own(name) {
        begin(&mut p, "rm", name)?;
        p.send("Y").expect((-1_i32).to_le_bytes())?;
    }
    hello(&mut p)
}

/// There is no such file, and the list does not have it.
fn not_shown(t: &mut Trial, name: &str) -> Done {
    unknown_everywhere(t, name)?;
    let mut p = t.open()?;
    match list(&mut p)?.iter().any(|(listed, _)| listed == name.as_bytes()) {
        true => p.failed(&[Say::NotListed { name: name.to_owned() }]),
        false => Ok(()),
    }
}

/// The names and sizes that `ls` shows.
fn list(p: &mut Peer) -> Done<Vec<(Vec<u8>, i32)>> {
    p.send("ls");
    let (mut listed, mut sum) = (Vec::new(), 0_i64);
    for _ in 0..int(p)? {
        let length = usize::try_from(int(p)?).unwrap_or(0).min(4096);
        let name = p.take(length)?;
        let size = int(p)?;
        sum += i64::from(size);
        listed.push((name, size));
        p.send("1");
    }
    p.expect(i32::try_from(sum).unwrap_or(-1).to_le_bytes())?;
    Ok(listed)
}

pub(super) fn sweep(t: &mut Trial) -> Done<usize> {
    let (mut p, mut left) = (None, 0);
    for name in t.names.clone() {
        let mut on = p.take().map_or_else(|| t.open(), Ok)?;
        if begin(&mut on, "rm", &name).and_then(|()| on.send("Y").take(4)).is_ok() {
            p = Some(on);
        } else {
            left += 1;
        }
    }
    Ok(left)
}
