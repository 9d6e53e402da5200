# SPDX-License-Identifier: MIT
"""The library's codes as exceptions."""

from __future__ import annotations

import errno
import operator
import os

from . import _library

_EGAVEUP = -4097
ETHREADS = -4098
_ERESOLVE = -4099
_EFATAL = -4100


class Error(RuntimeError):
    """What only this library can say. ``code`` is its number in prefork.h."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type[Error], tuple[str, int]]:
        return type(self), (str(self), self.code)


class GaveUpError(Error):
    """Too many restarts; the other workers have been stopped."""


class FatalExitError(Error):
    """A worker exited with a status of ExitAction.FATAL. All have been stopped."""


class ThreadsError(Error):
    """Other threads are running, so forking is not safe."""


class InvalidArgumentError(OSError, ValueError):
    """A value is out of its range, or is asked for at the wrong time (EINVAL)."""


# Tornado's text, which programs and their logs know.
_GAVE_UP = "Too many child restarts, giving up"

_OWN = {_EFATAL: FatalExitError, ETHREADS: ThreadsError}


def error_of(code: int, what: str = "") -> Exception:
    """The exception for a negative code of the library, and what it is about."""
    message = _library.strerror(code).decode() + (f": {what}" if what else "")
    if code == _EGAVEUP:
        return GaveUpError(_GAVE_UP, code)
    if code in _OWN:
        return _OWN[code](message, code)
    if code == _ERESOLVE:
        import socket

        return socket.gaierror(socket.EAI_NONAME, message)
    if code == -errno.EINVAL:
        return InvalidArgumentError(errno.EINVAL, message)
    if code < -4095:
        return Error(message, code)
    return OSError(-code, message)


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
    number = operator.index(value)
    if not -(2**31) <= number < 2**31:
        raise error_of(-errno.EINVAL, what)
    return number


def milliseconds(seconds: float, what: str) -> int:
    """A duration as the library has it; of one that is not 0 something remains."""
    if not 0 <= seconds < 2**50:  # nan as well
        raise error_of(-errno.EINVAL, what)
    return max(round(seconds * 1000), 1 if seconds > 0 else 0)


def text(value: str, what: str) -> bytes:
    """A C string."""
    if "\0" in value:
        raise error_of(-errno.EINVAL, what)
    return os.fsencode(value)
