//! What a lecture shows: the trace, the bad network, the comparison and the lessons, as the pages have them.

use std::fs;
use std::path::Path;
#[cfg(unix)]
use std::process::Command;

use connme::lab::lecture::lessons::blanked;

use crate::support::{DIALECTS, PATIENCE, TestServer, client, lab, noise};

fn page(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The lessons run themselves, as a reader sees them, and compare what comes out with their pages.
#[test]
fn every_lesson_shows_the_real_output() {
    for (lang, said) in
        [("en", "lessons: each printed what"), ("id", "pelajaran: semuanya mencetak")]
    {
        let mut client = lab(&["--lang", lang, "lesson", "--all"]);
        let output = client.timeout(PATIENCE * 4).output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{out}{}", String::from_utf8_lossy(&output.stderr));
        assert!(out.lines().last().unwrap().contains(said), "{out}");
        // A slide has 80 columns. Only commands, and what they print, may be longer.
        let is_text = |line: &&str| line.starts_with("Predict.") || line.starts_with("Prediksi.");
        assert!(out.lines().filter(is_text).all(|line| line.chars().count() <= 80));
    }
    let mut one = lab(&["lesson", "3"]);
    let out = String::from_utf8(one.output().unwrap().stdout).unwrap();
    assert!(out.contains("\n2 characters\n") && !out.contains("\n4. "), "{out}");
    let mut last = lab(&["lesson", "--all", "27"]);
    let out = String::from_utf8(last.output().unwrap().stdout).unwrap();
    assert!(out.starts_with("27. ") && out.contains("\n1 lesson: each printed"), "{out}");
    for wrong in [&["lesson", "28"][..], &["lesson", "--all", "0"], &["lesson", "--all", "x"]] {
        let wrong = lab(wrong).output().unwrap();
        assert_eq!(wrong.status.code(), Some(2));
        let said = String::from_utf8_lossy(&wrong.stderr);
        assert!(said.contains("the lessons have the numbers 1 to 27"), "{said}");
    }
}

/// At a terminal, which `script` makes, a reader goes on, back, and to any lesson, and can leave before the first
/// command. What was typed before the terminal gives single keys counts too.
#[cfg(target_os = "linux")]
#[test]
fn a_reader_goes_through_the_lessons_with_keys() {
    use std::io::Write;
    use std::process::Stdio;
    let at_terminal = |what: &str, keys: &str| {
        let line = format!("'{}' --lang en {what}", env!("CARGO_BIN_EXE_connme-lab"));
        let mut terminal = Command::new("script");
        terminal.args(["-qec", &line, "/dev/null"]).env_remove("COLUMNS");
        let terminal = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let Ok(mut terminal) = terminal else {
            crate::support::skip("script");
            return None;
        };
        terminal.stdin.take().unwrap().write_all(keys.as_bytes()).unwrap();
        let output = terminal.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}");
        Some(said)
    };
    for keys in ["q", "\x04", " q"] {
        let Some(said) = at_terminal("lesson 6", keys) else { return };
        assert!(said.contains("Enter, Space or Page Down"), "{said}");
        assert_eq!(said.contains("6. Half a command"), keys == " q", "{said}");
        assert!(!said.contains("error bad-request"), "nothing has run: {said}");
        assert!(said.contains("lessons seen: 0; not yet: 1-27"), "{said}");
    }
    // The first page, the question, the answer, back, again, the explanation, the next lesson, back, the last one.
    let said = at_terminal("lesson 5", "\n\nb\n\n\nb20\n99\nq").unwrap();
    let order = [
        "5. A payload that looks like commands",
        "step 1 of 3",
        "file 12 notes.txt",
        "step 1 of 3",
        "file 12 notes.txt",
        "Explain.",
        "6. Half a command",
        "5. A payload that looks like commands",
        "20. Two writes",
        "lessons seen: 1; not yet: 1-4, 6-27",
    ];
    let mut rest = said.as_str();
    for part in order {
        rest = rest.split_once(part).unwrap_or_else(|| panic!("{part}: {said}")).1;
    }
    // The demo waits too, and shows the next command before it runs.
    let said = at_terminal("demo --step", "\n q").unwrap();
    assert!(said.contains("hello.txt uploaded: 12 bytes"), "{said}");
    assert!(said.contains("> ls") && !said.contains("total 12"), "{said}");
}

