//! The json dialect in bytes.

use std::fs;

use crate::hostile;
use crate::support::{PATIENCE, TestServer, escape, folder_in_memory, noise};

/// One request, one reply.
fn ask(server: &TestServer, request: impl AsRef<[u8]>) -> Vec<u8> {
    server.peer_of("json").say(request).say("\n").rest()
}

fn text(server: &TestServer, request: &str) -> String {
    String::from_utf8(ask(server, request)).unwrap()
}

fn transfer(server: &TestServer, name: &str, bytes: &[u8]) -> String {
    let mut peer = server.peer_of("json");
    let size = bytes.len();
    peer.say(format!(
        "{{\"aksi\":\"transfer\",\"file\":\"{name}\",\"size\":{size},\"type\":\"x\"}}\n"
    ));
    String::from_utf8(peer.say(bytes).rest()).unwrap()
}

fn id(record: &str) -> String {
    record.split("\"id\":\"").nth(1).unwrap()[..36].to_owned()
}

#[test]
fn every_row_of_the_table() {
    let server = TestServer::start(&[]);
    assert_eq!(text(&server, "{\"aksi\":\"list\"}"), "[]\r\n");
    let a = transfer(&server, "a.png", b"hello");
    let a_id = id(&a);
    let record =
        format!("{{\"id\":\"{a_id}\",\"nama_file\":\"a.png\",\"size\":5,\"type\":\".png\"}}");
    assert_eq!(a, format!("OK {record}\r\n"));
    let b = transfer(&server, "a.png", b"");
    assert!(b.contains("\"nama_file\":\"a_1.png\",\"size\":0,") && id(&b) != a_id, "{b}");

    let list = text(&server, "{\"aksi\":\"list\"}");
    assert_eq!(list.trim_end(), format!("[{record},{}]", b[3..].trim_end()));
    for get in ["\"file\":\"a.png\"".to_owned(), format!("\"id\":\"{a_id}\"")] {
        let got = text(&server, &format!("{{\"aksi\":\"get\",{get}}}"));
        assert_eq!(got, format!("{record}\r\nhello"));
    }
    let b_id = id(&b);
    assert_eq!(text(&server, &format!("{{\"aksi\":\"hapus\",\"id\":\"{b_id}\"}}")), b);
    assert_eq!(text(&server, &format!("{{\"id\":\"{b_id}\",\"aksi\":\"hapus\"}}\r")), "null");
    assert_eq!(text(&server, "{\"aksi\":\"hapus\",\"file\":\"a.png\"}"), a);
    assert_eq!(text(&server, "{\"aksi\":\"hapus\",\"file\":\"a.png\"}"), "null");
    assert_eq!(text(&server, "{\"aksi\":\"get\",\"file\":\"a.png\"}"), "null");
    assert_eq!(text(&server, "{\"aksi\":\"get\",\"id\":\"x\"}"), "null");
    for unknown in ["{\"aksi\":\"LIST\"}", "{}", "{\"aksi\":5}", "{\"x\":null}"] {
        assert_eq!(text(&server, unknown), "ERRCMD\r\n", "{unknown}");
    }
    for (request, code) in [
        ("", "bad-request"),
        ("{", "bad-request"),
        ("list", "bad-request"),
        ("[]", "bad-request"),
        ("5", "bad-request"),
        ("null", "bad-request"),
        ("{\"aksi\":\"list\"}x", "bad-request"),
        ("{\"aksi\":\"get\"}", "bad-request"),
        ("{\"aksi\":\"hapus\",\"file\":5}", "bad-request"),
        ("{\"aksi\":\"list\",\"aksi\":\"list\"}", "bad-request"),
        ("{\"aksi\":\"transfer\",\"file\":\"x\"}", "bad-request"),
        ("{\"aksi\":\"transfer\",\"size\":1}", "bad-request"),
        ("{\"aksi\":\"transfer\",\"file\":\"x\",\"size\":-1}", "bad-request"),
        ("{\"aksi\":\"transfer\",\"file\":\"x\",\"size\":1.0}", "bad-request"),
        ("{\"aksi\":\"transfer\",\"file\":\"x\",\"size\":\"1\"}", "bad-request"),
        ("{\"aksi\":\"transfer\",\"file\":\"x\",\"size\":99999999999999999999}", "bad-request"),
        ("{\"aksi\":\"transfer\",\"file\":\"../x\",\"size\":0}", "bad-name"),
        ("{\"aksi\":\"transfer\",\"file\":\"a\\u0000b\",\"size\":0}", "bad-name"),
        ("{\"aksi\":\"get\",\"file\":\"../x\"}", "bad-name"),
        ("{\"aksi\":\"transfer\",\"file\":\"x\",\"size\":9223372036854775808}", "too-large"),
    ] {
        let reply = text(&server, request);
        assert!(
            reply.starts_with(&format!("ERROR {code} ")) && reply.ends_with("\r\n"),
            "{request}: {reply}"
        );
    }
    assert_eq!(server.names(), [""; 0]);
}

