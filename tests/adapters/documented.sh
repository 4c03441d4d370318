#!/usr/bin/env bash
# Each option that einet-dds and its commands name is in its manual page and in both completions, and nothing else is; bash proposes
# workload files.
#
# usage: documented.sh EINET_DDS
set -euo pipefail
command=$1
named=$({ "$command" --help; "$command" egress --help; "$command" top --help; } | grep -oE -- '--[a-z]+' | sort -u)
[ "$(wc -l <<<"$named")" -ge 5 ]
diff <(echo "$named") <(grep -oE '\\-\\-[a-z]+' man/einet-dds.1 | tr -d '\\' | sort -u)
diff <(echo "$named") <(grep -oE -- "'--[a-z]+\[" completions/_einet-dds | tr -d "'[" | sort -u)
source completions/einet-dds.bash
COMPREPLY=()
_einet_dds "$command" -- einet-dds
diff <(echo "$named") <(printf '%s\n' "${COMPREPLY[@]}")
compopt() { :; } # which only a shell that completes has
set +e # as in a shell that completes
_einet_dds "$command" examples/ros2/r einet-dds
set -e
[ "${COMPREPLY[*]}" = examples/ros2/robot.yaml ]
# Wrong use is said and refused.
for wrong in "--domain 231 examples/ros2/robot.yaml" "--nonsense" ""; do
  status=0
  # shellcheck disable=SC2086
  "$command" $wrong >/dev/null 2>&1 || status=$?
  [ "$status" -eq 1 ]
done
