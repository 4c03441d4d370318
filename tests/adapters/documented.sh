#!/usr/bin/env bash
# Each option that einet-dds and its commands name is in the manual page and proposed by the completions, and nothing else is; bash
# proposes workload files.
#
# usage: documented.sh EINET_DDS
set -euo pipefail
command=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
scripts/man-options man/einet-dds.1.in "$command" "$folder/einet-dds.1"
if grep -q '@OPTIONS' "$folder/einet-dds.1"; then
  echo "the page has a line that was not filled in"
  exit 1
fi
# The options of a help text: those that lines begin with.
options_of() { "$@" --help | sed -nE 's/^  (--[a-z][a-z-]*).*/\1/p' | sort -u; }
# The part of the page from a heading to the next, as options without their backslashes.
page_of() { awk -v from="$1" '$0 == from { is_in = 1; next } /^\.S[HS] / { is_in = 0 } is_in' "$folder/einet-dds.1" |
  sed -nE 's/^\.B (\\-\\-[^ ]*).*/\1/p' | tr -d '\\' | sort -u; }
source completions/einet-dds.bash
for of in "" egress top; do
  # shellcheck disable=SC2086 # none is no word
  named=$(options_of "$command" $of)
  [ "$(wc -l <<<"$named")" -ge 3 ]
  if [ -z "$of" ]; then
    diff <(printf '%s\n' "$named" --version | sort) <(page_of ".SH OPTIONS")
  else
    diff <(echo "$named") <(page_of ".SS Of einet\\-dds $of")
  fi
  COMPREPLY=()
  COMP_WORDS=(einet-dds ${of:+"$of"} --)
  _einet_dds "$command" -- einet-dds
  # the usage lines of the program itself name those of its commands, too
  diff <({ echo "$named"; echo --help; [ -n "$of" ] || printf '%s\n' --version; } | sort) <(printf '%s\n' "${COMPREPLY[@]}")
done
compopt() { :; } # which only a shell that completes has
set +e # as in a shell that completes
COMP_WORDS=(einet-dds examples/ros2/r)
_einet_dds "$command" examples/ros2/r einet-dds
set -e
[ "${COMPREPLY[*]}" = examples/ros2/robot.yaml ]
# Wrong use is said, with where to look, and refused.
refuses() {
  local says=$1 status=0 said
  shift
  said=$("$command" "$@" 2>&1) || status=$?
  [ "$status" -eq 1 ] && [[ $said == "einet-dds"*"$says" ]] && return
  echo "$*: status $status: $said"
  exit 1
}
refuses "--domain wants a number from 0 to 230, not '231'; einet-dds --help" --domain 231 examples/ros2/robot.yaml
refuses "unknown option --nonsense; einet-dds --help" --nonsense
refuses "unknown option --pol, did you mean --pool; einet-dds egress --help" egress --pol x
refuses "unknown option --rank; einet-dds top --help" top --rank 3
refuses "which pool? Give --pool NAME; einet-dds top --help" top
refuses "--interval wants a time of at least 100ms, with a unit, not '99ms'; einet-dds top --help" top --pool x --interval 99ms
refuses "give one workload file; einet-dds --help"
refuses "--node, --rank and --lease want --pool NAME; einet-dds --help" --rank 3 examples/ros2/robot.yaml
ROS_DOMAIN_ID=x refuses "ROS_DOMAIN_ID wants a number from 0 to 230, not 'x'; einet-dds --help" examples/ros2/robot.yaml
[[ $("$command" --version) == "einet-dds "* ]]
