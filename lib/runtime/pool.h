// A pool at work: carries out what the core decides and tells it what happens.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "base/array.h"
#include "base/codes.h"
#include "core/supervisor.h"
#include "os/orphans.h"
#include "os/signals.h"
#include "os/watch.h"
#include "os/worker_process.h"
#include "runtime/event.h"

namespace prefork::runtime {

struct PoolOptions {
    core::Settings settings;
    EventFunction on_event = report_to_stderr;
    void *user = nullptr;
    int32_t death_signal = base::signal_terminate; // to workers when the supervisor ends; 0: none
    bool reap_orphans = false;
};

// Belongs to the process and the thread that made it. In a worker, and in a child in which run()
// returned -ECHILD, only memory is left to be released.
class Pool {
  public:
    Pool() = default;
    Pool(const Pool &) = delete;
    Pool &operator=(const Pool &) = delete;

    // Gets memory and descriptors for all that comes. Returns 0 or a negative errno.
    [[nodiscard]] int open(const PoolOptions &options);

    // Supervises. Returns 0 in a worker, whose id is then in ret_task_id, and in the supervisor at
    // the end, with -1; a negative code at another end; -EINTR after a signal handler of the host
    // has run: to be called again; -ECHILD in a child that an event callback made.
    int run(int *ret_task_id);

    // The signal that asked for the stop; 0: none did.
    [[nodiscard]] int stop_signal() const { return supervisor_.stop_signal(); }

  private:
    enum class Role : uint8_t { supervisor, worker, stranger };

    // One round of the loop, up to the wait: tells the host of events and starts workers.
    Role act(const os::SignalBlock &block);
    Role deliver_events(const os::SignalBlock &block);
    Role start_workers();
    Role start_batch(uint32_t room);
    Role start_behind_gate();
    int32_t fork_worker(uint32_t worker, int gate);
    void watch_started(uint32_t worker, int32_t pid);
    void start_failed(uint32_t worker, int error);

    // The other half: waits and passes on what has come. Returns 0 or a negative errno.
    int wait_for_inputs(const os::SignalBlock &block);
    int finish();
    void step(const core::Input &input);

    PoolOptions options_;
    core::Supervisor supervisor_;
    os::Watch watch_;
    os::OwnSignals signals_;
    os::OrphanReaper orphans_;
    // Workers that were forked and are not watched yet.
    base::Array<uint32_t> batch_workers_;
    base::Array<int32_t> batch_pids_;
    int32_t owner_ = 0;
    int task_id_ = -1;
    bool begun_ = false;
};

} // namespace prefork::runtime
