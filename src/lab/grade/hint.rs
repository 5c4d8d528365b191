//! What can be said of a failure of a server's from what came.

use super::places::is_in;
use super::seen::{Rung, came};
use super::{Graded, Report};
use crate::error::Code;
use crate::lab::lecture::trace::Event;
use crate::lab::text::said;
use crate::lang::{Lang, Msg};

/// What is seen where many causes are possible.
pub(super) const CLOSED: &str = "closed";

/// The commands of `text`.
const COMMANDS: &str = "connme ls size rm download upload sum resume count help byebye";

/// What was seen in a failure of a server, and the name of that in the sentences.
pub(super) fn seen(report: &Report, graded: &Graded) -> Option<(&'static str, Msg)> {
    // These are guesses about servers.
    let failure = graded.failure.as_ref().filter(|failure| failure.typed.is_empty())?;
    let of_it = || graded.rungs.iter().filter(|rung| rung.connection == failure.connection);
    let text = |msg: &Msg| msg.say(Lang::En).trim_start_matches('"').to_owned();
    let (due, got) = (text(&failure.expected), text(&failure.got));
    let (expected, came_instead) = failure.bytes.clone().unwrap_or_default();
    let name = match failure.gone {
        Some(gone) => gone,
        None if got.starts_with("error unknown-command") && due.starts_with("ok ") => {
            let sent = of_it().filter_map(|rung| match &rung.event {
                Event::Wrote(bytes) => Some(bytes.as_slice()),
                _ => None,
            });
            // A payload before the command has no line end. What was sent in small pieces is one line.
            let pieces: Vec<&[u8]> = sent.collect();
            let last = pieces.last().copied().filter(|last| last.len() > 1);
            let sent = last.map_or_else(|| pieces.concat(), <[u8]>::to_vec);
            let line = String::from_utf8_lossy(&sent);
            let command = line.lines().last()?.split(' ').next()?;
            let unknown = ("unknown", said("seen unknown", &[&command]));
            // The second half of a command that was sent in two parts is not a command.
            let is_whole = is_in(COMMANDS, &command.to_ascii_lowercase());
            return (is_whole && !is_known(report, command)).then_some(unknown);
        }
        None if is_other_error(&due, &got) => "errors",
        None if came_instead.is_empty() => {
            let has_ended = of_it().any(|rung| matches!(rung.event, Event::End | Event::Reset));
            // After a wrong reply, many dialects close in any case.
            let has_only_ended =
                ["close", "reset"].map(|end| came(end, &[])).contains(&failure.got);
            let has_refused = of_it().any(
                |rung| matches!(&rung.event, Event::Read(bytes) if bytes.starts_with(b"error ")),
            );
            // A thread that dies prints why, and that is seen of a program that was started here.
            let may_have_died = report.options.flags.run.is_none() || !failure.printed.is_empty();
            match due.starts_with("the server closes") {
                true if !has_ended => "still-open",
                false if has_only_ended && has_refused => "closed-after-error",
                false if has_only_ended && may_have_died => CLOSED,
                _ => return None,
            }
        }
        None => difference(&expected, &came_instead)?,
    };
    Some((name, said(&format!("seen {name}"), &[&came_instead.len()])))
}

/// What is seen from the bytes that came in place of others.
fn difference(expected: &[u8], came: &[u8]) -> Option<&'static str> {
    let crlf = || String::from_utf8_lossy(came).replace("\r\n", "\n").into_bytes();
    let begins = came.len() < expected.len() && expected.starts_with(came);
    let digits = came.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let after_a_size = came.get(digits..).and_then(|it| it.strip_prefix(b"\n")).unwrap_or_default();
    match () {
        () if came.contains(&b'\r') && crlf().starts_with(expected) => Some("cr-lf"),
        () if expected.strip_suffix(b"\n") == Some(came) => Some("no-lf"),
        () if came.eq_ignore_ascii_case(expected) => Some("case"),
        () if begins && came.len().is_multiple_of(1024) => Some("one-recv"),
        () if digits == 0 || after_a_size.len() <= 3 => None,
        () => expected.starts_with(after_a_size).then_some("header"),
    }
}

/// Whether the server has taken this command in a check that it passed: then what came is about something else.
fn is_known(report: &Report, command: &str) -> bool {
    let is_sent = |bytes: &[u8]| {
        let rest = bytes.strip_prefix(command.as_bytes());
        rest.and_then(|rest| rest.first()).is_some_and(|byte| b" \r\n".contains(byte))
    };
    let passed = report.graded.iter().filter(|it| it.passed());
    passed.flat_map(|it| it.rungs.windows(2)).any(|pair| match pair {
        [Rung { event: Event::Wrote(sent), .. }, Rung { event: Event::Read(got), .. }] => {
            is_sent(sent) && got.starts_with(b"ok")
        }
        _ => false,
    })
}

/// An error was due, and one has come that is not `error CODE MESSAGE`.
fn is_other_error(due: &str, came: &str) -> bool {
    let word = due.split(' ').next().unwrap_or_default();
    let is_due = ["error", "ERROR"].contains(&word);
    let code = came.strip_prefix(word).and_then(|rest| rest.strip_prefix(' '));
    let code = code.and_then(|rest| rest.split([' ', '\\', '"']).next());
    let is_error = came.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("err"));
    is_due && is_error && code.and_then(Code::from_word).is_none()
}

/// From this number on, failures with one cause are told once.
const MANY: usize = 3;

/// What was seen in many failures, how many these are, and their ids.
pub(super) fn causes(report: &Report) -> Vec<(Msg, Vec<&'static str>)> {
    let mut causes: Vec<(Msg, Vec<&'static str>)> = Vec::new();
    for graded in &report.graded {
        let Some((name, seen)) = seen(report, graded) else { continue };
        if name == "ended" || name == CLOSED {
            continue;
        }
        match causes.iter_mut().find(|(known, _)| *known == seen) {
            Some((_, ids)) => ids.push(graded.check.id),
            None => causes.push((seen, vec![graded.check.id])),
        }
    }
    causes.retain(|(_, ids)| ids.len() >= MANY);
    for (says, ids) in &mut causes {
        let failures = ids.len();
        *says = Msg::of(|lang| said("seen many", &[&says.say(lang), &failures]).say(lang));
    }
    causes
}
