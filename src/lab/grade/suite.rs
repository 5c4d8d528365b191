//! The checks of a dialect: those in `conversations`, or a teacher's own.

use std::sync::OnceLock;

use super::conversation::{Conversation, Mistake, parse_with};
use super::peer::{Done, Trial};
use super::player::{WORDS, perform};
use super::words;
use super::{lists, text, text_edges, text_manners, text_names};
use crate::dialect::Dialect;
use crate::lang::{Lang, msg};

/// One rule of the protocol, as a short conversation.
#[derive(Debug)]
pub struct Check {
    /// `group/name`. It stays the same, because teachers write it down.
    pub id: &'static str,
    /// The key of the rule that it follows from, and of the usual mistake.
    pub rule: &'static str,
    /// What it is worth.
    pub points: u64,
    /// The protocol requires it.
    pub must: bool,
    /// The checks without which this one says nothing.
    pub(super) needs: &'static str,
    /// How many times the usual time it may take.
    pub(super) patience: u32,
    /// A bad server may not survive it.
    pub(super) hostile: bool,
    /// It looks into the server's folder.
    pub(super) root: bool,
    /// It looks at what the server's processes take.
    pub(super) watched: bool,
    pub(super) conversation: Option<&'static Conversation>,
    pub(super) steps: fn(&mut Trial) -> Done,
}

pub(super) const fn must(
    id: &'static str,
    rule: &'static str,
    points: u64,
    steps: fn(&mut Trial) -> Done,
) -> Check {
    let (must, needs, patience, hostile, root, watched) = (true, "", 1, false, false, false);
    let conversation = None;
    Check { id, rule, points, must, needs, patience, hostile, root, watched, conversation, steps }
}

pub(super) const fn should(
    id: &'static str,
    rule: &'static str,
    points: u64,
    steps: fn(&mut Trial) -> Done,
) -> Check {
    Check { must: false, ..must(id, rule, points, steps) }
}

impl Check {
    pub(super) const fn needs(self, needs: &'static str) -> Check {
        Check { needs, ..self }
    }

    pub(super) const fn patience(self, patience: u32) -> Check {
        Check { patience, ..self }
    }

    pub(super) const fn hostile(self) -> Check {
        Check { hostile: true, ..self }
    }

    pub(super) const fn root(self) -> Check {
        Check { root: true, ..self }
    }

    pub(super) const fn watched(self) -> Check {
        Check { watched: true, ..self }
    }

    /// A check that is played.
    pub(super) fn of(conversation: &'static Conversation) -> Check {
        let set = |word: &str| conversation.set(word);
        Check {
            id: conversation.id,
            rule: conversation.sentence("rule"),
            points: conversation.points,
            must: conversation.must,
            needs: conversation.sentence("needs"),
            patience: set("patience").and_then(|it| it.parse().ok()).unwrap_or(1),
            hostile: set("hostile").is_some(),
            root: set("root").is_some(),
            watched: set("watched").is_some(),
            conversation: Some(conversation),
            steps: |_| Ok(()),
        }
    }

    /// The part of the id before the first `/`.
    #[must_use]
    pub fn group(&self) -> &'static str {
        self.id.split('/').next().unwrap_or_default()
    }

    /// What passes it.
    pub(super) fn about(&self, lang: Lang) -> &'static str {
        match self.conversation {
            Some(conversation) => conversation.sentence(lang.choose("en", "id")),
            None => words::about(lang, self.id),
        }
    }

    /// The rule of the protocol, or where it stands.
    pub(super) fn rule(&self, lang: Lang) -> &'static str {
        match self.conversation.filter(|_| self.rule.is_empty()) {
            Some(conversation) => conversation.section,
            None => words::rule(lang, self.rule),
        }
    }

    /// What usually breaks it.
    pub(super) fn mistake(&self, lang: Lang) -> &'static str {
        match self.conversation.filter(|_| self.rule.is_empty()) {
            Some(conversation) => conversation.sentence(lang.choose("why.en", "why.id")),
            None => words::mistake(lang, self.rule),
        }
    }
}

/// The checks of a dialect.
#[derive(Debug)]
pub struct Suite {
    checks: Vec<Check>,
    /// One of the checks, for the phrases of all.
    first: Option<&'static Conversation>,
    old: Option<Old>,
}

/// What a dialect adds to the engine.
#[derive(Debug)]
struct Old {
    /// Asks for something ordinary on a new connection.
    probe: fn(&mut Trial) -> Done,
    /// Stores a file under this name, if the dialect can say whether it was stored.
    put: Option<fn(&mut Trial, &str) -> Done>,
    /// Removes the trial's names, as far as the dialect can. Returns how many may remain.
    sweep: fn(&mut Trial) -> Done<usize>,
}

