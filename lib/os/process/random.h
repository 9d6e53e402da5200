// Random numbers of the kernel, and those of the C library.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace prefork::os {

uint64_t random_seed();

// In a new worker without other threads: gives rand, random and drand48 a new state, made of this.
// The state of random keeps its size. No system call.
void reseed_generators(uint64_t seed);

} // namespace prefork::os
