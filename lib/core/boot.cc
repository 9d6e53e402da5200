// Workers that end before any is ready: a program that cannot start.
//
// SPDX-License-Identifier: MIT
#include "core/supervisor.h"

namespace prefork::core {

// Where workers need not be ready, one that has lived for the minimum uptime has started well, too.
bool Supervisor::has_booted(uint32_t id, Instant now) const {
    const Worker &worker = this->worker(id);
    return worker.said_ready || (settings_.ready_timeout == 0 &&
                                 elapsed(worker.started, now) >= settings_.minimum_uptime);
}

// Checks the one that was found last first: in a large pool of which one part cannot start, each
// end would otherwise cost a pass over all workers.
bool Supervisor::has_booted_worker(Instant now) {
    const auto is_well = [this, now](uint32_t worker) {
        return is_alive(state_of(worker)) && has_booted(worker, now);
    };
    if (is_well(booted_worker_)) {
        return true;
    }
    for (uint32_t worker = 0; worker < capacity(); worker++) {
        if (is_well(worker)) {
            booted_worker_ = worker;
            return true;
        }
    }
    return false;
}

// A worker is to be restarted that was not ready. Returns whether it was one too many.
bool Supervisor::is_last_boot(Instant now) {
    if (!boot_.is_set()) {
        return false;
    }
    if (has_booted_worker(now)) {
        boot_.succeeded();
    } else {
        boot_.failed();
    }
    return boot_.is_reached();
}

void Supervisor::give_up_boot(Instant now) {
    reporter_.report_boot_limit(now);
    fail_with(code_gave_up, now);
}

void Supervisor::end_last_boot(const Input &input, Instant now) {
    report_exit(input, false, 0, now);
    set_state(input.worker, State::empty);
    give_up_boot(now);
}

} // namespace prefork::core
