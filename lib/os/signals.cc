// SPDX-License-Identifier: MIT
#include "os/signals.h"

#include <atomic>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/codes.h"

namespace prefork::os {

static_assert(base::signal_kill == SIGKILL && base::signal_terminate == SIGTERM);

namespace {

constexpr int raised_by_faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};

// The requests come first, CHLD is last.
constexpr int taken_signals[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGCHLD};
constexpr size_t request_count = 4;
constexpr size_t taken_count = 5;

// What the handler sees. Written before the handler is installed.
struct {
    std::atomic<int32_t> owner;
    std::atomic<int> wake_descriptor;
    std::atomic<uint32_t> arrived[taken_count];
    struct sigaction host_action[taken_count];
    bool taken[taken_count];
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

sigset_t signals_to_block() {
    sigset_t signals;
    sigfillset(&signals);
    for (const int signal : raised_by_faults) {
        sigdelset(&signals, signal);
    }
    // Without a handler SIGCHLD does nothing, but pending it would end every wait once for nothing.
    struct sigaction action {};
    sigaction(SIGCHLD, nullptr, &action);
    if (!has_handler(action)) {
        sigdelset(&signals, SIGCHLD);
    }
    return signals;
}

void on_signal(int signal) {
    const int saved_errno = errno;
    if (getpid() != shared.owner.load(std::memory_order_relaxed)) {
        // A child that the host forked by itself has inherited the handler. It is to behave as if
        // the library were not there: the signal comes again once the handler has returned.
        reset_to_default(signal);
        kill(getpid(), signal);
        errno = saved_errno;
        return;
    }
    for (size_t index = 0; index < taken_count; index++) {
        if (taken_signals[index] == signal) {
            shared.arrived[index].fetch_add(1, std::memory_order_relaxed);
        }
    }
    const uint64_t one = 1;
    // Fails only when a wake-up is waiting already.
    (void)!write(shared.wake_descriptor.load(std::memory_order_relaxed), &one, sizeof(one));
    errno = saved_errno;
}

} // namespace

SignalBlock::SignalBlock() {
    const sigset_t blocked = signals_to_block();
    pthread_sigmask(SIG_BLOCK, &blocked, &host_mask_);
}

SignalBlock::~SignalBlock() { lift(); }

bool SignalBlock::let_through() const {
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

void SignalBlock::impose() const {
    const sigset_t blocked = signals_to_block();
    pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
}

void OwnSignals::take(const sigset_t &host_mask, bool children_too, int wake_descriptor) {
    active_ = true;
    shared.owner.store(getpid(), std::memory_order_relaxed);
    shared.wake_descriptor.store(wake_descriptor, std::memory_order_relaxed);
    for (size_t index = 0; index < taken_count; index++) {
        const int signal = taken_signals[index];
        shared.arrived[index].store(0, std::memory_order_relaxed);
        struct sigaction &current = shared.host_action[index];
        sigaction(signal, nullptr, &current);
        shared.taken[index] = (index < request_count || children_too) && !has_handler(current) &&
                              current.sa_handler == SIG_DFL && sigismember(&host_mask, signal) == 0;
        if (shared.taken[index]) {
            struct sigaction action {};
            action.sa_handler = on_signal;
            action.sa_flags = SA_RESTART | SA_ONSTACK;
            sigfillset(&action.sa_mask);
            sigaction(signal, &action, nullptr);
        }
    }
}

void OwnSignals::give_back() {
    restore_in_worker();
    active_ = false;
}

void OwnSignals::restore_in_worker() const {
    for (size_t index = 0; active_ && index < taken_count; index++) {
        if (!shared.taken[index]) {
            continue;
        }
        const int signal = taken_signals[index];
        struct sigaction current {};
        sigaction(signal, nullptr, &current);
        // What the host has set meanwhile is the host's.
        if ((current.sa_flags & SA_SIGINFO) == 0 && current.sa_handler == on_signal) {
            sigaction(signal, &shared.host_action[index], nullptr);
        }
    }
}

int OwnSignals::next_request() {
    for (size_t index = 0; active_ && index < request_count; index++) {
        if (shared.arrived[index].exchange(0, std::memory_order_relaxed) > 0) {
            return taken_signals[index];
        }
    }
    return 0;
}

bool OwnSignals::child_ended() {
    return active_ && shared.arrived[request_count].exchange(0, std::memory_order_relaxed) > 0;
}

void die_of(int signal) {
    // The C library would do this at an exit, which this end replaces.
    fflush(nullptr);
    reset_to_default(signal);
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, signal);
    pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
    kill(getpid(), signal);
    _exit(128 + signal);
}

bool children_may_vanish(bool threads) {
    struct sigaction action {};
    sigaction(SIGCHLD, nullptr, &action);
    const bool ignored = (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_IGN;
    return threads || ignored || (action.sa_flags & SA_NOCLDWAIT) != 0;
}

} // namespace prefork::os
