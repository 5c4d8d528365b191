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
    /// Which of these four a shell does for its value: it is one of `WORDS`, a folder, a file, or anything else.
    fn action(&self, [words, folder, file, any]: [&str; 4]) -> String {
        let list = |list: &str| words.replace("WORDS", &list.replace('|', " "));
        match (self.value.as_deref(), self.name.as_str()) {
            // The help lists them: `light|dark`.
            (Some(value), _) if value.contains('|') => list(value),
            (_, "dialect" | "listen") => list("text struct filesaver json count"),
            (_, "completions") => list("bash zsh fish"),
            (_, "downloads" | "root") => folder.to_owned(),
            (_, "capture" | "conversation" | "log" | "output" | "ladder" | "svg") => {
                file.to_owned()
            }
            _ => any.to_owned(),
        }
    }

    /// The flag as it is typed, short and long.
    fn spellings(&self) -> Vec<String> {
        self.short.iter().cloned().chain([format!("--{}", self.name)]).collect()
    }
}

/// The script for a shell, if it is one of the three. `usage` is what `--help` prints.
pub(super) fn script(shell: &str, program: &str, usage: &str) -> Option<String> {
    let (commands, flags) = items(usage);
    let valued: Vec<_> = flags.iter().filter(|flag| flag.value.is_some()).collect();
    let names = |separator: &str| {
        valued.iter().flat_map(|flag| flag.spellings()).collect::<Vec<_>>().join(separator)
    };
    let list =
        |items: &[Item], line: fn(&Item) -> String| items.iter().map(line).collect::<Vec<_>>();
    // The commands that take files of this machine. A server has none: no command is called `-`.
    let is_local = |command: &&Item| {
        command.value.as_ref().is_some_and(|value| value.starts_with("PATH") || value == "FILE")
    };
    let mut local: Vec<_> = commands.iter().filter(is_local).map(|it| it.name.as_str()).collect();
    if local.is_empty() {
        local.push("-");
    }
    let script = match shell {
        "bash" => include_str!("completions/bash.sh")
            .replace("VALUED", &names("|"))
            .replace("LOCAL", &local.join("|"))
            .replace("VALUES", &valued.into_iter().map(bash_values).collect::<Vec<_>>().join("\n"))
            .replace("FLAGS", &list(&flags, |flag| format!("--{}", flag.name)).join(" "))
            .replace("COMMANDS", &list(&commands, |command| command.name.clone()).join(" ")),
        "zsh" => include_str!("completions/zsh.sh")
            .replace("LOCAL", &local.join("|"))
            .replace("FLAGS", &list(&flags, zsh_flag).join("\n"))
            .replace("COMMANDS", &list(&commands, zsh_command).join(" ")),
        "fish" => include_str!("completions/fish.sh")
            .replace("VALUED", &names(" "))
            .replace("LOCAL", &local.join(" "))
            .replace("FLAGS", &list(&flags, fish_flag).join("\n"))
            .replace("COMMANDS", &list(&commands, fish_command).join("\n")),
        _ => return None,
    };
    let function = format!("_{}", program.replace('-', "_"));
    Some(script.replace("FUNCTION", &function).replace("PROGRAM", program))
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

fn bash_values(flag: &Item) -> String {
    let words = "COMPREPLY=($(compgen -W 'WORDS' -- \"$word\"))";
    let reply = flag.action([words, "FUNCTION_files -d", "FUNCTION_files -f", "COMPREPLY=()"]);
    format!("    {}) {reply} ;;", flag.spellings().join("|"))
}

/// Text in an argument of zsh's `_arguments`, whose parts a colon separates.
fn zsh_part(text: &str) -> String {
    text.replace('\'', "'\\''").replace(':', "\\:")
}

fn zsh_flag(flag: &Item) -> String {
    let action = flag.action(["(WORDS)", "_files -/", "_files", " "]);
    let (equals, value) = match &flag.value {
        Some(value) => ("=", format!(":{}:{action}", zsh_part(value))),
        None => ("", String::new()),
    };
    let spellings = flag.spellings();
    let names = match &flag.short {
        Some(_) => format!("'({})'{{{}{equals}}}", spellings.join(" "), spellings.join(",")),
        None => format!("{}{equals}", spellings.join("")),
    };
    let about = zsh_part(&flag.about).replace('[', "\\[").replace(']', "\\]");
    format!("    {names}'[{about}]{value}' \\")
}

fn zsh_command(command: &Item) -> String {
    format!("'{}:{}'", command.name, command.about.replace('\'', "'\\''"))
}

fn fish_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn fish_command(command: &Item) -> String {
    let (name, about) = (&command.name, fish_quoted(&command.about));
    format!("complete -c PROGRAM -n 'not FUNCTION_command >/dev/null' -a {name} -d {about}")
}

fn fish_flag(flag: &Item) -> String {
    let short = flag.short.as_ref().map(|short| short.replace('-', " -s ")).unwrap_or_default();
    let folder = " -xa '(__fish_complete_directories)'";
    let values = flag.value.as_ref().map(|_| flag.action([" -xa 'WORDS'", folder, " -rF", " -x"]));
    let values = values.unwrap_or_default();
    let about = fish_quoted(&flag.about);
    format!("complete -c PROGRAM{short} -l {}{values} -d {about}", flag.name)
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
        assert!(zsh.contains("commands=()"), "{zsh}");
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
