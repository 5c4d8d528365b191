//! Random peers against every half of every dialect, the JSON parser and the name type: no panic, no
//! endless loop, bounded buffers, and nothing outside the root touched.
//!
//! `make test` runs some thousand cases of a fixed seed. `make fuzz SEED=1 COUNT=100000` runs as many
//! as one likes. A case that fails says its number; the seed and the number make it again. What was
//! found once is in [`found`].

use std::path::Path;
use std::sync::Arc;

use crate::dialect::json_value::Value;
use crate::dialect::{Dialect, Receiver};
use crate::error::{Answer, Failure};
use crate::log::Log;
use crate::random::Random;
use crate::store::{FileName, Options, Store};
use crate::wire::script::{Script, Step};
use crate::wire::{Wire, WireConfig};

impl Random {
    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    fn pick<'p>(&mut self, from: &[&'p [u8]]) -> &'p [u8] {
        from[self.below(from.len())]
    }
}

/// Words that mean something in one of the dialects, and bytes that do not.
const PIECES: [&[u8]; 70] = [
    b"connme",
    b"ls",
    b"size",
    b"rm",
    b"download",
    b"upload",
    b"count",
    b"sum",
    b"resume",
    b"help",
    b"byebye",
    b" ",
    b"\n",
    b"\r\n",
    b"\r",
    b"a",
    b"a.txt",
    b"docs",
    b"docs/a",
    b"../x",
    b".connme",
    b"/",
    b"\\",
    b".",
    b"0",
    b"5",
    b"12",
    b"05",
    b"-1",
    b"9999999999",
    b"99999999999999999999",
    b"ok",
    b"ok ",
    b"error ",
    b"ready",
    b"received 5 a",
    b"connected",
    b"file 5 a",
    b"dir - d",
    b"total 5",
    b" HTTP/1.1",
    b"\x05\x00",
    b"\x05\x00\x00\x00",
    b"\xff\xff",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x80",
    b"\x01\x00\x00\x00",
    b"Y",
    b"N",
    b"SEND",
    b"RECEIVE",
    b"OK",
    b"<SEPARATOR>",
    b"<SEP",
    b"ERROR: File not found",
    b"{\"aksi\":\"",
    b"transfer",
    b"list",
    b"get",
    b"hapus",
    b"\",\"file\":\"",
    b"\",\"size\":",
    b"}",
    b"{",
    b"[",
    b"]",
    b"\"",
    b"null",
    b"\xc3\xa9",
    b"\xed\xa0\x80",
];

/// What a peer does: mostly words, sometimes a long run, sometimes noise, cut anywhere.
fn peer(random: &mut Random) -> Vec<Step> {
    let mut steps = Vec::new();
    for _ in 0..random.below(6) {
        let mut bytes = Vec::new();
        for _ in 0..random.below(12) {
            match random.below(20) {
                0 => bytes.push(random.byte()),
                1 => bytes.extend(vec![random.byte(); random.below(6000)]),
                _ => bytes.extend_from_slice(random.pick(&PIECES)),
            }
        }
        if !bytes.is_empty() {
            steps.push(Step::Bytes(bytes));
        }
        match random.below(12) {
            0 => steps.push(Step::Pause),
            1 => return steps.into_iter().chain([Step::Reset]).collect(),
            _ => {}
        }
    }
    steps
}

/// A whole conversation of this dialect, a little spoilt.
fn likely(dialect: Dialect, random: &mut Random) -> Vec<Step> {
    let conversation: &[u8] = match dialect {
        Dialect::Text => {
            b"connme\nupload a\n5\nhellols\nsize a\ndownload a\nrm a\ncount x\nbyebye\n"
        }
        Dialect::Struct => {
            b"connmeupload\x01\0a\x05\0\0\0hellols1size\x01\0adownload\x01\0a1rm\x01\0aYbyebye"
        }
        Dialect::Filesaver => b"SEND\na\na<SEPARATOR>5\nhello",
        Dialect::Json => b"{\"aksi\":\"transfer\",\"file\":\"a\",\"size\":5,\"type\":\"\"}\nhello",
        Dialect::Count => b"halo\n",
    };
    let mut bytes = conversation.to_vec();
    for _ in 0..random.below(4) {
        let at = random.below(bytes.len());
        match random.below(4) {
            0 => bytes[at] = random.byte(),
            1 => bytes.truncate(at),
            2 => bytes.insert(at, random.byte()),
            _ => drop(bytes.splice(at..at, random.pick(&PIECES).iter().copied())),
        }
        if bytes.is_empty() {
            break;
        }
    }
    let mut steps = Vec::new();
    while !bytes.is_empty() {
        let rest = bytes.split_off((1 + random.below(40)).min(bytes.len()));
        steps.push(Step::Bytes(std::mem::replace(&mut bytes, rest)));
    }
    steps
}

