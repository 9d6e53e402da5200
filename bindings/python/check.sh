#!/bin/sh
# check.sh - all checks of the Python binding, against an installed library
#
# SPDX-License-Identifier: MIT
#
#   check.sh PREFIX [PYTHON...]
#
# The library is the one that was installed under PREFIX, found by pkg-config. For each PYTHON
# (default: python3, and pypy3 if it is there; all at the same time) the package is installed in a
# new virtual environment from the checkout, where all tests run, then from a wheel that bundles the
# library: that one differs in where the library is, so the tests of the basics are enough. For
# brief:PYTHON (default: each other version from 3.9 to 3.14 that is on this machine, one after the
# other; with SAMPLE=1 also pypy3) the interface and the scenarios are tested. What the tests need
# comes from PyPI. BUILD_DIR (default: build of the checkout) gets all that is made.
set -eu

[ $# -ge 1 ] || {
    echo "usage: check.sh PREFIX [PYTHON...]" >&2
    exit 2
}
prefix=$(cd "$1" && pwd)
shift
# version_of PYTHON: such as 3.12; nothing if it does not run.
version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || :
}

if [ $# -eq 0 ]; then
    set -- python3
    if command -v pypy3 >/dev/null; then
        set -- "$@" "${SAMPLE:+brief:}pypy3"
    fi
    usual=$(version_of python3)
    for minor in 9 10 11 12 13 14; do
        [ "3.$minor" != "$usual" ] || continue
        for candidate in "python3.$minor" \
            "${PYENV_ROOT:-${HOME-}/.pyenv}/versions/3.$minor."*"/bin/python3.$minor"; do
            if [ "$(version_of "$candidate")" = "3.$minor" ]; then
                set -- "$@" "brief:$candidate"
                continue 2
            fi
        done
        echo "skipped: there is no Python 3.$minor"
    done
fi
here=$(cd "$(dirname "$0")" && pwd)
work=${BUILD_DIR:-$here/../../build}/bindings/python
mkdir -p "$work"
work=$(cd "$work" && pwd)

if [ $# -gt 1 ]; then
    # What runs in the background ignores signals, which the tests must not.
    for python; do
        case $python in
        brief:*) continue ;;
        esac
        env --default-signal sh "$here/check.sh" "$prefix" "$python" \
            >"$work/$(basename "$python").log" 2>&1 &
    done
    for python; do
        case $python in
        brief:*) sh "$here/check.sh" "$prefix" "$python" >"$work/$(basename "$python").log" 2>&1 || : ;;
        esac
    done
    wait
    for python; do
        cat "$work/$(basename "$python").log"
    done >"$work/all.log"
    cat "$work/all.log"
    awk -v asked=$# '
        /^[0-9]+ passed, [0-9]+ failed$/ { passed += $1; failed += $3; ended++ }
        END {
            failed += asked - ended
            printf "%d passed, %d failed\n", passed, failed
            exit failed > 0
        }
    ' "$work/all.log"
    exit
fi
brief=
case $1 in
brief:*)
    brief=brief
    set -- "${1#brief:}"
    ;;
esac
name=$(basename "$1")
work=$work/$name
mkdir -p "$work"
passed=0
failed=0

unset PREFORK_LIBRARY PREFORK_BUNDLE PYTHONPATH PYTHONUNBUFFERED LD_LIBRARY_PATH
PIP_DISABLE_PIP_VERSION_CHECK=1
PYTHONDONTWRITEBYTECODE=1
export PIP_DISABLE_PIP_VERSION_CHECK PYTHONDONTWRITEBYTECODE
own_pkg_config_path=${PKG_CONFIG_PATH-}

