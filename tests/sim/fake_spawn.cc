// Starts of simulated workers, by fork and by exec.
//
// SPDX-License-Identifier: MIT
#include <cerrno>
#include <utility>

#include "epoll.h"
#include "host.h"
#include "model.h"
#include "os/spawn/exec.h"
#include "os/spawn/start_barrier.h"
#include "os/spawn/worker_process.h"
#include "pipes.h"
#include "violation.h"
#include "world.h"

using sim::host;
using sim::model;
using sim::require;
using sim::touch;
using sim::violate;
using sim::world;

namespace {

int32_t begin_process(const prefork::os::SpawnParameters &parameters) {
    const auto task_id = static_cast<uint32_t>(parameters.task_id);
    sim::Process process;
    process.pid = world.next_pid++;
    process.task_id = task_id;
    process.introduce(parameters.link, sim::pipes.pipe_of(parameters.link.down));
    if (world.newborn_ends > 0) {
        world.newborn_ends -= 1;
        process.ended = true;
        process.exit = world.newborn_exit;
    }
    world.newborn.push_back(process);
    world.processes += 1;
    SIM_TRACE("pid %d started for slot %u%s", process.pid, task_id,
              process.ended ? ", ends at once" : "");
    return process.pid;
}

// No call looks into it.
alignas(prefork::os::Exec) unsigned char exec_memory[sizeof(prefork::os::Exec)];

} // namespace

namespace sim {

prefork::os::Exec *simulated_exec() { return reinterpret_cast<prefork::os::Exec *>(exec_memory); }

} // namespace sim

namespace prefork::os {

int32_t fork_worker(SpawnParameters *own) {
    const SpawnParameters &parameters = *own;
    const auto task_id = static_cast<uint32_t>(parameters.task_id);
    touch("it forks");
    require(!host.executes(), "exec", "a worker is forked that was to be executed");
    require(world.signals_blocked == 1, "signal-mask", "a fork with signals let through");
    require(!world.unflushed, "stdio", "a fork with the host's output still in its buffers");
    require(parameters.link.supervisor == world.own_pid, "parameters",
            "the supervisor is another process");
    require((parameters.barrier >= 0) == (world.may_vanish && model.by_pidfd()), "parameters",
            "a barrier where none is needed, or none where one is");
    require(world.promised > 0, "descriptors", "a fork without a descriptor to watch it by");
    world.promised -= 1;
    world.clock += world.fork_cost;
    model.forked(task_id);
    // Which of several slots that became due together is next is not for us to say.
    const bool certain = model.order_is_certain();
    if (const int32_t error = certain ? world.fork_trouble.next() : 0; error != 0) {
        SIM_TRACE("fork for slot %u fails with %d", task_id, error);
        model.fork_failed(task_id, error);
        return error;
    }
    if (host.wants_to_be_worker() && !parameters.is_spare()) {
        SIM_TRACE("this process is the new worker of slot %u", task_id);
        world.in_child = true;
        world.own_pid = world.next_pid;
        world.task_id = static_cast<int>(task_id);
        return 0;
    }
    return begin_process(parameters);
}

void discard_process(int32_t pid, const Pidfd & /*pidfd*/) {
    touch("it discards a worker");
    for (size_t index = 0; index < world.newborn.size(); index++) {
        if (world.newborn[index].pid == pid) {
            const uint32_t task_id = world.newborn[index].task_id;
            world.newborn.erase(world.newborn.begin() + static_cast<ptrdiff_t>(index));
            world.reaped += 1;
            model.discarded(task_id, pid);
            return;
        }
    }
    violate("discard", "pid %d is discarded, which is no new worker", pid);
}

// One at a time. Neither stdio nor threads matter to a program that has memory of its own.
int32_t Exec::start(const SpawnParameters &parameters, const SignalBlock &block, bool wants_pidfd,
                    Pidfd *ret_pidfd) {
    const auto task_id = static_cast<uint32_t>(parameters.task_id);
    touch("it executes");
    require(host.executes(), "exec", "a worker is executed that was to be forked");
    require(block.is_blocking() && world.signals_blocked == 1, "signal-mask",
            "a start with signals let through");
    require(wants_pidfd == model.by_pidfd(), "parameters", "the pidfd is not for its backend");
    require(parameters.link.supervisor == world.own_pid, "parameters",
            "the supervisor is another process");
    require(parameters.barrier < 0, "parameters", "a barrier where none is needed");
    const bool again = std::exchange(world.retrying, false);
    if (!again) {
        require(world.promised > 0, "descriptors", "a start without a descriptor to watch it by");
        world.promised -= 1;
        world.clock += world.fork_cost;
        model.forked(task_id);
    }
    const int32_t error = model.order_is_certain() ? world.fork_trouble.next() : 0;
    if ((error == -EMFILE || error == -ENFILE) && world.spare && !again) {
        world.retrying = true;
        return error;
    }
    if (error != 0) {
        SIM_TRACE("exec for slot %u fails with %d", task_id, error);
        model.fork_failed(task_id, error);
        return error;
    }
    const int32_t pid = begin_process(parameters);
    if (wants_pidfd) {
        ret_pidfd->attach(sim::epoll.open(sim::Epoll::Kind::pidfd, pid));
        world.newborn.back().pidfd = ret_pidfd->get();
    }
    return pid;
}

void StartBarrier::release() const {
    require(world.newborn.empty(), "barrier", "it is released before the worker is watched");
}

} // namespace prefork::os
