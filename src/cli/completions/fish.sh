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
      case VALUED
        set skip yes
      case '-*'
      case '*'
        echo $word
        return
    end
  end
  return 1
end
complete -c PROGRAM -f
complete -c PROGRAM -n 'contains -- (FUNCTION_command) LOCAL' -F
COMMANDS
FLAGS
