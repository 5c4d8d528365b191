//! The captures: read by a small reader of our own, and by tshark where there is one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::sessions;
use crate::support::{DIALECTS, Peer, TestServer, client, lab, noise, skip, wait_until};

/// A packet of a capture.
struct Packet {
    nanos: usize,
    source: SocketAddr,
    target: SocketAddr,
    sequence: u32,
    acknowledged: u32,
    flags: u8,
    window: usize,
    payload: Vec<u8>,
    /// How long the payload was before the capture cut it.
    length: usize,
    /// Its comment, in a pcapng.
    comment: String,
    raw: Vec<u8>,
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;

/// The number of these bytes, of which the highest comes first, as in a packet.
fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// The numbers of four bytes each, of which the lowest comes first, as in the formats.
fn words(bytes: &[u8]) -> Vec<usize> {
    let word = |bytes: &[u8]| bytes.iter().rfold(0, |word, byte| word << 8 | usize::from(*byte));
    bytes.chunks(4).map(word).collect()
}

/// Whether all this has a checksum in it that is right.
fn is_summed(parts: &[&[u8]]) -> bool {
    let mut all = parts.concat();
    all.resize(all.len().next_multiple_of(2), 0);
    all.chunks(2).map(number).sum::<usize>() % 0xffff == 0
}

/// What is before the first packet: of a pcapng a section and an interface.
fn header(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(..if bytes.starts_with(b"\n\r\r\n") { 60 } else { 24 })
}

/// Reads a capture of either format. `None` if its last record is not whole.
fn read_so_far(bytes: &[u8]) -> Option<Vec<Packet>> {
    let header = header(bytes)?;
    let (mut rest, is_pcapng) = (&bytes[header.len()..], header.len() == 60);
    let mut fixed = words(header);
    let longest = std::mem::take(&mut fixed[if is_pcapng { 10 } else { 4 }]);
    let (any, raw_ip) = (0xffff_ffff, 101);
    if is_pcapng {
        let section = [0x0a0d_0d0a, 28, 0x1a2b_3c4d, 1, any, any, 28];
        assert_eq!(fixed, [&section[..], &[1, 32, raw_ip, 0, 0x1_0009, 9, 0, 32]].concat());
    } else {
        assert_eq!(fixed, [0xa1b2_3c4d, 0x4_0002, 0, 0, 0, raw_ip]);
    }
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let place = if is_pcapng { 28 } else { 16 };
        let fixed = words(rest.get(..place)?);
        let [.., high, low, kept, length] = fixed[..] else { panic!("{fixed:?}") };
        let size = if is_pcapng { fixed[1] } else { place + kept };
        let raw = rest.get(..size)?;
        rest = &rest[size..];
        let mut packet = read_packet(&raw[place..place + kept], length);
        packet.nanos = high * 1_000_000_000 + low;
        if is_pcapng {
            packet.nanos = high << 32 | low;
            let option = &raw[place + kept.next_multiple_of(4)..];
            let end = 4 + usize::from(option[2]);
            assert_eq!((fixed[0], option[0], option[1]), (6, 1, 0), "a packet, and a comment");
            packet.comment = String::from_utf8(option[4..end].to_vec()).unwrap();
            assert_eq!(words(&option[end.next_multiple_of(4)..]), [0, size], "and nothing more");
        }
        assert!(kept <= longest);
        packet.raw = raw.to_vec();
        packets.push(packet);
    }
    Some(packets)
}

fn read(file: &Path) -> Vec<Packet> {
    read_so_far(&fs::read(file).unwrap()).unwrap()
}

