#!/bin/sh
# check.sh PREFIX - test the gem as it is built and installed, against an installed library
#
# SPDX-License-Identifier: MIT
#
# Ends with "N passed, N failed". Statuses: 0 if none failed, 77 if Ruby or minitest is missing.
# With RUN='NAME...' only these files of test/ are run.
# shellcheck source=bindings/common.sh
. "$(dirname "$0")/../common.sh"

export LC_ALL=C.UTF-8
need ruby gem
ruby -rminitest -e 1 2>/dev/null || skip 'there is no minitest'

# No warning: what gem says of a specification that is not in order.
build() {
    (cd "$scratch/source" && gem build --strict --output "$scratch/libprefork.gem" libprefork.gemspec) &&
        ! grep -i warning "$scratch/log"
}

contains() {
    gem specification "$scratch/libprefork.gem" files | sed 's/^- //' >"$scratch/files"
    for file in LICENSE README.md lib/libprefork.rb lib/libprefork/pool.rb examples/hello.rb; do
        grep -qx "$file" "$scratch/files" || return 1
    done
    ! grep -E '^(test|.*\.sh$)' "$scratch/files"
}

documented() {
    (cd "$scratch/source" && yard stats --list-undoc --fail-on-warning --no-cache --no-save) &&
        grep -q '100.00% documented' "$scratch/log"
}

warnings() {
    ! find "$scratch/source" -name '*.rb' -exec ruby -wc {} \; 2>&1 | grep -v '^Syntax OK$'
}

mkdir "$scratch/source"
(cd "$here" && tar cf - .) | tar xf - -C "$scratch/source"
echo "== $(ruby --version)"
unset RUBYLIB RUBYOPT GEM_PATH BUNDLE_GEMFILE

judge "the gem builds without a warning" build
judge "what is in the gem" contains
judge "the gem installs" env GEM_HOME="$scratch/gems" gem install --local --no-document --quiet "$scratch/libprefork.gem"
judge "no warning of ruby -w" warnings
judge_license
if command -v yard >/dev/null 2>&1; then
    judge "everything public is documented" documented
fi

# From here on only what is installed: the tests lie beside the examples of the gem.
for directory in "$scratch"/gems/gems/libprefork-*; do
    mv "$scratch/source/test" "$scratch/test"
    mv "$directory/examples" "$scratch/examples"
done
rm -rf "$scratch/source"
# Debian has its gems in places of its own.
GEM_PATH=$scratch/gems:$(ruby -e 'puts Gem.path.join(":")')
export GEM_PATH PREFORK_PREFIX="$prefix"

# The files at the same time: they mostly wait. What runs in the background ignores signals,
# which the tests must not.
cd "$scratch/test" || exit 1
run=${RUN:-$(echo ./*_test.rb)}
for test in $run; do
    (env --default-signal ruby -w "$test" >"$scratch/$(basename "$test").log" 2>&1
        echo "ended with $?" >>"$scratch/$(basename "$test").log") &
done
wait
for test in $run; do
    echo "-- $(basename "$test")"
    cat "$scratch/$(basename "$test").log"
done >"$scratch/all"
cat "$scratch/all"
asked=$(echo "$run" | wc -w)
sum=$(awk -v asked="$asked" '
    /^[0-9]+ runs, [0-9]+ assertions, / { runs += $1; bad += $5 + $7 + $9; ended++ }
    /^ended with / { if ($3 != 0) wrong++ }
    END {
        bad += asked - ended
        if (wrong > 0 && bad == 0) bad = wrong
        print runs - bad, bad + 0
    }
' "$scratch/all")
add "${sum% *}" "${sum#* }" 0

finish
