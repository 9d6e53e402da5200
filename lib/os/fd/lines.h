// The lines of a text that the kernel shows as a file.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include "os/fd/descriptor.h"

namespace prefork::os {

// One after the other; the rest of a longer line is left out.
class Lines {
  public:
    static constexpr size_t line_max = 4096;

    explicit Lines(const char *path);

    // The next line without its newline, valid until the next call; nullptr at the end.
    [[nodiscard]] char *next();

    // What has kept it from opening or reading the file: a negative errno; 0: nothing.
    [[nodiscard]] int error() const { return error_; }

  private:
    int read_character();

    Descriptor file_;
    int error_ = 0;
    size_t place_ = 0;
    size_t length_ = 0;
    char buffer_[1024];
    char line_[line_max];
};

} // namespace prefork::os
