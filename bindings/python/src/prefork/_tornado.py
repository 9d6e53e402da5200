# SPDX-License-Identifier: MIT
"""fork_processes() and its companions, as tornado.process has them."""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import Any, Optional

from ._errors import Error, check, integer
from ._events import Event, EventType
from ._fork import admit, running_loop
from ._library import lib
from ._library import task_id as _task_id
from ._process import die_of_signal, logger
from ._supervisor import Supervisor, refuse_threads

_LEVELS = {3: logging.ERROR, 4: logging.WARNING, 5: logging.INFO, 6: logging.INFO}
_SIGNALS_STOPS = 2
_REST_SECONDS = 0.001
# What Tornado does not log.
_QUIET = (
    EventType.STARTED,
    EventType.GAVE_UP,
    EventType.SIGNAL_UNAVAILABLE,
    EventType.DONE,
)


def log_event(event: Event) -> None:
    """Log an event at its level, through the logger "prefork"."""
    logger.log(_LEVELS.get(event.level, logging.DEBUG), event.message, extra={"event": event})


def task_id() -> Optional[int]:
    """The id of this worker, or None in a process that is no worker."""
    number = _task_id()
    return None if number < 0 else number


class _Forks(Supervisor):
    """Workers that return from the supervisor's own call."""

    task_id: int
    _tells_cause = False  # Tornado's text, to the letter

    def _become_worker(self, task_id: int) -> None:
        self.task_id = task_id

    def log_to_the_end(self) -> None:
        """Supervise and log. What is to be forked is forked before anything is logged."""
        alive = True
        while alive:
            lines: list[tuple[int, str]] = []
            while self._pull():
                level = _LEVELS.get(lib.pf_event_level(self._event), logging.DEBUG)
                if lib.pf_event_type(self._event) in _QUIET:
                    level = logging.DEBUG
                lines.append((level, self._message()))
            if self._in_worker:
                return
            if self._forked:
                # What is written now is copied, and that in the way of the new worker's start.
                self._forked = False
                time.sleep(_REST_SECONDS)
            for level, line in lines:
                logger.log(level, line)
            alive = self._advance()

    def supervise(self) -> None:
        try:
            self.log_to_the_end()
        except BaseException:
            if not self._finished and os.getpid() == self._owner:
                # What interrupts this as well kills them, in close().
                check(lib.pf_pool_stop(self._pool))
                self.log_to_the_end()
            raise


def fork_processes(
    num_processes: Optional[int],
    max_restarts: Optional[int] = 100,
    *,
    allow_threads: bool = False,
) -> int:
    """Fork workers, and supervise them. Returns the task id in each worker.

    A worker that is killed by a signal or exits with a status other than 0 is forked again with
    the same task id, ``max_restarts`` times in all (None: 100). ``num_processes`` may be None
    or not positive: :func:`cpu_count`. In the supervisor the call does not return: it raises
    ``SystemExit(0)`` once all workers have exited with status 0, and
    :class:`GaveUpError`, a ``RuntimeError``, after too many restarts. TERM, QUIT and HUP, where
    the program has not set a handler, stop the workers first; so does any exception of a signal
    handler, such as ``KeyboardInterrupt``. No worker is left behind.

    Raises ``RuntimeError`` in a worker, while an asyncio event loop runs in this thread, and
    beside other threads unless ``allow_threads`` is true. Beside threads that come later a
    restart is put off until they have ended, which is logged.
    """
    if _task_id() >= 0:
        raise Error("fork_processes() was called in a worker")
    if running_loop() is not None:
        raise Error("fork_processes() was called while an asyncio event loop is running")
    if not allow_threads:
        refuse_threads()
    workers = integer(num_processes or 0, "num_processes")
    restarts = 100 if max_restarts is None else max(integer(max_restarts, "max_restarts"), 0)
    forks = _Forks(allow_threads)
    try:
        forks._set("workers", workers)
        forks._set("max_restarts", restarts)
        forks._set("signals", _SIGNALS_STOPS)
        forks._waits_inside = os.getpid() == 1
        forks._set("reap_orphans", forks._waits_inside)
        forks._start()
        forks.supervise()
    finally:
        if not forks._in_worker:
            forks.close()
    if forks._in_worker:
        return admit(forks._pool, forks.task_id)
    if forks._stop_signal:
        die_of_signal(forks._stop_signal)
    sys.exit(0)


def install_in_tornado() -> None:
    """Have Tornado's own calls, such as ``HTTPServer.start(n)``, fork by this package.

    Replaces ``fork_processes`` and ``task_id`` of ``tornado.process``. Call it in the main
    program, before a server is started.
    """
    import tornado.process

    process: Any = tornado.process
    process.fork_processes = fork_processes
    process.task_id = task_id
