// SPDX-License-Identifier: MIT
#include "os/child_signal.h"

#include <atomic>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/process/process_id.h"
#include "os/process/process_lock.h"
#include "os/wakers.h"

namespace prefork::os {

namespace {

// A host that replaces the handler may have found ours before its own, and call it. Then ours is
// installed before that one again, and is entered once more within itself: each entry of a thread
// passes on to what the one before it had not yet called.
constexpr uint32_t levels_max = 8;
constexpr uint32_t visits_max = 64;

// A thread within the handler. A table, as storage of threads would not be safe in a handler
// wherever the library is loaded late.
struct Visit {
    int32_t thread; // 0: free
    uint32_t depth;
    const void *frame;
};

// Guarded by the lock of the process, which handlers may take: no handler interrupts its holder.
struct {
    ProcessId owner; // the process that it speaks of
    int32_t count;   // of calls that hold the handler
    uint32_t level;  // of those below
    // What the host had, the newest last: each was there when ours was installed.
    struct sigaction below[levels_max];
    Visit visits[visits_max];
} handler{};

std::atomic<uint32_t> arrived; // that the host does not handle

bool has_function(const struct sigaction &action) {
    return (action.sa_flags & SA_SIGINFO) != 0 ||
           (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN);
}

bool is_same(const struct sigaction &one, const struct sigaction &other) {
    const bool with_info = (one.sa_flags & SA_SIGINFO) != 0;
    return one.sa_flags == other.sa_flags && (with_info ? one.sa_sigaction == other.sa_sigaction
                                                        : one.sa_handler == other.sa_handler);
}

// What is noted of holders and threads is that of the process that noted it; what the host had
// below the handler stays true over a fork.
void forget_other_process() {
    if (is_this_process(handler.owner)) {
        return;
    }
    handler.owner = own_process_id();
    handler.count = 0;
    for (Visit &visit : handler.visits) {
        visit.thread = 0;
    }
}

// Returns nullptr if there are too many at a time.
Visit *visit_of(int32_t thread, const void *frame) {
    Visit *unused = nullptr;
    for (Visit &visit : handler.visits) {
        if (visit.thread == thread) {
            // The stack grows downwards: an outer entry that is not above this one was left by a
            // jump.
            visit.depth = frame < visit.frame ? visit.depth + 1 : 0;
            visit.frame = visit.depth == 0 ? frame : visit.frame;
            return &visit;
        }
        unused = visit.thread == 0 ? &visit : unused;
    }
    if (unused != nullptr) {
        *unused = {thread, 0, frame};
    }
    return unused;
}

void leave(int32_t thread) {
    const ProcessLock lock;
    for (Visit &visit : handler.visits) {
        if (visit.thread == thread) {
            visit.thread = visit.depth == 0 ? 0 : thread;
            visit.depth = visit.depth == 0 ? 0 : visit.depth - 1;
        }
    }
}

void on_child(int signal, siginfo_t *info, void *context);

bool is_ours(const struct sigaction &action) {
    return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == on_child;
}

// Unless another handler is before ours: then it stays, and passes on to what the host had, until
// it is called without anything before it.
void give_back() {
    struct sigaction current {};
    sigaction(SIGCHLD, nullptr, &current);
    if (is_ours(current) && handler.level > 0) {
        handler.level -= 1;
        sigaction(SIGCHLD, &handler.below[handler.level], nullptr);
    }
}

// Returns whether there is a handler of the host to be called.
bool enter(int32_t thread, const void *frame, bool *ret_wakes, struct sigaction *ret_host) {
    const ProcessLock lock;
    forget_other_process(); // a child that the host forked by itself
    *ret_wakes = handler.count > 0;
    const Visit *visit = visit_of(thread, frame);
    if (visit == nullptr || visit->depth >= handler.level) {
        return false;
    }
    *ret_host = handler.below[handler.level - 1 - visit->depth];
    if (handler.count == 0) {
        give_back();
    }
    return has_function(*ret_host);
}

void on_child(int signal, siginfo_t *info, void *context) {
    const int saved_errno = errno;
    const auto thread = static_cast<int32_t>(syscall(SYS_gettid));
    bool wakes = false;
    struct sigaction host {};
    const bool passes_on = enter(thread, __builtin_frame_address(0), &wakes, &host);
    if (wakes) {
        arrived.fetch_add(passes_on ? 0 : 1);
        wake_all();
    }
    errno = saved_errno;
    if (passes_on && (host.sa_flags & SA_SIGINFO) != 0) {
        host.sa_sigaction(signal, info, context);
    } else if (passes_on) {
        host.sa_handler(signal);
    }
    const int host_errno = errno;
    leave(thread);
    errno = host_errno;
}

void install_before(const struct sigaction &host) {
    // What it had there before had ours on top, with all that was below.
    uint32_t level = 0;
    while (level < handler.level && !is_same(handler.below[level], host)) {
        level++;
    }
    handler.level = level < levels_max ? level : levels_max - 1;
    handler.below[handler.level++] = host;
    struct sigaction action = host;
    // Children that the kernel reaps for the host are to be so still.
    const bool handled = has_function(host);
    const bool ignored = !handled && host.sa_handler == SIG_IGN;
    action.sa_sigaction = on_child;
    action.sa_flags =
        SA_SIGINFO | SA_ONSTACK | (handled ? host.sa_flags & SA_RESTART : SA_RESTART) |
        (host.sa_flags & (SA_NODEFER | SA_NOCLDSTOP | SA_NOCLDWAIT)) | (ignored ? SA_NOCLDWAIT : 0);
    sigaction(SIGCHLD, &action, nullptr);
}

void install() {
    struct sigaction current {};
    sigaction(SIGCHLD, nullptr, &current);
    if (!is_ours(current)) {
        install_before(current);
    }
}

} // namespace

void hold_child_handler() {
    const ProcessLock lock;
    forget_other_process();
    handler.count += 1;
    install();
}

void release_child_handler() {
    const ProcessLock lock;
    handler.count -= 1;
    if (handler.count == 0) {
        give_back();
    }
}

void check_child_handler() {
    const ProcessLock lock;
    if (handler.count > 0) {
        install();
    }
}

bool host_ignores_children() {
    const ProcessLock lock;
    struct sigaction current {};
    sigaction(SIGCHLD, nullptr, &current);
    const struct sigaction &host =
        is_ours(current) && handler.level > 0 ? handler.below[handler.level - 1] : current;
    return !has_function(host) && host.sa_handler == SIG_IGN;
}

uint32_t child_signals() { return arrived.load(); }

void restore_child_handler() {
    if (handler.level > 0) {
        const ProcessLock lock;
        forget_other_process();
        give_back();
    }
}

} // namespace prefork::os
