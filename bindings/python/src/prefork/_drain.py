# SPDX-License-Identifier: MIT
"""The end of a server in a worker, without the loss of a request."""

from __future__ import annotations

import select
import threading
import time
from typing import Any, Awaitable, Callable, Iterable, Optional

from ._worker import stop_fd


class Drain:
    """Waits until a worker has to stop, and then until its server has nothing left to do.

    Servers that are told to shut down close connections on which no request has arrived yet,
    and those that are kept alive: what a client has just sent there is lost. With this, the
    worker first accepts no more, answers what comes on the connections that it has, with
    ``Connection: close``, and shuts down when there was time to send (``grace``, in seconds) and
    no request is under way.

    The server must not act on the stop signal itself: give the pool ``stop_signal=0``. Examples
    for uvicorn, hypercorn, aiohttp and waitress are in the source distribution.
    """

    def __init__(self, grace: float = 0.5) -> None:
        self._grace = grace
        self._active = 0
        self._lock = threading.Lock()
        self.is_stopping = False  #: the worker was asked to stop

    # ---- Counting requests -----------------------------------------------------------------

    def __enter__(self) -> None:
        """A request is under way: ``with drain:`` around what answers it."""
        with self._lock:
            self._active += 1

    def __exit__(self, *failure: object) -> None:
        with self._lock:
            self._active -= 1

    def asgi(self, app: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        """An application of ASGI, whose requests are counted."""

        async def counted(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return

            async def closing_send(message: Any) -> None:
                if self.is_stopping and message["type"] == "http.response.start":
                    headers = [*message.get("headers", ()), (b"connection", b"close")]
                    message = {**message, "headers": headers}
                await send(message)

            with self:
                await app(scope, receive, closing_send)

        return counted

    def wsgi(self, app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        """An application of WSGI, whose requests are counted until its result is there.

        An application may not close the connection: the server has to, see ``is_stopping``.
        """

        def counted(environ: Any, start_response: Any) -> Iterable[bytes]:
            with self:
                return app(environ, start_response)

        return counted

    # ---- Waiting ---------------------------------------------------------------------------

    def _is_over(self, began: float) -> bool:
        return time.monotonic() - began >= self._grace and self._active == 0

    async def wait(self, sockets: Iterable[Any] = ()) -> None:
        """Wait for the stop, accept no more on the listening sockets, and wait for requests.

        For servers in the running loop of asyncio, of which ``sockets`` are read by the loop.
        """
        import asyncio

        loop = asyncio.get_running_loop()
        stop = stop_fd()
        stopped = asyncio.Event()
        loop.add_reader(stop, stopped.set)
        try:
            await stopped.wait()
        finally:
            loop.remove_reader(stop)
        self.is_stopping = True
        for listener in sockets:
            # The server stays open: what was accepted a moment ago is not attached to it yet.
            loop.remove_reader(listener.fileno())
        began = time.monotonic()
        while not self._is_over(began):
            await asyncio.sleep(0.01)

    def wait_in_thread(self, stop_accepting: Optional[Callable[[], object]] = None) -> None:
        """The same for servers with threads: call ``stop_accepting``, and wait for requests."""
        stop = select.poll()  # select() takes no descriptor above 1,023
        stop.register(stop_fd(), select.POLLIN)
        stop.poll()
        self.is_stopping = True
        if stop_accepting is not None:
            stop_accepting()
        began = time.monotonic()
        while not self._is_over(began):
            time.sleep(0.01)
