# SPDX-License-Identifier: MIT
# The examples, as they are run by users.
use strict;
use warnings;
use lib 't/lib';
use IO::Socket::IP ();
use POSIX          ();
use PreforkTest;
use Test::More;

# A port that was free a moment ago.
sub free_port {
    return IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1)->sockport;
}

sub get {
    my ($port, $path) = @_;
    my $connection = IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $port) or return;
    $connection->syswrite("GET $path HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    local $/;
    return scalar readline $connection;
}

# Starts an example on a free port, and waits until it answers. Another process may take the port.
sub start_example {
    my ($name, $path, $port) = @_;
    for my $try (1 .. 5) {
        $port = free_port();
        my $program = run_program([$^X, "examples/$name"], env => { PORT => $port, WORKERS => 2, GRACE_S => 5 });
        my $answer;
        wait_until('an answer', sub { ($answer = get($port, $path)) || !is_alive($program->pid) });
        return ($program, $port) if $answer;
    }
    die "$name does not start";
}

sub pids {
    my ($port) = @_;
    my %pids;
    for (1 .. 20) {
        my ($pid) = get($port, '/') =~ /hello from pid (\d+), task \d+$/m;
        $pids{$pid} = 1 if defined $pid;
    }
    return grep { is_alive($_) } sort keys %pids;
}

my @client = $ENV{LOAD} ? ($ENV{LOAD}) : ($^X, 't/lib/client.pl');

subtest 'http_server.pl loses no request in 10 reloads' => sub {
    my ($program, $port) = start_example('http_server.pl', '/');
    my $answer = get($port, '/');
    like($answer, qr{\AHTTP/1\.1 200 }, 'HTTP/1.1');
    my ($length) = $answer =~ /^Content-Length: (\d+)\r$/mi;
    my ($body) = $answer =~ /\r\n\r\n(.*)/s;
    is(length $body, $length, 'Content-Length');
    like(get($port, '/other'), qr{\AHTTP/1\.1 404 }, 'another path');
    my @clients = map { run_program([@client, $port, 4, $_]) } qw(new kept);
    for my $round (1 .. 10) {
        my @before = pids($port);
        $program->signal('HUP');
        wait_until('the old workers end', sub { !grep { is_alive($_) } @before });
    }
    wait_until('two workers', sub { pids($port) == 2 });
    for my $client (@clients) {
        $client->signal('TERM');
        is($client->end, 0, 'status of the client');
        my ($line) = $client->lines('answered');
        like($line, qr/^answered [1-9]\d* lost 0 refused 0 late 0$/, $line);
    }
    $program->signal('TERM');
    is($program->end, -POSIX::SIGTERM, 'status of the server');
    is($program->err, '', 'nothing to report');
};

subtest 'metrics.pl exports the counters' => sub {
    my ($program, $port) = start_example('metrics.pl', '/metrics');
    my $value = sub { my ($number) = get($port, '/metrics') =~ /^$_[0] (\d+)$/m; return $number };
    wait_until('two workers', sub { $value->('prefork_workers_alive') == 2 });
    is($value->('prefork_started_total'), 2, 'started');
    like(get($port, '/metrics'), qr/^# TYPE prefork_started_total counter$/m, 'TYPE');
    like(get($port, '/'), qr{\AHTTP/1\.1 404 }, 'another path');
    $program->signal('HUP');
    wait_until('a reload', sub { $value->('prefork_reloads_total') == 1 });
    $program->signal('TERM');
    is($program->end, -POSIX::SIGTERM, 'status');
};

done_testing;
