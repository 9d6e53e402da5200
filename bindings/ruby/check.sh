#!/bin/sh
# Test the gem as it is built and installed, against the library that is installed under a prefix.
#
#   bindings/ruby/check.sh PREFIX
#
# Ends with "N passed, N failed". Statuses: 0 if none failed, 77 if Ruby or minitest is missing.
# With RUN='NAME...' only these files of test/ are run.
#
# SPDX-License-Identifier: MIT
set -u
export LC_ALL=C.UTF-8

here=$(cd "$(dirname "$0")" && pwd)
prefix=$(cd "$1" && pwd)
if ! command -v ruby >/dev/null 2>&1 || ! command -v gem >/dev/null 2>&1; then
    echo "skipped: there is no ruby"
    exit 77
fi
if ! ruby -rminitest -e 1 2>/dev/null; then
    echo "skipped: there is no minitest"
    exit 77
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
passed=0
failed=0

# judge WHAT COMMAND...: one check that passes or fails.
judge() {
    what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        echo "check.sh: FAILED: $what"
        failed=$((failed + 1))
    fi
}

# The output of a check that failed.
shown() {
    cat "$work/log"
    return 1
}

# No warning: what gem says of a specification that is not in order.
build() {
    cd "$work/source" || return 1
    { gem build --strict --output "$work/libprefork.gem" libprefork.gemspec >"$work/log" 2>&1 &&
        ! grep -qi warning "$work/log"; } || shown
}

contains() {
    gem specification "$work/libprefork.gem" files | sed 's/^- //' >"$work/files"
    for file in LICENSE README.md lib/libprefork.rb lib/libprefork/pool.rb examples/hello.rb; do
        grep -qx "$file" "$work/files" || return 1
    done
    ! grep -E '^(test|.*\.sh$)' "$work/files"
}

documented() {
    cd "$work/source" || return 1
    { yard stats --list-undoc --fail-on-warning --no-cache --no-save >"$work/log" 2>&1 &&
        grep -q '100.00% documented' "$work/log"; } || shown
}

warnings() {
    find "$work/source" -name '*.rb' -exec ruby -wc {} \; 2>&1 | grep -v '^Syntax OK$' >"$work/log"
    ! test -s "$work/log" || shown
}

mkdir "$work/source"
(cd "$here" && tar cf - .) | tar xf - -C "$work/source"
echo "== $(ruby --version)"
unset RUBYLIB RUBYOPT GEM_PATH BUNDLE_GEMFILE PREFORK_LIBRARY

judge "the gem builds without a warning" build
judge "what is in the gem" contains
judge "the gem installs" env GEM_HOME="$work/gems" gem install --local --no-document --quiet "$work/libprefork.gem"
judge "no warning of ruby -w" warnings
if [ -f "$here/../../LICENSE" ]; then
    judge "the license is that of the project" cmp "$here/LICENSE" "$here/../../LICENSE"
fi
if command -v yard >/dev/null 2>&1; then
    judge "everything public is documented" documented
fi

# From here on only what is installed: the tests lie beside the examples of the gem.
for directory in "$work"/gems/gems/libprefork-*; do
    mv "$work/source/test" "$work/test"
    mv "$directory/examples" "$work/examples"
done
rm -rf "$work/source"
# Debian has its gems in places of its own.
GEM_PATH=$work/gems:$(ruby -e 'puts Gem.path.join(":")')
PREFORK_INTERFACE=$(ls "$prefix"/share/libprefork/prefork.json)
PREFORK_PREFIX=$prefix
for library in "$prefix"/lib/libprefork.so.0 "$prefix"/lib/*/libprefork.so.0; do
    test -e "$library" && LD_LIBRARY_PATH=$(dirname "$library")
done
export GEM_PATH PREFORK_INTERFACE PREFORK_PREFIX LD_LIBRARY_PATH

# The files at the same time: they mostly wait. What runs in the background ignores signals,
# which the tests must not.
cd "$work/test" || exit 1
run=${RUN:-$(echo ./*_test.rb)}
for test in $run; do
    (env --default-signal ruby -w "$test" >"$work/$(basename "$test").log" 2>&1
        echo "ended with $?" >>"$work/$(basename "$test").log") &
done
wait
for test in $run; do
    echo "-- $(basename "$test")"
    cat "$work/$(basename "$test").log"
done >"$work/all"
cat "$work/all"
asked=$(echo "$run" | wc -w)
sum=$(awk -v asked="$asked" '
    /^[0-9]+ runs, [0-9]+ assertions, / { runs += $1; bad += $5 + $7 + $9; ended++ }
    /^ended with / { if ($3 != 0) wrong++ }
    END {
        bad += asked - ended
        if (wrong > 0 && bad == 0) bad = wrong
        print runs - bad, bad + 0
    }
' "$work/all")
passed=$((passed + ${sum% *}))
failed=$((failed + ${sum#* }))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
