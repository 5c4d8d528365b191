//! The checks of `text` at the edges: other words than `download` for a path outside, sizes at powers of two, long
//! sums, characters that take four bytes, and what a server takes for a connection.

use std::fs;

use super::peer::{Done, MEGABYTE, Trial};
use super::text::{file, get, hello, listing, put, put_as, received, refused, size, sum};
use super::text_manners::bad_size;
use super::words::Say;
use super::{Check, must, should};

/// The SHA-256 of nothing.
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A size at which a server that copies its files into memory is seen.
const LARGE: u64 = 300_000_000;

/// A size that needs more than 32 bits.
const HUGE: u64 = 5_000_000_000;

pub(super) static CHECKS: &[Check] = &[
    must("names/outside-by-every-word", "path", 3, |t| {
        let name = t.name(".txt");
        let mut p = t.open()?;
        for path in [format!("../{name}"), format!("/tmp/{name}"), "..".to_owned()] {
            for request in [format!("sum {path}"), format!("resume 0 {NOTHING} {path}")] {
                p.send(format!("{request}\n"));
                // A server may lack these two.
                refused(&mut p, &["bad-name", "unknown-command"])?;
            }
        }
        for path in ["..", "../", "/", "/tmp", "x/../.."] {
            p.send(format!("ls {path}\n"));
            refused(&mut p, &["bad-name", "not-found", "bad-request"])?;
        }
        hello(&mut p)
    })
    .needs("refusals/size-of-nothing")
    .hostile(),
    must("files/large", "large", 3, |t| {
        let name = t.name(".bin");
        let large = t.many(5_000_000).max(MEGABYTE) + t.between(1, 200_000);
        let mut p = t.open()?;
        for length in [large, MEGABYTE] {
            let bytes = t.bytes(length);
            p.send(format!("upload {name}\n")).expect("ok ready\n")?;
            p.send(format!("{length}\n")).apart().send(&bytes);
            if length > MEGABYTE && p.begins("error too-large")? {
                p = t.open()?;
                continue;
            }
            p.expect(received(&bytes, &name))?;
            return get(&mut p, &name, &bytes);
        }
        Ok(())
    })
    .needs("files/in-pieces")
    .patience(4),
    must("files/twelve-of-a-name", "counter", 1, |t| {
        let name = t.name(".txt");
        let mut p = t.open()?;
        put(&mut p, &name, b"0")?;
        let mut stored = Vec::new();
        for n in 1..12 {
            let counted = name.replace(".txt", &format!("_{n}.txt"));
            t.also(&counted);
            put_as(&mut p, &name, n.to_string().as_bytes(), &counted)?;
            stored.push(counted);
        }
        for (n, stored) in (1..).zip(&stored) {
            get(&mut p, stored, n.to_string().as_bytes())?;
        }
        get(&mut p, &name, b"0")
    })
    .needs("first/download files/same-name-twice"),
    must("files/sizes-at-powers-of-two", "bytes", 2, |t| {
        let mut p = t.open()?;
        for power in [1024, 2048, 4096, 8192, 65_536] {
            for length in [power - 1, power, power + 1] {
                let (name, bytes) = (t.name(".bin"), t.bytes(length));
                put(&mut p, &name, &bytes)?;
                get(&mut p, &name, &bytes)?;
            }
        }
        Ok(())
    })
    .needs("first/download files/in-pieces")
    .patience(2),
    must("files/another-file-of-the-name", "size", 1, |t| {
        let name = t.name(".txt");
        let mut p = t.open()?;
        for bytes in [&b"first"[..], b"the second", b""] {
            put(&mut p, &name, bytes)?;
            size(&mut p, &name, bytes.len())?;
            get(&mut p, &name, bytes)?;
            p.send(format!("rm {name}\n")).expect(format!("ok removed {name}\n"))?;
        }
        Ok(())
    })
    .needs("first/size first/rm files/empty"),
    should("files/sum-of-many-blocks", "sum", 1, |t| {
        let (name, bytes) = (t.name(".bin"), t.bytes(200_000));
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        p.send(format!("sum {name}\n")).expect(format!("ok {}\n", sum(&bytes)))?;
        let (head, rest) = bytes.split_at(100_001);
        p.send(format!("resume {} {} {name}\n", head.len(), sum(head)));
        p.expect([format!("ok {}\n", rest.len()).as_bytes(), rest].concat())
    })
    .needs("files/sum files/resume files/in-pieces"),
    should("files/sum-in-capitals", "resume", 1, |t| {
        let (name, bytes) = file(t, ".bin");
        let mut p = t.open()?;
        put(&mut p, &name, &bytes)?;
        let head = bytes.get(..5).unwrap_or_default();
        p.send(format!("resume 5 {} {name}\n", sum(head).to_uppercase()));
        refused(&mut p, &["bad-request"])?;
        hello(&mut p)
    })
    .needs("files/resume"),
    should("files/ls-order-of-all-characters", "sorted", 1, |t| {
        let name = t.name("");
        // By bytes, the last one of two bytes in UTF-16 comes before the first one of four.
        let names = ["\u{e9}", "\u{fffd}", "\u{1f600}"].map(|end| format!("{name}{end}"));
        let mut p = t.open()?;
        for name in &names {
            t.also(name);
            put(&mut p, name, b"x")?;
        }
        let list = listing(&mut p, "ls\n")?;
        let found: Vec<_> = list.entries.into_iter().map(|(_, listed)| listed).collect();
        let found: Vec<_> = found.iter().filter(|listed| names.contains(listed)).collect();
        if found == names.iter().collect::<Vec<_>>() {
            return Ok(());
        }
        let [_, second, third] = &names;
        p.failed(&[Say::Order { first: second.clone(), second: third.clone() }])
    })
    .needs("names/not-ascii files/ls-sorted"),
    must("first/count-of-rare-characters", "count", 1, |t| {
        let mut p = t.open()?;
        p.send("count \u{1f600}\n").expect("ok 1\n")?;
        // A letter and an accent that combine are two characters.
        p.send("count e\u{301}a\n").expect("ok 3\n")
    })
    .needs("first/count"),
    must("framing/longest-line-with-cr", "longest", 1, |t| {
        let mut p = t.open()?;
        let text = "x".repeat(4096 - "count ".len());
        p.send(format!("count {text}\r\n")).expect(format!("ok {}\n", text.len()))?;
        hello(&mut p)
    })
    .needs("framing/longest-line framing/cr-lf first/count"),
    must("refusals/size-with-spaces", "bad-size", 1, |t| {
        bad_size(t, " 5\n")?;
        bad_size(t, "5 \n")
    })
    .needs("first/upload refusals/size-of-nothing")
    .hostile(),
    must("refusals/size-in-other-digits", "bad-size", 1, |t| {
        bad_size(t, "\u{665}\n")?;
        bad_size(t, "1_0\n")?;
        bad_size(t, "00000000000000000005\n")
    })
    .needs("first/upload refusals/size-of-nothing")
    .hostile(),
    should("refusals/no-path-of-the-machine", "no-path", 1, |t| {
        let name = t.name(".txt");
        let mut p = t.open()?;
        let parent = t.root.as_ref().and_then(|root| root.parent()).map(|it| it.to_owned());
        for request in [format!("download {name}"), format!("ls {name}"), format!("rm {name}")] {
            p.send(format!("{request}\n"));
            let line = p.line("error not-found MESSAGE")?;
            let is_told = parent.as_ref().is_some_and(|it| line.contains(&*it.to_string_lossy()));
            if is_told || line.contains("Errno") || line.contains("Traceback") {
                p.unread((line + "\n").as_bytes());
                return p.failed(&[Say::Line { form: "error not-found MESSAGE".to_owned() }]);
            }
        }
        Ok(())
    })
    .needs("refusals/download-of-nothing refusals/ls-of-nothing refusals/rm-of-nothing")
    .root(),
    must("root/links-inside-a-path", "links", 2, |t| {
        let (outside, name) = (t.name("-outside"), t.name("-link"));
        let Some(root) = t.root.clone() else { return Ok(()) };
        let Some(parent) = root.parent() else { return Ok(()) };
        let outside = parent.join(outside);
        let made =
            fs::create_dir(&outside).and_then(|()| fs::write(outside.join("a.txt"), "secret"));
        let link = root.join(&name);
        let outcome = match made.is_ok() && linked(&outside, &link) {
            true => through(t, &name),
            false => Ok(()),
        };
        let _ = fs::remove_file(&link);
        let _ = fs::remove_dir_all(&outside);
        outcome
    })
    .needs("refusals/size-of-nothing first/ls")
    .root(),
    must("root/five-gigabytes", "size", 1, |t| {
        with_sparse(t, HUGE, |t, name| {
            let mut p = t.open()?;
            p.send(format!("size {name}\n"));
            p.expect(format!("ok {HUGE} bytes (5000.000000 MB)\n"))?;
            let list = listing(&mut p, "ls\n")?;
            let listed = list.entries.iter().find(|(_, listed)| listed == name);
            let is_right = listed.and_then(|(size, _)| *size).is_some_and(|it| it as u64 == HUGE);
            if !is_right || (list.total as u64) < HUGE {
                return p.failed(&[Say::Line { form: format!("file {HUGE} {name}") }]);
            }
            p.send(format!("download {name}\n")).expect(format!("ok {HUGE}\n"))
        })
    })
    .needs("first/size first/ls")
    .root(),
    should("quality/connections-are-given-back", "handles", 2, |t| {
        for n in 0..40 {
            let mut p = t.open()?;
            hello(&mut p)?;
            if n % 2 == 0 {
                p.send("byebye\n");
            }
        }
        Ok(())
    })
    .needs("first/connme")
    .watched(),
    should("quality/memory-of-a-large-download", "large", 2, |t| {
        with_sparse(t, LARGE, |t, name| {
            let mut p = t.open()?;
            p.send(format!("download {name}\n")).expect(format!("ok {LARGE}\n"))?;
            p.take(500_000).map(drop)
        })
    })
    .needs("first/download")
    .root()
    .watched(),
];

