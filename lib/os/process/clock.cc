// SPDX-License-Identifier: MIT
#include "os/process/clock.h"

#include <time.h>

namespace prefork::os {

base::Instant now() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time); // cannot fail for this clock
    return static_cast<base::Instant>(time.tv_sec) * base::second +
           static_cast<base::Instant>(time.tv_nsec);
}

void sleep_for_a_moment() {
    constexpr timespec moment = {0, 50'000};
    nanosleep(&moment, nullptr);
}

} // namespace prefork::os
