#!/bin/sh
# check.sh PREFIX - test the Java binding against the libprefork that is installed there
#
# SPDX-License-Identifier: MIT
#
# Maven builds the jars as they are released, and runs the tests against the jar. What it needs
# comes from Maven Central. Ends with "N passed, N failed"; status 77 says what is missing.
# BUILD_DIR (default: build of the checkout) gets all that is made. TESTS= chooses classes, as
# -Dit.test does. A JDK that is missing is made by jdk.sh.
set -eu

if [ $# -ne 1 ] || [ ! -d "$1" ]; then
    echo "usage: $0 PREFIX" >&2
    exit 2
fi
prefix=$(cd "$1" && pwd)
library=$(find "$prefix" -name libprefork.so.0 | head -n 1)
interface=$(find "$prefix" -name prefork.json | head -n 1)
if [ -z "$library" ] || [ -z "$interface" ]; then
    echo "$0: libprefork is not installed in $prefix" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
if ! JAVA_HOME=$(sh "$here/jdk.sh"); then
    echo "skipped: there is no JDK 22 or later"
    exit 77
fi
if ! command -v mvn >/dev/null; then
    echo "skipped: Maven is not there"
    exit 77
fi
LD_LIBRARY_PATH=$(dirname "$library")
PREFORK_INTERFACE=$interface
export JAVA_HOME LD_LIBRARY_PATH PREFORK_INTERFACE
unset PREFORK_LIBRARY MAVEN_OPTS JDK_JAVA_OPTIONS JAVA_TOOL_OPTIONS

work=${BUILD_DIR:-$here/../../build}/bindings/java
mkdir -p "$work"
work=$(cd "$work" && pwd)
rm -rf "$work/source"
mkdir "$work/source"
(cd "$here" && tar cf - --exclude=target .) | tar xf - -C "$work/source"
cd "$work/source"

"$JAVA_HOME/bin/java" -version 2>&1 | head -n 1
kinds='-sources -javadoc'
if ! [ -x "$JAVA_HOME/bin/javadoc" ]; then
    # The one that jdk.sh has made.
    echo "  there is no javadoc"
    kinds=-sources
    set -- -Dmaven.compiler.release=25 -Dmaven.compiler.fork=true -Dmaven.javadoc.skip=true \
        "-Dmaven.compiler.executable=$JAVA_HOME/bin/javac"
else
    set --
fi
status=0
env --default-signal mvn -B -ntp "$@" ${TESTS:+"-Dit.test=$TESTS"} verify >"$work/log" 2>&1 || status=$?

passed=0
failed=0
verdict() { # what, status
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
        echo "  ok   $1"
    else
        failed=$((failed + 1))
        echo "  FAIL $1"
    fi
}

bad=0
for kind in '' $kinds; do
    [ -s "target/prefork-0.2.0$kind.jar" ] || bad=1
done
verdict 'the jars are built' "$bad"
bad=0
grep -E 'warning: (no|use of default)' "$work/log" && bad=1
verdict 'all is documented' "$bad"
bad=0
cmp LICENSE "$here/../../LICENSE" && [ -s target/classes/META-INF/LICENSE ] || bad=1
verdict 'the license is that of the project' "$bad"

sed -n 's/^\(\[[A-Z]*\] \)*\(Tests run: .* -- in .*\)/  \2/p' "$work/log"
sum=$(sed -n 's/.*Tests run: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\), Skipped: \([0-9]*\)$/\1 \2 \3 \4/p' \
    "$work/log" | tail -n 1)
# shellcheck disable=SC2086 # words on purpose
set -- ${sum:-0 1 0 0}
failed=$((failed + $2 + $3))
passed=$((passed + $1 - $2 - $3 - $4))
if [ "$status" -ne 0 ] || [ "$failed" -ne 0 ]; then
    sed 's/^/       /' "$work/log"
    [ "$failed" -gt 0 ] || failed=1
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
