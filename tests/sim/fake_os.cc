// The functions of lib/os that the runtime calls, over the simulated world.
//
// SPDX-License-Identifier: MIT
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "channel.h"
#include "host.h"
#include "manager.h"
#include "model.h"
#include "os/process/clock.h"
#include "os/process/report.h"
#include "os/process/standard_files.h"
#include "os/process/threads.h"
#include "os/spawn/identity.h"
#include "os/watch/child_signal.h"
#include "os/watch/exit_status.h"
#include "violation.h"
#include "witness.h"
#include "world.h"

using sim::host;
using sim::manager;
using sim::model;
using sim::require;
using sim::touch;
using sim::violate;
using sim::world;

namespace prefork::os {

// ---- Time, text, what this process is -------------------------------------------------------

base::Instant now() { return world.clock; }

const char *error_text(int /*error*/) { return "an error"; }
void write_to_stderr(const char * /*text*/, size_t /*length*/) {
    violate("stderr", "something is written to stderr");
}

void flush_stdio() { world.unflushed = false; }
int task_id() { return world.task_id; }
bool is_worker() { return world.task_id != -1; }
void become_detached_child() { require(world.in_child, "descriptors", "closed by their owner"); }
[[noreturn]] void end_worker(int /*status*/, bool /*threads*/) {
    violate("worker", "there is no function of a worker that could have returned");
}

bool has_threads() {
    touch("a worker is about to be started");
    model.settle();
    return false;
}
bool has_lasting_threads() { return has_threads(); }

// ---- Workers --------------------------------------------------------------------------------

bool Children::grow(uint32_t workers, uint32_t spares) {
    if (!children_.grow(workers) || !children_.grow_spares(spares)) {
        return false;
    }
    world.make_seats(workers, spares);
    return true;
}

int Children::add(uint32_t worker, int32_t pid, Pidfd * /*pidfd*/) {
    touch("it watches a worker");
    require(children_.has(worker), "instance", "a worker without a place");
    require(!world.newborn.empty() && world.newborn.front().pid == pid, "watch-order",
            "workers are not watched in the order of their forks");
    if (const int32_t error = world.watch_trouble.next(); error != 0) {
        SIM_TRACE("pid %d cannot be watched: %d", pid, error);
        model.watch_failed(pid, error);
        return error;
    }
    if (world.instances[worker].pid != 0) {
        violate("instance", "worker %u has a process already", worker);
    }
    const sim::Process process = world.newborn.front();
    world.newborn.erase(world.newborn.begin());
    const base::Instant since = world.clock;
    world.clock += 1; // no two workers are of the same age, so that it is known who is the first
    model.started(worker, process.task_id, pid, since);
    world.settle_in(worker, process, since);
    sim::witness.started(worker);
    return 0;
}

// What nobody else knows is what the worker has announced.
static void reap(uint32_t worker, base::Exit *ret_exit) {
    const int32_t pid = world.instances[worker].pid;
    world.reap(worker, ret_exit);
    SIM_TRACE("pid %d is reaped", pid);
    base::Exit exit = *ret_exit;
    const int announced = sim::channel.announced_exit(worker);
    if (exit.kind == base::Exit::Kind::unknown && announced >= 0) {
        exit.kind = base::Exit::Kind::exited;
        exit.code = announced;
    }
    model.exited(worker, pid, exit);
}

bool Children::collect(uint32_t worker, base::Exit *ret_exit) {
    touch("it collects a worker");
    model.collecting();
    if (!world.instances[worker].ended) {
        return false;
    }
    const bool must_know = world.instances[worker].announced && world.instances[worker].noticed;
    require(!must_know || sim::channel.announced_exit(worker) >= 0 || sim::channel.may_miss(worker),
            "announced", "it does not know what a worker has said before its end");
    reap(worker, ret_exit);
    return true;
}

// The first thing that a pool does that cannot wait any more is to kill all.
static void note_failure() {
    if (world.failure != 0) {
        model.wait_failed(std::exchange(world.failure, 0));
    }
}

int Children::send(uint32_t worker, int32_t signal) {
    touch("it sends a signal");
    note_failure();
    sim::Process &process = world.instances[worker];
    if (process.pid == 0) {
        violate("signal-after-reap", "signal %d for worker %u, which is gone", signal, worker);
    }
    SIM_TRACE("signal %d is sent to pid %d", signal, process.pid);
    const bool asks = model.sent(worker, signal);
    // Also where the signal is then refused: the pool has done what it can.
    process.condemned =
        process.condemned || signal == base::signal_abort || signal == base::signal_kill;
    if (signal == base::signal_kill && world.kills_refused > 0) {
        world.kills_refused -= 1;
        SIM_TRACE("and refused");
        model.kill_refused(worker);
        return -EPERM;
    }
    if (asks) {
        world.handle_signal(worker, signal);
    } else {
        world.deliver(worker, signal);
    }
    return 0;
}

void Children::disown() { children_.reset(); }

// ---- The event loop -----------------------------------------------------------------------

EventLoop::~EventLoop() { abandon(nullptr, nullptr); }

bool EventLoop::supports(Backend /*backend*/) { return true; }

int EventLoop::open(Backend backend, GroupMode /*groups*/, int /*messages*/) {
    if (world.open_error != 0) {
        return world.open_error;
    }
    backend_ = backend;
    knows_all_statuses_ = backend == Backend::pidfd && world.keeps_statuses;
    world.open = true;
    return 0;
}

int EventLoop::room(size_t wanted, uint32_t /*descriptors_each*/, std::span<int> scratch) {
    touch("it looks for descriptors");
    model.settle();
    if (model.host_fork()) {
        return sim::look_for_descriptor();
    }
    require(wanted == (host.executes() ? 1 : model.startable()), "start-count",
            "not all are to be started");
    require(scratch.size() >= wanted, "instance", "no room to look for so many descriptors");
    const bool certain = by_pidfd() && model.order_is_certain();
    const int32_t error = certain ? world.room_trouble.next() : 0;
    if (error != 0) {
        SIM_TRACE("no descriptors: %d", error);
        model.start_refused(error);
        return error;
    }
    world.promised = certain && world.room < wanted ? world.room : wanted;
    model.pop_batch(by_pidfd() && world.may_vanish ? 1 : world.promised);
    return static_cast<int>(world.promised);
}

int EventLoop::add(uint32_t worker, int32_t pid, Pidfd *pidfd) {
    return children_.add(worker, pid, pidfd);
}

void Children::move(uint32_t spare, uint32_t worker) {
    touch("it moves a spare");
    require(world.instances[spare].pid != 0 && world.instances[worker].pid == 0, "instance",
            "nobody is moved, or to a place that is taken");
    world.move(spare, worker);
    sim::witness.started(worker);
}

void EventLoop::retire() {
    model.settle();
    require(model.done() || host.is_broken(), "retire", "of a pool that is not done");
    world.retired = true;
}

// The real one kills and reaps whoever is left: it is not the runtime's doing.
void EventLoop::abandon(EndFunction report, void *user) {
    if (report != nullptr) {
        note_failure();
        model.settle();
        while (!world.living.empty()) {
            world.end(world.living.back(), sim::killed_by(base::signal_kill));
        }
        for (uint32_t index = 0; index < children_.size(); index++) {
            const uint32_t worker = children_.id_at(index);
            if (world.instances[worker].ended) {
                base::Exit exit;
                reap(worker, &exit);
                report(user, worker, exit);
            }
        }
        return;
    }
    if (world.in_child && !world.reaping) {
        require(world.disowned, "detached-child-acts", "it abandons what is not its own");
        return;
    }
    for (const uint32_t worker : world.living) {
        world.instances[worker].ended = true;
    }
    world.reaped += world.living.size() + world.ended.size();
    world.living.clear();
    world.ended.clear();
    world.open = false;
}

void EventLoop::disown() {
    require(world.in_child, "disown", "the owner disowns its pool");
    world.disowned = true;
    children_.disown();
}

void EventLoop::set_deadline(base::Instant deadline) {
    if (world.reaping || world.in_child) {
        return;
    }
    model.settle();
    if (deadline != world.timer && world.timer_error != 0) {
        SIM_TRACE("the timer cannot be set");
        world.wait_error = std::exchange(world.timer_error, 0);
        world.timer_failed = true;
        world.woken = true; // the loop of the host does not wait for ever
        return;
    }
    world.timer = deadline;
}

int EventLoop::wait(int timeout_ms, SignalBlock & /*block*/, WaitResult *ret_result) {
    touch("it waits");
    model.settle();
    // In run() of a pool whose statuses are safe nothing happens between a callback and the wait,
    // but for what a manager is sent.
    const bool may_pass = host.runs() && knows_all_statuses_ && !manager.is_there();
    require(world.signals_blocked == 1 || may_pass, "signal-mask",
            "a wait with signals let through");
    if (!world.timer_failed) {
        model.check_wait(timeout_ms, world.timer);
    }
    *ret_result = WaitResult{};
    if (world.wait_error != 0) {
        world.timer_failed = false;
        SIM_TRACE("the wait fails");
        world.failure = std::exchange(world.wait_error, 0);
        return world.failure;
    }
    const bool ready = host.block(timeout_ms);
    ret_result->interrupted = world.interrupted;
    world.unflushed = world.unflushed || world.interrupted;
    if (ready) {
        world.gather(ret_result);
    }
    if (ret_result->timer && world.all_beat) {
        world.beat_all(); // before the pool looks
    }
    SIM_TRACE("wait %d: %u ended%s%s%s", timeout_ms, ret_result->ended_count,
              ret_result->timer ? ", timer" : "", ret_result->messages ? ", messages" : "",
              ret_result->interrupted ? ", interrupted" : "");
    model.woke(*ret_result);
    return 0;
}

bool EventLoop::knows_newest() const { return is_whole(); }

void EventLoop::wake() const { world.woken = true; }

} // namespace prefork::os

// ---- Memory ---------------------------------------------------------------------------------
// The linker leads the library's calls here (--wrap).

extern "C" {

void *__real_calloc(size_t count, size_t size);
void *__real_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_calloc(size_t count, size_t size) {
    if (!world.reaping) {
        require(world.may_allocate, "allocation", "memory is taken after the start");
        if (world.allocations_left == 0) {
            world.allocation_failed = true;
            world.allocations_left = UINT32_MAX;
            return nullptr;
        }
        world.allocations_left -= world.allocations_left == UINT32_MAX ? 0 : 1;
        if (size == sizeof(prefork::core::Event)) {
            model.set_event_capacity(count);
        }
    }
    return __real_calloc(count, size);
}

void *__wrap_malloc(size_t size) {
    require(world.reaping, "allocation", "memory is taken by malloc");
    return __real_malloc(size);
}
}
