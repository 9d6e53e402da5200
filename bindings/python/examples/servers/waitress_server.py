# SPDX-License-Identifier: MIT
"""waitress: an application of WSGI in pre-forked workers, which lose no request in a reload.

Its threads belong to the workers. The supervisor has none.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from typing import Any, Iterable

import prefork
import waitress.channel
import waitress.server
import waitress.task
from common import run


def app(environ: Any, start_response: Any) -> Iterable[bytes]:
    body = f"{os.getpid()}\n".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


class Task(waitress.task.WSGITask):
    """Answers as if the client had asked to close, once the worker has to stop."""

    drain: prefork.Drain

    def build_response_header(self) -> Any:
        if self.drain.is_stopping:
            self.request.headers["CONNECTION"] = "close"
        return super().build_response_header()


class Channel(waitress.channel.HTTPChannel):
    task_class = Task


def serve(listener: socket.socket) -> None:
    drain = Task.drain = prefork.Drain()
    server = waitress.server.create_server(drain.wsgi(app), sockets=[listener], threads=4)
    server.channel_class = Channel

    def accept_no_more() -> None:
        server.accepting = False
        server.pull_trigger()

    threading.Thread(target=server.run, daemon=True).start()
    prefork.ready()
    drain.wait_in_thread(accept_no_more)
    server.task_dispatcher.shutdown()
    while any(channel.total_outbufs_len for channel in list(server.active_channels.values())):
        time.sleep(0.01)  # what was answered is on its way


if __name__ == "__main__":
    run(serve)
