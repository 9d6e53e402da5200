# SPDX-License-Identifier: MIT
package FFI::Prefork::Supervisor;

use strict;
use warnings;
use Errno qw(EAGAIN EBUSY ECHILD EINVAL);
use FFI::Prefork::Error qw(check fail);
use FFI::Prefork::Event ();
use FFI::Prefork::Fork ();
use FFI::Prefork::Library
    qw(pf_event_task_id pf_event_type pf_pool_dispatch pf_pool_fd pf_pool_free pf_pool_next_event
    pf_pool_stop_signal pf_strerror);
use FFI::Prefork::Process ();
use FFI::Prefork::Settings qw(wait_time);
use Scalar::Util qw(refaddr);
use Time::HiRes qw(CLOCK_MONOTONIC clock_gettime);

our $VERSION = 'v0.2.0';

# Waits no longer than this where it has to wait inside of the library: a signal may come just
# before.
use constant INSIDE_MS => 50;
use constant UPGRADE_AGAIN_S => 0.1;

# The signals of each set whose handlers are hidden. A handler of one that is only sent to the
# workers stays.
my %hidden = (standard => [qw(TERM INT QUIT HUP TTIN TTOU)], stop_only => [qw(TERM INT QUIT HUP)]);

sub next_event {
    my ($self, $seconds) = @_;
    my $end = defined $seconds ? _now() + wait_time($seconds) : undef;
    while (1) {
        my $event = $self->_pull;
        return $event if $event;
        return if $self->_is_over;
        $self->_try_upgrade if $self->{upgrade};
        my $left = defined $end ? $end - _now() : undef;
        my $wait = defined $left && $left < 0 ? 0 : $left;
        $wait = UPGRADE_AGAIN_S if $self->{upgrade} && !(defined $wait && $wait < UPGRADE_AGAIN_S);
        $self->_advance($wait);
        return $self->_pull if defined $left && $left <= 0;
    }
}

sub poll {
    my ($self) = @_;
    $self->_advance(0) if !$self->{is_done};
    my @events;
    while (my $event = $self->_pull) { push @events, $event }
    $self->_is_over if !@events;    # throws what the pool failed with
    $self->_try_upgrade if $self->{upgrade} && !$self->{is_done};
    return @events;
}

sub is_done { return $_[0]{is_done} ? 1 : 0 }
sub fd      { my ($self) = @_; return check(pf_pool_fd($self->_pool)) }

sub _now { return clock_gettime(CLOCK_MONOTONIC) }

# Throws what the pool failed with, once, after its last event.
sub _is_over {
    my ($self) = @_;
    return 0 if !$self->{is_done};
    my $failure = delete $self->{failure};
    fail($failure) if $failure;
    return 1;
}

# Waits, and has the library do what is to be done. Orphans that are adopted while Perl waits would
# be taken for children of the program.
sub _advance {
    my ($self, $seconds) = @_;
    my $pool = $self->_pool;
    fail(-EINVAL, 'the pool has not started') if !$self->{is_started};
    my $fd = pf_pool_fd($pool);
    fail($fd) if $fd == -ECHILD;
    my $is_inside = $fd < 0 || $self->{reap_orphans} eq 'adopted';
    my $inside_ms = 0;
    if ($is_inside) {
        my $ms = defined $seconds ? int($seconds * 1000) : INSIDE_MS;
        $inside_ms = $ms < INSIDE_MS ? $ms : INSIDE_MS;
    }
    elsif (!defined $seconds || $seconds > 0) {
        FFI::Prefork::Process::wait_readable($fd, $seconds);
    }
    my $result = pf_pool_dispatch($pool, $inside_ms);
    fail($result) if $result == -ECHILD;
    return if $result > 0;
    $self->{is_done} = 1;
    $self->{failure} = $result;
    $self->_restore_handlers;
    return;
}

