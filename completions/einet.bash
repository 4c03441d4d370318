# Completion of einet for bash: `source completions/einet.bash`, or installed where bash-completion looks.
# Commands and options come from `einet --help` and `einet COMMAND --help`, so they are those of the einet that is typed.

_einet_commands() {
  "$1" --help 2>/dev/null | sed -n '/^commands:/,/^$/s/^  \([a-z][a-z]*\) .*/\1/p'
}

_einet_options() {
  "$1" "$2" --help 2>/dev/null | grep -oE -- '(^|[^[:alnum:]-])--[a-z][a-z-]*' | grep -oE -- '--[a-z][a-z-]*' | sort -u
}

_einet_probes() {
  "$1" doctor --help 2>/dev/null | tr -s '\n ' ' ' | sed -n 's/.* They are \([a-z_ ]*\) --json .*/\1/p'
}

_einet() {
  local einet=$1 current=$2 command=${COMP_WORDS[1]} listed=
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_einet_commands "$einet") --help --version" -- "$current")
  elif [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_einet_options "$einet" "$command") --help" -- "$current" | sort -u)
  elif [ "$command" = help ]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_einet_commands "$einet")" -- "$current")
  elif [[ $command == doctor && ${COMP_WORDS[COMP_CWORD-1]} == --only ]]; then # a list: the last of it
    [[ $current != *,* ]] || listed=${current%,*},
    mapfile -t COMPREPLY < <(compgen -P "$listed" -W "$(_einet_probes "$einet")" -- "${current##*,}")
  else
    compopt -o filenames 2>/dev/null
    case $command in
    ctl)
      [[ ${COMP_WORDS[COMP_CWORD-1]} == --socket ]] ||
        mapfile -t COMPREPLY < <(compgen -W "list answer release set pause resume reload drain stop" -- "$current")
      ;;
    run | serve | simulate | analyze | check | doctor)
      # Workload files first; with none that fits, any file.
      mapfile -t COMPREPLY < <(compgen -d -- "$current"; compgen -f -X '!*.@(yaml|yml)' -- "$current")
      ;;
    esac
    [ ${#COMPREPLY[@]} -gt 0 ] || mapfile -t COMPREPLY < <(compgen -f -- "$current")
  fi
}

shopt -s extglob
complete -F _einet einet
