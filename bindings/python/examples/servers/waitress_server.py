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
from common import GRACE_S, run


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


def is_busy(channel: Any) -> bool:
    """A request has arrived, or waits for a thread, or its answer is on its way."""
    try:
        arrived = channel.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except OSError:
        arrived = b""  # nothing, or it is closed
    return bool(arrived or channel.requests or channel.total_outbufs_len)


def serve(listener: socket.socket) -> None:
    drain = Task.drain = prefork.Drain(GRACE_S)
    server = waitress.server.create_server(drain.wsgi(app), sockets=[listener], threads=4)
    server.channel_class = Channel

    def accept_no_more() -> None:
        server.accepting = False
        server.pull_trigger()

    threading.Thread(target=server.run, daemon=True).start()
    prefork.ready()
    drain.wait_in_thread(accept_no_more)
    # The dispatcher cancels what waits for a thread, and does not know what was not read yet.
    while any(map(is_busy, list(server.active_channels.values()))):
        time.sleep(0.01)
    server.task_dispatcher.shutdown()


if __name__ == "__main__":
    run(serve)
