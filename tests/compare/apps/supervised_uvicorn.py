# SPDX-License-Identifier: MIT
"""uvicorn with workers of libprefork: bindings/python/examples/servers, with what is measured."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time

import prefork
import uvicorn

sys.path.insert(0, os.environ["EXAMPLES"] + "/servers")
from uvicorn_server import app, serve  # noqa: E402


def watch_foreign(path: str) -> None:
    """A signal handler, since a thread of the supervisor would be beside its forks."""
    child = subprocess.Popen(["sh", "-c", "sleep 0.1; exit 7"])

    def write(*_: object) -> None:
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"{child.wait()}\n")

    signal.signal(signal.SIGALRM, write)
    signal.setitimer(signal.ITIMER_REAL, 1)


def main() -> None:
    uvicorn.Config(app, loop="asyncio").load()  # imports once what each worker would import
    listener = prefork.bind_sockets(int(os.environ["PORT"]), "127.0.0.1")[0]
    held = bytearray(b"x") * (int(os.environ.get("BALLAST_MIB") or 0) << 20)
    if os.environ.get("FOREIGN"):
        watch_foreign(os.environ["FOREIGN"])

    def work(task_id: int) -> None:
        if os.environ.get("FAIL"):
            sys.exit(1)
        time.sleep(int(os.environ.get("START_MS") or 0) / 1000)
        asyncio.run(serve(listener))

    orphans = prefork.ReapOrphans.ADOPTED if os.getpid() == 1 else prefork.ReapOrphans.NONE
    pool = prefork.Pool(work, int(os.environ["WORKERS"]), name="uvicorn", ready_timeout=10.0,
                        stop_signal=0, signals=prefork.Signals.STANDARD, reap_orphans=orphans)
    pool.run()
    del held
    if pool.stopped_by is not None:
        prefork.die_of_signal(pool.stopped_by)


if __name__ == "__main__":
    main()
