// The lock of what belongs to the whole process, such as its signal handlers.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <signal.h>

namespace prefork::os {

// Held over system calls that do not wait, never over a fork or a callback. All signals are
// blocked meanwhile, so that no handler waits for the thread that it interrupted. A child that
// another thread forks meanwhile finds the lock held by a thread that the child does not have, and
// takes it over: what the lock guards must be consistent at each moment, or contain its process.
class ProcessLock {
  public:
    ProcessLock();
    ~ProcessLock();
    ProcessLock(const ProcessLock &) = delete;
    ProcessLock &operator=(const ProcessLock &) = delete;

  private:
    sigset_t mask_;
};

} // namespace prefork::os
