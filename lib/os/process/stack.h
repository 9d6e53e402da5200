// Stacks of children that clone(2) makes in the memory of this process.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

namespace prefork::os {

// Where a stack in this memory begins: at its end, for it grows down.
inline char *stack_start(char *memory, size_t size) {
    constexpr size_t alignment = 16;
    char *const end = memory + size;
    return end - reinterpret_cast<uintptr_t>(end) % alignment;
}

} // namespace prefork::os
