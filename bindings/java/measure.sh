#!/bin/sh
# measure.sh PREFIX [OPTION...] - measure the HTTP example beside a hand-written loop
#
# SPDX-License-Identifier: MIT
#
# The library is the one installed under PREFIX. The options are those of bindings/measure.py, and
# LOAD names tests/programs/load. Prints rows of a table.
set -eu

prefix=$(cd "$1" && pwd)
shift
here=$(cd "$(dirname "$0")" && pwd)
JAVA_HOME=$(sh "$here/jdk.sh")
LD_LIBRARY_PATH=$(dirname "$(find "$prefix" -name libprefork.so.0 | head -n 1)")
export LD_LIBRARY_PATH
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

find "$here/src/main/java" -name '*.java' >"$scratch/sources"
"$JAVA_HOME/bin/javac" -nowarn -d "$scratch/classes" "@$scratch/sources" 2>/dev/null
"$JAVA_HOME/bin/jar" --create --file "$scratch/prefork.jar" -C "$scratch/classes" .
"$JAVA_HOME/bin/javac" -nowarn -cp "$scratch/prefork.jar" -d "$scratch/programs" \
    "$here/examples/HttpExample.java" "$here/bench/Loop.java" 2>/dev/null
"$JAVA_HOME/bin/jar" --create --file "$scratch/programs.jar" -C "$scratch/programs" .

measure() { # name, command and arguments
    name=$1
    shift
    # shellcheck disable=SC2086 # words on purpose
    python3 "$here/../measure.py" $options "$name" -- "$@"
}

options=$*
java="$JAVA_HOME/bin/java --enable-native-access=ALL-UNNAMED -cp $scratch/prefork.jar:$scratch/programs.jar"
echo '| server | replacement, ms | lost in reloads | lost in kills |'
echo '|---|---|---|---|'
# shellcheck disable=SC2086 # words on purpose
{
    measure 'prefork, HttpServer' $java HttpExample
    measure 'ProcessBuilder loop, SO_REUSEPORT' "$JAVA_HOME/bin/java" -cp "$scratch/programs.jar" Loop
    # A spare has to have started before the next kill.
    options="$options --pause 2"
    measure 'prefork, HttpServer, 1 spare' env SPARES=1 $java HttpExample
}
