//! What was measured, as a table for people and as JSON for programs.

use std::fmt::Write as _;

use crate::works::Unit;

/// What one server did in one row.
pub struct Figures {
    pub server: String,
    /// One figure a turn; fewer where a turn meant nothing.
    pub turns: Vec<f64>,
    /// Processor time of all turns, in seconds.
    pub processor: Option<f64>,
    /// The most memory held meanwhile, in KiB.
    pub peak: Option<f64>,
}

/// One work, done by all servers, the bare loops first.
pub struct Row {
    pub work: String,
    pub unit: Unit,
    pub servers: Vec<Figures>,
}

/// One line of the course's table.
pub struct Stress {
    pub server: String,
    pub direction: &'static str,
    pub megabytes: u64,
    pub clients: usize,
    pub seconds: f64,
    /// Of all clients together, and of one of them on average, in MB/s.
    pub all: f64,
    pub each: f64,
    pub failed: usize,
}

/// Median, least and most.
#[derive(Clone, Copy)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    pub fn of(values: &[f64]) -> Option<Spread> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        let lower = if sorted.len().is_multiple_of(2) { sorted[middle - 1] } else { upper };
        let median = f64::midpoint(lower, upper);
        Some(Spread { median, min: sorted[0], max: sorted[sorted.len() - 1] })
    }
}

impl Row {
    /// How fast a server was beside the bare loops, turn by turn: 2 is twice as fast, whatever the
    /// figures count.
    fn ratios(&self, figures: &Figures) -> Option<Spread> {
        let pairs = figures.turns.iter().zip(&self.servers.first()?.turns);
        let ratio = |(ours, bare): (&f64, &f64)| {
            if self.unit.more_is_better() { ours / bare } else { bare / ours }
        };
        let mut spread = Spread::of(&pairs.map(ratio).collect::<Vec<_>>())?;
        let medians = (Spread::of(&figures.turns)?, Spread::of(&self.servers.first()?.turns)?);
        spread.median = ratio((&medians.0.median, &medians.1.median));
        Some(spread)
    }

    /// The lines of this row.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let bare = self.servers.first();
        for (n, figures) in self.servers.iter().enumerate() {
            let Some(spread) = Spread::of(&figures.turns) else { continue };
            let work = if text.is_empty() { self.work.as_str() } else { "" };
            let _ = write!(text, "{work:<38} {:<7}", figures.server);
            let _ = write!(text, "{:>9}", short(spread.median));
            let range = format!("{}..{}", short(spread.min), short(spread.max));
            let _ = write!(text, " {:<5} {range:<15}", self.unit.word());
            let ratio = self.ratios(figures).filter(|_| n > 0);
            let ratio = ratio.map_or_else(String::new, |ratio| {
                format!("{:.2} ({:.2}..{:.2})", ratio.median, ratio.min, ratio.max)
            });
            let processor = figures.processor.map_or("-".into(), |time| format!("{time:.2}"));
            let bare = bare.and_then(|bare| bare.processor).filter(|_| n > 0);
            let more = bare.zip(figures.processor).filter(|(bare, _)| *bare > 0.0);
            let more = more.map_or(String::new(), |(bare, ours)| format!("{:.2}", ours / bare));
            let peak = figures.peak.map_or("-".into(), |peak| format!("{:.1}", peak / 1024.0));
            let _ = write!(text, " {ratio:<18} {processor:>6} {more:>5} {peak:>7}");
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        text
    }
}

/// The head of the first table.
pub fn head() -> String {
    format!(
        "{:<38} {:<7}{:>9} {:<5} {:<15} {:<18} {:>6} {:>5} {:>7}\n",
        "work", "server", "median", "", "min..max", "of bare (turns)", "cpu s", "ratio", "MiB"
    )
}

/// The head of the second.
pub fn stress_head() -> String {
    format!(
        "{:<9} {:>6} {:>8} {:<8} {:>8} {:>9} {:>11} {:>7}\n",
        "direction", "MB", "clients", "server", "seconds", "MB/s all", "MB/s client", "failed"
    )
}

impl Stress {
    pub fn table(&self) -> String {
        format!(
            "{:<9} {:>6} {:>8} {:<8} {:>8.3} {:>9.0} {:>11.0} {:>7}\n",
            self.direction,
            self.megabytes,
            self.clients,
            self.server,
            self.seconds,
            self.all,
            self.each,
            self.failed
        )
    }

    fn json(&self) -> String {
        format!(
            "{{\"direction\":\"{}\",\"megabytes\":{},\"clients\":{},\"server\":{},\"seconds\":{:.6},\
             \"all\":{:.3},\"each\":{:.3},\"failed\":{}}}",
            self.direction,
            self.megabytes,
            self.clients,
            quoted(&self.server),
            self.seconds,
            self.all,
            self.each,
            self.failed
        )
    }
}

impl Row {
    fn json(&self) -> String {
        let server = |figures: &Figures| {
            let number =
                |value: Option<f64>| value.map_or("null".into(), |value| format!("{value:.6}"));
            let spread = |spread: Option<Spread>| {
                spread.map_or("null".into(), |Spread { median, min, max }| {
                    format!("{{\"median\":{median:.6},\"min\":{min:.6},\"max\":{max:.6}}}")
                })
            };
            let turns: Vec<_> = figures.turns.iter().map(|turn| format!("{turn:.6}")).collect();
            format!(
                "{{\"server\":{},\"figures\":{},\"of_bare\":{},\"processor_seconds\":{},\
                 \"peak_kib\":{},\"turns\":[{}]}}",
                quoted(&figures.server),
                spread(Spread::of(&figures.turns)),
                spread(self.ratios(figures)),
                number(figures.processor),
                number(figures.peak),
                turns.join(",")
            )
        };
        let servers: Vec<_> = self.servers.iter().map(server).collect();
        format!(
            "{{\"work\":{},\"unit\":\"{}\",\"servers\":[{}]}}",
            quoted(&self.work),
            self.unit.word(),
            servers.join(",")
        )
    }
}

/// All of it.
pub fn json(rows: &[Row], stress: &[Stress]) -> String {
    let rows: Vec<_> = rows.iter().map(Row::json).collect();
    let stress: Vec<_> = stress.iter().map(Stress::json).collect();
    format!("{{\"rows\":[{}],\"stress\":[{}]}}\n", rows.join(","), stress.join(","))
}

/// Three digits that count.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        0.0..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.extend(format!("\\u{:04x}", u32::from(c)).chars()),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
