//! What the pictures show: conversations of every kind, drawn without sockets, and the guide's own pictures.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::Instruments;
use super::canvas::{BROKEN, PAYLOAD, SIZE};
use super::compare::{bars, compare};
use super::kernel::{CLOSED, Row};
use super::local::LocalServer;
use super::picture::Picture;
use super::record::Tape;
use super::sequence::draw;
use super::trace::{Connection, Event, Side};
use crate::cli::client::parse;
use crate::cli::{self, Parsed};
use crate::client::{Client, Config};
use crate::dialect::Dialect;
use crate::lab::scratch::TemporaryFolder;
use crate::lang::Lang;
use crate::wire::stream::{self, Ending};

const MICRO: Duration = Duration::from_micros(1);

/// Both sides of a connection, written down by hand. Times are in microseconds.
struct Talk(Tape, Tape);

impl Talk {
    fn new(dialect: &'static str) -> Talk {
        let [client, server] = ["127.0.0.1:50000", "127.0.0.1:1234"].map(|at| at.parse().unwrap());
        let connection = |side| Connection { side, dialect, client, server };
        let side = |side| Tape::new(connection(side), Duration::ZERO, None);
        Talk(side(Side::Client), side(Side::Server))
    }

    fn client(&mut self, at: u32, event: Event<&[u8]>) -> &mut Talk {
        self.0.add(event, MICRO * at, MICRO);
        self
    }

    fn server(&mut self, at: u32, event: Event<&[u8]>) -> &mut Talk {
        self.1.add(event, MICRO * at, MICRO);
        self
    }

    fn both(&self) -> String {
        picture(&[self.0.clone(), self.1.clone()])
    }

    fn one(&self) -> String {
        picture(std::slice::from_ref(&self.0))
    }
}

/// A picture that is well formed, has no text below the least size, and has nothing outside the paper.
fn picture(tapes: &[Tape]) -> String {
    let both = [false, true].map(|is_dark| draw(tapes, 0, None, Lang::En, is_dark));
    for picture in &both {
        must_be_svg(picture);
    }
    let [light, dark] = both;
    assert_ne!(light, dark);
    light
}

fn must_be_svg(picture: &str) {
    for part in ["<svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\"", "<title>", "<desc>"] {
        assert!(picture.contains(part), "{part}: {picture}");
    }
    let mut open = Vec::new();
    for tag in picture.split('<').skip(1) {
        let (tag, text) = tag.split_once('>').unwrap();
        assert!(!text.contains('>'), "{text}");
        let name = tag.split(' ').next().unwrap();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None if tag.ends_with('/') => {}
            None => open.push(name),
        }
        let known = ["svg", "title", "desc", "rect", "text", "polyline", "polygon", "circle"];
        assert!(known.contains(&name.trim_start_matches('/')), "{name}");
    }
    assert!(open.is_empty(), "{open:?}");
    let values = |name: &str| -> Vec<f64> {
        let mark = format!(" {name}=\"");
        let parts = picture.split(mark.as_str()).skip(1);
        parts.map(|rest| rest.split('"').next().unwrap().parse().unwrap()).collect()
    };
    assert!(values("font-size").iter().all(|size| *size >= f64::min(14.0, SIZE)));
    let height = values("height")[0];
    assert!(values("x").iter().all(|x| (0.0..=1280.0).contains(x)));
    assert!(values("y").iter().all(|y| (0.0..=height).contains(y)));
    assert!(!picture.contains("NaN"), "{picture}");
}

/// The labels that are drawn, without the halo below them, and where.
fn labels(picture: &str) -> Vec<(String, f64, f64)> {
    let texts = picture.split("<text ").skip(1);
    let texts = texts.filter(|text| !text.split('>').next().unwrap().contains("stroke"));
    let value = |text: &str, name: &str| -> f64 {
        let rest = text.split(&format!("{name}=\"")).nth(1).unwrap();
        rest.split('"').next().unwrap().parse().unwrap()
    };
    let label = |text: &str| {
        let inner = text.split_once('>').unwrap().1.split("</text>").next().unwrap();
        (inner.to_owned(), value(text, "x"), value(text, "y"))
    };
    texts.map(label).collect()
}

#[track_caller]
fn height_of(picture: &str, label: &str) -> f64 {
    let all = labels(picture);
    let found = all.iter().find(|(text, ..)| text == label);
    found.unwrap_or_else(|| panic!("{label}: {all:#?}")).2
}

#[track_caller]
fn shows(picture: &str, expected: &[&str]) {
    for label in expected {
        height_of(picture, label);
    }
}

