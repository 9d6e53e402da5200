# SPDX-License-Identifier: MIT
"""A pool of workers, each of which runs a function."""

from __future__ import annotations

import enum
import os
import signal
import warnings
from dataclasses import dataclass
from types import TracebackType
from typing import Callable, Iterator, Mapping, Optional, Union

from ._aio import Reader
from ._end import End, Files
from ._errors import check, integer, milliseconds, text
from ._events import Event
from ._fork import run_worker
from ._library import lib
from ._supervisor import Supervisor, refuse_threads
from ._tornado import log_event

UNLIMITED = 2147483647  #: as max_restarts: no bound


class RestartPolicy(enum.IntEnum):
    """Which ends of a worker lead to a restart."""

    ON_FAILURE = 0
    ALWAYS = 1
    NEVER = 2


class LimitAction(enum.IntEnum):
    """What too many restarts lead to: the end of the pool, or of one slot."""

    STOP = 0
    DEGRADE = 1


class ExitAction(enum.IntEnum):
    """What an exit status of a worker means, whatever the restart policy says."""

    DEFAULT = 0  #: the restart policy decides
    RESTART = 1  #: the worker is restarted, and the restart counts
    DONE = 2  #: the worker has finished, as with status 0
    FATAL = 3  #: all workers stop, and the pool raises :class:`FatalExitError`


class Signals(enum.IntEnum):
    """Which signals of this process control the pool, where their disposition is the default."""

    NONE = 0
    STANDARD = 1  #: TERM, INT, QUIT, HUP, TTIN, TTOU, USR1, USR2, WINCH, as prefork(7) says
    STOP_ONLY = 2  #: TERM, INT, QUIT and HUP stop


class ReloadOrder(enum.IntEnum):
    """Whether a reload starts the new worker before it stops the old one."""

    START_FIRST = 0
    STOP_FIRST = 1


class Backend(enum.IntEnum):
    """How ends are noticed."""

    AUTO = 0
    PIDFD = 1
    SIGCHLD = 2


class ReapOrphans(enum.IntEnum):
    """Which children are reaped besides the workers, by process 1 or a subreaper."""

    NONE = 0
    ADOPTED = 1  #: those adopted while the pool itself waits; never the program's own
    ALL = 2  #: every child that is no worker, for programs that start no others


class WorkerState(enum.IntEnum):
    """What a slot of the pool is about."""

    EMPTY = 0
    STARTING = 1
    READY = 2
    STOPPING = 3
    BACKOFF = 4
    DONE = 5


@dataclass(frozen=True)
class Worker:
    """What one slot of a pool looks like now."""

    task_id: int
    pid: Optional[int]  #: None: no process now
    state: WorkerState
    restarts: int
    uptime: float  #: seconds


