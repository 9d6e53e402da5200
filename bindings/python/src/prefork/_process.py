# SPDX-License-Identifier: MIT
"""This process: a daemon, another program in its place, its end."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import threading
from typing import Any, Mapping, NoReturn, Optional, Sequence

from ._errors import check, integer, text
from ._fork import flush_streams
from ._library import lib
from ._settings import Text, strings, variables_of

logger = logging.getLogger("prefork")


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
    check(
        lib.pf_die_of_signal(integer(number, "number")),
        f"number must be that of a signal that ends processes, not {number!r}",
    )
    raise AssertionError  # it does not return without an error


def execute(program: Optional[Sequence[Text]], env: Optional[Mapping[str, str]]) -> NoReturn:
    """Execute a program in this process, which keeps the workers of its pools."""
    path = None if program is None else os.fsencode(program[0])
    flush_streams()
    check(
        lib.pf_upgrade(path, strings("exec", program), strings("env", variables_of(env))),
        "upgrade",
    )
    raise AssertionError


def daemonize(pid_file: Optional[Text] = None) -> None:
    """Go on as a daemon: in a new session, without a terminal.

    To be called first: before threads, sockets, pools and event loops. The launching process ends
    with status 0 when all workers of the pools are ready, or the daemon has called
    :func:`daemon_ready`, and with 1 if the daemon ends before. ``pid_file`` is locked, and
    removed at the end. Handlers of ``os.register_at_fork`` are run, on CPython. Raises
    FileExistsError if a living daemon has the pid file, and ThreadsError beside other threads.
    """
    name = None if pid_file is None else text(os.fspath(pid_file), "pid_file")
    python: Any = getattr(ctypes, "pythonapi", None)
    has_hooks = python is not None and hasattr(python, "PyOS_AfterFork_Child")
    flush_streams()
    # Ctrl-C ends the launching process, which only waits.
    is_main = threading.current_thread() is threading.main_thread()
    interrupt = signal.getsignal(signal.SIGINT) if is_main else None
    if interrupt is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    launcher = os.getpid()
    call = lib.pf_daemonize
    if has_hooks:
        # With the lock of the interpreter held, as its own fork does.
        call = ctypes.PyDLL(lib._name).pf_daemonize
        call.argtypes = (ctypes.c_char_p,)
        python.PyOS_BeforeFork()
    result = call(name)
    if has_hooks:
        if os.getpid() == launcher:
            python.PyOS_AfterFork_Parent()
        else:
            python.PyOS_AfterFork_Child()
    if interrupt is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
    check(result, os.fsdecode(name or b""))


def daemon_ready() -> None:
    """Have the launching process end now. Without effect in a process that is no daemon."""
    check(lib.pf_daemon_ready())