/// Does something while there is a file of this size with nothing in it, where the disk can have one.
fn with_sparse(t: &mut Trial, size: u64, what: impl FnOnce(&mut Trial, &str) -> Done) -> Done {
    let name = t.name(".bin");
    let Some(path) = t.root.as_ref().map(|root| root.join(&name)) else { return Ok(()) };
    let made = fs::File::create(&path).and_then(|file| file.set_len(size));
    let outcome = if made.is_ok() { what(t, &name) } else { Ok(()) };
    let _ = fs::remove_file(path);
    outcome
}

/// Nothing is reached through a link to a folder.
fn through(t: &mut Trial, link: &str) -> Done {
    let mut p = t.open()?;
    for request in ["size", "download", "sum"] {
        p.send(format!("{request} {link}/a.txt\n"));
        refused(&mut p, &["bad-name", "not-found", "unknown-command"])?;
    }
    p.send(format!("upload {link}/b.txt\n"));
    refused(&mut p, &["bad-name", "not-found"])?;
    p.send(format!("ls {link}\n"));
    refused(&mut p, &["bad-name", "not-found"])?;
    hello(&mut p)
}

/// Makes a link to a folder, where the user may.
fn linked(folder: &std::path::Path, link: &std::path::Path) -> bool {
    #[cfg(unix)]
    return std::os::unix::fs::symlink(folder, link).is_ok();
    #[cfg(windows)]
    return std::os::windows::fs::symlink_dir(folder, link).is_ok();
    #[cfg(not(any(unix, windows)))]
    return {
        let _ = (folder, link);
        false
    };
}
