# SPDX-License-Identifier: MIT
package FFI::Prefork::Control;

use strict;
use warnings;
use Errno qw(EINVAL);
use FFI::Prefork::Error qw(check fail invalid);
use FFI::Prefork::Library
    qw(pf_pool_alive_count pf_pool_counter pf_pool_handle_signal pf_pool_kill pf_pool_reload
    pf_pool_replace_worker pf_pool_resize pf_pool_send_signal pf_pool_set_spares pf_pool_stop
    pf_pool_stop_signal pf_pool_stop_worker pf_pool_wake pf_pool_worker_count pf_pool_worker_pid
    pf_pool_worker_restarts pf_pool_worker_state pf_pool_worker_uptime_ms);
use FFI::Prefork::Settings qw(UNLIMITED integer set_program signal_number);
use Scalar::Util qw(refaddr);
use Time::HiRes qw(CLOCK_MONOTONIC clock_gettime);

our $VERSION = 'v0.2.0';

# How long an upgrade may wait.
use constant UPGRADE_S => 60;

our %STATE = (
    empty    => 0,
    starting => 1,
    ready    => 2,
    stopping => 3,
    backoff  => 4,
    done     => 5,
);

our %COUNTER = (
    started        => 1,
    exited         => 2,
    abnormal       => 3,
    restarted      => 4,
    start_failed   => 5,
    unresponsive   => 6,
    reloads        => 7,
    ready          => 8,
    alive          => 9,
    replace_failed => 10,
    spares         => 11,
);

my %state_name = reverse %STATE;
my $SLOT       = 'the task id of a slot of the pool';

# The library's pool.
sub _pool {
    my ($self) = @_;
    fail(-EINVAL, 'a pool cannot be copied') if $self->{self} != refaddr $self;
    return $self->{handle} || fail(-EINVAL, 'the pool is closed');
}

# A request that the library refuses with EINVAL before the start, or for this value.
sub _ask {
    my ($self, $result, $name, $range, $value) = @_;
    if ($result == -EINVAL) {
        fail(-EINVAL, 'the pool has not started') if !$self->{is_started};
        invalid($name, $range, $value);
    }
    check($result);
    return $self;
}

# ---- Control ------------------------------------------------------------------------------

for my $request ([stop => \&pf_pool_stop], [kill => \&pf_pool_kill], [reload => \&pf_pool_reload],
    [wake => \&pf_pool_wake])
{
    my ($name, $function) = @$request;
    no strict 'refs';
    *$name = sub { my ($self) = @_; return $self->_ask($function->($self->_pool), $name) };
}

sub handle_signal {
    my ($self, $signal) = @_;
    my $range  = 'TERM, INT, QUIT, HUP, TTIN, TTOU, USR1, USR2 or WINCH';
    my $number = signal_number('signal', $signal, $range);
    return $self->_ask(pf_pool_handle_signal($self->_pool, $number), 'signal', $range, $signal);
}

sub resize {
    my ($self, $workers) = @_;
    my $range = '1 to 65536';
    my $count = integer('workers', $workers, $range);
    return $self->_ask(pf_pool_resize($self->_pool, $count), 'workers', $range, $workers);
}

sub set_spares {
    my ($self, $spares) = @_;
    my $range = '0 to 65536';
    my $count = integer('spares', $spares, $range);
    my $result = pf_pool_set_spares($self->_pool, $count);
    invalid('spares', $range, $spares) if $result == -EINVAL;
    check($result);
    return $self;
}

sub set_exec {
    my ($self, $exec, $env) = @_;
    invalid('exec', 'set in new: the workers of this pool are forked', $exec) if !$self->{executes};
    set_program($self->_pool, $exec, $env);
    return $self;
}

sub replace_worker {
    my ($self, $task) = @_;
    my $slot = integer('task', $task, $SLOT);
    return $self->_ask(pf_pool_replace_worker($self->_pool, $slot), 'task', $SLOT, $task);
}

sub stop_worker {
    my ($self, $task) = @_;
    my $slot = integer('task', $task, $SLOT);
    return $self->_ask(pf_pool_stop_worker($self->_pool, $slot), 'task', $SLOT, $task);
}

sub send_signal {
    my ($self, $task, $signal) = @_;
    my $slot = defined $task ? integer('task', $task, $SLOT) : -1;
    $slot = UNLIMITED if defined $task && $slot < 0;    # no slot: -1 would mean all
    my $number = signal_number('signal', $signal);
    my $result = pf_pool_send_signal($self->_pool, $slot, $number);
    my $is_slot = !defined $task || $slot < pf_pool_worker_count($self->_pool);
    return $self->_ask($result, 'task', $SLOT, $task) if !$is_slot;
    return $self->_ask($result, 'signal', 'the name or number of a signal', $signal);
}

sub upgrade {
    my ($self, %options) = @_;
    my ($exec, $env) = delete @options{qw(exec env)};
    fail(-EINVAL, "upgrade has no parameter $_") for sort keys %options;
    FFI::Prefork::Settings::program($exec, $env);    # throws here what is wrong with them
    $self->wake;
    $self->{upgrade} = [$exec, $env];
    $self->{upgrade_until} = clock_gettime(CLOCK_MONOTONIC) + UPGRADE_S;
    return $self;
}

