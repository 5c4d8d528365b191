//! The report for other programs: course systems and test runners.

use std::fmt::Write as _;
use std::time::Duration;

use super::report::{
    Look, again, again_label, details, full_id, last_lines, status, steps, subject, table,
};
use super::{Graded, Outcome, Report};
use crate::dialect::json_value::Value;
use crate::lang::Lang;

/// How a form of the report is made.
type Render = fn(&Report, Look) -> String;

/// The forms, by the word that a user types: for people; everything as one JSON object; Test Anything Protocol, version
/// 13, which every reader takes; the XML of JUnit; the `results.json` of Gradescope; the result of an autograder of
/// GitHub Classroom, and it in base64, as its reporter takes it; the output of check50.
pub const FORMATS: [(&str, Render); 8] = [
    ("table", table),
    ("json", |report, _| json(report).to_string() + "\n"),
    ("tap", |report, _| tap(report)),
    ("junit", |report, _| junit(report)),
    ("gradescope", |report, _| gradescope(report).to_string() + "\n"),
    ("classroom", |report, _| classroom(report).to_string() + "\n"),
    ("classroom-base64", |report, _| base64(classroom(report).to_string().as_bytes()) + "\n"),
    ("check50", |report, _| check50(report).to_string() + "\n"),
];

/// The form of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static str> {
    FORMATS.iter().map(|(word, _)| *word).find(|word| *word == name)
}

/// The report in the form of this name; without a name, for people.
#[must_use]
pub fn render(report: &Report, format: &str, look: Look) -> String {
    let render = FORMATS.iter().find(|(name, _)| *name == format).map_or(table as _, |it| it.1);
    render(report, look)
}

/// The most bytes of details for Gradescope, whose page becomes slow with more than 100 kB in all.
const GRADESCOPE: usize = 36_000;

/// The most for GitHub Classroom, which passes the report on in one variable of the environment: 128 kB in base64.
const CLASSROOM: usize = 20_000;

/// The details of the failures, so short that all of them together have at most about this many bytes.
fn brief(report: &Report, graded: &Graded, most: usize) -> String {
    if graded.passed() {
        return String::new();
    }
    let failures = report.graded.iter().filter(|it| it.counts() && !it.passed()).count();
    let (details, share) = (details(report, graded, Look::PLAIN), most / failures.max(1));
    if details.len() <= share {
        return details;
    }
    let mut end = share;
    while !details.is_char_boundary(end) {
        end -= 1;
    }
    let shown = details.get(..end).unwrap_or_default();
    format!("{shown}…\n{}{}\n", again_label(report.options.lang), again(report, graded))
}

fn seconds(time: Duration) -> Value {
    Value::Number(format!("{:.3}", time.as_secs_f64()))
}

fn text(text: impl AsRef<str>) -> Value {
    Value::text(text.as_ref())
}

fn object(members: Vec<(&str, Value)>) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn each(report: &Report, one: impl FnMut(&Graded) -> Value) -> Value {
    Value::Array(report.graded.iter().filter(|graded| graded.counts()).map(one).collect())
}

/// What was expected and what came, if the check failed.
fn difference(graded: &Graded, lang: Lang) -> Option<(String, String)> {
    let failure = graded.failure()?;
    let expected: Vec<_> = failure.expected.iter().map(|it| it.say(lang)).collect();
    Some((expected.join(" / "), failure.got.say(lang)))
}

fn about_it<'r>(report: &Report, graded: &Graded) -> &'r str {
    graded.check.about(report.options.lang)
}

