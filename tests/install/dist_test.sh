#!/bin/sh
# The archive of make dist: two clones make the same bytes, whatever the time, the modes, the
# language and git's settings are; it has the files of dist.txt; it is built, installed and
# used where there is no repository.
#
# SPDX-License-Identifier: MIT
set -eu

. tests/support/script.sh
need git
[ "$(git rev-parse --show-toplevel 2>/dev/null)" = "$(pwd -P)" ] ||
    skip 'this is not a clone of the repository'
archive=libprefork-$(lib/version.sh)

make_archive() { # name
    (cd "$scratch/$1" && make --no-print-directory BUILD="$scratch/$1-build" dist) \
        >"$scratch/log" 2>&1 || fail "make dist in $1: $(cat "$scratch/log")"
}

git clone -q . "$scratch/one"
(umask 077 && git clone -q --no-local . "$scratch/two")
git -C "$scratch/two" config core.autocrlf true
git -C "$scratch/two" config tar.umask user
find "$scratch/two" -name .git -prune -o -type f -exec touch -d '2001-02-03' {} +
make_archive one
(
    umask 077
    export TZ=Asia/Tokyo LC_ALL=C.UTF-8 GZIP=-1 SOURCE_DATE_EPOCH=1
    make_archive two
)
cmp "$scratch/one-build/$archive.tar.gz" "$scratch/two-build/$archive.tar.gz" ||
    fail 'two clones make two archives'

tar -xzf "$scratch/one-build/$archive.tar.gz" -C "$scratch"
(cd "$scratch/$archive" && find . ! -type d | sed 's|^\./||') | sort >"$scratch/files"
awk '
    # A name with * and a folder with ** as regular expressions.
    function expression(text) {
        gsub(/[.+]/, "[&]", text)
        gsub(/\*/, "[^/]*", text)
        return text
    }
    FNR == NR {
        if ($1 ~ /^#/ || NF == 0)
            next
        folder = $1
        deep = sub(/\/\*\*$/, "", folder)
        folder = folder == "." ? "" : expression(folder) (deep ? "(/[^/]+)*" : "") "/"
        for (i = 2; i <= NF; i++) {
            names++
            shown[names] = $1 " " $i
            wanted[names] = "^" folder expression($i) "$"
        }
        next
    }
    {
        known = 0
        for (i = 1; i <= names; i++)
            if ($0 ~ wanted[i])
                known = seen[i] = 1
        if (!known)
            print "does not belong into the archive, or dist.txt does not name it: " $0
    }
    END {
        for (i = 1; i <= names; i++)
            if (!seen[i])
                print "no file of the archive is meant by dist.txt: " shown[i]
    }' tests/install/dist.txt "$scratch/files" >"$scratch/differences"
[ ! -s "$scratch/differences" ] || fail "$(cat "$scratch/differences")"

# No commit is there, and none is missed. The check takes no time.
cd "$scratch/$archive"
make --no-print-directory -j2 CXXFLAGS=-O0 TEST=symbols_test all check-run \
    >"$scratch/log" 2>&1 || fail "does not build: $(tail -n 20 "$scratch/log")"
make --no-print-directory CXXFLAGS=-O0 prefix="$scratch/prefix" install >"$scratch/log" 2>&1 ||
    fail "does not install: $(tail -n 20 "$scratch/log")"
cc -o "$scratch/consumer" tests/install/consumer.c -I"$scratch/prefix/include" \
    "$scratch/prefix/lib/libprefork.a"
expect 'a program' "$(printf 'worker 0\nworker 1')" "$("$scratch/consumer" | sort)"
! make --no-print-directory dist >"$scratch/log" 2>&1 || fail 'an archive was made of nothing'
grep -q 'not a clone' "$scratch/log" || fail "make dist fails with: $(cat "$scratch/log")"
