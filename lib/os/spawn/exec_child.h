// The way of a new process to its program. It runs in the memory of its parent, which sleeps
// meanwhile: nothing here takes a lock or memory, and what it writes it writes for its parent too.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <signal.h>

#include "os/spawn/worker_process.h"

namespace prefork::os {

class Program;
class WorkerEnvironment;
class InheritedFds;

struct ExecChild {
    const SpawnParameters *parameters = nullptr;
    const sigset_t *mask = nullptr; // that the program begins with
    const Program *program = nullptr;
    InheritedFds *fds = nullptr;
    WorkerEnvironment *environment = nullptr;
    bool ignores_children = false;

    volatile int error = 0; // for the parent: the negative errno with which it has failed
};

// With all signals blocked. Does not return: it becomes the program or ends.
int run_exec_child(void *child);

} // namespace prefork::os
