//! How wide the terminal is.

use std::io::IsTerminal;
use std::sync::OnceLock;

/// The width of what is not a terminal, and of a terminal that does not say.
pub const COLUMNS: usize = 80;

/// The width of standard output.
#[must_use]
pub fn of_output() -> usize {
    if std::io::stdout().is_terminal() { terminal() } else { COLUMNS }
}

/// The width of standard error.
#[must_use]
pub fn of_errors() -> usize {
    if std::io::stderr().is_terminal() { terminal() } else { COLUMNS }
}

/// What `COLUMNS` says, or else `stty`, which is asked once: the standard library cannot ask itself.
fn terminal() -> usize {
    static FOUND: OnceLock<usize> = OnceLock::new();
    *FOUND.get_or_init(|| choose(std::env::var("COLUMNS").ok().as_deref(), measured))
}

/// The first of the two that a line can be drawn in. A terminal of unknown size says 0.
fn choose(told: Option<&str>, measured: impl FnOnce() -> Option<usize>) -> usize {
    let is_usable = |columns: &usize| (1..=1000).contains(columns);
    let told = told.and_then(|columns| columns.parse().ok()).filter(is_usable);
    told.or_else(|| measured().filter(is_usable)).unwrap_or(COLUMNS)
}

#[cfg(unix)]
fn measured() -> Option<usize> {
    use std::process::{Command, Stdio};
    let terminal = std::fs::File::open("/dev/tty").ok()?;
    let output = Command::new("stty").arg("size").stdin(terminal).stderr(Stdio::null()).output();
    let said = String::from_utf8(output.ok()?.stdout).ok()?;
    said.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(not(unix))]
fn measured() -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_width_of_nothing_is_not_one() {
        for (told, measured, columns) in [
            (Some("120"), Some(90), 120),
            (Some("0"), Some(90), 90),
            (Some("x"), Some(90), 90),
            (None, Some(90), 90),
            (Some("0"), Some(0), COLUMNS),
            (None, None, COLUMNS),
        ] {
            assert_eq!(choose(told, || measured), columns, "{told:?} {measured:?}");
        }
    }
}
