// Planned replacements: for a worker's age, and of all workers one after the other.
//
// SPDX-License-Identifier: MIT
#include "core/supervisor.h"

namespace prefork::core {

// A second request during a reload is remembered once.
void Supervisor::reload(Instant now) {
    if (phase_ == Phase::running) {
        reload_wanted_ = true;
        advance_plans(now);
    }
}

void Supervisor::advance_plans(Instant now) {
    if (phase_ != Phase::running) {
        return;
    }
    advance_reload(now);
    if (can_begin_reload()) {
        reload_wanted_ = false;
        reloading_ = true;
        reloads_ += 1;
        reload_next_ = 0; // slots of one that failed may still be under way
        report_pool(EventType::reloading, Level::information, 0, now);
        advance_reload(now);
    }
    for (size_t left = expired_.size();
         left > 0 && !lifetime_under_way_ && !reloading_ && reload_under_way_ == 0; left--) {
        const uint32_t slot = expired_.pop();
        if (slot < slots_ && is_being_replaced(slot)) {
            (void)expired_.push(slot); // until it is known what becomes of that
            continue;
        }
        slot_table_[slot].in_expired = false;
        const Worker &old = worker(current(slot));
        // It may have been replaced meanwhile for another reason.
        if (slot < slots_ && old.state == State::ready && old.expires == never) {
            lifetime_under_way_ = true;
            replace(slot, Plan::lifetime);
        }
    }
}

void Supervisor::advance_reload(Instant now) {
    while (reloading_ && reload_next_ < slots_ && !lifetime_under_way_ &&
           reload_under_way_ < settings_.reload_width) {
        const uint32_t slot = reload_next_;
        if (is_being_replaced(slot)) {
            return; // its turn comes when what is under way there has ended
        }
        reload_next_ += 1;
        const State state = state_of(current(slot));
        // All others will be new ones anyway, or never be again.
        if (state == State::running || state == State::ready) {
            reload_under_way_ += 1;
            reload_slot(slot, now);
        }
    }
    if (reloading_ && reload_next_ >= slots_ && reload_under_way_ == 0) {
        end_reload(EventType::reloaded, 0, 0, now);
    }
}

void Supervisor::reload_slot(uint32_t slot, Instant now) {
    if (settings_.reload_order == ReloadOrder::start_first) {
        replace(slot, Plan::reload);
    } else {
        slot_table_[slot].plan = Plan::reload;
        ask_to_stop(current(slot), now);
    }
}

// A slot has its new worker, or does not get it.
void Supervisor::end_plan(uint32_t slot, bool good, int32_t error, Instant now) {
    const Plan plan = slot_table_[slot].plan;
    slot_table_[slot].plan = Plan::none;
    switch (plan) {
    case Plan::none:
        return;
    case Plan::reload:
        reload_under_way_ -= 1;
        break;
    case Plan::lifetime:
        lifetime_under_way_ = false;
        break;
    case Plan::host:
        break;
    }
    if (good || phase_ != Phase::running) {
        return;
    }
    if (plan == Plan::reload) {
        if (reloading_) {
            end_reload(EventType::reload_failed, slot, error, now);
        }
        return;
    }
    report_worker(EventType::reload_failed, Level::error, other_seat(current(slot)), error, now);
    Worker &old = seat(current(slot));
    if (plan == Plan::lifetime && old.state == State::ready) {
        const Duration pause =
            settings_.backoff_first > lifetime_retry ? settings_.backoff_first : lifetime_retry;
        old.expires = after(now, pause);
        expect_heartbeat(current(slot), now);
    }
}

void Supervisor::end_reload(EventType type, uint32_t slot, int32_t error, Instant now) {
    reloading_ = false;
    if (type == EventType::reloaded) {
        report_pool(type, Level::information, 0, now);
    } else {
        report_worker(type, Level::error, other_seat(current(slot)), error, now);
    }
}

// The new worker for its slot is there already, or on its way.
bool Supervisor::has_replacement(uint32_t worker) const {
    const uint32_t other = other_seat(worker);
    return is_busy(state_of(other)) && is_replacement(other);
}

// The current worker has left the slot to its successor, if it has one.
bool Supervisor::hand_over(uint32_t worker, Instant now) {
    if (!has_replacement(worker)) {
        return false;
    }
    const uint32_t other = other_seat(worker);
    Slot &slot = slot_table_[slot_of(worker)];
    slot.current ^= 1U;
    if (slot.plan == Plan::host) {
        slot.unproven = true;
        end_plan(slot_of(worker), true, 0, now); // it is a restart like any other now
        if (state_of(other) == State::running && settings_.ready_timeout == 0) {
            deadlines_.disarm(other);
            become_ready(other, now);
        }
    }
    return true;
}

// The worker is old enough.
void Supervisor::expire(uint32_t worker) {
    const uint32_t slot = slot_of(worker);
    seat(worker).expires = never;
    if (!slot_table_[slot].in_expired) {
        slot_table_[slot].in_expired = true;
        (void)expired_.push(slot);
    }
}

} // namespace prefork::core
