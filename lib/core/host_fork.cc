// Starts that the host is asked for.
//
// SPDX-License-Identifier: MIT
#include "core/supervisor.h"

namespace prefork::core {

// The slot's worker in that state, of which there is at most one; no_worker: none.
uint32_t Supervisor::find(uint32_t slot, State state) const {
    for (uint32_t instance = 0; instance < instances; instance++) {
        if (slot_table_[slot].workers[instance].state == state) {
            return instance_of(slot, instance);
        }
    }
    return no_worker;
}

void Supervisor::request_start(Instant now) {
    const uint32_t worker = take_start();
    set_state(worker, State::requested);
    report_worker(EventType::fork_wanted, Level::information, worker, 0, now);
}

// The host has not forever to answer.
void Supervisor::request_taken(uint32_t slot, Instant now) {
    const uint32_t worker = find(slot, State::requested);
    if (expect(worker != no_worker)) {
        set_state(worker, State::starting);
        deadlines_.arm(worker, after(now, fork_answer_timeout));
    }
}

// The host has not told what came of it: it is asked again.
void Supervisor::unanswered(uint32_t worker, Instant now) {
    Input input;
    input.kind = Input::Kind::start_failed;
    input.worker = worker;
    input.error = code_timed_out;
    input.transient = true;
    start_failed(input, now);
}

} // namespace prefork::core
