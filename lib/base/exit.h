// How a process ended.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace prefork::base {

struct Exit {
    enum class Kind : uint8_t { exited, signaled, unknown };

    Kind kind = Kind::unknown;
    bool core_dumped = false;
    int32_t code = 0; // the exit status or the signal
    uint64_t user_us = 0;
    uint64_t system_us = 0;
    uint64_t max_rss_kib = 0;

    [[nodiscard]] bool normal() const { return kind == Kind::exited && code == 0; }
};

} // namespace prefork::base
