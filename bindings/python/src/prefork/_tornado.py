# SPDX-License-Identifier: MIT
"""fork_processes() and its companions, as tornado.process has them."""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import NoReturn, Optional

from ._errors import Error, check, error_of, integer
from ._events import Event, EventType
from ._fork import admit, flush_streams, running_loop
from ._library import lib
from ._library import task_id as _task_id
from ._supervisor import Supervisor, refuse_threads

logger = logging.getLogger("prefork")

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


def cpu_count() -> int:
    """The processors that this process may use, by affinity and quotas of control groups."""
    return check(lib.pf_cpu_count())


def die_of_signal(number: int) -> NoReturn:
    """End this process as a signal would, above all the one that :attr:`Pool.stopped_by` tells.

    The signal has its default action, also where the program has a handler. As process 1, which
    does not die of it, the process ends with status 128 + ``number``. Standard output and error
    are flushed; no atexit handler is run. Raises ValueError if the signal does not end processes.
    """
    flush_streams()
    check(lib.pf_die_of_signal(integer(number, "number")), "number")
    raise AssertionError  # it does not return without an error


class _Forks(Supervisor):
    """Workers that return from the supervisor's own call."""

    task_id: int

    def become_worker(self, task_id: int) -> None:
        self.task_id = task_id

    def log_to_the_end(self) -> None:
        """Supervise and log. What is to be forked is forked before anything is logged."""
        alive = True
        while alive:
            lines: list[tuple[int, str]] = []
            while self.pull():
                level = _LEVELS.get(lib.pf_event_level(self.event), logging.DEBUG)
                if lib.pf_event_type(self.event) in _QUIET:
                    level = logging.DEBUG
                lines.append((level, self.message()))
            if self.in_worker:
                return
            if self.forked:
                # What is written now is copied, and that in the way of the new worker's start.
                self.forked = False
                time.sleep(_REST_SECONDS)
            for level, line in lines:
                logger.log(level, line)
            alive = self.advance()

    def supervise(self) -> None:
        try:
            self.log_to_the_end()
        except BaseException:
            if not self.finished and os.getpid() == self.owner:
                # What interrupts this as well kills them, in close().
                check(lib.pf_pool_stop(self.handle))
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
        forks.set("workers", workers)
        forks.set("max_restarts", restarts)
        forks.set("signals", _SIGNALS_STOPS)
        forks.waits_inside = os.getpid() == 1
        forks.set("reap_orphans", forks.waits_inside)
        forks.start()
        forks.supervise()
    finally:
        if not forks.in_worker:
            forks.close()
    if forks.in_worker:
        admit(forks.handle, forks.task_id)
        return forks.task_id
    if forks.stop_signal:
        die_of_signal(forks.stop_signal)
    sys.exit(0)
