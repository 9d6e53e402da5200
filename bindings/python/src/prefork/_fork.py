# SPDX-License-Identifier: MIT
"""One fork, as Python has to see it, and what the pool is told around it."""

from __future__ import annotations

import operator
import os
import signal
import sys
from ctypes import c_void_p
from typing import Any, Callable, NoReturn, Optional

from ._end import End, forget_children
from ._errors import ETHREADS
from ._library import lib

TASK_SPARE = -2  #: in place of a task id: a worker that has none yet


def flush_streams() -> None:
    """Write what is buffered, or each worker would write it once more."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, ValueError, OSError):
            pass  # there is none, it is closed, or nobody reads: not this module's affair


def running_loop() -> Optional[object]:
    """The asyncio loop that runs in this thread. Does not import asyncio for it."""
    asyncio: Any = sys.modules.get("asyncio")
    return asyncio._get_running_loop() if asyncio else None


def _leave_loop() -> None:
    """In a child of a coroutine's process: forget its loop, whose handlers do nothing here."""
    asyncio: Any = sys.modules["asyncio"]
    asyncio._set_running_loop(None)
    asyncio.set_event_loop(None)
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        function = getattr(handler, "func", handler)  # asyncio.run() sets a partial for SIGINT
        module = getattr(function, "__module__", None) or ""
        if callable(handler) and module.split(".")[0] in ("asyncio", "uvloop"):
            is_interrupt = number == signal.SIGINT
            signal.signal(number, signal.default_int_handler if is_interrupt else signal.SIG_DFL)


def _leave_supervisor(in_loop: bool) -> None:
    """What a child does first, while its signals are blocked."""
    try:
        # It is the supervisor's: what is written there would wake it, not this process.
        signal.set_wakeup_fd(-1)
        if in_loop:
            _leave_loop()
        forget_children()
    except BaseException:
        os._exit(1)


def _discard(pid: int) -> None:
    """End a child that is not yet a worker: it waits to be admitted."""
    os.kill(pid, signal.SIGKILL)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # the host ignores SIGCHLD


def fork(handle: c_void_p, task_id: int, accept: Callable[[], bool]) -> bool:
    """Answer a FORK_WANTED. Returns True in the child, which has to call :func:`admit`.

    What is buffered has been flushed. The child becomes a worker if the supervisor accepts it.
    The library blocks signals meanwhile: neither may a KeyboardInterrupt come between the fork
    and the answer, nor a handler of the supervisor run in a child that is not yet a worker.
    """
    in_loop = running_loop() is not None
    if lib.pf_pool_fork_prepare(handle, task_id) < 0:
        return False  # the pool does not want this worker any more
    try:
        pid = os.fork()
    except OSError as error:
        pid = -(error.errno or 1)
    if pid == 0:
        _leave_supervisor(in_loop)
        return True
    if pid > 0 and not accept():
        _discard(pid)
        pid = ETHREADS
    # If the answer is not taken, events tell, and the library has killed the child. Signals come
    # again; the handlers of those that wait run at once.
    lib.pf_pool_fork_parent(handle, task_id, pid)
    return False


def admit(handle: c_void_p, task_id: int) -> int:
    """Make the child a worker, to which signals come from now on. Returns its task id.

    A spare waits here until it has one. A child that the pool does not want ends here.
    """
    result: int = lib.pf_pool_fork_child(handle, task_id)
    if result < 0:
        os._exit(0 if task_id == TASK_SPARE else 1)
    reseed()
    return result if task_id == TASK_SPARE else task_id


def reseed() -> None:
    """As Python does for random: numpy's generator of the module, if it is there."""
    legacy: Any = sys.modules.get("numpy.random.mtrand")
    if legacy is not None:
        try:
            legacy.seed()
        except Exception:
            pass  # another version of numpy


def _status_of_exit(exit_: SystemExit) -> int:
    if exit_.code is None:
        return 0
    if isinstance(exit_.code, int):
        return exit_.code & 0xFF
    print(exit_.code, file=sys.stderr)
    return 1


def status_of(result: Optional[int]) -> int:
    if result is None:
        return 0
    if isinstance(result, bool) or not hasattr(type(result), "__index__"):
        raise TypeError(
            f"the function of a worker returned {result!r}; "
            "expected None or an int, which is the exit status"
        )
    return operator.index(result) & 0xFF


def run_worker(
    target: Callable[[int], Optional[int]],
    handle: c_void_p,
    task_id: int,
    begin: Callable[[], End],
) -> NoReturn:
    """Run a worker's function, and end the process with what it returns.

    Nothing of the supervisor's stack or its atexit handlers is run.
    """
    status = 1
    interrupted = False
    end: Optional[End] = None
    try:
        try:
            number = admit(handle, task_id)
            end = begin()
            status = status_of(target(number))
        except SystemExit as exit_:
            status = _status_of_exit(exit_)
        except KeyboardInterrupt:
            interrupted = True  # the supervisor got it as well: say nothing, and die of it
        except BaseException:
            sys.excepthook(*sys.exc_info())
        flush_streams()  # what was wrong is seen while threads are waited for
        if end is not None:
            end.finish()
    finally:
        try:
            flush_streams()
            if interrupted:
                die_of(signal.SIGINT)
        finally:
            os._exit(status)


def die_of(number: int) -> None:
    """End so that the status tells the signal. Returns only as PID 1."""
    flush_streams()
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (number,))
    os.kill(os.getpid(), number)