/// What no file with conversations gives to `--conversation`: it is read once for each dialect.
static SUITES: [OnceLock<Suite>; 5] = [const { OnceLock::new() }; 5];

fn file(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Count => include_str!("conversations/count.txt"),
        Dialect::Struct => include_str!("conversations/struct.txt"),
        Dialect::Json => include_str!("conversations/json.txt"),
        Dialect::Filesaver => include_str!("conversations/filesaver.txt"),
        _ => "",
    }
}

impl Suite {
    /// Ours for this dialect.
    #[must_use]
    pub fn of(dialect: Dialect) -> &'static Suite {
        let place = Dialect::ALL.into_iter().zip(&SUITES).find(|(it, _)| *it == dialect);
        let place = place.map_or(&SUITES[0], |(_, place)| place);
        place.get_or_init(|| {
            if let Some(old) = old(dialect) {
                return old;
            }
            let empty = |_| Suite { checks: Vec::new(), first: None, old: None };
            Suite::read(file(dialect), None).unwrap_or_else(empty)
        })
    }

    /// The checks of a text, which may use the phrases of ours.
    ///
    /// # Errors
    /// The line that is wrong.
    pub fn read(text: &'static str, ours: Option<&Suite>) -> Result<Suite, Mistake> {
        let known = ours.and_then(|ours| ours.first);
        let conversations: &'static [Conversation] = parse_with(text, known)?.leak();
        for check in conversations {
            check.examine(&WORDS)?;
            let known = |id: &str| conversations.iter().any(|it| it.id == id);
            let mut needs = check.sentence("needs").split_whitespace();
            if let Some(id) = needs.find(|id| !known(id)) {
                let what = msg!("there is no check '{id}'", "tidak ada pemeriksaan '{id}'");
                return Err(Mistake { line: check.line, what });
            }
        }
        let checks = conversations.iter().map(Check::of).collect();
        Ok(Suite { checks, first: conversations.first(), old: None })
    }

    /// The checks in the order of the report.
    #[must_use]
    pub fn in_order(&'static self) -> Vec<&'static Check> {
        let mut checks: Vec<&Check> = self.checks.iter().collect();
        let mut groups: Vec<&str> = Vec::new();
        for check in &checks {
            if !groups.contains(&check.group()) {
                groups.push(check.group());
            }
        }
        checks.sort_by_key(|check| groups.iter().position(|group| *group == check.group()));
        checks
    }

    /// Asks for something ordinary on a new connection.
    pub(super) fn probe(&self, t: &mut Trial, dialect: Dialect) -> Done {
        match (&self.old, self.first) {
            (Some(old), _) => (old.probe)(t),
            (None, Some(first)) => perform(t, &first.of_line("probe"), dialect).0,
            _ => Ok(()),
        }
    }

    /// Stores a file, and returns its name. Not every dialect can say whether it was stored.
    pub(super) fn put(&self, t: &mut Trial, dialect: Dialect) -> Option<(Done, String)> {
        if let Some(old) = &self.old {
            let name = t.name(".probe");
            return Some(((old.put?)(t, &name), name));
        }
        if matches!(dialect, Dialect::Filesaver | Dialect::Count) {
            return None;
        }
        Some(perform(t, &self.first?.of_line("put {name} = probe"), dialect))
    }

    /// Removes the trial's names. Returns how many may remain.
    pub(super) fn sweep(&self, t: &mut Trial, dialect: Dialect) -> Done<usize> {
        match (&self.old, dialect) {
            (Some(old), _) => (old.sweep)(t),
            (None, Dialect::Count) => Ok(0),
            _ => lists::sweep(t, dialect),
        }
    }
}

fn old(dialect: Dialect) -> Option<Suite> {
    let (checks, old): (Vec<&[Check]>, Old) = match dialect {
        Dialect::Text => (
            vec![text::CHECKS, text_names::CHECKS, text_edges::CHECKS, text_manners::CHECKS],
            Old {
                probe: |t| text::hello(&mut t.open()?),
                put: Some(|t, name| text::put(&mut t.open()?, name, b"probe")),
                sweep: text_manners::sweep,
            },
        ),
        _ => return None,
    };
    let copied = checks.into_iter().flatten().map(|it| Check { ..*it });
    Some(Suite { checks: copied.collect(), first: None, old: Some(old) })
}

/// The checks of a dialect, in the order of the report.
#[must_use]
pub fn checks(dialect: Dialect) -> Vec<&'static Check> {
    Suite::of(dialect).in_order()
}