/// What the lessons do before `make install`, with the programs of this test instead of the release build.
#[cfg(unix)]
#[test]
fn the_lessons_work_before_the_programs_are_installed() {
    let folder = tempfile::tempdir().unwrap();
    let release = folder.path().join("target/release");
    fs::create_dir_all(&release).unwrap();
    let program = env!("CARGO_BIN_EXE_connme-client");
    std::os::unix::fs::symlink(program, release.join("connme-client")).unwrap();
    for page_name in [
        "src/lab/lecture/lessons/english.md",
        "src/lab/lecture/lessons/indonesian.md",
        "src/guide/programs.md",
    ] {
        let text = page(page_name);
        let (_, rest) = text.split_once("\ncargo build --release\n").unwrap();
        let export = rest.lines().next().unwrap();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &format!("{export}\ncd /; connme-client --version")]);
        let output = shell.env("PATH", "/nowhere").current_dir(&folder).output().unwrap();
        assert!(output.stdout.starts_with(b"connme-client "), "{page_name}: {export}");
    }
}

/// The table in the guide, one test for each cell: what becomes of a file that is sent with each fault.
#[test]
fn the_table_of_faults_is_true() {
    let guide = page("src/guide/lecture.md");
    let rows: Vec<Vec<&str>> = guide
        .split("| fault |")
        .nth(1)
        .unwrap()
        .lines()
        .take_while(|line| line.starts_with('|') || line.ends_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let (heads, rows) = (&rows[0], &rows[2..]);
    assert_eq!(heads.len(), DIALECTS.len(), "{heads:?}");
    assert!(rows.len() >= 7, "{rows:?}");
    let server = TestServer::start(&[]);
    let mut cells = 0;
    for row in rows {
        let faults = row[0].trim_matches('`');
        for (dialect, outcome) in heads.iter().zip(&row[1..]) {
            let folder = tempfile::tempdir().unwrap();
            let bytes = noise(1, 300);
            fs::write(folder.path().join("sent.bin"), &bytes).unwrap();
            let job: &[&str] = if *dialect == "count" {
                &["count", "halo, dunia"]
            } else {
                &["upload", "sent.bin"]
            };
            let mut client = client(job);
            client.args(["--dialect", dialect, "--stammer", faults]).current_dir(&folder);
            client.args(["--server", &server.address_of(dialect).to_string()]);
            let output = client.output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let whole = match *dialect {
                "count" => said == "11 characters\n",
                _ => server.has("sent.bin") && server.get("sent.bin") == bytes,
            };
            let got = match (whole, output.status.success(), server.names().is_empty()) {
                (true, true, _) => "whole",
                (false, false, true) => "nothing",
                other => panic!(
                    "{dialect} {faults}: {other:?} {said} {}",
                    String::from_utf8_lossy(&output.stderr)
                ),
            };
            assert_eq!(got, *outcome, "{dialect} under {faults}");
            let _ = fs::remove_file(server.root().join("sent.bin"));
            cells += 1;
        }
    }
    assert!(cells >= 35, "{cells}");
    // The server may have faults too.
    for faults in ["slice=1", "coalesce=40", "delay=5", "slice=3,delay=2,seed=7"] {
        let server = TestServer::start(&["--stammer", faults]);
        for dialect in ["text", "struct", "filesaver", "json"] {
            let folder = tempfile::tempdir().unwrap();
            server.put("f", noise(2, 200));
            let mut client = client(&["--dialect", dialect, "download", "f"]);
            client.args(["--server", &server.address_of(dialect).to_string()]).current_dir(&folder);
            client.assert().success();
            assert_eq!(
                fs::read(folder.path().join("downloads/f")).unwrap(),
                noise(2, 200),
                "{dialect} {faults}"
            );
        }
    }
}

#[test]
fn a_trace_is_as_it_was_recorded() {
    let golden = page("tests/golden/trace.txt");
    let server = TestServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "hello\nrm a.txt\n").unwrap();
    let mut client = server.client(folder.path(), &["--trace", "--yes"]);
    let lines =
        "connme\nupload a.txt\nls\nsize a.txt\ndownload a.txt\nrm a.txt\nsize a.txt\nbyebye\n";
    let output = client.write_stdin(lines).output().unwrap();
    let trace = String::from_utf8(output.stderr).unwrap();
    let trace: Vec<_> = trace.lines().filter(|line| line.starts_with('#')).collect();
    assert!(trace.iter().all(|line| line.chars().count() == 80), "{trace:#?}");
    let trace: Vec<_> = trace.into_iter().map(blanked).collect();
    assert_eq!(trace, golden.lines().collect::<Vec<_>>(), "{trace:#?}");
}

