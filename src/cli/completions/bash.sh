@words COMPREPLY=($(compgen -W 'WORDS' -- "$word"))
@folder FUNCTION_files -d
@file FUNCTION_files -f
@any COMPREPLY=()
FUNCTION_files() {
  local name=
  compopt -o filenames 2>/dev/null
  # Line by line, so that a file called * stays that. The bash of macOS has no mapfile.
  while IFS= read -r name; do COMPREPLY+=("$name"); done < <(compgen "$1" -- "$word")
}
FUNCTION() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
  local command= skip= one commands= flags=
@command   commands+=' NAME'
@flag   flags+=' --NAME'
  COMPREPLY=()
  # bash makes words of = in --flag=value and of : in HOST:PORT.
  if [[ $word == +(:) || $before == +(:) ]]; then return
  elif [[ $word == = ]]; then word=
  elif [[ $before == = ]]; then before=${COMP_WORDS[COMP_CWORD-2]}; fi
  for one in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [[ $one == +([=:]) ]]; then skip=1; continue; fi
    if [[ $skip ]]; then skip=; continue; fi
    case $one in
@valued       SPELLING) skip=1 ;;
      -*) ;;
      *) command=${command:-$one} ;;
    esac
  done
  case $before in
@valued     SPELLING) ACTION ;;
    *) case $word in
         -*) COMPREPLY=($(compgen -W "$flags" -- "$word")) ;;
         *) case $command in
              '') COMPREPLY=($(compgen -W "$commands" -- "$word")) ;;
@local               NAME) FUNCTION_files -f ;;
            esac ;;
       esac ;;
  esac
}
complete -F FUNCTION PROGRAM
