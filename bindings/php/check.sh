#!/bin/sh
# check.sh PREFIX - test the PHP binding against the libprefork that is installed there
#
# SPDX-License-Identifier: MIT
#
# The package is archived, and installed by Composer from the archive into a new project, from where
# the tests use it. Ends with "N passed, N failed"; status 77 says what is missing.
set -eu

if [ $# -ne 1 ] || [ ! -d "$1" ]; then
    echo "usage: $0 PREFIX" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
prefix=$(cd "$1" && pwd)
library=$(find "$prefix" -name libprefork.so.0 | head -n 1)
interface=$(find "$prefix" -name prefork.json | head -n 1)
if [ -z "$library" ] || [ -z "$interface" ]; then
    echo "$0: libprefork is not installed in $prefix" >&2
    exit 2
fi
for tool in php composer phpunit cc; do
    if ! command -v "$tool" >/dev/null; then
        echo "skipped: $tool is missing"
        exit 77
    fi
done
for extension in FFI pcntl; do
    if ! php -m | grep -qx "$extension"; then
        echo "skipped: the extension $extension of PHP is missing"
        exit 77
    fi
done

LD_LIBRARY_PATH=$(dirname "$library")
PREFORK_INTERFACE=$interface
PREFORK_PACKAGE=$here
export LD_LIBRARY_PATH PREFORK_INTERFACE PREFORK_PACKAGE
unset PREFORK_LIBRARY PORT WORKERS
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
if [ -z "${LOAD:-}" ]; then
    LOAD=$scratch/load
    cc -O2 -o "$LOAD" "$here/../../tests/programs/load.c"
fi
export LOAD
COMPOSER_HOME=$scratch/home
COMPOSER_ALLOW_SUPERUSER=1
COMPOSER_DISABLE_NETWORK=1
export COMPOSER_HOME COMPOSER_ALLOW_SUPERUSER COMPOSER_DISABLE_NETWORK

passed=0
failed=0
judge() { # what, command...
    what=$1
    shift
    if "$@" >"$scratch/output" 2>&1; then
        passed=$((passed + 1))
        echo "  ok   $what"
    else
        failed=$((failed + 1))
        cat "$scratch/output"
        echo "  FAIL $what"
    fi
}

composer_in() { # directory, arguments...
    directory=$1
    shift
    composer --no-interaction --no-plugins --working-dir="$directory" "$@"
}

syntax() {
    find "$here" -name '*.php' -print0 | xargs -0 -n 1 php -l
}

license() {
    [ ! -f "$here/../../LICENSE" ] || cmp "$here/LICENSE" "$here/../../LICENSE"
}

archive() {
    composer_in "$here" archive --format=tar --dir="$scratch/archives" &&
        tar tf "$scratch"/archives/*.tar | sort >"$scratch/files" &&
        grep -qx src/Internal/cdef.h "$scratch/files" &&
        ! grep -E '^tests/|check.sh' "$scratch/files"
}

install_package() {
    mkdir -p "$scratch/project" "$scratch/package"
    tar xf "$scratch"/archives/*.tar -C "$scratch/package"
    printf '{"repositories": [{"type": "path", "url": "%s", "options": {"symlink": false}}, %s]}\n' \
        "$scratch/package" '{"packagist.org": false}' >"$scratch/project/composer.json"
    composer_in "$scratch/project" require libprefork/prefork:^0.2
}

judge 'syntax of all files' syntax
judge 'the license is that of the project' license
judge 'composer validate' composer_in "$here" validate --strict --no-check-publish --no-check-version
judge 'composer archive' archive
judge 'composer require' install_package

cp -R "$here/tests" "$scratch/project/tests"
status=0
(cd "$scratch/project" && timeout -k 5 240 phpunit --no-configuration --do-not-cache-result --testdox --colors=never \
    --fail-on-risky --fail-on-warning --bootstrap tests/bootstrap.php \
    --log-junit "$scratch/junit.xml" tests) || status=$?
# The first element has the sums.
count() {
    number=$(sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p" "$scratch/junit.xml" 2>/dev/null | head -n 1)
    echo "${number:-0}"
}
tests=$(count tests)
bad=$(($(count failures) + $(count errors) + $(count skipped)))
if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
    bad=1
fi
passed=$((passed + tests - bad))
failed=$((failed + bad))

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
