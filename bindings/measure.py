#!/usr/bin/env python3
"""Measure an HTTP server of several processes from outside, whoever supervises them.

    measure.py [OPTION...] NAME -- COMMAND [ARGUMENT...]

COMMAND is started with PORT in its environment, and WORKERS. It listens on 127.0.0.1:PORT and
answers GET / with the pid of the process that answers, in decimal, as the first number of the body.
It reloads at --reload (HUP) and stops at --stop (TERM). Three things are measured, and printed as
a row of a table, or with --json as an object:

  replacement  with one worker: it is killed by SIGKILL, and the next request is sent at once. The
               time until it is answered, in ms: median (least to most) of --kills
  reloads      requests lost in --reloads reloads under load of 4 connections, of how many
  kills        requests lost while --kills workers are killed under the same load. The one that
               the killed worker is answering cannot be saved

LOAD names the program of tests/programs/load.c. Every wait ends after 60 s. With --most-lost N the
status is 1 if more were lost in the reloads.

SPDX-License-Identifier: MIT
"""

import argparse
import json
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import time

PATIENCE_S = 60
CONNECTIONS = 4


class Failure(Exception):
    pass


def wait_until(what, condition):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise Failure(f"not within {PATIENCE_S} s: {what}")
        time.sleep(0.005)


def ask(port, patience=PATIENCE_S):
    """The pid that answers, or None if the connection is refused, cut off or not answered."""
    request = b"GET / HTTP/1.1\r\nHost: measure\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
            connection.sendall(request)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
    except (ConnectionError, TimeoutError):
        return None
    head, _, body = answer.partition(b"\r\n\r\n")
    number = re.search(rb"\d+", body.split(b"\r\n", 1)[-1] if b"chunked" in head else body)
    return int(number.group()) if b" 200" in head.split(b"\r\n")[0] and number else None


def is_alive(pid):
    """Whether it runs: a zombie has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def hold_port():
    """A socket whose port no other program gets, but a server that sets one of these options."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(("127.0.0.1", 0))
    return held


class Server:
    output = subprocess.DEVNULL  # stdout, and stderr unless that is shown

    def __init__(self, options, workers):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it would not reload
        self.options = options
        self.workers = workers
        self.held = hold_port()
        self.port = self.held.getsockname()[1]
        environment = dict(os.environ, PORT=str(self.port), WORKERS=str(workers))
        command = [word.replace("{port}", str(self.port)).replace("{workers}", str(workers))
                   for word in options.command]
        self.process = subprocess.Popen(command, env=environment, start_new_session=True,
                                        stdin=subprocess.DEVNULL, stdout=self.output,
                                        stderr=None if options.verbose else self.output)

    def __enter__(self):
        try:
            wait_until("the server answers", self.answers)
            wait_until("all workers answer", lambda: len(self.pids()) == self.workers)
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self.process.send_signal(self.options.stop)
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.held.close()

    def answers(self):
        if self.process.poll() is not None:
            raise Failure(f"the server ended with {self.process.returncode}")
        return ask(self.port, self.options.answer) is not None

    def pids(self):
        """The workers that answer now: asked until no new one has come for a while."""
        found = set()
        misses = 0
        while misses < 10 * self.workers and len(found) < self.workers:
            pid = ask(self.port, self.options.answer)
            misses = 0 if pid not in found else misses + 1
            if pid is not None:
                found.add(pid)
        return {pid for pid in found if is_alive(pid)}

    def reload(self):
        """All that answered have ended, and as many others answer."""
        before = self.pids()
        if self.options.unsupervised:
            for pid in before:
                os.kill(pid, self.options.reload)
        else:
            self.process.send_signal(self.options.reload)
        wait_until("the old workers end", lambda: not any(map(is_alive, before)))
        wait_until("the new workers answer", lambda: len(self.pids()) == self.workers)

    def kill_one(self):
        """Kills one and waits until as many answer as before."""
        pid = random.choice(sorted(self.pids()))
        os.kill(pid, signal.SIGKILL)
        wait_until("a worker ends", lambda: not is_alive(pid))
        wait_until("its replacement answers", lambda: len(self.pids()) == self.workers)


def replacement_times(options):
    times = []
    with Server(options, 1) as server:
        for _ in range(options.kills):
            time.sleep(options.pause)
            pid = ask(server.port, options.answer)
            start = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            wait_until("the next request is answered",
                       lambda: ask(server.port, options.answer) not in (None, pid))
            times.append(1000 * (time.monotonic() - start))
    return times


def losses(options, step, count):
    """Requests lost of how many, while step(server) is done count times under load."""
    lost = total = 0
    for way in options.connections:
        with Server(options, options.workers) as server:
            load = subprocess.Popen([os.environ["LOAD"], str(server.port), str(CONNECTIONS), way],
                                    stdout=subprocess.PIPE, text=True)
            try:
                for _ in range(count):
                    time.sleep(options.pause)
                    step(server)
            finally:
                load.send_signal(signal.SIGTERM)
                line = load.communicate(timeout=PATIENCE_S)[0]
        words = line.split()
        counted = dict(zip(words[::2], map(int, words[1::2])))
        total += sum(counted.values())
        lost += sum(counted.values()) - counted["answered"]
    return lost, total


def signal_of(name):
    return getattr(signal, "SIG" + name)


def options_of(arguments):
    parser = argparse.ArgumentParser(description="Measure an HTTP server of several processes.")
    parser.add_argument("--reloads", type=int, default=10, help="0: it cannot reload")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--reload", type=signal_of, default="HUP", metavar="SIGNAL")
    parser.add_argument("--stop", type=signal_of, default="TERM", metavar="SIGNAL")
    parser.add_argument("--unsupervised", action="store_true",
                        help="the processes that answer are sent --reload")
    parser.add_argument("--pause", type=float, default=0.1, help="seconds before each")
    parser.add_argument("--connections", nargs="+", choices=["new", "kept"],
                        default=["new", "kept"])
    parser.add_argument("--answer", type=float, default=PATIENCE_S, metavar="S",
                        help="seconds after which a request is not answered, and asked again")
    parser.add_argument("--most-lost", type=int, help="in the reloads")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--verbose", action="store_true", help="show the server's stderr")
    parser.add_argument("name")
    own, command = arguments, []
    if "--" in arguments:
        own, command = arguments[: arguments.index("--")], arguments[arguments.index("--") + 1 :]
    options = parser.parse_args(own)
    if not command:
        parser.error("a command is missing")
    options.command = command
    return options


def main():
    options = options_of(sys.argv[1:])
    times = replacement_times(options) if options.kills else []
    in_kills = losses(options, Server.kill_one, options.kills) if options.kills else None
    in_reloads = losses(options, Server.reload, options.reloads) if options.reloads else None
    if options.json:
        print(json.dumps({"name": options.name, "replacement_ms": times,
                          "lost_in_reloads": in_reloads, "lost_in_kills": in_kills}))
    else:
        spread = "-"
        if times:
            spread = f"{statistics.median(times):.1f} ({min(times):.1f} to {max(times):.1f})"
        cells = [options.name, spread]
        cells += ["-" if pair is None else "%d of %d" % pair for pair in (in_reloads, in_kills)]
        print("| " + " | ".join(cells) + " |")
    if options.most_lost is not None and in_reloads and in_reloads[0] > options.most_lost:
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"measure.py: {failure}")
