# SPDX-License-Identifier: MIT
"""The application of the peers in Python, with what is measured besides.

gunicorn takes its hooks from this module too (--config python:app). As a program it is a server of
those that are called from Python: app.py tornado|uvicorn|granian
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import Any

sys.path.insert(0, f"{os.path.dirname(os.path.abspath(__file__))}/../../../bindings/python/bench")
from peers import asgi, wsgi  # noqa: E402, F401

PORT = int(os.environ["PORT"])
WORKERS = int(os.environ["WORKERS"])
held: list[bytearray] = []


def begin_worker() -> None:
    """Called in each worker, before it serves."""
    if os.environ.get("FAIL"):
        sys.exit(1)
    time.sleep(int(os.environ.get("START_MS") or 0) / 1000)


def begin_supervisor() -> None:
    """Called in the supervisor, before it makes workers."""
    mib = int(os.environ.get("BALLAST_MIB") or 0)
    held.append(bytearray(b"x") * (mib << 20))
    if os.environ.get("FOREIGN"):
        # Started here: workers that are forked meanwhile would hold pipes of the thread.
        child = subprocess.Popen(["sh", "-c", "sleep 0.1; exit 7"])
        waiter = threading.Thread(target=await_foreign, args=[child, os.environ["FOREIGN"]])
        waiter.daemon = True
        waiter.start()


def await_foreign(child: subprocess.Popen[bytes], path: str) -> None:
    time.sleep(1)
    try:
        status = str(child.wait())
    except OSError as error:
        status = str(error)
    with open(path, "w", encoding="utf-8") as file:
        file.write(status + "\n")


# ---- Hooks of gunicorn ----


def on_starting(server: Any) -> None:
    begin_supervisor()


def post_fork(server: Any, worker: Any) -> None:
    begin_worker()


# ---- Servers ----


def tornado_server() -> None:
    import asyncio

    import tornado.httpserver
    import tornado.netutil
    import tornado.process
    import tornado.web

    class Hello(tornado.web.RequestHandler):
        def get(self) -> None:
            self.write(f"{os.getpid()}\n")

    begin_supervisor()
    sockets = tornado.netutil.bind_sockets(PORT, "127.0.0.1")
    tornado.process.fork_processes(WORKERS)
    begin_worker()

    async def serve() -> None:
        server = tornado.httpserver.HTTPServer(tornado.web.Application([("/", Hello)]))
        server.add_sockets(sockets)
        await asyncio.Event().wait()

    asyncio.run(serve())


def uvicorn_server() -> None:
    """The supervisor of uvicorn --workers, which the command leaves out with one worker."""
    import uvicorn
    import uvicorn.supervisors

    begin_supervisor()
    config = uvicorn.Config("worker:asgi", host="127.0.0.1", port=PORT, workers=WORKERS,
                            access_log=False)
    uvicorn.supervisors.Multiprocess(config, [config.bind_socket()]).run()


def granian_server() -> None:
    import granian
    from granian.constants import Interfaces

    server = granian.Granian("worker:asgi", address="127.0.0.1", port=PORT, workers=WORKERS,
                             interface=Interfaces.ASGI, respawn_failed_workers=True)
    server.on_startup(begin_supervisor)
    server.serve()


if __name__ == "__main__":
    {"tornado": tornado_server, "uvicorn": uvicorn_server, "granian": granian_server}[sys.argv[1]]()
