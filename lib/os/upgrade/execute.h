// Replaces the program of this process.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "os/spawn/program.h"
#include "os/upgrade/writer.h"

namespace prefork::os {

// Whether the kernel lets this process keep what it hands over: 0, or a negative errno.
[[nodiscard]] int check_upgrade(const Program &program);

// With all signals blocked. Returns a negative errno, with which all is as it was, or not at all.
[[nodiscard]] int execute_upgrade(const Program &program, UpgradeWriter *writer);

} // namespace prefork::os
