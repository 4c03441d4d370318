#!/usr/bin/env bash
# The pages of the interface: no warning, and each exported function is there with what its header says of it.
#
# usage: doxygen.sh DOXYGEN BUILD_DIR LIST
set -u
fail=0
"$1" "$2/Doxyfile" >/dev/null || { echo "doxygen warns, see above"; fail=1; }
pages=$(cat "$2"/doxygen/html/*_8h.html | tr '\n' ' ' | sed 's/<h2 class="memtitle">/\n&/g')
while read -r name; do
  if ! grep -E "</span>$name\(\)<" <<<"$pages" | grep -qE 'class="memdoc"> *<p>[A-Z]'; then
    echo "$name is not described"
    fail=1
  fi
done <"$3"
exit $fail
