// A descriptor that somebody else owns, mostly the host.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "os/fd/fd_identity.h"

namespace prefork::os {

// Never closes it, and knows when its owner has.
class BorrowedFd {
  public:
    // Returns false, and borrows nothing, if it is not open.
    [[nodiscard]] bool borrow(int descriptor) {
        if (!identity_.capture(descriptor)) {
            return false;
        }
        descriptor_ = descriptor;
        return true;
    }

    [[nodiscard]] int get() const { return descriptor_; } // -1: none
    [[nodiscard]] const FdIdentity &identity() const { return identity_; }
    // Whether it is open, and the same file.
    [[nodiscard]] bool is_still_open() const { return identity_.matches(descriptor_); }

  private:
    int descriptor_ = -1;
    FdIdentity identity_;
};

} // namespace prefork::os
