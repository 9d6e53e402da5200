#!/bin/sh
# measure.sh PREFIX [NAME...] - our servers in Python beside those of others, as rows of a table
#
# SPDX-License-Identifier: MIT
#
# ../measure.sh says more. PYTHON (default: python3) gets a virtual environment of its own in
# BUILD_DIR, with the servers of others from PyPI.
# shellcheck source=bindings/measure.sh
. "$(dirname "$0")/../measure.sh"

environment=$build/bindings/measure-python
export PIP_DISABLE_PIP_VERSION_CHECK=1
python=$environment/bin/python
[ -x "$python" ] || "${PYTHON:-python3}" -m venv "$environment"
"$python" -m pip install -q --only-binary :all: aiohttp gunicorn hypercorn tornado uvicorn waitress
cp -R "$here/." "$scratch"
"$python" -m pip install -q --force-reinstall --no-deps "$scratch"
cd "$here/bench"

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
exit "$status"
