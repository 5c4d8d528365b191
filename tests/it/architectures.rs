//! One server in five shapes: all speak alike, and only one of them is stopped by a slow client.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::{PATIENCE, lab};

const SHAPES: [&str; 5] = ["iterative", "threads", "pool", "two-threads", "nonblocking"];

/// A server of one shape over a folder of its own, killed when the test is done with it.
struct Server {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Server {
    fn start(shape: &str) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_connme-lab"))
            .args(["--lang", "en", "shape", shape, "0", "--root"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix(&format!("{shape} listening on ")).unwrap();
        Server { child, address: address.parse().unwrap(), folder }
    }

    fn connect(&self) -> Peer {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Peer(BufReader::new(stream))
    }

    /// What is answered to these bytes until the server closes.
    fn ask(&self, request: &[u8]) -> String {
        let mut peer = self.connect();
        peer.send(request);
        peer.rest()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Peer(BufReader<TcpStream>);

impl Peer {
    fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest
    }

    /// Sends no more.
    fn end(&self) {
        self.0.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
    }
}

const REQUESTS: &str = "connme\r\n\nupload a.txt\n6\nhello!upload a.txt\n0\nLS\nsize a.txt\n\
                        download a.txt\nrm a_1.txt\nsize a_1.txt\nupload ../x\ndownload .connme\n\
                        count a\nupload b\n2\nokls b\nbyebye\nrm a.txt\n";

const REPLIES: &str = "ok connected\nok ready\nok received 6 a.txt\nok ready\n\
    ok received 0 a_1.txt\nok 2\nfile 6 a.txt\nfile 0 a_1.txt\ntotal 6\n\
    ok 6 bytes (0.000006 MB)\nok 6\nhello!ok removed a_1.txt\nerror not-found no such file\n\
    error bad-name no part of a name may begin with a dot\n\
    error bad-name no part of a name may begin with a dot\n\
    error unknown-command there are connme, ls, size, rm, download, upload and byebye\n\
    ok ready\nok received 2 b\nerror not-found no such folder\nok byebye\n";

#[test]
fn each_shape_serves_a_conversation_whole_and_byte_by_byte() {
    for shape in SHAPES {
        let server = Server::start(shape);
        assert_eq!(server.ask(REQUESTS.as_bytes()), REPLIES, "{shape}");
        // What came after the goodbye is not run.
        assert_eq!(fs::read(server.folder.path().join("a.txt")).unwrap(), b"hello!", "{shape}");

        let server = Server::start(shape);
        let mut peer = server.connect();
        let (spoken, _) = REQUESTS.split_once("rm a.txt").unwrap();
        for byte in spoken.as_bytes() {
            peer.send(&[*byte]);
        }
        assert_eq!(peer.rest(), REPLIES, "{shape}");
    }
}

#[test]
fn each_shape_refuses_what_it_cannot_understand_and_runs_no_half_command() {
    for shape in SHAPES {
        let server = Server::start(shape);
        fs::write(server.folder.path().join("kept"), "kept").unwrap();
        let begins = |request: &[u8], expected: &str| {
            let mut peer = server.connect();
            peer.send(request);
            peer.end();
            let came = peer.rest();
            assert!(came.starts_with(expected) && came.lines().count() <= 2, "{shape}: {came}");
        };
        begins(b"rm kept", "error bad-request the line has no end");
        begins(&[b'x'; 4097], "error bad-request ");
        begins(&[b'x'; 100_000], "error bad-request the line is too long");
        begins(b"7\nrm kept\n", "error bad-request ");
        begins(b"GET / HTTP/1.1\nrm kept\n", "error bad-request ");
        begins(b"\x16\x03\x01\nrm kept\n", "error bad-request ");
        begins(b"upload a\nx\nrm kept\n", "ok ready\nerror bad-request a size is");
        begins(b"upload a\n9999999999999999999\nrm kept\n", "ok ready\nerror too-large ");
        begins(b"upload a\n8\nrm kept\n", "ok ready\nok received 8 a");
        begins(b"upload b\n9\nrm kept\n", "ok ready\n");
        let listed = "ok 2\nfile 8 a\nfile 4 kept\ntotal 12\nok byebye\n";
        assert_eq!(server.ask(b"ls\nbyebye\n"), listed, "{shape}");
    }
}

/// A client for which another may have to wait, and what it does when it goes on.
struct Holding {
    peer: Peer,
    go_on: fn(&mut Peer),
}

/// Sends half a command.
fn slow(server: &Server) -> Holding {
    let mut peer = server.connect();
    peer.send(b"connme\ncon");
    assert_eq!(peer.line(), "ok connected\n");
    let go_on = |peer: &mut Peer| {
        peer.send(b"nme\n");
        assert_eq!(peer.line(), "ok connected\n");
    };
    Holding { peer, go_on }
}

/// More than the buffers of any system take.
const LARGE: u64 = 32 << 20;

/// Reads no more of a large file than its size.
fn deaf(server: &Server) -> Holding {
    let file = File::create(server.folder.path().join("large")).unwrap();
    file.set_len(LARGE).unwrap();
    let mut peer = server.connect();
    peer.send(b"download large\n");
    assert_eq!(peer.line(), format!("ok {LARGE}\n"));
    let go_on = |peer: &mut Peer| {
        let came = std::io::copy(&mut (&mut peer.0).take(LARGE), &mut std::io::sink());
        assert_eq!(came.unwrap(), LARGE);
        peer.send(b"rm large\n");
        assert_eq!(peer.line(), "ok removed large\n");
    };
    Holding { peer, go_on }
}

#[test]
fn a_slow_or_deaf_client_stops_the_iterative_server_and_no_other() {
    for shape in SHAPES {
        for hold in [slow, deaf] {
            let server = Server::start(shape);
            let Holding { mut peer, go_on } = hold(&server);
            let mut others: Vec<_> = (0..8).map(|_| server.connect()).collect();
            for (n, other) in others.iter_mut().enumerate() {
                other.send(format!("upload {n}\n1\nxbyebye\n").as_bytes());
            }
            let served = |others: &mut Vec<Peer>| {
                for (n, other) in others.iter_mut().enumerate() {
                    let expected = format!("ok ready\nok received 1 {n}\nok byebye\n");
                    assert_eq!(other.rest(), expected, "{shape}");
                }
            };
            let is_held = shape == "iterative";
            if !is_held {
                served(&mut others);
            }
            go_on(&mut peer);
            peer.send(b"ls\n");
            let stored = if is_held { 0 } else { 8 };
            assert_eq!(peer.line(), format!("ok {stored}\n"), "{shape}");
            drop(peer);
            if is_held {
                served(&mut others);
            }
        }
    }
}

#[test]
fn a_pool_serves_as_many_clients_as_it_has_threads() {
    let server = Server::start("pool");
    let mut held: Vec<_> = (0..16).map(|_| slow(&server)).collect();
    let mut next = server.connect();
    next.send(b"upload a\n1\nxbyebye\n");
    for Holding { peer, go_on } in &mut held {
        go_on(peer);
        peer.send(b"ls\n");
        assert_eq!((peer.line(), peer.line()), ("ok 0\n".into(), "total 0\n".into()));
    }
    drop(held.pop());
    assert_eq!(next.rest(), "ok ready\nok received 1 a\nok byebye\n");
}

#[test]
fn the_bench_prints_a_table_and_bars_of_the_shape_that_is_named() {
    let mut bench = lab(&["--lang", "en", "bench", "pool", "--requests", "1"]);
    let output = bench.timeout(PATIENCE).output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{out}{}", String::from_utf8_lossy(&output.stderr));
    let (_, table) = out.split_once("\nshape ").unwrap();
    let (table, bars) = table.split_once("\ndownloads/s:\n").unwrap();
    let head: Vec<_> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["1", "16", "256", "1+", "16+", "256+"]);
    let mut rows = table.lines().skip_while(|line| !line.starts_with("pool"));
    for what in ["downloads/s", "ms"] {
        let (_, figures) = rows.next().unwrap().split_once(what).unwrap();
        let figures: Vec<f64> =
            figures.split_whitespace().map(|figure| figure.parse().unwrap()).collect();
        assert!(figures.len() == 6 && figures.iter().all(|figure| *figure > 0.0), "{table}");
    }
    assert_eq!(bars.lines().filter(|line| line.contains("pool  ")).count(), 6, "{bars}");
    assert!(bars.contains(&"#".repeat(40)), "{bars}");
    assert!(!out.contains("iterative") && !out.contains("threads"), "{out}");
}

#[test]
fn shapes_that_do_not_exist_are_wrong_use() {
    for wrong in [&["shape"][..], &["shape", "x"], &["shape", "pool", "x"], &["bench", "x"]] {
        let output = lab(wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(&SHAPES.join(", ")), "{said}");
    }
}

#[test]
fn both_pages_show_the_same_figures_of_all_shapes() {
    let figures = |page: &str| -> Vec<Vec<String>> {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide").join(page);
        let page = fs::read_to_string(page).unwrap().replace("\r\n", "\n");
        let block = page.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
        let is_figure = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
        let row = |line: &str| {
            line.split_whitespace().filter(is_figure).map(|word| word.replace(',', ".")).collect()
        };
        let named = |shape: &&str| block.contains(&format!("\n{shape} "));
        assert!(SHAPES.iter().all(named), "{block}");
        block.lines().map(row).collect()
    };
    let english = figures("architectures.md");
    assert!(english.len() == 11 && english.iter().all(|row| row.len() == 6), "{english:?}");
    assert_eq!(english, figures("arsitektur.md"));
}

/// Each is read in one go.
#[test]
fn each_shape_is_short() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lab/architectures");
    for shape in SHAPES {
        let file = format!("{}.rs", shape.replace('-', "_"));
        let code = fs::read_to_string(folder.join(file)).unwrap();
        let is_code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
        let lines = code.lines().filter(is_code).count();
        assert!(lines <= 120, "{shape} has {lines} lines");
    }
}
