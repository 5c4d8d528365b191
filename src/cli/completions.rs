//! Shell completions for all programs, printed by `--completions SHELL`.
//!
//! The flags, the commands and their explanations are read from the text that `--help` prints. So the
//! completions are always the same as the help, in the user's language. The frame of each script is in
//! `completions/`.

/// A line of the help that explains a flag or a command.
pub(super) struct Item {
    /// `-s`, if there is one.
    short: Option<String>,
    /// `server`, or the command.
    pub(super) name: String,
    /// What follows it, as the help has it.
    pub(super) value: Option<String>,
    /// The beginning of its explanation.
    about: String,
}

impl Item {
    /// What a shell does for its value, as the frame has it: one of some words, a folder, a file, or anything else.
    fn action(&self, frame: &str) -> String {
        let (kind, words) = match (self.value.as_deref(), self.name.as_str()) {
            (None, _) => return String::new(),
            // The help lists them: `light|dark`.
            (Some(value), _) if value.contains('|') => ("words", value),
            (_, "dialect" | "listen") => ("words", "text|struct|filesaver|json|count"),
            (_, "completions") => ("words", "bash|zsh|fish"),
            (_, "downloads" | "root") => ("folder", ""),
            (_, "capture" | "conversation" | "log" | "output" | "ladder" | "svg") => ("file", ""),
            _ => ("any", ""),
        };
        let of_kind =
            |line: &str| Some(line.strip_prefix('@')?.strip_prefix(kind)?.get(1..)?.to_owned());
        let action = frame.lines().find_map(of_kind);
        action.map_or(" ".to_owned(), |action| action.replace("WORDS", &words.replace('|', " ")))
    }

    /// The flag as it is typed, short and long.
    fn spellings(&self) -> Vec<String> {
        self.short.iter().cloned().chain([format!("--{}", self.name)]).collect()
    }

    /// Whether it is a command that takes files of this machine.
    fn is_local(&self) -> bool {
        self.value.as_ref().is_some_and(|value| value.starts_with("PATH") || value == "FILE")
    }
}

/// The script for a shell, if it is one of the three. `usage` is what `--help` prints. A line of the frame that begins with
/// `@command`, `@local` or `@flag` is repeated for each command, for each that takes files, and for each flag; one with
/// `@plain` or `@valued` for each spelling of the flags without and with a value.
pub(super) fn script(shell: &str, program: &str, usage: &str) -> Option<String> {
    // What has a meaning in a quoted text of this shell, and how it is written there.
    let (frame, marks): (&str, &[(&str, &str)]) = match shell {
        "bash" => (include_str!("completions/bash.sh"), &[]),
        "zsh" => (include_str!("completions/zsh.sh"), &[("'", "'\\''"), (":", "\\:")]),
        "fish" => (include_str!("completions/fish.sh"), &[("\\", "\\\\"), ("'", "\\'")]),
        _ => return None,
    };
    let quoted = |text: &str| {
        marks.iter().fold(text.to_owned(), |text, (mark, written)| text.replace(mark, written))
    };
    let (commands, flags) = items(usage);
    let mut script = String::new();
    for line in frame.lines() {
        let Some((kind, line)) = line.strip_prefix('@').and_then(|line| line.split_once(' '))
        else {
            script += &format!("{line}\n");
            continue;
        };
        for (item, spelling) in repeated(kind, &commands, &flags) {
            let short = item.short.as_ref().map(|short| short.replace('-', " -s "));
            // A text of the help comes last, because there may be such a word in it.
            let line = line
                .replace("SPELLINGS", &item.spellings().join(" "))
                .replace("SPELLING", &spelling)
                .replace("EQUALS", if spelling.starts_with("--") { "=" } else { "" })
                .replace("SHORT", &short.unwrap_or_default())
                .replace("NAME", &item.name)
                .replace("ACTION", &item.action(frame))
                .replace("VALUE", &quoted(item.value.as_deref().unwrap_or_default()))
                .replace("ABOUT", &quoted(&item.about));
            script += &format!("{line}\n");
        }
    }
    let function = format!("_{}", program.replace('-', "_"));
    Some(script.replace("FUNCTION", &function).replace("PROGRAM", program))
}

/// What a line of this kind is repeated for, each as it is typed.
fn repeated<'i>(kind: &str, commands: &'i [Item], flags: &'i [Item]) -> Vec<(&'i Item, String)> {
    let items = if matches!(kind, "command" | "local") { commands } else { flags };
    let spellings = |item: &Item| match kind {
        "local" if !item.is_local() => Vec::new(),
        "command" | "local" | "flag" => vec![item.name.clone()],
        "plain" if item.value.is_none() => item.spellings(),
        "valued" if item.value.is_some() => item.spellings(),
        _ => Vec::new(),
    };
    let each = |item| spellings(item).into_iter().map(move |spelling| (item, spelling));
    items.iter().flat_map(each).collect()
}

