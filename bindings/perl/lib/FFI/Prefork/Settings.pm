# SPDX-License-Identifier: MIT
package FFI::Prefork::Settings;

use strict;
use warnings;
use Config ();
use Errno qw(EINVAL ENOENT);
use Exporter 'import';
use FFI::Platypus::Buffer qw(scalar_to_pointer);
use FFI::Prefork::Error qw(check fail invalid);
use FFI::Prefork::Library qw(pf_pool_add_fd pf_pool_set_exec);
use Scalar::Util qw(looks_like_number reftype);

our $VERSION   = 'v0.2.0';
our @EXPORT_OK = qw(UNLIMITED apply bytes descriptor integer program set_program signal_number
    wait_time with_program);

use constant UNLIMITED => 2147483647;

our %ENUM = (
    restart_policy => { on_failure  => 0, always     => 1, never => 2 },
    limit_action   => { stop        => 0, degrade    => 1 },
    exit_actions   => { default     => 0, restart    => 1, done      => 2, fatal => 3 },
    signals        => { none        => 0, standard   => 1, stop_only => 2 },
    reload_order   => { start_first => 0, stop_first => 1 },
    backend        => { auto        => 0, pidfd      => 1, sigchld => 2 },
    reap_orphans   => { none        => 0, adopted    => 1, all     => 2 },
    process_groups => { none        => 0, signals    => 1, kill    => 2 },
);

# How each setting is given, and its range for messages.
my $count   = [count   => '0 to 65536'];
my $seconds = [seconds => 'a number of seconds, at least 0'];
my $flag    = [flag    => '0 or 1'];
my $signal  = [signal  => 'the name or number of a signal; 0: none'];
our %SETTING = (
    name                => [text    => 'a string of at most 63 bytes without NUL'],
    workers             => $count,
    spares              => $count,
    replace_width       => [count   => '1 to 65536'],
    max_restarts        => [count   => '0 to 2147483647, or a negative number'],
    boot_limit          => [count   => '0 to 2147483647'],
    restart_window      => [window  => '[restarts, seconds], with 1 to 65536 restarts; [0, 0]: none'],
    backoff             => [pair    => '[first, max], in seconds, where max is not smaller'],
    lifetime            => [pair    => '[age, random part], in seconds'],
    ready_timeout       => $seconds,
    min_uptime          => $seconds,
    heartbeat_timeout   => $seconds,
    stop_signal         => $signal,
    stop_timeout        => [stop    => 'a number of seconds, at least 0; 0: no limit'],
    parent_death_signal => $signal,
    stop_fd             => $flag,
    manager_notify      => $flag,
    exit_actions        => [actions => 'a hash of exit statuses, 0 to 255, to default, restart, done or fatal'],
    (
        map { ($_ => [enum => join(' or ', sort keys %{ $ENUM{$_} })]) }
            grep { $_ ne 'exit_actions' } keys %ENUM
    ),
);

my %signal_number;
@signal_number{ split ' ', $Config::Config{sig_name} } = split ' ', $Config::Config{sig_num};

# ---- Values -------------------------------------------------------------------------------

# Perl's own bytes of a string, as its system calls have them.
sub bytes {
    my ($name, $value, $range) = @_;
    $range = 'a string without NUL' if !defined $range;
    invalid($name, $range, $value) if !defined $value || ref $value && !overload::Method($value, '""');
    my $text = "$value";
    utf8::encode($text) if utf8::is_utf8($text);
    invalid($name, $range, $value) if $text =~ /\0/;
    return $text;
}

# A C int: what does not fit would be cut.
sub integer {
    my ($name, $value, $range, $shown) = @_;
    $range = 'an integer of 32 bits' if !defined $range;
    my $is_good = defined $value && !ref $value && $value =~ /^[-+]?[0-9]+\z/ && abs $value < 2**31;
    invalid($name, $range, @_ > 3 ? $shown : $value) if !$is_good;
    return 0 + $value;
}

# Returns ms. Something remains of a duration that is not 0.
sub _ms {
    my ($name, $value, $range, $shown) = @_;
    my $is_good = looks_like_number($value) && $value >= 0 && $value < 2**50;
    invalid($name, $range, @_ > 3 ? $shown : $value) if !$is_good;
    my $ms = int($value * 1000 + 0.5);
    return $value > 0 && $ms == 0 ? 1 : $ms;
}

# How long to wait, in seconds. Of a time that is over nothing remains.
sub wait_time {
    my ($value) = @_;
    my $is_good = looks_like_number($value) && $value < 2**50 && $value > -2**50;
    invalid('seconds', 'a number of seconds', $value) if !$is_good;
    return $value < 0 ? 0 : $value;
}

sub signal_number {
    my ($name, $value, $range) = @_;
    $range = 'the name or number of a signal' if !defined $range;
    (my $short = defined $value ? $value : '') =~ s/^SIG//;
    return $signal_number{$short} if exists $signal_number{$short} && $short ne 'ZERO';
    return integer($name, $value, $range);
}

# The number of a descriptor, or that of a file handle.
sub descriptor {
    my ($name, $value) = @_;
    my $fd = ref $value || ref \$value eq 'GLOB' ? eval { fileno $value } : $value;
    return integer($name, $fd, 'an open file handle or the number of a descriptor', $value);
}

sub _enum {
    my ($name, $value, $range) = @_;
    my $numbers = $ENUM{$name};
    invalid($name, $range, $value) if !defined $value || ref $value || !exists $numbers->{$value};
    return $numbers->{$value};
}

sub _two {
    my ($name, $value, $range) = @_;
    my $is_pair = ref $value && reftype($value) eq 'ARRAY' && @$value == 2;
    invalid($name, $range, $value) if !$is_pair;
    return @$value;
}

