// How many workers may end in a row before one is ready.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace prefork::core {

class BootLimit {
  public:
    void open(uint32_t max) { max_ = max; }

    void succeeded() { failures_ = 0; }
    void failed() { failures_ += 1; } // never beyond the limit, at which the pool stops

    [[nodiscard]] bool is_set() const { return max_ != 0; }
    [[nodiscard]] bool is_reached() const { return is_set() && failures_ >= max_; }

  private:
    uint32_t max_ = 0; // 0: any number
    uint32_t failures_ = 0;
};

} // namespace prefork::core