/// The commands and the flags that a help text explains.
pub(super) fn items(usage: &str) -> (Vec<Item>, Vec<Item>) {
    let (mut commands, mut flags) = (Vec::new(), Vec::new());
    let mut lines = usage.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(line) = line.strip_prefix("  ").map(str::trim_start) else { continue };
        let is_flag = line.starts_with('-');
        if line.starts_with("connme-") {
            // An example, and its explanation.
            while lines.next_if(|next| next.starts_with(&" ".repeat(20))).is_some() {}
            continue;
        }
        let (usage, about) = line.split_once("  ").unwrap_or((line, ""));
        let mut about = about.trim().to_owned();
        while let Some(more) = lines.next_if(|next| next.starts_with(&" ".repeat(20))) {
            about = format!("{about} {}", more.trim()).trim().to_owned();
        }
        let end = ["; ", ": ", " ("].iter().filter_map(|mark| about.find(mark)).min();
        about.truncate(end.unwrap_or(about.len()));
        let (short, usage) = match usage.split_once(", ") {
            Some((short, usage)) if is_flag => (Some(short.to_owned()), usage),
            _ => (None, usage),
        };
        let (name, value) = usage.split_once(' ').map_or((usage, None), |(n, v)| (n, Some(v)));
        let name = name.trim_start_matches('-').to_owned();
        let item = Item { short, name, value: value.map(str::to_owned), about };
        if is_flag { flags.push(item) } else { commands.push(item) }
    }
    (commands, flags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::command::COMMANDS;
    use crate::lang::{Lang, client_usage, server_usage};

    #[test]
    fn every_flag_and_command_of_the_help_is_completed_in_every_shell() {
        for lang in [Lang::En, Lang::Id] {
            for (program, usage) in
                [("connme-server", server_usage()), ("connme-client", client_usage())]
            {
                let usage = usage.say(lang);
                let (commands, flags) = items(&usage);
                let known = COMMANDS.iter().map(|command| command.word);
                let only_at_the_prompt = ["help", "byebye", "exit"];
                let mut known: Vec<_> =
                    known.filter(|word| !only_at_the_prompt.contains(word)).collect();
                let mut explained: Vec<_> = commands.iter().map(|it| it.name.as_str()).collect();
                known.sort_unstable();
                explained.sort_unstable();
                assert_eq!(explained, if program == "connme-client" { known } else { vec![] });
                let words = usage.split(|c: char| !c.is_ascii_lowercase() && c != '-');
                let named: Vec<_> = words
                    .filter_map(|word| word.strip_prefix("--"))
                    .filter(|w| !w.is_empty())
                    .collect();
                assert!(named.len() > 10);
                for name in named {
                    assert!(flags.iter().any(|flag| flag.name == name), "{name}");
                }
                for item in commands.iter().chain(&flags) {
                    assert!(item.about.len() > 4 && item.about.len() < 90, "{}", item.about);
                    // zsh has it in brackets.
                    assert!(!item.about.contains(['[', ']']), "{}", item.about);
                    for shell in ["bash", "zsh", "fish"] {
                        let script = script(shell, program, &usage).unwrap();
                        assert!(script.contains(&item.name), "{} in {shell}", item.name);
                    }
                }
            }
        }
        assert!(script("tcsh", "connme-client", "").is_none());
        // The server has no commands.
        let usage = server_usage().say(Lang::En);
        let zsh = script("zsh", "connme-server", &usage).unwrap();
        assert!(!zsh.contains("commands+="), "{zsh}");
    }

    #[test]
    fn a_flag_is_read_from_its_line() {
        let usage = "x\n\n  connme-x --y\n                       why\n\n  run FILE...  run it; twice\n\n  -s, --server HOST[:PORT]\n\
                     \x20                       the server (default x)\n      --json  it's so\n";
        let (commands, flags) = items(usage);
        let [run] = commands.as_slice() else { panic!() };
        assert_eq!((run.name.as_str(), run.about.as_str()), ("run", "run it"));
        let [server, json, ..] = flags.as_slice() else { panic!() };
        assert_eq!((server.short.as_deref(), server.name.as_str()), (Some("-s"), "server"));
        assert_eq!(
            (server.value.as_deref(), server.about.as_str()),
            (Some("HOST[:PORT]"), "the server")
        );
        assert_eq!((json.value.as_deref(), json.about.as_str()), (None, "it's so"));
    }
}
