// A descriptor that a signal handler can make readable: an eventfd, or a pipe where the system
// refuses one.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "os/fd/descriptor.h"
#include "os/fd/fd_identity.h"

namespace prefork::os {

class Wakeup {
  public:
    // Returns 0 or a negative errno.
    [[nodiscard]] int open();

    // What becomes readable.
    [[nodiscard]] int descriptor() const { return read_end_.get(); }
    // What wake() and the table of wake-ups write to.
    [[nodiscard]] int target() const {
        return write_end_.get() >= 0 ? write_end_.get() : read_end_.get();
    }
    // Takes away what was written.
    void clear() const;

    // Whether the host has left the end alone that is written to.
    [[nodiscard]] bool has_target() const;
    // Forgets what the host has closed. An eventfd that nobody else knows counts as closed.
    void let_go_of_lost();
    void disown() {
        read_end_.disown();
        write_end_.disown();
    }

  private:
    Descriptor read_end_;
    Descriptor write_end_; // of a pipe
    FdIdentity pipe_;
};

} // namespace prefork::os
