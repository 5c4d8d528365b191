//! The checks of `filesaver`. It cannot remove a file, so what the checks store stays on the server.

use super::peer::{Done, Peer, Trial};
use super::prepared::{Kind, outside, with};
use super::words::Say;
use super::{Check, must, should};

/// Longer than the silence that ends a word, in milliseconds.
const WORD: u64 = if cfg!(windows) { 800 } else { 160 };

pub(super) static CHECKS: &[Check] = &[
    must("first/not-found", "file-not-found", 2, |t| {
        let name = t.name(".txt");
        absent(t, &name)
    }),
    must("first/send", "send", 3, |t| {
        let (name, bytes) = file(t);
        send(t, &name, &name, &bytes)
    }),
    must("first/receive", "receive", 3, |t| {
        let (name, bytes) = file(t);
        send(t, &name, &name, &bytes)?;
        receive(t, &name, &bytes)
    })
    .needs("first/send"),
    must("framing/pauses-end-words", "pause-ends", 3, |t| {
        let (name, bytes) = file(t);
        let mut p = t.open()?;
        p.send("SEND").expect("OK")?;
        p.send(&name).pause(WORD);
        p.send(format!("{name}<SEPARATOR>{}", bytes.len())).pause(WORD).send(&bytes).half_close();
        p.closes()?;
        receive(t, &name, &bytes)
    })
    .needs("first/receive"),
    must("framing/joined-words", "glued", 3, |t| {
        let (name, bytes) = file(t);
        let mut p = t.open()?;
        p.send("SEND").expect("OK")?;
        p.send(format!("{name}{name}<SEPARATOR>{}", bytes.len())).pause(5);
        p.send(&bytes).half_close();
        p.closes()?;
        receive(t, &name, &bytes)
    })
    .needs("framing/pauses-end-words"),
    must("framing/one-byte-at-a-time", "words", 3, |t| {
        let (name, bytes) = file(t);
        let mut p = t.open()?;
        p.send_apart("SEND\n", 1).expect("OK")?;
        p.send_apart(words(&name, bytes.len()), 1).send(&bytes).half_close();
        p.closes()?;
        receive(t, &name, &bytes)
    })
    .needs("first/receive"),
    must("framing/all-in-one-segment", "words-joined", 2, |t| {
        let (name, bytes) = file(t);
        let mut p = t.open()?;
        let words = format!("SEND\n{}", words(&name, bytes.len()));
        p.send([words.as_bytes(), &bytes].concat()).half_close().expect("OK")?;
        p.closes()?;
        receive(t, &name, &bytes)
    })
    .needs("first/receive"),
    must("framing/receive-byte-by-byte", "words", 1, |t| {
        let (name, bytes) = file(t);
        send(t, &name, &name, &bytes)?;
        let mut p = t.open()?;
        p.send_apart("RECEIVE\n", 1).expect("OK")?;
        p.send_apart(format!("{name}\n"), 1);
        p.expect(format!("{name}<SEPARATOR>{}", bytes.len()))?;
        p.expect(&bytes)?;
        p.closes()
    })
    .needs("first/receive"),
    must("framing/short-silence", "short-silence", 1, |t| {
        for _ in 0..5 {
            let mut p = t.open()?;
            if p.send_in_two("RECE", "IVE") {
                return p.expect("OK");
            }
        }
        Ok(())
    })
    .needs("framing/pauses-end-words"),
    must("framing/pause-after-the-metadata", "pause-between", 1, |t| {
        let (name, bytes) = file(t);
        send(t, &name, &name, &bytes)?;
        t.one_of_three(|t| {
            let mut p = asked(t, &name)?;
            p.expect(format!("{name}<SEPARATOR>{}", bytes.len()))?;
            p.paused()
        })
    })
    .needs("first/receive"),
    must("files/empty", "bytes", 2, |t| {
        let name = t.name(".txt");
        send(t, &name, &name, b"")?;
        receive(t, &name, b"")
    })
    .needs("first/receive"),
    must("files/every-byte", "bytes", 3, |t| {
        let name = t.name(".bin");
        let bytes: Vec<u8> = (0..=255).chain(*b"\r\n\0\xff").collect();
        send(t, &name, &name, &bytes)?;
        receive(t, &name, &bytes)
    })
    .needs("first/receive"),
    must("files/digits-at-the-beginning", "glued", 2, |t| {
        let name = t.name(".txt");
        let bytes = format!("{}0123456789 digits", t.between(100, 999)).into_bytes();
        let mut p = t.open()?;
        p.send("SEND").expect("OK")?;
        p.send(format!("{name}{name}<SEPARATOR>{}", bytes.len())).send(&bytes).half_close();
        p.closes()?;
        receive(t, &name, &bytes)
    })
    .needs("framing/joined-words"),
    must("files/in-pieces", "stream-end", 3, |t| {
        let name = t.name(".bin");
        let length = t.between(60_000, 90_000);
        let bytes = t.bytes(length);
        let mut p = t.open()?;
        p.send("SEND\n").expect("OK")?;
        p.send(words(&name, length)).send_apart(&bytes, 4_000).half_close();
        p.closes()?;
        receive(t, &name, &bytes)
    })
    .needs("first/receive"),
    must("files/nothing-replaced", "replace", 3, |t| {
        let (name, bytes) = file(t);
        send(t, &name, &name, &bytes)?;
        send(t, &name, &name, b"second")?;
        receive(t, &name, &bytes)
    })
    .needs("first/receive"),
    must("files/same-name-twice", "counter", 2, |t| {
        let (name, bytes) = file(t);
        send(t, &name, &name, &bytes)?;
        send(t, &name, &name, b"second")?;
        receive(t, &name.replace(".txt", "_1.txt"), b"second")
    })
    .needs("first/receive"),
    must("files/cut-short-is-gone", "half", 3, |t| {
        let name = t.name(".txt");
        let mut p = t.open()?;
        p.send("SEND\n").expect("OK")?;
        p.send(words(&name, 100)).send("only a part").half_close();
        p.ends()?;
        absent(t, &name)
    })
    .needs("first/send")
    .hostile(),
    must("names/last-part-of-a-path", "last-part", 1, |t| {
        let (name, bytes) = file(t);
        let path = format!("docs/{name}");
        send(t, &path, &path, &bytes)?;
        receive(t, &name, &bytes)
    })
    .needs("first/receive"),
    must("names/not-ascii", "characters", 2, |t| {
        let name = t.name(" \u{e9}\u{6f22}.txt");
        send(t, &name, &name, b"hello")?;
        receive(t, &name, b"hello")
    })
    .needs("first/receive"),
    must("names/dot-dot", "path", 3, |t| {
        let up = "../".repeat(t.between(12, 15));
        absent(t, &format!("{up}etc/passwd"))?;
        absent(t, &format!("{up}Windows/win.ini"))
    })
    .hostile(),
    must("names/absolute", "path", 2, |t| absent(t, "/etc/hostname")).hostile(),
    should("refusals/unknown-word", "unknown-word", 1, |t| {
        let word = t.letters(6);
        let mut p = t.open()?;
        // Whatever it says before the close.
        p.send(format!("{word}\n")).rest().map(drop)
    })
    .hostile(),
    must("together/two-clients", "threads", 3, |t| {
        let (mut silent, name) = (t.open()?, t.name(".txt"));
        absent(t, &name)?;
        silent.send("RECEIVE\n").expect("OK")
    }),
    must("endurance/hundred-connections", "handles", 2, |t| {
        t.open_many(25, "RECEIVE\n", None, "OK")
    })
    .needs("together/two-clients")
    .patience(4)
    .hostile(),
    must("manners/leaves", "leaves", 2, |t| {
        for part in ["", "SE", "SEND\n", "SEND\na.txt\n", "RECEIVE\n"] {
            t.open()?.send(part);
        }
        let name = t.name(".txt");
        absent(t, &name)
    })
    .hostile(),
    must("manners/reset", "reset", 2, |t| {
        let mut p = t.open()?;
        p.send("SEND\n");
        p.reset();
        let name = t.name(".txt");
        absent(t, &name)
    })
    .hostile(),
    must("root/nothing-outside", "path", 3, |t| {
        outside(t, absent)?;
        let (name, bytes) = file(t);
        let outside = t.root.as_ref().and_then(|root| Some(root.parent()?.join(&name)));
        let path = format!("../{name}");
        // Stored under its last part, or not at all.
        let _ = send(t, &path, &path, &bytes);
        match outside {
            Some(path) if path.exists() => {
                let _ = std::fs::remove_file(path);
                t.failed(&Say::NothingOutside, &Say::Outside { name })
            }
            _ => Ok(()),
        }
    })
    .needs("first/not-found")
    .root()
    .hostile(),
    must("root/folder-is-no-file", "folder", 1, |t| {
        let name = t.name("");
        with(t, Kind::Folder, &name, |t| absent(t, &name))
    })
    .needs("first/not-found")
    .root()
    .hostile(),
    must("root/hidden-files-stay-hidden", "hidden", 1, |t| {
        let name = format!(".{}", t.name(""));
        with(t, Kind::File, &name, |t| absent(t, &name))
    })
    .needs("first/not-found")
    .root(),
    must("root/links-are-not-followed", "links", 2, |t| {
        let name = t.name("");
        with(t, Kind::Link, &name, |t| absent(t, &name))
    })
    .needs("first/not-found")
    .root(),
];

