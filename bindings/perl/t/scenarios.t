# SPDX-License-Identifier: MIT
# The scenarios of bindings/README.md: workers and their supervisor.
use strict;
use warnings;
use lib 't/lib';
use FFI::Prefork;
use IO::Socket::IP ();
use POSIX          ();
use PreforkTest;
use Test::More;

my $STAY = <<'END';
use FFI::Prefork ':all';
$| = 1;
my $pool = FFI::Prefork->new(workers => 3, signals => $ENV{SIGNALS} || 'standard');
print "supervisor ", defined task_id() ? 'has one' : 'has none', "\n";
$pool->run(sub {
    print "worker $_[0] ", task_id(), " $$\n";
    sleep 1 while 1;
});
die_of_signal($pool->stop_signal) if $pool->stop_signal;
END

subtest task_ids => sub {
    my $program = run_program($STAY);
    my @lines   = $program->wait_for('worker', 3);
    is_deeply([sort map { join ' ', (split)[1, 2] } @lines], ['0 0', '1 1', '2 2'], 'in workers');
    is_deeply([$program->lines('supervisor')], ['supervisor has none'], 'in the supervisor');
    $program->signal('TERM');
    is($program->end, -POSIX::SIGTERM, 'status');
};

subtest restart_with_the_same_id => sub {
    my $program = run_program($STAY);
    my ($one) = grep { /^worker 1/ } $program->wait_for('worker', 3);
    kill 'KILL', (split ' ', $one)[3];
    my @lines = $program->wait_for('worker', 4);
    like($lines[3], qr/^worker 1 1 /, 'the same task id');
    my %pids = map { (split)[3] => 1 } @lines;
    is(keys %pids, 4, 'another process');
    like($program->err, qr/^prefork: child 1 \(pid \d+\) killed by signal 9, restarting$/m, 'told');
    $program->signal('TERM');
    $program->end;
};

subtest clean_exit => sub {
    my $program = run_program(<<'END');
use FFI::Prefork;
my $supervisor = $$;
END { syswrite STDOUT, 'end ' . ($$ == $supervisor ? 'supervisor' : 'worker') . "\n" }
FFI::Prefork->new(workers => 2)->run(sub { return 7 });
END
    is($program->end, 0, 'status');
    is_deeply([$program->lines('')], ['end supervisor'], 'no END block of the supervisor in workers');
    is($program->err, '', 'nothing to report');
};

subtest limit_gives_up => sub {
    my $file = File::Temp->new;
    my $pool = FFI::Prefork->new(workers => 2, max_restarts => 2, on_event => sub { });
    error_like(
        sub { $pool->run(sub { syswrite $file, "worker $_[0]\n"; exit 7 if $_[0] == 0; stay() }) },
        'PF_EGAVEUP', qr/ at \Q$0\E line \d+\.\n\z/);
    is($pool->alive_count, 0, 'no worker is left');
    leaves_nothing();
    seek $file, 0, 0;
    is((grep { /worker 0/ } readline $file), 3, 'two restarts');

    $pool = FFI::Prefork->new(workers => 1, exit_actions => { 9 => 'fatal' }, on_event => sub { });
    error_like(sub { $pool->run(sub { exit 9 }) }, 'PF_EFATAL', qr/line/);
    $pool = FFI::Prefork->new(workers => 1, exit_actions => { 9 => 'done' }, max_restarts => 0);
    ok($pool->run(sub { exit 9 }), 'a status that means success');
    leaves_nothing();
};

subtest terminated_supervisor_leaves_nobody => sub {
    for my $name (qw(TERM QUIT INT)) {
        my $program = run_program($STAY);
        $program->wait_for('worker', 3);
        $program->signal($name);
        is($program->end, -POSIX->can("SIG$name")->(), $name);
    }
    # Without a pool's handler the signal ends the supervisor at once, and the kernel the workers.
    my $program = run_program($STAY, env => { SIGNALS => 'none' });
    $program->wait_for('worker', 3);
    $program->signal('TERM');
    is($program->end, -POSIX::SIGTERM, 'without signals');
};

subtest killed_supervisor_leaves_nobody => sub {
    my $program = run_program($STAY);
    $program->wait_for('worker', 3);
    $program->signal('KILL');
    is($program->end, -POSIX::SIGKILL, 'status');
};