#[test]
fn a_band_beside_the_lifeline_has_the_states() {
    let row = |state, timer| Event::Kernel(Row { state, sent: 0, unread: 3, timer, timeouts: 0 });
    let mut talk = Talk::new("text");
    talk.client(1, row("ESTABLISHED", None)).server(2, row("LISTEN", None));
    talk.server(3, row("ESTABLISHED", Some("probe"))).client(10, Event::Wrote(b"ls\n"));
    talk.server(12, row("ESTABLISHED", None)).client(20, row("TIME_WAIT", None));
    talk.server(30, Event::Kernel(CLOSED));
    let picture = talk.both();
    shows(&picture, &["ESTABLISHED out 0 in 3", "LISTEN 3", "TIME_WAIT", "CLOSED"]);
    // A state that has not changed is not named again.
    shows(&picture, &["ESTABLISHED out 0 in 3 probe", "out 0 in 3"]);
    // The first band ends where the next one begins. What waits at a listener is no state of this socket, and a socket
    // that is closed has none.
    let bands: Vec<_> =
        picture.split("<rect ").filter(|rect| rect.contains("width=\"6.0\"")).collect();
    assert_eq!(bands.len(), 4, "{picture}");
    let top = height_of(&picture, "ESTABLISHED out 0 in 3");
    let height = height_of(&picture, "TIME_WAIT") - top;
    assert!(bands[0].contains(&format!("height=\"{height:.1}\"")), "{height}: {}", bands[0]);
    assert!(!Talk::new("text").both().contains("width=\"6.0\""));
}

/// The retransmission timer runs while anything is out. It is worth a colour when it has ended.
#[test]
fn a_band_is_red_when_an_answer_is_late() {
    let row = |timer, timeouts| {
        let row = Row { state: "ESTABLISHED", sent: 9, unread: 0, timer: Some(timer), timeouts };
        let mut talk = Talk::new("text");
        talk.server(1, Event::Kernel(row)).client(10, Event::Wrote(b"ls\n"));
        talk.both()
    };
    for (timer, timeouts, label, colour) in [
        ("retransmit", 0, "ESTABLISHED out 9 in 0", PAYLOAD),
        ("retransmit", 2, "ESTABLISHED out 9 in 0 timeouts 2", BROKEN),
        ("probe", 0, "ESTABLISHED out 9 in 0 probe", BROKEN),
    ] {
        let picture = row(timer, timeouts);
        shows(&picture, &[label]);
        let band = picture.split("<rect ").find(|rect| rect.contains("width=\"6.0\"")).unwrap();
        assert!(band.contains(colour[0]), "{timer} {timeouts}: {band}");
    }
}

#[test]
fn an_arrow_leads_from_a_write_to_each_read_of_its_bytes() {
    let mut talk = Talk::new("text");
    talk.client(10, Event::Wrote(b"upload a\n"))
        .server(50, Event::Read(b"upl"))
        .server(90, Event::Read(b"oad a\n"))
        .server(90, Event::Message(b"upload a", 9, Ending::Lf))
        .server(100, Event::Wrote(b"ok "))
        .server(110, Event::Wrote(b"ready\n"))
        .client(150, Event::Read(b"ok ready\n"))
        .client(150, Event::Message(b"ok ready", 9, Ending::Lf));
    let picture = talk.both();
    shows(&picture, &["upl (3)", "oad a\\n (6)", "ok  (3)", "ready\\n (6)"]);
    shows(&picture, &["command: 9 bytes, LF", "reply: 9 bytes, LF"]);
    // The arrows of one write begin together, and slant.
    let lines = picture.lines().filter(|line| line.contains("stroke=\"#0a58ca\""));
    let starts: Vec<_> = lines
        .filter_map(|line| line.strip_prefix("<polyline points=\"384.0,"))
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert!(starts.len() == 2 && starts[0] == starts[1], "{picture}");
    assert!(height_of(&picture, "0.050") < height_of(&picture, "0.090"));
    assert!(picture.contains("by one clock"), "{picture}");
    // The same, seen by the client alone: what it wrote is one level arrow.
    let picture = talk.one();
    shows(&picture, &["upload a\\n (9)", "ok ready\\n (9)", "reply: 9 bytes, LF"]);
    assert!(!picture.contains("command: "), "{picture}");
    assert!(!picture.contains("rotate"), "{picture}");
    assert!(picture.contains("the arrows are level"), "{picture}");
}

