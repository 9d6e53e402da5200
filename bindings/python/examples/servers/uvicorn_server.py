# SPDX-License-Identifier: MIT
"""uvicorn: an application of ASGI in pre-forked workers, which lose no request in a reload."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

import prefork
import uvicorn
from common import GRACE_S, run


async def app(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    body = f"{os.getpid()}\n".encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Server(uvicorn.Server):
    """Is ready before the first request is read."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            prefork.ready()


async def serve(listener: socket.socket) -> None:
    drain = prefork.Drain(GRACE_S)
    config = uvicorn.Config(
        drain.asgi(app), loop="asyncio", lifespan="off", log_level="warning", access_log=False
    )
    server = Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    draining = asyncio.create_task(drain.wait([listener]))
    await asyncio.wait([serving, draining], return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    uvicorn.Config(app, loop="asyncio").load()  # imports once what each worker would import
    run(lambda listener: asyncio.run(serve(listener)))
