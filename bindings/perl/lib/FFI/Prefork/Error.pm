# SPDX-License-Identifier: MIT
package FFI::Prefork::Error;

use strict;
use warnings;
use Errno ();
use Exporter 'import';
use FFI::Prefork::Library qw(pf_strerror);
use overload '""' => \&as_string, bool => sub { 1 }, fallback => 1;

our $VERSION   = 'v0.2.0';
our @EXPORT_OK = qw(check fail invalid);

# The library's own codes; all others are negative errno values.
our %CODE = (
    PF_EGAVEUP  => -4097,
    PF_ETHREADS => -4098,
    PF_ERESOLVE => -4099,
    PF_EFATAL   => -4100,
);

my %name = reverse %CODE;

# The first line outside of this distribution that led here.
sub _place {
    my $level = 1;
    while (my ($package, $file, $line) = caller $level++) {
        return ($file, $line) if $package !~ /^FFI::Prefork(?:::|$)/;
    }
    return ((caller 0)[1, 2]);
}

sub new {
    my ($class, $code, $message) = @_;
    my ($file, $line) = _place();
    return bless { code => $code, message => $message, file => $file, line => $line }, $class;
}

sub code    { return $_[0]{code} }
sub message { return $_[0]{message} }
sub file    { return $_[0]{file} }
sub line    { return $_[0]{line} }
sub errno   { return $_[0]{code} >= -4096 ? -$_[0]{code} : 0 }

sub name {
    my ($self) = @_;
    return $name{ $self->{code} } if exists $name{ $self->{code} };
    my $errno = $self->errno or return '';
    my %number = map { $_ => Errno->can($_)->() } @{ $Errno::EXPORT_TAGS{POSIX} };
    my ($found) = grep { $number{$_} == $errno && $_ ne 'EWOULDBLOCK' } sort keys %number;
    return defined $found ? $found : '';
}

sub as_string {
    my ($self) = @_;
    return "$self->{message} at $self->{file} line $self->{line}.\n";
}

# ---- How the other modules throw --------------------------------------------------------

sub fail {
    my ($code, $what) = @_;
    my $message = pf_strerror($code);
    $message .= ": $what" if defined $what && length $what;
    die __PACKAGE__->new($code, $message);
}

# Returns a result that is good.
sub check {
    my ($result, $what) = @_;
    fail($result, $what) if $result < 0;
    return $result;
}

# A value that is out of its range.
sub invalid {
    my ($name, $range, $value) = @_;
    my $shown
        = !defined $value         ? 'undef'
        : ref $value eq 'ARRAY'   ? '[' . join(', ', map { defined $_ ? $_ : 'undef' } @$value) . ']'
        : ref $value              ? "$value"
        : $value =~ /^-?[\d.]+\z/ ? $value
        :                           "'$value'";
    die __PACKAGE__->new(-Errno::EINVAL(), "$name must be $range, not $shown");
}

1;

__END__

=head1 NAME

FFI::Prefork::Error - an exception of FFI::Prefork

=head1 SYNOPSIS

    eval { $pool->run(\&work); 1 } or do {
        my $error = $@;
        die $error unless ref $error && $error->isa('FFI::Prefork::Error');
        warn $error->message if $error->name eq 'PF_EGAVEUP';
    };

=head1 DESCRIPTION

All functions and methods of this distribution throw objects of this class. As a string such an
object is the message with the file and the line of the caller, as with L<Carp/croak>.

=head1 METHODS

=head2 code

The code of the library: a negative errno value, or a C<PF_E...> code below -4096.

=head2 errno

The errno value, such as C<EINVAL> of L<Errno>. 0 for a C<PF_E...> code.

=head2 name

The name of the code:

    PF_EGAVEUP   too many restarts, or no worker got ready; all were stopped
    PF_EFATAL    a worker exited with a status that is fatal by exit_actions
    PF_ETHREADS  other threads run, so a fork is not safe
    PF_ERESOLVE  the name of a host was not found
    ECHILD       the pool is of another process, or this one is not a worker
    EINVAL       a value is out of range; the message names the parameter
    EBUSY, EALREADY, EADDRINUSE, ...   see the manual page of the function

=head2 message

The text without the place.

=head2 file, line

The place outside of this distribution where the call came from.

=head2 as_string

The message and the place.

=head2 new

C<< FFI::Prefork::Error->new($code, $message) >>. The caller throws the object.

=head1 FUNCTIONS

C<check>, C<fail> and C<invalid> are internal.

=head1 LICENSE

MIT. See the file LICENSE.

=cut
