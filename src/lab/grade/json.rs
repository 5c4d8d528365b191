//! The checks of `json`.

use super::peer::{Done, MEGABYTE, Peer, Trial};
use super::prepared::{Kind, outside, with};
use super::words::Say;
use super::{Check, must};
use crate::dialect::json_value::Value;
use crate::error::Code;

pub(super) static CHECKS: &[Check] = &[
    must("first/list", "json-list", 2, |t| list(t).map(drop)),
    must("first/transfer", "json-transfer", 3, |t| {
        let (name, bytes) = file(t, ".txt");
        put(t, &name, &bytes).map(drop)
    }),
    must("first/listed", "json-list", 2, |t| {
        let (name, bytes) = file(t, ".txt");
        let stored = put(t, &name, &bytes)?;
        if list(t)?.contains(&stored) {
            return Ok(());
        }
        t.failed(&Say::Listed { name, size: bytes.len() as u64 }, &Say::NotThere)
    })
    .needs("first/transfer"),
    must("first/get", "json-get", 3, |t| {
        let (name, bytes) = file(t, ".txt");
        let stored = put(t, &name, &bytes)?;
        get(t, &by_name("get", &name), &stored, &bytes)
    })
    .needs("first/transfer"),
    must("first/get-by-id", "json-id", 2, |t| {
        let (name, bytes) = file(t, ".txt");
        let stored = put(t, &name, &bytes)?;
        get(t, &by_id("get", &stored), &stored, &bytes)
    })
    .needs("first/get"),
    must("first/hapus", "json-hapus", 2, |t| {
        let (name, bytes) = file(t, ".txt");
        let stored = put(t, &name, &bytes)?;
        removed(t, &by_name("hapus", &name), &stored)?;
        is_null(t, &by_name("get", &name))
    })
    .needs("first/transfer"),
    must("first/hapus-by-id", "json-id", 2, |t| {
        let (name, bytes) = file(t, ".txt");
        let stored = put(t, &name, &bytes)?;
        removed(t, &by_id("hapus", &stored), &stored)?;
        is_null(t, &by_name("get", &name))
    })
    .needs("first/hapus"),
    must("framing/one-byte-at-a-time", "lines", 3, |t| {
        let name = t.name(".txt");
        let mut p = t.open()?;
        p.send_apart(by_name("get", &name) + "\n", 1).expect("null")?;
        p.closes()
    }),
    must("framing/object-with-payload", "header", 3, |t| {
        let (name, bytes) = file(t, ".txt");
        let mut p = t.open()?;
        p.send([(transfer(&name, bytes.len()) + "\n").as_bytes(), &bytes].concat());
        let stored = confirmed(&mut p, &name, bytes.len())?;
        get(t, &by_name("get", &name), &stored, &bytes)
    })
    .needs("first/get"),
    must("framing/payload-byte-by-byte", "payload", 2, |t| {
        let (name, bytes) = file(t, ".txt");
        let mut p = t.open()?;
        p.send(transfer(&name, bytes.len()) + "\n").apart().send_apart(&bytes, 1);
        let stored = confirmed(&mut p, &name, bytes.len())?;
        get(t, &by_name("get", &name), &stored, &bytes)
    })
    .needs("first/get"),
    must("framing/payload-of-objects", "payload-words", 2, |t| {
        let (victim, bytes) = file(t, ".txt");
        let name = t.name(".txt");
        let stored = put(t, &victim, &bytes)?;
        put(t, &name, format!("{}\n", by_name("hapus", &victim)).as_bytes())?;
        get(t, &by_name("get", &victim), &stored, &bytes)
    })
    .needs("first/get"),
    must("framing/cr-lf", "crlf", 1, |t| {
        let name = t.name(".txt");
        let mut p = t.open()?;
        p.send(by_name("get", &name) + "\r\n").expect("null")?;
        p.closes()
    }),
    must("framing/white-space-and-order", "json-syntax", 2, |t| {
        let name = t.name(".txt");
        let mut p = t.open()?;
        p.send(format!(" {{ \"size\" : 5 ,\t\"file\":\"{name}\", \"aksi\" : \"transfer\" }} \n"));
        p.apart().send("hello");
        confirmed(&mut p, &name, 5).map(drop)
    })
    .needs("first/transfer"),
    must("framing/unknown-members", "json-syntax", 1, |t| {
        let name = t.name(".txt");
        let mut p = t.open()?;
        p.send(format!(
            "{{\"x\":[1,{{\"aksi\":null}}],\"aksi\":\"transfer\",\"file\":\"{name}\",\"size\":5,\
             \"nama\":\"list\"}}\n"
        ));
        p.apart().send("hello");
        confirmed(&mut p, &name, 5).map(drop)
    })
    .needs("first/transfer"),
    must("framing/escapes", "json-syntax", 2, |t| {
        let name = t.name("\u{e9}\u{1f600} x.txt");
        let escaped = name.replace('\u{e9}', "\\u00e9").replace('\u{1f600}', "\\ud83d\\ude00");
        let mut p = t.open()?;
        let size = 5;
        p.send(format!("{{\"aksi\":\"transfer\",\"file\":\"{escaped}\",\"size\":{size}}}\n"));
        p.apart().send("hello");
        let stored = confirmed(&mut p, &name, 5)?;
        get(t, &by_name("get", &name), &stored, b"hello")
    })
    .needs("names/not-ascii"),
    must("framing/pause-after-the-record", "pause-between", 1, |t| {
        let (name, bytes) = file(t, ".txt");
        put(t, &name, &bytes)?;
        t.one_of_three(|t| {
            let mut p = t.open()?;
            p.send(by_name("get", &name) + "\n");
            p.line("{…} CR")?;
            p.paused()
        })
    })
    .needs("first/get"),
    must("files/empty", "bytes", 2, |t| {
        let name = t.name(".txt");
        let stored = put(t, &name, b"")?;
        get(t, &by_name("get", &name), &stored, b"")
    })
    .needs("first/get"),
    must("files/every-byte", "bytes", 3, |t| {
        let name = t.name(".bin");
        let bytes: Vec<u8> = (0..=255).chain(*b"\r\n\0\xff").collect();
        let stored = put(t, &name, &bytes)?;
        get(t, &by_name("get", &name), &stored, &bytes)
    })
    .needs("first/get"),
    must("files/in-pieces", "payload", 3, |t| {
        let name = t.name(".bin");
        let length = t.between(60_000, 90_000);
        let bytes = t.bytes(length);
        let mut p = t.open()?;
        p.send(transfer(&name, length) + "\n").apart().send_apart(&bytes, 4_000);
        let stored = confirmed(&mut p, &name, length)?;
        get(t, &by_name("get", &name), &stored, &bytes)
    })
    .needs("first/get"),
    must("files/large", "large", 2, |t| {
        let name = t.name(".bin");
        let large = t.many(2_000_000).max(MEGABYTE) + t.between(1, 100_000);
        for length in [large, MEGABYTE] {
            let bytes = t.bytes(length);
            let mut p = t.open()?;
            p.send(transfer(&name, length) + "\n").apart().send(&bytes);
            if length > MEGABYTE && p.begins("ERROR too-large")? {
                continue;
            }
            let stored = confirmed(&mut p, &name, length)?;
            return get(t, &by_name("get", &name), &stored, &bytes);
        }
        Ok(())
    })
    .needs("files/in-pieces")
    .patience(4),
    must("files/same-name-twice", "counter", 2, |t| {
        let (name, bytes) = file(t, ".txt");
        let counted = name.replace(".txt", "_1.txt");
        t.also(&counted);
        put(t, &name, &bytes)?;
        put_as(t, &name, b"second", &counted).map(drop)
    })
    .needs("first/transfer"),
    must("files/nothing-replaced", "replace", 3, |t| {
        let (name, bytes) = file(t, ".txt");
        t.also(&name.replace(".txt", "_1.txt"));
        let stored = put(t, &name, &bytes)?;
        let mut p = t.open()?;
        p.send(transfer(&name, 6) + "\n").apart().send("second");
        p.rest()?;
        get(t, &by_name("get", &name), &stored, &bytes)
    })
    .needs("first/get"),
    must("files/id-stays", "json-id", 2, |t| {
        let (name, bytes) = file(t, ".txt");
        let stored = put(t, &name, &bytes)?;
        for _ in 0..2 {
            if !list(t)?.contains(&stored) {
                return t.failed(&Say::Listed { name, size: bytes.len() as u64 }, &Say::NotThere);
            }
        }
        Ok(())
    })
    .needs("first/listed"),
    must("files/ids-differ", "json-id", 1, |t| {
        let ((one, bytes), (two, _)) = (file(t, ".txt"), file(t, ".txt"));
        let (one, two) = (put(t, &one, &bytes)?, put(t, &two, &bytes)?);
        if one.get("id") == two.get("id") {
            return t.failed(&Say::TwoIds, &Say::Line { form: one.to_string() });
        }
        Ok(())
    })
    .needs("first/transfer"),
    must("files/id-of-a-removed-file", "json-id-gone", 2, |t| {
        let ((name, bytes), (other, _)) = (file(t, ".txt"), file(t, ".txt"));
        let stored = put(t, &name, &bytes)?;
        let kept = put(t, &other, &bytes)?;
        removed(t, &by_name("hapus", &name), &stored)?;
        is_null(t, &by_id("get", &stored))?;
        let again = put(t, &name, b"another")?;
        if again.get("id") == stored.get("id") {
            return t.failed(&Say::TwoIds, &Say::Line { form: again.to_string() });
        }
        get(t, &by_id("get", &kept), &kept, &bytes)
    })
    .needs("first/hapus first/get-by-id refusals/get-of-nothing"),
    must("files/type-is-the-extension", "json-type", 1, |t| {
        for ending in [".tar.gz", ""] {
            let (name, bytes) = file(t, ending);
            put(t, &name, &bytes)?;
        }
        Ok(())
    })
    .needs("first/transfer"),
    must("files/list-is-sorted", "sorted", 1, |t| {
        let name = t.name("");
        for ending in ["b", "C", "a_2", "a_10"] {
            let name = format!("{name}{ending}");
            t.also(&name);
            put(t, &name, b"x")?;
        }
        let names = list(t)?;
        let names: Vec<_> = names.iter().filter_map(|it| it.get("nama_file")?.as_text()).collect();
        match names.windows(2).find(|pair| matches!(pair, [a, b] if a > b)) {
            Some([first, second]) => {
                let (first, second) = ((*first).to_owned(), (*second).to_owned());
                let wrong = Say::Order { first: first.clone(), second: second.clone() };
                t.failed(&Say::Order { first: second, second: first }, &wrong)
            }
            _ => Ok(()),
        }
    })
    .needs("first/listed"),
    must("files/half-is-gone", "half", 3, |t| {
        let name = t.name(".txt");
        let mut p = t.open()?;
        p.send(transfer(&name, 100) + "\n").apart().send("only a part").pause(20);
        drop(p);
        t.open()?.pause(60);
        is_null(t, &by_name("get", &name))
    })
    .needs("first/get")
    .hostile(),
    must("names/not-ascii", "characters", 2, |t| {
        let name = t.name(" \u{e9}\u{6f22}.txt");
        let stored = put(t, &name, b"hello")?;
        get(t, &by_name("get", &name), &stored, b"hello")
    })
    .needs("first/get"),
    must("names/dot-dot", "path", 3, |t| {
        let name = t.name(".txt");
        refused(t, &(transfer(&format!("../{name}"), 0) + "\n"))?;
        refused(t, &(by_name("get", &format!("../{name}")) + "\n"))
    })
    .hostile(),
    must("names/absolute", "path", 2, |t| refused(t, &(by_name("get", "/etc/hostname") + "\n")))
        .hostile(),
    must("refusals/get-of-nothing", "null", 2, |t| {
        let name = t.name(".txt");
        is_null(t, &by_name("get", &name))
    }),
    must("refusals/hapus-of-nothing", "null", 1, |t| {
        let name = t.name(".txt");
        is_null(t, &by_name("hapus", &name))
    }),
    must("refusals/unknown-aksi", "errcmd", 2, |t| {
        let word = t.letters(5);
        for request in [format!("{{\"aksi\":\"{word}\"}}\n"), "{}\n".to_owned()] {
            let mut p = t.open()?;
            p.send(request).expect("ERRCMD\r\n")?;
            p.closes()?;
        }
        Ok(())
    }),
    must("refusals/not-json", "json-error", 2, |t| {
        refused(t, "halo\n")?;
        refused(t, "{\"aksi\":\"list\"\n")?;
        refused(t, "[1,2]\n")
    })
    .hostile(),
    must("refusals/wrong-size", "json-error", 2, |t| {
        let name = t.name(".txt");
        for size in ["-1", "\"5\"", "5.5", &"9".repeat(40)] {
            refused(
                t,
                &format!("{{\"aksi\":\"transfer\",\"file\":\"{name}\",\"size\":{size}}}\n"),
            )?;
        }
        Ok(())
    })
    .hostile(),
    must("refusals/missing-member", "json-error", 1, |t| {
        refused(t, "{\"aksi\":\"transfer\"}\n")?;
        refused(t, "{\"aksi\":\"get\"}\n")
    })
    .hostile(),
    must("refusals/error-has-a-code", "json-error", 1, |t| {
        let mut p = t.open()?;
        p.send("{\"aksi\":\"get\"}\n");
        let known = |word: &str| Code::from_word(word).is_some();
        line(&mut p, "ERROR bad-request MESSAGE", |line| {
            line.strip_prefix("ERROR ")?.split(' ').next().filter(|word| known(word)).map(drop)
        })
    })
    .needs("refusals/missing-member"),
    must("refusals/line-too-long", "json-limits", 1, |t| {
        let long = "x".repeat(70_000);
        refused(t, &format!("{{\"aksi\":\"list\",\"x\":\"{long}\"}}\n"))
    })
    .needs("refusals/not-json framing/unknown-members")
    .hostile(),
    must("refusals/deep-nesting", "json-limits", 1, |t| {
        let (open, close) = ("[".repeat(20_000), "]".repeat(20_000));
        let request = format!("{{\"aksi\":\"list\",\"x\":{open}{close}}}\n");
        let mut p = t.open()?;
        // A reader of JSON that takes any depth is right too.
        match p.send(&request).begins("[")? {
            true => Ok(()),
            false => refused(t, &request),
        }
    })
    .needs("first/list refusals/not-json")
    .hostile(),
    must("together/two-clients", "threads", 3, |t| {
        let mut silent = t.open()?;
        let name = t.name(".txt");
        is_null(t, &by_name("get", &name))?;
        silent.send(by_name("get", &name) + "\n").expect("null")
    })
    .needs("refusals/get-of-nothing"),
    must("together/twenty-clients", "threads", 2, |t| {
        let mut peers = Vec::new();
        for _ in 0..20 {
            peers.push((t.open()?, file(t, ".txt")));
        }
        for (p, (name, bytes)) in &mut peers {
            p.send(transfer(name, bytes.len()) + "\n").pause(2);
        }
        for (p, (_, bytes)) in &mut peers {
            p.pause(2).send(bytes);
        }
        for (p, (name, bytes)) in &mut peers {
            if !p.begins("ERROR busy")? {
                confirmed(p, name, bytes.len())?;
            }
        }
        Ok(())
    })
    .needs("together/two-clients first/transfer")
    .patience(4),
    must("endurance/hundred-connections", "handles", 2, |t| {
        let name = t.name(".txt");
        t.open_many(25, &(by_name("get", &name) + "\n"), Some("ERROR busy"), "null")
    })
    .needs("together/two-clients")
    .patience(4)
    .hostile(),
    must("manners/leaves", "leaves", 2, |t| {
        for part in ["", "{\"aksi\"", "{\"aksi\":\"transfer\",\"file\":\"x\",\"size\":9}\n"] {
            t.open()?.send(part);
        }
        list(t).map(drop)
    })
    .hostile(),
    must("manners/half-close", "half-close", 1, |t| {
        let name = t.name(".txt");
        let mut p = t.open()?;
        p.send(by_name("get", &name) + "\n").half_close().expect("null")?;
        p.closes()
    }),
    must("manners/half-a-request", "half-command", 2, |t| {
        let (name, bytes) = file(t, ".txt");
        let stored = put(t, &name, &bytes)?;
        let mut p = t.open()?;
        p.send(by_name("hapus", &name)).half_close();
        p.rest()?;
        get(t, &by_name("get", &name), &stored, &bytes)
    })
    .needs("first/hapus first/get")
    .hostile(),
    must("root/outside-by-every-word", "path", 3, |t| {
        outside(t, |t, path| {
            not_given(t, path)?;
            refused(t, &(transfer(path, 0) + "\n"))
        })
    })
    .needs("refusals/get-of-nothing")
    .root()
    .hostile(),
    must("root/folder-is-no-file", "folder", 1, |t| {
        let name = t.name("");
        with(t, Kind::Folder, &name, |t| not_shown(t, &name))
    })
    .needs("first/list refusals/get-of-nothing")
    .root()
    .hostile(),
    must("root/hidden-files-stay-hidden", "hidden", 1, |t| {
        let name = format!(".{}", t.name(""));
        with(t, Kind::File, &name, |t| not_shown(t, &name))
    })
    .needs("first/list refusals/get-of-nothing")
    .root(),
    must("root/links-are-not-followed", "links", 2, |t| {
        let name = t.name("");
        with(t, Kind::Link, &name, |t| not_shown(t, &name))
    })
    .needs("first/list refusals/get-of-nothing")
    .root(),
];

