#!/bin/sh
# Each deliberate defect can still be put into lib/: a change of the library has left none behind.
# Whether the simulator notices them is seen by make sim-mutants.
#
# SPDX-License-Identifier: MIT
set -eu

APPLY=1 tests/sim/mutants.sh
