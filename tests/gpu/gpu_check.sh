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
for wanted in '"dry_run": true' 'no figures of a GPU' '"device": "fake CUDA runtime"' '"tests": {"ran": false,' '"turns": 10'; do
  grep -qF -- "$wanted" "$dir/out/manifest.json" || fail "manifest.json does not say $wanted: $(cat "$dir/out/manifest.json")"
done
grep -q 'no figures of a GPU' "$dir/out/table.txt" || fail "table.txt does not say what it is"
for row in 'wait block' 'wait poll' 'wait spin' 'depth 1' 'depth 2' 'lane, 2' 'priorities' 'plain' 'waits for the running block'; do
  grep -q -- "$row" "$dir/out/table.txt" || fail "table.txt has no row $row"
done
grep -q '"emulated": true' "$dir/out/figures.json" || fail "figures.json does not say what it is"

# A result must have been built, tested and measured together, on a GPU.
if scripts/gpu-check --no-tests --build "$build" 2>"$dir/err"; then fail "a result without tests was accepted"; fi
grep -q 'for a dry run' "$dir/err" || fail "said: $(cat "$dir/err")"
if ! nvidia-smi >/dev/null 2>&1; then
  if scripts/gpu-check --build "$build" 2>"$dir/err"; then fail "went on without a GPU"; fi
  grep -q 'no GPU here' "$dir/err" || fail "said: $(cat "$dir/err")"
fi
if "$build/bench_cuda" --emulate no-such-network 2>"$dir/err"; then fail "an unknown network was accepted"; fi
grep -q 'no-such-network' "$dir/err" || fail "said: $(cat "$dir/err")"
