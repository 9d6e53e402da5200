#!/bin/sh
# No word is misspelled that codespell knows. Nd is a macro of mdoc(7), a crate one of Rust's
# packages.
#
# SPDX-License-Identifier: MIT
set -eu

codespell --ignore-words-list=nd,crate --skip='./.git,./build,*.gz'