#[test]
fn a_header_and_a_payload_have_brackets_of_their_own() {
    let mut talk = Talk::new("text");
    talk.client(10, Event::Wrote(b"upload a\n"))
        .server(20, Event::Read(b"upload a\n"))
        .server(20, Event::Message(b"upload a", 9, Ending::Lf))
        .server(30, Event::Wrote(b"ok ready\n"))
        .client(40, Event::Read(b"ok ready\n"))
        .client(40, Event::Message(b"ok ready", 9, Ending::Lf));
    talk.client(50, Event::Wrote(b"5\nhel"))
        .client(60, Event::Wrote(b"lo"))
        .server(70, Event::Read(b"5\nhello"))
        .server(70, Event::Message(b"5", 2, Ending::Lf))
        .server(70, Event::Message(b"", 5, Ending::Size));
    shows(&talk.both(), &["header: 2 bytes, LF", "payload: 5 bytes, size"]);
}

#[test]
fn a_cut_a_reset_and_bytes_that_are_not_read_are_crossed() {
    let crosses = |picture: &str| picture.matches("stroke-width=\"4\"").count() / 2;
    let mut talk = Talk::new("text");
    talk.client(10, Event::Wrote(b"upl"));
    talk.0.cut = Some(3);
    talk.client(12, Event::Ended).server(30, Event::Read(b"upl")).server(40, Event::End);
    shows(&talk.both(), &["cut", "command: 3 bytes, incomplete"]);
    shows(&talk.one(), &["cut"]);
    assert_eq!((crosses(&talk.both()), crosses(&talk.one())), (1, 1));
    // A reset, and a write that came to nothing.
    let mut talk = Talk::new("text");
    talk.client(10, Event::Wrote(b"ls\n")).server(20, Event::Reset).client(30, Event::Reset);
    talk.client(40, Event::Reset);
    let picture = talk.both();
    shows(&picture, &["ls\\n (3) not read", "reset"]);
    assert_eq!(crosses(&picture), 3, "{picture}");
    // An end in its place has none.
    let mut talk = Talk::new("text");
    talk.client(10, Event::Ended).server(20, Event::End);
    talk.server(30, Event::Ended).client(40, Event::End);
    let picture = talk.both();
    assert_eq!(
        (crosses(&picture), labels(&picture).iter().filter(|it| it.0 == "end").count()),
        (0, 2)
    );
}

#[test]
fn a_long_pause_is_folded_and_told() {
    let mut talk = Talk::new("count");
    for n in 0..8 {
        talk.client(10 + n, Event::Wrote(b"a"));
    }
    talk.client(5_000_000, Event::Silence).client(5_000_001, Event::Wrote(b"b"));
    let picture = talk.one();
    shows(&picture, &["4999.983 ms skipped", "0.001 ms without a byte"]);
    assert!(height_of(&picture, "b (1)") - height_of(&picture, "a (1)") < 500.0);
}

#[test]
fn nothing_overlaps_and_nothing_leaves_the_paper() {
    let mut talk = Talk::new("filesaver");
    let long = "[2001:db8:1111:2222:3333:4444:5555:6666]:65535".parse().unwrap();
    (talk.0.connection.client, talk.0.connection.server) = (long, long);
    let bytes = vec![0xff; 70_000];
    talk.client(1, Event::Wrote(b"<a href=\"&\">'\x1b]]>"));
    for n in 0..900 {
        talk.client(10 + n * 7, Event::Read(&bytes));
        talk.client(10 + n * 7, Event::Message(b"x", 70, Ending::Width));
    }
    talk.client(u32::MAX, Event::Reset);
    let picture = talk.one();
    shows(&picture, &["&lt;a href=&quot;&amp;&quot;&gt;'\\x1b]]&gt; (17)", "reset"]);
    assert!(picture.contains("1501 more events"), "{picture}");
    assert!(picture.len() < 400_000, "{}", picture.len());
    let mut talk = Talk::new("text");
    talk.client(1, Event::Read(&bytes));
    for _ in 0..100 {
        talk.client(1, Event::Message(b"file", 7, Ending::Lf));
    }
    talk.client(2, Event::End);
    let picture = talk.one();
    shows(&picture, &["and 95 more messages"]);
    assert!(height_of(&picture, "cut") > height_of(&picture, "and 95 more messages"));
    // All labels of one column are a line apart.
    let mut column: Vec<_> = labels(&picture)
        .into_iter()
        .filter(|it| it.1 < 370.0 && it.1 > 300.0)
        .map(|it| it.2)
        .collect();
    column.sort_by(f64::total_cmp);
    assert!(column.windows(2).all(|pair| pair[1] - pair[0] >= 19.0), "{column:?}");
    // No tape, and connections that were left out.
    let none = draw(&[], 0, None, Lang::Id, true);
    must_be_svg(&none);
    assert!(none.contains("Tidak ada koneksi."), "{none}");
    let left_out = draw(std::slice::from_ref(&talk.0), 3, None, Lang::En, false);
    assert!(left_out.contains("3 more sides of connections"), "{left_out}");
}

