@words  -xa 'WORDS'
@folder  -xa '(__fish_complete_directories)'
@file  -rF
@any  -x
# The command of the line so far.
function FUNCTION_command
  set -l words (commandline -opc)
  set -e words[1]
  set -l skip no
  for word in $words
    if test $skip = yes
      set skip no
      continue
    end
    switch $word
@valued       case SPELLING; set skip yes
      case '-*'
      case '*'
        echo $word
        return
    end
  end
  return 1
end
complete -c PROGRAM -f
@local complete -c PROGRAM -n 'contains -- (FUNCTION_command) NAME' -F
@command complete -c PROGRAM -n 'not FUNCTION_command >/dev/null' -a NAME -d 'ABOUT'
@flag complete -c PROGRAMSHORT -l NAMEACTION -d 'ABOUT'
