//! The first table: medians, ranges and ratios. A figure that is not known is NaN, and not shown.

use crate::rows::Row;
use crate::server::Server;

pub const HEAD: &str = concat!(
    "work                                   server    median       min..max        ",
    "of bare (turns)     cpu s ratio     MiB\n"
);

/// What one server did in one row.
pub struct Figures<'s> {
    pub server: &'s Server,
    /// One figure for each turn. Empty if the row does not apply to this server.
    pub turns: Vec<f64>,
    /// The processor time of all turns.
    pub cpu_seconds: f64,
    /// The most memory that the server had during the row.
    pub peak_kib: f64,
}

/// The median and the range of some figures, NaN if there are none.
pub struct Spread {
    pub median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    pub fn of(figures: &[f64]) -> Spread {
        let mut sorted = figures.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        let at = |n: usize| sorted.get(n).copied().unwrap_or(f64::NAN);
        // Of an even number of figures, the median is the middle of two.
        let median = f64::midpoint(at(last / 2), at(sorted.len() / 2));
        Spread { median, min: at(0), max: at(last) }
    }
}

/// One row of the table: a line for each server that the row applies to. The first server is the
/// bare loops. Only the first line has the name of the row.
pub fn lines(row: &Row<'_>, all: &[Figures<'_>]) -> String {
    let mut text = String::new();
    for (n, figures) in all.iter().enumerate().filter(|(_, one)| !one.turns.is_empty()) {
        let name = if text.is_empty() { row.name.as_str() } else { "" };
        let Spread { median, min, max } = Spread::of(&figures.turns);
        let range = format!("{}..{}", three_digits(min), three_digits(max));
        let (mut of_bare, mut cpu_of_bare) = (String::new(), f64::NAN);
        if n > 0 {
            of_bare = compare(row.unit, &figures.turns, &all[0].turns);
            cpu_of_bare = figures.cpu_seconds / all[0].cpu_seconds;
        }
        let line = format!(
            "{name:<38} {:<7}{:>9} {:<5} {range:<15} {of_bare:<18} {:>6} {:>5} {:>7}",
            figures.server.name,
            three_digits(median),
            row.unit,
            known(figures.cpu_seconds, 2),
            known(cpu_of_bare, 2),
            known(figures.peak_kib / 1024.0, 1),
        );
        text += &format!("{}\n", line.trim_end());
    }
    text
}

/// How fast a server was compared with the bare loops: 2 is twice as fast, whatever the unit. First
/// the ratio of the medians, then the range of the ratios of single turns.
fn compare(unit: &str, turns: &[f64], bare_turns: &[f64]) -> String {
    let ratio = |turn: f64, bare: f64| if unit.ends_with("/s") { turn / bare } else { bare / turn };
    let pairs = turns.iter().zip(bare_turns);
    let Spread { min, max, .. } =
        Spread::of(&pairs.map(|(turn, bare)| ratio(*turn, *bare)).collect::<Vec<_>>());
    let median = ratio(Spread::of(turns).median, Spread::of(bare_turns).median);
    if median.is_nan() { String::new() } else { format!("{median:.2} ({min:.2}..{max:.2})") }
}

/// Enough digits to compare, and no more.
fn three_digits(value: f64) -> String {
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$}")
}

fn known(value: f64, digits: usize) -> String {
    if value.is_finite() { format!("{value:.digits$}") } else { String::new() }
}
