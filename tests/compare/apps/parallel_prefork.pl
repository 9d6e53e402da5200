#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# Parallel::Prefork, as its documentation has it, with HTTP::Daemon.
use strict;
use warnings;
use FindBin ();
use lib $FindBin::Bin;
use App ();
use HTTP::Daemon ();
use HTTP::Response ();
use Parallel::Prefork ();

my $daemon = HTTP::Daemon->new(
    LocalAddr => '127.0.0.1',
    LocalPort => $ENV{PORT},
    Listen    => 1024,
    ReuseAddr => 1,
) or die "listen: $@";

sub serve {
    App::begin_worker();
    my $is_over = 0;
    local $SIG{TERM} = sub { $is_over = 1 };
    until ($is_over) {
        my $connection = $daemon->accept          or next;
        my $request    = $connection->get_request or next;
        $connection->force_last_request;
        $connection->send_response(
            HTTP::Response->new(200, 'OK', ['Connection' => 'close'], App::text()));
        $connection->close;
    }
    return;
}

my $manager = Parallel::Prefork->new({
    max_workers  => $ENV{WORKERS},
    trap_signals => { TERM => 'TERM', HUP => 'TERM', USR1 => undef },
});
App::begin_supervisor();
while ($manager->signal_received ne 'TERM') {
    $manager->start(\&serve);
}
$manager->wait_all_children;
