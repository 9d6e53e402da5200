// Randomness from the kernel.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace prefork::os {

uint64_t random_seed();

// In a new worker without other threads: gives rand, random and drand48 new seeds.
void reseed_generators();

} // namespace prefork::os