/// Reads what was kept of a packet of this length, and checks its checksums if it is whole.
fn read_packet(kept: &[u8], length: usize) -> Packet {
    assert!(kept.len() <= length, "{} {length}", kept.len());
    // Where the addresses are, and how long each is.
    let (ip, at, long) = if kept[0] >> 4 == 4 { (20, 12, 4) } else { (40, 8, 16) };
    match ip {
        20 => assert_eq!((is_summed(&[&kept[..20]]), number(&kept[2..4])), (true, length)),
        _ => assert_eq!(number(&kept[4..6]) + 40, length),
    }
    let tcp = &kept[ip..];
    let head = usize::from(tcp[12] >> 4) * 4;
    let address = |n: usize| {
        let bytes = &kept[at + n * long..at + n * long + long];
        let short = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
        let ip = short.unwrap_or_else(|_| <[u8; 16]>::try_from(bytes).unwrap().into());
        SocketAddr::new(ip, u16::from_be_bytes([tcp[n * 2], tcp[n * 2 + 1]]))
    };
    if kept.len() == length {
        let size = u16::try_from(tcp.len()).unwrap().to_be_bytes();
        assert!(is_summed(&[&kept[at..at + 2 * long], &[0, 6], &size, tcp]));
    }
    Packet {
        nanos: 0,
        source: address(0),
        target: address(1),
        sequence: u32::try_from(number(&tcp[4..8])).unwrap(),
        acknowledged: u32::try_from(number(&tcp[8..12])).unwrap(),
        flags: tcp[13],
        window: number(&tcp[14..16]),
        payload: tcp[head..].to_vec(),
        length: length - ip - head,
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
    /// How far each side is acknowledged, and its full segments since.
    acknowledged: [u32; 2],
    full: [usize; 2],
    /// Since when each side owes an acknowledgement.
    owes: [Option<usize>; 2],
    packets: usize,
}

/// The ports of a client and a server. A client's port alone may be used for two servers.
type Ports = (u16, u16);

/// The connections. Checks sequence numbers, acknowledgements, windows, PSH, times and comments.
fn talks(packets: &[Packet]) -> BTreeMap<Ports, Talk> {
    let mut talks: BTreeMap<Ports, Talk> = BTreeMap::new();
    let mut clients = BTreeSet::new();
    assert!(packets.is_sorted_by_key(|packet| packet.nanos), "time goes on");
    for (i, packet) in packets.iter().enumerate() {
        let [near, far] = [packet.source.port(), packet.target.port()];
        if packet.flags == SYN {
            clients.insert((packet.source, packet.target));
            talks.insert((near, far), Talk::default());
        }
        let from = usize::from(!clients.contains(&(packet.source, packet.target)));
        let talk = talks.get_mut(&if from == 0 { (near, far) } else { (far, near) }).unwrap();
        let has = |flag: u8| packet.flags & flag != 0;
        talk.packets += 1;
        assert!(talk.reset_by.is_none(), "nothing follows a reset");
        if has(SYN) {
            assert_eq!((talk.packets, talk.next[from]), (1 + from, 0));
            talk.next[from] = packet.sequence;
        }
        assert_eq!(packet.sequence, talk.next[from], "{i}");
        let acknowledged = if has(ACK) { talk.next[1 - from] } else { 0 };
        assert_eq!(packet.acknowledged, acknowledged, "{i}");
        let taken = packet.length + usize::from(has(SYN)) + usize::from(has(FIN));
        talk.next[from] = packet.sequence.wrapping_add(u32::try_from(taken).unwrap());
        assert!(packet.length <= 1460);
        // A window of Linux, which is never full.
        assert_eq!(packet.window, if has(SYN) { 64_240 } else { 502 }, "{i}");
        talk.acknowledged[1 - from] = packet.acknowledged;
        talk.full[1 - from] = 0;
        talk.full[from] += usize::from(packet.length == 1460);
        assert!(talk.full[from] <= 2, "the second full segment is acknowledged: {i}");
        let under_way = talk.next[from].wrapping_sub(talk.acknowledged[from]);
        assert!(has(SYN) || under_way <= 502 * 128, "{under_way} {i}");
        if packet.length > 0 {
            assert!(!talk.ended[from], "nothing follows a FIN");
            // The packets of one call have one time.
            let its = packets[i + 1..].iter().take_while(|next| next.nanos == packet.nanos);
            let goes_on = { its }.any(|next| next.source == packet.source && next.length > 0);
            assert_eq!(has(PSH), !goes_on, "{i}");
        }
        // An acknowledgement goes with a segment, or alone: after two full segments, after the last FIN, or 40 ms
        // after what it is for.
        let is_alone = packet.length == 0 && packet.flags == ACK && talk.packets > 3;
        let since = talk.owes[from].take();
        if is_alone {
            let late = packet.nanos - since.expect("something to acknowledge");
            let before = &packets[i - 1];
            let is_second = before.length == 1460 && before.nanos == packet.nanos;
            assert!(talk.ended == [true; 2] || is_second || late == 40_000_000, "{late} {i}");
        }
        let is_made_up = packet.comment.starts_with("made up: ");
        assert!(packet.comment.is_empty() || is_made_up == (is_alone || talk.packets <= 3), "{i}");
        if packet.length > 0 || has(FIN) {
            talk.owes[1 - from].get_or_insert(packet.nanos);
        }
        talk.bytes[from].extend(&packet.payload);
        talk.ended[from] |= has(FIN);
        talk.reset_by = has(RST).then_some(from);
    }
    talks
}

/// A server that captures into a file of this name, and the file.
fn capturing(name: &str, flags: &[&str]) -> (tempfile::TempDir, PathBuf, TestServer) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    let server = TestServer::start(&[&["--capture", file.to_str().unwrap()], flags].concat());
    (folder, file, server)
}

