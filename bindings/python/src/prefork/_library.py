# SPDX-License-Identifier: MIT
"""The shared library: where it is found, and its functions as ctypes declares them.

Handles and events are passed as plain addresses. No function of the library calls back.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, c_char_p, c_int, c_int32, c_uint32, c_uint64, c_void_p
from typing import Any, Callable, Iterator, Optional

SONAME = "libprefork.so.0"
OLDEST = (0, 2, 0)

_BUNDLED = os.path.join(os.path.dirname(__file__), "_bundled", SONAME)

# name: (result, parameters), as in prefork.h. What stands here has to be in the library.
_pool_int = (c_int, (c_void_p, c_int))
_pool_ms = (c_int, (c_void_p, c_uint64))
_pool_two_ms = (c_int, (c_void_p, c_uint64, c_uint64))
_strings = POINTER(c_char_p)
_event_int = (c_int, (c_void_p,))
_event_uint64 = (c_uint64, (c_void_p,))
PROTOTYPES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "pf_version": (c_char_p, ()),
    "pf_strerror": (c_char_p, (c_int,)),
    "pf_task_id": (c_int, ()),
    "pf_cpu_count": (c_int, ()),
    "pf_die_of_signal": (c_int, (c_int,)),
    "pf_pool_new": (c_int, (POINTER(c_void_p),)),
    "pf_pool_free": (c_void_p, (c_void_p,)),
    "pf_pool_set_name": (c_int, (c_void_p, c_char_p)),
    "pf_pool_set_workers": _pool_int,
    "pf_pool_set_restart_policy": _pool_int,
    "pf_pool_set_max_restarts": _pool_int,
    "pf_pool_set_restart_window": (c_int, (c_void_p, c_int, c_uint64)),
    "pf_pool_set_backoff": _pool_two_ms,
    "pf_pool_set_boot_limit": _pool_int,
    "pf_pool_set_limit_action": _pool_int,
    "pf_pool_set_stop": (c_int, (c_void_p, c_int, c_uint64)),
    "pf_pool_set_exit_action": (c_int, (c_void_p, c_int, c_int)),
    "pf_pool_set_ready_timeout": _pool_ms,
    "pf_pool_set_min_uptime": _pool_ms,
    "pf_pool_set_heartbeat_timeout": _pool_ms,
    "pf_pool_set_lifetime": _pool_two_ms,
    "pf_pool_set_reload_order": _pool_int,
    "pf_pool_set_replace_width": _pool_int,
    "pf_pool_set_signals": _pool_int,
    "pf_pool_set_stop_fd": _pool_int,
    "pf_pool_set_process_groups": _pool_int,
    "pf_pool_set_parent_death_signal": _pool_int,
    "pf_pool_set_reap_orphans": _pool_int,
    "pf_pool_set_manager_notify": _pool_int,
    "pf_pool_set_backend": _pool_int,
    "pf_pool_set_host_fork": _pool_int,
    "pf_pool_set_spares": _pool_int,
    "pf_pool_set_foreign_workers": _pool_int,
    "pf_pool_set_exec": (c_int, (c_void_p, c_char_p, _strings, _strings)),
    "pf_pool_add_fd": (c_int, (c_void_p, c_char_p, c_int)),
    "pf_pool_run": (c_int, (c_void_p, POINTER(c_int))),
    "pf_pool_start": (c_int, (c_void_p,)),
    "pf_pool_fd": (c_int, (c_void_p,)),
    "pf_pool_dispatch": _pool_int,
    "pf_pool_next_event": (c_int, (c_void_p, POINTER(c_void_p))),
    "pf_pool_fork_prepare": _pool_int,
    "pf_pool_fork_parent": (c_int, (c_void_p, c_int, c_int32)),
    "pf_pool_fork_child": _pool_int,
    "pf_pool_stop": (c_int, (c_void_p,)),
    "pf_pool_kill": (c_int, (c_void_p,)),
    "pf_pool_wake": (c_int, (c_void_p,)),
    "pf_pool_handle_signal": _pool_int,
    "pf_pool_reload": (c_int, (c_void_p,)),
    "pf_pool_resize": _pool_int,
    "pf_pool_replace_worker": _pool_int,
    "pf_pool_stop_worker": _pool_int,
    "pf_pool_send_signal": (c_int, (c_void_p, c_int, c_int)),
    "pf_pool_worker_count": (c_int, (c_void_p,)),
    "pf_pool_alive_count": (c_int, (c_void_p,)),
    "pf_pool_worker_pid": (c_int32, (c_void_p, c_int)),
    "pf_pool_worker_state": _pool_int,
    "pf_pool_worker_restarts": _pool_int,
    "pf_pool_worker_uptime_ms": (c_uint64, (c_void_p, c_int)),
    "pf_pool_counter": (c_uint64, (c_void_p, c_int)),
    "pf_pool_stop_signal": (c_int, (c_void_p,)),
    "pf_event_type": _event_int,
    "pf_event_level": _event_int,
    "pf_event_message": (c_char_p, (c_void_p,)),
    "pf_event_task_id": _event_int,
    "pf_event_pid": (c_int32, (c_void_p,)),
    "pf_event_exit_code": _event_int,
    "pf_event_signal": _event_int,
    "pf_event_core_dumped": _event_int,
    "pf_event_will_restart": _event_int,
    "pf_event_error": _event_int,
    "pf_event_restarts": _event_int,
    "pf_event_worker_count": _event_int,
    "pf_event_reason": _event_int,
    "pf_event_delay_ms": _event_uint64,
    "pf_event_uptime_ms": _event_uint64,
    "pf_event_time_ns": _event_uint64,
    "pf_event_user_us": _event_uint64,
    "pf_event_system_us": _event_uint64,
    "pf_event_max_rss_kib": _event_uint64,
    "pf_worker_ready": (c_int, ()),
    "pf_worker_retire": (c_int, ()),
    "pf_worker_heartbeat": (c_int, ()),
    "pf_worker_stop_fd": (c_int, ()),
    "pf_worker_fd": (c_int, (c_char_p,)),
    "pf_worker_pool_name": (c_char_p, ()),
    "pf_bind_sockets": (
        c_int,
        (c_char_p, c_int, c_int, c_int, c_uint32, POINTER(c_int), c_int),
    ),
    "pf_bind_unix_socket": (c_int, (c_char_p, c_uint32, c_int)),
    "pf_listen_fds": (c_int, (POINTER(c_int), c_int)),
    "pf_upgrade": (c_int, (c_char_p, _strings, _strings)),
    "pf_daemonize": (c_int, (c_char_p,)),
    "pf_daemon_ready": (c_int, ()),
}


def _told_by_pkg_config() -> Optional[str]:
    import subprocess  # only here: most imports of this package end before

    command = ["pkg-config", "--variable=libdir", "prefork"]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError:
        return None
    directory = os.fsdecode(done.stdout).strip()
    return os.path.join(directory, SONAME) if done.returncode == 0 and directory else None


def _places() -> Iterator[str]:
    """Where to look, the most particular first. Who says where it is means that one."""
    told = os.environ.get("PREFORK_LIBRARY")
    if told:
        yield told
        return
    if os.path.exists(_BUNDLED):
        yield _BUNDLED
        return
    yield SONAME
    by_pkg_config = _told_by_pkg_config()
    if by_pkg_config:
        yield by_pkg_config


def _open() -> ctypes.CDLL:
    reasons = []
    for place in _places():
        try:
            return ctypes.CDLL(place)
        except OSError as error:
            reasons.append(f"  {place}: {error}")
    raise ImportError(
        "prefork: the shared library libprefork was not found:\n"
        + "\n".join(reasons)
        + "\nInstall libprefork and run ldconfig, or set PREFORK_LIBRARY to the path of "
        + SONAME
        + "."
    )


def _too_old(library: ctypes.CDLL, version: str, lacks: str) -> ImportError:
    oldest = ".".join(map(str, OLDEST))
    return ImportError(
        f"prefork: the shared library {library._name} has version {version}{lacks}; "
        f"libprefork {oldest} or later is needed."
    )


def _load() -> ctypes.CDLL:
    library = _open()
    if not hasattr(library, "pf_version"):
        raise ImportError(f"prefork: the shared library {library._name} is not libprefork")
    library.pf_version.restype = c_char_p
    version: str = library.pf_version().decode("ascii", "replace")
    numbers = tuple(int(part) for part in version.split(".") if part.isdigit())
    if numbers < OLDEST:
        raise _too_old(library, version, "")
    for name, (result, parameters) in PROTOTYPES.items():
        if not hasattr(library, name):
            raise _too_old(library, version, f" and lacks {name}")
        function = getattr(library, name)
        function.restype = result
        function.argtypes = parameters
    return library


lib = _load()

# The calls that are made often, looked up once.
task_id: Callable[[], int] = lib.pf_task_id
strerror: Callable[[int], bytes] = lib.pf_strerror