# found_by WHO: where the package is to find the library: "pkg-config" or "nobody".
found_by() {
    PKG_CONFIG_PATH=$own_pkg_config_path
    if [ "$1" = pkg-config ]; then
        for directory in "$prefix"/lib/pkgconfig "$prefix"/lib/*/pkgconfig; do
            PKG_CONFIG_PATH=$directory:$PKG_CONFIG_PATH
        done
    fi
    export PKG_CONFIG_PATH
}

# retry COMMAND...: three times, for what a network may fail at.
retry() {
    "$@" || { sleep 5 && "$@"; } || { sleep 20 && "$@"; }
}

# judge WHAT COMMAND...: one check that passes or fails.
judge() {
    what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        echo "check.sh: FAILED: $what"
        failed=$((failed + 1))
    fi
}

# The library that was loaded is the one that is meant, not another one of the machine.
loads_from() {
    "$1" -c '
import prefork, re, sys
with open("/proc/self/maps") as maps:
    paths = set(re.findall(r"/\S*libprefork\.so\S*", maps.read()))
print("loaded:", *paths)
sys.exit(not all(path.startswith(sys.argv[1]) for path in paths))
' "$2"
}

# run_pytest LOG [ARGUMENT...]: its output and its status.
run_pytest() {
    log=$1
    shift
    status=0
    (cd "$work/source" && env --default-signal "$tested" -m pytest -p no:cacheprovider "$@") \
        >"$log" 2>&1 || status=$?
    echo "$status" >"$log.status"
}

# count_tests LOG: pytest's own numbers, added up.
count_tests() {
    cat "$1"
    status=$(cat "$1.status")
    count() {
        sed -n "\$s/.*[ =]\([0-9][0-9]*\) $2.*/\1/p" "$1"
    }
    good=$(count "$1" passed)
    wrong=$(count "$1" failed)
    broken=$(count "$1" error)
    bad=$((${wrong:-0} + ${broken:-0}))
    if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
        bad=1
    fi
    passed=$((passed + ${good:-0}))
    failed=$((failed + bad))
}

# build_package LOG: the source distribution, and the wheel from it. Nothing is deprecated.
build_package() {
    (cd "$work/source" && "$tested" -m build -o "$work/wheels" .) >"$1" 2>&1 || {
        cat "$1"
        return 1
    }
    ! grep -E 'Warning|[Dd]eprecat' "$1"
}

types() {
    printf 'import prefork\ntask: int = prefork.fork_processes(1)\n' >"$work/consumer.py"
    # mypy leaves its cache in the current directory.
    (cd "$work/source" && "$1" -m mypy) &&
        (cd "$work" && "$1" -m mypy --strict --config-file= consumer.py)
}

rm -rf "$work/source"
mkdir "$work/source"
(cd "$here" && tar cf - --exclude=__pycache__ --exclude=build --exclude='*.egg-info' --exclude=.mypy_cache .) |
    tar xf - -C "$work/source"

found_by pkg-config
PREFORK_INTERFACE=$(pkg-config --variable=interface prefork)
export PREFORK_INTERFACE

echo "== $name: $("$1" --version 2>&1 | tr '\n' ' ')"

echo "-- from the checkout, with the library of $prefix"
rm -rf "$work/environment" "$work/wheels"
"$1" -m venv "$work/environment"
tested=$work/environment/bin/python
if [ -n "$brief" ]; then
    retry "$tested" -m pip install -q pytest "$work/source"
    judge "$name: the library of the prefix" loads_from "$tested" "$prefix/"
    run_pytest "$work/pytest.log" tests/test_interface.py tests/test_scenarios.py
    count_tests "$work/pytest.log"
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
fi
# All at once: each pip takes seconds of a processor before it installs anything.
packages='pytest tornado prometheus_client waitress build'
audit=
if "$1" -c 'import sys; sys.exit(sys.implementation.name != "cpython")'; then
    packages="--only-binary :all: $packages numpy aiohttp grpcio uvicorn hypercorn mypy"
    if "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
        packages="$packages auditwheel"
        audit=audit
    fi
fi
# shellcheck disable=SC2086 # words on purpose
retry "$tested" -m pip install -q $packages
retry "$tested" -m pip install -q "$work/source"
judge "$name: the library of the prefix" loads_from "$tested" "$prefix/"
# The servers mostly wait for each other: beside the other tests.
run_pytest "$work/loss.log" -s tests/test_loss.py &
loss=$!
run_pytest "$work/pytest.log" --ignore=tests/test_loss.py
count_tests "$work/pytest.log"
wait "$loss"
count_tests "$work/loss.log"
if [ -f "$here/../../LICENSE" ]; then
    judge "$name: the license is that of the project" cmp "$here/LICENSE" "$here/../../LICENSE"
fi
if "$1" -c 'import sys; sys.exit(sys.implementation.name != "cpython")'; then
    judge "$name: mypy --strict" types "$tested"
fi

echo "-- from a wheel that bundles the library"
PREFORK_BUNDLE=$(pkg-config --variable=libdir prefork)/libprefork.so.0
export PREFORK_BUNDLE
judge "$name: the package builds" build_package "$work/build.log"
unset PREFORK_BUNDLE
ls "$work/wheels"
judge "$name: what is in the package" "$tested" "$here/check_package.py" "$work/wheels" $audit
"$tested" -m pip uninstall -q -y prefork
"$tested" -m pip install -q --no-index "$work"/wheels/prefork-*.whl
found_by nobody
judge "$name: the library of the wheel" loads_from "$tested" "$work/environment/"
run_pytest "$work/pytest.log" tests/test_runtime.py
count_tests "$work/pytest.log"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
