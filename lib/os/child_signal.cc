// SPDX-License-Identifier: MIT
#include "os/child_signal.h"

#include <atomic>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/wakers.h"

namespace prefork::os {

namespace {

std::atomic<int> holders;
std::atomic<int32_t> owner;
std::atomic<int32_t> thread_inside; // the handler; 0: none
// The handler reads it at any time: two copies, of which one is in force.
struct sigaction host_actions[2];
std::atomic<int> host_action_in_force;

void on_child(int signal, siginfo_t *info, void *context) {
    const int saved_errno = errno;
    const auto thread = static_cast<int32_t>(syscall(SYS_gettid));
    const int32_t outer = thread_inside.exchange(thread);
    if (outer == thread) {
        return; // the host's new handler calls ours, which it found before it
    }
    const struct sigaction &host = host_actions[host_action_in_force.load()];
    if (getpid() == owner.load()) { // else a child that the host forked by itself
        wake_all();
    }
    errno = saved_errno;
    if ((host.sa_flags & SA_SIGINFO) != 0) {
        host.sa_sigaction(signal, info, context);
    } else if (host.sa_handler != SIG_DFL && host.sa_handler != SIG_IGN) {
        host.sa_handler(signal);
    }
    thread_inside.store(outer);
}

bool is_ours(const struct sigaction &action) {
    return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == on_child;
}

void install_before(const struct sigaction &host) {
    const int other = 1 - host_action_in_force.load();
    host_actions[other] = host;
    host_action_in_force.store(other);
    owner.store(getpid());
    struct sigaction action = host;
    // Children that the kernel reaps for the host are to be so still.
    const bool ignored = (host.sa_flags & SA_SIGINFO) == 0 && host.sa_handler == SIG_IGN;
    action.sa_sigaction = on_child;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK | (host.sa_flags & SA_NODEFER) |
                      (host.sa_flags & (SA_NOCLDSTOP | SA_NOCLDWAIT)) |
                      (ignored ? SA_NOCLDWAIT : 0);
    sigaction(SIGCHLD, &action, nullptr);
}

} // namespace

void hold_child_handler() {
    if (owner.exchange(getpid()) != getpid()) {
        holders.store(0); // those of the parent that forked this process
    }
    holders.fetch_add(1);
    check_child_handler();
}

void release_child_handler() {
    if (holders.fetch_sub(1) == 1) {
        holders.fetch_add(1);
        restore_child_handler();
    }
}

void check_child_handler() {
    struct sigaction current {};
    sigaction(SIGCHLD, nullptr, &current);
    if (!is_ours(current)) {
        install_before(current);
    }
}

bool host_ignores_children() {
    struct sigaction current {};
    sigaction(SIGCHLD, nullptr, &current);
    const struct sigaction &host =
        is_ours(current) ? host_actions[host_action_in_force.load()] : current;
    return (host.sa_flags & SA_SIGINFO) == 0 && host.sa_handler == SIG_IGN;
}

void restore_child_handler() {
    if (holders.load() == 0) {
        return;
    }
    holders.store(0);
    struct sigaction current {};
    sigaction(SIGCHLD, nullptr, &current);
    if (is_ours(current)) {
        sigaction(SIGCHLD, &host_actions[host_action_in_force.load()], nullptr);
    }
}

} // namespace prefork::os