/// A scene is drawn as a slide, whatever its height, with what happened in its time alone.
#[test]
fn a_scene_is_a_slide() {
    let mut talk = Talk::new("text");
    talk.client(10, Event::Wrote(b"ls\n")).server(20, Event::Read(b"ls\n"));
    for n in 0..3 {
        talk.server(20 + n, Event::Message(b"ls", 1, Ending::Lf));
    }
    for (lines, is_tall) in [(2, false), (60, true)] {
        for n in 0..lines {
            talk.server(100 + n, Event::Wrote(b"x")).client(200 + n * 50, Event::Read(b"x"));
        }
        let tapes = [talk.0.clone(), talk.1.clone()];
        let slide = draw(&tapes, 0, Some("connme <h>>\nls"), Lang::En, false);
        let view = slide.split("viewBox=\"").nth(1).unwrap().split('"').next().unwrap();
        let view: Vec<f64> = view.split(' ').map(|n| n.parse().unwrap()).collect();
        assert!((view[2] / view[3] - 16.0 / 9.0).abs() < 0.01 && view[3] >= 720.0, "{view:?}");
        assert_eq!((view[3] > 720.0, view[0] < 0.0), (is_tall, is_tall), "{view:?}");
        assert!(slide.contains(">connme &lt;h&gt;&gt; ls<"), "{slide}");
    }
}

/// Gives the calls of both sides times that depend on their order alone: bytes are read after they were
/// written, and the client goes first.
fn retime(tapes: &mut [Tape]) {
    let [client, server] = tapes else { panic!("{tapes:#?}") };
    assert_eq!((client.side(), server.side()), (Side::Client, Side::Server));
    let mut written = [0, 0];
    let mut ended = [false, false];
    let (mut places, mut micros) = ([0, 0], 0);
    while places != [client.arrows.len(), server.arrows.len()] {
        // A side may close without a word.
        let is_over = [places[0] == client.arrows.len(), places[1] == server.arrows.len()];
        let is_next = |side: usize, tape: &Tape| match tape.arrows.get(places[side]) {
            None => false,
            Some(call) if call.by == tape.side() => true,
            Some(call) if call.is_end() => ended[1 - side] || is_over[1 - side],
            Some(call) => call.to <= written[1 - side],
        };
        let side = usize::from(!is_next(0, client));
        assert!(side == 0 || is_next(1, server), "{client:#?} {server:#?}");
        let tape = if side == 0 { &mut *client } else { &mut *server };
        let own = tape.side();
        let call = &mut tape.arrows[places[side]];
        micros += 50;
        (call.start, call.end) = (MICRO * micros, MICRO * micros);
        if call.by == own {
            written[side] = call.to;
            ended[side] |= call.is_end();
        }
        places[side] += 1;
    }
    for tape in [client, server] {
        tape.began = Duration::ZERO;
        (tape.connection.client, tape.connection.server) =
            ("127.0.0.1:50000".parse().unwrap(), "127.0.0.1:1234".parse().unwrap());
    }
}

fn config(words: &[&str]) -> Config {
    match parse(words.iter().map(Into::into), Lang::En).unwrap() {
        Parsed::Run(line) => line.config,
        Parsed::Print(text) => panic!("{text}"),
    }
}

/// What both sides of a real session do, with times of our own.
fn session(flags: &[&str], talk: impl FnOnce(&mut Client, &Path)) -> String {
    let folder = TemporaryFolder::new().unwrap();
    let ladder = cli::Picture { file: Some(folder.0.join("ladder.svg")), is_dark: false };
    let recording = Picture::begin(&ladder, Lang::En).unwrap().unwrap();
    let picture = Some(recording.clone());
    let instruments = Instruments { picture, ..Instruments::default() };
    let root = folder.0.join("root");
    let server =
        LocalServer::prepared(&root, "", instruments.clone().prepare(Side::Server)).unwrap();
    let config = Config {
        port: server.port(Dialect::Text),
        downloads: folder.0.join("downloads"),
        ..config(flags)
    };
    let mut client = Client::new(config, instruments.prepare(Side::Client));
    client.connect_on_demand();
    talk(&mut client, &folder.0);
    client.close();
    drop(client);
    let (mut tapes, left_out) = recording.tapes();
    tapes.sort_by_key(|tape| tape.side() == Side::Server);
    retime(&mut tapes);
    draw(&tapes, left_out, None, Lang::En, false)
}

