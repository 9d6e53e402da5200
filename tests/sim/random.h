// Randomness that a seed repeats.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace sim {

// SplitMix64.
class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed) {}

    uint64_t next() {
        state_ += 0x9E3779B97F4A7C15U;
        uint64_t mixed = state_;
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9U;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBU;
        return mixed ^ (mixed >> 31);
    }

    uint32_t below(uint32_t end) { return static_cast<uint32_t>((next() >> 32) * end >> 32); }

    template <typename Value, uint32_t count>
    Value pick(const Value (&values)[count]) {
        return values[below(count)];
    }

  private:
    uint64_t state_;
};

} // namespace sim
