//! The course's table: files of three sizes, sent and fetched by three crowds of clients at once.

use std::fs;
use std::io;
use std::sync::Mutex;
use std::time::Instant;

use crate::report::Stress;
use crate::subject::Subject;
use crate::works::{Scale, at_once, present, send};

/// The rows, each a direction, a size in millions of bytes, and a number of clients.
pub fn rows(scale: Scale) -> Vec<(&'static str, u64, usize)> {
    let sizes: &[u64] = scale.of(&[10, 50, 100], &[10], &[1]);
    let crowds: &[usize] = scale.of(&[1, 5, 50], &[1, 5, 50], &[1, 5]);
    let mut rows = Vec::new();
    for direction in ["download", "upload"] {
        for size in sizes {
            rows.extend(crowds.iter().map(|clients| (direction, *size, *clients)));
        }
    }
    rows
}

/// One row of one server. A client that fails is counted, and the others go on.
pub fn run(
    subject: &Subject,
    (direction, megabytes, clients): (&'static str, u64, usize),
    piece: &[u8],
) -> io::Result<Stress> {
    let size = megabytes * 1_000_000;
    let source = format!("stress-{megabytes}");
    if direction == "download" {
        present(subject, &source, size)?;
    }
    let name = |client| format!("stress-{megabytes}-{client}");
    let rates = Mutex::new(Vec::new());
    let one = |client| {
        let start = Instant::now();
        let mut peer = subject.connect()?;
        if direction == "download" {
            peer.download(&source, size, &mut |_| Ok(()))?;
        } else {
            peer.upload_by(&name(client), size, &mut |stream, head| {
                send(stream, head, size, piece)
            })?;
        }
        Ok::<_, io::Error>(megabytes as f64 / start.elapsed().as_secs_f64())
    };
    let time = at_once(clients, &|_| Ok(()), &|(), client| {
        match one(client) {
            Ok(rate) => rates.lock().map_or((), |mut rates| rates.push(rate)),
            Err(error) => eprintln!("{direction} of {megabytes} MB, client {client}: {error}"),
        }
        Ok(())
    })?;
    if direction == "upload" {
        for client in 0..clients {
            let _ = fs::remove_file(subject.root.join(name(client)));
        }
    }
    let rates = rates.into_inner().unwrap_or_default();
    let moved = rates.len() as f64 * megabytes as f64;
    let (seconds, each) =
        (time.as_secs_f64(), rates.iter().sum::<f64>() / rates.len().max(1) as f64);
    let (server, failed) = (subject.name.clone(), clients - rates.len());
    let all = moved / seconds;
    Ok(Stress { server, direction, megabytes, clients, seconds, all, each, failed })
}
