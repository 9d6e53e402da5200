# SPDX-License-Identifier: MIT
package FFI::Prefork::Fork;

use strict;
use warnings;
use B ();
use Errno qw(EAGAIN EALREADY);
use FFI::Prefork::Error ();
use FFI::Prefork::Library qw(pf_pool_fork_child pf_pool_fork_parent pf_pool_fork_prepare);
use FFI::Prefork::Process ();
use POSIX ();

our $VERSION = 'v0.2.0';

use constant TASK_SPARE => -2;

my $ETHREADS = $FFI::Prefork::Error::CODE{PF_ETHREADS};

# Whether this process has more than one thread. A system without /proc cannot tell. Where no descriptor
# is left to read the directory, its links are one for each thread and two.
sub has_threads {
    my $tasks = '/proc/self/task';
    if (opendir my $threads, $tasks) {
        return 1 != grep { !/^[.]/ } readdir $threads;
    }
    my $links = (stat $tasks)[3];
    return !defined $links || $links != 3;
}

# Gives FORK_WANTED its answer. Returns true in the child, which has to call run_worker.
#
# The library blocks all signals meanwhile. A handler that was due before runs in here, and may die: if
# it does before the fork is prepared, the caller calls again.
sub fork_worker {
    my ($pool, $task, $allow_threads) = @_;
    if (!$allow_threads && has_threads()) {
        pf_pool_fork_parent($pool, $task, $ETHREADS);
        return 0;
    }
    my $result = 0;
    if (!eval { $result = pf_pool_fork_prepare($pool, $task); FFI::Prefork::Process::safe_point(); 1 }) {
        my $error = $@;
        pf_pool_fork_parent($pool, $task, -EAGAIN);
        die $error;
    }
    return 0 if $result < 0 && $result != -EALREADY;    # the pool does not want it any more
    my $pid = fork;    # flushes all handles
    return 1 if defined $pid && $pid == 0;
    # If the answer is refused, the library has killed the child, and events report it.
    pf_pool_fork_parent($pool, $task, defined $pid ? $pid : -$!);
    return 0;
}

# Handlers of the supervisor are not the worker's, as if it had been executed.
sub _drop_handlers {
    for my $name (keys %SIG) {
        next if $name =~ /^__/;
        my $handler = $SIG{$name};
        next if !defined $handler || !length $handler || $handler =~ /^(?:DEFAULT|IGNORE)\z/;
        $SIG{$name} = 'DEFAULT';
    }
    return;
}

# ---- The end of a worker ------------------------------------------------------------------
#
# END blocks and objects of the supervisor are not the worker's. exit() would unwind the stack of
# the supervisor, and so destroy the objects in its scopes; it is only called by the code of a worker
# itself. Otherwise the END blocks of the worker are called here. New ones are put before old ones.

my $worker_pid  = 0;
my $inherited   = 0;
my $is_finished = 0;

sub _end_blocks {
    my $blocks = B::end_av();
    return $blocks->isa('B::AV') ? $blocks->ARRAY : ();
}

# Also called by an END block that is made after those of the supervisor, and so runs before them.
sub _leave {
    my ($status) = @_;
    FFI::Prefork::Process::flush_all();
    POSIX::_exit($status & 255);
}

# Ends a worker. Returns in another process.
sub end_worker {
    my ($status) = @_;
    return if $worker_pid != $$;
    if (!$is_finished++) {
        my @blocks = _end_blocks();
        for my $block (@blocks[0 .. $#blocks - $inherited]) {
            local $? = $status;
            my $is_good = eval { $block->object_2svref->(); 1 };
            print STDERR $@ if !$is_good;
            $status = $is_good ? $? : $? || 255;
        }
    }
    return _leave($status);
}

# Calls the code of a worker, and returns the exit status.
sub call {
    my ($code, $task) = @_;
    my $is_good = eval {
        # A block, so that last and next of the code end it and no loop of the supervisor.
        { $code->($task) }
        1;
    };
    return 0 if $is_good;
    print STDERR $@;
    return 255;
}

# Runs the code of a worker in the child, and ends the process.
sub run_worker {
    my ($pool, $task, $code, $manager_notify) = @_;
    _drop_handlers();
    my $result = pf_pool_fork_child($pool, $task);
    POSIX::_exit($task == TASK_SPARE ? 0 : 1) if $result < 0;
    $task = $result if $task == TASK_SPARE;
    srand;
    delete $ENV{NOTIFY_SOCKET} if $manager_notify;    # as the library did in the C environment
    eval 'END { FFI::Prefork::Fork::_leave($?) } 1' or POSIX::_exit(1);
    my @blocks = _end_blocks();
    ($worker_pid, $inherited, $is_finished) = ($$, scalar @blocks, 0);
    my $status = call($code, $task);
    end_worker($status);
    return _leave($status);    # a process that the worker has forked, in which its code has returned
}

1;

__END__

=head1 NAME

FFI::Prefork::Fork - the forks of FFI::Prefork

=head1 DESCRIPTION

Perl's own C<fork> makes the workers: it flushes the handles, so that nothing is written twice. This
module is internal. L<FFI::Prefork/WORKERS> describes what a worker has.

=head1 FUNCTIONS

C<call>, C<end_worker>, C<fork_worker>, C<has_threads> and C<run_worker> are internal.

=head1 LICENSE

MIT. See the file LICENSE.

=cut
