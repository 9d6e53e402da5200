// The clock of all deadlines: CLOCK_MONOTONIC.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "base/time.h"

namespace prefork::os {

base::Instant now();

// 50 us, or less if a signal comes. For a caller that looks at its condition and comes again.
void sleep_for_a_moment();

} // namespace prefork::os
