#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# The counters of a pool as metrics for Prometheus, by Net::Prometheus: GET /metrics at PORT. The
# supervisor answers in its own loop. HUP reloads, TERM stops.
use strict;
use warnings;
use FFI::Prefork qw(bind_sockets die_of_signal);
use HTTP::Daemon ();
use HTTP::Response ();
use IO::Select ();
use Net::Prometheus ();
use Net::Prometheus::Types ();

package PoolCollector {
    my %help = (
        started        => 'Workers that were started',
        exited         => 'Workers that have ended',
        abnormal       => 'Workers that have ended abnormally',
        restarted      => 'Workers that were restarted',
        start_failed   => 'Starts that failed',
        unresponsive   => 'Workers that were killed because they did not respond',
        reloads        => 'Reloads that have begun',
        replace_failed => 'Replacements that failed',
        ready          => 'Workers that are ready now',
        alive          => 'Worker processes now',
        spares         => 'Spares now',
    );

    sub new { my ($class, $pool) = @_; return bless { pool => $pool }, $class }

    # Called by Net::Prometheus for each request.
    sub collect {
        my ($self) = @_;
        my $counters = $self->{pool}->counters;
        return map {
            my $is_now = /^(?:ready|alive|spares)\z/;
            my $name   = $is_now ? "prefork_workers_$_" : "prefork_${_}_total";
            Net::Prometheus::Types::MetricSamples($name, $is_now ? 'gauge' : 'counter', $help{$_},
                [Net::Prometheus::Types::Sample($name, [], $counters->{$_})]);
        } sort keys %$counters;
    }
}

my ($listener) = bind_sockets(
    host  => '127.0.0.1',
    port  => $ENV{PORT} || 9090,
    class => 'HTTP::Daemon',
);
my $pool = FFI::Prefork->new(workers => $ENV{WORKERS} || 4, signals => 'standard');
my $prometheus = Net::Prometheus->new;
$prometheus->register(PoolCollector->new($pool));

sub serve_metrics {
    my $connection = $listener->accept or return;
    $connection->blocking(1);
    $connection->timeout(1);    # the supervisor waits no longer for a client
    my $request = $connection->get_request or return;
    my $is_known = $request->uri->path eq '/metrics';
    my $response = $is_known
        ? HTTP::Response->new(200, 'OK', ['Content-Type' => 'text/plain; version=0.0.4'],
        $prometheus->render)
        : HTTP::Response->new(404, 'Not Found');
    $connection->force_last_request;
    $connection->send_response($response);
    $connection->close;
}

$SIG{PIPE} = 'IGNORE';
$pool->start(sub { sleep 1 while 1 });
my $select = IO::Select->new($listener, $pool->fd);
until ($pool->is_done) {
    for my $handle ($select->can_read) {
        if (ref $handle) { serve_metrics() }
        else             { print STDERR "prefork: $_\n" for $pool->poll }
    }
}
die_of_signal($pool->stop_signal) if $pool->stop_signal;
