// Whether a worker gets ready, and keeps sending heartbeats.
//
// SPDX-License-Identifier: MIT
#include "core/supervisor.h"

namespace prefork::core {

// The worker runs and is not ready yet.
void Supervisor::expect_ready(uint32_t worker, Instant since, Instant now) {
    const Slot &slot = slot_table_[slot_of(worker)];
    const bool is_unproven =
        is_replacement(worker) || slot.replaced_for != ReplacementReason::none || slot.unproven;
    if (settings_.ready_timeout != 0) {
        deadlines_.arm(worker, after(since, settings_.ready_timeout));
    } else if (is_unproven && settings_.minimum_uptime != 0) {
        deadlines_.arm(worker, after(since, settings_.minimum_uptime));
    } else {
        become_ready(worker, now);
    }
}

// When a ready worker is checked next: for its heartbeat, or for its age.
void Supervisor::expect_heartbeat(uint32_t worker, Instant now) {
    Instant next = this->worker(worker).expires;
    if (settings_.heartbeat_timeout != 0) {
        const Instant check =
            after(now, settings_.heartbeat_timeout / heartbeat_checks_per_timeout + 1);
        next = check < next ? check : next;
    }
    if (next != never) {
        deadlines_.arm(worker, next);
    }
}

void Supervisor::heartbeat(uint32_t worker, uint32_t beats, Instant now) {
    Worker &seen = instance(worker);
    if (seen.state != State::ready) {
        return;
    }
    if (beats != seen.beats) {
        seen.beats = beats;
        seen.last_beat = now;
    } else if (seen.last_beat != never &&
               elapsed(seen.last_beat, now) >= settings_.heartbeat_timeout) {
        // A core dump shows where it hangs.
        abort(worker, Reason::heartbeat_timeout, now);
        return;
    }
    expect_heartbeat(worker, now);
}

// A worker that floods its supervisor with messages, or reports that it hangs. One that is to end
// anyway is left to its time-outs.
void Supervisor::abort_working(uint32_t worker, Reason reason, Instant now) {
    const State state = state_of(worker);
    if (state == State::running || state == State::ready) {
        abort(worker, reason, now);
    }
}

void Supervisor::abort(uint32_t worker, Reason reason, Instant now) {
    const int32_t signal = reason == Reason::heartbeat_timeout ? signal_abort : signal_kill;
    note_end_reason(worker, reason);
    reporter_.count(Counter::unresponsive);
    reporter_.report_worker(EventType::unresponsive, Level::warning, worker,
                            reason == Reason::protocol ? code_protocol : 0, now);
    deadlines_.disarm(worker);
    set_state(worker, State::aborting);
    instance(worker).renewals = 0;
    send(worker, signal, true);
    instance(worker).killed = signal == signal_kill;
    if (signal != signal_kill && settings_.stop_timeout != 0) {
        deadlines_.arm(worker, after(now, settings_.stop_timeout));
    }
}

// A supervisor that was stopped, or did not get the processor, has not seen what its workers did
// meanwhile, and they may have been stopped with it: their time-outs begin again.
void Supervisor::renew_after_pause(Duration late, Instant now) {
    const auto missed = [late](Duration timeout) { return timeout != 0 && late > timeout / 2; };
    const bool missed_ready = missed(settings_.ready_timeout);
    const bool missed_beats = missed(settings_.heartbeat_timeout);
    const bool missed_stop = missed(settings_.stop_timeout);
    const bool missed_uptime = settings_.ready_timeout == 0 && missed(settings_.minimum_uptime);
    if (!missed_ready && !missed_beats && !missed_stop && !missed_uptime) {
        return;
    }
    const uint32_t workers = capacity();
    for (uint32_t index = 0; index < workers + spare_places(); index++) {
        const uint32_t worker = index < workers ? index : first_spare + (index - workers);
        Worker &renewed = instance(worker);
        if (is_spare(worker) && renewed.state == State::running) {
            continue; // it waits as long as it has to
        }
        if (missed_ready && renewed.state == State::running) {
            deadlines_.arm(worker, after(now, settings_.ready_timeout));
        }
        if (missed_uptime && renewed.state == State::running && renewed.renewals < renewals_max) {
            renewed.renewals += 1;
            deadlines_.arm(worker, after(now, settings_.minimum_uptime));
        }
        if (missed_beats && renewed.state == State::ready && renewed.last_beat != never) {
            renewed.last_beat = now;
        }
        const bool is_asked = renewed.state == State::stopping ||
                              (renewed.state == State::aborting && !renewed.killed);
        if (missed_stop && is_asked && renewed.renewals < renewals_max) {
            renewed.renewals += 1;
            deadlines_.arm(worker, after(now, settings_.stop_timeout));
        }
    }
}

} // namespace prefork::core
