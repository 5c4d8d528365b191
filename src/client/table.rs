//! A listing as text: for people a table, for programs a line a file.

use super::columns::{cut, width};
use crate::store::{Entry, Listing};

/// How a table is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// The terminal's width.
    pub(super) columns: usize,
    /// Folders in colour. Their kind says it too.
    pub(super) colour: bool,
}

/// A line a file, with tabs between: kind, size, name, and id and type where they are known. No name
/// has a tab in it once it is shown.
#[must_use]
pub(super) fn plain(listing: &Listing, shown: impl Fn(&str) -> String) -> String {
    let mut text = String::new();
    for entry in listing.entries() {
        let size = entry.size.map_or("-".to_owned(), |size| size.to_string());
        text += &format!("{}\t{size}\t{}", kind(entry), shown(entry.name));
        if let Some(id) = entry.id {
            text += &format!("\t{}\t{}", shown(id), shown(extension(entry.name)));
        }
        text.push('\n');
    }
    text
}

/// Aligned columns: kind, size twice, name, and id and type where they are known. A name that does not
/// fit is cut; the other columns never are.
#[must_use]
pub(super) fn table(listing: &Listing, look: Look, shown: impl Fn(&str) -> String) -> String {
    let rows: Vec<[String; 4]> = listing
        .entries()
        .map(|entry| {
            let identity = entry.id.map(|id| {
                format!("{}  {}", shown(id), shown(extension(entry.name))).trim_end().to_owned()
            });
            let exact = entry.size.map_or("-".to_owned(), |size| size.to_string());
            let readable = entry.size.map_or(String::new(), readable);
            [readable, exact, shown(entry.name), identity.unwrap_or_default()]
        })
        .collect();
    let widest = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max().unwrap_or(0)
    };
    let (readable, exact, name, identity) = (widest(0), widest(1), widest(2), widest(3));
    let identity = if identity > 0 { identity.saturating_add(2) } else { 0 };
    let others = [4, 2, readable, 2, exact, 2, identity].iter().sum();
    let room = name.min(look.columns.saturating_sub(others).max(8));
    let mut text = String::new();
    for (entry, [small, full, name, identity]) in listing.entries().zip(&rows) {
        let name = cut(name, room);
        let gap = " ".repeat(room.saturating_sub(width(&name)));
        let name = if look.colour && entry.size.is_none() {
            format!("\x1b[1;34m{name}\x1b[0m")
        } else {
            name
        };
        let line = format!(
            "{:4}  {small:>readable$}  {full:>exact$}  {name}{gap}  {identity}",
            kind(entry)
        );
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// A size in three digits and a unit of a thousand.
#[must_use]
pub(crate) fn readable(size: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut unit = UNITS.iter();
    let mut last = unit.next().copied().unwrap_or_default();
    if size < 1000 {
        return format!("{size} {last}");
    }
    // In tenths, rounded, so that nothing here is a float.
    let (mut whole, mut rest) = (size, 0);
    while whole > 999 || (whole == 999 && rest >= 500) {
        (whole, rest) = (whole / 1000, whole % 1000);
        last = unit.next().copied().unwrap_or(last);
    }
    let tenths = whole.saturating_mul(10).saturating_add((rest.saturating_add(50)) / 100);
    match whole {
        0..100 => format!("{}.{} {last}", tenths / 10, tenths % 10),
        _ => format!("{} {last}", whole.saturating_add(u64::from(rest >= 500))),
    }
}

fn kind(entry: Entry<'_>) -> &'static str {
    if entry.size.is_some() { "file" } else { "dir" }
}

fn extension(name: &str) -> &str {
    name.rfind('.').filter(|dot| *dot > 0).and_then(|dot| name.get(dot..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(entries: &[(&str, Option<u64>, Option<&str>)]) -> Listing {
        let mut listing = Listing::default();
        for (name, size, id) in entries {
            listing.push(Entry { name, size: *size, id: *id });
        }
        listing
    }

    const WIDE: Look = Look { columns: 80, colour: false };

    #[test]
    fn sizes_are_readable() {
        let table = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1049, "1.0 kB"),
            (1050, "1.1 kB"),
            (99_949, "99.9 kB"),
            (99_950, "100.0 kB"),
            (100_000, "100 kB"),
            (999_499, "999 kB"),
            (1_000_000, "1.0 MB"),
            (1_500_000_000, "1.5 GB"),
            (u64::MAX, "18.4 EB"),
        ];
        for (size, shown) in table {
            assert_eq!(readable(size), shown, "{size}");
        }
        for size in (0..70).map(|bits| u64::MAX.checked_shr(bits).unwrap_or(0)) {
            assert!(readable(size).len() <= 8, "{size}");
        }
    }

    #[test]
    fn columns_are_aligned_by_what_is_seen() {
        let listing = listing(&[
            ("a", Some(5), None),
            ("漢字.txt", Some(12_345), None),
            ("docs", None, None),
        ]);
        let shown = table(&listing, WIDE, str::to_owned);
        assert_eq!(
            shown,
            "file      5 B      5  a\nfile  12.3 kB  12345  漢字.txt\ndir                -  docs\n"
        );
    }

    #[test]
    fn identities_are_aligned_and_long_names_cut() {
        let long = "n".repeat(100);
        let listing = listing(&[("漢字.txt", Some(5), Some("ID")), (&long, Some(5), Some("ID"))]);
        for columns in [20, 40, 60, 200] {
            let shown = table(&listing, Look { columns, colour: false }, str::to_owned);
            let lines: Vec<_> = shown.lines().collect();
            let at = |line: &str| width(line.split("ID").next().unwrap());
            assert_eq!(at(lines[0]), at(lines[1]), "{shown}");
            assert!(columns < 40 || lines.iter().all(|line| width(line) <= columns), "{shown}");
        }
    }

    #[test]
    fn programs_get_tabs() {
        let listing = listing(&[
            ("a b", Some(5), None),
            ("docs", None, None),
            ("x.png", Some(1), Some("ID")),
        ]);
        assert_eq!(
            plain(&listing, str::to_owned),
            "file\t5\ta b\ndir\t-\tdocs\nfile\t1\tx.png\tID\t.png\n"
        );
    }
}