#[test]
fn requests_may_come_byte_by_byte_and_payloads_glued() {
    let server = TestServer::start(&[]);
    let request = "{ \"aksi\" : \"transfer\", \"file\": \"\\u00e9.txt\", \"size\": 5, \"x\": [1,{}] }\r\nhello";
    for drip in [true, false] {
        let mut peer = server.peer_of("json");
        if drip {
            peer.drip(request);
        } else {
            peer.say(request);
        }
        assert!(peer.rest().starts_with(b"OK {"));
    }
    assert_eq!(
        (server.get("é.txt"), server.get("é_1.txt")),
        (b"hello".to_vec(), b"hello".to_vec())
    );
    let bytes = noise(5, 2_000_000);
    transfer(&server, "big", &bytes);
    let got = ask(&server, "{\"aksi\":\"get\",\"file\":\"big\"}");
    let head = got.windows(2).position(|pair| pair == b"\r\n").unwrap() + 2;
    assert!(got[head..] == bytes, "{}", escape(&got));
    // A cut transfer is not stored, and half a request not done.
    let mut peer = server.peer_of("json");
    peer.say("{\"aksi\":\"transfer\",\"file\":\"cut\",\"size\":5}\nhell").end_writing().hear_end();
    let mut peer = server.peer_of("json");
    let half = peer.say("{\"aksi\":\"hapus\",\"file\":\"big\"}").end_writing().rest();
    assert!(half.starts_with(b"ERROR bad-request "));
    assert!(!server.has("cut") && server.has("big"));
    let long = format!("{{\"aksi\":\"list\",\"x\":\"{}\"}}", "x".repeat(64 << 10));
    assert!(text(&server, &long).starts_with("ERROR bad-request "));
    assert!(text(&server, &long[..60_000]).starts_with("ERROR bad-request "));
}

/// The original listing client: sixteen bytes at a time, until one read ends in CR LF.
#[test]
fn a_list_of_any_length_ends_where_sixteen_bytes_at_a_time_see_it() {
    let server = TestServer::start(&[]);
    let mut remainders = [false; 16];
    for length in 1..=16 {
        server.put(&"n".repeat(length), "");
        let list = ask(&server, "{\"aksi\":\"list\"}");
        remainders[list.len() % 16] = true;
        let last = list.chunks(16).next_back().unwrap();
        assert!(last.ends_with(b"\r\n"), "{}", escape(&list));
        fs::remove_file(server.root().join("n".repeat(length))).unwrap();
    }
    assert_eq!(remainders.iter().filter(|seen| **seen).count(), 15, "all but the one that fails");
}

#[test]
fn a_refused_transfer_is_answered_without_a_reset() {
    let server = TestServer::start(&["--max-file-size", "10"]);
    for size in [11, 100_000, 8 << 20] {
        let reply = transfer(&server, "big", &vec![b'x'; size]);
        assert_eq!(reply, "ERROR too-large files may be at most 10 bytes\r\n");
    }
}

