# SPDX-License-Identifier: MIT
"""An application of WSGI with the standard library alone, one request at a time a worker."""

from __future__ import annotations

import os
import select
import socket
from typing import Any, Iterable
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import prefork
from common import run


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


def app(environ: Any, start_response: Any) -> Iterable[bytes]:
    body = f"{os.getpid()}\n".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def serve(listener: socket.socket) -> None:
    server = WSGIServer(("127.0.0.1", 0), Quiet, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.server_name, server.server_port = listener.getsockname()
    server.setup_environ()
    server.set_app(app)
    server.timeout = 0  # if a sibling took the connection, there is nothing to wait for
    stop = prefork.stop_fd()
    prefork.ready()
    while stop not in select.select([stop, listener.fileno()], [], [])[0]:
        server.handle_request()


if __name__ == "__main__":
    run(serve)
