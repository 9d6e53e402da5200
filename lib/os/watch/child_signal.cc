// SPDX-License-Identifier: MIT
#include "os/watch/child_signal.h"

#include <atomic>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/process/process_id.h"
#include "os/process/process_lock.h"
#include "os/signals/wakeups.h"
#include "os/watch/other_children.h"

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
    ProcessId owner; // the process that it belongs to
    int32_t count;   // of calls that hold the handler
    int32_t keepers; // of those that want statuses to be kept
    uint32_t level;  // of those below
    // What the host had, the newest last: each was there when ours was installed. The first one
    // stays here when the level is 0 again.
    struct sigaction below[levels_max];
    bool is_used;         // there was one
    bool is_called;       // since the last check, by what is in front of it
    struct sigaction top; // what that was
    Visit visits[visits_max];
    std::atomic<uint32_t> visiting; // of the visits, read without the lock
} handler{};

// Whether other copies of the library are in this process; nullptr: not known yet.
bool (*has_copies)() = nullptr;

bool is_beside_copies() { return has_copies != nullptr && has_copies(); }

bool has_function(const struct sigaction &action) {
    return (action.sa_flags & SA_SIGINFO) != 0 ||
           (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN);
}

// Whether the kernel reaps children with this disposition.
bool discards(const struct sigaction &action) {
    return (action.sa_flags & SA_NOCLDWAIT) != 0 ||
           (!has_function(action) && action.sa_handler == SIG_IGN);
}

bool is_same(const struct sigaction &one, const struct sigaction &other) {
    const bool with_info = (one.sa_flags & SA_SIGINFO) != 0;
    return one.sa_flags == other.sa_flags && (with_info ? one.sa_sigaction == other.sa_sigaction
                                                        : one.sa_handler == other.sa_handler);
}

// What is noted of holders and threads is that of the process that noted it; what the host had
// below the handler stays true over a fork.
void forget_holders_of_parent() {
    if (is_this_process(handler.owner)) {
        return;
    }
    handler.owner = own_process_id();
    handler.count = 0;
    handler.keepers = 0;
    for (Visit &visit : handler.visits) {
        visit.thread = 0;
    }
    handler.visiting.store(0);
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
        handler.visiting.fetch_add(1);
    }
    return unused;
}

void end_visit(Visit *visit) {
    visit->thread = 0;
    handler.visiting.fetch_sub(1);
}

void leave(int32_t thread) {
    const ProcessLock lock;
    for (Visit &visit : handler.visits) {
        if (visit.thread == thread && visit.depth == 0) {
            end_visit(&visit);
        } else if (visit.thread == thread) {
            visit.depth -= 1;
        }
    }
}

void on_child(int signal, siginfo_t *info, void *context);

bool is_child_handler(const struct sigaction &action) {
    return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == on_child;
}

bool keeps_now() {
    return handler.keepers > 0 && handler.level > 0 && discards(handler.below[handler.level - 1]);
}

// Unless another handler is before ours: then it stays, and passes on to what the host had, until
// it is called without anything before it.
void restore_host_handler() {
    struct sigaction current {};
    sigaction(SIGCHLD, nullptr, &current);
    if (is_child_handler(current) && handler.level > 0) {
        handler.level -= 1;
        sigaction(SIGCHLD, &handler.below[handler.level], nullptr);
    }
}

struct Entry {
    bool wakes = false;
    bool reaps = false;     // what the kernel would have reaped
    bool passes_on = false; // to the host's handler
    struct sigaction host {};
};

void enter(int32_t thread, const void *frame, Entry *ret_entry) {
    const ProcessLock lock;
    forget_holders_of_parent(); // in a child of the host
    ret_entry->wakes = handler.count > 0;
    ret_entry->reaps = keeps_now();
    const Visit *visit = visit_of(thread, frame);
    const bool beside_copies = is_beside_copies();
    if (beside_copies && visit != nullptr && visit->depth == 0) {
        handler.is_called = sigaction(SIGCHLD, nullptr, &handler.top) == 0;
    }
    // The handler of another copy of the library, which was installed in turn with this one, calls
    // it once more than there are levels. What came first is below both.
    if (visit == nullptr || !handler.is_used || visit->depth > handler.level ||
        (visit->depth == handler.level && !beside_copies)) {
        return;
    }
    const bool is_below_all = visit->depth == handler.level;
    ret_entry->host = handler.below[is_below_all ? 0 : handler.level - 1 - visit->depth];
    ret_entry->passes_on = has_function(ret_entry->host);
    if (is_below_all) {
        return;
    }
    if (handler.count == 0) {
        ret_entry->reaps = discards(ret_entry->host);
        restore_host_handler();
    }
}

