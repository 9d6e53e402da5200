// The ends of workers, and what follows from them.
//
// SPDX-License-Identifier: MIT
#include "core/supervisor.h"

namespace prefork::core {

void Supervisor::exited(const Input &input, Instant now) {
    const State state = state_of(input.worker);
    if (!expect(is_alive(state)) || !expect(alive() > 0)) {
        return;
    }
    deadlines_.disarm(input.worker);
    start_queue_.probe();
    if (phase_ == Phase::done) { // it was abandoned, and nothing is reported after the end
        set_state(input.worker, State::empty);
        reporter_.release_life();
        return;
    }
    if (has_booted(input.worker, now)) {
        boot_.succeeded();
    }
    if (state == State::stopping || state == State::killing || state == State::abandoned) {
        reporter_.report_exit(input, Level::information, false, 0, now);
        end_asked(input.worker, now);
    } else if (is_replacement(input.worker)) {
        end_replacement(input, now);
    } else {
        end_current(input, now);
    }
    rollout_.release(slot_of(input.worker));
    reporter_.release_life();
}

// A worker that was asked to stop has ended.
void Supervisor::end_asked(uint32_t worker, Instant now) {
    set_state(worker, State::empty);
    const uint32_t number = slot_of(worker);
    if (worker != current(number)) {
        return;
    }
    Slot &slot = slot_table_[number];
    const Reason again = slot.again;
    slot.again = Reason::none;
    if (is_wanted(number) && !promote_replacement(worker, now)) {
        // Stopped for its replacement, or by the host, or because its slot was no more for a time.
        const Reason reason =
            slot.replaced_for == ReplacementReason::none ? again : reason_of(slot.replaced_for);
        begin(worker, reason == Reason::none ? Reason::resize : reason);
    }
}

// A replacement that ended before it was good: the old worker stays.
void Supervisor::end_replacement(const Input &input, Instant now) {
    report_exit(input, false, 0, now);
    set_state(input.worker, State::empty);
    finish_replacement(slot_of(input.worker), false, 0, now);
}

void Supervisor::end_current(const Input &input, Instant now) {
    const uint32_t worker = input.worker;
    if (has_replacement(worker)) {
        end_replaced(input, now);
        return;
    }
    // A replacement that has its slot already, and was not good yet.
    Slot &slot = slot_table_[slot_of(worker)];
    const bool failed =
        slot.replaced_for != ReplacementReason::none && state_of(worker) != State::ready;
    slot.unproven = slot.unproven || failed;
    decide_restart(input, now);
    if (failed) {
        finish_replacement(slot_of(worker), false, 0, now);
    }
}

// The old worker did not wait for its replacement, which is its restart then.
void Supervisor::end_replaced(const Input &input, Instant now) {
    const uint32_t worker = input.worker;
    const Duration uptime = elapsed(this->worker(worker).started, now);
    const ExitVerdict verdict =
        judge_exit(settings_, action_of(input), ended_normally(input), uptime);
    if (verdict.restart && !has_booted(worker, now) && is_last_boot(now)) {
        end_last_boot(input, now);
        return;
    }
    slot_table_[slot_of(worker)].count(verdict.restart && verdict.counts && policy_.allow(now));
    report_exit(input, true, 0, now);
    set_state(worker, State::empty);
    (void)promote_replacement(worker, now);
}

// The action of the host's table. It does not apply to a replacement, which fails with any status.
// A fatal status of an old worker, or in a slot whose replacement failed, does not stop the workers
// that serve.
ExitAction Supervisor::action_of(const Input &input) const {
    const uint32_t worker = input.worker;
    const Slot &slot = slot_table_[slot_of(worker)];
    const bool is_old = has_replacement(worker);
    const bool is_unready =
        slot.replaced_for != ReplacementReason::none && state_of(worker) != State::ready;
    if (state_of(worker) == State::aborting || is_replacement(worker) || (is_unready && !is_old)) {
        return ExitAction::standard;
    }
    const ExitAction action = settings_.exit_actions.of(input.exit);
    return action == ExitAction::fatal && (slot.unproven || is_old) ? ExitAction::standard : action;
}

bool Supervisor::ended_normally(const Input &input) const {
    return state_of(input.worker) != State::aborting &&
           (input.exit.normal() || action_of(input) == ExitAction::done);
}

// Reports an exit without a stop request.
void Supervisor::report_exit(const Input &input, bool will_restart, Duration delay, Instant now) {
    const Level level = ended_normally(input) ? Level::information : Level::warning;
    reporter_.report_exit(input, level, will_restart, delay, now);
}

// Decides what follows from the end of a worker that was not asked to stop.
void Supervisor::decide_restart(const Input &input, Instant now) {
    const uint32_t worker = input.worker;
    Slot &slot = slot_table_[slot_of(worker)];
    const bool normal = ended_normally(input);
    const Duration uptime = elapsed(this->worker(worker).started, now);
    const ExitVerdict verdict = judge_exit(settings_, action_of(input), normal, uptime);
    const bool is_boot =
        verdict.restart && slot.replaced_for == ReplacementReason::none && !has_booted(worker, now);
    if (is_boot && is_last_boot(now)) {
        end_last_boot(input, now);
        return;
    }
    if (!verdict.restart || (verdict.counts && !policy_.allow(now))) {
        report_exit(input, false, 0, now);
        set_state(worker, normal && !verdict.restart ? State::done : State::empty);
        if (verdict.restart || verdict.fatal) {
            end_for_good(worker, verdict.fatal, now);
        }
        return;
    }
    slot.count(verdict.counts);
    const Duration delay = verdict.counts ? policy_.draw_delay(uptime, &slot.backoff) : 0;
    if (!verdict.counts && uptime >= settings_.backoff_max) {
        slot.backoff = 0; // it was stable, though it did not crash
    }
    report_exit(input, true, delay, now);
    set_state(worker, State::empty);
    if (delay == 0) {
        begin(worker, Reason::restart);
    } else {
        set_state(worker, State::backing_off);
        deadlines_.arm(worker, after(now, delay));
    }
}

// A slot whose worker may not be restarted any more, or that said that nobody should be.
void Supervisor::end_for_good(uint32_t worker, bool fatal, Instant now) {
    if (fatal) {
        reporter_.report_pool(EventType::gave_up, Level::error, code_fatal, now);
        fail_with(code_fatal, now);
    } else if (settings_.on_limit == OnLimit::stop && !slot_table_[slot_of(worker)].unproven) {
        reporter_.report_pool(EventType::gave_up, Level::error, code_gave_up, now, Reason::limit);
        fail_with(code_gave_up, now);
    } else {
        // A replacement that fails stops no other worker.
        some_slot_given_up_ = true;
        slot_table_[slot_of(worker)].given_up = true;
        reporter_.report_worker(EventType::gave_up, Level::error, worker, code_gave_up, now,
                                Reason::limit);
    }
}

} // namespace prefork::core
