# SPDX-License-Identifier: MIT
# What a handler in %SIG throws may come between any two operations of the supervisor.
use strict;
use warnings;
use lib 't/lib';
use FFI::Prefork ':all';
use PreforkTest;
use Test::More;

# The library repeats a request for a fork that is not answered only after 10 s.
use constant SOON => 8;

# Runs a pool. A signal comes before or after a function is called for the first time.
sub starts_with_a_signal_at {
    my ($function, $is_after) = @_;
    my $original = \&$function;
    my $own      = $$;
    my ($is_sent, @types);
    no warnings qw(redefine prototype);
    no strict 'refs';
    local *$function = sub {
        kill USR1 => $$ if !$is_after && $own == $$ && !$is_sent++;
        my @results = wantarray ? $original->(@_) : scalar $original->(@_);
        kill USR1 => $$ if $is_after && $own == $$ && !$is_sent++;
        return wantarray ? @results : $results[0];
    };
    local $SIG{USR1} = sub { die "signal\n" };
    my $pool  = FFI::Prefork->new(workers => 2, restart_policy => 'never')->start(\&stay);
    my $begin = now();
    my @errors;
    while ($pool->counter('started') < 2 && now() - $begin < SOON) {
        eval { my $event = $pool->next_event(SOON); push @types, $event->type if $event; 1 }
            or push @errors, $@;
    }
    my $mask = do { open my $status, '<', '/proc/self/status' or die; (grep { /^SigBlk/ } <$status>)[0] };
    is($pool->counter('started'), 2, "both have started: @types") or return;
    is_deeply(\@errors, ["signal\n"], 'what the handler has thrown');
    like($mask, qr/^SigBlk:\s*0+$/, 'no signal is blocked');
    $pool->kill;
    push @types, $_->type while $_ = $pool->next_event(SOON);
    is(scalar(grep { $_ eq 'worker_exited' } @types), 2, "no event is lost: @types");
    $pool->close;
    return;
}

for my $function (
    map({"FFI::Prefork::Supervisor::$_"} qw(pf_pool_next_event pf_event_type pf_event_task_id pf_pool_dispatch)),
    map({"FFI::Prefork::Fork::$_"} qw(fork_worker pf_pool_fork_prepare pf_pool_fork_parent)))
{
    for my $is_after (0, 1) {
        my $place = $is_after ? 'after' : 'before';
        subtest "$place $function" => sub { starts_with_a_signal_at($function, $is_after) };
        leaves_nothing();
    }
}

# A statement of a time that no clock has.
subtest 'how long to wait' => sub {
    my $pool = FFI::Prefork->new(workers => 1)->start(\&stay);
    events_until($pool, 'worker_started');
    for my $seconds ('x', '', 'nan', 9**9**9, -9**9**9, 1e300, []) {
        error_like(sub { $pool->next_event($seconds) }, 'EINVAL', qr/seconds must be a number of seconds/);
    }
    is($pool->next_event(-1), undef, 'a time that is over');
    $pool->close;
};
leaves_nothing();

done_testing;