void on_child(int signal, siginfo_t *info, void *context) {
    const int saved_errno = errno;
    const auto thread = static_cast<int32_t>(syscall(SYS_gettid));
    Entry entry;
    enter(thread, __builtin_frame_address(0), &entry);
    if (entry.reaps) {
        (void)reap_up_to_worker();
    }
    if (entry.wakes) {
        wake_all();
    }
    errno = saved_errno;
    if (entry.passes_on && (entry.host.sa_flags & SA_SIGINFO) != 0) {
        entry.host.sa_sigaction(signal, info, context);
    } else if (entry.passes_on) {
        entry.host.sa_handler(signal);
    }
    const int host_errno = errno;
    leave(thread);
    errno = host_errno;
}

// Children that the kernel reaps for the host are to be so still, unless statuses are kept.
void put_before(const struct sigaction &host) {
    struct sigaction action = host;
    const int kept = SA_NODEFER | SA_NOCLDSTOP | (has_function(host) ? SA_RESTART : 0);
    action.sa_sigaction = on_child;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | (host.sa_flags & kept) |
                      (has_function(host) ? 0 : SA_RESTART) |
                      (discards(host) && handler.keepers == 0 ? SA_NOCLDWAIT : 0);
    sigaction(SIGCHLD, &action, nullptr);
}

void install_before(const struct sigaction &host) {
    // What it had there before had ours on top, with all that was below.
    uint32_t level = 0;
    while (level < handler.level && !is_same(handler.below[level], host)) {
        level++;
    }
    handler.level = level < levels_max ? level : levels_max - 1;
    handler.below[handler.level++] = host;
    handler.is_used = true;
    put_before(host);
}

void install() {
    struct sigaction current {};
    sigaction(SIGCHLD, nullptr, &current);
    if (!is_child_handler(current)) {
        // What is in front may call it, as the handler of another copy of the library does. Both
        // would be installed in turn for ever.
        const bool is_below = handler.level > 0 && handler.is_called &&
                              is_same(current, handler.top) && is_beside_copies();
        if (!is_below) {
            install_before(current);
        }
        handler.is_called = false;
    } else if (handler.level > 0) {
        const struct sigaction &host = handler.below[handler.level - 1];
        const bool discards_now = (current.sa_flags & SA_NOCLDWAIT) != 0;
        if (discards_now != (discards(host) && handler.keepers == 0)) {
            put_before(host);
        }
    }
}

} // namespace

void look_for_copies(bool (*function)()) { has_copies = function; }

void hold_child_handler(bool keeps_statuses) {
    const ProcessLock lock;
    forget_holders_of_parent();
    handler.count += 1;
    handler.keepers += keeps_statuses ? 1 : 0;
    install();
}

void release_child_handler(bool keeps_statuses) {
    bool reaps = false;
    {
        const ProcessLock lock;
        reaps = keeps_now();
        handler.count -= 1;
        handler.keepers -= keeps_statuses ? 1 : 0;
        reaps = reaps && handler.keepers == 0;
        if (handler.count == 0) {
            restore_host_handler();
        } else {
            install();
        }
    }
    // The kernel reaps those that end from now on, but not those that have ended meanwhile.
    if (reaps) {
        reap_other_children();
    }
}

void check_child_handler() {
    const ProcessLock lock;
    if (handler.count > 0) {
        install();
    }
}

void forget_abandoned_visit() {
    if (handler.visiting.load() == 0) {
        return;
    }
    const auto thread = static_cast<int32_t>(syscall(SYS_gettid));
    const ProcessLock lock;
    for (Visit &visit : handler.visits) {
        if (visit.thread == thread) {
            end_visit(&visit);
        }
    }
}

bool host_ignores_children() {
    struct sigaction host {};
    sigaction(SIGCHLD, nullptr, &host);
    if (is_child_handler(host)) {
        const ProcessLock lock;
        host = handler.level > 0 ? handler.below[handler.level - 1] : host;
    }
    return !has_function(host) && host.sa_handler == SIG_IGN;
}

bool keeps_for_host() {
    const ProcessLock lock;
    return keeps_now();
}

void restore_child_handler() {
    if (handler.level > 0) {
        const ProcessLock lock;
        forget_holders_of_parent();
        restore_host_handler();
    }
}

} // namespace prefork::os
