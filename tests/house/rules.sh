#!/usr/bin/env bash
# House rules that a grep can check; prints each breach and fails when there is one.
set -u
fail=0
breach() {
  if [ -n "$2" ]; then
    printf '%s:\n%s\n' "$1" "$2"
    fail=1
  fi
}
sources=$(find include rt planner workloads scheduler stages metrics models engine doctor report command app library adapters tests bench \
  -name '*.[ch]' -o -name '*.cpp')

breach "include by path from the root, never relative (the layer check would be blind)" \
  "$(grep -nE '#include "\.\.?/' $sources)"
breach "C++ lives in stages/torch alone, and in a program that uses the library" \
  "$(echo "$sources" | grep '\.cpp$' | grep -vE '^(stages/torch|tests/library/consumer)/')"
breach "file names that say nothing" \
  "$(echo "$sources" | grep -E '/(utils?|misc|common)\.')"
breach "marks of unfinished work" \
  "$(grep -nE '\b(TODO|FIXME|XXX|HACK)\b' $sources)"
breach "the library never exits, aborts or prints" \
  "$(grep -nE '\b(exit|abort|printf|puts|perror)\(' $(echo "$sources" | grep -E '^(rt|planner|scheduler|workloads|stages|metrics|engine|doctor|report|library|adapters)/.*\.c$') | grep -vE 'snprintf|fprintf|_exit\(')"
breach "nobody waits with sched_yield: the hand-off alone calls it, once (rt/handoff.h)" \
  "$(grep -n 'sched_yield(' $(echo "$sources" | grep -vE '^(tests|rt/yield_trap)') | grep -v '^rt/handoff_rt.c')"
breach "files over 700 lines" \
  "$(wc -l $sources | awk '$2 != "total" && $1 > 700 {print $2 ": " $1 " lines"}')"
exit $fail
