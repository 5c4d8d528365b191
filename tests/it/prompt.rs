//! The prompt in a terminal, which `script` provides: Ctrl-C, and what the user is told there.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use crate::support::{PATIENCE, TestServer, skip};

/// The key.
const CTRL_C: &str = "\x03";

/// A terminal in which a shell runs this line.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: Arc<(Mutex<String>, Condvar)>,
    /// How much of the screen has been waited for.
    seen: usize,
}

impl Terminal {
    fn run(folder: &Path, line: &str) -> Option<Terminal> {
        let line = line.replace("connme-client", env!("CARGO_BIN_EXE_connme-client"));
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).current_dir(folder);
        command.env("LANG", "C").env_remove("LC_ALL").env("COLUMNS", "120");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let Ok(mut child) = command.spawn() else {
            skip("script");
            return None;
        };
        let (keys, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let screen = Arc::new((Mutex::new(String::new()), Condvar::new()));
        let drawn = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = output.read(&mut buffer) {
                drawn.0.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..n]));
                drawn.1.notify_all();
            }
        });
        Some(Terminal { child, keys, screen, seen: 0 })
    }

    fn press(&mut self, keys: &str) -> &mut Terminal {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self
    }

    /// Waits until one of these, divided by `|`, is on the screen, after what was waited for before. Returns what came up
    /// to it.
    #[track_caller]
    fn see(&mut self, text: &str) -> String {
        let mut screen = self.screen.0.lock().unwrap();
        let end = Instant::now() + PATIENCE;
        loop {
            let ends = text
                .split('|')
                .filter_map(|text| Some(screen[self.seen..].find(text)? + text.len()));
            if let Some(end) = ends.min() {
                let came = screen[self.seen..][..end].to_owned();
                self.seen += end;
                return came;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{text:?} is not in {:?}", &screen[self.seen..]);
            screen = self.screen.1.wait_timeout(screen, left).unwrap().0;
        }
    }

    /// Waits for the end.
    fn end(mut self) -> String {
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
        self.screen.0.lock().unwrap().clone()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

#[test]
fn ctrl_c_leaves_a_line_a_question_and_a_transfer_and_the_terminal_is_as_before() {
    // A download of 200 kB takes ten seconds.
    let server = TestServer::start(&["--stammer", "drip=20000"]);
    let here = tempfile::tempdir().unwrap();
    server.put("foo", "foo");
    server.put("big", vec![b'x'; 200_000]);
    fs::write(here.path().join("here"), vec![b'x'; 200_000]).unwrap();
    let address = server.address();
    let flags = "--buffer 1000 --stammer drip=20000";
    let line = format!("stty -a; connme-client --server {address} {flags}; stty -a; echo left");
    // Little is not kept. On a busy machine not each percent is shown.
    let half: Vec<_> = (45..95).map(|percent| format!("{percent}%")).collect();
    let half = half.join("|");
    // What is typed, what is waited for before the key, and what the client says of it.
    let table = [
        ("rm fo", "rm fo", ""),
        ("rm foo\n", "(Y/N): ", "foo stays where it is"),
        ("upload\n", "Path of the file to upload: ", ""),
        ("upload here\n", "5%", "here: interrupted, and nothing was stored"),
        ("download big\n", &half, " of 200 kB are kept: the next download of big continues there"),
        ("", "", "left"),
    ];
    for (typed, before, said) in table {
        let Some(mut terminal) = Terminal::run(here.path(), &line) else { return };
        terminal.see("(not connected)> ");
        terminal.press("connme\n").see(&format!("connme {address}> "));
        terminal.press(typed).see(before);
        terminal.press(CTRL_C).see(said);
        if said != "left" {
            terminal.see("> ");
            if said.contains("interrupted") || said.contains("kept") {
                terminal.press("size foo\n").see("connected again to");
            }
            terminal.press("size foo\n").see("foo: 3 bytes");
            terminal.press("exit\n").see("left");
        }
        let all = terminal.end();
        let settings: Vec<_> = all.lines().filter(|line| line.contains("intr = ")).collect();
        assert!(settings.len() == 2 && settings[0] == settings[1], "{settings:?}");
    }
    assert_eq!(server.names(), ["big", "foo"]);
}

#[test]
fn a_second_ctrl_c_ends_a_client_whose_server_is_silent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let here = tempfile::tempdir().unwrap();
    let line = format!("connme-client --server {address}; echo status $?; stty -a");
    let Some(mut terminal) = Terminal::run(here.path(), &line) else { return };
    terminal.press("connme\n").see("connme\r\n");
    let (_silent, _) = listener.accept().unwrap();
    terminal.press(CTRL_C).see("cannot connect: interrupted");
    terminal.see("(not connected)> ");
    terminal.press("half").see("half");
    // Both at once: one that comes when the settings are as before would end the shell.
    terminal.press(&CTRL_C.repeat(2)).see("status ");
    terminal.see("intr = ^C;");
    terminal.end();
}

/// What had come before stays, and is told, and nothing is said to be stored that was only asked for.
#[test]
fn ctrl_c_says_what_is_kept_if_the_server_is_silent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            std::thread::spawn(move || {
                while let Some(Ok(line)) = lines.next() {
                    let half = || ["ok 200000\n", &"x".repeat(100_000)].concat();
                    let reply = match line.as_str() {
                        "connme" => "ok connected\n".to_owned(),
                        "download big" => half(),
                        line if line.starts_with("size") => "error not-found no\n".to_owned(),
                        _ => String::new(),
                    };
                    let _ = stream.write_all(reply.as_bytes());
                }
            });
        }
    });
    let here = tempfile::tempdir().unwrap();
    let line = format!("connme-client --in-step --server {address}; echo left");
    let Some(mut terminal) = Terminal::run(here.path(), &line) else { return };
    terminal.press("connme\n").see("connected");
    let kept = "are kept: the next download of big continues there";
    terminal.press("download big\n").see("still waiting");
    terminal.press(CTRL_C).see(&format!("100 kB of 200 kB {kept}"));
    // The server is asked for the rest.
    terminal.press("download big\n").see("still waiting");
    terminal.press(CTRL_C).see(&format!("100 kB {kept}"));
    terminal.press("download 'a' 'b'\n").see("still waiting");
    terminal.press(CTRL_C).see("a: interrupted, and nothing was stored");
    terminal.see("not tried, for the same reason: 1");
    terminal.press("exit\n").see("left");
    terminal.end();
}

