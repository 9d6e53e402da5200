// Making a worker by exec: it executes this program or another one.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <stdint.h>

#include "base/array.h"
#include "os/fd/pidfd.h"
#include "os/signals/signals.h"
#include "os/spawn/environment.h"
#include "os/spawn/program.h"
#include "os/spawn/strings.h"
#include "os/spawn/worker_process.h"

namespace prefork::os {

class Exec {
  public:
    // Allocates all the memory that starts need. A supervisor that notifies the service manager
    // leaves its socket out of what workers inherit of its environment. Both stay the caller's.
    // Returns 0, -ENOMEM, or -E2BIG if the kernel would not accept the arguments and the
    // environment.
    [[nodiscard]] int open(Program *program, const WorkerResources *resources, bool notifies);

    // For later starts: swaps the program with another one. Returns what open() returns; then
    // nothing has changed.
    [[nodiscard]] int change(Program *next);

    // Starts a worker, which has the host's mask and dispositions, under a SignalBlock. Returns its
    // pid and, where pidfds are wanted, its pidfd; or the negative errno of whatever failed, the
    // program's start included, with no process left.
    int32_t start(const SpawnParameters &parameters, const SignalBlock &block, bool wants_pidfd,
                  Pidfd *ret_pidfd);

  private:
    [[nodiscard]] int prepare(const Program &program);

    Program *program_ = nullptr;
    const WorkerResources *resources_ = nullptr;
    bool notifies_ = false;
    InheritedFds inherited_fds_;
    Strings own_environment_; // as it was when the program was set
    WorkerEnvironment environment_;
    base::Array<char> stack_; // of the child
};

} // namespace prefork::os
