#!/usr/bin/env bash
# scripts/gpu-check as far as it goes without a GPU. usage: gpu_check.sh BUILD_DIR (absolute; the tree is the working
# directory). Exit status 77: the fake CUDA runtime or the benchmarks were not built.
set -euo pipefail
build=$1
[ -f "$build/libeinet_cuda_fake.so" ] || { echo "skipped: no fake CUDA runtime in $build"; exit 77; }
[ -x "$build/bench_cuda" ] || { echo "skipped: no bench_cuda in $build (EINET_BENCH=OFF)"; exit 77; }
fail() { echo "gpu_check: $*" >&2; exit 1; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

before=$(ls -A bench/results 2>/dev/null || true)
scripts/gpu-check --dry-run --no-build --no-tests --build "$build" --out "$dir/out" --turns 10 >"$dir/log" ||
  { cat "$dir/log"; fail "the dry run failed"; }
[ "$before" = "$(ls -A bench/results 2>/dev/null || true)" ] || fail "a dry run wrote into bench/results"
for wanted in '"dry_run": true' 'no figures of a GPU' '"device": "fake CUDA runtime"' '"tests": {"ran": false,' '"turns": 10' \
  '"reached": "end"' '"went_wrong": ""' '"files": ["table.txt", "figures.json", "run.txt", "run.json"]'; do
  grep -qF -- "$wanted" "$dir/out/manifest.json" || fail "manifest.json does not say $wanted: $(cat "$dir/out/manifest.json")"
done
grep -q 'no figures of a GPU' "$dir/out/table.txt" || fail "table.txt does not say what it is"
for row in 'wait block' 'wait poll' 'wait spin' 'spin, write' 'depth 1' 'depth 2' '100 us blocks, write' 'lane, 2' 'priorities' 'plain' 'waits for the running block'; do
  grep -q -- "$row" "$dir/out/table.txt" || fail "table.txt has no row $row"
done
for wanted in '"emulated": true' '"complete": true'; do
  grep -q "$wanted" "$dir/out/figures.json" || fail "figures.json does not say $wanted"
done
grep -q '"name": "gpu"' "$dir/out/run.json" || fail "run.json knows no lane gpu"

# What is cut short leaves what it has, and says how far it came; what fails is said at the end.
mkdir "$dir/half"
cp -r "$build/libeinet_cuda_fake.so" "$build/einet" "$build/CMakeCache.txt" "$dir/half/"
printf '#!/bin/sh\necho a row\nexit 5\n' >"$dir/half/bench_cuda"
chmod +x "$dir/half/bench_cuda"
if scripts/gpu-check --dry-run --no-build --no-tests --build "$dir/half" --out "$dir/part" >"$dir/log" 2>&1; then
  fail "a benchmark that failed was accepted"
fi
for wanted in '"reached": "end"' 'the benchmark did not finish' '"files": ["table.txt", "run.txt", "run.json"]'; do
  grep -qF -- "$wanted" "$dir/part/manifest.json" || fail "manifest.json does not say $wanted: $(cat "$dir/part/manifest.json")"
done
printf '#!/bin/sh\necho a row\nkill -9 $(cat %s/pid)\n' "$dir" >"$dir/half/bench_cuda"
bash -c 'echo $$ >"$1/pid"; exec scripts/gpu-check --dry-run --no-build --no-tests --build "$1/half" --out "$1/cut"' _ "$dir" \
  >"$dir/log" 2>&1 || true
grep -qF '"reached": "benchmark"' "$dir/cut/manifest.json" || fail "a run that was killed does not say how far it came"
grep -q 'a row' "$dir/cut/table.txt" || fail "a run that was killed lost its table"

# A result must have been built, tested and measured together, on a GPU.
if scripts/gpu-check --no-tests --build "$build" 2>"$dir/err"; then fail "a result without tests was accepted"; fi
grep -q 'for a dry run' "$dir/err" || fail "said: $(cat "$dir/err")"
if ! nvidia-smi >/dev/null 2>&1; then
  if scripts/gpu-check --build "$build" 2>"$dir/err"; then fail "went on without a GPU"; fi
  grep -q 'no GPU here' "$dir/err" || fail "said: $(cat "$dir/err")"
fi
if "$build/bench_cuda" --emulate no-such-network 2>"$dir/err"; then fail "an unknown network was accepted"; fi
grep -q 'no-such-network' "$dir/err" || fail "said: $(cat "$dir/err")"
