#!/usr/bin/env python3
"""The charts and tables of the comparison, made from tests/bench/results.json.

    chart.py           writes tests/bench/charts/*.svg, and the tables between the markers of
                       README.md and tests/compare/README.md
    chart.py --check   compares them with what it would write; status 1 if they differ

Each chart is an SVG for a light and one for a dark page.

SPDX-License-Identifier: MIT
"""

import argparse
import difflib
import math
import os
import statistics
import sys
from xml.sax.saxutils import escape

import report
from entries import ROOT

CHARTS = os.path.join(ROOT, "tests", "bench", "charts")
WIDTH, LINE, LEFT, RIGHT, TOP, BOTTOM = 800, 22, 232, 96, 62, 38
THEMES = {
    "light": {"page": "#ffffff", "text": "#1f2328", "faint": "#59636e", "grid": "#d1d9e0",
              "ours": "#0969da", "peer": "#8c959f", "floor": "#bf8700"},
    "dark": {"page": "#0d1117", "text": "#f0f6fc", "faint": "#9198a1", "grid": "#3d444d",
             "ours": "#4493f8", "peer": "#7d8590", "floor": "#d29922"},
}
FONT = "-apple-system, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif"
KINDS = (("ours", "libprefork"), ("peer", "others"), ("floor", "a bare fork loop"))


def spread(values):
    """Least of the middle half, median, most of the middle half; of a few values of all."""
    if len(values) < 4:
        return min(values), statistics.median(values), max(values)
    return tuple(statistics.quantiles(values, n=4, method="inclusive"))


def sum_lost(values):
    return (sum(part["lost"] for part in values[-1].values()),) * 3


# name: title, what stands below it, how a row's values become a range, the scale
SPECIFICATIONS = {
    "replacement": ("A worker is killed: time until the next request is answered",
                    "ms, logarithmic; dot: median, line: the middle half; less is better",
                    spread, "log"),
    "slow_start": ("A worker is killed, and a new one needs 300 ms to start: time until the next answer",
                   "ms, logarithmic; dot: median, line: the middle half; less is better",
                   spread, "log"),
    "lost_reloads": ("Requests lost in 20 reloads under load, twice: new and kept connections",
                     "requests, logarithmic from 1 on; less is better", sum_lost, "count"),
}


class Axis:
    def __init__(self, ranges, scale):
        high = max(r[2] for r in ranges)
        self.is_count = scale == "count"
        if self.is_count:
            self.low, self.high = 0.0, max(1.0, math.ceil(math.log10(high + 1)))
            self.ticks = [0] + [10 ** power for power in range(int(self.high) + 1)]
        else:
            low = max(min(r[0] for r in ranges), 0.01)
            self.low, self.high = math.floor(math.log10(low)), math.ceil(math.log10(high))
            self.ticks = [10.0 ** power for power in range(self.low, int(self.high) + 1)]

    def x(self, value):
        place = math.log10(value + 1) if self.is_count else math.log10(max(value, 0.01))
        share = (place - self.low) / (self.high - self.low)
        return LEFT + (WIDTH - LEFT - RIGHT) * min(1.0, max(0.0, share))


def draw_text(x, y, words, colour, size=13, anchor="start", weight="400"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="{size}" '
            f'text-anchor="{anchor}" font-weight="{weight}">{escape(words)}</text>')


def lines_of(results, row, make):
    """Name, kind and range of each entry that has the row, the best first."""
    found = results["rows"].get(row, {})
    lines = [(entry["label"], entry["kind"], make(found[name]["values"]))
             for name, entry in results["entries"].items() if found.get(name, {}).get("values")]
    return sorted(lines, key=lambda line: (line[2][1], line[0]))


def draw_axis(axis, bottom, colours):
    for tick in axis.ticks:
        x = axis.x(tick)
        yield (f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{bottom}" '
               f'stroke="{colours["grid"]}" stroke-width="1"/>')
        yield draw_text(x, bottom + 18, f"{tick:,g}", colours["faint"], 12, "middle")