fn json(report: &Report) -> Value {
    let lang = report.options.lang;
    let (score, most) = report.score();
    let checks = report.graded.iter().map(|graded| {
        let failure = graded.failure();
        let expected = failure.map(|it| it.expected.iter().map(|it| text(it.say(lang))).collect());
        let got = failure.map_or(Value::Null, |it| text(it.got.say(lang)));
        object(vec![
            ("id", text(full_id(report, graded))),
            ("about", text(about_it(report, graded))),
            ("must", Value::Bool(graded.check.must)),
            ("status", text(word(graded))),
            ("reason", text(status(graded, report))),
            ("score", Value::number(graded.score())),
            ("max_score", Value::number(graded.check.points)),
            ("seconds", seconds(graded.time)),
            ("rule", text(graded.check.rule(lang))),
            ("mistake", text(graded.check.mistake(lang))),
            ("expected", expected.map_or(Value::Null, Value::Array)),
            ("got", got),
            ("again", text(again(report, graded))),
        ])
    });
    object(vec![
        ("version", text(env!("CARGO_PKG_VERSION"))),
        ("server", text(subject(&report.options))),
        ("dialect", text(report.options.dialect.name())),
        ("seed", Value::number(report.options.seed)),
        ("score", Value::number(score)),
        ("max_score", Value::number(most)),
        ("musts_passed", Value::Bool(report.is_right())),
        ("seconds", seconds(report.time)),
        ("connections", Value::number(report.connections)),
        ("bytes", Value::number(report.moved)),
        ("checks", Value::Array(checks.collect())),
    ])
}

fn word(graded: &Graded) -> &'static str {
    match graded.outcome {
        Outcome::Passed => "passed",
        Outcome::Failed(_) => "failed",
        Outcome::Skipped(_) => "skipped",
        Outcome::NeedsRoot => "needs-root",
        Outcome::NeedsRun => "needs-run",
        Outcome::NotRun => "not-run",
        Outcome::NoTime | Outcome::Stopped(_) => "not-run",
    }
}

fn tap(report: &Report) -> String {
    let mut out = format!("TAP version 13\n1..{}\n", report.graded.len());
    for (n, graded) in report.graded.iter().enumerate() {
        let (n, id) = (n + 1, full_id(report, graded));
        // A number sign begins a directive.
        let name = format!("{id} {}", about_it(report, graded)).replace('#', "\\#");
        let reason = status(graded, report);
        let _ = match (&graded.outcome, difference(graded, report.options.lang)) {
            (Outcome::Passed, _) => writeln!(out, "ok {n} - {name}"),
            (_, Some((expected, got))) => writeln!(
                out,
                "not ok {n} - {name}\n  ---\n  message: {}\n  severity: {}\n  data:\n    got: {}\n    \
                 expect: {}\n  ...",
                text(graded.check.mistake(report.options.lang)),
                if graded.check.must { "fail" } else { "comment" },
                text(got),
                text(expected),
            ),
            (Outcome::Skipped(_) | Outcome::NeedsRoot | Outcome::NeedsRun, _) => {
                // `SKIP` says the first half of the status.
                let why = reason.split_once(": ").map_or(reason.as_str(), |(_, why)| why);
                writeln!(out, "ok {n} - {name} # SKIP {why}")
            }
            _ => writeln!(out, "not ok {n} - {name} # {reason}"),
        };
    }
    out
}

fn junit(report: &Report) -> String {
    let counted = |wanted: &str| report.graded.iter().filter(|it| word(it) == wanted).count();
    let failures = counted("failed") + counted("not-run");
    let skipped = counted("skipped") + counted("needs-root") + counted("needs-run");
    let (tests, time) = (report.graded.len(), report.time.as_secs_f64());
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"{}\" \
         tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" \
         time=\"{time:.3}\">\n",
        xml(&format!("connme {}", report.options.dialect.name())),
    );
    for graded in &report.graded {
        let class = format!("{}.{}", report.options.dialect.name(), graded.check.group());
        let _ = write!(
            out,
            "<testcase name=\"{}\" classname=\"{}\" time=\"{:.3}\">",
            xml(&format!("{}: {}", graded.check.id, about_it(report, graded))),
            xml(&class),
            graded.time.as_secs_f64(),
        );
        let reason = xml(&status(graded, report));
        match word(graded) {
            "passed" => {}
            "skipped" | "needs-root" | "needs-run" => {
                let _ = write!(out, "<skipped message=\"{reason}\"/>");
            }
            _ => {
                let body = xml(&details(report, graded, Look::PLAIN));
                let kind = if graded.check.must { "must" } else { "should" };
                let message = match difference(graded, report.options.lang) {
                    Some((expected, got)) => xml(&format!("expected {expected}; got {got}")),
                    None => reason,
                };
                let _ =
                    write!(out, "<failure message=\"{message}\" type=\"{kind}\">{body}</failure>");
            }
        }
        out += "</testcase>\n";
    }
    out + "</testsuite>\n</testsuites>\n"
}

