// A supervisor driven by hand, with its decisions collected.
//
// SPDX-License-Identifier: MIT
#pragma once

#include "base/invariant.h"
#include "core/supervisor.h"
#include "core/values.h"

namespace tests {

using namespace prefork::core;

inline Exit exit_with(int32_t code) {
    Exit exit;
    exit.kind = Exit::Kind::exited;
    exit.code = code;
    return exit;
}

inline Exit killed_by(int32_t signal) {
    Exit exit;
    exit.kind = Exit::Kind::signaled;
    exit.code = signal;
    return exit;
}

class Supervised {
  public:
    static constexpr uint32_t none = UINT32_MAX;

    Supervisor core;
    Instant now = 1 * second;
    int32_t next_pid = 100;

    bool begin(uint32_t workers, int32_t max_restarts) {
        Settings settings;
        settings.max_restarts = max_restarts;
        return begin(workers, settings);
    }

    bool begin(uint32_t workers, Settings settings) {
        settings.workers = workers;
        if (!core.open(settings)) {
            return false;
        }
        give(Input::Kind::start);
        return true;
    }

    // Each step is audited: nothing may go on with wrong counts.
    void step(const Input &input) {
        core.step(input, now);
        (void)prefork::base::holds(core.audit());
    }

    void give(Input::Kind kind, int32_t signal = 0) {
        Input input;
        input.kind = kind;
        input.signal = signal;
        step(input);
    }

    // Lets all starts that are allowed succeed; returns how many. Others return the slot.
    uint32_t start_all() {
        uint32_t count = 0;
        while (core.startable() > 0) {
            start_one();
            count += 1;
        }
        return count;
    }

    uint32_t start_one() {
        if (core.startable() == 0) {
            return none;
        }
        Input input;
        input.kind = Input::Kind::started;
        input.worker = core.pop_start();
        input.pid = next_pid++;
        input.since = now;
        step(input);
        return slot_of(input.worker);
    }

    uint32_t fail_one(int32_t error, bool transient) {
        if (core.startable() == 0) {
            return none;
        }
        Input input;
        input.kind = Input::Kind::start_failed;
        input.worker = core.pop_start();
        input.error = error;
        input.transient = transient;
        step(input);
        return slot_of(input.worker);
    }

    void end(uint32_t slot, const Exit &exit) { end_worker(core.current(slot), exit); }

    void end_worker(uint32_t worker, const Exit &exit) {
        Input input;
        input.kind = Input::Kind::exited;
        input.worker = worker;
        input.exit = exit;
        step(input);
    }

    void say(Input::Kind kind, uint32_t slot, uint32_t count = 0) {
        Input input;
        input.kind = kind;
        input.worker = core.current(slot);
        input.count = count;
        step(input);
    }

    // Lets time pass, and answers each look at a heartbeat with the count.
    void pass_and_beat(Duration duration, uint32_t beats) {
        pass(duration);
        uint32_t worker = 0;
        while (core.pop_heartbeat_check(&worker)) {
            say(Input::Kind::heartbeat, slot_of(worker), beats);
        }
    }

    State state(uint32_t slot) const { return core.worker(core.current(slot)).state; }

    void resize(uint32_t count) {
        Input input;
        input.kind = Input::Kind::resize;
        input.count = count;
        step(input);
    }

    void replace(uint32_t slot) {
        Input input;
        input.kind = Input::Kind::replace;
        input.worker = slot;
        step(input);
    }

    void pass(Duration duration) {
        now += duration;
        give(Input::Kind::tick);
    }

    // The next event of the type, leaving out others; its task id is -2 if there is none.
    Event find(EventType type) {
        Event event;
        while (core.pop_event(&event)) {
            if (event.type == type) {
                return event;
            }
        }
        event.task_id = -2;
        return event;
    }

    // How many signals of that number are to be sent; all others are left out.
    uint32_t count_signals(int32_t number) {
        uint32_t count = 0;
        Signal signal{};
        while (core.pop_signal(&signal)) {
            count += signal.number == number ? 1 : 0;
        }
        return count;
    }
};

} // namespace tests
