// What the host chose for a pool, and what follows from it.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "core/settings.h"
#include "os/signals/pool_signals.h"
#include "os/spawn/exec.h"
#include "os/spawn/worker_resources.h"
#include "os/upgrade/handed_over.h"
#include "os/watch/event_loop.h"
#include "os/watch/orphans.h"
#include "runtime/event.h"

namespace prefork::runtime {

using WorkerFunction = int (*)(int task_id, void *user);

struct PoolOptions {
    core::Settings settings;          // without workers and without a seed: see complete()
    EventFunction on_event = nullptr; // nullptr: see complete()
    void *event_user = nullptr;
    WorkerFunction worker = nullptr; // nullptr: run() returns in the worker
    void *worker_user = nullptr;
    const os::WorkerResources *resources = nullptr; // nullptr: none
    os::Exec *exec = nullptr;                       // opened; nullptr: workers are forked
    bool foreign_workers = false;                   // its program does not use this library
    os::SignalSet signals = os::SignalSet::none;
    os::Backend backend = os::Backend::automatic;
    int32_t death_signal = base::signal_terminate; // to workers when the supervisor ends; 0: none
    bool stop_descriptors = true;                  // workers can have one
    bool dispatched = false;    // by the host's loop; else the pool runs to its end
    bool host_fork = false;     // the host is asked to fork each worker, and reports it
    bool allow_threads = false; // beside a fork
    os::GroupMode process_groups = os::GroupMode::none;
    os::ReapMode reap_orphans = os::ReapMode::none;
    bool notify = false;                 // the service manager
    os::HandedPool *handed = nullptr;    // by the former program of this process
    const sigset_t *host_mask = nullptr; // if it is not the one of this moment

    // Whether workers report as services do, because their program does not use this library.
    [[nodiscard]] bool has_foreign_reports() const {
        return foreign_workers && (settings.ready_timeout != 0 || settings.heartbeat_timeout != 0);
    }
};

// Fills in what the host left open: as many workers as processors, a seed, and the default
// callback. Without a callback the events of a pool that is dispatched wait to be popped.
void complete(PoolOptions *options);

} // namespace prefork::runtime
