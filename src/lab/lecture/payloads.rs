//! Finds the payloads in what a client sends.
//!
//! A picture of the client alone has only the bytes of its writes. This reads along with them, as far as it has
//! to for knowing where a payload begins and how long it is.

use crate::dialect::json_value::Value;

/// The longest announcement that is looked at: more than a line with a long name takes.
const LONGEST: usize = 8 << 10;

/// A payload, by the bytes of what the client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Announced {
    /// Where what announces it begins.
    pub(super) header: u64,
    pub(super) from: u64,
    pub(super) size: u64,
}

/// What a client has sent so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Payloads {
    dialect: &'static str,
    /// The bytes sent.
    sent: u64,
    /// How many of the next bytes belong to a payload.
    left: u64,
    /// The message that has begun, after the last payload.
    begun: Vec<u8>,
    /// In `text` and `struct`: the message before it was the command to upload.
    is_upload: bool,
}

impl Payloads {
    pub(super) fn new(dialect: &'static str) -> Payloads {
        Payloads { dialect, sent: 0, left: 0, begun: Vec::new(), is_upload: false }
    }

    /// Takes what one write has sent. Returns the payloads that it announces.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Vec<Announced> {
        let mut found = Vec::new();
        let mut rest = bytes;
        while let [first, after @ ..] = rest {
            if self.left > 0 {
                let passed = usize::try_from(self.left).unwrap_or(usize::MAX).min(rest.len());
                self.left -= passed as u64;
                self.sent += passed as u64;
                rest = rest.get(passed..).unwrap_or_default();
                continue;
            }
            self.sent += 1;
            rest = after;
            if self.begun.len() < LONGEST {
                self.begun.push(*first);
            }
            let header = self.sent - self.begun.len() as u64;
            if let Some(size) = self.announced() {
                found.push(Announced { header, from: self.sent, size });
                self.left = size;
            }
        }
        found
    }

    /// Whether a message has begun.
    pub(super) fn has_begun(&self) -> bool {
        !self.begun.is_empty()
    }

    /// Notes that the server has answered. In `struct` nothing else tells where a command ends.
    pub(super) fn answered(&mut self) {
        if self.dialect == "struct" {
            self.is_upload = self.begun == b"upload";
            self.begun.clear();
        }
    }

    /// The size that what has begun announces, if it is complete and announces one.
    fn announced(&mut self) -> Option<u64> {
        if self.dialect == "struct" {
            let (length, rest) = self.begun.split_first_chunk().filter(|_| self.is_upload)?;
            let (_, size) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
            let size = i32::from_le_bytes(size.try_into().ok()?);
            self.is_upload = false;
            self.begun.clear();
            return size.try_into().ok();
        }
        let line = self.begun.strip_suffix(b"\n")?;
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
        self.begun.clear();
        match self.dialect {
            "text" => {
                let was_upload = std::mem::take(&mut self.is_upload);
                let command = line.split(' ').next().unwrap_or_default();
                self.is_upload = command.eq_ignore_ascii_case("upload");
                line.parse().ok().filter(|_| was_upload)
            }
            "filesaver" => line.rsplit_once("<SEPARATOR>")?.1.parse().ok(),
            "json" => Value::parse(line.as_bytes())?.get("size")?.as_u64(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dialect, what a client sends with `|` for an answer of the server, and the payloads in it: where what announces
    /// them begins, where they do, and their sizes.
    type Row = (&'static str, &'static [u8], &'static [(u64, u64, u64)]);

    const TABLE: [Row; 8] = [
        ("text", b"connme\n|upload a\n|5\nhello|ls\n|", &[(16, 18, 5)]),
        ("text", b"UPLOAD a\r\n5\r\n9\nup!upload b\n0\nls\n3\n", &[(10, 13, 5), (27, 29, 0)]),
        ("text", b"upload a\n|ls\n|7\n", &[]),
        ("struct", b"ls|1|upload|\x03\0a.c\x05\0\0\0hello|size|\x01\0a", &[(9, 18, 5)]),
        ("struct", b"upload|\x01\0a\xff\xff\xff\xff|ls", &[]),
        ("filesaver", b"SEND\n|a\na<SEPARATOR>5\nhello", &[(7, 21, 5)]),
        ("json", b"{\"aksi\":\"transfer\",\"file\":\"a\",\"size\":5}\nhello", &[(0, 40, 5)]),
        ("count", b"5\nhello", &[]),
    ];

    #[test]
    fn payloads_are_found_whole_and_byte_by_byte() {
        for (dialect, talk, expected) in TABLE {
            for size in [1, 7, talk.len()] {
                let mut payloads = Payloads::new(dialect);
                let mut found = Vec::new();
                for part in talk.split(|byte| *byte == b'|') {
                    for piece in part.chunks(size) {
                        let announced = payloads.send(piece);
                        found.extend(announced.iter().map(|it| (it.header, it.from, it.size)));
                    }
                    payloads.answered();
                }
                assert_eq!(found, expected, "{dialect} {}", talk.escape_ascii());
            }
        }
        // What never ends is not kept.
        let mut payloads = Payloads::new("text");
        payloads.send(&[b'x'; 1 << 20]);
        assert!(payloads.begun.len() <= LONGEST);
    }
}
