# SPDX-License-Identifier: MIT
# Each module has POD without errors, in which each public function stands.
use strict;
use warnings;
use FFI::Prefork;
use Pod::Checker ();
use Test::More;

for my $module (sort grep { m{^FFI/Prefork} } keys %INC) {
    my $path = $INC{$module};
    (my $package = $module =~ s{/}{::}gr) =~ s/\.pm\z//;
    subtest $package => sub {
        open my $sink, '>', \my $complaints or die;
        my $checker = Pod::Checker->new(-warnings => 1, -quiet => 0);
        $checker->parse_from_file($path, $sink);
        is($checker->num_errors,   0, 'no errors')   or diag $complaints;
        is($checker->num_warnings, 0, 'no warnings') or diag $complaints;
        open my $file, '<', $path or die;
        my ($code, $pod) = split /^__END__$/m, do { local $/; readline $file };
        my %named;
        $named{$_}++ for map { /\w+/g } grep { defined } $pod =~ /^=head2 (.*)|C<(\w+)>/mg;
        my @public = grep { !/^_/ && !/^[A-Z]/ } $code =~ /^sub (\w+)/mg;
        my @missing = grep { !$named{$_} } @public;
        is("@missing", '', 'each function is described');
        like($code, qr/SPDX-License-Identifier: MIT/, 'license');
    };
}

done_testing;
