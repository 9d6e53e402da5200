# SPDX-License-Identifier: MIT
package FFI::Prefork;

use strict;
use warnings;
use 5.020;
use Exporter 'import';
use FFI::Prefork::Error qw(check fail invalid);
use FFI::Prefork::Fork ();
use FFI::Prefork::Library
    qw(pf_pool_new pf_pool_run pf_pool_set_foreign_workers pf_pool_set_host_fork pf_pool_start
    pf_task_id pf_worker_pool_name);
use FFI::Prefork::Process qw(cpu_count daemon_ready daemonize die_of_signal library_version);
use FFI::Prefork::Settings qw(UNLIMITED bytes set_program);
use FFI::Prefork::Socket qw(bind_sockets bind_unix_socket listen_fds);
use FFI::Prefork::Worker
    qw(finish heartbeat pool_name ready retire should_stop stop_fd task_id worker_fd
    worker_handle);
use Scalar::Util qw(refaddr);
use parent 'FFI::Prefork::Control', 'FFI::Prefork::Supervisor';

our $VERSION   = 'v0.2.0';
our @EXPORT_OK = qw(UNLIMITED bind_sockets bind_unix_socket cpu_count daemon_ready daemonize
    die_of_signal finish heartbeat library_version listen_fds pool_name ready retire should_stop stop_fd
    task_id worker_fd worker_handle);
our %EXPORT_TAGS = (
    all    => \@EXPORT_OK,
    worker => [
        qw(finish heartbeat pool_name ready retire should_stop stop_fd task_id worker_fd
            worker_handle)
    ],
    sockets => [qw(bind_sockets bind_unix_socket listen_fds)],
);

# The library knows it when it is loaded. A forked worker has loaded it before.
my $worker_pid = pf_task_id() == -1 ? 0 : $$;
FFI::Prefork::Process::forget_environment();

sub CLONE_SKIP { return 1 }    # a pool belongs to one thread

sub new {
    my ($class, %settings) = @_;
    my ($exec, $env, $fds, $foreign, $allow_threads, $on_event)
        = delete @settings{qw(exec env fds foreign allow_threads on_event)};
    my $self = bless {
        owner          => $$,
        executes       => $exec ? 1 : 0,
        runs_other     => ref $exec ? 1 : 0,
        name           => defined $settings{name} ? bytes('name', $settings{name}) : '',
        allow_threads  => $allow_threads,
        on_event       => $on_event,
        manager_notify => $settings{manager_notify},
        reap_orphans   => $settings{reap_orphans} || 'none',
        signals        => $settings{signals} || 'none',
        hidden         => [],
        stop_signal    => 0,
    }, $class;
    $self->{self} = refaddr $self;
    invalid('on_event', 'a code reference', $on_event)
        if defined $on_event && ref $on_event ne 'CODE';
    check(pf_pool_new(\$self->{handle}));
    my $pool = $self->{handle};
    FFI::Prefork::Settings::apply($pool, \%settings);
    if ($exec) { set_program($pool, $exec, $env) }
    else {
        invalid('env', 'undef without exec', $env) if defined $env;
        check(pf_pool_set_host_fork($pool, 1));
    }
    invalid('foreign', '0, or 1 with exec => [...]', $foreign) if $foreign && !ref $exec;
    check(pf_pool_set_foreign_workers($pool, 1)) if $foreign;
    FFI::Prefork::Settings::add_descriptors($pool, $fds) if defined $fds;
    return $self;
}

# ---- Running ------------------------------------------------------------------------------

sub start {
    my ($self, $code) = @_;
    my $pool = $self->_pool;
    if ($self->{runs_other}) {
        invalid('code', 'undef: the workers execute another program', $code) if defined $code;
    }
    elsif (ref $code ne 'CODE') {
        invalid('code', 'a code reference', $code);
    }
    $self->{code} = $code;
    $self->run_worker($code) if $self->{executes};
    my $may_fork = $self->{executes} || $self->{allow_threads} || !FFI::Prefork::Fork::has_threads();
    fail($FFI::Prefork::Error::CODE{PF_ETHREADS}) if !$may_fork;
    my $was_started = $self->{is_started};
    $self->_hide_handlers if !$was_started;
    my $result = pf_pool_start($pool);
    if ($result < 0) {
        $self->_restore_handlers if !$was_started;
        fail($result);
    }
    $self->{is_started} = 1;
    return $self;
}