fn file(t: &mut Trial) -> (String, Vec<u8>) {
    let length = t.between(20, 60);
    (t.name(".txt"), t.bytes(length))
}

/// The name, and the metadata, each with its LF.
fn words(name: &str, size: usize) -> String {
    format!("{name}\n{name}<SEPARATOR>{size}\n")
}

/// Sends a file with an LF after each word, and time between them.
fn send(t: &mut Trial, path: &str, again: &str, bytes: &[u8]) -> Done {
    let mut p = t.open()?;
    p.send("SEND\n").expect("OK")?;
    p.send(format!("{path}\n")).apart();
    p.send(format!("{again}<SEPARATOR>{}\n", bytes.len())).apart().send(bytes).half_close();
    p.closes()
}

fn receive(t: &mut Trial, name: &str, bytes: &[u8]) -> Done {
    let mut p = asked(t, name)?;
    p.expect(format!("{name}<SEPARATOR>{}", bytes.len()))?;
    p.expect(bytes)?;
    p.closes()
}

/// There is no such file.
fn absent(t: &mut Trial, name: &str) -> Done {
    let mut p = asked(t, name)?;
    p.expect("ERROR: File not found")?;
    p.closes()
}

fn asked(t: &mut Trial, name: &str) -> Done<Peer> {
    let mut p = t.open()?;
    p.send("RECEIVE\n").expect("OK")?;
    p.send(format!("{name}\n"));
    Ok(p)
}

/// Only where the folder is known.
pub(super) fn sweep(t: &mut Trial) -> Done<usize> {
    for (root, name) in t.root.iter().flat_map(|root| t.names.iter().map(move |it| (root, it))) {
        let counted = name.replace(".txt", "_1.txt");
        let _ = std::fs::remove_file(root.join(name));
        let _ = std::fs::remove_file(root.join(counted));
    }
    Ok(t.names.len())
}
