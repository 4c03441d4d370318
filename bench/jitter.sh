#!/usr/bin/env bash
# Release jitter of our periodic thread beside cyclictest's: same priority, CPU and period, in alternating rounds.
#
# usage: jitter.sh [PRIORITY [CPU [PERIOD_US [CYCLES [ROUNDS]]]]]     default: 80, last CPU, 1000, 3000, 10
#
# Prints per round the p50 and p99 of both and their differences (ours - cyclictest's), then the same over all cycles, and
# the median and range of the per-round differences. Needs cyclictest (Debian: rt-tests) and SCHED_FIFO.
set -euo pipefail
build=$(cd "$(dirname "$0")" && pwd)
for candidate in "$build" "$build/../build/release"; do
  [ -x "$candidate/bench_jitter" ] && ours=$candidate/bench_jitter && break
done
[ -n "${ours:-}" ] || { echo "bench_jitter is not built: configure with -DEINET_BENCH=ON" >&2; exit 1; }
command -v cyclictest >/dev/null || { echo "cyclictest not found: apt-get install rt-tests" >&2; exit 1; }

priority=${1:-80}
cpu=${2:-$(($(nproc) - 1))}
period_us=${3:-1000}
cycles=${4:-3000}
rounds=${5:-10}
histogram_ns=2000000 # later wake-ups are counted at this value
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

run_ours() {
  "$ours" "$priority" "$cpu" "$period_us" "$cycles" --ns >"$dir/ours"
}

# The histogram's "ns count" lines become one value a line; overflows become the histogram's end.
run_theirs() {
  cyclictest -m -q -N -p "$priority" -a "$cpu" -t 1 -i "$period_us" -l "$cycles" -h "$histogram_ns" |
    awk -v end="$histogram_ns" '
      /^# Histogram Overflows:/ { for (i = 0; i < $4 + 0; i++) print end }
      /^[0-9]/ && $2 + 0 > 0    { for (i = 0; i < $2 + 0; i++) print $1 + 0 }' >"$dir/theirs"
}

# Nearest-rank quantile $2 of the values in file $1, in ns.
quantile() {
  sort -n "$1" | awk -v q="$2" '{ v[NR] = $1 } END { r = int(q * NR); if (r < q * NR) r++; if (r < 1) r = 1; print v[r] }'
}

echo "priority $priority, CPU $cpu, period $period_us us, $rounds rounds of $cycles cycles each; us"
printf '%5s  %9s %9s %9s  %9s %9s %9s\n' round 'ours p50' 'cyc. p50' diff 'ours p99' 'cyc. p99' diff
: >"$dir/all_ours"
: >"$dir/all_theirs"
for ((round = 1; round <= rounds; round++)); do
  if ((round % 2)); then # who goes first alternates, too
    run_ours
    run_theirs
  else
    run_theirs
    run_ours
  fi
  cat "$dir/ours" >>"$dir/all_ours"
  cat "$dir/theirs" >>"$dir/all_theirs"
  echo "$round $(quantile "$dir/ours" 0.5) $(quantile "$dir/theirs" 0.5) $(quantile "$dir/ours" 0.99) $(quantile "$dir/theirs" 0.99)"
done | tee "$dir/rounds" | awk '{ printf "%5d  %9.2f %9.2f %+9.2f  %9.2f %9.2f %+9.2f\n", $1, $2/1e3, $3/1e3, ($2-$3)/1e3, $4/1e3, $5/1e3, ($4-$5)/1e3; fflush() }'

for q in 0.5 0.99; do
  column=$([ "$q" = 0.5 ] && echo 2 || echo 4)
  awk -v c="$column" '{ print $c - $(c + 1) }' "$dir/rounds" >"$dir/diffs"
  awk -v q="$q" -v a="$(quantile "$dir/all_ours" "$q")" -v b="$(quantile "$dir/all_theirs" "$q")" \
    -v m="$(quantile "$dir/diffs" 0.5)" -v lo="$(quantile "$dir/diffs" 0)" -v hi="$(quantile "$dir/diffs" 1)" 'BEGIN {
      printf "all p%-3g ours %.2f, cyclictest %.2f, difference %+.2f; per round: median %+.2f, from %+.2f to %+.2f\n",
        q * 100, a/1e3, b/1e3, (a-b)/1e3, m/1e3, lo/1e3, hi/1e3 }'
done
