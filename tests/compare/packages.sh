# What entries of the comparison need that have packages of their language. Read after peer.sh.
#
# shellcheck shell=sh
# shellcheck source=tests/compare/peer.sh
# SPDX-License-Identifier: MIT

# Installs of several entries may run at the same time.
locked() { # name, command
    lock=$BUILD_DIR/compare/$1.lock
    shift
    (flock 9 && "$@") 9>"$lock"
}

# ---- Python: all packages are in one virtual environment ----

python=$BUILD_DIR/compare/python/bin/python

python_environment() { # packages
    [ -x "$python" ] || "${PYTHON:-python3}" -m venv "$BUILD_DIR/compare/python"
    "$python" -m pip install -q --disable-pip-version-check --only-binary :all: "$@"
}

python_packages() { # packages
    locked python python_environment "$@"
}

python_version() { # package
    "$python" -c 'import importlib.metadata as packages, platform, sys
print(sys.argv[1], packages.version(sys.argv[1]) + ", Python", platform.python_version())' "$1"
}

# ---- Debian: tests/support/deps.sh compare installs the packages ----

debian_version() { # package, runtime
    dpkg-query --show --showformat "\${Package} \${Version}, $2\n" "$1"
}

# ---- Go: apps/gopeers is the application of all ----

gopeers=$BUILD_DIR/compare/gopeers

go_build() {
    (cd "$apps/gopeers" && GOTOOLCHAIN=local GOWORK=off go build -o "$gopeers" .)
}

go_version() { # module
    go version -m "$gopeers" |
        awk -v module="$1" 'NR == 1 { go = $2 }
            $1 == "dep" && $2 == module { print module, $3 ", " go }'
}

# ---- Rust: apps/rustpeer ----

rustpeer=$BUILD_DIR/compare/rustpeer/release/rustpeer

cargo_build() {
    CARGO_TARGET_DIR=$BUILD_DIR/compare/rustpeer cargo build --quiet --release --locked \
        --manifest-path "$apps/rustpeer/Cargo.toml"
}

# ---- nginx ----

# The paths that the build of nginx sets to folders of the system. As root a worker would become a
# user who may not enter $home.
nginx_paths() { # folder
    printf 'error_log stderr;\npid %s/nginx.pid;\n' "$1"
    [ "$(id -u)" -ne 0 ] || echo 'user root;'
}

nginx_temporary_paths() { # folder
    for path in client_body fastcgi proxy uwsgi scgi; do
        echo "${path}_temp_path $1/$path;"
    done
}
