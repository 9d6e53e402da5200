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
    if (slot.stopped) {
        return false;
    }
    const bool replaced = slot.replaced_for != ReplacementReason::none ||
                          is_requested(number, ReplacementReason::asked);
    const bool beside = slot.second >= 0 && slot.lives[slot.second].stage != Stage::left;
    return (phase_ == Phase::running && replaced) || beside || slot.wanted_again ||
           slot.pending == Pending::replacement;
}

bool Model::is_requested(uint32_t slot, ReplacementReason reason) const {
    return std::any_of(requests_.begin(), requests_.end(), [=](const Request &request) {
        return request.slot == slot && request.reason == reason;
    });
}

// Each reason once for each slot, in the order in which they came up.
void Model::request_replacement(uint32_t slot, ReplacementReason reason) {
    if (!is_requested(slot, reason)) {
        requests_.push_back(Request{slot, reason});
    }
}

void Model::replace(uint32_t slot, ReplacementReason reason, bool takes_part) {
    table_[slot].replaced_for = reason;
    table_[slot].takes_part = takes_part;
    require(count_replaced() <= settings_.reload_width, "reload-width",
            "more are replaced at once than the host wants");
}

// Slots whose worker is being replaced: until the new one is good, and the old one gone.
uint32_t Model::count_replaced() {
    uint32_t count = 0;
    for (Slot &slot : table_) {
        const bool goes_on = slot.replaced_for != ReplacementReason::none || slot.second >= 0 ||
                             slot.pending == Pending::replacement;
        slot.takes_part = slot.takes_part && goes_on;
        count += slot.takes_part ? 1 : 0;
    }
    return count;
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

// Slots that have not got what the reload under way is for.
bool Model::has_reload_left() const {
    const auto is_it = [](const Request &request) {
        return request.reason == ReplacementReason::reload;
    };
    const auto has_it = [](const Slot &slot) {
        return slot.replaced_for == ReplacementReason::reload;
    };
    return std::any_of(requests_.begin(), requests_.end(), is_it) ||
           std::any_of(table_.begin(), table_.end(), has_it);
}

void Model::advance_replacements() {
    if (phase_ != Phase::running || (requests_.empty() && !reloading_ && !reload_wanted_)) {
        return;
    }
    bool goes_on = true;
    while (goes_on) {
        goes_on = false;
        if (reloading_ && !has_reload_left()) {
            finish_reload();
        }
        if (can_begin_reload()) {
            reload_wanted_ = false;
            reloading_ = true;
            tell(event_of(EventType::reloading, Level::information));
            for (uint32_t slot = 0; slot < slots_; slot++) {
                if (!table_[slot].stopped) {
                    request_replacement(slot, ReplacementReason::reload);
                }
            }
            renew_spares();
        }
        const bool has_part = count_replaced() < settings_.reload_width;
        const auto first = std::find_if(requests_.begin(), requests_.end(),
                                        [this](const Request &one) { return !has_to_wait(one); });
        if (has_part && first != requests_.end()) {
            const Request request = *first;
            requests_.erase(first);
            replace(request);
            goes_on = true;
        }
        goes_on = goes_on || (reloading_ && !has_reload_left());
    }
}

// All are new: those that were given up before got another chance.
void Model::finish_reload() {
    reloading_ = false;
    counted_ = 0;
    counted_at_.clear();
    some_given_up_ = false;
    for (uint32_t slot = 0; slot < slots_; slot++) {
        some_given_up_ = some_given_up_ || table_[slot].given_up;
    }
    tell(event_of(EventType::reloaded, Level::information));
}

bool Model::has_to_wait(const Request &request) const {
    const Slot &slot = table_[request.slot];
    const bool goes_on = slot.replaced_for != ReplacementReason::none || slot.takes_part;
    const bool is_ending = slot.present >= 0 && !is_at_work(slot.lives[slot.present]);
    return goes_on || (request.reason == ReplacementReason::reload && is_ending);
}

void Model::replace(const Request &request) {
    Slot &slot = table_[request.slot];
    const bool works = slot.present >= 0 && is_at_work(slot.lives[slot.present]);
    if (request.reason == ReplacementReason::lifetime &&
        !(works && slot.lives[slot.present].overdue)) {
        return;
    }
    if (request.reason == ReplacementReason::retire &&
        !(slot.present >= 0 && slot.lives[slot.present].stage == Stage::serving &&
          slot.lives[slot.present].retires)) {
        return;
    }
    if (works) {
        replace(request.slot, request.reason, true);
        if (settings_.reload_order == core::ReloadOrder::stop_first) {
            ask(request.slot, slot.present, reason_of(request.reason));
        } else {
            want_start(request.slot, reason_of(request.reason));
            slot.pending = Pending::replacement;
        }
        return;
    }
    if (request.reason == ReplacementReason::asked) {
        fill(request.slot, Reason::replace);
    } else if (!slot.finished) {
        // It has none, or one that is on its way and so is the new one.
        const bool has_none = slot.pending == Pending::none || slot.pending == Pending::delay;
        replace(request.slot, ReplacementReason::reload, has_none);
        fill(request.slot, Reason::reload);
    }
}

Reason Model::reason_of(ReplacementReason replaced_for) {
    switch (replaced_for) {
    case ReplacementReason::asked:
        return Reason::replace;
    case ReplacementReason::lifetime:
        return Reason::lifetime;
    case ReplacementReason::retire:
        return Reason::retire;
    case ReplacementReason::reload:
    case ReplacementReason::failed: // the reload did, and this one goes on
        return Reason::reload;
    case ReplacementReason::none:
        break;
    }
    return Reason::none;
}

// A slot without a process has one at once.
void Model::fill(uint32_t number, Reason reason) {
    const Slot &slot = table_[number];
    if (slot.present < 0 && (slot.pending == Pending::delay || slot.pending == Pending::none)) {
        withdraw(number);
        want_start(number, reason);
    }
}

void Model::finish_replacement(uint32_t number, bool good, int32_t error) {
    Slot &slot = table_[number];
    const ReplacementReason ended = slot.replaced_for;
    slot.replaced_for = ReplacementReason::none;
    if (good || phase_ != Phase::running || ended == ReplacementReason::none ||
        ended == ReplacementReason::failed) {
        return;
    }
    tell_reload_failed(number, error, reason_of(ended));
    if (ended == ReplacementReason::reload) {
        reloading_ = false;
        std::erase_if(requests_,
                      [](const Request &one) { return one.reason == ReplacementReason::reload; });
        for (Slot &other : table_) {
            other.replaced_for = other.replaced_for == ReplacementReason::reload
                                     ? ReplacementReason::failed
                                     : other.replaced_for;
        }
    }
    if ((ended == ReplacementReason::lifetime || ended == ReplacementReason::retire) &&
        slot.present >= 0 && slot.lives[slot.present].stage == Stage::serving) {
        Life &old = slot.lives[slot.present];
        old.overdue = false;
        const Instant retry = base::after(world.clock, std::max(second, settings_.backoff_first));
        old.expires = std::min(old.expires, retry);
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
    if (slot.replaced_for == ReplacementReason::asked) {
        slot.unproven = true;
        finish_replacement(number, true);
        if (is_there && slot.lives[slot.present].stage == Stage::trial &&
            settings_.ready_timeout == 0) {
            get_ready(number, slot.present);
        }
    }
}

void Model::tell_reload_failed(uint32_t slot, int32_t error, Reason reason) {
    core::Event event = event_of(EventType::reload_failed, Level::error, static_cast<int>(slot));
    event.error = error;
    event.reason = reason;
    tell(event);
}

} // namespace sim
