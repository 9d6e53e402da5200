#!/bin/sh
# check.sh PREFIX - all checks of the Perl binding, against an installed library
#
# SPDX-License-Identifier: MIT
#
# The distribution is made by make dist,
# unpacked, built, tested and installed in a new place, where all tests run again. BUILD_DIR
# (default: build of the checkout) gets all that is made.
# shellcheck source=bindings/common.sh
. "$(dirname "$0")/../common.sh"

work=${BUILD_DIR:-$here/../../build}/bindings/perl
rm -rf "$work"
mkdir -p "$work/home"
work=$(cd "$work" && pwd)

unset PERL5LIB PERL5OPT PERL_MM_OPT PERL_MB_OPT HARNESS_OPTIONS TEST_FILES
for module in FFI::Platypus HTTP::Daemon Net::Prometheus; do
    perl -M"$module" -e 1 2>/dev/null || skip "the Perl module $module is missing"
done
LOAD=${LOAD:-$here/../../build/tests/programs/load}
if [ -x "$LOAD" ]; then
    LOAD=$(cd "$(dirname "$LOAD")" && pwd)/load
else
    LOAD=
fi
HOME=$work/home
export LOAD HOME

make_distribution() {
    (cd "$work/source" && perl Makefile.PL && make -s dist)
}

manifest_is_complete() {
    (cd "$work/source" && perl -MExtUtils::Manifest=fullcheck -e '
        my ($missing, $extra) = fullcheck();
        exit(@$missing || @$extra ? 1 : 0);
    ')
}

in_distribution() {
    (cd "$work"/unpacked/FFI-Prefork-v* && "$@")
}

install_distribution() {
    in_distribution perl Makefile.PL INSTALL_BASE="$work/installed" &&
        in_distribution make -s &&
        in_distribution env HARNESS_OPTIONS=j3 make -s test &&
        in_distribution make -s install
}

loads_from_prefix() {
    PERL5LIB=$work/installed/lib/perl5 perl -MFFI::Prefork -e '
        open my $maps, "<", "/proc/self/maps" or die;
        my %path = map { $_ => 1 } map { m{(/\S*libprefork\.so\S*)} } readline $maps;
        print "$_\n" for %path, $INC{"FFI/Prefork.pm"};
        exit 1 if !%path || grep { index($_, "$ARGV[0]/") != 0 } keys %path;
        exit 1 if index($INC{"FFI/Prefork.pm"}, "$ARGV[1]/") != 0;
    ' "$prefix" "$work/installed"
}

mkdir "$work/source" "$work/unpacked" "$work/clean"
(cd "$here" && tar cf - --exclude=blib --exclude='Makefile*.old' --exclude=Makefile .) | tar xf - -C "$work/source"
judge 'MANIFEST has all files' manifest_is_complete
judge 'make dist' make_distribution
tar xzf "$work"/source/FFI-Prefork-v*.tar.gz -C "$work/unpacked"
judge 'make, make test, make install' install_distribution
judge 'the library of the prefix, the installed modules' loads_from_prefix
judge_license

# All tests with what was installed, where no source is.
cp -r "$work"/unpacked/FFI-Prefork-v*/t "$work"/unpacked/FFI-Prefork-v*/examples "$work/clean"
status=0
(
    cd "$work/clean"
    PERL5LIB=$work/installed/lib/perl5 perl -MTAP::Harness -e '
        my $tests = TAP::Harness->new({ jobs => 3, timer => 1, lib => [$ENV{PERL5LIB}] })
            ->runtests(sort glob "t/*.t");
        my $failed = $tests->failed + grep { ($tests->parsers($_))[0]->has_problems
            && !($tests->parsers($_))[0]->failed } $tests->descriptions;
        printf "%d passed, %d failed\n", scalar $tests->passed, $failed;
        print "skipped: $_\n" for $tests->skipped;
        exit($failed || !$tests->passed ? 1 : 0);
    '
) >"$work/tests" 2>&1 || status=$?
grep -v ' passed, ' "$work/tests"
line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$work/tests" | tail -n 1)
bad=${line#* passed, }
bad=${bad% failed}
good=${line%% *}
add "${good:-0}" "${bad:-0}" "$status"

finish
