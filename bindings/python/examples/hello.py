# SPDX-License-Identifier: MIT
"""A pre-forked HTTP server: sockets first, then workers that share them.

    hello.py [-p PORT] [-n WORKERS]

    GET /             says hello, with the pid and the task id of the worker that answers
    GET /?sleep=S     the same after S seconds, during which that worker does nothing else
    GET /?exit=N      the same, and then the worker exits with status N
    GET /?signal=N    the same, and then the worker raises signal N

TERM stops it gracefully, HUP replaces the workers one after the other.
"""

from __future__ import annotations

import argparse
import logging
import os
import select
import signal
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl, urlsplit

import prefork


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path != "/":
            self.send_error(404)
            return
        wishes = dict(parse_qsl(url.query))
        time.sleep(float(wishes.get("sleep", 0)))
        body = f"hello from pid {os.getpid()}, task {prefork.task_id()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_WR)
        if "signal" in wishes:
            os.kill(os.getpid(), int(wishes["signal"]))
        if "exit" in wishes:
            os._exit(int(wishes["exit"]))

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def server_of(listener: socket.socket) -> HTTPServer:
    server = HTTPServer(("", 0), Hello, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.timeout = 0  # if a sibling took the connection, there is nothing to wait for
    return server


def serve(listeners: list[socket.socket]) -> None:
    """Serve until the supervisor asks to stop, or is gone. A request under way is finished."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the descriptor tells
    stop = prefork.stop_fd()
    servers = {listener.fileno(): server_of(listener) for listener in listeners}
    prefork.ready()
    while True:
        ready, _, _ = select.select([stop, *servers], [], [])
        if stop in ready:
            return
        for fd in ready:
            servers[fd].handle_request()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("-p", type=int, default=8090, metavar="PORT", dest="port")
    parser.add_argument("-n", type=int, default=0, metavar="WORKERS", dest="workers")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="hello: %(message)s")

    listeners = prefork.bind_sockets(options.port)
    print(f"hello: listening on port {listeners[0].getsockname()[1]}", flush=True)
    pool = prefork.Pool(
        lambda task_id: serve(listeners),
        options.workers,
        name="hello",
        ready_timeout=10.0,
        signals=prefork.Signals.STANDARD,
    )
    try:
        pool.run()
    except (prefork.GaveUpError, KeyboardInterrupt) as error:
        print(f"hello: {error or 'interrupted'}", file=sys.stderr)
        return 1
    if pool.stopped_by is not None:  # die of it, so that the status says what ended the server
        prefork.die_of_signal(pool.stopped_by)
    return 0


if __name__ == "__main__":
    sys.exit(main())
