//! The progress of a transfer as one line.

use std::time::Duration;

use super::table::{amount, readable};
use crate::lang::{Lang, Msg, Word, decimal, msg, text};

/// How far a command has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Transfer {
    /// How many files are done.
    pub(super) files: usize,
    /// How many of them have failed.
    pub(super) failed: usize,
    /// Of how many.
    pub(super) of: usize,
    /// The name of the file that moves.
    pub(super) name: String,
    /// How many bytes have moved, of all files together.
    pub(super) done: u64,
    /// How many of them were here already.
    pub(super) partial: u64,
    /// Of how many, if that is known.
    pub(super) total: Option<u64>,
}

/// The line for a transfer: how many files, then percent, rate, remaining time, bytes and name, as far as they are known
/// and fit into `columns`, and a bar for a single file where there is room. `waiting` is since when the server's receipt
/// for a single file is expected.
pub(super) fn line(
    transfer: &Transfer,
    elapsed: Duration,
    waiting: Option<Duration>,
    columns: usize,
    lang: Lang,
) -> String {
    let Transfer { files, failed, of, done, partial, total, ref name } = *transfer;
    let (done, is_single) = (done.min(total.unwrap_or(done)), of < 2);
    let rate = per_second(done.saturating_sub(partial), elapsed);
    let share =
        total.map(|total| (u128::from(done) * 100).checked_div(total.into()).unwrap_or(100));
    let left =
        total.map(|total| (total - done).checked_div(rate).map_or("--:--".to_owned(), clock));
    let amount = amount(done);
    let parts = match waiting.map(|time| time.as_secs()) {
        Some(seconds @ 1..) if is_single => vec![text!("waiting-for-receipt", amount, seconds)],
        _ => [
            (!is_single).then(|| msg!("{files} of {of} files", "{files} dari {of} file")),
            (failed > 0).then(|| msg!("{failed} failed", "{failed} gagal")),
            share.map(|share| msg!("{share:>3}%", "{share:>3}%")),
            Some(speed(rate)),
            left.map(Word::into_msg),
            Some(bytes_done(done, total)),
            (!is_single && !name.is_empty()).then(|| name.into_msg()),
        ]
        .into_iter()
        .flatten()
        .collect(),
    };
    let text = fit(&parts, columns, lang);
    // Two brackets around the bar, and two spaces after it.
    let width = columns.saturating_sub(text.len() + 4).min(38);
    match share.and_then(|share| usize::try_from(share).ok()) {
        Some(share) if is_single && parts.len() > 1 && width > 5 => {
            let full = width * share / 100;
            format!("[{}{}]  {text}", "#".repeat(full), ".".repeat(width - full))
        }
        _ => text,
    }
}

/// How many bytes have moved, and of how many, if that is known.
pub(super) fn bytes_done(done: u64, total: Option<u64>) -> Msg {
    let (done, total) = (amount(done), total.map(amount));
    match total {
        Some(total) => msg!("{done} of {total}", "{done} dari {total}"; done, total),
        None => done,
    }
}

fn speed(rate: u64) -> Msg {
    decimal(&format!("{}/s", readable(rate)))
}

