// Which file a descriptor refers to: the host may close any descriptor, and get another file under
// its number, at any time.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace prefork::os {

struct FdIdentity {
    uint64_t device = 0; // with a zero inode: no file
    uint64_t inode = 0;

    bool operator==(const FdIdentity &) const = default;

    // Captures the file that the descriptor refers to. Returns false if it is not open.
    [[nodiscard]] bool capture(int descriptor);

    // Whether the descriptor refers to this file, as both ends of a pipe do. True where the system
    // forbids the question.
    [[nodiscard]] bool matches(int descriptor) const;
};

// Whether it is open, and the end of a pipe. True where the system forbids the question.
[[nodiscard]] bool is_pipe(int descriptor);

} // namespace prefork::os
