# SPDX-License-Identifier: MIT
# What a worker has, reports and leaves: forked workers.
use strict;
use warnings;
use lib 't/lib';
use FFI::Prefork ':all';
use File::Temp ();
use IO::Socket::UNIX ();
use POSIX      ();
use PreforkTest;
use Socket qw(SOCK_DGRAM);
use Test::More;

# Runs code in workers, which append to a file. Returns the sorted lines, and the events.
sub output_of {
    my ($code, %settings) = @_;
    my $file = File::Temp->new;
    my @events;
    my $pool = FFI::Prefork->new(workers => 1, on_event => sub { push @events, @_ }, %settings);
    my $say  = sub { syswrite $file, "@_\n" };
    eval { $pool->run(sub { $code->($say, @_) }); 1 } or push @events, $@;
    seek $file, 0, 0;
    chomp(my @lines = sort <$file>);
    return (\@lines, grep { !$_->isa('FFI::Prefork::Event') || $_->type eq 'worker_exited' } @events);
}

subtest 'rand differs in each worker' => sub {
    srand 7;
    my ($lines) = output_of(sub { $_[0]->(rand) }, workers => 4);
    my %seen = map { $_ => 1 } @$lines;
    is(keys %seen, 4, 'four numbers');
};

subtest 'buffers are written once, by who filled them' => sub {
    my $directory = fresh_directory();
    my $program   = run_program(<<'END', arguments => ["$directory/file"]);
use FFI::Prefork;
open my $file, '>', $ARGV[0] or die $!;
print $file "supervisor\n";
print "out\n";
FFI::Prefork->new(workers => 2)->run(sub { print $file "worker\n"; print "worker out\n" });
END
    is($program->end, 0, 'status');
    is($program->err, '', 'nothing to report');
    is_deeply([sort $program->lines('')], ['out', 'worker out', 'worker out'], 'standard output');
    open my $file, '<', "$directory/file" or die $!;
    is_deeply([sort <$file>], ["supervisor\n", "worker\n", "worker\n"], 'another handle');
};

subtest 'the end of a worker' => sub {
    my $destroyed = File::Temp->new;
    {
        package Witness;
        sub DESTROY { syswrite $_[0][0], "destroyed in $$\n" }
    }
    my $witness = bless [$destroyed, $$], 'Witness';
    my ($lines, @ends) = output_of(
        sub {
            my ($say, $task) = @_;
            our $tell = $say;
            eval q{ END { $tell->('end ' . $?) } 1 } or die;
            die "what a pity\n" if $task == 1;
            finish(3)           if $task == 2;
            exit 4              if $task == 3;
            if ($task == 4) { no warnings 'exiting'; last }
            return 9;
        },
        workers        => 5,
        restart_policy => 'never'
    );
    my %status = map { $_->task_id => $_->exit_code } @ends;
    is_deeply(\%status, { 0 => 0, 1 => 255, 2 => 3, 3 => 4, 4 => 0 }, 'statuses');
    is_deeply($lines, ['end 0', 'end 0', 'end 255', 'end 3', 'end 4'], 'its END blocks run');
    my @of_exit = map { $_->pid } grep { $_->task_id == 3 } @ends;
    my $text = do { open my $file, '<', "$destroyed"; local $/; <$file> };
    is(defined $text ? $text : '', "destroyed in $of_exit[0]\n", 'only exit() destroys objects');
    bless $witness, 'Silence';
};

subtest 'what ends badly' => sub {
    my ($lines, @ends) = output_of(
        sub {
            my ($say, $task) = @_;
            if ($task == 0) { eval q{ END { die "what a pity\n" } 1 } or die }
            finish(256) if $task == 1;
            finish('x') if $task == 2;
            if ($task == 3) {
                my $pid = fork;
                return if !$pid;    # ends here, as the worker would
                waitpid $pid, 0;
                $say->("child $?");
            }
            if ($task == 4) {
                my $pid = fork;
                die "what a pity\n" if !$pid;
                waitpid $pid, 0;
                $say->("child $?");
            }
        },
        workers        => 5,
        restart_policy => 'never'
    );
    my %status = map { $_->task_id => $_->exit_code } @ends;
    is_deeply(\%status, { 0 => 255, 1 => 255, 2 => 255, 3 => 0, 4 => 0 }, 'statuses');
    is_deeply($lines, ['child 0', 'child 65280'], 'a child of a worker does not come back to the supervisor');
};

