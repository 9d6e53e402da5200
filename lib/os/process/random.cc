// SPDX-License-Identifier: MIT
#include "os/process/random.h"

#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "os/process/clock.h"

namespace prefork::os {

uint64_t random_seed() {
    uint64_t seed = 0;
    // Early at boot there may be nothing yet, and nobody is to wait for it.
    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != static_cast<ssize_t>(sizeof(seed))) {
        seed = now() ^ (static_cast<uint64_t>(getpid()) << 32);
    }
    return seed;
}

void reseed_generators() {
    const uint64_t seed = random_seed();
    const auto low = static_cast<unsigned int>(seed);
    const auto high = static_cast<unsigned int>(seed >> 32);
    srandom(high);
#ifndef __GLIBC__ // there rand has the state of random
    srand(low);
#endif
    // As seed48 would, which here has to fetch the same multiplier from a page of its own.
    unsigned short words[7] = {static_cast<unsigned short>(low),
                               static_cast<unsigned short>(low >> 16),
                               static_cast<unsigned short>(high),
                               0xE66D,
                               0xDEEC,
                               0x0005,
                               0x000B};
    lcong48(words);
}

} // namespace prefork::os
