# SPDX-License-Identifier: MIT
"""What a pool can be asked, and asked for, while it runs."""

from __future__ import annotations

import enum
import errno
from dataclasses import dataclass
from typing import Callable, Mapping, Optional, Sequence, Union

from ._errors import Error, check, integer
from ._library import lib
from ._settings import UNLIMITED, Text, set_program, type_error, value_error
from ._supervisor import Supervisor


class WorkerState(enum.IntEnum):
    """What a slot of the pool is about."""

    EMPTY = 0
    STARTING = 1
    READY = 2
    STOPPING = 3
    BACKOFF = 4
    DONE = 5


class Counter(enum.IntEnum):
    """What :meth:`Pool.counter` counts, over the pool's life unless it says "now"."""

    STARTED = 1
    EXITED = 2
    ABNORMAL = 3  #: of these, those that nobody asked to end
    RESTARTED = 4
    START_FAILED = 5
    UNRESPONSIVE = 6
    RELOADS = 7
    READY = 8  #: now
    ALIVE = 9  #: processes now
    REPLACE_FAILED = 10
    SPARES = 11  #: now


@dataclass(frozen=True)
class Worker:
    """What one slot of a pool looks like now."""

    task_id: int
    pid: Optional[int]  #: None: no process now
    state: WorkerState
    restarts: int
    uptime: float  #: seconds


class Control(Supervisor):
    """The part of a pool that steers it and tells its state."""

    def __init__(self, allow_threads: bool, executes: bool) -> None:
        super().__init__(allow_threads, host_fork=not executes)
        self._executes = executes
        self._started = False

    def _need_start(self) -> None:
        if not self._started and self._handle is not None:
            raise Error("the pool was not started: use 'with pool:', pool.start() or pool.run()")

    def _told(self, result: int) -> int:
        if result == -errno.EINVAL:
            self._need_start()
        return super()._told(result)

    # ---- Control ---------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop all workers gracefully. The loop over the events goes on until they have ended."""
        with self._lock:
            self._told(lib.pf_pool_stop(self._pool))

    def kill(self) -> None:
        """Stop all workers by SIGKILL."""
        with self._lock:
            self._told(lib.pf_pool_kill(self._pool))

    def reload(self) -> None:
        """Replace all workers, one after the other, each once its replacement is ready."""
        with self._lock:
            self._told(lib.pf_pool_reload(self._pool))

    def wake(self) -> None:
        """Have the loop over the events go on once, though nothing has happened."""
        with self._lock:
            self._told(lib.pf_pool_wake(self._pool))

    def handle_signal(self, number: int) -> None:
        """Do what Signals.STANDARD does at this signal, which the program has received."""
        with self._lock:
            self._ask("number", number, lib.pf_pool_handle_signal, integer(number, "number"))

    def resize(self, workers: int) -> None:
        """Change the number of workers."""
        self._ask("workers", workers, lib.pf_pool_resize, integer(workers, "workers"))

    def set_spares(self, spares: int) -> None:
        """Change the number of spares, also while the pool runs."""
        self._ask("spares", spares, lib.pf_pool_set_spares, integer(spares, "spares"))

    def set_exec(
        self, program: Union[bool, Sequence[Text]], env: Optional[Mapping[str, str]] = None
    ) -> None:
        """Change what workers by exec execute from the next start on. A reload replaces all."""
        if not self._executes or program is False:
            raise type_error("exec", program)
        set_program(self._pool, program, env)

    def replace_worker(self, task_id: int) -> None:
        """Replace one worker by a new one, which does not count as a restart."""
        self._ask("task_id", task_id, lib.pf_pool_replace_worker, integer(task_id, "task_id"))

    def stop_worker(self, task_id: int) -> None:
        """Stop one worker, and leave its slot empty until replace_worker()."""
        self._ask("task_id", task_id, lib.pf_pool_stop_worker, integer(task_id, "task_id"))

    def upgrade(
        self,
        program: Optional[Sequence[Text]] = None,
        env: Optional[Mapping[str, str]] = None,
    ) -> None:
        """Execute a program (None: this one, anew) in this process, which keeps the workers.

        It is done when no event waits, so the call returns before. There a pool of the same name
        adopts the workers; ``reload()`` replaces those that run the old program. What
        :func:`bind_sockets` returned is returned again. If it fails, that is logged, and the
        pool goes on. A signal handler may call it: ``signal.signal(SIGUSR2, lambda *_:
        pool.upgrade())``.
        """
        with self._lock:
            self._upgrade = (program, env)
            self.wake()

    def _ask(self, name: str, value: object, function: Callable[..., int], *values: int) -> None:
        result = function(self._pool, *values)
        if result == -errno.EINVAL:
            self._need_start()
            raise value_error(name, value)
        check(result, name)

    def send_signal(self, task_id: Optional[int], number: int) -> None:
        """Send a signal to one worker, or to all (None)."""
        slot = -1 if task_id is None else max(integer(task_id, "task_id"), -2)
        if task_id is not None and slot < 0:
            slot = UNLIMITED  # no slot; -1 would mean all
        signal_number = integer(number, "number")
        result = lib.pf_pool_send_signal(self._pool, slot, signal_number)
        if result == -errno.EINVAL:
            self._need_start()
            is_slot = task_id is None or 0 <= slot < self.worker_count
            raise value_error("number", number) if is_slot else value_error("task_id", task_id)
        check(result)

    # ---- State -----------------------------------------------------------------------------

    @property
    def worker_count(self) -> int:
        """Slots."""
        return self._told(lib.pf_pool_worker_count(self._pool))

    @property
    def alive_count(self) -> int:
        """Processes."""
        return self._told(lib.pf_pool_alive_count(self._pool))

    @property
    def stopped_by(self) -> Optional[int]:
        """The signal that stopped the pool, for :func:`die_of_signal`."""
        if self._handle is None:
            return self._stop_signal or None
        return check(lib.pf_pool_stop_signal(self._pool)) or None

    def worker(self, task_id: int) -> Worker:
        """What one slot looks like now."""
        slot = integer(task_id, "task_id")
        pid = lib.pf_pool_worker_pid(self._pool, slot)
        if pid == -errno.EINVAL:
            self._need_start()
            raise value_error("task_id", task_id)
        return Worker(
            task_id=slot,
            pid=check(pid) or None,
            state=WorkerState(check(lib.pf_pool_worker_state(self._pool, slot))),
            restarts=check(lib.pf_pool_worker_restarts(self._pool, slot)),
            uptime=lib.pf_pool_worker_uptime_ms(self._pool, slot) / 1e3,
        )

    def workers(self) -> list[Worker]:
        """What all slots look like now."""
        return [self.worker(task_id) for task_id in range(self.worker_count)]

    def counter(self, which: Counter) -> int:
        """A number for metrics."""
        number: int = lib.pf_pool_counter(self._pool, integer(which, "which"))
        return number

    def counters(self) -> dict[Counter, int]:
        """All numbers for metrics."""
        return {which: self.counter(which) for which in Counter}
