// SPDX-License-Identifier: MIT
#include "os/signals.h"

#include <atomic>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/codes.h"
#include "os/child_signal.h"
#include "os/daemon.h"
#include "os/identity.h"
#include "os/wakers.h"

namespace prefork::os {

static_assert(base::signal_kill == SIGKILL && base::signal_terminate == SIGTERM);

namespace {

constexpr int raised_by_faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};

using Kind = SignalRequest::Kind;

// Each signal that a pool can take, with what it asks for in each set that has it.
struct PoolSignal {
    int number;
    bool in_stops;
    bool in_standard;
    Kind in_stops_means;
    Kind in_standard_means;
};

constexpr PoolSignal pool_signals[] = {
    {SIGTERM, true, true, Kind::stop, Kind::stop},
    {SIGINT, true, true, Kind::stop, Kind::quick_stop},
    {SIGQUIT, true, true, Kind::stop, Kind::quick_stop},
    {SIGHUP, true, true, Kind::stop, Kind::reload},
    {SIGTTIN, false, true, Kind::grow, Kind::grow},
    {SIGTTOU, false, true, Kind::shrink, Kind::shrink},
    {SIGUSR1, false, true, Kind::pass_on, Kind::pass_on},
    {SIGUSR2, false, true, Kind::pass_on, Kind::pass_on},
    {SIGWINCH, false, true, Kind::pass_on, Kind::pass_on},
    {SIGCHLD, false, false, Kind::look, Kind::look},
};
constexpr uint32_t pool_signal_count = sizeof(pool_signals) / sizeof(pool_signals[0]);
static_assert(pool_signal_count <= pool_signals_max);

// What the handler sees. Only pools write, each for its own signals, and a handler is installed
// after its owner is known.
struct {
    std::atomic<int32_t> owner;
    std::atomic<uint32_t> arrived[pool_signal_count];
    std::atomic<uint32_t> holders[pool_signal_count];
    std::atomic<uint32_t> generation;
    struct sigaction host_action[pool_signal_count];
} shared{};

void reset_to_default(int signal) {
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, nullptr);
}

bool has_handler(const struct sigaction &action) {
    return (action.sa_flags & SA_SIGINFO) != 0 ||
           (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN);
}

// The terminal sends these to a background job, which says nothing about the number of workers.
bool is_of_terminal(int signal, const siginfo_t &info) {
    return (signal == SIGTTIN || signal == SIGTTOU) && info.si_code > 0;
}

void on_signal(int signal, siginfo_t *info, void * /*context*/) {
    const int saved_errno = errno;
    if (getpid() != shared.owner.load(std::memory_order_relaxed)) {
        // A child that the host forked by itself has inherited the handler. It is to behave as if
        // the library were not there: the signal comes again once the handler has returned.
        reset_to_default(signal);
        kill(getpid(), signal);
    } else if (!is_of_terminal(signal, *info)) {
        for (uint32_t index = 0; index < pool_signal_count; index++) {
            if (pool_signals[index].number == signal) {
                shared.arrived[index].fetch_add(1, std::memory_order_relaxed);
            }
        }
        wake_all();
    }
    errno = saved_errno;
}

bool is_ours(const struct sigaction &action) {
    return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == on_signal;
}

// Returns whether the signal is the library's from now on, or has been already.
bool install(uint32_t index) {
    struct sigaction current {};
    sigaction(pool_signals[index].number, nullptr, &current);
    if (is_ours(current)) {
        return true;
    }
    if (has_handler(current) || current.sa_handler != SIG_DFL) {
        return false;
    }
    shared.host_action[index] = current;
    struct sigaction action {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    sigfillset(&action.sa_mask);
    sigaction(pool_signals[index].number, &action, nullptr);
    return true;
}

void uninstall(uint32_t index) {
    const int signal = pool_signals[index].number;
    struct sigaction replaced {};
    sigaction(signal, &shared.host_action[index], &replaced);
    // What the host has set meanwhile is the host's.
    if (!is_ours(replaced)) {
        sigaction(signal, &replaced, nullptr);
    }
}

// What is noted of holders speaks of the process that noted it: a worker has given all back when it
// began, and a child that the host forked has nothing to do with the pools of its parent.
void forget_other_process() {
    if (shared.owner.load() == getpid()) {
        return;
    }
    shared.owner.store(getpid());
    shared.generation.store(generation());
    for (std::atomic<uint32_t> &holders : shared.holders) {
        holders.store(0);
    }
}

} // namespace