# Returns the next event that is pending. Forks the workers that are wanted before. A handler may die in
# between: an event is valid until the next one is asked for, and is kept until all is done with it.
sub _pull {
    my ($self) = @_;
    my $pool = $self->_pool;
    fail(-EINVAL, 'the pool has not started') if !$self->{is_started};
    while ($self->{event} || check(pf_pool_next_event($pool, \$self->{event})) > 0) {
        my $read;
        if (pf_event_type($self->{event}) == $FFI::Prefork::Event::FORK_WANTED) {
            my $task = pf_event_task_id($self->{event});
            FFI::Prefork::Fork::run_worker($pool, $task, $self->{code}, $self->{manager_notify})
                if FFI::Prefork::Fork::fork_worker($pool, $task, $self->{allow_threads});
        }
        else { $read = FFI::Prefork::Event->_read($self->{event}) }
        $self->{event} = undef;
        return $read if $read;
    }
    return;
}

# Unless an event or a fork has come meanwhile, or the daemon is not ready: then later.
sub _try_upgrade {
    my ($self) = @_;
    my $result = FFI::Prefork::Process::upgrade(@{ $self->{upgrade} });
    return if ($result == -EAGAIN || $result == -EBUSY) && _now() < $self->{upgrade_until};
    delete $self->{upgrade};
    warn FFI::Prefork::Error->new($result, 'the upgrade failed: ' . pf_strerror($result));
    return;
}

# name => the handler that is hidden, and how many pools hide it
my %handler;

sub _hide_handlers {
    my ($self) = @_;
    for my $name (@{ $hidden{ $self->{signals} } || [] }) {
        my $current = $SIG{$name};
        my $is_own  = defined $current && $current !~ /^(?:DEFAULT|IGNORE|)\z/;
        if ($handler{$name}) {
            next if $is_own;    # set since a pool has hidden the other
            $handler{$name}{pools}++;
        }
        else {
            next if !$is_own;
            $handler{$name} = { handler => $current, pools => 1 };
            $SIG{$name} = 'DEFAULT';
        }
        push @{ $self->{hidden} }, $name;
    }
    return;
}

# What the program has set meanwhile stays.
sub _restore_handlers {
    my ($self) = @_;
    for my $name (splice @{ $self->{hidden} }) {
        next if --$handler{$name}{pools};
        my $saved = delete $handler{$name};
        $SIG{$name} = $saved->{handler} if !defined $SIG{$name} || $SIG{$name} =~ /^(?:DEFAULT|)\z/;
    }
    return;
}

sub close {
    my ($self) = @_;
    return if ($self->{self} || 0) != refaddr $self;    # a copy, as of Storable
    my $pool = delete $self->{handle} or return;
    $self->{event} = undef;
    my $is_owner = $self->{owner} == $$;
    $self->{stop_signal} = pf_pool_stop_signal($pool) if $is_owner;
    pf_pool_free($pool);
    $self->_restore_handlers if $is_owner;
    return;
}

sub DESTROY {
    my ($self) = @_;
    local ($@, $!, $?);
    $self->close;
    return;
}

1;

__END__

=head1 NAME

FFI::Prefork::Supervisor - the methods that supervise the workers of a pool

=head1 DESCRIPTION

A base class of L<FFI::Prefork>, whose C<run> calls these methods. A program calls them itself
between C<start> and the last event, in the process that made the pool.

=head1 METHODS

=head2 next_event

    while (my $event = $pool->next_event) { ... }

Supervises the workers until there is an event, and returns it, a L<FFI::Prefork::Event>. Returns
C<undef> after the last one. What the pool failed with is thrown once, after its last event:
C<PF_EGAVEUP>, C<PF_EFATAL> or another code of L<FFI::Prefork::Error>; no worker is left.

C<< $pool->next_event($seconds) >> returns C<undef> as well when there is no event within this time.
A negative time is as 0. Throws C<EINVAL> for what is no finite number.

Handlers in C<%SIG> run while the method waits. What they throw leaves the method; the pool and its
workers stay, and the method may be called again.

=head2 poll

Does what is to be done now, without waiting, and returns the events. For event loops, when C<fd> is
readable. Throws as C<next_event> does.

=head2 fd

Returns the number of a descriptor that is readable when C<poll> has something to do. It belongs to
the pool: do not read from it and do not close it.

=head2 is_done

Returns true when all workers have ended and none will be started.

=head2 close

Frees the pool. Workers that are still alive are killed first. In another process than the one that
made the pool, the workers stay alive. The end of the object's life does the same.

=head1 LICENSE

MIT. See the file LICENSE.

=cut
