#!/bin/sh
# No word is misspelled that codespell knows. Nd, Fo and Ot are macros of mdoc(7), a crate is one
# of Rust's packages.
#
# SPDX-License-Identifier: MIT
set -eu

codespell --ignore-words-list=nd,fo,ot,crate --skip='./.git,./build,*.gz,*/corpus/*'
