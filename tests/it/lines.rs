//! Bad lines: transfers that are cut, and many files over one connection.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::sessions::{Relay, pass};
use crate::support::{TestServer, client, visible};

impl Relay {
    fn client(&self, folder: &Path, args: &[&str]) -> assert_cmd::Command {
        let mut command = client(args);
        command.current_dir(folder).args(["--server", &self.address.to_string()]);
        command
    }
}

/// What the client prints, on standard output and standard error.
fn texts(command: &mut assert_cmd::Command, status: i32) -> (String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "{out}{err}");
    (out, err)
}

fn bytes(n: usize, seed: u8) -> Vec<u8> {
    (0..n).map(|i| u8::try_from((i * 31 + i / 251) % 256).unwrap() ^ seed).collect()
}

const SIZE: usize = 300_000;

#[test]
fn a_file_that_changed_after_the_cut_is_right_in_the_end() {
    let server = TestServer::start(&[]);
    type Change = fn(&Path);
    let changes: [(&str, Change); 4] = [
        ("replaced", |path| fs::write(path, bytes(SIZE, 2)).unwrap()),
        ("shortened", |path| fs::write(path, bytes(SIZE / 2, 1)).unwrap()),
        ("longer", |path| fs::write(path, bytes(SIZE * 2, 1)).unwrap()),
        ("short", |path| fs::write(path, "new").unwrap()),
    ];
    for (name, change) in changes {
        let here = tempfile::tempdir().unwrap();
        server.put(name, bytes(SIZE, 1));
        let relay = Relay::to(server.address(), [200_000]);
        let download = |status| {
            texts(&mut relay.client(here.path(), &["--retry", "0", "download", name]), status)
        };
        download(1);
        change(&server.root().join(name));
        download(0);
        let came = fs::read(here.path().join("downloads").join(name)).unwrap();
        assert!(came == server.get(name), "{name}: {} bytes", came.len());
    }
    #[cfg(unix)]
    {
        let here = tempfile::tempdir().unwrap();
        server.put("linked", bytes(SIZE, 1));
        let relay = Relay::to(server.address(), [200_000]);
        let mut download = relay.client(here.path(), &["--retry", "0", "download", "linked"]);
        texts(&mut download, 1);
        fs::remove_file(server.root().join("linked")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", server.root().join("linked")).unwrap();
        let (_, err) = texts(&mut download, 1);
        assert!(err.contains("bad-name") && visible(&here.path().join("downloads")).is_empty());
    }
}

#[test]
fn two_downloads_of_one_file_at_once_are_both_whole() {
    let (server, here) = (TestServer::start(&[]), tempfile::tempdir().unwrap());
    server.put("big", bytes(SIZE, 1));
    let relay = Relay::to(server.address(), [200_000]);
    texts(&mut relay.client(here.path(), &["--retry", "0", "download", "big"]), 1);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| texts(&mut server.client(here.path(), &["download", "big"]), 0));
        }
    });
    let downloads = here.path().join("downloads");
    assert_eq!(visible(&downloads), ["big", "big_1", "big_2", "big_3"]);
    for name in visible(&downloads) {
        assert!(fs::read(downloads.join(&name)).unwrap() == bytes(SIZE, 1), "{name}");
    }
}

/// A server that takes one line at a time and answers with what `answer` makes of it.
fn scripted(answer: fn(&str) -> Vec<u8>) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&heard);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (mut reader, mut stream) = (BufReader::new(stream.try_clone().unwrap()), stream);
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|n| n > 0) {
                // What came together with a line was sent ahead of its reply.
                let more = if reader.buffer().is_empty() { "" } else { " and more" };
                lines.lock().unwrap().push(format!("{}{more}", line.trim_end()));
                if stream.write_all(&answer(line.trim_end())).is_err() {
                    break;
                }
                line.clear();
            }
        }
    });
    (address, heard)
}

fn files(folder: &Path, names: impl IntoIterator<Item = String>) -> Vec<String> {
    let put = |name: String| {
        fs::write(folder.join(&name), &name).unwrap();
        name
    };
    names.into_iter().map(put).collect()
}

fn upload(names: &[String]) -> Vec<&str> {
    std::iter::once("upload").chain(names.iter().map(String::as_str)).collect()
}

