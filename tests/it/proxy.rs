//! `--proxy-protocol`: the line that a load balancer puts before each connection; and the real balancers, as
//! the guide configures them.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use connme::limits::PROXY_TIME;

use crate::support::{PATIENCE, Peer, TestServer, let_pass};

const LINE: &str = "PROXY TCP4 192.0.2.7 198.51.100.1 50312 1234\r\n";

/// A line of a client with this address.
fn line_of(address: &str) -> String {
    let family = if address.contains(':') { "TCP6" } else { "TCP4" };
    format!("PROXY {family} {address} {address} 50312 1234\r\n")
}

/// The server closes, with or without a reset, and says nothing.
#[track_caller]
fn closed(peer: &mut Peer) {
    let mut heard = Vec::new();
    let end = peer.stream().read_to_end(&mut heard);
    assert!(heard.is_empty(), "{}", String::from_utf8_lossy(&heard));
    if let Err(error) = end {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}

#[test]
fn what_follows_the_line_is_the_conversation_however_it_is_cut() {
    let server = TestServer::start(&["--proxy-protocol", "--trace"]);
    let asked = format!("{LINE}connme\n");
    server.peer().say(&asked).hear("ok connected\n");
    server.peer().drip(&asked).hear("ok connected\n");
    server.peer().say(LINE).say("connme\n").hear("ok connected\n");
    server.peer_of("struct").say(format!("{LINE}connme")).hear("connected");
    server.peer_of("count").drip(format!("{LINE}abc\n")).hear("3").hear_end();
    // A line that would be one of the dialect is the conversation's too.
    server.peer().say(format!("{LINE}{LINE}")).refused("unknown-command");
    // The longest line, with an end mark that is its last two bytes.
    let longest = format!("PROXY UNKNOWN {:x<91}\r\n", "");
    assert_eq!(longest.len(), 107);
    server.peer().say(format!("{longest}connme\n")).hear("ok connected\n");
}

#[test]
fn log_and_trace_show_the_address_from_the_line() {
    let server = TestServer::start(&["--proxy-protocol", "--trace"]);
    for (line, client) in [
        (LINE, "192.0.2.7:50312"),
        ("PROXY TCP6 2001:db8::7 2001:db8::1 50312 1234\r\n", "[2001:db8::7]:50312"),
        ("PROXY UNKNOWN\r\n", "127.0.0.1:"),
    ] {
        let mut peer = server.peer();
        let own = peer.stream().local_addr().unwrap().to_string();
        let client = if client.ends_with(':') { own.as_str() } else { client };
        peer.say(line).say("connme\nbyebye\n").hear("ok connected\nok byebye\n").hear_end();
        drop(peer);
        for wanted in ["text open, ", "text connme ", "text close\n"] {
            server.wait_for_log(&format!("{client} {wanted}"));
        }
        server.wait_for_log(&format!("|client {client} "));
        assert_eq!(server.log().contains(&own), own == client, "{own}");
    }
    // The trace begins after the line.
    assert!(!server.log().contains("PROXY"), "{}", server.log());
}

#[test]
fn without_the_line_the_connection_is_closed_and_the_log_says_why() {
    let server = TestServer::start(&["--proxy-protocol"]);
    let expected = "text close bad-request: expected a PROXY line (got ";
    for (line, got) in [
        ("connme\n".to_owned(), "'connme\\n'"),
        ("PROXY TCP4 192.0.2.7 198.51.100.1 050312 1234\r\n".to_owned(), "050312"),
        (LINE.replace("\r\n", "\n"), "50312 1234\\n'"),
        ("\r\n\r\n\0\r\nQUIT\n".to_owned(), "'\\r\\n'"),
        (format!("PROXY UNKNOWN {:y<92}\r\n", ""), "yyy\\r'"),
        (format!("PROXY UNKNOWN {:z<9999}\r\n", ""), "zzz'"),
    ] {
        let mut peer = server.peer();
        let own = peer.stream().local_addr().unwrap();
        closed(peer.say(line));
        server.wait_for_log(&format!("{own} {expected}"));
        assert!(server.log().contains(got), "{got}:\n{}", server.log());
    }
    let mut peer = server.peer();
    closed(peer.say("PROXY TCP4 192.").end_writing());
    server.wait_for_log("gone: the connection ended before the PROXY line did");
    // Without the flag such a line is a command like any other.
    TestServer::start(&[]).peer().say(LINE).refused("unknown-command");
}

#[test]
fn a_line_that_does_not_come_ends_in_time_and_delays_no_other() {
    let server = TestServer::start(&["--proxy-protocol", "--max-connections", "3"]);
    let start = Instant::now();
    let (mut silent, mut slow) = (server.peer(), server.peer());
    let mut good = server.peer();
    good.say(LINE).say("connme\n").hear("ok connected\n");
    // Connections whose line has not come count too. One more is refused before its line is read.
    server.peer().refused("busy").hear_end();
    server.wait_for_log("refused busy: all connections are taken");
    while server.log().matches("close timeout: no PROXY line came in time").count() < 2 {
        assert!(start.elapsed() < PATIENCE, "{}", server.log());
        // Bytes that come slowly give no more time.
        let _ = slow.stream().write(b"P");
        let_pass(Duration::from_millis(200));
    }
    assert!(start.elapsed() >= PROXY_TIME, "{:?}", start.elapsed());
    closed(&mut silent);
    closed(&mut slow);
    good.say("connme\n").hear("ok connected\n");
    server.peer().say(LINE).say("connme\n").hear("ok connected\n");
}

#[test]
fn each_address_in_the_line_has_its_share() {
    let server = TestServer::start(&["--proxy-protocol", "--max-per-address", "2"]);
    let come = |line: &str| {
        let mut peer = server.peer();
        peer.say(line).say("connme\n");
        peer
    };
    let inside = |line: &str| {
        let mut peer = come(line);
        peer.hear("ok connected\n");
        peer
    };
    let one = line_of("192.0.2.7");
    let mut first: Vec<Peer> = (0..2).map(|_| inside(&one)).collect();
    come(&one).refused("busy").hear_end();
    let why = "refused busy: too many connections from your address";
    server.wait_for_log(&format!("192.0.2.7:50312 text {why}"));
    // The same address, written as IPv6.
    come(&line_of("::ffff:192.0.2.7")).refused("busy").hear_end();
    let other = inside(&line_of("192.0.2.8"));
    // A network of IPv6 has four shares.
    let v6: Vec<Peer> = (0..8).map(|n| inside(&line_of(&format!("2001:db8::{n}:1")))).collect();
    come(&line_of("2001:db8::ffff")).refused("busy").hear_end();
    // An unknown address is no address.
    let unknown: Vec<Peer> = (0..5).map(|_| inside("PROXY UNKNOWN\r\n")).collect();
    first.pop().unwrap().say("byebye\n").hear("ok byebye\n").hear_end();
    server.wait_for_log("192.0.2.7:50312 text close\n");
    drop((inside(&one), other, v6, unknown));
}

/// HAProxy and nginx as the guide configures them, in front of three servers with the guide's flags.
#[cfg(unix)]
mod balancers {
    use std::collections::BTreeSet;
    use std::io::{Read, Write};
    use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
    use std::os::fd::OwnedFd;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Instant;

    use crate::support::{PATIENCE, TestServer, noise, skip, wait_until};

    const CLIENTS: u64 = 8;
    const SIZE: usize = 3_000;

    /// The block of the guide that is the file with this path.
    fn shown(path: &str) -> &'static str {
        let page = include_str!("../../src/guide/growth.md");
        let first = format!("# {path}\n");
        let block = page.split("```text\n").find(|block| block.starts_with(&first)).unwrap();
        block.split("```").next().unwrap()
    }

    /// The server of the guide's systemd unit, over this root, with this number in the name of its log. It
    /// listens at `also` too.
    fn server(folder: &Path, number: usize, also: Option<SocketAddr>) -> TestServer {
        let unit = shown("/etc/systemd/system/connme.service");
        let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
        let (root, log) = (folder.join("root"), log_of(folder, number));
        let flags = start.replace("/srv/uploads", root.to_str().unwrap());
        let mut flags = flags.replace("/var/log/connme/server.log", log.to_str().unwrap());
        if let Some(address) = also {
            flags += &format!(" --listen {address}");
        }
        let flags: Vec<_> = flags.split(' ').skip(1).collect();
        assert!(flags.contains(&"--proxy-protocol") && flags.contains(&log.to_str().unwrap()));
        TestServer::over(&root, &flags)
    }

    fn log_of(folder: &Path, number: usize) -> std::path::PathBuf {
        folder.join(format!("{number}.log"))
    }

    /// A balancer that listens at a port that was free, and ends with the test.
    struct Balancer {
        process: Child,
        address: SocketAddr,
    }

    impl Drop for Balancer {
        fn drop(&mut self) {
            // Asked to end, it ends its own children too.
            let end = format!("kill {}", self.process.id());
            if !Command::new("sh").args(["-c", &end]).status().is_ok_and(|status| status.success())
            {
                let _ = self.process.kill();
            }
            let _ = self.process.wait();
        }
    }

    impl Balancer {
        /// `None` if it is not installed here, or without what the guide needs.
        fn start(
            name: &str,
            config: &str,
            folder: &Path,
            servers: &[TestServer],
        ) -> Option<Balancer> {
            let places = ["", "/usr/sbin/", "/usr/local/sbin/", "/usr/local/bin/"];
            let places = places.map(|place| format!("{place}{name}"));
            let runs = |program: &&String| Command::new(program).arg("-v").output().is_ok();
            let program = places.iter().find(runs)?;
            // It gets a socket that listens already, so that its port is free and nothing has to wait.
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let mut config = shown(config).replace("bind :1234", "bind fd@0");
            config = config.replace("listen 1234;", &format!("listen {address};"));
            for (n, server) in servers.iter().enumerate() {
                let place = format!("192.0.2.1{}:1234", n + 1);
                assert!(config.contains(&place));
                config = config.replace(&place, &server.address().to_string());
            }
            let (file, errors) = (folder.join("config"), folder.join("errors"));
            std::fs::write(&file, config).unwrap();
            let mut command = Command::new(program);
            if name == "nginx" {
                let pid = folder.join("pid");
                let rest = format!("daemon off; pid {};", pid.display());
                command.env("NGINX", "0;").args(["-e", "stderr", "-g", &rest, "-c"]).arg(file);
            } else {
                command.args(["-db", "-f"]).arg(file);
            }
            let process = command
                .stdin(Stdio::from(OwnedFd::from(listener)))
                .stdout(Stdio::null())
                .stderr(std::fs::File::create(&errors).unwrap())
                .spawn()
                .unwrap();
            // The balancer alone holds the socket now: if it ends, so does the wait for a reply.
            drop(command);
            let balancer = Balancer { process, address };
            if balancer.ask(b"connme\n").1 == b"ok connected\n" {
                return Some(balancer);
            }
            let errors = std::fs::read_to_string(errors).unwrap();
            let lacks = ["invalid option: \"e\"", "directive \"stream\"", "\"proxy_half_close\""];
            assert!(lacks.iter().any(|what| errors.contains(what)), "{errors}");
            None
        }

        /// Asks over a connection of its own, ends the sending side, and returns what came until the end.
        fn ask(&self, request: &[u8]) -> (Option<SocketAddr>, Vec<u8>) {
            let mut heard = Vec::new();
            let Ok(mut stream) = TcpStream::connect(self.address) else { return (None, heard) };
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let own = stream.local_addr().ok();
            let said = stream.write_all(request).and_then(|()| stream.shutdown(Shutdown::Write));
            let _ = said.and_then(|()| stream.read_to_end(&mut heard));
            (own, heard)
        }
    }

    #[derive(Default)]
    struct Load {
        confirmed: Mutex<Vec<(String, u64)>>,
        failed: Mutex<Vec<String>>,
        clients: Mutex<Vec<SocketAddr>>,
        is_over: AtomicBool,
    }

    impl Load {
        fn upload(&self, balancer: &Balancer, client: u64) {
            for n in 0.. {
                if self.is_over.load(Ordering::Relaxed) {
                    return;
                }
                let seed = client * 1_000_000 + n;
                let name = format!("{seed}.bin");
                let mut request = format!("upload {name}\n{SIZE}\n").into_bytes();
                request.extend(noise(seed, SIZE));
                let (own, heard) = balancer.ask(&request);
                self.clients.lock().unwrap().extend(own);
                if heard == format!("ok ready\nok received {SIZE} {name}\n").into_bytes() {
                    self.confirmed.lock().unwrap().push((name, seed));
                } else {
                    self.failed.lock().unwrap().push(name);
                }
            }
        }
    }

    fn serves(server: &TestServer) -> bool {
        server.log().matches(" stored ").count() >= 500
    }

    /// Three servers on one root; one is killed under load and started again.
    fn the_recipe_loses_nothing(name: &str, config: &str) {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        std::fs::create_dir(folder.join("root")).unwrap();
        let mut servers: Vec<_> = (0..3).map(|number| server(folder, number, None)).collect();
        let Some(balancer) = Balancer::start(name, config, folder, &servers) else {
            return skip(name);
        };
        let (load, start) = (Load::default(), Instant::now());
        let confirmed = || load.confirmed.lock().unwrap().len();
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (load, balancer) = (&load, &balancer);
                scope.spawn(move || load.upload(balancer, client));
            }
            // The load ends also if this fails.
            struct End<'l>(&'l AtomicBool);
            impl Drop for End<'_> {
                fn drop(&mut self) {
                    self.0.store(true, Ordering::Relaxed);
                }
            }
            let _end = End(&load.is_over);
            wait_until("served by all three", || servers.iter().all(serves));
            let address = servers[1].address();
            servers[1].kill();
            let before = confirmed();
            wait_until("served by the other two", || confirmed() >= before + 1000);
            servers[1] = server(folder, 1, Some(address));
            wait_until("served by the one that was started again", || serves(&servers[1]));
        });
        let took = start.elapsed().as_secs_f64();
        let Load { confirmed, failed, clients, .. } = load;
        let confirmed = confirmed.into_inner().unwrap();
        let failed: BTreeSet<String> = failed.into_inner().unwrap().into_iter().collect();
        let (all, rate) = (confirmed.len(), confirmed.len() as f64 / took);
        eprintln!("{name}: {all} confirmed in {took:.1} s, {rate:.0}/s, {} failed", failed.len());
        for (file, seed) in &confirmed {
            let stored = std::fs::read(folder.join("root").join(file)).unwrap_or_default();
            assert!(stored == noise(*seed, SIZE), "{file} is lost");
        }
        // No more than were under way on the killed server, and none on another.
        assert!(failed.len() as u64 <= CLIENTS, "{failed:?}");
        for number in [0, 2] {
            let log = std::fs::read_to_string(log_of(folder, number)).unwrap();
            let unwell = |line: &&str| line.contains(" upload ") && !line.ends_with(" ok");
            assert_eq!(log.lines().find(unwell), None);
            let names = log.split('"').skip(1).step_by(2).filter(|file| failed.contains(*file));
            assert_eq!(names.count(), 0, "{failed:?}");
            // The servers know the clients, not the balancer.
            let known: BTreeSet<_> =
                clients.lock().unwrap().iter().map(SocketAddr::to_string).collect();
            let stored = log.lines().filter(|line| line.contains(" stored "));
            let by_clients =
                stored.clone().filter(|line| known.contains(line.split(' ').nth(1).unwrap()));
            assert_eq!(by_clients.count(), stored.count());
        }
        if name == "haproxy" {
            servers[1].wait_for_log(" text connme ");
        }
    }

    #[test]
    fn haproxy_as_in_the_guide_loses_nothing() {
        the_recipe_loses_nothing("haproxy", "/etc/haproxy/haproxy.cfg");
    }

    #[test]
    fn nginx_as_in_the_guide_loses_nothing() {
        the_recipe_loses_nothing("nginx", "/etc/nginx/nginx.conf");
    }
}
