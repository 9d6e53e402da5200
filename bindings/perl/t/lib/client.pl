# SPDX-License-Identifier: MIT
# Asks an HTTP server until SIGTERM, and counts: client.pl PORT CONNECTIONS kept|new. A small stand-in
# for tests/programs/load.c, with one connection at a time.
use strict;
use warnings;
use IO::Socket::IP ();

my ($port, undef, $way) = @ARGV;
my ($answered, $lost, $is_over) = (0, 0, 0);
$SIG{TERM} = sub { $is_over = 1 };
$SIG{PIPE} = 'IGNORE';
my $close = $way eq 'new' ? "Connection: close\r\n" : '';
my $connection;
until ($is_over) {
    $connection ||= IO::Socket::IP->new(PeerHost => '127.0.0.1', PeerPort => $port);
    if (!$connection) { $lost++; next }
    $connection->syswrite("GET / HTTP/1.1\r\nHost: test\r\n$close\r\n");
    my ($text, $head, $length) = ('');
    while (1) {
        ($head) = $text =~ /\A(.*?\r\n\r\n)/s;
        ($length) = defined $head ? $head =~ /^Content-Length: (\d+)/mi : ();
        last if defined $length && length $text >= $length + length $head;
        my $count = $connection->sysread($text, 8192, length $text);
        next if !defined $count && $!{EINTR};
        last if !$count;
    }
    my $is_whole = defined $length && length $text == $length + length $head;
    $is_whole && $head =~ m{\AHTTP/1\.1 200} ? $answered++ : $lost++;
    undef $connection if $way eq 'new' || !$is_whole || $head =~ /^Connection: close/mi;
}
print "answered $answered lost $lost refused 0 late 0\n";