# What the setter gets: the arguments of one call for each element.
my %convert = (
    text    => sub { return [bytes(@_)] },
    count   => sub { return [integer(@_)] },
    seconds => sub { return [_ms(@_)] },
    signal  => sub { return [signal_number(@_)] },
    enum    => sub { return [_enum(@_)] },
    flag    => sub { return [$_[1] ? 1 : 0] },
    pair    => sub {
        my ($name, $value, $range) = @_;
        return [map { _ms($name, $_, $range, $value) } _two(@_)];
    },
    window => sub {
        my ($name, $value, $range) = @_;
        my ($restarts, $window) = _two(@_);
        return [integer($name, $restarts, $range, $value), _ms($name, $window, $range, $value)];
    },
    actions => sub {
        my ($name, $value, $range) = @_;
        invalid($name, $range, $value) if ref $value ne 'HASH';
        return map { [integer($name, $_, $range), _enum($name, $value->{$_}, $range)] }
            sort keys %$value;
    },
);

my %setter = (exit_actions => 'exit_action');

sub _set {
    my ($pool, $setter, $name, $value, @arguments) = @_;
    my $result = FFI::Prefork::Library->can("pf_pool_set_$setter")->($pool, @arguments);
    invalid($name, $SETTING{$name}[1], $value) if $result == -EINVAL;
    check($result, $name);
    return;
}

# Gives the pool its settings, but for the program and the descriptors.
sub apply {
    my ($pool, $settings) = @_;
    my %rest = %$settings;
    if (exists $rest{stop_signal} || exists $rest{stop_timeout}) {
        my ($number, $timeout) = @rest{qw(stop_signal stop_timeout)};
        $number  = 'TERM' if !exists $rest{stop_signal};
        $timeout = 10     if !exists $rest{stop_timeout};
        my @values = (
            signal_number('stop_signal', $number, $SETTING{stop_signal}[1]),
            _ms('stop_timeout', $timeout, $SETTING{stop_timeout}[1])
        );
        _set($pool, 'stop', 'stop_signal', $number, @values);
        delete @rest{qw(stop_signal stop_timeout)};
    }
    for my $name (sort keys %rest) {
        my $setting = $SETTING{$name} or fail(-EINVAL, "there is no setting $name");
        my ($kind, $range) = @$setting;
        for my $arguments ($convert{$kind}->($name, $rest{$name}, $range)) {
            _set($pool, $setter{$name} || $name, $name, $rest{$name}, @$arguments);
        }
    }
    return;
}

# ---- Workers by exec, and what they inherit --------------------------------------------------

sub _path_of {
    my ($program) = @_;
    return $program if $program =~ m{/};
    for my $directory (split /:/, defined $ENV{PATH} ? $ENV{PATH} : '') {
        my $path = (length $directory ? $directory : '.') . "/$program";
        return $path if -f $path && -x _;
    }
    return fail(-ENOENT, $program);
}

# Calls a function of the library with path, argv and envp. True: this program, anew.
sub with_program {
    my ($function, $exec, $env) = @_;
    my ($path, @lists) = program($exec, $env);
    # Pointers to the strings, which live as long as the lists.
    my @vectors = map { defined $_ ? pack('p*', @$_, undef) : undef } @lists;
    return $function->($path, map { defined $_ ? scalar_to_pointer($_) : undef } @vectors);
}

# Returns the path, and lists of the arguments and the variables.
sub program {
    my ($exec, $env) = @_;
    my ($path, $arguments, $variables);
    my $range = '1, or an array of the program and its arguments';
    invalid('exec', $range, $exec) if $exec && !ref $exec && $exec ne '1';
    if (ref $exec) {
        invalid('exec', $range, $exec) if reftype($exec) ne 'ARRAY' || !@$exec;
        $arguments = [map { bytes('exec', $_) } @$exec];
        $path      = _path_of($arguments->[0]);
    }
    if (defined $env) {
        invalid('env', 'a hash of names to values', $env) if ref $env ne 'HASH';
        for my $name (sort keys %$env) {
            my $is_good = length $name && $name !~ /=/ && defined $env->{$name};
            invalid('env', 'a hash of names without = to values', $name) if !$is_good;
        }
        $variables = [map { bytes('env', "$_=$env->{$_}") } sort keys %$env];
    }
    return ($path, $arguments, $variables);
}

sub set_program {
    my ($pool, $exec, $env) = @_;
    check(with_program(sub { pf_pool_set_exec($pool, @_) }, $exec, $env), 'exec');
    return;
}

sub add_descriptors {
    my ($pool, $fds) = @_;
    my $range = 'a hash of names, 1 to 255 bytes without colon, to file handles';
    invalid('fds', $range, $fds) if ref $fds ne 'HASH';
    for my $name (sort keys %$fds) {
        my $result = pf_pool_add_fd($pool, bytes('fds', $name, $range), descriptor('fds', $fds->{$name}));
        invalid('fds', $range, $name) if $result == -EINVAL;
        check($result, "fds: $name");
    }
    return;
}

1;

__END__

=head1 NAME

FFI::Prefork::Settings - the named arguments of FFI::Prefork

=head1 DESCRIPTION

This module checks the values and gives them to the library. It is internal: L<FFI::Prefork/new>
describes the settings.

=head1 CONSTANTS

=head2 UNLIMITED

As C<max_restarts>: no limit.

=head1 FUNCTIONS

All of these are internal: C<apply>, C<add_descriptors>, C<bytes>, C<descriptor>, C<integer>,
C<program>, C<set_program>, C<signal_number>, C<wait_time>, C<with_program>.

=head1 LICENSE

MIT. See the file LICENSE.

=cut
