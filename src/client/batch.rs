//! Moves the files of one command: with a progress bar, further tries, and a summary at the end.

use std::time::Duration;

use super::ahead::Batch;
use super::connection::pause_before;
use super::outcome::Outcome;
use super::table::{amount, readable};
use super::terminal::Bar;
use super::ui::{Ui, say};
use super::{Progress, Receipt, progress};
use crate::error::Failure;
use crate::lang::{Msg, bytes, decimal, escaped, msg, text};

/// What has come of the files so far.
#[derive(Default)]
struct Tally {
    moved: usize,
    failed: usize,
    bytes: u64,
    time: Duration,
    /// How often the next file was tried.
    tries: u32,
}

/// Moves files, and tells what came of each. One that fails does not stop the others. What was cut is tried again,
/// after pauses that double. `told` is the message for a file that was moved.
pub(super) fn transfer(
    ui: &mut Ui,
    names: &[String],
    total: Option<u64>,
    mut batch: impl Batch,
    told: fn(&Ui, &str, &Receipt) -> Msg,
) -> Outcome {
    let mut tally = Tally::default();
    let mut bar = Bar::new(ui.bar_terminal(), ui.config().lang, names.len(), total);
    // What is known of a file that is tried again holds until more is.
    let mut stage = None;
    loop {
        let (lang, is_quiet) = (ui.config().lang, ui.config().quiet);
        bar.begin(names.get(tally.moved + tally.failed).map_or("", String::as_str));
        let watch = &mut |progress| {
            stage = Some(progress);
            if let Some(msg) = news(progress).filter(|_| !is_quiet) {
                bar.hide();
                say(&msg, lang);
            }
            bar.show(progress);
        };
        let Some((number, moved)) = batch.next(&mut ui.client, watch) else { break };
        let name = names.get(number).map_or("", String::as_str);
        bar.hide();
        match moved {
            Ok(receipt) => {
                stage = None;
                tally.moved += 1;
                tally.bytes += receipt.bytes;
                tally.time += receipt.time;
                tally.tries = 0;
                bar.done(Some(receipt.bytes));
                ui.tell(&told(ui, name, &receipt))?;
                if ui.config().verify {
                    let name = escaped(name);
                    ui.note(&text!("verified", name));
                }
            }
            Err(failure) if tries_again(ui, &mut batch, &mut tally, name, &failure) => {}
            Err(failure) => {
                tally.failed += 1;
                bar.done(None);
                failed(ui, name, &failure, stage.take());
                if ends_all(&failure) {
                    break;
                }
            }
        }
    }
    drop(bar);
    if let sent_twice @ 1.. = batch.sent_twice() {
        ui.note(&text!("sent-twice", sent_twice));
    }
    if let count @ 1.. = names.len().saturating_sub(tally.moved + tally.failed) {
        ui.fail(&text!("not-tried", count));
    }
    summary(ui, &tally)
}

/// What the user is told in words while a file moves.
fn news(progress: Progress) -> Option<Msg> {
    Some(match progress {
        Progress::Checking(total) => text!("checking", total = amount(total)),
        Progress::Comparing => msg!("checking them on the server", "memeriksanya di server"),
        Progress::Continuing(done, total) => {
            text!("continuing", done = progress::bytes_done(done, total))
        }
        _ => return None,
    })
}

/// Whether the file is tried again, after a pause.
fn tries_again(
    ui: &Ui,
    batch: &mut impl Batch,
    tally: &mut Tally,
    name: &str,
    failure: &Failure,
) -> bool {
    let of = ui.config().retry;
    let is_worth_it = failure.is_lost() && ui.client.connections() > 0 && tally.tries < of;
    if !is_worth_it || !batch.again(failure) {
        return false;
    }
    tally.tries += 1;
    let pause = pause_before(tally.tries);
    let (name, why) = (escaped(name), failure.why());
    let (seconds, number) = (pause.as_secs(), tally.tries);
    ui.note(&text!("trying-again", name, why, seconds, number, of));
    ui.client.patience.interrupt.pause(pause);
    true
}

/// Whether the user wants no more, or each of the other files would take as long again.
fn ends_all(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Interrupted | Failure::Unreachable(_) | Failure::Stalled | Failure::Silent(_)
    )
}

