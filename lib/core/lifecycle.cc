// What happens to one worker.
//
// SPDX-License-Identifier: MIT
#include "core/supervisor.h"

namespace prefork::core {

bool Supervisor::is_being_replaced(uint32_t slot) const {
    const Slot &asked = slot_table_[slot];
    if (asked.stopped) {
        return false;
    }
    const bool planned =
        asked.replaced_for != ReplacementReason::none || asked.wants(ReplacementReason::host);
    return (phase_ == Phase::running && planned) || asked.again != Reason::none ||
           is_busy(state_of(other_instance(current(slot))));
}

void Supervisor::apply_to_worker(const Input &input, Instant now) {
    switch (input.kind) {
    case Input::Kind::request_delivered:
        request_delivered(input.worker, now);
        break;
    case Input::Kind::started:
        started(input, now);
        break;
    case Input::Kind::start_failed:
        start_failed(input, now);
        break;
    case Input::Kind::start_cancelled:
        start_cancelled(input.worker);
        break;
    case Input::Kind::ready:
        ready(input.worker, now);
        break;
    case Input::Kind::retire:
        retire(input.worker, now);
        break;
    case Input::Kind::heartbeat:
        heartbeat(input.worker, input.count, now);
        break;
    case Input::Kind::flood:
        abort_working(input.worker, Reason::protocol, now);
        break;
    case Input::Kind::hang:
        abort_working(input.worker, Reason::heartbeat_timeout, now);
        break;
    case Input::Kind::exited:
        exited(input, now);
        break;
    case Input::Kind::signal_failed:
        signal_failed(input, now);
        break;
    default:
        apply_to_spares(input, now);
        break;
    }
}

void Supervisor::started(const Input &input, Instant now) {
    if (!expect(state_of(input.worker) == State::starting) || !expect(input.pid > 0)) {
        return;
    }
    deadlines_.disarm(input.worker);
    start_queue_.succeeded();
    begin_life(input, now);
}

// It runs as the slot's worker from now on.
void Supervisor::begin_life(const Input &input, Instant now) {
    Worker &worker = instance(input.worker);
    worker.started = input.since;
    worker.expires = never;
    worker.last_beat = never;
    worker.beats = 0;
    worker.renewals = 0;
    worker.pid = input.pid;
    worker.refusals = 0;
    worker.kill_reported = false;
    worker.end_reason = Reason::none;
    worker.retires = false;
    worker.said_ready = false;
    some_worker_ran_ = true;
    reporter_.count(Counter::started);
    if (worker.start_reason == Reason::restart) {
        reporter_.count(Counter::restarted);
    }
    reporter_.report_worker(EventType::started, Level::information, input.worker, 0, now);
    set_state(input.worker, State::running);
    if (phase_ == Phase::stopping) {
        reporter_.report_stopping(stop_signal_, stop_reason_, now);
    }
    const uint32_t slot = slot_of(input.worker);
    const bool dropped =
        is_replacement(input.worker) && slot_table_[slot].replaced_for == ReplacementReason::none;
    if (killing_) {
        send_kill(input.worker, false);
    } else if (!is_wanted(slot) || dropped) {
        // One that is dropped replaces a worker whose slot was no more for a time.
        const bool stops = phase_ == Phase::stopping || slot_table_[slot].stopped ||
                           slot_table_[slot].again != Reason::none;
        ask_to_stop(input.worker, stops ? Reason::stop : Reason::resize, now);
    } else {
        expect_ready(input.worker, now, now);
    }
}

void Supervisor::start_failed(const Input &input, Instant now) {
    const uint32_t worker = input.worker;
    if (!expect(state_of(worker) == State::starting) || !expect(input.error < 0)) {
        return;
    }
    deadlines_.disarm(worker);
    // Any error but want of resources is final until a worker has run: a start that can never
    // succeed is not tried for ever. Later it uses up restarts like a worker that ended.
    const bool replacement = is_replacement(worker);
    const bool wanted = is_wanted(slot_of(worker));
    const bool counts = wanted && !input.transient && !replacement && some_worker_ran_;
    Slot &slot = slot_table_[slot_of(worker)];
    const bool was_last_boot =
        counts && slot.replaced_for == ReplacementReason::none && is_last_boot(now);
    const bool counted = counts && !was_last_boot && policy_.allow(now);
    const bool again = wanted && (input.transient || counted);
    slot.count(counted);
    slot.unproven = slot.unproven || (!replacement && !input.transient &&
                                      slot.replaced_for != ReplacementReason::none);
    if (again) {
        if (input.error != code_timed_out) {
            start_queue_.failed(now);
        }
        set_state(worker, State::waiting);
        start_queue_.push(worker);
    } else {
        set_state(worker, State::empty);
    }
    reporter_.report_start_failed(input, again, start_queue_.deadline(), now);
    if (wanted && !again) {
        if (was_last_boot) {
            give_up_boot(now);
        } else if (!replacement && some_worker_ran_) {
            end_for_good(worker, false, now);
        } else if (!replacement) {
            fail_with(input.error, now);
        }
    }
    if (wanted && !input.transient) {
        finish_replacement(slot_of(worker), false, input.error, now); // tried again or not
    }
    rollout_.release(slot_of(worker));
    reporter_.release_life();
}

void Supervisor::start_cancelled(uint32_t worker) {
    if (!expect(state_of(worker) == State::starting)) {
        return;
    }
    reporter_.release_life();
    set_state(worker, State::empty);
    if (is_wanted(slot_of(worker))) {
        begin(worker, this->worker(worker).start_reason);
    }
}

// A deadline of the worker has come.
void Supervisor::due(uint32_t worker, Instant now) {
    switch (state_of(worker)) {
    case State::stopping:
        reporter_.report_killed(worker, settings_.stop_timeout, now);
        send_kill(worker, true);
        break;
    case State::killing:
        send_kill(worker, false);
        break;
    case State::aborting:
        if (!instance(worker).killed) {
            reporter_.report_killed(worker, settings_.stop_timeout, now);
        }
        send(worker, signal_kill, !instance(worker).killed);
        instance(worker).killed = true;
        break;
    case State::backing_off:
        set_state(worker, State::empty);
        begin(worker, Reason::restart);
        break;
    case State::running:
        if (settings_.ready_timeout != 0) {
            abort(worker, Reason::ready_timeout, now);
        } else {
            become_ready(worker, now);
        }
        break;
    case State::ready:
        if (this->worker(worker).expires <= now) {
            expire(worker);
        }
        if (settings_.heartbeat_timeout != 0) {
            (void)heartbeat_checks_.push(worker);
        } else {
            expect_heartbeat(worker, now);
        }
        break;
    case State::starting:
        unanswered(worker, now);
        break;
    case State::empty:
    case State::waiting:
    case State::requested:
    case State::abandoned:
    case State::done:
        (void)expect(false);
        break;
    }
}

void Supervisor::ready(uint32_t worker, Instant now) {
    const State state = state_of(worker);
    if (state != State::running && state != State::ready) {
        return;
    }
    instance(worker).said_ready = true;
    if (state == State::running) {
        deadlines_.disarm(worker);
        become_ready(worker, now);
    }
}

// A replacement that is ready takes over its slot, and the old worker is stopped.
void Supervisor::become_ready(uint32_t worker, Instant now) {
    const uint32_t slot = slot_of(worker);
    const bool replacement = is_replacement(worker);
    const bool old = has_replacement(worker);
    set_state(worker, State::ready);
    if (settings_.ready_timeout != 0) {
        reporter_.report_worker(EventType::ready, Level::information, worker, 0, now);
    }
    Worker &fresh = instance(worker);
    fresh.expires = settings_.lifetime == 0 ? never : after(now, policy_.draw_lifetime(settings_));
    fresh.last_beat = settings_.ready_timeout == 0 ? never : now;
    expect_heartbeat(worker, now);
    pass_on_pending(worker);
    if (fresh.retires) {
        request_retirement(worker, now);
    }
    if (replacement) {
        slot_table_[slot].current ^= 1U;
        ask_to_stop(other_instance(worker), reason_of(slot_table_[slot].replaced_for), now);
    }
    if (!old) {
        slot_table_[slot].unproven = false;
        finish_replacement(slot, true, 0, now);
    }
}

void Supervisor::begin(uint32_t worker, Reason reason) {
    slot_table_[slot_of(worker)].given_up = false;
    instance(worker).pending_signals = 0;
    instance(worker).start_reason = reason;
    set_state(worker, State::waiting);
    start_queue_.push(worker);
}

// Whatever the worker is about to do, it ends; one without a process at once.
void Supervisor::ask_to_stop(uint32_t worker, Reason reason, Instant now) {
    note_end_reason(worker, reason);
    switch (state_of(worker)) {
    case State::running:
    case State::ready:
        set_state(worker, State::stopping);
        instance(worker).renewals = 0;
        deadlines_.disarm(worker);
        // A spare waits for nothing but its pipe, and a signal could end it before that does.
        (void)signals_.push(
            Signal{worker, is_spare(worker) ? 0 : settings_.stop_signal, 0, true, true, false});
        if (settings_.stop_timeout != 0) {
            deadlines_.arm(worker, after(now, settings_.stop_timeout));
        }
        break;
    case State::requested:
        reporter_.release_life();
        [[fallthrough]];
    case State::waiting:
        starts_cancelled_ = true;
        set_state(worker, State::empty);
        break;
    case State::backing_off:
        deadlines_.disarm(worker);
        set_state(worker, State::empty);
        break;
    case State::done:
        // The slot of a worker that is done stays so to the pool's end.
        set_state(worker, phase_ == Phase::running ? State::empty : State::done);
        break;
    case State::aborting:
        // It was sent SIGKILL already; its end is now a requested one.
        if (instance(worker).killed) {
            set_state(worker, State::killing);
            break;
        }
        set_state(worker, State::stopping);
        [[fallthrough]];
    case State::stopping:
        // Asked before; a quick stop leaves it less time.
        if (settings_.stop_timeout != 0) {
            deadlines_.arm_at_latest(worker, after(now, settings_.stop_timeout));
        }
        break;
    case State::starting: // asked once it has started
    case State::empty:
    case State::killing:
    case State::abandoned:
        break;
    }
}

// The first one counts: all others come too late.
void Supervisor::note_end_reason(uint32_t worker, Reason reason) {
    Worker &ending = instance(worker);
    ending.end_reason = ending.end_reason == Reason::none ? reason : ending.end_reason;
}

} // namespace prefork::core
