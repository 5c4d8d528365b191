//! The captures: read by a small reader of our own, and by tshark where there is one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::sessions;
use crate::support::{DIALECTS, PATIENCE, Peer, TestServer, client, lab, noise, skip};

/// A packet of a capture.
#[derive(Clone, Debug)]
struct Packet {
    nanos: u64,
    source: (IpAddr, u16),
    target: (IpAddr, u16),
    sequence: u32,
    acknowledged: u32,
    flags: u8,
    payload: Vec<u8>,
    /// How long the payload was before the capture cut it.
    length: usize,
    window: u16,
    /// Its comment, in a pcapng.
    comment: String,
    raw: Vec<u8>,
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;

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

fn is_pcapng(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a])
}

/// The length of what is before the first packet: a section and an interface, or a header.
fn head(bytes: &[u8]) -> usize {
    if is_pcapng(bytes) { 28 + 32 } else { 24 }
}

/// Reads a capture of either format. `None` if its last record is not whole.
fn read_so_far(bytes: &[u8]) -> Option<Vec<Packet>> {
    let little = |at: usize| -> Option<u32> {
        Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().unwrap()))
    };
    let size = |at: usize| little(at).map(|n| usize::try_from(n).unwrap());
    let mut packets = Vec::new();
    let mut at = head(bytes);
    let is_pcapng = is_pcapng(bytes);
    let longest = size(if is_pcapng { 40 } else { 16 })?;
    if is_pcapng {
        assert_eq!((little(8)?, little(12)?, size(4)?, size(24)?), (0x1a2b_3c4d, 1, 28, 28));
        assert_eq!((little(28)?, size(32)?, little(36)?, size(56)?), (1, 32, 101, 32));
    } else {
        assert_eq!((little(0)?, little(4)?, little(20)?), (0xa1b2_3c4d, 0x0004_0002, 101));
    }
    while at < bytes.len() {
        let (raw, kept, mut packet);
        if is_pcapng {
            raw = bytes.get(at..at + size(at + 4)?)?;
            assert_eq!((little(at)?, size(at + raw.len() - 4)?), (6, raw.len()));
            kept = &raw[28..28 + size(at + 20)?];
            packet = read_packet(kept, size(at + 24)?);
            packet.nanos = u64::from(little(at + 12)?) << 32 | u64::from(little(at + 16)?);
            let option = 28 + kept.len().next_multiple_of(4);
            assert_eq!(raw[option..option + 2], [1, 0], "a comment");
            let end = option + 4 + usize::from(raw[option + 2]);
            packet.comment = String::from_utf8(raw[option + 4..end].to_vec()).unwrap();
            assert_eq!(end.next_multiple_of(4) + 8, raw.len(), "the last option, and the length");
        } else {
            raw = bytes.get(at..at + 16 + size(at + 8)?)?;
            kept = &raw[16..];
            packet = read_packet(kept, size(at + 12)?);
            packet.nanos = u64::from(little(at)?) * 1_000_000_000 + u64::from(little(at + 4)?);
        }
        assert!(kept.len() <= longest);
        packet.raw = raw.to_vec();
        packets.push(packet);
        at += raw.len();
    }
    Some(packets)
}

fn read(bytes: &[u8]) -> Vec<Packet> {
    read_so_far(bytes).unwrap()
}

/// Reads a capture once the server has ended this many connections in it: it is written by a thread of its own.
fn read_once_ended(file: &Path, connections: usize) -> Vec<Packet> {
    let end = Instant::now() + PATIENCE;
    let has_ended = |packets: &Vec<Packet>| {
        talks(packets).values().filter(|talk| talk.ended[1]).count() >= connections
    };
    loop {
        if let Some(packets) = read_so_far(&fs::read(file).unwrap()).filter(has_ended) {
            return packets;
        }
        assert!(Instant::now() < end, "{connections} connections have not ended in the capture");
    }
}