subtest 'handlers of the supervisor' => sub {
    my @ran;
    my $own = sub { push @ran, $_[0] };
    local $SIG{TERM} = $own;
    local $SIG{USR1} = $own;
    local $SIG{HUP}  = 'IGNORE';
    my $file = File::Temp->new;
    my @seen;
    my $pool;
    my $on_event = sub {
        push @seen, join ' ', map { defined $SIG{$_} ? $SIG{$_} : 'undef' } qw(TERM USR1) if !@seen;
        return if $_[0]->type ne 'worker_ready';
        kill 'USR1', $$;
        kill 'TERM', $$;
    };
    $pool = FFI::Prefork->new(workers => 1, signals => 'standard', ready_timeout => 60,
        on_event => $on_event);
    $pool->run(sub {
        syswrite $file, join ' ', map { $SIG{$_} } qw(TERM USR1 HUP);
        ready();
        stay();
    });
    is($seen[0], "DEFAULT $own", 'hidden while the pool runs, but for those sent to workers');
    is_deeply(\@ran, ['USR1'], 'TERM was the pool\'s');
    is($pool->stop_signal, POSIX::SIGTERM, 'stop_signal');
    is($SIG{TERM}, $own, 'restored');
    seek $file, 0, 0;
    is(readline $file, 'DEFAULT DEFAULT IGNORE', 'not in workers');
};

subtest 'two pools hide a handler' => sub {
    my $own = sub { };
    local $SIG{TERM} = $own;
    my @pools = map { FFI::Prefork->new(workers => 1, signals => 'stop_only') } 1, 2;
    $_->start(\&stay) for @pools;
    events_until($_, 'worker_started') for @pools;
    $pools[0]->stop;
    1 while $pools[0]->next_event;
    is($SIG{TERM}, 'DEFAULT', 'the other runs');
    kill 'TERM', $$;
    1 while $pools[1]->next_event;
    is($pools[1]->stop_signal, POSIX::SIGTERM, 'and has the signal');
    is($SIG{TERM}, $own, 'restored by the last');
};

subtest 'a signal that comes just before the wait is noticed' => sub {
    # The worker sends the next signal when the handler has run: one that is missed has no next.
    pipe my $reader, my $writer or die $!;
    my $supervisor = $$;
    my $count      = 0;
    local $SIG{USR1} = sub { $count++; syswrite $writer, 'x' };
    my $pool = FFI::Prefork->new(workers => 1);
    $pool->start(sub {
        for (1 .. 2000) { kill 'USR1', $supervisor; sysread $reader, my $answer, 1 }
    });
    1 while !$pool->is_done && $pool->next_event(60);
    is($count, 2000, 'all of them');
    $pool->close;
};

subtest 'a handler that ends the wait runs with the signal mask of the program' => sub {
    my $blocked = sub {
        my $mask = POSIX::SigSet->new;
        POSIX::sigprocmask(POSIX::SIG_BLOCK(), POSIX::SigSet->new, $mask);
        return join ' ', grep { $mask->ismember(POSIX->can("SIG$_")->()) } qw(HUP INT TERM USR1 CHLD);
    };
    my $in_handler;
    local $SIG{ALRM} = sub { $in_handler = $blocked->(); die "enough\n" };
    my $pool = FFI::Prefork->new(workers => 1);
    $pool->start(\&stay);
    events_until($pool, 'worker_started');
    1 while $pool->next_event(0);
    ok(!eval { POSIX::alarm(1); $pool->next_event(60); 1 }, 'left by the handler');
    is($@,          "enough\n", 'with its error');
    is($in_handler, '',         'nothing was blocked in the handler');
    is($blocked->(), '', 'nor afterwards');
    $pool->close;
};

subtest 'a pool in a worker' => sub {
    my ($lines, @ends) = output_of(sub {
        my ($say) = @_;
        my $inner = FFI::Prefork->new(workers => 2, on_event => sub { });
        eval q{ END { $say->('end') } 1 } or die;
        $inner->run(sub { $say->("inner $_[0]") });
        $say->('outer ' . task_id());
    });
    is_deeply($lines, ['end', 'inner 0', 'inner 1', 'outer 0'], 'runs');
    is($ends[-1]->exit_code, 0, 'status');
};

subtest 'the protocol of the service manager' => sub {
    my $directory = fresh_directory();
    my $manager   = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => "$directory/notify");
    my $program   = run_program(<<'END', env => { NOTIFY_SOCKET => "$directory/notify" });
use FFI::Prefork;
$| = 1;
FFI::Prefork->new(workers => 1, manager_notify => 1)->run(sub {
    print exists $ENV{NOTIFY_SOCKET} ? "has it\n" : "has none\n";
});
END
    my $text = '';
    while ($text !~ /^STOPPING=1$|^READY=1$/m) {
        defined $manager->recv(my $message, 4096) or die $!;
        $text .= "$message\n";
    }
    like($text, qr/^READY=1$/m, 'ready');
    is($program->end, 0, 'status');
    is_deeply([$program->lines('has')], ['has none'], 'not in the environment of workers');
};

subtest 'taint mode' => sub {
    my $program = run_program([$^X, '-T', (map {"-I$_"} grep { !ref } @INC), '-MFFI::Prefork', '-e',
        'FFI::Prefork->new(workers => 1)->run(sub { print "worker\n" })']);
    is($program->end, 0, 'status') or diag $program->err;
    is_deeply([$program->lines('')], ['worker'], 'output is flushed');
};

