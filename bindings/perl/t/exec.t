# SPDX-License-Identifier: MIT
# Workers by exec, upgrades, daemons: programs that are executed again.
use strict;
use warnings;
use lib 't/lib';
use FFI::Prefork;
use IO::Socket::IP ();
use Config         ();
use POSIX          ();
use PreforkTest;
use Test::More;

my $directory = fresh_directory();
my $daemon;    # is not in the session of a program
END { kill 'KILL', $daemon if $daemon }

sub script {
    my ($name, $code) = @_;
    my $path = "$directory/$name";
    open my $file, '>', $path or die $!;
    print $file "use strict; use warnings; use POSIX (); use FFI::Prefork ':all'; \$| = 1;\n$code";
    close $file;
    return [$^X, $path];
}

subtest 'each worker executes this program anew' => sub {
    my $program = run_program(script('anew.pl', <<'END'));
$0 = 'another name';
my ($listener) = bind_sockets(host => '127.0.0.1');
my $pool = FFI::Prefork->new(workers => 2, name => 'web', exec => 1, signals => 'standard',
    fds => { in => \*STDIN });
print "port ", $listener->sockport, "\n" if !defined task_id();
print "environment ", join(' ', grep { /^PF_/ } keys %ENV), "\n";
$pool->run(sub {
    my $same = worker_fd('in') > 2 ? 'a descriptor' : 'none';
    print "worker $_[0] ", task_id(), ' ', pool_name(), " $$ ", $listener->sockport, " $same\n";
    sleep 1 while 1;
});
print "end ", $pool->stop_signal, "\n";
END
    my ($port) = map { (split)[1] } $program->wait_for('port');
    my @lines = $program->wait_for('worker', 2);
    is_deeply([sort map { s/web \d+/web/r } @lines],
        [map {"worker $_ $_ web $port a descriptor"} 0, 1], 'workers');
    is_deeply([grep { $_ ne 'environment ' } $program->lines('environment')], [],
        'no variable of the library is left');
    kill 'KILL', (split ' ', $lines[0])[4];
    like(($program->wait_for('worker', 3))[2], qr/^worker @{[ (split ' ', $lines[0])[1] ]} /, 'restarted');
    $program->signal('HUP');
    $program->wait_for('worker', 5);
    $program->signal('TERM');
    is($program->end, 0, 'status') or diag $program->err;
    is_deeply([$program->lines('end')], ['end ' . POSIX::SIGTERM], 'the supervisor goes on');
};

subtest 'another program' => sub {
    my @events;
    my $pool = FFI::Prefork->new(
        workers  => 2,
        exec     => ['sh', '-c', 'exit $STATUS'],
        env      => { STATUS => 7, PATH => $ENV{PATH} },
        foreign  => 1,
        exit_actions => { 7 => 'done' },
        on_event => sub { push @events, @_ }
    );
    $pool->run;
    is_deeply([map { $_->exit_code } grep { $_->type eq 'worker_exited' } @events], [7, 7], 'statuses');
    error_like(sub { FFI::Prefork->new(exec => ['no-such-program']) }, 'ENOENT', qr/no-such-program/);
    error_like(sub { FFI::Prefork->new(exec => ['sh'])->run(\&stay) }, 'EINVAL', qr/^code must be/);
    error_like(sub { FFI::Prefork->new(exec => '/bin/sh') }, 'EINVAL', qr/^exec must be 1, or an array/);
    error_like(sub { FFI::Prefork->new(env => { A => 1 }) }, 'EINVAL', qr/^env must be undef without exec/);
    for my $env ({ 'A=B' => 1 }, { '' => 1 }, { A => undef }) {
        error_like(sub { FFI::Prefork->new(exec => 1, env => $env) }, 'EINVAL', qr/^env must be/);
    }

    $pool = FFI::Prefork->new(workers => 1, exec => ['sleep', '600'], foreign => 1);
    $pool->start;
    events_until($pool, 'worker_started');
    $pool->set_exec(['sleep', '601']);
    events_until($pool->replace_worker(0), 'worker_exited');
    open my $file, '<', '/proc/' . $pool->worker(0)->{pid} . '/cmdline' or die $!;
    is(readline $file, "sleep\000601\0", 'set_exec');
    $pool->stop;
    1 while $pool->next_event;
    leaves_nothing();
};

