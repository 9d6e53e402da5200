#!/bin/sh
# See to the tools and libraries that a target of the Makefile needs.
#
#   tests/support/deps.sh build|demo|check|load|lint|bindings|platforms|all
#   tests/support/deps.sh inject|deny|kernels|systemd|soak|fuzz|analysis|machines|baseline|servers
#   tests/support/deps.sh packages|pythons|compare
#
# Does nothing, without network or rights, when all is there. Otherwise installs the Debian
# packages that are missing with apt-get, as root or by sudo; where that cannot be done, it
# names them and fails.
#
# SPDX-License-Identifier: MIT
set -eu

CC=${CC:-gcc}
CXX=${CXX:-g++}
packages=

need() {
    case " $packages " in
    *" $1 "*) ;;
    *) packages="${packages:+$packages }$1" ;;
    esac
}

tool() { # program, package
    command -v "$1" >/dev/null 2>&1 || need "$2"
}

library() { # name for pkg-config, package
    pkg-config --exists "$1" 2>/dev/null || need "$2"
}

# A compiler is only good with the headers of its library.
compiler() { # command with options, language, a header, package
    # shellcheck disable=SC2086 # the command may hold options
    echo "#include <$3>" | $1 -x "$2" -fsyntax-only - >/dev/null 2>&1 || need "$4"
}

compiler_package() { # command
    case $1 in
    *clang*) echo clang ;;
    *++*) echo g++ ;;
    *) echo gcc ;;
    esac
}

build() {
    compiler "$CC" c stdio.h "$(compiler_package "$CC")"
    compiler "$CXX" c++ cstddef "$(compiler_package "$CXX")"
    compiler "$CC" c stdlib.h libc6-dev
    tool make make
}

demo() {
    tool curl curl
}

check() {
    tool pkg-config pkg-config
    tool jq jq
    library cmocka libcmocka-dev
    library libuv libuv1-dev
    library libevent_core libevent-dev
    library libmicrohttpd libmicrohttpd-dev
    tool mandoc mandoc
    tool groff groff-base
    tool curl curl
    tool readelf binutils
    tool strip binutils
    tool pgrep procps
}

load() {
    tool wrk wrk
    tool curl curl
    tool pgrep procps
}

# GLib is large: without it, `make check` skips its one test.
lint() {
    check
    library glib-2.0 libglib2.0-dev
    tool git git
    compiler clang c stdio.h clang
    compiler clang++ c++ cstddef clang
    tool clang-format clang-format
    tool clang-tidy clang-tidy
    tool shellcheck shellcheck
    tool codespell codespell
    tool systemd-analyze systemd
    command -v yq >/dev/null 2>&1 || python3 -c 'import yaml' 2>/dev/null || need python3-yaml
}

bindings() {
    tool pkg-config pkg-config
    python3 -c 'import ensurepip, venv' 2>/dev/null || need python3-venv
    tool go golang-go
    # Beside a newer Rust, Debian's own is the oldest that is promised.
    test -x /usr/bin/cargo || need cargo
    test -x /usr/bin/rustc || need rustc
    # A second implementation of Python.
    tool pypy3 pypy3
    pypy3 -c 'import ensurepip, venv' 2>/dev/null || need pypy3-venv
    tool ruby ruby
    tool gem ruby
    ruby -rminitest -e 1 2>/dev/null || need ruby-minitest
    ruby -rrack -e 1 2>/dev/null || need ruby-rack
    tool puma puma
    tool yard yard
    tool node nodejs
    tool npm npm
    tool openssl openssl
    tool php php-cli
    tool composer composer
    tool phpunit phpunit
    tool luajit luajit
    tool luarocks luarocks
    luajit -e 'require("luaunit")' 2>/dev/null || need lua-unit
    luajit -e 'require("socket")' 2>/dev/null || need lua-socket
    tool perl perl
    tool cpan perl
    perl -MFFI::Platypus -e 1 2>/dev/null || need libffi-platypus-perl
    perl -MHTTP::Daemon -e 1 2>/dev/null || need libhttp-daemon-perl
    perl -MNet::Prometheus -e 1 2>/dev/null || need libnet-prometheus-perl
    compiler g++ c++ expected g++
    tool cmake cmake
    tool meson meson
    tool ninja ninja-build
    # Debian 12 has no Java 22: bindings/java/jdk.sh sees to it.
    tool java default-jre-headless
    compiler clang++ c++ cstddef clang
    library cpp-httplib libcpp-httplib-dev
    library prometheus-cpp-core prometheus-cpp-dev
    tool doxygen doxygen
    tool javac openjdk-17-jdk-headless
    tool mvn maven
    # Of bindings/examples, which gets Zig from PyPI.
    tool ldc2 ldc
    tool ocamlopt ocaml-nox
    tool ocamlfind ocaml-findlib
    ocamlfind query ctypes.foreign >/dev/null 2>&1 || need libctypes-ocaml-dev
    tool nim nim
    tool mcs mono-mcs
    tool mono mono-runtime
    # Of tests/programs.
    compiler "$CC" c stdlib.h libc6-dev
}

# Another C library. The compilers for other machines are large: without them a test says so.
platforms() {
    tool musl-gcc musl-tools
    compiler i686-linux-gnu-gcc c stdio.h gcc-i686-linux-gnu
    compiler i686-linux-gnu-g++ c++ cstddef g++-i686-linux-gnu
}

