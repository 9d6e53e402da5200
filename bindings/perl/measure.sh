#!/bin/sh
# measure.sh PREFIX [NAME...] - our example beside the usual servers of Perl, as rows of a table
#
# SPDX-License-Identifier: MIT
#
# ../measure.sh says more. The peers have the settings that their documentation recommends. A server
# that is not installed is left out.
# shellcheck source=bindings/measure.sh
. "$(dirname "$0")/../measure.sh"

export PERL5LIB="$here/lib"

has() {
    perl -M"$1" -e 1 2>/dev/null
}

row server 'Perl: http_server.pl' -- perl "$here/examples/http_server.pl"
# A worker of these serves one connection at a time, so that kept connections would hold all of
# them: new connections only.
if has Parallel::Prefork; then
    row parallel-prefork 'Perl: Parallel::Prefork, HTTP::Daemon' --connections new -- \
        perl "$here/examples/peers/parallel_prefork.pl"
fi
if has Starman && command -v starman >/dev/null; then
    row starman 'Perl: Starman, --preload-app' --connections new -- \
        sh -c 'exec starman --listen "127.0.0.1:$PORT" --workers "$WORKERS" --preload-app "$0"' \
        "$here/examples/peers/app.psgi"
fi
if has Starman && command -v start_server >/dev/null; then
    row server-starter 'Perl: Starman, start_server' --connections new -- \
        sh -c 'exec start_server --port "127.0.0.1:$PORT" --signal-on-hup=QUIT -- \
            starman --workers "$WORKERS" --preload-app "$0"' \
        "$here/examples/peers/app.psgi"
fi
exit "$status"
