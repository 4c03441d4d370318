# Completion of einet-dds for bash: `source completions/einet-dds.bash`, or installed where bash-completion looks.
# Options come from `einet-dds --help` and those of its commands.

_einet_dds_options() {
  { "$1" --help; "$1" egress --help; "$1" top --help; } 2>/dev/null | grep -oE -- '--[a-z]+' | sort -u
}

_einet_dds() {
  local current=$2
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_einet_dds_options "$1")" -- "$current")
  else
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -W "egress top" -- "$current"; compgen -d -- "$current"; compgen -f -X '!*.@(yaml|yml)' -- "$current")
  fi
}

shopt -s extglob
complete -F _einet_dds einet-dds
