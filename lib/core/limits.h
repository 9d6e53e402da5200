// Every bound of the library that is not a setting.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "core/values.h"

namespace prefork::core {

inline constexpr uint32_t workers_max = 65'536;

inline constexpr int32_t restarts_default = 100;
inline constexpr int32_t restarts_unlimited = INT32_MAX;

inline constexpr Duration stop_timeout_default = 10 * second;

// Signals that follow the first request to stop sooner than this are the same request: a
// terminal and a wrapper often both pass on one Ctrl-C.
inline constexpr Duration second_signal_after = 200 * millisecond;

// A start that failed for want of resources is tried again after the first delay, doubling.
inline constexpr Duration start_retry_first = 10 * millisecond;
inline constexpr Duration start_retry_max = 1 * second;
inline constexpr Duration start_failed_event_interval = 1 * second;

// The events of one worker's life: started, killed, exited.
inline constexpr uint32_t events_per_life = 3;
// The events of the pool as a whole that must always find room: starting, gave up, stopping,
// done, and one start that failed.
inline constexpr uint32_t events_of_pool = 5;
// Room for restarts while the host takes no events.
inline constexpr uint32_t events_spare = 64;

} // namespace prefork::core
