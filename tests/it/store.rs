//! Many at once, kills, leftovers: what the store promises, shown on real servers.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use crate::random::Random;
use crate::support::{PATIENCE, TestServer, noise};

/// Uploads one name from many threads to these servers, and looks at what became of it.
fn crowd(servers: &[&TestServer], threads: usize) {
    let mut stored: Vec<String> = std::thread::scope(|scope| {
        let uploads: Vec<_> = (0..threads)
            .map(|n| {
                let mut peer = servers[n % servers.len()].peer();
                scope.spawn(move || {
                    let bytes = noise(n as u64, 5000);
                    peer.say("upload same.bin\n5000\n").say(&bytes).hear("ok ready\n");
                    let line = peer.line();
                    let name = line.strip_prefix("ok received 5000 ").unwrap().trim().to_owned();
                    peer.say(format!("download {name}\n")).hear("ok 5000\n").hear(&bytes);
                    name
                })
            })
            .collect();
        uploads.into_iter().map(|upload| upload.join().unwrap()).collect()
    });
    stored.sort();
    assert_eq!(stored, servers[0].names());
    let contents: BTreeSet<_> = stored.iter().map(|name| servers[0].get(name)).collect();
    assert_eq!(contents, (0..threads).map(|n| noise(n as u64, 5000)).collect());
    // The first free numbers, none left out.
    let mut expected: Vec<_> = (1..threads).map(|n| format!("same_{n}.bin")).collect();
    expected.push("same.bin".to_owned());
    expected.sort();
    assert_eq!(stored, expected);
}

#[test]
fn sixty_four_uploads_of_one_name_all_survive() {
    crowd(&[&TestServer::start(&[])], 64);
}

#[test]
fn two_servers_share_a_folder() {
    let one = TestServer::start(&[]);
    let other = TestServer::over(one.root(), &[]);
    crowd(&[&one, &other], 64);
    for gap in ["same_3.bin", "same_12.bin", "same_40.bin"] {
        one.peer().say(format!("rm {gap}\n")).hear(format!("ok removed {gap}\n"));
        other.peer().say(format!("size {gap}\n")).refused("not-found");
        // Something of its own in between must not hide from the other what has changed.
        other
            .peer()
            .say("upload else\n0\nrm else\n")
            .hear("ok ready\nok received 0 else\nok removed else\n");
        other.peer().say("upload same.bin\n1\nx").hear(format!("ok ready\nok received 1 {gap}\n"));
        one.peer().say(format!("size {gap}\n")).hear("ok 1 bytes (0.000001 MB)\n");
    }
}

/// What a server has confirmed of an upload; nothing on a wire without receipts.
#[derive(Debug)]
struct Confirmed {
    name: String,
    id: Option<String>,
}

/// One upload over a dialect; `None` if the server went away before it confirmed anything.
fn upload(address: SocketAddr, dialect: &str, name: &str, bytes: &[u8]) -> Option<Confirmed> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let size = bytes.len();
    let hear = |stream: &mut TcpStream, expected: &str| {
        let mut got = vec![0; expected.len()];
        stream.read_exact(&mut got).ok()?;
        (got == expected.as_bytes()).then_some(())
    };
    let mut id = None;
    match dialect {
        "text" => {
            stream.write_all(format!("upload {name}\n{size}\n").as_bytes()).ok()?;
            stream.write_all(bytes).ok()?;
            hear(&mut stream, &format!("ok ready\nok received {size} {name}\n"))?;
        }
        "struct" => {
            stream.write_all(b"upload").ok()?;
            hear(&mut stream, "ready")?;
            stream.write_all(&i16::try_from(name.len()).unwrap().to_le_bytes()).ok()?;
            stream.write_all(name.as_bytes()).ok()?;
            stream.write_all(&i32::try_from(size).unwrap().to_le_bytes()).ok()?;
            stream.write_all(bytes).ok()?;
            hear(&mut stream, "received")?;
        }
        "json" => {
            let request =
                format!("{{\"aksi\":\"transfer\",\"file\":\"{name}\",\"size\":{size}}}\n");
            stream.write_all(request.as_bytes()).ok()?;
            stream.write_all(bytes).ok()?;
            let mut reply = String::new();
            stream.read_to_string(&mut reply).ok()?;
            let record = reply.strip_prefix("OK ").filter(|_| reply.ends_with("}\r\n"))?;
            id = Some(record.split('"').nth(3)?.to_owned());
        }
        _ => {
            stream.write_all(b"SEND\n").ok()?;
            hear(&mut stream, "OK")?;
            stream.write_all(format!("{name}\n{name}<SEPARATOR>{size}\n").as_bytes()).ok()?;
            stream.write_all(bytes).ok()?;
            return None;
        }
    }
    Some(Confirmed { name: name.to_owned(), id })
}

