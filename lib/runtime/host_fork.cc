// Workers that the host forks when the pool asks for them.
//
// SPDX-License-Identifier: MIT
#include <errno.h>

#include "os/fd/descriptor.h"
#include "os/process/clock.h"
#include "os/process/threads.h"
#include "os/watch/exit_status.h"
#include "os/watch/worker_registry.h"
#include "runtime/pool.h"

namespace prefork::runtime {

void Pool::request_forks() {
    // At least one of them will find a descriptor.
    if (const int room = loop_.room(1, 1, {}); room < 0) {
        start_failed(supervisor_.pop_start(), room);
    }
    while (supervisor_.startable() > 0) {
        supervisor_.request_start(os::now());
    }
}

// A child that the host has forked but not reported yet would pass for one that may be reaped.
void Pool::note_pending_forks(bool pending) {
    if (pending == forks_pending_) {
        return;
    }
    forks_pending_ = pending;
    if (pending) {
        os::begin_starts();
    } else {
        os::end_starts();
    }
}

// The event that asks the host to fork a slot's worker has been delivered. Returns 0, or a negative
// errno with which the start has failed.
int Pool::expect_fork(int32_t task_id) {
    const bool spare = task_id == base::task_spare;
    step(input_of(core::Input::Kind::request_delivered,
                  spare ? supervisor_.requested_spare() : static_cast<uint32_t>(task_id)));
    main_thread_.note();
    host_has_threads_ = os::has_threads();
    const int result = channel_.expect_fork(task_id);
    if (result < 0) {
        start_failed(pending_fork(task_id), result);
    }
    return result;
}

uint32_t Pool::pending_fork(int32_t task_id) const {
    return task_id == base::task_spare ? supervisor_.pending_spare_fork()
                                       : supervisor_.pending_fork(static_cast<uint32_t>(task_id));
}

int Pool::fork_prepare(int32_t task_id) {
    if (finished_ || look_for_loss() || pending_fork(task_id) == core::no_worker) {
        return -ESRCH;
    }
    return held_signals_.hold() ? 0 : -EALREADY;
}

int Pool::fork_parent(int32_t task_id, int32_t pid) {
    const bool over = finished_ || look_for_loss();
    const uint32_t worker = over ? core::no_worker : pending_fork(task_id);
    const bool pending = worker != core::no_worker;
    if (pid > 0) {
        if (!os::is_child(pid)) {
            return -ECHILD;
        }
        if (loop_.knows(pid)) {
            return -EALREADY;
        }
        if (!pending) {
            os::discard_process(pid);
        }
    }
    if (!pending) {
        return -ESRCH;
    }
    int result = 0;
    if (pid < 0) {
        start_failed(worker, pid);
    } else {
        result = attach_child(worker, pid);
        if (!has_failed()) {
            notify_manager(); // it may be the last one that the pool needed to be ready
        }
    }
    arm();
    return result;
}

int Pool::attach_child(uint32_t worker, int32_t pid) {
    if (options_.process_groups != os::GroupMode::none) {
        os::lead_group(pid);
    }
    os::Pidfd pidfd;
    const int result = watch_started(worker, pid, &pidfd, os::now());
    if (result < 0) {
        return result;
    }
    if (!loop_.by_pidfd()) {
        loop_.wake(); // it may have ended before anybody looked for it
    }
    return 0;
}

// A child may have files of its own under the numbers of what it has closed: then none is closed.
// To find out changes nothing, for the epoll is the parent's as well.
bool Pool::look_for_loss_in_child() const {
    const bool is_lost = !channel_.is_whole();
    if (is_lost) {
        os::forget_descriptors();
    }
    return is_lost;
}

int Pool::fork_child(int32_t task_id) {
    const bool is_lost = look_for_loss_in_child();
    os::SpawnParameters parameters = common_parameters();
    parameters.task_id = task_id;
    parameters.waiting_mask = held_signals_.mask();
    parameters.threads = host_has_threads_;
    // As the kernel sends it at the end of the thread that forked.
    parameters.link.death_signal = main_thread_.forked_this_child() ? options_.death_signal : 0;
    const bool expected = !is_lost && pending_fork(task_id) != core::no_worker;
    const bool joined = os::join_pool(&parameters, expected ? channel_.admission_end(task_id) : -1);
    disown();
    return !joined ? -ESRCH : task_id == base::task_spare ? parameters.task_id : 0;
}

} // namespace prefork::runtime
