// What becomes of a pool that was handed over and that nobody has claimed.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "os/upgrade/reader.h"

namespace prefork::os {

// Closes a descriptor that is noted; -1: none.
void close_handed_over(int descriptor);

// Asks the workers to stop, and closes all descriptors but their pidfds.
void close_unwanted_pool(const UpgradePoolView &view);

} // namespace prefork::os
