//! The checks of `text` on names: those that a server takes, and those that it refuses.

use super::peer::{Done, Trial};
use super::text::{get, hello, listed, put, put_as, refused};
use super::{Check, must, should};

pub(super) static CHECKS: &[Check] = &[
    must("names/spaces", "name", 2, |t| {
        let name = t.name(" two  words.txt");
        let mut p = t.open()?;
        put(&mut p, &name, b"hello")?;
        get(&mut p, &name, b"hello")?;
        listed(&mut p, &name, Some(5))
    })
    .needs("first/download first/ls"),
    must("names/not-ascii", "name", 2, |t| {
        let name = t.name(" \u{e9}\u{6f22}\u{5b57}.txt");
        let mut p = t.open()?;
        put(&mut p, &name, b"hello")?;
        get(&mut p, &name, b"hello")?;
        listed(&mut p, &name, Some(5))
    })
    .needs("first/download first/ls"),
    must("names/255-bytes", "long-name", 1, |t| {
        let name = t.name("");
        let name = name.clone() + &t.letters(255 - name.len());
        t.also(&name);
        let mut p = t.open()?;
        put(&mut p, &name, b"hello")?;
        get(&mut p, &name, b"hello")
    })
    .needs("first/download"),
    must("names/256-bytes", "long-name", 1, |t| {
        let name = t.letters(256);
        refused_everywhere(t, &name, &["bad-name"])
    })
    .needs("refusals/size-of-nothing"),
    should("names/counter-in-a-full-name", "full-name", 1, |t| {
        let name = t.name("");
        let stem = name.clone() + &t.letters(250 - name.len());
        let full = format!("{stem}x.txt");
        let stored = format!("{}_1.txt", stem.get(..249).unwrap_or_default());
        t.also(&full);
        t.also(&stored);
        let mut p = t.open()?;
        put(&mut p, &full, b"one")?;
        put_as(&mut p, &full, b"two", &stored)
    })
    .needs("names/255-bytes files/same-name-twice"),
    must("names/dot-dot", "path", 3, |t| {
        let name = t.name(".txt");
        refused_everywhere(t, &format!("../{name}"), &["bad-name"])?;
        refused_everywhere(t, "..", &["bad-name"])
    })
    .hostile(),
    must("names/dot-dot-inside", "path", 2, |t| {
        let name = t.name(".txt");
        refused_everywhere(t, &format!("{name}/../../{name}"), &["bad-name"])
    })
    .needs("refusals/size-of-nothing")
    .hostile(),
    must("names/absolute", "path", 3, |t| {
        let name = t.name(".txt");
        refused_everywhere(t, &format!("/tmp/{name}"), &["bad-name"])
    })
    .hostile(),
    must("names/backslash", "path", 1, |t| {
        let name = t.name(".txt");
        refused_everywhere(t, &format!("x\\{name}"), &["bad-name"])?;
        refused_everywhere(t, &format!("..\\{name}"), &["bad-name"])
    })
    .needs("refusals/size-of-nothing")
    .hostile(),
    must("names/hidden", "hidden", 1, |t| {
        let name = t.name(".txt");
        refused_everywhere(t, &format!(".{name}"), &["bad-name"])
    })
    .needs("refusals/size-of-nothing"),
    must("names/control-characters", "control", 1, |t| {
        let name = t.name("");
        refused_everywhere(t, &format!("{name}\tx"), &["bad-name"])?;
        refused_everywhere(t, &format!("{name}\0x"), &["bad-name"])
    })
    .needs("refusals/size-of-nothing")
    .hostile(),
    must("names/not-utf8", "utf8", 1, |t| {
        let name = t.name("");
        let mut p = t.open()?;
        p.send([format!("size {name}").as_bytes(), b"\xff\xfe\n"].concat());
        refused(&mut p, &["bad-name", "bad-request"])?;
        hello(&mut p)
    })
    .needs("refusals/size-of-nothing")
    .hostile(),
    should("names/direction-marks", "control", 1, |t| {
        let name = t.name("\u{202e}txt.exe");
        refused_everywhere(t, &name, &["bad-name"])
    })
    .needs("refusals/size-of-nothing"),
    must("names/folder-that-is-not-there", "no-folder", 1, |t| {
        let name = t.name("");
        refused_everywhere(t, &format!("{name}/a.txt"), &["not-found", "bad-name"])
    })
    .needs("refusals/size-of-nothing"),
];

/// Every command that takes a name refuses this one, and the connection stays open.
pub(super) fn refused_everywhere(t: &mut Trial, name: &str, codes: &[&str]) -> Done {
    let mut p = t.open()?;
    for command in ["upload", "size", "download", "rm"] {
        // What is not the grader's own is never removed: a wrong server could do it.
        if command == "rm" && !t.is_own(name) {
            continue;
        }
        p.send(format!("{command} {name}\n"));
        refused(&mut p, codes)?;
    }
    hello(&mut p)
}
