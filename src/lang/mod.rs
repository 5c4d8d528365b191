//! What a person reads, in two languages, which always are beside each other. A phrase that fits on a line is written
//! where it is said: see [`msg`]. A longer sentence has a name there, and is in `texts.txt`, by the order of the names:
//! see [`text`]. What is sent over a connection is the same in both languages.
//!
//! Numbers have the decimal mark of the language. The Indonesian has the words of the assignment's programs where
//! those have words for it.

mod escape;
mod help;

use std::fmt::Display;

pub use escape::{escape, escaped, printable, quoted, readable};
pub(crate) use escape::{is_control, without_controls};
pub(crate) use help::{
    client_help, client_usage, foreign, help_on, prompt_help, question, server_usage,
};

/// A sentence: English first, then Indonesian, then what is put into both. After a semicolon come variables that are
/// in two languages themselves.
#[doc(hidden)]
#[macro_export]
macro_rules! sentence {
    ($en:literal, $id:literal $(, $word:expr)* $(; $($both:ident),+)? $(,)?) => {
        $crate::lang::Msg::of(|lang| {
            $($(let $both = $both.say(lang);)+)?
            match lang {
                $crate::lang::Lang::En => format!($en $(, $word)*),
                $crate::lang::Lang::Id => format!($id $(, $word)*),
            }
        })
    };
}

#[doc(inline)]
pub use sentence as msg;

/// A sentence of `texts.txt`, by its name. Then come the words that are put into it, `word` or `word = value`: each
/// replaces its own name in braces, and may be in two languages itself.
#[doc(hidden)]
#[macro_export]
macro_rules! named_sentence {
    ($name:literal $(, $word:ident $(= $value:expr)?)*) => {{
        $($(let $word = $value;)?)*
        let words = [$((stringify!($word), &$word as &dyn $crate::lang::Word)),*];
        $crate::lang::Msg::named($name, &words)
    }};
}

#[doc(inline)]
pub use named_sentence as text;

/// What can be put into a sentence.
pub trait Word {
    /// How it is said in this language.
    fn say(&self, lang: Lang) -> String;

    /// How it is said in both.
    fn into_msg(self) -> Msg
    where
        Self: Sized,
    {
        Msg::of(|lang| self.say(lang))
    }
}

impl<T: Display> Word for T {
    fn say(&self, _: Lang) -> String {
        self.to_string()
    }
}

/// The languages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Bahasa Indonesia.
    Id,
}

impl Lang {
    /// The language of this code, as a flag has it.
    pub fn named(code: &str) -> Option<Lang> {
        match code {
            "en" => Some(Lang::En),
            "id" => Some(Lang::Id),
            _ => None,
        }
    }

    /// The one of these that is in this language.
    pub fn choose<T>(self, en: T, id: T) -> T {
        if self == Lang::En { en } else { id }
    }

    /// The language of the environment: that of the first of these variables that has a value.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Lang {
        let value = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .find_map(|name| variable(name).filter(|value| !value.is_empty()));
        match value {
            Some(value) if value.to_ascii_lowercase().starts_with("id") => Lang::Id,
            _ => Lang::En,
        }
    }
}

/// A sentence in both languages: see [`msg`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Msg {
    en: String,
    id: String,
}

impl Msg {
    /// A sentence in both languages.
    pub fn said(en: impl Into<String>, id: impl Into<String>) -> Msg {
        Msg { en: en.into(), id: id.into() }
    }

    /// What this makes of each language.
    pub fn of(sentence: impl Fn(Lang) -> String) -> Msg {
        Msg::said(sentence(Lang::En), sentence(Lang::Id))
    }

    /// The sentence of this name, with these words in it: see [`text`].
    pub fn named(name: &str, words: &[(&str, &dyn Word)]) -> Msg {
        let mut lines = include_str!("texts.txt").lines().skip_while(|line| *line != name).skip(1);
        let mut sentence = |lang| with_words(lines.next().unwrap_or_default(), lang, words);
        Msg { en: sentence(Lang::En), id: sentence(Lang::Id) }
    }

    /// What this makes of each language.
    fn map(&self, change: impl Fn(&str) -> String) -> Msg {
        Msg::said(change(&self.en), change(&self.id))
    }

    /// The sentence in one language.
    pub fn say(&self, lang: Lang) -> String {
        lang.choose(&self.en, &self.id).clone()
    }

    /// These words, each in quotation marks, of which one is meant.
    pub fn one_of(words: &[impl AsRef<str>], mark: char) -> Msg {
        let quoted = words.iter().map(|word| format!("{mark}{}{mark}", word.as_ref()));
        let quoted: Vec<_> = quoted.collect();
        Msg::said(quoted.join(" or "), quoted.join(" atau "))
    }

    /// The sentence, after which the user types an answer.
    pub fn asked(&self) -> Msg {
        self.map(|text| format!("{text}: "))
    }

    /// The sentence, and where to look for what is right.
    pub fn see_help(self) -> Msg {
        Msg::said(self.en + "; see --help", self.id + "; lihat --help")
    }
}

