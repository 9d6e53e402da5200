// Which program workers run, with which arguments and environment.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "os/spawn/strings.h"

namespace prefork::os {

class Program {
  public:
    // Copies each; nullptr is this program's own. Returns 0, -ENOMEM, -EINVAL for arguments without
    // the first one, -E2BIG, or -ENOENT if own arguments are not known.
    [[nodiscard]] int choose(const char *path, const char *const *arguments,
                             const char *const *environment);

    void swap(Program &other);

    // Executes it in this process. Returns a negative errno, or not at all. Async-signal-safe, and
    // without locks or memory.
    [[nodiscard]] int execute(char *const *environment) const;

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

} // namespace prefork::os