/// Cut into single bytes, the same messages come out on the other side.
#[test]
fn slices_change_the_reads_and_not_the_messages() {
    let messages = |faults: &[&str]| {
        let server = TestServer::start(&["--trace"]);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.txt"), "hello").unwrap();
        let mut client = server.client(folder.path(), &[&["--trace"][..], faults].concat());
        let output = client.write_stdin("connme\nupload a.txt\nls\nbyebye\n").output().unwrap();
        let own = String::from_utf8(output.stderr).unwrap();
        server.wait_for_log("<- [end] --");
        server.wait_for_log(" close\n");
        let log = server.log();
        let said = |line: &&str| line.contains("= ");
        let messages: Vec<_> =
            log.lines().filter(said).filter(|l| l.starts_with('#')).map(blanked).collect();
        let writes = own
            .lines()
            .filter(|line| line.contains(" w |-- "))
            .map(str::to_owned)
            .collect::<Vec<_>>();
        (messages, writes)
    };
    let (plain, few) = messages(&[]);
    let (sliced, many) = messages(&["--stammer", "slice=1"]);
    assert!(plain.len() >= 5 && plain == sliced, "{plain:#?} {sliced:#?}");
    assert_eq!(few.len(), 6, "{few:#?}");
    let single = many.iter().filter(|line| line.contains("|-- 1 -> ")).count();
    assert_eq!(single + 1, many.len(), "all but the end are single bytes: {many:#?}");
    assert_eq!(single, "connme\nupload a.txt\n5\nhellols\nbyebye\n".len());
}

#[test]
fn each_rung_has_the_number_of_its_connection() {
    let server = TestServer::start(&["--trace"]);
    let (mut one, mut other) = (server.peer(), server.peer());
    one.say("connme\n").hear("ok connected\n");
    other.say("ls\n").hear("ok 0\ntotal 0\n");
    one.say("size x\n").refused("not-found");
    drop((one, other));
    server.wait_for_log("#2 ");
    server.wait_for_log("= size x (7, LF)");
    let log = server.log();
    let whose = |what: &str| log.lines().find(|line| line.contains(what)).unwrap()[..2].to_owned();
    assert_eq!(whose("= connme"), whose("= size x"));
    assert_ne!(whose("= connme"), whose("= ls"));
}