subtest shared_listening_socket => sub {
    my $program = run_program(<<'END');
use FFI::Prefork ':all';
$| = 1;
my ($listener) = bind_sockets(host => '127.0.0.1');
print 'port ', $listener->sockport, "\n";
FFI::Prefork->new(workers => 2)->run(sub {
    $listener->blocking(1);
    my $connection = $listener->accept or die $!;
    $connection->syswrite("task $_[0]\n");
    $connection->sysread(my $end, 1);
});
END
    my ($port) = map { (split)[1] } $program->wait_for('port');
    # Each worker takes one and waits: the second is served by the other worker.
    my @clients = map { IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $port) } 1, 2;
    is_deeply([sort map { scalar readline $_ } @clients], ["task 0\n", "task 1\n"], 'both serve');
    close $_ for @clients;
    is($program->end, 0, 'status');
};

subtest ctrl_c_within_100_ms => sub {
    # A handler of the program that dies, one that stops the pool, and the pool's own; in a pool
    # that waits inside of the library as well.
    my $code = <<'END';
use FFI::Prefork; use Time::HiRes qw(CLOCK_MONOTONIC clock_gettime);
$| = 1;
my $way = $ENV{WAY};
my $pool = FFI::Prefork->new(workers => 1, $way eq 'own' ? (signals => 'standard') : (),
    $way eq 'inside' ? (reap_orphans => 'adopted') : ());
my $tell = sub { print 'noticed ', clock_gettime(CLOCK_MONOTONIC), "\n" };
$SIG{INT} = sub { $tell->(); $way eq 'stop' ? $pool->stop : die "interrupted\n" } if $way ne 'own';
my $is_good = eval {
    $pool->start(sub { print "worker\n"; sleep 1 while 1 });
    while (my $event = $pool->next_event) { $tell->() if $event->type eq 'stopping' }
    1;
};
exit($is_good ? 4 : $@ eq "interrupted\n" ? 3 : 5);
END
    my %expected = (die => 3, inside => 3, stop => 4, own => 4);
    for my $way (sort keys %expected) {
        my ($best, $status) = (1e9);
        for (1 .. 20) {    # the best of some: the machine may be busy
            my $program = run_program($code, env => { WAY => $way });
            $program->wait_for('worker');
            my $began = now();
            $program->signal('INT');
            $status = $program->end;
            my ($line) = $program->lines('noticed');
            my $took = (split ' ', $line)[1] - $began;
            $best = $took if $took < $best;
            last if $best < 0.1 || $status != $expected{$way};
        }
        is($status, $expected{$way}, "$way: status");
        cmp_ok($best, '<', 0.1, "$way: time");
    }
};

subtest library_missing_or_too_old => sub {
    my $directory = fresh_directory();
    my $missing   = run_program('use FFI::Prefork;',
        env => { PREFORK_LIBRARY => "$directory/libprefork.so.0" });
    cmp_ok($missing->end, '!=', 0, 'status');
    like($missing->err, qr/^FFI::Prefork: the shared library libprefork was not found:$/m, 'missing');
    like($missing->err, qr{\Q$directory\E/libprefork\.so\.0}, 'where it was sought');
    like($missing->err, qr/set PREFORK_LIBRARY to the path of libprefork\.so\.0\.$/m, 'what to do');

    my $count   = 0;
    my $library = sub {
        my ($source) = @_;
        my $path = "$directory/" . ++$count . '.so';
        open my $compiler, '|-', 'cc', '-shared', '-o', $path, '-x', 'c', '-' or die $!;
        print $compiler $source;
        close $compiler or die 'cc failed';
        return $path;
    };
    my $version = 'const char *pf_version(void) { return "%s"; }' . "\n";
    for (
        [sprintf($version, '0.0.9'), 'has version 0.0.9; libprefork 0.2.0 or later is needed'],
        [sprintf($version, '0.2.0'), 'has version 0.2.0 and lacks pf_bind_sockets; libprefork 0.2.0'],
        ['int other;',               'is not libprefork']
        )
    {
        my ($source, $message) = @$_;
        my $program = run_program('use FFI::Prefork;', env => { PREFORK_LIBRARY => $library->($source) });
        cmp_ok($program->end, '!=', 0, 'status');
        like($program->err, qr/\Q$message\E/, $message);
    }
};

done_testing;
