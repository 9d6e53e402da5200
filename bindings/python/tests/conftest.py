# SPDX-License-Identifier: MIT
import gc
import os
import socket

import pytest
from support import Program


def open_descriptors():
    gc.collect()
    fds = {}
    for fd in os.listdir("/proc/self/fd"):
        try:
            fds[fd] = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            pass  # that of the listing itself
    return fds


@pytest.fixture(autouse=True)
def leaves_nothing():
    """Each test ends with the descriptors it began with, and without children."""
    before = open_descriptors()
    yield
    assert open_descriptors() == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.fixture
def run(leaves_nothing):
    """Starts programs, and ends what is left of them."""
    programs = []

    def start(code, *arguments, **environment):
        programs.append(Program(code, *arguments, **environment))
        return programs[-1]

    yield start
    for program in programs:
        program.close()


@pytest.fixture
def listener(leaves_nothing):
    with socket.create_server(("127.0.0.1", 0), backlog=128) as bound:
        yield bound
