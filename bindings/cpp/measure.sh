#!/bin/sh
# measure.sh PREFIX [NAME...] - the example server beside the server in C, as rows of a table
#
# SPDX-License-Identifier: MIT
#
# ../measure.sh says more. hello.c is the C interface without any layer, and HTTP by hand. It does
# not reload.
# shellcheck source=bindings/measure.sh
. "$(dirname "$0")/../measure.sh"

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

row server 'C++: prefork.hpp with cpp-httplib' -- "$scratch/build/server"
row c 'C: hello.c, which does not reload' --reloads 0 -- "$scratch/hello" \
    -p '{port}' -n '{workers}' -b 127.0.0.1
exit "$status"
