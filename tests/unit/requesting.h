// A supervisor whose host forks, driven by hand.
//
// SPDX-License-Identifier: MIT
#pragma once

#include <errno.h>

#include "supervised.h"

namespace tests {

// A pool whose host forks.
class Requesting : public Supervised {
  public:
    uint32_t request_all() {
        uint32_t count = 0;
        while (core.startable() > 0) {
            core.request_start(now);
            count += 1;
        }
        return count;
    }

    // The host takes events up to a request; returns the slot.
    uint32_t pop_request() {
        const Event wanted = find(EventType::fork_wanted);
        if (wanted.task_id < 0) {
            return none;
        }
        const auto slot = static_cast<uint32_t>(wanted.task_id);
        Input input;
        input.kind = Input::Kind::request_delivered;
        input.worker = slot;
        step(input);
        return slot;
    }

    void answer(uint32_t slot, int32_t error = 0) {
        Input input;
        input.kind = error < 0 ? Input::Kind::start_failed : Input::Kind::started;
        input.worker = core.pending_fork(slot);
        input.pid = error < 0 ? 0 : next_pid++;
        input.error = error;
        input.transient = error == -EAGAIN;
        input.since = now;
        step(input);
    }

    void request_and_answer_all() {
        request_all();
        for (uint32_t slot = pop_request(); slot != none; slot = pop_request()) {
            answer(slot);
        }
    }
};

} // namespace tests
