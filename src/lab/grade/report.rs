//! The report as a text to read: for each failure the steps, the bytes, the usual mistake and the commands that
//! repeat it; then a table of the groups.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::path::Path;

use super::hint::{CLOSED, causes, seen};
use super::seen::{came, first_difference};
use super::{Check, Fail, Graded, Options, Report, Rung, points};
use crate::dialect::Dialect;
use crate::lab::lecture::trace::{Event, Side, draw, room, rung};
use crate::lab::text::{said, sentence, wrapped};
use crate::lang::{Lang, address, printable};

/// How many bytes a line of a comparison shows.
const BYTES: usize = 20;

/// How many steps are shown at the beginning and at the end of a long ladder.
const STEPS: usize = 12;

/// How long what is said by hand may be.
const COMMAND: usize = 400;

/// A bar's length.
const BAR: u64 = 20;

/// How a report looks.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The width.
    pub columns: usize,
    /// With colors.
    pub colour: bool,
}

/// Without colors, in lines of 80 columns.
pub(super) const PLAIN: Look = Look { columns: 80, colour: false };

/// The whole report.
pub(super) fn table(report: &Report, look: Look) -> String {
    let lang = report.options.lang;
    let mut text = String::new();
    let causes = causes(report);
    for (seen, ids) in &causes {
        wrap(&mut text, "", &seen.say(lang), look.columns);
        wrap(&mut text, "  ", &ids.join(", "), look.columns);
        text.push('\n');
    }
    let told: Vec<_> = causes.iter().flat_map(|(_, ids)| ids.iter().skip(1)).collect();
    for graded in &report.graded {
        if graded.failure.is_some() && !told.contains(&&graded.check.id) {
            text += &details(report, graded, look);
            text.push('\n');
        }
    }
    for of in groups(report) {
        text += &bar(of, lang, look);
        let mut names: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for graded in of.iter().filter(|graded| !graded.passed()) {
            names.entry(status(graded, lang)).or_default().push(graded.check.name());
        }
        for (mark, names) in names {
            let _ = writeln!(text, "  {mark}");
            wrap(&mut text, "    ", &names.join(", "), look.columns);
        }
    }
    text + "\n" + &verdict(report, look) + &next(report)
}

/// The checks of each group.
pub(super) fn groups(report: &Report) -> impl Iterator<Item = &[Graded]> {
    report.graded.chunk_by(|a, b| a.check.group() == b.check.group())
}

/// A line for a group: a bar and its points.
pub(super) fn bar(of: &[Graded], lang: Lang, look: Look) -> String {
    let group = of.first().map_or("", |it| it.check.group());
    let (score, most) = points(of);
    if most == 0 {
        return format!("{group:<11}{}\n", sentence(lang, "status left-out"));
    }
    let full = score * BAR / most;
    let bar: String = (0..BAR).map(|n| if n < full { '#' } else { '-' }).collect();
    let bar = paint(&bar, if score == most { "32" } else { "33" }, look);
    format!("{group:<11}{bar}  {score:>3} / {most}\n")
}

/// The points, and whether the protocol is kept.
pub(super) fn verdict(report: &Report, look: Look) -> String {
    let (score, most) = report.score();
    let seconds = format!("{:.1}", report.time.as_secs_f64());
    let of_report = |name: &str, words: &[&dyn Display]| {
        said(&format!("report {name}"), words).say(report.options.lang)
    };
    let all: u64 = report.graded.iter().map(|graded| graded.check.points).sum();
    let mut text = of_report("total", &[&score, &most, &seconds, &report.options.seed]);
    if all > most {
        text += &of_report("rest", &[&(all - most)]);
    }
    if let Some(limit) = report.limit(most) {
        let because_of = report.opening().map_or("", |it| it.check.id);
        text += &format!("\n{}", of_report("limit", &[&limit, &most, &because_of]));
    }
    let (verdict, colour) = match report.has_run() {
        false => ("unknown", "31"),
        true if report.is_right() => ("right", "32"),
        true => ("wrong", "31"),
    };
    format!("{text}\n{}\n", paint(&of_report(verdict, &[]), colour, look))
}

/// How a check ended, in a few words.
pub(super) fn status(graded: &Graded, lang: Lang) -> String {
    let way = graded.failure.as_ref().map_or(graded.way, |failure| failure.verdict);
    said(&format!("status {way}"), &[&graded.about]).say(lang)
}

/// Whether the protocol requires a check.
pub(super) fn duty(check: &Check, lang: Lang) -> &'static str {
    if check.must { lang.choose("must", "wajib") } else { lang.choose("should", "sebaiknya") }
}

