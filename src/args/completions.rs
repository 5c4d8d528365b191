//! Shell completions for the client, printed by `--completions SHELL`.

const COMMANDS: &str = "connme ls size upload download rm count lls compare say demo";
const FLAGS: &str = "--server --dialect --downloads --yes --quiet --buffer --trace --stammer --json --lang --completions \
                     --help --version";
const DIALECTS: &str = "text struct filesaver json count";
const LANGUAGES: &str = "en id";
const SHELLS: &str = "bash zsh fish";

/// The script for a shell, if it is one of the three.
pub(super) fn script(shell: &str) -> Option<String> {
    Some(match shell {
        "bash" => format!(
            "_connme_client() {{\n\
             \x20 local word=${{COMP_WORDS[COMP_CWORD]}} command= one\n\
             \x20 for one in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do\n\
             \x20   case ' {COMMANDS} ' in *\" $one \"*) command=$one ;; esac\n\
             \x20 done\n\
             \x20 case ${{COMP_WORDS[COMP_CWORD-1]}} in\n\
             \x20   -d|--dialect) COMPREPLY=($(compgen -W '{DIALECTS}' -- \"$word\")) ;;\n\
             \x20   -o|--downloads) COMPREPLY=($(compgen -d -- \"$word\")) ;;\n\
             \x20   --lang) COMPREPLY=($(compgen -W '{LANGUAGES}' -- \"$word\")) ;;\n\
             \x20   --completions) COMPREPLY=($(compgen -W '{SHELLS}' -- \"$word\")) ;;\n\
             \x20   -s|--server|--buffer|--stammer) COMPREPLY=() ;;\n\
             \x20   *) case $word in\n\
             \x20        -*) COMPREPLY=($(compgen -W '{FLAGS}' -- \"$word\")) ;;\n\
             \x20        *) case $command in\n\
             \x20             '') COMPREPLY=($(compgen -W '{COMMANDS}' -- \"$word\")) ;;\n\
             \x20             upload|compare) local IFS=$'\\n'; COMPREPLY=($(compgen -f -- \"$word\")) ;;\n\
             \x20             *) COMPREPLY=() ;;\n\
             \x20           esac ;;\n\
             \x20      esac ;;\n\
             \x20 esac\n\
             }}\n\
             complete -o filenames -F _connme_client connme-client\n"
        ),
        "zsh" => format!(
            "#compdef connme-client\n\
             case $words[CURRENT-1] in\n\
             \x20 -d|--dialect) compadd {DIALECTS} ;;\n\
             \x20 -o|--downloads) _files -/ ;;\n\
             \x20 --lang) compadd {LANGUAGES} ;;\n\
             \x20 --completions) compadd {SHELLS} ;;\n\
             \x20 -s|--server|--buffer|--stammer) ;;\n\
             \x20 *) case $PREFIX in\n\
             \x20      -*) compadd -- {FLAGS} ;;\n\
             \x20      *) compadd {COMMANDS}; _files ;;\n\
             \x20    esac ;;\n\
             esac\n"
        ),
        "fish" => format!(
            "complete -c connme-client -n __fish_use_subcommand -a '{COMMANDS}'\n\
             complete -c connme-client -s s -l server -x\n\
             complete -c connme-client -s d -l dialect -xa '{DIALECTS}'\n\
             complete -c connme-client -s o -l downloads -xa '(__fish_complete_directories)'\n\
             complete -c connme-client -s y -l yes\n\
             complete -c connme-client -s q -l quiet\n\
             complete -c connme-client -l buffer -x\n\
             complete -c connme-client -s t -l trace\n\
             complete -c connme-client -l stammer -x\n\
             complete -c connme-client -l json\n\
             complete -c connme-client -l lang -xa '{LANGUAGES}'\n\
             complete -c connme-client -l completions -xa '{SHELLS}'\n\
             complete -c connme-client -s h -l help\n\
             complete -c connme-client -s V -l version\n"
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_of_the_client_is_completed_in_every_shell() {
        let usage = crate::lang::Msg::ClientUsage.say(crate::lang::Lang::En);
        let words = usage.split(|c: char| !c.is_ascii_lowercase() && c != '-');
        for flag in words.filter_map(|word| word.strip_prefix("--")).filter(|flag| !flag.is_empty())
        {
            for shell in ["bash", "zsh", "fish"] {
                assert!(script(shell).unwrap().contains(flag), "{flag} in {shell}");
            }
        }
        for words in [DIALECTS, LANGUAGES, SHELLS] {
            for shell in SHELLS.split(' ') {
                assert!(script(shell).unwrap().contains(words), "{words} in {shell}");
            }
        }
        assert_eq!(script("tcsh"), None);
    }
}
