# SPDX-License-Identifier: MIT
package FFI::Prefork::Event;

use strict;
use warnings;
use FFI::Prefork::Library ();
use overload '""' => sub { $_[0]{message} }, bool => sub { 1 }, fallback => 1;

our $VERSION = 'v0.2.0';

our $FORK_WANTED = 15;

our %REASON = (
    none              => 0,
    start             => 1,
    restart           => 2,
    replace           => 3,
    reload            => 4,
    lifetime          => 5,
    retire            => 6,
    resize            => 7,
    stop              => 8,
    ready_timeout     => 9,
    heartbeat_timeout => 10,
    limit             => 11,
    protocol          => 12,
    out_of_memory     => 13,
);

my %reason_name = reverse %REASON;

# A new event of a later library has a type without a name here, and a reason as well.
sub _read {
    my ($class, $event) = @_;
    my $get = sub { FFI::Prefork::Library->can("pf_event_$_[0]")->($event) };
    my %self = map { $_ => $get->($_) }
        qw(level message task_id pid exit_code signal core_dumped will_restart error restarts
        worker_count max_rss_kib);
    my $type   = $get->('type');
    my $name   = FFI::Prefork::Library::pf_event_type_name($type);
    my $reason = $get->('reason');
    $self{type}        = defined $name                 ? $name                 : "event_$type";
    $self{reason}      = exists $reason_name{$reason}  ? $reason_name{$reason} : "reason_$reason";
    $self{delay}       = $get->('delay_ms') / 1e3;
    $self{uptime}      = $get->('uptime_ms') / 1e3;
    $self{time}        = $get->('time_ns') / 1e9;
    $self{user_time}   = $get->('user_us') / 1e6;
    $self{system_time} = $get->('system_us') / 1e6;
    utf8::decode($self{message});
    $self{task_id}   = undef if $self{task_id} < 0;
    $self{exit_code} = undef if $self{exit_code} < 0;
    $self{pid}    ||= undef;
    $self{signal} ||= undef;
    return bless \%self, $class;
}

for my $field (
    qw(type level message task_id pid exit_code signal core_dumped will_restart error restarts
    delay uptime time user_time system_time max_rss_kib worker_count reason)
    )
{
    no strict 'refs';
    *$field = sub { return $_[0]{$field} };
}

1;

__END__

=head1 NAME

FFI::Prefork::Event - a fact about a pool or one of its workers

=head1 SYNOPSIS

    while (my $event = $pool->next_event) {
        printf "%s: %s\n", $event->type, $event->message;
    }

=head1 DESCRIPTION

An event is a copy: it stays valid. As a string it is its message. A field that has no meaning for
the type is C<undef>, 0 or false. The manual page pf_event(3) has a table of types and fields.

Times and durations are in seconds.

=head1 METHODS

=head2 type

A string:

    starting            the pool begins to start its workers
    worker_started      a worker was started
    worker_ready        a worker reported that it is ready
    worker_exited       a worker ended
    worker_killed       a worker did not stop in time and was sent SIGKILL
    worker_unresponsive a worker was not ready in time, or has no heartbeat
    start_failed        a worker could not be started; tried again later
    gave_up             too many restarts: all workers stop, or a slot does
    stopping            the pool begins to stop its workers
    reloading           a reload begins
    reloaded            all workers have been replaced
    reload_failed       a new worker failed; the old worker stays
    resized             the pool has another number of slots
    signal_unavailable  a signal of the set does not control the pool
    adopted             after an upgrade: the pool goes on with its workers
    spare_started       a spare was started
    spare_exited        a spare ended without having had a slot
    done                the pool has ended; its last event

A program must ignore types that it does not know: later versions add some.

=head2 level

As in syslog(3): 3 error, 4 warning, 5 notice, 6 information, 7 debug.

=head2 message

One line of text without a newline.

=head2 task_id

The task id of the worker. C<undef>: the whole pool, or a spare.

=head2 pid

The process id of the worker, or C<undef>.

=head2 exit_code

The exit status of the worker. C<undef>: it did not exit, or the status is unknown.

=head2 signal

The number of the signal that ended the worker or stops the pool, or C<undef>.

=head2 core_dumped, will_restart

True if the worker left a core dump; if it is restarted.

=head2 error

The negative code of the library for what failed; 0: none. See L<FFI::Prefork::Error/code>.

=head2 restarts

The number of restarts that the pool has counted so far.

=head2 delay

The time before the next try, in seconds.

=head2 uptime

The age of the worker that ended, in seconds.

=head2 time

When it happened, by the clock C<CLOCK_MONOTONIC> of L<Time::HiRes/clock_gettime>, in seconds.

=head2 user_time, system_time

The CPU time of the worker that ended, in seconds.

=head2 max_rss_kib

The largest resident set of the worker that ended, in KiB.

=head2 worker_count

The slots of the pool in C<starting>, C<resized>, C<reloading> and C<reloaded>, and the processes in
C<adopted> and C<stopping>.

=head2 reason

Why a worker was started or stopped, or why the pool ends. A string: C<none>, C<start>, C<restart>,
C<replace>, C<reload>, C<lifetime>, C<retire>, C<resize>, C<stop>, C<ready_timeout>,
C<heartbeat_timeout>, C<limit>, C<protocol> or C<out_of_memory>.

=head1 LICENSE

MIT. See the file LICENSE.

=cut
