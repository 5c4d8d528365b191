//! What no conversation can say.

use std::time::{Duration, Instant};

use super::peer::{Done, Trial};
use crate::lang::msg;

/// How much later than the fastest reply the usual one may come. A server that sends in two writes waits 40 ms.
const LATER: Duration = Duration::from_millis(30);

/// How many downloads are timed.
const DOWNLOADS: usize = 21;

/// Downloads of `text` take no longer than the fastest command beside them.
pub(super) fn replies_at_once(t: &mut Trial) -> Done {
    let mut places = t.places();
    let mut fill = |text| places.fill(text).unwrap_or_default();
    let (name, bytes) = (fill("{name}.txt"), fill("{bytes 40}"));
    let name = String::from_utf8_lossy(&name);
    t.is_named();
    let mut p = t.open()?;
    p.send(format!("upload {name}\n")).expect("ok ready\n")?;
    p.send("40\n").apart().send(&bytes).expect(format!("ok received 40 {name}\n"))?;
    let mut fastest = Duration::MAX;
    let mut downloads = Vec::new();
    for _ in 0..DOWNLOADS {
        let start = Instant::now();
        p.send(format!("download {name}\n")).expect("ok 40\n")?;
        p.expect(&bytes)?;
        downloads.push(start.elapsed());
        let start = Instant::now();
        p.send("connme\n").expect("ok connected\n")?;
        fastest = fastest.min(start.elapsed());
    }
    downloads.sort_unstable();
    let usual = downloads.get(DOWNLOADS / 2).copied().unwrap_or_default();
    if usual <= fastest + LATER {
        return Ok(());
    }
    let most = (fastest + LATER).as_millis();
    let took = usual.as_millis();
    t.failed(
        msg!("most replies within {most} ms", "kebanyakan jawaban dalam {most} ms"),
        msg!("most took longer than {took} ms", "kebanyakan lebih dari {took} ms"),
    )
}
