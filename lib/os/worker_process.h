// Making a worker by fork, and what this process is.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "os/cells.h"

namespace prefork::os {

// What a new worker needs to know of its supervisor.
struct Birth {
    uint32_t task_id = 0;
    int supervisor_pidfd = -1;
    bool threads = false; // the supervisor has other threads
    bool group = false;   // the worker leads a process group
    Post post;            // what the worker keeps of it
    int gate = -1;        // wait here for one byte before anything else; -1: do not wait
};

// A child that the host forked from a callback, and in which it returned, becomes a process of its
// own: with the host's handlers, and without the library's descriptors.
void become_stranger();

// Writes out what the host has in stdio's buffers, so that no worker writes it again.
void flush_stdio();

// Forks, under a SignalBlock, whose end is the last step on the worker's way into the host. Returns
// the pid; 0 in the worker, where the host's dispositions hold again and no descriptor of the
// library is open; or the negative errno.
int32_t fork_worker(const Birth &birth);

// Ends a worker that has a function of its own, without the host's atexit handlers. Its stdio is
// flushed before, but where the supervisor had threads: their locks would never be free again.
[[noreturn]] void end_worker(int status, bool threads);

// Gives way to a worker that has just been forked: it often waits on the processor of its
// supervisor.
void give_way();

// Ends this process as if its main function had returned 0.
[[noreturn]] void exit_normally();

// Ends a worker that could not be taken on, and reaps it.
void discard_worker(int32_t pid);

int32_t own_pid();
// What this worker got from its supervisor; nullptr in a process that is no worker itself.
const Post *own_post();
// Counts a sign of life. Without a system call but for the first time. Returns 0 or -ECHILD.
int beat();

// How many times this process and its ancestors became workers: tables of an earlier generation
// speak of what a new worker has closed or given back.
uint32_t generation();
// The task id of this process and of the children it made; -1 in no worker.
int task_id();
// Whether this process has more than one thread, as the kernel sees it at this moment.
bool has_threads();
// The same, but without those that have been joined and are about to leave.
bool has_lasting_threads();
bool is_main_thread();

} // namespace prefork::os
