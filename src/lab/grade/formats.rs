//! The report for other programs: course systems and test runners. What each of them takes is a file in `formats`: what
//! comes first, after `== WAYS` what comes for a check that ended in one of these ways, and after `== end` the end.
//! `{x}` is a fact as it is, `{"x"}` as a text of JSON, `{[x]}` as an array of its lines, `{<x>}` as a text of XML, `{#x}` as
//! one of TAP; `{comma}` is one, but for the first check.

use super::places::is_in;
use super::report::{Look, PLAIN, again, details, fact_of, label, subject, table, verdict};
use super::{Graded, Report};
use crate::dialect::json_value::Value;
use crate::lab::text::xml;

/// The forms, by the word that a user types. The one for people has no file.
pub const FORMATS: [(&str, &str); 7] = [
    ("table", ""),
    ("json", include_str!("formats/json.txt")),
    ("tap", include_str!("formats/tap.txt")),
    ("junit", include_str!("formats/junit.txt")),
    ("gradescope", include_str!("formats/gradescope.txt")),
    ("classroom", include_str!("formats/classroom.txt")),
    ("check50", include_str!("formats/check50.txt")),
];

/// The form of this name.
pub fn named(name: &str) -> Option<&'static str> {
    FORMATS.iter().map(|(word, _)| *word).find(|word| *word == name)
}

/// The report in the form of this name; without a name, for people.
pub fn render(report: &Report, format: &str, look: Look) -> String {
    let file = FORMATS.iter().find(|(name, _)| *name == format).map_or("", |it| it.1);
    if file.is_empty() { table(report, look) } else { render_as(report, file) }
}

fn render_as(report: &Report, file: &str) -> String {
    let mut parts = vec![("head", String::new())];
    for line in file.lines().skip_while(|line| line.starts_with("# ")) {
        if let Some(ways) = line.strip_prefix("== ") {
            parts.push((ways, String::new()));
        } else if let Some((_, text)) = parts.last_mut() {
            *text += line;
            *text += "\n";
        }
    }
    let part = |way: &str| parts.iter().find(|(ways, _)| is_in(ways, way)).map(|it| it.1.as_str());
    let of_report = |way: &str| fill(part(way).unwrap_or_default(), &|name| fact(report, name));
    let (mut out, mut n) = (of_report("head"), 0);
    for graded in &report.graded {
        if let Some(text) = part(graded.way) {
            n += 1;
            out += &fill(text, &|name| match (name, name.strip_prefix("brief-of-")) {
                (_, Some(most)) => brief(report, graded, most.parse().unwrap_or(0)),
                ("n", _) => n.to_string(),
                ("comma", _) => if n > 1 { "," } else { "" }.to_owned(),
                _ => fact_of(report, graded, name, PLAIN) + &fact(report, name),
            });
        }
    }
    out + &of_report("end")
}

/// A text with its places filled. The other braces are those of JSON.
fn fill(text: &str, fact: &dyn Fn(&str) -> String) -> String {
    let mut parts = text.split('{');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let place =
            part.split_once('}').and_then(|(place, rest)| Some((written(place, fact)?, rest)));
        out += &match place {
            Some((written, rest)) => written + rest,
            None => format!("{{{part}"),
        };
    }
    out
}

fn written(place: &str, fact: &dyn Fn(&str) -> String) -> Option<String> {
    let name = place.trim_matches(['"', '<', '>', '#', '[', ']']);
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || !name.bytes().all(is_name) {
        return None;
    }
    Some(match place.chars().next()? {
        '"' => Value::text(&fact(name)).to_string(),
        '<' => fact(name).split('\n').map(xml).collect::<Vec<_>>().join("\n"),
        '[' => Value::Array(fact(name).lines().map(Value::text).collect()).to_string(),
        // It begins a directive.
        '#' => fact(name).replace('#', "\\#"),
        _ => fact(name),
    })
}

/// A fact about the whole report.
fn fact(report: &Report, name: &str) -> String {
    let (total, most) = report.score();
    let ended = |ways: &str| report.graded.iter().filter(|it| is_in(ways, it.way)).count();
    match name {
        "version" => env!("CARGO_PKG_VERSION").to_owned(),
        "subject" => subject(&report.options).1,
        "dialect" => report.options.dialect.name().to_owned(),
        "seed" => report.options.seed.to_string(),
        "total" => total.to_string(),
        "most" => most.to_string(),
        "is-right" => report.is_right().to_string(),
        "pass-or-fail" => if report.is_right() { "pass" } else { "fail" }.to_owned(),
        "time" => format!("{:.3}", report.time.as_secs_f64()),
        "verdict" => verdict(report, PLAIN).trim().to_owned(),
        "checks" => report.graded.len().to_string(),
        "counted" => report.graded.iter().filter(|it| it.counts()).count().to_string(),
        "failures" => ended("failed stopped no-time left-out").to_string(),
        "skipped" => ended("skipped needs not-here").to_string(),
        _ => String::new(),
    }
}

/// The details of the failures, so short that all of them together have at most about this many bytes.
fn brief(report: &Report, graded: &Graded, most: usize) -> String {
    if graded.passed() {
        return String::new();
    }
    let failures = report.graded.iter().filter(|it| it.counts() && !it.passed()).count();
    let (details, share) = (details(report, graded, PLAIN), most / failures.max(1));
    if details.len() <= share {
        return details;
    }
    let shown = (0..=share).rev().find_map(|end| details.get(..end)).unwrap_or_default();
    format!("{shown}…\n{}{}\n", label(report.options.lang, "again"), again(report, graded))
}
