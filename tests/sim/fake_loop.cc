// What the runtime calls of the event loop: the real one, and what is checked around it.
//
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cerrno>
#include <utility>

#include "channel.h"
#include "epoll.h"
#include "host.h"
#include "manager.h"
#include "model.h"
#include "os/watch/event_loop.h"
#include "violation.h"
#include "witness.h"
#include "world.h"

using prefork::base::Instant;
using prefork::os::Backend;
using prefork::os::Children;
using prefork::os::EventLoop;
using prefork::os::GroupMode;
using prefork::os::Pidfd;
using prefork::os::SignalBlock;
using prefork::os::WaitResult;
using sim::epoll;
using sim::host;
using sim::manager;
using sim::model;
using sim::require;
using sim::touch;
using sim::violate;
using sim::world;

extern "C" {

// The methods of the real event loop, which the Makefile has renamed.
int real_loop_open(EventLoop *self, Backend backend, GroupMode groups, int messages);
void real_loop_watch_messages(EventLoop *self, bool on);
int real_loop_room(EventLoop *self, size_t wanted, uint32_t each, std::span<int> scratch);
int real_loop_add(EventLoop *self, uint32_t worker, int32_t pid, Pidfd *pidfd);
bool real_loop_give_up_spare(EventLoop *self);
void real_loop_retire(EventLoop *self);
bool real_loop_is_whole(const EventLoop *self);
void real_loop_let_go_of_lost(EventLoop *self, bool has_messages);
bool real_loop_knows_newest(const EventLoop *self);
void real_loop_disown(EventLoop *self);
void real_loop_set_deadline(EventLoop *self, Instant deadline);
int real_loop_wait(EventLoop *self, int timeout_ms, SignalBlock *block, WaitResult *ret_result);
void real_loop_wake(const EventLoop *self);

bool real_children_grow(Children *self, uint32_t workers, uint32_t spares);
void real_children_adopt(Children *self, uint32_t worker, int32_t pid, Pidfd *pidfd);
void real_children_move(Children *self, uint32_t from, uint32_t to);
bool real_children_collect(Children *self, uint32_t worker, prefork::base::Exit *ret_exit);
int real_children_send(Children *self, uint32_t worker, int32_t signal);
uint32_t real_children_find(const Children *self, int32_t pid);
void real_children_let_go(Children *self);
void real_children_disown(Children *self);
}

