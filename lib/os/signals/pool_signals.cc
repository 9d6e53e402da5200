// SPDX-License-Identifier: MIT
#include "os/signals/pool_signals.h"

#include <atomic>
#include <errno.h>
#include <unistd.h>

#include "base/flag.h"
#include "os/process/process_id.h"
#include "os/process/process_lock.h"
#include "os/signals/terminal.h"
#include "os/signals/wakeups.h"

namespace prefork::os {

namespace {

using Kind = SignalRequest::Kind;

// Each signal that a pool can claim, with what it asks for in each set that has it.
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
};
constexpr uint32_t pool_signal_count = sizeof(pool_signals) / sizeof(pool_signals[0]);
static_assert(pool_signal_count <= pool_signals_max);

using Handler = void (*)(int, siginfo_t *, void *);

// By these, which it does not block, each copy of the library knows the handlers of the others.
// Nobody else has such a mask.
constexpr int unblocked_mark[] = {45, 53, 61};

void fill_marked(sigset_t *ret_mask) {
    sigfillset(ret_mask);
    for (const int signal : unblocked_mark) {
        sigdelset(ret_mask, signal);
    }
}

bool is_of_a_copy(const struct sigaction &action) {
    constexpr int last_signal = 64;
    sigset_t marked;
    fill_marked(&marked);
    bool same = (action.sa_flags & SA_SIGINFO) != 0;
    for (int signal = 1; same && signal <= last_signal; signal++) {
        // The kernel leaves out the first two, and the C library may leave out the others.
        const bool is_known =
            signal != SIGKILL && signal != SIGSTOP && signal != 32 && signal != 33;
        same = !is_known || sigismember(&action.sa_mask, signal) == sigismember(&marked, signal);
    }
    return same;
}

// Written under the lock of the process, but for what has arrived; read by the handler at any time.
struct {
    std::atomic<ProcessId> owner;  // the process that the rest belongs to
    std::atomic<int32_t> session;  // with a terminal, when SIGHUP was claimed; 0: none
    std::atomic<uint32_t> changes; // of hangups and arrived, after each
    std::atomic<uint32_t> hangups;
    std::atomic<uint32_t> arrived[pool_signal_count];
    std::atomic<uint32_t> holders[pool_signal_count];
    bool stopping[pool_signal_count]; // given back for the time of a stop
    bool left[pool_signal_count];     // given back while another copy calls it
    // Noted before it is replaced: a default one, or that of another copy of the library.
    struct sigaction host_action[pool_signal_count];
    std::atomic<Handler> other_copy[pool_signal_count]; // which ours calls; nullptr: none
} shared{};

// What a new worker writes. Not zero, so that it lies on the page of the other data that a worker
// writes: each page costs a copy.
struct {
    uint32_t is_not_zero;
    base::Flag installed[pool_signal_count]; // or about to be, or just given back
} written_by_workers = {1, {}};

void reset_to_default(int signal) {
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, nullptr);
}

uint32_t index_of(int signal) {
    uint32_t index = 0;
    while (pool_signals[index].number != signal) {
        index++;
    }
    return index;
}

void on_signal(int signal, siginfo_t *info, void *context);

bool is_ours(const struct sigaction &action) {
    return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == on_signal;
}

