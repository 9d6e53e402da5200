# SPDX-License-Identifier: MIT
package FFI::Prefork::Worker;

use strict;
use warnings;
use Exporter 'import';
use FFI::Prefork::Error qw(check fail invalid);
use FFI::Prefork::Fork ();
use FFI::Prefork::Library
    qw(pf_task_id pf_worker_fd pf_worker_heartbeat pf_worker_pool_name pf_worker_ready
    pf_worker_retire pf_worker_stop_fd);
use FFI::Prefork::Settings qw(bytes integer wait_time);
use FFI::Prefork::Socket ();
use POSIX ();

our $VERSION = 'v0.2.0';
our @EXPORT_OK
    = qw(finish heartbeat pool_name ready retire should_stop stop_fd task_id worker_fd worker_handle);

sub task_id {
    my $id = pf_task_id();
    return $id < 0 ? undef : $id;
}

sub pool_name { return pf_worker_pool_name() }
sub ready     { check(pf_worker_ready()); return }
sub heartbeat { check(pf_worker_heartbeat()); return }
sub retire    { check(pf_worker_retire()); return }
sub stop_fd   { return check(pf_worker_stop_fd()) }

sub finish {
    my ($status) = @_;
    $status = 0 if !defined $status;
    my $range = '0 to 255';
    invalid('status', $range, $status) if integer('status', $status, $range) & ~255;
    FFI::Prefork::Fork::end_worker($status);
    exit $status;
}

sub should_stop {
    my ($seconds) = @_;
    my $time = wait_time(defined $seconds ? $seconds : 0);
    vec(my $readable = '', stop_fd(), 1) = 1;
    return select($readable, undef, undef, $time) > 0 ? 1 : 0;
}

sub worker_fd {
    my ($name) = @_;
    return check(pf_worker_fd(bytes('name', $name)), $name);
}

sub _dup {
    my ($fd) = @_;
    my $own = POSIX::dup($fd);
    return defined $own ? $own : fail(-$!);
}

sub worker_handle {
    my ($name, $class) = @_;
    return FFI::Prefork::Socket::adopt(_dup(worker_fd($name)), $class);
}

1;

__END__

=head1 NAME

FFI::Prefork::Worker - what a worker reports to its supervisor

=head1 SYNOPSIS

    use FFI::Prefork::Worker qw(ready should_stop task_id);

    my $pool = FFI::Prefork->new(workers => 4, stop_signal => 0);
    $pool->run(sub {
        my $task = shift;
        my $database = connect_to_database();
        ready();
        do_one_job($database) until should_stop();
    });

=head1 DESCRIPTION

Functions for the code of workers, exported on request. L<FFI::Prefork> exports them as well. In a
process that is not a worker they throw a L<FFI::Prefork::Error> with the errno C<ECHILD>, except
C<task_id> and C<pool_name>. A spare that has no slot yet gets C<EAGAIN>.

=head1 FUNCTIONS

=head2 task_id

Returns the task id of this worker, 0 to n-1, or C<undef> in a process that is not a worker. A
restarted worker has the task id of the one before it.

=head2 ready

Reports that this worker can serve. Needed in pools with a C<ready_timeout>.

=head2 heartbeat

Reports that this worker makes progress. Needed in pools with a C<heartbeat_timeout>. Most calls
only read a clock.

=head2 finish

C<finish($status)> ends this worker with an exit status, 0 to 255, default 0. Unlike C<exit>, it does not
destroy the objects of the supervisor. In a process that a worker has forked it is C<exit>.

=head2 retire

Requests a replacement of this worker, for example after a number of requests. The worker continues
until it is asked to stop.

=head2 stop_fd

Returns the number of a descriptor that becomes readable, and stays readable, when this worker must
stop. For C<select> and event loops. It belongs to the library: do not read from it and do not close
it. A worker that uses it handles or ignores the stop signal, or the pool has C<< stop_signal => 0 >>.

=head2 should_stop

C<should_stop($seconds)> waits for at most so many seconds, 0 without an argument. Returns true when
this worker must stop. A signal ends the wait early.

=head2 worker_fd

C<worker_fd($name)> returns the number of the descriptor that the pool has under this name in C<fds>.
It belongs to the pool.

=head2 worker_handle

C<worker_handle($name, $class)> returns a new handle of this descriptor, of the class
L<IO::Socket::IP> unless another subclass of L<IO::Handle> is given.

=head2 pool_name

Returns the name of the pool of this worker, or C<undef> in a process that is not a worker.

=head1 LICENSE

MIT. See the file LICENSE.

=cut
