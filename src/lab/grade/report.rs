//! The report as a text to read: for each failure the steps, the bytes, the usual mistake and the commands that
//! repeat it; then a table of the groups.

use std::fmt::Write as _;

use super::words::{Say, about, mistake, rule};
use super::{Fail, Graded, Outcome, Report, Rung, What};
use crate::cli::client::reaching;
use crate::lab::lecture::trace::{Event, Side, draw, room, rung};
use crate::lang::{Lang, address};

/// How many bytes a line of a comparison shows.
const BYTES: usize = 20;

/// How many steps are shown at the beginning and at the end of a long ladder.
const STEPS: usize = 12;

/// A bar's length.
const BAR: u64 = 20;

/// How long a command to repeat may be.
const COMMAND: usize = 400;

/// How a report looks.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The width.
    pub columns: usize,
    /// With colors.
    pub colour: bool,
    /// Passed checks explain themselves too.
    pub verbose: bool,
}

/// The whole report.
#[must_use]
pub fn table(report: &Report, look: Look) -> String {
    let lang = report.options.lang;
    let mut text = String::new();
    for graded in &report.graded {
        if look.verbose || matches!(graded.outcome, Outcome::Failed(_)) {
            text += &details(report, graded, look);
            text.push('\n');
        }
    }
    let mut groups: Vec<&str> = report.graded.iter().map(|graded| graded.check.group()).collect();
    groups.dedup();
    for group in groups {
        let of: Vec<_> = report.graded.iter().filter(|it| it.check.group() == group).collect();
        let most: u64 = of.iter().filter(|it| it.counts()).map(|it| it.check.points).sum();
        let score: u64 = of.iter().map(|it| it.score()).sum();
        let full = (score * BAR).checked_div(most).unwrap_or(0);
        let bar: String = (0..BAR).map(|n| if n < full { '#' } else { '-' }).collect();
        let bar = paint(&bar, if most > 0 && score == most { "32" } else { "33" }, look);
        let _ = writeln!(text, "{group:<11}{bar}  {score:>3} / {most}");
        let mut others: Vec<(String, Vec<&str>)> = Vec::new();
        for graded in of.into_iter().filter(|graded| !graded.passed()) {
            let (mark, id) = (status(graded, report), graded.check.id);
            let name = id.split_once('/').map_or(id, |(_, name)| name);
            if matches!(graded.outcome, Outcome::Failed(_)) {
                let _ = writeln!(text, "  {} {name}", paint(&mark, "31", look));
                wrap(&mut text, "    ", about(lang, &full_id(report, graded)), look.columns);
            } else if let Some((_, names)) = others.iter_mut().find(|(known, _)| *known == mark) {
                names.push(name);
            } else {
                others.push((mark, vec![name]));
            }
        }
        for (mark, names) in others {
            let _ = writeln!(text, "  {} {mark}", names.len());
            wrap(&mut text, "    ", &names.join(", "), look.columns);
        }
    }
    let passed = report.graded.iter().filter(|it| it.passed()).count();
    let failed = report.graded.iter().filter(|it| matches!(it.outcome, Outcome::Failed(_))).count();
    let skipped = report.graded.len() - passed - failed;
    let (score, most) = report.score();
    let seconds = format!("{:.1}", report.time.as_secs_f64());
    let (connections, seed) = (report.connections, report.options.seed);
    let is_right = report.is_right();
    if report.left > 0 {
        let _ = writeln!(text, "\n{}", Say::Left { files: report.left }.say(lang));
    }
    let verdict = match report.has_run() {
        true => Say::Verdict { is_right, is_all: report.options.only.is_empty() },
        false => Say::NothingRun,
    };
    let verdict = verdict.say(lang);
    let _ = write!(
        text,
        "\n{}\n{}\n{}\n",
        Say::Counts { passed, failed, skipped }.say(lang),
        Say::Total { score, most, seconds, connections, seed }.say(lang),
        paint(&verdict, if is_right { "32" } else { "31" }, look),
    );
    text
}