subtest 'a worker of another pool' => sub {
    my $program = run_program(script('other.pl', <<'END'));
my $name = defined pool_name() ? 'b' : 'a';
FFI::Prefork->new(name => $name, workers => 1, exec => 1, restart_policy => 'never',
    on_event => sub { print $_[0]->type, "\n" })->run(sub { print "worker\n" });
END
    is($program->end, 0, 'status');
    is_deeply([$program->lines('worker')], ['worker_started', 'worker_exited'], 'does not run');
    like($program->err, qr/already/i, 'its error');
};

subtest 'an upgrade keeps the workers and the sockets' => sub {
    my $program = run_program(script('upgrade.pl', <<'END'));
my ($listener) = bind_sockets(host => '127.0.0.1');
my $pool = FFI::Prefork->new(workers => 2, name => 'web', signals => 'standard', min_uptime => 0,
    on_event => sub { print $_[0]->type, "\n" });
print 'port ', $listener->sockport, "\n";
my $count = 0;
$SIG{USR2} = sub { print "signal\n"; $pool->upgrade($count++ ? () : (exec => ['/nonexistent'])) };
$pool->run(sub { print "worker $$\n"; sleep 1 while 1 });
END
    $program->wait_for('worker ', 2);
    $program->signal('USR2');
    wait_until('the failure', sub { $program->err =~ /the upgrade failed: No such file/ });
    $program->signal('USR2');
    $program->wait_for('adopted');
    my @ports = $program->wait_for('port', 2);
    is($ports[0], $ports[1], 'the same socket');
    is($program->lines('worker '), 2, 'the same workers');
    $program->signal('HUP');
    $program->wait_for('worker ', 4);
    $program->wait_for('reloaded');
    $program->signal('TERM');
    is($program->end, 0, 'status');
};

subtest 'a daemon' => sub {
    my $pid_file = "$directory/pid";
    my $program  = run_program(script('daemon.pl', <<"END"));
print "before\\n";
daemonize('$pid_file');
FFI::Prefork->new(workers => 1, signals => 'standard', ready_timeout => 60)->run(sub {
    ready();
    sleep 1 while 1;
});
END
    is($program->end, 0, 'the launching process');
    is_deeply([$program->lines('')], ['before'], 'output once');
    open my $file, '<', $pid_file or die $!;
    chomp(my $pid = readline $file);
    $daemon = $pid;
    ok($pid > 1 && is_alive($pid), 'the daemon runs');
    my $second = run_program(script('second.pl', "eval { daemonize('$pid_file') }; print \$\@->name, qq(\\n)"));
    $second->end;
    is_deeply([$second->lines('')], ['EEXIST'], 'one at a time');
    kill 'TERM', $pid;
    wait_until('its end', sub { !-e $pid_file && !is_alive($pid) });
    undef $daemon;
};

subtest 'an upgrade waits until the daemon is ready' => sub {
    my $pid_file = "$directory/upgraded";
    my $log      = "$directory/upgraded.log";
    my $program  = run_program(script('upgraded.pl', <<"END"));
use IO::Handle;
daemonize('$pid_file');
open my \$log, '>>', '$log' or die;
\$log->autoflush;
my \$pool = FFI::Prefork->new(name => 'u', workers => 1, signals => 'standard', ready_timeout => 60);
\$pool->start(sub { select undef, undef, undef, 0.05 until -e '$directory/go'; ready(); sleep 1 while 1 });
while (my \$event = \$pool->next_event) {
    print \$log \$event->type, "\\n";
    next if \$event->type ne 'worker_started' || \$ENV{UPGRADED}++;
    \$pool->upgrade;
    \$pool->next_event(0);
    open my \$go, '>', '$directory/go';
}
END
    is($program->end, 0, 'the launching process');
    open my $file, '<', $pid_file or die $!;
    chomp($daemon = readline $file);
    my $text = sub { open my $in, '<', $log or return ''; local $/; readline $in };
    wait_until('the new program', sub { $text->() =~ /adopted/ });
    kill 'TERM', $daemon;
    wait_until('its end', sub { !is_alive($daemon) });
    undef $daemon;
};