/// Runs `case` for each number, from a seed of its own, and says which one failed.
fn cases(name: &str, case: impl Fn(&mut Random) + std::panic::RefUnwindSafe) {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let (seed, count) = (number("FUZZ_SEED").unwrap_or(1), number("FUZZ_COUNT").unwrap_or(1500));
    for n in 0..count {
        let run = || case(&mut Random(seed.wrapping_mul(1_000_003).wrapping_add(n)));
        if std::panic::catch_unwind(run).is_err() {
            panic!("{name}: case {n} of seed {seed} failed");
        }
    }
    println!("{name}: {count} cases of seed {seed}");
}

/// A root with something outside it that must not change.
struct Besieged {
    folder: tempfile::TempDir,
    store: Arc<Store>,
}

impl Besieged {
    fn new() -> Besieged {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x"), "secret").unwrap();
        std::fs::create_dir_all(folder.path().join("root/docs")).unwrap();
        let options = Options {
            max_file_size: Some(100_000),
            max_total_size: Some(1_000_000),
            ..Options::default()
        };
        let store = Store::open(&folder.path().join("root"), options, &Log::default());
        let store = Arc::new(store.unwrap());
        Besieged { folder, store }
    }

    /// Serves a peer, and says how much was answered.
    fn serve(&self, dialect: Dialect, steps: Vec<Step>) -> usize {
        let log = Log::default();
        let session = log.for_connection("192.0.2.1:1".parse().unwrap(), dialect.name());
        let (script, written) = Script::new(steps);
        let mut wire = Wire::new(Box::new(script), WireConfig::default());
        let _ = dialect.handle_client(&mut wire, &self.store, &session);
        assert!(wire.memory() < 200_000, "{} bytes of buffers", wire.memory());
        wire.close_and_wait();
        written.bytes().len()
    }

    /// What has piled up makes each list longer, and the hundred-thousandth case slow.
    fn clear(&self) {
        for entry in self.store.all().entries() {
            if entry.size.is_some() {
                self.store.remove(&FileName::parse(entry.name.as_bytes()).unwrap()).unwrap();
            }
        }
    }

    fn assert_unharmed(&self) {
        let names = |folder: &Path| {
            let entries = std::fs::read_dir(folder).unwrap();
            let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(self.folder.path()), ["root", "x"]);
        assert_eq!(std::fs::read(self.folder.path().join("x")).unwrap(), b"secret");
        let own = self.folder.path().join("root/.connme/incoming");
        let corner = std::fs::read_dir(own).unwrap().next().unwrap().unwrap().path();
        assert_eq!(names(&corner), ["lock"], "an upload was left behind");
        for entry in self.store.all().entries() {
            assert!(FileName::parse(entry.name.as_bytes()).is_ok());
        }
    }
}

fn fuzz_server(dialect: Dialect) {
    let besieged = std::sync::Mutex::new(Besieged::new());
    let lock = || besieged.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    cases(dialect.name(), |random| {
        let spoilt = random.below(2) == 0;
        let steps = if spoilt { likely(dialect, random) } else { peer(random) };
        lock().serve(dialect, steps);
        if random.below(100) == 0 {
            lock().clear();
        }
    });
    lock().assert_unharmed();
}

#[test]
fn server_text() {
    fuzz_server(Dialect::Text);
}

#[test]
fn server_struct() {
    fuzz_server(Dialect::Struct);
}

#[test]
fn server_filesaver() {
    fuzz_server(Dialect::Filesaver);
}

#[test]
fn server_json() {
    fuzz_server(Dialect::Json);
}

#[test]
fn server_count() {
    fuzz_server(Dialect::Count);
}

/// Takes a file and keeps nothing of it.
struct Nowhere(u64);

