//! The second table: the stress test of the course. Files of three sizes, each sent and fetched by
//! three numbers of clients at once.

use std::fs;
use std::io;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::rows::{Scale, at_once, provide_file};
use crate::server::Server;

pub const HEAD: &str =
    "direction     MB  clients server    seconds  MB/s all MB/s client  failed\n";

/// Direction, millions of bytes, and number of clients of each line.
pub fn loads(scale: Scale) -> Vec<(&'static str, usize, usize)> {
    let sizes: &[usize] = scale.of(&[10, 50, 100], &[10], &[1]);
    let crowds: &[usize] = scale.of(&[1, 5, 50], &[1, 5, 50], &[1, 5]);
    let mut loads = Vec::new();
    for direction in ["download", "upload"] {
        for &megabytes in sizes {
            loads.extend(crowds.iter().map(|&clients| (direction, megabytes, clients)));
        }
    }
    loads
}

/// Measures one line of the table. Returns it and the number of clients that failed: they are
/// counted, and the others continue.
pub fn line(
    server: &Server,
    direction: &str,
    megabytes: usize,
    clients: usize,
) -> io::Result<(String, usize)> {
    let size = megabytes * 1_000_000;
    let source = format!("stress-{megabytes}");
    provide_file(&server.root.join(&source), size)?;
    let target = |client| format!("stress-upload-{client}");
    let (sender, results) = mpsc::channel();
    let one = |client| {
        let start = Instant::now();
        let mut connection = server.connect()?;
        if direction == "upload" {
            connection.upload(&target(client), size)?;
        } else {
            connection.download(&source, size, &mut io::sink())?;
        }
        io::Result::Ok(start.elapsed())
    };
    let time = at_once(vec![(); clients], |(), client| {
        sender.send(one(client)).map_err(io::Error::other)
    })?;
    for client in 0..clients {
        let _ = fs::remove_file(server.root.join(target(client)));
    }
    let mut times = Vec::new();
    for result in results.try_iter() {
        match result {
            Ok(time) => times.push(time),
            Err(error) => eprintln!("{direction} of {megabytes} MB by {clients}: {error}"),
        }
    }
    let rate = |time: &Duration| megabytes as f64 / time.as_secs_f64();
    let of_all = rate(&time) * times.len() as f64;
    let of_one = times.iter().map(rate).sum::<f64>() / times.len() as f64;
    let failed = clients - times.len();
    let line = format!(
        "{direction:<9} {megabytes:>6} {clients:>8} {:<8} {:>8.3} {of_all:>9.0} {of_one:>11.0} {failed:>7}\n",
        server.name,
        time.as_secs_f64(),
    );
    Ok((line, failed))
}
