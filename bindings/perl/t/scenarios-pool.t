# SPDX-License-Identifier: MIT
# The scenarios of bindings/README.md: a pool, its events and its control.
use strict;
use warnings;
use lib 't/lib';
use FFI::Prefork ':all';
use IO::Select     ();
use IO::Socket::IP ();
use POSIX          ();
use PreforkTest;
use Test::More;

sub of_type {
    my ($type, @events) = @_;
    return grep { $_->type eq $type } @events;
}

sub drain {
    my ($pool) = @_;
    my @events;
    while (my $event = $pool->next_event) { push @events, $event }
    return @events;
}

subtest event_order_and_fields => sub {
    my $began = now();
    my $marks = fresh_directory();
    my $pool  = FFI::Prefork->new(workers => 2, max_restarts => 1);
    $pool->start(sub {
        kill 'KILL', $$ if $_[0] == 1 && mkdir "$marks/killed";
    });
    my @events = drain($pool);
    my @types  = map { $_->type } @events;
    is_deeply([@types[0 .. 2]], [qw(starting worker_started worker_started)], 'the first');
    is_deeply([map { $_->worker_count } @events[0, 1]], [2, 0], 'worker_count');
    is($types[-1], 'done', 'the last');
    is_deeply([sort @types[3 .. $#types - 1]], [('worker_exited') x 3, 'worker_started'], 'the others');
    my @times = map { $_->time } @events;
    is_deeply(\@times, [sort { $a <=> $b } @times], 'in order');
    ok($began <= $times[0] && $times[-1] <= now(), 'times');

    my ($killed, $normal) = grep { $_->task_id == 1 } of_type('worker_exited', @events);
    my @pids = map { $_->pid } grep { $_->task_id == 1 } of_type('worker_started', @events);
    is_deeply([$killed->pid, $normal->pid], \@pids, 'pids');
    is_deeply([$killed->signal, $killed->exit_code, $killed->will_restart], [POSIX::SIGKILL, undef, 1],
        'killed');
    is_deeply([$killed->level, $killed->restarts, $killed->error], [4, 1, 0], 'numbers');
    is("$killed", "child 1 (pid $pids[0]) killed by signal 9, restarting", 'as a string');
    ok($killed->uptime >= 0 && $killed->delay == 0 && !$killed->core_dumped, 'times of its life');
    is_deeply([$normal->signal, $normal->exit_code, $normal->will_restart], [undef, 0, 0], 'normal');
    ok($normal->max_rss_kib > 0 && $normal->user_time + $normal->system_time > 0, 'resources');
    is_deeply([$events[0]->task_id, $events[0]->pid], [undef, undef], 'of the whole pool');
    is_deeply([map { $_->reason } of_type('worker_started', @events)], [qw(start start restart)], 'reasons');
    ok(!defined $pool->next_event, 'nothing follows');
    leaves_nothing();
};

subtest graceful_stop => sub {
    my $pool = FFI::Prefork->new(workers => 2, ready_timeout => 60);
    $pool->start(sub { $SIG{TERM} = sub { exit 0 }; ready(); stay() });
    events_until($pool, 'worker_ready', 2);
    my @events = drain($pool->stop);
    is_deeply([map { $_->type } @events], [qw(stopping worker_exited worker_exited done)], 'types');
    is_deeply([map { $_->exit_code } @events[1, 2]], [0, 0], 'they finish');
    ok(!(grep { $_->will_restart } @events), 'for good');

    $pool = FFI::Prefork->new(workers => 1, ready_timeout => 60, stop_timeout => 0.05);
    $pool->start(sub { $SIG{TERM} = 'IGNORE'; ready(); stay() });
    events_until($pool, 'worker_ready');
    @events = drain($pool->stop);
    is_deeply([map { $_->type } @events], [qw(stopping worker_killed worker_exited done)], 'killed');
    is($events[2]->signal, POSIX::SIGKILL, 'by SIGKILL');
    leaves_nothing();
};

# A worker that answers each connection with its pid, and finishes what it began.
sub answer_until_stopped {
    my ($listener) = @_;
    $SIG{TERM} = 'IGNORE';
    my $select = IO::Select->new($listener, stop_fd());
    ready();
    while (1) {
        my @readable = $select->can_read;
        last if grep { !ref } @readable;
        my $connection = $listener->accept or next;
        $connection->blocking(1);
        $connection->sysread(my $request, 16);
        $connection->syswrite("$$\n");
    }
}

# Counts the answers until the file exists. Each request is a connection.
my $CLIENT = <<'END';
use IO::Socket::IP;
$| = 1;
my ($port, $end) = @ARGV;
my ($count, %pids) = (0);
until (-e $end) {
    my $connection = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $port) or die "refused: $@";
    $connection->syswrite('?');
    my $pid = readline $connection;
    die "lost" if !defined $pid;
    $pids{$pid} = 1;
    print "first\n" if ++$count == 1;
}
print "answered $count ", scalar keys %pids, "\n";
END

subtest rolling_reload => sub {
    my ($listener) = bind_sockets(host => '127.0.0.1');
    my $directory = fresh_directory();
    my $pool = FFI::Prefork->new(workers => 2, ready_timeout => 60);
    $pool->start(sub { answer_until_stopped($listener) });
    my @ready  = of_type('worker_ready', events_until($pool, 'worker_ready', 2));
    my $client = run_program($CLIENT, arguments => [$listener->sockport, "$directory/end"]);
    $client->wait_for('first');
    my %before = map { $_->pid => 1 } @ready;
    for my $round (1 .. 10) {
        my @events = events_until($pool->reload, 'reloaded');
        my $count  = of_type('worker_exited', @events);
        push @events, events_until($pool, 'worker_exited', 2 - $count) if $count < 2;
        my @exited = of_type('worker_exited', @events);
        is_deeply([sort map { $_->pid } @exited], [sort keys %before], "reload $round: the old ones end");
        is_deeply([map { $_->exit_code } @exited], [0, 0], 'normally');
        for my $task (0, 1) {
            my @mine = map { $_->type } grep { defined $_->task_id && $_->task_id == $task } @events;
            is_deeply(\@mine, [qw(worker_started worker_ready worker_exited)], 'ready before the end');
        }
        %before = map { $_->{pid} => 1 } $pool->workers;
    }
    POSIX::close(POSIX::creat("$directory/end", oct 600));
    is($client->end, 0, 'no request was lost') or diag $client->err;
    cmp_ok((split ' ', ($client->lines('answered'))[0])[1], '>', 0, 'requests were answered');
    drain($pool->stop);
    leaves_nothing();
};

subtest resize => sub {
    my $pool = FFI::Prefork->new(workers => 2);
    $pool->start(\&stay);
    events_until($pool, 'worker_started', 2);
    my @started = of_type('worker_started', events_until($pool->resize(4), 'worker_started', 2));
    is_deeply([$pool->worker_count, $pool->alive_count], [4, 4], 'more');
    is_deeply([sort map { $_->task_id } @started], [2, 3], 'task ids');
    my @gone = of_type('worker_exited', events_until($pool->resize(1), 'worker_exited', 3));
    is_deeply([sort map { $_->task_id } @gone], [1, 2, 3], 'the highest are stopped');
    is_deeply([$pool->worker_count, $pool->alive_count], [1, 1], 'fewer');
    error_like(sub { $pool->resize(0) }, 'EINVAL', qr/^workers must be 1 to 65536, not 0 at/);
    drain($pool->stop);
};

subtest pids_and_states => sub {
    my $pool = FFI::Prefork->new(workers => 2);
    $pool->start(sub { stay() if $_[0] != 1 });
    my @started = of_type('worker_started', events_until($pool, 'worker_exited'));
    my ($stays, $done) = $pool->workers;
    my ($first) = grep { $_->task_id == 0 } @started;
    is($stays->{pid}, $first->pid, 'pid');
    is_deeply([@$stays{qw(task_id state restarts)}], [0, 'ready', 0], 'one that works');
    is_deeply([@$done{qw(task_id state pid)}], [1, 'done', undef], 'one that has finished');
    cmp_ok($stays->{uptime}, '>=', 0, 'uptime');
    is($pool->alive_count, 1, 'alive_count');
    $pool->send_signal(0, 'KILL');
    events_until($pool, 'worker_started');
    my $again = $pool->worker(0);
    is($again->{restarts}, 1, 'restarts');
    cmp_ok($again->{pid}, '!=', $stays->{pid}, 'another process');
    events_until($pool->replace_worker(1), 'worker_started');
    ok(defined $pool->worker(1)->{pid}, 'replace_worker');
    my $counters = $pool->counters;
    is_deeply([@$counters{qw(restarted alive)}], [1, $pool->counter('alive')], 'counters');
    $pool->stop_worker(0);
    drain($pool->stop);
    is($pool->counter('alive'), 0, 'none at the end');
};

subtest errors_as_the_languages_own => sub {
    my %wrong = (
        workers        => [65537, 'x', undef, [2]],
        max_restarts   => [2**32, 1.5],
        stop_timeout   => [-1, 'nan', 'long'],
        stop_signal    => [1000, 'TREM'],
        backoff        => [[2, 1], 3, [1]],
        restart_window => [[1, -1], [70000, 1]],
        restart_policy => [7, 'sometimes', undef],
        exit_actions   => [{ 256 => 'done' }, { 1 => 'what' }, 3],
        name           => ['x' x 64, "a\0b"],
        fds            => [{ 'a:b' => 0 }, { a => 'x' }, 1],
        foreign        => [1],
        exec           => [[], {}],
    );
    for my $name (sort keys %wrong) {
        for my $value (@{ $wrong{$name} }) {
            error_like(sub { FFI::Prefork->new($name => $value) }, 'EINVAL', qr/^$name must be /);
        }
    }
    error_like(sub { FFI::Prefork->new(worker => 2) }, 'EINVAL', qr/there is no setting worker/);
    error_like(sub { FFI::Prefork->new(fds => { a => 1000 }) }, 'EBADF', qr/fds: a/);
    error_like(sub { FFI::Prefork->new->run('work') }, 'EINVAL', qr/^code must be a code reference/);
    error_like(sub { FFI::Prefork->new->stop }, 'EINVAL', qr/the pool has not started/);
    error_like(sub { FFI::Prefork->new->next_event }, 'EINVAL', qr/the pool has not started/);
    error_like(sub { FFI::Prefork->new(stop_timeout => -1) }, 'EINVAL', qr/^stop_timeout must be .*, at least 0/);
    error_like(sub { bind_sockets(port => 65536) }, 'EINVAL', qr/^port must be 0 to 65535, not 65536/);
    error_like(sub { bind_sockets(family => 1) }, 'EINVAL', qr/^family must be AF_UNSPEC, AF_INET or AF_INET6, not 1/);
    error_like(sub { bind_unix_socket('x', mode => -1) }, 'EINVAL', qr/^mode must be 0 to 0777, not -1/);
    error_like(sub { bind_unix_socket('') }, 'EINVAL', qr/^path must be the name of a file, not ''/);

    my $program = run_program(<<'PERL');
use FFI::Prefork; use Storable qw(dclone);
my $pool = FFI::Prefork->new(workers => 1);
my $copy = dclone($pool);
eval { $copy->stop };
print "refused $@";
undef $copy;    # frees nothing
eval { $pool->run(sub { print "worker\n" }) };
PERL
    is($program->end, 0, 'a pool that is copied') or diag $program->err;
    like($program->out, qr/^refused .*a pool cannot be copied/, 'the copy is refused');
    like($program->out, qr/^worker$/m, 'the pool is whole');

    my $pool = FFI::Prefork->new(workers => 1);
    $pool->start(\&stay);
    events_until($pool, 'worker_started');
    error_like(sub { $pool->worker(1) }, 'EINVAL', qr/^task must be the task id .*, not 1 at/);
    error_like(sub { $pool->send_signal(-1, 'TERM') }, 'EINVAL', qr/^task must be/);
    error_like(sub { $pool->send_signal(0, 'TREM') }, 'EINVAL', qr/^signal must be .*, not 'TREM'/);
    error_like(sub { $pool->counter('tea') }, 'EINVAL', qr/^counter must be/);
    error_like(sub { $pool->start(\&stay) }, 'EALREADY', qr/line/);
    error_like(sub { $pool->set_exec(1) }, 'EINVAL', qr/^exec must be/);
    $pool->close;
    error_like(sub { $pool->stop }, 'EINVAL', qr/the pool is closed/);
    leaves_nothing();

    my $error = caught(sub { FFI::Prefork->new(workers => -1, spares => -1) });
    is($error->line, __LINE__ - 1, 'the line of the caller');
    is($error->errno, Errno::EINVAL(), 'errno');
    is("$error", $error->message . " at $0 line " . $error->line . ".\n", 'as a string');
    for my $call (\&ready, \&heartbeat, \&retire, \&stop_fd) {
        error_like(sub { $call->(); 1 }, 'ECHILD', qr/line/);
    }
    my $taken = IO::Socket::IP->new(LocalHost => '127.0.0.1', Listen => 1);
    error_like(sub { bind_sockets(host => '127.0.0.1', port => $taken->sockport) }, 'EADDRINUSE',
        qr/127\.0\.0\.1:\d+ at/);
    error_like(sub { bind_unix_socket($0) }, 'EEXIST', qr/\Q$0\E/);
    error_like(sub { die_of_signal('CHLD') }, 'EINVAL', qr/not CHLD/);
};

subtest use_after_fork_refused => sub {
    my $pool;
    my @calls = (
        sub { $pool->stop }, sub { $pool->reload }, sub { $pool->workers }, sub { $pool->next_event },
        sub { $pool->start(\&stay) }, sub { $pool->poll }
    );
    my $all_refuse = sub {
        for my $call (@calls) {
            my $error = caught($call);
            return 0 if !ref $error || $error->name ne 'ECHILD';
        }
        return 1;
    };
    $pool = FFI::Prefork->new(workers => 1);
    $pool->start(sub { exit($all_refuse->() ? 0 : 1) });
    my @exits = map { $_->exit_code } of_type('worker_exited', drain($pool));
    is_deeply(\@exits, [0], 'in a worker');

    $pool = FFI::Prefork->new(workers => 1);    # a child that is not a worker
    $pool->start(\&stay);
    events_until($pool, 'worker_started');
    my $child = fork;
    if ($child == 0) {
        my $is_good = $all_refuse->();
        $pool->close;    # which leaves the workers alone as well
        POSIX::_exit($is_good ? 7 : 8);
    }
    waitpid $child, 0;
    is($?, 7 << 8, 'in another child');
    is($pool->alive_count, 1, 'the worker lives');
    drain($pool->stop);
    leaves_nothing();
};

done_testing;
