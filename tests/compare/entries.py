"""The entries of the comparison: the files of peers/, whose head comments describe them.

    # label: its name in tables         # language: Python, C, ...
    # kind: peer | ours | floor         # way: fork | preload | exec | threads
    # reload: signal or -               # stop: signal
    # settings: which are used          # url: home page or file
    # lacks: row: reason ; row: reason  rows that it cannot have
    # connections: new                  optional: a worker serves one connection at a time
    # front: comm                       optional: a program before it that is not a part of it
    # processes: 1                      optional: it has this many, whatever WORKERS is
    # pause: 6                          optional: seconds between kills, so that it does not give up
    # workers: 1                        optional: it has no other number

SPDX-License-Identifier: MIT
"""

import os
import re
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PEERS = os.path.join(HERE, "peers")
KEYS = ("label", "language", "kind", "way", "reload", "stop", "settings", "url")
ORDER = {"floor": 0, "ours": 1, "peer": 2}
LONGEST_INSTALL_S = 600
NEW_PROGRAM = "each worker is a new program, which does not inherit memory"


class Entry:
    def __init__(self, name):
        self.name = name
        self.path = os.path.join(PEERS, name)
        self.head = {}
        with open(self.path, encoding="utf-8") as file:
            for line in file:
                found = re.match(r"# (\w+): *(.*?) *$", line)
                if found:
                    key, value = found.groups()
                    self.head[key] = f"{self.head[key]} ; {value}" if key in self.head else value
                elif not line.startswith("#"):
                    break
        missing = [key for key in KEYS if key not in self.head]
        if missing:
            raise ValueError(f"{self.path}: the head lacks {', '.join(missing)}")
        self.reload = None if self.head["reload"] == "-" else self.head["reload"]
        self.connections = self.head.get("connections", "new kept").split()
        self.front = self.head.get("front")
        self.processes = int(self.head.get("processes", 0))
        self.pause = float(self.head.get("pause", 0))
        self.workers = int(self.head.get("workers", 0))
        self.lacks = {}
        for part in filter(None, re.split(r"\s*;\s*", self.head.get("lacks", ""))):
            rows, _, reason = part.partition(":")
            for row in rows.replace(",", " ").split():
                self.lacks[row] = reason.strip() or "it cannot"
        if self.head["way"] not in ("fork", "preload"):
            self.lacks.setdefault("ballast", NEW_PROGRAM)
        if self.reload is None:
            self.lacks.setdefault("lost_reloads", "it cannot reload")

    def reason_against(self, row):
        return self.lacks.get(row) or self.lacks.get("all")

    def call(self, verb, environment=None):
        """The output of `NAME VERB`; RuntimeError with the end of what it printed if it fails."""
        try:
            done = subprocess.run([self.path, verb], stdout=subprocess.PIPE, text=True,
                                  stderr=subprocess.STDOUT, timeout=LONGEST_INSTALL_S,
                                  stdin=subprocess.DEVNULL, env=environment, errors="replace",
                                  start_new_session=True, check=False)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{verb}: not within {LONGEST_INSTALL_S} s") from None
        if done.returncode != 0:
            raise RuntimeError(f"{verb}: {' '.join(done.stdout.split())[-200:]}")
        return done.stdout.strip()

    def describe(self):
        described = {key: self.head[key] for key in KEYS}
        described["command"] = f"tests/compare/peers/{self.name} run"
        described["lacks"] = self.lacks
        return described


def all_entries(chosen=()):
    names = [name for name in os.listdir(PEERS) if os.access(os.path.join(PEERS, name), os.X_OK)
             and os.path.isfile(os.path.join(PEERS, name))]
    unknown = set(chosen) - set(names)
    if unknown:
        raise ValueError(f"no such entry: {' '.join(sorted(unknown))}")
    entries = [Entry(name) for name in sorted(names) if not chosen or name in chosen]
    return sorted(entries, key=lambda entry: (ORDER[entry.head["kind"]], entry.head["language"],
                                              entry.name))