/// Reads a capture once the server has ended this many connections in it: it is written by a thread of its own.
fn read_once_ended(file: &Path, connections: usize) -> (Vec<Packet>, BTreeMap<Ports, Talk>) {
    let mut ended = None;
    wait_until("have all connections ended in the capture", || {
        let packets = read_so_far(&fs::read(file).unwrap()).unwrap_or_default();
        let talks = talks(&packets);
        let is_ended = talks.values().filter(|talk| talk.ended[1]).count() >= connections;
        ended = is_ended.then_some((packets, talks));
        is_ended
    });
    ended.unwrap()
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
    let mut came: BTreeMap<&str, String> = BTreeMap::new();
    let filled = |text: &str, came: &BTreeMap<&str, String>| {
        let fill = |(word, after): &(&str, &str)| {
            came.get(word).map_or("", String::as_str).to_owned() + after
        };
        parts(text).iter().map(fill).collect::<String>()
    };
    let bytes = |text: &str| {
        let texts = text.replace("<long>", &"x".repeat(5000));
        let texts: Vec<_> = texts.split("<big>").map(sessions::bytes).collect();
        texts.join(&noise(5, 5000)[..])
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

/// What tshark with our dissector says of a capture, in which these ports are those of these dialects.
fn dissected(capture: &Path, ports: &[(&str, u16)], words: &[String]) -> String {
    let lua = capture.with_extension("lua");
    lab(&["dissector", "--output"]).arg(&lua).assert().success().stdout("");
    let mut command = tshark();
    command.arg("-X").arg(format!("lua_script:{}", lua.display())).arg("-r").arg(capture);
    for (n, (dialect, port)) in ports.iter().enumerate() {
        // Both ways to give a port.
        match n % 2 {
            0 => command.arg("-d").arg(format!("tcp.port=={port},connme_{dialect}")),
            _ => command.arg("-o").arg(format!("connme.{dialect}_ports:{port}")),
        };
    }
    let output = command.args(words).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !errors.contains("Lua"), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The values of each field that tshark finds, by the connection and whether the server sent them.
type Found = BTreeMap<(Ports, bool, &'static str), Vec<String>>;

/// Finds the fields of our dissector. Fails on an error in Lua, on anything strange about TCP, on a wrong checksum, and
/// on a connection without a beginning or an end. With `-n`, for which segments were moved, there may be such.
fn find(server: &TestServer, capture: &Path, flag: Option<&str>) -> Found {
    let quoted = include_str!("../../src/lab/lecture/dissector.lua").split("\"connme.").skip(1);
    let fields: BTreeSet<_> = quoted.filter_map(|rest| rest.split('"').next()).collect();
    let fields: Vec<_> = fields.into_iter().filter(|name| !name.contains('.')).collect();
    assert!(fields.len() > 30, "{fields:?}");
    let ports = DIALECTS.map(|dialect| (dialect, server.address_of(dialect).port()));
    let wanted = "-o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE -T fields -E occurrence=a -E aggregator=| \
        -e tcp.srcport -e tcp.dstport -e tcp.analysis.flags -e tcp.completeness -e tcp.checksum.status \
        -e _ws.expert.message -e tcp.stream";
    let wanted = wanted.split_whitespace().map(str::to_owned);
    let own = fields.iter().map(|field| format!("-econnme.{field}"));
    let wanted: Vec<_> = wanted.chain(own).chain(flag.map(str::to_owned)).collect();
    let (mut found, mut completeness) = (Found::new(), BTreeMap::new());
    for line in dissected(capture, &ports, &wanted).lines() {
        let cells: Vec<_> = line.split('\t').collect();
        let [source, target, strange, seen, checksum, expert, stream, values @ ..] = &cells[..]
        else {
            panic!("{line}")
        };
        assert!(!expert.contains("Lua"), "{line}");
        // 0 is a wrong checksum, and 2 one of a packet that was cut.
        assert!(flag == Some("-n") || (strange.is_empty() && *checksum != "0"), "{line}");
        completeness.insert(stream.to_string(), seen.parse::<u32>().unwrap());
        let [source, target] = [source, target].map(|port| port.parse().unwrap());
        let is_server = ports.iter().any(|(_, port)| *port == source);
        let ends = if is_server { (target, source) } else { (source, target) };
        for (field, cell) in fields.iter().zip(values).filter(|(_, cell)| !cell.is_empty()) {
            let values = cell.split('|').map(str::to_owned);
            found.entry((ends, is_server, *field)).or_default().extend(values);
        }
    }
    // A SYN, its answer, an ACK, data and an end.
    let is_complete = |seen: &u32| seen & 15 == 15 && seen & 48 != 0;
    assert!(flag == Some("-n") || completeness.values().all(is_complete), "{completeness:?}");
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
            assert_eq!(&values, expected, "{dialect}, server: {is_server}, {field}\n{found:#?}");
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
        let (_folder, file, server) = capturing(name, flags);
        let all = converse(&server);
        for Spoken { ports: (port, _), dialect, .. } in &all {
            server.wait_for_log(&format!("127.0.0.1:{port} {dialect} close"));
        }
        let (mut packets, talks) = read_once_ended(&file, all.len());
        if !flags.is_empty() {
            // Only what a close leaves unread is taken in larger pieces.
            let large = packets.iter().filter(|packet| packet.length > 1).count();
            assert!(large < 5 && packets.len() > 10_000, "{large} of {}", packets.len());
        }
        for Spoken { ports, dialect, bytes, .. } in &all {
            let talk = &talks[ports];
            assert_eq!(&talk.bytes, bytes, "{dialect}");
            assert!(talk.ended[1] && talk.reset_by.is_none(), "{dialect}");
        }
        if !has_tshark {
            continue;
        }
        let found = find(&server, &file, None);
        let compared = compare(&all, &found);
        assert!(compared >= 200, "{compared}");
        assert_eq!(find(&server, &file, Some("-2")), found, "dissected twice");
        // Segments that overtake each other, and some that come twice.
        for i in 1..packets.len() {
            let [one, next] = &packets[i - 1..=i] else { panic!() };
            let is_one_call = (one.source, one.nanos) == (next.source, next.nanos);
            if one.length > 0 && next.length > 0 && is_one_call {
                packets.swap(i - 1, i);
            }
        }
        let mut bytes = header(&fs::read(&file).unwrap()).unwrap().to_vec();
        for (i, packet) in packets.iter().enumerate() {
            let is_twice = i % 7 == 0 && packet.length > 0;
            bytes.extend(packet.raw.repeat(1 + usize::from(is_twice)));
        }
        fs::write(&file, bytes).unwrap();
        let mut found = find(&server, &file, Some("-n"));
        found.retain(|(_, _, field), _| *field != "missing");
        compare(&all, &found);
    }
}

#[test]
fn a_connection_ends_in_a_capture_as_it_ended() {
    let server = TestServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "hello").unwrap();
    // What a client with these flags and this input captures on its standard output, and what it says elsewhere then.
    let captured = |dialect: &str, flags: &[&str], input: &'static str| {
        let address = server.address_of(dialect).to_string();
        let mut client = client(&["--capture", "-", "--dialect", dialect, "--server", &address]);
        let output = client.args(flags).current_dir(&folder).write_stdin(input).output().unwrap();
        (read_so_far(&output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let typed = "connme\nls\nhelp\nsize x\nbyebye\n";
    let answers = "ok connected\nok 0\ntotal 0\nerror not-found ";
    let say = ["--stammer", "reset=7", "say", "connme\\nls\\n"];
    for (flags, input, sent, came, ended, reset_by) in [
        (&[][..], typed, "connme\nls\nsize x\nbyebye\n", answers, true, None),
        (&["--stammer", "cut=9", "upload", "a.txt"], "", "upload a.", "", true, None),
        // The server has answered, and the client leaves that unread.
        (&say, "", "connme\n", "", false, Some(0)),
    ] {
        let (packets, said) = captured("text", flags, input);
        let talks = talks(&packets);
        let (1, Some(talk)) = (talks.len(), talks.values().next()) else { panic!("{flags:?}") };
        assert_eq!(talk.bytes[0], sent.as_bytes());
        assert!(talk.bytes[1].starts_with(came.as_bytes()), "{flags:?}");
        assert_eq!((talk.ended[0], talk.reset_by), (ended, reset_by), "{flags:?}");
        let is_told = said.contains("connected to ") && said.contains("no such file");
        assert!(input.is_empty() || (is_told && talk.ended[1]), "{said}");
    }
    // A dialect with a connection for each request: the ports are different, or used again.
    let (packets, _) = captured("json", &[], "connme\nls\nls\n");
    assert_eq!(packets.iter().filter(|packet| packet.flags == SYN).count(), 3);
    talks(&packets);
}

#[test]
fn payloads_are_cut_and_their_lengths_kept() {
    let server = TestServer::start(&[]);
    let (folder, file) = (server.outside(), server.outside().join("c.pcap"));
    fs::write(folder.join("big.bin"), noise(7, 300_000)).unwrap();
    let mut client = server.client(folder, &["upload", "big.bin", "--capture", "c.pcap"]);
    client.args(["--capture-bytes", "64"]).assert().success();
    let (bytes, packets) = (fs::read(&file).unwrap(), read(&file));
    assert_eq!(words(header(&bytes).unwrap())[4], 124);
    assert!(packets.iter().all(|packet| packet.payload.len() == packet.length.min(64)));
    let sent: usize = packets.iter().filter(|p| p.payload.len() < p.length).map(|p| p.length).sum();
    assert!(sent > 290_000 && bytes.len() < 40_000, "{sent} {}", bytes.len());
    talks(&packets);
}

/// IPv6, where this machine has it.
#[test]
fn both_versions_of_ip_are_captured() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.pcap");
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return skip("IPv6");
    }
    // A socket for both is one for IPv6 alone on Windows.
    let both = if cfg!(windows) { "127.0.0.1:0" } else { "[::]:0" };
    let mut server = Command::new(env!("CARGO_BIN_EXE_connme-server"));
    server.args(["--listen", "[::1]:0", "--listen", both, "--capture", "-", "--root", "."]);
    server.current_dir(&folder).stdout(fs::File::create(&file).unwrap()).stderr(Stdio::piped());
    let mut server = server.spawn().unwrap();
    // Standard output has the capture, so the addresses are on standard error.
    let mut errors = BufReader::new(server.stderr.take().unwrap()).lines().map_while(Result::ok);
    let port = |line: String| Some(line.strip_suffix(" (text)")?.rsplit(':').next()?.to_owned());
    let ports: Vec<_> = errors.by_ref().filter_map(port).take(2).collect();
    // An IPv4 client of a socket for both has its own address.
    for address in [format!("[::1]:{}", ports[0]), format!("127.0.0.1:{}", ports[1])] {
        client(&["--server", &address, "ls"]).current_dir(&folder).assert().success();
        assert!(errors.any(|line| line.ends_with(" text close")));
    }
    let (packets, talks) = read_once_ended(&file, 2);
    let _ = (server.kill(), server.wait());
    assert_eq!(talks.len(), 2);
    assert!(talks.values().all(|talk| talk.bytes[0] == b"ls\n" && talk.ended == [true; 2]));
    assert!(packets[0].source.is_ipv6() && packets[packets.len() - 1].source.is_ipv4());
}

/// Many connections at once in one file: no packet is inside another.
#[test]
fn connections_share_a_capture() {
    let (_folder, file, server) = capturing("c.pcap", &[]);
    let all: Vec<_> = std::thread::scope(|scope| {
        let talk = |n: u64| {
            let (mut peer, bytes) = (server.peer(), noise(n, 50_000));
            peer.say(format!("upload {n}\n50000\n")).say(&bytes).hear("ok ready\n");
            peer.hear(format!("ok received 50000 {n}\n"));
            (ports(&mut peer), bytes)
        };
        let threads: Vec<_> = (0..8).map(|n| scope.spawn(move || talk(n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (_, talks) = read_once_ended(&file, all.len());
    assert!(all.iter().all(|(ports, bytes)| talks[ports].bytes[0].ends_with(bytes)));
}

/// With a load balancer in front, the packets have the client's address.
#[test]
fn a_capture_has_the_address_of_the_proxy_line() {
    let (_folder, file, server) = capturing("c.pcap", &["--proxy-protocol"]);
    for line in ["TCP4 192.0.2.7 198.51.100.1 50312", "TCP6 2001:db8::7 2001:db8::1 50313"] {
        let mut peer = server.peer();
        peer.say(format!("PROXY {line} 1234\r\nconnme\n")).hear("ok connected\n").end_writing();
        peer.hear_end();
    }
    let (packets, talks) = read_once_ended(&file, 2);
    let port = server.address().port();
    assert_eq!(talks[&(50312, port)].bytes[0], b"connme\n");
    // One packet has addresses of one version.
    let ends: BTreeSet<_> = packets.iter().map(|p| format!("{} {}", p.source, p.target)).collect();
    for ends_of in ["192.0.2.7:50312 127.0.0.1", "[2001:db8::7]:50313 [::ffff:127.0.0.1]"] {
        assert!(ends.contains(&format!("{ends_of}:{port}")), "{ends:?}");
    }
}

/// A disk with room for a few packets: the capture ends, and nothing else.
#[cfg(target_os = "linux")]
#[test]
fn a_capture_that_cannot_be_written_ends_alone() {
    let limit = ["sh", "-c", "ulimit -f 64; trap '' XFSZ; exec \"$@\"", "sh"];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.pcap");
    let flags = ["--capture", file.to_str().unwrap(), "--capture-bytes", "1400"];
    let server = TestServer::over_by(&limit, folder.path(), &flags);
    for n in 0..20 {
        let mut peer = server.peer();
        peer.say(format!("upload {n}\n20000\n")).say(noise(n, 20_000)).hear("ok ready\n");
        peer.hear(format!("ok received 20000 {n}\n"));
    }
    server.wait_for_log("the capture ends here");
    let log = server.log();
    assert_eq!(log.matches("the capture ends here").count(), 1, "{log}");
    // What is there is whole, and the disk was nearly full.
    assert!(read(&file).len() > 20 && fs::metadata(&file).unwrap().len() > 10_000);
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
    reader.read_exact(&mut [0; 24]).unwrap();
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
    let file = folder.path().join("demo.pcap");
    // The port of `text` is taken, so the demo says how to read its capture.
    let _taken = std::net::TcpListener::bind("127.0.0.1:1234");
    let mut client = lab(&["demo", "--quiet", "--capture", "demo.pcap"]);
    let client = client.current_dir(&folder).env("TMPDIR", folder.path()).assert().success();
    let said = String::from_utf8_lossy(&client.get_output().stdout).into_owned();
    let decode = said.lines().filter_map(|line| line.trim().strip_prefix("-d "));
    let decode: Vec<_> = decode.map(|it| format!("-d{}", it.trim_end_matches(" \\"))).collect();
    assert_eq!(decode.len(), 5, "{said}");
    let packets = read(&file);
    let talks = talks(&packets);
    for start in
        ["connme\nupload hello.txt\n12\n", "upload compare-", "upload\x14\0", "SEND\n", "{\"aksi\""]
    {
        let is_it = |talk: &Talk| talk.bytes[0].starts_with(start.as_bytes());
        assert!(talks.values().any(is_it), "{start:?}");
    }
    let servers: BTreeSet<_> = talks.keys().map(|(_, server)| server).collect();
    assert_eq!(servers.len(), 4, "{servers:?}");
    if !has_tshark() {
        return;
    }
    // The session, as the guide shows it.
    let guide = include_str!("../../src/guide/lecture.md");
    let shown = guide.split("```text\n> upload").nth(1).unwrap().split("```").next().unwrap();
    let printed = dissected(&file, &[], &decode);
    let (mut rest, lines) = (printed.as_str(), format!("> upload{shown}"));
    assert!(lines.lines().count() >= 6, "{lines}");
    for line in lines.lines() {
        (_, rest) = rest.split_once(&format!(" {line}\n")).expect(line);
    }
}
