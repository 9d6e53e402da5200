#!/bin/sh
# Print the version of the library, of which the header is the only place that holds it.
#
# SPDX-License-Identifier: MIT
set -eu
cd "$(dirname "$0")/.."

part() { sed -n "s/^#define PF_VERSION_$1 //p" include/prefork.h; }
echo "$(part MAJOR).$(part MINOR).$(part PATCH)"
