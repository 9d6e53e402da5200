// What the event loop of the library meets: an epoll, a timer, a wake-up and pidfds. The linker
// leads its calls here.
//
// SPDX-License-Identifier: MIT
#include <cerrno>
#include <cstdarg>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <utility>

#include "channel.h"
#include "epoll.h"
#include "host.h"
#include "model.h"
#include "os/fd/poll.h"
#include "os/process/process_lock.h"
#include "os/signals/wakeups.h"
#include "os/watch/child_signal.h"
#include "os/watch/exit_status.h"
#include "os/watch/other_children.h"
#include "os/watch/worker_registry.h"
#include "violation.h"
#include "world.h"

using prefork::base::Instant;
using sim::Epoll;
using sim::epoll;
using sim::host;
using sim::model;
using sim::Process;
using sim::require;
using sim::violate;
using sim::world;

namespace {

int result_of(int result) {
    errno = result < 0 ? -result : 0;
    return result < 0 ? -1 : result;
}

int open_for_loop(Epoll::Kind kind) {
    const int32_t error = world.open_trouble.next();
    return result_of(error != 0 ? error : epoll.open(kind));
}

// What a call for one process is about.
Process &process_of(int32_t pid) {
    const uint32_t worker = sim::find_worker(pid);
    if (worker == UINT32_MAX) {
        violate("signal-after-reap", "pid %d is nobody's", pid);
    }
    return world.instances[worker];
}

Process &process_of(const prefork::os::ProcessHandle &handle) {
    Process &process = process_of(handle.pid);
    require(handle.pidfd < 0 || epoll.pid_of(handle.pidfd) == handle.pid, "pidfd",
            "it is that of another process");
    return process;
}

} // namespace

extern "C" {

int __wrap_epoll_create1(int flags);
int __wrap_epoll_ctl(int descriptor, int operation, int target, epoll_event *event);
int __wrap_epoll_pwait(int descriptor, epoll_event *events, int size, int timeout_ms,
                       const sigset_t *mask);
int __wrap_timerfd_create(int clock, int flags);
int __wrap_timerfd_settime(int descriptor, int flags, const itimerspec *time, itimerspec *before);
int __wrap_eventfd(unsigned int value, int flags);
int __real_fcntl(int descriptor, int command, ...);
int __wrap_fcntl(int descriptor, int command, ...);
int __wrap_fcntl64(int descriptor, int command, ...);

int __wrap_epoll_create1(int flags) {
    require((flags & EPOLL_CLOEXEC) != 0, "descriptor", "it is inherited");
    return open_for_loop(Epoll::Kind::epoll);
}

int __wrap_epoll_ctl(int descriptor, int operation, int target, epoll_event *event) {
    return result_of(epoll.control(descriptor, operation, target, event));
}

int __wrap_epoll_pwait(int descriptor, epoll_event *events, int size, int timeout_ms,
                       const sigset_t *mask) {
    require(epoll.is_open(descriptor), "wait", "for a descriptor that is not open");
    if (!world.waiting) {
        return result_of(world.open_trouble.next()); // whether it may wait
    }
    require((mask != nullptr) == (world.signals_blocked == 1), "signal-mask",
            "a wait with another mask than the host's");
    if (world.wait_error != 0) {
        return result_of(std::exchange(world.wait_error, 0));
    }
    return host.block(timeout_ms) ? epoll.gather(events, size) : result_of(-EINTR);
}

int __wrap_timerfd_create(int clock, int flags) {
    require(clock == CLOCK_MONOTONIC && (flags & TFD_NONBLOCK) != 0, "timer", "it is another kind");
    return open_for_loop(Epoll::Kind::timer);
}

int __wrap_timerfd_settime(int descriptor, int flags, const itimerspec *time,
                           itimerspec * /*before*/) {
    require(flags == TFD_TIMER_ABSTIME, "timer", "it is relative");
    if (world.timer_error != 0 && !world.opening) {
        SIM_TRACE("the timer cannot be set");
        world.timer_failed = true;
        world.timer_refused = true;
        world.expected_error = std::exchange(world.timer_error, 0);
        return result_of(world.expected_error);
    }
    const auto seconds = static_cast<uint64_t>(time->it_value.tv_sec);
    const auto rest = static_cast<uint64_t>(time->it_value.tv_nsec);
    const Instant deadline = seconds * sim::second + rest;
    return result_of(epoll.set_timer(descriptor, deadline == 0 ? sim::never : deadline));
}

int __wrap_eventfd(unsigned int /*value*/, int flags) {
    require((flags & EFD_NONBLOCK) != 0, "wake", "its reader could block");
    return open_for_loop(Epoll::Kind::wakeup);
}

// The spare descriptor of the event loop.
int __wrap_fcntl(int descriptor, int command, ...) {
    if (!epoll.is_ours(descriptor)) { // a file in which coverage is counted
        va_list list;
        va_start(list, command);
        void *argument = va_arg(list, void *);
        va_end(list);
        return __real_fcntl(descriptor, command, argument);
    }
    require(command == F_DUPFD_CLOEXEC && epoll.is_open(descriptor), "descriptor",
            "something else than a copy of the epoll is wanted");
    const int copy = open_for_loop(Epoll::Kind::epoll);
    world.spare_number = copy;
    world.spare = copy >= 0;
    return copy;
}

// The name that it has with offsets of 64 bits.
int __wrap_fcntl64(int descriptor, int command, ...) {
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);
    return __wrap_fcntl(descriptor, command, argument);
}
}

