#!/usr/bin/env bash
# Install into a fresh folder, move it away from where it was installed to, and build and run programs of its users
# there: with find_package (C, C++, static) and with pkg-config (C, C++).
#
# Where the oneDNN plug-in was installed too, a network finds it there.
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
[ -f "$prefix/lib/systemd/system/einet@.service" ]
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
  [[ $said == "einet $wanted: consumer: runs"* ]]
done
if ldd "$folder/build/consumer_static" | grep -q libeinet; then
  echo "consumer_static wants the shared library"
  exit 1
fi

if [ -f "$lib/einet/libeinet_dnnl.so" ]; then
  cat >"$folder/network.yaml" <<END
version: 1
name: network
lanes: { cpu0: { kind: cpu, backend: dnnl } }
models: { m: { zoo: b-alexnet, dataset: generated, weights: $consumer/../../../models/pretrained/b-alexnet-generated.safetensors } }
tasks:
  - name: see
    arrival: { model: periodic, period: 50ms }
    input: { kind: generated, seed: 1, count: 8 }
    stages: [ { name: p, kind: cpu, op: normalize }, { name: n, kind: nn, model: m, lane: cpu0 } ]
END
  said=$(cd "$folder" && LD_LIBRARY_PATH=$lib build/consumer_c network.yaml)
  echo "network: $said"
  [[ $said == "einet $wanted: network: runs, with oneDNN" ]]
fi
if [ -n "$(find "$folder" -name '*.csv' -o -name 'run.json')" ]; then
  echo "a run that was given no folder wrote files"
  exit 1
fi

# The bridge to topics, where it was built: its package, its command, and nothing of it in the core.
if [ -f "$lib/libeinet_dds.so" ]; then
  topics=$consumer/../../adapters/consumer
  "$cmake" -S "$topics" -B "$folder/dds" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" -DCMAKE_C_FLAGS="$warnings" \
    >/dev/null
  "$cmake" --build "$folder/dds" >"$folder/log" || { cat "$folder/log"; exit 1; }
  # shellcheck disable=SC2046,SC2086
  "$cc" -std=c11 $warnings "$topics/main.c" -o "$folder/pc_dds" $(pkg-config --cflags --libs einet_dds)
  for program in dds/consumer_dds pc_dds; do
    said=$(LD_LIBRARY_PATH=$lib "$folder/$program" "$((20 + $$ % 180))")
    echo "$program: $said"
    [[ $said == "einet $wanted: with topics, 0 images" ]]
  done
  [[ $("$prefix/bin/einet-dds" --version) == "einet-dds $wanted" ]]
  [ -f "$prefix/share/man/man1/einet-dds.1" ] && [ -f "$prefix/include/einet/dds.h" ]
  [ -f "$prefix/include/einet/pool.h" ]
  [ -f "$prefix/lib/systemd/system/einet-dds@.service" ] && [ -f "$prefix/lib/systemd/system/einet-egress@.service" ]
  [ -f "$prefix/share/bash-completion/completions/einet-dds" ]
  if nm -D "$lib/libeinet.so" | grep -qi " U dds"; then
    echo "libeinet.so wants CycloneDDS"
    exit 1
  fi
else
  [ ! -e "$prefix/include/einet/dds.h" ] && [ ! -e "$prefix/include/einet/pool.h" ]
  if "$cmake" -S "$consumer/../../adapters/consumer" -B "$folder/dds" -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_C_COMPILER="$cc" >"$folder/log" 2>&1 || ! grep -q "without CycloneDDS" "$folder/log"; then
    echo "COMPONENTS dds is found, or not refused with the reason"
    cat "$folder/log"
    exit 1
  fi
fi

# The examples, as their README says.
"$cmake" -S "$consumer/../../../examples/library" -B "$folder/examples" -DCMAKE_PREFIX_PATH="$prefix" \
  -DCMAKE_C_COMPILER="$cc" -DCMAKE_C_FLAGS="$warnings" >/dev/null
"$cmake" --build "$folder/examples" >"$folder/log" || { cat "$folder/log"; exit 1; }
for example in calls control_loop camera_loop custom_stage own_network elastic_reader; do
  said=$(LD_LIBRARY_PATH=$lib "$folder/examples/$example" 400)
  echo "$example: $said"
  case $example in
  calls) [[ $said == *"a step for every job of every wheel: yes"* ]] ;;
  control_loop) [[ $said == *"every sample has its result: yes"* ]] ;;
  camera_loop) [[ $said == *"every picture has its result and came back: yes"* ]] ;;
  custom_stage) [[ $said == *"a step for every job: yes"* ]] ;;
  own_network) [[ $said == *"an answer of its own network: yes"* ]] ;;
  elastic_reader) [[ $said == *" reads, "*"scene: "* ]] ;;
  esac
done
