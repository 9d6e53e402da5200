// Making a worker by fork, and what there is to know of a process that does it.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <signal.h>

#include "base/worker_array.h"
#include "os/channel/worker_link.h"
#include "os/spawn/worker_resources.h"

namespace prefork::os {

// What a new worker needs to know of its supervisor.
struct SpawnParameters {
    int32_t task_id = 0; // task_spare: it waits for one
    int supervisor_pidfd = -1;
    bool threads = false;      // the supervisor has other threads
    bool group = false;        // the worker leads a process group
    bool awaits_ready = false; // the worker must report that it is ready
    bool foreign = false;      // the program of the worker does not use this library
    bool notifies = false;     // the supervisor notifies the service manager
    const WorkerResources *resources = nullptr;
    WorkerLink link;                        // what the worker keeps of it
    int barrier = -1;                       // wait there before anything else; -1: do not wait
    const sigset_t *waiting_mask = nullptr; // of a spare while it waits; nullptr: the present one

    [[nodiscard]] bool is_spare() const { return task_id == base::task_spare; }
    // Whether this worker is to report by the library that it is ready. Nobody waits for a spare.
    [[nodiscard]] bool awaits_own_ready() const { return awaits_ready && !foreign && !is_spare(); }
};

// In a child of the host's own fork: makes it a worker once its supervisor has admitted it
// at the read end of a pipe; -1: it is not expected. Returns false if that cannot be any more.
// Either way the host's dispositions hold again and no descriptor of the library is open but those
// of a worker. A spare waits for its slot, whose task id it has then; false: it is not needed.
bool join_pool(SpawnParameters *parameters, int admission_end);

// A child that the host forked from a callback, and in which it returned, becomes a process of its
// own: with the host's handlers, and without the library's descriptors.
void become_detached_child();

// In a new worker whose death signal is armed: whether the supervisor has ended before.
bool supervisor_is_gone(const SpawnParameters &parameters);

// Forks, under a SignalBlock, whose end is the last step on the worker's way into the host. Returns
// the pid; 0 in the worker, where the host's dispositions hold again and no descriptor of the
// library is open; or the negative errno. A spare waits for its slot, whose task id it has then.
int32_t fork_worker(SpawnParameters *parameters);

// Ends a worker that has a function of its own, without the host's atexit handlers. Its stdio is
// flushed before, but where the supervisor had threads: their locks would never be free again.
[[noreturn]] void end_worker(int status, bool threads);

// Whether the pid is that of a child, which may have ended, of this process.
bool is_child(int32_t pid);

// Makes a child the leader of a process group.
void lead_group(int32_t pid);

} // namespace prefork::os
