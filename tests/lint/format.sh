#!/bin/sh
# Sources are as clang-format sets them: `make format`. The public header is set by hand.
#
# SPDX-License-Identifier: MIT
set -eu

format=${CLANG_FORMAT:-clang-format}
find lib tests man/examples bindings/shell bindings/cpp \
    \( -name '*.c' -o -name '*.cc' -o -name '*.h' -o -name '*.hpp' \) |
    grep -vx man/examples/hello.c | sort | xargs "$format" --dry-run -Werror
# No page shows this one, so it need not be as narrow as its neighbours.
"$format" --style=file:.clang-format --dry-run -Werror man/examples/hello.c