SignalBlock::SignalBlock() { block(&host_mask_); }

SignalBlock::~SignalBlock() { lift(); }

bool SignalBlock::let_through() {
    sigset_t pending;
    sigpending(&pending);
    if (sigisemptyset(&pending)) {
        return false;
    }
    bool any = false;
    for (int signal = 1; signal < NSIG; signal++) {
        any = any || (sigismember(&pending, signal) == 1 && sigismember(&host_mask_, signal) == 0);
    }
    if (any) {
        lift();
        impose();
    }
    return any;
}

void SignalBlock::lift() const { pthread_sigmask(SIG_SETMASK, &host_mask_, nullptr); }

void SignalBlock::impose() { block(nullptr); }

void SignalBlock::block(sigset_t *ret_before) {
    sigset_t signals;
    sigfillset(&signals);
    for (const int signal : raised_by_faults) {
        sigdelset(&signals, signal);
    }
    struct sigaction child {};
    sigaction(SIGCHLD, nullptr, &child);
    const bool handled = has_handler(child);
    children_reap_themselves_ =
        (child.sa_flags & SA_NOCLDWAIT) != 0 || (!handled && child.sa_handler == SIG_IGN);
    if (!handled) {
        // Without a handler it does nothing, but pending it would end every wait once for nothing.
        sigdelset(&signals, SIGCHLD);
    }
    pthread_sigmask(SIG_BLOCK, &signals, ret_before);
}

void OwnSignals::take(SignalSet set, bool children_too, const sigset_t &host_mask) {
    set_ = set;
    forget_other_process();
    for (uint32_t index = 0; index < pool_signal_count; index++) {
        const PoolSignal &signal = pool_signals[index];
        const bool wanted = (set == SignalSet::stops && signal.in_stops) ||
                            (set == SignalSet::standard && signal.in_standard) ||
                            (children_too && signal.number == SIGCHLD);
        if (wanted && sigismember(&host_mask, signal.number) == 0 && install(index)) {
            shared.holders[index].fetch_add(1);
            seen_[index] = shared.arrived[index].load();
            held_ |= 1U << index;
        }
    }
}

void OwnSignals::give_back() {
    for (uint32_t index = 0; index < pool_signal_count; index++) {
        if ((held_ & (1U << index)) != 0 && shared.holders[index].fetch_sub(1) == 1) {
            uninstall(index);
        }
    }
    held_ = 0;
}

bool OwnSignals::next(SignalRequest *ret_request) {
    for (uint32_t index = 0; held_ != 0 && index < pool_signal_count; index++) {
        const uint32_t arrived = shared.arrived[index].load(std::memory_order_relaxed);
        if ((held_ & (1U << index)) == 0 || arrived == seen_[index]) {
            continue;
        }
        seen_[index] = arrived;
        *ret_request = standard_request(index);
        if (set_ == SignalSet::stops) {
            ret_request->kind = pool_signals[index].in_stops_means;
        }
        return true;
    }
    return false;
}

int standard_place(int signal) {
    for (uint32_t index = 0; index < pool_signal_count; index++) {
        if (pool_signals[index].in_standard && pool_signals[index].number == signal) {
            return static_cast<int>(index);
        }
    }
    return -1;
}

SignalRequest standard_request(uint32_t place) {
    return {pool_signals[place].in_standard_means, pool_signals[place].number};
}

bool is_signal_or_none(int signal) { return signal >= 0 && signal < NSIG; }

void restore_host_handlers() {
    for (uint32_t index = 0; index < pool_signal_count; index++) {
        if (shared.generation.load() + 1 >= generation() && shared.holders[index].load() > 0) {
            uninstall(index);
        }
    }
    restore_child_handler();
}

void die_of(int signal) {
    // What would be done at an exit, which this end replaces.
    fflush(nullptr);
    remove_pid_file();
    reset_to_default(signal);
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, signal);
    pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
    kill(getpid(), signal);
    _exit(128 + signal);
}

} // namespace prefork::os
