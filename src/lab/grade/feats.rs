//! What no conversation can say.

use std::time::{Duration, Instant};

use super::peer::{Done, Trial};
use super::words::Say;

/// How much later than the fastest reply the usual one may come. A server that sends in two writes waits 40 ms.
const LATER: Duration = Duration::from_millis(30);

/// A download for so many commands.
const OFTEN: usize = 10;

/// What they are called.
pub(super) const FEATS: [&str; 1] = ["thousand-commands"];

/// Does what is called so.
pub(super) fn feat(name: &str, t: &mut Trial) -> Done {
    match name {
        "thousand-commands" => thousand_commands(t),
        _ => Ok(()),
    }
}

/// Many commands of `text`, whose replies come without a pause.
fn thousand_commands(t: &mut Trial) -> Done {
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
    for n in 0..t.many(1000) {
        let start = Instant::now();
        if n % OFTEN == 0 {
            p.send(format!("download {name}\n")).expect("ok 40\n")?;
            p.expect(&bytes)?;
            downloads.push(start.elapsed());
        } else {
            p.send("connme\n").expect("ok connected\n")?;
        }
        fastest = fastest.min(start.elapsed());
    }
    downloads.sort_unstable();
    let usual = downloads.get(downloads.len() / 2).copied().unwrap_or_default();
    if usual <= fastest + LATER {
        return Ok(());
    }
    let most = (fastest + LATER).as_millis();
    t.failed(&Say::ReplyWithin { most }, &Say::ReplyTook { took: usual.as_millis() })
}
