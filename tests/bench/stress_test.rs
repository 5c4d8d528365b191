//! The second table: the stress test of the course. Files of three sizes, each sent and fetched by
//! three numbers of clients at once.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::rows::{Scale, at_once, provide_file};
use crate::server::Server;
use crate::{failed, print};

const HEAD: &str = "\ndirection     MB  clients server    seconds  MB/s all MB/s client  failed\n";

/// Measures all lines of the table and prints them. In the smoke test, no client may fail.
pub fn run(scale: Scale, servers: &[Server]) -> io::Result<()> {
    let sizes: &[usize] = scale.of(&[10, 50, 100], &[10], &[1]);
    let client_counts: &[usize] = scale.of(&[1, 5, 50], &[1, 5, 50], &[1, 5]);
    print(scale, HEAD)?;
    for direction in ["download", "upload"] {
        for &megabytes in sizes {
            for &clients in client_counts {
                for server in servers {
                    let (line, n_failed) = line(server, direction, megabytes, clients)?;
                    if scale == Scale::Smoke && n_failed > 0 {
                        return Err(failed(line));
                    }
                    print(scale, &line)?;
                }
            }
        }
    }
    Ok(())
}

/// Measures one line. Returns it and the number of clients that failed: they are counted, and the
/// others continue.
fn line(
    server: &Server,
    direction: &str,
    megabytes: usize,
    clients: usize,
) -> io::Result<(String, usize)> {
    let size = megabytes * 1_000_000;
    let source = format!("stress-{megabytes}");
    provide_file(&server.path(&source), size)?;
    let target = |client| format!("stress-upload-{client}");
    let one = |client| {
        let start = Instant::now();
        let mut connection = Connection::open(server.address)?;
        if direction == "upload" {
            connection.upload(&target(client), size)?;
        } else {
            connection.download(&source, size, &mut io::sink())?;
        }
        Ok(start.elapsed())
    };
    let report = |error: &io::Error| eprintln!("{direction}, {megabytes} MB by {clients}: {error}");
    let (time, results) =
        at_once(vec![(); clients], |(), client| Ok(one(client).inspect_err(report)))?;
    for client in 0..clients {
        let _ = fs::remove_file(server.path(&target(client)));
    }
    let times: Vec<Duration> = results.into_iter().flatten().collect();
    let rate = |time: &Duration| megabytes as f64 / time.as_secs_f64();
    let of_all = rate(&time) * times.len() as f64;
    let of_one = times.iter().map(rate).sum::<f64>() / times.len() as f64;
    let n_failed = clients - times.len();
    let (name, seconds) = (&server.name, time.as_secs_f64());
    let line = format!(
        "{direction:<9} {megabytes:>6} {clients:>8} {name:<8} {seconds:>8.3} {of_all:>9.0} \
         {of_one:>11.0} {n_failed:>7}\n"
    );
    Ok((line, n_failed))
}