/// What rustdoc shows of the guide is one page. So a picture's label leads to the picture itself there: a
/// code host shows the file.
#[test]
fn the_pictures_are_in_the_page_for_rustdoc() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide");
    let read = |name: &str| fs::read_to_string(guide.join(name)).unwrap_or_default();
    let mut labels = String::new();
    for name in ["session.svg", "slices.svg", "comparison.svg"] {
        labels += &format!("[{name}]: <data:image/svg+xml,");
        for byte in read(name).replace("\r\n", "\n").bytes() {
            match byte {
                b'!' | b'\'' | b'('..=b';' | b'=' | b'A'..=b'Z' | b'_' | b'a'..=b'z' => {
                    labels.push(char::from(byte));
                }
                _ => labels += &format!("%{byte:02X}"),
            }
        }
        labels += ">\n";
    }
    if std::env::var_os("UPDATE_PICTURES").is_some() {
        fs::write(guide.join("pictures.txt"), &labels).unwrap();
    }
    assert!(
        read("pictures.txt").replace("\r\n", "\n") == labels,
        "set UPDATE_PICTURES=1 and test twice"
    );
    let page = read("lecture.md");
    for name in ["session.svg", "slices.svg", "comparison.svg"] {
        assert!(page.contains(&format!("][{name}]")), "{name}");
        assert!(page.contains(&format!("\n[{name}]: {name}\n")), "{name}");
    }
}

/// The pictures of the guide are what the code draws. With `UPDATE_PICTURES=1`, this writes them.
fn must_be_in_the_guide(name: &str, picture: &str) {
    must_be_svg(picture);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide").join(name);
    if std::env::var_os("UPDATE_PICTURES").is_some() {
        fs::write(&path, picture).unwrap();
    }
    let shown = fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    let differs = shown.lines().zip(picture.lines()).find(|(one, other)| one != other);
    assert!(shown == picture, "{name} is not what the code draws: {differs:#?}");
}

#[test]
fn the_guide_shows_a_session() {
    let picture = session(&[], |client, folder| {
        let file = folder.join("hello.txt");
        fs::write(&file, "halo, dunia\n").unwrap();
        client.connme().unwrap();
        client.upload(&file, None, &mut |_| {}).unwrap();
        client.list_files(None).unwrap();
    });
    must_be_in_the_guide("session.svg", &picture);
}

#[test]
fn the_guide_shows_a_framing_in_slices() {
    let picture = session(&["--buffer", "6"], |client, folder| {
        fs::write(folder.join("root/hello.txt"), "halo, dunia\nhalo, dunia\n").unwrap();
        client.download("hello.txt", None, &mut |_| {}).unwrap();
    });
    must_be_in_the_guide("slices.svg", &picture);
}

#[test]
fn the_guide_shows_the_comparison() {
    let folder = TemporaryFolder::new().unwrap();
    let file = folder.0.join("file");
    fs::write(&file, "x").unwrap();
    let server = LocalServer::prepared(&folder.0.join("root"), "", stream::plain()).unwrap();
    let mut rows: Vec<_> = compare(&config(&[]), Some(&server), &file)
        .unwrap()
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(rows.len(), 4);
    // Round trips are counted; these times were measured once, with a file of 10 MB.
    for (row, (time, waited)) in rows.iter_mut().zip([(11, 0), (30, 20), (58, 50), (60, 50)]) {
        (row.time, row.counts.waited) = (MICRO * time * 1000, MICRO * waited * 1000);
    }
    must_be_in_the_guide("comparison.svg", &bars(&rows, "10 MB", Lang::En, false));
    must_be_svg(&bars(&[], "<&>", Lang::Id, true));
}

#[test]
fn a_picture_that_cannot_be_written_is_known_before_the_session() {
    let folder = tempfile::tempdir().unwrap();
    let begin = |file: Option<&Path>| {
        Picture::begin(&cli::Picture { file: file.map(Into::into), is_dark: false }, Lang::En)
    };
    let failure = begin(Some(&folder.path().join("none/x.svg"))).err().unwrap();
    assert!(format!("{failure:?}").contains("x.svg"), "{failure:?}");
    let path = folder.path().join("x.svg");
    let picture = begin(Some(&path)).unwrap().unwrap();
    picture.write().unwrap();
    let drawn = fs::read_to_string(&path).unwrap();
    assert!(drawn.contains("No connection was made."), "{drawn}");
    assert!(begin(None).unwrap().is_none());
}
