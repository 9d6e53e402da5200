#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# The answer of http_server.pl by Parallel::Prefork, for comparison: as its documentation has it, a
# worker finishes its request at TERM, and HUP has all workers replaced.
use strict;
use warnings;
use HTTP::Daemon ();
use HTTP::Response ();
use Parallel::Prefork ();

my $daemon = HTTP::Daemon->new(
    LocalAddr => '127.0.0.1',
    LocalPort => $ENV{PORT},
    Listen    => 128,
    ReuseAddr => 1,
) or die "listen: $@";
my $manager = Parallel::Prefork->new({
    max_workers  => $ENV{WORKERS},
    trap_signals => { TERM => 'TERM', HUP => 'TERM', USR1 => undef },
});
while ($manager->signal_received ne 'TERM') {
    $manager->start(sub {
        my $is_over = 0;
        local $SIG{TERM} = sub { $is_over = 1 };
        until ($is_over) {
            my $connection = $daemon->accept or next;
            my $request    = $connection->get_request or next;
            my $response = HTTP::Response->new(200, 'OK', ['Content-Type' => 'text/plain'],
                "hello from pid $$\n");
            $connection->force_last_request;
            $connection->send_response($response);
            $connection->close;
        }
    });
}
$manager->wait_all_children;
