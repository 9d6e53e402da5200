// Knows the main thread also in a child, whose only thread is always its main one.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <pthread.h>

namespace prefork::os {

class MainThread {
  public:
    void note();
    // Whether this thread is the main one. Once known that takes no system call.
    bool is_current();
    [[nodiscard]] bool forked_this_child() const;

  private:
    pthread_t thread_{};
    bool known_ = false;
};

} // namespace prefork::os
