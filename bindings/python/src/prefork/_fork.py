# SPDX-License-Identifier: MIT
"""One fork, as Python has to see it, and the two answers that the pool gets."""

from __future__ import annotations

import ctypes
import operator
import os
import signal
import sys
from ctypes import c_void_p
from typing import Any, Callable, NoReturn, Optional

from ._end import End, forget_children
from ._errors import ETHREADS
from ._library import lib

# The mask is set by the C library itself: signal.pthread_sigmask() makes objects of all signals
# each time, which takes longer than all else between the fork and the worker's first step.
_SIGSET_BYTES = 128
Mask = ctypes.Array[ctypes.c_char]
_libc = ctypes.CDLL(None)
_libc.pthread_sigmask.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_ALL_SIGNALS = ctypes.create_string_buffer(_SIGSET_BYTES)
_libc.sigfillset(_ALL_SIGNALS)


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


def _become_worker(handle: c_void_p, task_id: int, in_loop: bool) -> None:
    """The child's side. A child that the pool does not want ends here."""
    try:
        # It is the supervisor's: what is written there would wake it, not this process.
        signal.set_wakeup_fd(-1)
        if in_loop:
            _leave_loop()
        forget_children()
        if lib.pf_pool_forked(handle, task_id, 0) < 0:
            os._exit(1)
    except BaseException:
        os._exit(1)


def _discard(pid: int) -> None:
    """End a child that is not yet a worker: it waits to be admitted."""
    os.kill(pid, signal.SIGKILL)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # the host ignores SIGCHLD


def fork(
    handle: c_void_p, task_id: int, accept: Callable[[], bool]
) -> Optional[Mask]:
    """Answer a FORK_WANTED. Returns None, but in the worker the signal mask to be restored.

    What is buffered has been flushed. The child becomes a worker if the supervisor accepts it.
    Signals wait meanwhile: neither may a KeyboardInterrupt come between the fork and the answer,
    nor a handler of the supervisor run in a child that is not yet a worker.
    """
    in_loop = running_loop() is not None
    before = ctypes.create_string_buffer(_SIGSET_BYTES)
    pid = -1
    _libc.pthread_sigmask(signal.SIG_BLOCK, None, before)
    try:
        _libc.pthread_sigmask(signal.SIG_BLOCK, _ALL_SIGNALS, None)
        try:
            pid = os.fork()
        except OSError as error:
            pid = -(error.errno or 1)
        if pid == 0:
            _become_worker(handle, task_id, in_loop)
            return before
        if pid > 0 and not accept():
            _discard(pid)
            pid = ETHREADS
        # If the answer is not taken, events tell, and the library has killed the child.
        lib.pf_pool_forked(handle, task_id, pid)
        return None
    finally:
        if pid != 0:
            restore(before)


def restore(before: Mask) -> None:
    """Let signals come again; the handlers of those that wait run at once."""
    _libc.pthread_sigmask(signal.SIG_SETMASK, before, None)


def _status_of_exit(exit_: SystemExit) -> int:
    if exit_.code is None:
        return 0
    if isinstance(exit_.code, int):
        return exit_.code & 0xFF
    print(exit_.code, file=sys.stderr)
    return 1


def _status_of(result: Optional[int]) -> int:
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
    task_id: int,
    before: Mask,
    begin: Callable[[], End],
) -> NoReturn:
    """Run a worker's function, and end the process with what it returns.

    Nothing of the supervisor's stack or its atexit handlers is run.
    """
    status = 1
    interrupted = False
    try:
        end = begin()
        try:
            restore(before)
            status = _status_of(target(task_id))
        except SystemExit as exit_:
            status = _status_of_exit(exit_)
        except KeyboardInterrupt:
            interrupted = True  # the supervisor got it as well: say nothing, and die of it
        except BaseException:
            sys.excepthook(*sys.exc_info())
        flush_streams()  # what was wrong is seen while threads are waited for
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
