# SPDX-License-Identifier: MIT
"""Sockets for the workers to share. They are bound before the workers are started."""

from __future__ import annotations

import errno
import os
import socket
from ctypes import c_int
from typing import Optional, Union

from ._errors import check, integer, text
from ._library import lib

_MAX = 64
_REUSEPORT = 1


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
    fds = (c_int * _MAX)()
    host = text(address or "", "address")
    count = check(
        lib.pf_bind_sockets(
            host,
            integer(port, "port"),
            integer(family, "family"),
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
    fd = lib.pf_bind_unix_socket(
        text(name, "path"), integer(mode, "mode") & 0xFFFFFFFF, integer(backlog, "backlog")
    )
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
