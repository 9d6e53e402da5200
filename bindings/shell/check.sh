#!/bin/sh
# check.sh PREFIX - test the command prefork that is installed there
#
# The scenarios of all bindings, with the metrics read by the parser of prometheus_client, the
# messages by a parser of JSON, and `prefork top` on a terminal that pyte emulates. Both come from
# PyPI. Ends with "N passed, N failed"; status 77 says that there is no Python here.
#
# SPDX-License-Identifier: MIT
# shellcheck source=bindings/common.sh
. "$(dirname "$0")/../common.sh"

need python3
[ -x "$prefix/bin/prefork" ] || {
    echo "$0: the command is not installed in $prefix" >&2
    exit 2
}
export PATH="$prefix/bin:$PATH" PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
python3 -m venv "$scratch/environment"
retry "$scratch/environment/bin/python" -m pip install -q prometheus_client pyte
"$scratch/environment/bin/python" "$(dirname "$0")/check.py" "$scratch"
