# SPDX-License-Identifier: MIT
"""gRPC, whose threads forbid a fork: workers by exec, each with a socket of its own.

gRPC binds its sockets itself, with SO_REUSEPORT. The one that the supervisor has bound keeps the
port, and is not listened on. From the moment of its stop the server refuses calls, before clients
know of it: clients set a deadline and ``wait_for_ready``, and repeat a call that fails.
"""

from __future__ import annotations

import argparse
import logging
import os
import select
import socket
import sys
from concurrent import futures
from typing import Any

import grpc
import prefork

METHOD = "/example.Process/Id"


def process_id(request: bytes, context: Any) -> bytes:
    return str(os.getpid()).encode()


def serve(port: int) -> None:
    server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 1)])
    handler = grpc.unary_unary_rpc_method_handler(process_id)
    service, method = METHOD[1:].split("/")
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(service, {method: handler})]
    )
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    prefork.ready()
    select.select([prefork.stop_fd()], [], [])
    server.stop(grace=10).wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-p", type=int, default=8000, metavar="PORT", dest="port")
    parser.add_argument("-n", type=int, default=2, metavar="WORKERS", dest="workers")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    fds = {}
    if prefork.task_id() is None:
        holder = socket.socket()
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", options.port))
        fds["port"] = holder
        print("listening on port", holder.getsockname()[1], flush=True)

    def worker(task_id: int) -> None:
        with prefork.worker_socket("port") as held:
            serve(held.getsockname()[1])

    prefork.Pool(
        worker,
        options.workers,
        exec=True,
        fds=fds,
        replace_width=2,
        ready_timeout=60,
        stop_signal=0,  # stop_fd() tells the worker
        signals=prefork.Signals.STANDARD,
    ).run()


if __name__ == "__main__":
    main()
