//! Removes what arrow keys send from a line, where no line editor has handled them.

/// A line without what arrow keys and similar keys send, and whether all of that was before the first other
/// character. `None`: there is nothing of the kind in it.
pub(super) fn without_keys(line: &str) -> Option<(String, bool)> {
    let mut parts = line.split('\x1b');
    let mut typed = parts.next().unwrap_or_default().to_owned();
    let (mut is_there, mut only_before) = (false, true);
    for part in parts {
        is_there = true;
        only_before &= typed.is_empty();
        typed.push_str(after_key(part));
    }
    is_there.then_some((typed, only_before))
}

/// What follows a key, whose ESC is removed already: `[`, parameters and a letter, or `O` and a letter.
fn after_key(part: &str) -> &str {
    let key = match (part.strip_prefix('['), part.strip_prefix('O')) {
        (Some(key), _) => key.trim_start_matches(|c: char| (' '..='?').contains(&c)),
        (None, Some(key)) => key,
        (None, None) => return part,
    };
    key.strip_prefix(|c: char| ('@'..='~').contains(&c)).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_out_of_a_line() {
        let table = [
            ("ls", None),
            ("\x1b[A", Some(("", true))),
            ("\x1b[A\x1b[Bls", Some(("ls", true))),
            ("\x1bOA\x1bOBls", Some(("ls", true))),
            ("\x1b[1;5Cls", Some(("ls", true))),
            ("\x1b[3~ls", Some(("ls", true))),
            ("\x1b\x1b[Dls", Some(("ls", true))),
            ("rm a\x1b[D\x1b[Db", Some(("rm ab", false))),
            ("ls\x1b[C", Some(("ls", false))),
            ("\x1bé", Some(("é", true))),
            ("\x1b[", Some(("", true))),
        ];
        for (line, expected) in table {
            let expected = expected.map(|(text, before)| (String::from(text), before));
            assert_eq!(without_keys(line), expected, "{line:?}");
        }
    }
}
