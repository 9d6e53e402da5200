# SPDX-License-Identifier: MIT
"""aiohttp in pre-forked workers, which lose no request in a reload."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

import prefork
from aiohttp import web
from common import GRACE_S, run


async def hello(request: web.Request) -> web.Response:
    return web.Response(text=f"{os.getpid()}\n")


async def serve(listener: socket.socket) -> None:
    drain = prefork.Drain(GRACE_S)

    @web.middleware
    async def counted(request: web.Request, handler: Any) -> Any:
        with drain:
            response = await handler(request)
            if drain.is_stopping:
                response.force_close()
            return response

    app = web.Application(middlewares=[counted])
    app.router.add_get("/", hello)
    runner = web.AppRunner(app, handle_signals=False, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    prefork.ready()
    await drain.wait([listener])
    await runner.cleanup()


if __name__ == "__main__":
    run(lambda listener: asyncio.run(serve(listener)))
