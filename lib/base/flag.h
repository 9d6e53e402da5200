// A flag that several threads set and take back.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstdint>

namespace prefork::base {

// Of four bytes: some machines, riscv64 among them, exchange fewer only by a library of their own.
using Flag = std::atomic<uint32_t>;

} // namespace prefork::base