fn file(t: &mut Trial, ending: &str) -> (String, Vec<u8>) {
    let length = t.between(20, 60);
    (t.name(ending), t.bytes(length))
}

fn transfer(name: &str, size: usize) -> String {
    let (file, kind) = (Value::text(name), Value::text(extension(name)));
    format!("{{\"aksi\":\"transfer\",\"file\":{file},\"size\":{size},\"type\":{kind}}}")
}

fn by_name(aksi: &str, name: &str) -> String {
    format!("{{\"aksi\":\"{aksi}\",\"file\":{}}}", Value::text(name))
}

fn by_id(aksi: &str, record: &Value) -> String {
    let id = record.get("id").map(Value::to_string).unwrap_or_default();
    format!("{{\"aksi\":\"{aksi}\",\"id\":{id}}}")
}

fn extension(name: &str) -> &str {
    name.rfind('.').filter(|dot| *dot > 0).and_then(|dot| name.get(dot..)).unwrap_or_default()
}

/// A line that ends in CR LF, without these.
fn line<T>(p: &mut Peer, form: &str, read: impl FnOnce(&str) -> Option<T>) -> Done<T> {
    p.line_as(&format!("{form} CR"), |line| read(line.strip_suffix('\r')?))
}

/// A record of a file with this name and this size.
fn record(text: &str, name: &str, size: usize) -> Option<Value> {
    let record = Value::parse(text.as_bytes())?;
    let has_id = !record.get("id")?.as_text()?.is_empty();
    let is_it = record.get("nama_file")?.as_text()? == name
        && record.get("size")?.as_u64()? == size as u64
        && record.get("type")?.as_text()? == extension(name);
    (has_id && is_it).then_some(record)
}