class Pool(Supervisor):
    """Worker processes that run ``target(task_id)``, started, watched and stopped.

    The result of ``target`` is the worker's exit status (None: 0), as is that of
    ``sys.exit()``; an exception is status 1, as is any other result. Then the worker ends as a
    program does: threads that are not daemons are joined, jobs of executors are done, children
    of multiprocessing are waited for, atexit handlers that the worker has registered are run,
    files are flushed. The atexit handlers and ``finally`` clauses of the supervisor do not run
    in workers. All durations are in seconds.

        with Pool(work, 4) as pool:
            for event in pool:
                print(event.message)

    Leaving the block stops the workers gracefully, and waits for their end. What the pool failed
    with, as :class:`GaveUpError`, is raised after its last event: no worker is left. Any other
    exception in the loop, as KeyboardInterrupt or one of a signal handler, leaves the pool and
    its workers alive until the block is left, and the loop may be begun again. With asyncio, use
    ``async with`` and ``async for``. A pool is used once, by the thread that made it; only
    :meth:`stop`, :meth:`kill` and :meth:`reload` may be called by any thread, and all may be
    called by signal handlers.

    Beside other threads no worker is forked unless ``allow_threads`` is true: the start raises
    :class:`ThreadsError`, and later starts are put off and told by ``START_FAILED``, with the
    names of the threads. Threads of libraries that end at a fork do not count, as those of
    numpy, nor do idle helpers of the running asyncio loop.

    With ``manager_notify``, the pool speaks systemd's protocol (``READY=1``, ``RELOADING=1``,
    ``STOPPING=1``, ``WATCHDOG=1``, ``STATUS=``) to the socket that ``NOTIFY_SOCKET`` names.
    """

    def __init__(
        self,
        target: Callable[[int], Optional[int]],
        workers: Optional[int] = None,
        *,
        name: str = "",
        restart_policy: RestartPolicy = RestartPolicy.ON_FAILURE,
        max_restarts: int = 100,
        restart_window: tuple[int, float] = (0, 0.0),
        backoff: tuple[float, float] = (0.0, 0.0),
        limit_action: LimitAction = LimitAction.STOP,
        stop_signal: int = signal.SIGTERM,
        stop_timeout: float = 10.0,
        exit_actions: Optional[Mapping[int, ExitAction]] = None,
        ready_timeout: float = 0.0,
        heartbeat_timeout: float = 0.0,
        lifetime: tuple[float, float] = (0.0, 0.0),
        reload_order: ReloadOrder = ReloadOrder.START_FIRST,
        replace_width: int = 1,
        signals: Signals = Signals.NONE,
        process_groups: bool = False,
        parent_death_signal: int = signal.SIGTERM,
        reap_orphans: Union[bool, ReapOrphans] = False,
        manager_notify: bool = False,
        backend: Backend = Backend.AUTO,
        allow_threads: bool = False,
    ) -> None:
        super().__init__(allow_threads)
        self._target = target
        self._manager_notify = manager_notify
        self._started = False
        self._files: Optional[Files] = None
        self._reader: Optional[Reader] = None
        self.waits_inside = reap_orphans == ReapOrphans.ADOPTED
        try:
            self.set("name", text(name, "name"))
            most, window = restart_window
            self.set(
                "restart_window",
                integer(most, "restart_window"),
                milliseconds(window, "restart_window"),
            )
            self.set("backoff", *(milliseconds(part, "backoff") for part in backoff))
            self.set("lifetime", *(milliseconds(part, "lifetime") for part in lifetime))
            self.set(
                "stop",
                integer(stop_signal, "stop_signal"),
                milliseconds(stop_timeout, "stop_timeout"),
            )
            self.set("ready_timeout", milliseconds(ready_timeout, "ready_timeout"))
            self.set("heartbeat_timeout", milliseconds(heartbeat_timeout, "heartbeat_timeout"))
            for status, action in (exit_actions or {}).items():
                self.set(
                    "exit_action",
                    integer(status, "exit_actions"),
                    integer(action, "exit_actions"),
                )
            for setting, value in (
                ("workers", workers or 0),
                ("restart_policy", restart_policy),
                ("max_restarts", max_restarts),
                ("limit_action", limit_action),
                ("reload_order", reload_order),
                ("replace_width", replace_width),
                ("signals", signals),
                ("process_groups", process_groups),
                ("parent_death_signal", parent_death_signal),
                ("reap_orphans", reap_orphans),
                ("manager_notify", manager_notify),
                ("backend", backend),
            ):
                self.set(setting, integer(value, setting))
        except BaseException:
            self.close()
            raise

    # ---- Running ---------------------------------------------------------------------------

    def start(self) -> None:
        """Begin; workers are started while events are taken. ``with`` does it as well."""
        if not self.allow_threads:
            refuse_threads()
        super().start()
        self._started = True
        self._files = Files()

    def run(self) -> None:
        """Supervise to the end, and log each event through the logger "prefork".

        Raises what the pool failed with, as iteration does, and any other exception once the
        workers have been stopped: in either case none is left.
        """
        with self:
            for event in self:
                log_event(event)

    def before_fork(self) -> None:
        super().before_fork()
        self._supervisors_files().flush()

    def _supervisors_files(self) -> Files:
        assert self._files is not None
        return self._files

    def become_worker(self, task_id: int) -> None:
        if self._manager_notify:
            os.environ.pop("NOTIFY_SOCKET", None)  # as the library did in the C environment
        run_worker(
            self._target,
            self.handle,
            task_id,
            lambda: End(self._supervisors_files(), not self.allow_threads),
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
            if os.getpid() == self.owner and self._handle is not None and not self.finished:
                self.stop()
                while self.next() is not None:
                    pass
        except Exception:
            if value is None:
                raise
        finally:
            self.close()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        event = self.next()
        if event is None:
            raise StopIteration
        return event

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        if getattr(self, "_handle", None) is not None and os.getpid() == self.owner:
            if self._started:
                _warn(f"unclosed pool {self!r}", ResourceWarning, source=self)
            self.close()

    # ---- With asyncio ----------------------------------------------------------------------

    async def __aenter__(self) -> Pool:
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
            if os.getpid() == self.owner and not self.finished:
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

    # ---- Control ---------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop all workers gracefully. The loop over the events goes on until they have ended."""
        with self._lock:
            check(lib.pf_pool_stop(self.handle))

    def kill(self) -> None:
        """Stop all workers by SIGKILL."""
        with self._lock:
            check(lib.pf_pool_kill(self.handle))

    def reload(self) -> None:
        """Replace all workers, one after the other, each once its replacement is ready."""
        with self._lock:
            check(lib.pf_pool_reload(self.handle))

    def resize(self, workers: int) -> None:
        """Change the number of workers."""
        check(lib.pf_pool_resize(self.handle, integer(workers, "workers")))

    def replace_worker(self, task_id: int) -> None:
        """Replace one worker by a new one, which does not count as a restart."""
        check(lib.pf_pool_replace_worker(self.handle, integer(task_id, "task_id")))

    def send_signal(self, task_id: Optional[int], number: int) -> None:
        """Send a signal to one worker, or to all (None)."""
        slot = -1 if task_id is None else max(integer(task_id, "task_id"), -2)
        if task_id is not None and slot < 0:
            slot = UNLIMITED  # no slot; -1 would mean all
        check(lib.pf_pool_send_signal(self.handle, slot, integer(number, "number")))

    # ---- State -----------------------------------------------------------------------------

    @property
    def worker_count(self) -> int:
        """Slots."""
        return check(lib.pf_pool_worker_count(self.handle))

    @property
    def alive_count(self) -> int:
        """Processes."""
        return check(lib.pf_pool_alive_count(self.handle))

    @property
    def stopped_by(self) -> Optional[int]:
        """The signal that stopped the pool, for :func:`die_of_signal`."""
        if self._handle is None:
            return self.stop_signal or None
        return check(lib.pf_pool_stop_signal(self.handle)) or None

    def worker(self, task_id: int) -> Worker:
        """What one slot looks like now."""
        slot = integer(task_id, "task_id")
        return Worker(
            task_id=slot,
            pid=check(lib.pf_pool_worker_pid(self.handle, slot)) or None,
            state=WorkerState(check(lib.pf_pool_worker_state(self.handle, slot))),
            restarts=check(lib.pf_pool_worker_restarts(self.handle, slot)),
            uptime=lib.pf_pool_worker_uptime_ms(self.handle, slot) / 1e3,
        )

    def workers(self) -> list[Worker]:
        """What all slots look like now."""
        return [self.worker(task_id) for task_id in range(self.worker_count)]
