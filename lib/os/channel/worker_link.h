// The worker's side of the messages between a pool and its workers.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <errno.h>
#include <signal.h>

#include "base/time.h"
#include "os/channel/record.h"
#include "os/fd/fd_identity.h"

namespace prefork::os {

// What a worker gets from its supervisor at its start.
struct WorkerLink {
    Instance instance{};
    uint64_t token = 0;
    uint64_t seed = 0;                     // of a forked worker's random numbers
    base::Duration heartbeat_interval = 0; // 0: nobody waits for heartbeats
    FdIdentity up_file;                    // of `up` at the start
    int32_t supervisor = 0;
    int32_t death_signal = 0;
    int up = -1;       // the write end of the pool's pipe; -1: this process is no worker
    int down = -1;     // the read end of the worker's pipe; -1: none
    int pidfd = -1;    // the supervisor's, in a worker by exec; others open it when they need it
    int liveness = -1; // readable when the supervisor is gone, where there are no pidfds
    bool is_spare = false;       // it waits for a slot
    bool keeps_down = true;      // else `down` is only for the takeover of a slot by a spare
    bool is_awaited = false;     // by exec: the launcher of a daemon waits until it is ready
    bool announces_exit = false; // the supervisor may not get to know the worker's status
};

// Each returns 0, or a descriptor, or a negative errno. They may be called by any thread of the
// worker.
int send_ready(const WorkerLink &link);
int send_heartbeat(const WorkerLink &link);
int send_retire(const WorkerLink &link);
int stop_descriptor(const WorkerLink &link);

// Reports the exit code of this worker to the supervisor before it exits.
void announce_exit(const WorkerLink &link, int status);

// In a child that the host forked: waits until the supervisor has admitted it, and notes which
// worker it is. Returns false if that cannot be any more.
bool await_admission(WorkerLink *link, int supervisor_pidfd);

// In a spare: waits until it has a slot, with that signal mask, nullptr: the present one. Notes
// which worker it is. Returns the slot, -ECANCELED if it is not needed any more, or nobody needs
// it, or -EIO if it cannot know.
int32_t await_takeover(WorkerLink *link, const sigset_t *mask);
// With which a spare then ends. If it had a slot all the same, 0 would mean that it has finished.
[[nodiscard]] constexpr int status_without_slot(int32_t result) {
    return result == -ECANCELED ? 0 : 1;
}

// In a worker by exec: whether the descriptors are what the supervisor said. Notes where they are.
bool check_link(WorkerLink *link);

} // namespace prefork::os
