# SPDX-License-Identifier: MIT
# What the applications of the peers in Perl do in a supervisor and in a worker, and their answer.
package App;
use strict;
use warnings;
use POSIX ();
use Time::HiRes ();

my $held;

# Called in each worker, before it serves.
sub begin_worker {
    exit 1 if $ENV{FAIL};
    Time::HiRes::sleep(($ENV{START_MS} || 0) / 1000);
    return;
}

# Called in the supervisor, before it makes workers.
sub begin_supervisor {
    $held = 'x' x (($ENV{BALLAST_MIB} || 0) << 20);
    run_foreign($ENV{FOREIGN}) if $ENV{FOREIGN};
    return;
}

sub run_foreign {
    my ($path) = @_;
    defined(my $pid = fork) or die "fork: $!";
    if ($pid == 0) {
        exec 'sh', '-c', 'sleep 0.1; exit 7' or POSIX::_exit(127);
    }
    $SIG{ALRM} = sub {
        my $status = waitpid($pid, 0) == $pid ? $? >> 8 : $!;
        open my $file, '>', $path or die "$path: $!";
        print {$file} "$status\n";
        close $file;
    };
    alarm 1;
    return;
}

sub text {
    return "hello from pid $$\n";
}

1;
