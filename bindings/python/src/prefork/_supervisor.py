# SPDX-License-Identifier: MIT
"""A pool of the library with os.fork: what Pool and fork_processes() have in common."""

from __future__ import annotations

import errno
import os
import select
import signal
import threading
from ctypes import byref, c_void_p
from typing import Any, NoReturn, Optional, SupportsIndex

from ._end import Files, flush_stdio
from ._errors import ETHREADS, GaveUpError, check, error_of, gave_up, threads_error
from ._events import Event, EventType, read_event
from ._fork import flush_streams, fork
from ._library import lib
from ._process import execute, logger
from ._threads import left_after_fork, look

# A signal may come just before the library waits, and then is handled so much later at most.
_INSIDE_MS = 500
_FORK_WANTED = int(EventType.FORK_WANTED)
_CAUSES = (int(EventType.EXITED), int(EventType.START_FAILED), int(EventType.UNRESPONSIVE))


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

    _tells_cause = True  # in the text of GaveUpError

    def __init__(self, allow_threads: bool, host_fork: bool = True) -> None:
        self._allow_threads = allow_threads
        self._handle: Optional[c_void_p] = None
        self._waiter: Optional[_Waiter] = None
        self._host_fork = host_fork
        self._files: Optional[Files] = None  # those that are open at the start, before any fork
        self._owner = os.getpid()
        # The handle may not go away under another thread's stop().
        self._lock = threading.RLock()
        self._event = c_void_p()
        self._finished = False
        self._in_worker = False
        self._forked = False  # since this was last reset
        self._forked_once = False
        self._obstacle = ""  # to the last fork: which threads there were
        self._stop_signal = 0
        # Orphans that come while the host itself waits are taken for children of the host.
        self._waits_inside = False
        self._failure: Optional[Exception] = None
        self._last = ""  # what went wrong last,
        self._cause = ""  # and before the pool gave up
        self._upgrade: Optional[tuple[Any, Any]] = None  # the program that is to be executed
        handle = c_void_p()
        check(lib.pf_pool_new(byref(handle)))
        self._handle = handle
        if host_fork:
            self._set("host_fork", 1)

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """A pool cannot be copied: both objects would free it."""
        raise TypeError("a pool cannot be copied or pickled")

    @property
    def _pool(self) -> c_void_p:
        """The library's pool."""
        if self._handle is None:
            raise error_of(-errno.EINVAL, "the pool is closed")
        return self._handle

    def _set(self, setting: str, *values: Any) -> None:
        check(getattr(lib, "pf_pool_set_" + setting)(self._pool, *values), setting)

    def _start(self) -> None:
        check(lib.pf_pool_start(self._pool))
        if self._host_fork:
            self._files = Files()

    def fileno(self) -> int:
        """The descriptor that is readable when :meth:`Pool.poll` has something to do.

        Event loops wait for it. It belongs to the library: read nothing, do not close it.
        """
        return self._told(lib.pf_pool_fd(self._pool))

    def _told(self, result: int) -> int:
        """A result that is good. Raises for one that is not."""
        return check(result)

    def _wait(self) -> None:
        """Wait until there is something to do, or a signal has come."""
        if self._waiter is None:
            self._waiter = _Waiter(self.fileno())
        self._waiter.wait()

    def _step(self, timeout_ms: int = 0) -> None:
        """Have the library do what is to be done."""
        result = lib.pf_pool_dispatch(self._pool, timeout_ms)
        if result == -errno.ECHILD:
            raise error_of(result)
        if result <= 0:
            self._finished = True
            self._failure = error_of(result) if result < 0 else None

    def _pull(self) -> bool:
        """Have the next event in ``self._event``. Forks the workers that are asked for before."""
        while check(lib.pf_pool_next_event(self._pool, byref(self._event))) > 0:
            kind = lib.pf_event_type(self._event)
            if kind != _FORK_WANTED:
                if kind in _CAUSES:
                    self._last = self._message()
                elif kind == EventType.GAVE_UP:
                    self._cause = self._last
                return True
            task_id = lib.pf_event_task_id(self._event)
            try:
                is_child = self._fork(task_id)
            except BaseException:
                # Of a signal handler. If the answer is still owed, a stop would wait for it.
                lib.pf_pool_fork_parent(self._pool, task_id, -errno.EAGAIN)
                raise
            if is_child:
                # The handle is kept: the library refuses it here, and freeing takes time.
                self._in_worker = True
                self._close_waiter()
                self._become_worker(task_id)
                break
            self._forked = True
        return False

    def _fork(self, task_id: int) -> bool:
        """Fork a worker, unless there are other threads: then the library asks again later."""
        natives: frozenset[int] = frozenset()
        if not self._allow_threads:
            self._obstacle, natives = look()
            if self._obstacle:
                lib.pf_pool_fork_parent(self._pool, task_id, ETHREADS)
                return False
        self._before_fork()

        def accept() -> bool:
            self._obstacle = left_after_fork(natives)
            return not self._obstacle

        is_child = fork(self._pool, task_id, accept)
        if not is_child and self._obstacle and not self._forked_once:
            raise threads_error(self._obstacle)  # they were there from the start
        self._forked_once = True
        return is_child

    def _message(self) -> str:
        """The text of ``self._event``, with what the library does not know."""
        message: str = lib.pf_event_message(self._event).decode("utf-8", "replace")
        if lib.pf_event_error(self._event) == ETHREADS and self._obstacle:
            message += f": {self._obstacle}"
        return message

    def _take(self) -> Optional[Event]:
        """The next event, if one waits."""
        return read_event(self._event, self._message()) if self._pull() else None

    def _before_fork(self) -> None:
        """Write what is buffered, or each worker would write it once more."""
        flush_streams()
        if self._files is not None:
            self._files.flush()
        if not self._allow_threads:
            flush_stdio()

    def _become_worker(self, task_id: int) -> None:
        """Called in each child, which has to call :func:`admit`."""
        raise NotImplementedError

    def _next(self) -> Optional[Event]:
        """The next event, which is waited for. None after the last one.

        Raises what the pool failed with, once, after its last event.
        """
        while True:
            event = self._take()
            if event is not None:
                return event
            if not self._advance():
                return None

    def _advance(self) -> bool:
        """Wait, and have the library do what is to be done. False at the end, and in a worker."""
        if self._in_worker:
            return False
        if self._finished:
            failure, self._failure = self._failure, None
            if isinstance(failure, GaveUpError):
                raise gave_up(self._cause, self._tells_cause)
            if failure is not None:
                raise failure
            return False
        if self._upgrade is not None:
            self._try_upgrade()
        if self._waits_inside:
            self._step(_INSIDE_MS)
        else:
            self._wait()
            self._step()
        return True

    def _try_upgrade(self) -> None:
        """Replace this program, unless an event or a fork has come meanwhile: then later."""
        program, env = self._upgrade or (None, None)
        try:
            execute(program, env)
        except (BlockingIOError, ChildProcessError):
            pass
        except OSError as error:
            self._upgrade = None
            if error.errno != errno.EBUSY:
                logger.error("the upgrade failed: %s", error)

    def _close_waiter(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.close()

    def close(self) -> None:
        """Free the pool. Workers that are still alive are killed first."""
        with self._lock:
            handle, self._handle = self._handle, None
            if handle is not None:
                self._stop_signal = max(lib.pf_pool_stop_signal(handle), 0)
                lib.pf_pool_free(handle)
        self._close_waiter()