/// How a check ended, in a few words.
#[must_use]
pub fn status(graded: &Graded, report: &Report) -> String {
    let say = match &graded.outcome {
        Outcome::Passed => Say::Passed,
        Outcome::Failed(_) => Say::Failed,
        Outcome::Skipped(needs) => Say::Skipped { needs: (*needs).to_owned() },
        Outcome::NeedsRoot => Say::NeedsRoot,
        Outcome::NoTime => Say::NoTime,
        Outcome::Stopped(by) => Say::Stopped { by: (*by).to_owned() },
    };
    say.say(report.options.lang)
}

/// All about one check.
#[must_use]
pub fn details(report: &Report, graded: &Graded, look: Look) -> String {
    let (check, lang) = (graded.check, report.options.lang);
    let id = full_id(report, graded);
    let duty = if check.must { Say::Must } else { Say::Should }.say(lang);
    let points = Say::Points { points: check.points }.say(lang);
    let colour = if graded.passed() { "32" } else { "31" };
    let head = format!("{id}: {}", status(graded, report));
    let mut text = format!("{} ({points}, {duty})\n", paint(&head, colour, look));
    wrap(&mut text, "", about(lang, &id), look.columns);
    wrap(&mut text, &Say::Rule.say(lang), rule(lang, check.rule), look.columns);
    if !graded.rungs.is_empty() {
        text.push('\n');
        ladder(&mut text, &graded.rungs, look.columns, lang);
    }
    if let Outcome::Failed(failure) = &graded.outcome {
        text.push('\n');
        for (n, expected) in failure.expected.iter().enumerate() {
            let label = if n == 0 { Say::Expected } else { Say::Or };
            wrap(&mut text, &label.say(lang), expected, look.columns);
        }
        wrap(&mut text, &Say::Came.say(lang), &failure.got, look.columns);
        if let Some((expected, came)) = &failure.bytes {
            text.push('\n');
            compare(&mut text, expected, came, lang);
        }
        text.push('\n');
        wrap(&mut text, &Say::Mistake.say(lang), mistake(lang, check.rule), look.columns);
        let _ = writeln!(text, "{}{}", Say::Again.say(lang), again(report, graded));
        let mut label = Say::ByHand.say(lang);
        for line in by_hand(report, &graded.rungs, failure) {
            let _ = writeln!(text, "{label}{line}");
            label = " ".repeat(label.chars().count());
        }
    }
    text
}

/// The check's id with its dialect.
#[must_use]
pub fn full_id(report: &Report, graded: &Graded) -> String {
    format!("{}/{}", report.options.dialect.name(), graded.check.id)
}

/// The command that runs this check again.
#[must_use]
pub fn again(report: &Report, graded: &Graded) -> String {
    let options = &report.options;
    let host = bracketed(&options.host);
    let root = if graded.check.root { " --root DIR" } else { "" };
    format!(
        "{} grade --only {}/{} --seed {}{root}",
        reaching("connme-lab", &host, options.port, options.dialect),
        options.dialect.name(),
        graded.check.id,
        options.seed,
    )
}

