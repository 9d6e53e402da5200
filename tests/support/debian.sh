# Packages of Debian for scripts of the tests, which begin with
#
#   . tests/support/debian.sh
#
# They come from where this machine has its own. apt-get works with a state of its own, so that
# nothing changes on this machine.
#
# shellcheck shell=sh
# SPDX-License-Identifier: MIT

# The archive of the distribution itself, that of its security updates left aside; nothing if apt
# knows none.
debian_archive() {
    # shellcheck disable=SC2016 # apt-get replaces them
    apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(COMPONENT)' 'Created-By: Packages' |
        sed -n '/security/d; s/^\([^ ]*\) Debian main$/\1/p' | head -n 1
}

# Begins such a state. Fails if there is no archive.
begin_apt() { # directory, suite, deb or deb-src, option of the source
    begun_archive=$(debian_archive)
    test -n "$begun_archive" || return 1
    mkdir -p "$1/lists/partial" "$1/cache/archives/partial"
    printf '%s [signed-by=%s %s] %s %s main\n' "$3" \
        /usr/share/keyrings/debian-archive-keyring.gpg "${4-}" "$begun_archive" "$2" \
        >"$1/sources.list"
}

# Runs a program of apt with the state in the directory, which is absolute.
apt_in() { # directory, program, arguments...
    apt_state=$1
    apt_program=$2
    shift 2
    "$apt_program" -q -q -o Dir::Etc::SourceList="$apt_state/sources.list" \
        -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="$apt_state/lists" \
        -o Dir::Cache="$apt_state/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none "$@"
}
