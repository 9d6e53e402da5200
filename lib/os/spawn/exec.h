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

struct ExecOptions {
    const WorkerResources *resources = nullptr; // they stay the caller's
    // The supervisor notifies the service manager, and leaves its socket out of what workers
    // inherit of its environment.
    bool notifies = false;
    bool foreign = false; // the program does not use this library
    bool reports = false; // and is to report as a service does
};

class Exec {
  public:
    // Allocates all the memory that starts need. The program stays the caller's. Returns 0,
    // -ENOMEM, or -E2BIG if the kernel would not accept the arguments and the environment.
    [[nodiscard]] int open(Program *program, const ExecOptions &options);

    // Before the first start of programs that report as services do: where, and how often at least.
    void set_notification(const char *path, base::Duration watchdog) {
        environment_.set_notification(path, watchdog);
    }

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
    ExecOptions options_;
    InheritedFds inherited_fds_;
    Strings own_environment_; // as it was when the program was set
    WorkerEnvironment environment_;
    base::Array<char> stack_; // of the child
};

} // namespace prefork::os
