#!/bin/sh
# Compare the library with the stored baseline, by the types in its debugging information as well,
# and show that each kind of break is noticed: make baseline.
#
# SAVE=1 stores this tree as the baseline of its version, as long as that is not released. Ends with
# "N passed, N failed".
#
# SPDX-License-Identifier: MIT
set -eu
export LC_ALL=C

. tests/support/script.sh
. tests/abi/baseline.sh
. tests/abi/old.sh

library=$BUILD_DIR/libprefork.so

save() {
    whole=$(jq -r .version "$BUILD_DIR/prefork.json")
    test "$whole" = "$(open_version .)" || {
        echo "$whole is released: its baseline stays as it is" >&2
        exit 1
    }
    version=${whole%.*}
    mkdir -p "$baseline"
    cp include/prefork.h "$baseline/header-$version.txt"
    cp lib/prefork.map "$baseline/map-$version.txt"
    cp "$BUILD_DIR/prefork.json" "$baseline/prefork-$version.json"
    awk -f tests/abi/conventions.awk include/prefork.h >"$baseline/conventions-$version.txt"
    abidw --headers-dir include --drop-private-types --exported-interfaces-only --no-elf-needed \
        --no-corpus-path --no-comp-dir-path --no-show-locs --no-parameter-names \
        --no-write-default-sizes --out-file "$baseline/libprefork-$version.abi" \
        "$library"
    echo "stored the baseline of $version"
}

# With the types, and without the time that optimising takes.
build_broken() { # kind
    copy_broken "$1"
    CXX="${CXX:-g++} -g" build_library "$scratch/tree" "$scratch/tree/build" \
        >"$scratch/log" 2>&1 || {
        tail -n 20 "$scratch/log"
        return 1
    }
}

test -z "${SAVE:-}" || save
for version in $(versions); do
    description_changes . "$version" >"$scratch/changes"
    cat "$scratch/changes"
    status=0
    test ! -s "$scratch/changes" || status=1
    verdict "constants, signatures and conventions of $version are as they were" "$status"
    for kind in $all_breaks; do
        copy_broken "$kind"
        description_changes "$scratch/tree" "$version" >"$scratch/changes"
        status=0
        test -s "$scratch/changes" || status=1
        verdict "$kind is noticed: $(head -n 1 "$scratch/changes")" "$status"
    done

    status=0
    # shellcheck disable=SC2086 # one word for each kind
    SAVE='' tests/abi/compatibility_test.sh $program_breaks >"$scratch/output" 2>&1 || status=$?
    cat "$scratch/output"
    verdict "programs of $version work, and what breaks them is noticed" "$status"

    if ! can_compare_libraries "$library"; then
        echo "skipped: abidiff, or debugging information of the library"
        continue
    fi
    library_changes "$library" . "$version" >"$scratch/changes"
    cat "$scratch/changes"
    status=0
    test ! -s "$scratch/changes" || status=1
    verdict "the types of libprefork.so of $version are as they were" "$status"
    for kind in none $library_breaks; do
        status=0
        build_broken "$kind" || status=1
        library_changes "$scratch/tree/build/libprefork.so".[0-9]* "$scratch/tree" "$version" \
            >"$scratch/changes"
        if test "$kind" = none; then
            test ! -s "$scratch/changes" || status=1
            verdict "a library that was built in this way has the types of $version" "$status"
            continue
        fi
        test -s "$scratch/changes" || status=1
        noticed=$(sed -n 's/^  \(\[[A-Z]\]\)/ \1/p' "$scratch/changes" | head -n 1)
        verdict "$kind is noticed in the library:$noticed" "$status"
    done
done
echo "$passed passed, $failed failed"
test "$failed" -eq 0 && test "$passed" -gt 0
