// The host's calls into the pool, each with what must come of it.
//
// SPDX-License-Identifier: MIT
#include <cerrno>
#include <utility>

#include "epoll.h"
#include "host.h"
#include "model.h"
#include "pipes.h"
#include "violation.h"
#include "witness.h"

namespace sim {

namespace {

constexpr int signal_numbers[] = {10, 15, 1, 2, 12, 9, 0, 28};

} // namespace

void Host::dispatch(int timeout_ms) {
    world.waits_left = 1;
    model.begin_read(timeout_ms);
    const int result = pool_->dispatch(timeout_ms);
    if (world.in_child) {
        left_ = true;
        require(result == -ECHILD, "result", "of dispatch in a child of the host");
        return;
    }
    model.settle();
    happening_ = Happening::nothing;
    require(world.signals_blocked == 0, "signal-mask", "signals are blocked after a dispatch");
    require(!pool_->supervisor().broken(), "broken", "the core has found an invariant broken");
    if (result != model.expected_result()) {
        violate("result", "dispatch returns %d, not %d", result, model.expected_result());
    }
    require(pool_->finished() == model.done(), "done", "finished too early or too late");
    require(model.startable() == 0, "start-missing", "workers can be started and are not");
    require(!model.has_takeover(), "takeover-missing", "a spare could have a slot");
}

// By mistake, and may open files of its own then. A fork that it has not answered for keeps its
// pool from the end; and what a kill comes to is another matter.
void Host::close_descriptors(bool reopens, bool also_pipes) {
    if (host_fork_ == 0 && !model.done() && !model.kills() && world.kills_refused == 0) {
        epoll.be_closed(reopens);
        if (also_pipes) {
            pipes.be_closed(reopens);
        }
        world.closed = true;
    }
}

// Only for pools with a callback. After so many waits the pool is killed, so that it ends.
void Host::run(uint32_t waits) {
    if (!callback_) {
        return;
    }
    world.waits_left = waits;
    model.begin_read(-1);
    int task_id = -2;
    running_ = true;
    const int result = pool_->run(&task_id);
    running_ = false;
    if (world.in_child) {
        left_ = true;
        const bool is_worker = enter_worker_ && task_id >= 0;
        require(result == (is_worker ? 0 : -ECHILD), "result", "of run in a worker or a child");
        require(!is_worker || task_id < static_cast<int>(model.slots()), "task-id", "no slot's");
        return;
    }
    model.settle();
    require(!pool_->supervisor().broken(), "broken", "the core has found an invariant broken");
    require(model.done(), "result", "run returns, and the pool lives");
    if (result != model.expected_result()) {
        violate("result", "run returns %d, not %d", result, model.expected_result());
    }
    require(task_id == -1, "task-id", "the supervisor is no worker");
    // The next dispatch arms the timer for a host that waits by itself.
    dispatch(0);
}

bool Host::pop() {
    pf_event event;
    if (host_fork_ != 0) {
        world.clock += 1; // no two requests are taken at the same time as anything else
        model.handle_requests();
    }
    const bool any = pool_->next_event(&event);
    if (!any) {
        require(!model.has_events(), "event-missing", "none is given though some wait");
        return false;
    }
    see(event);
    if (event.value.type == prefork::core::EventType::fork_wanted) {
        world.clock += 1;
        if (host_fork_ == 1) {
            answer(static_cast<uint32_t>(event.value.task_id), 0);
        }
    }
    return true;
}

void Host::resize(uint32_t how, uint32_t much) {
    const uint32_t slots = model.slots();
    switch (how % 8) {
    case 0:
        resize_to(1);
        break;
    case 1:
    case 2:
        resize_to(slots + 1 > 300 ? 300 : slots + 1);
        break;
    case 3:
    case 4:
        resize_to(slots > 1 ? slots - 1 : 1);
        break;
    case 5:
    case 6:
        resize_to(1 + much % 12);
        break;
    case 7:
        resize_to(1 + (much % 64 == 0 ? much / 64 % 300 : much % 24));
        break;
    }
}

// What a call returns that would change a pool which cannot be changed any more.
int Host::refusal() { return model.can_change() ? -EBADF : -ECANCELED; }

void Host::resize_to(uint32_t count) {
    const bool can = model.can_change() && !world.closed;
    const bool grows = count > model.slots();
    world.may_allocate = can && grows;
    world.allocation_failed = false;
    // It sends signals, which are expected from here on.
    if (!grows && !world.closed) {
        model.resize(count);
    } else if (can) {
        model.grow(count);
    }
    SIM_TRACE("resize to %u", count);
    const int result = pool_->resize(count);
    world.may_allocate = false;
    const int wanted = can ? (world.allocation_failed ? -ENOMEM : 0) : refusal();
    if (result != wanted) {
        violate("result", "resize returns %d, not %d", result, wanted);
    }
    model.settle();
    world.allocation_failed = false;
}

void Host::change_spares(uint32_t how, uint32_t count) {
    if (how == 0) {
        if (!world.closed) {
            model.renew();
        }
        pool_->renew_spares(); // as after another program was set
    } else {
        set_spares(count % (how == 1 ? 3 : 8));
    }
}

void Host::set_spares(uint32_t count) {
    const bool can = model.can_change() && !world.closed;
    const bool grows = count > model.spare_places();
    world.may_allocate = can && grows;
    world.allocation_failed = false;
    if (!grows && !world.closed) {
        model.set_spares(count); // it sends signals, which are expected from here on
    } else if (can) {
        model.grow_spares(count);
    }
    SIM_TRACE("set_spares to %u", count);
    const int result = pool_->set_spares(count);
    world.may_allocate = false;
    const int wanted = can ? (world.allocation_failed ? -ENOMEM : 0) : refusal();
    if (result != wanted) {
        violate("result", "set_spares returns %d, not %d", result, wanted);
    }
    model.settle();
    world.allocation_failed = false;
}

void Host::restart(uint32_t choice) {
    const uint32_t slot = choice % model.slots();
    witness.wants_restart(slot);
    const int wanted = world.closed ? refusal() : model.restart(slot);
    const int result = pool_->restart(slot);
    SIM_TRACE("restart of slot %u: %d", slot, result);
    if (result != wanted && !(world.closed && result == -EALREADY)) {
        violate("result", "restart returns %d, not %d", result, wanted);
    }
}

void Host::stop_worker(uint32_t choice) {
    const uint32_t slot = choice % model.slots();
    witness.wants_stop(slot);
    const int wanted = world.closed ? refusal() : model.stop_worker(slot);
    const int result = pool_->stop_worker(slot);
    SIM_TRACE("stop of slot %u: %d", slot, result);
    if (result != wanted && !(world.closed && result == -EALREADY)) {
        violate("result", "stop_worker returns %d, not %d", result, wanted);
    }
}

void Host::signal(uint32_t choice, uint32_t number_choice) {
    const uint32_t slot = choice % model.slots();
    const int number = signal_numbers[number_choice % 8];
    const int wanted = model.signal(slot, number);
    const uint32_t refused = std::exchange(world.kills_refused, 0);
    world.host_signals = true;
    const int result = pool_->signal(slot, number);
    world.host_signals = false;
    require(result == -ESRCH || number != 9 || world.oom_seen == world.oom_kills, "oom",
            "what follows from the host's signal is taken for the kernel's doing");
    world.kills_refused = refused;
    if (result != wanted) {
        violate("result", "signal returns %d, not %d", result, wanted);
    }
}

void Host::signal_all(uint32_t choice) {
    const int number = signal_numbers[choice % 8];
    model.signal_all(number);
    const uint32_t refused = std::exchange(world.kills_refused, 0);
    world.host_signals = true;
    pool_->signal_all(number);
    world.host_signals = false;
    world.kills_refused = refused;
}

void Host::request_stop() {
    SIM_TRACE("stop is requested");
    model.request_stop();
    pool_->request_stop();
}

void Host::request_kill() {
    SIM_TRACE("kill is requested");
    model.request_kill();
    pool_->request_kill();
}

// Once it has returned, the next wait finds the descriptor readable.
void Host::wake() {
    SIM_TRACE("it is woken");
    pool_->wake();
    require(world.closed || world.readable(), "wake", "the descriptor is not readable after it");
}

void Host::request_reload() {
    SIM_TRACE("a reload is requested");
    model.request_reload();
    witness.wants_reload();
    pool_->request_reload();
}

// The supervisor was stopped, and sees its timer late by about half a time-out, or by far more.
void Host::freeze(uint32_t how, uint32_t much) {
    const prefork::core::Settings &settings = model.settings();
    const Duration timeouts[] = {settings.ready_timeout, settings.heartbeat_timeout,
                                 settings.stop_timeout, settings.heartbeat_timeout};
    const Duration timeout = timeouts[how % 4];
    if (world.timer == never || world.timer == 0 || timeout == 0) {
        return;
    }
    world.all_beat = false; // its workers were stopped with it
    const Instant begin = world.timer > world.clock ? world.timer : world.clock;
    world.clock = begin + timeout / 2 + much % 3 - 1 + (how % 4 == 3 ? timeout * (much % 8) : 0);
}

// From a callback.
void Host::control(uint32_t what, uint32_t first, uint32_t second_number) {
    switch (what % 8) {
    case 0:
    case 1:
    case 2:
        resize(first, second_number);
        break;
    case 3:
        stop_worker(first);
        break;
    case 4:
    case 5:
        restart(first);
        break;
    case 6:
        signal(first, second_number);
        break;
    case 7:
        if (world.closed) {
            break; // a pool that has failed takes no requests any more
        }
        if (second_number % 8 == 7) {
            raise_own(first);
        } else if (first % 8 == 0) {
            request_stop();
        } else if (first % 8 == 1) {
            request_kill();
        } else if (first % 8 < 4) {
            request_reload();
        } else {
            signal_all(second_number);
        }
        break;
    }
}

void Host::act_in_callback() {
    SIM_TRACE("the callback acts");
    if (planned_.b % 16 == 15) {
        // The host forked in its callback, and it is the child that comes back from it.
        world.in_child = true;
        world.own_pid = world.next_pid;
        return;
    }
    if (planned_.b % 16 == 14) {
        world.clock += planned_.c % (5 * second);
        return;
    }
    // A pool that runs ends soon in any case.
    const bool closes = running_ ? planned_.b % 16 >= 12 : planned_.b % 16 == 13;
    if (closes && planned_.c % 2 == 0) {
        close_descriptors(planned_.c % 4 == 0, true);
        return;
    }
    control(planned_.b, planned_.c, planned_.c / 16);
}

} // namespace sim
