# SPDX-License-Identifier: MIT
"""The settings of a pool: their values, their ranges, and how the library gets them."""

from __future__ import annotations

import ctypes
import enum
import errno
import os
import shutil
from typing import Any, Mapping, Optional, Protocol, Sequence, Union

from ._errors import check, error_of, integer, milliseconds, text
from ._library import lib

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


class ProcessGroups(enum.IntEnum):
    """Whether each worker leads a process group, what is left of which is killed at its end."""

    NONE = 0
    SIGNALS = 1  #: each signal of the pool goes to the whole group
    KILL = 2  #: signals go to the worker alone


class HasFileno(Protocol):
    """A socket, a file, and what else has a descriptor."""

    def fileno(self) -> int: ...


Text = Union[str, "os.PathLike[str]"]

_SECONDS = "a number of seconds, at least 0"
_COUNT = "0 to 65,536"

#: What each setting may be, for messages.
RANGES = {
    "allow_threads": "True or False",
    "backend": "a Backend that this system supports",
    "backoff": "two numbers of seconds: the first delay, and the largest, which is not smaller",
    "boot_limit": "None or 0 to 2,147,483,647; 0: no limit",
    "exec": "True, False, or the program and its arguments, at least its name",
    "env": "a mapping of names to values",
    "exit_actions": "a mapping of exit statuses, 0 to 255, to ExitAction",
    "fds": "a mapping of names, 1 to 255 bytes without colon, to open descriptors",
    "foreign": "True or False; True only with exec=[PROGRAM, ...]",
    "heartbeat_timeout": _SECONDS,
    "lifetime": "two numbers of seconds: the age, and its random part",
    "limit_action": "a LimitAction",
    "manager_notify": "True or False",
    "max_restarts": "an int of 32 bits; negative: 100",
    "min_uptime": _SECONDS,
    "name": "a str of at most 63 bytes without NUL",
    "number": "the number of a signal",
    "parent_death_signal": "the number of a signal; 0: none",
    "process_groups": "False, True, or a ProcessGroups",
    "ready_timeout": _SECONDS,
    "reap_orphans": "False, True, or a ReapOrphans",
    "reload_order": "a ReloadOrder",
    "replace_width": "1 to 65,536",
    "restart_policy": "a RestartPolicy",
    "restart_window": "a number of restarts, 1 to 65,536, and a number of seconds; (0, 0): none",
    "signals": "a member of Signals",
    "spares": _COUNT,
    "stop_fd": "True or False",
    "stop_signal": "the number of a signal; 0: none",
    "stop_timeout": _SECONDS + "; 0: no limit",
    "task_id": "the number of a slot of the pool",
    "workers": "None or 0 to 65,536; None, 0: one for each processor",
}


def value_error(name: str, value: object) -> Exception:
    """Names the setting, what it may be, and what it was."""
    return error_of(-errno.EINVAL, f"{name} must be {RANGES[name]}, not {value!r}")


def type_error(name: str, value: object) -> TypeError:
    return TypeError(f"{name} must be {RANGES[name]}, not {value!r}")


def _call(handle: ctypes.c_void_p, setter: str, name: str, value: object, *values: Any) -> None:
    result = getattr(lib, "pf_pool_set_" + setter)(handle, *values)
    if result == -errno.EINVAL:
        raise value_error(name, value)
    check(result, name)


def _int(name: str, value: Any) -> int:
    try:
        return integer(value, name)
    except TypeError:
        raise type_error(name, value) from None
    except ValueError:
        raise value_error(name, value) from None


def _ms(name: str, value: Any, whole: Any = None) -> int:
    whole = value if whole is None else whole
    try:
        return milliseconds(value, name)
    except TypeError:
        raise type_error(name, whole) from None
    except ValueError:
        raise value_error(name, whole) from None


def _pair(name: str, value: Any) -> tuple[Any, Any]:
    try:
        first, second = value
    except (TypeError, ValueError):
        raise type_error(name, value) from None
    return first, second


def apply(handle: ctypes.c_void_p, settings: Mapping[str, Any]) -> None:
    """Give the pool its settings, but for the program and the descriptors."""
    for name, value in settings.items():
        if name == "name":
            if not isinstance(value, str):
                raise type_error(name, value)
            if "\0" in value:
                raise value_error(name, value)
            _call(handle, name, name, value, os.fsencode(value))
        elif name in ("ready_timeout", "heartbeat_timeout", "min_uptime"):
            _call(handle, name, name, value, _ms(name, value))
        elif name in ("backoff", "lifetime"):
            first, second = _pair(name, value)
            _call(handle, name, name, value, _ms(name, first, value), _ms(name, second, value))
        elif name == "restart_window":
            most, window = _pair(name, value)
            _call(handle, name, name, value, _int(name, most), _ms(name, window, value))
        elif name == "stop_signal":
            timeout_ms = _ms("stop_timeout", settings["stop_timeout"])
            _call(handle, "stop", name, value, _int(name, value), timeout_ms)
        elif name == "exit_actions":
            for status, action in (value or {}).items():
                _call(handle, "exit_action", name, value, _int(name, status), _int(name, action))
        elif name != "stop_timeout":
            _call(handle, name, name, value, _int(name, value))


# ---- Workers by exec, and what they get ------------------------------------------------------


def strings(name: str, values: Optional[Sequence[Any]]) -> Optional[ctypes.Array[Any]]:
    if values is None:
        return None
    try:
        encoded = [os.fsencode(value) for value in values]
    except TypeError:
        raise type_error(name, values) from None
    if any(b"\0" in value for value in encoded):
        raise value_error(name, values)
    return (ctypes.c_char_p * (len(encoded) + 1))(*encoded, None)


def variables_of(env: Optional[Mapping[str, str]]) -> Optional[list[str]]:
    """An environment as C has it."""
    if env is None:
        return None
    try:
        return [f"{name}={value}" for name, value in env.items()]
    except AttributeError:
        raise type_error("env", env) from None


def set_program(
    handle: ctypes.c_void_p,
    program: Union[bool, Sequence[Text]],
    env: Optional[Mapping[str, str]],
) -> None:
    """Have workers execute a program, found as the shell finds it; True: this one."""
    path: Optional[bytes] = None
    arguments: Optional[Sequence[Text]] = None
    if not isinstance(program, bool):
        if isinstance(program, (str, bytes)) or not isinstance(program, Sequence):
            raise type_error("exec", program)
        if not program:
            raise value_error("exec", program)
        arguments = program
        wanted = os.fspath(program[0])
        found = wanted if os.sep in wanted else shutil.which(wanted)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), wanted)
        path = text(found, "exec")
    variables = strings("env", variables_of(env))
    check(lib.pf_pool_set_exec(handle, path, strings("exec", arguments), variables), "exec")


def add_fds(handle: ctypes.c_void_p, fds: Mapping[str, Union[int, HasFileno]]) -> None:
    """Pass descriptors to the workers, which find them by name."""
    if not isinstance(fds, Mapping):
        raise type_error("fds", fds)
    for name, file in fds.items():
        if not isinstance(name, str) or not (isinstance(file, int) or hasattr(file, "fileno")):
            raise type_error("fds", fds)
        try:
            fd = file if isinstance(file, int) else file.fileno()
        except ValueError:  # it is closed, or has none
            raise value_error("fds", fds) from None
        result = lib.pf_pool_add_fd(handle, text(name, "fds"), _int("fds", fd))
        if result == -errno.EINVAL:
            raise value_error("fds", fds)
        check(result, f"fds: {name}")