def draw_line(axis, number, line, colours):
    label, kind, (low, middle, high) = line
    y = TOP + LINE * number + LINE / 2
    is_ours = kind == "ours"
    yield draw_text(LEFT - 12, y + 4.5, label, colours["text"], 13, "end",
                    "600" if is_ours else "400")
    if axis.is_count:
        low = 0
    if axis.x(high) - axis.x(low) > 1:
        yield (f'<line x1="{axis.x(low):.1f}" y1="{y}" x2="{axis.x(high):.1f}" y2="{y}" '
               f'stroke="{colours[kind]}" stroke-width="4" stroke-linecap="round" '
               f'stroke-opacity="0.55"/>')
    yield f'<circle cx="{axis.x(middle):.1f}" cy="{y}" r="5.5" fill="{colours[kind]}"/>'
    text = f"{middle:,}" if axis.is_count else report.rounded(middle)
    yield draw_text(max(axis.x(high), axis.x(middle)) + 11, y + 4.5, text, colours["text"], 12,
                    weight="600" if is_ours else "400")


def draw_key(colours):
    x = WIDTH - 312
    for kind, words in KINDS:
        yield f'<circle cx="{x}" cy="40" r="5" fill="{colours[kind]}"/>'
        yield draw_text(x + 9, 44, words, colours["faint"], 12)
        x += 30 + 7 * len(words)


def chart(results, row, theme):
    title, below, make, scale = SPECIFICATIONS[row]
    colours = THEMES[theme]
    lines = lines_of(results, row, make)
    if not lines:
        return None
    axis = Axis([line[2] for line in lines], scale)
    bottom = TOP + LINE * len(lines) + 4
    height = bottom + BOTTOM
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
             f'viewBox="0 0 {WIDTH} {height}" role="img" font-family="{FONT}">',
             f"<title>{escape(title)}</title>",
             f'<rect width="{WIDTH}" height="{height}" fill="{colours["page"]}"/>',
             draw_text(12, 22, title, colours["text"], 16, weight="600"),
             draw_text(12, 44, below, colours["faint"], 12)]
    parts += draw_key(colours)
    parts += draw_axis(axis, bottom, colours)
    for number, line in enumerate(lines):
        parts += draw_line(axis, number, line, colours)
    return "\n".join([*parts, "</svg>", ""])


def picture(row, place):
    """The chart in a page whose file is in the folder PLACE of the tree."""
    folder = os.path.relpath(CHARTS, os.path.join(ROOT, place))
    return "\n".join([
        "<picture>",
        f'<source media="(prefers-color-scheme: dark)" srcset="{folder}/{row}-dark.svg">',
        f'<img alt="{escape(SPECIFICATIONS[row][0])}" width="{WIDTH}" '
        f'src="{folder}/{row}-light.svg">',
        "</picture>"])


def filled(path, parts):
    """The text of a page with PARTS between its markers."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for name, part in parts.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
        if begin not in text or end not in text:
            sys.exit(f"{path}: has no markers for {name}")
        head, _, rest = text.partition(begin)
        text = head + begin + part + "\n" + end + rest.partition(end)[2]
    return text


def files_of(results):
    """What each file has to be."""
    files = {}
    drawn = []
    for row in SPECIFICATIONS:
        for theme in THEMES:
            text = chart(results, row, theme)
            if text is not None:
                files[os.path.join(CHARTS, f"{row}-{theme}.svg")] = text
        if chart(results, row, "light") is not None:
            drawn.append(row)
    front = os.path.join(ROOT, "README.md")
    front_charts = [row for row in drawn if row == "slow_start"]
    files[front] = filled(front, {
        "chart": "\n".join(picture(row, "") for row in front_charts),
        "comparison": report.summary(results)})
    whole = os.path.join(ROOT, "tests", "compare", "README.md")
    files[whole] = filled(whole, {
        "charts": "\n\n".join(picture(row, "tests/compare") for row in drawn),
        "conditions": report.conditions(results), "rows": report.markdown(results),
        "entries": report.entries(results)})
    return files


def differences(files):
    found = []
    for path, text in files.items():
        try:
            with open(path, encoding="utf-8") as file:
                now = file.read()
        except FileNotFoundError:
            now = ""
        found += difflib.unified_diff(now.splitlines(), text.splitlines(), path, "made anew",
                                      lineterm="", n=0)
    for name in sorted(os.listdir(CHARTS)) if os.path.isdir(CHARTS) else ():
        if os.path.join(CHARTS, name) not in files:
            found.append(f"{name}: no chart of the results")
    return found


def main():
    parser = argparse.ArgumentParser(description="Charts and tables of the comparison.")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--results", default=report.RESULTS)
    options = parser.parse_args()
    files = files_of(report.load(options.results))
    if options.check:
        found = differences(files)
        print("\n".join(found[:40]), end="\n" if found else "")
        return 1 if found else 0
    os.makedirs(CHARTS, exist_ok=True)
    for path, text in files.items():
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        print(os.path.relpath(path, ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
