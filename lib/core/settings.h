// What the host chose for a pool.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "core/exit_actions.h"
#include "core/limits.h"
#include "core/values.h"

namespace prefork::core {

// The numbers are those of PF_RESTART_*, PF_LIMIT_* and PF_RELOAD_* in prefork.h.
enum class RestartWhen : uint8_t { on_failure = 0, always = 1, none = 2 };
enum class OnLimit : uint8_t { stop = 0, degrade = 1 };
enum class ReloadOrder : uint8_t { start_first = 0, stop_first = 1 };

struct Settings {
    uint32_t workers = 1;
    uint32_t spares = 0; // workers that wait for a slot

    RestartWhen restart = RestartWhen::on_failure;
    int32_t max_restarts = restarts_default; // over the pool's life
    uint32_t window_max = 0;                 // restarts in any window; 0: no such limit
    Duration window = 0;
    Duration backoff_first = 0; // 0: restart at once
    Duration backoff_max = 0;
    uint32_t boot_limit = 0; // ends in a row before a worker is ready; 0: no such limit
    OnLimit on_limit = OnLimit::stop;
    ExitActions exit_actions;
    uint64_t seed = 0; // of the jitter

    // After which a replacement is good without being ready, and a normal exit does not count.
    Duration minimum_uptime = minimum_uptime_default;
    Duration ready_timeout = 0;     // 0: a worker is ready once it has started
    Duration heartbeat_timeout = 0; // 0: none is expected
    Duration lifetime = 0;          // 0: none is replaced for its age
    Duration lifetime_jitter = 0;
    ReloadOrder reload_order = ReloadOrder::start_first;
    uint32_t reload_width = 1;

    int32_t stop_signal = signal_terminate;       // 0: none is sent
    Duration stop_timeout = stop_timeout_default; // 0: never SIGKILL
};

} // namespace prefork::core