#[test]
fn uploads_that_are_refused_do_not_hold_up_the_others() {
    let server = TestServer::start(&["--max-file-size", "100k"]);
    let here = tempfile::tempdir().unwrap();
    let mut names = files(here.path(), (0..300).map(|n| format!("f{n}")));
    names.splice(7..7, files(here.path(), [".hidden".to_owned()]));
    names.splice(100..100, ["missing".to_owned()]);
    fs::write(here.path().join("large"), bytes(200_000, 1)).unwrap();
    names.splice(200..200, ["large".to_owned()]);
    fs::write(here.path().join("medium"), bytes(90_000, 1)).unwrap();
    names.push("medium".to_owned());
    let (out, err) = texts(&mut server.client(here.path(), &upload(&names)), 1);
    let said: Vec<_> =
        err.lines().map(|line| line.split(':').nth(1).unwrap_or("").trim()).collect();
    assert_eq!(said, ["cannot upload .hidden", "cannot open missing", "cannot upload large"]);
    assert_eq!(out.lines().count(), 302, "301 files and the sum of them");
    assert_eq!(server.names().len(), 301);
    for name in server.names().iter().filter(|name| *name != "medium") {
        assert_eq!(server.get(name), name.as_bytes());
    }
    assert!(server.get("medium") == bytes(90_000, 1));
}

/// A relay that counts: what has come from the client, and over how many connections.
fn counting(server: SocketAddr) -> (SocketAddr, Arc<Mutex<(u64, usize)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let counts = Arc::new(Mutex::new((0, 0)));
    let counter = Arc::clone(&counts);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            counter.lock().unwrap().1 += 1;
            let Ok(server) = TcpStream::connect(server) else { continue };
            let (mut from, mut into) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let counter = Arc::clone(&counter);
            thread::spawn(move || {
                let mut buffer = vec![0; 64 << 10];
                while let Ok(n @ 1..) = from.read(&mut buffer) {
                    counter.lock().unwrap().0 += n as u64;
                    if into.write_all(&buffer[..n]).is_err() {
                        break;
                    }
                }
                let _ = into.shutdown(Shutdown::Write);
            });
            thread::spawn(move || pass(server, client, u64::MAX));
        }
    });
    (address, counts)
}

#[test]
fn a_server_that_refuses_all_is_not_sent_all() {
    let here = tempfile::tempdir().unwrap();
    let names: Vec<_> = (0..200).map(|n| format!("f{n:03}")).collect();
    for name in &names {
        fs::write(here.path().join(name), bytes(60_000, 1)).unwrap();
    }
    fs::write(here.path().join("small"), "small").unwrap();
    let upload: Vec<_> = upload(&names).into_iter().chain(["small"]).collect();
    for (flags, told, is_stored) in
        [(&["--read-only"][..], 1, false), (&["--max-total-size", "50k"], 17, true)]
    {
        let server = TestServer::start(flags);
        let (address, counts) = counting(server.address());
        let mut command = client(&["--server", &address.to_string()]);
        let (_, err) = texts(command.args(&upload).current_dir(here.path()), 1);
        // Those that were under way are answered one by one.
        let lines: Vec<_> = err.lines().collect();
        assert!(lines.len() <= told + 1, "{err}");
        let not_tried = names.len() + usize::from(!is_stored) - (lines.len() - 1);
        let said = format!("files that were not tried, for the same reason: {not_tried}\n");
        assert!(err.ends_with(&said), "{err}");
        assert_eq!(server.has("small"), is_stored);
        let (bytes, connections) = *counts.lock().unwrap();
        assert!(bytes < 2_200_000 && connections <= 3, "{bytes} bytes, {connections} connections");
    }
    // A reason of one file holds for no other: each is asked for before it is sent.
    let server = TestServer::start(&["--max-file-size", "50k"]);
    let (address, counts) = counting(server.address());
    let mut command = client(&["--server", &address.to_string()]);
    let (_, err) = texts(command.args(&upload).current_dir(here.path()), 1);
    assert_eq!((err.lines().count(), server.names()), (200, vec!["small".to_owned()]));
    assert!(counts.lock().unwrap().1 <= 3, "{:?}", counts.lock().unwrap());
}

#[test]
fn no_upload_is_lost_or_stored_twice_when_receipts_are_lost() {
    let (server, here) = (TestServer::start(&[]), tempfile::tempdir().unwrap());
    let names = files(here.path(), (0..200).map(|n| format!("file{n:03}")));
    // In the middle of a receipt, and in the middle of the sums that are asked for after that.
    let relay = Relay::to(server.address(), [2_000, 1_500, 3_333]);
    let mut command = relay.client(here.path(), &upload(&names));
    let (out, _) = texts(&mut command, 0);
    assert_eq!(out.lines().count(), 201, "{out}");
    assert_eq!(server.names(), names);
    for name in &names {
        assert_eq!(server.get(name), name.as_bytes());
    }
}