#[test]
fn identities_survive_a_restart_and_belong_to_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let list = "{\"aksi\":\"list\"}";
    let mut server = TestServer::over(folder.path(), &[]);
    server.peer().say("upload by-text\n2\nhi").hear("ok ready\nok received 2 by-text\n");
    server.put("by-hand", "hi");
    let first = text(&server, list);
    assert_eq!(first.matches("\"id\"").count(), 2);
    assert_eq!(text(&server, list), first);
    let id_of = |list: &str, name: &str| {
        let end = list.find(&format!("\"nama_file\":\"{name}\"")).unwrap();
        list[end - 38..end - 2].to_owned()
    };
    let other = TestServer::over(folder.path(), &[]);
    assert_eq!(text(&other, list), first);
    other.put("by-hand-2", "hi");
    let second = text(&server, list);
    assert_eq!(text(&other, list), second);
    drop(other);
    server.kill();

    // Torn, damaged, or gone: the server starts all the same, and no file gets another one's identity.
    let catalog = folder.path().join(".connme/mydatafile.dat");
    let whole = fs::read(&catalog).unwrap();
    assert!(whole.len() > 100);
    fs::write(&catalog, [&whole[..], b"12345678 + torn"].concat()).unwrap();
    let server = TestServer::over(folder.path(), &[]);
    assert_eq!(text(&server, list), second);
    fs::remove_file(folder.path().join("by-hand")).unwrap();
    fs::write(folder.path().join("by-hand"), "another").unwrap();
    let third = text(&server, list);
    assert_ne!(id_of(&third, "by-hand"), id_of(&second, "by-hand"));
    assert_eq!(id_of(&third, "by-text"), id_of(&second, "by-text"));
    assert_eq!(
        text(&server, &format!("{{\"aksi\":\"get\",\"id\":\"{}\"}}", id_of(&second, "by-hand"))),
        "null"
    );
    drop(server);
    fs::write(&catalog, b"\xff\xfe garbage\n\n\0\0\0").unwrap();
    let server = TestServer::over(folder.path(), &[]);
    let fourth = text(&server, list);
    server.wait_for_log("catalog: ");
    assert_eq!(fourth.matches("\"id\"").count(), 3);
    assert_ne!(id_of(&fourth, "by-text"), id_of(&third, "by-hand"));
    fs::remove_file(&catalog).unwrap();
    assert_eq!(text(&server, list).matches("\"id\"").count(), 3);
}

#[test]
fn a_hundred_thousand_files_start_and_are_listed() {
    let folder = folder_in_memory();
    for n in 0..100_000 {
        fs::File::create(folder.path().join(format!("{n:05}"))).unwrap();
    }
    let start = std::time::Instant::now();
    let server = TestServer::over(folder.path(), &[]);
    let list = text(&server, "{\"aksi\":\"list\"}");
    assert_eq!(list.matches("\"id\"").count(), 100_000);
    drop(server);
    let server = TestServer::over(folder.path(), &[]);
    assert!(text(&server, "{\"aksi\":\"list\"}") == list);
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
}

#[test]
fn hostile_names_are_refused_or_taken_as_they_are() {
    let server = hostile::besieged();
    for raw in hostile::names() {
        // What is no UTF-8 is no JSON; control characters travel escaped.
        let name: Vec<u8> = raw
            .iter()
            .flat_map(|byte| match byte {
                b'"' | b'\\' => vec![b'\\', *byte],
                0..32 => format!("\\u{byte:04x}").into_bytes(),
                byte => vec![*byte],
            })
            .collect();
        let request = |aksi: &str, more: &str| {
            [format!("{{\"aksi\":\"{aksi}\",\"file\":\"").as_bytes(), &name, more.as_bytes()]
                .concat()
        };
        let mut peer = server.peer_of("json");
        let reply = peer.say(request("transfer", "\",\"size\":3}\nabc")).rest();
        if reply.starts_with(b"OK {") {
            let stored = std::str::from_utf8(&raw).unwrap();
            assert_eq!(server.get(stored), b"abc");
            assert!(ask(&server, request("get", "\"}")).ends_with(b"\r\nabc"));
            assert!(ask(&server, request("hapus", "\"}")).starts_with(b"OK {"));
        } else {
            assert!(reply.starts_with(b"ERROR "), "{}: {}", escape(&raw), escape(&reply));
            for aksi in ["get", "hapus"] {
                let reply = ask(&server, request(aksi, "\"}"));
                assert!(reply == b"null" || reply.starts_with(b"ERROR "), "{}", escape(&reply));
            }
        }
    }
    hostile::assert_unharmed(&server);
}