# ---- State --------------------------------------------------------------------------------

sub worker_count { my ($self) = @_; return check(pf_pool_worker_count($self->_pool)) }
sub alive_count  { my ($self) = @_; return check(pf_pool_alive_count($self->_pool)) }

sub stop_signal {
    my ($self) = @_;
    return $self->{stop_signal} if !$self->{handle};
    return check(pf_pool_stop_signal($self->{handle}));
}

sub worker {
    my ($self, $task) = @_;
    my $pool = $self->_pool;
    my $slot = integer('task', $task, $SLOT);
    my $pid  = pf_pool_worker_pid($pool, $slot);
    $self->_ask($pid, 'task', $SLOT, $task);
    my $state = check(pf_pool_worker_state($pool, $slot));
    return {
        task_id  => $slot,
        pid      => $pid || undef,
        state    => exists $state_name{$state} ? $state_name{$state} : "state_$state",
        restarts => check(pf_pool_worker_restarts($pool, $slot)),
        uptime   => pf_pool_worker_uptime_ms($pool, $slot) / 1e3,
    };
}

sub workers {
    my ($self) = @_;
    return map { $self->worker($_) } 0 .. $self->worker_count - 1;
}

sub counter {
    my ($self, $name) = @_;
    my $is_known = defined $name && exists $COUNTER{$name};
    invalid('counter', join(' or ', sort keys %COUNTER), $name) if !$is_known;
    return pf_pool_counter($self->_pool, $COUNTER{$name});
}

sub counters {
    my ($self) = @_;
    return { map { $_ => $self->counter($_) } keys %COUNTER };
}

1;

__END__

=head1 NAME

FFI::Prefork::Control - the methods that control a pool and report its state

=head1 DESCRIPTION

The base class of L<FFI::Prefork>. Its methods throw a L<FFI::Prefork::Error>: C<EINVAL> before the
start and for a wrong value, C<ECHILD> in a process that did not make the pool, C<ECANCELED> if the
pool is stopping.

C<stop>, C<kill>, C<reload>, C<wake>, C<handle_signal> and C<upgrade> also suit handlers in C<%SIG>
and event handlers. They return the pool.

=head1 CONTROL

=head2 stop

Stops all workers gracefully. Events follow until all have ended.

=head2 kill

Stops all workers by SIGKILL.

=head2 reload

Replaces all workers, one after the other. A new worker takes over when it is ready, then the old one
is stopped.

=head2 wake

Has a waiting C<next_event> do one round.

=head2 handle_signal

C<< $pool->handle_signal('HUP') >> does what C<< signals => 'standard' >> does for a signal: TERM,
INT, QUIT, HUP, TTIN, TTOU, USR1, USR2 or WINCH.

=head2 resize

C<< $pool->resize($workers) >> changes the number of slots, 1 to 65,536. Of too many, those with the
highest task ids are stopped.

=head2 set_spares

C<< $pool->set_spares($count) >> changes the number of spares.

=head2 set_exec

C<< $pool->set_exec(['program', 'argument'], \%env) >> changes the program of later starts, in a pool
whose workers are made by exec. A reload replaces all workers.

=head2 replace_worker

C<< $pool->replace_worker($task) >> replaces one worker. This does not count as a restart.

=head2 stop_worker

C<< $pool->stop_worker($task) >> stops one worker and leaves its slot empty until C<replace_worker>.

=head2 send_signal

C<< $pool->send_signal($task, 'USR1') >> sends a signal to one worker, or to all if C<$task> is
C<undef>. This is not a stop request.

=head2 upgrade

C<< $pool->upgrade(exec => ['program', 'argument'], env => \%env) >> executes another program in this
process; without C<exec> this program anew. The workers stay and serve meanwhile. In the new program
a pool of the same name adopts them; C<reload> then replaces those that run the old program. The
sockets of L<FFI::Prefork::Socket> stay bound.

The method returns at once. The exec takes place in C<next_event>, C<poll> or C<run>, when no event
is pending. If it fails, it is reported by C<warn>, and the pool continues; also if a daemon is not
ready, or another pool has events, for 60 seconds.

=head1 STATE

=head2 worker_count

Returns the number of slots.

=head2 alive_count

Returns the number of worker processes.

=head2 worker

C<< $pool->worker($task) >> returns a hash reference:

    task_id   the argument
    pid       the process id; undef: no process now
    state     empty, starting, ready, stopping, backoff or done
    restarts  those that were counted for this slot
    uptime    the age of the worker in seconds

=head2 workers

Returns the hash references of all slots as a list.

=head2 counter

C<< $pool->counter($name) >> returns a number for metrics. Over the life of the pool: C<started>,
C<exited>, C<abnormal>, C<restarted>, C<start_failed>, C<unresponsive>, C<reloads>,
C<replace_failed>. At present: C<ready>, C<alive>, C<spares>.

=head2 counters

Returns a hash reference of all counters by name.

=head2 stop_signal

Returns the number of the signal that stopped the pool, for L<FFI::Prefork::Process/die_of_signal>.
0: none.

=head1 LICENSE

MIT. See the file LICENSE.

=cut