/// What is told of a check, in this order, with an empty line for each `|`. The labels are sentences.
const LINES: &str =
    "about rule | ladder | expected got | bytes | typed printed | seen usual again by-hand";

/// All about one check.
pub fn details(report: &Report, graded: &Graded, look: Look) -> String {
    let lang = report.options.lang;
    let colour = if graded.passed() { "32" } else { "31" };
    let fact = |name: &str| fact_of(report, graded, name, look);
    let head = paint(&format!("{}: {}", fact("id"), fact("reason")), colour, look);
    let (duty, s) = (duty(graded.check, lang), if graded.check.points == 1 { "" } else { "s" });
    let mut text = said("report head", &[&head, &duty, &fact("points"), &s]).say(lang);
    for name in LINES.split(' ') {
        let words = fact(name);
        match name {
            "|" if !text.ends_with("\n\n") => text.push('\n'),
            _ if words.is_empty() => {}
            "again" if graded.failure.is_none() => {}
            // These have lines of their own, or are to be copied.
            "ladder" | "bytes" | "again" | "by-hand" => {
                text += &format!("{}{words}\n", label(lang, name));
            }
            _ => wrap(&mut text, &label(lang, name), &words, look.columns),
        }
    }
    text.trim_end().to_owned() + "\n"
}

/// What a line of a report begins with.
pub(super) fn label(lang: Lang, name: &str) -> String {
    match sentence(lang, &format!("label {name}")) {
        "" => String::new(),
        label => format!("{label:<9} "),
    }
}

/// What there is to tell of a check under this name.
pub(super) fn fact_of(report: &Report, graded: &Graded, name: &str, look: Look) -> String {
    let (check, lang) = (graded.check, report.options.lang);
    let seen = seen(report, graded);
    match (name, graded.failure.as_deref()) {
        ("id", _) => report.options.full_id(check.id),
        ("about", _) => check.about(lang).to_owned(),
        ("reason", _) => status(graded, lang),
        ("points", _) => check.points.to_string(),
        ("rule", _) => check.rule(lang).to_owned(),
        ("mistake", _) => check.mistake(lang).to_owned(),
        ("again", _) => again(report, graded),
        ("ladder", _) => ladder(report, &graded.rungs, look.columns),
        ("expected", Some(failure)) => failure.expected.say(lang),
        ("got", Some(failure)) => failure.got.say(lang),
        ("bytes", Some(Fail { bytes: Some(bytes), .. })) => compare(bytes, lang),
        ("typed", Some(failure)) => last_lines(&failure.typed, look),
        ("printed", Some(failure)) => last_lines(&failure.printed, look),
        ("seen", _) => seen.map(|(_, what)| what.say(lang)).unwrap_or_default(),
        // What was seen says more than what is usual, unless it says only that the connection ended.
        ("usual", Some(_)) if seen.is_none_or(|(name, _)| name == CLOSED) => {
            check.mistake(lang).to_owned()
        }
        ("by-hand", Some(failure)) => by_hand(report, graded, failure),
        // These are for other programs alone.
        ("group", _) => check.group().to_owned(),
        ("duty", _) => duty(check, Lang::En).to_owned(),
        ("status", _) => graded.way.to_owned(),
        ("score", _) => graded.score().to_string(),
        ("seconds", _) => format!("{:.3}", graded.time.as_secs_f64()),
        ("details", _) => details(report, graded, look),
        _ => String::new(),
    }
}

/// Lines that a program has printed, or that it was given.
fn last_lines(lines: &[String], look: Look) -> String {
    let room = look.columns.saturating_sub(10);
    lines.iter().map(|line| cut(&printable(line.as_bytes()), room)).collect::<Vec<_>>().join("\n")
}

/// What follows the lines of the groups: the first two failures of the first group that has any, which other checks lost
/// points, and what to do next. With ten groups, all of it fits on a screen of 24 lines.
pub fn screen(report: &Report, look: Look) -> String {
    let mut failed = failures(report);
    let first = failed.first().map(|it| it.check.group());
    failed.retain(|it| Some(it.check.group()) == first);
    failed.truncate(2);
    let shown: String = failed.iter().map(|it| in_short(report, it, look)).collect();
    let lost = also_lost(report, &failed, look);
    format!("\n{shown}{lost}{}{}", verdict(report, look), next(report))
}

/// The failures of what the protocol requires, then of what such checks need, then of what it recommends.
fn failures(report: &Report) -> Vec<&Graded> {
    let musts = report.graded.iter().filter(|it| it.check.must);
    let needed: Vec<_> = musts.filter_map(Graded::needs).collect();
    let mut failed: Vec<_> = report.graded.iter().filter(|it| it.failure.is_some()).collect();
    let is_needed = |it: &Graded| it.check.must || needed.contains(&it.check.id);
    failed.sort_by_key(|it| (!it.check.must, !is_needed(it)));
    failed
}