/// Killed at two hundred moments under uploads over every dialect that carries files.
#[test]
fn a_kill_loses_nothing_that_was_confirmed_and_shows_nothing_half() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(1);
    let (mut confirmed, mut identities): (Vec<Confirmed>, usize) = (Vec::new(), 0);
    for round in 0..200 {
        let mut server = TestServer::over(folder.path(), &[]);
        if !confirmed.is_empty() {
            // Who was confirmed before the kill is still there after it, and still the same.
            let list = server.peer_of("json").say("{\"aksi\":\"list\"}\n").rest();
            let list = String::from_utf8(list).unwrap();
            for Confirmed { name, id } in confirmed.drain(..) {
                assert!(server.has(&name), "{name} was confirmed and is lost");
                if let Some(id) = id {
                    let record = format!("{{\"id\":\"{id}\",\"nama_file\":\"{name}\"");
                    assert!(list.contains(&record), "{name} is another: {list}");
                    identities += 1;
                }
            }
            for name in server.names() {
                fs::remove_file(folder.path().join(name)).unwrap();
            }
        }
        let (sender, receiver) = mpsc::channel();
        let (enough, is_killed) = (random.below(25), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for (thread, dialect) in ["text", "struct", "json", "filesaver"].into_iter().enumerate()
            {
                let (sender, address) = (sender.clone(), server.address_of(dialect));
                let is_killed = &is_killed;
                scope.spawn(move || {
                    for n in 0.. {
                        let seed = round << 32 | (thread as u64) << 16 | n;
                        let size = Random(seed).below(60_000);
                        let name = format!("{seed:x}.bin");
                        match upload(address, dialect, &name, &noise(seed, size)) {
                            Some(confirmed) => sender.send(confirmed).unwrap(),
                            // A system may keep the port of a process for a while that was killed.
                            None if is_killed.load(Ordering::Relaxed) => return,
                            None if TcpStream::connect(address).is_err() => return,
                            None => {}
                        }
                    }
                });
            }
            drop(sender);
            for _ in 0..enough {
                confirmed.push(receiver.recv_timeout(PATIENCE).unwrap());
            }
            server.kill();
            is_killed.store(true, Ordering::Relaxed);
            confirmed.extend(receiver.iter());
        });
        // Whatever is to be seen is whole, confirmed or not.
        for name in server.names() {
            let seed = u64::from_str_radix(name.strip_suffix(".bin").unwrap(), 16).unwrap();
            let size = Random(seed).below(60_000);
            assert!(fs::read(folder.path().join(&name)).unwrap() == noise(seed, size), "{name}");
        }
    }
    assert!(identities > 100, "{identities}");
    // The next start sweeps what all those left.
    let _server = TestServer::over(folder.path(), &[]);
    assert_eq!(fs::read_dir(folder.path().join(".connme/incoming")).unwrap().count(), 1);
}

#[test]
fn a_start_does_not_touch_the_uploads_of_a_living_server() {
    let one = TestServer::start(&[]);
    let mut peer = one.peer();
    peer.say("upload a\n10\n12345").hear("ok ready\n");
    one.peer().say("connme\n").hear("ok connected\n");
    let other = TestServer::over(one.root(), &[]);
    other.peer().say("connme\n").hear("ok connected\n");
    peer.say("67890").hear("ok received 10 a\n");
    assert_eq!(other.get("a"), b"1234567890");
}

#[cfg(unix)]
#[test]
fn what_is_planted_in_the_root_is_no_way_out() {
    use std::os::unix::fs::symlink;
    let server = TestServer::start(&[]);
    let secret = server.outside().join("secret");
    fs::write(&secret, "secret").unwrap();
    symlink(&secret, server.root().join("link")).unwrap();
    symlink(server.outside(), server.root().join("way-out")).unwrap();
    symlink("/dev/zero", server.root().join("zero")).unwrap();
    symlink(server.outside().join("new"), server.root().join("dangling")).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(server.root().join("pipe")).status();
    assert!(pipe.unwrap().success());
    let mut peer = server.peer();
    for name in ["link", "way-out/secret", "zero", "dangling", "pipe", "way-out"] {
        for command in ["size", "download", "rm", "upload"] {
            peer.say(format!("{command} {name}\n")).refused("bad-name");
        }
    }
    peer.say("ls\n").hear("ok 0\ntotal 0\n").say("ls way-out\n").refused("bad-name");
    assert_eq!(fs::read(&secret).unwrap(), b"secret");
    assert!(!server.outside().join("new").exists());
}
