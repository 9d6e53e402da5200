#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# An HTTP server on HTTP::Daemon: PORT and WORKERS from the environment. HUP reloads, TERM stops.
# A reload loses no request: a worker that must stop accepts no more, and answers what still comes
# on its connections, with "Connection: close".
use strict;
use warnings;
use FFI::Prefork qw(bind_sockets die_of_signal ready stop_fd);
use HTTP::Daemon ();
use HTTP::Response ();
use IO::Select ();
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(CLOCK_MONOTONIC clock_gettime);

use constant {
    GRACE_S      => $ENV{GRACE_S} || 0.5,    # for a request that is on its way at the stop
    KEEP_ALIVE_S => 30,
    REQUEST_S    => 5,      # for the rest of a request that has begun
};

my ($listener) = bind_sockets(
    host  => '127.0.0.1',
    port  => $ENV{PORT} || 8080,
    class => 'HTTP::Daemon',
);

sub answer {
    my ($request, $task) = @_;
    return HTTP::Response->new(404, 'Not Found', undef, "not found\n") if $request->uri->path ne '/';
    return HTTP::Response->new(200, 'OK', ['Content-Type' => 'text/plain'],
        "hello from pid $$, task $task\n");
}

# Answers one request. Returns false if the connection has ended.
sub serve {
    my ($connection, $task, $is_stopping) = @_;
    my $request = $connection->get_request or return 0;
    my $response = answer($request, $task);
    $response->header('Content-Length' => length $response->content);
    if ($is_stopping) {
        $connection->force_last_request;
        $response->header(Connection => 'close');
    }
    $connection->send_response($response);
    $connection->flush;
    my $is_last = $is_stopping || ($request->header('Connection') || '') =~ /\bclose\b/i;
    return !$is_last && $request->protocol eq 'HTTP/1.1';
}

sub now { return clock_gettime(CLOCK_MONOTONIC) }

sub work {
    my ($task) = @_;
    my $stop   = stop_fd();
    my $select = IO::Select->new($listener, $stop);
    my %until;    # connection => when it is closed if no request comes
    my $is_stopping = 0;
    ready();
    while (!$is_stopping || %until) {
        my $before = now();    # what has come until then is read
        for my $handle ($select->can_read($is_stopping ? 0.02 : %until ? 1 : undef)) {
            if (!ref $handle) {
                $is_stopping = 1;
                $select->remove($listener, $stop);
                $_->[1] = now() + GRACE_S for values %until;
            }
            elsif ($handle == $listener) {
                next if $is_stopping;
                my $connection = $listener->accept or next;    # another worker was faster
                $connection->autoflush(0);                     # a response is one packet
                $connection->blocking(1);
                $connection->timeout(REQUEST_S);
                setsockopt $connection, IPPROTO_TCP, TCP_NODELAY, 1;
                $select->add($connection);
                $until{$connection} = [$connection, now() + KEEP_ALIVE_S];
            }
            else {
                my $is_open;
                do { $is_open = serve($handle, $task, $is_stopping) }
                    while $is_open && length $handle->read_buffer;    # pipelined requests
                $until{$handle}[1] = now() + KEEP_ALIVE_S if $is_open;
                $until{$handle}[1] = 0 if !$is_open;
            }
        }
        for my $expired (grep { $_->[1] <= $before } values %until) {
            my $connection = $expired->[0];
            $select->remove($connection);
            delete $until{$connection};
            $connection->close;
        }
    }
}

$SIG{PIPE} = 'IGNORE';
my $pool = FFI::Prefork->new(
    workers        => $ENV{WORKERS} || 4,
    signals        => 'standard',
    stop_signal    => 0,    # the workers wait for the stop descriptor
    ready_timeout  => 30,
    min_uptime     => 0,
    max_restarts   => FFI::Prefork::UNLIMITED,
    restart_window => [100, 10],
);
$pool->run(\&work);
die_of_signal($pool->stop_signal) if $pool->stop_signal;
