// What can happen to a pool.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "core/event.h"

namespace prefork::core {

struct Input {
    enum class Kind : uint8_t {
        // To the pool.
        start, // begin with the workers of the settings
        stop,  // gracefully; `signal` asked for it, 0: the host did
        kill,  // at once
        tick,  // time has passed
        // To a worker.
        started,      // `pid` is running
        start_failed, // with the negative `error`; `transient`: for want of resources
        exited,       // as `exit` says; it has been reaped
    };

    Kind kind{};
    bool transient = false;
    uint32_t worker = 0;
    int32_t pid = 0;
    int32_t error = 0;
    int32_t signal = 0;
    Exit exit;
};

} // namespace prefork::core