/// The bytes per second.
pub(crate) fn per_second(bytes: u64, elapsed: Duration) -> u64 {
    let rate = u128::from(bytes) * 1_000_000 / elapsed.as_micros().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// As many of the parts as fit, the first before the others.
fn fit(parts: &[Msg], columns: usize, lang: Lang) -> String {
    let mut line = String::new();
    for part in parts.iter().map(|part| part.say(lang)) {
        let gap = if line.is_empty() { "" } else { "  " };
        if line.len() + gap.len() + part.len() <= columns {
            line = line + gap + &part;
        }
    }
    line
}

fn clock(seconds: u64) -> String {
    match seconds {
        0..3600 => format!("{:02}:{:02}", seconds / 60, seconds % 60),
        3600..360_000 => format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
        _ => "--:--".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn single_line(done: u64, total: Option<u64>, rate: u64, columns: usize, lang: Lang) -> String {
        let partial = done.saturating_sub(rate);
        let transfer = Transfer { of: 1, done, partial, total, ..Transfer::default() };
        line(&transfer, Duration::from_secs(1), None, columns, lang)
    }

    #[test]
    fn a_line_says_share_rate_time_and_bytes() {
        assert_eq!(
            single_line(2_500_000, Some(10_000_000), 2_500_000, 80, Lang::En),
            "[#########...........................]   25%  2.5 MB/s  00:03  2.5 MB of 10.0 MB"
        );
        assert_eq!(
            single_line(2_500_000, Some(10_000_000), 2_500_000, 20, Lang::En),
            " 25%  2.5 MB/s"
        );
        assert_eq!(single_line(2_500_000, None, 2_500_000, 80, Lang::En), "2.5 MB/s  2.5 MB");
        assert!(single_line(0, Some(0), 0, 80, Lang::En).contains("100%"));
        assert!(single_line(0, Some(5), 0, 80, Lang::En).contains("  0%  0 B/s  --:--"));
    }

    #[test]
    fn a_time_is_shown_as_on_a_clock() {
        let shown = [59, 3599, 3600, 359_999, 360_000].map(clock);
        assert_eq!(shown, ["00:59", "59:59", "1:00:00", "99:59:59", "--:--"]);
    }

    #[test]
    fn a_line_for_many_files_says_how_many_are_done() {
        let transfer = Transfer {
            files: 37,
            failed: 3,
            of: 1000,
            done: 12_300_000,
            partial: 0,
            total: Some(80_000_000),
            name: "a.txt".to_owned(),
        };
        let say = |transfer: Transfer, waiting: Option<u64>, columns, lang| {
            let (elapsed, waiting) = (Duration::from_secs(3), waiting.map(Duration::from_secs));
            line(&transfer, elapsed, waiting, columns, lang)
        };
        assert_eq!(
            say(transfer.clone(), Some(5), 80, Lang::En),
            "37 of 1000 files  3 failed   15%  4.1 MB/s  00:16  12.3 MB of 80.0 MB  a.txt"
        );
        assert_eq!(
            say(Transfer { failed: 0, ..transfer.clone() }, None, 80, Lang::Id),
            "37 dari 1000 file   15%  4,1 MB/s  00:16  12,3 MB dari 80,0 MB  a.txt"
        );
        assert_eq!(say(transfer.clone(), None, 20, Lang::En), "37 of 1000 files");
        let unknown = Transfer { total: None, failed: 0, name: String::new(), ..transfer };
        assert_eq!(say(unknown, None, 80, Lang::En), "37 of 1000 files  4.1 MB/s  12.3 MB");
        let one = Transfer {
            of: 1,
            done: 5_000_000,
            partial: 2_000_000,
            total: Some(5_000_000),
            ..Transfer::default()
        };
        assert_eq!(
            say(one.clone(), Some(12), 80, Lang::En),
            "5.0 MB handed to the system; waiting for the receipt, 12 s"
        );
        let line = say(one, Some(0), 80, Lang::En);
        assert!(line.contains("100%  1.0 MB/s  00:00"), "{line}");
    }

    #[test]
    fn a_line_fits_whatever_the_width() {
        let parts = ["123", "1234"].map(|part| Msg::said(part, part));
        let fitting = |columns| fit(&parts, columns, Lang::En);
        assert_eq!([8, 9].map(fitting), ["123", "123  1234"]);
        for columns in 20..=200 {
            for (done, total) in
                [(0, 0), (0, 1), (1, 3), (u64::MAX, u64::MAX), (7, u64::MAX), (9, 3)]
            {
                for rate in [0, 1, 1000, u64::MAX] {
                    for total in [Some(total), None] {
                        let line = single_line(done, total, rate, columns, Lang::En);
                        assert!(line.len() <= columns && !line.is_empty(), "{columns}: {line}");
                    }
                }
            }
        }
    }
}
