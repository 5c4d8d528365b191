//! The keys of someone who gives a lecture. Where there is `stty`, a key needs no Enter, so that a remote control
//! for slides works, and Ctrl-C is a key too: then the program removes its files before it ends.

use std::io::{self, Read};
use std::process::Stdio;

use crate::client::keyboard::Typed;
use crate::client::terminal::stty;
use crate::client::ui::Ui;
use crate::lang::Msg;

/// What the reader wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// The next step.
    Next,
    /// The step before.
    Back,
    /// The lesson of this number.
    Lesson(usize),
    Help,
    Leave,
}

/// Shows the question, and waits for an answer.
///
/// # Errors
/// Standard output cannot be written to.
pub(super) fn ask(ui: &mut Ui, question: &Msg) -> io::Result<Wish> {
    let question = Msg::of(|lang| format!("{} ", question.say(lang)));
    let Some(_terminal) = Keys::begin() else {
        let line = match ui.ask(&question)? {
            Typed::Line(line) => Some(line + "\n"),
            _ => None,
        };
        let mut keys = line.into_iter().flat_map(String::into_bytes);
        return Ok(wish(|| keys.next(), |_| {}));
    };
    ui.print(&ui.words(&question))?;
    let key = || io::stdin().lock().bytes().next()?.ok();
    let wish = wish(key, |text| {
        let _ = ui.print(text);
    });
    ui.print("\n")?;
    Ok(wish)
}

/// A terminal that gives single keys, until this is dropped.
struct Keys {
    /// The settings before, as `stty` prints them.
    before: String,
}

impl Keys {
    fn begin() -> Option<Keys> {
        let before = stty(&["-g"], Stdio::inherit())?.trim().to_owned();
        stty(&["-icanon", "-echo", "-isig", "min", "1"], Stdio::inherit())?;
        Some(Keys { before })
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        stty(&[&self.before], Stdio::inherit());
    }
}

/// Reads keys until they are a wish. Digits are shown as they come.
fn wish(mut next: impl FnMut() -> Option<u8>, mut show: impl FnMut(&str)) -> Wish {
    let mut number = String::new();
    loop {
        match next() {
            Some(digit @ b'0'..=b'9') if number.len() < 3 => {
                number.push(char::from(digit));
                show(&char::from(digit).to_string());
            }
            // Backspace.
            Some(8 | 127) => {
                if number.pop().is_some() {
                    show("\x08 \x08");
                }
            }
            Some(b'\n' | b'\r') if !number.is_empty() => {
                return Wish::Lesson(number.parse().unwrap_or(0));
            }
            Some(b'\n' | b'\r' | b' ') => return Wish::Next,
            Some(b'b') => return Wish::Back,
            Some(b'?') => return Wish::Help,
            // `q`, Ctrl-C, Ctrl-D, and Ctrl-D that was typed before the terminal gave single keys.
            Some(b'q' | 3 | 4 | 0) | None => return Wish::Leave,
            Some(0x1b) => match sequence(&mut next).as_slice() {
                b"[5~" | b"[D" => return Wish::Back,
                b"[6~" | b"[C" => return Wish::Next,
                _ => {}
            },
            Some(_) => {}
        }
    }
}

/// What follows an escape: Page Up is `[5~`, the arrow to the right `[C`.
fn sequence(next: &mut impl FnMut() -> Option<u8>) -> Vec<u8> {
    let mut keys = Vec::new();
    while let Some(key) = next() {
        keys.push(key);
        if keys.len() == 8 || (keys.len() > 1 && key >= b'@') || (keys == [key] && key != b'[') {
            break;
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_wishes() {
        for (keys, expected) in [
            ("\n", Wish::Next),
            (" ", Wish::Next),
            ("xy\r", Wish::Next),
            ("14\n", Wish::Lesson(14)),
            ("19\x7f2\n", Wish::Lesson(12)),
            ("1\x7f\x7f\n", Wish::Next),
            ("b", Wish::Back),
            ("?", Wish::Help),
            ("q", Wish::Leave),
            ("\x03", Wish::Leave),
            ("1", Wish::Leave),
            ("", Wish::Leave),
            ("\x1b[6~", Wish::Next),
            ("\x1b[5~", Wish::Back),
            ("\x1b[C", Wish::Next),
            ("\x1b[1;5Pb", Wish::Back),
            ("\x1bxb", Wish::Back),
        ] {
            let mut bytes = keys.bytes();
            assert_eq!(wish(|| bytes.next(), |_| {}), expected, "{keys:?}");
        }
    }
}