/// A failure in three lines.
fn in_short(report: &Report, graded: &Graded, look: Look) -> String {
    let fact = |name: &str| fact_of(report, graded, name, look);
    let (lang, mark) = (report.options.lang, fact("reason"));
    let head = cut(&format!("{mark} {}: {}", fact("id"), fact("about")), look.columns);
    let mut text = head.replacen(&mark, &paint(&mark, "31", look), 1) + "\n";
    let many = causes(report).into_iter().find(|(_, ids)| ids.contains(&graded.check.id));
    let seen = many.map_or_else(|| fact("seen"), |(says, _)| says.say(lang));
    let nothing = ["nothing", "silence", "close", "reset"].map(|name| came(name, &[]));
    let is_nothing = graded.failure.as_ref().is_some_and(|it| nothing.contains(&it.got));
    let printed = fact("printed").lines().last().filter(|_| is_nothing).map(str::to_owned);
    // What a program printed at its end says more than that nothing came.
    let got = printed.map_or_else(|| ("got", fact("got")), |line| ("printed", line));
    let lines = match seen.is_empty() {
        true => [("expected", fact("expected")), got],
        false => [got, ("seen", seen)],
    };
    for (name, words) in lines {
        text += &(cut(&(label(lang, name) + &words), look.columns) + "\n");
    }
    text
}

/// The checks that lost points beside those that are shown, by group, as far as a line has room: first those of the group
/// of the first that is shown.
fn also_lost(report: &Report, shown: &[&Graded], look: Look) -> String {
    let is_shown = |id| shown.iter().any(|it| it.check.id == id);
    let is_lost = |it: &&Graded| it.counts() && !it.passed() && !is_shown(it.check.id);
    let mut lost = Vec::new();
    for of in groups(report) {
        let names: Vec<_> = of.iter().filter(is_lost).map(|it| it.check.name()).collect();
        if let Some(first) = of.first().filter(|_| !names.is_empty()) {
            lost.push(format!("{}: {}", first.check.group(), names.join(", ")));
        }
    }
    let group = shown.first().map_or("", |it| it.check.group());
    lost.sort_by_key(|it: &String| !it.starts_with(group));
    let line = cut(&(label(report.options.lang, "lost") + &lost.join("; ")), look.columns);
    if lost.is_empty() { String::new() } else { line + "\n" }
}

/// The command that leads on: to the first group that fails, or, if that was chosen, to its first failure; after a
/// group without a failure, to what it lacks or to the group after it.
fn next(report: &Report) -> String {
    let options = &report.options;
    let id = |id: &str| Some(options.full_id(id));
    let group = |it: &Graded| it.check.group();
    let last = report.graded.last().filter(|_| !options.flags.only.is_empty());
    let is_chosen = groups(report).count() == 1;
    let needed = report.graded.iter().find_map(Graded::needs);
    let only = match (failures(report).first(), last) {
        (Some(failed), Some(_)) if is_chosen => id(failed.check.id),
        (Some(failed), _) => Some(group(failed).to_owned()),
        (None, None) => None,
        (None, Some(last)) => needed.and_then(id).or_else(|| {
            // The rest of the group, or the group after it.
            let mut rest = options.suite().iter().skip_while(|it| it.group() != group(last));
            let is_run = |id| report.graded.iter().any(|it| it.check.id == id);
            rest.find(|it| !is_run(it.id)).map(|it| it.group().to_owned())
        }),
    };
    let line = |only: String| label(options.lang, "next") + &command(report, &only) + "\n";
    only.map(line).unwrap_or_default()
}

/// A line of at most this width, with a mark if it was longer.
fn cut(line: &str, columns: usize) -> String {
    match line.chars().count() > columns {
        true => line.chars().take(columns.saturating_sub(1)).chain(['…']).collect(),
        false => line.to_owned(),
    }
}

/// The command that runs this check again.
pub(super) fn again(report: &Report, graded: &Graded) -> String {
    let id = report.options.full_id(graded.check.id);
    let is_found = report.options.flags.run.is_some();
    let root = if graded.check.is("root") && !is_found { " --root DIR" } else { "" };
    format!("{} --seed {}{root}", command(report, &id), report.options.seed)
}

/// The command that runs these checks.
fn command(report: &Report, only: &str) -> String {
    let options = &report.options;
    let own = options.own.as_ref().map(|(path, _)| format!(" --conversation {path}"));
    let (program, own) = (as_word(&options.program), own.unwrap_or_default());
    format!("{program} grade{}{own} --only {only}", flags(options))
}