fn form(name: &str, size: usize) -> String {
    let kind = extension(name);
    format!("{{\"id\":\"…\",\"nama_file\":\"{name}\",\"size\":{size},\"type\":\"{kind}\"}}")
}

/// The confirmation of a transfer, and the close. Returns the record.
fn confirmed(p: &mut Peer, name: &str, size: usize) -> Done<Value> {
    let stored = line(p, &format!("OK {}", form(name, size)), |line| {
        record(line.strip_prefix("OK ")?, name, size)
    })?;
    p.closes()?;
    Ok(stored)
}

pub(super) fn put(t: &mut Trial, name: &str, bytes: &[u8]) -> Done<Value> {
    put_as(t, name, bytes, name)
}

/// A transfer as careful as it can be: the server has time to read the object before the payload comes.
fn put_as(t: &mut Trial, name: &str, bytes: &[u8], stored: &str) -> Done<Value> {
    let mut p = t.open()?;
    p.send(transfer(name, bytes.len()) + "\n");
    if !bytes.is_empty() {
        p.apart().send(bytes);
    }
    confirmed(&mut p, stored, bytes.len())
}

fn get(t: &mut Trial, request: &str, stored: &Value, bytes: &[u8]) -> Done {
    let mut p = t.open()?;
    p.send(format!("{request}\n"));
    let expected = stored.to_string();
    line(&mut p, &expected, |line| (Value::parse(line.as_bytes())? == *stored).then_some(()))?;
    p.expect(bytes)?;
    p.closes()
}

