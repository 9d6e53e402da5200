// Planned replacements: asked for by the host, for a worker's age, or of all by a reload.
//
// SPDX-License-Identifier: MIT
#include <algorithm>

#include "model.h"
#include "violation.h"

namespace sim {

namespace base = prefork::base;

bool Model::is_being_replaced(uint32_t number) const {
    const Slot &slot = table_[number];
    return (phase_ == Phase::running && slot.plan != Plan::none) || slot.second >= 0 ||
           slot.pending == Pending::replacement;
}

void Model::plan(uint32_t slot, Plan plan) {
    table_[slot].plan = plan;
    plans_[static_cast<int>(plan)] += 1;
    require(planned(Plan::lifetime) <= 1, "lifetimes", "two are replaced for their age at once");
    require(planned(Plan::reload) <= settings_.reload_width, "reload-width",
            "more are replaced at once than the host wants");
}

void Model::reload() {
    if (phase_ == Phase::running) {
        reload_wanted_ = true; // one more, however often it is asked for
        conclude();
    }
}

bool Model::can_begin_reload() const {
    return phase_ == Phase::running && reload_wanted_ && !reloading_ && has_room_for_extra();
}

void Model::advance_plans() {
    if (phase_ != Phase::running) {
        return;
    }
    advance_reload();
    if (can_begin_reload()) {
        reload_wanted_ = false;
        reloading_ = true;
        reload_next_ = 0;
        tell(event_of(EventType::reloading, Level::information));
        advance_reload();
    }
    advance_lifetimes();
}

// In the order of the slots; each waits for whatever else is being done there.
void Model::advance_reload() {
    while (reloading_ && reload_next_ < slots_ && planned(Plan::lifetime) == 0 &&
           planned(Plan::reload) < settings_.reload_width && !is_being_replaced(reload_next_)) {
        const uint32_t number = reload_next_;
        reload_next_ += 1;
        Slot &slot = table_[number];
        if (slot.present < 0 || !is_at_work(slot.lives[slot.present])) {
            continue; // if there will be one it is new
        }
        plan(number, Plan::reload);
        if (settings_.reload_order == core::ReloadOrder::stop_first) {
            ask(number, slot.present);
        } else {
            want_start(number);
            slot.pending = Pending::replacement;
        }
    }
    if (reloading_ && reload_next_ >= slots_ && planned(Plan::reload) == 0) {
        reloading_ = false;
        tell(event_of(EventType::reloaded, Level::information));
    }
}

bool Model::can_expire(uint32_t number) const {
    const Slot &slot = table_[number];
    return slot.present >= 0 && slot.lives[slot.present].stage == Stage::serving &&
           slot.lives[slot.present].overdue && !is_being_replaced(number);
}

// One at a time, and never during a reload. Which of several is not for us to say.
void Model::advance_lifetimes() {
    if (settings_.lifetime == 0 || reloading_ ||
        planned(Plan::lifetime) + planned(Plan::reload) > 0) {
        return;
    }
    uint32_t count = 0;
    uint32_t last = 0;
    for (uint32_t slot = 0; slot < slots_; slot++) {
        if (can_expire(slot)) {
            count += 1;
            last = slot;
        }
    }
    if (count == 1) {
        plan(last, Plan::lifetime);
        want_start(last);
        table_[last].pending = Pending::replacement;
    }
    choosing_ = count > 1;
}

// By now the pool has made its choice.
void Model::resolve_choice() {
    if (!choosing_) {
        return;
    }
    choosing_ = false;
    for (uint32_t slot = 0; slot < slots_; slot++) {
        if (can_expire(slot) && supervisor_->is_being_replaced(slot)) {
            plan(slot, Plan::lifetime);
            want_start(slot);
            table_[slot].pending = Pending::replacement;
            return;
        }
    }
    violate("lifetime-missing", "workers are too old and none of them is replaced");
}

void Model::end_plan(uint32_t number, bool good, int32_t error) {
    Slot &slot = table_[number];
    const Plan ended = slot.plan;
    if (ended == Plan::none) {
        return;
    }
    plans_[static_cast<int>(ended)] -= 1;
    slot.plan = Plan::none;
    if (good || phase_ != Phase::running) {
        return;
    }
    if (ended != Plan::reload) {
        tell_reload_failed(number, error);
    } else if (reloading_) {
        reloading_ = false;
        tell_reload_failed(number, error);
    }
    if (ended == Plan::lifetime && slot.present >= 0 &&
        slot.lives[slot.present].stage == Stage::serving) {
        Life &old = slot.lives[slot.present];
        old.overdue = false;
        old.expires = base::after(world.clock, std::max(second, settings_.backoff_first));
        expect_sign(old);
    }
}

// The old worker has ended by itself: the new one, or the one to come, is the slot's worker.
void Model::replacement_takes_over(uint32_t number) {
    Slot &slot = table_[number];
    const bool is_there = slot.second >= 0;
    std::swap(slot.present, slot.second);
    if (slot.pending == Pending::replacement) {
        slot.pending = Pending::start;
    }
    if (slot.plan == Plan::asked) {
        slot.unproven = true;
        end_plan(number, true);
        if (is_there && slot.lives[slot.present].stage == Stage::trial &&
            settings_.ready_timeout == 0) {
            get_ready(number, slot.present);
        }
    }
}

void Model::tell_reload_failed(uint32_t slot, int32_t error) {
    core::Event event = event_of(EventType::reload_failed, Level::error, static_cast<int>(slot));
    event.error = error;
    tell(event);
}

} // namespace sim
