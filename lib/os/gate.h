// The gate that keeps a new worker waiting until its supervisor has a hold of it.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "os/descriptor.h"

namespace prefork::os {

class Gate {
  public:
    // Returns 0 or a negative errno.
    [[nodiscard]] int open();
    void let_through() const;

    // In the worker, where both ends are closed.
    void disown() {
        read_end_.disown();
        write_end_.disown();
    }

    // The host has closed them.
    void lose() {
        read_end_.lose();
        write_end_.lose();
    }

    [[nodiscard]] int waiting_end() const { return read_end_.get(); }

  private:
    Descriptor read_end_;
    Descriptor write_end_;
};

} // namespace prefork::os
