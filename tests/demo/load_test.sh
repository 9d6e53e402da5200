#!/bin/sh
# Reloads lose no request and refuse no connection; kills lose only what the killed worker had
# accepted. Small, and counted by a client of our own; "make load" is the whole of it.
#
# SPDX-License-Identifier: MIT
set -eu

# With sanitizers: at the end of an executed worker under this load, the search for leaks traces the
# process, and may not come to an end within the stop time-out. Other tests look for leaks.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
export LOAD="${PF_PROGRAMS_DIR:-build/tests/programs}/load"
export RELOADS=5 KILLS=5
"$(dirname "$0")/../bench/reload_load.sh"
"$(dirname "$0")/../bench/reload_load.sh" -x
