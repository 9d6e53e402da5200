// How often and how soon workers are restarted, how old they get, and what is counted.
//
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cinttypes>

#include "model.h"
#include "random.h"
#include "violation.h"

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

// A worker that was ready, or has lived long enough where none has to say so.
bool Model::has_booted(const Life &life) const {
    return life.well ||
           (settings_.ready_timeout == 0 && world.clock - life.started >= settings_.minimum_uptime);
}

// One more has ended before it was ready, or could not be started. Those that end while another
// one is there that was ready do not count.
bool Model::is_last_boot() {
    for (const Slot &slot : table_) {
        for (const Life &life : slot.lives) {
            if (life.stage != Stage::none && has_booted(life)) {
                boots_failed_ = 0;
                return false;
            }
        }
    }
    boots_failed_ += 1;
    return boots_failed_ == settings_.boot_limit;
}

void Model::give_up_boot() {
    core::Event event = event_of(EventType::gave_up, Level::error);
    event.error = prefork::base::code_gave_up;
    event.reason = core::Reason::limit;
    event.before_ready = true;
    tell(event);
    fail(event.error);
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

// ---- Readiness of the pool ------------------------------------------------------------------

uint32_t Model::ready() const {
    uint32_t count = 0;
    for (const Slot &slot : table_) {
        count += slot.lives[0].stage == Stage::serving || slot.lives[1].stage == Stage::serving;
    }
    return count;
}

// Or nobody else is to be expected.
bool Model::is_all_ready() const {
    uint32_t settled = ready();
    bool expects = false;
    for (const Slot &slot : table_) {
        settled += static_cast<uint32_t>(slot.finished) + static_cast<uint32_t>(slot.stopped);
        expects = expects || slot.pending != Pending::none || slot.underway;
        for (const Life &life : slot.lives) {
            expects = expects || (life.stage != Stage::none && life.stage != Stage::serving);
        }
    }
    return settled >= slots_ || (ready() > 0 && !expects);
}

// ---- Counters -------------------------------------------------------------------------------

// From what is told follows what is counted, but for starts that fail.
void Model::count_event(const core::Event &event) {
    using core::Counter;
    if (event.type == EventType::started) {
        count(Counter::started);
        counts_[4] += event.reason == Reason::restart ? 1 : 0;
    } else if (event.type == EventType::exited) {
        count(Counter::exited);
        counts_[3] += event.level == Level::warning ? 1 : 0;
    } else if (event.type == EventType::unresponsive && event.signal == 0) {
        count(Counter::unresponsive);
    } else if (event.type == EventType::reloading) {
        count(Counter::reloads);
    } else if (event.type == EventType::reload_failed) {
        count(Counter::replace_failed);
    }
}

void Model::check_counters(const core::Supervisor &supervisor) const {
    for (int which = 1; which <= 10; which++) {
        const auto counter = static_cast<core::Counter>(which);
        const uint64_t wanted = counter == core::Counter::ready   ? ready()
                                : counter == core::Counter::alive ? alive_
                                                                  : counts_[which];
        if (supervisor.counter(counter) != wanted) {
            violate("counter", "%d is %" PRIu64 ", not %" PRIu64, which,
                    supervisor.counter(counter), wanted);
        }
    }
}

} // namespace sim
