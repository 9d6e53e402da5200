#!/usr/bin/env python3
"""Compare supervisors: every entry of peers/ is measured from outside, by the same rows.

    compare.py [--sample] [--rounds N] [--fail-seconds S] [--output FILE] [ENTRY...]

Rows that measure time are played in rounds, one entry after the other in an order that rotates, and
nothing else runs. Rows that count are played once, two at a time, each on a processor of its own.
Rows that mostly wait are played once, four at a time. Each runs in a pid namespace of its own, which
ends with it. One that fails is recorded as failed, with its reason.

The environment of `NAME run`: PORT, WORKERS; START_MS, what a worker needs before it serves;
BALLAST_MIB, memory that the parent touches before it makes workers; FAIL=1, workers end at once with
status 1; FOREIGN, a file for the status of a child that the host itself has started.

Every value goes to the output file, and a summary to stdout. Ends with "N passed, N failed", of
measurements; only with --sample is one that failed an error.

SPDX-License-Identifier: MIT
"""

import argparse
import concurrent.futures
import datetime
import json
import os
import platform
import queue
import signal
import subprocess
import sys
import time

import report
from entries import HERE, ROOT, all_entries

TIMED = ("replacement", "slow_start", "ballast", "restarts", "start")
COUNTED = ("failing", "lost_reloads", "lost_kills")
WAITING = ("orphans", "orphans_give_up", "foreign", "memory", "pid1")
SAMPLE = ("replacement", "start", "orphans", "lost_kills", "lost_reloads")
# What else a measurement gives than the row of its name.
GIVES = {"start": ("start", "stop"), "orphans": ("orphans_term", "orphans_kill"),
         "memory": ("memory", "idle")}
LIMIT_S = 400
SETTINGS = {"rounds": 3, "workers": 4, "kills": 7, "slow_kills": 3, "start_ms": 300,
            "ballast_mib": 1024, "restarts": 80, "restarts_s": 8, "give_up": 150, "give_up_s": 12,
            "reloads": 20, "lost_kills": 20, "idle_s": 10, "fail_s": 60, "patience_s": 20}
SAMPLE_SETTINGS = {"rounds": 1, "kills": 3, "reloads": 2, "lost_kills": 3}


def first_line(command):
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT,
                              text=True, check=False).stdout.strip()
    except OSError:
        return ""


def machine():
    model = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith(("model name", "Model")):
                model = line.partition(":")[2].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    return {"processor": model, "processors": len(os.sched_getaffinity(0)), "memory_mib": memory,
            "kernel": platform.release(), "libc": " ".join(platform.libc_ver()),
            "system": platform.freedesktop_os_release().get("PRETTY_NAME", "")}


