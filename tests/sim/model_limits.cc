// How often and how soon workers are restarted, and how old they get.
//
// SPDX-License-Identifier: MIT
#include <algorithm>

#include "model.h"
#include "random.h"

namespace sim {

bool Model::allow_restart() {
    if (settings_.max_restarts != core::restarts_unlimited && counted_ >= settings_.max_restarts) {
        return false;
    }
    if (settings_.window_max > 0) {
        // The window ends now, and what is as old as it is long is out of it.
        const auto is_old = [this](Instant at) { return world.clock - at >= settings_.window; };
        counted_at_.erase(std::remove_if(counted_at_.begin(), counted_at_.end(), is_old),
                          counted_at_.end());
        if (counted_at_.size() >= settings_.window_max) {
            return false;
        }
        counted_at_.push_back(world.clock);
    }
    counted_ += 1;
    return true;
}

// The drawn numbers are those of the pool's seed, one for each delay.
Duration Model::draw_delay(Slot &slot) {
    if (settings_.backoff_first == 0) {
        return 0;
    }
    slot.backoff = slot.backoff == 0 ? settings_.backoff_first
                                     : std::min(2 * slot.backoff, settings_.backoff_max);
    return slot.backoff - slot.backoff / 2 + draw_number() % (slot.backoff / 2 + 1);
}

Duration Model::draw_lifetime() {
    const Duration jitter = settings_.lifetime_jitter;
    return settings_.lifetime + (jitter == 0 ? 0 : draw_number() % (jitter + 1));
}

uint64_t Model::draw_number() {
    Random random(random_);
    random_ += 0x9E3779B97F4A7C15U;
    return random.next();
}

} // namespace sim
