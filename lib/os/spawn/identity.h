// What this process is: a worker, by fork or by exec, or none.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <stdint.h>

#include "os/channel/worker_link.h"
#include "os/spawn/worker_resources.h"

namespace prefork::os {

// Does nothing. A static link takes the file with the constructor that looks at the process only if
// the program refers to something in it. Whoever depends on what the constructor found, and calls
// nothing else here, calls this.
void look_at_load();

// The task id of this process and of the children it made; task_spare in a spare; -1 in no worker.
int task_id();
// Whether it is a worker or a spare, or was made by one.
bool is_worker();
// The pool of this worker; nullptr in no worker.
const char *worker_pool();
// Whether this is a worker of a pool with that name, or was made by one.
bool is_worker_of(const char *pool_name);
// A descriptor that the pool gave this worker: its number, -ENOENT, or -ECHILD in no worker.
int worker_descriptor(const char *name);

// A worker that was made by exec has its task id from load on, and must claim it by the call that
// made it in the supervisor. Until then it may not supervise: the same program would make the same
// workers again. Returns whether it may: 0; -EALREADY; or -ESRCH, for ever, in a process that was
// started as a worker that cannot believe it: its supervisor is not its parent, or has less
// rights.
int may_supervise();

// Claims the identity if it is that of a worker of this pool. Returns 1, and the task id; else what
// may_supervise() says. A spare waits for its slot, and ends here if it is not needed any more.
int claim_identity(const char *pool_name, int *ret_task_id);

// In a new worker by fork. Its resources are nullptr where a pool has neither name nor
// descriptors, and stay while the process lives. Async-signal-safe.
void become_worker_of(int32_t task_id, const WorkerLink &link, const WorkerResources *resources);

// What this worker got from its supervisor; nullptr in a process that is no worker itself.
const WorkerLink *own_link();
// Where the supervisor may not learn the status of this worker: reports it when it exits.
void announce_exit_at_end();

// Destroys the resources of a pool, unless this process is its worker.
void drop(WorkerResources *resources);

} // namespace prefork::os
