// The gate for workers that the host forks: each waits there until its supervisor knows it.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <pthread.h>

#include "os/cells.h"

namespace prefork::os {

// A cell holds the pid of the process that was let in last, so nobody passes in place of another.
void let_in(Cell *cell, int32_t pid);

// In the child: returns the one of the two cells by which it has been let in; nullptr if it has
// not, after waiting for a moment.
Cell *pass_fork_gate(Cell *const (&cells)[2]);

// Knows the main thread also in a child, whose only thread is always its main one.
class MainThread {
  public:
    void note();
    [[nodiscard]] bool forked_this_child() const;

  private:
    pthread_t thread_{};
    bool known_ = false;
};

} // namespace prefork::os
