// The gate that keeps a new worker waiting until its supervisor has a hold of it.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <initializer_list>

#include "os/fd/descriptor.h"
#include "os/fd/fd_identity.h"

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

    // Lets go of the ends that are not of that file any more, for the host has closed them.
    void let_go_of_lost(const FdIdentity &file) {
        for (Descriptor *end : {&read_end_, &write_end_}) {
            if (!file.matches(end->get())) {
                end->lose();
            }
        }
    }

    [[nodiscard]] int waiting_end() const { return read_end_.get(); }

  private:
    Descriptor read_end_;
    Descriptor write_end_;
};

} // namespace prefork::os
