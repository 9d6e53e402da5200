// Starts by the host's own fork.
//
// SPDX-License-Identifier: MIT
#include "core/supervisor.h"

namespace prefork::core {

void Supervisor::request_start(Instant now) {
    const uint32_t worker = pop_start();
    set_state(worker, State::requested);
    reporter_.report_worker(EventType::fork_wanted, Level::information, worker, 0, now);
}

// The host has not forever to answer.
void Supervisor::request_delivered(uint32_t slot, Instant now) {
    const uint32_t worker = is_spare(slot) ? slot : slot_table_.find(slot, State::requested);
    if (expect(worker != no_worker)) {
        set_state(worker, State::starting);
        deadlines_.arm(worker, after(now, fork_result_timeout));
    }
}

// The host has not reported the result in time: it is asked again.
void Supervisor::unanswered(uint32_t worker, Instant now) {
    Input input;
    input.kind = Input::Kind::start_failed;
    input.worker = worker;
    input.error = code_timed_out;
    input.transient = true;
    if (is_spare(worker)) {
        spare_start_failed(input, now);
    } else {
        start_failed(input, now);
    }
}

} // namespace prefork::core
