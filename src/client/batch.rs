//! Moves the files of one command: with a progress bar, further tries, and a summary at the end.

use std::time::Duration;

use super::ahead::Batch;
use super::connection::pause_before;
use super::outcome::Outcome;
use super::table::readable;
use super::terminal::Bar;
use super::ui::{Ui, say};
use super::{Progress, Receipt, progress};
use crate::error::Failure;
use crate::lang::{Msg, escaped};

/// What has come of the files so far.
#[derive(Default)]
struct Tally {
    moved: usize,
    failed: usize,
    not_tried: usize,
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
    let mut bar = Bar::new(ui.bar_terminal(), ui.config().lang, names, total);
    loop {
        let (lang, is_quiet) = (ui.config().lang, ui.config().quiet);
        let mut stage = None;
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
                tally.moved += 1;
                tally.bytes += receipt.bytes;
                tally.time += receipt.time;
                tally.tries = 0;
                bar.one_more(receipt.bytes);
                ui.tell(&told(ui, name, &receipt))?;
                if ui.config().verify {
                    ui.talk(&Msg::Verified { name: escaped(name) });
                }
            }
            Err(failure) if tries_again(ui, &mut batch, &mut tally, name, &failure) => {}
            Err(failure) => {
                tally.failed += 1;
                bar.one_failed();
                let ends_all = ends_all(&failure);
                match failure {
                    Failure::Interrupted => {
                        let was_sent_ahead = names.len() > 1 && stage.is_none();
                        interrupted(ui, name, stage == Some(Progress::Sent) || was_sent_ahead);
                    }
                    failure => failed(ui, name, failure),
                }
                if ends_all {
                    tally.not_tried = names.len().saturating_sub(number + 1);
                    break;
                }
            }
        }
    }
    drop(bar);
    tally.not_tried += batch.left_out();
    if batch.sent_twice() > 0 {
        ui.talk(&Msg::SentTwice { count: batch.sent_twice() });
    }
    summary(ui, &tally)
}

/// What the user is told in words while a file moves.
fn news(progress: Progress) -> Option<Msg> {
    match progress {
        Progress::Checking(done) => Some(Msg::Checking { done: readable(done) }),
        Progress::Continuing(done, Some(total)) => {
            Some(Msg::Continuing { done: readable(done), total: readable(total) })
        }
        _ => None,
    }
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
    let (name, failure) = (escaped(name), Box::new(failure.clone()));
    let (seconds, number) = (pause.as_secs(), tally.tries);
    ui.talk(&Msg::TryingAgain { name, failure, seconds, number, of });
    ui.pause(pause);
    true
}

/// Whether the user wants no more, or each of the other files would take as long again.
fn ends_all(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Interrupted | Failure::Unreachable { .. } | Failure::Stalled | Failure::Silent(_)
    )
}

fn failed(ui: &mut Ui, name: &str, failure: Failure) {
    ui.failed(name, failure);
    if let Some((done, total)) = ui.client.take_kept() {
        let (done, total) = (readable(done), readable(total));
        ui.talk(&Msg::Kept { name: escaped(name), done, total });
    }
}

/// Tells what became of a transfer that the user has interrupted.
fn interrupted(ui: &mut Ui, name: &str, may_be_stored: bool) {
    let name = escaped(name);
    match ui.client.take_kept() {
        Some((done, total)) => {
            let (done, total) = (readable(done), readable(total));
            ui.refuse(&Msg::Kept { name, done, total });
        }
        None => ui.refuse(&Msg::Interrupted { name, may_be_stored }),
    }
}

fn summary(ui: &mut Ui, tally: &Tally) -> Outcome {
    if tally.not_tried > 0 {
        ui.refuse(&Msg::NotTried { count: tally.not_tried });
    }
    if tally.moved < 2 {
        return Ok(());
    }
    let (seconds, rate) = speed(tally.bytes, tally.time);
    let Tally { moved: files, failed, bytes, .. } = *tally;
    ui.tell(&Msg::Together { files, failed, bytes, seconds, rate })
}

/// The rate of a shorter transfer says nothing.
const SHORT: Duration = Duration::from_millis(10);

/// How many seconds a transfer took, and its rate.
pub(super) fn speed(bytes: u64, time: Duration) -> (String, String) {
    let rate = match time < SHORT {
        true => String::new(),
        false => format!("{}/s", readable(progress::per_second(bytes, time))),
    };
    (format!("{:.3}", time.as_secs_f64()), rate)
}
