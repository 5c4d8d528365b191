#compdef PROGRAM
@words (WORDS)
@folder _files -/
@file _files
FUNCTION() {
  local context state state_descr line
  local -A opt_args
  local -a commands
@command   commands+=('NAME:ABOUT')
  _arguments -C -S \
@plain     '(SPELLINGS)SPELLING[ABOUT]' \
@valued     '(SPELLINGS)SPELLINGEQUALS[ABOUT]:VALUE:ACTION' \
    '1: :->command' '*:: :->argument'
  case $state in
    command) if (( $#commands )); then _describe command commands; fi ;;
    argument) case $words[1] in
@local       NAME) _files ;;
    esac ;;
  esac
}
# Read by the completion system, or by 'source'.
if [[ $funcstack[1] == _PROGRAM ]]; then FUNCTION "$@"; else compdef FUNCTION PROGRAM; fi
