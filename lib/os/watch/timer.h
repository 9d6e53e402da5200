// The timer of an event loop: a descriptor that becomes readable at a deadline, or, where the
// system refuses one, the time-out of each wait.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "base/time.h"
#include "os/fd/descriptor.h"

namespace prefork::os {

class Timer {
  public:
    // Returns 0, also where the system refuses the descriptor, or the negative errno of a shortage.
    [[nodiscard]] int open();

    // -1: none.
    [[nodiscard]] int descriptor() const { return descriptor_.get(); }
    // 0, or the negative errno with which the descriptor was refused.
    [[nodiscard]] int refusal() const { return refusal_; }

    [[nodiscard]] base::Instant deadline() const { return deadline_; }
    // A deadline that is past comes at once. Returns 0 or a negative errno; -EBADF: the host has
    // closed the descriptor.
    [[nodiscard]] int set(base::Instant deadline);

    // After an event of the descriptor.
    void clear();

    // Shortens the time-out of a wait, where that is needed to end it at the deadline.
    [[nodiscard]] int limited(int timeout_ms) const;
    // Whether the deadline has come, without an event.
    [[nodiscard]] bool has_come() const;

    void lose() { descriptor_.lose(); }
    void disown() { descriptor_.disown(); }

  private:
    Descriptor descriptor_;
    int refusal_ = 0;
    base::Instant deadline_ = base::never;
};

} // namespace prefork::os
