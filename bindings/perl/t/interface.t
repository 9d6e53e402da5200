# SPDX-License-Identifier: MIT
# The prototypes and constants of the distribution are those of the installed library.
use strict;
use warnings;
use FFI::Prefork ':all';
use JSON::PP ();
use Test::More;

my $path = $ENV{PREFORK_INTERFACE};
if (!defined $path) {
    chomp($path = `pkg-config --variable=interface prefork 2>/dev/null`);
}
open my $file, '<', $path or BAIL_OUT("prefork.json is missing: set PREFORK_INTERFACE");
my $interface = JSON::PP->new->decode(do { local $/; readline $file });

my %type = (
    'int'                 => 'int',
    'int32_t'             => 'sint32',
    'uint32_t'            => 'uint32',
    'uint64_t'            => 'uint64',
    'const char *'        => 'string',
    'int *'               => qr/^int(?:\*|\[\])\z/,
    # Pools, events and arrays of strings are plain addresses.
    'const char *const *' => 'opaque',
    'pf_pool *'        => 'opaque',
    'const pf_pool *'  => 'opaque',
    'const pf_event *' => 'opaque',
    'pf_pool **'       => 'opaque*',
    'const pf_event **' => 'opaque*',
);

sub is_type {
    my ($ours, $theirs) = @_;
    my $expected = $type{$theirs};
    return defined $expected && (ref $expected ? $ours =~ $expected : $ours eq $expected);
}

subtest 'each prototype is that of the header' => sub {
    my $prototypes = \%FFI::Prefork::Library::PROTOTYPE;
    cmp_ok(scalar keys %$prototypes, '>', 80, 'many functions');
    for my $name (sort keys %$prototypes) {
        my ($result, $parameters) = @{ $prototypes->{$name} };
        my $described = $interface->{functions}{$name} or fail("$name is not in the library"), next;
        my @types     = map { $_->{type} } @{ $described->{parameters} };
        my $is_same   = is_type($result, $described->{returns}) && @types == @$parameters;
        $is_same &&= is_type($parameters->[$_], $types[$_]) for 0 .. $#types;
        ok($is_same, $name);
    }
};

subtest 'each constant is that of the header' => sub {
    my $constants = $interface->{constants};
    my $enum      = \%FFI::Prefork::Settings::ENUM;
    my %table     = (
        RESTART => $enum->{restart_policy},
        LIMIT   => $enum->{limit_action},
        EXIT    => $enum->{exit_actions},
        SIGNALS => $enum->{signals},
        RELOAD  => $enum->{reload_order},
        BACKEND => $enum->{backend},
        REAP    => $enum->{reap_orphans},
        GROUP   => $enum->{process_groups},
        REASON  => \%FFI::Prefork::Event::REASON,
        WORKER  => \%FFI::Prefork::Control::STATE,
        COUNT   => \%FFI::Prefork::Control::COUNTER,
    );
    for my $prefix (sort keys %table) {
        my %of_header = map { lc s/^PF_${prefix}_//r => $constants->{$_} }
            grep { /^PF_${prefix}_/ } keys %$constants;
        $of_header{none} = 0 if $prefix eq 'REAP' || $prefix eq 'GROUP';
        is_deeply($table{$prefix}, \%of_header, $prefix);
    }
    my $codes = \%FFI::Prefork::Error::CODE;
    is_deeply($codes, { map { $_ => $constants->{$_} } grep { /^PF_E[A-Z]+\z/ } keys %$constants },
        'codes');
    is(UNLIMITED, $constants->{PF_UNLIMITED}, 'UNLIMITED');
    is(FFI::Prefork::Fork::TASK_SPARE(),      $constants->{PF_TASK_SPARE},        'spare');
    is($FFI::Prefork::Event::FORK_WANTED,     $constants->{PF_EVENT_FORK_WANTED}, 'FORK_WANTED');
    is(FFI::Prefork::Socket::REUSEPORT(),     $constants->{PF_BIND_REUSEPORT},    'REUSEPORT');
};

# What the distribution does not use of the library: bindings/README.md says why.
my @unused = qw(
    pf_accept
    pf_fork_processes
    pf_pool_set_event_callback
    pf_pool_set_thread_policy
    pf_pool_set_worker_fn
    pf_set_event_callback
    pf_version_number
);

subtest 'each function is used, or named as unused' => sub {
    my @rest = grep { !exists $FFI::Prefork::Library::PROTOTYPE{$_} } keys %{ $interface->{functions} };
    is_deeply([sort @rest], \@unused, 'unused');
};

subtest 'each setting of the library is a named argument that is described' => sub {
    my %renamed = (stop => 'stop_signal', exit_action => 'exit_actions', foreign_workers => 'foreign');
    open my $source, '<', $INC{'FFI/Prefork.pm'} or die;
    my $pod = do { local $/; readline $source };
    my %described = map { $_ => 1 } map { split /, / } $pod =~ /^=item (.*)/mg;
    for my $setter (sort grep { /^pf_pool_set_/ } keys %FFI::Prefork::Library::PROTOTYPE) {
        (my $setting = $setter) =~ s/^pf_pool_set_//;
        next if $setting eq 'host_fork';
        ok($described{ $renamed{$setting} || $setting }, $setting);
    }
    ok($described{$_}, $_) for sort keys %FFI::Prefork::Settings::SETTING;
};

subtest 'each value of each setting is good for the library' => sub {
    my $enum = \%FFI::Prefork::Settings::ENUM;
    for my $name (sort grep { $_ ne 'exit_actions' } keys %$enum) {
        for my $value (sort keys %{ $enum->{$name} }) {
            ok(eval { FFI::Prefork->new($name => $value) }, "$name => $value") or diag $@;
        }
    }
    my %good = (
        name                => 'web',
        workers             => 0,
        max_restarts        => UNLIMITED,
        restart_window      => [5, 0.5],
        backoff             => [0.0001, 10],
        boot_limit          => 3,
        stop_signal         => 'SIGINT',
        stop_timeout        => 0,
        exit_actions        => { 1 => 'restart', 2 => 'done', 3 => 'fatal', 4 => 'default' },
        ready_timeout       => 1.5,
        min_uptime          => 0,
        heartbeat_timeout   => 60,
        lifetime            => [3600, 60],
        replace_width       => 2,
        parent_death_signal => 9,
        stop_fd             => 0,
        manager_notify      => 1,
        spares              => 1,
        fds                 => { in => \*STDIN, out => 1 },
        allow_threads       => 1,
        on_event            => sub { },
    );
    ok(eval { FFI::Prefork->new(%good) }, 'all of the others') or diag $@;
};

subtest 'the versions agree' => sub {
    is($FFI::Prefork::VERSION,        "v$interface->{version}", 'distribution');
    is($FFI::Prefork::Library::SONAME, $interface->{soname},    'soname');
    is(library_version(), $interface->{version}, 'library');
    for my $module (grep { m{^FFI/Prefork} } keys %INC) {
        (my $package = $module =~ s{/}{::}gr) =~ s/\.pm\z//;
        is($package->VERSION, $FFI::Prefork::VERSION, $package);
    }
};

done_testing;