#[test]
fn many_downloads_go_on_after_a_cut() {
    let (server, here) = (TestServer::start(&[]), tempfile::tempdir().unwrap());
    let mut names: Vec<_> = (0..50).map(|n| format!("small{n:02}")).collect();
    for name in &names {
        server.put(name, name.repeat(100));
    }
    server.put("large", bytes(SIZE, 3));
    names.insert(20, "large".to_owned());
    let relay = Relay::to(server.address(), [5_000, 200_000]);
    // What this machine could not keep is not asked for, and shifts no reply to another file.
    let mut args = vec!["download", ".hidden", "nothing"];
    args.extend(names.iter().map(String::as_str));
    let (out, err) = texts(&mut relay.client(here.path(), &args), 1);
    assert!(err.contains("cannot keep .hidden in downloads: "), "{err}");
    assert!(err.contains("cannot download nothing: no such file (not-found)"), "{err}");
    assert!(err.contains("continuing at "), "{err}");
    assert_eq!(out.lines().count(), 52, "{out}");
    let downloads = here.path().join("downloads");
    names.sort();
    assert_eq!(visible(&downloads), names);
    for name in &names {
        assert!(fs::read(downloads.join(name)).unwrap() == server.get(name), "{name}");
    }
}

/// What is in the way of one folder is told, and the others are moved.
#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_moved_does_not_stop_the_others() {
    let (server, here) = (TestServer::start(&[]), tempfile::tempdir().unwrap());
    for name in ["docs/a", "docs/linked/b", "docs/more/c"] {
        let path = server.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
    fs::create_dir_all(here.path().join("downloads/docs")).unwrap();
    fs::create_dir(here.path().join("elsewhere")).unwrap();
    let link = here.path().join("downloads/docs/linked");
    std::os::unix::fs::symlink(here.path().join("elsewhere"), link).unwrap();
    let (_, err) = texts(&mut server.client(here.path(), &["download", "-r", "docs"]), 1);
    assert_eq!(err, "connme-client: cannot create downloads/docs/linked: it is a link\n");
    assert_eq!(visible(&here.path().join("elsewhere")), [""; 0]);
    assert_eq!(visible(&here.path().join("downloads/docs")), ["a", "linked", "more"]);
    assert!(here.path().join("downloads/docs/more/c").exists());
    // A name that would be two requests.
    let (address, _) = scripted(|line| match line {
        "ls d" => b"ok 2\ndir - a\tb\nfile 2 x\ntotal 2\n".to_vec(),
        "ls e" => b"ok 2\ndir - bad\ndir - good\ntotal 0\n".to_vec(),
        "ls e/bad" => b"error internal it cannot be read\n".to_vec(),
        "ls e/good" => b"ok 1\nfile 2 y\ntotal 2\n".to_vec(),
        line if line.starts_with("download ") => b"ok 2\nhi".to_vec(),
        _ => b"error unknown-command what?\n".to_vec(),
    });
    let mut command = client(&["--server", &address.to_string(), "download", "-r", "d"]);
    let (_, err) = texts(command.current_dir(here.path()), 1);
    let said = "cannot download d/a\tb: a name may not have control characters\n";
    assert_eq!(err, format!("connme-client: {}", said.replace('\t', "\\t")));
    assert!(here.path().join("downloads/d/x").exists());
    // One that the server cannot read.
    let mut command = client(&["--server", &address.to_string(), "download", "-r", "e"]);
    let (_, err) = texts(command.current_dir(here.path()), 1);
    assert!(err.starts_with("connme-client: cannot download e/bad: it cannot be read"), "{err}");
    assert!(here.path().join("downloads/e/good/y").exists());
}

/// The same where a folder here cannot be read. Root can read every folder, so another user sends.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_read_does_not_stop_the_others() {
    use std::os::unix::fs::PermissionsExt;
    let (server, here) = (TestServer::start(&[]), tempfile::tempdir().unwrap());
    for name in ["docs/a", "docs/closed/b", "docs/more/c"] {
        for root in [here.path(), server.root()] {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        }
        fs::write(here.path().join(name), name).unwrap();
    }
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    let (program, closed) = (here.path().join("client"), here.path().join("docs/closed"));
    fs::copy(env!("CARGO_BIN_EXE_connme-client"), &program).unwrap();
    set(here.path(), 0o755).unwrap();
    set(&closed, 0).unwrap();
    let address = server.address().to_string();
    let other = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let mut command = assert_cmd::Command::new("setpriv");
    command.args(other).arg(&program).args(["--server", &address, "upload", "-r", "docs"]);
    let output = command.current_dir(here.path()).env("LANG", "C").output();
    set(&closed, 0o755).unwrap();
    let err = output.map(|output| String::from_utf8(output.stderr).unwrap());
    let Ok(err) = err
        .map_err(drop)
        .and_then(|err| if err.starts_with("setpriv") { Err(()) } else { Ok(err) })
    else {
        return crate::support::skip("setpriv");
    };
    assert!(err.starts_with("connme-client: cannot list docs/closed: Permission denied"), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(server.has("docs/a") && server.has("docs/more/c") && !server.has("docs/closed/b"));
}

