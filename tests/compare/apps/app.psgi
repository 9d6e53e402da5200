# SPDX-License-Identifier: MIT
# The application for Starlet, whose manager loads it before it makes workers.
use strict;
use warnings;
use lib $ENV{APPS};
use App ();
use Starlet::Server ();

App::begin_supervisor();

# Starlet has no hook for the start of a worker.
my $accept_loop = \&Starlet::Server::accept_loop;
{
    no warnings 'redefine';
    *Starlet::Server::accept_loop = sub {
        App::begin_worker();
        return $accept_loop->(@_);
    };
}

sub {
    my $body = App::text();
    return [200, ['Content-Type' => 'text/plain', 'Content-Length' => length $body], [$body]];
};
