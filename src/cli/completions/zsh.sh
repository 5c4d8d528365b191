#compdef PROGRAM
FUNCTION() {
  local context state state_descr line
  local -A opt_args
  local -a commands=(COMMANDS)
  _arguments -C -S \
FLAGS
    '1: :->command' '*:: :->argument'
  case $state in
    command) if (( $#commands )); then _describe command commands; fi ;;
    argument) case $words[1] in LOCAL) _files ;; esac ;;
  esac
}
# Read by the completion system, or by 'source'.
if [[ $funcstack[1] == _PROGRAM ]]; then FUNCTION "$@"; else compdef FUNCTION PROGRAM; fi
