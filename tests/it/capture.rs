//! The captures: read by a small reader of our own, and by tshark where there is one.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{DIALECTS, Peer, TestServer, client, noise};

/// A packet of a capture.
#[derive(Clone, Debug)]
struct Packet {
    time: (u32, u32),
    source: (IpAddr, u16),
    target: (IpAddr, u16),
    sequence: u32,
    acknowledged: u32,
    flags: u8,
    payload: Vec<u8>,
    /// How long the payload was before the capture cut it.
    length: usize,
    raw: Vec<u8>,
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(bytes[at..at + 2].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// The checksum of all this: zero where it holds its own.
fn checksum(parts: &[&[u8]]) -> u16 {
    let all = parts.concat();
    let pairs =
        all.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = pairs.sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !u16::try_from(sum).unwrap()
}

/// Reads a capture, and checks every checksum of a packet that is whole.
fn read(bytes: &[u8]) -> Vec<Packet> {
    let little = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!((little(0), little(4), little(20)), (0xa1b2_3c4d, 0x0004_0002, 101));
    let longest = usize::try_from(little(16)).unwrap();
    let mut packets = Vec::new();
    let mut at = 24;
    while at < bytes.len() {
        let kept = usize::try_from(little(at + 8)).unwrap();
        let length = usize::try_from(little(at + 12)).unwrap();
        assert!(kept <= length && kept <= longest, "{kept} {length}");
        let raw = &bytes[at + 16..at + 16 + kept];
        let (ip, addresses) = match raw[0] >> 4 {
            4 => {
                assert_eq!(checksum(&[&raw[..20]]), 0);
                assert_eq!(usize::from(u16_at(raw, 2)), length);
                let address =
                    |at: usize| IpAddr::from(<[u8; 4]>::try_from(&raw[at..at + 4]).unwrap());
                (20, (address(12), address(16)))
            }
            _ => {
                assert_eq!(usize::from(u16_at(raw, 4)) + 40, length);
                let address =
                    |at: usize| IpAddr::from(<[u8; 16]>::try_from(&raw[at..at + 16]).unwrap());
                (40, (address(8), address(24)))
            }
        };
        let tcp = &raw[ip..];
        let head = usize::from(tcp[12] >> 4) * 4;
        if kept == length {
            let size = u16::try_from(tcp.len()).unwrap().to_be_bytes();
            let pair = if ip == 20 { &raw[12..20] } else { &raw[8..40] };
            assert_eq!(checksum(&[pair, &[0, 6], &size, tcp]), 0);
        }
        packets.push(Packet {
            time: (little(at), little(at + 4)),
            source: (addresses.0, u16_at(tcp, 0)),
            target: (addresses.1, u16_at(tcp, 2)),
            sequence: u32_at(tcp, 4),
            acknowledged: u32_at(tcp, 8),
            flags: tcp[13],
            payload: tcp[head..].to_vec(),
            length: length - ip - head,
            raw: bytes[at..at + 16 + kept].to_vec(),
        });
        at += 16 + kept;
    }
    packets
}

/// A connection, put together from its packets as a receiver would.
#[derive(Default)]
struct Talk {
    /// What the client sent, then what the server sent.
    bytes: [Vec<u8>; 2],
    ended: [bool; 2],
    reset_by: Option<usize>,
    next: [u32; 2],
    packets: usize,
}

/// The connections by the client's port. Checks sequence numbers, acknowledgements, PSH and times.
fn talks(packets: &[Packet]) -> BTreeMap<u16, Talk> {
    let mut talks: BTreeMap<u16, Talk> = BTreeMap::new();
    let mut clients = BTreeMap::new();
    let mut latest = (0, 0);
    for (i, packet) in packets.iter().enumerate() {
        assert!(packet.time >= latest, "time goes on");
        latest = packet.time;
        if packet.flags == SYN {
            clients.insert((packet.source, packet.target), packet.source.1);
            talks.insert(packet.source.1, Talk::default());
        }
        let from = usize::from(!clients.contains_key(&(packet.source, packet.target)));
        let port = if from == 0 { packet.source.1 } else { packet.target.1 };
        let talk = talks.get_mut(&port).unwrap();
        talk.packets += 1;
        assert!(talk.reset_by.is_none(), "nothing follows a reset");
        if packet.flags & SYN != 0 {
            assert_eq!(talk.packets, if from == 0 { 1 } else { 2 });
            talk.next[from] = packet.sequence.wrapping_add(1);
        } else {
            assert_eq!(packet.sequence, talk.next[from], "{packet:?}");
            let taken = u32::try_from(packet.length).unwrap() + u32::from(packet.flags & FIN != 0);
            talk.next[from] = packet.sequence.wrapping_add(taken);
        }
        if packet.flags != SYN {
            assert_eq!(packet.acknowledged, talk.next[1 - from], "{packet:?}");
        }
        assert!(packet.length <= 1460);
        if packet.length > 0 {
            assert!(!talk.ended[from], "nothing follows a FIN");
            let next = &packets[i + 1];
            let is_last = next.source != packet.source || next.length == 0;
            assert_eq!(packet.flags & PSH != 0, is_last, "{packet:?}");
        }
        talk.bytes[from].extend(&packet.payload);
        talk.ended[from] |= packet.flags & FIN != 0;
        if packet.flags & RST != 0 {
            talk.reset_by = Some(from);
        }
    }
    talks
}

/// What was said in a connection, and the fields that tshark should find in it: from the server or not, the
/// field, and its values in order.
struct Spoken {
    port: u16,
    dialect: &'static str,
    bytes: [Vec<u8>; 2],
    fields: Vec<(bool, &'static str, Vec<String>)>,
    /// The client's part may be shown in more than one way.
    is_loose: bool,
}

/// A peer that notes what it says and hears.
struct Noting {
    peer: Peer,
    spoken: Spoken,
}

impl Noting {
    fn new(server: &TestServer, dialect: &'static str) -> Noting {
        let mut peer = server.peer_of(dialect);
        let port = peer.stream().local_addr().unwrap().port();
        let spoken = Spoken {
            port,
            dialect,
            bytes: Default::default(),
            fields: Vec::new(),
            is_loose: false,
        };
        Noting { peer, spoken }
    }

    fn say(&mut self, bytes: impl AsRef<[u8]>) -> &mut Noting {
        self.spoken.bytes[0].extend(bytes.as_ref());
        self.peer.say(bytes);
        self
    }

    fn hear(&mut self, bytes: impl AsRef<[u8]>) -> &mut Noting {
        self.spoken.bytes[1].extend(bytes.as_ref());
        self.peer.hear(bytes);
        self
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        let bytes = self.peer.bytes(n);
        self.spoken.bytes[1].extend(&bytes);
        bytes
    }

    fn rest(&mut self) -> String {
        let bytes = self.peer.rest();
        self.spoken.bytes[1].extend(&bytes);
        String::from_utf8(bytes).unwrap()
    }

    fn from_client(&mut self, field: &'static str, values: &[&str]) -> &mut Noting {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        self.spoken.fields.push((false, field, values));
        self
    }

    fn from_server(&mut self, field: &'static str, values: &[&str]) -> &mut Noting {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        self.spoken.fields.push((true, field, values));
        self
    }
}

const HALO: &str = "halo, dunia\n";
/// The SHA-256 of this, and that of its first five bytes.
const SUMS: [&str; 2] = [
    "61e7177a3e8d6516fb5333b8b25ff80ad8a52d4bffaf571823db5dba55a06085",
    "56df9a20339373046ae83e091d9ead565b369a9a1236f19275758e5286274d00",
];

/// A conversation of each dialect, with every command.
fn converse(server: &TestServer) -> Vec<Spoken> {
    let mut all = Vec::new();
    let big = noise(5, 5000);

    let mut peer = Noting::new(server, "text");
    peer.say("connme\nupload my file.txt\n").hear("ok connected\nok ready\n");
    peer.say("12\n").say(HALO).hear("ok received 12 my file.txt\n");
    peer.say([b"upload big.bin\n5000\n", big.as_slice(), b"ls\n"].concat());
    peer.hear("ok ready\nok received 5000 big.bin\n");
    peer.hear("ok 2\nfile 5000 big.bin\nfile 12 my file.txt\ntotal 5012\n");
    let [whole, part] = SUMS;
    peer.say(format!(
        "size my file.txt\nsum my file.txt\nDownload my file.txt\nresume 5 {part} my file.txt\n\
         count h\u{e9}llo\nhelp\nrm my file.txt\nsize my file.txt\nnope\nbyebye\n"
    ));
    let rest = peer.rest();
    let help: Vec<_> = rest.split("ok 5\n").nth(1).unwrap().lines().collect();
    let lines: usize = help[0].strip_prefix("ok ").unwrap().parse().unwrap();
    let errors: Vec<_> = rest.lines().filter(|line| line.starts_with("error ")).collect();
    let entries = [&["file 5000 big.bin", "file 12 my file.txt"][..], &help[1..=lines]].concat();
    let name = "my file.txt";
    peer.from_client(
        "command",
        &[
            "connme", "upload", "upload", "ls", "size", "sum", "download", "resume", "count",
            "help", "rm", "size", "nope", "byebye",
        ],
    );
    peer.from_client("name", &[name, "big.bin", name, name, name, name, name, name]);
    peer.from_client("size", &["12", "5000"]).from_client("offset", &["5"]);
    peer.from_client("sum", &[part]).from_client("text", &["h\u{e9}llo"]);
    peer.from_client("payload", &["5012"]).from_server("payload", &["19"]);
    peer.from_server(
        "reply",
        &[
            "ok connected",
            "ok ready",
            "ok received 12 my file.txt",
            "ok ready",
            "ok received 5000 big.bin",
            "ok 2",
            "ok 12 bytes (0.000012 MB)",
            &format!("ok {whole}"),
            "ok 12",
            "ok 7",
            "ok 5",
            help[0],
            "ok removed my file.txt",
            errors[0],
            errors[1],
            "ok byebye",
        ],
    );
    peer.from_server("code", &["not-found", "unknown-command"]);
    peer.from_server("size", &["12", "5000", "12", "12", "7"]);
    peer.from_server("stored", &[name, "big.bin"]).from_server("total", &["5012"]);
    peer.from_server("entries", &["2", &lines.to_string()]).from_server("entry", &entries);
    peer.from_server("sum", &[whole]).from_server("characters", &["5"]);
    peer.from_client("unknown", &["1"]).from_server("refused", &["1", "1"]);
    all.push(peer.spoken);

    for is_ahead in [false, true] {
        let mut peer = Noting::new(server, "text");
        if is_ahead {
            peer.say("upload ../x\n3\nls\n");
            // The header is read before the refusal is seen, or after it.
            peer.spoken.is_loose = true;
        } else {
            peer.say("upload ../x\n");
            let error = peer.peer.line();
            peer.spoken.bytes[1].extend(error.as_bytes());
            peer.say("3\nls\n").from_client("refused_upload", &["1"]);
            peer.from_client("after_close", &["1"]).from_client("size", &["3"]);
        }
        peer.rest();
        let replies = String::from_utf8(peer.spoken.bytes[1].clone()).unwrap();
        let replies: Vec<_> = replies.lines().collect();
        peer.from_client("command", &["upload"]).from_client("name", &["../x"]);
        peer.from_server("reply", &replies).from_server("code", &["bad-name", "bad-request"]);
        peer.from_server("refused_upload", &["1"]).from_server("refused", &["1", "1"]);
        all.push(peer.spoken);
    }

    let mut peer = Noting::new(server, "text");
    peer.say("upload y\n").hear("ok ready\n").say("x\n");
    let error = peer.rest();
    peer.from_client("command", &["upload"]).from_client("name", &["y"]);
    peer.from_client("bad_size", &["1"]).from_server("reply", &["ok ready", error.trim_end()]);
    peer.from_server("code", &["bad-request"]).from_server("refused", &["1"]);
    all.push(peer.spoken);

    let mut peer = Noting::new(server, "text");
    peer.say("ls big.bin\nrm my fi").peer.end_writing();
    let errors = peer.rest();
    let errors: Vec<_> = errors.lines().collect();
    peer.from_client("command", &["ls"]).from_client("name", &["big.bin"]);
    peer.from_client("half", &["1"]).from_server("reply", &errors);
    peer.from_server("code", &["not-found", "bad-request"]).from_server("refused", &["1", "1"]);
    all.push(peer.spoken);

    let mut peer = Noting::new(server, "struct");
    let number = |n: i32| n.to_le_bytes();
    let named =
        |name: &str| [&i16::try_from(name.len()).unwrap().to_le_bytes(), name.as_bytes()].concat();
    peer.say("connme").hear("connected").say("upload").hear("ready");
    peer.say([named("a b.txt"), number(12).to_vec(), HALO.into()].concat()).hear("received");
    let mut seconds = vec![peer.bytes(4)];
    // A file that another dialect stored is in the list.
    peer.say("ls")
        .hear(number(2))
        .hear([&number(7), &b"a b.txt"[..], &number(12)].concat())
        .say("1");
    peer.hear([&number(7), &b"big.bin"[..], &number(5000)].concat()).say("1").hear(number(5012));
    peer.say("size").hear("ready").say(named("a b.txt")).hear(number(12));
    peer.say("download").hear("ready").say(named("a b.txt")).hear(number(12)).hear(HALO).say("1");
    seconds.push(peer.bytes(4));
    peer.say("rm").hear("ready").say(named("a b.txt")).say("N");
    peer.say("rm").hear("ready").say(named("a b.txt")).say("Y").hear(number(1));
    peer.say("download").hear("ready").say(named("a b.txt")).hear(number(-1));
    peer.say("byebye");
    peer.rest();
    let seconds: Vec<_> = seconds
        .into_iter()
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()).to_string())
        .collect();
    let seconds: Vec<_> = seconds.iter().map(String::as_str).collect();
    let name = "a b.txt";
    peer.from_client(
        "command",
        &["connme", "upload", "ls", "size", "download", "rm", "rm", "download", "byebye"],
    );
    peer.from_client("name", &[name; 6]).from_client("size", &["12"]);
    peer.from_client("answer", &["N", "Y"]).from_client("nod", &["31", "31", "31"]);
    peer.from_client("payload", &["12"]).from_server("payload", &["12"]);
    peer.from_server(
        "reply",
        &[
            "connected",
            "ready",
            "received",
            "ready",
            "12",
            "ready",
            "12",
            "ready",
            "ready",
            "1",
            "ready",
            "-1",
        ],
    );
    peer.from_server("entries", &["2"]).from_server("entry", &[name, "big.bin"]);
    peer.from_server("name", &[name, "big.bin"]).from_server("size", &["12", "5000", "12", "12"]);
    peer.from_server("total", &["5012"]).from_server("seconds", &seconds);
    peer.from_server("refused", &["1"]);
    all.push(peer.spoken);

    for (said, has_mark) in
        [("c.txt\nc.txt<SEPARATOR>5\n12345", true), ("c.txtc.txt<SEPARATOR>5hello", false)]
    {
        let mut peer = Noting::new(server, "filesaver");
        peer.say(if has_mark { "SEND\n" } else { "SEND" }).hear("OK").say(said).peer.end_writing();
        peer.rest();
        let names = if has_mark { &["c.txt"; 2][..] } else { &["c.txt"] };
        peer.from_client("command", &["SEND"])
            .from_client("name", names)
            .from_client("size", &["5"]);
        peer.from_client("payload", &["5"]).from_server("reply", &["OK"]);
        all.push(peer.spoken);
    }
    let mut peer = Noting::new(server, "filesaver");
    peer.say("RECEIVE\n").hear("OK").say("c.txt\n").hear("c.txt<SEPARATOR>5").hear("12345");
    peer.rest();
    peer.from_client("command", &["RECEIVE"]).from_client("name", &["c.txt"]);
    peer.from_server("reply", &["OK"]).from_server("name", &["c.txt"]);
    peer.from_server("size", &["5"]).from_server("payload", &["5"]);
    all.push(peer.spoken);
    let mut peer = Noting::new(server, "filesaver");
    peer.say("RECEIVE\n").hear("OK").say("x\n").hear("ERROR: File not found");
    peer.rest();
    peer.from_client("name", &["x"]).from_server("code", &["not-found"]);
    peer.from_server("reply", &["OK", "ERROR: File not found"]).from_server("refused", &["1"]);
    all.push(peer.spoken);

    let mut ids = Vec::new();
    for (line, payload) in [
        ("{\"aksi\":\"transfer\",\"file\":\"d \\u00e9.txt\",\"size\":12,\"type\":\".txt\"}", HALO),
        ("{\"aksi\": \"get\", \"file\": \"d \u{e9}.txt\"}", ""),
        ("{\"aksi\":\"list\"}", ""),
        ("{\"aksi\":\"hapus\",\"id\":\"ID\"}", ""),
        ("{\"aksi\":\"get\",\"file\":\"x\"}", ""),
        ("{\"aksi\":\"get\",\"file\":\"../x\"}", ""),
        ("{\"aksi\":\"what\"}", ""),
        ("[1,", ""),
    ] {
        let mut peer = Noting::new(server, "json");
        let line = line.replace("ID", ids.first().map_or("", String::as_str));
        peer.say(format!("{line}\n{payload}"));
        let rest = peer.rest();
        let reply = rest.split("\r\n").next().unwrap().to_owned();
        if let Some((_, id)) = reply.split_once("\"id\":\"") {
            ids.push(id.split('"').next().unwrap().to_owned());
        }
        let command = line.split("\"aksi\":").nth(1).map(|rest| rest.split('"').nth(1).unwrap());
        peer.from_client("json", &[&line]).from_server("reply", &[&reply]);
        peer.from_client("command", command.as_slice());
        let name = "d \u{e9}.txt";
        match command {
            Some("transfer") => {
                peer.from_client("name", &[name]).from_client("size", &["12"]);
                peer.from_client("payload", &["12"]).from_server("id", &[&ids[0]]);
                peer.from_server("name", &[name]).from_server("size", &["12"]);
            }
            Some("get") if line.contains(name) => {
                peer.from_client("name", &[name]).from_server("size", &["12"]);
                peer.from_server("payload", &["12"]).from_server("id", &[&ids[0]]);
                peer.from_server("name", &[name]);
            }
            Some("list") => {
                peer.from_server("entries", &["4"]);
                peer.from_server("entry", &["big.bin", "c.txt", "c_1.txt", name]);
            }
            Some("hapus") => {
                peer.from_client("id", &[&ids[0]]).from_server("id", &[&ids[0]]);
                peer.from_server("name", &[name]).from_server("size", &["12"]);
            }
            Some("get") => {
                let is_bad = line.contains("..");
                let code = if is_bad { "bad-name" } else { "not-found" };
                peer.from_client("name", &[if is_bad { "../x" } else { "x" }]);
                peer.from_server("code", &[code]).from_server("refused", &["1"]);
            }
            Some(_) => {
                peer.from_server("code", &["unknown-command"]).from_server("refused", &["1"]);
            }
            None => {
                peer.from_client("bad_json", &["1"]).from_server("code", &["bad-request"]);
                peer.from_server("refused", &["1"]);
            }
        }
        all.push(peer.spoken);
    }

    for (said, answer) in
        [("halo, dunia\n", "11"), ("h\u{e9}", "2"), ("\u{1f600}, 123456789", "12")]
    {
        let mut peer = Noting::new(server, "count");
        peer.say(said).peer.end_writing();
        peer.hear(answer).rest();
        peer.from_client("text", &[said.trim_end()]);
        peer.from_server("reply", &[answer]).from_server("characters", &[answer]);
        all.push(peer.spoken);
    }
    all
}

/// Waits until the server is done with all of these, and has written what it captured.
fn wait_for_ends(server: &TestServer, all: &[Spoken]) {
    for Spoken { port, dialect, .. } in all {
        server.wait_for_log(&format!("127.0.0.1:{port} {dialect} close"));
    }
}

/// What tshark finds: the values of each field, by the client's port and whether the server sent them.
type Found = BTreeMap<(u16, bool, &'static str), Vec<String>>;

const FIELDS: [&str; 34] = [
    "dialect",
    "command",
    "name",
    "size",
    "text",
    "sum",
    "offset",
    "answer",
    "nod",
    "reply",
    "code",
    "stored",
    "entries",
    "entry",
    "total",
    "characters",
    "seconds",
    "id",
    "json",
    "payload",
    "part",
    "bad_size",
    "refused",
    "refused_upload",
    "after_close",
    "half",
    "short",
    "unknown",
    "unasked",
    "bad_reply",
    "too_long",
    "bad_json",
    "given_up",
    "missing",
];

fn tshark() -> Command {
    let mut command = Command::new("tshark");
    command.env("HOME", std::env::temp_dir()).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    command
}

fn has_tshark() -> bool {
    let has = tshark().arg("--version").output().is_ok_and(|output| output.status.success());
    if !has {
        eprintln!(
            "skipped: there is no tshark here; the captures are only checked by our own reader"
        );
    }
    has
}

/// Runs tshark with our dissector over a capture. Fails on an error in Lua, on anything strange about TCP, on a
/// wrong checksum, and on a connection without a beginning or an end.
fn find(server: &TestServer, capture: &Path, flags: &[&str]) -> Found {
    let lua = server.outside().join("connme.lua");
    if !lua.exists() {
        client(&["dissector", "--output"]).arg(&lua).assert().success().stdout("");
    }
    let mut command = tshark();
    command.arg("-X").arg(format!("lua_script:{}", lua.display())).arg("-r").arg(capture);
    command.args(["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]).args(flags);
    for (i, dialect) in DIALECTS.iter().enumerate() {
        let port = server.address_of(dialect).port();
        // Both ways to give a port.
        if i % 2 == 0 {
            command.arg("-d").arg(format!("tcp.port=={port},connme_{dialect}"));
        } else {
            command.arg("-o").arg(format!("connme.{dialect}_ports:{port}"));
        }
    }
    command.args(["-T", "fields", "-E", "occurrence=a", "-E", "aggregator=|"]);
    let of_tcp = [
        "tcp.srcport",
        "tcp.dstport",
        "tcp.analysis.flags",
        "tcp.completeness",
        "tcp.checksum.status",
        "_ws.expert.message",
        "tcp.stream",
    ];
    for field in of_tcp {
        command.args(["-e", field]);
    }
    for field in FIELDS {
        command.args(["-e", &format!("connme.{field}")]);
    }
    let output = command.output().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && !err.contains("Lua"), "{err}");
    let ports: Vec<_> = DIALECTS.iter().map(|dialect| server.address_of(dialect).port()).collect();
    let mut found = Found::new();
    let mut completeness = BTreeMap::new();
    let is_real = flags.contains(&"-n");
    for line in out.lines() {
        let cells: Vec<_> = line.split('\t').collect();
        let [source, target] = [0, 1].map(|i| cells[i].parse::<u16>().unwrap());
        assert!(!cells[5].contains("Lua"), "{line}");
        if !is_real {
            assert_eq!((cells[2], cells[4]), ("", "1"), "{line}");
        }
        completeness.insert(cells[6].to_owned(), cells[3].parse::<u32>().unwrap());
        let is_server = ports.contains(&source);
        let port = if is_server { target } else { source };
        for (field, cell) in FIELDS.into_iter().zip(&cells[of_tcp.len()..]) {
            if !cell.is_empty() {
                let values = cell.split('|').map(str::to_owned);
                found.entry((port, is_server, field)).or_default().extend(values);
            }
        }
    }
    // A SYN, its answer, an ACK, data and an end.
    let is_complete = |seen: &u32| seen & 15 == 15 && seen & 48 != 0;
    assert!(is_real || completeness.values().all(is_complete), "{completeness:?}");
    found
}

/// The second number if the first is that, rounded.
fn near(number: String, exact: &str) -> String {
    let [rounded, of] = [number.as_str(), exact].map(|s| s.parse::<f32>().unwrap());
    if (rounded - of).abs() <= of * 1e-4 { exact.to_owned() } else { number }
}

/// Every field against what was really said. Returns how many values were compared.
fn compare(all: &[Spoken], found: &Found) -> usize {
    let mut compared = 0;
    for Spoken { port, dialect, fields, is_loose, .. } in all {
        let mut rest: BTreeMap<_, _> = found.iter().filter(|((p, ..), _)| p == port).collect();
        for (is_server, field, expected) in fields {
            let values = rest.remove(&(*port, *is_server, *field)).cloned().unwrap_or_default();
            let values = match *field {
                "payload" => {
                    vec![values.iter().map(|n| n.parse::<u64>().unwrap()).sum::<u64>().to_string()]
                }
                // This dialect has no end mark: each packet shows all that came so far.
                _ if *dialect == "count" => values.last().cloned().into_iter().collect(),
                // tshark rounds.
                "seconds" => values.into_iter().zip(expected).map(|(s, e)| near(s, e)).collect(),
                _ => values,
            };
            assert_eq!(
                &values, expected,
                "{dialect}, from the server: {is_server}, {field}\n{found:#?}"
            );
            compared += values.len();
        }
        let known = |field: &str| ["dialect", "part", "command"].contains(&field);
        let more: Vec<_> = rest.into_iter().filter(|((_, _, field), _)| !known(field)).collect();
        assert!(*is_loose || more.is_empty(), "{dialect}: {more:?}");
        assert_eq!(found[&(*port, false, "dialect")][0], *dialect);
    }
    compared
}

/// The bytes of every connection are in the capture, in order, whole and as single bytes. tshark finds in them
/// what was said.
#[test]
fn a_capture_has_what_was_said_and_tshark_explains_it() {
    let has_tshark = has_tshark();
    for flags in [&[][..], &["--buffer", "1", "--stammer", "slice=1"]] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.pcap");
        let server = TestServer::start(&[&["--capture", file.to_str().unwrap()], flags].concat());
        let all = converse(&server);
        wait_for_ends(&server, &all);
        let packets = read(&fs::read(&file).unwrap());
        if !flags.is_empty() {
            // Only what a close leaves unread is taken in larger pieces.
            let large = packets.iter().filter(|packet| packet.length > 1).count();
            assert!(large < 5 && packets.len() > 10_000, "{large} of {}", packets.len());
        }
        let talks = talks(&packets);
        for Spoken { port, dialect, bytes, .. } in &all {
            let talk = &talks[port];
            assert_eq!(&talk.bytes, bytes, "{dialect}");
            assert!(talk.ended[1] && talk.reset_by.is_none(), "{dialect}");
        }
        if !has_tshark {
            continue;
        }
        let found = find(&server, &file, &[]);
        let compared = compare(&all, &found);
        assert!(compared >= 200, "{compared}");
        eprintln!("{compared} values of fields compared");
        assert_eq!(find(&server, &file, &["-2"]), found, "dissected twice");
        // Segments that overtake each other, and some that come twice.
        let mut bytes = fs::read(&file).unwrap()[..24].to_vec();
        let mut packets = packets;
        for i in 1..packets.len() {
            if packets[i - 1].length > 0 && packets[i].length > 0 && i % 3 == 0 {
                packets.swap(i - 1, i);
            }
        }
        for (i, packet) in packets.iter().enumerate() {
            bytes.extend_from_slice(
                &packet.raw.repeat(1 + usize::from(i % 7 == 0 && packet.length > 0)),
            );
        }
        let mixed = folder.path().join("mixed.pcap");
        fs::write(&mixed, bytes).unwrap();
        let mut found = find(&server, &mixed, &["-n"]);
        found.retain(|(_, _, field), _| *field != "missing");
        compare(&all, &found);
    }
}
