// Replacements: of all workers by a reload, of a worker for its age, and as the host or the worker
// itself asks.
//
// SPDX-License-Identifier: MIT
//
// All requests wait in one queue. At most as many slots as the settings say are being replaced at
// a time, each from the moment at which its turn comes until its old worker has ended and its new
// one is good or has failed.
#include "core/supervisor.h"

namespace prefork::core {

// A second request during a reload is remembered once.
void Supervisor::reload() { reload_wanted_ = reload_wanted_ || phase_ == Phase::running; }

// The host asks for a new worker in the slot.
void Supervisor::replace(uint32_t slot, Instant now) {
    if (phase_ != Phase::running || slot >= slot_table_.slots() || is_being_replaced(slot)) {
        return;
    }
    const State state = state_of(current(slot));
    if (slot_table_[slot].stopped) {
        resume_slot(slot, now);
    } else if (state == State::running || state == State::ready) {
        request_replacement(slot, Plan::host);
    } else {
        begin_anew(slot, Reason::replace); // nobody has to go for it
    }
}

// A slot that the host had stopped gets a worker again, at the latest when the old one has ended.
void Supervisor::resume_slot(uint32_t slot, Instant now) {
    const uint32_t worker = current(slot);
    slot_table_.set_stopped(slot, false);
    if (is_alive(state_of(worker))) {
        slot_table_[slot].again = Reason::replace;
    } else if (state_of(worker) == State::empty && !hand_over(worker, now)) {
        begin(worker, Reason::replace);
    }
}

// Each reason counts once.
void Supervisor::request_replacement(uint32_t slot, Plan reason) {
    Slot &wanted = slot_table_[slot];
    if (!wanted.wants(reason)) {
        wanted.requests |= request_bit(reason);
        (void)replacements_.push(Replacement{slot, reason});
        reload_left_ += reason == Plan::reload ? 1 : 0;
    }
}

template <typename Predicate>
void Supervisor::cancel_replacements(Predicate is_cancelled) {
    replacements_.remove_if([this, is_cancelled](const Replacement &request) {
        const bool cancelled = is_cancelled(request);
        if (cancelled) {
            forget_request(request);
            reload_left_ -= request.reason == Plan::reload ? 1 : 0;
        }
        return cancelled;
    });
}

void Supervisor::cancel_replacements_from(uint32_t slot) {
    cancel_replacements([slot](const Replacement &request) { return request.slot >= slot; });
}

void Supervisor::cancel_replacements_of(uint32_t slot) {
    cancel_replacements([slot](const Replacement &request) { return request.slot == slot; });
}

void Supervisor::forget_request(const Replacement &request) {
    Slot &slot = slot_table_[request.slot];
    slot.requests = static_cast<uint8_t>(slot.requests & ~request_bit(request.reason));
}

void Supervisor::advance_replacements(Instant now) {
    if (phase_ != Phase::running) {
        return;
    }
    do {
        if (reloading_ && reload_left_ == 0) {
            finish_reload(now);
        }
        if (can_begin_reload()) {
            begin_reload(now);
        }
        Replacement next{};
        while (slot_table_.replacing() < settings_.reload_width && pop_replacement(&next)) {
            if (!begin_replacement(next, now) && next.reason == Plan::reload) {
                reload_left_ -= 1;
            }
        }
    } while (reloading_ && reload_left_ == 0);
}

void Supervisor::begin_reload(Instant now) {
    reload_wanted_ = false;
    reloading_ = true;
    reloads_ += 1;
    reporter_.count(Counter::reloads);
    reporter_.report_pool(EventType::reloading, Level::information, 0, now);
    for (uint32_t slot = 0; slot < slot_table_.slots(); slot++) {
        if (!slot_table_[slot].stopped) {
            request_replacement(slot, Plan::reload);
        }
    }
}

// Takes the oldest request whose turn may come; returns false if there is none.
bool Supervisor::pop_replacement(Replacement *ret_next) {
    const Replacement *next = replacements_.find_oldest(
        [this](const Replacement &request) { return !has_to_wait(request); });
    if (next == nullptr) {
        return false;
    }
    const Replacement taken = *next;
    if (next == &replacements_.front()) {
        (void)replacements_.pop();
    } else {
        replacements_.remove_if([taken](const Replacement &request) {
            return request.slot == taken.slot && request.reason == taken.reason;
        });
    }
    forget_request(taken);
    *ret_next = taken;
    return true;
}

// Something goes on in the slot that has to end before.
bool Supervisor::has_to_wait(const Replacement &request) const {
    const Slot &slot = slot_table_[request.slot];
    if (slot.replacing || slot.plan != Plan::none) {
        return true;
    }
    const State state = state_of(current(request.slot));
    return request.reason == Plan::reload &&
           (state == State::aborting || state == State::stopping || state == State::killing);
}

// Returns false if there is nothing to replace, and nothing to come of it.
bool Supervisor::begin_replacement(const Replacement &request, Instant now) {
    Slot &slot = slot_table_[request.slot];
    const uint32_t worker = current(request.slot);
    const State state = state_of(worker);
    const bool is_at_work = state == State::running || state == State::ready;
    if (request.reason == Plan::lifetime &&
        (state != State::ready || this->worker(worker).expires != never)) {
        return false; // another one has its place by now
    }
    if (request.reason == Plan::retire &&
        (state != State::ready || !this->worker(worker).retires)) {
        return false; // neither asks the one that is there now
    }
    if (request.reason != Plan::reload && !is_at_work) {
        begin_anew(request.slot, reason_of(request.reason));
        return false;
    }
    if (state == State::done) {
        return false; // by itself, so that nobody is missing
    }
    slot.plan = request.reason;
    if (is_at_work || state == State::empty || state == State::backing_off) {
        slot_table_.set_replacing(request.slot, true);
    }
    if (!is_at_work) {
        begin_anew(request.slot, reason_of(request.reason));
    } else if (settings_.reload_order == ReloadOrder::start_first) {
        begin(other_instance(worker), reason_of(request.reason));
    } else {
        ask_to_stop(worker, reason_of(request.reason), now);
    }
    return true;
}

// A slot without a process gets a worker now. One that is on its way already is the new one.
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
void Supervisor::end_plan(uint32_t number, bool good, int32_t error, Instant now) {
    Slot &slot = slot_table_[number];
    const Plan plan = slot.plan;
    slot.plan = Plan::none;
    release(number);
    reload_left_ -= plan == Plan::reload ? 1 : 0;
    if (good || phase_ != Phase::running || plan == Plan::none || plan == Plan::failed_reload) {
        return;
    }
    reporter_.count(Counter::replace_failed);
    reporter_.report_worker(EventType::reload_failed, Level::error, other_instance(current(number)),
                            error, now, reason_of(plan));
    if (plan == Plan::reload) {
        fail_reload();
    }
    Worker &old = instance(current(number));
    if ((plan == Plan::lifetime || plan == Plan::retire) && old.state == State::ready) {
        const Duration pause =
            settings_.backoff_first > lifetime_retry ? settings_.backoff_first : lifetime_retry;
        const Instant retry = after(now, pause);
        old.expires = retry < old.expires ? retry : old.expires;
        expect_heartbeat(current(number), now);
    }
}

// The others may take the slot's part of the budget once nobody more than usual is there.
void Supervisor::release(uint32_t number) {
    const Slot &slot = slot_table_[number];
    if (slot.replacing && slot.plan == Plan::none &&
        !is_busy(state_of(other_instance(current(number))))) {
        slot_table_.set_replacing(number, false);
    }
}

// All workers are new ones, with which the count of restarts begins anew.
void Supervisor::finish_reload(Instant now) {
    reloading_ = false;
    policy_.begin_anew();
    some_slot_given_up_ = false;
    for (uint32_t slot = 0; slot < slot_table_.slots(); slot++) {
        some_slot_given_up_ = some_slot_given_up_ || slot_table_[slot].given_up;
    }
    reporter_.report_pool(EventType::reloaded, Level::information, 0, now);
}

// Those whose turn has not come stay; what is under way goes on.
void Supervisor::fail_reload() {
    reloading_ = false;
    cancel_replacements([](const Replacement &request) { return request.reason == Plan::reload; });
    for (uint32_t slot = 0; reload_left_ > 0 && slot < slot_table_.slots(); slot++) {
        if (slot_table_[slot].plan == Plan::reload) {
            slot_table_[slot].plan = Plan::failed_reload;
            reload_left_ -= 1;
        }
    }
}

// The new worker for its slot is there already, or on its way.
bool Supervisor::has_replacement(uint32_t worker) const {
    const uint32_t other = other_instance(worker);
    return is_busy(state_of(other)) && is_replacement(other);
}

// The current worker has left the slot to its successor, if it has one.
bool Supervisor::hand_over(uint32_t worker, Instant now) {
    if (!has_replacement(worker)) {
        return false;
    }
    const uint32_t other = other_instance(worker);
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
    release(slot_of(worker));
    return true;
}

// The worker is old enough.
void Supervisor::expire(uint32_t worker) {
    instance(worker).expires = never;
    request_replacement(slot_of(worker), instance(worker).retires ? Plan::retire : Plan::lifetime);
}

// A worker asks to be replaced. One that does not serve yet is, once it does.
void Supervisor::retire(uint32_t worker) {
    Worker &old = instance(worker);
    if (old.retires || (old.state != State::running && old.state != State::ready)) {
        return;
    }
    old.retires = true;
    if (old.state == State::ready) {
        request_replacement(slot_of(worker), Plan::retire);
    }
}

} // namespace prefork::core