namespace prefork::os {

// ---- Workers --------------------------------------------------------------------------------

bool Children::grow(uint32_t workers, uint32_t spares) {
    if (!real_children_grow(this, workers, spares)) {
        return false;
    }
    world.make_seats(workers, spares);
    return true;
}

uint32_t Children::find(int32_t pid) const {
    const uint32_t worker = real_children_find(this, pid);
    require(worker == sim::find_worker(pid), "pids", "it knows a pid that is no worker's");
    return worker;
}

void Children::adopt(uint32_t worker, int32_t pid, Pidfd *pidfd) {
    sim::Process &process = world.instances[worker];
    require(process.pid == pid, "adoption", "of another process");
    process.refused_at = 0;
    real_children_adopt(this, worker, pid, pidfd);
    const int number = handle(worker).pidfd;
    process.held = world.by_pidfd && number < 0;
    process.pidfd = number;
}

void Children::move(uint32_t spare, uint32_t worker) {
    touch("it moves a spare");
    require(world.instances[spare].pid != 0 && world.instances[worker].pid == 0, "instance",
            "nobody is moved, or to a place that is taken");
    world.move(spare, worker);
    real_children_move(this, spare, worker);
    sim::witness.started(worker);
}

bool Children::collect(uint32_t worker, base::Exit *ret_exit) {
    touch("it collects a worker");
    model.collecting();
    const sim::Process &process = world.instances[worker];
    const int32_t pid = process.pid;
    const bool can = process.ended && !process.traced;
    const bool must_know = process.announced && process.noticed && can;
    require(!must_know || sim::channel.announced_exit(worker) >= 0 || sim::channel.may_miss(worker),
            "announced", "it does not know what a worker has said before its end");
    const bool collected = real_children_collect(this, worker, ret_exit);
    require(collected == can, "collect", "of one that runs, or one that has ended is left");
    if (collected) {
        model.exited(worker, pid, sim::with_announced(worker, *ret_exit));
    }
    return collected;
}

// The first thing that a pool does that cannot wait any more is to kill all.
static void note_failure() {
    const int32_t error = std::exchange(world.failure, 0);
    if (error != 0 && !(world.closed && model.done())) {
        model.wait_failed(error);
    }
}

int Children::send(uint32_t worker, int32_t signal) {
    touch("it sends a signal");
    // Where the host has closed the descriptors, what was asked for before that comes first.
    if (!world.closed || (signal == base::signal_kill && !world.host_signals)) {
        note_failure();
    }
    const sim::Process &process = world.instances[worker];
    if (process.pid == 0) {
        violate("signal-after-reap", "signal %d for worker %u, which is gone", signal, worker);
    }
    SIM_TRACE("signal %d is sent to pid %d", signal, process.pid);
    world.sent_asks = model.sent(worker, signal);
    world.sent_to = worker;
    return real_children_send(this, worker, signal);
}

// ---- The event loop -----------------------------------------------------------------------

EventLoop::~EventLoop() {
    abandon(nullptr, nullptr);
    real_children_let_go(&children_);
    real_loop_retire(this);
}

bool EventLoop::supports(Backend /*backend*/) { return true; }

int EventLoop::open(Backend backend, GroupMode groups, int messages) {
    world.by_pidfd = backend == Backend::pidfd;
    world.opening = true;
    const int result = real_loop_open(this, backend, groups, messages);
    world.opening = false;
    world.open = result == 0;
    return result;
}

void EventLoop::watch_messages(bool on) {
    sim::channel.watch(on);
    real_loop_watch_messages(this, on);
}

int EventLoop::room(size_t wanted, uint32_t descriptors_each, std::span<int> scratch) {
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
    world.descriptors_each = descriptors_each;
    const int room = real_loop_room(this, wanted, descriptors_each, scratch);
    require(room == static_cast<int>(world.promised), "start-count",
            "more or fewer can be watched than there are descriptors");
    model.pop_batch(by_pidfd() && world.may_vanish ? 1 : world.promised);
    return room;
}

int EventLoop::add(uint32_t worker, int32_t pid, Pidfd *pidfd) {
    touch("it watches a worker");
    require(!world.newborn.empty() && world.newborn.front().pid == pid, "watch-order",
            "workers are not watched in the order of their forks");
    require(children_.has_place(worker), "instance", "a worker without a place");
    if (world.instances[worker].pid != 0) {
        violate("instance", "worker %u has a process already", worker);
    }
    world.adding = true;
    const int error = real_loop_add(this, worker, pid, pidfd);
    world.adding = false;
    if (error != 0) {
        SIM_TRACE("pid %d cannot be watched: %d", pid, error);
        require((error != -EMFILE && error != -ENFILE) || !world.spare, "spare",
                "it is kept though a worker cannot be watched");
        model.watch_failed(pid, error);
        return error;
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

bool EventLoop::give_up_spare() {
    require(world.retrying || !world.spare, "spare", "it is given up for nothing");
    const bool had_one = world.spare;
    const bool has_given = real_loop_give_up_spare(this);
    require(has_given == had_one, "spare", "it is there, or is not");
    return has_given;
}

void EventLoop::retire() {
    model.settle();
    require(model.done() || host.is_broken(), "retire", "of a pool that is not done");
    real_loop_retire(this);
    require(world.wakeup < 0, "retire", "signals wake it still");
    world.retired = true;
}

// The real one kills whoever is left, and waits for their ends: it is not the runtime's doing.
void EventLoop::abandon(EndFunction report, void *user) {
    if (world.reaping) { // after a violation nothing may fit together
        world.living.clear();
        world.ended.clear();
        real_children_disown(&children_);
        return;
    }
    if (report == nullptr && world.in_child) {
        require(world.disowned, "detached-child-acts", "it abandons what is not its own");
        return;
    }
    if (report != nullptr) {
        note_failure();
        model.settle();
    }
    world.release_traced();
    while (!world.living.empty()) {
        world.end(world.living.back(), sim::killed_by(base::signal_kill));
    }
    for (uint32_t index = 0; index < children_.size(); index++) {
        const uint32_t worker = children_.id_at(index);
        const int32_t pid = world.instances[worker].pid;
        base::Exit exit;
        if (pid != 0 && real_children_collect(&children_, worker, &exit) && report != nullptr) {
            model.exited(worker, pid, sim::with_announced(worker, exit));
            report(user, worker, exit);
        }
    }
    require(children_.count() == 0, "collect", "one that was killed is not collected");
    world.open = world.open && report != nullptr;
}

void EventLoop::disown() {
    require(world.in_child, "disown", "the owner disowns its pool");
    world.disowned = true;
    real_loop_disown(this);
}

// The next wait fails after the timer could not be set.
void EventLoop::set_deadline(base::Instant deadline) {
    if (world.reaping || world.in_child) {
        return;
    }
    model.settle();
    world.timer_refused = false;
    real_loop_set_deadline(this, deadline);
    world.timer = world.timer_refused ? world.timer : deadline;
}

// Whatever ends is reported in time, and nothing is reported for ever.
static void check_watched(const Children &children, bool by_pidfd) {
    bool any_held = false;
    for (const std::vector<uint32_t> *list : {&world.living, &world.ended}) {
        for (const uint32_t worker : *list) {
            const sim::Process &process = world.instances[worker];
            require(children.pid(worker) == process.pid, "pids", "it is that of another process");
            if (!by_pidfd) {
                continue;
            }
            any_held = any_held || process.held;
            if (process.held) {
                require(!epoll.reports(process.pidfd), "busy", "what cannot be collected wakes");
            } else if (!epoll.reports(process.pidfd, worker)) {
                violate("lost-wakeup", "the end of pid %d would not be seen", process.pid);
            }
        }
    }
    const bool looks = any_held || (!by_pidfd && children.count() > 0);
    require(!looks || epoll.timer() <= world.clock + sim::second, "lost-wakeup",
            "nobody looks for those that are not reported");
    const base::Instant wanted = std::max<base::Instant>(world.timer, 1);
    require(looks || epoll.timer() >= wanted, "busy", "the timer comes for nothing");
    require(epoll.timer() <= wanted, "lost-wakeup", "the timer comes too late");
    require(epoll.listens_to_messages() != sim::channel.is_paused(), "lost-wakeup",
            "messages wake, or do not wake");
}

int EventLoop::wait(int timeout_ms, SignalBlock &block, WaitResult *ret_result) {
    touch("it waits");
    model.settle();
    // In run() of a pool whose statuses are safe nothing happens between a callback and the wait,
    // but for what a manager is sent.
    const bool may_pass = host.runs() && knows_all_statuses_ && !manager.is_there();
    require(world.signals_blocked == 1 || may_pass, "signal-mask",
            "a wait with signals let through");
    if (!world.timer_failed) {
        model.check_wait(timeout_ms, world.timer);
        check_watched(children_, by_pidfd());
    }
    const int32_t error =
        world.expected_error != 0 ? std::exchange(world.expected_error, 0) : world.wait_error;
    world.waiting = true;
    const int result = real_loop_wait(this, timeout_ms, &block, ret_result);
    world.waiting = false;
    require(result == error, "wait", "its error is another");
    if (error != 0) {
        world.timer_failed = false;
        SIM_TRACE("the wait fails");
        world.failure = error;
        return error;
    }
    world.unflushed = world.unflushed || world.interrupted;
    require(!world.woken || !by_pidfd(), "busy", "a wake-up is seen again and again");
    if (ret_result->timer) {
        require(epoll.timer() > world.clock, "busy", "the timer comes again and again");
        world.timer = sim::never;
        if (world.all_beat) {
            world.beat_all(); // before the pool looks
        }
    }
    SIM_TRACE("wait %d: %u ended%s%s%s", timeout_ms, ret_result->ended_count,
              ret_result->timer ? ", timer" : "", ret_result->messages ? ", messages" : "",
              ret_result->interrupted ? ", interrupted" : "");
    model.woke(*ret_result);
    return 0;
}

bool EventLoop::is_whole() const {
    const bool is_whole = real_loop_is_whole(this);
    require(is_whole != world.closed, "closed", "it is not noticed, or is not so");
    return is_whole;
}
bool EventLoop::knows_newest() const { return real_loop_knows_newest(this); }
void EventLoop::wake() const { real_loop_wake(this); }

// What was closed is forgotten, and nothing else. Then it knows its workers by their pids alone.
void EventLoop::let_go_of_lost(bool has_messages) {
    real_loop_let_go_of_lost(this, has_messages);
    world.failure = world.closed ? -EBADF : 0;
    world.spare = world.spare && !world.closed;
    for (uint32_t index = 0; index < children_.size(); index++) {
        sim::Process &process = world.instances[children_.id_at(index)];
        process.pidfd = world.closed ? -1 : process.pidfd;
        require(process.pid == 0 || children_.handle(children_.id_at(index)).pidfd == process.pidfd,
                "pidfd", "one that was closed is kept, or another one is not");
    }
}

} // namespace prefork::os
