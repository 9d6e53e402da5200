// The pool as a whole.
//
// SPDX-License-Identifier: MIT
#include "core/supervisor.h"

namespace prefork::core {

bool Supervisor::open(const Settings &settings) {
    settings_ = settings;
    boot_.open(settings.boot_limit);
    spares_wanted_ = settings.spares;
    return policy_.open(settings) && reserve(settings.workers, settings.spares);
}

bool Supervisor::reserve(uint32_t slots, uint32_t spares) {
    slots = slots > slot_table_.size() ? slots : slot_table_.size();
    spares = spares > spare_places() ? spares : spare_places();
    const uint32_t count = slots * instances;
    // One step sends each worker at most what it gets once it is ready, and then another. The slots
    // come last: their number is the capacity.
    return signals_.grow(size_t{2} * (size_t{count} + spares)) && heartbeat_checks_.grow(count) &&
           rollout_.grow(slots) && start_queue_.grow(count) && deadlines_.grow(count, spares) &&
           reporter_.grow(count, spares) && slot_table_.grow(slots, spares);
}

void Supervisor::step(const Input &input, Instant now) {
    if (broken_ || !expect(slot_table_.has(input.worker))) {
        step_broken(input, now);
        return;
    }
    if (is_spare(input.worker)) {
        apply_to_spares(input, now);
    } else {
        apply(input, now);
    }
    if (starts_cancelled_) {
        remove_cancelled_starts();
    }
    advance_replacements(now);
    finish_if_nothing_is_busy(now);
}

void Supervisor::apply(const Input &input, Instant now) {
    switch (input.kind) {
    case Input::Kind::start:
        start(now);
        break;
    case Input::Kind::stop:
        stop(input, now);
        break;
    case Input::Kind::kill:
    case Input::Kind::fail:
    case Input::Kind::finish:
        end_by_force(input, now);
        break;
    case Input::Kind::resize:
        resize(input.count, now);
        break;
    case Input::Kind::tick:
        tick(now);
        break;
    case Input::Kind::reload:
        reload();
        break;
    case Input::Kind::signal_unavailable:
        reporter_.report_signal_unavailable(input.signal, now);
        break;
    case Input::Kind::replace:
        replace(input.worker, now);
        break;
    case Input::Kind::stop_worker:
        stop_worker(input.worker, now);
        break;
    case Input::Kind::pass_on:
        pass_on(input.signal);
        break;
    default:
        apply_to_worker(input, now);
        break;
    }
}

bool Supervisor::pop_signal(Signal *ret_signal) {
    if (signals_.empty()) {
        return false;
    }
    *ret_signal = signals_.pop();
    return true;
}

size_t Supervisor::startable() const {
    if (start_queue_.empty()) {
        return can_start_spare() ? 1 : 0;
    }
    return reporter_.has_room_for_life() ? start_queue_.startable(slot_table_.under_way() > 0) : 0;
}

uint32_t Supervisor::pop_start() {
    if (start_queue_.empty()) {
        return pop_spare_start();
    }
    reporter_.reserve_life();
    const uint32_t worker = start_queue_.pop();
    (void)expect(state_of(worker) == State::waiting);
    set_state(worker, State::starting);
    return worker;
}

bool Supervisor::pop_heartbeat_check(uint32_t *ret_worker) {
    if (heartbeat_checks_.empty()) {
        return false;
    }
    *ret_worker = heartbeat_checks_.pop();
    return true;
}

Instant Supervisor::next_deadline() const {
    if (phase_ == Phase::running && can_begin_reload()) {
        return 0; // the host has made room for its event
    }
    Instant retry = start_queue_.deadline();
    retry = spare_retry_ < retry ? spare_retry_ : retry;
    return retry < deadlines_.nearest() ? retry : deadlines_.nearest();
}

void Supervisor::start(Instant now) {
    if (!expect(phase_ == Phase::idle)) {
        return;
    }
    phase_ = Phase::running;
    slot_table_.set_slots(settings_.workers);
    reporter_.report_pool(EventType::starting, Level::information, 0, now);
    for (uint32_t slot = 0; slot < slot_table_.slots(); slot++) {
        begin(current(slot), Reason::start);
    }
}

void Supervisor::stop(const Input &input, Instant now) {
    if (phase_ != Phase::running && phase_ != Phase::stopping) {
        return;
    }
    if (input.signal != 0 && stop_signal_ != 0) {
        // The same request twice in a moment is one. A later one means: at once.
        if (elapsed(stop_signal_time_, now) >= second_signal_after) {
            kill(now);
        }
        return;
    }
    if (input.signal != 0) {
        stop_signal_ = input.signal;
        stop_signal_time_ = now;
    }
    const Duration chosen = settings_.stop_timeout;
    if (input.quick && (chosen == 0 || chosen > quick_stop_timeout)) {
        settings_.stop_timeout = quick_stop_timeout;
    }
    if (phase_ == Phase::running) {
        begin_stopping(Reason::stop, now);
    } else if (!input.quick) {
        return;
    }
    ask_all_to_stop(now);
}

void Supervisor::kill(Instant now) {
    if (phase_ == Phase::running) {
        begin_stopping(Reason::stop, now);
    }
    if (phase_ == Phase::stopping) {
        killing_ = true;
        kill_all(now);
    }
}

void Supervisor::resize(uint32_t count, Instant now) {
    if (phase_ != Phase::running || !expect(count * instances <= capacity()) ||
        count == slot_table_.slots()) {
        return;
    }
    const uint32_t before = slot_table_.slots();
    slot_table_.set_slots(count);
    reporter_.report_resized(now);
    for (uint32_t slot = before; slot < count; slot++) {
        // A worker that an earlier resize stops is started again at its end.
        if (state_of(current(slot)) == State::empty && !promote_replacement(current(slot), now)) {
            begin(current(slot), Reason::resize);
        }
    }
    for (uint32_t slot = before; slot > count; slot--) {
        leave_slot(slot - 1, Reason::resize, now);
        slot_table_.set_stopped(slot - 1, false);
    }
    if (count < before) {
        rollout_.cancel_from(count);
    }
}

// The slot stays empty until the host starts a worker there.
void Supervisor::stop_worker(uint32_t slot, Instant now) {
    if (!is_wanted(slot)) {
        return;
    }
    leave_slot(slot, Reason::stop, now);
    slot_table_.set_stopped(slot, true);
    rollout_.cancel_of(slot);
}

// Stops the workers of the slot, and cancels its replacement.
void Supervisor::leave_slot(uint32_t number, Reason reason, Instant now) {
    ask_to_stop(instance_of(number, 0), reason, now);
    ask_to_stop(instance_of(number, 1), reason, now);
    finish_replacement(number, true, 0, now);
    Slot &slot = slot_table_[number];
    slot.unproven = false;
    slot.given_up = false;
    slot.again = Reason::none;
}

void Supervisor::tick(Instant now) {
    uint32_t worker = 0;
    if (deadlines_.nearest() <= now) {
        renew_after_pause(elapsed(deadlines_.nearest(), now), now);
    }
    while (deadlines_.list_due(now, &worker)) {
        due(worker, now);
    }
    if (start_queue_.deadline() <= now) {
        start_queue_.probe();
    }
    if (spare_retry_ <= now) {
        spare_retry_ = never;
    }
}

// The pool cannot go on: what still runs is stopped, then it is done with this error.
void Supervisor::fail_with(int32_t error, Instant now) {
    if (phase_ == Phase::running) {
        result_ = error;
        begin_stopping(error == code_gave_up ? Reason::limit : Reason::none, now);
        ask_all_to_stop(now);
    }
}

void Supervisor::end_by_force(const Input &input, Instant now) {
    if (input.kind == Input::Kind::finish) {
        finish(now);
        return;
    }
    if (input.kind == Input::Kind::fail && phase_ != Phase::done) {
        result_ = input.error;
        if (phase_ == Phase::running) {
            begin_stopping(Reason::none, now);
        }
    }
    kill(now);
}

// An object whose state is not valid decides nothing. Ends are reported all the same.
void Supervisor::step_broken(const Input &input, Instant now) {
    if (input.kind == Input::Kind::exited && slot_table_.has(input.worker)) {
        if (is_spare(input.worker)) {
            reporter_.report_spare_exit(input, false, 0, now);
        } else {
            reporter_.report_exit(input, Level::warning, false, 0, now);
        }
        set_state(input.worker, State::empty);
    } else if (input.kind == Input::Kind::fail) {
        result_ = input.error;
    } else if (input.kind == Input::Kind::finish) {
        finish(now);
    }
}

void Supervisor::begin_stopping(Reason reason, Instant now) {
    phase_ = Phase::stopping;
    spare_retry_ = never;
    stop_reason_ = reason;
    reporter_.report_stopping(stop_signal_, stop_reason_, now);
}

void Supervisor::ask_all_to_stop(Instant now) {
    for (uint32_t worker = 0; worker < capacity(); worker++) {
        ask_to_stop(worker, Reason::stop, now);
    }
    end_spares(Reason::stop, now);
}

void Supervisor::kill_all(Instant now) {
    for (uint32_t worker = 0; worker < capacity(); worker++) {
        send_kill(worker, false);
    }
    for (uint32_t place = 0; place < spare_places(); place++) {
        const uint32_t spare = first_spare + place;
        if (is_alive(state_of(spare))) {
            send_kill(spare, false);
        } else {
            end_spare(spare, Reason::stop, now);
        }
    }
}

// Once a step, however many were cancelled.
void Supervisor::remove_cancelled_starts() {
    starts_cancelled_ = false;
    start_queue_.remove_if([this](uint32_t worker) { return state_of(worker) != State::waiting; });
    reporter_.cancel_fork_requests();
    if (start_queue_.empty()) {
        start_queue_.succeeded(); // no deadline for a start that nobody waits for
    }
}

void Supervisor::finish_if_nothing_is_busy(Instant now) {
    if (slot_table_.busy() > 0 || (phase_ != Phase::running && phase_ != Phase::stopping)) {
        return;
    }
    if (phase_ == Phase::running && slot_table_.stopped() > 0) {
        return; // the host may want workers there again
    }
    if (slot_table_.spares_busy() > 0 && phase_ == Phase::running) {
        end_spares(Reason::stop, now); // nobody needs them any more
    }
    if (slot_table_.spares_busy() > 0) {
        return;
    }
    spare_retry_ = never;
    if (phase_ == Phase::running && some_slot_given_up_) {
        result_ = code_gave_up;
        stop_reason_ = Reason::limit;
    }
    if (alive() + slot_table_.spares_alive() > 0 && result_ == 0) {
        result_ = abandon_error_;
    }
    finish(now);
}

void Supervisor::finish(Instant now) {
    if (phase_ == Phase::done) {
        return;
    }
    const bool some_left = alive() + slot_table_.spares_alive() > 0;
    phase_ = Phase::done;
    reporter_.report_pending_resize(now); // nothing is reported after the end
    reporter_.report_pool(EventType::done, some_left ? Level::error : Level::information, result_,
                          now, stop_reason_);
}

bool Supervisor::audit() const {
    return slot_table_.audit() && slot_table_.slots() <= slot_table_.size() &&
           rollout_.audit(settings_.reload_width);
}

// An impossible input or state: the runtime ends the pool and its workers.
bool Supervisor::expect(bool condition) {
    if (!base::holds(condition)) {
        broken_ = true;
    }
    return condition;
}

} // namespace prefork::core
