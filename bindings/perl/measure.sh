#!/bin/sh
# measure.sh - our example beside the usual servers of Perl, measured from outside
#
# SPDX-License-Identifier: MIT
#
#   measure.sh PREFIX [OPTION...]
#
# Prints rows of the table of bindings/README.md, by measure.py with these options. LOAD names the
# load program (default: that of the build). The peers have the settings that their documentation
# recommends. A server that is not installed is left out.
set -eu

prefix=$(cd "$1" && pwd)
shift
here=$(cd "$(dirname "$0")" && pwd)
: "${LOAD:=$here/../../build/tests/programs/load}"
for directory in "$prefix"/lib/pkgconfig "$prefix"/lib/*/pkgconfig; do
    PKG_CONFIG_PATH=$directory:${PKG_CONFIG_PATH-}
done
export PKG_CONFIG_PATH LOAD
LD_LIBRARY_PATH=$(pkg-config --variable=libdir prefork)
PERL5LIB=$here/lib
export LD_LIBRARY_PATH PERL5LIB

has() {
    perl -M"$1" -e 1 2>/dev/null
}

row() { # NAME OPTION... -- COMMAND...
    name=$1
    shift
    python3 "$here/../measure.py" "$@" || echo "| $name | failed | | |"
}

row ours "$@" 'Perl: http_server.pl' -- perl "$here/examples/http_server.pl"
# A worker of these serves one connection at a time, so that kept connections would hold all of
# them: new connections only.
if has Parallel::Prefork; then
    row Parallel::Prefork "$@" 'Perl: Parallel::Prefork, HTTP::Daemon' --connections new -- \
        perl "$here/examples/peers/parallel_prefork.pl"
fi
if has Starman && command -v starman >/dev/null; then
    row Starman "$@" 'Perl: Starman, --preload-app' --connections new -- \
        sh -c 'exec starman --listen "127.0.0.1:$PORT" --workers "$WORKERS" --preload-app "$0"' \
        "$here/examples/peers/app.psgi"
fi
if has Starman && command -v start_server >/dev/null; then
    row Server::Starter "$@" 'Perl: Starman, start_server' --connections new -- \
        sh -c 'exec start_server --port "127.0.0.1:$PORT" --signal-on-hup=QUIT -- \
            starman --workers "$WORKERS" --preload-app "$0"' \
        "$here/examples/peers/app.psgi"
fi
