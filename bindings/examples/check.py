#!/usr/bin/env python3
"""Use a server of an example as its users would, and count what holds.

    check.py LANGUAGE COMMAND [ARGUMENT...]

COMMAND gets a port as its last argument. It greets each connection there with the pid and the task
id of one of two workers. Prints each check, and "N passed, N failed".

SPDX-License-Identifier: MIT
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time

DEADLINE_S = 60
WORKERS = 2


def wait_until(what, condition):
    end = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {DEADLINE_S} s: {what}")
        time.sleep(0.005)


def hold_port():
    """A socket whose port no other program gets, and on which a server may listen."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


class Server:
    """The program in a session of its own."""

    def __init__(self, command):
        self.held = hold_port()
        self.port = self.held.getsockname()[1]
        self.process = subprocess.Popen(
            [*command, str(self.port)], stdin=subprocess.DEVNULL, start_new_session=True
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.held.close()

    def greeting(self):
        """The task id and the pid of a worker, or None if nobody listens."""
        assert self.process.poll() is None, f"the server ended: {self.process.returncode}"
        try:
            with socket.create_connection(("127.0.0.1", self.port), DEADLINE_S) as connection:
                with connection.makefile() as stream:
                    text = stream.read()
        except ConnectionError:
            return None
        found = re.fullmatch(r"hello from pid (\d+), task (\d+)\n", text)
        return (int(found[2]), int(found[1])) if found else None

    def workers(self, old=()):
        """The pids of all workers, none of which is an old one, by their task ids."""
        pids = {}

        def there():
            greeting = self.greeting()
            if greeting and greeting[1] not in old:
                pids[greeting[0]] = greeting[1]
            return len(pids) == WORKERS

        wait_until("greetings of all workers", there)
        assert sorted(pids) == list(range(WORKERS)), pids
        return pids

    def end_by(self, number):
        """The status of the supervisor, when nobody of its session is left."""
        self.process.send_signal(number)
        status = self.process.wait(DEADLINE_S)

        def is_gone():
            try:
                os.killpg(self.process.pid, 0)
            except ProcessLookupError:
                return True
            return False

        wait_until("the end of all processes", is_gone)
        return status


def restarts_a_worker_with_its_task_id(command):
    with Server(command) as server:
        before = server.workers()
        os.kill(before[0], signal.SIGKILL)
        wait_until("a restart", lambda: server.greeting() not in (None, *before.items()))
        after = server.workers(old=[before[0]])
        assert after[1] == before[1] and after[0] != before[0], (before, after)


def replaces_all_workers_at_hup(command):
    with Server(command) as server:
        before = server.workers()
        server.process.send_signal(signal.SIGHUP)
        server.workers(old=before.values())


def stops_at_term_and_leaves_nobody(command):
    with Server(command) as server:
        server.workers()
        status = server.end_by(signal.SIGTERM)
        assert status == -signal.SIGTERM, status


def stops_at_ctrl_c_and_leaves_nobody(command):
    with Server(command) as server:
        server.workers()
        status = server.end_by(signal.SIGINT)
        assert status == -signal.SIGINT, status


def leaves_nobody_when_it_is_killed(command):
    with Server(command) as server:
        server.workers()
        server.end_by(signal.SIGKILL)


CHECKS = [
    restarts_a_worker_with_its_task_id,
    replaces_all_workers_at_hup,
    stops_at_term_and_leaves_nobody,
    stops_at_ctrl_c_and_leaves_nobody,
    leaves_nobody_when_it_is_killed,
]


def main():
    language, command = sys.argv[1], sys.argv[2:]
    failed = 0
    for check in CHECKS:
        name = f"{language}: {check.__name__}"
        try:
            check(command)
            print(f"  ok   {name}", flush=True)
        except (AssertionError, OSError, subprocess.TimeoutExpired) as problem:
            failed += 1
            print(f"  FAIL {name}: {problem}", flush=True)
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
