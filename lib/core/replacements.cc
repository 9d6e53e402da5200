// Replacements: of all workers by a reload, of a worker for its age, and as the host or the worker
// itself asks.
//
// SPDX-License-Identifier: MIT
//
// A reload: reload(), begin_reload(), begin_replacement() for each slot in turn, begin() of the new
// worker, finish_replacement() once that is good, finish_reload() after the last one.
#include "core/supervisor.h"

namespace prefork::core {

// The host requests a new worker in the slot.
void Supervisor::replace(uint32_t slot, Instant now) {
    if (phase_ != Phase::running || slot >= slot_table_.slots() || is_being_replaced(slot)) {
        return;
    }
    const State state = state_of(current(slot));
    if (slot_table_[slot].stopped) {
        resume_slot(slot, now);
    } else if (state == State::running || state == State::ready) {
        rollout_.request(slot, ReplacementReason::host);
    } else {
        begin_anew(slot, Reason::replace); // there is no worker to stop
    }
}

// A slot that the host had stopped gets a worker again, at the latest when the old one has ended.
void Supervisor::resume_slot(uint32_t slot, Instant now) {
    const uint32_t worker = current(slot);
    slot_table_.set_stopped(slot, false);
    if (is_alive(state_of(worker))) {
        slot_table_[slot].again = Reason::replace;
    } else if (state_of(worker) == State::empty && !promote_replacement(worker, now)) {
        begin(worker, Reason::replace);
    }
}

void Supervisor::reload() {
    if (phase_ == Phase::running) {
        rollout_.request_reload();
    }
}

// After each step.
void Supervisor::advance_replacements(Instant now) {
    if (phase_ != Phase::running) {
        return;
    }
    bool popped = false;
    do {
        // A reload is over before what waits behind it begins.
        if (rollout_.reload_is_complete()) {
            finish_reload(now);
        }
        if (can_begin_reload()) {
            begin_reload(now);
        }
        Replacement next{};
        popped = rollout_.pop(settings_.reload_width, &next);
        if (popped) {
            begin_replacement(next, now);
        }
    } while (popped || rollout_.reload_is_complete());
}

void Supervisor::begin_reload(Instant now) {
    reporter_.count(Counter::reloads);
    reporter_.report_pool(EventType::reloading, Level::information, 0, now);
    rollout_.begin_reload();
    renew_spares(Reason::reload, now);
}

// Does nothing if there is nothing to replace.
void Supervisor::begin_replacement(const Replacement &request, Instant now) {
    const uint32_t worker = current(request.slot);
    const State state = state_of(worker);
    const bool is_at_work = state == State::running || state == State::ready;
    if (request.reason == ReplacementReason::lifetime &&
        (state != State::ready || this->worker(worker).expires != never)) {
        return; // another one has its place by now
    }
    if (request.reason == ReplacementReason::retire &&
        (state != State::ready || !this->worker(worker).retires)) {
        return; // the present worker has not requested it
    }
    if (request.reason != ReplacementReason::reload && !is_at_work) {
        begin_anew(request.slot, reason_of(request.reason));
        return;
    }
    if (state == State::done) {
        return; // it has finished, so no worker is missing
    }
    // One that is being started already needs no part of the budget.
    const bool uses_budget = is_at_work || state == State::empty || state == State::backing_off;
    rollout_.begin(request, uses_budget);
    if (!is_at_work) {
        begin_anew(request.slot, reason_of(request.reason));
    } else if (settings_.reload_order == ReloadOrder::start_first) {
        begin(other_instance(worker), reason_of(request.reason));
    } else {
        ask_to_stop(worker, reason_of(request.reason), now);
    }
}

// Starts a worker in a slot without a process. One that is being started already is the new one.
void Supervisor::begin_anew(uint32_t slot, Reason reason) {
    const uint32_t worker = current(slot);
    const State state = state_of(worker);
    if (state == State::backing_off) {
        deadlines_.disarm(worker);
        set_state(worker, State::empty);
        begin(worker, reason);
    } else if (state == State::empty || state == State::done) {
        begin(worker, reason);
    }
}

// A slot has its new worker, or does not get it.
void Supervisor::finish_replacement(uint32_t number, bool good, int32_t error, Instant now) {
    const ReplacementReason reason = rollout_.finish(number);
    if (good || phase_ != Phase::running || reason == ReplacementReason::none ||
        reason == ReplacementReason::failed_reload) {
        return;
    }
    reporter_.count(Counter::replace_failed);
    reporter_.report_worker(EventType::reload_failed, Level::error, other_instance(current(number)),
                            error, now, reason_of(reason));
    if (reason == ReplacementReason::reload) {
        rollout_.fail_reload();
    }
    Worker &old = instance(current(number));
    if ((reason == ReplacementReason::lifetime || reason == ReplacementReason::retire) &&
        old.state == State::ready) {
        const Duration pause =
            settings_.backoff_first > lifetime_retry ? settings_.backoff_first : lifetime_retry;
        const Instant retry = after(now, pause);
        old.expires = retry < old.expires ? retry : old.expires;
        expect_heartbeat(current(number), now);
    }
}

// All workers are new. The count of restarts is 0 again.
void Supervisor::finish_reload(Instant now) {
    rollout_.finish_reload();
    policy_.begin_anew();
    some_slot_given_up_ = false;
    for (uint32_t slot = 0; slot < slot_table_.slots(); slot++) {
        some_slot_given_up_ = some_slot_given_up_ || slot_table_[slot].given_up;
    }
    reporter_.report_pool(EventType::reloaded, Level::information, 0, now);
}

// The current worker has left the slot to its successor, if it has one.
bool Supervisor::promote_replacement(uint32_t worker, Instant now) {
    if (!has_replacement(worker)) {
        return false;
    }
    const uint32_t other = other_instance(worker);
    Slot &slot = slot_table_[slot_of(worker)];
    slot.current ^= 1U;
    if (slot.replaced_for == ReplacementReason::host) {
        slot.unproven = true;
        finish_replacement(slot_of(worker), true, 0, now); // it is a restart like any other now
        if (state_of(other) == State::running && settings_.ready_timeout == 0) {
            deadlines_.disarm(other);
            become_ready(other, now);
        }
    }
    rollout_.release(slot_of(worker));
    return true;
}

// The worker is old enough.
void Supervisor::expire(uint32_t worker) {
    instance(worker).expires = never;
    rollout_.request(slot_of(worker), instance(worker).retires ? ReplacementReason::retire
                                                               : ReplacementReason::lifetime);
}

// A worker requests its replacement. One that is not ready yet is replaced when it is.
void Supervisor::retire(uint32_t worker, Instant now) {
    Worker &old = instance(worker);
    if (old.retires || (old.state != State::running && old.state != State::ready)) {
        return;
    }
    old.retires = true;
    if (old.state == State::ready) {
        request_retirement(worker, now);
    }
}

// Workers that retire as soon as they can would be replaced without an end, and no limit counts
// replacements. So one stays for the minimum uptime.
void Supervisor::request_retirement(uint32_t worker, Instant now) {
    Worker &old = instance(worker);
    const Instant earliest = after(old.started, settings_.minimum_uptime);
    const bool has_expired = settings_.lifetime != 0 && old.expires == never;
    if (now >= earliest || has_expired) {
        rollout_.request(slot_of(worker), ReplacementReason::retire);
    } else if (earliest < old.expires) {
        old.expires = earliest;
        expect_heartbeat(worker, now);
    }
}

} // namespace prefork::core
