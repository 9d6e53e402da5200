// An entry of a directory, as getdents64(2) writes it.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace prefork::os {

struct DirectoryEntry {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[1];
};

} // namespace prefork::os