/// Reads what was kept of a packet of this length, and checks its checksums if it is whole.
fn read_packet(kept: &[u8], length: usize) -> Packet {
    assert!(kept.len() <= length, "{} {length}", kept.len());
    // Where the addresses are, and how long each is.
    let (ip, at, long) = if kept[0] >> 4 == 4 { (20, 12, 4) } else { (40, 8, 16) };
    if ip == 20 {
        assert_eq!((checksum(&[&kept[..20]]), usize::from(u16_at(kept, 2))), (0, length));
    } else {
        assert_eq!(usize::from(u16_at(kept, 4)) + 40, length);
    }
    let address = |at: usize| match <[u8; 4]>::try_from(&kept[at..at + long]) {
        Ok(short) => IpAddr::from(short),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(&kept[at..at + long]).unwrap()),
    };
    let tcp = &kept[ip..];
    let head = usize::from(tcp[12] >> 4) * 4;
    if kept.len() == length {
        let size = u16::try_from(tcp.len()).unwrap().to_be_bytes();
        assert_eq!(checksum(&[&kept[at..at + 2 * long], &[0, 6], &size, tcp]), 0);
    }
    Packet {
        nanos: 0,
        source: (address(at), u16_at(tcp, 0)),
        target: (address(at + long), u16_at(tcp, 2)),
        sequence: u32_at(tcp, 4),
        acknowledged: u32_at(tcp, 8),
        flags: tcp[13],
        payload: tcp[head..].to_vec(),
        length: length - ip - head,
        window: u16_at(tcp, 14),
        comment: String::new(),
        raw: Vec::new(),
    }
}

/// A connection, put together from its packets as a receiver would.
#[derive(Default)]
struct Talk {
    /// What the client sent, then what the server sent.
    bytes: [Vec<u8>; 2],
    ended: [bool; 2],
    reset_by: Option<usize>,
    next: [u32; 2],
    /// The last byte of each side that the other has acknowledged.
    acknowledged: [u32; 2],
    /// Since when each side owes an acknowledgement.
    owes: [Option<u64>; 2],
    packets: usize,
}

/// The ports of a client and a server. A client's port alone may be used for two servers.
type Ports = (u16, u16);

/// The connections. Checks sequence numbers, acknowledgements, windows, PSH, times and comments.
fn talks(packets: &[Packet]) -> BTreeMap<Ports, Talk> {
    let mut talks: BTreeMap<Ports, Talk> = BTreeMap::new();
    let mut clients = BTreeSet::new();
    let mut latest = 0;
    for (i, packet) in packets.iter().enumerate() {
        assert!(packet.nanos >= latest, "time goes on");
        latest = packet.nanos;
        if packet.flags == SYN {
            clients.insert((packet.source, packet.target));
            talks.insert((packet.source.1, packet.target.1), Talk::default());
        }
        let from = usize::from(!clients.contains(&(packet.source, packet.target)));
        let [near, far] = [packet.source.1, packet.target.1];
        let ports = if from == 0 { (near, far) } else { (far, near) };
        let talk = talks.get_mut(&ports).unwrap();
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
            // The packets of one call have one time.
            let its = packets[i + 1..].iter().take_while(|next| next.nanos == packet.nanos);
            let goes_on = its.clone().any(|next| next.source == packet.source && next.length > 0);
            assert_eq!(packet.flags & PSH == 0, goes_on, "{packet:?}");
        }
        // A window of Linux, which is never full.
        let is_syn = packet.flags & SYN != 0;
        assert_eq!(packet.window, if is_syn { 64_240 } else { 502 }, "{packet:?}");
        talk.acknowledged[1 - from] = packet.acknowledged;
        let under_way = talk.next[from].wrapping_sub(talk.acknowledged[from]);
        assert!(is_syn || under_way <= 502 * 128, "{under_way} {packet:?}");
        // An acknowledgement goes with a segment, or alone: after two full segments, after the last FIN, or 40 ms
        // after what it is for.
        let is_alone = packet.length == 0 && packet.flags == ACK && talk.packets > 3;
        let is_made_up = is_alone || talk.packets <= 3;
        let since = talk.owes[from].take();
        if is_alone {
            let late = packet.nanos - since.expect("something to acknowledge");
            let is_over = talk.ended == [true; 2];
            let before = &packets[i - 1];
            let is_second = before.length == 1460 && before.nanos == packet.nanos;
            assert!(is_over || is_second || late == 40_000_000, "{late} {packet:?}");
        }
        let comment = packet.comment.as_str();
        assert!(comment.is_empty() || comment.starts_with("made up: ") == is_made_up, "{packet:?}");
        if packet.length > 0 || packet.flags & FIN != 0 {
            talk.owes[1 - from].get_or_insert(packet.nanos);
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
    ports: Ports,
    dialect: String,
    bytes: [Vec<u8>; 2],
    fields: Vec<(bool, String, Vec<String>)>,
    /// The client's part may be shown in more than one way.
    is_loose: bool,
}

fn ports(peer: &mut Peer) -> Ports {
    let stream = peer.stream();
    (stream.local_addr().unwrap().port(), stream.peer_addr().unwrap().port())
}

/// The parts of a text between its `{words}`, and the word before each part but the first.
fn parts(text: &str) -> Vec<(&str, &str)> {
    let mut parts = vec![("", text)];
    for (at, _) in text.match_indices('{') {
        let Some((word, rest)) = text[at + 1..].split_once('}') else { continue };
        if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()) {
            let (_, last) = parts.last_mut().unwrap();
            *last = &last[..last.len() - text[at..].len()];
            parts.push((word, rest));
        }
    }
    parts
}

