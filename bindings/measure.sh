# What the scripts measure.sh of all languages share. Each begins with
#
#   . "$(dirname "$0")/../measure.sh"
#
# and is called so: measure.sh PREFIX [NAME...]. The library is the one that was installed under
# PREFIX. Names choose servers. OPTIONS has options of measure.py, whose head says what the columns
# are. LOAD is the load program (default: that of BUILD_DIR, made by
# "make build/tests/programs/load"), BUILD_DIR the build of the checkout. A script ends with
# "exit $status", which is 1 if a server could not be measured or lost more than --most-lost.
#
# shellcheck shell=sh disable=SC2034 # the scripts use the variables
# SPDX-License-Identifier: MIT
# shellcheck source=bindings/common.sh
. "$(dirname "$0")/../common.sh"

shift
build=$(cd "${BUILD_DIR:-$here/../../build}" && pwd)
export LOAD="${LOAD:-$build/tests/programs/load}"
chosen=" $* "
status=0

is_chosen() { # NAME
    case $chosen in
    "  " | *" $1 "*) ;;
    *) return 1 ;;
    esac
}

row() { # NAME, LABEL, options of measure.py, --, command
    is_chosen "$1" || return 0
    label=$2
    shift 2
    options=
    while [ "$1" != -- ]; do
        options="$options $1"
        shift
    done
    # shellcheck disable=SC2086 # they are several
    "$here/../measure.py" "$label" ${OPTIONS-} $options "$@" || status=1
}