subtest 'an upgrade waits for the events of another pool, but not for ever' => sub {
    for my $way ('fails', 'succeeds') {
        my $program = run_program(<<'END', arguments => [$way]);
use FFI::Prefork;
my ($other, $pool) = map { FFI::Prefork->new(name => $_, workers => 2)->start(sub { sleep 1 while 1 }) } 1, 2;
$other->next_event until $other->counter('started') == 2;    # and has events
$pool->next_event  until $pool->counter('started') == 2;
1 while $pool->next_event(0);
$pool->upgrade(exec => ['echo', 'executed']);
print 'event ', defined $pool->next_event(0.3) ? 1 : 0, "\n";
$pool->{upgrade_until} = 0 if $ARGV[0] eq 'fails';
if ($ARGV[0] eq 'succeeds') { 1 while $other->next_event(0) }
print 'event ', defined $pool->next_event(1) ? 1 : 0, "\n";
END
        is($program->end, 0, 'status') or diag $program->err;
        is(scalar $program->lines('executed'), $way eq 'succeeds' ? 1 : 0, $way);
        my $is_told = $program->err =~ /the upgrade failed: Resource temporarily/ ? 1 : 0;
        is($is_told, $way eq 'fails' ? 1 : 0, 'what is told');
    }
};

subtest 'threads' => sub {
    plan skip_all => 'this perl has no threads' if !$Config::Config{useithreads};
    my $program = run_program(script('threads.pl', <<'END'));
use threads;
my $thread = threads->create(sub { sleep 600 });
for my $allow (0, 1) {
    my $pool = FFI::Prefork->new(workers => 1, allow_threads => $allow);
    eval { $pool->run(sub { print "worker\n" }); 1 } or print $@->name, "\n";
}
$thread->detach;
END
    $program->end;
    is_deeply([$program->lines('')], ['PF_ETHREADS', 'worker'], 'refused, unless allowed');
};

subtest 'no descriptor left' => sub {
    my $program = run_program(['sh', '-c', 'ulimit -n 64; exec "$@"', 'sh', @{ script('full.pl', <<'END') }]);
my $pool = FFI::Prefork->new(workers => 1);
$pool->start(sub { sleep 600 });
my $is_full;
while (my $event = $pool->next_event) {
    print $event->type, ' ', $event->message, "\n";
    next if $event->type ne 'worker_started';
    $pool->stop if $is_full;
    if (!$is_full++) {
        1 while defined POSIX::dup(0);
        kill 'KILL', $event->pid;
    }
}
END
    is($program->end, 0, 'status') or diag $program->err;
    is_deeply([$program->lines('start_failed')], [], 'no thread is seen that is not there');
    is(scalar $program->lines('worker_started'), 2, 'a worker is restarted');
};

subtest 'many descriptors of systemd' => sub {
    my $program = run_program(<<'END');
use FFI::Prefork;    # opens what it needs
$^F = 1000;          # what is opened is inherited
my @handles = map { open my $handle, '<', '/dev/null' or die; $handle } 1 .. 100;
@ENV{qw(LISTEN_PID LISTEN_FDS)} = ($$, 100);
exec $^X, '-we', 'use FFI::Prefork "listen_fds";
    print "fds ", join(" ", map { fileno $_ } listen_fds("IO::Handle")), "\n"';
END
    is($program->end, 0, 'status') or diag $program->err;
    is_deeply([$program->lines('fds')], ["fds @{[3 .. 102]}"], 'all of them');
};

done_testing;