/// Has the conversations of `tests/golden/captured.txt` with a server, one after the other.
fn converse(server: &TestServer) -> Vec<Spoken> {
    let big = noise(5, 5000);
    let mut came: BTreeMap<&str, String> = BTreeMap::new();
    let filled = |text: &str, came: &BTreeMap<&str, String>| {
        let fill = |(word, after): &(&str, &str)| {
            came.get(word).map_or("", String::as_str).to_owned() + after
        };
        parts(text).iter().map(fill).collect::<String>()
    };
    let bytes = |text: &str| match text.split_once("<big>") {
        Some((before, after)) => {
            [sessions::bytes(before), big.clone(), sessions::bytes(after)].concat()
        }
        None => sessions::bytes(&text.replace("<long>", &"x".repeat(5000))),
    };
    let all = include_str!("../golden/captured.txt").split("\n\n").map(|conversation| {
        let mut lines = conversation.lines().filter(|line| !line.starts_with('#'));
        let mut head = lines.next()?.split(' ');
        let dialect = head.next()?.to_owned();
        let (mut peer, is_loose) = (server.peer_of(&dialect), head.next().is_some());
        let (ports, fields) = (ports(&mut peer), Vec::new());
        let mut spoken = Spoken { ports, dialect, bytes: Default::default(), fields, is_loose };
        for line in lines {
            match line.split_once(' ').unwrap_or((line, "")) {
                (">", said) => {
                    let said = bytes(&filled(said, &came));
                    peer.say(&said);
                    spoken.bytes[0].extend(said);
                }
                (">.", _) => drop(peer.end_writing()),
                ("<.", _) => spoken.bytes[1].extend(peer.rest()),
                ("<", heard) => {
                    for (word, after) in parts(heard) {
                        let (after, mut got) = (bytes(after), Vec::new());
                        if word.is_empty() {
                            peer.hear(&after);
                            got.clone_from(&after);
                        } else if after.is_empty() {
                            got = peer.bytes(4);
                            let float = f32::from_le_bytes(got.clone().try_into().unwrap());
                            came.insert(word, float.to_string());
                        } else {
                            while !got.ends_with(&after) {
                                got.extend(peer.bytes(1));
                            }
                            let text = &got[..got.len() - after.len()];
                            came.insert(word, String::from_utf8(text.to_vec()).unwrap());
                        }
                        spoken.bytes[1].extend(got);
                    }
                }
                (side, field) => {
                    let (name, values) = field.split_once(' ').unwrap();
                    let values = filled(values, &came).replace('\n', "|");
                    let values = values.split('|').map(str::to_owned).collect();
                    spoken.fields.push((side == "s", name.to_owned(), values));
                }
            }
        }
        Some(spoken)
    });
    all.flatten().collect()
}

/// Waits until the server is done with all of these, and has written what it captured.
fn wait_for_ends(server: &TestServer, all: &[Spoken]) {
    for Spoken { ports: (port, _), dialect, .. } in all {
        server.wait_for_log(&format!("127.0.0.1:{port} {dialect} close"));
    }
}

/// What tshark finds: the values of each field, by the connection and whether the server sent them.
type Found = BTreeMap<(Ports, bool, &'static str), Vec<String>>;

/// The fields of our dissector.
fn fields() -> BTreeSet<&'static str> {
    let quoted = include_str!("../../src/lab/lecture/dissector.lua").split("\"connme.").skip(1);
    let names = quoted.filter_map(|rest| rest.split('"').next());
    names.filter(|name| !name.contains('.')).collect()
}

fn tshark() -> Command {
    let mut command = Command::new("tshark");
    command.env("HOME", std::env::temp_dir()).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    command
}

fn has_tshark() -> bool {
    let has = tshark().arg("--version").output().is_ok_and(|output| output.status.success());
    if !has {
        skip("tshark");
    }
    has
}

/// Writes our dissector into a file.
fn write_dissector(lua: &Path) {
    lab(&["dissector", "--output"]).arg(lua).assert().success().stdout("");
}

