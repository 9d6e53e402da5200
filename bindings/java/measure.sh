#!/bin/sh
# measure.sh PREFIX [NAME...] - the HTTP example beside a hand-written loop, as rows of a table
#
# SPDX-License-Identifier: MIT
#
# ../measure.sh says more.
# shellcheck source=bindings/measure.sh
. "$(dirname "$0")/../measure.sh"

JAVA_HOME=$(sh "$here/jdk.sh")
find "$here/src/main/java" -name '*.java' >"$scratch/sources"
"$JAVA_HOME/bin/javac" -nowarn -d "$scratch/classes" "@$scratch/sources" 2>/dev/null
"$JAVA_HOME/bin/jar" --create --file "$scratch/prefork.jar" -C "$scratch/classes" .
"$JAVA_HOME/bin/javac" -nowarn -cp "$scratch/prefork.jar" -d "$scratch/programs" \
    "$here/examples/HttpExample.java" "$here/bench/Loop.java" 2>/dev/null
"$JAVA_HOME/bin/jar" --create --file "$scratch/programs.jar" -C "$scratch/programs" .

java=$JAVA_HOME/bin/java
jars=$scratch/prefork.jar:$scratch/programs.jar
native=--enable-native-access=ALL-UNNAMED
row server 'Java: HttpServer' -- "$java" "$native" -cp "$jars" HttpExample
row loop 'Java: a loop of ProcessBuilder, SO_REUSEPORT' -- "$java" -cp "$scratch/programs.jar" Loop
# A spare has to have started before the next kill.
row server-spare 'Java: HttpServer, one spare' --pause 2 -- \
    env SPARES=1 "$java" "$native" -cp "$jars" HttpExample
exit "$status"
