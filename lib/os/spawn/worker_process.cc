// SPDX-License-Identifier: MIT
#include "os/spawn/worker_process.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "os/fd/descriptor.h"
#include "os/process/generation.h"
#include "os/process/parent.h"
#include "os/process/random.h"
#include "os/process/standard_files.h"
#include "os/service/daemon.h"
#include "os/service/notify.h"
#include "os/signals/pool_signals.h"
#include "os/spawn/identity.h"
#include "os/spawn/start_barrier.h"
#include "os/watch/child_signal.h"
#include "os/watch/process_handle.h"

namespace prefork::os {

namespace {

// Puts the host's dispositions in the place of the library's handlers.
void restore_host_handlers() {
    restore_pool_signals();
    restore_child_handler();
}

// What is the same for workers that the host forks.
void settle_in(const SpawnParameters &parameters) {
    begin_in_child(parameters.awaits_own_ready() ? Stdio::until_ready : Stdio::detached);
    const WorkerLink &link = parameters.link;
    close_noted_descriptors({link.up, link.down, link.liveness});
    if (!parameters.threads) {
        announce_exit_at_end();
        if (parameters.notifies) {
            unsetenv(notify_variable); // the manager expects no message of a worker
        }
    }
}

// In a child that is no worker.
void release_in_child() {
    begin_in_child(Stdio::kept);
    close_noted_descriptors({-1, -1, -1});
}

// In a spare. Returns 0 or a negative errno, as await_takeover() does.
int wait_for_slot(SpawnParameters *parameters) {
    const int32_t slot = await_takeover(&parameters->link, parameters->waiting_mask);
    if (slot < 0) {
        return slot;
    }
    parameters->task_id = slot;
    become_worker_of(slot, parameters->link, parameters->resources);
    return 0;
}

// From the fork to the return into the host. Only async-signal-safe calls until the worker is known
// to be alone.
void become_worker(SpawnParameters *own) {
    const SpawnParameters &parameters = *own;
    become_worker_of(parameters.task_id, parameters.link, parameters.resources);
    begin_generation();
    restore_host_handlers();
    if (parameters.group) {
        setpgid(0, 0);
    }
    if (parameters.link.death_signal != 0) {
        prctl(PR_SET_PDEATHSIG, parameters.link.death_signal);
    }
    // The supervisor may have ended before the death signal was armed.
    if (supervisor_is_gone(parameters) ||
        (parameters.barrier >= 0 &&
         !wait_at_barrier(parameters.barrier, parameters.supervisor_pidfd))) {
        _exit(EXIT_FAILURE);
    }
    settle_in(parameters);
    if (const int result = parameters.is_spare() ? wait_for_slot(own) : 0; result < 0) {
        _exit(status_without_slot(result));
    }
    if (!parameters.threads) {
        reseed_generators(parameters.link.seed);
    }
}

} // namespace

bool supervisor_is_gone(const SpawnParameters &parameters) {
    return find_parent(parameters.link.supervisor, parameters.supervisor_pidfd) == Parent::other;
}

// Nothing else of the host is touched: its runtime knows that it was forked.
bool join_pool(SpawnParameters *parameters, int admission_end) {
    restore_host_handlers();
    WorkerLink &link = parameters->link;
    link.down = admission_end;
    const bool admitted =
        admission_end >= 0 && await_admission(&link, parameters->supervisor_pidfd);
    begin_generation(); // only now: what the child opened to wait is closed already
    if (admitted && link.death_signal != 0) {
        prctl(PR_SET_PDEATHSIG, link.death_signal);
    }
    // It may have ended before the death signal was armed.
    const bool joined = admitted && !supervisor_is_gone(*parameters);
    if (joined) {
        become_worker_of(parameters->task_id, link, parameters->resources);
        settle_in(*parameters);
    } else {
        release_in_child();
    }
    return joined && (!parameters->is_spare() || wait_for_slot(parameters) == 0);
}

void become_detached_child() {
    begin_generation();
    restore_host_handlers();
    release_in_child();
}

int32_t fork_worker(SpawnParameters *parameters) {
    const pid_t pid = fork();
    if (pid < 0) {
        return -errno;
    }
    if (pid == 0) {
        become_worker(parameters);
    } else if (parameters->group) {
        lead_group(pid); // here too: a signal to the group may come before the worker runs
    }
    return pid;
}

void end_worker(int status, bool threads) {
    if (!threads) {
        flush_stdio();
    }
    _exit(status);
}

bool is_child(int32_t pid) {
    const ChildState state = state_of_child(pid);
    return state == ChildState::running || state == ChildState::zombie;
}

void lead_group(int32_t pid) {
    setpgid(pid, pid); // fails only for one that has ended or gone its own way
}

} // namespace prefork::os