impl Receiver<Failure> for Nowhere {
    fn announce(&mut self, _: Option<u64>) -> Answer<()> {
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Answer<()> {
        self.0 += u64::try_from(bytes.len()).unwrap();
        Ok(())
    }

    fn put_before(&mut self, bytes: &[u8]) -> Answer<()> {
        self.write(bytes)
    }
}

fn fuzz_client(dialect: Dialect) {
    let name = format!("{} client", dialect.name());
    cases(&name, |random| {
        let requests = dialect.requests();
        let (script, _) = Script::new(peer(random));
        let mut wire = Wire::new(Box::new(script), WireConfig::default());
        let mut nowhere = Nowhere(0);
        for _ in 0..3 {
            let answer = match random.below(7) {
                0 => requests.connme.map(|connme| connme(&mut wire)),
                1 => requests.list_files.map(|list| list(&mut wire, None).map(drop)),
                2 => requests.get_size.map(|get_size| get_size(&mut wire, "a").map(drop)),
                3 => requests.delete.map(|delete| delete(&mut wire, "a")),
                4 => requests.count.map(|count| count(&mut wire, "a").map(drop)),
                5 => requests.upload.map(|upload| {
                    upload.run(&mut wire, "a", 5, &mut |room: &mut [u8]| Ok(room.len())).map(drop)
                }),
                _ => requests.download.map(|download| {
                    let size = download.run(&mut wire, "a", &mut nowhere)?;
                    assert_eq!(size, nowhere.0, "a file of another size than was announced");
                    nowhere.0 = 0;
                    Ok(())
                }),
            };
            if answer.is_some_and(|answer| answer.is_err()) {
                break;
            }
        }
        assert!(wire.memory() < 200_000, "{} bytes of buffers", wire.memory());
    });
}

#[test]
fn client_text() {
    fuzz_client(Dialect::Text);
}

#[test]
fn client_struct() {
    fuzz_client(Dialect::Struct);
}

#[test]
fn client_filesaver() {
    fuzz_client(Dialect::Filesaver);
}

#[test]
fn client_json() {
    fuzz_client(Dialect::Json);
}

#[test]
fn client_count() {
    fuzz_client(Dialect::Count);
}

#[test]
fn json_text() {
    cases("json text", |random| {
        let mut text = Vec::new();
        for _ in 0..random.below(30) {
            match random.below(6) {
                0 => text.push(random.byte()),
                1 => text.extend_from_slice(random.pick(&PIECES)),
                _ => text.extend_from_slice(random.pick(&[
                    b"{", b"}", b"[", b"]", b",", b":", b"\"", b"\\", b"\\u", b"d83d", b"\\ude00",
                    b"null", b"true", b"-", b"1", b".", b"e", b"\"a\":",
                ])),
            }
        }
        if let Some(value) = Value::parse(&text) {
            let printed = value.to_string();
            assert!(!printed.contains('\n'), "a value is one line");
            assert_eq!(Value::parse(printed.as_bytes()), Some(value));
        }
    });
}

#[test]
fn names() {
    cases("names", |random| {
        let mut name = Vec::new();
        for _ in 0..random.below(8) {
            match random.below(4) {
                0 => name.push(random.byte()),
                1 => name.extend(vec![random.byte(); random.below(300)]),
                _ => name.extend_from_slice(random.pick(&PIECES)),
            }
        }
        let Ok(parsed) = FileName::parse(&name) else { return };
        assert_eq!(parsed.as_str().as_bytes(), name, "nothing is repaired");
        for part in parsed.as_str().split('/') {
            assert!(!part.is_empty() && part.len() <= 255 && !part.starts_with('.'));
            assert!(!part.contains(['\\', '\n', '\0']));
        }
        let number = u64::try_from(random.below(usize::MAX)).unwrap();
        let numbered = parsed.numbered(number);
        assert!(FileName::parse(numbered.as_str().as_bytes()).is_ok());
        assert_eq!(numbered.folder(), parsed.folder());
    });
}

/// Cases that an earlier run found, and what they were.
#[test]
fn found() {
    let besieged = Besieged::new();
    let whole = |bytes: &[u8]| vec![Step::Bytes(bytes.to_vec())];
    // A negative size left its payload to be read as commands.
    besieged.store.begin(FileName::parse(b"v").unwrap()).and_then(|v| v.publish()).unwrap();
    besieged.serve(Dialect::Struct, whole(b"upload\x01\0z\xfb\xff\xff\xffrm\x01\0vY"));
    assert_eq!(besieged.store.size(&FileName::parse(b"v").unwrap()).unwrap(), 0);
    // A size header with a sign, after a refused upload, was ignored, and the payload was run.
    besieged.serve(Dialect::Text, whole(b"upload .x\n-5\nrm v\n"));
    assert!(besieged.store.size(&FileName::parse(b"v").unwrap()).is_ok());
    besieged.assert_unharmed();
}
