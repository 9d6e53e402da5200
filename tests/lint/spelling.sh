#!/bin/sh
# No word is misspelled that codespell knows. Nd is a macro of mdoc(7).
#
# SPDX-License-Identifier: MIT
set -eu

codespell --ignore-words-list=nd --skip='./.git,./build,*.gz'
