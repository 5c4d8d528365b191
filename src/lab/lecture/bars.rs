//! Draws the comparison as bars: seconds, waiting and round trips of each dialect.

use std::time::Duration;

use super::canvas::{Canvas, Palette, Pen, Style, WIDTH};
use super::words::Words;
use crate::lang::Lang;

/// What is drawn of a dialect.
#[derive(Clone, Debug)]
pub(super) struct Bars {
    pub(super) dialect: &'static str,
    pub(super) time: Duration,
    pub(super) waited: Duration,
    pub(super) trips: u64,
}

/// Where the bars begin and how long the longest is. The rest is for its figure.
const LEFT: f64 = 160.0;
const LONGEST: f64 = WIDTH - LEFT - 150.0;

const ROW: f64 = 32.0;

/// Three charts, each with a bar for each dialect. `what` was moved, for example `10 MB`.
pub(super) fn draw(rows: &[Bars], what: &str, lang: Lang, is_dark: bool) -> String {
    let (words, colours) = (Words::of(lang), Palette::of(is_dark));
    let mut canvas = Canvas::default();
    let ink = Style::new(colours.ink);
    let title = words.comparison.replace("{}", what);
    canvas.text(24.0, 40.0, ink.bold(24.0), &title);
    let mut y = 64.0;
    let mut about = Vec::new();
    let seconds = |time: Duration| (time.as_secs_f64(), format!("{:.4}", time.as_secs_f64()));
    for (head, colour, figure) in [
        (words.seconds, colours.command, 0),
        (words.waited, colours.header, 1),
        (words.trips, colours.payload, 2),
    ] {
        y += 26.0;
        canvas.text(24.0, y, ink.bold(18.0), head);
        let of = |row: &Bars| match figure {
            0 => seconds(row.time),
            1 => seconds(row.waited),
            _ => (row.trips as f64, row.trips.to_string()),
        };
        let figures: Vec<_> = rows.iter().map(|row| (row.dialect, of(row))).collect();
        let most = figures.iter().map(|(_, (value, _))| *value).fold(1e-9, f64::max);
        let top = y + 8.0;
        for (dialect, (value, text)) in &figures {
            y += ROW;
            let length = LONGEST * value / most;
            canvas.text(LEFT - 12.0, y, ink.end(), dialect);
            canvas.rectangle((LEFT, y - 16.0), length.max(1.0), 22.0, colour);
            canvas.text(LEFT + length + 10.0, y, ink, text);
        }
        canvas.line(&[(LEFT, top), (LEFT, y + 12.0)], Pen(colours.pale, 1.0, ""));
        let list = figures.iter().map(|(dialect, (_, text))| format!("{dialect} {text}"));
        about.push(format!("{head}: {}", list.collect::<Vec<_>>().join(", ")));
        y += 24.0;
    }
    let about = words.comparison_about.replace("{}", &about.join(". "));
    canvas.finish((WIDTH, y), colours.paper, &title, &about)
}
