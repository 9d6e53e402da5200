# SPDX-License-Identifier: MIT
"""What the servers of this folder have in common: options, a listening socket, a pool."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
from typing import Callable

import prefork

GRACE_S = float(os.environ.get("GRACE_S", "0.5"))  #: for requests that are on their way at the stop


def run(work: Callable[[socket.socket], object], *, by_exec: bool = False) -> None:
    """Run workers that serve a socket. HUP replaces them, TERM stops them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-p", type=int, default=8000, metavar="PORT", dest="port")
    parser.add_argument("-n", type=int, default=2, metavar="WORKERS", dest="workers")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    (listener,) = prefork.bind_sockets(options.port, "127.0.0.1", backlog=1024)
    if prefork.task_id() is None:
        print("listening on port", listener.getsockname()[1], flush=True)

    def worker(task_id: int) -> None:
        work(listener)

    pool = prefork.Pool(
        worker,
        options.workers,
        name="server",
        exec=by_exec,
        replace_width=2,
        ready_timeout=30,
        stop_signal=0,  # stop_fd() tells the worker
        signals=prefork.Signals.STANDARD,
    )
    pool.run()
    if pool.stopped_by is not None:
        prefork.die_of_signal(pool.stopped_by)
