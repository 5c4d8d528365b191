//! Draws the comparison as bars: seconds, waiting and round trips of each dialect.

use std::time::Duration;

use super::canvas::{Canvas, Palette, Pen, Style, WIDTH};
use crate::lang::{Lang, msg};

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
    let colours = Palette::of(is_dark);
    let mut canvas = Canvas::default();
    let ink = Style::new(colours.ink);
    let title =
        msg!("A file through four framings: {what}", "Satu file dengan empat framing: {what}");
    let title = title.say(lang);
    canvas.text(24.0, 40.0, ink.bold(24.0), &title);
    let mut y = 64.0;
    let mut about = Vec::new();
    let of = |figure: fn(&Bars) -> (f64, String)| {
        rows.iter().map(|row| (row.dialect, figure(row))).collect::<Vec<_>>()
    };
    let charts = [
        (
            lang.choose("Seconds for the whole job", "Detik untuk seluruh pekerjaan"),
            colours.command,
            of(|row| seconds(row.time)),
        ),
        (
            lang.choose("Seconds of waiting for pauses", "Detik menunggu jeda"),
            colours.header,
            of(|row| seconds(row.waited)),
        ),
        (
            lang.choose("Round trips", "Bolak-balik"),
            colours.payload,
            of(|row| (row.trips as f64, row.trips.to_string())),
        ),
    ];
    for (head, colour, figures) in charts {
        y += 26.0;
        canvas.text(24.0, y, ink.bold(18.0), head);
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
    let about = about.join(". ");
    let about = msg!(
        "Three bar charts: the seconds of the whole job, the seconds spent waiting for pauses, and the round trips. \
         {about}.",
        "Tiga diagram batang: detik untuk seluruh pekerjaan, detik menunggu jeda, dan jumlah bolak-balik. {about}."
    );
    canvas.finish((WIDTH, y), colours.paper, &title, &about.say(lang))
}

fn seconds(time: Duration) -> (f64, String) {
    (time.as_secs_f64(), format!("{:.4}", time.as_secs_f64()))
}
