//! The checks of `count`.

use super::peer::{Done, Trial};
use super::{Check, must};

pub(super) static CHECKS: &[Check] = &[
    must("first/line", "count-message", 3, |t| {
        let (message, length) = text(t);
        counts(t, format!("{message}\n").as_bytes(), &length)
    }),
    must("first/end-of-stream", "count-end", 3, |t| {
        let (message, length) = text(t);
        let mut p = t.open()?;
        p.send(message).half_close().expect(length)?;
        p.closes()
    }),
    must("first/pause", "pause-ends", 2, |t| {
        let (message, length) = text(t);
        counts(t, message.as_bytes(), &length)
    }),
    must("framing/one-byte-at-a-time", "lines", 3, |t| {
        let (message, length) = text(t);
        let mut p = t.open()?;
        p.send_apart(format!("{message}\n"), 1).expect(length)?;
        p.closes()
    }),
    must("framing/cr-lf", "crlf", 1, |t| {
        let (message, length) = text(t);
        counts(t, format!("{message}\r\n").as_bytes(), &length)
    }),
    must("framing/cr-inside", "crlf", 1, |t| counts(t, b"a\rb\n", "3")),
    must("framing/first-line-only", "count-message", 1, |t| {
        let (message, length) = text(t);
        counts(t, format!("{message}\nmore\n").as_bytes(), &length)
    }),
    must("framing/short-silence", "short-silence", 1, |t| {
        for _ in 0..5 {
            let mut p = t.open()?;
            if p.send_in_two("halo", "dunia\n") {
                return p.expect("9");
            }
        }
        Ok(())
    })
    .needs("framing/one-byte-at-a-time"),
    must("texts/empty", "count-message", 1, |t| counts(t, b"\n", "0")),
    must("texts/spaces-count", "count-spaces", 2, |t| counts(t, b"  a b\t \n", "7")),
    must("texts/characters-not-bytes", "characters", 3, |t| {
        let (message, _) = text(t);
        let length = (message.len() + 4).to_string();
        counts(t, format!("\u{e9}\u{6f22}{message}\u{1f600}\u{5b57}\n").as_bytes(), &length)
    }),
    must("texts/letter-cut-in-two", "cut-letter", 2, |t| {
        let mut p = t.open()?;
        p.send(b"x\xe6\xbc").pause(20).send(b"\xa2y\n").expect("3")?;
        p.closes()
    })
    .needs("framing/one-byte-at-a-time texts/characters-not-bytes"),
    must("texts/sixty-thousand", "count-long", 2, |t| {
        let length = t.between(50_000, 60_000);
        let message = "x".repeat(length) + "\n";
        let mut p = t.open()?;
        p.send_apart(message, 9_000).expect(length.to_string())?;
        p.closes()
    })
    .needs("framing/one-byte-at-a-time"),
    must("refusals/too-long", "count-long", 1, |t| {
        counts(t, ("x".repeat(65_537) + "\n").as_bytes(), "error: too long")
    })
    .needs("texts/sixty-thousand")
    .hostile(),
    must("refusals/not-utf8", "utf8", 2, |t| counts(t, b"\xff\xfe\n", "error: not UTF-8"))
        .hostile(),
    must("together/two-clients", "threads", 3, |t| {
        let mut silent = t.open()?;
        let (message, length) = text(t);
        counts(t, format!("{message}\n").as_bytes(), &length)?;
        silent.send("halo\n").expect("4")
    }),
    must("endurance/two-hundred-connections", "handles", 2, |t| {
        t.open_many(50, "halo\n", Some("error: busy"), "4")
    })
    .needs("together/two-clients")
    .patience(4)
    .hostile(),
    must("manners/leaves", "leaves", 2, |t| {
        for _ in 0..3 {
            drop(t.open()?);
            t.open()?.send("abc");
        }
        counts(t, b"abc\n", "3")
    })
    .hostile(),
    must("manners/reset", "reset", 1, |t| {
        let mut p = t.open()?;
        p.send("abc\n");
        p.reset();
        counts(t, b"abc\n", "3")
    })
    .hostile(),
];

/// Some letters, and how many.
fn text(t: &mut Trial) -> (String, String) {
    let length = t.between(11, 99);
    (t.letters(length), length.to_string())
}

/// This message is answered with this, and the close.
fn counts(t: &mut Trial, message: &[u8], answer: &str) -> Done {
    let mut p = t.open()?;
    p.send(message);
    let came = p.rest()?;
    p.unread(&came);
    p.expect(answer)?;
    p.closes()
}