impl Word for Msg {
    fn say(&self, lang: Lang) -> String {
        self.say(lang)
    }
}

/// A sentence in which each name in braces is replaced by the word of this name.
fn with_words(sentence: &str, lang: Lang, words: &[(&str, &dyn Word)]) -> String {
    let mut text = String::new();
    // By turns outside and inside of braces.
    for (n, part) in sentence.split(['{', '}']).enumerate() {
        match words.iter().find(|(name, _)| n % 2 == 1 && *name == part) {
            Some((_, word)) => text += &word.say(lang),
            None => text += part,
        }
    }
    text
}

/// A number with the decimal mark of each language.
pub(crate) fn decimal(number: &str) -> Msg {
    Msg::said(number, number.replace('.', ","))
}

/// A number of bytes as text. The assignment's programs say `bytes` in Indonesian too.
pub(crate) fn bytes(count: u64) -> String {
    if count == 1 { "1 byte".to_owned() } else { format!("{count} bytes") }
}

/// A host and a port, as a user would write them: an IPv6 address has brackets.
pub fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_environment_is_asked_in_order() {
        let lang = |set: &[(&str, &str)]| {
            Lang::of_environment(|name| {
                let value = set.iter().find(|(variable, _)| *variable == name);
                value.map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(lang(&[]), Lang::En);
        assert_eq!(lang(&[("LANG", "id_ID.UTF-8")]), Lang::Id);
        assert_eq!(lang(&[("LANG", "id_ID.UTF-8"), ("LC_ALL", "C")]), Lang::En);
        assert_eq!(lang(&[("LANG", "C"), ("LC_MESSAGES", "id")]), Lang::Id);
        assert_eq!(lang(&[("LC_ALL", ""), ("LANG", "ID")]), Lang::Id);
    }

    /// The sources, without the tests in them.
    fn sources(folder: &Path) -> String {
        let mut code = String::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                code += &sources(&path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                code += text.split("#[cfg(test)]\nmod tests").next().unwrap();
            }
        }
        code
    }

    /// The compiler does not look into the file.
    #[test]
    fn each_sentence_has_a_name_two_languages_and_the_words_that_it_gets() {
        let words = |text: &str| -> BTreeSet<String> {
            text.split(['{', '}']).skip(1).step_by(2).map(str::to_owned).collect()
        };
        let mut texts = BTreeMap::new();
        for lines in include_str!("texts.txt").split("\n\n") {
            let lines: Vec<_> = lines.lines().collect();
            let [name, en, id] = lines[..] else { panic!("{lines:?}") };
            // One language may need two lines.
            let (all, newline) = (words(&[en, id].concat()), BTreeSet::from(["newline".into()]));
            assert_eq!(&words(en) | &newline, &words(id) | &newline, "{name}");
            assert!(texts.keys().all(|before| *before < name), "{name} has another place");
            texts.insert(name, all);
        }
        let code = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
        let mut said = BTreeSet::new();
        for call in code.split("text!(").skip(1) {
            let Some(call) = call.trim_start().strip_prefix('"') else { continue };
            // A value of a word may have brackets and commas of its own.
            let mut depth = 0;
            let mut is_inside = |c: &char| {
                depth += i32::from(*c == '(') - i32::from(*c == ')');
                depth >= 0
            };
            let call: String = call.chars().take_while(&mut is_inside).collect();
            let (name, given) = call.split_once('"').unwrap();
            let given: BTreeSet<_> = given
                .split([',', '('])
                .filter_map(|word| word.split('=').next())
                .map(|word| word.trim().to_owned())
                .collect();
            let expected = texts.get(name).unwrap_or_else(|| panic!("{name} is not there"));
            assert!(expected.is_subset(&given), "{name}: {expected:?} {given:?}");
            said.insert(name.to_owned());
        }
        let unsaid: Vec<_> = texts.keys().filter(|name| !said.contains(**name)).collect();
        assert!(unsaid.is_empty() && said.len() > 50, "{unsaid:?}");
    }

    #[test]
    fn what_is_put_into_a_sentence_is_in_its_language() {
        let words: [(&str, &dyn Word); 2] = [("name", &"{size}"), ("size", &decimal("1.5 MB"))];
        let said = |lang| with_words("a {name}: {size}, {other}", lang, &words);
        assert_eq!(said(Lang::En), "a {size}: 1.5 MB, other");
        assert_eq!(said(Lang::Id), "a {size}: 1,5 MB, other");
        let (size, name) = (decimal("1.5 MB"), "a");
        let sentence = msg!("{name}: {size}, {}", "{name} ({size}), {}", 7; size);
        assert_eq!(sentence, Msg::said("a: 1.5 MB, 7", "a (1,5 MB), 7"));
        assert_eq!(Msg::said("x", "y").see_help().say(Lang::Id), "y; lihat --help");
        assert_eq!((bytes(1), bytes(2)), ("1 byte".to_owned(), "2 bytes".to_owned()));
    }
}
