"""What the results say: tables in Markdown.

SPDX-License-Identifier: MIT
"""

import json
import os
import re
import statistics

from entries import ROOT

RESULTS = os.path.join(ROOT, "tests", "bench", "results.json")


def to_json(results):
    """Indented, with each list of numbers in one line."""
    text = json.dumps(results, indent=1, ensure_ascii=False)
    pack = re.compile(r"\[\s+((?:[-\d.e]+,\s+)*[-\d.e]+)\s+\]")
    return pack.sub(lambda found: "[" + re.sub(r",\s+", ", ", found[1]) + "]", text) + "\n"


def load(path=RESULTS):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def rounded(value):
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def times(values):
    """The median, and the quartiles; of fewer than four values the least and the most."""
    if len(values) == 1:
        return rounded(values[0])
    low, high = min(values), max(values)
    if len(values) >= 4:
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{rounded(statistics.median(values))} ({rounded(low)} to {rounded(high)})"


def orphans(values):
    return str(values[-1]["left"])


def give_up(values):
    value = values[-1]
    if not value["gave_up"]:
        return f"does not give up ({value['kills']} kills)"
    return f"{value['left']} ({value['ended']} after {value['kills']} kills)"


def foreign(values):
    return "kept" if values[-1]["kept"] else f"lost: {values[-1]['got']}"


def lost(values):
    value = values[-1]
    return ", ".join(f"{value[way]['lost']} of {value[way]['requests']:,} {way}" for way in value)


def idle(values):
    value = values[-1]
    return f"{rounded(value['cpu_ms'])} ms, {value['wakeups']} wake-ups"


def failing(values):
    value = values[-1]
    end = f"gave up after {rounded(value['seconds'])} s" if value["gave_up"] else "goes on"
    return (f"{rounded(value['cpu_s'])} s CPU, {value['pids']:,} processes and threads, "
            f"{value['log_lines']:,} lines; {end}")


def pid1(values):
    value = values[-1]
    reaps = "reaps" if value["reaps"] else "leaves zombies"
    return f"{reaps}; TERM {'stops it' if value['term_stops'] else 'does not stop it'}"


# name, what it is, how a cell is made
ROWS = (
    ("replacement", "kill of the only worker to the next answer, ms", times),
    ("slow_start", "the same, a worker needs 300 ms to start, ms", times),
    ("ballast", "the same, 1 GiB in the parent, ms", times),
    ("restarts", "kills per second that it follows", times),
    ("start", "command to the first answer, ms", times),
    ("stop", "TERM to the end, ms", times),
    ("orphans_term", "processes left after TERM", orphans),
    ("orphans_kill", "processes left after KILL of the supervisor", orphans),
    ("orphans_give_up", "processes left when it gives up", give_up),
    ("foreign", "status of a child of the host", foreign),
    ("lost_reloads", "requests lost in reloads under load", lost),
    ("lost_kills", "requests lost in kills under load", lost),
    ("memory", "memory of the supervisor (Pss), KiB", times),
    ("idle", "processor without requests", idle),
    ("failing", "a worker that fails at its start", failing),
    ("pid1", "as process 1", pid1),
)


def cell(results, row, name):
    found = results["rows"].get(row, {}).get(name, {})
    make = next(make for known, _, make in ROWS if known == row)
    if found.get("values"):
        return make(found["values"])
    return "failed" if "failed" in found else "-"


def markdown(results):
    """A table for each row: the entries below each other."""
    lines = []
    for row, what, _ in ROWS:
        if row in results["rows"]:
            lines += [f"\n{what} ({row})\n", "| entry | value |", "|---|---|"]
            lines += [f"| {entry['label']} | {cell(results, row, name)} |"
                      for name, entry in results["entries"].items()]
    return "\n".join(lines)