fn removed(t: &mut Trial, request: &str, stored: &Value) -> Done {
    let mut p = t.open()?;
    p.send(format!("{request}\n"));
    line(&mut p, &format!("OK {stored}"), |line| {
        (Value::parse(line.strip_prefix("OK ")?.as_bytes())? == *stored).then_some(())
    })?;
    p.closes()
}

/// Exactly these four bytes, and the close.
fn is_null(t: &mut Trial, request: &str) -> Done {
    let mut p = t.open()?;
    p.send(format!("{request}\n")).expect("null")?;
    p.closes()
}

fn refused(t: &mut Trial, request: &str) -> Done {
    let mut p = t.open()?;
    refusal(p.send(request))
}

fn refusal(p: &mut Peer) -> Done {
    line(p, "ERROR CODE MESSAGE", |line| line.strip_prefix("ERROR ").map(drop))?;
    p.closes()
}

/// No request gets or removes it.
fn not_given(t: &mut Trial, name: &str) -> Done {
    for aksi in ["get", "hapus"] {
        let mut p = t.open()?;
        if p.send(by_name(aksi, name) + "\n").begins("null")? {
            p.expect("null")?;
            p.closes()?;
        } else {
            refusal(&mut p)?;
        }
    }
    Ok(())
}

/// The same, and the list does not have it.
fn not_shown(t: &mut Trial, name: &str) -> Done {
    not_given(t, name)?;
    let is_it = |record: &Value| record.get("nama_file").and_then(Value::as_text) == Some(name);
    match list(t)?.into_iter().find(is_it) {
        Some(record) => {
            let got = Say::Line { form: record.to_string() };
            t.failed(&Say::NotListed { name: name.to_owned() }, &got)
        }
        None => Ok(()),
    }
}

fn list(t: &mut Trial) -> Done<Vec<Value>> {
    let mut p = t.open()?;
    p.send("{\"aksi\":\"list\"}\n");
    let records = line(&mut p, "[…]", |line| match Value::parse(line.as_bytes())? {
        Value::Array(records) => Some(records),
        _ => None,
    })?;
    p.closes()?;
    Ok(records)
}

pub(super) fn sweep(t: &mut Trial) -> Done<usize> {
    let own = |t: &mut Trial| -> Done<Vec<String>> {
        let stored = list(t)?;
        let names = stored.iter().filter_map(|it| it.get("nama_file")?.as_text());
        Ok(names.filter(|name| t.is_own(name)).map(str::to_owned).collect())
    };
    for name in own(t)? {
        t.open()?.send(by_name("hapus", &name) + "\n").rest()?;
    }
    Ok(own(t)?.len())
}
