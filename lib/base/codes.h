// Numbers that the core uses. os and api check that they equal the numbers of the system and of
// the header.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace prefork::base {

inline constexpr int32_t code_gave_up = -4097; // PF_EGAVEUP
inline constexpr int32_t code_threads = -4098; // PF_ETHREADS
inline constexpr int32_t code_resolve = -4099; // PF_ERESOLVE
inline constexpr int32_t code_fatal = -4100;   // PF_EFATAL

inline constexpr int32_t code_timed_out = -110; // -ETIMEDOUT
inline constexpr int32_t code_protocol = -71;   // -EPROTO

inline constexpr int32_t signal_abort = 6;
inline constexpr int32_t signal_kill = 9;
inline constexpr int32_t signal_terminate = 15;

} // namespace prefork::base
