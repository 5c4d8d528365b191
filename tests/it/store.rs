//! Many at once, kills, leftovers: what the store promises, shown on real servers.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;

use crate::support::{PATIENCE, Random, TestServer, noise};

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

/// One upload; `None` if the server went away in the middle.
fn upload(address: std::net::SocketAddr, name: &str, bytes: &[u8]) -> Option<()> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(format!("upload {name}\n{}\n", bytes.len()).as_bytes()).ok()?;
    stream.write_all(bytes).ok()?;
    let receipt = format!("ok ready\nok received {} {name}\n", bytes.len());
    let mut got = Vec::new();
    stream.take(receipt.len() as u64).read_to_end(&mut got).ok()?;
    (got == receipt.as_bytes()).then_some(())
}

#[test]
fn a_kill_loses_nothing_that_was_confirmed_and_shows_nothing_half() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(1);
    let mut confirmed: Vec<(String, u64, usize)> = Vec::new();
    for round in 0..50 {
        let mut server = TestServer::over(folder.path(), &[]);
        let address = server.address();
        let (sender, receiver) = mpsc::channel();
        let enough = random.below(40);
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let sender = sender.clone();
                scope.spawn(move || {
                    for n in 0.. {
                        let seed = round << 32 | thread << 16 | n;
                        let size = Random(seed).below(60_000);
                        let name = format!("{seed:x}.bin");
                        if upload(address, &name, &noise(seed, size)).is_none() {
                            return;
                        }
                        sender.send((name, seed, size)).unwrap();
                    }
                });
            }
            drop(sender);
            for _ in 0..enough {
                confirmed.push(receiver.recv_timeout(PATIENCE).unwrap());
            }
            server.kill();
            confirmed.extend(receiver.iter());
        });
        // Whatever is to be seen is whole, confirmed or not.
        for name in server.names() {
            let seed = u64::from_str_radix(name.strip_suffix(".bin").unwrap(), 16).unwrap();
            let size = Random(seed).below(60_000);
            assert!(fs::read(folder.path().join(&name)).unwrap() == noise(seed, size), "{name}");
        }
        for (name, _, _) in &confirmed {
            assert!(server.has(name), "{name} was confirmed and is lost");
        }
        for (name, _, _) in confirmed.drain(..) {
            fs::remove_file(folder.path().join(name)).unwrap();
        }
        for name in server.names() {
            fs::remove_file(folder.path().join(name)).unwrap();
        }
    }
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
