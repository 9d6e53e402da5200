# SPDX-License-Identifier: MIT
"""The library's codes as exceptions."""

from __future__ import annotations

import errno
import operator
import os
from typing import Any

from . import _library

EGAVEUP = -4097
ETHREADS = -4098
ERESOLVE = -4099
EFATAL = -4100


class Error(RuntimeError):
    """What only this library can say. ``code`` is its number in prefork.h."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.code), self.__dict__


class GaveUpError(Error):
    """Too many restarts; the other workers have been stopped.

    ``cause`` says how the last worker ended before: the message of that event.
    """

    cause = ""


class FatalExitError(Error):
    """A worker exited with a status of ExitAction.FATAL. All have been stopped."""


class ThreadsError(Error):
    """Other threads are running, so forking is not safe."""


class InvalidArgumentError(OSError, ValueError):
    """A value is out of its range, or is asked for at the wrong time (EINVAL)."""


# Tornado's text, which programs and their logs know.
_GAVE_UP = "Too many child restarts, giving up"

_OWN = {EFATAL: FatalExitError, ETHREADS: ThreadsError}


def error_of(code: int, what: str = "") -> Exception:
    """The exception for a negative code of the library, and what it is about."""
    message = _library.strerror(code).decode() + (f": {what}" if what else "")
    if code == EGAVEUP:
        return GaveUpError(_GAVE_UP, code)
    if code in _OWN:
        return _OWN[code](message, code)
    if code == ERESOLVE:
        import socket

        return socket.gaierror(socket.EAI_NONAME, message)
    if code == -errno.EINVAL:
        return InvalidArgumentError(errno.EINVAL, what or message)
    if code < -4095:
        return Error(message, code)
    return OSError(-code, message)


def gave_up(cause: str, is_told: bool) -> GaveUpError:
    """With the end that was one too many."""
    error = GaveUpError(_GAVE_UP + (f"; at last: {cause}" if is_told and cause else ""), EGAVEUP)
    error.cause = cause
    return error


def threads_error(threads: str) -> ThreadsError:
    """With their names."""
    message = f"other threads are running, so forking is not safe: {threads}"
    return ThreadsError(message, ETHREADS)


def check(result: int, what: str = "") -> int:
    """Return a result that is good, raise for one that is not."""
    if result < 0:
        raise error_of(result, what)
    return result


def integer(value: int, what: str) -> int:
    """A C int. ctypes would take what does not fit, and cut it."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{what} must be an int, not {value!r}") from None
    if not -(2**31) <= number < 2**31:
        raise error_of(-errno.EINVAL, f"{what} must be an int of 32 bits, not {value!r}")
    return number


def milliseconds(seconds: float, what: str) -> int:
    """A duration as the library has it; of one that is not 0 something remains."""
    if isinstance(seconds, (str, bytes)):
        raise TypeError(f"{what} must be a number of seconds, not {seconds!r}")
    if not 0 <= seconds < 2**50:  # nan as well
        raise error_of(-errno.EINVAL, f"{what} must be at least 0 seconds, not {seconds!r}")
    return max(round(seconds * 1000), 1 if seconds > 0 else 0)


def text(value: str, what: str) -> bytes:
    """A C string."""
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a str, not {value!r}")
    if "\0" in value:
        raise error_of(-errno.EINVAL, f"{what} must be without NUL, not {value!r}")
    return os.fsencode(value)
