#!/bin/sh
# The simulator finds nothing: one seed that is always the same, and a fresh one. SIM_SECONDS is
# the time for each.
#
# SPDX-License-Identifier: MIT
set -eu

sim=${BUILD_DIR:-build}/tests/sim/sim
seconds=${SIM_SECONDS:-5}
"$sim" --seed 20100914 --seconds "$seconds"
"$sim" --seconds "$seconds"
