#!/bin/sh
# check.sh PREFIX - test the PHP binding against the libprefork that is installed there
#
# SPDX-License-Identifier: MIT
#
# The package is archived, and installed by Composer from the archive into a new project, from where
# the tests use it. Ends with "N passed, N failed"; status 77 says what is missing.
# shellcheck source=bindings/common.sh
. "$(dirname "$0")/../common.sh"

need php composer phpunit cc
for extension in FFI pcntl; do
    php -m | grep -qx "$extension" || skip "the extension $extension of PHP is missing"
done
export PREFORK_PACKAGE="$here"
unset PORT WORKERS
if [ -z "${LOAD:-}" ]; then
    LOAD=$scratch/load
    cc -O2 -o "$LOAD" "$here/../../tests/programs/load.c"
fi
export LOAD
COMPOSER_HOME=$scratch/home
COMPOSER_ALLOW_SUPERUSER=1
COMPOSER_DISABLE_NETWORK=1
export COMPOSER_HOME COMPOSER_ALLOW_SUPERUSER COMPOSER_DISABLE_NETWORK

composer_in() { # directory, arguments...
    directory=$1
    shift
    composer --no-interaction --no-plugins --working-dir="$directory" "$@"
}

syntax() {
    find "$here" -name '*.php' -print0 | xargs -0 -n 1 php -l
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
judge_license
judge 'composer validate' composer_in "$here" validate --strict --no-check-publish --no-check-version
judge 'composer archive' archive
judge 'composer require' install_package

cp -R "$here/tests" "$scratch/project/tests"
status=0
(cd "$scratch/project" && timeout -k 5 $((240 * ${TEST_TIME_SCALE:-1})) phpunit --no-configuration --do-not-cache-result --testdox --colors=never \
    --fail-on-risky --fail-on-warning --bootstrap tests/bootstrap.php \
    --log-junit "$scratch/junit.xml" tests) || status=$?
# The first element has the sums.
count() {
    number=$(sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p" "$scratch/junit.xml" 2>/dev/null | head -n 1)
    echo "${number:-0}"
}
tests=$(count tests)
bad=$(($(count failures) + $(count errors) + $(count skipped)))
add $((tests - bad)) "$bad" "$status"

finish
