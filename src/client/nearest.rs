//! The word that was probably meant by one that was mistyped.

/// The command that was probably meant by this word: the nearest, if it is near.
pub(crate) fn nearest<'c>(word: &str, commands: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let best = commands.min_by_key(|command| distance(word, command))?;
    let few = if best.len() > 3 { 2 } else { 1 };
    (distance(word, best) <= few).then_some(best)
}

/// How many letters have to be added, removed, changed or swapped with the next to get from `a` to `b`.
#[allow(clippy::indexing_slicing, reason = "every index is at most the length of its text")]
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(20).collect(), b.chars().collect());
    // The distances between the first letters of `a` and those of `b`.
    let mut costs = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            if i == 0 || j == 0 {
                costs[i][j] = i + j;
                continue;
            }
            let changed = costs[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let best = changed.min(costs[i - 1][j] + 1).min(costs[i][j - 1] + 1);
            let is_swap = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            costs[i][j] = if is_swap { best.min(costs[i - 2][j - 2] + 1) } else { best };
        }
    }
    costs[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::command::COMMANDS;

    #[test]
    fn a_mistyped_command_is_recognized() {
        let table = [
            ("uplaod", Some("upload")),
            ("downlod", Some("download")),
            ("sl", Some("ls")),
            ("szie", Some("size")),
            ("byeby", Some("byebye")),
            ("konme", Some("connme")),
            ("mr", Some("rm")),
            ("delete", None),
            ("x", None),
            ("put", None),
            ("", None),
        ];
        for (word, meant) in table {
            let words = COMMANDS.iter().map(|command| command.word);
            assert_eq!(nearest(word, words), meant, "{word}");
        }
        for (a, b, steps) in [
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("ab", "ba", 1),
            ("abcd", "acbd", 1),
            ("abc", "bcd", 2),
            ("aabb", "bbaa", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!([distance(a, b), distance(b, a)], [steps, steps], "{a} {b}");
        }
    }
}
