"""The C++ headers reach the whole interface, as prefork.json describes it.

    interface.py prefork.json FILE.cc           static assertions for each function and constant
    interface.py prefork.json --headers INCLUDE each function and constant is used in the headers

SPDX-License-Identifier: MIT
"""

import json
import pathlib
import re
import sys

# As in the table of bindings/README.md: what the headers do not reach, and why.
NOT_REACHED = {}


def assertions(interface):
    yield "#include <prefork.h>"
    yield "#include <type_traits>"
    for name, number in interface["constants"].items():
        yield f'static_assert({name} == {number}, "{name}");'
    for name, function in interface["functions"].items():
        types = ", ".join(parameter["type"] for parameter in function["parameters"])
        yield (f"static_assert(std::is_same_v<decltype({name}), "
               f"{function['returns']}({types})>);")


def unused(interface, include):
    headers = [include / "prefork.hpp", *sorted((include / "prefork").glob("*.hpp"))]
    words = set(re.findall(r"\w+", "\n".join(path.read_text("utf-8") for path in headers)))
    names = set(interface["functions"]) | set(interface["constants"])
    return names - words


def main():
    interface = json.loads(pathlib.Path(sys.argv[1]).read_text("utf-8"))
    if sys.argv[2] != "--headers":
        pathlib.Path(sys.argv[2]).write_text("\n".join(assertions(interface)) + "\n", "utf-8")
        return 0
    left = unused(interface, pathlib.Path(sys.argv[3]))
    for name in sorted(left ^ set(NOT_REACHED)):
        print(f"{name}: " + ("not reached" if name in left else "reached, yet said not to be"))
    return left != set(NOT_REACHED)


sys.exit(main())
