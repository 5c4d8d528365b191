//! A listing as text: for people a table, for programs a line a file.

use std::ops::Range;

use crate::lang::{Lang, Msg, decimal};
use crate::store::{Entry, Listing, extension};

/// One line for each entry, with tabs between kind, size and name, and for a file with an identity also its
/// id and its type. A name that is escaped has no tab in it.
pub(super) fn plain(listing: &Listing, escaped: impl Fn(&str) -> String) -> String {
    let mut text = String::new();
    for entry in listing.entries() {
        text += &format!("{}\t{}\t{}", kind(entry), exact(entry), escaped(entry.name));
        if let Some(id) = entry.id {
            text += &format!("\t{}\t{}", escaped(id), escaped(extension(entry.name)));
        }
        text.push('\n');
    }
    text
}

/// Aligned columns: kind, size, exact size, id and type where they are known, and the name. The name is
/// last, so that it needs no width: a terminal draws some characters in two columns, or in none.
pub(super) fn table(
    listing: &Listing,
    colour: bool,
    lang: Lang,
    escaped: impl Fn(&str) -> String,
) -> String {
    let row = |entry: Entry<'_>| {
        let name = match escaped(entry.name) {
            name if colour && entry.size.is_none() => format!("\x1b[1;34m{name}\x1b[0m"),
            name => name,
        };
        vec![
            kind(entry).to_owned(),
            entry.size.map(|size| amount(size).say(lang)).unwrap_or_default(),
            exact(entry),
            entry.id.map(&escaped).unwrap_or_default(),
            entry.id.map(|_| escaped(extension(entry.name))).unwrap_or_default(),
            name,
        ]
    };
    aligned(&listing.entries().map(row).collect::<Vec<_>>(), "  ", 1..3)
}

/// The rows as lines with aligned columns: those in `right` to the right, the others to the left. The last
/// column is not filled up. A column in which all cells are empty is left out.
pub(crate) fn aligned(rows: &[Vec<String>], gap: &str, right: Range<usize>) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        widths.resize(row.len(), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().filter(|(_, (_, width))| **width > 0);
        let cells = cells.map(|(n, (cell, width))| match n {
            n if n + 1 == row.len() => cell.clone(),
            n if right.contains(&n) => format!("{cell:>width$}"),
            _ => format!("{cell:<width$}"),
        });
        text += cells.collect::<Vec<_>>().join(gap).trim_end_matches(' ');
        text.push('\n');
    }
    text
}

/// A size in two or three digits and a unit of a thousand.
pub(crate) fn readable(size: u64) -> String {
    if size < 1000 {
        return format!("{size} B");
    }
    let (mut number, mut unit) = (size as f64, "");
    for next in ["kB", "MB", "GB", "TB", "PB", "EB"] {
        (number, unit) = (number / 1000.0, next);
        if number < 999.5 {
            break;
        }
    }
    let decimals = usize::from(number < 100.0);
    format!("{number:.decimals$} {unit}")
}

/// The same with the decimal mark of each language.
pub(super) fn amount(size: u64) -> Msg {
    decimal(&readable(size))
}

fn kind(entry: Entry<'_>) -> &'static str {
    if entry.size.is_some() { "file" } else { "dir" }
}

fn exact(entry: Entry<'_>) -> String {
    entry.size.map_or("-".to_owned(), |size| size.to_string())
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
    fn columns_are_aligned_and_the_name_is_last() {
        let entries =
            [("a", Some(5), None), ("漢字.txt", Some(12_345), None), ("docs", None, None)];
        assert_eq!(
            table(&listing(&entries), false, Lang::En, str::to_owned),
            "file      5 B      5  a\nfile  12.3 kB  12345  漢字.txt\ndir                -  docs\n"
        );
        let plain = table(&listing(&entries), false, Lang::En, str::to_owned);
        let coloured = table(&listing(&entries), true, Lang::En, str::to_owned);
        assert_eq!(coloured, plain.replace("docs", "\x1b[1;34mdocs\x1b[0m"));
    }

    #[test]
    fn identities_are_aligned_before_the_name() {
        let listing = listing(&[("漢字.txt", Some(5), Some("ID")), ("x", Some(70), Some("LONG"))]);
        assert_eq!(
            table(&listing, false, Lang::En, str::to_owned),
            "file   5 B   5  ID    .txt  漢字.txt\nfile  70 B  70  LONG        x\n"
        );
    }

    #[test]
    fn a_column_of_empty_cells_is_left_out() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [row(["a", "", "1"]), row(["bc", "", "22"])];
        // The last column is as it is, also where it would be to the right.
        assert_eq!(aligned(&rows, " ", 1..3), "a  1\nbc 22\n");
        assert_eq!(aligned(&[], " ", 0..0), "");
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
