// A descriptor, and what it was when it was looked at: the host may close it, and get another file
// under its number, at any time.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace prefork::os {

struct OpenFile {
    int descriptor;
    uint64_t device; // with the inode: what it was
    uint64_t inode;
};

// Returns false if it is not open.
[[nodiscard]] bool look_at(int descriptor, OpenFile *ret_file);

// Whether it is open, and the same file.
bool is_still_open(const OpenFile &file);

// Whether another descriptor, as the other end of a pipe, is of that file.
bool is_same_file(int descriptor, const OpenFile &file);

// Whether it is open, and the end of a pipe.
bool is_pipe(int descriptor);

} // namespace prefork::os
