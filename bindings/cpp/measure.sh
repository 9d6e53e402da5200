#!/bin/sh
# measure.sh PREFIX - the example server beside the server in C, as rows of a table
#
# SPDX-License-Identifier: MIT
#
# PREFIX is where libprefork is installed. hello.c is the C interface without any layer, and HTTP by
# hand. It does not reload.
set -eu

prefix=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
LD_LIBRARY_PATH=$(dirname "$(find "$prefix" -name libprefork.so.0 | head -n 1)")
export LD_LIBRARY_PATH
package=$(dirname "$(find "$prefix" -name prefork-config.cmake | head -n 1)")

make_examples() {
    cmake -S "$here/examples" -B "$scratch/build" -D prefork_DIR="$package" \
        -D CMAKE_BUILD_TYPE=Release && cmake --build "$scratch/build"
}
make_examples >"$scratch/log" 2>&1 || {
    cat "$scratch/log"
    exit 1
}
gcc -O2 -I"$prefix/include" -o "$scratch/hello" "$here/../../man/examples/hello.c" \
    -L"$LD_LIBRARY_PATH" -lprefork
gcc -O1 -o "$scratch/load" "$here/../../tests/programs/load.c"
export LOAD="${LOAD:-$scratch/load}"

python3 "$here/../measure.py" 'prefork.hpp, cpp-httplib' -- "$scratch/build/server"
python3 "$here/../measure.py" --reloads 0 'C, hello.c' -- "$scratch/hello" \
    -p '{port}' -n '{workers}' -b 127.0.0.1