/// A server that has folders in each folder fills neither the memory nor the disk of a client.
#[test]
fn folders_without_end_are_given_up() {
    let here = tempfile::tempdir().unwrap();
    for args in [["download", "-r", "d"], ["size", "d/*/*/*", "-q"]] {
        let (address, heard) = scripted(|line| match line {
            line if line.matches('/').count() > 1 => b"ok 0\ntotal 0\n".to_vec(),
            line if line.starts_with("ls ") => {
                let list: String = (0..1000).map(|n| format!("dir - {n}\n")).collect();
                format!("ok 1000\n{list}total 0\n").into_bytes()
            }
            _ => b"error not-found no\n".to_vec(),
        });
        let mut command = client(&["--server", &address.to_string()]);
        let (_, err) = texts(command.args(args).current_dir(here.path()), 1);
        assert!(err.contains("the list is too long to be kept: "), "{err}");
        assert!(heard.lock().unwrap().len() < 12_000);
        assert!(!here.path().join("downloads/d").exists());
    }
}

/// What has come of a file is no reason to leave the disk full.
#[cfg(target_os = "linux")]
#[test]
fn a_download_for_which_there_is_no_space_leaves_none_of_it() {
    let (server, here) = (TestServer::start(&[]), tempfile::tempdir().unwrap());
    server.put("big", bytes(SIZE, 1));
    // The shell's limit for the size of a file is in blocks of 512 or 1024 bytes.
    let line = "trap '' XFSZ; ulimit -f 150; exec \"$0\" \"$@\"";
    let mut command = assert_cmd::Command::new("sh");
    command.args(["-c", line, env!("CARGO_BIN_EXE_connme-client"), "download", "big"]);
    command.args(["--server", &server.address().to_string()]).current_dir(here.path());
    let (_, err) = texts(command.env_remove("LC_ALL").env("LANG", "C"), 1);
    assert!(err.ends_with("what had come of it was removed\n"), "{err}");
    let partial = here.path().join("downloads/.connme/partial");
    assert_eq!(fs::read_dir(partial).unwrap().count(), 0);
}

/// An empty one stayed, for a file that no disk has room for.
#[test]
fn a_download_that_is_too_large_leaves_nothing() {
    let here = tempfile::tempdir().unwrap();
    let (address, _) = scripted(|_| b"ok 9999999999999999999\n".to_vec());
    let mut command = client(&["--server", &address.to_string(), "download", "a"]);
    let (_, err) = texts(command.current_dir(here.path()), 1);
    assert!(err.contains("files may be at most"), "{err}");
    let partial = here.path().join("downloads/.connme/partial");
    assert_eq!(fs::read_dir(partial).unwrap().count(), 0);
}

/// A server that knows half of what is needed to go on, or has words of its own for what it lacks.
#[test]
fn a_download_that_cannot_go_on_begins_again() {
    type Answers = fn(&str) -> Vec<u8>;
    let servers: [Answers; 2] = [
        |line| match line.split(' ').next() {
            Some("download") => [b"ok 100000\n".to_vec(), vec![b'x'; 100_000]].concat(),
            Some("resume") => [b"ok 20010\n".to_vec(), vec![b'x'; 20_010]].concat(),
            _ => b"error unknown-command what?\n".to_vec(),
        },
        |line| match line.split(' ').next() {
            Some("download") => [b"ok 100000\n".to_vec(), vec![b'x'; 100_000]].concat(),
            _ => b"error not-today what?\n".to_vec(),
        },
    ];
    for answers in servers {
        let here = tempfile::tempdir().unwrap();
        let (address, _) = scripted(answers);
        let relay = Relay::to(address, [80_000]);
        texts(&mut relay.client(here.path(), &["--retry", "0", "download", "big"]), 1);
        texts(&mut relay.client(here.path(), &["download", "big"]), 0);
        assert_eq!(fs::read(here.path().join("downloads/big")).unwrap(), vec![b'x'; 100_000]);
    }
}
