# The compilers of the machines, as programs of one name: toolchain MACHINE DIRECTORY writes
# DIRECTORY/cc and DIRECTORY/c++. Their programs run where tests/machines/emulate.sh is given the
# machine: the loader of its C library is named by its path. Returns 1 without a compiler here.
#
# shellcheck shell=sh
# SPDX-License-Identifier: MIT

# Debian has the C library musl, but not the C++ headers for it. Those of g++ do but for two files.
musl_headers() { # directory: prints options
    mkdir -p "$1/bits"
    cat >"$1/bits/os_defines.h" <<'END'
#include <pthread.h>
extern "C" int pthread_cond_clockwait(pthread_cond_t *, pthread_mutex_t *, clockid_t,
                                      const struct timespec *);
END
    cat >"$1/bits/c++locale.h" <<'END'
#include <clocale>
#define _GLIBCXX_NUM_CATEGORIES 0
namespace std {
typedef int *__c_locale;
int __convert_from_v(const __c_locale &, char *, int, const char *, ...);
}
END
    # The headers of the kernel stand beside those of the other C library.
    for name in linux asm asm-generic; do
        for place in /usr/include "/usr/include/$(gcc -print-multiarch)"; do
            test ! -d "$place/$name" || ln -sfn "$place/$name" "$1/$name"
        done
    done
    printf '%s' "-nostdinc -nostdinc++ -isystem $1"
    g++ -x c++ -E -v /dev/null 2>&1 | sed -n 's|^ \(/.*c++.*\)|\1|p' | while read -r place; do
        printf ' -isystem %s' "$place"
    done
    printf ' -isystem /usr/include/%s -isystem %s' "$(gcc -print-multiarch | sed 's/gnu/musl/')" \
        "$(gcc -print-file-name=include)"
}

# A program in C++ is compiled with the headers above and linked as musl-gcc does it.
write_musl_cxx() { # file, options
    cat >"$1" <<END
#!/bin/sh
headers='$2'
case " \$* " in
*' -c '* | *' -E '* | *' -fsyntax-only '* | *' --version '* | *' -print'*)
    exec g++ \$headers "\$@"
    ;;
esac
END
    cat >>"$1" <<'END'
output=a.out compile= link=
while test $# -gt 0; do
    case $1 in
    -o) output=$2 && shift ;;
    *.o | *.a | -[lL]* | -Wl,*) link="$link $1" ;;
    *) compile="$compile $1" ;;
    esac
    shift
done
case "$compile " in
*'.cc '*) g++ $headers $compile -c -o "$output.o" && link="$output.o$link" || exit ;;
esac
exec musl-gcc -o "$output" $link
END
    chmod +x "$1"
}

write_compiler() { # file, command
    printf '#!/bin/sh\nexec %s "$@"\n' "$2" >"$1"
    chmod +x "$1"
}

can_compile() { # command, language
    echo '#include <errno.h>' | "$1" -x "$2" -fsyntax-only - >/dev/null 2>&1
}

# The directory of the libraries of a machine, as the packages of the cross compilers have it.
machine_libraries() { # machine
    echo "/usr/$1-linux-gnu/lib"
}

# The options of the link. The libraries are found by their path, with any environment.
machine_ldflags() { # machine
    case $1 in
    i686 | aarch64 | riscv64 | s390x)
        directory=$(machine_libraries "$1")
        for loader in "$directory"/ld-linux*.so.[12] "$directory"/ld64.so.1; do
            test ! -e "$loader" || break
        done
        echo "-Wl,--dynamic-linker=$loader -Wl,--disable-new-dtags -Wl,-rpath,$directory"
        ;;
    esac
}

toolchain() { # machine, directory
    mkdir -p "$2"
    case $1 in
    musl)
        command -v musl-gcc >/dev/null 2>&1 || return 1
        headers=$(musl_headers "$2/headers")
        write_compiler "$2/cc" "musl-gcc -isystem $2/headers"
        write_musl_cxx "$2/c++" "$headers"
        ;;
    i686 | aarch64 | riscv64 | s390x)
        write_compiler "$2/cc" "$1-linux-gnu-gcc"
        write_compiler "$2/c++" "$1-linux-gnu-g++"
        ;;
    gcc)
        write_compiler "$2/cc" gcc
        write_compiler "$2/c++" g++
        ;;
    clang)
        write_compiler "$2/cc" clang
        write_compiler "$2/c++" clang++
        ;;
    *) return 1 ;;
    esac
    can_compile "$2/cc" c && can_compile "$2/c++" c++
}
