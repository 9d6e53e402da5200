#!/bin/sh
# measure.sh PREFIX [NAME...] - our servers in Python beside those of others, as rows of a table
#
# SPDX-License-Identifier: MIT
#
# The library is the one that was installed under PREFIX. Each server is measured by ../measure.py,
# whose head says what the columns are; OPTIONS has options for it. Names choose servers, such as
# uvicorn or gunicorn. PYTHON (default: python3) gets a virtual environment of its own in BUILD_DIR
# (default: build of the checkout), with the servers of others from PyPI. LOAD is the load program
# (default: that of the checkout, built by "make build/tests/programs/load").
set -eu

[ $# -ge 1 ] || {
    echo "usage: measure.sh PREFIX [NAME...]" >&2
    exit 2
}
prefix=$(cd "$1" && pwd)
shift
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD_DIR:-$here/../../build}
LOAD=${LOAD:-$build/tests/programs/load}
export LOAD
chosen=" $* "

environment=$build/bindings/measure-python
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name prefork.pc | head -n 1)")
export PKG_CONFIG_PATH PIP_DISABLE_PIP_VERSION_CHECK=1
python=$environment/bin/python
[ -x "$python" ] || "${PYTHON:-python3}" -m venv "$environment"
"$python" -m pip install -q --only-binary :all: aiohttp gunicorn hypercorn tornado uvicorn waitress
source=$(mktemp -d)
trap 'rm -rf "$source"' EXIT
trap 'exit 130' INT TERM HUP
cp -R "$here/." "$source"
"$python" -m pip install -q --force-reinstall --no-deps "$source"

row() { # NAME, LABEL, options of measure.py, --, command
    case $chosen in
    "  " | *" $1 "*) ;;
    *) return 0 ;;
    esac
    label=$2
    shift 2
    options=
    while [ "$1" != -- ]; do
        options="$options $1"
        shift
    done
    # shellcheck disable=SC2086 # they are several
    (cd "$here/bench" && "$here/../measure.py" ${OPTIONS-} $options "$label" "$@") ||
        echo "$label: not measured"
}

examples=$here/examples
ours() { # NAME, LABEL, program
    row "$1" "$2" -- "$python" "$3" -p '{port}' -n '{workers}'
}

ours hello 'Python: hello.py' "$examples/hello.py"
for server in uvicorn hypercorn aiohttp waitress; do
    ours "$server" "Python: $server, ours" "$examples/servers/${server}_server.py"
done
ours wsgi 'Python: wsgiref, ours' "$examples/servers/wsgi_server.py"

# The peers, with what their documentation recommends. Tornado and the loop cannot reload.
row gunicorn 'Python: gunicorn' -- "$python" -m gunicorn --preload \
    -b '127.0.0.1:{port}' -w '{workers}' peers:wsgi
row gunicorn-asgi 'Python: gunicorn, worker of uvicorn' -- "$python" -m gunicorn \
    -k uvicorn.workers.UvicornWorker -b '127.0.0.1:{port}' -w '{workers}' peers:asgi
row uvicorn-workers 'Python: uvicorn --workers' -- "$python" peers.py uvicorn '{port}' '{workers}'
row tornado 'Python: tornado.process' --reloads 0 -- "$python" peers.py tornado '{port}' '{workers}'
row loop 'Python: a loop of 30 lines' -- "$python" peers.py loop '{port}' '{workers}'
