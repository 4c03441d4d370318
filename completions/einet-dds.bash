# Completion of einet-dds for bash: `source completions/einet-dds.bash`, or installed where bash-completion looks.
# Options come from `einet-dds --help` and those of its commands, so they are those of the einet-dds that is typed.

_einet_dds_options() { # of a command, or of none
  "$@" --help 2>/dev/null | grep -oE -- '(^|[^[:alnum:]-])--[a-z][a-z-]*' | grep -oE -- '--[a-z][a-z-]*' | sort -u
}

_einet_dds() {
  local current=$2 words=("$1")
  [[ ${COMP_WORDS[1]:-} == @(egress|top) ]] && words+=("${COMP_WORDS[1]}")
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_einet_dds_options "${words[@]}") --help" -- "$current" | sort -u)
  else
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -W "egress top" -- "$current"; compgen -d -- "$current"; compgen -f -X '!*.@(yaml|yml)' -- "$current")
  fi
}

shopt -s extglob
complete -F _einet_dds einet-dds