/// Runs tshark with our dissector over a capture. Fails on an error in Lua, on anything strange about TCP, on a
/// wrong checksum, and on a connection without a beginning or an end.
fn find(server: &TestServer, capture: &Path, flags: &[&str]) -> Found {
    let lua = server.outside().join("connme.lua");
    if !lua.exists() {
        write_dissector(&lua);
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
    let fields = fields();
    assert!(fields.len() > 30, "{fields:?}");
    for field in &fields {
        command.args(["-e", &format!("connme.{field}")]);
    }
    let output = command.output().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && !err.contains("Lua"), "{err}");
    let servers = DIALECTS.map(|dialect| server.address_of(dialect).port());
    let mut found = Found::new();
    let mut completeness = BTreeMap::new();
    let is_real = flags.contains(&"-n");
    for line in out.lines() {
        let cells: Vec<_> = line.split('\t').collect();
        let [source, target] = [0, 1].map(|i| cells[i].parse::<u16>().unwrap());
        assert!(!cells[5].contains("Lua"), "{line}");
        if !is_real {
            // 0 is a wrong checksum, and 2 one of a packet that was cut.
            assert!(cells[2].is_empty() && cells[4] != "0", "{line}");
        }
        completeness.insert(cells[6].to_owned(), cells[3].parse::<u32>().unwrap());
        let is_server = servers.contains(&source);
        let ports = if is_server { (target, source) } else { (source, target) };
        for (field, cell) in fields.iter().zip(&cells[of_tcp.len()..]) {
            if !cell.is_empty() {
                let values = cell.split('|').map(str::to_owned);
                found.entry((ports, is_server, *field)).or_default().extend(values);
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
    for Spoken { ports, dialect, fields, is_loose, .. } in all {
        let mut rest: BTreeMap<_, _> = found.iter().filter(|((p, ..), _)| p == ports).collect();
        for (is_server, field, expected) in fields {
            let values = rest.remove(&(*ports, *is_server, field.as_str()));
            let values = values.cloned().unwrap_or_default();
            let values = match field.as_str() {
                "payload" => {
                    vec![values.iter().map(|n| n.parse::<u64>().unwrap()).sum::<u64>().to_string()]
                }
                // This dialect has no end mark: each packet shows all that came so far.
                _ if dialect == "count" => values.last().cloned().into_iter().collect(),
                // One in each packet, and a server with a small buffer reads them in many.
                "after_close" => values.into_iter().take(1).collect(),
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
        let known = |field: &str| ["dialect", "part", "command", "request"].contains(&field);
        let more: Vec<_> = rest.into_iter().filter(|((_, _, field), _)| !known(field)).collect();
        assert!(*is_loose || more.is_empty(), "{dialect}: {more:?}");
        assert_eq!(&found[&(*ports, false, "dialect")][0], dialect);
    }
    compared
}

/// The bytes of every connection are in the capture, in order, whole and as single bytes. tshark finds in them
/// what was said.
#[test]
fn a_capture_has_what_was_said_and_tshark_explains_it() {
    let has_tshark = has_tshark();
    for (name, flags) in
        [("c.pcapng", &[][..]), ("c.pcap", &["--buffer", "1", "--stammer", "slice=1"])]
    {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        let server = TestServer::start(&[&["--capture", file.to_str().unwrap()], flags].concat());
        let all = converse(&server);
        wait_for_ends(&server, &all);
        let packets = read_once_ended(&file, all.len());
        if !flags.is_empty() {
            // Only what a close leaves unread is taken in larger pieces.
            let large = packets.iter().filter(|packet| packet.length > 1).count();
            assert!(large < 5 && packets.len() > 10_000, "{large} of {}", packets.len());
        }
        let talks = talks(&packets);
        for Spoken { ports, dialect, bytes, .. } in &all {
            let talk = &talks[ports];
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
        let mut bytes = fs::read(&file).unwrap();
        bytes.truncate(head(&bytes));
        let mut packets = packets;
        for i in 1..packets.len() {
            let [one, next] = &packets[i - 1..=i] else { panic!() };
            let is_one_call = (one.source, one.nanos) == (next.source, next.nanos);
            if one.length > 0 && next.length > 0 && is_one_call {
                packets.swap(i - 1, i);
            }
        }
        for (i, packet) in packets.iter().enumerate() {
            bytes.extend_from_slice(
                &packet.raw.repeat(1 + usize::from(i % 7 == 0 && packet.length > 0)),
            );
        }
        let mixed = folder.path().join(format!("mixed-{name}"));
        fs::write(&mixed, bytes).unwrap();
        let mut found = find(&server, &mixed, &["-n"]);
        found.retain(|(_, _, field), _| *field != "missing");
        compare(&all, &found);
    }
}

/// The same dissector over what really crossed the loopback interface, if this user may capture there.
#[cfg(target_os = "linux")]
#[test]
fn the_dissector_explains_a_real_capture() {
    use crate::support::PATIENCE;
    use std::time::Instant;
    if !has_tshark() {
        return;
    }
    let server = TestServer::start(&[]);
    let file = server.outside().join("lo.pcap");
    let ports: Vec<_> = DIALECTS
        .iter()
        .map(|dialect| format!("tcp port {}", server.address_of(dialect).port()))
        .collect();
    let mut capturing = tshark()
        .args(["-i", "lo", "-q", "-f", &ports.join(" or "), "-w"])
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It captures once it has caught a peer that says this, and has caught all when it has caught another.
    let mut is_caught = |word: &str| {
        let end = Instant::now() + 3 * PATIENCE;
        loop {
            // Without an LF, the server waits a moment before it answers.
            server.peer_of("count").say(word).first_bytes();
            let has =
                |bytes: &[u8]| bytes.windows(word.len()).any(|bytes| bytes == word.as_bytes());
            if fs::read(&file).is_ok_and(|bytes| has(&bytes)) {
                return true;
            }
            if capturing.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(Instant::now() < end, "tshark captures nothing");
        }
    };
    if !is_caught("<begin>") {
        return skip("permission-to-capture");
    }
    let all = converse(&server);
    assert!(is_caught("<end>"));
    // Killed, it would leave the program that captures for it.
    let ended = Command::new("kill").args(["-INT", &capturing.id().to_string()]).status().unwrap();
    assert!(ended.success() && capturing.wait().is_ok());
    let mut found = find(&server, &file, &["-n"]);
    let is_ours = |ports: &Ports| all.iter().any(|spoken| spoken.ports == *ports);
    found.retain(|(ports, _, _), _| is_ours(ports));
    compare(&all, &found);
}

/// What a client with these flags and this input captures on its standard output, and what it says elsewhere then.
fn captured(
    server: &TestServer,
    dialect: &str,
    flags: &[&str],
    input: &str,
) -> (Vec<Packet>, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "hello").unwrap();
    let address = server.address_of(dialect).to_string();
    let mut client = client(&["--capture", "-", "--dialect", dialect, "--server", &address]);
    let output = client.args(flags).current_dir(&folder).write_stdin(input).output().unwrap();
    (read(&output.stdout), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_connection_ends_in_a_capture_as_it_ended() {
    let server = TestServer::start(&[]);
    let one = |flags: &[&str], input: &str| {
        let (packets, said) = captured(&server, "text", flags, input);
        let talks = talks(&packets);
        assert_eq!(talks.len(), 1);
        (talks.into_values().next().unwrap(), said)
    };
    let (talk, said) = one(&[], "connme\nls\nhelp\nsize x\nbyebye\n");
    assert!(said.contains("connected to ") && said.contains("no such file"), "{said}");
    assert_eq!(talk.bytes[0], b"connme\nls\nsize x\nbyebye\n");
    assert!(talk.bytes[1].starts_with(b"ok connected\nok 0\ntotal 0\nerror not-found "));
    assert_eq!((talk.ended, talk.reset_by), ([true; 2], None));
    let (talk, _) = one(&["--stammer", "cut=9", "upload", "a.txt"], "");
    assert_eq!(talk.bytes[0], b"upload a.");
    assert_eq!((talk.ended[0], talk.reset_by), (true, None));
    // The server has answered, and the client leaves that unread.
    let (talk, _) = one(&["--stammer", "reset=7", "say", "connme\\nls\\n"], "");
    assert_eq!(talk.bytes[0], b"connme\n");
    assert_eq!((talk.ended, talk.reset_by), ([false; 2], Some(0)));
    // A dialect with a connection for each request: the ports are different, or used again.
    let (packets, _) = captured(&server, "json", &[], "connme\nls\nls\n");
    assert_eq!(packets.iter().filter(|packet| packet.flags == SYN).count(), 3);
    talks(&packets);
}

#[test]
fn the_dissector_counts_one_and_cuts_between_characters() {
    if !has_tshark() {
        return;
    }
    let server = TestServer::start(&[]);
    server.put("f", b"x");
    let folder = tempfile::tempdir().unwrap();
    write_dissector(&folder.path().join("connme.lua"));
    let explained = |dialect: &str, words: &[&str]| {
        let address = server.address_of(dialect);
        let mut client = client(&["--capture", "c.pcap", "--dialect", dialect]);
        client.args(["--server", &address.to_string()]).args(words).current_dir(&folder);
        client.output().unwrap();
        let mut command = tshark();
        command.args(["-X", "lua_script:connme.lua", "-r", "c.pcap", "-V", "-d"]);
        command.arg(format!("tcp.port=={},connme_{dialect}", address.port()));
        let output = command.current_dir(&folder).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let shown = explained("struct", &["ls"]);
    assert!(shown.contains("\n    1 entry\n"), "{shown}");
    let shown = explained("text", &["say", "LS\\nl", "s\\n", "l"]);
    assert_eq!(shown.matches("1 byte of a message").count(), 3, "{shown}");
    assert!(shown.contains("Command: ls\n"), "{shown}");
    for first in ["", "x"] {
        let shown = explained("text", &["count", &(first.to_owned() + &"\u{e9}".repeat(90))]);
        assert!(shown.contains("\u{e9}...") && !shown.contains('\u{fffd}'), "{shown}");
    }
}

#[test]
fn payloads_are_cut_and_their_lengths_kept() {
    let server = TestServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("big.bin"), noise(7, 300_000)).unwrap();
    let mut client = server.client(folder.path(), &["upload", "big.bin", "--capture", "c.pcap"]);
    client.args(["--capture-bytes", "64"]).assert().success();
    let bytes = fs::read(folder.path().join("c.pcap")).unwrap();
    let packets = read(&bytes);
    assert_eq!(u32::from_le_bytes(bytes[16..20].try_into().unwrap()), 124);
    assert!(packets.iter().all(|packet| packet.payload.len() == packet.length.min(64)));
    let sent: usize = packets.iter().filter(|p| p.payload.len() < p.length).map(|p| p.length).sum();
    assert!(sent > 290_000 && bytes.len() < 40_000, "{sent} {}", bytes.len());
    talks(&packets);
    if has_tshark() {
        let found = find(&server, &folder.path().join("c.pcap"), &[]);
        let of = |is_server: bool, name: &str| -> String {
            let its =
                found.iter().find(|((_, from, field), _)| (*from, *field) == (is_server, name));
            its.unwrap().1.join("|")
        };
        let counted: u64 = of(false, "payload").split('|').map(|n| n.parse::<u64>().unwrap()).sum();
        assert_eq!((of(false, "command").as_str(), counted), ("upload", 300_000));
        assert_eq!(of(true, "reply"), "ok ready|ok received 300000 big.bin");
    }
}

/// IPv6, where this machine has it.
#[test]
fn both_versions_of_ip_are_captured() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    let file = folder.path().join("c.pcap");
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return skip("IPv6");
    }
    // A socket for both is one for IPv6 alone on Windows.
    let both = if cfg!(windows) { "127.0.0.1:0" } else { "[::]:0" };
    let mut server = Command::new(env!("CARGO_BIN_EXE_connme-server"));
    server.args(["--listen", "[::1]:0", "--listen", both, "--capture", "-", "--root"]).arg(&root);
    server.stdout(fs::File::create(&file).unwrap()).stderr(Stdio::piped());
    let mut server = server.spawn().unwrap();
    // Standard output has the capture, so the addresses are on standard error.
    let mut errors = BufReader::new(server.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut ports = Vec::new();
    while ports.len() < 2 {
        let line = errors.next().unwrap();
        if let Some(address) = line.strip_suffix(" (text)") {
            ports.push(address.rsplit(':').next().unwrap().to_owned());
        }
    }
    let mut talk = |address: &str| {
        client(&["--server", address, "ls"]).current_dir(&folder).assert().success();
        assert!(errors.any(|line| line.ends_with(" text close")));
    };
    talk(&format!("[::1]:{}", ports[0]));
    // An IPv4 client of a socket for both has its own address.
    talk(&format!("127.0.0.1:{}", ports[1]));
    let packets = read_once_ended(&file, 2);
    let _ = server.kill();
    let _ = server.wait();
    let talks = talks(&packets);
    assert_eq!(talks.len(), 2);
    assert!(talks.values().all(|talk| talk.bytes[0] == b"ls\n" && talk.ended == [true; 2]));
    let versions: Vec<_> = packets.iter().map(|p| p.source.0.is_ipv6()).collect();
    assert!(versions[0] && !versions[versions.len() - 1]);
}

/// Many connections at once in one file: no packet is inside another.
#[test]
fn connections_share_a_capture() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.pcap");
    let server = TestServer::start(&["--capture", file.to_str().unwrap()]);
    let all: Vec<_> = std::thread::scope(|scope| {
        let talk = |n: u64| {
            let mut peer = server.peer();
            let bytes = noise(n, 50_000);
            peer.say(format!("upload {n}\n50000\n")).say(&bytes).hear("ok ready\n");
            peer.hear(format!("ok received 50000 {n}\n"));
            (ports(&mut peer), bytes)
        };
        let threads: Vec<_> = (0..8).map(|n| scope.spawn(move || talk(n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for ((port, _), _) in &all {
        server.wait_for_log(&format!("127.0.0.1:{port} text close"));
    }
    let talks = talks(&read_once_ended(&file, all.len()));
    for (ports, bytes) in all {
        assert!(talks[&ports].bytes[0].ends_with(&bytes));
    }
}

/// With a load balancer in front, the packets have the client's address.
#[test]
fn a_capture_has_the_address_of_the_proxy_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.pcap");
    let server = TestServer::start(&["--proxy-protocol", "--capture", file.to_str().unwrap()]);
    for line in ["TCP4 192.0.2.7 198.51.100.1 50312", "TCP6 2001:db8::7 2001:db8::1 50313"] {
        let mut peer = server.peer();
        peer.say(format!("PROXY {line} 1234\r\nconnme\n")).hear("ok connected\n").end_writing();
        peer.hear_end();
    }
    server.wait_for_log("192.0.2.7:50312 text close");
    server.wait_for_log("[2001:db8::7]:50313 text close");
    let packets = read_once_ended(&file, 2);
    let talks = talks(&packets);
    assert_eq!(talks[&(50312, server.address().port())].bytes[0], b"connme\n");
    // One packet has addresses of one version.
    let wide = packets.iter().find(|packet| packet.source.1 == 50313).unwrap();
    assert_eq!(wide.source.0.to_string(), "2001:db8::7");
    assert_eq!(wide.target.0.to_string(), "::ffff:127.0.0.1");
}

/// A full disk, or a reader that leaves, ends the capture and nothing else.
#[cfg(target_os = "linux")]
#[test]
fn a_capture_that_cannot_be_written_ends_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), noise(9, 200_000)).unwrap();
    let once = |errors: &str| errors.matches("the capture ends here").count() == 1;
    // A pipe whose reader takes the file's header, and leaves.
    let mut server = TestServer::start(&[]);
    let mut command = Command::new("sh");
    let upload =
        "\"$0\" --server $1 --capture - upload a.txt 2>errors | head -c 24 >/dev/null; cat errors";
    command.args([
        "-c",
        upload,
        env!("CARGO_BIN_EXE_connme-client"),
        &server.address().to_string(),
    ]);
    let said = command.current_dir(&folder).env("LANG", "C").env_remove("LC_ALL").output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("a.txt uploaded: 200000 bytes"), "{said}");
    assert_eq!(server.get("a.txt"), noise(9, 200_000));
    // A disk with room for a few packets.
    let limit = "ulimit -f 64; trap '' XFSZ; exec \"$@\"";
    let file = folder.path().join("c.pcap");
    server.kill();
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    let server = TestServer::over_by(
        &["sh", "-c", limit, "sh"],
        &root,
        &["--capture", file.to_str().unwrap(), "--capture-bytes", "1400"],
    );
    for n in 0..20 {
        let mut peer = server.peer();
        peer.say(format!("upload {n}\n20000\n")).say(noise(n, 20_000)).hear("ok ready\n");
        peer.hear(format!("ok received 20000 {n}\n"));
    }
    assert!(once(&server.log()), "{}", server.log());
    // What is there is whole, and the disk was nearly full.
    let bytes = fs::read(&file).unwrap();
    assert!(bytes.len() > 10_000 && read(&bytes).len() > 20, "{}", bytes.len());
    // What cannot be created is a mistake of the user.
    let mut client = client(&["--capture", "no/such/c.pcap", "ls"]);
    let output = client.current_dir(&folder).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    let said = "connme-client: cannot create the capture no/such/c.pcap: ";
    assert!(errors.starts_with(said), "{errors}");
}

/// The file is a pipe that is not read, and then is: the server goes on meanwhile, and says what is missing.
#[cfg(target_os = "linux")]
#[test]
fn a_capture_that_is_not_read_stops_no_connection() {
    use std::io::Read as _;
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let server = TestServer::start(&["--capture", pipe.to_str().unwrap()]);
    let upload = |name: &str| {
        let mut peer = server.peer();
        peer.say(format!("upload {name}\n8000000\n")).say(noise(5, 8_000_000)).hear("ok ready\n");
        peer.hear(format!("ok received 8000000 {name}\n"));
    };
    upload("without-a-reader");
    let mut reader = fs::File::open(&pipe).unwrap();
    let mut bytes = [0; 24];
    reader.read_exact(&mut bytes).unwrap();
    upload("a-reader-that-stops");
    let read_on = std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
    server.wait_for_log("the capture lacks ");
    drop(server);
    assert!(read_on.join().unwrap().unwrap() > 1_000_000);
}

/// A demo has the four framings of a file in one capture: its session, and the comparison.
#[test]
fn a_demo_is_captured() {
    let folder = tempfile::tempdir().unwrap();
    // The port of `text` is taken, so the demo says how to read its capture.
    let _taken = std::net::TcpListener::bind("127.0.0.1:1234");
    let mut client = lab(&["demo", "--quiet", "--capture", "demo.pcap"]);
    let client = client.current_dir(&folder).env("TMPDIR", folder.path()).assert().success();
    let said = String::from_utf8_lossy(&client.get_output().stdout).into_owned();
    let decode: Vec<_> = said
        .lines()
        .filter_map(|line| line.trim().strip_prefix("-d "))
        .map(|it| it.trim_end_matches(" \\"))
        .collect();
    assert_eq!(decode.len(), 5, "{said}");
    let packets = read(&fs::read(folder.path().join("demo.pcap")).unwrap());
    let talks = talks(&packets);
    let starts: [&[u8]; 5] = [
        b"connme\nupload hello.txt\n12\n",
        b"upload compare-",
        b"upload\x14\x00",
        b"SEND\n",
        b"{\"aksi\"",
    ];
    for start in starts {
        assert!(talks.values().any(|talk| talk.bytes[0].starts_with(start)), "{start:?}");
    }
    let servers: BTreeSet<_> =
        packets.iter().filter(|packet| packet.flags == SYN).map(|packet| packet.target).collect();
    assert_eq!(servers.len(), 4, "{servers:?}");
    if !has_tshark() {
        return;
    }
    // The session, as the guide shows it.
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide/lecture.md");
    let guide = fs::read_to_string(guide).unwrap();
    let shown = guide.split("```text\n> upload").nth(1).unwrap().split("```").next().unwrap();
    let lua = folder.path().join("connme.lua");
    write_dissector(&lua);
    let mut command = tshark();
    command.arg("-X").arg(format!("lua_script:{}", lua.display())).arg("-r");
    command.arg(folder.path().join("demo.pcap"));
    for port in decode {
        command.args(["-d", port]);
    }
    let output = command.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut rest = printed.as_str();
    let lines: Vec<_> = format!("> upload{shown}").lines().map(str::to_owned).collect();
    assert!(lines.len() >= 6, "{lines:?}");
    for line in lines {
        let (_, after) = rest.split_once(&format!(" {line}\n")).expect(&line);
        rest = after;
    }
}

#[test]
fn a_result_that_is_a_file_goes_where_the_user_wants_it() {
    let folder = tempfile::tempdir().unwrap();
    let printed = |args: &[&str]| {
        let output = lab(args).current_dir(&folder).assert().success().get_output().clone();
        String::from_utf8(output.stdout).unwrap()
    };
    let lua = printed(&["dissector"]);
    assert!(lua.starts_with("-- ") && lua.contains("Proto(\"connme\""));
    assert_eq!(printed(&["--output", "c.lua", "dissector"]), "");
    assert_eq!(fs::read_to_string(folder.path().join("c.lua")).unwrap(), lua);
    lab(&["dissector", "--output", "no/such"]).current_dir(&folder).assert().code(1);
    let gift = printed(&["questions", "--gift", "--lang", "id"]);
    assert!(gift.starts_with("$CATEGORY: connme\n\n::Satu write::[markdown]"), "{gift}");
    assert_eq!(printed(&["questions", "--gift", "--lang", "id", "--output", "q.gift"]), "");
    assert_eq!(fs::read_to_string(folder.path().join("q.gift")).unwrap(), gift);
    let sheet = printed(&["questions"]);
    assert!(sheet.starts_with("1. ") && sheet.contains("\nAnswers\n\n1b. "), "{sheet}");
}
