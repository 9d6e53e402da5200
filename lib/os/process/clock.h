// The clock of all deadlines: CLOCK_MONOTONIC.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "base/time.h"

namespace prefork::os {

base::Instant now();

} // namespace prefork::os
