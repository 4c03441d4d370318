#!/usr/bin/env bash
# What libeinet.so shows and what it wants: usage: symbols.sh LIBRARY LIST
# It exports exactly the names of LIST, and neither wants a symbol of nor is linked with CUDA, libtorch, oneDNN or a
# message bus.
set -u
library=$1 list=$2 fail=0
if ! diff <(nm -D --defined-only "$library" | awk '$2 != "A" {sub(/@.*/, "", $3); print $3}' | LC_ALL=C sort) "$list"; then
  echo "$library exports other names (<) than $list says (>); a new one wants a line there, one that goes an entry in CHANGELOG.md"
  fail=1
fi
if [ "$(nm -D --undefined-only "$library" | wc -l)" -lt 20 ]; then
  echo "nm sees nothing of $library"
  fail=1
fi
foreign=$(nm -D --undefined-only "$library" | grep -E ' (cu[A-Z]|cuda|dnnl_|dds_|_ZN?K?(2at|3c10|5torch))')
foreign+=$(readelf -d "$library" | grep NEEDED | grep -E 'torch|c10|cudart|libcuda|dnnl|ddsc|stdc\+\+')
if [ -n "$foreign" ]; then
  printf 'the core library is tied to what belongs into plug-ins:\n%s\n' "$foreign"
  fail=1
fi
if ! readelf -d "$library" | grep -q 'SONAME.*\[libeinet\.so\.[0-9][0-9]*\]'; then
  echo "$library has no soname of one number"
  fail=1
fi
exit $fail
