// SPDX-License-Identifier: MIT
#include "os/process/random.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "os/process/clock.h"

namespace prefork::os {

namespace {

// SplitMix64: distinct states have distinct values.
uint64_t next_value(uint64_t *state) {
    *state += 0x9e3779b97f4a7c15;
    uint64_t value = *state;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

#ifdef __GLIBC__

// The state that initstate(3) and setstate(3) work with: the first word is the type plus five times
// an index, then follow the words of that type. Other programs keep states in files, so the layout
// does not change.
constexpr uint32_t types = 5;
constexpr uint32_t words_of_type[types] = {1, 7, 15, 31, 63};

// srandom(3) fills the state by a weak generator and discards the first 310 values, because these
// are alike for similar seeds. Random words in the state need nothing discarded.
void reseed_random(uint64_t *state) {
    int32_t other[2] = {0, 1}; // of type 0, for the time of the change
    char *current = setstate(reinterpret_cast<char *>(other)); // which writes the first word
    uint32_t type = 0;
    memcpy(&type, current, sizeof(type));
    type %= types;
    memcpy(current, &type, sizeof(type)); // index 0
    uint64_t value = 0;
    for (uint32_t word = 1; word <= words_of_type[type]; word++) {
        value = word % 2 == 1 ? next_value(state) | 1 : value >> 32;
        const auto half = static_cast<uint32_t>(value);
        memcpy(current + word * sizeof(half), &half, sizeof(half));
    }
    (void)setstate(current);
}

#else

void reseed_random(uint64_t *state) {
    srandom(static_cast<unsigned int>(next_value(state)));
    srand(static_cast<unsigned int>(next_value(state))); // glibc has one state for both
}

#endif

} // namespace

uint64_t random_seed() {
    uint64_t seed = 0;
    // Early at boot there may be nothing yet, and nobody is to wait for it.
    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != static_cast<ssize_t>(sizeof(seed))) {
        seed = now() ^ (static_cast<uint64_t>(getpid()) << 32);
    }
    return seed;
}

void reseed_generators(uint64_t seed) {
    uint64_t state = seed;
    const uint64_t value = next_value(&state);
    // As seed48 would, which here has to fetch the same multiplier from a page of its own.
    unsigned short words[7] = {static_cast<unsigned short>(value),
                               static_cast<unsigned short>(value >> 16),
                               static_cast<unsigned short>(value >> 32),
                               0xE66D,
                               0xDEEC,
                               0x0005,
                               0x000B};
    lcong48(words);
    reseed_random(&state);
}

} // namespace prefork::os
