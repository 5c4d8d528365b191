//! The checks of `text` on what a server refuses, on many clients, and on clients that behave badly.

use std::fs;
use std::time::{Duration, Instant};

use super::peer::{Done, Trial};
use super::text::{file, get, hello, listed, listing, missing, put, put_as, refused};
use super::text_names::refused_everywhere;
use super::words::Say;
use super::{Check, must, should};

pub(super) static CHECKS: &[Check] = &[
    must("refusals/unknown-command", "unknown", 2, |t| {
        let word = t.letters(8);
        let mut p = t.open()?;
        p.send(format!("{word} a.txt\n"));
        refused(&mut p, &["unknown-command"])?;
        hello(&mut p)
    }),
    must("refusals/size-of-nothing", "not-found", 1, |t| absent(t, "size")),
    must("refusals/download-of-nothing", "not-found", 1, |t| absent(t, "download")),
    must("refusals/rm-of-nothing", "not-found", 1, |t| absent(t, "rm")),
    must("refusals/ls-of-nothing", "not-found", 1, |t| absent(t, "ls")).needs("first/ls"),
    must("refusals/command-without-a-name", "no-name", 1, |t| {
        let mut p = t.open()?;
        for command in ["size", "download", "rm", "upload"] {
            p.send(format!("{command}\n"));
            refused(&mut p, &["bad-name", "bad-request"])?;
        }
        hello(&mut p)
    })
    .hostile(),
    should("refusals/command-with-too-much", "too-much", 1, |t| {
        let mut p = t.open()?;
        p.send("connme now\n");
        refused(&mut p, &["bad-request"])?;
        p.send("byebye now\n");
        refused(&mut p, &["bad-request"])?;
        hello(&mut p)
    }),
    must("refusals/size-with-a-sign", "bad-size", 2, |t| {
        bad_size(t, "-1\n")?;
        bad_size(t, "+5\n")
    })
    .needs("first/upload refusals/size-of-nothing")
    .hostile(),
    must("refusals/size-with-other-characters", "bad-size", 2, |t| {
        bad_size(t, "5x\n")?;
        bad_size(t, "0x5\n")?;
        bad_size(t, "five\n")
    })
    .needs("first/upload refusals/size-of-nothing")
    .hostile(),
    must("refusals/size-that-is-empty", "bad-size", 1, |t| bad_size(t, "\n"))
        .needs("first/upload refusals/size-of-nothing")
        .hostile(),
    must("refusals/size-of-forty-digits", "bad-size", 2, |t| {
        let size = "9".repeat(40);
        bad_size(t, &format!("{size}\n"))
    })
    .needs("first/upload refusals/size-of-nothing")
    .hostile(),
    must("refusals/number-is-no-command", "digits", 2, |t| {
        let mut p = t.open()?;
        p.send(format!("{}\n", t.between(1, 999)));
        refused(&mut p, &["bad-request"])?;
        p.ends()
    }),
    must("refusals/payload-of-a-refused-upload", "refused-payload", 3, |t| {
        let (victim, bytes) = file(t, ".txt");
        let mut p = t.open()?;
        put(&mut p, &victim, &bytes)?;
        let payload = format!("connme\nrm {victim}\nls\n");
        p.send(format!("upload ..\n{}\n{payload}", payload.len()));
        refused(&mut p, &["bad-name"])?;
        refused(&mut p, &["bad-request"])?;
        p.ends()?;
        get(&mut t.open()?, &victim, &bytes)
    })
    .needs("first/download refusals/number-is-no-command names/dot-dot framing/two-commands")
    .hostile(),
    must("refusals/early-answer-is-not-lost", "early", 2, |t| {
        let bytes = t.bytes(400_000);
        let mut p = t.open()?;
        p.send(format!("upload ..\n{}\n", bytes.len())).send(bytes);
        refused(&mut p, &["bad-name"])?;
        refused(&mut p, &["bad-request"])?;
        p.closes()
    })
    .needs("refusals/payload-of-a-refused-upload")
    .hostile(),
    must("refusals/half-a-command", "half-command", 3, |t| {
        let (name, bytes) = file(t, ".txt");
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        p.send(format!("rm {name}")).half_close();
        let came = p.rest()?;
        if !came.is_empty() && !came.starts_with(b"error bad-request") {
            p.unread(&came);
            let form = "error bad-request MESSAGE".to_owned();
            return p.failed(&[Say::Line { form }, Say::Close]);
        }
        get(&mut t.open()?, &name, &bytes)
    })
    .needs("first/download first/rm")
    .hostile(),
    must("refusals/half-a-command-then-gone", "half-command", 2, |t| {
        let (name, bytes) = file(t, ".txt");
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        p.send(format!("rm {name}"));
        drop(p);
        let mut p = t.open()?;
        p.pause(60);
        get(&mut p, &name, &bytes)
    })
    .needs("refusals/half-a-command")
    .hostile(),
    must("refusals/line-without-end", "endless-line", 2, |t| {
        let mut p = t.open()?;
        for _ in 0..16 {
            p.send([b'x'; 4096]);
        }
        // A server may also refuse it at its end.
        if p.is_quiet(100).is_ok() {
            p.send("\n");
        }
        refused(&mut p, &["bad-request"])?;
        p.ends()
    })
    .hostile(),
    must("refusals/line-of-4097-bytes", "endless-line", 1, |t| {
        let mut p = t.open()?;
        p.send([&[b'x'; 4097][..], b"\n"].concat());
        refused(&mut p, &["bad-request"])?;
        p.ends()
    })
    .needs("framing/longest-line"),
    should("refusals/browser", "browser", 1, |t| {
        let name = t.name(".txt");
        let mut p = t.open()?;
        p.send(format!("POST / HTTP/1.1\r\nHost: x\r\n\r\nupload {name}\n2\nhi"));
        refused(&mut p, &["bad-request"])?;
        p.ends()
    }),
    should("refusals/binary-noise", "noise", 1, |t| {
        let mut p = t.open()?;
        p.send(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\nconnme\n");
        refused(&mut p, &["bad-request"])?;
        p.ends()
    })
    .hostile(),
    should("refusals/count-of-bytes-that-are-no-text", "count", 1, |t| {
        let mut p = t.open()?;
        p.send(b"count \xff\xfe\n");
        refused(&mut p, &["bad-request"])?;
        hello(&mut p)
    })
    .needs("first/count")
    .hostile(),
    must("refusals/many-in-a-row", "unknown", 1, |t| {
        let mut p = t.open()?;
        for _ in 0..50 {
            p.send("whatever\n");
            refused(&mut p, &["unknown-command"])?;
        }
        hello(&mut p)
    })
    .needs("refusals/unknown-command")
    .patience(2),
    must("together/two-clients", "threads", 3, |t| {
        let (mut silent, mut p) = (t.open()?, t.open()?);
        hello(&mut p)?;
        hello(&mut silent)
    }),
    must("together/twenty-clients", "threads", 3, |t| {
        let mut silent = t.open()?;
        let mut slow = t.open()?;
        slow.send("con");
        let mut peers = Vec::new();
        for _ in 0..18 {
            peers.push((t.open()?, file(t, ".txt")));
        }
        for (p, (name, _)) in &mut peers {
            p.send(format!("upload {name}\n"));
        }
        let mut served = Vec::new();
        for (mut p, (name, bytes)) in peers {
            if !p.begins("error busy")? {
                p.expect("ok ready\n")?;
                p.send(format!("{}\n", bytes.len()));
                served.push((p, name, bytes));
            }
        }
        slow.apart().send("nme\n");
        for (p, _, bytes) in &mut served {
            p.send(&*bytes);
        }
        for (p, name, bytes) in &mut served {
            p.expect(format!("ok received {} {name}\n", bytes.len()))?;
            get(p, name, bytes)?;
        }
        slow.expect("ok connected\n")?;
        hello(&mut silent)
    })
    .needs("together/two-clients first/download framing/one-byte-at-a-time")
    .patience(4),
    must("together/one-name-at-a-time", "race", 3, |t| {
        let name = t.name("");
        let mut peers = Vec::new();
        for _ in 0..4 {
            peers.push(t.open()?);
        }
        for p in &mut peers {
            p.send(format!("upload {name}\n")).expect("ok ready\n")?;
        }
        for (n, p) in peers.iter_mut().enumerate() {
            p.send("9\n").apart().send(format!("{n}{n}{n}{n}"));
        }
        for (n, p) in peers.iter_mut().enumerate() {
            p.send(format!("{n}{n}{n}{n}{n}"));
        }
        let mut stored = Vec::new();
        for p in &mut peers {
            let form = "ok received 9 STOREDNAME";
            stored.push(
                p.line_as(form, |line| Some(line.strip_prefix("ok received 9 ")?.to_owned()))?,
            );
        }
        stored.iter().for_each(|name| t.also(name));
        let mut p = t.open()?;
        for (n, name) in stored.iter().enumerate() {
            get(&mut p, name, n.to_string().repeat(9).as_bytes())?;
        }
        Ok(())
    })
    .needs("first/download files/same-name-twice framing/payload-byte-by-byte together/two-clients")
    .patience(4),
    must("together/slow-upload", "threads", 2, |t| {
        let (name, bytes) = file(t, ".txt");
        let mut slow = t.open()?;
        slow.send(format!("upload {name}\n")).expect("ok ready\n")?;
        slow.send(format!("{}\n", bytes.len())).apart().send(bytes.get(..9).unwrap_or_default());
        let (second, other) = file(t, ".txt");
        put(&mut t.open()?, &second, &other)?;
        slow.send(bytes.get(9..).unwrap_or_default());
        slow.expect(format!("ok received {} {name}\n", bytes.len()))
    })
    .needs("together/two-clients framing/payload-byte-by-byte"),
    must("together/slow-reader", "threads", 2, |t| {
        let name = t.name(".bin");
        let bytes = t.bytes(300_000);
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        let mut slow = t.open()?;
        slow.send(format!("download {name}\n").repeat(30)).pause(100);
        let (name, bytes) = file(t, ".txt");
        put(&mut p, &name, &bytes)?;
        get(&mut t.open()?, &name, &bytes)
    })
    .needs("together/two-clients files/in-pieces")
    .hostile(),
    must("endurance/thousand-commands", "pause", 3, |t| {
        let (name, bytes) = file(t, ".txt");
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        let mut times = Vec::new();
        for n in 0..t.many(1000) {
            let start = Instant::now();
            if n % 10 == 0 {
                get(&mut p, &name, &bytes)?;
            } else {
                hello(&mut p)?;
            }
            times.push((n % 10 == 0, start.elapsed()));
        }
        let fastest = times.iter().map(|(_, time)| *time).min().unwrap_or_default();
        let mut downloads: Vec<_> =
            times.iter().filter(|(is, _)| *is).map(|(_, time)| *time).collect();
        downloads.sort_unstable();
        let usual = downloads.get(downloads.len() / 2).copied().unwrap_or_default();
        if usual > fastest + Duration::from_millis(30) {
            let (most, took) = (fastest.as_millis() + 30, usual.as_millis());
            return t.failed(&Say::ReplyWithin { most }, &Say::ReplyTook { took });
        }
        Ok(())
    })
    .needs("first/download")
    .patience(8),
    must("endurance/thousand-connections", "handles", 3, |t| {
        t.open_many(t.many(250), "connme\n", Some("error busy"), "ok connected\n")
    })
    .needs("together/two-clients")
    .patience(8)
    .hostile(),
    must("endurance/fifty-uploads", "upload", 1, |t| {
        let name = t.name("-");
        let mut p = t.open()?;
        for n in 0..50 {
            let name = format!("{name}{n}");
            t.also(&name);
            put(&mut p, &name, name.as_bytes())?;
        }
        listed(&mut p, &format!("{name}49"), Some(name.len() + 2))
    })
    .needs("first/ls")
    .patience(8),
    must("manners/leaves-at-once", "leaves", 2, |t| {
        for _ in 0..5 {
            drop(t.open()?);
        }
        hello(&mut t.open()?)
    })
    .hostile(),
    must("manners/leaves-in-an-upload", "leaves", 2, |t| {
        let name = t.name(".txt");
        for part in ["", "10", "10\n", "10\nhello"] {
            let mut p = t.open()?;
            p.send(format!("upload {name}\n")).expect("ok ready\n")?;
            p.send(part);
        }
        hello(&mut t.open()?)
    })
    .needs("first/upload")
    .hostile(),
    must("manners/half-close", "half-close", 2, |t| {
        let mut p = t.open()?;
        p.send("connme\nconnme\n").half_close().expect("ok connected\nok connected\n")?;
        p.closes()
    })
    .needs("framing/two-commands"),
    must("manners/half-close-after-an-upload", "half-close", 2, |t| {
        let (name, bytes) = file(t, ".txt");
        let mut p = t.open()?;
        p.send(format!("upload {name}\n")).expect("ok ready\n")?;
        p.send(format!("{}\n", bytes.len())).apart().send(&bytes).half_close();
        p.expect(format!("ok received {} {name}\n", bytes.len()))?;
        p.closes()
    })
    .needs("first/upload manners/half-close"),
    must("manners/reset", "reset", 2, |t| {
        for rest in ["", "con"] {
            let mut p = t.open()?;
            p.send(format!("connme\n{rest}"));
            p.reset();
        }
        hello(&mut t.open()?)
    })
    .hostile(),
    must("manners/reset-in-an-upload", "reset", 2, |t| {
        let name = t.name(".txt");
        let mut p = t.open()?;
        p.send(format!("upload {name}\n")).pause(20).send("1000\nhello");
        p.reset();
        let mut p = t.open()?;
        p.pause(60);
        missing(&mut p, &name)
    })
    .needs("first/upload refusals/size-of-nothing")
    .hostile(),
    must("manners/reset-in-a-download", "reset", 2, |t| {
        let name = t.name(".bin");
        let bytes = t.bytes(300_000);
        put(&mut t.open()?, &name, &bytes)?;
        let mut p = t.open()?;
        p.send(format!("download {name}\n").repeat(30));
        p.reset();
        hello(&mut t.open()?)
    })
    .needs("files/in-pieces")
    .hostile(),
    must("manners/nothing-after-byebye", "byebye", 1, |t| {
        let (name, bytes) = file(t, ".txt");
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        p.send(format!("byebye\nrm {name}\n")).expect("ok byebye\n")?;
        p.ends()?;
        get(&mut t.open()?, &name, &bytes)
    })
    .needs("first/download first/byebye framing/two-commands"),
    must("root/stored-as-it-came", "bytes", 1, |t| {
        let (name, bytes) = file(t, ".bin");
        put(&mut t.open()?, &name, &bytes)?;
        let Some(path) = t.root.as_ref().map(|root| root.join(&name)) else { return Ok(()) };
        match fs::read(path) {
            Ok(found) if found == bytes => Ok(()),
            _ => t.failed(&Say::FileInRoot { name }, &Say::NotInRoot),
        }
    })
    .needs("first/upload")
    .root(),
    must("root/nothing-outside", "path", 3, |t| {
        let name = t.name(".txt");
        for path in [format!("../{name}"), format!("x/../../{name}")] {
            let mut p = t.open()?;
            p.send(format!("upload {path}\n"));
            if p.line("error bad-name MESSAGE")?.starts_with("ok") {
                p.send("2\n").apart().send("hi");
                let _ = p.line("…");
            }
        }
        let outside = t.root.as_ref().and_then(|root| Some(root.parent()?.join(&name)));
        match outside {
            Some(path) if path.exists() => {
                let _ = fs::remove_file(path);
                t.failed(&Say::NothingOutside, &Say::Outside { name })
            }
            _ => Ok(()),
        }
    })
    .needs("first/upload")
    .root()
    .hostile(),
    must("root/folder-is-no-file", "folder", 2, |t| {
        let name = t.name("");
        with_folder(t, &name, |t| refused_everywhere(t, &name, &["is-folder"]))
    })
    .needs("first/upload")
    .root(),
    must("root/folder-is-listed", "folder", 1, |t| {
        let name = t.name("");
        with_folder(t, &name, |t| {
            let mut p = t.open()?;
            let inside = format!("{name}/a.txt");
            t.names.insert(0, inside.clone());
            put(&mut p, &inside, b"hello")?;
            put_as(&mut p, &inside, b"again", &format!("{name}/a_1.txt"))?;
            let list = listing(&mut p, &format!("ls {name}\n"))?;
            let expected = [(Some(5), "a.txt".to_owned()), (Some(5), "a_1.txt".to_owned())];
            if list.entries == expected {
                return Ok(());
            }
            p.failed(&[Say::Line { form: "file 5 a.txt".to_owned() }])
        })
    })
    .needs("first/ls files/same-name-twice")
    .root(),
    must("root/hidden-files-stay-hidden", "hidden", 1, |t| {
        let name = format!(".{}", t.name(""));
        let Some(path) = t.root.as_ref().map(|root| root.join(&name)) else { return Ok(()) };
        let _ = fs::write(&path, "hidden");
        let outcome = refused_everywhere(t, &name, &["bad-name"])
            .and_then(|()| listed(&mut t.open()?, &name, None));
        let _ = fs::remove_file(path);
        outcome
    })
    .needs("first/ls")
    .root(),
    must("root/links-are-not-followed", "links", 2, |t| {
        let name = t.name("");
        let Some(path) = t.root.as_ref().map(|root| root.join(&name)) else { return Ok(()) };
        if !link(&path) {
            return Ok(());
        }
        let outcome = refused_everywhere(t, &name, &["bad-name"])
            .and_then(|()| listed(&mut t.open()?, &name, None));
        let _ = fs::remove_file(path);
        outcome
    })
    .needs("first/ls")
    .root(),
];

/// The command on a file that does not exist.
fn absent(t: &mut Trial, command: &str) -> Done {
    let name = t.name(".txt");
    let mut p = t.open()?;
    p.send(format!("{command} {name}\n"));
    refused(&mut p, &["not-found"])?;
    hello(&mut p)
}

/// A size header that is not one ends the connection, and stores nothing.
pub(super) fn bad_size(t: &mut Trial, header: &str) -> Done {
    let name = t.name(".txt");
    let mut p = t.open()?;
    p.send(format!("upload {name}\n")).expect("ok ready\n")?;
    p.send(header);
    refused(&mut p, &["bad-request"])?;
    p.ends()?;
    missing(&mut t.open()?, &name)
}

/// Does something while there is a folder of this name.
fn with_folder(t: &mut Trial, name: &str, what: impl FnOnce(&mut Trial) -> Done) -> Done {
    let Some(path) = t.root.as_ref().map(|root| root.join(name)) else { return Ok(()) };
    let _ = fs::create_dir(&path);
    let outcome = what(t);
    let _ = fs::remove_dir_all(path);
    outcome
}

/// Makes a link to a file outside the folder; false where that is not possible.
#[cfg(unix)]
fn link(path: &std::path::Path) -> bool {
    std::os::unix::fs::symlink("/etc/hostname", path).is_ok()
}

#[cfg(not(unix))]
fn link(_: &std::path::Path) -> bool {
    false
}

/// Removes the names that the list shows, each on a connection of its own if it has to be.
pub(super) fn sweep(t: &mut Trial) -> Done<usize> {
    let mut listed = listing(&mut t.open()?, "ls\n")?.entries;
    listed.retain(|(_, name)| t.is_own(name));
    let mut p = None;
    for (_, name) in listed {
        let mut on = p.take().map_or_else(|| t.open(), Ok)?;
        if on.send(format!("rm {name}\n")).line("ok removed NAME").is_ok() {
            p = Some(on);
        }
    }
    let left = listing(&mut t.open()?, "ls\n")?.entries;
    Ok(left.iter().filter(|(_, name)| t.is_own(name)).count())
}
