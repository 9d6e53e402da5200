# SPDX-License-Identifier: MIT
"""What a worker says to its supervisor, and hears from it."""

from __future__ import annotations

from ._errors import check
from ._library import lib


def ready() -> None:
    """Tell the supervisor that this worker serves now. Raises ChildProcessError elsewhere."""
    check(lib.pf_worker_ready())


def heartbeat() -> None:
    """Give a sign of life. Costs no system call."""
    check(lib.pf_worker_heartbeat())


def stop_fd() -> int:
    """A descriptor that is readable, and stays so, when this worker should end.

    It belongs to the library: wait for it, read nothing, do not close it. Who uses it handles or
    ignores the stop signal, or has the pool send none (``stop_signal=0``).
    """
    return check(lib.pf_worker_stop_fd())
