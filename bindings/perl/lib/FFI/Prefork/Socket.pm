# SPDX-License-Identifier: MIT
package FFI::Prefork::Socket;

use strict;
use warnings;
use Errno ();
use Exporter 'import';
use FFI::Prefork::Error qw(check fail invalid);
use FFI::Prefork::Library qw(pf_bind_sockets pf_bind_unix_socket pf_listen_fds);
use FFI::Prefork::Settings qw(bytes integer);
use IO::Socket::IP ();
use IO::Socket::UNIX ();
use Socket qw(AF_INET AF_INET6 AF_UNIX AF_UNSPEC);

our $VERSION   = 'v0.2.0';
our @EXPORT_OK = qw(bind_sockets bind_unix_socket listen_fds);

use constant { MAX => 64, REUSEPORT => 1 };
use constant {
    PORTS    => '0 to 65535',
    FAMILIES => 'AF_UNSPEC, AF_INET or AF_INET6',
    MODES    => '0 to 0777',
};

# A handle that the descriptor belongs to.
sub adopt {
    my ($fd, $class) = @_;
    my $handle = ($class || 'IO::Socket::IP')->new_from_fd($fd, '+<');
    return $handle || fail(-$!);
}

sub _adopt_listener {
    my ($fd, $class) = @_;
    my $handle = adopt($fd, $class);
    my $name   = getsockname $handle;
    my $is_unix = defined $name && Socket::sockaddr_family($name) == AF_UNIX;
    bless $handle, 'IO::Socket::UNIX' if $is_unix && !defined $class;
    return $handle;
}

sub bind_sockets {
    my (%options) = @_;
    my ($host, $port, $family, $backlog, $reuse_port, $class)
        = delete @options{qw(host port family backlog reuse_port class)};
    fail(-Errno::EINVAL(), "bind_sockets has no parameter $_") for sort keys %options;
    my $number = defined $port ? integer('port', $port, PORTS) : 0;
    invalid('port', PORTS, $port) if $number < 0 || $number > 65_535;
    $family = defined $family ? integer('family', $family, FAMILIES) : AF_UNSPEC;
    invalid('family', FAMILIES, $family) if !grep { $_ == $family } AF_UNSPEC, AF_INET, AF_INET6;
    my @fds = (-1) x MAX;
    my $count = pf_bind_sockets(
        defined $host ? bytes('host', $host) : undef,
        $number,
        $family,
        integer('backlog', $backlog || 0),
        $reuse_port ? REUSEPORT : 0,
        \@fds, MAX
    );
    check($count, (defined $host && length $host ? $host : '*') . ":$number");
    return map { adopt($_, $class) } @fds[0 .. $count - 1];
}

sub bind_unix_socket {
    my ($path, %options) = @_;
    my ($mode, $backlog) = delete @options{qw(mode backlog)};
    fail(-Errno::EINVAL(), "bind_unix_socket has no parameter $_") for sort keys %options;
    $mode = defined $mode ? integer('mode', $mode, MODES) : oct 600;
    invalid('mode', MODES, $mode) if $mode & ~oct 777;
    my $name = bytes('path', $path);
    invalid('path', 'the name of a file', $path) if !length $name;
    my $fd = pf_bind_unix_socket($name, $mode, integer('backlog', $backlog || 0));
    return adopt(check($fd, $path), 'IO::Socket::UNIX');
}

sub listen_fds {
    my ($class) = @_;
    my ($max, $count, @fds) = (MAX);
    do {
        @fds   = (-1) x $max;
        $count = pf_listen_fds(\@fds, $max);
        $max *= 2;
    } while $count == -Errno::ENOBUFS() && $max < 2**30;
    check($count, 'LISTEN_FDS');
    return map { _adopt_listener($_, $class) } @fds[0 .. $count - 1];
}

1;

__END__

=head1 NAME

FFI::Prefork::Socket - listening sockets for workers to share

=head1 SYNOPSIS

    use FFI::Prefork::Socket qw(bind_sockets);

    my ($listener) = bind_sockets(host => '127.0.0.1', port => 8080);

=head1 DESCRIPTION

Bind sockets before the pool starts: forked workers inherit them. In a worker by exec the same calls
return the sockets of the supervisor. The handles are non-blocking and close-on-exec: C<accept>
fails with C<EAGAIN> if another worker was faster.

The functions are exported on request. L<FFI::Prefork> exports them as well.

=head1 FUNCTIONS

=head2 bind_sockets

Binds a listening TCP socket to each address of a host name and returns the handles. Named
arguments:

    host        a name or a numeric address; undef or "": any address
    port        0, the default: the kernel chooses one for all sockets
    family      AF_UNSPEC, the default, AF_INET or AF_INET6
    backlog     as for listen(2); 0, the default: 128
    reuse_port  true: other sockets that set it may bind the same address
    class       of the handles, such as HTTP::Daemon; default IO::Socket::IP

Throws C<PF_ERESOLVE> if the host was not found, C<EADDRINUSE>, C<EACCES> and others; then nothing
is bound.

=head2 bind_unix_socket

C<< bind_unix_socket($path, mode => 0600, backlog => 128) >> returns a listening UNIX stream socket,
an L<IO::Socket::UNIX>. A socket file on which no process listens is replaced, a file of another
kind never (C<EEXIST>).

=head2 listen_fds

C<listen_fds($class)> returns the sockets that systemd passed to this process (C<LISTEN_FDS>), as
handles of the class L<IO::Socket::IP> or L<IO::Socket::UNIX>, unless another class is given. Throws
C<EBADF> if one is not open, and C<EINVAL> if C<LISTEN_FDS> is not a number.

=head2 adopt

Internal.

=head1 LICENSE

MIT. See the file LICENSE.

=cut
