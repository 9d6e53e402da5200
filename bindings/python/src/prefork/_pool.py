# SPDX-License-Identifier: MIT
"""A pool of workers, each of which runs a function or a program."""

from __future__ import annotations

import inspect
import os
import signal
import warnings
from types import TracebackType
from typing import Callable, Iterator, Mapping, Optional, Sequence, Union

from ._aio import Reader
from ._control import Control
from ._end import End
from ._errors import Error, check
from ._events import Event
from ._executed import is_worker_of, run_target
from ._fork import run_worker
from ._library import lib
from ._process import cpu_count
from ._settings import (
    UNLIMITED,
    Backend,
    ExitAction,
    HasFileno,
    LimitAction,
    ProcessGroups,
    ReapOrphans,
    ReloadOrder,
    RestartPolicy,
    Signals,
    Text,
    add_fds,
    apply,
    set_program,
    value_error,
)
from ._supervisor import refuse_threads
from ._tornado import log_event

Target = Callable[[int], Optional[int]]

_BOOTS = 10


def _check_target(target: object, is_needed: bool) -> None:
    if target is None and not is_needed:
        return
    if not callable(target):
        raise TypeError(f"target must be a function of the task id, not {target!r}")
    function = getattr(target, "func", target)  # of functools.partial
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)
    ):
        raise TypeError(
            f"target must be a function, not the coroutine function {target!r}: "
            "pass lambda task_id: asyncio.run(TARGET(task_id))"
        )


def _boot_limit(workers: Optional[int], restart_policy: int) -> int:
    if restart_policy == RestartPolicy.ALWAYS:
        return 0  # its workers may be short
    count = workers if isinstance(workers, int) and workers > 0 else cpu_count()
    return min(max(_BOOTS, 3 * count), UNLIMITED)


