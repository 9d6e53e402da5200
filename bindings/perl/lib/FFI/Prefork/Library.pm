# SPDX-License-Identifier: MIT
package FFI::Prefork::Library;

use strict;
use warnings;
use Exporter 'import';
use FFI::Platypus 2.00;
use FFI::Platypus::DL ();

our $VERSION = 'v0.2.0';

our $SONAME = 'libprefork.so.0';
our $OLDEST = '0.2.0';

# name => [result, parameters], as in prefork.h. Pools, events and arrays of strings are plain
# addresses. No function of the library calls back.
my $pool_int   = [int => ['opaque', 'int']];
my $pool_ms    = [int => ['opaque', 'uint64']];
my $pool_two   = [int => ['opaque', 'uint64', 'uint64']];
my $pool_only  = [int => ['opaque']];
my $event_int  = [int => ['opaque']];
my $event_long = [uint64 => ['opaque']];
my $nothing    = [int => []];

our %PROTOTYPE = (
    pf_version          => [string => []],
    pf_strerror         => [string => ['int']],
    pf_event_type_name  => [string => ['int']],
    pf_worker_pool_name => [string => []],
    pf_die_of_signal    => [int    => ['int']],
    pf_daemonize        => [int    => ['string']],
    pf_worker_fd        => [int    => ['string']],
    pf_upgrade          => [int    => ['string', 'opaque', 'opaque']],
    pf_listen_fds       => [int    => ['int[]', 'int']],
    pf_bind_unix_socket => [int    => ['string', 'uint32', 'int']],
    pf_bind_sockets => [int => ['string', 'int', 'int', 'int', 'uint32', 'int[]', 'int']],
    (
        map { $_ => $nothing }
            qw(pf_task_id pf_cpu_count pf_daemon_ready pf_worker_ready pf_worker_retire
            pf_worker_heartbeat pf_worker_stop_fd)
    ),

    pf_pool_new                => [int    => ['opaque*']],
    pf_pool_free               => [opaque => ['opaque']],
    pf_pool_set_name           => [int    => ['opaque', 'string']],
    pf_pool_set_restart_window => [int    => ['opaque', 'int', 'uint64']],
    pf_pool_set_stop           => [int    => ['opaque', 'int', 'uint64']],
    pf_pool_set_exit_action    => [int    => ['opaque', 'int', 'int']],
    pf_pool_set_exec           => [int    => ['opaque', 'string', 'opaque', 'opaque']],
    pf_pool_add_fd             => [int    => ['opaque', 'string', 'int']],
    pf_pool_run                => [int    => ['opaque', 'int*']],
    pf_pool_next_event         => [int    => ['opaque', 'opaque*']],
    pf_pool_fork_parent        => [int    => ['opaque', 'int', 'sint32']],
    pf_pool_send_signal        => [int    => ['opaque', 'int', 'int']],
    pf_pool_worker_pid         => [sint32 => ['opaque', 'int']],
    pf_pool_worker_uptime_ms   => [uint64 => ['opaque', 'int']],
    pf_pool_counter            => [uint64 => ['opaque', 'int']],
    (map { ("pf_pool_set_$_" => $pool_two) } qw(backoff lifetime)),
    (map { ("pf_pool_set_$_" => $pool_ms) } qw(ready_timeout min_uptime heartbeat_timeout)),
    (
        map { ("pf_pool_set_$_" => $pool_int) }
            qw(workers restart_policy max_restarts boot_limit limit_action reload_order
            replace_width signals stop_fd process_groups parent_death_signal reap_orphans
            manager_notify backend host_fork spares foreign_workers)
    ),
    (
        map { ("pf_pool_$_" => $pool_int) }
            qw(dispatch fork_prepare fork_child handle_signal resize replace_worker stop_worker
            worker_state worker_restarts)
    ),
    (
        map { ("pf_pool_$_" => $pool_only) }
            qw(start fd stop kill wake reload worker_count alive_count stop_signal)
    ),

    pf_event_message => [string => ['opaque']],
    pf_event_pid     => [sint32 => ['opaque']],
    (
        map { ("pf_event_$_" => $event_int) }
            qw(type level task_id exit_code signal core_dumped will_restart error restarts
            worker_count reason)
    ),
    (
        map { ("pf_event_$_" => $event_long) }
            qw(delay_ms uptime_ms time_ns user_us system_us max_rss_kib)
    ),
);

our @EXPORT_OK = sort keys %PROTOTYPE;

sub _from_pkg_config {
    open my $pipe, '-|', 'pkg-config --variable=libdir prefork 2>/dev/null' or return;
    my $directory = readline $pipe;
    close $pipe or return;
    chomp $directory if defined $directory;
    return defined $directory && length $directory ? "$directory/$SONAME" : ();
}

# Returns the path of the library and what dlopen(3) says of the places where it is not.
sub _find {
    my @reasons;
    my $try = sub {
        my $handle = FFI::Platypus::DL::dlopen($_[0], FFI::Platypus::DL::RTLD_PLATYPUS_DEFAULT());
        return 1 if $handle;
        push @reasons, "  $_[0]: " . FFI::Platypus::DL::dlerror() . "\n";
        return 0;
    };
    my $named = $ENV{PREFORK_LIBRARY};
    if (defined $named && length $named) {
        return $named if $try->($named);
    }
    else {
        return $SONAME if $try->($SONAME);
        for my $path (_from_pkg_config()) {
            return $path if $try->($path);
        }
    }
    die 'FFI::Prefork: the shared library libprefork was not found:', "\n", @reasons,
        "Install libprefork and run ldconfig, or set PREFORK_LIBRARY to the path of $SONAME.\n";
}

sub _number { my ($major, $minor, $patch) = split /\./, $_[0]; return $major * 1e4 + $minor * 100 + $patch }

sub _load {
    my $path = _find();
    my $ffi  = FFI::Platypus->new(api => 2, lib => $path);
    $ffi->find_symbol('pf_version')
        or die "FFI::Prefork: the shared library $path is not libprefork.\n";
    my $version = $ffi->function(pf_version => [] => 'string')->call;
    my $too_old = "FFI::Prefork: the shared library $path has version $version";
    my $needed  = "; libprefork $OLDEST or later is needed.\n";
    die $too_old, $needed if _number($version) < _number($OLDEST);
    for my $name (@EXPORT_OK) {
        $ffi->find_symbol($name) or die $too_old, " and lacks $name", $needed;
        my ($result, $parameters) = @{ $PROTOTYPE{$name} };
        $ffi->attach($name => $parameters => $result);
    }
    return;
}

_load();

1;

__END__

=head1 NAME

FFI::Prefork::Library - the functions of libprefork, as FFI::Platypus calls them

=head1 DESCRIPTION

This module finds the shared library and attaches its functions. It is internal: programs use
L<FFI::Prefork>. The manual page prefork(3) describes the functions.

The library is C<libprefork.so.0>. The module looks for it in this order:

=over

=item 1.

the path in the environment variable C<PREFORK_LIBRARY>, and then nowhere else;

=item 2.

where the dynamic linker looks;

=item 3.

the directory that C<pkg-config --variable=libdir prefork> prints.

=back

Without the library, and with one that is too old, C<use FFI::Prefork> dies. The message says what
to do.

=head1 LICENSE

MIT. See the file LICENSE.

=cut
