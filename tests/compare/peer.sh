# What the entries of the comparison begin with:
#
#   . "$(dirname "$0")/../peer.sh"
#
# Each is called with install, version or run, and has a function of that name. compare.py says what
# the environment of run is. $peers is this folder's peers, $home a folder of the entry in the
# build, $root the checkout. PREFIX is where the library is installed.
#
# shellcheck shell=sh disable=SC2034 # the entries use the variables
# SPDX-License-Identifier: MIT
set -eu

name=$(basename "$0")
here=$(cd "$(dirname "$0")" && pwd)
peers=$here
root=$(cd "$here/../../.." && pwd)
apps=$root/tests/compare/apps
BUILD_DIR=${BUILD_DIR:-$root/build}
PREFIX=${PREFIX:-$BUILD_DIR/compare/prefix}
home=$BUILD_DIR/compare/$name
mkdir -p "$home"

# use_library: what a program needs to find the installed library.
use_library() {
    LD_LIBRARY_PATH=$PREFIX/lib
    PKG_CONFIG_PATH=$PREFIX/lib/pkgconfig
    PREFORK_LIBRARY=$PREFIX/lib/libprefork.so.0
    export LD_LIBRARY_PATH PKG_CONFIG_PATH PREFORK_LIBRARY
}

main() {
    case ${1-} in
    install | version | run) "$1" ;;
    *) echo "usage: $0 install|version|run" >&2 && exit 2 ;;
    esac
}
