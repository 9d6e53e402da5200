# SPDX-License-Identifier: MIT
"""hypercorn: an application of ASGI in pre-forked workers, which lose no request in a reload."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

import hypercorn.asyncio
import hypercorn.config
import prefork
from common import GRACE_S, run


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        prefork.ready()  # what arrives before the server accepts waits in the shared socket
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = f"{os.getpid()}\n".encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def serve(listener: socket.socket) -> None:
    drain = prefork.Drain(GRACE_S)
    config = hypercorn.config.Config()
    sockets = hypercorn.config.Sockets([], [listener], [])
    config.create_sockets = lambda: sockets
    config.loglevel = "WARNING"
    await hypercorn.asyncio.serve(
        drain.asgi(app),
        config,
        shutdown_trigger=lambda: drain.wait([listener]),
    )


if __name__ == "__main__":
    run(lambda listener: asyncio.run(serve(listener)))
