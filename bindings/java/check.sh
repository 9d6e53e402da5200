#!/bin/sh
# check.sh PREFIX - test the Java binding against the libprefork that is installed there
#
# SPDX-License-Identifier: MIT
#
# Maven builds the jars as they are released, and runs the tests against the jar. What it needs
# comes from Maven Central. Ends with "N passed, N failed"; status 77 says what is missing.
# BUILD_DIR (default: build of the checkout) gets all that is made. TESTS= chooses classes, as
# -Dit.test does. A JDK that is missing is made by jdk.sh.
# shellcheck source=bindings/common.sh
. "$(dirname "$0")/../common.sh"

JAVA_HOME=$(sh "$here/jdk.sh") || skip 'there is no JDK 22 or later'
need mvn
export JAVA_HOME
unset MAVEN_OPTS JDK_JAVA_OPTIONS JAVA_TOOL_OPTIONS

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
        -Dcompiler.warnings=-nowarn \
        "-Dmaven.compiler.executable=$JAVA_HOME/bin/javac"
else
    set --
fi
status=0
env --default-signal mvn -B -ntp "$@" ${TESTS:+"-Dit.test=$TESTS"} verify >"$work/log" 2>&1 || status=$?

all_jars() {
    for kind in '' $kinds; do
        [ -s "target/prefork-0.2.0$kind.jar" ] || return 1
    done
}

no_warnings() {
    ! grep 'WARNING.*/src/main/java/' "$work/log" | grep -v 'internal proprietary API'
}

all_documented() {
    ! grep 'warning: ' "$work/log" | grep -v 'internal proprietary API'
}

judge 'the jars are built' all_jars
judge 'the compiler warns of nothing but sun.misc.Signal' no_warnings
judge 'all is documented' all_documented
judge_license
judge 'the license is in the jar' test -s target/classes/META-INF/LICENSE

sed -n 's/^\(\[[A-Z]*\] \)*\(Tests run: .* -- in .*\)/  \2/p' "$work/log"
sum=$(sed -n 's/.*Tests run: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\), Skipped: \([0-9]*\)$/\1 \2 \3 \4/p' \
    "$work/log" | tail -n 1)
# shellcheck disable=SC2086 # words on purpose
set -- ${sum:-0 1 0 0}
add $(($1 - $2 - $3 - $4)) $(($2 + $3)) "$status"
[ "$failed" -eq 0 ] || sed 's/^/       /' "$work/log"

finish
