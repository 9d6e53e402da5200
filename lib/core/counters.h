// What has happened in a pool, in numbers.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace prefork::core {

// The numbers are those of PF_COUNT_* in prefork.h.
enum class Counter : uint8_t {
    started = 1,
    exited = 2,
    abnormal = 3,
    restarted = 4,
    start_failed = 5,
    unresponsive = 6,
    reloads = 7,
    ready = 8, // now
    alive = 9, // now
    replace_failed = 10,
};

class Counters {
  public:
    void add(Counter which) { counts_[static_cast<uint8_t>(which)] += 1; }
    [[nodiscard]] uint64_t get(Counter which) const { return counts_[static_cast<uint8_t>(which)]; }

  private:
    uint64_t counts_[static_cast<uint8_t>(Counter::replace_failed) + 1] = {};
};

} // namespace prefork::core