/// Tells why a transfer has failed, and what is left of it.
fn failed(ui: &mut Ui, name: &str, failure: &Failure, stage: Option<Progress>) {
    let shown = escaped(name);
    let left = match stage {
        Some(Progress::Kept(done, total)) => {
            text!("kept", name = shown, done = progress::bytes_done(done, total))
        }
        Some(Progress::Sent) => text!("interrupted-after-sending", name = shown),
        _ => text!("interrupted", name = shown),
    };
    if *failure == Failure::Interrupted {
        return ui.fail(&left);
    }
    ui.fail_on(name, failure);
    if matches!(stage, Some(Progress::Kept(..))) {
        ui.note(&left);
    }
}

fn summary(ui: &Ui, tally: &Tally) -> Outcome {
    if tally.moved < 2 {
        return Ok(());
    }
    let failed = match tally.failed {
        0 => Msg::default(),
        failed => msg!("; {failed} failed", "; {failed} gagal"),
    };
    let (size, files) = (bytes(tally.bytes), tally.moved);
    let (seconds, rate) = speed(tally.bytes, tally.time);
    ui.tell(&text!("summary", files, size, seconds, rate, failed))
}

/// The rate of a shorter transfer says nothing.
const SHORT: Duration = Duration::from_millis(10);

/// How many seconds a transfer took, and what follows of its rate.
pub(super) fn speed(bytes: u64, time: Duration) -> (Msg, Msg) {
    let seconds = decimal(&format!("{:.3}", time.as_secs_f64()));
    if time < SHORT {
        return (seconds, Msg::default());
    }
    let rate = decimal(&format!("{}/s", readable(progress::per_second(bytes, time))));
    (seconds, msg!(" ({rate})", ", {rate}"; rate))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::client::ahead::Moved;
    use crate::client::{Client, Config, Watch};
    use crate::lang::Lang;
    use crate::wire::stream;

    /// Files that fail for these reasons.
    struct Failing<'f>(&'f [Failure], &'f Cell<usize>);

    impl Batch for Failing<'_> {
        fn next(&mut self, _: &mut Client, _: &mut Watch<'_>) -> Option<Moved> {
            let number = self.1.get();
            let failure = self.0.get(number)?;
            self.1.set(number + 1);
            Some((number, Err(failure.clone())))
        }

        fn again(&mut self, _: &Failure) -> bool {
            false
        }
    }

    /// Each of the other files would take a silent server, or a line that is down, as long again.
    #[test]
    fn a_server_that_stalls_or_is_silent_is_waited_for_once() {
        let silent = || Failure::Silent(Msg::said("silent", "diam"));
        let refused = || Failure::refused("too-large", "");
        for (failures, tried) in [
            (vec![silent(), refused()], 1),
            (vec![refused(), Failure::Stalled, refused()], 2),
            (vec![Failure::Unreachable("no".to_owned()), refused()], 1),
            (vec![Failure::Interrupted, refused()], 1),
            (vec![refused(), Failure::NoReply, refused()], 3),
        ] {
            let client = Client::new(Config::new(Lang::En), stream::plain());
            let mut ui = Ui::single("connme-client", client);
            let names = vec![String::new(); failures.len()];
            let next = Cell::new(0);
            let batch = Failing(&failures, &next);
            transfer(&mut ui, &names, None, batch, |_, _, _| Msg::default()).unwrap();
            assert_eq!(next.get(), tried);
        }
    }

    #[test]
    fn a_rate_is_told_unless_the_time_was_too_short_for_one() {
        for (milliseconds, told) in
            [(9, "0.009"), (10, "0.010 (500 kB/s)"), (2000, "2.000 (2.5 kB/s)")]
        {
            let (seconds, rate) = speed(5000, Duration::from_millis(milliseconds));
            assert_eq!(seconds.say(Lang::En) + &rate.say(Lang::En), told);
        }
    }

    #[test]
    fn what_takes_long_without_a_byte_is_told_in_words() {
        for (progress, told) in [
            (Progress::Checking(60_000_000), "checking 60.0 MB that are here"),
            (Progress::Comparing, "checking them on the server"),
            (Progress::Continuing(1000, Some(2000)), "continuing at 1.0 kB of 2.0 kB"),
            (Progress::Moved(1, None), ""),
            (Progress::Sent, ""),
        ] {
            assert_eq!(news(progress).unwrap_or_default().say(Lang::En), told, "{progress:?}");
        }
    }
}
