# SPDX-License-Identifier: MIT
"""A pool of the library with os.fork: what Pool and fork_processes() have in common."""

from __future__ import annotations

import errno
import os
import select
import signal
import threading
from ctypes import byref, c_void_p
from typing import Any, Optional

from ._end import flush_stdio
from ._errors import ETHREADS, check, error_of, threads_error
from ._events import Event, EventType, read_event
from ._fork import flush_streams, fork
from ._library import lib
from ._threads import left_after_fork, look

# A signal may come just before the library waits, and then is handled so much later at most.
_INSIDE_MS = 500
_FORK_WANTED = int(EventType.FORK_WANTED)


def refuse_threads() -> None:
    """Raise ThreadsError if Python has other threads, or nobody can tell which there are."""
    obstacle = look().obstacle
    if obstacle:
        raise threads_error(obstacle)


class _Waiter:
    """Waits for a descriptor and for signals, whose handlers Python runs between its own steps.

    A signal that comes between such a step and the system call would be seen only when that
    ends. What Python writes to the wake-up descriptor ends it.
    """

    def __init__(self, fd: int) -> None:
        self._read_end, self._write_end = os.pipe()
        for end in (self._read_end, self._write_end):
            os.set_blocking(end, False)
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._poll.register(self._read_end, select.POLLIN)

    def wait(self) -> None:
        try:
            host_fd = signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        except ValueError:  # not the main thread, which runs no handlers
            self._poll.poll()
            return
        ready: list[tuple[int, int]] = []
        try:
            ready = self._poll.poll()
        finally:
            signal.set_wakeup_fd(host_fd, warn_on_full_buffer=False)
            if host_fd >= 0 or len(ready) != 1 or ready[0][0] == self._read_end:
                self._empty(host_fd)

    def _empty(self, host_fd: int) -> None:
        try:
            arrived = os.read(self._read_end, 4096)
            if host_fd >= 0:
                os.write(host_fd, arrived)  # the host waits for them, too
        except OSError:
            pass  # none came, or the host's descriptor is full, which wakes it as well

    def close(self) -> None:
        os.close(self._read_end)
        os.close(self._write_end)


class Supervisor:
    """A handle of the library, and the loop around it."""

    def __init__(self, allow_threads: bool) -> None:
        self.allow_threads = allow_threads
        self._handle: Optional[c_void_p] = None
        self._waiter: Optional[_Waiter] = None
        self.owner = os.getpid()
        # The handle may not go away under another thread's stop().
        self._lock = threading.RLock()
        self.event = c_void_p()
        self.finished = False
        self.in_worker = False
        self.forked = False  # since this was last reset
        self._forked_once = False
        self._obstacle = ""  # to the last fork: which threads there were
        self.stop_signal = 0
        # Orphans that come while the host itself waits are taken for children of the host.
        self.waits_inside = False
        self.failure: Optional[Exception] = None
        handle = c_void_p()
        check(lib.pf_pool_new(byref(handle)))
        self._handle = handle
        self.set("host_fork", 1)

    @property
    def handle(self) -> c_void_p:
        """The library's pool."""
        if self._handle is None:
            raise error_of(-errno.EINVAL, "the pool is closed")
        return self._handle

    def set(self, setting: str, *values: Any) -> None:
        check(getattr(lib, "pf_pool_set_" + setting)(self.handle, *values), setting)

    def start(self) -> None:
        check(lib.pf_pool_start(self.handle))

    def fileno(self) -> int:
        """The descriptor that is readable when :meth:`dispatch` has something to do."""
        return check(lib.pf_pool_fd(self.handle))

    def wait(self) -> None:
        """Wait until there is something to do, or a signal has come."""
        if self._waiter is None:
            self._waiter = _Waiter(self.fileno())
        self._waiter.wait()

    def step(self, timeout_ms: int = 0) -> None:
        """Have the library do what is to be done."""
        result = lib.pf_pool_dispatch(self.handle, timeout_ms)
        if result == -errno.ECHILD:
            raise error_of(result)
        if result <= 0:
            self.finished = True
            self.failure = error_of(result) if result < 0 else None

    def pull(self) -> bool:
        """Have the next event in ``self.event``. Forks the workers that are asked for before."""
        while check(lib.pf_pool_next_event(self.handle, byref(self.event))) > 0:
            if lib.pf_event_type(self.event) != _FORK_WANTED:
                return True
            task_id = lib.pf_event_task_id(self.event)
            try:
                is_child = self._fork(task_id)
            except BaseException:
                # Of a signal handler. If the answer is still owed, a stop would wait for it.
                lib.pf_pool_fork_parent(self.handle, task_id, -errno.EAGAIN)
                raise
            if is_child:
                # The handle is kept: the library refuses it here, and freeing takes time.
                self.in_worker = True
                self._close_waiter()
                self.become_worker(task_id)
                break
            self.forked = True
        return False

    def _fork(self, task_id: int) -> bool:
        """Fork a worker, unless there are other threads: then the library asks again later."""
        natives: frozenset[int] = frozenset()
        if not self.allow_threads:
            self._obstacle, natives = look()
            if self._obstacle:
                lib.pf_pool_fork_parent(self.handle, task_id, ETHREADS)
                return False
        self.before_fork()

        def accept() -> bool:
            self._obstacle = left_after_fork(natives)
            return not self._obstacle

        is_child = fork(self.handle, task_id, accept)
        if not is_child and self._obstacle and not self._forked_once:
            raise threads_error(self._obstacle)  # they were there from the start
        self._forked_once = True
        return is_child

    def message(self) -> str:
        """The text of ``self.event``, with what the library does not know."""
        message: str = lib.pf_event_message(self.event).decode("utf-8", "replace")
        if lib.pf_event_error(self.event) == ETHREADS and self._obstacle:
            message += f": {self._obstacle}"
        return message

    def take(self) -> Optional[Event]:
        """The next event, if one waits."""
        return read_event(self.event, self.message()) if self.pull() else None

    def before_fork(self) -> None:
        """Write what is buffered, or each worker would write it once more."""
        flush_streams()
        if not self.allow_threads:
            flush_stdio()

    def become_worker(self, task_id: int) -> None:
        """Called in each child, which has to call :func:`admit`."""
        raise NotImplementedError

    def next(self) -> Optional[Event]:
        """The next event, which is waited for. None after the last one.

        Raises what the pool failed with, once, after its last event.
        """
        while True:
            event = self.take()
            if event is not None:
                return event
            if not self.advance():
                return None

    def advance(self) -> bool:
        """Wait, and have the library do what is to be done. False at the end, and in a worker."""
        if self.in_worker:
            return False
        if self.finished:
            failure, self.failure = self.failure, None
            if failure is not None:
                raise failure
            return False
        if self.waits_inside:
            self.step(_INSIDE_MS)
        else:
            self.wait()
            self.step()
        return True

    def _close_waiter(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.close()

    def close(self) -> None:
        """Free the pool. Workers that are still alive are killed first."""
        with self._lock:
            handle, self._handle = self._handle, None
            if handle is not None:
                self.stop_signal = max(lib.pf_pool_stop_signal(handle), 0)
                lib.pf_pool_free(handle)
        self._close_waiter()
