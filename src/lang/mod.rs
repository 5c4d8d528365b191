//! What a person reads, in two languages: a sentence is written once, where it is said, with its two languages
//! beside each other. So the compiler finds a missing one. What is sent over a connection is the same in both.
//!
//! Numbers have the decimal mark of the language. The Indonesian has the words of the assignment's programs where
//! those have words for it.

mod escape;
mod help;

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
    #[must_use]
    pub fn named(code: &str) -> Option<Lang> {
        match code {
            "en" => Some(Lang::En),
            "id" => Some(Lang::Id),
            _ => None,
        }
    }

    /// The one of these that is in this language.
    #[must_use]
    pub fn choose<T>(self, en: T, id: T) -> T {
        if self == Lang::En { en } else { id }
    }

    /// The language of the environment: that of the first of these variables that has a value.
    #[must_use]
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
    #[must_use]
    pub fn said(en: impl Into<String>, id: impl Into<String>) -> Msg {
        Msg { en: en.into(), id: id.into() }
    }

    /// What this makes of each language.
    #[must_use]
    pub fn of(sentence: impl Fn(Lang) -> String) -> Msg {
        Msg::said(sentence(Lang::En), sentence(Lang::Id))
    }

    /// What this makes of each language.
    fn map(&self, change: impl Fn(&str) -> String) -> Msg {
        Msg::said(change(&self.en), change(&self.id))
    }

    /// The sentence in one language.
    #[must_use]
    pub fn say(&self, lang: Lang) -> String {
        lang.choose(&self.en, &self.id).clone()
    }

    /// These words, each in quotation marks, of which one is meant.
    #[must_use]
    pub fn one_of(words: &[impl AsRef<str>], mark: char) -> Msg {
        let quoted = words.iter().map(|word| format!("{mark}{}{mark}", word.as_ref()));
        let quoted: Vec<_> = quoted.collect();
        Msg::said(quoted.join(" or "), quoted.join(" atau "))
    }

    /// The sentence, and where to look for what is right.
    #[must_use]
    pub fn see_help(self) -> Msg {
        Msg::said(self.en + "; see --help", self.id + "; lihat --help")
    }
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
#[must_use]
pub fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn what_is_put_into_a_sentence_is_in_its_language() {
        let (size, name) = (decimal("1.5 MB"), "a");
        let sentence = msg!("{name}: {size}, {}", "{name} ({size}), {}", 7; size);
        assert_eq!(sentence, Msg::said("a: 1.5 MB, 7", "a (1,5 MB), 7"));
        assert_eq!(Msg::said("x", "y").see_help().say(Lang::Id), "y; lihat --help");
        assert_eq!((bytes(1), bytes(2)), ("1 byte".to_owned(), "2 bytes".to_owned()));
    }
}