sub run_worker {
    my ($self, $code) = @_;
    return if !$self->{executes} || $worker_pid != $$;
    my $name = pf_worker_pool_name();
    return if !defined $name || $name ne $self->{name};    # the start of this one reports it
    invalid('code', 'a code reference', $code) if ref $code ne 'CODE';
    my $task = -1;
    check(pf_pool_run($self->_pool, \$task));
    return if $task < 0;
    $worker_pid = 0;
    exit FFI::Prefork::Fork::call($code, $task);
}

sub run {
    my ($self, $code) = @_;
    my $is_good = eval {
        $self->start($code);
        while (my $event = $self->next_event) { $self->_report($event) }
        1;
    };
    return $self if $is_good;
    my $error = $@;
    # What is thrown meanwhile, as by on_event, does not keep the pool from its end.
    eval { $self->stop } if $self->{is_started} && $self->{owner} == $$;
    while ($self->{is_started} && $self->{owner} == $$ && $self->{handle} && !$self->{is_done}) {
        eval { my $event = $self->next_event; $self->_report($event) if $event };
    }
    die $error;
}

sub _report {
    my ($self, $event) = @_;
    return $self->{on_event}->($event) if $self->{on_event};
    return if $event->level > 4;
    my $line = $event->message;
    utf8::encode($line);
    local $SIG{PIPE} = 'IGNORE';
    print STDERR "prefork: $line\n";
    return;
}

1;

__END__

=head1 NAME

FFI::Prefork - supervised pre-fork worker processes: libprefork for Perl

=head1 SYNOPSIS

    use FFI::Prefork qw(bind_sockets die_of_signal ready should_stop);

    my ($listener) = bind_sockets(port => 8080);
    my $pool = FFI::Prefork->new(
        workers       => 4,
        signals       => 'standard',    # TERM stops, HUP reloads
        ready_timeout => 30,
        stop_signal   => 0,             # the workers call should_stop
        backoff       => [0.1, 10],
    );
    $pool->run(sub {
        my $task = shift;           # 0 to 3, and the same after a restart
        ready();
        serve($listener) until should_stop();
    });
    die_of_signal($pool->stop_signal) if $pool->stop_signal;

=head1 DESCRIPTION

One program becomes a supervisor and a pool of workers, which share what was opened before. The
supervisor restarts workers that fail, replaces them in a reload without the loss of a request, and
leaves no worker behind, whatever ends it. The manual page prefork(7) has the concepts.

All functions and methods throw a L<FFI::Prefork::Error>. Durations are in seconds, with fractions.

=head1 METHODS

L<FFI::Prefork::Control> has the methods that control a pool and report its state,
L<FFI::Prefork::Supervisor> those for a loop of the program's own.

=head2 new

Makes a pool with these named arguments:

=over

=item workers

How many; 0, the default: one for each processor, see C<cpu_count>.

=item on_event

A code reference that C<run> calls with each L<FFI::Prefork::Event>. Default: warnings and worse are
printed to STDERR. What it throws stops the pool.

=item name

At most 63 bytes. A worker by exec finds its pool by it.

=item signals

Which signals of this process control the pool while it runs. C<none>, the default. C<standard>:
TERM stops, INT and QUIT stop within a second, HUP reloads, TTIN and TTOU add and remove a worker,
USR1, USR2 and WINCH are sent to the workers. C<stop_only>: TERM, INT, QUIT and HUP stop. See
L</SIGNALS>.

=item restart_policy, max_restarts, restart_window, backoff, boot_limit, limit_action

C<on_failure> (default), C<always> or C<never>. How many restarts in the life of the pool (default
100; C<UNLIMITED>: no limit), and C<[restarts, seconds]>. C<[first, max]> delay before a restart.
How many workers may end in a row before one is ready. At a limit, C<stop> (default) or C<degrade>:
leave that slot empty.

=item stop_signal, stop_timeout

How workers are asked to stop (default TERM; 0: no signal), and after how long they are killed
(default 10; 0: never).

=item exit_actions

What single exit statuses mean: C<< { 3 => 'restart', 4 => 'done', 5 => 'fatal' } >>.

