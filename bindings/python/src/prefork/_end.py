# SPDX-License-Identifier: MIT
"""The end of a worker's function: what Python does at the end of a program, for the worker alone.

Threads that are not daemons are joined, jobs of executors are done, handlers of atexit are run,
buffers are flushed, and what the worker has made is finalized. What the supervisor has registered
is the supervisor's, and is not run in a worker. As for the children of multiprocessing, the process
then ends by ``os._exit()``: neither the supervisor's stack is unwound nor are its objects destroyed.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import io
import os
import sys
import threading
import types
import weakref
from typing import Any, Callable, Iterable

_libc = ctypes.CDLL(None)
_BUFFERED = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)


def _attempt(function: Callable[..., Any], *arguments: Any) -> None:
    """What goes wrong is printed, and keeps nothing else from being done."""
    try:
        function(*arguments)
    except (KeyboardInterrupt, SystemExit):
        pass  # of a signal handler: the process is about to end anyway
    except BaseException:
        sys.excepthook(*sys.exc_info())


# ---- Files -----------------------------------------------------------------------------------


def _buffered_files() -> list[Any]:
    """The file objects that the garbage collector knows, as it knows all of them."""
    # The type is asked, not the object: that of a proxy may do anything.
    return [file for file in gc.get_objects() if issubclass(type(file), _BUFFERED)]


def _fileno(file: Any) -> int:
    try:
        number: int = file.fileno()
    except (AttributeError, ValueError, OSError):
        return -1
    return number


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _open_descriptors() -> frozenset[int]:
    try:
        listed = os.listdir("/proc/self/fd")
    except OSError:
        return frozenset()
    return frozenset(filter(_is_open, map(int, listed)))  # that of the listing is closed


def _flush(files: Iterable[Any]) -> None:
    for file in files:
        try:
            if not file.closed and file.writable():
                file.flush()
        except (AttributeError, ValueError, OSError, RuntimeError):
            pass  # detached, being written by another thread, or nobody reads


class Files:
    """The files that a supervisor has open when its pool starts.

    They are flushed before each fork, so that workers may flush what they write to them at their
    end: all is written once. Objects are not looked through at each fork: that would write to all
    of the memory that is shared with the workers.
    """

    def __init__(self) -> None:
        self._open = [weakref.ref(file) for file in _buffered_files()]

    def _living(self) -> list[Any]:
        return [file for file in (ref() for ref in self._open) if file is not None]

    def flush(self) -> None:
        _flush(self._living())

    def of_worker(self, not_its_own: frozenset[int]) -> list[Any]:
        """All that the worker may have written to: these, and what it has opened itself."""
        inherited = self._living()
        known = set(map(id, inherited))
        return inherited + [
            file
            for file in _buffered_files()
            if id(file) not in known and _fileno(file) not in not_its_own
        ]


def flush_stdio() -> None:
    """Flush the streams of C. Waits for threads that use one."""
    _libc.fflush(None)


# ---- Objects ---------------------------------------------------------------------------------


def _has_finalizer(kind: type) -> bool:
    """Whether Python runs code of Python when it destroys such an object.

    Files of C are flushed: what is written into them may not be closed before what writes it.
    """
    if issubclass(kind, io.IOBase):
        return kind.__module__ != "_io"
    return isinstance(getattr(kind, "__del__", None), types.FunctionType)


def _finalize(objects: list[Any]) -> None:
    """Finish compressed files, remove temporary ones, and what else ``__del__`` is for."""
    kinds = {kind: _has_finalizer(kind) for kind in set(map(type, objects))}
    for made in objects:
        kind: Any = type(made)
        if kinds[kind]:
            _attempt(kind.__del__, made)


# ---- What is the supervisor's ----------------------------------------------------------------


def forget_children() -> None:
    """In a child: those of multiprocessing are the supervisor's, and it is not to end them."""
    process: Any = sys.modules.get("multiprocessing.process")
    if process is not None:
        process._children = set()


def _leave_multiprocessing() -> None:
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None:
        util._finalizer_registry.clear()
        util._run_after_forkers()
        atexit.register(util._exit_function)


def _leave_finalizers() -> None:
    finalize: Any = weakref.finalize
    for finalizer in list(finalize._registry):
        finalizer.atexit = False
    if finalize._registered_with_atexit:
        atexit.register(finalize._exitfunc)


class _Logging:
    """The handlers of logging. Records that the supervisor has buffered are its own."""

    def __init__(self) -> None:
        logging: Any = sys.modules["logging"]
        handlers: Any = sys.modules.get("logging.handlers")
        self._references = logging._handlerList
        self._shutdown = logging.shutdown
        self._inherited = list(self._references)
        for reference in self._inherited:
            handler = reference()
            if handlers is not None and isinstance(handler, handlers.BufferingHandler):
                handler.buffer = []

    def finish(self) -> None:
        inherited = set(map(id, self._inherited))
        self._shutdown([made for made in self._references if id(made) not in inherited])
        for reference in self._inherited:
            handler = reference()
            if handler is not None:
                _attempt(handler.flush)


class End:
    """Made at the beginning of a worker, finished at its end."""

    def __init__(self, files: Files, alone: bool) -> None:
        self._files = files
        self._alone = alone
        # What is made from now on is the worker's. Collections leave all else alone, and so the
        # memory that is shared with the supervisor.
        self._inherited: frozenset[int] = frozenset()
        if hasattr(gc, "freeze"):
            gc.freeze()
        else:
            self._inherited = _open_descriptors()  # by which PyPy tells files apart
        atexit._clear()
        logging = _Logging()
        atexit.register(logging.finish)  # the last one, as where it is imported first
        _attempt(_leave_finalizers)
        _attempt(_leave_multiprocessing)

    def finish(self) -> None:
        """What Py_FinalizeEx() does before it destroys anything."""
        shutdown: Any = getattr(threading, "_shutdown")
        _attempt(shutdown)
        _attempt(atexit._run_exitfuncs)
        # Python's own files are closed when they are destroyed, those in cycles when found.
        gc.collect()
        _flush(self._files.of_worker(self._inherited))
        if not self._inherited:
            # Threads that are daemons would not run any more: that they find files closed is no
            # error to report.
            setattr(threading, "excepthook", lambda _: None)
            _finalize(gc.get_objects())
            _flush(self._files.of_worker(self._inherited))
        if self._alone and threading.active_count() == 1:
            flush_stdio()
