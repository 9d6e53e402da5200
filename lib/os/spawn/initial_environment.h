// The environment that this process was started with. The one that it has may have been changed
// since, by the host, by the C library of another namespace, or by another copy of this library.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include "base/array.h"

namespace prefork::os {

class InitialEnvironment {
  public:
    // Returns 0, or the negative errno where it cannot be read. Without that it is empty.
    int read();

    // The value of a variable, as long as this object lives; nullptr if there is none.
    [[nodiscard]] const char *find(const char *name) const;

  private:
    int read_from_proc();
    int read_from_stack();

    base::Array<char> text_; // variables that follow each other, each ended by a zero byte
    size_t length_ = 0;
};

} // namespace prefork::os
