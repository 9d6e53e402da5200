// Making a worker by fork, and what this process is.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "os/descriptor.h"
#include "os/signals.h"

namespace prefork::os {

// What a new worker needs to know of its supervisor.
struct Birth {
    uint32_t task_id = 0;
    int32_t supervisor = 0;
    int supervisor_pidfd = -1;
    int32_t death_signal = 0; // sent by the kernel when the supervisor ends; 0: none
    bool threads = false;     // the supervisor has other threads
    int gate = -1;            // wait here for one byte before anything else; -1: do not wait
    const OwnSignals *signals = nullptr;
};

// Writes out what the host has in stdio's buffers, so that no worker writes it again.
void flush_stdio();

// Forks, under a SignalBlock, whose end is the last step on the worker's way into the host. Returns
// the pid; 0 in the worker, where the host's dispositions hold again and no descriptor of the
// library is open; or the negative errno.
int32_t fork_worker(const Birth &birth);

// Ends this process as if its main function had returned 0.
[[noreturn]] void exit_normally();

// Ends a worker that could not be taken on, and reaps it.
void discard_worker(int32_t pid);

int32_t own_pid();
// The task id of this process and of the children it made; -1 in no worker.
int task_id();
// Whether this process has more than one thread.
bool has_threads();
bool is_main_thread();

} // namespace prefork::os
