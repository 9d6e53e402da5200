# SPDX-License-Identifier: MIT
package PreforkTest;

# Programs that are run, and conditions that are waited for.

use strict;
use warnings;
use Exporter 'import';
use File::Temp ();
use POSIX      ();
use Time::HiRes qw(CLOCK_MONOTONIC clock_gettime sleep);

our @EXPORT = qw(caught error_like events_until fresh_directory is_alive leaves_nothing now
    run_program stay wait_until);

use constant DEADLINE => 60;

sub now { return clock_gettime(CLOCK_MONOTONIC) }

# Waits for what is true in the end, and returns it.
sub wait_until {
    my ($what, $condition) = @_;
    my $end = now() + DEADLINE;
    while (1) {
        my $value = $condition->();
        return $value if $value;
        die "waited in vain for $what\n" if now() > $end;
        sleep 0.005;
    }
}

sub fresh_directory { return File::Temp->newdir }

# A worker that stays until it is stopped.
sub stay { sleep 1 while 1 }

# All events until the type has come so often. Throws at the end of the pool.
sub events_until {
    my ($pool, $type, $count) = @_;
    $count ||= 1;
    my @events;
    while ($count > 0) {
        my $event = $pool->next_event(DEADLINE) or die "waited in vain for $type\n";
        push @events, $event;
        $count-- if $event->type eq $type;
    }
    return @events;
}

# The exception of some code.
sub caught {
    my ($code) = @_;
    return eval { $code->(); 1 } ? undef : $@;
}

# Whether some code throws an error of this distribution, with this name of its code and text, and
# the line of the caller.
sub error_like {
    my ($code, $name, $pattern) = @_;
    my $error = caught($code);
    my $is_own = ref $error && $error->isa('FFI::Prefork::Error');
    my ($file) = (caller)[1];
    my $is_good = $is_own && $error->name eq $name && $error =~ $pattern && $error->file eq $file;
    Test::More::ok($is_good, "$name, $pattern")
        or Test::More::diag(defined $error ? "got: $error" : 'nothing was thrown');
    return $error;
}

# No child is left.
sub leaves_nothing {
    my $is_none = waitpid(-1, POSIX::WNOHANG) == -1;
    return Test::More::ok($is_none, 'no process is left');
}

sub is_alive {
    my ($pid) = @_;
    open my $stat, '<', "/proc/$pid/stat" or return 0;
    my $line = readline $stat;
    return defined $line && $line =~ /\)\s+[^ZX]/ ? 1 : 0;
}

# ---- A Perl program in a session of its own, whose output goes to files ---------------------

sub run_program {
    my ($code, %options) = @_;
    my $self = bless { owner => $$, out => File::Temp->new, err => File::Temp->new }, __PACKAGE__;
    my @command = ref $code ? @$code : ($^X, '-Mstrict', '-Mwarnings', '-e', $code, @{ $options{arguments} || [] });
    $self->{pid} = fork;
    die "fork: $!" if !defined $self->{pid};
    if ($self->{pid} == 0) {
        POSIX::setsid();
        open STDIN,  '<',  '/dev/null'   or POSIX::_exit(126);
        open STDOUT, '>>', $self->{out} or POSIX::_exit(126);
        open STDERR, '>>', $self->{err} or POSIX::_exit(126);
        $ENV{PERL5LIB} = join ':', grep { !ref } @INC;
        %ENV = (%ENV, %{ $options{env} || {} });
        no warnings 'exec';
        exec { $command[0] } @command;
        POSIX::_exit(127);
    }
    return $self;
}

sub _slurp {
    my ($path) = @_;
    open my $file, '<', "$path" or die "$path: $!";
    local $/;
    my $text = readline $file;
    return defined $text ? $text : '';
}

sub pid { return $_[0]{pid} }
sub out { return _slurp($_[0]{out}) }
sub err { return _slurp($_[0]{err}) }

# The whole lines of the output that begin so.
sub lines {
    my ($self, $start) = @_;
    return grep { /^\Q$start\E/ } map { s/\n//r } grep { /\n/ } split /^/, $self->out;
}

sub wait_for {
    my ($self, $start, $count) = @_;
    $count ||= 1;
    return @{
        wait_until("$count lines $start",
            sub {
                my @lines = $self->lines($start);
                return \@lines if @lines >= $count;
                die "the program has ended: ", $self->out, $self->err if !is_alive($self->{pid});
                return;
            })
    };
}

sub signal {
    my ($self, $name) = @_;
    kill $name, $self->{pid} or die "kill: $!";
    return;
}

# Waits for its end, and for that of everybody that it started. Returns status, or -signal.
sub end {
    my ($self) = @_;
    my $status = delete $self->{status};
    wait_until('the end of the program',
        sub { my $pid = waitpid($self->{pid}, POSIX::WNOHANG); $status = $?; return $pid != 0 });
    $self->{has_ended} = 1;
    wait_until('the end of all processes', sub { return !kill 0, -$self->{pid} });
    return $status & 127 ? -($status & 127) : $status >> 8;
}

sub DESTROY {
    my ($self) = @_;
    return if $self->{owner} != $$;
    local ($?, $!, $@);
    kill 'KILL', -$self->{pid};
    waitpid $self->{pid}, 0 if !$self->{has_ended};
    return;
}

1;
