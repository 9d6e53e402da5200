# SPDX-License-Identifier: MIT
"""Other threads beside a fork: a lock that one of them holds stays locked in the child.

Python's own threads are known before the fork. Others belong to libraries, as those of OpenBLAS,
which ``import numpy`` starts: such a library may end its threads in a handler of pthread_atfork()
and start them again when they are needed. So it is told after the fork which of them were there.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from typing import Any, NamedTuple, Optional

from ._fork import running_loop

_TASKS = "/proc/self/task"
_CLONE_THREAD = 0x10000
_IO_WORKER = 0x10  # of the flags in stat: made by the kernel, for io_uring
_NAMES_MAX = 5
_MOMENTS = 20  # a result is there before its thread is idle
_TRIES = 20  # a thread that was joined may be there for a moment longer
_libc = ctypes.CDLL(None, use_errno=True)


class Look(NamedTuple):
    """What there is before a fork."""

    obstacle: str  #: why there may be no fork; "": perhaps there may
    natives: frozenset[int]  #: threads that are not Python's: they must be gone in the fork


def _is_of_kernel(thread: int) -> bool:
    try:
        with open(f"{_TASKS}/{thread}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return int(fields[6]) & _IO_WORKER != 0
    except (FileNotFoundError, ProcessLookupError):
        return True  # it has ended
    except (OSError, ValueError, IndexError):
        return False


def _listed() -> Optional[frozenset[int]]:
    """The other threads as the kernel lists them. None: it does not tell."""
    try:
        threads = set(map(int, os.listdir(_TASKS)))
        threads.remove(threading.get_native_id())
    except (OSError, ValueError, KeyError):
        return None  # there is no /proc, or something else is mounted there
    return frozenset(thread for thread in threads if not _is_of_kernel(thread))


def _is_alone() -> bool:
    """Without a list. False: no, or nobody knows."""
    try:
        # Never set again once there was a thread, so 0 says nothing.
        if ctypes.c_char.in_dll(_libc, "__libc_single_threaded").value != b"\0":
            return True
    except ValueError:
        pass
    # Has no effect: threads cannot be separated. So the kernel refuses it where there are
    # several, and agrees where there is one.
    return bool(_libc.unshare(_CLONE_THREAD) == 0)


def _of_python() -> list[str]:
    """The names of Python's other threads."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    own = threading.get_ident()
    return [
        names.get(ident, f"thread {ident}") for ident in sys._current_frames() if ident != own
    ]


def _name(thread: int) -> str:
    try:
        with open(f"{_TASKS}/{thread}/comm") as file:
            name = file.read().strip()
    except OSError:
        name = "unnamed"
    return f"{name} (thread {thread}, which Python did not start)"


def _told(names: list[str]) -> str:
    more = len(names) - _NAMES_MAX
    listed = ", ".join(names[:_NAMES_MAX]) + (f" and {more} more" if more > 0 else "")
    return (
        f"{listed}. End what runs before workers are forked, "
        "or pass allow_threads=True if they need no lock that it may hold"
    )


def _has_work(frame: Any) -> bool:
    """Whether a thread of an executor does more than to wait for a job."""
    worker = sys.modules["concurrent.futures.thread"].__dict__["_worker"].__code__
    while frame is not None and frame.f_code is not worker:
        if frame.f_globals.get("__name__") not in ("threading", "queue"):
            return True
        frame = frame.f_back
    return False


def _end_idle_helpers() -> bool:
    """End the threads in which the running asyncio loop does what blocks, if none has work.

    The loop makes new ones when it needs them. False: one has work, perhaps for a moment only.
    """
    loop: Any = running_loop()
    executor: Any = getattr(loop, "_default_executor", None)
    threads = getattr(executor, "_threads", None)
    if not threads or getattr(executor, "_thread_name_prefix", "") != "asyncio":
        return True
    frames = sys._current_frames()
    if any(_has_work(frames.get(thread.ident)) for thread in threads):
        return False
    if not executor._work_queue.empty():
        return False
    loop._default_executor = None
    executor.shutdown(wait=True)
    return True


def look() -> Look:
    """Which other threads there are, before a fork."""
    for _ in range(_MOMENTS):
        if len(sys._current_frames()) == 1 or _end_idle_helpers():
            break
        time.sleep(0.001)
    names = _of_python()
    if names:
        return Look(_told(names), frozenset())
    natives = _listed()
    if natives is not None:
        return Look("", natives)
    for attempt in range(_TRIES):
        if _is_alone():
            return Look("", frozenset())
        time.sleep(0.001 if attempt else 0)
    return Look(_told(["threads that cannot be listed without /proc"]), frozenset())


def left_after_fork(natives: frozenset[int]) -> str:
    """In the parent: which of the threads were there all the time, or nothing."""
    for attempt in range(_TRIES):
        listed = _listed() if natives else natives
        left = natives if listed is None else natives & listed
        if not left:
            return ""
        time.sleep(0.001 if attempt else 0)
    return _told([_name(thread) for thread in sorted(left)])
