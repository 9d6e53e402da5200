# SPDX-License-Identifier: MIT
"""How long until a killed worker is replaced: this package beside tornado.process.

    bench.py [-r ROUNDS] [-m MEGABYTES]

Two supervisors run the same program, with the same modules imported, and differ in whose
fork_processes() they call. In each round a worker of each is killed by SIGKILL, in an order
that changes, and the time is taken until the first statement of its replacement. The pairs of
the rounds are compared.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import time

PROGRAM = """
import logging, os, signal, sys, time
import prefork, tornado.process
which, megabytes = sys.argv[1], int(sys.argv[2])
logging.basicConfig(stream=open(os.devnull, "w"))
ballast = [os.urandom(1 << 20) for _ in range(megabytes)]
module = prefork if which == "prefork" else tornado.process
module.fork_processes(2, 1 << 30)
now = time.monotonic_ns()
os.write(1, b"%d %d %d\\n" % (module.task_id(), os.getpid(), now))
while True:
    signal.pause()
"""
KINDS = ("prefork", "tornado")


class Supervisor:
    def __init__(self, kind: str, megabytes: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, kind, str(megabytes)],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self.pids: dict[int, int] = {}
        while len(self.pids) < 2:
            self.read()

    def read(self) -> int:
        assert self.process.stdout is not None
        task, pid, now = map(int, self.process.stdout.readline().split())
        self.pids[task] = pid
        return now

    def replace(self) -> float:
        """Kill worker 0. Returns the microseconds until another one is there."""
        began = time.monotonic_ns()
        os.kill(self.pids[0], signal.SIGKILL)
        return (self.read() - began) / 1000

    def close(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-r", type=int, default=300, metavar="ROUNDS", dest="rounds")
    parser.add_argument("-m", type=int, default=0, metavar="MEGABYTES", dest="megabytes")
    options = parser.parse_args()
    supervisors = {kind: Supervisor(kind, options.megabytes) for kind in KINDS}
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    try:
        for round_ in range(options.rounds + 10):
            for kind in random.sample(KINDS, 2):
                took = supervisors[kind].replace()
                if round_ >= 10:  # the first ones warm up
                    times[kind].append(took)
                time.sleep(0.005)  # the end of the old worker is not the next one's burden
    finally:
        for supervisor in supervisors.values():
            supervisor.close()
    for kind in KINDS:
        low, median, high = statistics.quantiles(times[kind], n=4)
        print(f"{kind:8} {median:8.0f} us  (quartiles {low:.0f} to {high:.0f})")
    pairs = [ours / theirs for ours, theirs in zip(times["prefork"], times["tornado"])]
    low, median, high = statistics.quantiles(pairs, n=4)
    print(f"ratio of pairs: {median:.3f}  (quartiles {low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
