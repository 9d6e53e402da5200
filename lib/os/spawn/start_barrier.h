// Keeps a new worker waiting until its supervisor holds its pidfd.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "os/fd/pipe.h"

namespace prefork::os {

class StartBarrier {
  public:
    // Returns 0 or a negative errno.
    [[nodiscard]] int open() { return pipe_.open(false); }
    void release() const;

    // In the worker, where both ends are closed.
    void disown() { pipe_.disown(); }

    [[nodiscard]] int waiting_end() const { return pipe_.read_end(); }

  private:
    Pipe pipe_;
};

// In the worker: returns false if the supervisor has ended before it released the barrier.
[[nodiscard]] bool wait_at_barrier(int waiting_end, int supervisor_pidfd);

} // namespace prefork::os