// Returns whether the signal is the library's from now on, or has been already.
bool install(uint32_t index) {
    struct sigaction current {};
    if (sigaction(pool_signals[index].number, nullptr, &current) < 0) {
        return false;
    }
    if (is_ours(current) || shared.stopping[index]) {
        return true;
    }
    const bool is_of_other = is_of_a_copy(current);
    if (!is_of_other && ((current.sa_flags & SA_SIGINFO) != 0 || current.sa_handler != SIG_DFL)) {
        return false;
    }
    if (is_of_other && shared.left[index]) {
        written_by_workers.installed[index].store(1);
        return true; // which calls ours
    }
    shared.left[index] = false;
    shared.host_action[index] = current;
    shared.other_copy[index].store(is_of_other ? current.sa_sigaction : nullptr);
    written_by_workers.installed[index].store(1);
    struct sigaction action {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    fill_marked(&action.sa_mask);
    if (sigaction(pool_signals[index].number, &action, nullptr) < 0) {
        written_by_workers.installed[index].store(0);
        return false;
    }
    return true;
}

// What the host has set meanwhile is the host's.
void uninstall(uint32_t index) {
    struct sigaction current {};
    sigaction(pool_signals[index].number, nullptr, &current);
    if (is_ours(current)) {
        sigaction(pool_signals[index].number, &shared.host_action[index], nullptr);
    } else {
        shared.left[index] = is_of_a_copy(current);
    }
    written_by_workers.installed[index].store(0);
}

// The call that touched the terminal begins again when the handler returns. If the process were not
// stopped, that would go on for ever. If another thread is about to stop it, the call of this one
// is next to find the default disposition.
void stop_at_terminal(uint32_t index) {
    const int signal = pool_signals[index].number;
    struct sigaction taken {};
    struct sigaction current {};
    {
        const ProcessLock lock;
        if (shared.stopping[index]) {
            return;
        }
        shared.stopping[index] = true;
        sigaction(signal, nullptr, &taken);
        reset_to_default(signal);
    }
    stop_by(signal);
    const ProcessLock lock;
    shared.stopping[index] = false;
    sigaction(signal, nullptr, &current);
    // Not if the host has taken it meanwhile; and not ours if the last pool has gone.
    if ((current.sa_flags & SA_SIGINFO) == 0 && current.sa_handler == SIG_DFL) {
        const bool is_held = !is_ours(taken) || shared.holders[index].load() > 0;
        sigaction(signal, is_held ? &taken : &shared.host_action[index], nullptr);
    }
}

// The handler was left when the last pool had gone: the signal is as if it had never been there. If
// another copy of the library has called it, that one knows what to do.
void pass_by(uint32_t index) {
    const int signal = pool_signals[index].number;
    struct sigaction current {};
    const ProcessLock lock;
    sigaction(signal, nullptr, &current);
    if (is_of_a_copy(current) && !is_ours(current)) {
        return;
    }
    uninstall(index);
    kill(getpid(), signal); // once the handler has returned
}

void on_signal(int signal, siginfo_t *info, void *context) {
    const int saved_errno = errno;
    const uint32_t index = index_of(signal);
    if (!is_this_process(shared.owner.load(std::memory_order_relaxed))) {
        // A child of the host has inherited the handler. It must behave as without the library: the
        // signal is delivered again when the handler has returned.
        reset_to_default(signal);
        kill(getpid(), signal);
    } else if (is_job_control(signal, *info)) {
        stop_at_terminal(index);
    } else if (shared.holders[index].load() == 0) {
        pass_by(index);
    } else {
        const bool hangs_up = signal == SIGHUP && is_hangup(*info, shared.session.load());
        (hangs_up ? shared.hangups : shared.arrived[index]).fetch_add(1);
        shared.changes.fetch_add(1);
        wake_all();
        if (const Handler other = shared.other_copy[index].load(); other != nullptr) {
            other(signal, info, context);
        }
    }
    errno = saved_errno;
}

// The holders belong to the process that noted them: a worker has restored all dispositions at its
// start, and a child of the host has no part in the pools of its parent. The owner is set last:
// until then the handler behaves as without the library.
void forget_signals_of_parent() {
    if (is_this_process(shared.owner.load())) {
        return;
    }
    for (uint32_t index = 0; index < pool_signal_count; index++) {
        shared.holders[index].store(0);
        shared.stopping[index] = false;
        shared.left[index] = false;
    }
    shared.owner.store(own_process_id());
}

} // namespace

void OwnSignals::claim(SignalSet set, const sigset_t &host_mask) {
    const ProcessLock lock;
    set_ = set;
    forget_signals_of_parent();
    if (set == SignalSet::standard) {
        shared.session.store(session_with_terminal());
    }
    seen_changes_ = shared.changes.load();
    seen_hangups_ = shared.hangups.load();
    for (uint32_t index = 0; index < pool_signal_count; index++) {
        const PoolSignal &signal = pool_signals[index];
        const bool wanted = (set == SignalSet::stops && signal.in_stops) ||
                            (set == SignalSet::standard && signal.in_standard);
        if (wanted && sigismember(&host_mask, signal.number) == 0 && install(index)) {
            shared.holders[index].fetch_add(1);
            seen_[index] = shared.arrived[index].load();
            held_ |= 1U << index;
        } else if (wanted) {
            unavailable_[unavailable_count_++] = signal.number;
        }
    }
}

void OwnSignals::release() {
    if (held_ == 0) {
        return;
    }
    const ProcessLock lock;
    for (uint32_t index = 0; index < pool_signal_count; index++) {
        if ((held_ & (1U << index)) != 0 && shared.holders[index].fetch_sub(1) == 1) {
            uninstall(index);
        }
    }
    held_ = 0;
}

bool OwnSignals::next(SignalRequest *ret_request) {
    const uint32_t changes = shared.changes.load();
    if (changes == seen_changes_) {
        return false;
    }
    if (find_next(ret_request)) {
        return true;
    }
    seen_changes_ = changes; // what came meanwhile is another one
    return false;
}

bool OwnSignals::find_next(SignalRequest *ret_request) {
    const uint32_t hangups = shared.hangups.load(std::memory_order_relaxed);
    if (hangups != seen_hangups_ && held_ != 0) {
        seen_hangups_ = hangups;
        *ret_request = {Kind::stop, SIGHUP};
        return true;
    }
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

int standard_index(int signal) {
    for (uint32_t index = 0; index < pool_signal_count; index++) {
        if (pool_signals[index].in_standard && pool_signals[index].number == signal) {
            return static_cast<int>(index);
        }
    }
    return -1;
}

SignalRequest standard_request(uint32_t index) {
    return {pool_signals[index].in_standard_means, pool_signals[index].number};
}

// All signals are blocked, and there is no other thread. A fork in the midst of another thread's
// install() or uninstall() leaves a signal marked that has, or has not yet, the handler.
void restore_pool_signals() {
    for (uint32_t index = 0; index < pool_signal_count; index++) {
        if (written_by_workers.installed[index].exchange(0) == 0) {
            continue;
        }
        const int signal = pool_signals[index].number;
        struct sigaction replaced {};
        sigaction(signal, &shared.host_action[index], &replaced);
        // Below the handlers of all copies there is the default one.
        if (shared.other_copy[index].load() != nullptr) {
            reset_to_default(signal);
        }
        // Not by is_ours(), which may lie on a page that a new worker has to fetch.
        if (replaced.sa_sigaction != on_signal && !is_of_a_copy(replaced)) {
            sigaction(signal, &replaced, nullptr);
        }
    }
}

} // namespace prefork::os
