#!/bin/sh
# check.sh PREFIX - test the command prefork that is installed there
#
# The scenarios of all bindings, with the metrics read by the parser of prometheus_client, the
# messages by a parser of JSON, and `prefork top` on a terminal that pyte emulates. Both come from
# PyPI. Ends with "N passed, N failed"; status 77 says that there is no Python here.
#
# SPDX-License-Identifier: MIT
set -eu

if [ $# -ne 1 ] || [ ! -d "$1" ]; then
    echo "usage: $0 PREFIX" >&2
    exit 2
fi
prefix=$(cd "$1" && pwd)
if ! command -v python3 >/dev/null; then
    echo "skipped: python3 is not there"
    exit 77
fi
library=$(find "$prefix" -name libprefork.so.0 | head -n 1)
if [ -z "$library" ] || [ ! -x "$prefix/bin/prefork" ]; then
    echo "$0: libprefork is not installed in $prefix" >&2
    exit 2
fi
LD_LIBRARY_PATH=$(dirname "$library")
PATH=$prefix/bin:$PATH
PYTHONDONTWRITEBYTECODE=1
PIP_DISABLE_PIP_VERSION_CHECK=1
export LD_LIBRARY_PATH PATH PYTHONDONTWRITEBYTECODE PIP_DISABLE_PIP_VERSION_CHECK

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
python3 -m venv "$scratch/environment"
"$scratch/environment/bin/python" -m pip install -q prometheus_client pyte
"$scratch/environment/bin/python" "$(dirname "$0")/check.py" "$scratch"