/// A text for XML, which cannot hold control characters at all.
fn xml(text: &str) -> String {
    let allowed = |c: &char| *c >= ' ' || *c == '\n';
    let text: String = text.chars().filter(allowed).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn gradescope(report: &Report) -> Value {
    let mut n = 0;
    let tests = each(report, |graded| {
        n += 1;
        object(vec![
            ("score", Value::number(graded.score())),
            ("max_score", Value::number(graded.check.points)),
            ("status", text(if graded.passed() { "passed" } else { "failed" })),
            ("name", text(about_it(report, graded))),
            ("number", text(n.to_string())),
            ("output", text(brief(report, graded, GRADESCOPE))),
            ("tags", Value::Array(vec![text(full_id(report, graded))])),
            ("visibility", text("visible")),
        ])
    });
    object(vec![
        ("score", Value::number(report.score().0)),
        ("execution_time", seconds(report.time)),
        ("output", text(last_lines(report, Look::PLAIN).trim())),
        ("tests", tests),
    ])
}

/// Every check is worth one point: of what GitHub Classroom shows, one sum counts points and another one checks.
fn classroom(report: &Report) -> Value {
    let verdict = |passed| text(if passed { "pass" } else { "fail" });
    let mut n: u64 = 0;
    let tests = each(report, |graded| {
        n += 1;
        object(vec![
            ("name", text(full_id(report, graded))),
            ("status", verdict(graded.passed())),
            ("message", text(brief(report, graded, CLASSROOM))),
            ("test_code", text(again(report, graded))),
            ("filename", text("")),
            ("line_no", Value::number(0)),
            ("duration", seconds(graded.time)),
            ("score", Value::number(u64::from(graded.passed()))),
        ])
    });
    object(vec![
        ("version", Value::number(1)),
        ("status", verdict(report.is_right())),
        ("max_score", Value::number(n)),
        ("tests", tests),
    ])
}

fn check50(report: &Report) -> Value {
    let results = each(report, |graded| {
        let passed = match graded.outcome {
            Outcome::Passed => Value::Bool(true),
            Outcome::Failed(_) => Value::Bool(false),
            _ => Value::Null,
        };
        let lang = report.options.lang;
        let cause = match (graded.passed(), difference(graded, report.options.lang)) {
            (true, _) => Value::Null,
            (_, Some((expected, got))) => object(vec![
                ("rationale", text(graded.check.rule(lang))),
                ("help", text(graded.check.mistake(lang))),
                ("expected", text(expected)),
                ("actual", text(got)),
            ]),
            // Its page takes no `null` here.
            _ => object(vec![("rationale", text(status(graded, report)))]),
        };
        let dependency = match graded.outcome {
            Outcome::Skipped(needs) => text(format!("{}/{needs}", report.options.dialect.name())),
            _ => Value::Null,
        };
        let log = if graded.passed() { Vec::new() } else { steps(&graded.rungs) };
        let log = log.iter().take(40).map(|line| text(line.trim_end())).collect();
        object(vec![
            ("name", text(full_id(report, graded))),
            ("description", text(about_it(report, graded))),
            ("passed", passed),
            ("log", Value::Array(log)),
            ("cause", cause),
            ("data", object(Vec::new())),
            ("dependency", dependency),
        ])
    });
    object(vec![
        ("slug", text(format!("connme/{}", report.options.dialect.name()))),
        ("version", text(env!("CARGO_PKG_VERSION"))),
        ("results", results),
    ])
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |n: usize| u32::from(chunk.get(n).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (n, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let letter = LETTERS.get((bits >> shift & 63) as usize);
            let is_there = n <= chunk.len();
            text.push(char::from(*letter.filter(|_| is_there).unwrap_or(&b'=')));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_as_the_rfc_has_it() {
        for (bytes, expected) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), expected);
        }
    }

    #[test]
    fn xml_has_no_marks_and_no_control_characters() {
        assert_eq!(xml("<a b=\"c&d\">\x1b\n"), "&lt;a b=&quot;c&amp;d&quot;&gt;\n");
    }
}
