#!/bin/sh
# Write the library as one source file and its header, for programs that carry it with them:
#
#   lib/amalgamate.sh DIRECTORY
#
# DIRECTORY/prefork.cc has every source, and each header where it is first included. Compile it with
# g++ or clang++ and -std=c++20 -fno-exceptions -fno-rtti -fno-threadsafe-statics. Link the program
# with a compiler of C.
#
# meson.build beside it is for projects of meson, which get all three files from the archive
# DIRECTORY/libprefork-amalgamation-VERSION.tar.gz by DIRECTORY/prefork.wrap.
#
# SPDX-License-Identifier: MIT
set -eu
cd "$(dirname "$0")/.."

directory=$1
version=$(lib/version.sh)
mkdir -p "$directory"
cp include/prefork.h "$directory/prefork.h"
{
    echo "// libprefork $version as one file, made by lib/amalgamate.sh"
    echo '//'
    sed 's|^|// |; s| *$||' LICENSE
    echo '//'
    echo '// Compile it with -std=c++20 -fno-exceptions -fno-rtti -fno-threadsafe-statics, beside'
    echo '// prefork.h, and link the program with a compiler of C.'
    echo '//'
    echo '// SPDX-License-Identifier: MIT'
    printf '\n%s\n' '// Files of any size and inode number, on machines of 32 bits too.'
    printf '%s\n' '#ifndef _FILE_OFFSET_BITS' '#define _FILE_OFFSET_BITS 64' '#endif'
    # Each source in the order of the names, so that the result is always the same.
    find lib -name '*.cc' | LC_ALL=C sort | xargs awk '
        # Names that the library includes are below lib or include.
        function put(file, line, name) {
            printf "\n// ---- %s\n", file
            while ((getline line < file) > 0) {
                if (line ~ /^#include "/) {
                    name = line
                    sub(/^#include "/, "", name)
                    sub(/".*/, "", name)
                    if (name != "prefork.h")
                        include("lib/" name)
                    else
                        print line
                } else if (line !~ /^#pragma once/ && line !~ /SPDX-License-Identifier/) {
                    print line
                }
            }
            close(file)
        }
        function include(file) {
            if (!(file in seen)) {
                seen[file] = 1
                put(file)
            }
        }
        BEGIN {
            for (i = 1; i < ARGC; i++)
                put(ARGV[i])
            exit
        }'
} >"$directory/prefork.cc"

name=libprefork-amalgamation-$version
sed "s/@VERSION@/$version/" lib/packaging/meson/meson.build >"$directory/meson.build"
# The same bytes wherever it is made.
tar --format=ustar --owner=0 --group=0 --numeric-owner --mtime=@0 --mode=0644 \
    --transform "s|^|$name/|" -C "$directory" -cf - meson.build prefork.cc prefork.h |
    gzip -n -9 >"$directory/$name.tar.gz"
hash=$(sha256sum <"$directory/$name.tar.gz")
sed "s/@VERSION@/$version/; s/@HASH@/${hash%% *}/" lib/packaging/meson/prefork.wrap \
    >"$directory/prefork.wrap"
