// Making a worker by exec: this program or another, started anew.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <stdint.h>

#include "base/array.h"
#include "os/fd/pidfd.h"
#include "os/signals/signals.h"
#include "os/spawn/environment.h"
#include "os/spawn/strings.h"
#include "os/spawn/worker_process.h"

namespace prefork::os {

// Which program workers run, with which arguments and environment.
class Program {
  public:
    // Copies each; nullptr is this program's own. Returns 0, -ENOMEM, -EINVAL for arguments without
    // the first one, -E2BIG, or -ENOENT if own arguments are not known.
    [[nodiscard]] int choose(const char *path, const char *const *arguments,
                             const char *const *environment);

    void swap(Program &other);

    // Whether it is this program, by the path that it was started from.
    [[nodiscard]] bool is_own() const { return path_.empty(); }
    [[nodiscard]] const char *path() const;
    [[nodiscard]] char *const *arguments() const { return arguments_.get(); }
    [[nodiscard]] bool has_own_environment() const { return !chose_environment_; }
    [[nodiscard]] char *const *environment() const { return environment_.get(); }

  private:
    Strings path_;
    Strings arguments_;
    Strings environment_;
    bool chose_environment_ = false;
};

class Exec {
  public:
    // Takes all the memory that starts need. A supervisor that notifies the service manager leaves
    // its socket out of what workers inherit of its environment. Both stay the caller's. Returns
    // 0, -ENOMEM, or -E2BIG if the kernel would not take the arguments and the environment.
    [[nodiscard]] int open(Program *program, const WorkerResources *resources, bool notifies);

    // For later starts: swaps the program with another one. Returns what open() returns; then
    // nothing has changed.
    [[nodiscard]] int change(Program *next);

    // Starts a worker, which has the host's mask and dispositions, under a SignalBlock. Returns its
    // pid and, where pidfds are wanted, its pidfd; or the negative errno of whatever failed, the
    // program's start included, with no process left.
    int32_t start(const Birth &birth, const SignalBlock &block, bool wants_pidfd, Pidfd *ret_pidfd);

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
