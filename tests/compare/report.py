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


# ---- A number for each, less is better -----------------------------------------------------


def least(values):
    return statistics.median(values)


def most(values):
    return -statistics.median(values)


def number_left(values):
    return values[-1].get("left")


def is_lost(values):
    return int(not values[-1]["kept"])


def sum_lost(values):
    return sum(part["lost"] for part in values[-1].values())


def faults_of_pid1(values):
    return 2 - values[-1]["reaps"] - values[-1]["term_stops"]


def of(key):
    return lambda values: values[-1][key]


# Name, what it is, how a cell is made, how its number.
ROWS = (
    ("replacement", "kill of the only worker to the next answer, ms", times, least),
    ("slow_start", "the same if a worker needs 300 ms to start, ms", times, least),
    ("ballast", "the same with 1 GiB in the parent, ms", times, least),
    ("restarts", "kills per second that it follows, 4 workers", times, most),
    ("start", "command to the first answer, ms", times, least),
    ("stop", "stop signal to the end, ms", times, least),
    ("orphans_term", "processes left after TERM", orphans, number_left),
    ("orphans_kill", "processes left after KILL of the supervisor", orphans, number_left),
    ("orphans_give_up", "processes left when it gives up", give_up, number_left),
    ("foreign", "exit status of a child of the host itself", foreign, is_lost),
    ("lost_reloads", "requests lost in 20 reloads under load", lost, sum_lost),
    ("lost_kills", "requests lost in 20 kills under load", lost, sum_lost),
    ("memory", "memory of the supervisor (Pss), KiB", times, least),
    ("idle", "processor in 10 s without requests", idle, of("cpu_ms")),
    ("failing", "processor time that a worker costs which fails at its start", failing, of("cpu_s")),
    ("pid1", "as process 1: adopted zombies, and TERM", pid1, faults_of_pid1),
)

# The cells of the summary are shorter.
SHORT = {
    "orphans_term": orphans,
    "orphans_kill": orphans,
    "orphans_give_up": lambda values: str(values[-1]["left"]) if values[-1]["gave_up"] else "never",
    "foreign": lambda values: "kept" if values[-1]["kept"] else "lost",
    "lost_reloads": lambda values: str(sum_lost(values)),
    "lost_kills": lambda values: str(sum_lost(values)),
    "idle": lambda values: f"{rounded(values[-1]['cpu_ms'])} ms",
    "failing": lambda values: f"{rounded(values[-1]['cpu_s'])} s",
    "pid1": lambda values: ("reaps" if values[-1]["reaps"] else "zombies")
    + (", stops" if values[-1]["term_stops"] else ", goes on"),
}
COLUMNS = (("a bare fork loop", "floor"), ("C", "c"), ("Python", "python"), ("Ruby", "ruby"),
           ("Go", "go"), ("Node", "node"))
SPARES = {"c": "c-spare", "node": "node-spare"}


def row_of(row):
    return next(known for known in ROWS if known[0] == row)


def cell(results, row, name):
    found = results["rows"].get(row, {}).get(name, {})
    if found.get("values"):
        return row_of(row)[2](found["values"])
    if "failed" in found:
        return f"failed: {found['failed'][-1]}"
    lacks = found.get("lacks")
    return f"- ({lacks})" if lacks else "-"


def short(results, row, name):
    values = results["rows"].get(row, {}).get(name, {}).get("values")
    if not values:
        return "-"
    make = SHORT.get(row)
    if make is not None:
        return make(values)
    return rounded(statistics.median(values))


def numbers(results, row, kind):
    """The number and the name of each entry of a kind that has the row."""
    number = row_of(row)[3]
    found = []
    for name, entry in results["entries"].items():
        values = results["rows"].get(row, {}).get(name, {}).get("values")
        if entry["kind"] == kind and values and number(values) is not None:
            found.append((number(values), name))
    return sorted(found)


def best_of_others(results, row):
    peers = numbers(results, row, "peer")
    if not peers:
        return "-"
    best = f"{short(results, row, peers[0][1])} {results['entries'][peers[0][1]]['label']}"
    equal = sum(number == peers[0][0] for number, _ in peers) - 1
    return best + (f" and {equal} more" if equal else "")


def better_ones(results, row):
    """The others that are better than the library from their language, or from C if there is none."""
    own = {results["entries"][name]["language"]: number
           for number, name in numbers(results, row, "ours") if name not in SPARES.values()}
    better = []
    for number, name in numbers(results, row, "peer"):
        entry = results["entries"][name]
        ours = own.get(entry["language"], own.get("C"))
        if ours is not None and number < ours:
            better.append(entry["label"])
    return ", ".join(better) or "-"


def summary(results):
    """A line for each row: the library from five languages, and the best of the others."""
    heads = [label for label, _ in COLUMNS]
    lines = ["| | " + " | ".join(heads) + " | best of the others | better in their language |",
             "|---" * (len(heads) + 3) + "|"]
    for row, what, _, _ in ROWS:
        if row not in results["rows"]:
            continue
        cells = [short(results, row, name) for _, name in COLUMNS]
        lines.append("| " + " | ".join([what, *cells, best_of_others(results, row),
                                             better_ones(results, row)]) + " |")
        if row == "slow_start":
            cells = [short(results, row, SPARES.get(name)) for _, name in COLUMNS]
            lines.append("| " + " | ".join(["the same with one spare, ms", *cells, "-", "-"]) + " |")
    return "\n".join(lines)


def conditions(results):
    machine, settings = results["machine"], results["settings"]
    return "\n".join([
        f"- {results['date']}, commit {results['commit'][:12]}, {results['seconds']} s in all",
        f"- {machine['processor']}, {machine['processors']} processors, "
        f"{machine['memory_mib']:,} MiB, Linux {machine['kernel']}, {machine['system']}",
        f"- {settings['rounds']} rounds, {settings['kills']} kills in each "
        f"({settings['slow_kills']} in the slow rows), {settings['workers']} workers, "
        f"{settings['reloads']} reloads; a failing worker for {settings['fail_s']} s"])


def entries(results):
    lines = ["| entry | version | workers by | settings |", "|---|---|---|---|"]
    for name, entry in results["entries"].items():
        reason = entry["lacks"].get("all")
        version = f"not measured: {reason}" if reason else entry["version"]
        lines.append(f"| {entry['label']} ([{name}](peers/{name})) | {version} | {entry['way']} "
                     f"| {entry['settings']} |")
    return "\n".join(line.replace("\n", " ") for line in lines)


def markdown(results):
    """A table for each row: the entries below each other, the best first."""
    lines = []
    for row, what, _, number in ROWS:
        cells = results["rows"].get(row)
        if cells is None:
            continue
        lines += [f"\n### {what[0].upper()}{what[1:]} ({row})\n", "| entry | |", "|---|---|"]

        def place(name):
            values = cells.get(name, {}).get("values")
            found = number(values) if values else None
            return (found is None, not values, found or 0)

        for name in sorted(results["entries"], key=place):
            if results["entries"][name]["lacks"].get("all") is None:
                lines.append(f"| {results['entries'][name]['label']} | {cell(results, row, name)} |")
    return "\n".join(lines).strip()
