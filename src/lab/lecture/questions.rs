//! Questions for an exam, as a sheet to hand out, or as a file that Moodle imports.
//!
//! The page is the source: each question is a heading, a paragraph, and answers. The same in Bahasa Indonesia:
//! `src/lab/lecture/questions/indonesian.md`.
//!
#![doc = include_str!("questions/english.md")]

use super::deliver;
use crate::client::outcome::Outcome;
use crate::client::ui::Ui;
use crate::lab::line::CommandLine;
use crate::lab::text::filled;
use crate::lang::Lang;

/// The width of a sheet.
const COLUMNS: usize = 80;

/// A question of the page.
struct Question {
    title: String,
    text: String,
    answers: Vec<Answer>,
}

struct Answer {
    is_right: bool,
    text: String,
    /// Why it is right or wrong.
    reason: String,
}

/// Prints the questions, or writes them into the file that the user chose.
pub(in crate::lab) fn run(ui: &mut Ui, line: &CommandLine) -> Outcome {
    let lang = line.config.lang;
    let questions = questions(lang);
    let text = if line.flags.gift { gift(&questions) } else { sheet(&questions, lang) };
    deliver(ui, line, &text)
}

fn questions(lang: Lang) -> Vec<Question> {
    let page =
        lang.choose(include_str!("questions/english.md"), include_str!("questions/indonesian.md"));
    page.split("\n## ").skip(1).map(question).collect()
}

fn question(page: &str) -> Question {
    let joined = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (title, rest) = page.split_once('\n').unwrap_or((page, ""));
    let mut parts = rest.split("\n- [");
    let text = joined(parts.next().unwrap_or_default());
    let answer = |part: &str| {
        let (mark, rest) = part.split_once("] ").unwrap_or(("", part));
        let (text, reason) = rest.split_once('\n').unwrap_or((rest, ""));
        Answer { is_right: mark == "x", text: text.to_owned(), reason: joined(reason) }
    };
    Question { title: title.to_owned(), text, answers: parts.map(answer).collect() }
}

/// The questions with letters, and after them the right ones with their reasons.
fn sheet(questions: &[Question], lang: Lang) -> String {
    let (mut sheet, mut key) = (String::new(), String::new());
    let paragraph = |start: String, text| {
        let next = format!("\n{:1$}", "", start.len());
        format!("{start}{}\n", filled(str::split(text, ' '), COLUMNS - start.len()).join(&next))
    };
    for (n, question) in questions.iter().enumerate() {
        sheet += &(paragraph(format!("{}. ", n + 1), &question.text) + "\n");
        for (letter, answer) in ('a'..).zip(&question.answers) {
            sheet += &paragraph(format!("   {letter}) "), &answer.text);
            if answer.is_right {
                key += &paragraph(format!("{}{letter}. ", n + 1), &answer.reason);
            }
        }
        sheet += "\n";
    }
    sheet + lang.choose("Answers", "Kunci jawaban") + "\n\n" + &key
}

/// The questions in GIFT. Every answer has its reason, which Moodle shows to who has chosen it.
fn gift(questions: &[Question]) -> String {
    let mut gift = "$CATEGORY: connme\n".to_owned();
    for Question { title, text, answers } in questions {
        gift += &format!("\n::{}::[markdown]{} {{\n", escaped(title), escaped(text));
        for Answer { is_right, text, reason } in answers {
            let mark = if *is_right { '=' } else { '~' };
            gift += &format!("\t{mark}{}#{}\n", escaped(text), escaped(reason));
        }
        gift += "}\n";
    }
    gift
}

/// A text in which nothing is a mark of GIFT.
fn escaped(text: &str) -> String {
    let escape = |c: char| {
        let mark = if matches!(c, '~' | '=' | '#' | '{' | '}' | ':' | '\\') { "\\" } else { "" };
        format!("{mark}{c}")
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_question_has_one_right_answer_and_reasons_in_both_languages() {
        let shape = |lang| {
            let right = |question: Question| {
                let Question { title, text, answers } = question;
                assert!(!title.is_empty() && text.ends_with('?'), "{title}: {text}");
                assert_eq!(answers.len(), 4, "{title}");
                let is_whole =
                    |answer: &Answer| answer.text.ends_with('.') && answer.reason.ends_with('.');
                assert!(answers.iter().all(is_whole), "{title}");
                assert_eq!(answers.iter().filter(|answer| answer.is_right).count(), 1, "{title}");
                answers.iter().position(|answer| answer.is_right).unwrap()
            };
            questions(lang).into_iter().map(right).collect::<Vec<_>>()
        };
        let places = shape(Lang::En);
        assert!(places.len() >= 12 && places == shape(Lang::Id), "{places:?}");
        // Who always takes the same letter does not pass.
        for place in 0..4 {
            assert!(places.iter().filter(|it| **it == place).count() * 2 < places.len(), "{place}");
        }
    }

    /// Reads GIFT as its documentation says, without the marks that are escaped.
    #[test]
    fn gift_has_the_questions_again() {
        for lang in [Lang::En, Lang::Id] {
            let all = questions(lang);
            let text = gift(&all);
            let mut blocks = text.split("\n\n");
            assert_eq!(blocks.next(), Some("$CATEGORY: connme"));
            let plain = |text: &str| {
                let mut plain = String::new();
                let mut chars = text.chars();
                while let Some(c) = chars.next() {
                    assert!(!matches!(c, '~' | '=' | '#' | '{' | '}' | ':'), "{text}");
                    plain.push(if c == '\\' { chars.next().unwrap() } else { c });
                }
                plain
            };
            for (question, block) in all.iter().zip(blocks.by_ref()) {
                let (head, answers) = block.split_once(" {\n").unwrap();
                let (title, text) =
                    head.strip_prefix("::").unwrap().split_once("::[markdown]").unwrap();
                assert_eq!(
                    (plain(title), plain(text)),
                    (question.title.clone(), question.text.clone())
                );
                let answers = answers.trim_end().strip_suffix("\n}").unwrap().lines();
                assert_eq!(answers.clone().count(), 4);
                for (line, answer) in answers.zip(&question.answers) {
                    let mark = if answer.is_right { "\t=" } else { "\t~" };
                    let (text, reason) = line.strip_prefix(mark).unwrap().split_once('#').unwrap();
                    assert_eq!(
                        (plain(text), plain(reason)),
                        (answer.text.clone(), answer.reason.clone())
                    );
                }
            }
            assert_eq!(blocks.next(), None);
        }
        assert_eq!(escaped(r"a\n={x}: #1 ~"), r"a\\n\=\{x\}\: \#1 \~");
    }

    #[test]
    fn a_sheet_has_its_answers_at_the_end() {
        let sheet = sheet(&questions(Lang::En), Lang::En);
        let (asked, key) = sheet.split_once("Answers\n\n").unwrap();
        assert!(
            asked.starts_with("1. A client sends 100 bytes") && asked.contains("   d) "),
            "{asked}"
        );
        assert!(!asked.contains("That is all."), "{asked}");
        assert!(key.starts_with("1b. That is all."), "{key}");
        assert!(asked.contains("All tests on the\n   student's own"), "{asked}");
        assert!(sheet.lines().all(|line| line.chars().count() <= 80), "{sheet}");
    }
}