fn catalog_size(server: &TestServer) -> u64 {
    fs::metadata(server.root().join(".connme/mydatafile.dat")).map_or(0, |found| found.len())
}

/// The journal grew by 2.6 to 9.6 MB a second on a server that spoke `text` alone.
#[test]
fn identities_cost_nothing_to_those_who_do_not_ask() {
    let server = TestServer::start(&[]);
    let long = "n".repeat(255);
    let mut peer = server.peer();
    for _ in 0..300 {
        peer.say(format!("upload {long}\n0\n")).hear(format!("ok ready\nok received 0 {long}\n"));
        peer.say(format!("rm {long}\n")).hear(format!("ok removed {long}\n"));
    }
    assert_eq!(catalog_size(&server), 0);
    // Where they are asked for, the table is written again before it is large.
    for _ in 0..1000 {
        let stored = transfer(&server, &long, b"");
        assert!(stored.contains(&long), "{stored}");
        let removed = text(&server, &format!("{{\"aksi\":\"hapus\",\"id\":\"{}\"}}", id(&stored)));
        assert!(removed.starts_with("OK "), "{removed}");
        let size = catalog_size(&server);
        assert!(size < 200_000, "{size}");
    }
}

/// A read-only server told other identities than the one that may write.
#[test]
fn a_read_only_server_tells_what_the_catalog_says() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("old"), "1").unwrap();
    let writable = TestServer::over(folder.path(), &[]);
    let list = "{\"aksi\":\"list\"}";
    let told = text(&writable, list);
    let read_only = TestServer::over(folder.path(), &["--read-only"]);
    assert_eq!(text(&read_only, list), told);
    fs::write(folder.path().join("new"), "2").unwrap();
    // Not known yet: the file is listed all the same, and can be fetched.
    let unknown = "{\"id\":\"\",\"nama_file\":\"new\",\"size\":1,\"type\":\"\"}";
    assert!(text(&read_only, list).contains(unknown));
    let get = text(&read_only, "{\"aksi\":\"get\",\"file\":\"new\"}");
    assert_eq!(get, format!("{unknown}\r\n2"));
    let told = text(&writable, list);
    assert!(!told.contains(unknown));
    assert_eq!(text(&read_only, list), told);
}

/// The id was looked up, and then whatever had the name was removed: another file was lost.
#[test]
fn a_removal_by_identity_spares_a_file_that_takes_the_name() {
    let server = TestServer::start(&[]);
    let mut texting = server.peer();
    let mut taken = 0;
    for n in 0..400 {
        let old = transfer(&server, "a", b"old");
        let request = format!("{{\"aksi\":\"hapus\",\"id\":\"{}\"}}\n", id(&old));
        let mut removing = server.peer_of("json");
        let content = format!("new {n}");
        let upload = format!("upload a\n{}\n{content}", content.len());
        std::thread::scope(|scope| {
            scope.spawn(|| removing.say(&request));
            texting.say("rm a\n").say(&upload);
        });
        let reply = removing.rest();
        let removed_by_name = texting.line();
        texting.hear("ok ready\n");
        let stored = texting.line();
        let stored = stored.trim_end().rsplit(' ').next().unwrap().to_owned();
        // Whatever came first, what was confirmed is there.
        assert_eq!(server.get(&stored), content.as_bytes());
        taken += usize::from(reply == b"null" && removed_by_name.starts_with("ok"));
        for name in server.names() {
            texting.say(format!("rm {name}\n")).hear(format!("ok removed {name}\n"));
        }
    }
    assert!(taken > 0, "the two never met");
}
