#!/bin/sh
# Sources are as clang-format sets them: `make format`. The public header is set by hand.
#
# SPDX-License-Identifier: MIT
set -eu

find lib tests man/examples \( -name '*.c' -o -name '*.cc' -o -name '*.h' \) |
    sort | xargs "${CLANG_FORMAT:-clang-format}" --dry-run -Werror