class Pool(Control):
    """Worker processes that run ``target(task_id)``, started, watched and stopped.

    The result of ``target`` is the worker's exit status (None: 0), as is that of
    ``sys.exit()``; an exception is status 1, as is any other result. Then the worker ends as a
    program does: threads that are not daemons are joined, jobs of executors are done, children
    of multiprocessing are waited for, atexit handlers that the worker has registered are run,
    files are flushed, and what it has made is finalized (``__del__``; not by PyPy). The atexit
    handlers and ``finally`` clauses of the supervisor do not run in workers.

        with Pool(work, 4) as pool:
            for event in pool:
                print(event.message)

    Leaving the block stops the workers gracefully, and waits for their end. What the pool failed
    with, as :class:`GaveUpError`, is raised after its last event: no worker is left. Any other
    exception in the loop, as KeyboardInterrupt or one of a signal handler, leaves the pool and
    its workers alive until the block is left, and the loop may be begun again. With asyncio, use
    ``async with`` and ``async for``. A pool is used once, by the thread that made it; only
    :meth:`stop`, :meth:`kill`, :meth:`reload` and :meth:`wake` may be called by any thread, and
    all may be called by signal handlers.

    Settings, with durations in seconds:

    - ``workers``: how many; None or 0: :func:`cpu_count`.
    - ``name``: of the pool, at most 63 bytes. A worker by exec finds its pool by it.
    - ``exec``: False: workers are forked. True: each worker executes this program anew, which
      has to come to the same pool: :meth:`start`, :meth:`run` or :meth:`run_worker` runs
      ``target`` there. A list: each executes this program with these arguments. The supervisor
      may have threads, a running loop, or what may not be forked.
    - ``env``: the environment of workers by exec; None: that of this process.
    - ``foreign``: the program of ``exec`` does not know this library. With a time-out of
      readiness or heartbeats it reports as a service does to systemd (``NOTIFY_SOCKET``).
    - ``fds``: descriptors for the workers by name, for :func:`worker_fd`.
    - ``spares``: workers that are started ahead of need, and take a slot at once.
    - ``restart_policy``: which ends lead to a restart.
    - ``max_restarts``: how many restarts in the pool's life, or UNLIMITED.
    - ``restart_window``: how many restarts in how many seconds.
    - ``boot_limit``: how many workers may end in a row before one is ready. None: 10, or thrice
      the number of workers if that is more; with RestartPolicy.ALWAYS, and 0: any number.
    - ``backoff``: the first delay before a restart, and the largest.
    - ``limit_action``: what too many restarts lead to.
    - ``stop_signal``, ``stop_timeout``: how workers are asked to stop, and after how long they
      are killed (0: never).
    - ``exit_actions``: what single exit statuses mean.
    - ``ready_timeout``: in which time a worker has to call :func:`ready`; 0: it need not.
    - ``min_uptime``: how long a worker has to live to count as started well.
    - ``heartbeat_timeout``: the longest time between two calls of :func:`heartbeat`; 0: any.
    - ``lifetime``: the age at which a worker is replaced, and a random part of it; 0: any.
    - ``reload_order``, ``replace_width``: whether the new worker or the old one's stop comes
      first, and how many slots are replaced at a time.
    - ``signals``: which signals of this process control the pool.
    - ``process_groups``: whether workers lead process groups.
    - ``parent_death_signal``: what the kernel sends to workers when this process ends; 0: none.
    - ``stop_fd``: whether workers can have :func:`stop_fd`.
    - ``reap_orphans``: which other children are reaped.
    - ``manager_notify``: speak systemd's protocol (``READY=1``, ``RELOADING=1``,
      ``STOPPING=1``, ``WATCHDOG=1``, ``STATUS=``) to the socket that ``NOTIFY_SOCKET`` names.
    - ``backend``: how ends are noticed.
    - ``allow_threads``: fork beside other threads. Without, the start raises
      :class:`ThreadsError`, and later starts are put off and told by ``START_FAILED``, with the
      names of the threads. Threads of libraries that end at a fork do not count, as those of
      numpy, nor do idle helpers of the running asyncio loop. Workers by exec need it never.
    """

    def __init__(
        self,
        target: Optional[Target] = None,
        workers: Optional[int] = None,
        *,
        name: str = "",
        exec: Union[bool, Sequence[Text]] = False,
        env: Optional[Mapping[str, str]] = None,
        foreign: bool = False,
        fds: Optional[Mapping[str, Union[int, HasFileno]]] = None,
        spares: int = 0,
        restart_policy: RestartPolicy = RestartPolicy.ON_FAILURE,
        max_restarts: int = 100,
        restart_window: tuple[int, float] = (0, 0.0),
        boot_limit: Optional[int] = None,
        backoff: tuple[float, float] = (0.0, 0.0),
        limit_action: LimitAction = LimitAction.STOP,
        stop_signal: int = signal.SIGTERM,
        stop_timeout: float = 10.0,
        exit_actions: Optional[Mapping[int, ExitAction]] = None,
        ready_timeout: float = 0.0,
        min_uptime: float = 1.0,
        heartbeat_timeout: float = 0.0,
        lifetime: tuple[float, float] = (0.0, 0.0),
        reload_order: ReloadOrder = ReloadOrder.START_FIRST,
        replace_width: int = 1,
        signals: Signals = Signals.NONE,
        process_groups: Union[bool, ProcessGroups] = False,
        parent_death_signal: int = signal.SIGTERM,
        stop_fd: bool = True,
        reap_orphans: Union[bool, ReapOrphans] = False,
        manager_notify: bool = False,
        backend: Backend = Backend.AUTO,
        allow_threads: bool = False,
    ) -> None:
        executes = exec is not False
        _check_target(target, is_needed=exec is False or exec is True)
        if foreign and (not executes or exec is True):
            raise value_error("foreign", foreign)
        if env is not None and not executes:
            raise TypeError("env is for workers by exec: pass exec as well")
        super().__init__(allow_threads, executes)
        self._target = target
        self._name = name
        self._manager_notify = manager_notify
        self._reader: Optional[Reader] = None
        self._waits_inside = reap_orphans == ReapOrphans.ADOPTED
        try:
            apply(
                self._pool,
                {
                    "name": name,
                    "workers": 0 if workers is None else workers,
                    "restart_policy": restart_policy,
                    "max_restarts": max_restarts,
                    "restart_window": restart_window,
                    "boot_limit": (
                        _boot_limit(workers, restart_policy) if boot_limit is None else boot_limit
                    ),
                    "backoff": backoff,
                    "limit_action": limit_action,
                    "stop_timeout": stop_timeout,
                    "stop_signal": stop_signal,
                    "exit_actions": exit_actions,
                    "ready_timeout": ready_timeout,
                    "min_uptime": min_uptime,
                    "heartbeat_timeout": heartbeat_timeout,
                    "lifetime": lifetime,
                    "reload_order": reload_order,
                    "replace_width": replace_width,
                    "signals": signals,
                    "process_groups": process_groups,
                    "parent_death_signal": parent_death_signal,
                    "stop_fd": stop_fd,
                    "reap_orphans": reap_orphans,
                    "manager_notify": manager_notify,
                    "backend": backend,
                    "spares": spares,
                },
            )
            if exec is not False:
                set_program(self._pool, exec, env)
            if foreign:
                check(lib.pf_pool_set_foreign_workers(self._pool, 1))
            add_fds(self._pool, fds or {})
        except BaseException:
            self.close()
            raise

    # ---- Running ---------------------------------------------------------------------------

    def start(self) -> None:
        """Begin; workers are started while events are taken. ``with`` does it as well."""
        if self._executes:
            self.run_worker()
        elif not self._allow_threads:
            refuse_threads()
        self._start()
        self._started = True

    def run(self) -> None:
        """Supervise to the end, and log each event through the logger "prefork".

        Raises what the pool failed with, as iteration does, and any other exception, such as
        KeyboardInterrupt, once the workers have been stopped: in either case none is left.
        """
        with self:
            try:
                self._log_to_the_end()
            except BaseException:
                if os.getpid() == self._owner and not self._finished:
                    self.stop()
                    self._log_to_the_end()
                raise

    def _log_to_the_end(self) -> None:
        for event in self:
            log_event(event)

    def run_worker(self) -> None:
        """In a worker by exec: run ``target`` and end the process. Elsewhere: nothing.

        :meth:`start` and :meth:`run` do it as well. A program with asyncio calls it before it
        begins a loop.
        """
        if self._executes and is_worker_of(self._name):
            run_target(self._target, self._pool)

    def poll(self) -> list[Event]:
        """Do what is to be done now, and return the events; for event loops, see fileno()."""
        self._need_start()
        if not self._finished and not self._in_worker:
            self._step()
        events = []
        event = self._take()
        while event is not None:
            events.append(event)
            event = self._take()
        if not events and self._finished:
            self._advance()  # raises what the pool failed with
        return events

    @property
    def is_done(self) -> bool:
        """Whether all workers have ended, and none will be started."""
        return self._finished

    def _become_worker(self, task_id: int) -> None:
        if self._manager_notify:
            os.environ.pop("NOTIFY_SOCKET", None)  # as the library did in the C environment
        assert self._target is not None and self._files is not None
        files = self._files
        run_worker(
            self._target,
            self._pool,
            task_id,
            lambda: End(files, not self._allow_threads),
        )

    def __enter__(self) -> Pool:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        try:
            if os.getpid() == self._owner and self._handle is not None and not self._finished:
                self.stop()
                while self._next() is not None:
                    pass
        except Exception:
            if value is None:
                raise
        finally:
            self.close()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        self._need_start()
        event = self._next()
        if event is None:
            raise StopIteration
        return event

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        if getattr(self, "_handle", None) is not None and os.getpid() == self._owner:
            what = "unclosed pool" if self._started else "pool that was never started"
            if not self._executes or self._started:
                _warn(f"{what} {self!r}", ResourceWarning, source=self)
            self.close()

    # ---- With asyncio ----------------------------------------------------------------------

    async def __aenter__(self) -> Pool:
        if self._executes and is_worker_of(self._name):
            raise Error("this is a worker by exec: call pool.run_worker() before asyncio.run()")
        self.__enter__()
        self._reader = Reader(self)
        return self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        reader = self._reader
        assert reader is not None
        try:
            if os.getpid() == self._owner and not self._finished:
                self.stop()
                while await reader.next() is not None:
                    pass
        except Exception:
            if value is None:
                raise
        finally:
            reader.close()
            self.close()

    def __aiter__(self) -> Pool:
        return self

    async def __anext__(self) -> Event:
        if self._reader is None:
            raise RuntimeError("a pool is iterated asynchronously within 'async with'")
        event = await self._reader.next()
        if event is None:
            raise StopAsyncIteration
        return event
