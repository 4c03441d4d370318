#!/usr/bin/env bash
# A report as a user makes it, opened in a browser: einet simulate, einet report, Chromium.
#
# usage: page.sh EINET SHOTS_DIR CASE     CASE: full, plain, summary-only, many
# Skips (77) without Chromium or python3. Screenshots go to SHOTS_DIR.
set -eu
einet=$1 shots=$2 case=$3
here=$(cd "$(dirname "$0")" && pwd)
command -v chromium >/dev/null && command -v python3 >/dev/null || { echo "no chromium or python3 here"; exit 77; }
dir=$(mktemp -d)
# Chromium's helpers may still write into it for a moment.
trap 'rm -rf "$dir" 2>/dev/null || { sleep 1; rm -rf "$dir"; } || true' EXIT
export TMPDIR=$dir
mkdir -p "$shots"
"$einet" simulate configs/edge-server.yaml --duration 20s --out "$dir" >/dev/null
options=()
case $case in
full) # all files, misses, a degraded run
  python3 "$here/write_records.py" "$dir" --late --degrade --outrank
  options=(--degraded --outranked --with-s)
  ;;
plain) # as older versions wrote it: no run.json, no stages.csv, no latency.hlog
  rm -f "$dir/stages.csv" "$dir/run.json" "$dir/latency.hlog"
  sed -i '/"assumed_stop": {/,/^      },/d; s/exit time schedule/exit time uniform/' "$dir/summary.json"
  options=(--with-s --not-drawn tails) # S by the name of its source
  ;;
summary-only) # outputs.jobs: none
  rm -f "$dir/stages.csv" "$dir/run.json" "$dir/jobs.csv"
  options=(--not-drawn timeline,misses,elastic,stops) # latency.hlog has the responses
  ;;
many) # a million jobs
  python3 "$here/write_many.py" "$dir" 1000000
  rm -f "$dir/latency.hlog"
  options=(--not-drawn preemption,tails)
  ;;
esac
"$einet" report "$dir" --out "$dir/page.html"
[ "$(stat -c %s "$dir/page.html")" -lt 5000000 ] || { echo "the page is larger than 5 MB"; exit 1; }
python3 "$here/browser.py" "$dir/page.html" "$shots/$case" "${options[@]}"
