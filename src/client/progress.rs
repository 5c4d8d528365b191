//! The progress of a transfer as one line.

use std::time::Duration;

use super::table::readable;

/// The line for a transfer that has moved `done` of `total` bytes, if the total is known. It fits into
/// `columns`, and has the most important parts where these are few: percent, then rate, then remaining
/// time, then bytes, and a bar where there is room.
#[must_use]
pub(super) fn line(done: u64, total: Option<u64>, elapsed: Duration, columns: usize) -> String {
    let rate = per_second(done, elapsed);
    let speed = format!("{}/s", readable(rate));
    let Some(total) = total else {
        return fit(&[readable(done), speed], columns);
    };
    let done = done.min(total);
    let percent = (u128::from(done) * 100).checked_div(total.into()).unwrap_or(100);
    let percent = usize::try_from(percent).unwrap_or(100);
    let left = (total - done).checked_div(rate).map_or("--:--".to_owned(), clock);
    let bytes = format!("{} of {}", readable(done), readable(total));
    let text = fit(&[format!("{percent:>3}%"), speed, left, bytes], columns);
    let room = columns.saturating_sub(text.len()).min(42);
    if room < 10 {
        return text;
    }
    // Two brackets around the bar, and two spaces after it.
    let width = room - 4;
    let full = width * percent / 100;
    format!("[{}{}]  {text}", "#".repeat(full), ".".repeat(width - full))
}

/// The bytes per second.
#[must_use]
pub(crate) fn per_second(bytes: u64, elapsed: Duration) -> u64 {
    let rate = u128::from(bytes) * 1_000_000 / elapsed.as_micros().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// As many of the parts as fit, the first before the others.
fn fit(parts: &[String], columns: usize) -> String {
    let mut line = String::new();
    for part in parts {
        let gap = if line.is_empty() { "" } else { "  " };
        if line.len() + gap.len() + part.len() <= columns {
            line = line + gap + part;
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

    #[test]
    fn a_line_says_share_rate_time_and_bytes() {
        let second = Duration::from_secs(1);
        assert_eq!(
            line(2_500_000, Some(10_000_000), second, 80),
            "[#########...........................]   25%  2.5 MB/s  00:03  2.5 MB of 10.0 MB"
        );
        assert_eq!(line(2_500_000, Some(10_000_000), second, 20), " 25%  2.5 MB/s");
        assert_eq!(line(2_500_000, None, second, 80), "2.5 MB  2.5 MB/s");
        assert!(line(0, Some(0), Duration::ZERO, 80).contains("100%"));
        assert!(line(0, Some(5), Duration::ZERO, 80).contains("  0%  0 B/s  --:--"));
    }

    #[test]
    fn a_line_fits_whatever_the_width() {
        for columns in 20..=200 {
            for (done, total) in
                [(0, 0), (0, 1), (1, 3), (u64::MAX, u64::MAX), (7, u64::MAX), (9, 3)]
            {
                for millis in [0, 1, 1000, 10_000_000] {
                    for total in [Some(total), None] {
                        let line = line(done, total, Duration::from_millis(millis), columns);
                        assert!(line.len() <= columns && !line.is_empty(), "{columns}: {line}");
                    }
                }
            }
        }
    }
}