namespace prefork::os {

// ---- Wake-ups ---------------------------------------------------------------------------------

int add_wakeup(int descriptor) {
    world.wakeup = descriptor;
    return 0;
}
void remove_wakeup(int descriptor) {
    require(world.reaping || world.wakeup == descriptor, "wake", "another one is removed");
    world.wakeup = -1;
}
void wake(int descriptor) {
    const bool is_lost = world.closed && descriptor < 0;
    require(is_lost || epoll.is_open(descriptor), "wake", "of a descriptor that is not open");
    require(!epoll.is_of_host(descriptor), "descriptor", "the host's file is written");
    world.woken = !is_lost;
}

void hold_child_handler(bool /*keeps_statuses*/) {}
void release_child_handler(bool /*keeps_statuses*/) {}
void check_child_handler() {}
void forget_abandoned_visit() {}
bool keeps_for_host() { return false; }
void reap_other_children() {}
void register_workers(const Children * /*workers*/) {}
void unregister_workers(const Children * /*workers*/) {}
ProcessLock::ProcessLock() : mask_{} {}
ProcessLock::~ProcessLock() {}

// ---- Processes --------------------------------------------------------------------------------

// There is a number again once the spare descriptor is given up.
int Pidfd::open(int32_t pid) {
    const bool is_new = !world.newborn.empty() && world.newborn.front().pid == pid;
    const bool is_worker = is_new || sim::find_worker(pid) != UINT32_MAX;
    if (const int32_t error = is_worker ? world.trouble_of_pidfd() : world.open_trouble.next();
        error != 0) {
        return error;
    }
    attach(epoll.open(Epoll::Kind::pidfd, is_worker ? pid : 0));
    if (is_new) {
        world.newborn.front().pidfd = get();
    }
    return 0;
}

bool has_ended(int pidfd) { return process_of(epoll.pid_of(pidfd)).ended; }

bool can_ask_for_exit(int /*pidfd*/) { return world.keeps_statuses; }

int check_waits(int /*pidfd_of_self*/) { return world.open_trouble.next(); }

int descriptors_available(int /*any_descriptor*/, std::span<int> scratch) {
    const size_t available = world.promised * world.descriptors_each;
    return static_cast<int>(available < scratch.size() ? available : scratch.size());
}

// One that a tracer holds cannot be told from one that runs.
ChildState state_of_child(int32_t pid) {
    Process &process = process_of(pid);
    if (process.ended && !process.traced && world.is_noticed(process)) {
        process.noticed = true;
        return ChildState::zombie;
    }
    const uint32_t number = static_cast<uint32_t>(pid) + world.order;
    return !process.ended && number % 8 < world.spurious ? ChildState::unknown
                                                         : ChildState::running;
}

// Nobody waits for a process that has ended and cannot be collected in a busy loop.
static void look_at_traced(Process *process) {
    constexpr base::Duration shortest = 10 * base::millisecond;
    const bool again = process->held && process->refused_at != 0;
    require(!again || world.clock - process->refused_at >= shortest, "busy",
            "one that could not be collected is looked at again at once");
    process->refused_at = world.clock;
    process->held = process->held || world.by_pidfd;
    SIM_TRACE("pid %d cannot be collected", process->pid);
}

bool collect_exit(const ProcessHandle &handle, base::Exit *ret_exit, bool *ret_is_pidfd) {
    Process &process = process_of(handle);
    *ret_is_pidfd = false;
    if (!process.ended || process.traced) {
        if (process.ended) {
            look_at_traced(&process);
        }
        return false;
    }
    *ret_is_pidfd = handle.pidfd >= 0 && !world.status_unknown;
    world.reap(sim::find_worker(handle.pid), ret_exit);
    SIM_TRACE("pid %d is reaped", handle.pid);
    return true;
}

int send_signal(const ProcessHandle &handle, int32_t signal) {
    Process &process = process_of(handle);
    const uint32_t worker = sim::find_worker(handle.pid);
    require(worker == world.sent_to, "signal-after-reap", "a signal is sent to another worker");
    // Also where the signal is then refused: the pool has done what it can.
    process.condemned =
        process.condemned || signal == base::signal_abort || signal == base::signal_kill;
    if (signal == base::signal_kill && world.kills_refused > 0) {
        world.kills_refused -= 1;
        SIM_TRACE("and refused");
        model.kill_refused(worker);
        return -EPERM;
    }
    if (world.sent_asks) {
        world.handle_signal(worker, signal);
    } else {
        world.deliver(worker, signal);
    }
    return 0;
}

int send_signal_to_group(const ProcessHandle & /*process*/, int32_t /*signal*/) {
    violate("signal", "a process group gets one");
}

EndWait::EndWait(base::Duration bound) : bound_(bound), deadline_(0) {}
void EndWait::begin_anew() {}
bool EndWait::wait(const ProcessHandle & /*process*/) { return false; }

} // namespace prefork::os
