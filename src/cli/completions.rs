//! Shell completions for both programs, printed by `--completions SHELL`.
//!
//! The flags, the commands and what is said about each are read from the text that `--help` prints, so
//! that they are the same, in the user's language.

/// What may follow a flag, where that can be listed.
const VALUES: [(&str, Values); 7] = [
    ("dialect", Values::Words("text struct filesaver json count")),
    ("lang", Values::Words("en id")),
    ("completions", Values::Words("bash zsh fish")),
    ("downloads", Values::Folder),
    ("root", Values::Folder),
    ("log", Values::File),
    ("listen", Values::Words("text struct filesaver json count")),
];

/// The commands that work on files here.
const ON_FILES: &str = "upload compare";

#[derive(Clone, Copy)]
enum Values {
    Words(&'static str),
    Folder,
    File,
    /// Nothing to choose from.
    Free,
}

/// A line of the help that explains a flag or a command.
struct Item {
    /// `-s`, if there is one.
    short: Option<String>,
    /// `server`, or the command.
    name: String,
    /// What follows it, as the help has it.
    value: Option<String>,
    /// The beginning of its explanation.
    about: String,
}

impl Item {
    fn values(&self) -> Values {
        let known = VALUES.iter().find(|(name, _)| *name == self.name);
        known.map_or(Values::Free, |(_, values)| *values)
    }
}

/// The script for a shell, if it is one of the three. `usage` is what `--help` prints.
pub(super) fn script(shell: &str, program: &str, usage: &str) -> Option<String> {
    let (commands, flags) = items(usage);
    match shell {
        "bash" => Some(bash(program, &commands, &flags)),
        "zsh" => Some(zsh(program, &commands, &flags)),
        "fish" => Some(fish(program, &commands, &flags)),
        _ => None,
    }
}

/// The commands and the flags that a help text explains.
fn items(usage: &str) -> (Vec<Item>, Vec<Item>) {
    let (mut commands, mut flags) = (Vec::new(), Vec::new());
    let mut lines = usage.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(line) = line.strip_prefix("  ").map(str::trim_start) else { continue };
        let is_flag = line.starts_with('-');
        // After the flags come examples.
        if line.starts_with('(') || (!is_flag && !flags.is_empty()) {
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

/// The flags that satisfy `of`, as a shell's `case` lists them, long and short.
fn either(flags: &[Item], of: impl Fn(&Item) -> bool) -> String {
    let of = flags.iter().filter(|flag| of(flag));
    let both =
        of.flat_map(|flag| flag.short.clone().into_iter().chain([format!("--{}", flag.name)]));
    both.collect::<Vec<_>>().join("|")
}

fn names(items: &[Item]) -> String {
    items.iter().map(|item| item.name.as_str()).collect::<Vec<_>>().join(" ")
}

/// The name of a shell function for a program.
fn function(program: &str) -> String {
    format!("_{}", program.replace('-', "_"))
}

fn bash(program: &str, commands: &[Item], flags: &[Item]) -> String {
    let function = function(program);
    let with_value = either(flags, |flag| flag.value.is_some());
    let mut cases = String::new();
    for flag in flags.iter().filter(|flag| flag.value.is_some()) {
        let these = either(std::slice::from_ref(flag), |_| true);
        let reply = match flag.values() {
            Values::Words(words) => format!("COMPREPLY=($(compgen -W '{words}' -- \"$word\"))"),
            Values::Folder => "files -d".to_owned(),
            Values::File => "files -f".to_owned(),
            Values::Free => "COMPREPLY=()".to_owned(),
        };
        cases += &format!("    {these}) {reply} ;;\n")
            .replace("files -", &format!("{function}_files -"));
    }
    let all: Vec<_> = flags.iter().map(|flag| format!("--{}", flag.name)).collect();
    let (all, commands) = (all.join(" "), names(commands));
    let on_files = ON_FILES.replace(' ', "|");
    format!(
        "{function}_files() {{\n\
         \x20 local name=\n\
         \x20 compopt -o filenames 2>/dev/null\n\
         \x20 # Line by line, so that a file called * stays that. The bash of macOS has no mapfile.\n\
         \x20 while IFS= read -r name; do COMPREPLY+=(\"$name\"); done < <(compgen \"$1\" -- \"$word\")\n\
         }}\n\
         {function}() {{\n\
         \x20 local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}\n\
         \x20 local command= skip= one\n\
         \x20 COMPREPLY=()\n\
         \x20 # bash makes words of = in --flag=value and of : in HOST:PORT.\n\
         \x20 if [[ $word == +(:) || $before == +(:) ]]; then return\n\
         \x20 elif [[ $word == = ]]; then word=\n\
         \x20 elif [[ $before == = ]]; then before=${{COMP_WORDS[COMP_CWORD-2]}}; fi\n\
         \x20 for one in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do\n\
         \x20   if [[ $one == +([=:]) ]]; then skip=1; continue; fi\n\
         \x20   if [[ $skip ]]; then skip=; continue; fi\n\
         \x20   case $one in\n\
         \x20     {with_value}) skip=1 ;;\n\
         \x20     -*) ;;\n\
         \x20     *) command=${{command:-$one}} ;;\n\
         \x20   esac\n\
         \x20 done\n\
         \x20 case $before in\n\
         {cases}\
         \x20   *) case $word in\n\
         \x20        -*) COMPREPLY=($(compgen -W '{all}' -- \"$word\")) ;;\n\
         \x20        *) case $command in\n\
         \x20             '') COMPREPLY=($(compgen -W '{commands}' -- \"$word\")) ;;\n\
         \x20             {on_files}) {function}_files -f ;;\n\
         \x20           esac ;;\n\
         \x20      esac ;;\n\
         \x20 esac\n\
         }}\n\
         complete -F {function} {program}\n"
    )
}

fn zsh(program: &str, commands: &[Item], flags: &[Item]) -> String {
    let function = function(program);
    let quoted = |text: &str| text.replace('\'', "'\\''");
    // A colon separates the parts of an argument of `_arguments`, a bracket ends its explanation.
    let part = |text: &str| quoted(&text.replace(':', "\\:"));
    let about = |text: &str| part(text).replace('[', "\\[").replace(']', "\\]");
    let mut arguments = String::new();
    for flag in flags {
        let equals = if flag.value.is_some() { "=" } else { "" };
        let name = format!("--{}", flag.name);
        let names = match &flag.short {
            Some(short) => format!("'({short} {name})'{{{short},{name}{equals}}}"),
            None => format!("{name}{equals}"),
        };
        let action = match flag.values() {
            Values::Words(words) => format!("({words})"),
            Values::Folder => "_files -/".to_owned(),
            Values::File => "_files".to_owned(),
            Values::Free => " ".to_owned(),
        };
        let value = flag.value.as_ref().map(|value| format!(":{}:{action}", part(value)));
        let value = value.unwrap_or_default();
        arguments += &format!("    {names}'[{}]{value}' \\\n", about(&flag.about));
    }
    let described: String = commands
        .iter()
        .map(|command| format!(" '{}:{}'", command.name, quoted(&command.about)))
        .collect();
    // Without commands there is nothing to complete but flags.
    let (list, rest, cases) = match commands {
        [] => Default::default(),
        _ => (
            format!("  local -a commands=({described} )\n"),
            "    '1: :->command' '*:: :->argument'\n".to_owned(),
            format!(
                "  case $state in\n\
                 \x20   command) _describe command commands ;;\n\
                 \x20   argument) case $words[1] in {}) _files ;; esac ;;\n\
                 \x20 esac\n",
                ON_FILES.replace(' ', "|")
            ),
        ),
    };
    format!(
        "#compdef {program}\n\
         {function}() {{\n\
         \x20 local context state state_descr line\n\
         \x20 local -A opt_args\n\
         {list}\
         \x20 _arguments -C -S \\\n\
         {arguments}{rest}\n\
         {cases}\
         }}\n\
         # Read by the completion system, or by 'source'.\n\
         if [[ $funcstack[1] == _{program} ]]; then {function} \"$@\"; else compdef {function} {program}; fi\n"
    )
}

fn fish(program: &str, commands: &[Item], flags: &[Item]) -> String {
    let function = format!("_{}_command", function(program));
    let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    let with_value = either(flags, |flag| flag.value.is_some()).replace('|', " ");
    let mut text = format!(
        "# The command of the line so far.\n\
         function {function}\n\
         \x20 set -l words (commandline -opc)\n\
         \x20 set -e words[1]\n\
         \x20 set -l skip no\n\
         \x20 for word in $words\n\
         \x20   if test $skip = yes\n\
         \x20     set skip no\n\
         \x20     continue\n\
         \x20   end\n\
         \x20   switch $word\n\
         \x20     case {with_value}\n\
         \x20       set skip yes\n\
         \x20     case '-*'\n\
         \x20     case '*'\n\
         \x20       echo $word\n\
         \x20       return\n\
         \x20   end\n\
         \x20 end\n\
         \x20 return 1\n\
         end\n\
         complete -c {program} -f\n"
    );
    for command in commands {
        let (name, about) = (&command.name, quoted(&command.about));
        text +=
            &format!("complete -c {program} -n 'not {function} >/dev/null' -a {name} -d {about}\n");
    }
    if !commands.is_empty() {
        text += &format!("complete -c {program} -n 'contains -- ({function}) {ON_FILES}' -F\n");
    }
    for flag in flags {
        let short =
            flag.short.as_ref().map(|short| format!(" -s {}", short.trim_start_matches('-')));
        let values = match (flag.value.is_some(), flag.values()) {
            (false, _) => String::new(),
            (true, Values::Words(words)) => format!(" -xa '{words}'"),
            (true, Values::Folder) => " -xa '(__fish_complete_directories)'".to_owned(),
            (true, Values::File) => " -rF".to_owned(),
            (true, Values::Free) => " -x".to_owned(),
        };
        let (short, name, about) = (short.unwrap_or_default(), &flag.name, quoted(&flag.about));
        text += &format!("complete -c {program}{short} -l {name}{values} -d {about}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::{Lang, Msg};

    #[test]
    fn every_flag_and_command_of_the_help_is_completed_in_every_shell() {
        for lang in [Lang::En, Lang::Id] {
            for (program, usage) in
                [("connme-server", Msg::ServerUsage), ("connme-client", Msg::ClientUsage)]
            {
                let usage = usage.say(lang);
                let (commands, flags) = items(&usage);
                assert_eq!(commands.len(), if program == "connme-client" { 11 } else { 0 });
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
        // The server has no commands, and none of the client's.
        let usage = Msg::ServerUsage.say(Lang::En);
        let zsh = script("zsh", "connme-server", &usage).unwrap();
        assert!(!zsh.contains("upload|") && !zsh.contains("$state"), "{zsh}");
    }

    #[test]
    fn a_flag_is_read_from_its_line() {
        let usage = "x\n\n  run FILE...  run it; twice\n\n  -s, --server HOST[:PORT]\n\
                     \x20                       the server (default x)\n      --json  it's so\n\n  x --y\n";
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
