# SPDX-License-Identifier: MIT
"""A pool in the loop of asyncio."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    import asyncio

    from ._events import Event
    from ._supervisor import Supervisor

_EVENTS_MAX = 1024  # beyond that they are left to the library, which then starts no more workers


class Reader:
    """Takes the events of a pool when the loop says that its descriptor is readable.

    Workers are forked in that callback of the loop, where no task is the current one.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        import asyncio

        self._supervisor = supervisor
        self._events: deque[Event] = deque()
        self._waiting: set[asyncio.Future[None]] = set()  # one for each task that iterates
        self._loop: Any = asyncio.get_running_loop()
        self._fd = supervisor.fileno()
        self._broken: Optional[BaseException] = None
        self._reading = False
        self._read()

    def _read(self) -> None:
        if not self._reading and not self._supervisor._finished:
            self._loop.add_reader(self._fd, self._on_readable)
            self._reading = True

    def _pause(self) -> None:
        if self._reading:
            self._loop.remove_reader(self._fd)
            self._reading = False

    def _on_readable(self) -> None:
        try:
            self._supervisor._step()
            while len(self._events) < _EVENTS_MAX:
                event = self._supervisor._take()
                if event is None:
                    break
                self._events.append(event)
            else:
                self._pause()
        except Exception as error:
            self._broken = error
        if self._supervisor._finished or self._broken is not None:
            self._pause()
        if self._supervisor._upgrade is not None and not self._events:
            self._supervisor._try_upgrade()
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    async def next(self) -> Optional[Event]:
        """The next event; None after the last one. Raises what the pool failed with, once."""
        while not self._events:
            if self._broken is not None:
                raise self._broken
            if self._supervisor._finished:
                return self._supervisor._next()  # does not wait, nor fork, any more
            self._read()
            waiting = self._loop.create_future()
            self._waiting.add(waiting)
            try:
                await waiting
            finally:
                self._waiting.discard(waiting)
        return self._events.popleft()

    def close(self) -> None:
        self._pause()