class Comparison:
    def __init__(self, entries, settings, output):
        self.entries, self.settings, self.output = entries, settings, output
        self.passed = self.failed = 0
        commit = first_line(["git", "rev-parse", "HEAD"])
        changed = first_line(["git", "status", "--porcelain", "--untracked-files=no"])
        self.results = {
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "commit": commit + ("-dirty" if changed else ""), "machine": machine(),
            "settings": settings, "seconds": 0, "entries": {}, "rows": {}}
        self.begin = time.monotonic()

    def note(self, text):
        print(f"[{time.monotonic() - self.begin:6.0f} s] {text}", file=sys.stderr, flush=True)

    def write(self):
        self.results["seconds"] = round(time.monotonic() - self.begin)
        with open(self.output + ".new", "w", encoding="utf-8") as file:
            file.write(report.to_json(self.results))
        os.replace(self.output + ".new", self.output)

    def install(self):
        """Those that cannot be had lack everything, with the reason."""
        for entry in self.entries:
            described = self.results["entries"][entry.name] = entry.describe()
            described["version"] = "-"
            try:
                if entry.reason_against("all") is None:
                    entry.call("install")
                    described["version"] = entry.call("version")
            except RuntimeError as error:
                described["lacks"]["all"] = str(error)
                entry.lacks["all"] = str(error)
                self.failed += 1
            self.note(f"{entry.name}: {entry.lacks.get('all') or described['version']}")

    def measure(self, row, entry, processor=None):
        command = ["unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc",
                   sys.executable, os.path.join(HERE, "rows.py"), row, entry.name,
                   json.dumps(self.settings)]
        if processor is not None:
            command[:0] = ["taskset", "-c", str(processor)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   stdin=subprocess.DEVNULL, text=True, errors="replace",
                                   start_new_session=True)
        try:
            out, err = process.communicate(timeout=LIMIT_S)
            return json.loads(out.splitlines()[-1])
        except subprocess.TimeoutExpired:
            return {"failed": f"not within {LIMIT_S} s"}
        except (IndexError, ValueError):
            return {"failed": " ".join(err.split())[-200:] or f"status {process.returncode}"}
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.communicate()

    def record(self, row, entry, result):
        reason = result.get("failed")
        self.failed += reason is not None
        self.passed += reason is None
        if reason is not None:
            self.note(f"{entry.name}: {row}: failed: {reason}")
            result = {name: {"failed": reason} for name in GIVES.get(row, (row,))}
        for name, found in result.items():
            cell = self.results["rows"].setdefault(name, {}).setdefault(entry.name, {})
            if "failed" in found:
                cell.setdefault("failed", []).append(found["failed"])
            else:
                cell.setdefault("values", []).extend(found.get("values", [found.get("value")]))

    def wanted(self, row, entry):
        reasons = {name: entry.reason_against(name) for name in GIVES.get(row, (row,))}
        for name, reason in reasons.items():
            if reason is not None:
                self.results["rows"].setdefault(name, {})[entry.name] = {"lacks": reason}
        return any(reason is None for reason in reasons.values())

    def keep(self, row, entry, result):
        """What an entry lacks is not recorded, even if it came with another row."""
        if "failed" not in result:
            result = {name: found for name, found in result.items()
                      if entry.reason_against(name) is None}
        self.record(row, entry, result)

    def one_by_one(self, rows):
        for number in range(self.settings["rounds"]):
            for row in rows:
                self.note(f"round {number + 1}: {row}")
                turn = number % max(1, len(self.entries))
                for entry in self.entries[turn:] + self.entries[:turn]:
                    if self.wanted(row, entry):
                        self.keep(row, entry, self.measure(row, entry))
                self.write()

    def beside_each_other(self, rows, places):
        """PLACES are processors to run on, or None for any."""
        free = queue.Queue()
        for place in places:
            free.put(place)

        def play(row, entry):
            place = free.get()
            try:
                return row, entry, self.measure(row, entry, place)
            finally:
                free.put(place)

        with concurrent.futures.ThreadPoolExecutor(len(places)) as pool:
            work = [pool.submit(play, row, entry) for row in rows for entry in self.entries
                    if self.wanted(row, entry)]
            for done in concurrent.futures.as_completed(work):
                row, entry, result = done.result()
                self.keep(row, entry, result)
                self.write()

    def run(self, rows):
        self.install()
        self.one_by_one([row for row in TIMED if row in rows])
        self.note("rows that count")
        processors = sorted(os.sched_getaffinity(0))[:2]
        self.beside_each_other([row for row in COUNTED if row in rows], processors)
        self.note("rows that wait")
        self.beside_each_other([row for row in WAITING if row in rows], [None] * 4)
        self.write()


def options_of():
    parser = argparse.ArgumentParser(description="Compare supervisors.")
    parser.add_argument("--sample", action="store_true", help="two entries, one round, few rows")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--fail-seconds", type=int)
    parser.add_argument("--rows", nargs="+", choices=TIMED + COUNTED + WAITING)
    parser.add_argument("--output", help="default: in the build; of a whole run tests/bench/")
    parser.add_argument("--entries", nargs="+", default=[])
    return parser.parse_args()


def main():
    options = options_of()
    if options.sample and not options.entries:
        options.entries = ["floor", "c"]
    settings = dict(SETTINGS, **(SAMPLE_SETTINGS if options.sample else {}))
    if options.rounds:
        settings["rounds"] = options.rounds
    if options.fail_seconds:
        settings["fail_s"] = options.fail_seconds
    rows = options.rows or (SAMPLE if options.sample else TIMED + COUNTED + WAITING)
    is_whole = not (options.sample or options.entries or options.rows)
    output = options.output or (report.RESULTS if is_whole else
                                os.path.join(ROOT, "build", "compare", "results.json"))
    test = ["unshare", "--pid", "--fork", "--mount-proc", "true"]
    if subprocess.run(test, stderr=subprocess.DEVNULL, check=False).returncode != 0:
        print("skipped: a pid namespace cannot be made")
        return 77
    comparison = Comparison(all_entries(options.entries), settings, output)
    comparison.run(rows)
    print(report.markdown(comparison.results))
    print(f"\n{output}: {comparison.results['seconds']} s")
    print(f"{comparison.passed} passed, {comparison.failed} failed")
    return 1 if options.sample and comparison.failed else 0


if __name__ == "__main__":
    sys.exit(main())
