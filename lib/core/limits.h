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

// How often the minimum uptime of a worker, and later its stop time-out, are renewed after pauses
// of the supervisor. A host that is late each time still replaces and kills in the end.
inline constexpr uint8_t renewals_max = 3;

// The time-out of the quick stop by INT and QUIT.
inline constexpr Duration quick_stop_timeout = 1 * second;

// A worker that ends sooner has not done any work.
inline constexpr Duration minimum_uptime_default = 1 * second;

// SIGKILL that could not be sent is tried again so often, each time after the same pause; then a
// pool that stops gives up the worker.
inline constexpr Duration kill_retry = 1 * second;
inline constexpr uint8_t kill_retries = 3;

inline constexpr uint32_t window_restarts_max = 65'536;

// Heartbeats are checked so many times in a time-out.
inline constexpr uint64_t heartbeat_checks_per_timeout = 4;

// A worker whose replacement for its age failed is not replaced again sooner.
inline constexpr Duration lifetime_retry = 1 * second;

// A host that has popped the request to fork must report the result within this time.
inline constexpr Duration fork_result_timeout = 10 * second;

// The events of one worker's life: fork wanted, started, ready, unresponsive, killed, exited, and
// what followed from its end. A signal that could not be sent takes the room of unresponsive or of
// killed.
inline constexpr uint32_t events_per_life = 7;
// The events of the pool as a whole that must always find room: starting, gave up, stopping, done,
// and the end of a reload.
inline constexpr uint32_t events_of_pool = 5;
// Room for restarts while the host pops no events, and at the start for each signal of the pool's
// set that is unavailable.
inline constexpr uint32_t events_extra = 64;
// Those of a spare: its own start, then those of the worker that it becomes, or its own end.
inline constexpr uint32_t events_per_spare = events_per_life + 1;

} // namespace prefork::core
