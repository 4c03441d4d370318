# Completion of einet-dds for bash: `source completions/einet-dds.bash`, or installed where bash-completion looks.
# Options come from `einet-dds --help`.

_einet_dds() {
  local current=$2
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$("$1" --help 2>/dev/null | grep -oE -- '--[a-z]+' | sort -u)" -- "$current")
  else
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -d -- "$current"; compgen -f -X '!*.@(yaml|yml)' -- "$current")
  fi
}

shopt -s extglob
complete -F _einet_dds einet-dds
