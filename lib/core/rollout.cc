// SPDX-License-Identifier: MIT
#include "core/rollout.h"

namespace prefork::core {

void Rollout::request(uint32_t slot, ReplacementReason reason) {
    Slot &wanted = slot_table_[slot];
    if (!wanted.wants(reason)) {
        wanted.requests |= request_bit(reason);
        (void)queue_.push(Replacement{slot, reason});
        reload_left_ += reason == ReplacementReason::reload ? 1 : 0;
    }
}

template <typename Predicate>
void Rollout::cancel(Predicate is_cancelled) {
    queue_.remove_if([this, is_cancelled](const Replacement &request) {
        const bool cancelled = is_cancelled(request);
        if (cancelled) {
            remove_request(request);
        }
        return cancelled;
    });
}

void Rollout::cancel_of(uint32_t slot) {
    cancel([slot](const Replacement &request) { return request.slot == slot; });
}

void Rollout::cancel_from(uint32_t slot) {
    cancel([slot](const Replacement &request) { return request.slot >= slot; });
}

void Rollout::remove_request(const Replacement &request) {
    Slot &slot = slot_table_[request.slot];
    slot.requests = static_cast<uint8_t>(slot.requests & ~request_bit(request.reason));
    reload_left_ -= request.reason == ReplacementReason::reload ? 1 : 0;
}

void Rollout::begin_reload() {
    reload_requested_ = false;
    reloading_ = true;
    reloads_ += 1;
    for (uint32_t slot = 0; slot < slot_table_.slots(); slot++) {
        if (!slot_table_[slot].stopped) {
            request(slot, ReplacementReason::reload);
        }
    }
}

void Rollout::fail_reload() {
    reloading_ = false;
    cancel([](const Replacement &request) { return request.reason == ReplacementReason::reload; });
    for (uint32_t slot = 0; reload_left_ > 0 && slot < slot_table_.slots(); slot++) {
        if (slot_table_[slot].replaced_for == ReplacementReason::reload) {
            slot_table_[slot].replaced_for = ReplacementReason::failed_reload;
            reload_left_ -= 1;
        }
    }
}

bool Rollout::pop(uint32_t width, Replacement *ret_next) {
    if (slot_table_.replacing() >= width) {
        return false;
    }
    const Replacement *next =
        queue_.find_oldest([this](const Replacement &request) { return !has_to_wait(request); });
    if (next == nullptr) {
        return false;
    }
    const Replacement popped = *next;
    if (next == &queue_.front()) {
        (void)queue_.pop();
    } else {
        queue_.remove_if([popped](const Replacement &request) {
            return request.slot == popped.slot && request.reason == popped.reason;
        });
    }
    remove_request(popped);
    *ret_next = popped;
    return true;
}

// Whether something else in the slot must end first.
bool Rollout::has_to_wait(const Replacement &request) const {
    const Slot &slot = slot_table_[request.slot];
    if (slot.replacing || slot.replaced_for != ReplacementReason::none ||
        is_busy(slot_table_.state_of(other_instance(slot_table_.current(request.slot))))) {
        return true;
    }
    const State state = slot_table_.state_of(slot_table_.current(request.slot));
    return request.reason == ReplacementReason::reload &&
           (state == State::aborting || state == State::stopping || state == State::killing);
}

void Rollout::begin(const Replacement &replacement, bool uses_budget) {
    slot_table_[replacement.slot].replaced_for = replacement.reason;
    reload_left_ += replacement.reason == ReplacementReason::reload ? 1 : 0;
    slot_table_.set_replacing(replacement.slot, uses_budget);
}

ReplacementReason Rollout::finish(uint32_t slot) {
    const ReplacementReason reason = slot_table_[slot].replaced_for;
    slot_table_[slot].replaced_for = ReplacementReason::none;
    reload_left_ -= reason == ReplacementReason::reload ? 1 : 0;
    release(slot);
    return reason;
}

void Rollout::release(uint32_t slot) {
    const uint32_t other = other_instance(slot_table_.current(slot));
    if (slot_table_[slot].replacing && slot_table_[slot].replaced_for == ReplacementReason::none &&
        !is_busy(slot_table_.state_of(other))) {
        slot_table_.set_replacing(slot, false);
    }
}

bool Rollout::audit(uint32_t width) const {
    uint32_t reload_left = 0;
    bool good = slot_table_.replacing() <= width;
    for (uint32_t slot = 0; slot < slot_table_.size(); slot++) {
        const Slot &audited = slot_table_[slot];
        reload_left += audited.wants(ReplacementReason::reload) ? 1U : 0U;
        reload_left += audited.replaced_for == ReplacementReason::reload ? 1U : 0U;
        good = good && (slot < slot_table_.slots() || audited.requests == 0);
    }
    return good && reload_left == reload_left_ && (reloading_ || reload_left == 0);
}

} // namespace prefork::core
