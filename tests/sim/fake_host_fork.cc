// A host that forks by itself: what the library needs for it, over the simulated world, and how
// the host answers.
//
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cerrno>
#include <utility>

#include "host.h"
#include "model.h"
#include "os/process/main_thread.h"
#include "os/signals/signals.h"
#include "os/spawn/worker_process.h"
#include "violation.h"
#include "world.h"

namespace {

using sim::Process;
using sim::world;

bool is_newborn(int32_t pid) {
    return std::any_of(world.newborn.begin(), world.newborn.end(),
                       [pid](const Process &process) { return process.pid == pid; });
}

bool is_watched(int32_t pid) { return sim::find_worker(pid) != UINT32_MAX; }

} // namespace

namespace prefork::os {

bool is_child(int32_t pid) { return is_newborn(pid) || is_watched(pid); }
void lead_group(int32_t /*pid*/) {}

bool join_pool(SpawnParameters * /*parameters*/, int /*admission_end*/) {
    sim::violate("worker", "the host's children are not simulated");
}

bool HeldSignals::hold() {
    const bool first = !std::exchange(held_, true);
    world.signals_blocked += first ? 1U : 0U;
    return first;
}

void HeldSignals::release() { world.signals_blocked -= std::exchange(held_, false) ? 1U : 0U; }

void MainThread::note() {}
bool MainThread::is_current() { return true; }
bool MainThread::forked_this_child() const { return true; }

} // namespace prefork::os

namespace sim {

// The library asks whether it could watch a worker before it asks the host for any.
int look_for_descriptor() {
    const int32_t error =
        model.by_pidfd() && model.order_is_certain() ? world.room_trouble.next() : 0;
    if (error != 0) {
        SIM_TRACE("no descriptors: %d", error);
        model.start_refused(error);
    }
    model.expect_requests();
    return error != 0 ? error : 1;
}

// Returns what the host's fork does: a pid, or the negative errno.
int32_t Host::fork(uint32_t slot, uint32_t how) {
    constexpr int32_t errors[] = {-EAGAIN, -EPERM, -ENOMEM, -ENOSYS};
    if (how % 16 >= 12) {
        return errors[how % 4];
    }
    if (const int32_t error = world.fork_trouble.next(); error != 0) {
        return error;
    }
    Process process;
    process.pid = world.next_pid++;
    process.task_id = slot;
    if (how % 16 == 11 || world.newborn_ends > 0) {
        world.newborn_ends -= world.newborn_ends > 0 ? 1 : 0;
        process.ended = true;
        process.exit = how % 16 == 11 ? exit_of(how / 16) : world.newborn_exit;
    }
    world.newborn.push_back(process);
    world.processes += 1;
    return process.pid;
}

// Returns whether signals are blocked now.
bool Host::prepare_fork(uint32_t slot) {
    const int wanted = model.has_pending_fork(slot) ? 0 : -ESRCH;
    int result = pool_->fork_prepare(static_cast<int32_t>(slot));
    if (result != wanted) {
        violate("prepare", "fork_prepare returns %d, not %d", result, wanted);
    }
    result = result == 0 ? pool_->fork_prepare(static_cast<int32_t>(slot)) : -EALREADY;
    require(result == -EALREADY, "prepare", "a fork is prepared twice");
    require(world.signals_blocked == (wanted == 0 ? 1U : 0U), "signal-mask",
            "a fork is prepared, and signals come");
    return wanted == 0;
}

// A result, whether a fork is pending or not.
void Host::answer(uint32_t slot, uint32_t how) {
    if (host_fork_ == 0 || left_) {
        return;
    }
    const bool prepared = how % 3 != 0 && prepare_fork(slot);
    int32_t pid = 0;
    if (how % 32 == 31) {
        pid = 1; // no child
    } else if (how % 32 == 30 && !world.living.empty()) {
        pid = world.instances[world.living[how / 32 % world.living.size()]].pid;
    } else {
        pid = fork(slot, how);
    }
    SIM_TRACE("the host answers for slot %u: %d", slot, pid);
    world.admitted = 0;
    int wanted = model.answer(slot, pid, pid > 0 && pid != 1, is_watched(pid));
    const bool registers = pid > 0 && wanted == 0;
    const int result = pool_->fork_parent(static_cast<int32_t>(slot), pid);
    require(world.signals_blocked == (prepared ? 1U : 0U), "signal-mask",
            "signals are let through before the answer is complete");
    pool_->fork_done();
    require(world.signals_blocked == 0, "signal-mask", "signals are blocked after the answer");
    model.settle();
    if (registers && result < 0) {
        wanted = model.last_watch_error();
    }
    if (result != wanted) {
        violate("answer", "fork_parent returns %d, not %d", result, wanted);
    }
    require(world.newborn.empty(), "answer", "a child is neither watched nor killed");
    require(world.admitted == (registers && result == 0 ? pid : 0), "admission",
            "a child that is watched has to be let in, and no other");
}

} // namespace sim