/// The steps, one in a line.
#[must_use]
pub fn steps(rungs: &[Rung]) -> Vec<String> {
    rungs.iter().map(|step| drawn(step, 60)).collect()
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// The commands that send what the failed connection has sent.
fn by_hand(report: &Report, rungs: &[Rung], failure: &Fail) -> Vec<String> {
    let options = &report.options;
    let sent: Vec<&[u8]> = rungs
        .iter()
        .filter(|step| step.connection == failure.connection)
        .filter_map(|step| match &step.what {
            What::Sent(bytes) => Some(bytes.as_slice()),
            _ => None,
        })
        .collect();
    if sent.is_empty() {
        return Vec::new();
    }
    if sent.iter().map(|bytes| bytes.len()).sum::<usize>() > COMMAND {
        return vec![Say::TooLongByHand.say(options.lang)];
    }
    let host = bracketed(&options.host);
    let said: String = sent.iter().map(|bytes| format!(" '{}'", escaped(bytes, false))).collect();
    let all = escaped(&sent.concat(), true);
    vec![
        format!("{} say{said}", reaching("connme-client", &host, options.port, options.dialect)),
        format!("printf '{all}' | nc -N {} {}", options.host, options.port),
    ]
}

/// Bytes for `connme-client say`, or for printf, whose numbers are octal.
fn escaped(bytes: &[u8], is_printf: bool) -> String {
    let mut text = String::new();
    for byte in bytes {
        let _ = match byte {
            b'\n' => write!(text, "\\n"),
            b'\r' => write!(text, "\\r"),
            b'\t' => write!(text, "\\t"),
            b'\\' => write!(text, "\\\\"),
            b'%' if is_printf => write!(text, "%%"),
            b' '..=b'~' if *byte != b'\'' => write!(text, "{}", char::from(*byte)),
            byte if is_printf => write!(text, "\\{byte:03o}"),
            byte => write!(text, "\\x{byte:02x}"),
        };
    }
    text
}

fn drawn(step: &Rung, columns: usize) -> String {
    let event = match &step.what {
        What::Sent(bytes) => Event::Wrote(bytes),
        What::Got(bytes) => Event::Read(bytes),
        What::Ended => Event::Ended,
        What::End => Event::End,
        What::Reset => Event::Reset,
        What::Silence => Event::Silence,
    };
    let room = room(columns);
    let (call, between) = draw(Side::Client, event, room);
    rung(step.connection, step.at, call, &between, room)
}

fn ladder(text: &mut String, rungs: &[Rung], columns: usize, lang: Lang) {
    let hidden = rungs.len().saturating_sub(2 * STEPS);
    for (n, step) in rungs.iter().enumerate() {
        if n == STEPS && hidden > 0 {
            let _ = writeln!(text, "{:^columns$}", Say::Steps { hidden }.say(lang));
        }
        if n < STEPS || n >= STEPS + hidden {
            *text += &drawn(step, columns);
        }
    }
}

/// Both as hex and text, around the first difference, with a mark under the byte.
fn compare(text: &mut String, expected: &[u8], came: &[u8], lang: Lang) {
    let at = expected.iter().zip(came).take_while(|(a, b)| a == b).count();
    let begin = at.saturating_sub(BYTES / 2) / 4 * 4;
    let (expected_label, came_label) = (Say::Expected.say(lang), Say::Came.say(lang));
    for (label, bytes) in [(&expected_label, expected), (&came_label, came)] {
        let bytes: Vec<u8> = bytes.iter().skip(begin).take(BYTES).copied().collect();
        let mut hex = String::new();
        for (n, byte) in bytes.iter().enumerate() {
            let gap = if n % 4 == 0 && n > 0 { " " } else { "" };
            let _ = write!(hex, "{gap}{byte:02x}");
        }
        let printable =
            |byte: &u8| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '.' };
        let shown: String = bytes.iter().map(printable).collect();
        let _ = writeln!(text, "{label}{hex:<44}  {shown}");
    }
    let (from, column) = (expected_label.chars().count(), at - begin);
    let hex = from + column * 2 + column / 4;
    let shown = from + 46 + column;
    let at = format!("[{at}]");
    let _ = writeln!(text, "{at:<hex$}^^{:1$}^", "", shown - hex - 2);
}

/// The label and the words, in lines of this width.
fn wrap(text: &mut String, label: &str, words: &str, columns: usize) {
    let indent = label.chars().count();
    let mut line = label.to_owned();
    let mut used = indent;
    for word in words.split(' ') {
        let length = word.chars().count();
        if used + length > columns && used > indent {
            *text += line.trim_end();
            text.push('\n');
            line = " ".repeat(indent.min(columns / 2));
            used = indent;
        }
        line += word;
        line.push(' ');
        used += length + 1;
    }
    *text += line.trim_end();
    text.push('\n');
}

fn paint(text: &str, code: &str, look: Look) -> String {
    if look.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// The server's address, for sentences.
#[must_use]
pub fn server(report: &Report) -> String {
    address(&report.options.host, report.options.port)
}
