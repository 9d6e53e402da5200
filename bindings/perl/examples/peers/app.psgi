# SPDX-License-Identifier: MIT
# The answer of http_server.pl as an application of PSGI, for servers to compare with.
use strict;
use warnings;

sub {
    my $body = "hello from pid $$\n";
    return [200, ['Content-Type' => 'text/plain', 'Content-Length' => length $body], [$body]];
};
