// SPDX-License-Identifier: MIT
#include "os/process/generation.h"

namespace prefork::os {

namespace {

uint32_t current = 1; // not 0: so it lies beside the other data that a new worker writes

} // namespace

uint32_t generation() { return current; }

void begin_generation() { current += 1; }

} // namespace prefork::os