/// The flags that choose what is graded.
fn flags(options: &Options) -> String {
    let (flag, subject) = subject(options);
    let dialect = match options.dialect {
        Dialect::Text => String::new(),
        other => format!(" --dialect {}", other.name()),
    };
    format!(" --{flag} {}{dialect}", as_word(&subject))
}

/// The command that sends to a server that runs what the failed connection has sent, if that is not much.
fn by_hand(report: &Report, graded: &Graded, failure: &Fail) -> String {
    let mut said = String::new();
    for step in graded.rungs.iter().filter(|step| step.connection == failure.connection) {
        if let Event::Wrote(bytes) = &step.event {
            // As `say` takes it, in single quotes.
            let text = bytes.escape_ascii().to_string().replace("\\'", "\\x27");
            said += &format!(" '{}'", text.replace("\\\"", "\""));
        }
    }
    if subject(&report.options).0 != SERVER || !(1..=COMMAND).contains(&said.len()) {
        return String::new();
    }
    let client = Path::new(&report.options.program).with_file_name("connme-client");
    format!("{}{} say{said}", as_word(&client.display().to_string()), flags(&report.options))
}

/// The name of a program, or a command, as one word for a shell.
fn as_word(text: &str) -> String {
    match text {
        _ if text.contains('\'') => format!("\"{text}\""),
        _ if text.contains(' ') => format!("'{text}'"),
        _ => text.to_owned(),
    }
}

/// The steps. Of many, those in the middle are left out.
fn ladder(report: &Report, rungs: &[Rung], columns: usize) -> String {
    let side = if report.options.flags.client.is_some() { Side::Server } else { Side::Client };
    let room = room(columns);
    let drawn = |step: &Rung| {
        let (call, between) = draw(side, &step.event, room);
        rung(step.connection, step.at, call, &between, room)
    };
    let mut steps: Vec<_> = rungs.iter().map(drawn).collect();
    let hidden = steps.len().saturating_sub(2 * STEPS);
    if hidden > 0 {
        let note = said("report hidden", &[&hidden]).say(report.options.lang);
        steps.splice(STEPS..STEPS + hidden, [format!("{note:^columns$}\n")]);
    }
    steps.concat().trim_end().to_owned()
}

/// Both as hex and text, around the first difference, with a mark under the byte.
fn compare((expected, came): &(Vec<u8>, Vec<u8>), lang: Lang) -> String {
    let mut text = String::new();
    let at = first_difference(expected, came);
    let begin = at.saturating_sub(BYTES / 2) / 4 * 4;
    for (name, bytes) in [("expected", expected), ("got", came)] {
        let bytes: Vec<u8> = bytes.iter().skip(begin).take(BYTES).copied().collect();
        let hex = |four: &[u8]| four.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let hex = bytes.chunks(4).map(hex).collect::<Vec<_>>().join(" ");
        let printable =
            |byte: &u8| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '.' };
        let shown: String = bytes.iter().map(printable).collect();
        let _ = writeln!(text, "{}{hex:<44}  {shown}", label(lang, name));
    }
    // The labels have ten columns.
    let (from, column) = (10, at - begin);
    let hex = from + column * 2 + column / 4;
    let shown = from + 46 + column;
    let at = format!("[{at}]");
    text + &format!("{at:<hex$}^^{:1$}^", "", shown - hex - 2)
}

/// The label and the words, in lines of this width. What fits keeps its blanks.
fn wrap(text: &mut String, label: &str, words: &str, columns: usize) {
    let indent = label.chars().count();
    let room = columns.saturating_sub(indent);
    let fits = |line: &str| line.chars().count() <= room;
    let fit = |line: &str| if fits(line) { line.to_owned() } else { wrapped(line, room) };
    let lines = words.split('\n').map(fit).collect::<Vec<_>>().join("\n");
    *text += &format!("{label}{}\n", lines.replace('\n', &format!("\n{}", " ".repeat(indent))));
}

fn paint(text: &str, code: &str, look: Look) -> String {
    if look.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// The flag of a server that runs already.
pub(super) const SERVER: &str = "server";

/// What is graded, after the flag that says so: a command, or the address of a server that runs already.
pub(super) fn subject(options: &Options) -> (&'static str, String) {
    match (&options.flags.client, &options.flags.run) {
        (Some(client), _) => ("client", client.command.clone()),
        (None, Some(run)) => ("run", run.clone()),
        (None, None) => (SERVER, address(&options.host, options.port)),
    }
}
