// SPDX-License-Identifier: MIT
#include "core/restart_policy.h"

namespace prefork::core {

bool RestartPolicy::allow(Instant now) {
    if (settings_.max_restarts != restarts_unlimited && counted_ >= settings_.max_restarts) {
        return false;
    }
    if (settings_.window_max > 0) {
        while (!recent_.empty() && elapsed(recent_.front(), now) >= settings_.window) {
            (void)recent_.pop();
        }
        if (recent_.room() == 0) {
            return false;
        }
        (void)recent_.push(now);
    }
    counted_ += counted_ < INT32_MAX ? 1 : 0;
    return true;
}

void RestartPolicy::begin_anew() {
    counted_ = 0;
    while (!recent_.empty()) {
        (void)recent_.pop();
    }
}

Duration RestartPolicy::draw_delay(Duration uptime, Duration *undrawn) {
    if (settings_.backoff_first == 0) {
        return 0;
    }
    const bool stable = uptime >= settings_.backoff_max;
    if (*undrawn == 0 || stable) {
        *undrawn = settings_.backoff_first;
    } else {
        const Duration half = settings_.backoff_max / 2;
        *undrawn = *undrawn > half ? settings_.backoff_max : 2 * *undrawn;
    }
    // From half of it to the whole.
    const Duration half = *undrawn / 2;
    return *undrawn - half + next_random() % (half + 1);
}

Duration RestartPolicy::draw_lifetime(const Settings &settings) {
    const Duration jitter = settings.lifetime_jitter;
    return after(settings.lifetime, jitter == 0 ? 0 : next_random() % (jitter + 1));
}

// SplitMix64: small, fast, and good enough to spread restarts.
uint64_t RestartPolicy::next_random() {
    random_ += 0x9E3779B97F4A7C15U;
    uint64_t mixed = random_;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9U;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBU;
    return mixed ^ (mixed >> 31);
}

} // namespace prefork::core
