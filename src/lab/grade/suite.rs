//! The checks of a dialect: those in `conversations`, or a teacher's own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use super::client;
use super::conversation::{Check, Mistake, parse};
use super::player::is_known;
use super::seen::same;
use super::server;
use crate::dialect::Dialect;
use crate::error::lock;
use crate::lab::text::{said, sentence};
use crate::lang::{Lang, Msg};

impl Check {
    /// The part of the id before the first `/`.
    pub fn group(&self) -> &'static str {
        self.id.split('/').next().unwrap_or_default()
    }

    /// What follows that.
    pub(super) fn name(&self) -> &'static str {
        self.id.split_once('/').map_or(self.id, |(_, name)| name)
    }

    /// What passes it.
    pub(super) fn about(&self, lang: Lang) -> &'static str {
        self.said(lang, ["en", "id"])
    }

    /// The sentence in this language; a file of the user's may have it in the other one alone.
    fn said(&self, lang: Lang, [en, id]: [&str; 2]) -> &'static str {
        match self.sentence(lang.choose(en, id)) {
            "" => self.sentence(lang.choose(id, en)),
            sentence => sentence,
        }
    }

    /// The rule of the protocol, or where it stands.
    pub(super) fn rule(&self, lang: Lang) -> &'static str {
        match self.sentence("rule") {
            "" => self.section,
            name => sentence(lang, &format!("rule {name}")),
        }
    }

    /// What usually breaks it.
    pub(super) fn mistake(&self, lang: Lang) -> &'static str {
        match self.said(lang, ["why.en", "why.id"]) {
            "" => sentence(lang, &format!("mistake {}", self.sentence("rule"))),
            own => own,
        }
    }
}

/// The conversations with servers of this dialect, or with clients.
fn file(dialect: Dialect, is_client: bool) -> &'static str {
    match (dialect, is_client) {
        (Dialect::Text, false) => include_str!("conversations/text.txt"),
        (Dialect::Struct, false) => include_str!("conversations/struct.txt"),
        (Dialect::Json, false) => include_str!("conversations/json.txt"),
        (Dialect::Filesaver, false) => include_str!("conversations/filesaver.txt"),
        (Dialect::Count, false) => include_str!("conversations/count.txt"),
        (Dialect::Text, true) => include_str!("conversations/text.client.txt"),
        (Dialect::Struct, true) => include_str!("conversations/struct.client.txt"),
        (Dialect::Json, true) => include_str!("conversations/json.client.txt"),
        (Dialect::Filesaver | Dialect::Count, true) => "",
    }
}

/// Ours for servers of this dialect, or for clients, in the order of the report.
pub fn checks(dialect: Dialect, is_client: bool) -> &'static [Check] {
    /// Each file is read once.
    static SUITES: Mutex<BTreeMap<&str, &[Check]>> = Mutex::new(BTreeMap::new());
    let text = file(dialect, is_client);
    let read = || parse(text, None).unwrap_or_default().leak();
    lock(&SUITES).entry(text).or_insert_with(|| read())
}

/// The checks in a file of the user's, which may use the phrases of ours, and its path.
///
/// # Errors
/// Why it cannot be read, or the line that is wrong.
pub(super) fn of_file(
    path: &Path,
    dialect: Dialect,
    is_client: bool,
) -> Result<(String, &'static [Check]), Msg> {
    let path = path.display().to_string();
    let text = fs::read_to_string(&path).map_err(|why| same(format!("{path}: {why}")))?;
    let checks = parse(text.leak(), checks(dialect, is_client).first());
    let checks = checks.and_then(|checks| examine(&checks, is_client).map(|()| checks));
    let checks = checks
        .map_err(|(line, what)| Msg::of(|lang| format!("{path}:{line}: {}", what.say(lang))))?;
    Ok((path, checks.leak()))
}

/// Finds what no run could use. A test does it for our own.
fn examine(checks: &[Check], is_client: bool) -> Result<(), Mistake> {
    let words = if is_client { client::WORDS } else { server::WORDS };
    for (n, check) in checks.iter().enumerate() {
        check.examine(|word, argument| is_known(words, word, argument))?;
        let is_there = |id: &str| checks.iter().any(|it| it.id == id);
        let mut needs = check.sentence("needs").split_whitespace();
        let what = if let Some(id) = needs.find(|id| !is_there(id)) {
            said("wrong needs", &[&id])
        } else if checks.iter().take(n).any(|it| it.id == check.id) {
            said("wrong twice", &[&check.id])
        } else if check.about(Lang::En).is_empty() {
            said("wrong silent", &[])
        } else {
            continue;
        };
        return Err((check.line, what));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_conversations_have_no_mistake() {
        for dialect in Dialect::ALL {
            for is_client in [false, true] {
                let checks = parse(file(dialect, is_client), None)
                    .unwrap_or_else(|wrong| panic!("{wrong:?}"));
                assert_eq!(examine(&checks, is_client), Ok(()), "{dialect:?}");
            }
        }
    }
}
