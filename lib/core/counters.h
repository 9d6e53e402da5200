// What has happened in a pool, in numbers.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

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
    spares = 11, // now
};

class Counters {
  public:
    void add(Counter which) { counts_[static_cast<uint8_t>(which)] += 1; }
    // To and from an array with room for all of them.
    void save(std::span<uint64_t> ret_counts) const {
        for (size_t index = 0; index < count && index < ret_counts.size(); index++) {
            ret_counts[index] = counts_[index];
        }
    }
    void restore(std::span<const uint64_t> counts) {
        for (size_t index = 0; index < count && index < counts.size(); index++) {
            counts_[index] = counts[index];
        }
    }
    [[nodiscard]] uint64_t get(Counter which) const { return counts_[static_cast<uint8_t>(which)]; }

  private:
    static constexpr size_t count = static_cast<uint8_t>(Counter::replace_failed) + 1;

    uint64_t counts_[count] = {};
};

} // namespace prefork::core