/// Word for word what the assignment's programs say, where they ask and where they list.
#[test]
fn in_indonesian_the_prompt_has_the_words_of_the_assignment() {
    let server = TestServer::start(&[]);
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("a.txt"), "hello").unwrap();
    let address = server.address();
    let choose = "Pilih perintah (upload/ls/download/rm/size/connme/byebye): ";
    let line = format!("connme-client --server {address} --lang id; echo left");
    let Some(mut terminal) = Terminal::run(here.path(), &line) else { return };
    terminal.see(&format!("[belum terhubung] {choose}"));
    terminal.press("connme\n").see(&format!("[{address}] {choose}"));
    for (typed, said) in [
        ("upload\n", "Masukkan path file yang ingin diunggah: "),
        ("a.txt\n", "File a.txt berhasil diunggah dalam 0,"),
        ("ls\n", "Daftar file (1):"),
        ("", "Total ukuran direktori: 5 bytes"),
        ("size\n", "Masukkan nama file yang ingin diketahui ukurannya: "),
        ("a.txt\n", "Ukuran file a.txt: 5 bytes"),
        ("download\n", "Masukkan nama file yang ingin diunduh: "),
        ("a.txt\n", "File a.txt berhasil diunduh ke downloads"),
        ("rm\n", "Masukkan nama file yang ingin dihapus: "),
        ("a.txt\n", "Apakah Anda yakin ingin menghapus a.txt? (Y/N): "),
        ("N\n", "Penghapusan file a.txt dibatalkan"),
        ("byebye\n", "Menutup koneksi"),
        ("exit\n", "left"),
    ] {
        terminal.press(typed).see(said);
    }
    terminal.end();
}
