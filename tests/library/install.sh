#!/usr/bin/env bash
# Install into a fresh folder, move it away from where it was installed to, and build and run programs of its users
# there: with find_package (C, C++, static) and with pkg-config (C, C++).
#
# usage: install.sh CMAKE BUILD_DIR SOURCE_DIR CC CXX FLAGS
set -euo pipefail
cmake=$1 build=$2 consumer=$3 cc=$4 cxx=$5 flags=$6
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$cmake" --install "$build" --prefix "$folder/first" >/dev/null
mv "$folder/first" "$folder/prefix"
prefix=$folder/prefix
lib=$(dirname "$(find "$prefix" -name 'libeinet.so')")
[ -x "$prefix/bin/einet" ] && [ -f "$prefix/share/man/man1/einet.1" ] && [ -f "$prefix/include/einet/einet.h" ]
warnings="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror $flags"

"$cmake" -S "$consumer" -B "$folder/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" \
  -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_C_FLAGS="$warnings" -DCMAKE_CXX_FLAGS="$warnings" >/dev/null
"$cmake" --build "$folder/build" >"$folder/log" || { cat "$folder/log"; exit 1; }

export PKG_CONFIG_PATH=$lib/pkgconfig
# shellcheck disable=SC2046,SC2086 # words are meant to be split
"$cc" -std=c11 $warnings "$consumer/main.c" -o "$folder/pc_c" $(pkg-config --cflags --libs einet)
"$cxx" -std=c++14 $warnings "$consumer/main.cpp" -o "$folder/pc_cpp" $(pkg-config --cflags --libs einet)

wanted=$(pkg-config --modversion einet)
for program in build/consumer_c build/consumer_cpp build/consumer_static pc_c pc_cpp; do
  said=$(LD_LIBRARY_PATH=$lib "$folder/$program")
  echo "$program: $said"
  [[ $said == "einet $wanted: consumer: control has 5000000 ns"* ]]
done
if ldd "$folder/build/consumer_static" | grep -q libeinet; then
  echo "consumer_static wants the shared library"
  exit 1
fi
