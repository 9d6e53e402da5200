// Points in time and durations, in nanoseconds of one clock that never steps back.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace prefork::base {

using Instant = uint64_t;
using Duration = uint64_t;

inline constexpr Duration microsecond = 1'000;
inline constexpr Duration millisecond = 1'000'000;
inline constexpr Duration second = 1'000 * millisecond;

// The instant that never comes.
inline constexpr Instant never = UINT64_MAX;

// Durations that reach past the end of time end there.
constexpr Instant after(Instant start, Duration duration) {
    return start > never - duration ? never : start + duration;
}

constexpr Duration elapsed(Instant start, Instant now) { return now > start ? now - start : 0; }

// Rounded up, so that a delay never looks like none.
constexpr uint64_t whole_milliseconds(Duration duration) {
    return duration / millisecond + (duration % millisecond != 0 ? 1 : 0);
}

} // namespace prefork::base
