// SPDX-License-Identifier: MIT
#include "os/signals/signals.h"

#include "base/codes.h"

namespace prefork::os {

static_assert(base::signal_kill == SIGKILL && base::signal_terminate == SIGTERM);

namespace {

constexpr int raised_by_faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};

// All but those that a fault raises.
sigset_t blockable_signals() {
    sigset_t signals;
    sigfillset(&signals);
    for (const int signal : raised_by_faults) {
        sigdelset(&signals, signal);
    }
    return signals;
}

bool has_handler(const struct sigaction &action) {
    return (action.sa_flags & SA_SIGINFO) != 0 ||
           (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN);
}

bool has_other_than(const sigset_t &pending, const sigset_t &blocked) {
    for (int signal = 1; signal < NSIG; signal++) {
        if (sigismember(&pending, signal) == 1 && sigismember(&blocked, signal) == 0) {
            return true;
        }
    }
    return false;
}

} // namespace

SignalBlock::SignalBlock() { block_all(&host_mask_); }

SignalBlock::~SignalBlock() { unblock(); }

bool SignalBlock::has_pending() const {
    sigset_t pending;
    if (sigpending(&pending) < 0) {
        return false;
    }
    sigdelset(&pending, SIGCHLD);
    return !sigisemptyset(&pending) && has_other_than(pending, host_mask_);
}

bool SignalBlock::deliver_pending() {
    sigset_t pending;
    if (sigpending(&pending) < 0) {
        sigfillset(&pending); // any may be
    }
    const bool any = !sigisemptyset(&pending) && has_other_than(pending, host_mask_);
    if (any) {
        unblock();
        block();
    }
    return any;
}

void SignalBlock::unblock() {
    if (is_blocking_) {
        is_blocking_ = false;
        pthread_sigmask(SIG_SETMASK, &host_mask_, nullptr);
    }
}

void SignalBlock::block() {
    if (!is_blocking_) {
        is_blocking_ = true;
        block_all(nullptr);
    }
}

void SignalBlock::block_all(sigset_t *ret_before) {
    sigset_t signals = blockable_signals();
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

bool HeldSignals::hold() {
    if (held_) {
        return false;
    }
    const sigset_t signals = blockable_signals();
    pthread_sigmask(SIG_BLOCK, &signals, &before_);
    held_ = true;
    return true;
}

void HeldSignals::release() {
    if (held_) {
        held_ = false;
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
}

bool blocks_all_signals() {
    sigset_t signals = blockable_signals();
    sigset_t mask;
    sigdelset(&signals, SIGKILL);
    sigdelset(&signals, SIGSTOP);
    sigdelset(&signals, SIGCHLD);
    return pthread_sigmask(SIG_SETMASK, nullptr, &mask) == 0 && !has_other_than(signals, mask);
}

bool is_signal_or_none(int signal) { return signal >= 0 && signal < NSIG; }

bool ends_a_process(int signal) {
    switch (signal) {
    case SIGCHLD:
    case SIGCONT:
    case SIGURG:
    case SIGWINCH:
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
        return false;
    default:
        return signal > 0 && signal < NSIG;
    }
}

} // namespace prefork::os
