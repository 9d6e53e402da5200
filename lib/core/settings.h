// What the host chose for a pool.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "core/limits.h"

namespace prefork::core {

struct Settings {
    uint32_t workers = 1;
    int32_t max_restarts = restarts_default; // over the pool's life
    int32_t stop_signal = 15;                // SIGTERM
    Duration stop_timeout = stop_timeout_default;
};

} // namespace prefork::core
