# SPDX-License-Identifier: MIT
package FFI::Prefork::Process;

use strict;
use warnings;
use Exporter 'import';
use FFI::Platypus 2.00;
use FFI::Platypus::Buffer qw(scalar_to_pointer);
use FFI::Prefork::Error qw(check fail);
use FFI::Prefork::Library
    qw(pf_cpu_count pf_daemon_ready pf_daemonize pf_die_of_signal pf_upgrade pf_version);
use FFI::Prefork::Settings qw(bytes signal_number with_program);
use POSIX ();

our $VERSION   = 'v0.2.0';
our @EXPORT_OK = qw(cpu_count daemon_ready daemonize die_of_signal library_version);

my $libc = FFI::Platypus->new(api => 2, lib => [undef]);
$libc->attach([sigprocmask => '_sigprocmask'] => [qw(int opaque opaque)] => 'int');
$libc->attach([ppoll => '_ppoll'] => [qw(opaque ulong opaque opaque)] => 'int');
$libc->attach([getenv => '_getenv'] => ['string'] => 'string');

sub cpu_count       { return check(pf_cpu_count()) }
sub library_version { return pf_version() }
sub daemon_ready    { check(pf_daemon_ready()); return }

# Perl flushes all handles before it executes a program: this one does not exist.
sub flush_all {
    no warnings;
    local ($@, $!);
    delete local @ENV{qw(PATH IFS CDPATH ENV BASH_ENV)};    # for perl -T
    eval { exec {''} '' };
    return;
}

sub die_of_signal {
    my ($signal) = @_;
    my $number = signal_number('signal', $signal);
    flush_all();
    return check(pf_die_of_signal($number), "the signal must be one that ends a process, not $signal");
}

sub daemonize {
    my ($pid_file) = @_;
    flush_all();
    check(pf_daemonize(defined $pid_file ? bytes('pid_file', $pid_file) : undef), $pid_file);
    return;
}

# Returns the code of the error: it does not return without one.
sub upgrade {
    my ($exec, $env) = @_;
    flush_all();
    return with_program(\&pf_upgrade, $exec, $env);
}

# Perl has read the environment before the library removed its own variables from it.
sub forget_environment {
    for my $name (grep { /^(?:PF_|LISTEN_)/ } keys %ENV) {
        delete $ENV{$name} if !defined _getenv($name);
    }
    return;
}

# ---- Waiting ------------------------------------------------------------------------------

my $all_signals = "\xff" x 128;    # sigset_t of any C library on Linux has at most that

# Waits until the descriptor is readable, a signal has come, or the time is over (undef: no limit).
#
# Perl runs a handler between two of its operations. A signal that arrives after the last of them
# and before the system call would be noticed when that returns. So all signals are blocked until
# ppoll(2) waits; a handler that is due by then runs before. Such a handler, and a program that it
# starts, has all signals blocked: that is rare, for it must come within the call that blocks them.
sub wait_readable {
    my ($fd, $seconds) = @_;
    my $mask = "\0" x 128;
    my $poll = pack 'iss', $fd, 1, 0;    # struct pollfd with POLLIN
    my $time = defined $seconds ? pack('l!l!', int $seconds, 1e9 * ($seconds - int $seconds)) : undef;
    my ($all, $old, $set) = map { scalar_to_pointer($_) } $all_signals, $mask, $poll;
    my $until = defined $time ? scalar_to_pointer($time) : undef;
    _sigprocmask(POSIX::SIG_BLOCK, $all, $old);
    my $is_calm = eval { safe_point(); 1 };
    my $error   = $@;
    # One statement: after it run the handlers of what came during ppoll, with the mask of the program.
    $is_calm
        ? (_ppoll($set, 1, $until, $old), _sigprocmask(POSIX::SIG_SETMASK, $old, undef))
        : _sigprocmask(POSIX::SIG_SETMASK, $old, undef);
    die $error if !$is_calm;
    return;
}

# Handlers that are due run in here.
sub safe_point {
    my $turns = 2;
    1 while --$turns;
    return;
}

1;

__END__

=head1 NAME

FFI::Prefork::Process - this process: a daemon, its processors, its end

=head1 SYNOPSIS

    use FFI::Prefork::Process qw(daemonize die_of_signal);

    daemonize('/run/server.pid');
    my $pool = FFI::Prefork->new(signals => 'standard');
    $pool->run(\&work);
    die_of_signal($pool->stop_signal) if $pool->stop_signal;

=head1 DESCRIPTION

The functions are exported on request. L<FFI::Prefork> exports them as well.

=head1 FUNCTIONS

=head2 cpu_count

Returns the number of processors that this process may use, by its CPU affinity and the quotas of
its control groups.

=head2 die_of_signal

C<die_of_signal($signal)> ends this process as the signal would, by its default action. The signal
is a name or a number. All handles are flushed; no C<END> block runs. Process 1 exits with status
128 + signal. Throws C<EINVAL> if the signal does not end a process.

=head2 daemonize

C<daemonize($pid_file)> continues as a daemon: in a new session without a terminal. Call it before
sockets are bound and pools are made. The launching process exits with status 0 when all workers are
ready, or with 1 if the daemon ends before. The pid file is optional. It is locked, and removed at
the end. Throws C<EEXIST> if a living daemon has it, and C<PF_ETHREADS> beside other threads. In a
worker it does nothing.

=head2 daemon_ready

Has the launching process exit now, without waiting for workers.

=head2 library_version

Returns the version of the shared library, such as "0.2.0".

=head2 flush_all, forget_environment, safe_point, upgrade, wait_readable

Internal.

=head1 LICENSE

MIT. See the file LICENSE.

=cut
