// Signals to workers, and those that could not be sent.
//
// SPDX-License-Identifier: MIT
#include "core/supervisor.h"

namespace prefork::core {

void Supervisor::send_kill(uint32_t worker, bool reported) {
    if (state_of(worker) == State::abandoned) {
        return;
    }
    if (is_alive(state_of(worker))) {
        note_end_reason(worker, Reason::stop);
        deadlines_.disarm(worker);
        set_state(worker, State::killing);
        send(worker, signal_kill, reported);
    } else {
        ask_to_stop(worker, Reason::stop, 0);
    }
}

void Supervisor::send(uint32_t worker, int32_t signal, bool reported) {
    const bool resumes = signal != signal_kill;
    (void)signals_.push(Signal{worker, signal, 0, false, resumes, reported});
}

// To each worker that is at work, also one that is to be replaced. One that is not ready may not
// have its handler yet: it would be killed.
void Supervisor::pass_on(int32_t signal) {
    if (!expect(signal > 0 && signal < 32)) {
        return;
    }
    for (uint32_t worker = 0; worker < slot_table_.slots() * instances; worker++) {
        const State state = state_of(worker);
        if (state == State::ready || state == State::running || state == State::starting) {
            instance(worker).pending_signals |= 1U << static_cast<uint32_t>(signal);
        }
        if (state == State::ready) {
            pass_on_pending(worker);
        }
    }
}

void Supervisor::pass_on_pending(uint32_t worker) {
    const uint32_t pending = instance(worker).pending_signals;
    if (pending != 0) {
        instance(worker).pending_signals = 0;
        (void)signals_.push(Signal{worker, 0, pending, false, false, false});
    }
}

void Supervisor::signal_failed(const Input &input, Instant now) {
    const uint32_t worker = input.worker;
    Worker &unreached = instance(worker);
    const bool kill = unreached.state == State::killing ||
                      (unreached.state == State::aborting && unreached.killed);
    if (!expect(is_alive(unreached.state)) || !expect(input.error < 0)) {
        return;
    }
    if (!kill) {
        // One that was only passed on has no room reserved. After the others SIGKILL comes when the
        // time-out is over.
        const bool passed_on = unreached.state == State::running || unreached.state == State::ready;
        if (!passed_on || reporter_.has_room_for_extra()) {
            reporter_.report_signal_failed(input, now);
        }
        return;
    }
    // SIGKILL that was sent before, and is refused when it is sent once more, has no room.
    if (unreached.refusals == 0 && (input.reported || !unreached.kill_reported)) {
        reporter_.report_signal_failed(input, now);
    }
    if (unreached.refusals <= kill_retries) {
        unreached.refusals++;
    }
    if (phase_ == Phase::stopping && unreached.refusals > kill_retries) {
        abandon_error_ = input.error;
        set_state(worker, State::abandoned);
    } else {
        deadlines_.arm(worker, after(now, kill_retry));
    }
}

} // namespace prefork::core