/// Both programs say what the kernel says of their own end, and the client what is left after its close.
#[cfg(target_os = "linux")]
#[test]
fn the_kernels_view_is_beside_each_call() {
    let server = TestServer::start(&["--trace", "--kernel"]);
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("a.svg");
    let flags = ["--trace", "--kernel", "--ladder", picture.to_str().unwrap(), "ls"];
    let output = server.client(folder.path(), &flags).output().unwrap();
    let trace = String::from_utf8(output.stderr).unwrap();
    let said = |text: &str| -> Vec<String> {
        let rows = text.lines().filter_map(|line| line.split_once(" k |"));
        rows.map(|(_, row)| row.trim_end_matches('|').trim().to_owned()).collect()
    };
    let rows = said(&trace);
    assert_eq!(rows.first().map(String::as_str), Some("ESTABLISHED out 0 in 0"), "{trace}");
    assert_eq!(rows.last().map(String::as_str), Some("TIME_WAIT"), "{trace}");
    assert!(fs::read_to_string(&picture).unwrap().contains(">TIME_WAIT<"));
    server.wait_for_log(" close\n");
    let rows = said(&server.log());
    assert!(rows.contains(&"CLOSE_WAIT out 0 in 0".to_owned()), "{}", server.log());
    let output = client(&["--kernel", "ls"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("--kernel is for --trace"), "{said}");
}

/// Without the programs that an experiment needs, a lesson shows what is on its page, and says that it is recorded.
#[test]
fn what_cannot_be_tried_here_is_recorded() {
    let without = |words: &[&str]| lab(words).env("PATH", "/nowhere").output().unwrap();
    let output = without(&["lesson", "26"]);
    let said = String::from_utf8(output.stdout).unwrap();
    let (_, after) = said.split_once("Recorded on Linux, because it cannot run here:").unwrap();
    assert!(output.status.success() && after.contains("client read: ETIMEDOUT"), "{said}");
    // The sentence does not make a step too high.
    let output = without(&["--lang", "id", "lesson", "--all", "26"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = without(&["tcp", "vanished"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("this needs Linux"), "{said}");
    let output = without(&["tcp", "vanish"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("tcp takes one of these"), "{said}");
}

/// The dialects that `compare` compares.
#[cfg(target_os = "linux")]
const CARRY_FILES: [&str; 4] = ["text", "struct", "filesaver", "json"];

/// The figures of `compare` against a count of our own: a proxy between the client and the server.
/// Every address that begins with 127 is this machine's, on Linux: one of our own has all ports free.
#[cfg(target_os = "linux")]
#[test]
fn compare_counts_what_a_proxy_counts() {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    let server = TestServer::start(&[]);
    let id = std::process::id();
    let host = format!("127.{}.{}.{}", 100 + id % 100, 1 + id / 100 % 250, 1 + id / 25_000 % 250);
    let counts: Vec<_> = CARRY_FILES
        .iter()
        .zip([1234, 1235, 5050, 31000])
        .map(|(dialect, port)| {
            let listener = TcpListener::bind((host.as_str(), port)).unwrap();
            let target = server.address_of(dialect);
            let counts = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
            let told = Arc::clone(&counts);
            std::thread::spawn(move || {
                for client in listener.incoming() {
                    let client = client.unwrap();
                    let server = TcpStream::connect(target).unwrap();
                    told.0.fetch_add(1, Ordering::SeqCst);
                    for (mut from, mut to) in [
                        (client.try_clone().unwrap(), server.try_clone().unwrap()),
                        (server, client),
                    ] {
                        to.set_nodelay(true).unwrap();
                        let told = Arc::clone(&told);
                        std::thread::spawn(move || {
                            let mut piece = [0; 65_536];
                            while let Ok(n @ 1..) = from.read(&mut piece) {
                                told.1.fetch_add(n as u64, Ordering::SeqCst);
                                if to.write_all(&piece[..n]).is_err() {
                                    break;
                                }
                            }
                            let _ = to.shutdown(Shutdown::Write);
                        });
                    }
                }
            });
            counts
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("f.bin"), noise(3, 50_000)).unwrap();
    let mut client = lab(&["--server", &host, "compare", "f.bin", "--json"]);
    let output = client.current_dir(&folder).assert().success().get_output().clone();
    let json = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<_> = json.split('{').skip(1).collect();
    assert_eq!(rows.len(), 4, "{json}");
    const NAME: u64 = "compare-0000000000-1".len() as u64;
    let figure = |row: &str, name: &str| -> u64 {
        let rest = row.split(&format!("\"{name}\":")).nth(1).unwrap();
        rest.split([',', '}']).next().unwrap().parse().unwrap()
    };
    for ((row, dialect), counts) in rows.iter().zip(&CARRY_FILES).zip(counts) {
        assert!(row.starts_with(&format!("\"dialect\":\"{dialect}\"")), "{row}");
        // The files are removed over text, and not counted: a connection and its bytes.
        let (uncounted, removal) = match *dialect {
            "text" => {
                (1, 4 * "rm compare-0000000000-1\nok removed compare-0000000000-1\n".len() as u64)
            }
            _ => (0, 0),
        };
        let payload = figure(row, "payload_bytes");
        assert_eq!(payload, 100_000, "{row}");
        // What one counts by hand for a name of this length, and the goodbye that `struct` needs.
        let expected = match *dialect {
            "text" => 49 + 12 + 3 * NAME,
            "struct" => 53 + 6 + 2 * NAME,
            "filesaver" => 44 + 8 + 4 * NAME,
            _ => figure(row, "framing_bytes"),
        };
        assert_eq!(figure(row, "framing_bytes"), expected, "{row}");
        let all = payload + figure(row, "framing_bytes");
        assert_eq!(all + removal, counts.1.load(Ordering::SeqCst), "{dialect} bytes");
        let connections = figure(row, "connections") + uncounted;
        assert_eq!(connections, counts.0.load(Ordering::SeqCst), "{dialect}");
        assert!(
            figure(row, "reads") > 0 && figure(row, "writes") > 0 && figure(row, "round_trips") > 0
        );
    }
    assert_eq!(crate::support::visible(folder.path()), ["f.bin"]);
    assert_eq!(server.names(), [""; 0], "nothing is left on the server");
}

/// The labels in a picture.
fn drawn(path: &Path) -> String {
    let picture = fs::read_to_string(path).unwrap();
    assert!(picture.starts_with("<svg xmlns=") && picture.ends_with("</svg>\n"), "{picture}");
    picture
}

#[test]
fn pictures_are_drawn_of_both_sides_of_one_and_of_the_comparison() {
    let folder = tempfile::tempdir().unwrap();
    let all = ["demo", "-q", "--ladder", "a.svg", "--svg", "b.svg", "--theme", "dark"];
    lab(&all).current_dir(&folder).assert().success();
    let run = |args: &[&str]| client(args).current_dir(&folder).assert();
    let ladder = drawn(&folder.path().join("a.svg"));
    for part in
        ["connme\\n (7)", "command: 17 bytes, LF", "payload: 12 bytes, size", "by one clock"]
    {
        assert!(ladder.contains(part), "{part}: {ladder}");
    }
    assert!(
        ladder.contains(" rotate(") || ladder.contains("\"rotate("),
        "an arrow slants: {ladder}"
    );
    assert_eq!(ladder.matches(">end<").count(), 4, "two ends, each with its halo: {ladder}");
    // A slide for each command has that command alone.
    let slides = ["1-connme", "2-upload", "3-ls", "4-size", "5-download", "6-rm", "7-byebye"];
    let slides = slides.map(|slide| drawn(&folder.path().join(format!("a-{slide}.svg"))));
    for (n, slide) in slides.iter().enumerate() {
        assert_eq!(slide.contains("upload hello.txt\\n"), n == 1, "{n}: {slide}");
        assert_eq!(slide.contains("payload: 12 bytes"), n == 1 || n == 4, "{n}: {slide}");
        assert_eq!(slide.matches(">end<").count(), if n == 6 { 4 } else { 0 }, "{n}: {slide}");
    }
    let bars = drawn(&folder.path().join("b.svg"));
    assert!(bars.contains(">filesaver<") && bars.contains(">Round trips<"), "{bars}");
    // One side: the client, with what went wrong. A name is not markup.
    let server = TestServer::start(&[]);
    let name = if cfg!(unix) { "a<b>&.txt" } else { "a&b.txt" };
    fs::write(folder.path().join(name), noise(4, 100_000)).unwrap();
    let address = server.address().to_string();
    let upload = ["upload", name, "--server", &address, "--ladder", "c.svg", "--trace"];
    run(&upload).success();
    let ladder = drawn(&folder.path().join("c.svg"));
    let expected = format!("upload {name}\\n (").replace('&', "&amp;").replace('<', "&lt;");
    assert!(ladder.contains(&expected.replace('>', "&gt;")), "{ladder}");
    for part in ["reply: 9 bytes, LF", "the arrows are level"] {
        assert!(ladder.contains(part), "{part}: {ladder}");
    }
    let cut = [&upload[..], &["--stammer", "cut=70000", "--lang", "id"]].concat();
    run(&cut).failure();
    let ladder = drawn(&folder.path().join("c.svg"));
    assert!(ladder.contains(">terputus<"), "{ladder}");
}

#[test]
fn a_picture_that_cannot_be_written_is_reported_with_path_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("f"), "x").unwrap();
    let reason = if cfg!(windows) { "os error 3" } else { "os error 2" };
    for args in [
        ["--ladder", "none/a.svg", "ls", ""],
        ["--ladder", "none/a.svg", "demo", ""],
        ["--svg", "none/a.svg", "compare", "f"],
    ] {
        let program = if args.contains(&"ls") { client } else { lab };
        let args: Vec<_> = args.into_iter().filter(|arg| !arg.is_empty()).collect();
        let client = program(&args).current_dir(&folder).assert().code(1);
        let said = String::from_utf8_lossy(&client.get_output().stderr).into_owned();
        let path = if cfg!(windows) { "none" } else { "cannot create none/a.svg: " };
        assert!(said.contains(path) && said.contains(reason), "{args:?}: {said}");
        assert!(client.get_output().stdout.is_empty(), "nothing else was done");
    }
}

#[test]
fn a_demo_shows_the_ladder_and_the_table_and_cleans_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut client = lab(&["demo"]);
    client.current_dir(&folder).env("TMPDIR", folder.path());
    let output = client.assert().success().get_output().clone();
    let (out, err) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    for part in [
        "connected to 127.0.0.1:",
        "hello.txt uploaded: 12 bytes",
        "w: one write, r: one read",
        "> upload hello.txt\n",
        "\nThe same job in each dialect: ",
        "dialect ",
        "\ntext ",
        "\njson ",
        "\n  filesaver: ls size rm\n",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert!(err.contains("-> connme\\n") && err.contains("= ok connected (13, LF)"), "{err}");
    // The clock begins again with each command, so the times do not only grow.
    let time = |line: &str| line.get(4..14).and_then(|time| time.trim().parse::<f64>().ok());
    let times: Vec<_> = err.lines().filter_map(time).collect();
    assert!(times.len() > 20 && times.windows(2).any(|pair| pair[1] < pair[0]), "{times:?}");
    let slide = |line: &&str| {
        ["#", "hello.txt"].iter().any(|it| line.starts_with(it)) || line.contains(" ms ")
    };
    let kept = format!("hello.txt downloaded to downloads{}hello.txt: ", std::path::MAIN_SEPARATOR);
    assert!(out.contains(&kept), "{out}");
    assert!(out.lines().chain(err.lines()).filter(slide).all(|line| line.chars().count() <= 80));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    // The file of the user's choice.
    fs::write(folder.path().join("f"), "x").unwrap();
    lab(&["compare", "f"]).current_dir(&folder).assert().success();
    lab(&["compare", "nope"]).current_dir(&folder).assert().code(1);
    for (path, why) in [(".", "it is a folder"), ("/dev/null", "it is not a plain file")] {
        if cfg!(unix) {
            let mut client = lab(&["compare", path]);
            let refused = format!("connme-lab: cannot open {path}: {why}\n");
            client.current_dir(&folder).assert().code(1).stderr(refused);
        }
    }
    assert_eq!(crate::support::visible(folder.path()), ["f"]);
}

/// A bare container has nothing but what was put into it. The folder of this one takes the place of the system's.
#[test]
fn a_demo_needs_no_temporary_folder() {
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().join("none");
    let mut lab = lab(&["demo", "--quiet"]);
    for variable in ["TMPDIR", "TMP", "TEMP"] {
        lab.env(variable, &none);
    }
    lab.current_dir(&folder).assert().success();
    assert!(crate::support::visible(folder.path()).is_empty());
}
