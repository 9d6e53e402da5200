# SPDX-License-Identifier: MIT
"""Sockets for the workers to share. They are bound before the workers are started."""

from __future__ import annotations

import errno
import os
import socket
from ctypes import c_int
from typing import Optional, Union

from ._errors import check, error_of, integer, text
from ._library import lib

_MAX = 64
_REUSEPORT = 1
_PORT_MAX = 65535
_MODE_MAX = 0o777
_FAMILIES = (socket.AF_UNSPEC, socket.AF_INET, socket.AF_INET6)


def _range_error(what: str, expected: str, value: object) -> Exception:
    return error_of(-errno.EINVAL, f"{what} must be {expected}, not {value!r}")


def bind_sockets(
    port: int,
    address: Optional[str] = None,
    family: int = socket.AF_UNSPEC,
    backlog: int = 128,
    reuse_port: bool = False,
) -> list[socket.socket]:
    """Listen on every address that a name has, as tornado.netutil.bind_sockets() does.

    ``address`` None or "": any address. With port 0 all sockets get the same port. They are
    non-blocking and close-on-exec.
    """
    number, family = integer(port, "port"), integer(family, "family")
    if not 0 <= number <= _PORT_MAX:
        raise _range_error("port", "0 to 65,535", port)
    if family not in _FAMILIES:
        raise _range_error("family", "AF_UNSPEC, AF_INET or AF_INET6", family)
    fds = (c_int * _MAX)()
    host = text(address or "", "address")
    count = check(
        lib.pf_bind_sockets(
            host,
            number,
            family,
            integer(backlog, "backlog"),
            _REUSEPORT if reuse_port else 0,
            fds,
            _MAX,
        ),
        f"{address or '*'}:{port}",
    )
    return [socket.socket(fileno=fd) for fd in fds[:count]]


def bind_unix_socket(
    path: Union[str, os.PathLike[str]], mode: int = 0o600, backlog: int = 128
) -> socket.socket:
    """Listen on a UNIX stream socket. One that nobody listens on is replaced, no other file."""
    name = os.fspath(path)
    if not name:
        raise _range_error("path", "the name of a file", path)
    bits = integer(mode, "mode")
    if not 0 <= bits <= _MODE_MAX:
        raise _range_error("mode", "0 to 0o777", mode)
    fd = lib.pf_bind_unix_socket(text(name, "path"), bits, integer(backlog, "backlog"))
    return socket.socket(fileno=check(fd, name))


def listen_fds() -> list[socket.socket]:
    """The sockets that systemd has opened for this process (LISTEN_FDS)."""
    size = _MAX
    while True:
        fds = (c_int * size)()
        count = lib.pf_listen_fds(fds, size)
        if count != -errno.ENOBUFS:
            break
        size *= 2
    check(count, "LISTEN_FDS")
    return [socket.socket(fileno=fd) for fd in fds[:count]]