=item ready_timeout, min_uptime, heartbeat_timeout

The time in which a worker must call C<ready>; how long a worker must live to count as started well
(default 1); the longest time between two calls of C<heartbeat>. 0, the default of the first and the
last: none.

=item lifetime

C<[age, random part]>: the age at which a worker is replaced.

=item reload_order, replace_width

C<start_first> (default) or C<stop_first>; how many slots are replaced at a time (default 1).

=item spares

How many workers are started ahead of need, default 0.

=item fds

File handles for the workers by name: C<< { log => $handle } >>, see C<worker_fd>.

=item exec, env

1: each worker executes this program anew. It must come to the same C<run>, which calls the code
there. C<< ['program', 'argument'] >>: each executes this program. C<env> is a hash of its
environment, only with C<exec>; default: that of this process.

=item foreign

True: the program of C<exec> does not use libprefork. It may report to C<NOTIFY_SOCKET>, as a service
does to systemd.

=item process_groups, parent_death_signal, stop_fd, reap_orphans, manager_notify, backend

C<none> (default), C<signals> or C<kill>. Default TERM. Whether workers have C<stop_fd> (default 1).
C<none> (default), C<adopted> or C<all>. Whether the supervisor reports to systemd (default 0).
C<auto> (default), C<pidfd> or C<sigchld>. See pf_pool_set_process_groups(3) and its neighbours.

=item allow_threads

True: fork although other threads run. Without it, C<start> and C<run> throw C<PF_ETHREADS>.

=back

=head2 run

C<< $pool->run($code) >> starts the workers, each of which calls C<$code> with its task id, and
supervises them until the pool is done. Returns the pool. Throws C<PF_EGAVEUP> or C<PF_EFATAL> if the
pool failed, and what a handler or C<on_event> throws: the workers have been stopped by then.

=head2 start

C<< $pool->start($code) >> begins. The workers are started in C<next_event> or C<poll>. Omit the code
if the workers execute another program.

=head2 run_worker

C<< $pool->run_worker($code) >> runs the code and exits, in a worker by exec. Elsewhere it returns.
C<start> and C<run> do it as well.

=head1 FUNCTIONS

Exported on request; C<:all>, C<:worker>, C<:sockets>. L<FFI::Prefork::Worker> has C<finish>, C<heartbeat>,
C<pool_name>, C<ready>, C<retire>, C<should_stop>, C<stop_fd>, C<task_id>, C<worker_fd> and
C<worker_handle>. L<FFI::Prefork::Socket> has C<bind_sockets>, C<bind_unix_socket> and
C<listen_fds>. L<FFI::Prefork::Process> has C<cpu_count>, C<daemon_ready>, C<daemonize>,
C<die_of_signal> and C<library_version>.

=head1 WORKERS

Perl's own C<fork> makes them: it flushes all handles. A worker ends with status 0 when its code
returns, whatever that returns; with the status of C<finish> or C<exit>; with 255 when the code or an
C<END> block dies, after the message. A process that the worker forks ends where the code returns.
C<END> blocks that the worker has made run, those of the supervisor do not. All
handles are flushed. Objects of the supervisor and global objects are not destroyed, except that
C<exit> destroys the objects in the scopes around C<run>: use C<finish> if they have a C<DESTROY>.

Each worker calls C<srand>: C<rand> would give the same numbers in all of them. Other generators,
such as that of L<Math::Random::MT>, must be seeded by the worker.

=head1 SIGNALS

While a pool with C<< signals => 'standard' >> runs, handlers that the program has in C<%SIG> for
TERM, INT, QUIT, HUP, TTIN and TTOU are hidden; with C<stop_only>, those for the first four. They are
restored when the pool is done. A handler for USR1, USR2 or WINCH stays, and the signal is the
program's. A handler that is set after the start takes the signal from the pool.

Without C<signals> the program handles its signals itself. A handler runs at once while C<run> waits.
It may call C<stop>, C<reload> or C<handle_signal>, or die, which stops the pool.

A worker begins without the handlers of the supervisor: those signals have their default action. A
signal that the supervisor ignores is ignored.

=head1 SEE ALSO

prefork(7), prefork(3), L<Parallel::Prefork>

=head1 LICENSE

MIT. See the file LICENSE.

=cut
