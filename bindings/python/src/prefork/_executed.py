# SPDX-License-Identifier: MIT
"""A worker that executed its program: this process, if its supervisor has started it so."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from ctypes import byref, c_int, c_void_p
from typing import Callable, NoReturn, Optional

from ._errors import Error, check
from ._fork import status_of
from ._library import lib

_libc = ctypes.CDLL(None)
_libc.getenv.restype = ctypes.c_char_p

# The library knows it when it is loaded. A forked worker has loaded it before.
_worker_pid = os.getpid() if lib.pf_task_id() != -1 else 0


def forget_environment() -> None:
    """Python has read the environment before the library took its own variables out of it."""
    for name in [name for name in os.environ if name.startswith(("PF_", "LISTEN_"))]:
        if _libc.getenv(os.fsencode(name)) is None:
            del os.environ[name]


def is_worker_of(name: str) -> bool:
    """Whether this process is a worker of a pool with this name, and has not begun to work."""
    if _worker_pid != os.getpid():
        return False
    pool_name = lib.pf_worker_pool_name()
    if pool_name is None:
        return False
    if pool_name != os.fsencode(name):
        raise Error(
            f"this process is a worker of the pool {os.fsdecode(pool_name)!r}, and has to come to "
            f"it before it starts the pool {name!r}"
        )
    return True


def run_target(target: Optional[Callable[[int], Optional[int]]], pool: c_void_p) -> NoReturn:
    """Become the worker, run its function, and end as any program does."""
    global _worker_pid
    if target is None:
        raise Error("a worker of this pool executes another program, which has to run a target")
    task_id = c_int(-1)
    check(lib.pf_pool_run(pool, byref(task_id)))
    if task_id.value < 0:
        raise Error("this process is no worker", -errno.ECHILD)
    _worker_pid = 0
    try:
        status = status_of(target(task_id.value))
    except KeyboardInterrupt:
        status = 130  # the supervisor got it as well: say nothing
    sys.exit(status)