subtest 'a handler that dies stops the pool' => sub {
    local $SIG{USR1} = sub { die "enough\n" };
    my $pool = FFI::Prefork->new(workers => 2,
        on_event => sub { kill 'USR1', $$ if $_[0]->type eq 'worker_started' });
    is(caught(sub { $pool->run(\&stay) }), "enough\n", 'it is thrown');
    ok($pool->is_done, 'the pool has ended');
    leaves_nothing();
    $pool = FFI::Prefork->new(workers => 2, on_event => sub { die "of an event\n" });
    is(caught(sub { $pool->run(\&stay) }), "of an event\n", 'that of on_event as well');
    leaves_nothing();
};

subtest 'heartbeat, retire and time-outs' => sub {
    my ($lines, @ends) = output_of(
        sub { heartbeat(); stay() }, heartbeat_timeout => 0.2, restart_policy => 'never');
    is($ends[0]->signal, POSIX::SIGABRT, 'a worker without heartbeats');
    is($ends[0]->reason, 'heartbeat_timeout', 'reason');

    my $pool = FFI::Prefork->new(workers => 1, ready_timeout => 60, min_uptime => 0);
    $pool->start(sub { ready(); retire(); stay() });
    my @events = events_until($pool, 'worker_exited');
    ok((grep { $_->type eq 'worker_started' && $_->reason eq 'retire' } @events), 'retire');
    $pool->kill;
    1 while $pool->next_event;

    $pool = FFI::Prefork->new(workers => 1);
    $pool->start(\&stay);
    events_until($pool, 'worker_started');
    my $began = now();
    ok(!defined $pool->next_event(0.05), 'next_event with a time');
    cmp_ok(now() - $began, '>=', 0.05, 'waits');
    $pool->stop;
    vec(my $readable = '', $pool->fd, 1) = 1;
    my @types;
    until ($pool->is_done) {
        select my $copy = $readable, undef, undef, 60;
        push @types, map { $_->type } $pool->poll;
    }
    is_deeply(\@types, [qw(stopping worker_exited done)], 'poll');
};

subtest 'should_stop' => sub {
    my $pool = FFI::Prefork->new(workers => 2, stop_signal => 0, ready_timeout => 60,
        on_event => sub { $_[0]->type eq 'worker_ready' && $_[0]->task_id == 1 && $_[1] });
    $pool->start(sub {
        exit 5 if should_stop();
        ready();
        until (should_stop(0.01)) { }
        exit 6 if !should_stop(60);
    });
    events_until($pool, 'worker_ready', 2);
    $pool->stop;
    my @exits;
    while (my $event = $pool->next_event) { push @exits, $event->exit_code if $event->type eq 'worker_exited' }
    is_deeply(\@exits, [0, 0], 'both notice');
};

subtest 'spares' => sub {
    my $pool = FFI::Prefork->new(workers => 1, spares => 1);
    $pool->start(sub { stay() });
    events_until($pool, 'spare_started');
    is($pool->counter('spares'), 1, 'counter');
    my $first = $pool->worker(0)->{pid};
    kill 'KILL', $first;
    my ($event) = grep { $_->type eq 'worker_started' } events_until($pool, 'worker_started');
    is($event->task_id, 0, 'the spare has the slot');
    cmp_ok($pool->worker(0)->{pid}, '!=', $first, 'another process');
    $pool->set_spares(0);
    $pool->stop;
    1 while $pool->next_event;
    leaves_nothing();
};

subtest 'descriptors by name' => sub {
    pipe my $reader, my $writer or die $!;
    my ($lines) = output_of(
        sub {
            my ($say) = @_;
            my $handle = worker_handle('in', 'IO::Handle');
            $say->(worker_fd('in') == fileno $reader ? 'same' : 'other', pool_name());
            $say->(scalar readline $handle) if syswrite $writer, "text\n";
            $say->(caught(sub { worker_fd('out') })->name);
        },
        name => 'web',
        fds  => { in => $reader }
    );
    is_deeply($lines, ['', 'ENOENT', 'same web', 'text'], 'worker_fd, worker_handle');
    ok(!defined pool_name(), 'pool_name elsewhere');
};

subtest 'UNIX sockets and other families' => sub {
    my $directory = fresh_directory();
    my $socket    = bind_unix_socket("$directory/socket", mode => oct 640);
    isa_ok($socket, 'IO::Socket::UNIX');
    is((stat "$directory/socket")[2] & 0777, oct 640, 'mode');
    is($socket->hostpath, "$directory/socket", 'path');
    is_deeply([listen_fds()], [], 'no socket of systemd');
    cmp_ok(cpu_count(), '>=', 1, 'cpu_count');
    error_like(sub { bind_sockets(prot => 1) }, 'EINVAL', qr/no parameter prot/);
    error_like(sub { bind_sockets(host => 'no.such.host.invalid') }, 'PF_ERESOLVE', qr/invalid:0/);
};

done_testing;
