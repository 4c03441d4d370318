#!/usr/bin/env bash
# What scripts/run-cases makes of cases that fail: only a failed check of a timed case gets a second run.
#
# usage: run_cases.sh SCRIPT
set -u
script=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail=0

# expect WHAT STATUS TEXT CASE...: a build of these cases ends with that status and has said TEXT.
expect() {
  local what=$1 wanted=$2 text=$3
  shift 3
  rm -rf "${folder:?}"/*
  for case in "$@"; do
    local name=${case%%=*} command=${case#*=}
    printf 'add_test(%s sh -c "cd %s; %s")\n' "$name" "$folder" "$command"
    case $name in timed*) printf 'set_tests_properties(%s PROPERTIES LABELS "rt;integration" TIMEOUT 5)\n' "$name" ;; esac
  done >"$folder/CTestTestfile.cmake"
  "$script" "$folder" >"$folder/said" 2>&1
  local status=$?
  if { [ "$wanted" = 0 ] && [ $status != 0 ]; } || { [ "$wanted" != 0 ] && [ $status = 0 ]; } || ! grep -q "$text" "$folder/said"; then
    printf '%s: status %d, wanted %s and "%s"; it said:\n' "$what" $status "$wanted" "$text"
    cat "$folder/said"
    fail=1
  fi
}
late='echo Test x had failures:; '
once='test -e again || { touch again; echo Test x had failures:; exit 1; }'

expect "all pass" 0 "100% tests passed" "unit=true" "timed=true"
expect "a timed check fails once" 0 "a second run decides: timed" "unit=true" "timed=$once"
expect "a timed check fails always" 1 "a second run decides: timed" "unit=true" "timed=$late exit 1"
expect "a timed case crashes" 1 "no late clock explains it" "timed=test -e again || { touch again; exit 1; }"
expect "one timed check fails, one crashes" 1 "no late clock" "timed1=$once" "timed2=test -e more || { touch more; exit 1; }"
expect "a sanitizer reports" 1 "no late clock" "timed=echo WARNING: ThreadSanitizer: data race; $once"
expect "a rule is broken" 1 "no late clock" "timed=echo 1 violations of kind 0; $once"
expect "another case fails" 1 "failed: unit" "unit=test -e other || { touch other; exit 1; }" "timed=$once"
exit $fail