# ---- Those of make trust. A set that is large is not in all; its target installs it. ----

inject() {
    build
    tool nm binutils
    tool python3 python3
}

deny() {
    build
}

kernels() {
    check
    tool runsc runsc
    tool qemu-system-x86_64 qemu-system-x86
    tool busybox busybox-static
    tool cpio cpio
    tool prlimit util-linux
    tool dpkg-deb dpkg
}

systemd() {
    build
    tool debootstrap debootstrap
    tool nsenter util-linux
    tool pgrep procps
    tool curl curl
}

pythons() {
    build
    tool debootstrap debootstrap
    tool unshare util-linux
}

soak() {
    build
}

packages() {
    build
    tool debootstrap debootstrap
    tool dpkg-buildpackage dpkg-dev
    tool dh debhelper
    tool dh_python3 dh-python
    tool lintian lintian
    tool rpmbuild rpm
    tool rpmlint rpmlint
    tool musl-gcc musl-tools
    tool unshare util-linux
    tool git git
}

fuzz() {
    compiler clang++ c++ cstddef clang
    echo 'extern "C" int LLVMFuzzerTestOneInput(const char *, unsigned long) { return 0; }' |
        clang++ -fsanitize=fuzzer,address,undefined -x c++ -o /dev/null - >/dev/null 2>&1 ||
        need libclang-rt-dev
}

analysis() {
    check
    compiler clang++ c++ cstddef clang
    tool llvm-cov llvm
    tool cppcheck cppcheck
    tool valgrind valgrind
    tool gawk gawk
}

machines() {
    platforms
    for machine in aarch64 riscv64 s390x; do
        compiler "$machine-linux-gnu-gcc" c stdio.h "gcc-$machine-linux-gnu"
        compiler "$machine-linux-gnu-g++" c++ cstddef "g++-$machine-linux-gnu"
    done
    tool qemu-s390x-static qemu-user-static
    compiler clang c stdio.h clang
    compiler clang++ c++ cstddef clang
    tool readelf binutils
    tool unshare util-linux
}

baseline() {
    tool jq jq
    tool abidiff abigail-tools
}

servers() {
    build
    tool curl curl
    tool gunicorn gunicorn
    tool uvicorn uvicorn
    tool puma puma
    tool haproxy haproxy
    tool nginx nginx-light
    tool node nodejs
    tool go golang-go
    tool cgi-fcgi libfcgi-bin
    test -n "$(find /usr/sbin -name 'php-fpm*' 2>/dev/null)" || need php-fpm
    # puma says READY=1 by it.
    ! command -v ruby >/dev/null || ruby -e 'require "sd_notify"' 2>/dev/null || need ruby-sd-notify
}

# The servers of tests/compare/peers come from Debian, PyPI, npm, crates.io and the Go proxy.
compare() {
    build
    tool pkg-config pkg-config
    tool python3 python3
    tool unshare util-linux
    tool flock util-linux
    python3 -c 'import ensurepip, venv' 2>/dev/null || need python3-venv
    tool unicorn unicorn
    tool puma puma
    perl -MParallel::Prefork -e 1 2>/dev/null || need libparallel-prefork-perl
    perl -MHTTP::Daemon -e 1 2>/dev/null || need libhttp-daemon-perl
    perl -MStarlet -e 1 2>/dev/null || need starlet
    tool plackup libplack-perl
    tool start_server libserver-starter-perl
    tool node nodejs
    tool npm npm
    tool go golang-go
    tool cargo cargo
    tool nginx nginx-light
    test -n "$(find /usr/sbin -name 'php-fpm*' 2>/dev/null)" || need php-fpm
}

look() {
    packages=
    build
    case $1 in
    build) ;;
    demo) demo ;;
    check) check ;;
    load) load ;;
    lint) lint ;;
    bindings) bindings ;;
    platforms) platforms ;;
    inject | deny | kernels | systemd | soak | fuzz | analysis | machines | baseline | servers | \
        packages | pythons | compare)
        "$1"
        ;;
    all)
        demo && check && load && lint && bindings && platforms
        inject && deny && soak && fuzz && baseline
        ;;
    *) echo "$0: no such set: $1" >&2 && exit 2 ;;
    esac
}

look "$1"
test -n "$packages" || exit 0

if test "$(id -u)" -eq 0; then
    as_root="env"
elif sudo -n true 2>/dev/null; then
    as_root="sudo -n env"
else
    as_root=
fi
if test -z "$as_root" || ! command -v apt-get >/dev/null 2>&1; then
    echo "Missing, please install (Debian's names): $packages" >&2
    exit 1
fi
echo "Installing: $packages"
# A machine that was just made has no lists yet, an old one has lists that are out of date. It may
# also be busy with an update of its own.
install_packages() {
    # shellcheck disable=SC2086 # words on purpose
    $as_root apt-get -q -q update &&
        $as_root DEBIAN_FRONTEND=noninteractive apt-get -q -q -y --no-install-recommends \
            -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 install $packages >/dev/null
}
tries=1
until install_packages; do
    test "$tries" -lt 3 || exit 1
    tries=$((tries + 1))
    sleep 10
done
look "$1"
if test -n "$packages"; then
    echo "Installed, yet still not usable: $packages" >&2
    exit 1
fi
